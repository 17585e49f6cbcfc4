#include "type1/dev_pass.h"

#include "core/error.h"
#include "type1/dev_virtio.h"

#include <stdatomic.h>

#define PAGE 4096ULL

/* ---- Which device ---- */

static int named(const struct fdt *fdt, int node, const char *name, unsigned depth)
{
    if (strcmp(fdt_name(fdt, node), name) == 0)
        return node;
    for (int child = fdt_first_child(fdt, node); child >= 0 && depth < FDT_DEPTH_MAX;
         child = fdt_next_sibling(fdt, child)) {
        int found = named(fdt, child, name, depth + 1);
        if (found >= 0)
            return found;
    }
    return -E_NOENT;
}

int pass_node(const struct fdt *fdt, const char *device)
{
    return device[0] == '/' ? fdt_path(fdt, device) : named(fdt, fdt_root(fdt), device, 0);
}

/* 6.1 of the virtio specification: without ACCESS_PLATFORM it takes guest-physical addresses. */
static bool virtio_translates(const struct dev_access *access, uint64_t address)
{
    struct vio vio;
    if (vio_probe(&vio, access, (void *)(uintptr_t)address) != 0)
        return true; /* nothing that would reach memory */
    if (vio.legacy)
        return false;
    bool can = vio_start(&vio, 0) == 0 && (vio.features & VIO_F_PLATFORM) != 0;
    vio_stop(&vio);
    return can;
}

int pass_add(struct pass_set *set, struct intc *intc, const char *device, const char **why)
{
    struct pass *pass = &set->passes[set->count];
    int node = pass_node(set->fdt, device);

    *why = "the board has no such device";
    if (node < 0)
        return -E_NODEV;
    memset(pass, 0, sizeof *pass);
    if (set->count == 0)
        set->gpa_next = PASS_BASE;
    *why = "it has no registers that could be mapped";
    if (fdt_reg(set->fdt, node, 0, &pass->address, &pass->reg_size) != 0 || pass->reg_size == 0 ||
        pass->reg_size > PASS_SIZE || pass->address > UINT64_MAX - 2 * PASS_SIZE)
        return -E_INVAL;
    *why = "memory and processors cannot be passed on";
    if (fdt_prop(set->fdt, node, "device_type", NULL) != NULL || pass->address == intc->address)
        return -E_INVAL;
    *why = "its registers share a page with something else";
    if (pass->address % PAGE != 0)
        return -E_INVAL;
    pass->size = (pass->reg_size + PAGE - 1) & ~(PAGE - 1);
    *why = "it is too large";
    if (pass->size > PASS_BASE + PASS_SIZE - set->gpa_next)
        return -E_NOSPC;
    pass->virtio = fdt_prop(set->fdt, node, "compatible", NULL) != NULL &&
                   strcmp(fdt_str_at(set->fdt, node, "compatible", 0), "virtio,mmio") == 0;
    *why = "it is a virtio device that takes untranslated addresses (legacy, or without "
           "iommu_platform); its DMA would land in others' memory";
    if (pass->virtio && !virtio_translates(set->access, pass->address))
        return -E_NOTSUP;
    pass->intc = intc;
    pass->node = node;
    pass->line = intc_line_of(intc, set->fdt, node);
    pass->guest_line = PASS_LINE + set->count;
    pass->gpa = set->gpa_next;
    set->gpa_next += pass->size;
    set->count++;
    return 0;
}

/* ---- The line ---- */

/*
 * To a PLIC, a pulse: the guest's gateway remembers it until the guest has completed it. To an
 * APLIC, a level that is up until the guest asks again.
 */
static bool pass_interrupt(void *arg)
{
    struct pass *pass = arg;
    if (atomic_exchange(&pass->claimed, true))
        atomic_store(&pass->missed, true);
    if (pass->aplic != NULL) {
        aplic_set(pass->aplic, pass->guest_line, true);
        return false;
    }
    plic_set(pass->plic, pass->guest_line, true);
    plic_set(pass->plic, pass->guest_line, false);
    return false;
}

static struct pass *pass_of(struct pass_set *set, uint32_t source)
{
    return source >= PASS_LINE && source < PASS_LINE + set->count ? &set->passes[source - PASS_LINE]
                                                                  : NULL;
}

static void complete(const struct pass_set *set, struct pass *pass)
{
    intc_complete(pass->intc, pass->line);
    intc_move(pass->intc, pass->line, set->here());
}

/* With the guest's PLIC locked. */
static void pass_completed(void *arg, uint32_t source)
{
    struct pass *pass = pass_of(arg, source);
    if (pass != NULL && atomic_exchange(&pass->claimed, false))
        complete(arg, pass);
}

/* With the guest's APLIC locked. The board's line is asked even if it goes past us. */
static bool pass_again(void *arg, uint32_t source)
{
    struct pass *pass = pass_of(arg, source);
    if (pass == NULL)
        return false;
    bool missed = atomic_exchange(&pass->missed, false);
    atomic_store(&pass->claimed, missed);
    if (!missed)
        complete(arg, pass);
    return missed;
}

/*
 * Who changes something of this does that first and calls then, so that of two the later one sees
 * both changes. What was on its way to the old place may not have got there: a level comes again.
 */
