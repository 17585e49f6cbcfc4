/* A board's facts, from its device tree (Devicetree Specification v0.4; Linux's bindings). */
#include "core/words.h"
#include "vmm/plan_impl.h"

#define DEPTH_MAX 8
#define IRQ_S     9  /* supervisor external */
#define IRQ_M     11 /* machine external */

int plan_fail(struct plan_problem *problem, int error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    words_put(problem->text, sizeof problem->text, 0, format, args);
    va_end(args);
    return error;
}

/* ---- Ranges ---- */

static void remove_at(struct plan_range *list, unsigned *count, unsigned at)
{
    (*count)--;
    for (; at < *count; at++)
        list[at] = list[at + 1];
}

/* Keeps the list sorted. */
static void insert(struct plan_range *list, unsigned *count, unsigned max, struct plan_range range)
{
    if (*count == max || range.size == 0)
        return;
    unsigned at = (*count)++;
    for (; at > 0 && list[at - 1].base > range.base; at--)
        list[at] = list[at - 1];
    list[at] = range;
}

void plan_subtract(struct plan_range *list, unsigned *count, unsigned max, struct plan_range range)
{
    for (unsigned i = 0; i < *count;) {
        struct plan_range old = list[i];
        if (!plan_overlap(old, range)) {
            i++;
            continue;
        }
        uint64_t end = range.base + range.size, old_end = old.base + old.size;
        if (range.base > old.base)
            list[i++].size = range.base - old.base;
        else
            remove_at(list, count, i);
        if (old_end > end) {
            insert(list, count, max, (struct plan_range){end, old_end - end});
            i++;
        }
    }
}

static bool sane(struct plan_range range)
{
    return range.size != 0 && range.base < PLAN_LIMIT && range.size <= PLAN_LIMIT - range.base;
}

/* ---- The tree ---- */

/* A bus on the way down, with what its children need of it. */
struct bus {
    const struct bus *up;
    int node;
    unsigned address_cells, size_cells;
    uint32_t controller; /* interrupt-parent in force */
};

struct reading {
    struct plan_board *board;
    const struct fdt *fdt;
    uint32_t controllers[PLAN_DEVICES_MAX]; /* of each device */
    uint32_t lines_controller;              /* phandle of the PLIC, or of the APLIC of S-mode */
};

static uint32_t cell(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The low 64 bits of a number of cells. */
static uint64_t cells(const uint8_t *at, unsigned count)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++)
        value = value << 32 | cell(at + 4 * i);
    return value;
}

static uint32_t phandle_of(const struct fdt *fdt, int node)
{
    return fdt_u32(fdt, node, "phandle", fdt_u32(fdt, node, "linux,phandle", 0));
}

static bool compatible(const struct fdt *fdt, int node, const char *names)
{
    const char *entry;
    for (unsigned i = 0; (entry = fdt_str_at(fdt, node, "compatible", i)) != NULL; i++) {
        if (plan_is_one_of(entry, names))
            return true;
    }
    return false;
}

/* Of plan_is_one_of. */
static const char clint_names[] = "riscv,clint0\0"
                                  "sifive,clint0\0"
                                  "thead,c900-clint\0"
                                  "riscv,aclint-mswi\0"
                                  "riscv,aclint-mtimer\0"
                                  "riscv,aclint-sswi\0"
                                  "thead,c900-aclint-mswi\0"
                                  "thead,c900-aclint-mtimer\0";
static const char plic_names[] = "riscv,plic0\0"
                                 "sifive,plic-1.0.0\0"
                                 "thead,c900-plic\0";
static const char virtio_names[] = "virtio,mmio\0";
static const char aplic_names[] = "riscv,aplic\0";
static const char imsic_names[] = "riscv,imsics\0";
static const char uart_names[] = "ns16550a\0"
                                 "ns16550\0";
/* Devices that are known to do no DMA; of any other it must be presumed. */
static const char simple_names[] = "ns16550a\0"
                                   "ns16550\0"
                                   "snps,dw-apb-uart\0"
                                   "sifive,uart0\0"
                                   "google,goldfish-rtc\0"
                                   "syscon\0"
                                   "sifive,test0\0"
                                   "cfi-flash\0"
                                   "sifive,gpio0\0"
                                   "sifive,pwm0\0"
                                   "gpio-keys\0"
                                   "sifive,i2c0\0"
                                   "opencores,i2c-ocores\0"
                                   "snps,dw-apb-gpio\0"
                                   "snps,dw-wdt\0";

