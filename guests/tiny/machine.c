/* tiny: what the kernel knows of its machine: the device tree it was given, and the SBI below it.
 */
#include "kernel.h"

/* Flattened device tree (Devicetree Specification 0.4, chapter 5): big-endian words. */
enum { FDT_MAGIC = 0xd00dfeed, FDT_BEGIN_NODE = 1, FDT_END_NODE, FDT_PROP, FDT_NOP, FDT_END = 9 };

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t be64(const uint8_t *p)
{
    return (uint64_t)be32(p) << 32 | be32(p + 4);
}

static bool begins(const char *text, const char *with)
{
    while (*with)
        if (*text++ != *with++)
            return false;
    return true;
}

static bool same(const char *a, const char *b)
{
    return begins(a, b) && begins(b, a);
}

/* One property of the node that `path` holds the names of (path[0] is the root's, ""). */
static void take_property(struct machine *machine, const char *const path[], int depth,
                          const char *name, const uint8_t *value, uint32_t length)
{
    if (depth == 2 && same(path[1], "chosen") && same(name, "bootargs")) {
        for (uint32_t i = 0; i < length && i < sizeof(machine->info.command_line) - 1; i++)
            machine->info.command_line[i] = (char)value[i];
    } else if (depth == 2 && begins(path[1], "memory@") && same(name, "reg") && length >= 16) {
        machine->ram = be64(value);
        machine->ram_size = be64(value + 8);
    } else if (depth == 2 && same(path[1], "cpus") && same(name, "timebase-frequency") &&
               length == 4) {
        machine->timebase = be32(value);
    } else if (depth == 3 && same(path[1], "cpus") && begins(path[2], "cpu@") &&
               same(name, "reg")) {
        if (machine->info.harts < HARTS_MAX)
            machine->hart_ids[machine->info.harts++] = length == 8 ? be64(value) : be32(value);
    }
}

bool machine_read(struct machine *machine, const void *tree)
{
    const uint8_t *blob = tree;
    const char *path[8] = {0};
    int depth = 0;

    if (be32(blob) != FDT_MAGIC)
        return false;
    const uint8_t *p = blob + be32(blob + 8);
    const char *strings = (const char *)blob + be32(blob + 12);
    for (;;) {
        uint32_t token = be32(p);
        p += 4;
        if (token == FDT_BEGIN_NODE) {
            if (depth < 8)
                path[depth] = (const char *)p;
            depth++;
            while (*p++)
                ;
        } else if (token == FDT_PROP) {
            uint32_t length = be32(p);
            if (depth <= 8)
                take_property(machine, path, depth, strings + be32(p + 4), p + 8, length);
            p += 8 + length;
        } else if (token == FDT_END_NODE) {
            depth--;
        } else if (token != FDT_NOP) {
            break;
        }
        p = (const uint8_t *)(((uintptr_t)p + 3) & ~(uintptr_t)3);
    }
    machine->info.memory = machine->ram_size;
    return machine->ram_size && machine->timebase && machine->info.harts;
}

/* SBI 2.0, chapter 3: extension in a7, function in a6; error in a0, value in a1. */
struct sbi_result {
    long error;
    long value;
};

enum {
    SBI_LEGACY_PUTCHAR = 1,
    SBI_LEGACY_GETCHAR = 2,
    SBI_BASE = 0x10,
    SBI_TIME = 0x54494d45,
    SBI_IPI = 0x735049,
    SBI_HSM = 0x48534d,
    SBI_SRST = 0x53525354,
    SBI_DBCN = 0x4442434e,
};

static struct sbi_result sbi(uint64_t extension, uint64_t function, uint64_t arg0, uint64_t arg1,
                             uint64_t arg2)
{
    register uint64_t a0 __asm__("a0") = arg0;
    register uint64_t a1 __asm__("a1") = arg1;
    register uint64_t a2 __asm__("a2") = arg2;
    register uint64_t a6 __asm__("a6") = function;
    register uint64_t a7 __asm__("a7") = extension;

    __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a6), "r"(a7) : "memory");
    return (struct sbi_result){.error = (long)a0, .value = (long)a1};
}

static bool debug_console; /* DBCN; without it, the legacy calls */

void console_open(void)
{
    debug_console = sbi(SBI_BASE, 3, SBI_DBCN, 0, 0).value != 0;
}

void console_write(const char *text, size_t length)
{
    while (length) {
        if (debug_console) {
            struct sbi_result result = sbi(SBI_DBCN, 0, length, (uintptr_t)text, 0);
            if (result.error)
                return;
            text += result.value;
            length -= (size_t)result.value;
        } else {
            sbi(SBI_LEGACY_PUTCHAR, 0, (uint8_t)*text++, 0, 0);
            length--;
        }
    }
}

long console_read(char *buffer, size_t length)
{
    if (debug_console) {
        struct sbi_result result = sbi(SBI_DBCN, 1, length, (uintptr_t)buffer, 0);
        return result.error ? 0 : result.value;
    }
    long count = 0;
    while ((size_t)count < length) {
        long byte = sbi(SBI_LEGACY_GETCHAR, 0, 0, 0, 0).error;
        if (byte < 0)
            break;
        buffer[count++] = (char)byte;
    }
    return count;
}

void timer_set(uint64_t time)
{
    sbi(SBI_TIME, 0, time, 0, 0);
}

bool hart_start(uint64_t id, uint64_t address, uint64_t opaque)
{
    return sbi(SBI_HSM, 0, id, address, opaque).error == 0;
}

void hart_wake(uint64_t id)
{
    sbi(SBI_IPI, 0, 1, id, 0);
}

void machine_off(bool failed)
{
    sbi(SBI_SRST, 0, 0, failed, 0);
    for (;;)
        __asm__ volatile("wfi");
}

uint64_t time_now(void)
{
    uint64_t now;

    __asm__ volatile("rdtime %0" : "=r"(now));
    return now;
}
