/*
 * tiny: the one program. Process 1 (argument 0) describes the machine and has worker processes
 * compute a checksum; a worker (argument: its part, from 1 on) takes the SHA-256 (FIPS 180-4) of
 *
 *     the line "SEED PART\n", repeated up to `kib` KiB
 *
 * and sends it to process 1. The checksum is the SHA-256 of the parts' hexadecimal digests, a line
 * each: what `yes "SEED PART" | head -c $((KIB * 1024)) | sha256sum` computes elsewhere.
 */
#include "tiny.h"

#include <stdarg.h>

void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memset(void *to, int value, size_t length);
_Noreturn void user_main(uint64_t argument);

/* The kernel enters at the first word, and reads from the second how much of the program is shared.
 */
__asm__(".section .user.head, \"ax\"\n"
        ".globl user_start\n"
        "user_start:\n"
        "    j user_main\n"
        "    .balign 8\n"
        "    .dword user_data - user_base\n"
        ".text\n");

static long call(enum syscall number, uint64_t arg0, uint64_t arg1)
{
    register uint64_t a0 __asm__("a0") = arg0;
    register uint64_t a1 __asm__("a1") = arg1;
    register uint64_t a7 __asm__("a7") = number;

    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a7) : "memory");
    return (long)a0;
}

static char *put_number(char *at, char *end, uint64_t value)
{
    char digits[20];
    int count = 0;

    do
        digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    while (count && at < end)
        *at++ = digits[--count];
    return at;
}

/* One line in one piece. %s text, %u uint64_t, %c char. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char line[700], *at = line, *end = line + sizeof(line) - 1;
    va_list args;

    va_start(args, format);
    for (; *format && at < end; format++) {
        if (*format != '%') {
            *at++ = *format;
            continue;
        }
        switch (*++format) {
        case 's':
            for (const char *text = va_arg(args, const char *); *text && at < end; text++)
                *at++ = *text;
            break;
        case 'c': *at++ = (char)va_arg(args, int); break;
        default:
            format++; /* %lu */
            at = put_number(at, end, va_arg(args, uint64_t));
        }
    }
    va_end(args);
    *at++ = '\n';
    call(SYS_WRITE, (uint64_t)line, (uint64_t)(at - line));
}

struct sha256 {
    uint32_t state[8];
    uint64_t length;
    uint8_t block[64];
};

static uint32_t rotate(uint32_t value, int by)
{
    return value >> by | value << (32 - by);
}

