/*
 * Type 2's own settings of core/host.h, which host.c implements with pthreads, futexes, mmap and
 * one lazily started timer thread.
 */
#ifndef TYPE2_HOST_H
#define TYPE2_HOST_H

#include "core/host.h"

/* Name put in front of each line ("trivisor" at first); copied, at most 47 characters. Call before
 * threads start. */
void host_log_set_prefix(const char *prefix);
/* Where lines go; stderr at first. Each line is one write(2). Colours only when it is a terminal.
 */
void host_log_set_fd(int fd);
/* vprintf form of host_log. Lines below HOST_LOG_INFO are not printed. */
void host_vlog(enum host_log_level level, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

#endif