/* An address on a bus as the CPU sees it. False: it does not see it. */
static bool translate(const struct fdt *fdt, const struct bus *bus, struct plan_range *range)
{
    for (; bus->up != NULL; bus = bus->up) {
        uint32_t len;
        const uint8_t *ranges = fdt_prop(fdt, bus->node, "ranges", &len);
        unsigned size = 4 * (bus->address_cells + bus->up->address_cells + bus->size_cells);
        bool found = ranges != NULL && len == 0;
        if (ranges == NULL)
            return false;
        for (; !found && len >= size; ranges += size, len -= size) {
            const uint8_t *at = ranges + 4 * bus->address_cells;
            struct plan_range window = {
                cells(ranges, bus->address_cells),
                cells(at + 4 * bus->up->address_cells, bus->size_cells),
            };
            found = plan_inside(*range, window);
            if (found)
                range->base += cells(at, bus->up->address_cells) - window.base;
        }
        if (!found)
            return false;
    }
    return sane(*range);
}

static void add_reg(struct plan_device *device, struct plan_range range)
{
    if (device->reg_count == PLAN_REGS_MAX)
        device->partial = true;
    else
        device->regs[device->reg_count++] = range;
}

static void read_regs(struct reading *r, const struct bus *bus, int node,
                      struct plan_device *device)
{
    uint32_t len;
    const uint8_t *reg = fdt_prop(r->fdt, node, "reg", &len);
    unsigned entry = 4 * (bus->address_cells + bus->size_cells);
    for (; reg != NULL && bus->size_cells > 0 && len >= entry; reg += entry, len -= entry) {
        struct plan_range range = {cells(reg, bus->address_cells),
                                   cells(reg + 4 * bus->address_cells, bus->size_cells)};
        if (translate(r->fdt, bus, &range))
            add_reg(device, range);
        else
            device->partial = true;
    }
}

/* The windows of a PCI host: bus address of 3 cells, CPU address, size of 2 cells. */
static void read_pci(struct reading *r, const struct bus *bus, int node, struct plan_device *device)
{
    uint32_t len;
    const uint8_t *ranges = fdt_prop(r->fdt, node, "ranges", &len);
    unsigned entry = 4 * (3 + bus->address_cells + 2);
    for (; ranges != NULL && len >= entry; ranges += entry, len -= entry) {
        struct plan_range range = {cells(ranges + 12, bus->address_cells),
                                   cells(ranges + 12 + 4 * bus->address_cells, 2)};
        if (translate(r->fdt, bus, &range))
            add_reg(device, range);
        else
            device->partial = true;
    }
}

static void add_line(struct plan_device *device, uint32_t line)
{
    for (unsigned i = 0; i < device->line_count; i++) {
        if (device->lines[i] == line)
            return;
    }
    if (device->line_count == PLAN_LINES_MAX || line == 0 || line >= 1024)
        device->partial = true;
    else
        device->lines[device->line_count++] = line;
}

static unsigned interrupt_cells(struct reading *r, uint32_t controller)
{
    return fdt_u32(r->fdt, fdt_by_phandle(r->fdt, controller), "#interrupt-cells", 1) & 7;
}

static void read_interrupt_map(struct reading *r, struct plan_device *device)
{
    uint32_t len;
    const uint8_t *map = fdt_prop(r->fdt, device->node, "interrupt-map", &len);
    unsigned child = (fdt_u32(r->fdt, device->node, "#address-cells", 0) & 7) +
                     (fdt_u32(r->fdt, device->node, "#interrupt-cells", 1) & 7);
    uint32_t last = 0;
    unsigned parent = 0, irq = 0;
    while (map != NULL && len >= 4 * (child + 1)) {
        uint32_t controller = cell(map + 4 * child);
        if (controller != last) {
            int node = fdt_by_phandle(r->fdt, controller);
            parent = fdt_u32(r->fdt, node, "#address-cells", 0) & 7;
            irq = fdt_u32(r->fdt, node, "#interrupt-cells", 1) & 7;
            last = controller;
        }
        unsigned size = 4 * (child + 1 + parent + irq);
        if (len < size || irq == 0)
            return;
        if (controller == r->lines_controller)
            add_line(device, cell(map + 4 * (child + 1 + parent)));
        map += size;
        len -= size;
    }
}

