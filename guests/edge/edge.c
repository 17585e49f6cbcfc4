/*
 * edge: whom SBI calls that name harts by a mask and a base mean (SBI 2.0, 3.1). Two harts; the one
 * that started makes calls and prints, for each, the error and which of the two were interrupted:
 *
 *     edge: mask 2 base -1 error 0 harts 0 1
 */
#include "guest.h"

enum { HART_START = 0, WAIT_MS = 100 };

static struct {
    uint8_t stack[2048];
    volatile uint64_t seen, up;
} other __attribute__((aligned(16)));

void edge_entry(void);
_Noreturn void edge_hart(void);

/* Its interrupts stay off: it looks. */
_Noreturn void edge_hart(void)
{
    csr_write(sie, 0);
    other.up = 1;
    for (;;) {
        if (csr_read(sip) & SIP_SSIP) {
            csr_clear(sip, SIP_SSIP);
            other.seen++;
        }
    }
}

static void print_signed(int64_t value)
{
    if (value < 0)
        print("-");
    print_number(value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static void call(uint64_t id, uint64_t mask, int64_t base)
{
    uint64_t before = other.seen;

    csr_clear(sip, SIP_SSIP);
    int64_t error = (int64_t)sbi3(SBI_IPI, 0, mask, (uint64_t)base, 0).error;
    /* Somebody who computes beside us: what is sent arrives meanwhile. */
    for (uint64_t end = time_now() + WAIT_MS * 10000; time_now() < end;)
        ;
    print("edge: mask ");
    print_number(mask);
    print(" base ");
    print_signed(base);
    print(" error ");
    print_signed(error);
    print(" harts");
    bool mine = (csr_read(sip) & SIP_SSIP) != 0, others = other.seen != before;
    if (id == 0 ? mine : others)
        print(" 0");
    if (id == 0 ? others : mine)
        print(" 1");
    print("\n");
}

void guest_start(uint64_t id, const void *tree, uint64_t entered)
{
    (void)tree, (void)entered;
    if (sbi3(SBI_HSM, HART_START, 1 - id, (uintptr_t)edge_entry, (uintptr_t)other.stack).error != 0)
        power_off(true);
    while (!other.up)
        ;
    call(id, 0, -1);
    call(id, 1, -1);
    call(id, 2UL << id, -1);
    call(id, 1, 0);
    call(id, 2, 0);
    call(id, 3, 0);
    call(id, 1, 1);
    call(id, 4, 0);
    call(id, 4UL << id, -2);
    print("edge: done\n");
    power_off(false);
}
