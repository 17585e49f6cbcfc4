/* What the guest is told that it has: what both its model and KVM have. */
#include "engine/kvm/riscv64/internal.h"

#include "core/error.h"

#include <errno.h>

#define ISA(id) KVM_ID(KVM_REG_RISCV_ISA_EXT | KVM_REG_RISCV_ISA_SINGLE, id)
#define SBI(id) KVM_ID(KVM_REG_RISCV_SBI_EXT | KVM_REG_RISCV_SBI_SINGLE, id)

/* Extensions by KVM's number, less one of ours: 0 is that it is none of ours. */
#define EXTENSION(name) [KVM_RISCV_ISA_EXT_##name] = EXT_##name + 1
static const uint8_t ours[KVM_RISCV_ISA_EXT_MAX] = {
    EXTENSION(A),         EXTENSION(C),        EXTENSION(D),      EXTENSION(F),
    EXTENSION(H),         EXTENSION(I),        EXTENSION(M),      EXTENSION(SVPBMT),
    EXTENSION(SSTC),      EXTENSION(SVINVAL),  EXTENSION(ZICBOM), EXTENSION(ZIHINTPAUSE),
    EXTENSION(ZICBOZ),    EXTENSION(ZBB),      EXTENSION(SSAIA),  EXTENSION(V),
    EXTENSION(SVNAPOT),   EXTENSION(ZBA),      EXTENSION(ZBS),    EXTENSION(ZICNTR),
    EXTENSION(ZICSR),     EXTENSION(ZIFENCEI), EXTENSION(ZIHPM),  EXTENSION(SMSTATEEN),
    EXTENSION(ZICOND),    EXTENSION(ZBC),      EXTENSION(ZBKB),   EXTENSION(ZBKC),
    EXTENSION(ZBKX),      EXTENSION(ZKND),     EXTENSION(ZKNE),   EXTENSION(ZKNH),
    EXTENSION(ZVBB),      EXTENSION(ZVBC),     EXTENSION(ZVKG),   EXTENSION(ZVKNED),
    EXTENSION(ZVKNHB),    EXTENSION(ZVKT),     EXTENSION(ZFH),    EXTENSION(ZFHMIN),
    EXTENSION(ZIHINTNTL), EXTENSION(ZVFHMIN),  EXTENSION(ZFA),    EXTENSION(ZACAS),
    EXTENSION(ZIMOP),     EXTENSION(ZCA),      EXTENSION(ZCB),    EXTENSION(ZCD),
    EXTENSION(ZCMOP),     EXTENSION(ZAWRS),
};

/* Names that KVM has no number for, and what they are made of: with all of that they are there. */
static const uint8_t made_of[][4] = {
    {EXT_B, EXT_ZBA, EXT_ZBB, EXT_ZBS},
    {EXT_ZAAMO, EXT_A, EXT_A, EXT_A},
    {EXT_ZALRSC, EXT_A, EXT_A, EXT_A},
    {EXT_SSSTATEEN, EXT_SMSTATEEN, EXT_SMSTATEEN, EXT_SMSTATEEN},
};

static void add(struct riscv_isa *isa, unsigned extension)
{
    isa->has[extension / 64] |= 1ULL << extension % 64;
}

static void drop(struct riscv_isa *isa, unsigned extension)
{
    isa->has[extension / 64] &= ~(1ULL << extension % 64);
}

/* Blocks of another size than ours have no name in the device tree here. */
static void check_blocks(const struct kvm_vcpu *kv, struct riscv_isa *isa)
{
    if (riscv_isa_has(isa, EXT_ZICBOM) && kvm_get64(kv, KVM_ID_CONFIG(zicbom_block_size)) != 64)
        drop(isa, EXT_ZICBOM);
    if (riscv_isa_has(isa, EXT_ZICBOZ) && kvm_get64(kv, KVM_ID_CONFIG(zicboz_block_size)) != 64)
        drop(isa, EXT_ZICBOZ);
}