static void read_lines(struct reading *r, unsigned index)
{
    struct plan_device *device = &r->board->devices[index];
    uint32_t len, last = 0;
    unsigned count = r->lines_controller != 0 ? interrupt_cells(r, r->lines_controller) : 0;
    const uint8_t *at = fdt_prop(r->fdt, device->node, "interrupts", &len);

    if (count == 0)
        return;
    if (r->controllers[index] == r->lines_controller) {
        for (; at != NULL && len >= 4 * count; at += 4 * count, len -= 4 * count)
            add_line(device, cell(at));
    }
    at = fdt_prop(r->fdt, device->node, "interrupts-extended", &len);
    while (at != NULL && len >= 8) {
        if (cell(at) != last)
            count = interrupt_cells(r, last = cell(at));
        if (len < 4 * (1 + count) || count == 0)
            break;
        if (last == r->lines_controller)
            add_line(device, cell(at + 4));
        at += 4 * (1 + count);
        len -= 4 * (1 + count);
    }
    read_interrupt_map(r, device);
}

/* Of an interrupt controller: which interrupt of a hart its first output is. */
static uint32_t first_output(const struct fdt *fdt, int node)
{
    uint32_t len;
    const uint8_t *at = fdt_prop(fdt, node, "interrupts-extended", &len);
    return at != NULL && len >= 8 ? cell(at + 4) : 0;
}

static void add_machine(struct plan_board *board, const struct plan_device *device)
{
    for (unsigned i = 0; i < device->reg_count && board->machine_count < PLAN_MACHINE_MAX; i++) {
        board->machine_nodes[board->machine_count] = device->node;
        board->machine[board->machine_count++] = device->regs[i];
    }
}

static void add_device(struct reading *r, const struct bus *bus, int node)
{
    struct plan_board *board = r->board;
    struct plan_device device = {.node = node, .name = fdt_name(r->fdt, node)};
    const struct fdt *fdt = r->fdt;
    const char *type = fdt_str(fdt, node, "device_type");

    read_regs(r, bus, node, &device);
    if (type != NULL && strcmp(type, "pci") == 0)
        read_pci(r, bus, node, &device);
    if (device.reg_count == 0)
        return;
    bool is_imsic = compatible(fdt, node, imsic_names);
    bool of_machine =
        compatible(fdt, node, clint_names) || (is_imsic && first_output(fdt, node) == IRQ_M) ||
        (compatible(fdt, node, aplic_names) &&
         (fdt_prop(fdt, node, "riscv,children", NULL) != NULL || first_output(fdt, node) == IRQ_M));
    if (of_machine) {
        add_machine(board, &device);
    } else if (compatible(fdt, node, plic_names)) {
        board->plic_node = node;
        board->plic = device.regs[0];
        board->plic_lines = fdt_u32(fdt, node, "riscv,ndev", 0);
        r->lines_controller = phandle_of(fdt, node);
    } else if (is_imsic) {
        board->imsic_node = node;
    } else if (compatible(fdt, node, aplic_names)) {
        board->aplic_node = node;
        board->aplic = device.regs[0];
        r->lines_controller = phandle_of(fdt, node);
    } else if (board->device_count < PLAN_DEVICES_MAX) {
        device.master = !compatible(fdt, node, simple_names);
        device.virtio = compatible(fdt, node, virtio_names);
        r->controllers[board->device_count] =
            fdt_u32(fdt, node, "interrupt-parent", bus->controller);
        board->devices[board->device_count++] = device;
    }
}

static void read_bus(struct reading *r, const struct bus *up, int node, unsigned depth)
{
    const struct fdt *fdt = r->fdt;
    struct bus bus = {
        .up = up,
        .node = node,
        .address_cells = fdt_u32(fdt, node, "#address-cells", 2),
        .size_cells = fdt_u32(fdt, node, "#size-cells", 1),
        .controller = fdt_u32(fdt, node, "interrupt-parent", up != NULL ? up->controller : 0),
    };
    if (bus.address_cells < 1 || bus.address_cells > 2 || bus.size_cells > 2 || depth > DEPTH_MAX)
        return;
    for (int child = fdt_first_child(fdt, node); child >= 0; child = fdt_next_sibling(fdt, child)) {
        const char *type = fdt_str(fdt, child, "device_type");
        if ((type != NULL && strcmp(type, "memory") == 0) ||
            (up == NULL && strcmp(fdt_name(fdt, child), "reserved-memory") == 0))
            continue;
        if (fdt_prop(fdt, child, "reg", NULL) != NULL)
            add_device(r, &bus, child);
        else if (fdt_prop(fdt, child, "ranges", NULL) != NULL)
            read_bus(r, &bus, child, depth + 1);
    }
}

