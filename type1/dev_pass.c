#include "type1/dev_pass.h"

#include "core/error.h"
#include "devices/aplic.h"
#include "type1/dev_virtio.h"

#include <stdatomic.h>

#define PAGE          4096ULL
#define LARGE         (2ULL << 20)
#define LEAF_FLAGS    (PTE_R | PTE_W | PTE_U | PTE_A | PTE_D)
#define REG_INDEX_MAX 64
#define PASS_IO       0x3000000ULL
#define PASS_IO_SIZE  0x10000ULL

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

/* ---- What no guest may have ---- */

static bool is_a(const struct fdt *fdt, int node, const char *compatible)
{
    const char *name;
    for (unsigned i = 0; (name = fdt_str_at(fdt, node, "compatible", i)) != NULL; i++) {
        if (strcmp(name, compatible) == 0)
            return true;
    }
    return false;
}

static bool switches_off(const struct fdt *fdt, int node)
{
    static const char *const by[] = {"syscon-poweroff", "syscon-reboot"};
    for (unsigned i = 0; i < sizeof by / sizeof by[0]; i++) {
        for (int user = -1; (user = fdt_compatible_next(fdt, user, by[i])) >= 0;) {
            if (fdt_by_phandle(fdt, fdt_u32(fdt, user, "regmap", 0)) == node)
                return true;
        }
    }
    return is_a(fdt, node, "sifive,test0");
}

/* Its lines go to the harts' own controllers: what has IPIs and timers, of whatever make. */
static bool interrupts_harts(const struct fdt *fdt, int node)
{
    uint32_t len = 0;
    const uint8_t *cells = fdt_prop(fdt, node, "interrupts-extended", &len);
    if (cells == NULL || len < 4)
        return false;
    const char *type =
        fdt_str(fdt, fdt_parent(fdt, fdt_by_phandle(fdt, fdt_cell(cells))), "device_type");
    return type != NULL && strcmp(type, "cpu") == 0;
}

/* By its kind; NULL: nothing is in the way. */
static const char *forbidden(const struct fdt *fdt, int node)
{
    if (fdt_prop(fdt, node, "interrupt-controller", NULL) != NULL ||
        fdt_prop(fdt, node, "msi-controller", NULL) != NULL)
        return "it is an interrupt controller";
    if (interrupts_harts(fdt, node))
        return "it is the harts' timer or IPIs";
    if (fdt_prop(fdt, node, "#iommu-cells", NULL) != NULL)
        return "it is an IOMMU";
    return switches_off(fdt, node) ? "it switches the board off" : NULL;
}

/* Neither range wraps. */
static bool meets(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a - b < b_size || b - a < a_size;
}

/* RAM, or what is reserved, which may be no RAM of the tree. */
static bool is_memory(const struct fdt *fdt, uint64_t from, uint64_t size)
{
    const int parents[2] = {fdt_root(fdt), fdt_path(fdt, "/reserved-memory")};
    for (unsigned i = 0; i < 2; i++) {
        for (int node = fdt_first_child(fdt, parents[i]); node >= 0;
             node = fdt_next_sibling(fdt, node)) {
            const char *type = fdt_str(fdt, node, "device_type");
            uint64_t base, length;
            if (i == 0 && (type == NULL || strcmp(type, "memory") != 0))
                continue;
            for (unsigned n = 0;
                 n < REG_INDEX_MAX && fdt_reg_under(fdt, parents[i], node, n, &base, &length) == 0;
                 n++) {
                if (meets(from, size, base, length))
                    return true;
            }
        }
    }
    return false;
}

static bool is_given(const struct pass_set *set, uint64_t from, uint64_t size)
{
    for (const struct pass_set *other = *set->all; other != NULL; other = other->next) {
        for (unsigned i = 0; i < other->count; i++) {
            if (meets(from, size, other->passes[i].address, other->passes[i].size))
                return true;
        }
    }
    return false;
}

