/* guest: runs the script that fetches a guest, from the source tree or the share folder. */
#define _GNU_SOURCE
#include "type2/command.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Looks beside the program and in the folders above it (the source tree), then in
 * ../share/trivisor/scripts. */
static bool script_find(char *path, size_t capacity, const char *name)
{
    char folder[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", folder, sizeof(folder) - 1);

    if (n <= 0)
        return false;
    folder[n] = 0;
    for (int up = 0; up < 3; up++) {
        char *slash = strrchr(folder, '/');
        if (slash == NULL)
            return false;
        *slash = 0;
        snprintf(path, capacity, "%s/scripts/%s", folder, name);
        if (access(path, X_OK) == 0)
            return true;
        snprintf(path, capacity, "%s/share/trivisor/scripts/%s", folder, name);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

int cmd_guest(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    char path[PATH_MAX + 64];
    int c = command_getopt(argc, argv, options);

    if (c != -1)
        return c == -2 ? 0 : 2;
    if (optind == argc)
        return command_fail("guest: which one? 'trivisor guest debian' is there");
    if (strcmp(argv[optind], "debian") != 0)
        return command_fail("guest: there is no guest '%s'; 'debian' is there", argv[optind]);
    if (!script_find(path, sizeof(path), "guest-debian.sh"))
        return command_fail("guest: the script guest-debian.sh is neither in the source tree nor "
                            "in the share folder "
                            "beside this program; install trivisor again");
    argv[optind] = path;
    execv(path, argv + optind);
    return command_fail("guest: cannot run %s: %s", path, strerror(errno));
}
