/*
 * The folder of the control sockets: $XDG_RUNTIME_DIR/trivisor, or /tmp/trivisor-UID where there is
 * no runtime directory. It belongs to the user alone (mode 0700), exists while a VM of the user's
 * runs, and holds one socket a VM, NAME.sock.
 */
#ifndef TYPE2_RUNTIME_DIR_H
#define TYPE2_RUNTIME_DIR_H

#include "core/error.h"
#include "type2/problem.h"

#include <stdbool.h>
#include <stddef.h>

/* Writes the folder's path. 0 or -E_RANGE. */
int runtime_dir_path(char *buf, size_t capacity);
/*
 * Opens the folder with an exclusive lock (flock) on it, so that only one process at a time claims
 * or frees a name; `create`: makes it if need be. Returns a descriptor to close, or a negative
 * error: -E_NOENT when it does not exist (no problem text), else with `problem` filled (somebody
 * else's, not private).
 */
int runtime_dir_lock(bool create, struct problem *problem);
/* Removes the folder if nothing is in it. The caller holds the lock. */
void runtime_dir_tidy(void);

#endif
