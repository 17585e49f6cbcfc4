/*
 * Translated code: its memory, blocks by the guest code that they were made from, the links between
 * them, and what becomes of them when that code is written.
 *
 * One lock guards all of it. Blocks that are dropped stay where they are, so that a VCPU in the
 * middle of one goes on undisturbed, until all code is flushed while no VCPU is in any.
 */
#define _GNU_SOURCE
#include "engine/jit/backend.h"

#include "core/error.h"
#include "engine/jit/observe.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define CODE_BYTES (128u << 20)
/* From here on: what is rarely executed, so that the rest is dense. */
#define RARE_BASE   (72u << 20)
#define BLOCKS_BITS 18
#define BLOCKS_MAX  (1u << BLOCKS_BITS)
#define HASH_BITS   (BLOCKS_BITS + 1)
#define HASH_SLOTS  (1u << HASH_BITS)
/* Of a slot: the block, and bits of its key, so that others need not be looked at. */
#define SLOT_BLOCK   (BLOCKS_MAX - 1)
#define SLOT_EMPTY   0u
#define SLOT_DROPPED (~SLOT_BLOCK) /* block 0, which is none */
#define PAGE_BUCKETS (1u << 12)
#define COPIES_BYTES (BLOCKS_MAX * IR_GUEST_MAX * 4)
#define EMIT_ROOM    (64u << 10) /* no block is larger */
#define LINE_SHIFT   6
#define DROPPED_MAX  1024u /* dropped blocks that are told one by one */
/* Stores to a page that changed none of its code, after which it is taken for data. */
#define STRAYS_MIN   16u
#define STRAYS_SHIFT 10u /* at most: each time that the page is code again it is twice as many */
#define OWNER_SHIFT  6
/* What a guest that does next to nothing (a kernel's ticks are less) for so long has no use for. */
#define REST_BYTES        (8u << 20)
#define REST_TICKS        10000000u /* of guest time: a second */
#define REST_INSTRUCTIONS 5000000u
#define HOT               24 /* turns of a loop, until it is translated as a whole */

/*
 * A guest page that code was translated from. Until `code` is false again (its blocks are gone, and
 * only data is stored there), MEM_PAGE_CODE is set.
 */
struct code_page {
    uint64_t gpa;
    const uint8_t *hva;
    uint64_t lines; /* bit n: bytes 64 n.. are part of a block */
    bool code;
    bool unsure;     /* a store may have gone unseen: compared at the next FENCE.I */
    uint8_t returns; /* how often it has become code after it was taken for data */
    uint32_t strays; /* stores to none of its code since the last translation */
    struct jit_block *blocks;
    struct code_page *next, *unsure_next;
};

struct jit_vm {
    struct vm *vm;
    struct jit_cpu *_Atomic cpus[VM_VCPUS_MAX];
    struct host_lock lock;
    uint8_t *write;
    const uint8_t *run;
    uint32_t fixed, used; /* bytes of fixed code, of all code below RARE_BASE */
    uint32_t rare_used;   /* up to where there is code above it */
    const struct jit_backend *backend;
    struct jit_block *blocks; /* in the order of their code; block 0 is not used */
    uint8_t *copies;          /* the guest's bytes of all blocks */
    uint32_t copies_used;
    unsigned windows; /* of contexts: given to regions */
    uint32_t *owners; /* by 64 bytes of code: the last block that has some of them */
    unsigned block_count;
    /* By open addressing: more slots than blocks are ever made between two flushes. */
    uint32_t hash[HASH_SLOTS];
    struct code_page *pages[PAGE_BUCKETS];
    struct code_page *unsure;
    /* Raised when all code is dropped: jump caches of an older one may name it. */
    _Atomic uint32_t epoch;
    /* Single blocks that were dropped, the last DROPPED_MAX of `dropped_count`. Each hart forgets
     * them at its own FENCE.I, or before: until then it may execute what was there. */
    struct jit_dropped dropped[DROPPED_MAX];
    _Atomic uint64_t dropped_count;
    _Atomic bool flushing;
    uint64_t rest_since, rest_executed; /* when it last did more, and how much it had done */
    struct ir_block ir;
    struct jit_observer *observer; /* or NULL */
    struct jit_stats stats;
};

/* Lock held. */
static void count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

struct jit_stats *jit_stats(struct jit_vm *jv)
{
    return &jv->stats;
}

void jit_cache_join(struct jit_vm *jv, unsigned id, struct jit_cpu *cpu)
{
    atomic_store(&jv->cpus[id], cpu);
}

