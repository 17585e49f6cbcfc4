/* What the bare-metal guests of the boot tests have in common: console, test finisher,
 * memory-mapped registers. */
#ifndef TESTS_BOOT_BARE_H
#define TESTS_BOOT_BARE_H

#include <stdint.h>

#define UART     0x10000000UL
#define FINISHER 0x100000UL
#define RAM      0x80000000UL

static inline void put32(uint64_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

static inline uint32_t get32(uint64_t address)
{
    return *(volatile uint32_t *)address;
}

static inline void put_char(char c)
{
    while ((*(volatile uint8_t *)(UART + 5) & 0x20) == 0)
        ;
    *(volatile uint8_t *)UART = (uint8_t)c;
}

static inline void put_text(const char *text)
{
    while (*text != 0)
        put_char(*text++);
}

static inline void put_number(uint64_t value)
{
    char digits[21];
    int at = 20;

    digits[at] = 0;
    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    put_text(digits + at);
}

/* SiFive's test finisher: 0x5555 pass, 0x3333 fail with a code in the upper half. */
static inline void power_off(void)
{
    put32(FINISHER, 0x5555);
    for (;;)
        ;
}

void main(void);

#endif
