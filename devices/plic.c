#include "devices/plic.h"

#include "core/error.h"
#include "core/hot.h"

/* RISC-V PLIC Specification 1.0.0, chapter 3 "Memory Map". */
enum {
    PLIC_PENDING = 0x1000,
    PLIC_ENABLE = 0x2000,
    PLIC_ENABLE_STRIDE = 0x80,
    PLIC_CONTEXT = 0x200000,
    PLIC_CONTEXT_STRIDE = 0x1000,
    PLIC_CONTEXT_THRESHOLD = 0,
    PLIC_CONTEXT_CLAIM = 4,
};

static uint32_t bit_of(uint32_t source)
{
    return UINT32_C(1) << (source % 32);
}

/*
 * The source that a claim returns: the highest priority, of equals the lowest id (chapter 8).
 * `above`: only priorities greater than it count. Priority 0 never interrupts (chapter 4).
 */
HOT static uint32_t context_best(const struct plic *plic, const struct plic_context *context,
                                 unsigned above)
{
    uint32_t ready[PLIC_WORDS], any = 0;
    for (unsigned w = 0; w < PLIC_WORDS; w++)
        any |= ready[w] = plic->pending[w] & context->enable[w];
    if (any == 0)
        return 0;
    for (unsigned p = PLIC_PRIORITY_MAX; p > above; p--) {
        for (unsigned w = 0; w < PLIC_WORDS; w++) {
            uint32_t hits = ready[w] & plic->at_priority[p][w];
            if (hits != 0)
                return w * 32 + (uint32_t)__builtin_ctz(hits);
        }
    }
    return 0;
}

HOT static void context_update(struct plic *plic, struct plic_context *context)
{
    bool output = context_best(plic, context, context->threshold) != 0;
    if (output != context->output) {
        context->output = output;
        irq_set(&context->irq, output);
    }
}

/* After the pending bit or the priority of `source` has changed. */
HOT static void source_update(struct plic *plic, uint32_t source)
{
    for (unsigned w = 0; w < PLIC_CONTEXT_WORDS; w++) {
        uint64_t contexts = plic->enabled_in[source][w];
        while (contexts != 0) {
            context_update(plic, &plic->contexts[w * 64 + (unsigned)__builtin_ctzll(contexts)]);
            contexts &= contexts - 1;
        }
    }
}

/*
 * The gateway of a level-triggered source (chapter 2): forwards one request, then none until
 * completion. A request once forwarded is not taken back when the wire falls.
 */
static void source_sample(struct plic *plic, uint32_t source)
{
    uint32_t w = source / 32, bit = bit_of(source);
    if ((plic->level[w] & ~plic->in_service[w] & ~plic->pending[w] & bit) != 0) {
        plic->pending[w] |= bit;
        source_update(plic, source);
    }
}

HOT void plic_set(void *sink, uint32_t line, bool level)
{
    struct plic *plic = sink;
    if (line == 0 || line >= PLIC_SOURCES)
        return;
    host_lock_acquire(&plic->lock);
    if (level) {
        plic->level[line / 32] |= bit_of(line);
        source_sample(plic, line);
    } else {
        plic->level[line / 32] &= ~bit_of(line);
    }
    host_lock_release(&plic->lock);
}

static uint32_t plic_claim(struct plic *plic, struct plic_context *context)
{
    /* The threshold gates the wire, not the claim (chapter 8). */
    uint32_t source = context_best(plic, context, 0);
    if (source != 0) {
        plic->pending[source / 32] &= ~bit_of(source);
        plic->in_service[source / 32] |= bit_of(source);
        source_update(plic, source);
    }
    return source;
}

static void plic_complete(struct plic *plic, const struct plic_context *context, uint32_t source)
{
    /* Ignored unless the source is enabled for the context (chapter 9). */
    if (source >= PLIC_SOURCES || (context->enable[source / 32] & bit_of(source)) == 0)
        return;
    plic->in_service[source / 32] &= ~bit_of(source);
    source_sample(plic, source);
    if (plic->completed != NULL)
        plic->completed(plic->completed_arg, source);
}

