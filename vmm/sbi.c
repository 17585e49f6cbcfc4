#include "vmm/sbi_impl.h"

#include "core/hot.h"
#include "riscv/mmu.h"

/*
 * Implementation ids are given out by the SBI specification (0 to 11 are taken). Ours is
 * none of them: "Triv" in ASCII, until we have one.
 */
#define SBI_IMPL_ID      0x54726976ULL
#define SBI_IMPL_VERSION 1

enum sbi_extension_id {
    SBI_LEGACY_SET_TIMER = 0x00,
    SBI_LEGACY_PUTCHAR = 0x01,
    SBI_LEGACY_GETCHAR = 0x02,
    SBI_LEGACY_CLEAR_IPI = 0x03,
    SBI_LEGACY_SEND_IPI = 0x04,
    SBI_LEGACY_FENCE_I = 0x05,
    SBI_LEGACY_SFENCE_VMA = 0x06,
    SBI_LEGACY_SFENCE_VMA_ASID = 0x07,
    SBI_LEGACY_SHUTDOWN = 0x08,
    SBI_BASE = 0x10,
    SBI_TIME = 0x54494d45,
    SBI_IPI = 0x735049,
    SBI_RFENCE = 0x52464e43,
    SBI_HSM = 0x48534d,
    SBI_SRST = 0x53525354,
    SBI_PMU = 0x504d55,
    SBI_DBCN = 0x4442434e,
    SBI_SUSP = 0x53555350,
    SBI_STA = 0x535441,
};

/* What the handlers of an extension need, and so what an engine has to bring up to date before the
 * call. */
enum sbi_needs {
    NEEDS_REGISTERS, /* the integer registers, and nobody else */
    NEEDS_OTHERS,    /* the same, but it may wait for others or let other tasks run */
    NEEDS_ALL,
};

struct sbi_extension {
    uint32_t id;
    enum sbi_needs needs;
    struct sbi_result (*call)(struct vm *vm, struct riscv_vcpu *hart);
};

/*
 * Where an extension is in the table: each that SBI 3.0 defines has a slot of its own. (Two in one
 * are a warning of the compiler.)
 */
#define SLOTS    32
#define SLOT(id) (((id) >> 13 ^ (id) >> 2) & (SLOTS - 1))

static const struct sbi_extension *extension_find(uint64_t id);
static bool extension_offered(const struct vm *vm, uint64_t id);

/* Chapter 4, Base Extension. */
HOT static struct sbi_result sbi_base(struct vm *vm, struct riscv_vcpu *hart)
{
    switch (hart->x[16]) {
    case 0: return sbi_value(SBI_SPEC_VERSION);
    case 1: return sbi_value(SBI_IMPL_ID);
    case 2: return sbi_value(SBI_IMPL_VERSION);
    case 3: return sbi_value(extension_offered(vm, hart->x[10]));
    case 4: /* mvendorid */
    case 5: /* marchid */
    case 6: /* mimpid */ return sbi_value(0);
    default: return sbi_error(SBI_ERR_NOT_SUPPORTED);
    }
}

/* Chapter 6, Timer Extension. */
static struct sbi_result sbi_time(struct vm *vm, struct riscv_vcpu *hart)
{
    if (hart->x[16] != 0)
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    riscv_vcpu_set_stimecmp(hart, clock_of_guest(&vm->clock, hart->x[10]));
    return sbi_error(SBI_SUCCESS);
}

/* Hart mask and base (3.1): false if a hart of it does not exist. */
static bool hart_mask(const struct vm *vm, uint64_t mask, uint64_t base, uint64_t *targets)
{
    uint64_t all = vm->vcpu_count == 64 ? UINT64_MAX : (UINT64_C(1) << vm->vcpu_count) - 1;
    if (base == UINT64_MAX) {
        *targets = all;
        return true;
    }
    if (base >= vm->vcpu_count || (mask & ~(all >> base)) != 0)
        return false;
    *targets = mask << base;
    return true;
}

static void send_ipi(struct vm *vm, uint64_t targets)
{
    for (; targets != 0; targets &= targets - 1) {
        struct vcpu *target = vm->vcpus[__builtin_ctzll(targets)];
        if (atomic_load(&target->run_state) != VCPU_STOPPED)
            riscv_vcpu_irq(riscv_of(target), IRQ_SSI, true);
    }
}

