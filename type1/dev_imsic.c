/* The interrupt file of this hart for S-mode (RISC-V AIA 1.0, 3.8). */
#include "engine/hext/csr.h"
#include "type1/dev_intc.h"

enum {
    IMSIC_EIDELIVERY = 0x70,
    IMSIC_EITHRESHOLD = 0x72,
    IMSIC_EIP0 = 0x80, /* identities 0 to 63 */
    IMSIC_EIE0 = 0xc0,
};

static void imsic_write(unsigned reg, uint64_t value)
{
    hcsr_write(HCSR_SISELECT, reg);
    hcsr_write(HCSR_SIREG, value);
}

static void imsic_start(unsigned ids)
{
    imsic_write(IMSIC_EIP0, 0);
    imsic_write(IMSIC_EIE0, ~0UL >> (63 - ids) & ~1UL);
    imsic_write(IMSIC_EITHRESHOLD, 0);
    imsic_write(IMSIC_EIDELIVERY, 1);
}

static uint32_t imsic_claim(void)
{
    unsigned long top;
    __asm__ volatile("csrrw %0, " HCSR_STRING(HCSR_STOPEI) ", zero" : "=r"(top)::"memory");
    return (uint32_t)(top >> 16) & 0x7ff;
}

const struct imsic_access dev_imsic = {.start = imsic_start, .claim = imsic_claim};
