/*
 * Why something could not be started, in one line for the person at the terminal: what failed, with
 * which file, and what to do. Functions that fill one also return a negative error (or NULL).
 */
#ifndef TYPE2_PROBLEM_H
#define TYPE2_PROBLEM_H

struct problem {
    char text[1000]; /* no newline; "" when all is well */
};

/* Formats into `problem` (which may be NULL); returns `error`, so that callers can `return
 * problem_set(...)`. */
int problem_set(struct problem *problem, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
