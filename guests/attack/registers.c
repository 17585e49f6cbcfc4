/* attack: every CSR number, read, written and put back; every register of the PLIC. */
#include "attack.h"

enum { CSRS = 4096, CSR_SATP = 0x180, NEAR = 0x2000 + 0x80 * 32 };

static bool is_secret(uint64_t value)
{
    return guest.secret != 0 && (value - guest.secret < 32 || (value ^ guest.secret) >> 1 == 0);
}

/* True: it was written (and has its old value again). */
static bool swap_csr(unsigned number, uint64_t value)
{
    struct attempt attempt = {.a = {0, value}};
    uint64_t code = slot_put(0, number << 20 | 11 << 15 | 1 << 12 | 12 << 7 | 0x73,
                             number << 20 | 12 << 15 | 1 << 12 | 0x73);
    try_code(&attempt, code);
    return attempt.pc > code;
}

void attack_csrs(void)
{
    uint64_t through = 0, secrets = 0;

    for (unsigned number = 0; number < CSRS; number++) {
        bool machine = (number >> 8 & 3) == 3, readonly = number >> 10 == 3;
        uint64_t value = 0;
        bool got = csr_try_read(number, &value);
        if (got && is_secret(value)) {
            secrets++;
            show("secret in CSR", number, value, 0);
        }
        value = random_next();
        if (number == CSR_SATP) /* without translation by garbage */
            value &= ~0UL >> 1;
        bool put = swap_csr(number, value);
        if ((machine && (got || put)) || (readonly && put)) {
            through++;
            show("CSR, read, written", number, got, put);
        }
    }
    report("attack: csrs: ", CSRS, " tried, ", through);
    report("attack: secrets: ", CSRS, " CSRs looked at, ", secrets);
}

static bool plic_read(uint64_t code, uint64_t offset, uint32_t *value)
{
    struct attempt attempt = {.a = {guest.plic + offset}};
    bool done = try_code(&attempt, code);
    *value = done ? (uint32_t)attempt.a[2] : 0;
    return done;
}

/* Which bits of the register may be ours. */
static uint32_t own_bits(uint64_t offset)
{
    if (offset < 0x1000)
        return guest.lines[offset / 4 / 32] >> offset / 4 % 32 & 1 ? ~0U : 0;
    if (offset < 0x1080)
        return guest.lines[(offset - 0x1000) / 4];
    return guest.lines[offset % 0x80 / 4];
}

/* Threshold and claim of every context that is not ours: reads give 0, writes do nothing. */
static uint64_t try_pages(uint64_t load, uint64_t store, uint64_t *tried)
{
    uint64_t through = 0;
    for (uint64_t context = 0; 0x200000 + 0x1000 * context < guest.plic_end - guest.plic;
         context++) {
        if (guest.contexts[context / 64] >> context % 64 & 1)
            continue;
        for (uint64_t reg = 0; reg < 0x1000; reg += reg < 8 ? 4 : 0xff4) {
            uint64_t offset = 0x200000 + 0x1000 * context + reg;
            struct attempt attempt = {.a = {guest.plic + offset, 1 + random_below(64)}};
            uint32_t value;
            try_code(&attempt, store);
            plic_read(load, offset, &value);
            *tried += 2;
            if (value != 0) {
                through++;
                show("PLIC page", offset, value, 0);
            }
        }
    }
    return through;
}

void attack_plic(void)
{
    uint64_t load = slot_put(1, 0x00052603, 0), store = slot_put(2, 0x00b52023, 0);
    uint64_t through = 0, tried = 0, end = 0x2000 + 0x80 * 1024;

    for (uint64_t offset = 0; guest.plic != 0 && offset < end; offset += 4) {
        if (offset >= NEAR && offset % 0x80 == 0) /* one word of contexts that no board has */
            offset += random_below(32) * 4;
        struct attempt attempt = {.a = {guest.plic + offset, 0xffffffff}};
        uint32_t value;
        uint32_t before;
        plic_read(load, offset, &before);
        try_code(&attempt, store);
        plic_read(load, offset, &value);
        tried += 3;
        if (((before | value) & ~own_bits(offset)) != 0) {
            through++;
            show("PLIC", offset, before, value);
        }
        if (offset >= NEAR)
            offset |= 0x7c;
    }
    if (guest.plic != 0)
        through += try_pages(load, store, &tried);
    report("attack: plic: ", tried, " accesses tried, ", through);
    /* On its own claim page: to complete what is others'. */
    for (uint32_t line = 0; guest.context != UINT64_MAX && line < 128; line++) {
        struct attempt attempt = {.a = {guest.plic + 0x200004 + 0x1000 * guest.context, line}};
        try_code(&attempt, store);
    }
}
