#include "type1/platform.h"

#include "core/error.h"

#define FDT_SIZE_MAX  (2u << 20)
#define REG_INDEX_MAX 64
#define FIRMWARE_SIZE (2ULL << 20) /* kernels are put behind so much (boot-image-header.rst) */

/* ---- Harts ---- */

static bool same_text(const char *a, size_t len, const char *b)
{
    while (len != 0 && *a == *b && *b != 0)
        a++, b++, len--;
    return len == 0 && *b == 0;
}

static bool begins(const char *text, size_t len, const char *with)
{
    return len >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

/*
 * Extensions that a guest may be told of: those whose instructions need nothing of us but that
 * their state is switched (F, D, V). What we do not emulate below the guest (S* that need M-mode's
 * or our consent) stays hidden.
 */
static bool grantable(const char *name, size_t len)
{
    static const char *const hidden[] = {"zic", "zicfi", "zkr", "zcmt"};
    static const char *const shown[] = {"zicsr",  "zicntr",  "zicond",  "zicbom", "zicbop",
                                        "zicboz", "svinval", "svnapot", "svpbmt", "svade",
                                        "sstc",   "ziccrse", "zic64b"};
    if (len == 1)
        return *name == 'i' || *name == 'm' || *name == 'a' || *name == 'f' || *name == 'd' ||
               *name == 'c' || *name == 'b' || *name == 'v';
    for (unsigned i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        if (same_text(name, len, shown[i]))
            return true;
    }
    for (unsigned i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        if (begins(name, len, hidden[i]))
            return false;
    }
    return *name == 'z';
}

/* The extensions that a CPU node names, one after the other. */
struct isa_walk {
    const struct fdt *fdt;
    int node;
    bool begun, listed;
    const char *list; /* what is left of riscv,isa-extensions, looked up once */
    uint32_t left;
    const char *text, *general; /* in riscv,isa; what is left of a g */
    bool letters;
};

/* The next name, of `*len` bytes; or NULL. */
static const char *isa_next(struct isa_walk *walk, size_t *len)
{
    if (walk->text == NULL) {
        if (!walk->begun)
            walk->list = fdt_prop(walk->fdt, walk->node, "riscv,isa-extensions", &walk->left);
        walk->begun = true;
        for (*len = 0; *len < walk->left && walk->list[*len] != 0;)
            ++*len;
        if (*len < walk->left) {
            const char *name = walk->list;
            walk->listed = true;
            walk->list += *len + 1;
            walk->left -= (uint32_t)*len + 1;
            return name;
        }
        const char *text = fdt_str(walk->fdt, walk->node, "riscv,isa");
        if (walk->listed || text == NULL || !begins(text, strlen(text), "rv64"))
            return NULL;
        /* "rv64imafdch_zicsr_..." (Unprivileged ISA, "ISA Extension Naming Conventions"). */
        walk->text = text + 4;
        walk->general = "";
        walk->letters = true;
    }
    *len = 1;
    if (*walk->general != 0)
        return walk->general++;
    char c = *walk->text;
    walk->letters = walk->letters && c != 0 && c != '_' && c != 'z' && c != 's' && c != 'x';
    if (walk->letters) {
        walk->general = c == 'g' ? "mafd" : "";
        return c == 'g' ? (walk->text++, "i") : walk->text++;
    }
    while (*walk->text == '_')
        walk->text++;
    const char *name = walk->text;
    for (*len = 0; name[*len] != 0 && name[*len] != '_';)
        ++*len;
    walk->text += *len;
    return *len != 0 ? name : NULL;
}

static bool cpu_has(const struct fdt *fdt, int node, const char *extension)
{
    struct isa_walk walk = {.fdt = fdt, .node = node};
    const char *name;
    size_t len;
    while ((name = isa_next(&walk, &len)) != NULL) {
        if (same_text(name, len, extension))
            return true;
    }
    return false;
}

static bool of_vectors(const char *name)
{
    return strcmp(name, "v") == 0 || begins(name, strlen(name), "zv");
}

void platform_hide_vectors(struct platform *p)
{
    unsigned kept = 0;
    for (unsigned i = 0; p->extensions[i] != NULL; i++) {
        if (!of_vectors(p->extensions[i]))
            p->extensions[kept++] = p->extensions[i];
    }
    p->extensions[kept] = NULL;
}

void platform_add_aia(struct platform *p)
{
    unsigned count = 0;
    while (p->extensions[count] != NULL) {
        p->aia_extensions[count] = p->extensions[count];
        count++;
    }
    p->aia_extensions[count] = "ssaia";
    p->aia_cpu = p->cpu;
    p->aia_cpu.extensions = p->aia_extensions;
}

static void read_cpu(struct platform *p, int node)
{
    struct isa_walk walk = {.fdt = &p->fdt, .node = node};
    const char *name;
    size_t used = 0, len;

    for (unsigned count = 0; (name = isa_next(&walk, &len)) != NULL;) {
        if (!grantable(name, len) || count + 1 >= PLATFORM_EXTENSIONS_MAX ||
            used + len + 1 > PLATFORM_NAMES_MAX)
            continue;
        memcpy(p->names + used, name, len);
        p->names[used + len] = 0;
        p->extensions[count++] = p->names + used;
        used += len + 1;
    }
    p->has_fp = cpu_has(&p->fdt, node, "d");
    p->has_v = cpu_has(&p->fdt, node, "v");
    p->cpu.extensions = p->extensions;
    p->cpu.mmu_type = fdt_str(&p->fdt, node, "mmu-type");
    p->cpu.cbom_block = fdt_u32(&p->fdt, node, "riscv,cbom-block-size", 0);
    p->cpu.cbop_block = fdt_u32(&p->fdt, node, "riscv,cbop-block-size", 0);
    p->cpu.cboz_block = fdt_u32(&p->fdt, node, "riscv,cboz-block-size", 0);
}

static bool is_okay(const struct fdt *fdt, int node)
{
    const char *status = fdt_str(fdt, node, "status");
    return status == NULL || strcmp(status, "okay") == 0 || strcmp(status, "ok") == 0;
}

/* The next hart that may be started, behind `node` (-1: the first of `cpus`). */
static int next_hart(const struct fdt *fdt, int cpus, int node)
{
    do {
        node = node < 0 ? fdt_first_child(fdt, cpus) : fdt_next_sibling(fdt, node);
        const char *type = fdt_str(fdt, node, "device_type");
        if (type != NULL && strcmp(type, "cpu") == 0 && is_okay(fdt, node))
            return node;
    } while (node >= 0);
    return -1;
}

static bool same_prop(const struct fdt *fdt, int a, int b, const char *name)
{
    uint32_t a_len = 0, b_len = 0;
    const void *a_value = fdt_prop(fdt, a, name, &a_len), *b_value = fdt_prop(fdt, b, name, &b_len);
    return a_len == b_len && (a_len == 0 || memcmp(a_value, b_value, a_len) == 0);
}

/* What guests are told of, or the hypervisor needs, and this hart lacks; or NULL. */
static const char *lacks(const struct platform *p, int boot, int node)
{
    static const char *const needed[] = {"h", "ssaia"};
    if (same_prop(&p->fdt, boot, node, "riscv,isa-extensions") &&
        same_prop(&p->fdt, boot, node, "riscv,isa"))
        return NULL;
    for (unsigned i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (cpu_has(&p->fdt, boot, needed[i]) && !cpu_has(&p->fdt, node, needed[i]))
            return needed[i];
    }
    for (unsigned i = 0; p->extensions[i] != NULL; i++) {
        if (!cpu_has(&p->fdt, node, p->extensions[i]))
            return p->extensions[i];
    }
    return NULL;
}

/* The hart that boots is the measure: where the others have less, they are left out. */
static void read_harts(struct platform *p, uint64_t boot_id)
{
    const struct fdt *fdt = &p->fdt;
    int cpus = fdt_path(fdt, "/cpus"), boot = next_hart(fdt, cpus, -1);

    for (int node = boot; node >= 0; node = next_hart(fdt, cpus, node)) {
        if (fdt_u64(fdt, node, "reg", 0) == boot_id)
            boot = node;
    }
    read_cpu(p, boot);
    p->timebase =
        fdt_u32(fdt, cpus, "timebase-frequency", fdt_u32(fdt, boot, "timebase-frequency", 0));
    p->cpu.timebase = p->timebase;
    for (int node = next_hart(fdt, cpus, -1); node >= 0 && p->hart_count < HARTS_MAX;
         node = next_hart(fdt, cpus, node)) {
        p->hart_lacks[p->hart_count] = lacks(p, boot, node);
        p->hart_ids[p->hart_count++] = fdt_u64(fdt, node, "reg", 0);
    }
}

/* ---- Console ---- */

static const char *const uarts[] = {"ns16550a", "ns16550", "snps,dw-apb-uart"};
#define UARTS (sizeof uarts / sizeof uarts[0])

/* "/soc/serial@10000000:115200n8" or an alias, "serial0:115200n8" (Devicetree Specification 0.4,
 * 3.6 and 3.3). */
static int stdout_node(const struct fdt *fdt, const char *path)
{
    char plain[120];
    size_t len = 0;
    while (path[len] != 0 && path[len] != ':')
        len++;
    if (len >= sizeof plain)
        return -E_NOENT;
    memcpy(plain, path, len);
    plain[len] = 0;
    if (plain[0] == '/')
        return fdt_path(fdt, plain);
    path = fdt_str(fdt, fdt_path(fdt, "/aliases"), plain);
    return path != NULL && path[0] == '/' ? fdt_path(fdt, path) : -E_NOENT;
}

static bool is_uart(const struct fdt *fdt, int node)
{
    const char *name;
    for (unsigned i = 0; (name = fdt_str_at(fdt, node, "compatible", i)) != NULL; i++) {
        for (unsigned j = 0; j < UARTS; j++) {
            if (strcmp(name, uarts[j]) == 0)
                return true;
        }
    }
    return false;
}

/* A UART that is not one of these, or whose registers lie otherwise, is left to the firmware. */
static bool take_uart(struct platform *p, int node)
{
    const struct fdt *fdt = &p->fdt;
    uint64_t base, size;
    uint32_t shift = fdt_u32(fdt, node, "reg-shift", 0);
    uint32_t width = fdt_u32(fdt, node, "reg-io-width", 1);

    if (!is_uart(fdt, node) || !is_okay(fdt, node) || fdt_reg(fdt, node, 0, &base, &size) != 0 ||
        shift > 3 || (width != 1 && (width != 4 || shift < 2)) ||
        fdt_prop(fdt, node, "big-endian", NULL) != NULL)
        return false;
    p->uart = base + fdt_u32(fdt, node, "reg-offset", 0);
    p->uart_shift = shift;
    p->uart_width = width;
    return true;
}

static void read_uart(struct platform *p)
{
    const char *path = fdt_str(&p->fdt, fdt_path(&p->fdt, "/chosen"), "stdout-path");
    if (path != NULL) {
        take_uart(p, stdout_node(&p->fdt, path));
        return;
    }
    for (unsigned i = 0; i < UARTS; i++) {
        for (int node = -1; (node = fdt_compatible_next(&p->fdt, node, uarts[i])) >= 0;) {
            if (take_uart(p, node))
                return;
        }
    }
}

/* ---- All of it ---- */

bool platform_says(const struct platform *p, const char *word)
{
    const char *at = fdt_str(&p->fdt, fdt_path(&p->fdt, "/chosen"), "bootargs");
    while (at != NULL && *at != 0) {
        size_t len = 0;
        while (at[len] != 0 && at[len] != ' ')
            len++;
        if (same_text(at, len, word))
            return true;
        at += len + (at[len] != 0);
    }
    return false;
}

int platform_read(struct platform *p, const void *blob, uint64_t boot_id, const char **problem)
{
    uint32_t size = fdt_total_size(blob);
    memset(p, 0, sizeof *p);
    if (size == 0 || size > FDT_SIZE_MAX || fdt_open(&p->fdt, blob, size) != 0) {
        *problem = "the firmware gave no device tree that can be read (register a1)";
        return -E_INVAL;
    }
    read_harts(p, boot_id);
    read_uart(p);
    if (p->timebase == 0) {
        *problem = "the device tree names no timebase-frequency";
        return -E_INVAL;
    }
    return 0;
}

uint64_t platform_memory_end(const struct platform *p, uint64_t address)
{
    const struct fdt *fdt = &p->fdt;
    uint64_t base, size;

    for (int node = fdt_first_child(fdt, fdt_root(fdt)); node >= 0;
         node = fdt_next_sibling(fdt, node)) {
        const char *type = fdt_str(fdt, node, "device_type");
        if (type == NULL || strcmp(type, "memory") != 0)
            continue;
        for (unsigned i = 0;
             i < REG_INDEX_MAX && fdt_reg_under(fdt, fdt_root(fdt), node, i, &base, &size) == 0;
             i++) {
            if (address >= base && address - base < size)
                return base + size;
        }
    }
    return 0;
}

struct reservations {
    struct pages *pages;
    uint64_t low, high; /* where the firmware must be */
    bool found;
};

static void reserve(struct reservations *r, uint64_t base, uint64_t size)
{
    pages_reserve(r->pages, base, size);
    r->found = r->found || (base < r->high && size > 0 && base + (size - 1) >= r->low);
}

void platform_memory(const struct platform *p, uint64_t image, struct pages *pages)
{
    const struct fdt *fdt = &p->fdt;
    struct reservations r = {.pages = pages};
    uint64_t base, size;

    for (int node = fdt_first_child(fdt, fdt_root(fdt)); node >= 0;
         node = fdt_next_sibling(fdt, node)) {
        const char *type = fdt_str(fdt, node, "device_type");
        if (type == NULL || strcmp(type, "memory") != 0)
            continue;
        for (unsigned i = 0;
             i < REG_INDEX_MAX && fdt_reg_under(fdt, fdt_root(fdt), node, i, &base, &size) == 0;
             i++) {
            pages_add(pages, base, size);
            if (image >= base && image - base < size) {
                r.low = base;
                r.high = image - base < FIRMWARE_SIZE ? image : base + FIRMWARE_SIZE;
            }
        }
    }
    int reserved = fdt_path(fdt, "/reserved-memory");
    for (int node = fdt_first_child(fdt, reserved); node >= 0; node = fdt_next_sibling(fdt, node)) {
        for (unsigned i = 0;
             i < REG_INDEX_MAX && fdt_reg_under(fdt, reserved, node, i, &base, &size) == 0; i++)
            reserve(&r, base, size);
    }
    /* The memory reservation block (Devicetree Specification 0.4, 5.3). */
    for (uint32_t at = fdt->rsvmap_off; at + 16 <= fdt->size; at += 16) {
        const uint8_t *entry = fdt->blob + at;
        base = size = 0;
        for (unsigned i = 0; i < 8; i++) {
            base = base << 8 | entry[i];
            size = size << 8 | entry[8 + i];
        }
        if (size == 0)
            break;
        reserve(&r, base, size);
    }
    /* Some firmware does not say where it is: where memory begins, and we do not. */
    if (!r.found && r.low < r.high)
        pages_reserve(pages, r.low, r.high - r.low);
}