static void sha256_block(struct sha256 *sha)
{
    static const uint32_t k[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
        0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
        0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
        0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2,
    };
    uint32_t w[64], v[8];

    for (int i = 0; i < 16; i++) {
        const uint8_t *p = sha->block + 4 * i;
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    }
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    memcpy(v, sha->state, sizeof(v));
    for (int i = 0; i < 64; i++) {
        uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
        uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
        uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
        uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        for (int j = 7; j > 0; j--)
            v[j] = v[j - 1];
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        sha->state[i] += v[i];
}

static void sha256_begin(struct sha256 *sha)
{
    static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

    memcpy(sha->state, initial, sizeof(initial));
    sha->length = 0;
}

static void sha256_byte(struct sha256 *sha, uint8_t byte)
{
    sha->block[sha->length++ % 64] = byte;
    if (sha->length % 64 == 0)
        sha256_block(sha);
}

/* The digest as 64 hexadecimal digits and a 0. */
static void sha256_end(struct sha256 *sha, char digest[65])
{
    uint64_t bits = sha->length * 8;

    sha256_byte(sha, 0x80);
    while (sha->length % 64 != 56)
        sha256_byte(sha, 0);
    for (int shift = 56; shift >= 0; shift -= 8)
        sha256_byte(sha, (uint8_t)(bits >> shift));
    for (int i = 0; i < 64; i++)
        digest[i] = "0123456789abcdef"[sha->state[i / 8] >> (28 - i % 8 * 4) & 15];
    digest[64] = 0;
}

/* The value of `name` ("seed=") on the command line, up to the next space; or `otherwise`. */
static void option(const char *line, const char *name, char *value, size_t size,
                   const char *otherwise)
{
    for (bool start = true; *line; start = *line++ == ' ') {
        size_t i = 0;
        while (name[i] && line[i] == name[i])
            i++;
        if (start && !name[i]) {
            otherwise = line + i;
            break;
        }
    }
    while (size-- > 1 && *otherwise && *otherwise != ' ')
        *value++ = *otherwise++;
    *value = 0;
}

static uint64_t option_number(const char *line, const char *name, uint64_t otherwise, uint64_t most)
{
    char text[20], *digit = text;
    uint64_t value = 0;

    option(line, name, text, sizeof(text), "");
    if (!*digit)
        return otherwise;
    for (; *digit >= '0' && *digit <= '9' && value <= most; digit++)
        value = value * 10 + (uint64_t)(*digit - '0');
    return value < 1 ? 1 : value > most ? most : value;
}

static struct machine_info machine; /* each process has its own, as it has its own everything */

_Noreturn static void worker(uint64_t part)
{
    struct sha256 sha;
    union {
        char digest[65];
        uint8_t message[MESSAGE_SIZE];
    } result;
    char text[100], *at = text, *end = text + sizeof(text) - 1;
    uint64_t total = option_number(machine.command_line, "kib=", 1024, 1 << 20) * 1024;

    option(machine.command_line, "seed=", text, 70, "tiny");
    while (*at)
        at++;
    *at++ = ' ';
    at = put_number(at, end, part);
    *at++ = '\n';
    sha256_begin(&sha);
    const char *from = text;
    for (uint64_t i = 0; i < total; i++) {
        sha256_byte(&sha, (uint8_t)*from);
        if (++from == at)
            from = text;
    }
    sha256_end(&sha, result.digest);
    /* The part travels with the sender: parts are numbered as processes are, from 2 on. */
    while (call(SYS_SEND, 1, (uint64_t)result.message) < 0)
        call(SYS_YIELD, 0, 0);
    call(SYS_EXIT, 0, 0);
    for (;;)
        ;
}

static void show_processes(void)
{
    struct process_info info;

    for (uint64_t i = 0; call(SYS_PROCESS, i, (uint64_t)&info) == 0; i++)
        say("report: process %lu %s state=%c hart=%lu slices=%lu", (uint64_t)info.pid,
            info.pid == 1 ? "init" : "worker", info.state, (uint64_t)info.hart, info.slices);
}

static void wait_ms(long duration)
{
    long until = call(SYS_TIME, 0, 0) + duration;

    while (call(SYS_TIME, 0, 0) < until)
        call(SYS_YIELD, 0, 0);
}

/* The checksum by `parts` worker processes: 64 digits. `show`: tells of them while they work. */
static void compute(uint64_t parts, bool show, char checksum[65])
{
    char digests[8][65];
    struct sha256 sha;
    long first = 0;

    for (uint64_t part = 1; part <= parts; part++) {
        long pid = call(SYS_SPAWN, part, 0);
        first = part == 1 ? pid : first;
        if (pid < 0 || pid != first + (long)part - 1)
            call(SYS_SHUTDOWN, 1, 0);
    }
    if (show) {
        wait_ms(20);
        show_processes();
    }
    for (uint64_t i = 0; i < parts; i++) {
        char message[MESSAGE_SIZE];
        long sender = call(SYS_RECEIVE, (uint64_t)message, 0);
        if (sender < first || sender >= first + (long)parts)
            call(SYS_SHUTDOWN, 1, 0);
        memcpy(digests[sender - first], message, 64);
        digests[sender - first][64] = '\n';
    }
    sha256_begin(&sha);
    for (uint64_t i = 0; i < parts; i++)
        for (int j = 0; j < 65; j++)
            sha256_byte(&sha, (uint8_t)digests[i][j]);
    sha256_end(&sha, checksum);
}

/* Ticks until a line comes in on the console; `again`: computes the checksum at each tick. */
static void hold(uint64_t parts, bool again)
{
    char line[65], checksum[65];
    size_t length = 0;

    for (uint64_t tick = 1;; tick++) {
        say("report: tick %lu", tick);
        if (again) {
            compute(parts, false, checksum);
            say("report: again %s", checksum);
        }
        for (int i = 0; i < 10; i++) {
            long count = call(SYS_READ, (uint64_t)(line + length), sizeof(line) - 1 - length);
            if (count > 0)
                length += (size_t)count;
            for (size_t j = 0; j < length; j++) {
                if (line[j] == '\n' || line[j] == '\r' || length == sizeof(line) - 1) {
                    line[j] = 0;
                    say("report: continued %s", line);
                    return;
                }
            }
            wait_ms(50);
        }
    }
}

_Noreturn static void init(void)
{
    char hostname[33], held[2], again[2], checksum[65];
    uint64_t parts = option_number(machine.command_line, "parts=", 4, 8);

    option(machine.command_line, "hostname=", hostname, sizeof(hostname), "tiny");
    say("Run /user as init process"); /* as Linux says it: hypervisors measure the time to it */
    say("guest: init is running, %lu ms after the kernel's start", (uint64_t)call(SYS_TIME, 0, 0));
    say("report: hostname %s", hostname);
    say("report: kernel tiny (Sv39, round robin, 100 slices a second)");
    say("report: cpus %lu", (uint64_t)machine.harts);
    say("report: memory %lu MiB", machine.memory >> 20);
    compute(parts, true, checksum);
    say("report: checksum %s by %lu processes", checksum, parts);
    option(machine.command_line, "hold", held, sizeof(held), "no");
    option(machine.command_line, "again", again, sizeof(again), "no");
    if (held[0] != 'n')
        hold(parts, again[0] != 'n');
    say("report: done");
    call(SYS_SHUTDOWN, 0, 0);
    for (;;)
        ;
}

void user_main(uint64_t argument)
{
    call(SYS_MACHINE, (uint64_t)&machine, 0);
    if (argument)
        worker(argument);
    init();
}
