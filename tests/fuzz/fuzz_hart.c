/*
 * Harts that execute arbitrary code on the real board. The input is a choice of mode, page tables,
 * registers and CSRs, then instructions: rows of the instruction table with arbitrary operands, or
 * arbitrary bits. Where the input ends, numbers made from all of it go on. Whatever runs must stay
 * in its RAM (ASan sees to it), must not break the VMM, and must come back when kicked.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_board.h"
#include <stdio.h>

#include "riscv/csr.h"
#include "riscv/insn.h"
#include "riscv/mmu.h"

#define CODE_BYTES 0xffe      /* the last one crosses a page, into the handlers */
#define TABLES     0x30000ULL /* in RAM: the page tables */
#define HANDLER    0x1000ULL  /* in RAM: where traps to M-mode go first, */
#define S_HANDLER  0x1040ULL  /* and to S-mode */
#define TURNS      4
#define CSR_WRITES 6
#define SBI_CALLS  12
#define PTE_LEAF   0xcfULL /* D A X W R V, neither G nor U */

struct input {
    const uint8_t *bytes;
    size_t left;
    uint64_t random; /* SplitMix64, seeded with all of the input */
};

static uint64_t random_u64(struct input *in)
{
    uint64_t z = in->random += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static uint64_t take(struct input *in, unsigned bytes)
{
    uint64_t value = 0;

    if (in->left < bytes) {
        in->left = 0;
        value = random_u64(in);
        return bytes == 8 ? value : value & ((1ULL << 8 * bytes) - 1);
    }
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)in->bytes[i] << 8 * i;
    in->bytes += bytes;
    in->left -= bytes;
    return value;
}

/* Numbers at which things change: edges of RAM, devices, pages, integers. */
static uint64_t take_value(struct input *in)
{
    static const uint64_t bases[] = {
        0,
        BOARD_RAM,
        BOARD_RAM + FUZZ_RAM_SIZE,
        BOARD_RAM + HANDLER,
        BOARD_RAM + TABLES,
        BOARD_RAM + 0x20000,
        BOARD_ROM_BASE,
        BOARD_FINISHER,
        BOARD_RTC,
        BOARD_CLINT,
        BOARD_CLINT + 0x4000,
        BOARD_SSWI,
        BOARD_PLIC,
        BOARD_PLIC + 0x200000,
        BOARD_UART,
        BOARD_VIRTIO,
        BOARD_VIRTIO + BOARD_VIRTIO_STRIDE,
        1ULL << 38,
        1ULL << 47,
        1ULL << 55,
        1ULL << 63,
        UINT64_MAX - 7,
        0xffffffff80000000,
        0xffffffff7fc00000,
    };
    unsigned kind = (unsigned)take(in, 1);

    if (kind < 16)
        return take(in, 8);
    if (kind < 48)
        return BOARD_RAM + take(in, 4) % FUZZ_RAM_SIZE;
    uint64_t base = bases[kind % (sizeof(bases) / sizeof(bases[0]))];
    return base + (uint64_t)((int64_t)(int8_t)take(in, 1) * (kind & 64 ? 1 : 8));
}

static void put32(struct fuzz_board *m, uint64_t offset, uint32_t word)
{
    memcpy(m->ram + offset, &word, sizeof(word));
}

static uint32_t instruction(struct input *in, unsigned *length)
{
    unsigned pick = (unsigned)take(in, 2);
    uint32_t bits = (uint32_t)take(in, 4);
    static const uint32_t common[] = {0x00000073 /* ecall */, 0x0000100f /* fence.i */,
                                      0x12000073 /* sfence.vma */, 0x30200073 /* mret */,
                                      0x10200073 /* sret */};

    *length = 4;
    if (pick < 0x1800)
        return common[pick % (sizeof(common) / sizeof(common[0]))];
    if (pick < 0x4000) { /* a compressed one */
        *length = 2;
        return (bits & 3) == 3 ? bits ^ 1 : bits;
    }
    if (pick < 0x4800)
        return bits;
    const struct insn_info *info = &insn_table[1 + pick % (OP_COUNT - 1)];
    uint32_t word = info->match | (bits & ~info->mask);
    switch (info->format) {
    /* Else hardly any would name a CSR that exists, or stay in the code. */
    case FMT_CSR:
    case FMT_CSRI: {
        static const uint16_t numbers[] = {
#define CSR(number, name) number,
#include "riscv/csr.def"
        };
        unsigned csr = numbers[(bits >> 20) % (sizeof(numbers) / sizeof(numbers[0]))];
        return (word & 0xfffff) | csr << 20;
    }
    case FMT_J: return (word & 0xfff) | (word & 0x07e00000);
    case FMT_B: return word & ~0x70000000u;
    default: return word;
    }
}

