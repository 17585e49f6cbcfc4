/*
 * A whole board with harts of the interpreter and backends that go nowhere, for the fuzz targets
 * that execute guest code. One thread plays all harts in turn.
 */
#ifndef TESTS_FUZZ_FUZZ_BOARD_H
#define TESTS_FUZZ_FUZZ_BOARD_H

#include "engine/interp/interp.h"
#include "vmm/board.h"
#include "vmm/run.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FUZZ_RAM_SIZE  0x40000ULL
#define FUZZ_DISK_SIZE 0x8000ULL
#define FUZZ_HARTS_MAX 2
/* How long a hart that only loops keeps its turn. */
#define FUZZ_SLICE_NS 300000L

struct fuzz_board {
    struct vm vm;
    struct board board;
    struct riscv_vcpu harts[FUZZ_HARTS_MAX];
    uint8_t *ram; /* from malloc: the sanitizer watches its ends */
    _Atomic uint8_t flags[FUZZ_RAM_SIZE / MEM_PAGE_SIZE];
    struct block_backend disk;
    uint8_t disk_bytes[FUZZ_DISK_SIZE];
    struct net_backend wire;
    struct stream_backend uart, terminal;
    struct entropy_backend entropy;
    struct reclaim_backend reclaim;
};

static struct fuzz_board *fuzz_machine; /* the one that runs */

static void fuzz_disk_submit(struct block_backend *backend, struct block_request *request)
{
    uint8_t *bytes = fuzz_machine->disk_bytes;
    uint64_t at = request->offset;

    if (request->offset > backend->size || request->length > backend->size - request->offset)
        abort();
    for (unsigned i = 0; i < request->buffer_count; i++) {
        const struct buffer *buffer = &request->buffers[i];
        if (buffer->len > request->offset + request->length - at)
            abort();
        if (request->op == BLOCK_READ)
            memcpy(buffer->base, bytes + at, buffer->len);
        else
            memcpy(bytes + at, buffer->base, buffer->len);
        at += buffer->len;
    }
    request->done(request, 0);
}

/* What is sent comes back. */
static void fuzz_wire_send(struct net_backend *backend, const struct buffer *buffers,
                           unsigned count, const struct net_checksum *checksum)
{
    (void)checksum;
    if (count > 0)
        backend->receive(backend->device, buffers[0].base, buffers[0].len);
}

static size_t fuzz_stream_write(struct stream_backend *backend, const void *bytes, size_t len)
{
    if (len > 0 && backend->receive != NULL)
        backend->receive(backend->device, bytes, len < 4 ? len : 4);
    return len;
}

static int fuzz_entropy_fill(struct entropy_backend *backend, void *bytes, size_t len)
{
    (void)backend;
    memset(bytes, 0x5a, len);
    return 0;
}

static void fuzz_release(struct reclaim_backend *backend, void *hva, size_t len)
{
    (void)backend;
    memset(hva, 0, len);
}

/* Kicks the hart that runs again and again, from a thread of its own. */
static pthread_mutex_t fuzz_lock = PTHREAD_MUTEX_INITIALIZER;
static struct vcpu *fuzz_running; /* under fuzz_lock, so that it cannot go away during a kick */
static _Atomic bool fuzz_slice_over;

static void fuzz_set_running(struct vcpu *vcpu)
{
    pthread_mutex_lock(&fuzz_lock);
    fuzz_running = vcpu;
    pthread_mutex_unlock(&fuzz_lock);
}

static void *fuzz_kicker(void *arg)
{
    const struct timespec slice = {.tv_nsec = FUZZ_SLICE_NS};

    (void)arg;
    for (;;) {
        nanosleep(&slice, NULL);
        pthread_mutex_lock(&fuzz_lock);
        if (fuzz_running != NULL) {
            atomic_store(&fuzz_slice_over, true);
            vcpu_kick(fuzz_running);
        }
        pthread_mutex_unlock(&fuzz_lock);
    }
    return NULL;
}

