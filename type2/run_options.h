/* What `run` and `restore` share: options about the process, and its life on a terminal. */
#ifndef TYPE2_RUN_OPTIONS_H
#define TYPE2_RUN_OPTIONS_H

#include "type2/process.h"

#include <getopt.h>

enum { RUN_STATS = 2000, RUN_CONSOLE_LOG, RUN_JSON };

/* For an option table. */
#define RUN_OPTIONS                                                                                \
    {"stats", no_argument, NULL, RUN_STATS},                                                       \
        {"console-log", required_argument, NULL, RUN_CONSOLE_LOG},                                 \
    {                                                                                              \
        "json", required_argument, NULL, RUN_JSON                                                  \
    }

#define RUN_OPTIONS_HELP                                                                           \
    "  --console-log FILE   append what the console prints to FILE as well\n"                      \
    "  --stats              at the end, print instructions, exits by reason and the rest\n"        \
    "  --json FILE          at the end, write the same to FILE\n"

struct run_options {
    bool stats;
    const char *console_log;
    const char *json;
};

/* Takes one of RUN_OPTIONS. */
void run_options_take(struct run_options *run, int option, const char *value);
/* Runs `process` on stdin and stdout to its end, reports, and returns the exit status. */
int run_process(struct process *process, const struct run_options *run);

#endif