/* ---- Harts and memory ---- */

static bool usable(const struct fdt *fdt, int node)
{
    const char *status = fdt_str(fdt, node, "status");
    return status == NULL || strcmp(status, "okay") == 0 || strcmp(status, "ok") == 0;
}

static int read_harts(struct plan_board *board, struct plan_problem *problem)
{
    const struct fdt *fdt = board->fdt;
    int cpus = fdt_path(fdt, "/cpus");
    for (int node = fdt_first_child(fdt, cpus); node >= 0; node = fdt_next_sibling(fdt, node)) {
        const char *type = fdt_str(fdt, node, "device_type");
        if (type == NULL || strcmp(type, "cpu") != 0 || !usable(fdt, node))
            continue;
        if (board->hart_count == PLAN_HARTS_MAX)
            return plan_fail(problem, -E_INVAL, "the board has more than %u harts", PLAN_HARTS_MAX);
        struct plan_board_hart hart = {
            .id = fdt_u64(fdt, node, "reg", 0),
            .node = node,
            .intc = phandle_of(fdt, fdt_child(fdt, node, "interrupt-controller")),
            .plic_context = PLAN_NONE,
        };
        unsigned at = board->hart_count++;
        for (; at > 0 && board->harts[at - 1].id > hart.id; at--)
            board->harts[at] = board->harts[at - 1];
        board->harts[at] = hart;
    }
    return board->hart_count > 0
               ? 0
               : plan_fail(problem, -E_INVAL, "the device tree names no harts (/cpus)");
}

static struct plan_board_hart *hart_of_intc(struct plan_board *board, uint32_t intc)
{
    for (unsigned i = 0; i < board->hart_count && intc != 0; i++) {
        if (board->harts[i].intc == intc)
            return &board->harts[i];
    }
    return NULL;
}

/* The n-th entry of interrupts-extended is the n-th context of the PLIC (sifive,plic-1.0.0). */
static void read_contexts(struct plan_board *board)
{
    uint32_t len;
    const uint8_t *at = fdt_prop(board->fdt, board->plic_node, "interrupts-extended", &len);
    for (uint32_t n = 0; at != NULL && len >= 8; n++, at += 8, len -= 8) {
        struct plan_board_hart *hart = hart_of_intc(board, cell(at));
        if (hart != NULL && cell(at + 4) == IRQ_S)
            hart->plic_context = n;
    }
}

/* A hart's files are 2^guest-index-bits pages, in the order of interrupts-extended (riscv,imsics).
 */
static void read_imsics(struct plan_board *board)
{
    uint32_t len;
    const uint8_t *at = fdt_prop(board->fdt, board->imsic_node, "interrupts-extended", &len);
    uint64_t stride =
        PLAN_PAGE << (fdt_u32(board->fdt, board->imsic_node, "riscv,guest-index-bits", 0) & 7);
    struct plan_range all;
    if (at == NULL || fdt_reg(board->fdt, board->imsic_node, 0, &all.base, &all.size) != 0)
        return;
    for (uint64_t n = 0; len >= 8; n++, at += 8, len -= 8) {
        struct plan_board_hart *hart = hart_of_intc(board, cell(at));
        struct plan_range file = {all.base + n * stride, stride};
        if (hart != NULL && plan_inside(file, all))
            hart->imsic = file;
    }
}

static void read_memory(struct plan_board *board)
{
    const struct fdt *fdt = board->fdt;
    struct plan_range range;
    for (int node = fdt_first_child(fdt, fdt_root(fdt)); node >= 0;
         node = fdt_next_sibling(fdt, node)) {
        const char *type = fdt_str(fdt, node, "device_type");
        if (type == NULL || strcmp(type, "memory") != 0 || !usable(fdt, node))
            continue;
        for (unsigned i = 0; fdt_reg(fdt, node, i, &range.base, &range.size) == 0; i++) {
            if (!sane(range))
                continue;
            /* What was there already would count twice. */
            plan_subtract(board->memory, &board->memory_count, PLAN_MEMORY_MAX, range);
            insert(board->memory, &board->memory_count, PLAN_MEMORY_MAX, range);
        }
    }
    int reserved = fdt_path(fdt, "/reserved-memory");
    for (int node = fdt_first_child(fdt, reserved); node >= 0; node = fdt_next_sibling(fdt, node)) {
        for (unsigned i = 0; fdt_reg(fdt, node, i, &range.base, &range.size) == 0; i++) {
            if (sane(range))
                plan_subtract(board->memory, &board->memory_count, PLAN_MEMORY_MAX, range);
        }
    }
}