static void priority_set(struct plic *plic, uint32_t source, uint32_t priority)
{
    plic->at_priority[plic->priority[source]][source / 32] &= ~bit_of(source);
    plic->priority[source] = (uint8_t)priority;
    plic->at_priority[priority][source / 32] |= bit_of(source);
}

static void enable_set(struct plic *plic, unsigned index, unsigned word, uint32_t value)
{
    struct plic_context *context = &plic->contexts[index];
    if (word == 0)
        value &= ~1U;
    uint32_t changed = context->enable[word] ^ value;
    context->enable[word] = value;
    for (; changed != 0; changed &= changed - 1) {
        uint32_t source = word * 32 + (uint32_t)__builtin_ctz(changed);
        plic->enabled_in[source][index / 64] ^= UINT64_C(1) << (index % 64);
    }
}

/* The context whose registers hold `offset`, or NULL; *index and *reg say which. */
static struct plic_context *context_at(struct plic *plic, uint64_t offset, unsigned *index,
                                       uint64_t *reg)
{
    bool enables = offset < PLIC_CONTEXT;
    uint64_t stride = enables ? PLIC_ENABLE_STRIDE : PLIC_CONTEXT_STRIDE;
    uint64_t relative = offset - (enables ? PLIC_ENABLE : PLIC_CONTEXT);
    if (relative / stride >= plic->context_count)
        return NULL;
    *index = (unsigned)(relative / stride);
    *reg = relative % stride;
    return &plic->contexts[*index];
}

HOT static int plic_read(void *device, uint64_t offset, unsigned width, uint64_t *value)
{
    (void)width;
    struct plic *plic = device;
    uint32_t result = 0;
    unsigned index;
    uint64_t reg;

    host_lock_acquire(&plic->lock);
    if (offset < PLIC_PENDING) {
        if (offset / 4 < PLIC_SOURCES)
            result = plic->priority[offset / 4];
    } else if (offset < PLIC_ENABLE) {
        uint64_t word = (offset - PLIC_PENDING) / 4;
        if (word < PLIC_WORDS)
            result = plic->pending[word];
    } else {
        struct plic_context *context = context_at(plic, offset, &index, &reg);
        if (context == NULL)
            ;
        else if (offset < PLIC_CONTEXT)
            result = reg / 4 < PLIC_WORDS ? context->enable[reg / 4] : 0;
        else if (reg == PLIC_CONTEXT_THRESHOLD)
            result = context->threshold;
        else if (reg == PLIC_CONTEXT_CLAIM)
            result = plic_claim(plic, context);
    }
    host_lock_release(&plic->lock);
    *value = result;
    return 0;
}

HOT static int plic_write(void *device, uint64_t offset, unsigned width, uint64_t value64)
{
    (void)width;
    struct plic *plic = device;
    uint32_t value = (uint32_t)value64;
    unsigned index;
    uint64_t reg;

    host_lock_acquire(&plic->lock);
    if (offset < PLIC_PENDING) {
        uint32_t source = (uint32_t)(offset / 4);
        value &= PLIC_PRIORITY_MAX;
        if (source != 0 && source < PLIC_SOURCES && plic->priority[source] != value) {
            priority_set(plic, source, value);
            source_update(plic, source);
        }
    } else if (offset >= PLIC_ENABLE) {
        struct plic_context *context = context_at(plic, offset, &index, &reg);
        if (context == NULL) {
            ;
        } else if (offset < PLIC_CONTEXT) {
            if (reg / 4 < PLIC_WORDS) {
                enable_set(plic, index, (unsigned)(reg / 4), value);
                context_update(plic, context);
            }
        } else if (reg == PLIC_CONTEXT_THRESHOLD) {
            context->threshold = (uint8_t)(value & PLIC_PRIORITY_MAX);
            context_update(plic, context);
        } else if (reg == PLIC_CONTEXT_CLAIM) {
            plic_complete(plic, context, value);
        }
    }
    host_lock_release(&plic->lock);
    return 0;
}

const struct bus_ops plic_bus_ops = {.read = plic_read, .write = plic_write, .widths = 4};

