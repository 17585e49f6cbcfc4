/*
 * The person's terminal: raw mode that is undone whatever happens, and the escape key.
 *
 * Ctrl-A X leaves, Ctrl-A Ctrl-A (or Ctrl-A A) sends one Ctrl-A, Ctrl-A H shows help; any other key
 * after Ctrl-A is sent with the Ctrl-A in front.
 */
#ifndef TYPE2_TERMINAL_H
#define TYPE2_TERMINAL_H

#include "type2/loop.h"
#include "type2/stream.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Puts the terminal `fd` into raw mode (but leaves newlines of output alone, for our own lines) and
 * remembers how it was. Restored by terminal_raw_leave, at exit, on abort and on every deadly
 * signal whose disposition was the default when this was called (the signal then does its work): so
 * install your own handlers first. One terminal a process. 0; -E_NODEV if fd is no terminal
 * (nothing is changed).
 */
int terminal_raw_enter(int fd);
/* Restores; async-signal-safe; does nothing if not raw. */
void terminal_raw_leave(void);

/* What a byte of the keyboard meant. */
enum terminal_key { TERMINAL_NOTHING, TERMINAL_BYTES, TERMINAL_QUIT, TERMINAL_HELP };
struct terminal_escape {
    bool pending; /* Ctrl-A was seen */
};
/* Feeds one byte; TERMINAL_BYTES: `out` holds *count (1 or 2) bytes for the guest. */
enum terminal_key terminal_escape_feed(struct terminal_escape *escape, unsigned char byte,
                                       unsigned char out[2], size_t *count);
/* One line that explains the keys, with "\r\n". `leave` says what X does ("stop the machine",
 * "detach"). */
size_t terminal_help(char *text, size_t capacity, const char *leave);

/*
 * stdin and stdout of `run`: input goes to the guest through `mux`, and stdout is one of its
 * lossless sinks. When `in_fd` is a terminal it is made raw, and `quit` is called (on the loop's
 * thread) at Ctrl-A X. Otherwise bytes are passed as they are; end of file just ends the input.
 * in_fd -1: no input.
 */
struct terminal;
struct terminal *terminal_open(struct stream_mux *mux, struct loop *loop, int in_fd, int out_fd,
                               void (*quit)(void *arg), void *arg);
/*
 * Restores the terminal and stops reading. The sink stays the mux's, which must not be freed before
 * this. Not from the loop's thread.
 */
void terminal_close(struct terminal *terminal);

#endif
