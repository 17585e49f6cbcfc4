#include "type2/problem.h"

#include <stdarg.h>
#include <stdio.h>

int problem_set(struct problem *problem, int error, const char *format, ...)
{
    va_list args;

    if (problem == NULL)
        return error;
    va_start(args, format);
    vsnprintf(problem->text, sizeof(problem->text), format, args);
    va_end(args);
    /* File names and YAML values end up here: they must not break the line or drive the terminal.
     */
    for (unsigned char *c = (unsigned char *)problem->text; *c != 0; c++)
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
    return error;
}