/* Registers of more bits than are saved here leave the guest without any. */
static void check_vector(const struct kvm_vcpu *kv, struct riscv_isa *isa)
{
    static const uint8_t vector[] = {EXT_V,    EXT_ZVBB,   EXT_ZVBC,   EXT_ZVFHMIN,
                                     EXT_ZVKG, EXT_ZVKNED, EXT_ZVKNHB, EXT_ZVKT};
    uint64_t vlen = riscv_isa_has(isa, EXT_V) ? kvm_get64(kv, KVM_ID_VECTOR(vlenb)) * 8 : 0;

    isa->vlen = 0;
    if (vlen >= 128 && vlen <= RISCV_VLEN_MAX && (vlen & (vlen - 1)) == 0) {
        isa->vlen = (uint16_t)vlen;
        return;
    }
    for (unsigned i = 0; i < sizeof vector; i++)
        drop(isa, vector[i]);
}

int kvm_agree_isa(struct kvm_vcpu *kv)
{
    const struct riscv_isa model = kv->hart->isa;
    struct riscv_isa isa = {.vlen = model.vlen};

    add(&isa, EXT_S);
    for (unsigned id = 0; id < KVM_RISCV_ISA_EXT_MAX; id++) {
        const bool wanted = ours[id] != 0 && riscv_isa_has(&model, ours[id] - 1);
        uint64_t has = 0;
        if (kvm_get(kv, ISA(id), &has) != 0 || has == 0)
            continue;
        if (wanted)
            add(&isa, ours[id] - 1);
        else
            kvm_set64(kv, ISA(id), 0); /* what cannot be taken away is not named */
    }
    /* The seed's values would have to come from here. */
    if (riscv_isa_has(&model, EXT_ZKR))
        kvm_set64(kv, ISA(KVM_RISCV_ISA_EXT_ZKR), 0);
    for (unsigned i = 0; i < sizeof made_of / sizeof made_of[0]; i++)
        if (riscv_isa_has(&model, made_of[i][0]) && riscv_isa_has(&isa, made_of[i][1]) &&
            riscv_isa_has(&isa, made_of[i][2]) && riscv_isa_has(&isa, made_of[i][3]))
            add(&isa, made_of[i][0]);
    check_blocks(kv, &isa);
    check_vector(kv, &isa);
    if (!riscv_isa_has(&isa, EXT_I) || !riscv_isa_has(&isa, EXT_A))
        return -E_NOTSUP;
    kv->hart->isa = isa;
    kv->sstc = riscv_isa_has(&isa, EXT_SSTC);
    kv->stateen = riscv_isa_has(&isa, EXT_SMSTATEEN);
    return 0;
}

int kvm_agree_sbi(struct kvm_vcpu *kv)
{
    static const uint8_t needed[] = {KVM_RISCV_SBI_EXT_TIME, KVM_RISCV_SBI_EXT_IPI,
                                     KVM_RISCV_SBI_EXT_RFENCE, KVM_RISCV_SBI_EXT_SRST,
                                     KVM_RISCV_SBI_EXT_HSM};
    uint64_t has = 0;

    for (unsigned i = 0; i < sizeof needed; i++)
        if (kvm_set64(kv, SBI(needed[i]), 1) != 0)
            return -E_NOTSUP;
    /* The console's, which come here; DBCN is off in KVM until it is asked for, and an older one
     * has it not. */
    kvm_set64(kv, SBI(KVM_RISCV_SBI_EXT_V01), 1);
    kvm_set64(kv, SBI(KVM_RISCV_SBI_EXT_DBCN), 1);
    /* Nobody here would answer these. */
    kvm_set64(kv, SBI(KVM_RISCV_SBI_EXT_EXPERIMENTAL), 0);
    kvm_set64(kv, SBI(KVM_RISCV_SBI_EXT_VENDOR), 0);
    /* Linux 6.12's does not check what counters a guest names, which ends in an Oops of the host;
     * nor could what they count be saved. */
    kvm_set64(kv, SBI(KVM_RISCV_SBI_EXT_PMU), 0);
    /* Steal time as the host has it. */
    kv->sta = kvm_get(kv, SBI(KVM_RISCV_SBI_EXT_STA), &has) == 0 && has != 0;
    return 0;
}
