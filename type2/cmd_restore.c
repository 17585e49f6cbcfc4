/* restore: a saved machine goes on, console on this terminal. */
#include "type2/command.h"
#include "type2/process.h"
#include "type2/run_options.h"

#include <string.h>

const char cmd_restore_help[] =
    "  --name NAME          run it under another name\n" RUN_OPTIONS_HELP "\n"
    "Its disks must be where they were and as they were; the network's connections are gone.\n"
    "\n"
    "Example: trivisor save web web.saved && trivisor restore web.saved\n";

int cmd_restore(int argc, char **argv)
{
    enum { NAME = 1000 };
    static const struct option options[] = {{"help", no_argument, NULL, 'h'},
                                            {"name", required_argument, NULL, NAME},
                                            RUN_OPTIONS,
                                            {0}};
    struct run_options run = {.grace_ms = RUN_GRACE_MS};
    struct problem problem = {.text = ""};
    const char *name = NULL;
    int c;

    while ((c = command_getopt(argc, argv, options)) != -1) {
        if (c == -2)
            return 0;
        if (c == '?')
            return 2;
        if (c == NAME)
            name = optarg;
        if (run_options_take(&run, c, optarg, &problem) < 0)
            return command_fail("restore: %s", problem.text);
    }
    if (!command_words(argc, argv, 1))
        return 2;
    struct process process = {.restore = argv[optind], .name = name};
    return run_process(&process, &run);
}
