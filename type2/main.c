/*
 * trivisor: the type 2 hypervisor's command line. The one place from which the process exits.
 */
#define _GNU_SOURCE
#include "type2/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef TRIVISOR_VERSION
#define TRIVISOR_VERSION "0.1"
#endif

const struct command commands[] = {
    {"run", "[OPTION...]", "run one virtual machine from options, console on this terminal",
     cmd_run_help, cmd_run},
    {"up", "[OPTION...] FILE.yaml", "run several virtual machines, each in a process of its own",
     cmd_up_help, cmd_up},
    {"ps", "[--json]", "list the virtual machines that run",
     "  --json        one line of JSON for each\n"
     "\n"
     "Example: trivisor ps\n",
     cmd_ps},
    {"console", "NAME", "attach to a console; Ctrl-A X detaches",
     "What you type goes to the guest, what it prints comes here. Ctrl-A X detaches and leaves\n"
     "the machine running; Ctrl-A Ctrl-A sends one Ctrl-A; Ctrl-A H helps.\n"
     "\n"
     "Example: trivisor console web\n",
     cmd_console},
    {"logs", "[-f] NAME", "print what a console has printed",
     "  -f, --follow  go on printing until the machine ends or Ctrl-C\n"
     "\n"
     "The last 256 KiB are kept while the machine runs (16 KiB with -f); use 'run --console-log'\n"
     "for a file that stays.\n"
     "\n"
     "Example: trivisor logs -f web\n",
     cmd_logs},
    {"stop", "[--timeout SECONDS] NAME...", "switch machines off in order",
     "  --timeout SECONDS  wait at most so long for each to be gone (default 30)\n"
     "\n"
     "Disks are flushed before the machine's process ends.\n"
     "\n"
     "Example: trivisor stop web db\n",
     cmd_stop},
    {"kill", "NAME...", "end machines at once",
     "A machine that does not answer is killed by signal. Its 'run' or 'up' reports failure.\n"
     "\n"
     "Example: trivisor kill web\n",
     cmd_kill},
    {"pause", "NAME...", "stop the VCPUs and the guest's clock", "Example: trivisor pause web\n",
     cmd_pause},
    {"resume", "NAME...", "let a paused machine go on", "Example: trivisor resume web\n",
     cmd_resume},
    {"balloon", "NAME SIZE", "ask a guest to give up SIZE of its memory; 0: none",
     "SIZE (256M, 1G) is what the guest is to do without in total. It gives it when it can, and\n"
     "gets it back by a smaller SIZE; 'trivisor ps' shows what it has given.\n"
     "\n"
     "Example: trivisor balloon web 256M\n",
     cmd_balloon},
    {"save", "[--keep] NAME FILE", "write a machine into a file, and end it",
     "  --keep        let it go on running (only without writable disks)\n"
     "\n"
     "Example: trivisor save web web.saved; trivisor restore web.saved\n",
     cmd_save},
    {"restore", "[OPTION...] FILE", "go on with a saved machine", cmd_restore_help, cmd_restore},
    {"validate", "FILE.yaml", "check a description without starting anything",
     "Checks the keys, types, units and names, and that each file can be read.\n"
     "\n"
     "  --type 0             as partitions of one board\n"
     "  --board FILE         its device tree: shows how it would be divided, or what does not fit\n"
     "  --pmp-entries N      what its harts have, 16 if not said\n"
     "  --pmp-grain BYTES    4 if not said\n"
     "  --hypervisor FILE    another firmware than the one beside this program\n"
     "\n"
     "Example: trivisor validate --type 0 --board board.dtb fleet.yaml\n",
     cmd_validate},
    {"bundle", "--type N -o IMAGE [FILE.yaml]", "make a bare-metal image: hypervisor and guests",
     "  --type 1             the bare-metal hypervisor for boards with the H extension\n"
     "  --type 0             the firmware that divides a board between them\n"
     "  -o, --output IMAGE   where to write it\n"
     "  --hypervisor FILE    another hypervisor than the one beside this program\n"
     "  --payload FILE       instead of a description: type 0 as plain firmware that starts this\n"
     "\n"
     "Type 1 is started as a kernel is: qemu-system-riscv64 -M virt -kernel IMAGE, or by U-Boot.\n"
     "Type 0 is the first code after reset: -bios IMAGE.\n"
     "\n"
     "Example: trivisor bundle --type 1 fleet.yaml -o web.img\n",
     cmd_bundle},
    {"guest", "debian [ARGUMENT...]", "fetch a Debian guest: kernel, initramfs, root disk",
     "Runs the script guest-debian.sh of the source tree or the share folder; 'trivisor guest\n"
     "debian --help' shows its own arguments.\n"
     "\n"
     "Example: trivisor guest debian\n",
     cmd_guest},
    {"help", "[COMMAND]", "this list, or more about a command", "Example: trivisor help run\n",
     cmd_help},
    {"version", "", "print the version", "Example: trivisor version\n", cmd_version},
    {0},
};

