#include "type1/dev_files.h"

#include "core/error.h"
#include "type1/dev_intc.h"
#include "type1/hart.h"

#define PAGE     4096ULL
#define VA_LIMIT (1ULL << 38)

static const struct fdt *tree;
static int node = -1;
static uint64_t base, size;
static unsigned guest_bits, ids;

unsigned files_find(const struct fdt *fdt, struct gstage *table)
{
    tree = fdt;
    for (int at = fdt_compatible_next(fdt, -1, "riscv,imsics"); at >= 0;
         at = fdt_compatible_next(fdt, at, "riscv,imsics")) {
        if (intc_context_of(fdt, at, harts[0]->id) < 0 ||
            fdt_u32(fdt, at, "riscv,group-index-bits", 0) != 0 ||
            fdt_reg(fdt, at, 0, &base, &size) != 0 || base % PAGE != 0 || size > VA_LIMIT - base)
            continue;
        guest_bits = fdt_u32(fdt, at, "riscv,guest-index-bits", 0);
        ids = fdt_u32(fdt, at, "riscv,num-ids", 0);
        if (guest_bits == 0 || guest_bits > 6 || ids < 63 || ids > 2047 ||
            gstage_map(table, base, base, size & ~(PAGE - 1),
                       PTE_R | PTE_W | PTE_A | PTE_D | PTE_G) != 0)
            continue;
        node = at;
        return ids;
    }
    return 0;
}

static unsigned used(const struct hart *hart)
{
    unsigned count = 0;
    for (unsigned file = 1; hart->hext.files != NULL && file <= HEXT_FILES_MAX; file++)
        count += hart->hext.files[file] != NULL;
    return count;
}

/* A free file of that hart; `mine`: those that were just taken. 0: none. */
static unsigned free_file(struct hart *hart, unsigned files, const struct files *mine)
{
    if (hart->hext.files == NULL)
        hart->hext.files = host_alloc((HEXT_FILES_MAX + 1) * sizeof *hart->hext.files, 64);
    for (unsigned file = 1; hart->hext.files != NULL && file <= files; file++) {
        bool taken = hart->hext.files[file] != NULL;
        for (unsigned i = 0; i < mine->count; i++)
            taken = taken || (mine->places[i].hart == &hart->hext && mine->places[i].file == file);
        if (!taken)
            return file;
    }
    return 0;
}

static bool take_one(struct files *files, const struct hext_features *features, uint64_t allowed)
{
    struct files_place best = {0};
    unsigned least = 0;
    for (unsigned i = 0; i < hart_count; i++) {
        unsigned file = (allowed >> i & 1) != 0 ? free_file(harts[i], features->files, files) : 0;
        int index = intc_context_of(tree, node, harts[i]->id);
        if (file == 0 || file >= 1u << guest_bits || index < 0)
            continue;
        unsigned load = used(harts[i]);
        for (unsigned k = 0; k < files->count; k++)
            load += files->places[k].hart == &harts[i]->hext;
        uint64_t page = base + (((uint64_t)index << guest_bits) + file) * PAGE;
        if ((best.hart == NULL || load < least) && page + PAGE <= base + size) {
            best = (struct files_place){.page = page, .hart = &harts[i]->hext, .file = file};
            least = load;
        }
    }
    if (best.hart != NULL)
        files->places[files->count++] = best;
    return best.hart != NULL;
}

static void deliver(void *sink, uint64_t address, uint32_t identity)
{
    const struct files *files = sink;
    uint64_t index = (address - BOARD_IMSIC) / PAGE;
    if (index < files->count)
        dev_mmio.write((void *)(uintptr_t)files->places[index].page, 0, identity);
}

bool files_take(struct files *files, const struct hext_features *features, unsigned vcpus,
                uint64_t allowed, struct board_backends *backends)
{
    files->count = 0;
    while (node >= 0 && features->files != 0 && files->count < vcpus &&
           take_one(files, features, allowed))
        ;
    if (files->count < vcpus) {
        files->count = 0;
        return false;
    }
    backends->imsic = (struct msi){.send = deliver, .sink = files};
    backends->imsic_ids = ids;
    return true;
}

int files_map(const struct files *files, struct gstage *gstage)
{
    const unsigned flags = PTE_R | PTE_W | PTE_U | PTE_A | PTE_D;
    int error = 0;
    for (unsigned i = 0; error == 0 && i < files->count; i++)
        error = gstage_map(gstage, BOARD_IMSIC + i * PAGE, files->places[i].page, PAGE, flags);
    return error;
}
