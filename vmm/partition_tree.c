#include "vmm/partition_tree.h"

#include "vmm/plan_impl.h"

#define NEEDED_MAX 32
#define IRQ_S      9
#define ABSENT     0xffffffffu
#define UART_CLOCK 3686400 /* as good as any: the firmware's has no line to be fast on */

struct tree {
    struct fdt_writer w;
    const struct fdt *fdt;
    const struct plan *plan;
    const struct plan_board *board;
    const struct plan_partition *part;
    unsigned index; /* of the partition */
    const struct partition_boot *boot;
    unsigned address_cells, size_cells; /* the root's */
    uint32_t next_phandle;              /* free from here on */
    int needed[NEEDED_MAX];             /* providers without registers that its devices refer to */
    unsigned needed_count;
};

enum fate { DROPPED, WHOLE, IN_PART, PLIC, IMSIC, UART };

/* ---- Cells ---- */

static uint32_t cell_at(const void *value, uint32_t index)
{
    const uint8_t *at = (const uint8_t *)value + 4 * (size_t)index;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* "reg" by the root's numbers of cells. */
static void put_range(struct tree *t, struct plan_range range)
{
    uint32_t cells[4];
    unsigned n = 0;
    if (t->address_cells == 2)
        cells[n++] = (uint32_t)(range.base >> 32);
    cells[n++] = (uint32_t)range.base;
    if (t->size_cells == 2)
        cells[n++] = (uint32_t)(range.size >> 32);
    cells[n++] = (uint32_t)range.size;
    fdt_put_cells(&t->w, "reg", cells, n);
}

static bool ends_with(const char *name, const char *end)
{
    size_t len = strlen(name), tail = strlen(end);
    return len >= tail && memcmp(name + len - tail, end, tail) == 0;
}

static bool begins_with(const char *name, const char *begin)
{
    size_t len = strlen(begin);
    return strlen(name) >= len && memcmp(name, begin, len) == 0;
}

/* ---- References ---- */

/* How many cells follow a phandle is said by the target's property of this name; "": none follow.
 * NULL: no reference. */
static const char *reference_cells(const char *name)
{
    static const char table[] = "clocks\0#clock-cells\0"
                                "assigned-clocks\0#clock-cells\0"
                                "resets\0#reset-cells\0"
                                "power-domains\0#power-domain-cells\0"
                                "phys\0#phy-cells\0"
                                "dmas\0#dma-cells\0"
                                "iommus\0#iommu-cells\0"
                                "msi-parent\0#msi-cells\0"
                                "mboxes\0#mbox-cells\0"
                                "phy-handle\0\0"
                                "regmap\0\0"
                                "syscon\0\0"
                                "next-level-cache\0\0"
                                "cpu-idle-states\0\0"
                                "memory-region\0\0"
                                "operating-points-v2\0\0";
    const char *cells;
    for (const char *at = table; *at != 0; at = cells + strlen(cells) + 1) {
        cells = at + strlen(at) + 1;
        if (strcmp(name, at) == 0)
            return cells;
    }
    if (ends_with(name, "-supply") ||
        (begins_with(name, "pinctrl-") && strcmp(name, "pinctrl-names") != 0))
        return "";
    if (strcmp(name, "gpios") == 0 || ends_with(name, "-gpios") || ends_with(name, "-gpio"))
        return "#gpio-cells";
    return NULL;
}

static bool is_given(const struct tree *t, int node)
{
    for (unsigned i = 0; i < t->part->device_count; i++) {
        if (t->board->devices[t->part->devices[i]].node == node)
            return true;
    }
    return false;
}

static bool is_needed(const struct tree *t, int node)
{
    for (unsigned i = 0; i < t->needed_count; i++) {
        if (t->needed[i] == node)
            return true;
    }
    return false;
}

/* Whether the partition's tree will have it. */
static bool is_kept(const struct tree *t, int node)
{
    if (node == t->board->plic_node || node == t->board->imsic_node || is_needed(t, node))
        return true;
    for (; node > 0; node = fdt_parent(t->fdt, node)) {
        if (is_given(t, node) || is_needed(t, node))
            return true;
    }
    return false;
}

/* Calls for each target of a property that refers to others; false ends it. */
static bool each_target(struct tree *t, const char *name, const void *value, uint32_t len,
                        bool (*visit)(struct tree *t, int node))
{
    const char *cells = reference_cells(name);
    for (uint32_t i = 0; cells != NULL && i < len / 4; i++) {
        int node = fdt_by_phandle(t->fdt, cell_at(value, i));
        if (!visit(t, node))
            return false;
        if (node >= 0 && cells[0] != 0)
            i += fdt_u32(t->fdt, node, cells, 0) & 15;
    }
    return true;
}

static bool target_kept(struct tree *t, int node)
{
    return node >= 0 && is_kept(t, node);
}

static bool need_target(struct tree *t, int node)
{
    if (node > 0 && !is_kept(t, node) && fdt_prop(t->fdt, node, "reg", NULL) == NULL &&
        t->needed_count < NEEDED_MAX)
        t->needed[t->needed_count++] = node;
    return true;
}

static void collect_needs_of(struct tree *t, int node)
{
    uint32_t cursor = 0, len;
    const char *name;
    const void *value;
    while (fdt_next_prop(t->fdt, node, &cursor, &name, &value, &len))
        each_target(t, name, value, len, need_target);
    for (int child = fdt_first_child(t->fdt, node); child >= 0;
         child = fdt_next_sibling(t->fdt, child))
        collect_needs_of(t, child);
}

static void collect_needs(struct tree *t)
{
    for (unsigned i = 0; i < t->part->device_count; i++)
        collect_needs_of(t, t->board->devices[t->part->devices[i]].node);
    for (unsigned i = 0; i < t->needed_count; i++)
        collect_needs_of(t, t->needed[i]);
}

/* ---- Copying ---- */

/* All properties but those in `without`, and those that refer to what is not there. */
static void copy_props(struct tree *t, int node, const char *without)
{
    uint32_t cursor = 0, len;
    const char *name;
    const void *value;
    while (fdt_next_prop(t->fdt, node, &cursor, &name, &value, &len)) {
        if (plan_is_one_of(name, without) ||
            (!t->part->everything && !each_target(t, name, value, len, target_kept)))
            continue;
        fdt_put(&t->w, name, value, len);
    }
}

static void copy_whole(struct tree *t, int node)
{
    fdt_node(&t->w, fdt_name(t->fdt, node));
    copy_props(t, node, "");
    for (int child = fdt_first_child(t->fdt, node); child >= 0;
         child = fdt_next_sibling(t->fdt, child))
        copy_whole(t, child);
    fdt_end(&t->w);
}

static bool is_machine(const struct tree *t, int node)
{
    for (unsigned i = 0; i < t->board->machine_count; i++) {
        if (t->board->machine_nodes[i] == node)
            return true;
    }
    return false;
}

static enum fate fate_of(struct tree *t, int node);

static bool has_kept(struct tree *t, int node)
{
    for (int child = fdt_first_child(t->fdt, node); child >= 0;
         child = fdt_next_sibling(t->fdt, child)) {
        if (fate_of(t, child) != DROPPED)
            return true;
    }
    return false;
}

static enum fate fate_of(struct tree *t, int node)
{
    const struct plan_board *board = t->board;
    uint32_t len;
    if (is_machine(t, node))
        return DROPPED;
    if (node == board->plic_node)
        return PLIC;
    if (node == board->imsic_node)
        return IMSIC;
    if (t->part->everything)
        return IN_PART;
    if (is_given(t, node) || is_needed(t, node))
        return WHOLE;
    if (board->uart >= 0 && node == board->devices[board->uart].node)
        return UART;
    /* What works through a device of ours, as syscon-reboot. */
    const void *regmap = fdt_prop(t->fdt, node, "regmap", &len);
    if (regmap != NULL && each_target(t, "regmap", regmap, len, target_kept))
        return WHOLE;
    return has_kept(t, node) ? IN_PART : DROPPED;
}

/* ---- Harts ---- */

static unsigned own_vcpu(const struct tree *t, uint32_t intc)
{
    for (unsigned v = 0; v < t->part->vcpu_count; v++) {
        if (t->board->harts[t->part->harts[v]].intc == intc)
            return v;
    }
    return PLAN_NONE;
}

/* Two VCPUs may take turns on one hart: the second needs names of its own. */
static bool is_second(const struct tree *t, unsigned v)
{
    for (unsigned u = 0; u < v; u++) {
        if (t->part->harts[u] == t->part->harts[v])
            return true;
    }
    return false;
}

static void put_hart_node(struct tree *t, int node, bool second)
{
    copy_props(t, node, second ? "reg\0phandle\0linux,phandle\0" : "reg\0");
    if (second)
        fdt_put_u32(&t->w, "phandle", t->next_phandle++);
}

static void put_harts(struct tree *t)
{
    int cpus = fdt_path(t->fdt, "/cpus");
    fdt_node(&t->w, "cpus");
    copy_props(t, cpus, "#address-cells\0#size-cells\0");
    fdt_put_u32(&t->w, "#address-cells", 1);
    fdt_put_u32(&t->w, "#size-cells", 0);
    for (unsigned v = 0; v < t->part->vcpu_count; v++) {
        int node = t->board->harts[t->part->harts[v]].node;
        bool second = is_second(t, v);
        fdt_node_at(&t->w, "cpu", v);
        put_hart_node(t, node, second);
        fdt_put_u32(&t->w, "reg", v);
        int intc = fdt_child(t->fdt, node, "interrupt-controller");
        if (intc >= 0) {
            fdt_node(&t->w, "interrupt-controller");
            put_hart_node(t, intc, second);
            fdt_end(&t->w);
        }
        fdt_end(&t->w);
    }
    fdt_end(&t->w);
}

/* ---- Interrupt controllers ---- */

/*
 * As many entries as the board's, since the n-th is context n; what is not an own hart's S-mode
 * is <own intc, 0xffffffff> (riscv: "no such context").
 */
static void put_outputs(struct tree *t, int node)
{
    uint32_t len, own = t->board->harts[t->part->harts[0]].intc;
    const void *value = fdt_prop(t->fdt, node, "interrupts-extended", &len);
    uint32_t cells[4 * PLAN_HARTS_MAX];
    unsigned count = 0;
    for (uint32_t i = 0; value != NULL && i + 2 <= len / 4 && count + 2 <= 4 * PLAN_HARTS_MAX;
         i += 2) {
        uint32_t intc = cell_at(value, i), irq = cell_at(value, i + 1);
        bool ours = own_vcpu(t, intc) != PLAN_NONE;
        cells[count++] = ours ? intc : own;
        cells[count++] = ours && irq == IRQ_S ? irq : ABSENT;
    }
    if (count > 0)
        fdt_put_cells(&t->w, "interrupts-extended", cells, count);
}

static void put_controller(struct tree *t, int node)
{
    fdt_node(&t->w, fdt_name(t->fdt, node));
    copy_props(t, node, "interrupts-extended\0");
    put_outputs(t, node);
    fdt_end(&t->w);
}

/* The firmware's: byte-wide registers, no line. */
static void put_uart(struct tree *t, int node)
{
    uint32_t len;
    const void *reg = fdt_prop(t->fdt, node, "reg", &len);
    fdt_node(&t->w, fdt_name(t->fdt, node));
    fdt_put_str(&t->w, "compatible", "ns16550a");
    fdt_put(&t->w, "reg", reg, len);
    fdt_put_u32(&t->w, "clock-frequency", fdt_u32(t->fdt, node, "clock-frequency", UART_CLOCK));
    fdt_end(&t->w);
}

/* ---- What is a partition's own ---- */

static void put_memory(struct tree *t)
{
    for (unsigned i = 0; i < t->part->ram_count; i++) {
        fdt_node_at(&t->w, "memory", t->part->ram[i].base);
        fdt_put_str(&t->w, "device_type", "memory");
        put_range(t, t->part->ram[i]);
        fdt_end(&t->w);
    }
}

static void put_reservation(struct tree *t, struct plan_range range)
{
    if (range.size == 0)
        return;
    fdt_node_at(&t->w, "trivisor", range.base);
    put_range(t, range);
    fdt_put_empty(&t->w, "no-map");
    fdt_end(&t->w);
}

/* Plain firmware tells what of the board's memory is not for the kernel, beside what the board
 * says. */
static void put_reserved(struct tree *t)
{
    int node = fdt_path(t->fdt, "/reserved-memory");
    fdt_node(&t->w, "reserved-memory");
    if (node >= 0) {
        copy_props(t, node, "");
    } else {
        fdt_put_u32(&t->w, "#address-cells", t->address_cells);
        fdt_put_u32(&t->w, "#size-cells", t->size_cells);
        fdt_put_empty(&t->w, "ranges");
    }
    for (int child = fdt_first_child(t->fdt, node); child >= 0;
         child = fdt_next_sibling(t->fdt, child))
        copy_whole(t, child);
    put_reservation(t, t->board->firmware);
    put_reservation(t, t->board->bundle);
    fdt_end(&t->w);
}

static void put_chosen(struct tree *t)
{
    const struct partition_boot *boot = t->boot;
    int chosen = fdt_path(t->fdt, "/chosen");
    const char *bootargs = boot->bootargs, *out = fdt_str(t->fdt, chosen, "stdout-path");
    if (bootargs == NULL)
        bootargs =
            t->part->spec != NULL ? t->part->spec->cmdline : fdt_str(t->fdt, chosen, "bootargs");
    fdt_node(&t->w, "chosen");
    if (t->part->everything)
        copy_props(t, chosen,
                   "bootargs\0linux,initrd-start\0linux,initrd-end\0rng-seed\0stdout-path\0");
    if (bootargs != NULL)
        fdt_put_str(&t->w, "bootargs", bootargs);
    if (boot->initrd_size != 0) {
        fdt_put_u64(&t->w, "linux,initrd-start", boot->initrd);
        fdt_put_u64(&t->w, "linux,initrd-end", boot->initrd + boot->initrd_size);
    }
    if (boot->seed != NULL)
        fdt_put(&t->w, "rng-seed", boot->seed, boot->seed_size);
    if (out != NULL)
        fdt_put_str(&t->w, "stdout-path", out);
    fdt_end(&t->w);
}

/* Names of nodes that are not there would mislead. */
static void put_aliases(struct tree *t, int aliases)
{
    uint32_t cursor = 0, len;
    const char *name;
    const void *value;
    fdt_node(&t->w, "aliases");
    while (fdt_next_prop(t->fdt, aliases, &cursor, &name, &value, &len)) {
        const char *path = fdt_str(t->fdt, aliases, name);
        int node = path != NULL ? fdt_path(t->fdt, path) : -1;
        if (node > 0 && fate_of(t, node) != DROPPED)
            fdt_put(&t->w, name, value, len);
    }
    fdt_end(&t->w);
}

/* What the firmware is to it: its number, and the windows with their doorbells. */
static void put_firmware(struct tree *t)
{
    fdt_node(&t->w, "trivisor");
    fdt_put_str(&t->w, "compatible", "trivisor,partition");
    fdt_put_u32(&t->w, "#address-cells", t->address_cells);
    fdt_put_u32(&t->w, "#size-cells", t->size_cells);
    fdt_put_empty(&t->w, "ranges");
    fdt_put_str(&t->w, "label", t->part->spec->name);
    fdt_put_u32(&t->w, "partition", t->index);
    if (t->part->spec->control)
        fdt_put_empty(&t->w, "control");
    for (unsigned i = 0; i < t->plan->window_count; i++) {
        const struct plan_window *window = &t->plan->windows[i];
        const unsigned *ends = window->partitions;
        if (ends[0] != t->index && ends[1] != t->index)
            continue;
        fdt_node_at(&t->w, "window", window->range.base);
        fdt_put_str(&t->w, "compatible", "trivisor,window");
        fdt_put_str(&t->w, "label", window->name);
        put_range(t, window->range);
        fdt_put_u32(&t->w, "doorbell", i);
        fdt_put_u32(&t->w, "peer", ends[ends[0] == t->index]);
        fdt_end(&t->w);
    }
    fdt_end(&t->w);
}

/* ---- All of it ---- */

static void copy_children(struct tree *t, int node);

static void copy_child(struct tree *t, int node)
{
    switch (fate_of(t, node)) {
    case DROPPED: break;
    case WHOLE: copy_whole(t, node); break;
    case PLIC:
    case IMSIC: put_controller(t, node); break;
    case UART: put_uart(t, node); break;
    case IN_PART:
        fdt_node(&t->w, fdt_name(t->fdt, node));
        copy_props(t, node, "");
        copy_children(t, node);
        fdt_end(&t->w);
        break;
    }
}

/* What is made anew is not copied. */
static bool is_own(const struct tree *t, int node)
{
    const char *name = fdt_name(t->fdt, node), *type = fdt_str(t->fdt, node, "device_type");
    if (plan_is_one_of(name, "chosen\0reserved-memory\0aliases\0trivisor\0"))
        return true;
    return !t->part->everything &&
           (strcmp(name, "cpus") == 0 || (type != NULL && strcmp(type, "memory") == 0));
}

static void copy_children(struct tree *t, int node)
{
    for (int child = fdt_first_child(t->fdt, node); child >= 0;
         child = fdt_next_sibling(t->fdt, child)) {
        if (node != fdt_root(t->fdt) || !is_own(t, child))
            copy_child(t, child);
    }
}

static uint32_t highest_phandle(const struct fdt *fdt, int node)
{
    uint32_t highest = fdt_u32(fdt, node, "phandle", 0);
    for (int child = fdt_first_child(fdt, node); child >= 0; child = fdt_next_sibling(fdt, child)) {
        uint32_t other = highest_phandle(fdt, child);
        highest = other > highest ? other : highest;
    }
    return highest;
}

long partition_tree_write(void *buf, size_t capacity, const struct plan *plan,
                          const struct plan_board *board, unsigned partition,
                          const struct partition_boot *boot)
{
    struct tree t = {
        .fdt = board->fdt,
        .plan = plan,
        .board = board,
        .part = &plan->partitions[partition],
        .index = partition,
        .boot = boot,
    };
    int root = fdt_root(t.fdt), aliases = fdt_path(t.fdt, "/aliases");
    t.address_cells = fdt_u32(t.fdt, root, "#address-cells", 2) == 1 ? 1 : 2;
    t.size_cells = fdt_u32(t.fdt, root, "#size-cells", 1) == 1 ? 1 : 2;
    t.next_phandle = highest_phandle(t.fdt, root) + 1;
    if (!t.part->everything)
        collect_needs(&t);

    fdt_begin(&t.w, buf, capacity);
    fdt_node(&t.w, "");
    copy_props(&t, root, "");
    put_chosen(&t);
    if (aliases >= 0)
        put_aliases(&t, aliases);
    if (t.part->everything) {
        put_reserved(&t);
    } else {
        put_memory(&t);
        put_harts(&t);
        put_firmware(&t);
    }
    copy_children(&t, root);
    fdt_end(&t.w);
    return fdt_finish(&t.w);
}
