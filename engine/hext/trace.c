/*
 * A VCPU whose exits are told: hext_answer_traced stands where hext_answer does, so that those that
 * are not traced pay nothing for it.
 */
#include "engine/hext/csr.h"
#include "engine/hext/internal.h"

/* The CSRs of the guest's trap, which hext_fetch loses when it fails. */
static uint64_t fetch(uint64_t pc)
{
    static const uint64_t none = (uint64_t)HEXT_NO_INSN;
    uint64_t sstatus = hcsr_read(HCSR_SSTATUS), hstatus = hcsr_read(HCSR_HSTATUS);
    uint64_t stval = hcsr_read(HCSR_STVAL), htval = hcsr_read(HCSR_HTVAL);
    uint64_t insn = hext_fetch(pc);

    if (insn == none) {
        hcsr_write(HCSR_SEPC, pc);
        hcsr_write(HCSR_SSTATUS, sstatus);
        hcsr_write(HCSR_HSTATUS, hstatus);
        hcsr_write(HCSR_STVAL, stval);
        hcsr_write(HCSR_HTVAL, htval);
        hcsr_write(HCSR_HTINST, 0); /* as it was, or there had been no fetch */
    }
    return insn;
}

static void look_at_access(struct hext_record *record)
{
    uint64_t htinst = hcsr_read(HCSR_HTINST);

    record->gpa = hcsr_read(HCSR_HTVAL) << 2 | (record->tval & 3);
    if (record->cause == HCAUSE_FETCH_GUEST_PAGE || hext_access_implicit(htinst) ||
        hext_access_transformed(htinst, &record->access))
        return;
    if (htinst == 0)
        hext_access_decode((uint32_t)fetch(record->pc), &record->access);
}

static uint64_t hext_answer_traced(struct hext_vcpu *v, uint64_t cause)
{
    const uint64_t *x = v->hart->x;
    struct hext_record record = {.cause = cause, .pc = hcsr_read(HCSR_SEPC)};
    struct hext_access *access = &record.access;
    uint64_t before[HEXT_EXIT_COUNTS];

    memcpy(before, v->counts, sizeof before);
    memcpy(record.args, &x[10], sizeof record.args);
    if ((cause & HCAUSE_INTERRUPT) == 0)
        record.tval = hcsr_read(HCSR_STVAL);
    if (cause == HCAUSE_FETCH_GUEST_PAGE || cause == HCAUSE_LOAD_GUEST_PAGE ||
        cause == HCAUSE_STORE_GUEST_PAGE)
        look_at_access(&record);
    if (access->kind == ACCESS_STORES && access->reg != 0)
        record.value = x[access->reg];

    uint64_t back = hext_answer(v, cause);

    while (record.kind < HEXT_EXIT_COUNTS && v->counts[record.kind] == before[record.kind])
        record.kind++;
    record.fault = v->counts[HEXT_EXIT_FAULT] != before[HEXT_EXIT_FAULT];
    if (access->kind == ACCESS_LOADS && access->reg != 0)
        record.value = x[access->reg];
    v->record = record;
    v->answer_due = cause == HCAUSE_VS_ECALL && back == HEXT_LEAVE && v->reason == EXIT_SBI;
    if (!v->answer_due)
        hext_trace_end(v, true);
    return back;
}

void hext_trace_end(struct hext_vcpu *v, bool answered)
{
    v->answer_due = false;
    v->record.answered = answered;
    v->record.result[0] = v->hart->x[10];
    v->record.result[1] = v->hart->x[11];
    hext_host_record(v, &v->record);
}

void hext_trace(struct vcpu *vcpu, bool on)
{
    struct hext_vcpu *v = vcpu->engine_data;
    atomic_store(&v->answer, on ? hext_answer_traced : hext_answer);
}

void hext_trace_ended(struct vcpu *vcpu)
{
    struct hext_vcpu *v = vcpu->engine_data;
    if (v->answer_due)
        hext_trace_end(v, false);
}