/* By its place; NULL: nothing is in the way. Whole pages. */
static const char *occupied(const struct pass_set *set, uint64_t from, uint64_t size)
{
    if (is_memory(set->fdt, from, size))
        return "that is memory";
    if (is_given(set, from, size))
        return "it is given already";
    if (meets(from, size, set->intc->address, set->intc->size) ||
        (set->iommu->node >= 0 && meets(from, size, set->iommu->address, set->iommu->size)) ||
        set->used(from, size))
        return "the hypervisor uses it";
    return NULL;
}

/* ---- Giving ---- */

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

static int add_line(struct pass_set *set, uint32_t line)
{
    unsigned at = 0;
    while (at < set->line_count && set->lines[at].line != line)
        at++;
    if (at == PASS_LINES_MAX)
        return -E_NOSPC;
    if (at == set->line_count) {
        set->lines[at] = (struct pass_line){.set = set, .line = line};
        set->line_count++;
    }
    return (int)at;
}

/* What is particular about a PCI host; NULL: nothing that is in the way. */
static const char *take_host(struct pass_set *set, struct pass *pass)
{
    struct pci_route route = {0};
    if (pass->reg_size > PASS_ECAM_MAX)
        pass->reg_size = PASS_ECAM_MAX;
    if (pass->grant < 0)
        return iommu_of_pci(set->fdt)
                   ? "its IOMMU is a PCI device, which is not supported"
                   : "there is no IOMMU for it, and its DMA would reach all memory";
    if (!pci_quiet(set->access, pass->address, (unsigned)(pass->reg_size / PCI_BUS_SIZE)))
        return "a virtio device on it takes untranslated addresses (give it iommu_platform=on, "
               "disable-legacy=on)";
    while (pci_next_route(set->fdt, pass->node, set->intc->phandle, &route)) {
        if (add_line(set, intc_take_line(set->intc, route.cells, route.len)) < 0)
            return "it has too many interrupts";
    }
    return NULL;
}

static int take(struct pass_set *set, struct pass *pass, const char **why)
{
    *why = "it has no registers that could be mapped";
    if (fdt_reg(set->fdt, pass->node, 0, &pass->address, &pass->reg_size) != 0 ||
        pass->reg_size == 0 || pass->address > UINT64_MAX - 2 * PASS_SIZE)
        return -E_INVAL;
    pass->size = (pass->reg_size + PAGE - 1) & ~(PAGE - 1);
    if ((*why = forbidden(set->fdt, pass->node)) != NULL ||
        (*why = occupied(set, pass->address & ~(PAGE - 1), pass->size)) != NULL)
        return -E_BUSY;
    *why = "it is too large";
    if (pass->reg_size > PASS_SIZE)
        return -E_INVAL;
    *why = "its registers share a page with something else";
    if (pass->address % PAGE != 0)
        return -E_INVAL;
    pass->grant = iommu_grant(set->iommu, set->fdt, pass->node, set->owner);
    *why = "the IOMMU has no room for it, or it is another guest's";
    if (pass->grant < 0 && pass->grant != -E_NODEV)
        return pass->grant;
    if (pass->pci && (*why = take_host(set, pass)) != NULL)
        return -E_NOTSUP;
    *why = "it is too large";
    pass->size = (pass->reg_size + PAGE - 1) & ~(PAGE - 1);
    pass->gpa = pass->pci ? (set->gpa_next + LARGE - 1) & ~(LARGE - 1) : set->gpa_next;
    if (pass->size > PASS_BASE + PASS_SIZE - pass->gpa)
        return -E_NOSPC;
    *why = "it is a virtio device that takes untranslated addresses (legacy, or without "
           "iommu_platform); its DMA would land in others' memory";
    if (pass->virtio && !virtio_translates(set->access, pass->address))
        return -E_NOTSUP;
    uint32_t line = intc_line_of(set->intc, set->fdt, pass->node);
    if (line == 0)
        return 0;
    int at = add_line(set, line);
    pass->line = (unsigned)at;
    pass->has_line = at >= 0;
    *why = "it has too many interrupts";
    return at < 0 ? at : 0;
}

