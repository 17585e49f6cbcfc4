/*
 * What the hypervisor reads on a guest's console: the line with which Linux starts init, and a
 * panic.
 *
 * Feeds on the bytes of the console, looks at whole lines. Nothing of it is trusted for more than
 * statistics and for suspecting a panic: text is only text (machine.c confirms it by what the VCPUs
 * do).
 */
#ifndef TYPE2_CONSOLE_WATCH_H
#define TYPE2_CONSOLE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct console_watch {
    char line[256]; /* the start of the current line */
    size_t length;
    uint64_t bytes;   /* all that was fed */
    uint64_t init_at; /* `now` of the first "Run /... as init process"; 0: not seen */
    bool panic_ended; /* "---[ end Kernel panic" was seen: nothing more is to come */
    char panic[160];  /* the panic's own words; "" if none was seen */
};

void console_watch_init(struct console_watch *watch);
/* The guest was reset: forgets a panic. */
void console_watch_reboot(struct console_watch *watch);
void console_watch_feed(struct console_watch *watch, const void *bytes, size_t len, uint64_t now);

#endif