static void fill_code(struct fuzz_board *m, struct input *in, uint64_t offset, unsigned bytes)
{
    for (unsigned at = 0; at + 4 <= bytes;) {
        unsigned length;
        put32(m, offset + at, instruction(in, &length));
        at += length;
    }
}

/* Handlers that skip what trapped, so that the rest gets its turn. */
static void fill_handlers(struct fuzz_board *m)
{
    static const uint32_t skip[] = {
        0x34029073 /* csrw mscratch, t0 */, 0x341022f3 /* csrr t0, mepc */,
        0x00428293 /* addi t0, t0, 4 */,    0x34129073 /* csrw mepc, t0 */,
        0x340022f3 /* csrr t0, mscratch */, 0x30200073 /* mret */};

    for (unsigned i = 0; i < sizeof(skip) / sizeof(skip[0]); i++) {
        bool csr = (skip[i] & 0x7f) == 0x73;
        put32(m, HANDLER + 4 * i, skip[i]);
        /* The supervisor's own CSRs and SRET have 1 where these have 3. */
        put32(m, S_HANDLER + 4 * i, csr ? skip[i] & ~0x20000000u : skip[i]);
    }
}

/* Three tables, the last pointing to itself, so that wherever a walk gets it meets odd entries. */
static uint64_t page_tables(struct fuzz_board *m, struct input *in, unsigned mode, bool user)
{
    const unsigned levels = mode - SATP_SV39 + 3;
    uint64_t table = TABLES;

    for (unsigned level = levels; level-- > 0; table += MEM_PAGE_SIZE) {
        uint64_t *entries = (uint64_t *)(void *)(m->ram + table);
        uint64_t next = (BOARD_RAM + table + MEM_PAGE_SIZE) >> 12 << 10 | 1;
        unsigned shift = 12 + 9 * level, own = (unsigned)(BOARD_RAM >> shift & 511);
        for (unsigned i = 0; i < 8; i++)
            entries[take(in, 2) & 511] = take(in, 1) & 1 ? take_value(in) >> 2 : take(in, 8);
        for (unsigned i = 0; level == 0 && i < FUZZ_RAM_SIZE / MEM_PAGE_SIZE; i++)
            entries[own + i] =
                ((BOARD_RAM >> 12) + i) << 10 | PTE_LEAF | (user && i != HANDLER >> 12 ? PTE_U : 0);
        if (level > 0)
            entries[own] = next;
        if (level == 2) { /* devices at their own addresses: a leaf of 1 GiB */
            entries[0] = PTE_LEAF | (user ? PTE_U : 0);
            entries[511] = (BOARD_RAM + table) >> 12 << 10 | 1;
        }
    }
    return (uint64_t)mode << SATP_MODE_SHIFT | (BOARD_RAM + TABLES) >> 12;
}

static void set_csrs(struct riscv_vcpu *hart, struct input *in)
{
    static const uint16_t numbers[] = {
        CSR_mstatus,  CSR_medeleg,  CSR_mideleg,  CSR_mie,   CSR_menvcfg, CSR_senvcfg, CSR_pmpcfg0,
        CSR_pmpaddr0, CSR_pmpaddr1, CSR_pmpaddr2, CSR_stvec, CSR_mtvec,   CSR_sepc,    CSR_mepc,
        CSR_satp,     CSR_stimecmp, CSR_mip,      CSR_fcsr,  CSR_mseccfg};
    uint8_t priv = hart->priv;

    hart->priv = PRIV_M;
    for (unsigned i = 0; i < CSR_WRITES; i++) {
        unsigned csr = numbers[take(in, 1) % (sizeof(numbers) / sizeof(numbers[0]))];
        uint64_t value = take(in, 1) & 1 ? take_value(in) : take(in, 8);
        if (csr >= CSR_pmpaddr0 && csr <= CSR_pmpaddr2)
            value >>= 2;
        riscv_csr_write(hart, csr, value);
    }
    hart->priv = priv;
}