void plic_init(struct plic *plic, unsigned hart_count, const struct irq *outputs)
{
    memset(plic, 0, sizeof *plic);
    host_lock_init(&plic->lock);
    plic->context_count = 2 * hart_count;
    for (unsigned i = 0; i < plic->context_count; i++)
        plic->contexts[i].irq = outputs[i];
    for (uint32_t source = 1; source < PLIC_SOURCES; source++)
        priority_set(plic, source, 0);
}

void plic_reset(struct plic *plic)
{
    host_lock_acquire(&plic->lock);
    memset(plic->in_service, 0, sizeof plic->in_service);
    memcpy(plic->pending, plic->level, sizeof plic->pending);
    for (uint32_t source = 1; source < PLIC_SOURCES; source++)
        priority_set(plic, source, 0);
    for (unsigned i = 0; i < plic->context_count; i++) {
        plic->contexts[i].threshold = 0;
        for (unsigned w = 0; w < PLIC_WORDS; w++)
            enable_set(plic, i, w, 0);
        context_update(plic, &plic->contexts[i]);
    }
    host_lock_release(&plic->lock);
}

void plic_state(struct plic *plic, struct state *state)
{
    state_section(state, "plic", 1);
    host_lock_acquire(&plic->lock);
    for (unsigned w = 0; w < PLIC_WORDS; w++) {
        state_u32(state, &plic->level[w]);
        state_u32(state, &plic->pending[w]);
        state_u32(state, &plic->in_service[w]);
    }
    for (uint32_t source = 1; source < PLIC_SOURCES; source++) {
        uint8_t priority = plic->priority[source];
        state_u8(state, &priority);
        priority_set(plic, source, priority & PLIC_PRIORITY_MAX);
    }
    for (unsigned i = 0; i < plic->context_count; i++) {
        struct plic_context *context = &plic->contexts[i];
        for (unsigned w = 0; w < PLIC_WORDS; w++) {
            uint32_t enable = context->enable[w];
            state_u32(state, &enable);
            enable_set(plic, i, w, enable);
        }
        state_u8(state, &context->threshold);
        context->threshold &= PLIC_PRIORITY_MAX;
    }
    if (state->loading) {
        plic->level[0] &= ~1U;
        plic->pending[0] &= ~1U;
        for (unsigned w = 0; w < PLIC_WORDS; w++)
            plic->pending[w] &= ~plic->in_service[w];
        /* The wires are told again, whatever they held before. */
        for (unsigned i = 0; i < plic->context_count; i++) {
            struct plic_context *context = &plic->contexts[i];
            context->output = context_best(plic, context, context->threshold) != 0;
            irq_set(&context->irq, context->output);
        }
    }
    host_lock_release(&plic->lock);
}

void plic_fdt(const struct plic *plic, struct fdt_writer *w, uint64_t base, uint32_t phandle,
              const uint32_t *intc_phandles)
{
    static const char *const compatible[] = {"sifive,plic-1.0.0", "riscv,plic0"};
    enum { M_EXTERNAL = 11, S_EXTERNAL = 9 };
    uint32_t cells[PLIC_CONTEXTS_MAX * 2];

    for (unsigned i = 0; i < plic->context_count; i++) {
        cells[2 * i] = intc_phandles[i / 2];
        cells[2 * i + 1] = i % 2 == 0 ? M_EXTERNAL : S_EXTERNAL;
    }
    fdt_node_at(w, "plic", base);
    fdt_put_strs(w, "compatible", compatible, 2);
    fdt_put_reg64(w, base, PLIC_SIZE);
    fdt_put_empty(w, "interrupt-controller");
    fdt_put_u32(w, "#interrupt-cells", 1);
    fdt_put_u32(w, "#address-cells", 0);
    fdt_put_cells(w, "interrupts-extended", cells, (size_t)plic->context_count * 2);
    fdt_put_u32(w, "riscv,ndev", PLIC_SOURCES - 1);
    fdt_put_u32(w, "phandle", phandle);
    fdt_end(w);
}
