/*
 * The life of one VM's process: claim the name, build the machine, serve the control socket, run to
 * the end.
 *
 * `run`, `restore` and each child of `up` are this with different ends for the console.
 */
#ifndef TYPE2_PROCESS_H
#define TYPE2_PROCESS_H

#include "type2/machine.h"

/* Exit statuses of `run`, `restore` and `up`. */
enum process_status {
    PROCESS_WELL = 0,    /* the guest switched itself off, or the operator had it done in order */
    PROCESS_FAILED = 1,  /* the guest failed, or was killed */
    PROCESS_REFUSED = 2, /* it could not be started */
};

struct process {
    const struct spec_vm *spec; /* or NULL, and: */
    const char *restore;        /* the file of a saved machine */
    const char *name;           /* with `restore`: another name, or NULL */
    struct machine_options options;
    int console_in;          /* descriptor, or -1 for none */
    int console_out;         /* descriptor, or -1 for none */
    const char *console_log; /* file that the console is appended to, or NULL */
    /*
     * Called when it is built, before it runs. A false answer gives it up (PROCESS_REFUSED without
     * a problem text). May be NULL.
     */
    bool (*built)(void *arg);
    void *arg;
    json_t
        *result; /* out: machine_result_json of the end, owned by the caller; NULL when refused */
};

/* Runs it. PROCESS_REFUSED: `problem` is filled. Everything it made is gone when it returns. */
enum process_status process_run(struct process *process, struct problem *problem);

#endif
