/*
 * The board's UART, a 16550: given to a partition that has it passed through, or shared. In
 * overview each partition's lines appear with its name before them, and what is typed is a command
 * for the firmware; Ctrl-A 1 to 9 enters a partition's console, Ctrl-A 0 leaves it.
 */
#ifndef TYPE0_CONSOLE_H
#define TYPE0_CONSOLE_H

#include "core/fdt.h"
#include "devices/backend.h"
#include "devices/ns16550a.h"

#define CONSOLE_LINE_MAX  256
#define CONSOLE_INPUT_MAX 128

/* A partition's line to the console, and the UART that it sees. */
struct console_port {
    struct stream_backend backend; /* first */
    struct ns16550a uart;
    const char *name;
    unsigned colour; /* 0..5 */
    char line[CONSOLE_LINE_MAX];
    unsigned length;
    uint64_t touched; /* ticks when the line last grew */
    bool cut;         /* the line's beginning is on the console already */
    uint8_t escape;   /* in overview: how far an escape sequence has come that is left out */
    struct host_lock input_lock;
    uint8_t input[CONSOLE_INPUT_MAX]; /* typed, and not taken yet */
    unsigned input_count;
};

/* Finds the UART: /chosen stdout-path, or the first 16550 there is. Without one, words go nowhere.
 */
void console_setup(const struct fdt *fdt);
/* One line of the firmware's own. */
void console_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A line of an answer to the operator. */
void console_answer(const char *format, ...) __attribute__((format(printf, 1, 2)));
/*
 * The range is a partition's: if the UART is in it, it is neither read nor written from now on, but
 * by console_emergency.
 */
void console_give(uint64_t from, uint64_t size);
/* For the end: no lock. */
void console_emergency(const char *text);

void console_port_init(struct console_port *port, const char *name, unsigned index);
/* Its partition begins anew. */
void console_port_reset(struct console_port *port);
/* What Ctrl-A does; NULL: the overview. */
void console_enter(struct console_port *port);
/* `port` NULL: the board's console, bytes as they are. */
void console_write(struct console_port *port, const void *bytes, size_t len);
size_t console_read(struct console_port *port, void *bytes, size_t len);

/*
 * From the hart that looks after it, every CONSOLE_POLL_TICKS: takes what was typed; `command` gets
 * each line typed in overview.
 */
void console_poll(void (*command)(char *line));
#define CONSOLE_POLLS_A_SECOND 100

#endif
