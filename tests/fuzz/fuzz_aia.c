/*
 * Anything is done with the registers and wires of an APLIC of two domains, with the interrupt
 * files of two harts, by messages and by CSRs, in any order. What must come of it is computed here
 * from what the AIA specification 1.0 says (chapters 3 and 4), source by source and identity by
 * identity; all registers and wires are compared after each step.
 */
#include "tests/fuzz/fuzz.h"

#include "devices/aplic.h"
#include "riscv/aia.h"
#include "riscv/csr.h"

#include <stdlib.h>
#include <string.h>

enum {
    HARTS = 2,
    FILES = 2 + AIA_GUESTS_MAX, /* of a hart: S-mode's, the guests', M-mode's */
    FILE_M = 1 + AIA_GUESTS_MAX,
    IDS = AIA_IDS + 1,
    IMSIC_S = 0x28000000,
    IMSIC_M = 0x24000000,
};

static struct vm vm;
static struct riscv_vcpu harts[HARTS];
static struct riscv_aia aias[HARTS];
static struct aplic aplic;

struct file {
    bool pending[IDS], enabled[IDS];
    bool delivery;
    unsigned threshold;
};
struct domain {
    bool enabled;
    struct source {
        unsigned mode;
        uint32_t target;
        bool pending, enabled;
    } sources[APLIC_SOURCES];
};
static struct {
    struct file files[HARTS][FILES];
    unsigned vgein[HARTS];
    uint64_t hgeie[HARTS];
    bool vseip[HARTS];
    struct domain domains[2]; /* S, M */
    bool delegated[APLIC_SOURCES], level[APLIC_SOURCES];
} model;

static void expect(bool truth)
{
    if (!truth)
        abort();
}

/* ---- What ought to be ---- */

static unsigned top_of(const struct file *file)
{
    for (unsigned id = 1; id < IDS; id++)
        if (file->pending[id] && file->enabled[id])
            return file->threshold == 0 || id < file->threshold ? id : 0;
    return 0;
}

static void arrive(unsigned hart, unsigned file, uint32_t id)
{
    if (hart < HARTS && id != 0 && id < IDS)
        model.files[hart][file].pending[id] = true;
}

static bool input(const struct domain *domain, unsigned source)
{
    const unsigned mode = domain->sources[source].mode;
    return (mode == 4 || mode == 6) ? model.level[source]
                                    : (mode == 5 || mode == 7) && !model.level[source];
}

static void send_pending(unsigned d)
{
    for (unsigned s = 1; s < APLIC_SOURCES; s++) {
        struct source *source = &model.domains[d].sources[s];
        if (!model.domains[d].enabled || !source->pending || !source->enabled)
            continue;
        source->pending = false;
        arrive(source->target >> 18, d == 1 ? FILE_M : source->target >> 12 & 7,
               source->target & 0x7ff);
    }
}

static void source_off(unsigned d, unsigned s)
{
    memset(&model.domains[d].sources[s], 0, sizeof model.domains[d].sources[s]);
}

static bool implemented(unsigned d, unsigned s)
{
    return s != 0 && s < APLIC_SOURCES && model.delegated[s] == (d == 0);
}

static void input_moved(unsigned d, unsigned s, bool before)
{
    struct source *source = &model.domains[d].sources[s];
    const bool now = input(&model.domains[d], s);
    if (now && !before)
        source->pending = true;
    if (!now && source->mode >= 6)
        source->pending = false;
    send_pending(d);
}

static void wire(unsigned s, bool level)
{
    const unsigned d = model.delegated[s] ? 0 : 1;
    const bool before = input(&model.domains[d], s);
    model.level[s] = level;
    input_moved(d, s, before);
}

static void write_sourcecfg(unsigned d, unsigned s, uint32_t value)
{
    if (d == 1 && model.delegated[s] != ((value >> 10 & 1) != 0)) {
        source_off(0, s);
        source_off(1, s);
        model.delegated[s] = !model.delegated[s];
    }
    if (!implemented(d, s))
        return;
    struct source *source = &model.domains[d].sources[s];
    const bool before = input(&model.domains[d], s);
    const unsigned mode = value & 7;
    if ((value >> 10 & 1) != 0 || mode == 0 || mode == 2 || mode == 3)
        source_off(d, s);
    else
        source->mode = mode;
    input_moved(d, s, before);
}