const struct jit_cpu *jit_cpu_of(const struct jit_vm *jv, unsigned id)
{
    return atomic_load(&jv->cpus[id]);
}

const struct jit_backend *jit_backend(const struct jit_vm *jv)
{
    return jv->backend;
}

uint32_t jit_epoch(struct jit_vm *jv)
{
    return atomic_load(&jv->epoch);
}

static bool is_full(const struct jit_vm *jv)
{
    return jv->used + EMIT_ROOM > RARE_BASE || jv->rare_used + EMIT_ROOM > CODE_BYTES ||
           jv->block_count == BLOCKS_MAX || jv->copies_used + IR_REGION_MAX * 4 > COPIES_BYTES;
}

/* ---- its life ---- */

static int map_code(struct jit_vm *jv)
{
    int fd = memfd_create("trivisor-code", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    void *write = MAP_FAILED, *run = MAP_FAILED;
    if (ftruncate(fd, CODE_BYTES) == 0) {
        write = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        run = mmap(NULL, CODE_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    }
    int error = errno;
    close(fd);
    if (write == MAP_FAILED || run == MAP_FAILED) {
        if (write != MAP_FAILED)
            munmap(write, CODE_BYTES);
        return -error;
    }
    jv->write = write;
    jv->run = run;
    return 0;
}

static void *map_lazily(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p != MAP_FAILED ? p : NULL;
}

static void code_changed(void *arg, uint64_t gpa, uint64_t len)
{
    jit_code_written(arg, NULL, gpa, len);
}

int jit_cache_init(struct vm *vm, struct jit_vm **out)
{
    struct jit_vm *jv = calloc(1, sizeof *jv);
    if (jv == NULL)
        return -E_NOMEM;
    jv->vm = vm;
    jv->backend = jit_options()->backend != NULL ? jit_options()->backend : jit_host_backend;
    if (jv->backend == NULL) {
        free(jv);
        return -E_NOTSUP;
    }
    host_lock_init(&jv->lock);
    jv->blocks = map_lazily(sizeof *jv->blocks * BLOCKS_MAX);
    jv->copies = map_lazily(COPIES_BYTES);
    jv->owners = map_lazily(sizeof *jv->owners * (CODE_BYTES >> OWNER_SHIFT));
    int error =
        jv->blocks != NULL && jv->copies != NULL && jv->owners != NULL ? map_code(jv) : -E_NOMEM;
    if (error == 0) {
        struct jit_room room = {.write = jv->write, .run = jv->run, .size = EMIT_ROOM};
        long fixed = jv->backend->init(&room);
        error = fixed < 0 ? (int)fixed : 0;
        jv->fixed = jv->used = fixed < 0 ? 0 : ((uint32_t)fixed + 63) & ~63u;
        jv->rare_used = RARE_BASE;
    }
    if (error == 0)
        error = jit_observer_open(&jv->observer, jit_options(), jv->backend);
    if (error != 0) {
        jit_cache_fini(jv);
        return error;
    }
    jv->block_count = 1;
    jv->rest_since = clock_now(&vm->clock);
    vm->mem.code_changed = code_changed;
    vm->mem.code_changed_arg = jv;
    *out = jv;
    return 0;
}

/* No code is in the page, and stores need tell nobody. */
static void page_becomes_data(struct jit_vm *jv, struct code_page *page)
{
    struct mem_slot *slot = mem_slot_find(&jv->vm->mem, page->gpa, 1);
    page->code = false;
    if (slot != NULL)
        atomic_fetch_and(&slot->flags[(page->gpa - slot->gpa) >> MEM_PAGE_SHIFT],
                         (uint8_t)~MEM_PAGE_CODE);
}

static void free_pages(struct jit_vm *jv)
{
    for (unsigned i = 0; i < PAGE_BUCKETS; i++) {
        while (jv->pages[i] != NULL) {
            struct code_page *page = jv->pages[i];
            jv->pages[i] = page->next;
            page_becomes_data(jv, page);
            free(page);
        }
    }
    jv->unsure = NULL;
}

void jit_cache_fini(struct jit_vm *jv)
{
    if (jv == NULL)
        return;
    jv->vm->mem.code_changed = NULL;
    jit_observer_close(jv->observer);
    free_pages(jv);
    if (jv->write != NULL) {
        munmap(jv->write, CODE_BYTES);
        munmap((void *)(uintptr_t)jv->run, CODE_BYTES);
    }
    if (jv->blocks != NULL)
        munmap(jv->blocks, sizeof *jv->blocks * BLOCKS_MAX);
    if (jv->copies != NULL)
        munmap(jv->copies, COPIES_BYTES);
    if (jv->owners != NULL)
        munmap(jv->owners, sizeof *jv->owners * (CODE_BYTES >> OWNER_SHIFT));
    free(jv);
}

/* ---- finding ---- */

/* Where the search for a block begins; *tag: what its slot has above SLOT_BLOCK. */
static uint32_t hash_of(uint64_t pa, uint32_t *tag)
{
    uint64_t key = (pa >> 1) * 0x9e3779b97f4a7c15ULL;
    *tag = (uint32_t)key & ~SLOT_BLOCK;
    return (uint32_t)(key >> (64 - HASH_BITS));
}

static bool slot_is(const struct jit_vm *jv, uint32_t slot, uint32_t tag, uint64_t pa)
{
    return slot != SLOT_DROPPED && (slot & ~SLOT_BLOCK) == tag &&
           jv->blocks[slot & SLOT_BLOCK].pa == pa;
}

/* The last that was added of the blocks there: a region comes after the block that begins like it.
 */
static struct jit_block *block_at(struct jit_vm *jv, uint64_t pa)
{
    uint32_t tag, at = hash_of(pa, &tag), slot;
    for (; (slot = jv->hash[at]) != SLOT_EMPTY; at = (at + 1) & (HASH_SLOTS - 1)) {
        if (slot_is(jv, slot, tag, pa))
            return &jv->blocks[slot & SLOT_BLOCK];
    }
    return NULL;
}

static void block_add(struct jit_vm *jv, const struct jit_block *b)
{
    uint32_t tag, at = hash_of(b->pa, &tag), slot;
    uint32_t add = tag | (uint32_t)(b - jv->blocks);
    for (; (slot = jv->hash[at]) != SLOT_EMPTY && slot != SLOT_DROPPED;
         at = (at + 1) & (HASH_SLOTS - 1)) {
        if (slot_is(jv, slot, tag, b->pa)) {
            jv->hash[at] = add; /* found before the older one, which goes on */
            add = slot;
        }
    }
    jv->hash[at] = add;
}

static void block_remove(struct jit_vm *jv, const struct jit_block *b)
{
    uint32_t tag, at = hash_of(b->pa, &tag);
    tag |= (uint32_t)(b - jv->blocks);
    while (jv->hash[at] != SLOT_EMPTY && jv->hash[at] != tag)
        at = (at + 1) & (HASH_SLOTS - 1);
    if (jv->hash[at] == tag)
        jv->hash[at] = SLOT_DROPPED;
}

static struct code_page *page_at(struct jit_vm *jv, uint64_t pa)
{
    uint64_t gpa = pa & ~PAGE_OFFSET;
    struct code_page *page = jv->pages[gpa >> MEM_PAGE_SHIFT & (PAGE_BUCKETS - 1)];
    while (page != NULL && page->gpa != gpa)
        page = page->next;
    return page;
}

bool jit_page_has_code(struct jit_vm *jv, uint64_t gpa)
{
    struct mem_slot *slot = mem_slot_find(&jv->vm->mem, gpa, 1);
    return slot != NULL && (atomic_load_explicit(&slot->flags[(gpa - slot->gpa) >> MEM_PAGE_SHIFT],
                                                 memory_order_acquire) &
                            MEM_PAGE_CODE) != 0;
}

static uint8_t *copy_of(const struct jit_vm *jv, const struct jit_block *b)
{
    return jv->copies + b->copy;
}

/* The block whose code holds `site`. */
static struct jit_block *block_of(struct jit_vm *jv, uint32_t site)
{
    unsigned i = jv->owners[site >> OWNER_SHIFT];
    while (i > 0 && (site < RARE_BASE ? jv->blocks[i].code : jv->blocks[i].rare) > site)
        i--;
    return i > 0 ? &jv->blocks[i] : NULL;
}

static struct jit_link *link_at(struct jit_vm *jv, uint32_t site)
{
    struct jit_block *b = block_of(jv, site);
    for (unsigned i = 0; b != NULL && i < b->link_count; i++) {
        if (b->links[i].site == site)
            return &b->links[i];
    }
    return NULL;
}

/* ---- dropping ---- */

/* `cpu`'s caches (NULL: nobody's here) forget the block at once, those of others at their FENCE.I.
 */
static void drop(struct jit_vm *jv, struct jit_cpu *cpu, struct jit_block *b)
{
    const struct jit_dropped dropped = {
        .pa = b->pa, .page_va = b->page_va, .code = jv->run + b->code, .elsewhere = b->elsewhere};
    block_remove(jv, b);
    for (struct jit_link *link = b->incoming; link != NULL; link = link->next) {
        jv->backend->unlink(jv->write, link->site, link->ask);
        link->to = NULL;
    }
    b->incoming = NULL;
    /* Its own links stay: they are in the lists of others, which unlink them when they go. */
    if (cpu != NULL)
        jit_context_forget_block(cpu, &dropped);
    if (cpu == NULL || jv->vm->vcpu_count > 1) {
        uint64_t n = atomic_load_explicit(&jv->dropped_count, memory_order_relaxed);
        jv->dropped[n % DROPPED_MAX] = dropped;
        atomic_store_explicit(&jv->dropped_count, n + 1, memory_order_release);
    }
    count(&jv->stats.invalidated, 1);
}

static uint64_t lines_of(uint64_t first_byte, uint64_t past)
{
    unsigned first = (unsigned)first_byte >> LINE_SHIFT, last = (unsigned)(past - 1) >> LINE_SHIFT;
    return (UINT64_MAX << first) & (UINT64_MAX >> (63 - last));
}

static uint64_t lines_of_block(const struct jit_block *b)
{
    return lines_of(b->pa & PAGE_OFFSET, (b->pa & PAGE_OFFSET) + b->bytes);
}

/* Drops the blocks with any of the page's bytes [first, past); false: there is none. */
static bool drop_bytes(struct jit_vm *jv, struct jit_cpu *cpu, struct code_page *page,
                       uint64_t first, uint64_t past)
{
    struct jit_block **at = &page->blocks;
    bool any = false;
    page->lines = 0;
    while (*at != NULL) {
        struct jit_block *b = *at;
        uint64_t begin = b->pa & PAGE_OFFSET;
        if (begin >= past || begin + b->bytes <= first) {
            page->lines |= lines_of_block(b);
            at = &b->page_next;
            continue;
        }
        *at = b->page_next;
        drop(jv, cpu, b);
        any = true;
    }
    return any;
}

static void be_unsure(struct jit_vm *jv, struct code_page *page)
{
    if (page->unsure)
        return;
    page->unsure = true;
    page->unsure_next = jv->unsure;
    jv->unsure = page;
}

/* Bytes [first, past) of the page were stored to. */
static void page_written(struct jit_vm *jv, struct jit_cpu *cpu, struct code_page *page,
                         uint64_t first, uint64_t past)
{
    if ((page->lines & lines_of(first, past)) != 0 && drop_bytes(jv, cpu, page, first, past)) {
        page->strays = 0;
        return;
    }
    unsigned shift = page->blocks == NULL ? 0 : page->returns;
    if (++page->strays < STRAYS_MIN << shift)
        return;
    drop_bytes(jv, cpu, page, 0, MEM_PAGE_SIZE);
    page_becomes_data(jv, page);
}

void jit_code_written(struct jit_vm *jv, struct jit_cpu *cpu, uint64_t gpa, uint64_t len)
{
    host_lock_acquire(&jv->lock);
    for (uint64_t at = gpa, end = gpa + len; at < end; at = (at & ~PAGE_OFFSET) + MEM_PAGE_SIZE) {
        struct code_page *page = page_at(jv, at);
        if (page == NULL || !page->code)
            continue;
        uint64_t past =
            (at & ~PAGE_OFFSET) + MEM_PAGE_SIZE < end ? MEM_PAGE_SIZE : end - (at & ~PAGE_OFFSET);
        page_written(jv, cpu, page, at & PAGE_OFFSET, past);
        if (jv->vm->vcpu_count > 1)
            be_unsure(jv, page); /* the bytes may be changed only after this call */
    }
    host_lock_release(&jv->lock);
}

/* Whose bytes are not what they were translated from goes. Lock held. */
static void look_again(struct jit_vm *jv, struct jit_cpu *cpu)
{
    while (jv->unsure != NULL) {
        struct code_page *page = jv->unsure;
        jv->unsure = page->unsure_next;
        page->unsure = false;
        struct jit_block **at = &page->blocks;
        while (*at != NULL) {
            struct jit_block *b = *at;
            if (memcmp(page->hva + (b->pa & PAGE_OFFSET), copy_of(jv, b), b->bytes) == 0) {
                at = &b->page_next;
                continue;
            }
            *at = b->page_next;
            drop(jv, cpu, b);
        }
    }
}

/* Lock held. */
static void forget_dropped(struct jit_vm *jv, struct jit_cpu *cpu)
{
    uint64_t count = atomic_load_explicit(&jv->dropped_count, memory_order_relaxed);
    if (count - cpu->dropped_seen > DROPPED_MAX) {
        jit_context_forget_code(cpu);
        memset(cpu->found, 0, sizeof cpu->found);
    } else {
        for (uint64_t i = cpu->dropped_seen; i < count; i++)
            jit_context_forget_block(cpu, &jv->dropped[i % DROPPED_MAX]);
    }
    cpu->dropped_seen = count;
}

void jit_forget_dropped(struct jit_cpu *cpu)
{
    if (cpu->dropped_seen == atomic_load(&cpu->vm->dropped_count))
        return;
    host_lock_acquire(&cpu->vm->lock);
    forget_dropped(cpu->vm, cpu);
    host_lock_release(&cpu->vm->lock);
}

bool jit_fence_i_quick(struct jit_cpu *cpu)
{
    struct jit_vm *jv = cpu->vm;
    bool quick = true;
    if (jv->vm->vcpu_count == 1) {
        jit_forget_dropped(cpu);
        return true;
    }
    host_lock_acquire(&jv->lock);
    if (jv->unsure != NULL)
        quick = false;
    else
        forget_dropped(jv, cpu);
    host_lock_release(&jv->lock);
    return quick;
}

void jit_fence_i(struct jit_cpu *cpu)
{
    struct jit_vm *jv = cpu->vm;
    if (jit_fence_i_quick(cpu))
        return;
    /* Those that may still write by an old TLB entry are heard first. */
    for (unsigned i = 0; i < jv->vm->vcpu_count; i++) {
        struct vcpu *other = jv->vm->vcpus[i];
        while (other != &cpu->hart->vcpu && !vcpu_post_done(other, VCPU_REQ_TLB_FLUSH)) {
            /* It may wait for us in the same place. */
            if (atomic_load(&cpu->hart->vcpu.requests) & VCPU_REQ_TLB_FLUSH) {
                jit_context_flush_all(cpu);
                cpu->reference_effects |= EFFECT_TRANSLATION;
                atomic_fetch_and(&cpu->hart->vcpu.requests, ~VCPU_REQ_TLB_FLUSH);
            }
            host_yield();
        }
    }
    host_lock_acquire(&jv->lock);
    look_again(jv, cpu);
    forget_dropped(jv, cpu);
    host_lock_release(&jv->lock);
}

static bool nobody_in_code(const struct jit_vm *jv, const struct jit_cpu *but)
{
    for (unsigned i = 0; i < jv->vm->vcpu_count; i++) {
        const struct jit_cpu *cpu = jv->cpus[i];
        if (cpu != NULL && cpu != but && atomic_load(&cpu->in_code))
            return false;
    }
    return true;
}

/*
 * Lock held by `cpu`, which is in no code; given up meanwhile, because those that are in code may
 * need it to get out.
 */
static void flush_all(struct jit_vm *jv, struct jit_cpu *cpu)
{
    bool mine = !atomic_exchange(&jv->flushing, true);
    host_lock_release(&jv->lock);
    while (mine ? !nobody_in_code(jv, cpu) : atomic_load(&jv->flushing)) {
        vm_kick_all(jv->vm);
        host_yield();
    }
    host_lock_acquire(&jv->lock);
    if (!mine)
        return;
    memset(jv->hash, 0, sizeof jv->hash);
    free_pages(jv);
    jv->used = jv->fixed;
    jv->rare_used = RARE_BASE;
    jv->copies_used = 0;
    jv->windows = 0;
    jv->block_count = 1;
    atomic_fetch_add(&jv->epoch, 1);
    count(&jv->stats.flushes, 1);
    atomic_store(&jv->flushing, false);
}

void jit_code_flush(struct jit_cpu *cpu)
{
    host_lock_acquire(&cpu->vm->lock);
    flush_all(cpu->vm, cpu);
    host_lock_release(&cpu->vm->lock);
}

/* After flush_all, lock held. */
static void give_back(struct jit_vm *jv)
{
    uint32_t from = (uint32_t)((jv->used + PAGE_OFFSET) & ~PAGE_OFFSET);
    madvise(jv->write + from, CODE_BYTES - from, MADV_REMOVE);
    madvise(jv->blocks, sizeof *jv->blocks * BLOCKS_MAX, MADV_DONTNEED);
    madvise(jv->copies, (size_t)BLOCKS_MAX * IR_GUEST_MAX * 4, MADV_DONTNEED);
    madvise(jv->owners, sizeof *jv->owners * (CODE_BYTES >> OWNER_SHIFT), MADV_DONTNEED);
}

void jit_code_rest(struct jit_cpu *cpu)
{
    struct jit_vm *jv = cpu->vm;
    unsigned enough = jit_options()->rest_bytes != 0 ? jit_options()->rest_bytes : REST_BYTES;

    host_lock_acquire(&jv->lock);
    if (jv->used + (jv->rare_used - RARE_BASE) >= enough) {
        uint64_t now = clock_now(&jv->vm->clock), executed = 0;
        for (unsigned i = 0; i < jv->vm->vcpu_count; i++)
            executed += atomic_load_explicit(&jv->vm->vcpus[i]->instructions, memory_order_relaxed);
        if (executed - jv->rest_executed > REST_INSTRUCTIONS) {
            jv->rest_executed = executed;
            jv->rest_since = now;
        } else if (now - jv->rest_since >= REST_TICKS) {
            flush_all(jv, cpu);
            give_back(jv);
        }
    }
    host_lock_release(&jv->lock);
}

void jit_code_enter(struct jit_cpu *cpu)
{
    struct jit_vm *jv = cpu->vm;
    atomic_store(&cpu->in_code, true);
    while (atomic_load(&jv->flushing)) {
        atomic_store(&cpu->in_code, false);
        host_yield();
        atomic_store(&cpu->in_code, true);
    }
}

void jit_code_leave(struct jit_cpu *cpu)
{
    atomic_store_explicit(&cpu->in_code, false, memory_order_release);
}

/* ---- making ---- */

/* The page holds code from now on: stores to it come by jit_code_written. Lock held. */
static struct code_page *page_make(struct jit_cpu *cpu, uint64_t pa, const uint8_t *hva)
{
    struct jit_vm *jv = cpu->vm;
    struct code_page *page = page_at(jv, pa);
    if (page != NULL && page->code)
        return page;
    struct mem_slot *slot = mem_slot_find(&jv->vm->mem, pa, 1);
    if (slot == NULL)
        return NULL;
    if (page == NULL) {
        page = calloc(1, sizeof *page);
        if (page == NULL)
            return NULL;
        page->gpa = pa & ~PAGE_OFFSET;
        page->hva = hva;
        struct code_page **bucket = &jv->pages[page->gpa >> MEM_PAGE_SHIFT & (PAGE_BUCKETS - 1)];
        page->next = *bucket;
        *bucket = page;
    } else if (page->returns < STRAYS_SHIFT) {
        page->returns++;
    }
    page->code = true;
    _Atomic uint8_t *flags = &slot->flags[(page->gpa - slot->gpa) >> MEM_PAGE_SHIFT];
    uint8_t before = atomic_fetch_or(flags, MEM_PAGE_CODE);
    atomic_thread_fence(memory_order_seq_cst);
    if ((before & MEM_PAGE_STORED) == 0)
        return page; /* no TLB has ever let stores through */
    jit_context_protect(cpu, (uintptr_t)hva);
    cpu->reference_effects |= EFFECT_TRANSLATION;
    for (unsigned i = 0; i < jv->vm->vcpu_count; i++) {
        if (jv->vm->vcpus[i] != &cpu->hart->vcpu) {
            vcpu_post(jv->vm->vcpus[i], VCPU_REQ_TLB_FLUSH);
            be_unsure(jv, page);
        }
    }
    return page;
}

/* The newest block has `size` bytes of code at `at`. */
static void own(struct jit_vm *jv, uint32_t at, uint32_t size)
{
    const uint32_t past = (at + size + (1u << OWNER_SHIFT) - 1) >> OWNER_SHIFT;
    for (uint32_t i = at >> OWNER_SHIFT; size > 0 && i < past; i++)
        jv->owners[i] = jv->block_count;
}

/* Lock held. `region`: the loop whose head is there. NULL: it cannot be kept, or is none. */
static struct jit_block *translate(struct jit_cpu *cpu, uint64_t pc, uint64_t pa,
                                   const uint8_t *source, bool region)
{
    struct jit_vm *jv = cpu->vm;
    unsigned room = (unsigned)(MEM_PAGE_SIZE - (pa & PAGE_OFFSET));
    struct jit_emitted emitted;

    if (is_full(jv)) {
        /* Two that wait for each other to leave code would do so for ever: the loop flushes. */
        if (atomic_load_explicit(&cpu->in_code, memory_order_relaxed))
            return NULL;
        flush_all(jv, cpu);
    }
    struct code_page *page = page_make(cpu, pa, source - (pa & PAGE_OFFSET));
    if (page == NULL)
        return NULL;
    struct jit_block *b = &jv->blocks[jv->block_count];
    uint8_t *copy = jv->copies + jv->copies_used;
    const unsigned most = (region ? IR_REGION_MAX : IR_GUEST_MAX) * 4;
    if (room > most)
        room = most;
    /* What is translated and what is compared later must be the same bytes. */
    memcpy(copy, source, room);
    atomic_signal_fence(memory_order_seq_cst);
    jv->ir.vtype = cpu->hart->vtype;
    jv->ir.isa = &cpu->hart->isa; /* all harts of a machine are alike */
    if (region) {
        if (!ir_translate_region(&jv->ir, pc, copy, room))
            return NULL;
    } else if (!ir_translate(&jv->ir, pc, copy, room)) {
        const struct jit_fetch *next = room == 2 ? jit_context_fetch(cpu, pc + 2) : NULL;
        if (next == NULL)
            return NULL;
        memcpy(copy + 2, next->hva, 2);
        uint32_t raw;
        memcpy(&raw, copy, 4);
        ir_translate_crossing(&jv->ir, pc, raw);
    }
    struct jit_room place = {.write = jv->write + jv->used,
                             .run = jv->run + jv->used,
                             .offset = jv->used,
                             .size = RARE_BASE - jv->used,
                             .rare = jv->write + jv->rare_used,
                             .rare_size = CODE_BYTES - jv->rare_used,
                             .windows = jv->windows};
    if (!jv->backend->emit(&jv->ir, &place, &emitted))
        return NULL;
    jv->windows = place.windows;
    *b = (struct jit_block){.pa = pa,
                            .page_va = pc & ~PAGE_OFFSET,
                            .bytes = jv->ir.bytes,
                            .copy = jv->copies_used,
                            .instructions = jv->ir.code[jv->ir.count - 1].done,
                            .code = jv->used,
                            .code_size = emitted.size,
                            .rare = jv->rare_used,
                            .rare_size = emitted.rare_size,
                            .region = region,
                            .link_count = (uint8_t)emitted.link_count};
    for (unsigned i = 0; i < emitted.link_count; i++)
        b->links[i] = (struct jit_link){.offset = emitted.links[i].pc & PAGE_OFFSET,
                                        .site = emitted.links[i].site,
                                        .ask = emitted.links[i].ask,
                                        .guard = emitted.links[i].guard};
    own(jv, b->code, b->code_size);
    own(jv, b->rare, b->rare_size);
    jv->block_count++;
    jv->copies_used += (jv->ir.bytes + 7u) & ~7u;
    jv->used = (jv->used + emitted.size + 15) & ~15u;
    jv->rare_used += emitted.rare_size;
    page->lines |= lines_of_block(b);
    page->strays = 0;
    b->page_next = page->blocks;
    page->blocks = b;
    block_add(jv, b);
    count(&jv->stats.translated, 1);
    if (region)
        count(&jv->stats.regions, 1);
    count(&jv->stats.instructions, b->instructions);
    count(&jv->stats.host_bytes, emitted.size + emitted.rare_size);
    if (jv->observer != NULL)
        jit_observe(jv->observer, b, &jv->ir, &emitted, copy, jv->write + b->code,
                    jv->run + b->code);
    return b;
}

static const void *remember(struct jit_context *context, uint64_t pc, const void *code)
{
    unsigned i = jit_jump_index(pc);
    if (context->cpu->audit != NULL)
        return code; /* not to be entered but by the loop */
    context->jump[i] = (struct jit_jump){.pc = pc, .code = code};
    jit_set_add(&context->jump_used, i);
    jit_context_has_code(context, pc);
    return code;
}

unsigned jit_hot(void)
{
    return jit_options()->hot != 0 ? jit_options()->hot : HOT;
}

/*
 * What a jump backwards to `b`, which has been taken often, is linked to: the loop as a whole, if
 * it is one. The block that was there stays for those who still know it. Lock held.
 */
static struct jit_block *loop_at(struct jit_cpu *cpu, struct jit_block *b, uint64_t pc,
                                 const uint8_t *source)
{
    struct jit_vm *jv = cpu->vm;
    if (b->region || b->no_loop || cpu->audit != NULL)
        return b;
    struct jit_block *region = is_full(jv) ? NULL : translate(cpu, pc, b->pa, source, true);
    if (region == NULL) {
        b->no_loop = true;
        return b;
    }
    while (b->incoming != NULL) {
        struct jit_link *moved = b->incoming;
        b->incoming = moved->next;
        moved->to = region;
        moved->next = region->incoming;
        region->incoming = moved;
        jv->backend->link(jv->write, moved->site, region->code);
    }
    return region;
}

/* The first page that a link goes to is the only one: harts may be between its guard and its jump.
 */
static bool may_go_to(struct jit_vm *jv, const struct jit_link *link, uint64_t pfn)
{
    _Atomic uint32_t *guard = (_Atomic uint32_t *)(void *)(jv->write + link->guard);
    const uint32_t only = atomic_load_explicit(guard, memory_order_relaxed);
    if (only == JIT_NO_PAGE && pfn < JIT_NO_PAGE)
        atomic_store_explicit(guard, (uint32_t)pfn, memory_order_release);
    return only == JIT_NO_PAGE ? pfn < JIT_NO_PAGE : only == pfn;
}

/* Links the jump at `site` to `b` at `pc`, or to what it gives way to, if it can be. Lock held. */
static struct jit_block *link_to(struct jit_cpu *cpu, uint32_t site, struct jit_block *b,
                                 uint64_t pc, const uint8_t *source, bool *linked)
{
    struct jit_vm *jv = cpu->vm;
    const struct jit_block *from = block_of(jv, site);
    struct jit_link *link = link_at(jv, site);
    if (link == NULL || link->to != NULL || link->offset != (b->pa & PAGE_OFFSET))
        return b;
    if (link->guard != 0) {
        if (!may_go_to(jv, link, b->pa >> MEM_PAGE_SHIFT))
            return b;
    } else if (((from->pa ^ b->pa) & ~PAGE_OFFSET) != 0) {
        return b; /* where the page is mapped has changed since its code was entered */
    } else if (link->offset < (from->pa & PAGE_OFFSET) + from->bytes) {
        b = loop_at(cpu, b, pc, source);
    }
    link->to = b;
    link->next = b->incoming;
    b->incoming = link;
    jv->backend->link(jv->write, link->site, b->code);
    count(&jv->stats.chained, 1);
    *linked = true;
    return b;
}

const void *jit_code_at(struct jit_cpu *cpu, uint64_t pc, uint32_t site)
{
    struct jit_vm *jv = cpu->vm;
    const struct jit_fetch *fetch = jit_context_fetch(cpu, pc);
    if (fetch == NULL)
        return NULL;
    uint64_t pa = fetch->pa + (pc & PAGE_OFFSET), page_va = pc & ~PAGE_OFFSET;
    struct jit_found *found = jit_found_at(cpu, pa);
    if (site == 0 && found->pa == pa && found->code != NULL && found->epoch == jit_epoch(jv) &&
        (found->page_va == page_va || found->page_va == JIT_EMPTY))
        return remember(cpu->context, pc, found->code);

    host_lock_acquire(&jv->lock);
    struct jit_block *b = block_at(jv, pa);
    uint64_t flushes = atomic_load_explicit(&jv->stats.flushes, memory_order_relaxed);
    const uint8_t *source = fetch->hva + (pc & PAGE_OFFSET);
    bool linked = false;
    if (b == NULL)
        b = translate(cpu, pc, pa, source, false);
    if (b != NULL && site != 0 &&
        flushes == atomic_load_explicit(&jv->stats.flushes, memory_order_relaxed))
        b = link_to(cpu, site, b, pc, source, &linked);
    const void *code = b != NULL ? jv->run + b->code : NULL;
    if (b != NULL && b->page_va != page_va)
        b->elsewhere = true;
    const bool elsewhere = b != NULL && b->elsewhere;
    uint32_t epoch = jit_epoch(jv);
    host_lock_release(&jv->lock);
    if (code == NULL || linked) /* who goes by links needs no place in the caches */
        return code;
    *found = (struct jit_found){
        .pa = pa, .page_va = elsewhere ? JIT_EMPTY : page_va, .code = code, .epoch = epoch};
    return remember(cpu->context, pc, code);
}
