/* run: one machine from options, its console on this terminal. */
#define _GNU_SOURCE
#include "type2/command.h"
#include "type2/config.h"
#include "type2/engines.h"
#include "type2/process.h"
#include "type2/run_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMORY_DEFAULT (512ULL << 20)

const char cmd_run_help[] =
    "  --name NAME          its name, for 'trivisor ps' and the like (default: run-PID)\n"
    "  --cpus N             harts, 1 to 64 (default 1)\n"
    "  --memory SIZE        RAM: 512M, 2G (default 512M)\n"
    "  --kernel FILE        Linux Image (plain, gzip, zstd or EFI zboot) or ELF file for riscv64\n"
    "  --initrd FILE        initial RAM disk\n"
    "  --cmdline TEXT       the kernel's command line\n"
    "  --firmware FILE      M-mode firmware, started at the reset vector; without it our own SBI\n"
    "  --disk FILE[,readonly][,serial=TEXT]\n"
    "                       a raw disk image (virtio block); may be repeated\n"
    "  --net user[,forward=PROTO:ADDRESS:PORT:GUESTPORT]...[,mac=MAC]\n"
    "  --net tap,ifname=NAME[,mac=MAC]\n"
    "                       a network card (virtio net); may be repeated\n"
    "  --cpu MODEL          what the harts can do: rv64gc, rva22 or rva23 (default)\n"
    "  --vlen BITS          of a vector register, for a model that has them: 128, 256 or 512\n"
    "  --irq NAME           the interrupt controller: plic (default), or aia (APLIC and IMSICs)\n"
    "  --engine NAME        what executes: jit, which translates (default on x86-64), interp, or\n"
    "                       kvm, the host's harts (default on RISC-V where /dev/kvm is)\n"
    "  --no-reboot          end when the guest reboots\n"
    "  --no-balloon         leave the memory balloon out\n"
    "  --virtio-console     a virtio console (hvc0) beside the serial port\n" RUN_OPTIONS_HELP "\n"
    "The console is this terminal. Ctrl-A X ends the machine, Ctrl-A H helps. SIGTERM switches it\n"
    "off in order. Status: 0 the guest switched itself off, 1 it failed, 2 it could not be "
    "started.\n"
    "\n"
    "Example: trivisor run --cpus 2 --memory 512M --kernel Image --initrd initrd.img \\\n"
    "             --cmdline \"console=ttyS0\" --disk root.raw --net "
    "user,forward=tcp:127.0.0.1:2222:22\n";

enum {
    OPT_NAME = 1000,
    OPT_CPUS,
    OPT_MEMORY,
    OPT_KERNEL,
    OPT_INITRD,
    OPT_CMDLINE,
    OPT_FIRMWARE,
    OPT_DISK,
    OPT_NET,
    OPT_ENGINE,
    OPT_CPU,
    OPT_VLEN,
    OPT_IRQ,
    OPT_NO_REBOOT,
    OPT_NO_BALLOON,
    OPT_VIRTIO_CONSOLE,
};

static const struct option options[] = {
    {"help", no_argument, NULL, 'h'},
    {"name", required_argument, NULL, OPT_NAME},
    {"cpus", required_argument, NULL, OPT_CPUS},
    {"memory", required_argument, NULL, OPT_MEMORY},
    {"kernel", required_argument, NULL, OPT_KERNEL},
    {"initrd", required_argument, NULL, OPT_INITRD},
    {"cmdline", required_argument, NULL, OPT_CMDLINE},
    {"firmware", required_argument, NULL, OPT_FIRMWARE},
    {"disk", required_argument, NULL, OPT_DISK},
    {"net", required_argument, NULL, OPT_NET},
    {"engine", required_argument, NULL, OPT_ENGINE},
    {"cpu", required_argument, NULL, OPT_CPU},
    {"vlen", required_argument, NULL, OPT_VLEN},
    {"irq", required_argument, NULL, OPT_IRQ},
    {"no-reboot", no_argument, NULL, OPT_NO_REBOOT},
    {"no-balloon", no_argument, NULL, OPT_NO_BALLOON},
    {"virtio-console", no_argument, NULL, OPT_VIRTIO_CONSOLE},
    RUN_OPTIONS,
    {0},
};