enum what { SET_PENDING, CLEAR_PENDING, SET_ENABLE, CLEAR_ENABLE };

static void change(unsigned d, uint32_t s, enum what what)
{
    if (s == 0 || s >= APLIC_SOURCES || model.domains[d].sources[s].mode == 0)
        return;
    struct source *source = &model.domains[d].sources[s];
    switch (what) {
    case SET_PENDING: /* of a level only while it is up (4.7) */
        if (source->mode < 6 || input(&model.domains[d], s))
            source->pending = true;
        break;
    case CLEAR_PENDING: source->pending = false; break;
    case SET_ENABLE: source->enabled = true; break;
    case CLEAR_ENABLE: source->enabled = false; break;
    }
    send_pending(d);
}

static void change_word(unsigned d, unsigned word, uint32_t bits, enum what what)
{
    for (unsigned bit = 0; bit < 32; bit++)
        if ((bits >> bit & 1) != 0)
            change(d, word * 32 + bit, what);
}

static void aplic_write_model(unsigned d, uint32_t offset, uint32_t value)
{
    const unsigned word = offset % 0x100 / 4 % 32;
    if (offset == 0) {
        model.domains[d].enabled = (value >> 8 & 1) != 0;
        send_pending(d);
    } else if (offset < 4 * APLIC_SOURCES) {
        write_sourcecfg(d, offset / 4, value);
    } else if (offset > 0x3000 && offset < 0x3000 + 4 * APLIC_SOURCES) {
        struct source *source = &model.domains[d].sources[(offset - 0x3000) / 4];
        if (source->mode != 0)
            source->target = value & (d == 1 ? 0xfffc07ff : 0xfffc77ff);
    } else if (offset == 0x3000) {
        arrive(value >> 18, d == 1 ? FILE_M : 0, value & 0x7ff);
    } else if (offset >= 0x1c00 && offset < 0x1c0c) {
        change_word(d, word, value, SET_PENDING);
    } else if (offset >= 0x1d00 && offset < 0x1d0c) {
        change_word(d, word, value, CLEAR_PENDING);
    } else if (offset >= 0x1e00 && offset < 0x1e0c) {
        change_word(d, word, value, SET_ENABLE);
    } else if (offset >= 0x1f00 && offset < 0x1f0c) {
        change_word(d, word, value, CLEAR_ENABLE);
    } else if (offset == 0x1cdc || offset == 0x2000) {
        change(d, value, SET_PENDING);
    } else if (offset == 0x2004) {
        change(d, __builtin_bswap32(value), SET_PENDING);
    } else if (offset == 0x1ddc) {
        change(d, value, CLEAR_PENDING);
    } else if (offset == 0x1edc) {
        change(d, value, SET_ENABLE);
    } else if (offset == 0x1fdc) {
        change(d, value, CLEAR_ENABLE);
    }
}

static uint32_t aplic_read_model(unsigned d, uint32_t offset)
{
    const struct domain *domain = &model.domains[d];
    uint32_t bits = 0;

    if (offset == 0)
        return 0x80000004 | (uint32_t)domain->enabled << 8;
    if (offset < 4 * APLIC_SOURCES)
        return d == 1 && model.delegated[offset / 4] ? 1 << 10 : domain->sources[offset / 4].mode;
    if (offset > 0x3000 && offset < 0x3000 + 4 * APLIC_SOURCES)
        return domain->sources[(offset - 0x3000) / 4].target;
    if (offset == 0x1bc4)
        return d == 1 ? 0x80000000 : 0;
    for (unsigned bit = 0; bit < 32; bit++) {
        const unsigned s = offset % 0x100 / 4 * 32 + bit;
        if (s >= APLIC_SOURCES)
            break;
        bool set = false;
        switch (offset >> 8) {
        case 0x1c: set = domain->sources[s].pending; break;
        case 0x1d: set = input(domain, s); break;
        case 0x1e: set = domain->sources[s].enabled; break;
        default: break;
        }
        bits |= (uint32_t)set << bit;
    }
    return bits;
}

