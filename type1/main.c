/* From the firmware's hand-over to the first guest. */
#include "core/error.h"
#include "engine/hext/csr.h"
#include "engine/hext/hext.h"
#include "type1/console.h"
#include "type1/dev_board.h"
#include "type1/dev_files.h"
#include "type1/guest.h"
#include "type1/memory.h"
#include "type1/monitor.h"
#include "type1/panic.h"
#include "type1/platform.h"
#include "type1/sbi.h"
#include "type1/stacks.h"
#include "type1/task.h"
#include "type1/timer.h"
#include "type1/trace.h"

#define SATP_SV39     8ULL
#define PAGE          4096ULL
#define VA_LIMIT      (1ULL << 38) /* the identity map is the lower half of Sv39 */
#define OFF_DELAY_NS  2000000000ULL
#define HART_START_NS 100000000ULL

struct hart *harts[HARTS_MAX + 1];
unsigned hart_count;

extern char image_start[], text_end[], image_end[], boot_stack_guard[], boot_panic_stack_top[];
void trap_vector(void), hart_entry(void);
_Noreturn void boot_main(uint64_t hart_id, const void *fdt, uint64_t entered);
_Noreturn void hart_main(void);

static struct hart boot_hart;
static struct platform platform;
static struct hext_features features;
static struct bundle bundle;
static struct spec_fleet *fleet;
static struct gstage own_table;
static struct task console_task, end_task;

/* ---- A board that cannot run guests ---- */

static _Noreturn void give_up(const char *why)
{
    console_line("%s; nothing is started", why);
    sbi_reset(false, true);
}

/* ---- Memory ---- */

static void map(uint64_t from, uint64_t to, unsigned flags)
{
    if (to > VA_LIMIT)
        to = VA_LIMIT;
    if (from < to && gstage_map(&own_table, from, from, to - from, flags) != 0)
        panic("cannot map %lx to %lx", (unsigned long)from, (unsigned long)to);
}

/* Its text is not writable and nothing else is executable. */
static void map_own(const struct pages *memory)
{
    const unsigned data = PTE_R | PTE_W | PTE_A | PTE_D | PTE_G;
    const unsigned text = PTE_R | PTE_X | PTE_A | PTE_G;
    uint64_t low = (uint64_t)(uintptr_t)image_start, high = (uint64_t)(uintptr_t)text_end;
    uint64_t guard = (uint64_t)(uintptr_t)boot_stack_guard;

    if (gstage_init(&own_table, 3, 9) != 0)
        panic("no memory for page tables");
    for (unsigned i = 0; i < memory->count; i++) {
        uint64_t from = memory->free[i].base, to = from + memory->free[i].size;
        if (low < from || low >= to) {
            map(from, to, data);
            continue;
        }
        map(from, low, data);
        map(low, high, text);
        map(high, guard, data);
        map(guard + PAGE, to, data);
    }
    if (platform.uart != 0)
        map(platform.uart & ~(PAGE - 1),
            ((platform.uart + (8u << platform.uart_shift) - 1) | (PAGE - 1)) + 1, data);
    dev_find(&platform.fdt, boot_hart.id, &own_table);
    if (features.aia)
        features.imsic_ids = files_find(&platform.fdt, &own_table);
}

/* What the firmware leaves us, without ourselves, what follows us, and the device tree. */
static void setup_memory(void)
{
    struct pages all = {.count = 0};
    struct pages *pages = memory_pages();
    uint64_t image = (uint64_t)(uintptr_t)image_start;

    memory_setup();
    platform_memory(&platform, image, &all);
    *pages = all;
    pages_reserve(pages, 0, PAGE);
    pages_reserve(pages, image, (uint64_t)(uintptr_t)image_end - image + bundle.size);
    pages_reserve(pages, (uint64_t)(uintptr_t)platform.fdt.blob, platform.fdt.size);
    pages_reserve(pages, VA_LIMIT, UINT64_MAX - VA_LIMIT - PAGE);
    /* Of the image, what is ours counts as given out. */
    pages->used = (uint64_t)(image_end - image_start);
    pages->total += pages->used;
    map_own(&all);
}

