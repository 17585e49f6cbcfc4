/* Between the files of the engine. */
#ifndef ENGINE_HEXT_INTERNAL_H
#define ENGINE_HEXT_INTERNAL_H

/* What hext_answer returns; switch.S knows their order. */
#define HEXT_GO_ON_ALL 0 /* the guest goes on; it has lost registers that a call keeps */
#define HEXT_GO_ON     1 /* the guest goes on; those registers are still its own */
#define HEXT_LEAVE     2 /* hext_enter returns; v->reason says why */

#define HEXT_VCPU_ANSWER 0 /* where that is in struct hext_vcpu */

#define HEXT_NO_INSN -1 /* of hext_fetch */

#ifndef __ASSEMBLER__

#include "engine/hext/hext.h"

#define HEXT_NO_HART ~0u

_Static_assert(offsetof(struct hext_vcpu, answer) == HEXT_VCPU_ANSWER, "switch.S");

/* switch.S, fp.S */
void hext_enter(uint64_t *x, struct hext_vcpu *v);
uint64_t hext_fetch(uint64_t gva);
uint64_t hext_fp_save(uint64_t *f);
void hext_fp_load(const uint64_t *f, uint64_t fcsr);
/* v.S; its layout is known there. The registers, vlenb bytes each, follow. */
struct hext_vector {
    uint64_t vstart, vcsr, vl, vtype;
};
void hext_v_save_csrs(struct hext_vector *vector);
void hext_v_save(struct hext_vector *vector);
void hext_v_load(const struct hext_vector *vector);
enum hext_probe {
    PROBE_HGATP,
    PROBE_STIMECMP,
    PROBE_VSTIMECMP,
    PROBE_HENVCFG,
    PROBE_SENVCFG,
    PROBE_TIME,
    PROBE_HSTATUS,
    PROBE_VLENB,
    PROBE_VSISELECT,
    PROBE_HSTATEEN0,
    PROBE_HVIPRIO1,
};
bool hext_probe_read(enum hext_probe csr, uint64_t *value);
bool hext_probe_write(enum hext_probe csr, uint64_t value);

/* vcpu.c */
void hext_load(struct hext_vcpu *v);
void hext_unload(struct hext_vcpu *v);
void hext_fp_sync(struct hext_vcpu *v);
/* The guest takes the exception `cause` at its pc; VS state is loaded. */
void hext_inject(struct hext_vcpu *v, unsigned cause, uint64_t tval);
void hext_arm_timer(struct hext_vcpu *v);
/* Drops this hart's translations of the VCPU's virtual addresses, and of what its G-stage lost. */
void hext_flush(struct hext_vcpu *v);

/* lazy.c */
void hext_lazy_init(struct vm *vm);
/* Nothing was mapped at `gpa`. True: now there is, the guest tries again. */
bool hext_lazy_fault(struct hext_vcpu *v, uint64_t gpa);

/* run.c */
enum exit_reason hext_run(struct vcpu *vcpu, struct exit *exit);
/* The guest trapped; v->world is not up to date. HEXT_GO_ON... */
uint64_t hext_answer(struct hext_vcpu *v, uint64_t cause);

/* trace.c: the record is complete. */
void hext_trace_end(struct hext_vcpu *v, bool answered);

#endif
#endif
