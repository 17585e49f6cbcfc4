#define _GNU_SOURCE
#include "type2/runtime_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int runtime_dir_path(char *buf, size_t capacity)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    struct stat st;
    int n;

    if (base != NULL && base[0] == '/' && stat(base, &st) == 0 && S_ISDIR(st.st_mode))
        n = snprintf(buf, capacity, "%s/trivisor", base);
    else
        n = snprintf(buf, capacity, "/tmp/trivisor-%u", (unsigned)geteuid());
    return n < 0 || (size_t)n >= capacity ? -E_RANGE : 0;
}

int runtime_dir_lock(bool create, struct problem *problem)
{
    char path[PATH_MAX];

    if (runtime_dir_path(path, sizeof(path)) < 0)
        return problem_set(problem, -E_RANGE,
                           "$XDG_RUNTIME_DIR is too long; unset it or make it shorter");
    for (;;) {
        struct stat here, now;

        if (create && mkdir(path, 0700) < 0 && errno != EEXIST)
            return problem_set(problem, -errno,
                               "%s: cannot make the folder of the control sockets: %s", path,
                               strerror(errno));
        int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (dir < 0 && errno == ENOENT) {
            if (create)
                continue;
            return -E_NOENT;
        }
        if (dir < 0)
            return problem_set(problem, -errno,
                               "%s: cannot open the folder of the control sockets: %s", path,
                               strerror(errno));
        if (fstat(dir, &here) < 0 || here.st_uid != geteuid() || (here.st_mode & 077) != 0) {
            close(dir);
            return problem_set(
                problem, -E_INVAL,
                "%s: must be a folder of yours with mode 0700; remove it, or set XDG_RUNTIME_DIR",
                path);
        }
        flock(dir, LOCK_EX);
        /* The last VM to leave may have removed it while we waited for the lock. */
        if (stat(path, &now) == 0 && now.st_ino == here.st_ino && now.st_dev == here.st_dev)
            return dir;
        close(dir);
    }
}

void runtime_dir_tidy(void)
{
    char path[PATH_MAX];

    if (runtime_dir_path(path, sizeof(path)) == 0)
        rmdir(path); /* fails, as it should, while a socket is in it */
}
