/*
 * A guest's console, spread to several places: stdout, a log file, people attached by a socket,
 * functions.
 *
 * The guest's bytes go into one bounded buffer (any VCPU thread) and from there to every sink (loop
 * thread). A sink is lossless (run's stdout, the log file) or not (attached sockets: a reader that
 * does not read loses bytes, nobody else does). When lossless sinks cannot keep up, the guest's
 * write waits, as a UART with flow control does, until stream_mux_set_patient ends that. Input from
 * whoever is attached is merged, and kept until the guest takes it.
 */
#ifndef TYPE2_STREAM_H
#define TYPE2_STREAM_H

#include "devices/backend.h"
#include "type2/loop.h"
#include "type2/problem.h"

#include <stddef.h>

#define STREAM_WAIT_MS 1000 /* what a reader gets to take the rest when a machine is ended */

struct stream_mux;
struct stream_sink;

/* `name` is for warnings ("web"); copied. NULL when out of memory. */
struct stream_mux *stream_mux_new(const char *name, struct loop *loop);
/* Flushes lossless sinks (at most STREAM_WAIT_MS), drops all sinks and frees. Not from the loop's
 * thread, the loop running or stopped. */
void stream_mux_free(struct stream_mux *mux);
/* What the device is given. */
struct stream_backend *stream_mux_backend(struct stream_mux *mux);

/*
 * A mux begins patient: the guest's writes wait for lossless sinks. An impatient one lets all
 * waiting writes return at once, and later ones not wait, so that VCPU threads can be parked: they
 * have a reserve of their own in the buffer, and only what exceeds that is lost. Any thread.
 */
void stream_mux_set_patient(struct stream_mux *mux, bool patient);
/*
 * Output to a descriptor that stays the caller's: stdout, a pipe, a file. Its O_NONBLOCK flag is
 * not touched (other processes share it). Lossless. NULL: out of memory or not writable. Any
 * thread.
 */
struct stream_sink *stream_mux_add_output(struct stream_mux *mux, int fd);
/*
 * A log file, made if missing, appended to; when it passes `limit` bytes (0: never) it becomes
 * PATH.1 and a new one begins. Lossless. NULL with one line.
 */
struct stream_sink *stream_mux_add_log(struct stream_mux *mux, const char *path, uint64_t limit,
                                       struct problem *problem);
/*
 * An attached person: a connected socket (or pty) that becomes the mux's: output is written to it
 * (lossy), what arrives is the guest's input. `replay` bytes of the latest output are sent first
 * (at most 16 KiB is kept). `closed` (may be NULL) is called once on the loop's thread when the
 * other side hangs up; the mux closes fd before that. Any thread.
 */
struct stream_sink *stream_mux_attach(struct stream_mux *mux, int fd, size_t replay,
                                      void (*closed)(void *arg), void *arg);
/* Every chunk of output is handed to `fn` on the loop's thread. */
struct stream_sink *stream_mux_add_tap(struct stream_mux *mux,
                                       void (*fn)(void *arg, const void *bytes, size_t len),
                                       void *arg);
/* Takes a sink off and frees it. Any thread; waits. `closed` is not called. A sink that was closed
 * by its peer is gone already. */
void stream_mux_remove(struct stream_mux *mux, struct stream_sink *sink);

/* Bytes typed for the guest. Returns how many were taken (what does not fit in the buffer is not).
 * Any thread. */
size_t stream_mux_input(struct stream_mux *mux, const void *bytes, size_t len);
/* Called on the loop's thread when there is room for input again, after stream_mux_input took less
 * than all. */
void stream_mux_set_input_ready(struct stream_mux *mux, void (*fn)(void *arg), void *arg);
/* Waits until all output up to now has reached the lossless sinks, or `timeout_ms` has passed; true
 * if it has. Not from the loop's thread. */
bool stream_mux_flush(struct stream_mux *mux, unsigned timeout_ms);
/* Bytes of output lost by lossless sinks so far. */
uint64_t stream_mux_lost(const struct stream_mux *mux);

/*
 * A printer of whole lines with a name in front, so that several guests can share one terminal:
 * each line is one write(2). Control sequences that would move the cursor, and carriage returns,
 * are left out; colours pass.
 */
#define LINE_PRINTER_MAX 1024
struct line_printer {
    int fd;
    bool colour;
    unsigned hue; /* 0..: chooses the colour */
    char name[32];
    unsigned name_width; /* the name is padded to this */
    char line[LINE_PRINTER_MAX];
    size_t length;
    unsigned escape; /* state of the filter */
    size_t escape_at;
};
/* `colour` -1: when fd is a terminal. */
void line_printer_init(struct line_printer *printer, int fd, const char *name, unsigned name_width,
                       unsigned hue, int colour);
void line_printer_feed(struct line_printer *printer, const void *bytes, size_t len);
/* Prints a line that was not ended (a prompt). */
void line_printer_flush(struct line_printer *printer);
/* The two forms above as a tap: stream_mux_add_tap(mux, line_printer_tap, printer). */
void line_printer_tap(void *printer, const void *bytes, size_t len);

#endif
