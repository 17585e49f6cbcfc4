/* What `run` and `restore` share: options about the process, and its life on a terminal. */
#ifndef TYPE2_RUN_OPTIONS_H
#define TYPE2_RUN_OPTIONS_H

#include "engine/jit/jit.h"
#include "type2/process.h"

#include <getopt.h>

enum {
    RUN_STATS = 2000,
    RUN_CONSOLE_LOG,
    RUN_JSON,
    RUN_GRACE,
    RUN_DUMP_CODE,
    RUN_PERF_MAP,
    RUN_SYMBOLS,
    RUN_AUDIT,
    RUN_HOT,
    RUN_PLAIN_HOST,
};

/* For an option table. */
#define RUN_OPTIONS                                                                                \
    {"stats", no_argument, NULL, RUN_STATS},                                                       \
        {"console-log", required_argument, NULL, RUN_CONSOLE_LOG},                                 \
        {"json", required_argument, NULL, RUN_JSON},                                               \
        {"dump-code", required_argument, NULL, RUN_DUMP_CODE},                                     \
        {"perf-map", no_argument, NULL, RUN_PERF_MAP},                                             \
        {"symbols", required_argument, NULL, RUN_SYMBOLS},                                         \
        {"audit", no_argument, NULL, RUN_AUDIT}, {"hot", required_argument, NULL, RUN_HOT},        \
        {"plain-host", no_argument, NULL, RUN_PLAIN_HOST},                                         \
    {                                                                                              \
        "grace", required_argument, NULL, RUN_GRACE                                                \
    }

#define RUN_GRACE_HELP                                                                             \
    "  --grace SECONDS      what a guest that is to switch itself off has for it (default 10)\n"
#define RUN_OPTIONS_HELP                                                                           \
    "  --console-log FILE   append what the console prints to FILE as well\n" RUN_GRACE_HELP       \
    "  --stats              at the end, print instructions, exits by reason and the rest\n"        \
    "  --json FILE          at the end, write the same to FILE\n"                                  \
    "  --dump-code FILE[,first=PC][,last=PC][,count=N]\n"                                          \
    "                       at the end, write what was translated to FILE (engine jit)\n"          \
    "  --perf-map           write /tmp/perf-PID.map, so that perf names guest code (engine jit)\n" \
    "  --symbols FILE       an ELF file or System.map with names for both\n"                       \
    "  --audit              compare each translated block with the interpreter (engine jit)\n"     \
    "  --hot N              translate a loop as a whole after N turns (1 to 255; engine jit)\n"    \
    "  --plain-host         use no instruction of the host beyond x86-64-v2 (engine jit)\n"

#define RUN_GRACE_MS 10000 /* default */

struct run_options {
    bool stats;
    const char *console_log;
    const char *json;
    unsigned grace_ms; /* begins as RUN_GRACE_MS */
    struct jit_options jit;
};

/* "5": seconds to milliseconds. 0, or -E_INVAL with `problem` filled. */
int run_grace_parse(const char *text, unsigned *grace_ms, struct problem *problem);
/* Takes one of RUN_OPTIONS (others are left alone). 0, or -E_INVAL with `problem` filled. */
int run_options_take(struct run_options *run, int option, char *value, struct problem *problem);
/* Runs `process` on stdin and stdout to its end, reports, and returns the exit status. */
int run_process(struct process *process, const struct run_options *run);

#endif
