/*
 * SFENCE.VMA and SINVAL.VMA of one address (Privileged ISA 20240411, 10.2.1; "Svinval"): the leaf
 * entry that maps it is read anew, whatever the size of its page and wherever in the page the
 * address lies; what other entries map stays right.
 *
 * Everything between the old access and the new one happens in S-mode without a trap, so that
 * nothing but the fence can have dropped the old translation.
 */
#include "isa.h"

enum fence { ADDRESS, ADDRESS_ASID, SINVAL_ADDRESS, SINVAL_ADDRESS_ASID, ASID, FENCES };

static const char *const fence_name[FENCES] = {"sfence.vma address", "sfence.vma address, asid",
                                               "sinval.vma address", "sinval.vma address, asid",
                                               "sfence.vma x0, asid"};

/* What remap() does, in this order: loads from or calls each of `at`, writes the entry, fences
 * `fence_at`, and does the same again. A call returns a number. */
static struct job {
    uint64_t at[3];
    uint64_t *entry, value;
    uint64_t fence_at;
    enum fence fence;
    bool call;
    uint64_t before[3], after[3];
} job;

static void fence(enum fence kind, uint64_t at)
{
    switch (kind) {
    case ADDRESS: __asm__ volatile("sfence.vma %0, zero" : : "r"(at) : "memory"); break;
    case ADDRESS_ASID: __asm__ volatile("sfence.vma %0, %1" : : "r"(at), "r"(0) : "memory"); break;
    case ASID: __asm__ volatile("sfence.vma zero, %0" : : "r"(0) : "memory"); break;
    default: {
        /* sfence.w.inval; sinval.vma a0, zero or a1; sfence.inval.ir */
        register uint64_t a0 __asm__("a0") = at, a1 __asm__("a1") = 0;

        if (kind == SINVAL_ADDRESS)
            __asm__ volatile(".4byte 0x18000073, 0x16050073, 0x18100073" : : "r"(a0) : "memory");
        else
            __asm__ volatile(".4byte 0x18000073, 0x16b50073, 0x18100073"
                             :
                             : "r"(a0), "r"(a1)
                             : "memory");
    }
    }
}

static uint64_t use(uint64_t at)
{
    return job.call ? ((uint64_t(*)(void))at)() : *(volatile uint64_t *)at;
}

static void remap(void)
{
    for (unsigned i = 0; i < 3; i++)
        job.before[i] = use(job.at[i]);
    *(volatile uint64_t *)job.entry = job.value;
    fence(job.fence, job.fence_at);
    for (unsigned i = 0; i < 3; i++)
        job.after[i] = use(job.at[i]);
}

/* Runs the job. */
static void check_job(const char *what, const uint64_t before[3], const uint64_t after[3])
{
    bool good = true;

    trap_clear();
    run_in(S, FN(remap), 0, 0);
    good &= CHECK_OK(what);
    for (unsigned i = 0; i < 3; i++) {
        good &= CHECK_EQ(what, job.before[i], before[i]);
        good &= CHECK_EQ(what, job.after[i], after[i]);
    }
    if (!good) {
        print("    ");
        print(fence_name[job.fence]);
        print(" of ");
        print_hex(job.fence_at);
        print("\n");
    }
}

#define OLD_MEGA 0x80800000ULL /* RAM behind the program */
#define NEW_MEGA 0x80a00000ULL

/* A function that returns `value`, in eight bytes that are also a number. */
static uint64_t function(unsigned value)
{
    return (uint64_t)RET << 32 | ENC_I(MATCH_addi, 10, 0, value);
}

static void small_pages(enum fence kind, bool call)
{
    const uint64_t old = call ? 10 : function(10), new = call ? 20 : function(20);
    const uint64_t low = call ? 30 : function(30), high = call ? 40 : function(40);

    *(uint64_t *)(pages[0] + 0x100) = function(10);
    *(uint64_t *)(pages[1] + 0x100) = function(20);
    *(uint64_t *)(pages[2] + 0xff0) = function(30);
    *(uint64_t *)(pages[3] + 0x010) = function(40);
    fence_i();
    for (uint64_t offset = 0; offset < 4096; offset += 0x555) {
        vm_map(1, FN(pages[2]), PTE_ALL);
        vm_map(2, FN(pages[0]), PTE_ALL);
        vm_map(3, FN(pages[3]), PTE_ALL);
        job = (struct job){.at = {WINDOW + 0x1ff0, WINDOW + 0x2100, WINDOW + 0x3010},
                           .entry = &leaf[2],
                           .value = PTE_PPN(FN(pages[1])) | PTE_ALL,
                           .fence_at = WINDOW + 0x2000 + offset,
                           .fence = kind,
                           .call = call};
        check_job(call ? "code of a page that is remapped" : "page that is remapped",
                  (uint64_t[]){low, old, high}, (uint64_t[]){low, new, high});
    }
}

