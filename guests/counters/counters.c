/*
 * A Linux program without a C library that asks the kernel what the processor is and counts, as
 * `perf stat` does: `counters TURNS` (hexadecimal) says what riscv_hwprobe answers, then counts
 * instructions and cycles of a loop of two instructions, and samples it every 2^20 instructions.
 * What that must be whoever started it computes.
 *
 * Numbers and layouts: Linux's Documentation/arch/riscv/hwprobe.rst and
 * include/uapi/linux/perf_event.h.
 */
#include <stddef.h>
#include <stdint.h>

enum {
    SYS_ioctl = 29,
    SYS_read = 63,
    SYS_write = 64,
    SYS_exit = 93,
    SYS_mmap = 222,
    SYS_perf_event_open = 241,
    SYS_riscv_hwprobe = 258
};

#define PERF_EVENT_IOC_ENABLE  0x2400
#define PERF_EVENT_IOC_DISABLE 0x2401
enum { PERF_COUNT_HW_CPU_CYCLES, PERF_COUNT_HW_INSTRUCTIONS };
enum { PERF_SAMPLE_IP = 1 };
enum { DISABLED = 1 << 0, EXCLUDE_KERNEL = 1 << 5, EXCLUDE_HV = 1 << 6 };

#define SAMPLE_PERIOD (1 << 20)
#define PAGE          4096ul
#define DATA_HEAD     1024 /* of the ring's first page: bytes written */

struct event {
    uint32_t type, size;
    uint64_t config, sample_period, sample_type, read_format, flags;
    uint32_t wakeup_events, bp_type;
    uint64_t config1;
};

struct pair {
    int64_t key;
    uint64_t value;
};

static long call(long number, long a, long b, long c, long d, long e, long f)
{
    register long a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c;
    register long a3 __asm__("a3") = d, a4 __asm__("a4") = e, a5 __asm__("a5") = f;
    register long a7 __asm__("a7") = number;
    __asm__ volatile("ecall"
                     : "+r"(a0)
                     : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a7)
                     : "memory");
    return a0;
}

static void say(const char *word, uint64_t a, uint64_t b)
{
    char line[96], *p = line;
    const uint64_t values[2] = {a, b};
    for (const char *s = "counters: "; *s != 0;)
        *p++ = *s++;
    while (*word != 0)
        *p++ = *word++;
    for (unsigned i = 0; i < 2; i++) {
        int shift = 60;
        *p++ = ' ';
        while (shift > 0 && values[i] >> shift == 0)
            shift -= 4;
        for (; shift >= 0; shift -= 4)
            *p++ = "0123456789abcdef"[values[i] >> shift & 15];
    }
    *p++ = '\n';
    call(SYS_write, 1, (long)line, p - line, 0, 0, 0);
}

static void die(const char *what, long error)
{
    say(what, (uint64_t)-error, 0);
    call(SYS_exit, 1, 0, 0, 0, 0, 0);
}

static long open_counter(unsigned which, uint64_t period)
{
    struct event event = {0};
    event.size = sizeof event;
    event.config = which;
    event.sample_period = period;
    event.sample_type = period != 0 ? PERF_SAMPLE_IP : 0;
    event.flags = DISABLED | EXCLUDE_KERNEL | EXCLUDE_HV;
    long fd = call(SYS_perf_event_open, (long)&event, 0, -1, -1, 0, 0);
    if (fd < 0)
        die("perf_event_open failed", fd);
    return fd;
}

static void loop(uint64_t turns)
{
    __asm__ volatile("1: addi %0, %0, -1\n"
                     "bnez %0, 1b\n"
                     : "+r"(turns));
}

static uint64_t count(unsigned which, uint64_t turns)
{
    const long fd = open_counter(which, 0);
    uint64_t value = 0;
    call(SYS_ioctl, fd, PERF_EVENT_IOC_ENABLE, 0, 0, 0, 0);
    loop(turns);
    call(SYS_ioctl, fd, PERF_EVENT_IOC_DISABLE, 0, 0, 0, 0);
    call(SYS_read, fd, (long)&value, sizeof value, 0, 0, 0);
    return value;
}

/* How many samples there were, and how many lost them: records that are none. */
static void sample(uint64_t turns)
{
    const long fd = open_counter(PERF_COUNT_HW_INSTRUCTIONS, SAMPLE_PERIOD);
    const long at = call(SYS_mmap, 0, 2 * PAGE, 3, 1, fd, 0); /* read and write, shared */
    if (at < 0)
        die("no ring", at);
    call(SYS_ioctl, fd, PERF_EVENT_IOC_ENABLE, 0, 0, 0, 0);
    loop(turns);
    call(SYS_ioctl, fd, PERF_EVENT_IOC_DISABLE, 0, 0, 0, 0);
    const uint64_t head = *(volatile uint64_t *)(at + DATA_HEAD);
    uint64_t samples = 0, others = 0;
    for (uint64_t i = 0; i < head && i < PAGE;) {
        const uint16_t *header =
            (const uint16_t *)(at + (long)PAGE + (long)i); /* type (32 bits), misc, size */
        if (header[0] == 9)
            samples++;
        else
            others++;
        if (header[3] == 0)
            break;
        i += header[3];
    }
    say("samples", samples, others);
}

void main(const uint64_t *stack)
{
    const char *word = stack[0] > 1 ? (const char *)stack[2] : "0";
    uint64_t turns = 0;
    struct pair pairs[] = {{3, 0}, {4, 0}, {6, 0}};
    for (; *word != 0; word++)
        turns = turns << 4 | (unsigned)(*word <= '9' ? *word - '0' : *word - 'a' + 10);
    const long error = call(SYS_riscv_hwprobe, (long)pairs, 3, 0, 0, 0, 0);
    if (error != 0)
        die("riscv_hwprobe failed", error);
    for (unsigned i = 0; i < 3; i++)
        say("hwprobe", (uint64_t)pairs[i].key, pairs[i].value);
    say("instructions", count(PERF_COUNT_HW_INSTRUCTIONS, turns), 0);
    say("cycles", count(PERF_COUNT_HW_CPU_CYCLES, turns), 0);
    sample(turns);
    call(SYS_exit, 0, 0, 0, 0, 0, 0);
}

__asm__(".globl _start\n"
        "_start:\n"
        "    mv   a0, sp\n"
        "    andi sp, sp, -16\n"
        "    tail main\n");