/* Takes one option into the description. */
static int run_take(struct spec_vm *spec, int option, char *value, struct problem *problem)
{
    switch (option) {
    case OPT_NAME: spec->name = value; return 0;
    case OPT_CPUS: return config_parse_cpus(value, &spec->cpus, problem);
    case OPT_MEMORY: return config_parse_size(value, &spec->memory, problem);
    case OPT_KERNEL: spec->kernel = value; return 0;
    case OPT_INITRD: spec->initrd = value; return 0;
    case OPT_CMDLINE: spec->cmdline = value; return 0;
    case OPT_FIRMWARE: spec->firmware = value; return 0;
    case OPT_DISK:
        if (spec->disk_count == SPEC_DISKS_MAX)
            return problem_set(problem, -E_NOSPC, "at most %d of them; leave some out",
                               SPEC_DISKS_MAX);
        return config_parse_disk(value, &spec->disks[spec->disk_count++], problem);
    case OPT_NET:
        if (spec->net_count == SPEC_NETS_MAX)
            return problem_set(problem, -E_NOSPC, "at most %d of them; leave some out",
                               SPEC_NETS_MAX);
        return config_parse_net(value, &spec->nets[spec->net_count++], problem);
    case OPT_ENGINE: spec->engine = value; return 0;
    case OPT_CPU: spec->cpu = value; return 0;
    case OPT_VLEN: return config_parse_vlen(value, &spec->vlen, problem);
    case OPT_IRQ: spec->irq = value; return 0;
    case OPT_NO_REBOOT: spec->no_reboot = true; return 0;
    case OPT_NO_BALLOON: spec->no_balloon = true; return 0;
    case OPT_VIRTIO_CONSOLE: spec->virtio_console = true; return 0;
    default: return 0;
    }
}

static const char *option_name(int value)
{
    for (const struct option *option = options; option->name != NULL; option++)
        if (option->val == value)
            return option->name;
    return "?";
}

int cmd_run(int argc, char **argv)
{
    struct spec_vm spec = {.cpus = 1, .memory = MEMORY_DEFAULT};
    char name[32];
    struct run_options run = {.grace_ms = RUN_GRACE_MS};
    struct problem problem = {.text = ""};
    int c;

    snprintf(name, sizeof(name), "run-%ld", (long)getpid());
    spec.name = name;
    while ((c = command_getopt(argc, argv, options)) != -1) {
        if (c == -2)
            return 0;
        if (c == '?')
            return 2;
        if (run_options_take(&run, c, optarg, &problem) < 0)
            return command_fail("run: %s", problem.text);
        if (run_take(&spec, c, optarg, &problem) < 0)
            return command_fail("run: --%s: %s", option_name(c), problem.text);
    }
    if (!command_words(argc, argv, 0))
        return 2;
    if (spec.kernel == NULL && spec.firmware == NULL)
        return command_fail(
            "run: nothing to start; give --kernel FILE or --firmware FILE ('trivisor run --help')");
    const struct engine_ops *engine = engine_find(spec.engine);
    if ((run.jit.dump != NULL || run.jit.perf_map || run.jit.audit) && engine != NULL &&
        engine != &jit_engine)
        return command_fail(
            "run: --dump-code, --perf-map and --audit are for the engine jit; write "
            "--engine jit");
    if (run.jit.audit && spec.cpus > 1)
        return command_fail("run: --audit needs a machine of one hart; leave --cpus out");
    if (run.jit.symbols == NULL)
        run.jit.symbols = spec.kernel;
    struct process process = {.spec = &spec};
    return run_process(&process, &run);
}