/* The fence names a place in the 2 MiB page from which nothing was ever loaded. */
static void large_pages(enum fence kind, bool call)
{
    static const uint64_t places[] = {0, 0x1000, 0xff000, 0x1ff000, 0x1fffff};

    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
        mega[1] = PTE_PPN(OLD_MEGA) | PTE_ALL;
        vm_map(1, FN(pages[0]), PTE_ALL);
        *(uint64_t *)pages[0] = function(50);
        for (unsigned j = 0; j < 2; j++) {
            uint64_t base = j == 0 ? OLD_MEGA : NEW_MEGA;

            *(uint64_t *)(base + 0x2000) = function(60 + j);
            *(uint64_t *)(base + 0x1fe000) = function(70 + j);
        }
        fence_i();
        sfence_vma();
        job = (struct job){.at = {WINDOW + 0x1000, WINDOW_MEGA + 0x2000, WINDOW_MEGA + 0x1fe000},
                           .entry = &mega[1],
                           .value = PTE_PPN(NEW_MEGA) | PTE_ALL,
                           .fence_at = WINDOW_MEGA + places[i],
                           .fence = kind,
                           .call = call};
        if (call)
            check_job("code of a 2 MiB page that is remapped", (uint64_t[]){50, 60, 70},
                      (uint64_t[]){50, 61, 71});
        else
            check_job("2 MiB page that is remapped",
                      (uint64_t[]){function(50), function(60), function(70)},
                      (uint64_t[]){function(50), function(61), function(71)});
    }
    mega[1] = 0;
    sfence_vma();
}

/* Loads, writes the entry, fences, and stores: what the new entry denies must trap. */
static void tighten(void)
{
    job.before[0] = use(job.at[0]);
    *(volatile uint64_t *)job.at[0] = job.before[0];
    *(volatile uint64_t *)job.entry = job.value;
    fence(job.fence, job.fence_at);
    *(volatile uint64_t *)job.at[0] = job.before[0];
}

static void permissions(enum fence kind)
{
    static const struct {
        uint64_t *entry;
        uint64_t at, fence_at, pa;
    } cases[] = {
        {&leaf[1], WINDOW + 0x1008, WINDOW + 0x1ff8, OLD_MEGA},
        {&mega[1], WINDOW_MEGA + 0x5008, WINDOW_MEGA + 0x100000, OLD_MEGA},
        {&giga[3], WINDOW_GIGA + 0x805008, WINDOW_GIGA + 0x3ff00000, 0x80000000},
    };

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (unsigned gone = 0; gone < 2; gone++) {
            *cases[i].entry = PTE_PPN(cases[i].pa) | PTE_ALL;
            sfence_vma();
            job = (struct job){.at = {cases[i].at},
                               .entry = cases[i].entry,
                               .value = gone ? 0 : *cases[i].entry & ~PTE_W,
                               .fence_at = cases[i].fence_at,
                               .fence = kind};
            trap_clear();
            run_in(S, FN(tighten), 0, 0);
            CHECK_EQ("store that the new entry denies", trap.count, 1);
            CHECK_EQ("store that the new entry denies", trap.cause, STORE_PAGE);
            CHECK_EQ("store that the new entry denies", trap.tval, cases[i].at);
            *cases[i].entry = 0;
            sfence_vma();
        }
}

/* An instruction of four bytes in two pages: the second is remapped. */
static void instruction_across_pages(enum fence kind)
{
    for (unsigned i = 0; i < 2; i++) {
        *(uint16_t *)(pages[0] + 0xffe) = (uint16_t)ENC_I(MATCH_addi, 10, 0, 80);
        *(uint16_t *)(pages[1 + i]) = (uint16_t)(ENC_I(MATCH_addi, 10, 0, 80 + i) >> 16);
        *(uint32_t *)(pages[1 + i] + 2) = RET;
    }
    fence_i();
    vm_map(1, FN(pages[0]), PTE_ALL);
    vm_map(2, FN(pages[1]), PTE_ALL);
    job = (struct job){.at = {WINDOW + 0x1ffe, WINDOW + 0x1ffe, WINDOW + 0x1ffe},
                       .entry = &leaf[2],
                       .value = PTE_PPN(FN(pages[2])) | PTE_ALL,
                       .fence_at = WINDOW + 0x2000,
                       .fence = kind,
                       .call = true};
    check_job("instruction of two pages, the second remapped", (uint64_t[]){80, 80, 80},
              (uint64_t[]){81, 81, 81});
}

