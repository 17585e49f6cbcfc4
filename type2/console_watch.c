#define _GNU_SOURCE
#include "type2/console_watch.h"

#include <stdio.h>
#include <string.h>

static const char panic_words[] = "Kernel panic - not syncing";

void console_watch_init(struct console_watch *watch)
{
    memset(watch, 0, sizeof(*watch));
}

void console_watch_reboot(struct console_watch *watch)
{
    watch->length = 0;
    watch->panic_ended = false;
    watch->panic[0] = 0;
}

static void console_watch_line(struct console_watch *watch, uint64_t now)
{
    const char *line = watch->line;
    const char *run = strstr(line, "Run /");

    if (run != NULL && strstr(run, " as init process") != NULL && watch->init_at == 0)
        watch->init_at = now;
    const char *panic = strstr(line, panic_words);
    if (panic == NULL)
        return;
    if (strstr(line, "---[ end Kernel panic") != NULL)
        watch->panic_ended = true;
    else if (watch->panic[0] == 0)
        snprintf(watch->panic, sizeof(watch->panic), "%.150s",
                 panic[sizeof(panic_words) - 1] == ':' ? panic + sizeof(panic_words) + 1 : panic);
}

void console_watch_feed(struct console_watch *watch, const void *bytes, size_t len, uint64_t now)
{
    const char *c = bytes;

    watch->bytes += len;
    for (size_t i = 0; i < len; i++) {
        if (c[i] == '\n') {
            watch->line[watch->length] = 0;
            console_watch_line(watch, now);
            watch->length = 0;
        } else if (watch->length + 1 < sizeof(watch->line) && (unsigned char)c[i] >= 0x20) {
            watch->line[watch->length++] = c[i];
        }
    }
}
