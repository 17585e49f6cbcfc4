#include "type1/dev_files.h"

#include "core/error.h"
#include "engine/hext/csr.h"
#include "type1/dev_imsic_map.h"
#include "type1/dev_mmio.h"
#include "type1/guest.h"
#include "type1/hart.h"
#include "type1/task.h"

#define VA_LIMIT (1ULL << 38)

static struct imsic_map map;

/* ---- The board's ---- */

unsigned files_find(const struct fdt *fdt, struct gstage *table)
{
    const unsigned flags = PTE_R | PTE_W | PTE_A | PTE_D | PTE_G;
    uint64_t base, size;
    if (imsic_map_find(&map, fdt, harts[0]->id) != 0)
        return 0;
    for (unsigned i = 0; fdt_reg(fdt, map.node, i, &base, &size) == 0; i++) {
        size &= ~(IMSIC_PAGE - 1);
        if (base > VA_LIMIT || size > VA_LIMIT - base || size == 0 ||
            gstage_map(table, base, base, size, flags) != 0)
            return 0;
    }
    return map.ids;
}

/* A free file of this hart; 0: none. */
static unsigned find_free(struct hart *here, const struct hext_features *features)
{
    struct hext_hart *hext = &here->hext;
    if (hext->files == NULL) {
        hext->files = host_alloc((HEXT_FILES_MAX + 1) * sizeof *hext->files, 64);
        hext->files_page = imsic_map_page(&map, here->id);
    }
    if (hext->files == NULL || hext->files_page == 0)
        return 0;
    for (unsigned n = 1; n <= features->files && n < 1U << map.guest_bits; n++) {
        if (hext->files[n] == NULL)
            return n;
    }
    return 0;
}

/* ---- A VCPU's ---- */

static uint64_t gpa_of(const struct hext_vcpu *v)
{
    return BOARD_IMSIC + v->hart->vcpu.id * IMSIC_PAGE;
}

uint32_t files_target(struct vm *vm, unsigned vcpu)
{
    enum { HART_SHIFT = 18, GUEST_SHIFT = 12 };
    if (vcpu >= vm->vcpu_count)
        return 0;
    const struct hext_vcpu *v = vm->vcpus[vcpu]->engine_data;
    uint64_t page = v->page;
    unsigned file = (unsigned)(page / IMSIC_PAGE) & ((1U << map.guest_bits) - 1);
    return page != 0 ? imsic_map_index(&map, page) << HART_SHIFT | file << GUEST_SHIFT : 0;
}

/* Lines of the board that go straight to the file follow it. */
static void moved(struct vm *vm)
{
    struct guest *guest = (struct guest *)((char *)vm - offsetof(struct guest, vm));
    pass_files_moved(&guest->devices.passes);
}

void hext_host_file(struct hext_vcpu *v)
{
    const unsigned flags = PTE_R | PTE_W | PTE_U | PTE_A | PTE_D;
    struct hart *here = this_hart();
    unsigned file = find_free(here, v->vm->features);
    if (file == 0)
        return;
    host_lock_acquire(&v->imsic_lock);
    here->hext.files[file] = v;
    v->file = file;
    v->page = here->hext.files_page + file * IMSIC_PAGE;
    hext_imsic_move(v->imsic, file, false);
    /* A hart that has cached that nothing is there brings its messages to receive() still. */
    gstage_page(&v->vm->gstage, gpa_of(v), v->page, flags);
    moved(v->hart->vcpu.vm);
    host_lock_release(&v->imsic_lock);
    task_bind();
}

/* When it returns, no hart in the guest knows the page that was taken from its G-stage. */
static void shoot_down(struct vm *vm)
{
    struct hext_vm *hv = vm->engine_data;
    atomic_store(&hv->generation, guest_generation());
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        atomic_fetch_or(&vm->vcpus[i]->requests, VCPU_REQ_TLB_FLUSH);
        hext_engine.kick(vm->vcpus[i]);
    }
    /* Who leaves a guest says so before it takes any lock. */
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        while (!vcpu_post_done(vm->vcpus[i], VCPU_REQ_TLB_FLUSH))
            host_yield();
    }
}

bool files_release(struct vcpu *vcpu)
{
    struct hext_vcpu *v = vcpu->engine_data;
    unsigned file = v->file;
    if (file == 0)
        return false;
    host_lock_acquire(&v->imsic_lock);
    v->file = 0;
    v->page = 0;
    gstage_page(&v->vm->gstage, gpa_of(v), 0, 0);
    moved(vcpu->vm);
    shoot_down(vcpu->vm);
    hext_imsic_move(v->imsic, file, true);
    v->file_moves++;
    hcsr_clear(HCSR_HGEIE, 1UL << file);
    this_hart()->hext.files[file] = NULL;
    hext_imsic_look(v);
    host_lock_release(&v->imsic_lock);
    return true;
}

/* ---- Messages that come to the hypervisor ---- */

static void receive(void *arg, uint64_t index, uint32_t identity)
{
    struct vm *vm = arg;
    if (index >= vm->vcpu_count)
        return;
    struct hext_vcpu *v = vm->vcpus[index]->engine_data;
    host_lock_acquire(&v->imsic_lock);
    if (v->file != 0) {
        dev_mmio.write((void *)(uintptr_t)v->page, 0, identity);
    } else {
        imsic_receive(v->imsic, identity);
        hext_imsic_look(v);
    }
    host_lock_release(&v->imsic_lock);
}

static void receive_message(void *vm, uint64_t address, uint32_t identity)
{
    receive(vm, (address - BOARD_IMSIC) / IMSIC_PAGE, identity);
}

void files_offer(struct vm *vm, struct board_backends *backends)
{
    backends->imsic = (struct msi){.send = receive_message, .sink = vm};
    backends->imsic_ids = map.ids;
}

int files_init(struct vm *vm)
{
    struct imsic_pages *pages = &((struct board *)vm->board)->imsic_s;
    *pages = (struct imsic_pages){.receive = receive, .arg = vm};
    int error = bus_add(&vm->bus, "imsic", BOARD_IMSIC, vm->vcpu_count * IMSIC_PAGE,
                        &imsic_pages_bus_ops, pages);
    for (unsigned i = 0; error == 0 && i < vm->vcpu_count; i++)
        error = hext_vcpu_add_imsic(vm->vcpus[i]);
    return error;
}

int files_map(struct vm *vm)
{
    struct hext_vm *hv = vm->engine_data;
    int error = 0;
    for (unsigned i = 0; error == 0 && i < vm->vcpu_count; i++)
        error = gstage_page(&hv->gstage, BOARD_IMSIC + i * IMSIC_PAGE, 0, 0);
    return error;
}