static void start_hart(struct fuzz_board *m, struct riscv_vcpu *hart, struct input *in,
                       unsigned shape)
{
    const uint64_t pc = BOARD_RAM + 2 * (hart->vcpu.id * 0x80ULL);

    if (shape & 1) {
        riscv_vcpu_start_supervisor(hart, pc, 0);
    } else {
        riscv_vcpu_reset(hart, pc);
        hart->pmpcfg[7] = PMP_R | PMP_W | PMP_X | 3 << 3;
        hart->pmpaddr[7] = (1ULL << 54) - 1;
        riscv_pmp_update(hart);
        hart->menvcfg = UINT64_MAX & (ENVCFG_ADUE | ENVCFG_PBMTE | ENVCFG_STCE);
        hart->priv = (shape & 2) != 0 ? PRIV_M : (shape & 4) != 0 ? PRIV_S : PRIV_U;
    }
    hart->mtvec = BOARD_RAM + HANDLER;
    hart->stvec = BOARD_RAM + S_HANDLER;
    hart->mstatus |= MSTATUS_FS_INITIAL | MSTATUS_SUM;
    if (shape & 8)
        hart->satp = page_tables(m, in, SATP_SV39 + (shape >> 4) % 3, hart->priv == PRIV_U);
    for (unsigned i = 1; i < 32; i++)
        hart->x[i] = take_value(in);
    if (shape & 64)
        set_csrs(hart, in);
    hart->effects = EFFECT_TRANSLATION | EFFECT_MODE | EFFECT_INTERRUPTS;
    atomic_store(&hart->vcpu.run_state, VCPU_RUNNING);
}

/* SBI calls with arbitrary arguments: random code hardly ever has an extension's number in a7. */
static void sbi_calls(struct fuzz_board *m, struct riscv_vcpu *hart, struct input *in)
{
    static const uint64_t extensions[] = {0,          1,          2,         3,          4,
                                          5,          6,          7,         8,          0x10,
                                          0x735049,   0x48534d,   0x504d55,  0x54494d45, 0x52464e43,
                                          0x53525354, 0x4442434e, 0x53555350};
    struct exit exit = {0};

    for (unsigned i = 0; i < SBI_CALLS && vm_power_state(&m->vm) == VM_POWER_ON; i++) {
        if (atomic_load(&hart->vcpu.run_state) != VCPU_RUNNING)
            return;
        for (unsigned arg = 10; arg < 16; arg++)
            hart->x[arg] = take(in, 1) & 1 ? take(in, 1) % 4 : take_value(in);
        hart->x[16] = take(in, 1) % 6;
        hart->x[17] = extensions[take(in, 1) % (sizeof(extensions) / sizeof(extensions[0]))];
        vmm_handle_exit(&m->vm, hart, EXIT_SBI, &exit);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_board *m = host_alloc(sizeof(*m), 64);
    struct input in = {data, size, 0xcbf29ce484222325};

    if (m == NULL)
        abort();
    for (size_t i = 0; i < size; i++)
        in.random = (in.random ^ data[i]) * 0x100000001b3;
    const unsigned shape = (unsigned)take(&in, 1), more = (unsigned)take(&in, 1);
    const unsigned count = 1 + (more & 1);
    fuzz_board_init(m, count, (more & 2) != 0);
    clock_start(&m->vm.clock);
    for (unsigned i = 0; i < count; i++)
        start_hart(m, &m->harts[i], &in, shape);
    fill_code(m, &in, 0, CODE_BYTES);
    fill_code(m, &in, HANDLER, 0x100);
    if (take(&in, 1) & 7)
        fill_handlers(m);
    fuzz_board_run(m, TURNS / 2);
    if (shape & 128)
        sbi_calls(m, &m->harts[0], &in);
    fuzz_board_run(m, TURNS / 2);
    fuzz_board_fini(m);
    host_free(m, sizeof(*m));
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *buf, size_t capacity)
{
    /* The first byte chooses mode and page tables; the rest is a different beginning for each. */
    static const uint8_t shapes[] = {0x02, 0x42, 0x01, 0x81, 0x09, 0x19, 0x29, 0x0c,
                                     0x4a, 0xc9, 0x00, 0x4c, 0x8d, 0xd1, 0x18, 0x2c};
    const size_t size = 48;

    if (index >= sizeof(shapes) || size > capacity)
        return 0;
    buf[0] = shapes[index];
    for (size_t i = 1; i < size; i++)
        buf[i] = (uint8_t)(index * 37 + i * 11);
    return size;
}