/* Pages whose numbers end alike share what an engine keeps by their low bits: a fence of one, with
 * the other out of sight, and later one of the other. The loop is long enough to be hot. */
static uint64_t far_leaf[512] __attribute__((aligned(4096)));

static uint64_t __attribute__((noinline)) sweep(const volatile uint64_t *words)
{
    uint64_t sum = 0, word;

    for (unsigned i = 0; i < 300; i++) {
        __asm__ volatile("ld %0, 0(%1)" : "=&r"(word) : "r"(words + (i * 5 & 7)) : "memory");
        sum += word;
    }
    return sum;
}

/* The same by sp, with nothing else of the stack in between. */
static void alternate_by_sp(uint64_t distance)
{
    uint64_t at = WINDOW + 0x1000, before, after;

    __asm__ volatile("mv t0, sp\n"
                     "mv sp, %2\n"
                     "ld %0, 256(sp)\n"
                     "j 1f\n"
                     "1: ld %0, 256(sp)\n"
                     "ld t1, 0(%3)\n"
                     "sfence.vma %3\n"
                     "sd %5, 0(%4)\n"
                     "sfence.vma %2\n"
                     "ld %1, 256(sp)\n"
                     "mv sp, t0"
                     : "=&r"(before), "=&r"(after)
                     : "r"(at), "r"(at + distance), "r"(job.entry), "r"(job.value)
                     : "t0", "t1", "memory");
    job.before[2] = before;
    job.after[2] = after;
}

static void alternate(uint64_t distance)
{
    const uint64_t at = WINDOW + 0x1000;

    job.before[0] = sweep((const volatile uint64_t *)at);
    job.before[1] = use(at + distance);
    fence(job.fence, at + distance);
    *(volatile uint64_t *)job.entry = job.value;
    fence(job.fence, at);
    job.after[0] = sweep((const volatile uint64_t *)at);
    job.after[1] = use(at + distance);
}

static void pages_that_end_alike(enum fence kind)
{
    for (uint64_t distance = 2ULL << 20; distance <= 512ULL << 20; distance <<= 1) {
        mega[distance >> 21] = PTE_PPN(FN(far_leaf)) | PTE_V;
        for (unsigned i = 0; i < 512; i++) {
            ((uint64_t *)pages[0])[i] = 1;
            ((uint64_t *)pages[1])[i] = 2;
            ((uint64_t *)pages[2])[i] = 3;
        }
        far_leaf[1] = PTE_PPN(FN(pages[1])) | PTE_ALL;
        vm_map(1, FN(pages[0]), PTE_ALL);
        job = (struct job){
            .entry = &leaf[1], .value = PTE_PPN(FN(pages[2])) | PTE_ALL, .fence = kind};
        trap_clear();
        run_in(S, FN(alternate), distance, 0);
        CHECK_OK("pages that end alike");
        CHECK_EQ("pages that end alike", job.before[0], 300);
        CHECK_EQ("pages that end alike", job.before[1], 2);
        CHECK_EQ("pages that end alike: the remapped", job.after[0], 900);
        CHECK_EQ("pages that end alike: the other", job.after[1], 2);
        vm_map(1, FN(pages[0]), PTE_ALL);
        run_in(S, FN(alternate_by_sp), distance, 0);
        CHECK_EQ("pages that end alike, by sp", job.before[2], 1);
        CHECK_EQ("pages that end alike, by sp: the remapped", job.after[2], 3);
        mega[distance >> 21] = 0;
    }
    sfence_vma();
}

void test_main(void)
{
    for (unsigned mode = 8; mode <= 10; mode++) {
        vm_on(mode);
        for (unsigned kind = 0; kind < FENCES; kind++)
            pages_that_end_alike((enum fence)kind);
        for (unsigned kind = 0; kind < FENCES; kind++)
            for (unsigned call = 0; call < 2; call++) {
                small_pages((enum fence)kind, call);
                large_pages((enum fence)kind, call);
                instruction_across_pages((enum fence)kind);
                permissions((enum fence)kind);
            }
        vm_on(0);
    }
}