/* ---- Both ---- */

static void deliver(void *sink, uint64_t address, uint32_t data)
{
    (void)sink;
    if (address >= IMSIC_S) {
        const uint64_t page = (address - IMSIC_S) >> 12;
        expect(address % 4096 == 0 && page < HARTS << AIA_GUEST_BITS);
        riscv_aia_receive(&harts[page >> AIA_GUEST_BITS], page % 8, data);
    } else {
        const uint64_t page = (address - IMSIC_M) >> 12;
        expect(address % 4096 == 0 && page < HARTS);
        riscv_aia_receive_machine(&harts[page], data);
    }
}

static struct aplic_domain *domain_at(unsigned d)
{
    return d == 1 ? &aplic.m : &aplic.s;
}

static void aplic_access(unsigned d, uint32_t offset, bool write, uint32_t value)
{
    uint64_t got;
    if (write) {
        expect(aplic_bus_ops.write(domain_at(d), offset, 4, value) == 0);
        aplic_write_model(d, offset, value);
    }
    expect(aplic_bus_ops.read(domain_at(d), offset, 4, &got) == 0);
    expect(got == aplic_read_model(d, offset));
}

/* As an instruction does. False: it is refused. */
static bool csr(struct riscv_vcpu *hart, unsigned number, unsigned kind, uint64_t operand,
                uint64_t *old)
{
    const bool write = kind != 3;
    *old = 0;
    if (!riscv_csr_read(hart, number, write, old))
        return false;
    if (kind == 1)
        operand |= riscv_csr_base(hart, number, *old);
    else if (kind == 2)
        operand = riscv_csr_base(hart, number, *old) & ~operand;
    if (write)
        expect(riscv_csr_write(hart, number, operand));
    return true;
}

/* Which CSRs reach which file, from M-mode. */
static void file_access(unsigned h, unsigned level, unsigned what, unsigned select, unsigned kind,
                        uint64_t operand)
{
    static const unsigned selects[] = {CSR_siselect, CSR_vsiselect, CSR_miselect};
    static const unsigned iregs[] = {CSR_sireg, CSR_vsireg, CSR_mireg};
    static const unsigned topeis[] = {CSR_stopei, CSR_vstopei, CSR_mtopei};
    const unsigned number = level == 0 ? 0 : level == 2 ? FILE_M : model.vgein[h];
    struct file *file = &model.files[h][number];
    uint64_t old;

    if (level == 1 && number == 0) {
        expect(!csr(&harts[h], what == 0 ? CSR_vstopei : CSR_vsireg, kind, operand, &old));
        return;
    }
    if (what == 0) {
        const unsigned top = top_of(file);
        expect(csr(&harts[h], topeis[level], kind, operand, &old));
        expect(old == (top << 16 | top));
        if (kind != 3)
            file->pending[top] = false;
        return;
    }
    expect(csr(&harts[h], selects[level], 0, select, &old));
    const bool there = csr(&harts[h], iregs[level], kind, operand, &old);
    const bool is_file = select >= 0x70 && select <= 0xff && (select < 0x80 || select % 2 == 0);
    const bool is_iprio = level != 1 && select >= 0x30 && select < 0x40 && select % 2 == 0;
    expect(there == (is_file || is_iprio));
    if (!there)
        return;
    uint64_t was = 0;
    const unsigned first = select % 0x40 / 2 * 64; /* identity */
    const bool words = select >= 0x80 && first < IDS;
    bool *bits = !words ? NULL : select < 0xc0 ? &file->pending[first] : &file->enabled[first];
    for (unsigned bit = 0; words && bit < 64; bit++)
        was |= (uint64_t)bits[bit] << bit;
    if (select == 0x70)
        was = file->delivery;
    if (select == 0x72)
        was = file->threshold;
    expect(old == was);
    const uint64_t next = kind == 0 ? operand : kind == 1 ? was | operand : was & ~operand;
    if (kind == 3)
        return;
    for (unsigned bit = 0; words && bit < 64; bit++)
        bits[bit] = (next >> bit & 1) != 0;
    file->pending[0] = file->enabled[0] = false;
    if (select == 0x70)
        file->delivery = next & 1;
    if (select == 0x72)
        file->threshold = next & 0x7ff;
}