/* ---- All of it ---- */

/* What stdout-path names (a path or an alias, perhaps with options behind ':'), else the first. */
static int find_uart(const struct plan_board *board)
{
    const struct fdt *fdt = board->fdt;
    const char *text = fdt_str(fdt, fdt_path(fdt, "/chosen"), "stdout-path");
    char path[96];
    size_t len = 0;
    int wanted = -1, first = -1;

    if (text != NULL && text[0] != '/') {
        for (; text[len] != 0 && text[len] != ':' && len < sizeof path - 1; len++)
            path[len] = text[len];
        path[len] = 0;
        text = fdt_str(fdt, fdt_path(fdt, "/aliases"), path);
    }
    if (text != NULL) {
        for (len = 0; text[len] != 0 && text[len] != ':' && len < sizeof path - 1; len++)
            path[len] = text[len];
        path[len] = 0;
        wanted = fdt_path(fdt, path);
    }
    for (unsigned i = 0; i < board->device_count; i++) {
        if (!compatible(fdt, board->devices[i].node, uart_names))
            continue;
        if (board->devices[i].node == wanted)
            return (int)i;
        if (first < 0)
            first = (int)i;
    }
    return first;
}

bool plan_lists(const struct fdt *fdt, const char *extension)
{
    int cpus = fdt_path(fdt, "/cpus");
    size_t len = strlen(extension);
    for (int cpu = fdt_first_child(fdt, cpus); cpu >= 0; cpu = fdt_next_sibling(fdt, cpu)) {
        const char *text;
        for (unsigned i = 0; (text = fdt_str_at(fdt, cpu, "riscv,isa-extensions", i)) != NULL;
             i++) {
            if (strcmp(text, extension) == 0)
                return true;
        }
        text = fdt_str(fdt, cpu, "riscv,isa");
        for (; text != NULL && *text != 0; text++) {
            if (*text == '_' && strlen(text) > len && memcmp(text + 1, extension, len) == 0 &&
                (text[len + 1] == '_' || text[len + 1] == 0))
                return true;
        }
    }
    return false;
}

int plan_board_read(struct plan_board *board, const struct fdt *fdt, struct plan_problem *problem)
{
    struct reading r = {.board = board, .fdt = fdt};

    memset(board, 0, sizeof *board);
    problem->text[0] = 0;
    board->fdt = fdt;
    board->plic_node = board->aplic_node = board->imsic_node = -1;
    board->pmp_entries = PMP_ENTRIES;
    board->pmp_grain = 4;
    int error = read_harts(board, problem);
    if (error != 0)
        return error;
    read_memory(board);
    if (board->memory_count == 0)
        return plan_fail(problem, -E_INVAL, "the device tree names no memory");
    read_bus(&r, NULL, fdt_root(fdt), 0);
    for (unsigned i = 0; i < board->device_count; i++)
        read_lines(&r, i);
    if (board->plic_node >= 0)
        read_contexts(board);
    if (board->imsic_node >= 0)
        read_imsics(board);
    board->aia = plan_lists(fdt, "ssaia") || plan_lists(fdt, "sscsrind") || board->imsic_node >= 0;
    board->uart = find_uart(board);
    return 0;
}

static bool is_called(const char *name, const char *wanted)
{
    size_t len = strlen(wanted);
    return strlen(name) >= len && memcmp(name, wanted, len) == 0 &&
           (name[len] == 0 || name[len] == '@');
}

int plan_board_device(const struct plan_board *board, const char *name)
{
    int node = name[0] == '/' ? fdt_path(board->fdt, name) : -1;
    for (unsigned i = 0; i < board->device_count; i++) {
        if (name[0] == '/' ? board->devices[i].node == node
                           : is_called(board->devices[i].name, name))
            return (int)i;
    }
    return -1;
}

struct plan_range plan_claim_page(const struct plan_board *board, uint32_t context)
{
    struct plan_range page = {board->plic.base + 0x200000 + context * PLAN_PAGE, PLAN_PAGE};
    if (context == PLAN_NONE || board->plic_node < 0 || !plan_inside(page, board->plic))
        page.size = 0;
    return page;
}