static void paging_on(uint64_t satp)
{
    __asm__ volatile("sfence.vma" ::: "memory");
    hcsr_write(HCSR_SATP, satp);
    __asm__ volatile("sfence.vma" ::: "memory");
}

/* The firmware does it on the other harts; those that start later begin with it. */
static void fence_all(void)
{
    __asm__ volatile("sfence.vma" ::: "memory");
    if (hart_count > 1)
        sbi_fence_all();
}

/* ---- Harts ---- */

static void hart_setup(struct hart *hart)
{
    hart->armed_ticks = 0;
    hart->slice_end_ns = UINT64_MAX;
    hart->started_ns = host_time_ns();
    hext_hart_init(&features);
    hcsr_write(HCSR_SIE, HIRQ_SSI | HIRQ_STI | (dev_hart_start() ? HIRQ_SEI : 0));
}

/* What this hart has less, or otherwise, than the one that booted; NULL: nothing that matters. */
static const char *differs(void)
{
    struct hext_features own = {.v = features.v};

    hext_probe(&own);
    if (!own.h || own.levels != features.levels || own.vmid_bits < features.vmid_bits)
        return "H extension";
    if (own.sstc != features.sstc || own.senvcfg != features.senvcfg ||
        (features.henvcfg & ~own.henvcfg) != 0)
        return "henvcfg";
    if (own.vlenb != features.vlenb)
        return "V extension";
    if (own.aia != features.aia || own.iselect != features.iselect || own.files < features.files)
        return "AIA";
    return NULL;
}

_Noreturn void hart_main(void)
{
    const char *what = differs();
    if (what != NULL) {
        console_line("hart %lu is left out: its %s is not that of the hart that boots",
                     (unsigned long)this_hart()->id, what);
        atomic_store(&this_hart()->unfit, true);
        sbi_hart_stop();
    }
    hart_setup(this_hart());
    task_loop();
}

static void start_hart(uint64_t id)
{
    uint64_t satp = boot_hart.satp;
    struct hart *hart = host_alloc(sizeof *hart, 64);
    char *stack = stack_alloc(), *panic_stack = memory_alloc(PAGE);
    if (hart == NULL || stack == NULL || panic_stack == NULL)
        panic("no memory for hart %lu", (unsigned long)id);
    hart->id = id;
    hart->hext.index = hart_count;
    hart->stack = (uint64_t)(uintptr_t)stack;
    hart->panic_stack = (uint64_t)(uintptr_t)(panic_stack + PAGE);
    hart->satp = satp;
    dev_add_hart(hart_count, id);
    harts[hart_count++] = hart;
    int64_t error = sbi_hart_start(id, (uint64_t)(uintptr_t)hart_entry, (uint64_t)(uintptr_t)hart);
    if (error != 0)
        console_line("hart %lu does not start (SBI error %ld)", (unsigned long)id, (long)error);
    /* One that takes longer is waited for by nobody: it comes when it comes. */
    for (uint64_t since = host_time_ns(); error == 0 && !atomic_load(&hart->online) &&
                                          !atomic_load(&hart->unfit) &&
                                          host_time_ns() - since < HART_START_NS;)
        ;
    if (error != 0 || atomic_load(&hart->unfit))
        harts[--hart_count] = NULL;
}

/* ---- Guests ---- */

static void find_bundle(void)
{
    uint64_t begin = (uint64_t)(uintptr_t)image_end;
    uint64_t end = platform_memory_end(&platform, begin - 1);
    int error = bundle_open(&bundle, image_end, end > begin ? end - begin : 0);
    if (error == -E_NOENT)
        give_up("no guests: make an image with 'trivisor bundle --type 1'");
    if (error != 0)
        give_up("the bundle behind the hypervisor is damaged, or the memory ends before it");
}

static void read_fleet(void)
{
    struct spec_problem problem;
    fleet = memory_alloc(sizeof *fleet); /* which spec_read clears */
    if (fleet == NULL)
        panic("no memory for the description of the guests");
    if (spec_read(fleet, bundle.spec, bundle.spec_size, &problem) != 0) {
        console_line("the bundle's description: %s", problem.text);
        give_up("the bundle cannot be used");
    }
}

