#include "type0/access.h"

#include "riscv/csr.h"
#include "type0/csr.h"

static long fetch_parcel(const struct guest_memory *memory, const struct riscv_vcpu *vcpu,
                         uint64_t va)
{
    uint64_t status = vcpu->mstatus | MSTAT_MPRV | MSTAT_MXR;
    long low = memory->load(va, status);
    long high = low >= 0 ? memory->load(va + 1, status) : -1;
    return high >= 0 ? low | high << 8 : -1;
}

bool access_fetch(const struct guest_memory *memory, const struct riscv_vcpu *vcpu, uint32_t *insn)
{
    long low = fetch_parcel(memory, vcpu, vcpu->pc), high = 0;
    if (low >= 0 && (low & 3) == 3)
        high = fetch_parcel(memory, vcpu, vcpu->pc + 2);
    *insn = (uint32_t)(low | high << 16);
    return low >= 0 && high >= 0;
}

static bool load(const struct guest_memory *memory, struct riscv_vcpu *vcpu,
                 const struct hext_access *access, uint64_t va)
{
    uint64_t data = 0, status = vcpu->mstatus | MSTAT_MPRV;
    for (unsigned i = 0; i < access->width; i++) {
        long byte = memory->load(va + i, status);
        if (byte < 0)
            return false;
        data |= (uint64_t)byte << 8 * i;
    }
    data = hext_access_extend(access, data);
    if (access->kind == ACCESS_LOADS) {
        vcpu->x[access->reg] = data;
        vcpu->x[0] = 0;
        return true;
    }
    uint64_t fcsr = memory->fp_save(vcpu->f);
    vcpu->f[access->reg] = data;
    memory->fp_load(vcpu->f, fcsr);
    return true;
}

static bool store(const struct guest_memory *memory, struct riscv_vcpu *vcpu,
                  const struct hext_access *access, uint64_t va)
{
    uint64_t data = vcpu->x[access->reg], status = vcpu->mstatus | MSTAT_MPRV;
    if (access->kind == ACCESS_FSTORES) {
        memory->fp_save(vcpu->f);
        data = vcpu->f[access->reg];
    }
    for (unsigned i = 0; i < access->width; i++) {
        if (!memory->store(va + i, status, (uint8_t)(data >> 8 * i)))
            return false;
    }
    return true;
}

enum access_result access_perform(const struct guest_memory *memory, struct riscv_vcpu *vcpu,
                                  const struct hext_access *access, uint64_t va)
{
    bool done;
    if (access->kind == ACCESS_LOADS || access->kind == ACCESS_FLOADS)
        done = load(memory, vcpu, access, va);
    else if (access->kind == ACCESS_STORES || access->kind == ACCESS_FSTORES)
        done = store(memory, vcpu, access, va);
    else
        return ACCESS_FOREIGN;
    if (!done)
        return ACCESS_FAULT;
    vcpu->pc += access->length;
    return ACCESS_DONE;
}

bool access_is_rdtime(uint32_t insn)
{
    return (insn & 0xfffff07f) == (0x2073u | (uint32_t)HCSR_TIME << 20);
}

void access_rdtime(struct riscv_vcpu *vcpu, uint32_t insn, uint64_t time)
{
    vcpu->x[insn >> 7 & 31] = time;
    vcpu->x[0] = 0;
    vcpu->pc += 4;
}
