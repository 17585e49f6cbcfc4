/*
 * The inside of struct machine, shared by machine.c, machine_orders.c, machine_save.c and
 * machine_report.c alone.
 */
#ifndef TYPE2_MACHINE_IMPL_H
#define TYPE2_MACHINE_IMPL_H

#include "type2/console_watch.h"
#include "type2/machine.h"
#include "type2/ram.h"
#include "vmm/board.h"
#include "vmm/run.h"

#include <pthread.h>

#define SPEC_BLOB_MAX (64 << 10)

/* vm.power_message of a power-off that an order brought about; compared by address. */
extern const char machine_ordered_stop[];
extern const char machine_ordered_kill[];
extern const char machine_ordered_save[];

/*
 * One of the two serial ways out of the guest. Both print on the same console; what people type
 * goes to the one that the kernel uses as its console.
 */
struct console_port {
    struct stream_backend backend;
    struct machine *machine;
};

struct machine {
    struct machine_options options;
    uint8_t *spec_blob;
    struct spec_fleet fleet; /* one VM; its strings are in spec_blob */
    const struct spec_vm *spec;

    struct vm vm;
    struct board board;
    struct riscv_vcpu *harts;
    struct vmm_stats *stats; /* one a hart, by its thread */
    pthread_t *threads;
    unsigned threads_running;
    struct ram ram;
    struct loop loop;
    struct stream_mux *mux;
    struct console_port uart, hvc;
    struct block_backend *disks[SPEC_DISKS_MAX];
    struct net_backend *nets[SPEC_NETS_MAX];
    bool built_loop, built_ram, built_board, built_engine;
    unsigned built_vcpus;

    pthread_mutex_t lock;      /* orders against each other and against reboots */
    bool ended;                /* no more orders */
    const char *_Atomic order; /* machine_ordered_*, outlives a reboot that runs at the same time */

    pthread_mutex_t watch_lock; /* watch, history */
    char *history;              /* ring of MACHINE_HISTORY bytes; position: watch.bytes */
    struct console_watch watch;
    struct loop_work stop_work; /* machine_stop's sequence, on the loop's thread */
    struct loop_timer stop_timer;
    unsigned stop_step;
    uint64_t stop_since; /* from when on the guest could have read what it was sent last; 0: nothing
                            yet */

    uint64_t start_ns;
    uint64_t init_ns; /* carried over by save and restore; 0: not seen yet */
    unsigned reboots;
    uint64_t instructions; /* retired before the last reboot */
};

/* An empty one, or NULL. */
struct machine *machine_new(const struct machine_options *options);
/* Everything but what is in RAM and registers; on error the caller destroys it. */
int machine_build(struct machine *machine, const struct spec_vm *spec, struct problem *problem);
void machine_orders_init(struct machine *machine);
/* Has it switched off; `order` is one of machine_ordered_*. */
void machine_order(struct machine *machine, const char *order);
/* vmm_pause, also when a VCPU waits for a reader of the console. */
void machine_park(struct machine *machine);
/* vmm_resume; what the guest has printed on a virtio console does not make the caller wait. */
void machine_unpark(struct machine *machine);
/* Takes `lock` of a machine that is powered on, or fails with one line. */
int machine_lock_live(struct machine *machine, struct problem *problem);
/* Fills the counters of `result`. */
void machine_count(struct machine *machine, struct machine_result *result);

#endif
