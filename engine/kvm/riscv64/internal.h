/* The engine's own: what it keeps of a VM and of a VCPU, and the registers of KVM. */
#ifndef ENGINE_KVM_RISCV64_INTERNAL_H
#define ENGINE_KVM_RISCV64_INTERNAL_H

#include "core/host.h"
#include "riscv/vcpu.h"

#include <linux/kvm.h>
#include <sys/types.h>

/* What the guest waits for an answer to; it is given when KVM_RUN is called again. */
enum kvm_pending { PENDING_NONE, PENDING_READ, PENDING_WRITE, PENDING_SBI };

enum kvm_wire { WIRE_LOW, WIRE_HIGH, WIRE_UNKNOWN };

struct kvm_vm {
    int fd;
    size_t run_size; /* bytes of a VCPU's shared page */
    struct host_lock lock;
    /* VCPUs that may be in KVM_RUN. The first one of them has put the state of all, the last one
     * gets it: in between they reach each other inside KVM (IPIs, starts). */
    unsigned lent;
};

struct kvm_vcpu {
    struct riscv_vcpu *hart;
    int fd;
    struct kvm_run *run;
    _Atomic pid_t thread; /* which may be in KVM_RUN, to be signalled; 0: none */
    enum kvm_pending pending;
    struct exit *exit;        /* where its answer is */
    enum kvm_wire external;   /* what KVM was told last of the external interrupt */
    struct clock_timer nudge; /* kicks it once */
    uint32_t mp_state;        /* what it is in KVM, when the state was got or put */
    bool sstc, stateen;       /* the guest has these */
    bool sta;                 /* KVM offers steal time */
    char message[64];         /* EXIT_HALTED */
};

static inline struct kvm_vcpu *kvm_of(struct vcpu *vcpu)
{
    return vcpu->engine_data;
}

/* KVM_GET_ONE_REG and KVM_SET_ONE_REG: 0 or a negative error. */
int kvm_get(const struct kvm_vcpu *kv, uint64_t id, void *value);
int kvm_set(const struct kvm_vcpu *kv, uint64_t id, const void *value);
/* The same of 64 bits. */
uint64_t kvm_get64(const struct kvm_vcpu *kv, uint64_t id);
int kvm_set64(const struct kvm_vcpu *kv, uint64_t id, uint64_t value);

/* Registers of 64 bits, by the type (and subtype) that <asm/kvm.h> names and the index there. */
#define KVM_ID(type, index) (KVM_REG_RISCV | KVM_REG_SIZE_U64 | (type) | (uint64_t)(index))
#define KVM_ID_X(n)         KVM_ID(KVM_REG_RISCV_CORE, n) /* 1 to 31; 0 is pc */
#define KVM_ID_PC           KVM_ID(KVM_REG_RISCV_CORE, 0)
#define KVM_ID_MODE         KVM_ID(KVM_REG_RISCV_CORE, KVM_REG_RISCV_CORE_REG(mode))
#define KVM_ID_CSR(name)    KVM_ID(KVM_REG_RISCV_CSR, KVM_REG_RISCV_CSR_REG(name))
#define KVM_ID_TIMER(name)  KVM_ID(KVM_REG_RISCV_TIMER, KVM_REG_RISCV_TIMER_REG(name))
#define KVM_ID_CONFIG(name) KVM_ID(KVM_REG_RISCV_CONFIG, KVM_REG_RISCV_CONFIG_REG(name))
#define KVM_ID_VECTOR(name) KVM_ID(KVM_REG_RISCV_VECTOR, KVM_REG_RISCV_VECTOR_CSR_REG(name))
#define KVM_ID_STA(name)                                                                           \
    KVM_ID(KVM_REG_RISCV_SBI_STATE, KVM_REG_RISCV_SBI_STA | KVM_REG_RISCV_SBI_STA_REG(name))
#define KVM_ID_STATEEN                                                                             \
    KVM_ID(KVM_REG_RISCV_CSR,                                                                      \
           KVM_REG_RISCV_CSR_SMSTATEEN | KVM_REG_RISCV_CSR_SMSTATEEN_REG(sstateen0))

/* What of the hart's model KVM has, and of KVM the model: both are narrowed to it. 0 or a negative
 * error. */
int kvm_agree_isa(struct kvm_vcpu *kv);
/* Has KVM answer the SBI's extensions that it can, and pass on the console's. */
int kvm_agree_sbi(struct kvm_vcpu *kv);

/* All state of one VCPU that is not in KVM_RUN, out of KVM and into it. */
void kvm_state_get(struct kvm_vcpu *kv);
void kvm_state_put(struct kvm_vcpu *kv);
/* The cause of the fault that the instruction takes which KVM does not execute for the guest: an
 * access to something that is not RAM, of a kind or an alignment that no device has. */
unsigned kvm_refused_access(struct kvm_vcpu *kv);
/* The guest takes the exception at the instruction at which it stopped. */
void kvm_access_fault(struct kvm_vcpu *kv, unsigned cause);

#endif