/* Chapter 7, IPI Extension. */
static struct sbi_result sbi_ipi(struct vm *vm, struct riscv_vcpu *hart)
{
    uint64_t targets;
    if (hart->x[16] != 0)
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    if (!hart_mask(vm, hart->x[10], hart->x[11], &targets))
        return sbi_error(SBI_ERR_INVALID_PARAM);
    send_ipi(vm, targets);
    return sbi_error(SBI_SUCCESS);
}

void sbi_remote(struct vm *vm, struct riscv_vcpu *self, uint64_t targets, uint32_t requests)
{
    /* A hart outside the guest sees its requests when it enters (core/vcpu.c): let it sleep. */
    for (uint64_t left = targets; left != 0; left &= left - 1) {
        struct vcpu *target = vm->vcpus[__builtin_ctzll(left)];
        atomic_fetch_or(&target->requests, requests);
        if (atomic_load(&target->in_guest))
            vcpu_kick(target);
    }
    /*
     * The caller is outside the guest, so two harts that fence each other both see the other as
     * done: no deadlock. It takes up its own requests when its engine runs again.
     */
    for (uint64_t left = targets; left != 0; left &= left - 1) {
        struct vcpu *target = vm->vcpus[__builtin_ctzll(left)];
        while (target != &self->vcpu && !vcpu_post_done(target, requests))
            host_yield();
    }
}

/* Chapter 8, RFENCE Extension. Address ranges and ASIDs are not told apart: more is fenced than was
 * asked. */
static struct sbi_result sbi_rfence(struct vm *vm, struct riscv_vcpu *hart)
{
    enum { FENCE_I = 0, SFENCE_VMA = 1, SFENCE_VMA_ASID = 2 };
    uint64_t targets, function = hart->x[16];
    /* The hfence functions need the H extension. */
    if (function > SFENCE_VMA_ASID)
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    if (!hart_mask(vm, hart->x[10], hart->x[11], &targets))
        return sbi_error(SBI_ERR_INVALID_PARAM);
    sbi_remote(vm, hart, targets, function == FENCE_I ? VCPU_REQ_FENCE_I : VCPU_REQ_TLB_FLUSH);
    return sbi_error(SBI_SUCCESS);
}

/* Chapter 10, System Reset Extension. */
static struct sbi_result sbi_srst(struct vm *vm, struct riscv_vcpu *hart)
{
    enum { SHUTDOWN = 0, COLD_REBOOT = 1, WARM_REBOOT = 2 };
    enum { NO_REASON = 0, SYSTEM_FAILURE = 1 };
    uint32_t type = (uint32_t)hart->x[10], reason = (uint32_t)hart->x[11];

    if (hart->x[16] != 0)
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    if (type > WARM_REBOOT || reason > SYSTEM_FAILURE)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    if (reason == SYSTEM_FAILURE)
        vm_power_request(vm, VM_POWER_FAILED, 1, "the guest reported a system failure");
    else
        vm_power_request(vm, type == SHUTDOWN ? VM_POWER_OFF : VM_POWER_REBOOT, 0, NULL);
    return sbi_error(SBI_GONE);
}

/* The hart mask of a legacy call is in the caller's virtual memory (5.5); address 0 means all
 * harts. */
static bool legacy_mask(struct vm *vm, struct riscv_vcpu *hart, uint64_t *targets)
{
    uint64_t va = hart->x[10], mask;
    struct riscv_page page;
    if (va == 0)
        return hart_mask(vm, 0, UINT64_MAX, targets);
    if (va % sizeof mask != 0 ||
        riscv_translate(hart, va, sizeof mask, ACCESS_LOAD, hart->priv, &page) != 0 ||
        mem_read(&vm->mem, page.pa, &mask, sizeof mask) != 0)
        return false;
    return hart_mask(vm, mask, 0, targets);
}