int pass_add(struct pass_set *set, const char *device, const char **why)
{
    struct pass *pass = &set->passes[set->count];

    if (set->count == 0) {
        set->gpa_next = PASS_BASE;
        set->line_count = 0;
    }
    *pass = (struct pass){.node = pass_node(set->fdt, device), .grant = -1};
    *why = "the board has no such device";
    if (pass->node < 0)
        return -E_NODEV;
    pass->pci = pci_is_host(set->fdt, pass->node);
    pass->virtio = is_a(set->fdt, pass->node, "virtio,mmio");
    int error = take(set, pass, why);
    if (error == 0) {
        set->gpa_next = pass->gpa + pass->size;
        set->count++;
    } else if (pass->grant >= 0) {
        iommu_revoke(set->iommu, pass->grant);
    }
    return error;
}

/* ---- The lines ---- */

static uint32_t guest_line(const struct pass_line *line)
{
    return PASS_LINE + (uint32_t)(line - line->set->lines);
}

static struct pass_line *line_of(struct pass_set *set, uint32_t source)
{
    return source >= PASS_LINE && source < PASS_LINE + set->line_count
               ? &set->lines[source - PASS_LINE]
               : NULL;
}

/*
 * To a PLIC, a pulse: the guest's gateway remembers it until the guest has completed it. To an
 * APLIC, a level that is up until the guest asks again.
 */
static bool pass_interrupt(void *arg)
{
    struct pass_line *line = arg;
    if (atomic_exchange(&line->claimed, true))
        atomic_store(&line->missed, true);
    if (line->set->aplic != NULL) {
        aplic_set(line->set->aplic, guest_line(line), true);
        return false;
    }
    plic_set(line->set->plic, guest_line(line), true);
    plic_set(line->set->plic, guest_line(line), false);
    return false;
}

static void complete(const struct pass_line *line)
{
    intc_complete(line->set->intc, line->line);
    intc_move(line->set->intc, line->line, line->set->here());
}

/* With the guest's PLIC locked. */
static void pass_completed(void *arg, uint32_t source)
{
    struct pass_line *line = line_of(arg, source);
    if (line != NULL && atomic_exchange(&line->claimed, false))
        complete(line);
}

/* With the guest's APLIC locked. The board's line is asked even if it goes past us. */
static bool pass_again(void *arg, uint32_t source)
{
    struct pass_line *line = line_of(arg, source);
    if (line == NULL)
        return false;
    bool missed = atomic_exchange(&line->missed, false);
    atomic_store(&line->claimed, missed);
    if (!missed)
        complete(line);
    return missed;
}

/*
 * Who changes something of this does that first and calls then, so that of two the later one sees
 * both changes. What was on its way to the old place may not have got there: a level comes again.
 */
static void route(struct pass_line *line)
{
    struct pass_set *set = line->set;
    host_lock_acquire(&set->route_lock);
    uint32_t target = aplic_target(set->aplic, guest_line(line));
    uint32_t vcpu = target >> 18, file = target != 0 ? set->file_of(set->vm, vcpu) : 0;
    intc_aim(set->intc, line->line, file != 0 ? file | (target & 0x7ff) : 0);
    host_lock_release(&set->route_lock);
}

static void pass_changed(void *arg, uint32_t source)
{
    struct pass_line *line = line_of(arg, source);
    if (line != NULL)
        route(line);
}

/* A device may write to a file as to any page, and the IOMMU may remember where it was. */
void pass_files_moved(struct pass_set *set)
{
    for (unsigned i = 0; i < set->line_count; i++)
        route(&set->lines[i]);
    for (unsigned i = 0; i < set->count; i++) {
        if (set->passes[i].grant >= 0)
            iommu_flush(set->iommu, set->passes[i].grant);
    }
}

/*
 * The guest sees a window where the board has it, unless it has something else there: its RAM, its
 * own devices or what else it was given. I/O space is where QEMU's board, and nothing of ours, has
 * it.
 */
static bool window_fits(const struct pass_set *set, const struct pci_window *window)
{
    uint64_t from = window->address, to = from + window->size;
    if (((from | to) & (PAGE - 1)) != 0 || to <= from)
        return false;
    if (from >= PASS_IO && to <= PASS_IO + PASS_IO_SIZE)
        return true;
    return from >= PASS_BASE + PASS_SIZE &&
           !meets(from, window->size, set->ram_gpa, set->ram_size) &&
           !is_memory(set->fdt, from, window->size);
}

