/* Calls to the firmware below us (SBI 2.0). */
#ifndef TYPE1_SBI_H
#define TYPE1_SBI_H

#include <stdbool.h>
#include <stdint.h>

struct fdt;

struct sbi_answer {
    int64_t error;
    uint64_t value;
};

enum {
    SBI_LEGACY_PUTCHAR = 1,
    SBI_BASE = 0x10,
    SBI_TIME = 0x54494d45,
    SBI_IPI = 0x735049,
    SBI_RFENCE = 0x52464e43,
    SBI_HSM = 0x48534d,
    SBI_SRST = 0x53525354,
    SBI_DBCN = 0x4442434e,
};

/* a3 is 0. */
struct sbi_answer sbi_ecall(uint64_t extension, uint64_t function, uint64_t a0, uint64_t a1,
                            uint64_t a2);
bool sbi_has(uint64_t extension);
void sbi_set_timer(uint64_t ticks);
void sbi_send_ipi(uint64_t hart_id);
/* SFENCE.VMA of everything, on all harts. */
void sbi_fence_all(void);
/* 0 or a negative SBI error. */
int64_t sbi_hart_start(uint64_t hart_id, uint64_t address, uint64_t opaque);
/* This hart; for good. */
_Noreturn void sbi_hart_stop(void);
/* The board; OpenSBI (1.1, 1.5) does not tell its SiFive test device of failures, so we do. */
void sbi_use_tree(const struct fdt *tree);
/* Powers off or restarts the board; does not return. */
_Noreturn void sbi_reset(bool reboot, bool failure);

#endif
