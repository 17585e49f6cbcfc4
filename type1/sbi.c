#include "type1/sbi.h"

struct sbi_answer sbi_ecall(uint64_t extension, uint64_t function, uint64_t arg0, uint64_t arg1,
                            uint64_t arg2)
{
    register uint64_t a0 __asm__("a0") = arg0;
    register uint64_t a1 __asm__("a1") = arg1;
    register uint64_t a2 __asm__("a2") = arg2;
    register uint64_t a6 __asm__("a6") = function;
    register uint64_t a7 __asm__("a7") = extension;

    __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a6), "r"(a7) : "memory");
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

int64_t sbi_hart_start(uint64_t hart_id, uint64_t address, uint64_t opaque)
{
    return sbi_ecall(SBI_HSM, 0, hart_id, address, opaque).error;
}

_Noreturn void sbi_reset(bool reboot, bool failure)
{
    sbi_ecall(SBI_SRST, 0, reboot ? 1 : 0, failure ? 1 : 0, 0);
    for (;;)
        __asm__ volatile("wfi");
}