const struct command *command_find(const char *name)
{
    for (const struct command *command = commands; command->name != NULL; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

void command_print_help(const struct command *command)
{
    printf("trivisor %s%s%s - %s\n\n%s", command->name, command->arguments[0] != 0 ? " " : "",
           command->arguments, command->summary, command->help);
}

int command_fail(const char *format, ...)
{
    struct problem problem;
    char text[sizeof(problem.text)];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    problem_set(&problem, 0, "%s", text); /* one line, whatever was in the words */
    fprintf(stderr, "trivisor: %s\n", problem.text);
    return 2;
}

int command_getopt(int argc, char **argv, const struct option *options)
{
    /* `guest` hands the words behind its first one on as they are. */
    char shorts[64];
    strcpy(shorts, strcmp(argv[0], "guest") == 0 ? "+:h" : ":h");
    size_t used = strlen(shorts);

    for (const struct option *option = options; option->name != NULL; option++) {
        if (option->val <= ' ' || option->val >= 0x7f || used + 3 > sizeof(shorts))
            continue;
        shorts[used++] = (char)option->val;
        if (option->has_arg == required_argument)
            shorts[used++] = ':';
        shorts[used] = 0;
    }
    opterr = 0;
    int c = getopt_long(argc, argv, shorts, options, NULL);
    if (c == 'h') {
        command_print_help(command_find(argv[0]));
        return -2;
    }
    if (c == ':')
        command_fail("%s: option '%s' needs a value; 'trivisor %s --help' explains it", argv[0],
                     argv[optind - 1], argv[0]);
    else if (c == '?')
        command_fail("%s: option '%s' is not known or takes no value; 'trivisor %s --help' lists "
                     "the options",
                     argv[0], argv[optind - 1], argv[0]);
    return c == ':' ? '?' : c;
}

bool command_words(int argc, char **argv, int count)
{
    if (argc - optind == count)
        return true;
    const struct command *command = command_find(argv[0]);
    command_fail("%s: %s; usage: trivisor %s %s", argv[0],
                 argc - optind < count ? "something is missing" : "too many words", argv[0],
                 command->arguments);
    return false;
}

static void print_overview(FILE *to)
{
    fprintf(to, "usage: trivisor COMMAND [ARGUMENT...]\n\n");
    for (const struct command *command = commands; command->name != NULL; command++)
        fprintf(to, "  %-9s %s\n", command->name, command->summary);
    fprintf(to, "\n'trivisor help COMMAND' explains one, with an example. First steps:\n\n"
                "  trivisor run --memory 512M --kernel Image --initrd initrd.img --cmdline "
                "\"console=ttyS0\"\n"
                "  trivisor up fleet.yaml\n");
}

int cmd_help(int argc, char **argv)
{
    if (argc > 2)
        return command_fail("help: too many words; usage: trivisor help [COMMAND]");
    if (argc == 2) {
        const struct command *command = command_find(argv[1]);
        if (command == NULL)
            return command_fail("help: there is no command '%s'; 'trivisor help' lists them",
                                argv[1]);
        command_print_help(command);
        return 0;
    }
    print_overview(stdout);
    return 0;
}

int cmd_version(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return command_fail("version: too many words; usage: trivisor version");
    printf("trivisor " TRIVISOR_VERSION "\n");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return command_fail("no command is given; 'trivisor help' lists them");
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        name = "version";
    const struct command *command = command_find(name);
    if (command == NULL)
        return command_fail("there is no command '%s'; 'trivisor help' lists them", name);
    int status = command->run(argc - 1, argv + 1);
    if (fflush(stdout) != 0 && status == 0)
        return command_fail("cannot write to standard output");
    return status;
}