static int map_windows(const struct pass_set *set, const struct pass *pass, struct gstage *gstage)
{
    struct pci_window window;
    int error = 0;
    for (unsigned i = 0; error == 0 && pci_window(set->fdt, pass->node, i, &window); i++) {
        if (window_fits(set, &window))
            error = gstage_map(gstage, window.address, window.address, window.size, LEAF_FLAGS);
    }
    return error;
}

int pass_wire(struct pass_set *set, struct plic *plic, struct aplic *aplic, struct gstage *gstage)
{
    int error = 0;

    if (set->count == 0)
        return 0;
    host_lock_init(&set->route_lock);
    set->plic = plic;
    set->aplic = aplic;
    if (aplic != NULL) {
        aplic->real = (struct aplic_real){
            .from = PASS_LINE, .arg = set, .changed = pass_changed, .again = pass_again};
    } else {
        plic->completed = pass_completed;
        plic->completed_arg = set;
    }
    set->iohgatp = (uint64_t)gstage_mode(gstage) << 60 | (uint64_t)(uintptr_t)gstage->root >> 12;
    for (unsigned i = 0; error == 0 && i < set->count; i++) {
        struct pass *pass = &set->passes[i];
        error = gstage_map(gstage, pass->gpa, pass->address, pass->size, LEAF_FLAGS);
        if (error == 0 && pass->pci)
            error = map_windows(set, pass, gstage);
    }
    for (unsigned i = 0; error == 0 && i < set->line_count; i++) {
        struct pass_line *line = &set->lines[i];
        error = line->open ? 0 : intc_open(set->intc, line->line, pass_interrupt, line);
        line->open = line->open || error == 0;
    }
    return error;
}

int pass_start(struct pass_set *set)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < set->count; i++) {
        if (set->passes[i].grant >= 0)
            error = iommu_open(set->iommu, set->passes[i].grant, set->iohgatp);
    }
    return error;
}

void pass_reset(struct pass_set *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        struct pass *pass = &set->passes[i];
        struct vio vio;
        if (pass->pci)
            pci_quiet(set->access, pass->address, (unsigned)(pass->reg_size / PCI_BUS_SIZE));
        if (pass->virtio && vio_probe(&vio, set->access, (void *)(uintptr_t)pass->address) == 0)
            vio_stop(&vio);
        if (pass->grant >= 0)
            iommu_close(set->iommu, pass->grant);
    }
    for (unsigned i = 0; i < set->line_count; i++) {
        struct pass_line *line = &set->lines[i];
        atomic_store(&line->missed, false);
        if (set->aplic != NULL)
            aplic_set(set->aplic, guest_line(line), false);
        if (atomic_exchange(&line->claimed, false))
            intc_complete(set->intc, line->line);
    }
}

bool pass_confined(const struct pass_set *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        if (set->passes[i].grant < 0)
            return false;
    }
    return true;
}