static void compare(void)
{
    for (unsigned h = 0; h < HARTS; h++) {
        const uint64_t mip = atomic_load(&harts[h].mip);
        uint64_t hgeip = 0, got;
        for (unsigned f = 0; f < FILES; f++) {
            const struct file *file = &model.files[h][f];
            const bool signals = file->delivery && top_of(file) != 0;
            if (f == 0)
                expect((mip >> IRQ_SEI & 1) == signals);
            else if (f == FILE_M)
                expect((mip >> IRQ_MEI & 1) == signals);
            else
                hgeip |= (uint64_t)signals << f;
        }
        expect(riscv_csr_read(&harts[h], CSR_hgeip, false, &got) && got == hgeip);
        expect((mip >> IRQ_SGEI & 1) == ((hgeip & model.hgeie[h]) != 0));
        expect((mip >> IRQ_VSEI & 1) == (model.vseip[h] || (hgeip >> model.vgein[h] & 1) != 0));
    }
    for (unsigned d = 0; d < 2; d++)
        for (unsigned s = 1; s < APLIC_SOURCES; s++) {
            const struct source *source = &model.domains[d].sources[s];
            const struct aplic_domain *domain = domain_at(d);
            expect(domain->mode[s] == source->mode && domain->target[s] == source->target);
            expect((domain->pending[s / 32] >> s % 32 & 1) == source->pending);
            expect((domain->enable[s / 32] >> s % 32 & 1) == source->enabled);
        }
}

/* ---- A save and a load ---- */

static struct {
    uint8_t bytes[65536];
    size_t size, at;
} saved;

static int transfer(struct state *state, void *bytes, size_t len)
{
    if (len > sizeof saved.bytes - saved.at)
        return -1;
    if (state->loading)
        memcpy(bytes, saved.bytes + saved.at, len);
    else
        memcpy(saved.bytes + saved.at, bytes, len);
    saved.at += len;
    return 0;
}

static void all_states(bool loading)
{
    struct state state = {.transfer = transfer, .loading = loading};
    saved.at = 0;
    for (unsigned h = 0; h < HARTS; h++)
        riscv_vcpu_state(&harts[h], &state);
    aplic_state(&aplic, &state);
    expect(state.error == 0);
}

static void setup(void)
{
    static const struct aplic_where where = {.hart_count = HARTS,
                                             .imsic = IMSIC_S,
                                             .guest_bits = AIA_GUEST_BITS,
                                             .machine = true,
                                             .imsic_m = IMSIC_M};
    static const struct msi msi = {.send = deliver};
    memset(&model, 0, sizeof model);
    memset(&vm, 0, sizeof vm);
    vm_init(&vm, "aia");
    for (unsigned h = 0; h < HARTS; h++) {
        riscv_vcpu_init(&harts[h], &vm, h);
        vm.vcpus[h] = &harts[h].vcpu;
        riscv_isa_of("rva23", 0, &harts[h].isa);
        riscv_isa_add_aia(&harts[h].isa);
        riscv_aia_init(&aias[h], &harts[h], AIA_GUESTS_MAX);
        riscv_vcpu_reset(&harts[h], 0x1000);
    }
    vm.vcpu_count = HARTS;
    aplic_init(&aplic, &where, &msi);
}

static void restart(void)
{
    bool level[APLIC_SOURCES];
    memcpy(level, model.level, sizeof level);
    memset(&model, 0, sizeof model);
    memcpy(model.level, level, sizeof level);
    for (unsigned h = 0; h < HARTS; h++)
        riscv_vcpu_reset(&harts[h], 0x1000);
    aplic_reset(&aplic);
}

/* Mostly few, so that what is done meets. */
static unsigned source_of(uint16_t index)
{
    return (index >> 8) < 64 ? index % APLIC_SOURCES : 1 + index % 4;
}

