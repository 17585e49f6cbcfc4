#include "type1/sbi.h"

#include "core/fdt.h"
#include "engine/hext/csr.h"
#include "type1/console.h"

struct sbi_answer sbi_ecall(uint64_t extension, uint64_t function, uint64_t arg0, uint64_t arg1,
                            uint64_t arg2)
{
    register uint64_t a0 __asm__("a0") = arg0;
    register uint64_t a1 __asm__("a1") = arg1;
    register uint64_t a2 __asm__("a2") = arg2;
    register uint64_t a3 __asm__("a3") = 0;
    register uint64_t a6 __asm__("a6") = function;
    register uint64_t a7 __asm__("a7") = extension;

    __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a3), "r"(a6), "r"(a7) : "memory");
    return (struct sbi_answer){.error = (int64_t)a0, .value = a1};
}

bool sbi_has(uint64_t extension)
{
    struct sbi_answer answer = sbi_ecall(SBI_BASE, 3, extension, 0, 0);
    return answer.error == 0 && answer.value != 0;
}

void sbi_set_timer(uint64_t ticks)
{
    sbi_ecall(SBI_TIME, 0, ticks, 0, 0);
}

void sbi_send_ipi(uint64_t hart_id)
{
    sbi_ecall(SBI_IPI, 0, 1, hart_id, 0);
}

/* All harts (base -1), all addresses (from 0, size 0): SBI 2.0, 3.1 and 8.2. */
void sbi_fence_all(void)
{
    sbi_ecall(SBI_RFENCE, 1, 0, UINT64_MAX, 0);
}

int64_t sbi_hart_start(uint64_t hart_id, uint64_t address, uint64_t opaque)
{
    return sbi_ecall(SBI_HSM, 0, hart_id, address, opaque).error;
}

_Noreturn void sbi_hart_stop(void)
{
    sbi_ecall(SBI_HSM, 1, 0, 0, 0);
    for (;;)
        __asm__ volatile("wfi");
}

static const struct fdt *board;

void sbi_use_tree(const struct fdt *tree)
{
    board = tree;
}

/* Only now, and without translation: hardly ever is it needed. */
static void finish_failed(void)
{
    enum { FINISHER_FAIL = 0x3333, CODE_SHIFT = 16 };
    const struct fdt *tree = board;
    uint64_t base, size;

    board = NULL; /* a fault in here comes back to sbi_reset */
    if (tree == NULL)
        return;
    int node = fdt_compatible_next(tree, -1, "sifive,test0");
    if (node < 0 || fdt_reg(tree, node, 0, &base, &size) != 0)
        return;
    /* The stack is gone with the translation. The device may take a moment, in which the firmware
     * would tell it the contrary. */
    __asm__ volatile(
        "csrw " HCSR_STRING(HCSR_SATP) ", zero\n"
                                       "sfence.vma\n"
                                       "sw %0, (%1)\n"
                                       "1: j 1b" ::"r"(1u << CODE_SHIFT | FINISHER_FAIL),
        "r"(base)
        : "memory");
}

_Noreturn void sbi_reset(bool reboot, bool failure)
{
    console_flush();
    if (failure && !reboot)
        finish_failed();
    sbi_ecall(SBI_SRST, 0, reboot ? 1 : 0, failure ? 1 : 0, 0);
    for (;;)
        __asm__ volatile("wfi");
}