/* `m` is all zeroes: from host_alloc, which touches nothing of a large block. */
static void fuzz_board_init(struct fuzz_board *m, unsigned hart_count, bool aia)
{
    static const struct block_ops disk_ops = {.submit = fuzz_disk_submit};
    static const struct net_ops wire_ops = {.send = fuzz_wire_send};
    static const struct stream_ops stream_ops = {.write = fuzz_stream_write};
    static bool kicker_started;
    struct board_backends backends = {
        .disk_count = 1, .net_count = 1, .aia = aia, .aia_machine = aia};
    pthread_t kicker;

    if (!kicker_started && pthread_create(&kicker, NULL, fuzz_kicker, NULL) != 0)
        abort();
    kicker_started = true;
    fuzz_machine = m;
    m->ram = aligned_alloc(MEM_PAGE_SIZE, FUZZ_RAM_SIZE);
    if (m->ram == NULL)
        abort();
    memset(m->ram, 0, FUZZ_RAM_SIZE);
    m->disk = (struct block_backend){.ops = &disk_ops, .size = FUZZ_DISK_SIZE};
    m->wire = (struct net_backend){.ops = &wire_ops};
    m->uart.ops = m->terminal.ops = &stream_ops;
    m->entropy.fill = fuzz_entropy_fill;
    m->reclaim.release = fuzz_release;
    backends.disks[0] = &m->disk;
    backends.nets[0] = &m->wire;
    backends.uart = &m->uart;
    backends.console = &m->terminal;
    backends.entropy = &m->entropy;
    backends.reclaim = &m->reclaim;

    vm_init(&m->vm, "fuzz");
    m->vm.engine = &interp_engine;
    if (mem_slot_add(&m->vm.mem, BOARD_RAM, FUZZ_RAM_SIZE, m->ram, m->flags) != 0 ||
        board_init(&m->board, &m->vm, m->harts, hart_count, &backends) != 0)
        abort();
    interp_engine.vm_init(&m->vm);
    for (unsigned i = 0; aia && i < hart_count; i++)
        riscv_isa_add_aia(&m->harts[i].isa);
    for (unsigned i = 0; i < hart_count; i++)
        if (interp_engine.vcpu_init(&m->harts[i].vcpu) != 0)
            abort();
}

static void fuzz_board_fini(struct fuzz_board *m)
{
    clock_stop(&m->vm.clock);
    for (unsigned i = 0; i < m->vm.vcpu_count; i++)
        interp_engine.vcpu_destroy(&m->harts[i].vcpu);
    interp_engine.vm_destroy(&m->vm);
    board_fini(&m->board);
    free(m->ram);
}

/* One turn of one hart. False: it sleeps. */
static bool fuzz_board_turn(struct fuzz_board *m, struct riscv_vcpu *hart, unsigned exits_max)
{
    struct vcpu *vcpu = &hart->vcpu;
    struct exit exit = {0};
    bool ran = false;

    atomic_store(&fuzz_slice_over, false);
    for (unsigned exits = 0; exits < exits_max && !atomic_load(&fuzz_slice_over); exits++) {
        uint32_t run_state = atomic_load(&vcpu->run_state);
        if (vm_power_state(&m->vm) != VM_POWER_ON)
            break;
        if (run_state == VCPU_SUSPENDED && riscv_vcpu_wfi_done(hart))
            atomic_store(&vcpu->run_state, VCPU_RUNNING);
        else if (run_state != VCPU_RUNNING)
            break;
        ran = true;
        interp_engine.state_put(vcpu);
        fuzz_set_running(vcpu);
        enum exit_reason reason = interp_engine.run(vcpu, &exit);
        fuzz_set_running(NULL);
        if (reason == EXIT_WFI && !riscv_vcpu_wfi_done(hart))
            break;
        vmm_handle_exit(&m->vm, hart, reason, &exit);
    }
    return ran;
}

static void fuzz_board_run(struct fuzz_board *m, unsigned turns)
{
    for (unsigned turn = 0; turn < turns && vm_power_state(&m->vm) == VM_POWER_ON; turn++) {
        bool any = false;
        for (unsigned i = 0; i < m->vm.vcpu_count; i++)
            any |= fuzz_board_turn(m, &m->harts[i], 64);
        if (!any)
            break;
    }
}

#endif
