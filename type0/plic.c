#include "type0/plic.h"

#include "core/error.h"

static volatile uint32_t *at(const struct plic_view *view, uint64_t offset)
{
    return view->registers + offset / 4;
}

static volatile uint32_t *enable_at(const struct plic_view *view,
                                    const struct plic_context *context, unsigned word)
{
    return at(view, PLIC_ENABLE + (uint64_t)context->number * PLIC_STRIDE + 4 * word);
}

static volatile uint32_t *page_of(const struct plic_view *view, const struct plic_context *context)
{
    return at(view, PLIC_CONTEXT + (uint64_t)context->number * PLIC_PAGE);
}

static struct plic_context *find(struct plic_view *view, uint64_t number)
{
    for (unsigned i = 0; i < view->count; i++) {
        if (view->contexts[i].number == number)
            return &view->contexts[i];
    }
    return NULL;
}

static bool owns(const struct plic_view *view, uint64_t line)
{
    return line < PLIC_LINES && (view->lines[line / 32] >> line % 32 & 1) != 0;
}

/* ---- Registers ---- */

static void access_enable(struct plic_view *view, uint64_t offset, bool write, uint32_t *value)
{
    struct plic_context *context = find(view, offset / PLIC_STRIDE);
    unsigned word = (unsigned)(offset % PLIC_STRIDE / 4);
    if (context == NULL)
        return;
    if (!write) {
        *value = context->enables[word];
        return;
    }
    context->enables[word] = *value & view->lines[word];
    if (context->live)
        *enable_at(view, context, word) = context->enables[word];
}

/* Threshold, and claim and complete. */
static void access_page(struct plic_view *view, uint64_t offset, bool write, uint32_t *value)
{
    struct plic_context *context = find(view, offset / PLIC_PAGE);
    uint64_t reg = offset % PLIC_PAGE;
    if (context == NULL || reg > 4)
        return;
    volatile uint32_t *real = page_of(view, context) + reg / 4;
    if (reg == 0 && context->shared) {
        if (write)
            context->threshold = *value;
        else
            *value = context->threshold;
        if (write && context->live)
            *real = *value;
    } else if (context->live) {
        if (!write)
            *value = *real;
        else if (reg == 0 || owns(view, *value))
            *real = *value;
    }
}

static int access(struct plic_view *view, uint64_t offset, bool write, uint32_t *value)
{
    if (offset + 4 > view->size)
        return -E_FAULT;
    host_lock_acquire(&view->lock);
    if (offset < PLIC_PENDING) {
        if (owns(view, offset / 4) && write)
            *at(view, offset) = *value;
        else if (owns(view, offset / 4))
            *value = *at(view, offset);
    } else if (offset < PLIC_ENABLE) {
        uint64_t word = (offset - PLIC_PENDING) / 4;
        if (!write && word < PLIC_WORDS)
            *value = *at(view, offset) & view->lines[word];
    } else if (offset < PLIC_CONTEXT) {
        access_enable(view, offset - PLIC_ENABLE, write, value);
    } else {
        access_page(view, offset - PLIC_CONTEXT, write, value);
    }
    host_lock_release(&view->lock);
    return 0;
}

static int view_read(void *device, uint64_t offset, unsigned width, uint64_t *value)
{
    uint32_t data = 0;
    (void)width;
    int error = access(device, offset, false, &data);
    *value = data;
    return error;
}

static int view_write(void *device, uint64_t offset, unsigned width, uint64_t value)
{
    uint32_t data = (uint32_t)value;
    (void)width;
    return access(device, offset, true, &data);
}

const struct bus_ops plic_view_bus_ops = {.read = view_read, .write = view_write, .widths = 4};

/* ---- Turns ---- */

/* Only while the context is live: its words hold others' lines at other times. */
static void put_enables(const struct plic_view *view, const struct plic_context *context, bool on)
{
    for (unsigned word = 0; word < PLIC_WORDS; word++) {
        if (view->lines[word] != 0)
            *enable_at(view, context, word) = on ? context->enables[word] : 0;
    }
}

/*
 * Lines that the partition had claimed are in service no more. One is completed by a context that
 * has it enabled (PLIC 1.0.0, "Interrupt Completion").
 */
static void complete_all(const struct plic_view *view, const struct plic_context *context)
{
    for (unsigned word = 0; word < PLIC_WORDS; word++) {
        if (view->lines[word] != 0)
            *enable_at(view, context, word) = view->lines[word];
    }
    for (uint32_t line = 1; line < PLIC_LINES; line++) {
        if (owns(view, line))
            page_of(view, context)[1] = line;
    }
}

void plic_context_enter(struct plic_view *view, struct plic_context *context)
{
    host_lock_acquire(&view->lock);
    if (context->stale)
        complete_all(view, context);
    context->stale = false;
    put_enables(view, context, true);
    /* Last: QEMU looks at what is pending when a threshold is written, not when enables are. */
    *page_of(view, context) = context->threshold;
    context->live = true;
    host_lock_release(&view->lock);
}

void plic_context_leave(struct plic_view *view, struct plic_context *context)
{
    host_lock_acquire(&view->lock);
    put_enables(view, context, false);
    context->live = false;
    host_lock_release(&view->lock);
}

bool plic_context_pending(const struct plic_view *view, const struct plic_context *context)
{
    for (unsigned word = 0; word < PLIC_WORDS; word++) {
        if (context->enables[word] != 0 &&
            (context->enables[word] & *at(view, PLIC_PENDING + 4 * word)) != 0)
            return true;
    }
    return false;
}

/* ---- The end ---- */

void plic_view_quiesce(struct plic_view *view)
{
    bool completed = false;
    host_lock_acquire(&view->lock);
    for (uint32_t line = 1; line < PLIC_LINES; line++) {
        if (owns(view, line))
            *at(view, 4 * line) = 0;
    }
    for (unsigned i = 0; i < view->count; i++) {
        struct plic_context *context = &view->contexts[i];
        memset(context->enables, 0, sizeof context->enables);
        context->threshold = 0;
        if (!context->live)
            continue;
        if (!completed)
            complete_all(view, context);
        completed = true;
        put_enables(view, context, false);
        *page_of(view, context) = 0;
    }
    if (!completed && view->count != 0)
        view->contexts[0].stale = true;
    host_lock_release(&view->lock);
}
