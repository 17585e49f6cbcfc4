#include "type1/platform.h"

#include "core/error.h"

#define FDT_SIZE_MAX  (2u << 20)
#define REG_INDEX_MAX 64

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

struct isa {
    struct platform *platform;
    unsigned count;
    size_t used;
};

static void take_extension(struct isa *isa, const char *name, size_t len)
{
    struct platform *p = isa->platform;
    if (len == 1) {
        p->has_h = p->has_h || *name == 'h';
        p->has_fp = p->has_fp || *name == 'd';
        p->has_v = p->has_v || *name == 'v';
    }
    if (same_text(name, len, "sstc"))
        p->has_sstc = true;
    if (!grantable(name, len) || isa->count + 1 >= PLATFORM_EXTENSIONS_MAX ||
        isa->used + len + 1 > PLATFORM_NAMES_MAX)
        return;
    memcpy(p->names + isa->used, name, len);
    p->names[isa->used + len] = 0;
    p->extensions[isa->count++] = p->names + isa->used;
    isa->used += len + 1;
}

/* "rv64imafdch_zicsr_..." (Unprivileged ISA, "ISA Extension Naming Conventions"). */
static void take_isa_string(struct isa *isa, const char *text)
{
    if (!begins(text, strlen(text), "rv64"))
        return;
    text += 4;
    while (*text != 0 && *text != '_' && *text != 'z' && *text != 's' && *text != 'x') {
        if (*text == 'g') {
            for (const char *letter = "imafd"; *letter != 0; letter++)
                take_extension(isa, letter, 1);
        } else {
            take_extension(isa, text, 1);
        }
        text++;
    }
    while (*text != 0) {
        size_t len = 0;
        text += *text == '_';
        while (text[len] != 0 && text[len] != '_')
            len++;
        if (len != 0)
            take_extension(isa, text, len);
        text += len;
    }
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
    struct isa isa = {.platform = p};
    const char *text;
    uint32_t size;

    const char *names = fdt_prop(&p->fdt, node, "riscv,isa-extensions", &size);
    for (uint32_t at = 0, len; at < size; at += len + 1) {
        for (len = 0; at + len < size && names[at + len] != 0;)
            len++;
        if (at + len < size)
            take_extension(&isa, names + at, len);
    }
    if (isa.count == 0 && (text = fdt_str(&p->fdt, node, "riscv,isa")) != NULL)
        take_isa_string(&isa, text);
    p->cpu.extensions = p->extensions;
    p->cpu.mmu_type = fdt_str(&p->fdt, node, "mmu-type");
    p->cpu.cbom_block = fdt_u32(&p->fdt, node, "riscv,cbom-block-size", 0);
    p->cpu.cbop_block = fdt_u32(&p->fdt, node, "riscv,cbop-block-size", 0);
    p->cpu.cboz_block = fdt_u32(&p->fdt, node, "riscv,cboz-block-size", 0);
}

static void read_harts(struct platform *p)
{
    int cpus = fdt_path(&p->fdt, "/cpus");
    p->timebase = fdt_u32(&p->fdt, cpus, "timebase-frequency", 0);
    for (int node = fdt_first_child(&p->fdt, cpus); node >= 0;
         node = fdt_next_sibling(&p->fdt, node)) {
        const char *type = fdt_str(&p->fdt, node, "device_type");
        const char *status = fdt_str(&p->fdt, node, "status");
        if (type == NULL || strcmp(type, "cpu") != 0 || p->hart_count == HARTS_MAX)
            continue;
        if (status != NULL && strcmp(status, "okay") != 0 && strcmp(status, "ok") != 0)
            continue;
        if (p->hart_count == 0) {
            if (p->timebase == 0)
                p->timebase = fdt_u32(&p->fdt, node, "timebase-frequency", 0);
            read_cpu(p, node);
        }
        p->hart_ids[p->hart_count++] = fdt_u64(&p->fdt, node, "reg", 0);
    }
    p->cpu.timebase = p->timebase;
}

/* ---- Console ---- */

static void read_uart(struct platform *p)
{
    int chosen = fdt_path(&p->fdt, "/chosen"), node = -1;
    const char *path = fdt_str(&p->fdt, chosen, "stdout-path");
    uint64_t size;

    /* "/soc/serial@10000000:115200n8", or an alias; an alias falls back to the first 16550. */
    if (path != NULL && path[0] == '/' && strlen(path) < 120) {
        char plain[120];
        size_t len = 0;
        for (; path[len] != 0 && path[len] != ':'; len++)
            plain[len] = path[len];
        plain[len] = 0;
        node = fdt_path(&p->fdt, plain);
    }
    if (node < 0)
        node = fdt_compatible_next(&p->fdt, -1, "ns16550a");
    if (node < 0)
        node = fdt_compatible_next(&p->fdt, -1, "snps,dw-apb-uart");
    if (node < 0 || fdt_reg(&p->fdt, node, 0, &p->uart, &size) != 0)
        p->uart = 0;
    p->uart_shift = fdt_u32(&p->fdt, node, "reg-shift", 0);
    p->uart_width = fdt_u32(&p->fdt, node, "reg-io-width", 1);
}

/* ---- All of it ---- */

int platform_read(struct platform *p, const void *blob, const char **problem)
{
    uint32_t size = fdt_total_size(blob);
    memset(p, 0, sizeof *p);
    if (size == 0 || size > FDT_SIZE_MAX || fdt_open(&p->fdt, blob, size) != 0) {
        *problem = "the firmware gave no device tree that can be read (register a1)";
        return -E_INVAL;
    }
    read_harts(p);
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

void platform_memory(const struct platform *p, struct pages *pages)
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
             i++)
            pages_add(pages, base, size);
    }
    int reserved = fdt_path(fdt, "/reserved-memory");
    for (int node = fdt_first_child(fdt, reserved); node >= 0; node = fdt_next_sibling(fdt, node)) {
        for (unsigned i = 0;
             i < REG_INDEX_MAX && fdt_reg_under(fdt, reserved, node, i, &base, &size) == 0; i++)
            pages_reserve(pages, base, size);
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
        pages_reserve(pages, base, size);
    }
    /* Some firmware does not say where it is: what lies below us, up to the start of its 2 MiB. */
}
