/* How machines ended, for people and for scripts. */
#ifndef TYPE2_RESULTS_H
#define TYPE2_RESULTS_H

#include "core/error.h"
#include "type2/problem.h"

#include <jansson.h>
#include <stdio.h>

/* `results`: an array of machine_result_json objects. Prints the table of `up` and of `run
 * --stats`. */
void results_print(const json_t *results, FILE *to);
/* Writes {"vms": results} to a file. 0 or a negative error with `problem` filled. */
int results_write(json_t *results, const char *path, struct problem *problem);

#endif