/* The places for guests that there are not. */
static void trim_fleet(void)
{
    size_t used = sizeof fleet->vms[0] * fleet->vm_count + PAGE - 1;
    used -= used % PAGE;
    host_free((char *)fleet + used, sizeof *fleet - used);
}

static void console_main(void *arg)
{
    (void)arg;
    console_run(monitor_command, trace_show);
}

/* With no guest left and nobody at the monitor, the board's work is done. */
static void end_main(void *arg)
{
    struct host_event tick;
    (void)arg;
    host_event_init(&tick);
    for (;;) {
        host_event_wait(&tick, OFF_DELAY_NS / 4);
        dev_poll();
        if (guests_alive() || console_used())
            continue;
        bool failed = false;
        for (unsigned i = 0; i < guest_count; i++)
            failed = failed || atomic_load(&guests[i]->state) == GUEST_FAILED;
        monitor_table();
        console_line("no guest is running; the board goes off");
        sbi_reset(false, failed);
    }
}

/* ---- The beginning ---- */

/* `entered`: ticks at the first instruction. */
_Noreturn void boot_main(uint64_t hart_id, const void *fdt, uint64_t entered)
{
    const char *problem;

    boot_hart.id = hart_id;
    boot_hart.panic_stack = (uint64_t)(uintptr_t)boot_panic_stack_top;
    __asm__ volatile("mv tp, %0" ::"r"(&boot_hart) : "memory");
    hcsr_write(HCSR_SSCRATCH, (uint64_t)(uintptr_t)&boot_hart);
    hcsr_write(HCSR_STVEC, (uint64_t)(uintptr_t)trap_vector);
    harts[hart_count++] = &boot_hart;
    console_setup();

    if (platform_read(&platform, fdt, hart_id, &problem) != 0)
        give_up(problem);
    sbi_use_tree(&platform.fdt);
    if (platform_says(&platform, "colour=off"))
        console_plain();
    if (platform.uart >= VA_LIMIT - PAGE)
        platform.uart = 0;
    if (platform.uart != 0)
        console_use_uart(platform.uart, platform.uart_shift, platform.uart_width);
    timer_setup(platform.timebase, false);
    features.timebase = platform.timebase;
    features.fp = platform.has_fp;
    features.v = platform.has_v;
    hext_probe(&features);
    if (!features.v)
        platform_hide_vectors(&platform);
    platform_add_aia(&platform);
    if (!features.h)
        give_up("this hart has no H extension (hypervisor mode)");
    timer_setup(platform.timebase, features.sstc);
    entered_ns = timer_ns(entered);
    find_bundle();
    setup_memory();
    read_fleet();
    boot_hart.satp = SATP_SV39 << 60 | (uint64_t)(uintptr_t)own_table.root >> 12;
    paging_on(boot_hart.satp);
    stacks_init(&own_table, memory_alloc, fence_all);
    task_setup();
    hart_setup(&boot_hart);

    for (unsigned i = 0; i < platform.hart_count; i++) {
        if (platform.hart_ids[i] == hart_id)
            continue;
        if (platform.hart_lacks[i] != NULL)
            console_line("hart %lu is left out: the hart that boots has %s, this one not",
                         (unsigned long)platform.hart_ids[i], platform.hart_lacks[i]);
        else
            start_hart(platform.hart_ids[i]);
    }
    struct memory_use use;
    memory_use(&use);
    console_line("%u hart%s, %lu MiB, %s, Sv%ux4, %u VMID bits; %u guests", hart_count,
                 hart_count == 1 ? "" : "s", (unsigned long)(use.total >> 20),
                 features.sstc ? "Sstc" : "no Sstc", features.levels * 9 + 12, features.vmid_bits,
                 fleet->vm_count);
    dev_start();
    if (features.imsic_ids != 0 && features.files != 0)
        console_line("board: %u guest interrupt files on each hart", features.files);
    guests_start(fleet, &bundle, &platform, &features);
    trim_fleet();
    task_start(&console_task, "console", NULL, console_main, NULL, 0, 0, UINT64_MAX);
    task_start(&end_task, "end", NULL, end_main, NULL, 0, 0, UINT64_MAX);
    task_loop();
}
