#include "type0/board.h"

#include "core/host.h"

#define CLINT_MTIMECMP 0x4000
#define CLINT_MTIME    0xbff8
#define FINISHER_PASS  0x5555 /* sifive,test0 */
#define FINISHER_RESET 0x7777
#define FINISHER_FAIL  0x3333

static volatile uint32_t *finisher;
/* By enum board_power: what a syscon-poweroff or syscon-reboot node says. */
static struct {
    volatile uint32_t *at;
    uint32_t value;
} syscon[2];

static uint64_t reg_of(const struct fdt *fdt, int node, unsigned index)
{
    uint64_t base, size;
    return node >= 0 && fdt_reg(fdt, node, index, &base, &size) == 0 ? base : 0;
}

static int find(const struct fdt *fdt, const char *const *names)
{
    int node = -1;
    for (; node < 0 && *names != NULL; names++)
        node = fdt_compatible_next(fdt, -1, *names);
    return node;
}

static const char *const clints[] = {"riscv,clint0", "sifive,clint0", NULL};
static const char *const mtimers[] = {"riscv,aclint-mtimer", NULL};
static const char *const mswis[] = {"riscv,aclint-mswi", NULL};
static const char *const finishers[] = {"sifive,test0", "sifive,test1", NULL};

static void find_syscon(const struct fdt *fdt, enum board_power power, const char *compatible)
{
    int node = fdt_compatible_next(fdt, -1, compatible);
    uint64_t base = reg_of(fdt, fdt_by_phandle(fdt, fdt_u32(fdt, node, "regmap", 0)), 0);
    if (node < 0 || base == 0)
        return;
    syscon[power].at = (volatile uint32_t *)(uintptr_t)(base + fdt_u32(fdt, node, "offset", 0));
    syscon[power].value = fdt_u32(fdt, node, "value", 0);
}

void board_setup(const struct fdt *fdt)
{
    uint64_t base = reg_of(fdt, find(fdt, clints), 0);
    finisher = (volatile uint32_t *)(uintptr_t)reg_of(fdt, find(fdt, finishers), 0);
    find_syscon(fdt, BOARD_OFF, "syscon-poweroff");
    find_syscon(fdt, BOARD_REBOOT, "syscon-reboot");
    if (base != 0)
        mtime = (volatile uint64_t *)(uintptr_t)(base + CLINT_MTIME);
    else
        mtime = (volatile uint64_t *)(uintptr_t)reg_of(fdt, find(fdt, mtimers), 0);
}

/*
 * The place of (intc, line) in the node's list of interrupts, counted among those of that line: the
 * order of the registers. -1: it is not there.
 */
static int place(const struct fdt *fdt, int node, uint32_t intc, uint32_t line)
{
    uint32_t len;
    const uint8_t *cells = fdt_prop(fdt, node, "interrupts-extended", &len);
    int n = 0;
    for (; cells != NULL && len >= 8; cells += 8, len -= 8) {
        uint32_t phandle = (uint32_t)cells[0] << 24 | (uint32_t)cells[1] << 16 |
                           (uint32_t)cells[2] << 8 | cells[3];
        if (cells[7] != line)
            continue;
        if (phandle == intc)
            return n;
        n++;
    }
    return -1;
}

void board_hart(const struct fdt *fdt, struct hart *hart, uint32_t intc)
{
    int node = find(fdt, clints), mtimer = find(fdt, mtimers), n;
    uint64_t base = reg_of(fdt, node, 0);

    if ((n = place(fdt, node, intc, IRQ_MSI)) >= 0)
        hart->msip = (volatile uint32_t *)(uintptr_t)base + n;
    if ((n = place(fdt, node, intc, IRQ_MTI)) >= 0)
        hart->mtimecmp = (volatile uint64_t *)(uintptr_t)(base + CLINT_MTIMECMP) + n;
    node = find(fdt, mswis);
    if ((n = place(fdt, node, intc, IRQ_MSI)) >= 0)
        hart->msip = (volatile uint32_t *)(uintptr_t)reg_of(fdt, node, 0) + n;
    if ((n = place(fdt, mtimer, intc, IRQ_MTI)) >= 0)
        hart->mtimecmp = (volatile uint64_t *)(uintptr_t)reg_of(fdt, mtimer, 1) + n;
}

_Noreturn void board_power(enum board_power power, uint32_t code)
{
    if (finisher != NULL) {
        *finisher = power == BOARD_OFF      ? FINISHER_PASS
                    : power == BOARD_REBOOT ? FINISHER_RESET
                                            : FINISHER_FAIL | (code != 0 ? code : 1) << 16;
    } else {
        unsigned which = power == BOARD_REBOOT ? BOARD_REBOOT : BOARD_OFF;
        if (syscon[which].at != NULL)
            *syscon[which].at = syscon[which].value;
    }
    for (;;)
        __asm__ volatile("wfi");
}