static void route(struct pass_set *set, struct pass *pass)
{
    host_lock_acquire(&set->route_lock);
    uint32_t target = aplic_target(pass->aplic, pass->guest_line);
    uint32_t vcpu = target >> 18, file = target != 0 ? set->file_of(set->vm, vcpu) : 0;
    intc_aim(pass->intc, pass->line, file != 0 ? file | (target & 0x7ff) : 0);
    host_lock_release(&set->route_lock);
}

static void pass_changed(void *arg, uint32_t source)
{
    struct pass *pass = pass_of(arg, source);
    if (pass != NULL)
        route(arg, pass);
}

void pass_files_moved(struct pass_set *set)
{
    for (unsigned i = 0; i < set->count; i++)
        route(set, &set->passes[i]);
}

int pass_wire(struct pass_set *set, struct plic *plic, struct aplic *aplic, struct gstage *gstage)
{
    const unsigned flags = PTE_R | PTE_W | PTE_U | PTE_A | PTE_D;
    int error = 0;

    if (set->count == 0)
        return 0;
    host_lock_init(&set->route_lock);
    if (aplic != NULL) {
        aplic->real = (struct aplic_real){
            .from = PASS_LINE, .arg = set, .changed = pass_changed, .again = pass_again};
    } else {
        plic->completed = pass_completed;
        plic->completed_arg = set;
    }
    for (unsigned i = 0; error == 0 && i < set->count; i++) {
        struct pass *pass = &set->passes[i];
        pass->plic = plic;
        pass->aplic = aplic;
        error = gstage_map(gstage, pass->gpa, pass->address, pass->size, flags);
        if (error == 0 && pass->line != 0)
            error = intc_open(pass->intc, pass->line, pass_interrupt, pass);
    }
    return error;
}

void pass_reset(struct pass_set *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        struct pass *pass = &set->passes[i];
        struct vio vio;
        if (pass->virtio && vio_probe(&vio, set->access, (void *)(uintptr_t)pass->address) == 0)
            vio_stop(&vio);
        atomic_store(&pass->missed, false);
        if (pass->aplic != NULL)
            aplic_set(pass->aplic, pass->guest_line, false);
        if (atomic_exchange(&pass->claimed, false))
            intc_complete(pass->intc, pass->line);
    }
}

void pass_close(struct pass_set *set)
{
    for (unsigned i = 0; i < set->count; i++)
        intc_close(set->passes[i].intc, set->passes[i].line);
    pass_reset(set);
    set->count = 0;
}

/* ---- What the guest is told ---- */

/* Properties that name other nodes of the board's tree, or that we write ourselves. */
static bool left_out(const char *name)
{
    static const char *const names[] = {"reg",
                                        "interrupts",
                                        "interrupts-extended",
                                        "interrupt-parent",
                                        "phandle",
                                        "linux,phandle",
                                        "clocks",
                                        "assigned-clocks",
                                        "resets",
                                        "power-domains",
                                        "dmas",
                                        "iommus",
                                        "status",
                                        "dma-ranges",
                                        "ranges"};
    size_t len = strlen(name);
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return (len > 8 && memcmp(name, "pinctrl-", 8) == 0) ||
           (len > 7 && strcmp(name + len - 7, "-supply") == 0) ||
           (len > 6 && strcmp(name + len - 6, "-gpios") == 0);
}

static void describe(const struct pass_set *set, const struct pass *pass, struct fdt_writer *w,
                     uint32_t plic_phandle)
{
    char name[40];
    const char *full = fdt_name(set->fdt, pass->node), *property;
    const void *value;
    uint32_t cursor = 0, len;
    size_t n = 0;

    for (; n < sizeof name - 1 && full[n] != 0 && full[n] != '@'; n++)
        name[n] = full[n];
    name[n] = 0;
    fdt_node_at(w, name, pass->gpa);
    fdt_put_reg64(w, pass->gpa, pass->reg_size);
    if (pass->line != 0) {
        fdt_put_u32(w, "interrupt-parent", plic_phandle);
        fdt_put_u32(w, "interrupts", pass->guest_line);
    }
    while (fdt_next_prop(set->fdt, pass->node, &cursor, &property, &value, &len)) {
        if (!left_out(property))
            fdt_put(w, property, value, len);
    }
    fdt_end(w);
}

void pass_describe(void *arg, struct fdt_writer *w, uint32_t plic_phandle)
{
    const struct pass_set *set = arg;
    const uint32_t dma[6] = {(uint32_t)(set->ram_hpa >> 32),  (uint32_t)set->ram_hpa,
                             (uint32_t)(set->ram_gpa >> 32),  (uint32_t)set->ram_gpa,
                             (uint32_t)(set->ram_size >> 32), (uint32_t)set->ram_size};

    if (set->count == 0)
        return;
    fdt_node(w, "passthrough");
    fdt_put_u32(w, "#address-cells", 2);
    fdt_put_u32(w, "#size-cells", 2);
    fdt_put_str(w, "compatible", "simple-bus");
    fdt_put_empty(w, "ranges");
    fdt_put_cells(w, "dma-ranges", dma, 6);
    for (unsigned i = 0; i < set->count; i++)
        describe(set, &set->passes[i], w, plic_phandle);
    fdt_end(w);
}
