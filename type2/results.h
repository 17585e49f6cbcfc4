/* How machines ended, for people and for scripts. */
#ifndef TYPE2_RESULTS_H
#define TYPE2_RESULTS_H

#include "core/error.h"
#include "type2/problem.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* `results`: an array of machine_result_json objects. Prints the table of `up` and of `run
 * --stats`. */
void results_print(const json_t *results, FILE *to);
/* What the engine of each counted. */
void results_print_engines(const json_t *results, FILE *to);
/* The file of --json, opened before anything starts so that a wrong name is told at once. */
struct results_file {
    const char *path;
    FILE *file;
    bool made; /* it was not there before */
};

/* Opens it without touching what is in it; `path` NULL: none. 0 or a negative error with `problem`
 * filled. */
int results_open(struct results_file *to, const char *path, struct problem *problem);
/* Puts {"vms": results} in place of what is in it and closes it. */
int results_write(struct results_file *to, json_t *results, struct problem *problem);
/* Nothing was started: closes it, and removes it if results_open made it. */
void results_abandon(struct results_file *to);

#endif
