/*
 * The commands of `trivisor`: one table in main.c, one function each in a cmd_*.c.
 */
#ifndef TYPE2_COMMAND_H
#define TYPE2_COMMAND_H

#include "type2/problem.h"

#include <getopt.h>
#include <stdbool.h>

struct command {
    const char *name;
    const char *arguments; /* "NAME FILE" */
    const char *summary;   /* one line for `trivisor help` */
    const char *help;      /* what --help prints below the usage line: options, then an example */
    /* argv[0] is the command's name. Returns the exit status. */
    int (*run)(int argc, char **argv);
};

extern const struct command commands[];
const struct command *command_find(const char *name);
void command_print_help(const struct command *command);

/* Prints "trivisor: ..." as one line on stderr; returns 2. */
int command_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/*
 * getopt_long for a command, which answers --help (prints, exits with 0: returns -2) and wrong
 * options (one line on stderr: returns '?') itself. Otherwise like getopt_long.
 */
int command_getopt(int argc, char **argv, const struct option *options);
/* Checks that just `count` words are left; one line on stderr if not. */
bool command_words(int argc, char **argv, int count);

extern const char cmd_run_help[], cmd_up_help[], cmd_restore_help[];

int cmd_run(int argc, char **argv);
int cmd_up(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_console(int argc, char **argv);
int cmd_logs(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_kill(int argc, char **argv);
int cmd_pause(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_balloon(int argc, char **argv);
int cmd_save(int argc, char **argv);
int cmd_restore(int argc, char **argv);
int cmd_validate(int argc, char **argv);
int cmd_bundle(int argc, char **argv);
int cmd_guest(int argc, char **argv);
int cmd_help(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif
