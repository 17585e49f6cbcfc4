/*
 * The board's console, shared by all guests and the monitor.
 *
 * Overview: each guest's lines with its name in its colour before them; what is typed is a command
 * for the monitor. Ctrl-A 1..9 enters a guest: its output as it is, and all keys but Ctrl-A are its
 * own; what the others say is kept meanwhile. Ctrl-A 0 goes back.
 */
#ifndef TYPE1_CONSOLE_H
#define TYPE1_CONSOLE_H

#include "core/host.h"
#include "devices/backend.h"

#define CONSOLE_LINE_MAX  200
#define CONSOLE_HELD_MAX  4096 /* bytes kept while another guest's console is entered */
#define CONSOLE_INPUT_MAX 256  /* bytes typed at a guest that has not taken them yet */

/* A guest's line to the console. */
struct console_port {
    struct stream_backend uart, hvc; /* for board_init: what both say is shown as one */
    struct stream_backend *input_to; /* which of them gets what is typed */
    const char *name;
    unsigned colour; /* 0..5 */
    char line[CONSOLE_LINE_MAX];
    unsigned length;
    uint64_t touched_ns; /* when the line last grew */
    bool cut;            /* the line's beginning is on the console already */
    uint8_t escape;      /* in overview: how far an escape sequence has come that is left out */
    uint8_t input[CONSOLE_INPUT_MAX];
    unsigned input_count;
    char held[CONSOLE_HELD_MAX]; /* the latest of what was not shown */
    unsigned held_count;
    uint64_t held_lost; /* bytes before those */
};

/* Works from the first instruction on: by the firmware, later by the UART at `base`. */
void console_setup(void);
void console_use_uart(uint64_t base, unsigned shift, unsigned width);
/* It is in these pages, or whatever, of the board. */
bool console_uses(uint64_t from, uint64_t size);
/* No colours in overview, for terminals and files that have none. */
void console_plain(void);
/* The UART cannot be used after all; what it has not taken is said by the firmware. */
void console_use_firmware(void);
/* One line of the hypervisor's own. */
void console_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Waits until the UART has taken all that was said. For the end. */
void console_flush(void);
/* For the end: no lock, no order. */
void console_emergency(const char *text);
/* A line of the monitor's answers: no prefix. */
void console_answer(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* `hvc`: what is typed is for the virtio console, not for the UART. */
void console_port_init(struct console_port *port, const char *name, unsigned index, bool hvc);
/* Ports in the order of their keys. */
void console_add(struct console_port *port);
void console_remove(struct console_port *port);
/* From the console's task: what somebody has typed at the port. False: no room, nothing was taken.
 */
bool console_type(struct console_port *port, const char *text, size_t length);
/*
 * The task that reads keys: `command` gets each line typed in overview, and while that is shown
 * `look` is called every 10 ms. Never returns.
 */
_Noreturn void console_run(void (*command)(char *line), void (*look)(void));
/* Whether somebody has typed a command. */
bool console_used(void);

#endif