static uint64_t identity_of(uint64_t value)
{
    return value >> 56 < 8 ? value : value >> 56 < 128 ? value % 300 : value % 4;
}

static uint32_t offset_of(uint8_t where, uint16_t index)
{
    static const uint16_t single[] = {0,      0x1bc0, 0x1bc4, 0x1cdc, 0x1ddc, 0x1edc,
                                      0x1fdc, 0x2000, 0x2004, 0x3000, 0x1bc8, 0x1bcc};
    switch (where >> 5) {
    case 0:
    case 1: return 4 * source_of(index);
    case 2:
    case 3: return 0x3000 + 4 * source_of(index);
    case 4: return 0x1c00 + 0x100 * (index % 4) + 4 * (where % 3);
    case 5:
    case 6: return single[index % (sizeof single / sizeof single[0])];
    default: return index % APLIC_SIZE / 4 * 4;
    }
}

/* Twelve bytes for each step: what, where, index, value. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    setup();
    for (; size >= 12; data += 12, size -= 12) {
        const unsigned h = data[0] & 1, d = data[0] >> 1 & 1;
        uint16_t index;
        uint64_t value;
        memcpy(&index, data + 2, 2);
        memcpy(&value, data + 4, 8);
        const uint32_t id = (uint32_t)identity_of(value);
        const unsigned kind = data[1] & 3, f = index % FILES;
        switch (data[0] >> 4) {
        case 0:
        case 1:
        case 2: aplic_access(d, offset_of(data[1], index), true, (uint32_t)value); break;
        case 3: /* small numbers, which are those of sources and identities */
            aplic_access(d, offset_of(data[1], index), true,
                         (uint32_t)(value >> 60 < 8 ? value % 8 : value % 100) | (uint32_t)h << 18);
            break;
        case 4: aplic_access(d, offset_of(data[1], index), false, 0); break;
        case 5:
        case 6:
            aplic_set(&aplic, source_of(index), kind & 1);
            if (source_of(index) != 0)
                wire(source_of(index), kind & 1);
            break;
        case 7:
        case 8:
            if (f == FILE_M)
                riscv_aia_receive_machine(&harts[h], id);
            else
                riscv_aia_receive(&harts[h], f, id);
            arrive(h, f, id);
            break;
        case 9:
        case 10: file_access(h, index % 3, 0, 0, kind, value); break;
        case 11:
            file_access(h, index % 3, 1, 0x28 + (data[1] >> 2) * 4 + index / 3 % 4, kind, value);
            break;
        case 12: {
            static const uint16_t selects[] = {0x70, 0x72, 0x72, 0x80, 0x86, 0xc0, 0xc0, 0xc6};
            const unsigned select = selects[data[1] >> 5];
            file_access(h, index % 3, 1, select, kind,
                        select == 0x72   ? identity_of(value)
                        : select == 0x70 ? 1
                                         : value | value >> 7);
            break;
        }
        case 13: {
            uint64_t old;
            model.vgein[h] = index % 8;
            expect(csr(&harts[h], CSR_hstatus, 0, (uint64_t)(index % 8) << 12, &old));
            break;
        }
        case 14: {
            uint64_t old;
            model.hgeie[h] = value & 0xfe;
            model.vseip[h] = index & 1;
            expect(csr(&harts[h], CSR_hgeie, 0, value, &old));
            expect(csr(&harts[h], CSR_hvip, 0, (uint64_t)(index & 1) << IRQ_VSEI, &old));
            break;
        }
        default:
            if (kind == 0 && index % 8 == 0) {
                restart();
            } else if (kind == 1) {
                all_states(false);
                all_states(true);
            }
        }
        compare();
    }
    for (unsigned h = 0; h < HARTS; h++)
        riscv_vcpu_fini(&harts[h]);
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *buf, size_t capacity)
{
    uint32_t random = index + 1;
    if (index >= 16)
        return 0;
    size_t size = capacity < 1200 ? capacity : 1200;
    for (size_t i = 0; i < size; i++) {
        random = random * 1664525 + 1013904223;
        buf[i] = (uint8_t)(random >> 24);
    }
    return size;
}