void pass_close(struct pass_set *set)
{
    for (unsigned i = 0; i < set->line_count; i++) {
        if (set->lines[i].open)
            intc_close(set->intc, set->lines[i].line);
    }
    pass_reset(set);
    for (unsigned i = 0; i < set->count; i++) {
        if (set->passes[i].grant >= 0)
            iommu_revoke(set->iommu, set->passes[i].grant);
    }
    set->count = set->line_count = 0;
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
                                        "bus-range",
                                        "interrupt-map",
                                        "iommu-map",
                                        "msi-map",
                                        "msi-parent",
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

static void put_cell(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/*
 * Buses, windows and the way of interrupts; the set's lines are those of pass_add. An APLIC is
 * named itself and not by the nexus before it: Linux starts a PCI host when the controllers that
 * its map names are there, and no driver is ever there for a nexus.
 */
static void describe_host(const struct pass_set *set, const struct pass *pass, struct fdt_writer *w,
                          uint32_t plic_phandle, uint32_t aplic_phandle)
{
    enum { ROUTES_MAX = 32, ROUTE = 28 };
    uint8_t map[ROUTES_MAX * ROUTE];
    const uint32_t route_size = aplic_phandle != 0 ? ROUTE : ROUTE - 4;
    uint32_t ranges[PCI_WINDOWS_MAX * 7], count = 0, len;
    struct pci_route route = {0};
    struct pci_window window;
    const uint8_t *buses = fdt_prop(set->fdt, pass->node, "bus-range", &len);

    uint32_t first = buses != NULL && len >= 4 ? fdt_cell(buses) : 0;
    const uint32_t range[2] = {first, first + (uint32_t)(pass->reg_size / PCI_BUS_SIZE) - 1};
    fdt_put_cells(w, "bus-range", range, 2);
    for (unsigned i = 0; pci_window(set->fdt, pass->node, i, &window); i++) {
        const uint32_t cells[7] = {window.space[0],          window.space[1],
                                   window.space[2],          (uint32_t)(window.address >> 32),
                                   (uint32_t)window.address, (uint32_t)(window.size >> 32),
                                   (uint32_t)window.size};
        if (window_fits(set, &window)) {
            memcpy(ranges + count, cells, sizeof cells);
            count += 7;
        }
    }
    fdt_put_cells(w, "ranges", ranges, count);
    len = 0;
    while (len + ROUTE <= sizeof map &&
           pci_next_route(set->fdt, pass->node, set->intc->phandle, &route)) {
        uint32_t line = fdt_cell(route.cells);
        memcpy(map + len, route.pin, 16);
        put_cell(map + len + 16, aplic_phandle != 0 ? aplic_phandle : plic_phandle);
        for (unsigned i = 0; i < set->line_count; i++) {
            if (set->lines[i].line == line)
                put_cell(map + len + 20, PASS_LINE + i);
        }
        if (aplic_phandle != 0)
            put_cell(map + len + 24, APLIC_LEVEL_HIGH);
        len += route_size;
    }
    fdt_put(w, "interrupt-map", map, len);
}

static void describe(const struct pass_set *set, const struct pass *pass, struct fdt_writer *w,
                     uint32_t plic_phandle, uint32_t aplic_phandle)
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
    if (pass->has_line) {
        fdt_put_u32(w, "interrupt-parent", plic_phandle);
        fdt_put_u32(w, "interrupts", PASS_LINE + pass->line);
    }
    if (pass->pci)
        describe_host(set, pass, w, plic_phandle, aplic_phandle);
    while (fdt_next_prop(set->fdt, pass->node, &cursor, &property, &value, &len)) {
        if (!left_out(property))
            fdt_put(w, property, value, len);
    }
    fdt_end(w);
}

void pass_describe(void *arg, struct fdt_writer *w, uint32_t plic_phandle, uint32_t aplic_phandle)
{
    const struct pass_set *set = arg;
    const uint32_t dma[6] = {(uint32_t)(set->ram_hpa >> 32),  (uint32_t)set->ram_hpa,
                             (uint32_t)(set->ram_gpa >> 32),  (uint32_t)set->ram_gpa,
                             (uint32_t)(set->ram_size >> 32), (uint32_t)set->ram_size};

    unsigned trusted = 0;
    for (unsigned i = 0; i < set->count; i++) {
        if (set->passes[i].grant >= 0)
            describe(set, &set->passes[i], w, plic_phandle, aplic_phandle);
        else
            trusted++;
    }
    if (trusted == 0)
        return;
    fdt_node(w, "passthrough");
    fdt_put_u32(w, "#address-cells", 2);
    fdt_put_u32(w, "#size-cells", 2);
    fdt_put_str(w, "compatible", "simple-bus");
    fdt_put_empty(w, "ranges");
    fdt_put_cells(w, "dma-ranges", dma, 6);
    for (unsigned i = 0; i < set->count; i++) {
        if (set->passes[i].grant < 0)
            describe(set, &set->passes[i], w, plic_phandle, aplic_phandle);
    }
    fdt_end(w);
}
