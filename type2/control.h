/*
 * The control socket of a VM: NAME.sock in the runtime folder, line-separated JSON
 * (docs/control-socket.md).
 *
 * One request a line, {"cmd": "...", ...}; one answer a line, {"ok": true, ...} or {"ok": false,
 * "error":
 * "..."}. The server has a thread of its own; a name is claimed for as long as its process lives,
 * and a socket that a dead process left behind is cleared away by whoever finds it. Only the owner
 * (and root) gets in.
 */
#ifndef TYPE2_CONTROL_H
#define TYPE2_CONTROL_H

#include "core/error.h"
#include "type2/problem.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#define CONTROL_LINE_MAX    8192 /* bytes of a request line */
#define CONTROL_CLIENTS_MAX 32

struct control;

/* What became of a request. */
struct control_reply {
    json_t *answer; /* new reference; never NULL after the handler */
    /*
     * If not NULL: called with the client's descriptor after the answer was sent; the descriptor is
     * then its own (console and logs turn the connection into a byte stream).
     */
    void (*take)(void *arg, int fd);
    void *take_arg;
};

/* Answers one request, on the server's thread. Calls come one at a time. */
typedef void (*control_handler)(void *arg, const char *cmd, const json_t *request,
                                struct control_reply *reply);

json_t *control_ok(void);                      /* {"ok": true} */
json_t *control_error(const char *format, ...) /* {"ok": false, "error": ...} */
    __attribute__((format(printf, 1, 2)));

/*
 * Claims `name` and makes its socket; clients that connect now wait until control_serve. -E_BUSY
 * with the problem text when a live VM has the name.
 */
int control_open(struct control **control, const char *name, struct problem *problem);
int control_serve(struct control *control, control_handler handler, void *arg);
/* Ends the server; waiting clients see end of file; the socket and an empty runtime folder are
 * removed. */
void control_close(struct control *control);

/* Clients. */

/* Connects to a VM. Its descriptor, or -E_NOENT (no such VM) or another error, with `problem`
 * filled. */
int control_connect(const char *name, struct problem *problem);
/* The process that holds the other end. */
pid_t control_peer(int fd);
/*
 * Sends `request` (reference kept by the caller) and waits for the answer; NULL with `problem`
 * filled when the VM is gone, does not answer within `timeout_ms`, or answers {"ok": false}. New
 * reference.
 */
json_t *control_call(int fd, const json_t *request, int timeout_ms, struct problem *problem);
/*
 * Calls `each` for every VM of the user that is alive, sorted by name, and clears sockets of dead
 * ones away. 0 or a negative error with `problem` filled.
 */
int control_each(void (*each)(void *arg, const char *name, int fd), void *arg,
                 struct problem *problem);
/* Clears away the socket of a VM that was killed, if no living process holds it. */
void control_clear(const char *name);

#endif
