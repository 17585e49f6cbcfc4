/*
 * One VM's machine in a process of its own: RAM, backends, board, engine, and a thread for each
 * VCPU.
 *
 * Built from a description (struct spec_vm), or from a saved file that carries one. The owner
 * (type2/process.c) creates it, adds sinks to its console, starts it, and waits for its end. Orders
 * (stop, kill, pause, save) come from any other thread.
 */
#ifndef TYPE2_MACHINE_H
#define TYPE2_MACHINE_H

#include "core/engine.h"
#include "core/error.h"
#include "core/spec.h"
#include "type2/loop.h"
#include "type2/problem.h"
#include "type2/stream.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct machine;

enum machine_outcome {
    MACHINE_OFF,     /* the guest switched itself off */
    MACHINE_STOPPED, /* the operator had it switched off in order */
    MACHINE_SAVED,   /* it goes on in a file */
    MACHINE_FAILED,  /* the guest failed: its own code, a panic, or a VCPU that cannot go on */
    MACHINE_KILLED,  /* the operator killed it */
};

struct machine_result {
    enum machine_outcome outcome;
    uint32_t code;     /* MACHINE_FAILED: the guest's code, 0 if none */
    char message[300]; /* MACHINE_FAILED: why, in plain words */
    unsigned reboots;
    uint64_t init_ns; /* from machine_create to the kernel's "Run /init" line; 0: not seen */
    uint64_t run_ns;  /* from machine_create to the end */
    uint64_t instructions;
    uint64_t exits[EXIT_REASONS];
    uint64_t sbi_calls;
    uint64_t device_accesses; /* by the engine itself or through an MMIO exit */
};

struct machine_options {
    unsigned grace_ms; /* how long a guest that was asked to switch itself off has for it */
};

/* Checks the values of a description before anything is touched. 0, or -E_INVAL with `problem`
 * filled. */
int machine_check(const struct spec_vm *spec, struct problem *problem);
/*
 * Builds the machine and puts the payload into its RAM; nothing runs yet. `spec` is copied. A
 * negative error with `problem` filled: nothing is left behind then.
 */
int machine_create(struct machine **machine, const struct spec_vm *spec,
                   const struct machine_options *options, struct problem *problem);
/* The same from a file of machine_save. `name`: another name for it, or NULL. */
int machine_restore(struct machine **machine, const char *path, const char *name,
                    const struct machine_options *options, struct problem *problem);
/* Its description, strings included: valid as long as the machine. */
const struct spec_vm *machine_spec(const struct machine *machine);
struct stream_mux *machine_console(struct machine *machine);
struct loop *machine_loop(struct machine *machine);

/* Lets it run. 0 or a negative error with `problem` filled. */
int machine_start(struct machine *machine, struct problem *problem);
/* Waits for the end, rebooting in place on the way. Console output is flushed. */
void machine_wait(struct machine *machine, struct machine_result *result);
/* For a machine that is not started, or has ended. Disks are flushed and closed. */
void machine_destroy(struct machine *machine);

/* Orders, from any thread but a VCPU's. */

/*
 * Has it switched off in order. The board has no power button that Debian's kernel would know; what
 * every Linux knows is SysRq, by a break on its serial console: sync, remount read-only, power off.
 * A guest that does not take it up is switched off when the grace period is over, one that does not
 * listen after a second.
 */
void machine_stop(struct machine *machine);
/* Ends it at once; the outcome is MACHINE_KILLED. */
void machine_kill(struct machine *machine);
/* 0, or -E_BUSY with `problem` filled when it ends anyway. Idempotent. */
int machine_pause(struct machine *machine, struct problem *problem);
int machine_resume(struct machine *machine, struct problem *problem);
/*
 * Asks the guest to give up `bytes` of its memory in total, in pages of 4 KiB; 0: none. It does so
 * when it can: machine_status tells how much it has given. -E_NOTSUP without a balloon, -E_RANGE
 * for all of its memory or more, -E_BUSY.
 */
int machine_balloon(struct machine *machine, uint64_t bytes, struct problem *problem);
/*
 * Writes it to `path`, drained: the machine then ends with MACHINE_SAVED, or goes on if `keep`
 * (which a machine with writable disks refuses: the disks would run away from the file).
 */
int machine_save(struct machine *machine, const char *path, bool keep, struct problem *problem);
/* A copy of the last output of the console, at most MACHINE_HISTORY bytes; to free(). */
#define MACHINE_HISTORY (256 << 10)
char *machine_history(struct machine *machine, size_t *length);
/* Name, state, size, counters: docs/control-socket.md. New reference. */
json_t *machine_status(struct machine *machine);

/* What `result` says in a word: "powered off", "failed", ... */
const char *machine_outcome_name(enum machine_outcome outcome);
/* For --json and the table of `up`. New reference. */
json_t *machine_result_json(const struct spec_vm *spec, const struct machine_result *result);
/* The engine's name and what it counted. New reference. */
json_t *machine_engine_json(struct machine *machine);
/* One screen about a guest that failed: reason, then the registers. Calls `line` for each line. */
void machine_report(struct machine *machine, const struct machine_result *result,
                    void (*line)(void *arg, const char *text), void *arg);

#endif