static int64_t legacy_answer(struct vm *vm, struct riscv_vcpu *hart)
{
    uint8_t byte = (uint8_t)hart->x[10];
    uint64_t targets;

    switch (hart->x[17]) {
    case SBI_LEGACY_SET_TIMER:
        riscv_vcpu_set_stimecmp(hart, clock_of_guest(&vm->clock, hart->x[10]));
        break;
    case SBI_LEGACY_PUTCHAR: sbi_console_write(vm, &byte, 1); break;
    case SBI_LEGACY_GETCHAR: return sbi_console_read(vm, &byte, 1) == 1 ? byte : SBI_ERR_FAILED;
    case SBI_LEGACY_CLEAR_IPI: riscv_vcpu_irq(hart, IRQ_SSI, false); break;
    case SBI_LEGACY_SEND_IPI:
    case SBI_LEGACY_FENCE_I:
    case SBI_LEGACY_SFENCE_VMA:
    case SBI_LEGACY_SFENCE_VMA_ASID:
        if (!legacy_mask(vm, hart, &targets))
            return SBI_ERR_INVALID_PARAM;
        if (hart->x[17] == SBI_LEGACY_SEND_IPI)
            send_ipi(vm, targets);
        else
            sbi_remote(vm, hart, targets,
                       hart->x[17] == SBI_LEGACY_FENCE_I ? VCPU_REQ_FENCE_I : VCPU_REQ_TLB_FLUSH);
        break;
    default: /* SBI_LEGACY_SHUTDOWN */ vm_power_request(vm, VM_POWER_OFF, 0, NULL); return SBI_GONE;
    }
    return SBI_SUCCESS;
}

/* Chapter 5, Legacy Extensions: a0 alone is the answer, a1 stays. */
static struct sbi_result sbi_legacy(struct vm *vm, struct riscv_vcpu *hart)
{
    int64_t error = legacy_answer(vm, hart);
    return (struct sbi_result){.error = error, .value = hart->x[11]};
}

static struct sbi_result sbi_unknown(struct vm *vm, struct riscv_vcpu *hart)
{
    (void)vm, (void)hart;
    return sbi_error(SBI_ERR_NOT_SUPPORTED);
}

#define EXTENSION(ID, CALL, NEEDS) [SLOT(ID)] = {.id = ID, .needs = NEEDS, .call = CALL}
static const struct sbi_extension extensions[SLOTS] = {
    EXTENSION(SBI_BASE, sbi_base, NEEDS_REGISTERS), EXTENSION(SBI_TIME, sbi_time, NEEDS_ALL),
    EXTENSION(SBI_IPI, sbi_ipi, NEEDS_OTHERS),      EXTENSION(SBI_RFENCE, sbi_rfence, NEEDS_OTHERS),
    EXTENSION(SBI_HSM, sbi_hsm, NEEDS_ALL),         EXTENSION(SBI_SRST, sbi_srst, NEEDS_ALL),
    EXTENSION(SBI_PMU, sbi_pmu, NEEDS_ALL),         EXTENSION(SBI_DBCN, sbi_dbcn, NEEDS_OTHERS),
    EXTENSION(SBI_SUSP, sbi_susp, NEEDS_ALL),       EXTENSION(SBI_STA, sbi_sta, NEEDS_OTHERS),
};
static const struct sbi_extension legacy = {.needs = NEEDS_ALL, .call = sbi_legacy};
static const struct sbi_extension unknown = {.needs = NEEDS_REGISTERS, .call = sbi_unknown};

static inline const struct sbi_extension *extension_find(uint64_t id)
{
    const struct sbi_extension *extension = &extensions[SLOT(id)];
    if (id <= SBI_LEGACY_SHUTDOWN)
        return &legacy;
    return extension->id == id ? extension : &unknown;
}

static bool extension_offered(const struct vm *vm, uint64_t id)
{
    return extension_find(id) != &unknown && (id != SBI_STA || vm->steal_time);
}

/* The call, unless it needs more than that. */
static inline __attribute__((always_inline)) bool answer(struct vm *vm, struct riscv_vcpu *hart,
                                                         enum sbi_needs most)
{
    const struct sbi_extension *extension = extension_find(hart->x[17]);
    if (extension->needs > most)
        return false;
    struct sbi_result result = extension->call(vm, hart);
    if (result.error != SBI_GONE) {
        hart->x[10] = (uint64_t)result.error;
        hart->x[11] = result.value;
    }
    return true;
}

void sbi_call(struct vm *vm, struct riscv_vcpu *hart)
{
    answer(vm, hart, NEEDS_ALL);
}

bool sbi_call_light(struct vm *vm, struct riscv_vcpu *hart)
{
    return answer(vm, hart, NEEDS_OTHERS);
}

HOT bool sbi_call_alone(struct vm *vm, struct riscv_vcpu *hart)
{
    return answer(vm, hart, NEEDS_REGISTERS);
}
