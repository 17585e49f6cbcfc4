/* validate: everything about a description that can be known without starting it. */
#include "core/error.h"
#include "type2/bundle_size.h"
#include "type2/command.h"
#include "type2/config.h"
#include "type2/layout.h"
#include "type2/payload.h"
#include "vmm/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int validate_vm(const struct spec_vm *spec, struct problem *problem)
{
    struct payload payload;
    int error = payload_open(&payload, spec, problem);

    if (error < 0)
        return error;
    payload_close(&payload);
    for (unsigned i = 0; i < spec->disk_count; i++) {
        const struct spec_disk *disk = &spec->disks[i];
        unsigned number;
        if (spec_board_index(disk->path, &number))
            continue;
        if (access(disk->path, disk->readonly ? R_OK : R_OK | W_OK) < 0)
            return problem_set(problem, -errno, "disk %s: %s", disk->path, strerror(errno));
    }
    return 0;
}

/* What `--type 0` and what belongs to it ask for. */
struct wishes {
    const char *type, *board, *hypervisor;
    unsigned pmp_entries;
    uint64_t pmp_grain;
};

static int read_board(struct plan_board *board, struct fdt *fdt, const struct blob *file,
                      const struct wishes *wishes, struct problem *problem)
{
    struct plan_problem why;
    if (fdt_open(fdt, file->bytes, file->size) != 0)
        return problem_set(problem, -E_INVAL,
                           "%s: is no device tree; make one: qemu-system-riscv64 -M "
                           "virt,dumpdtb=board.dtb",
                           wishes->board);
    int error = plan_board_read(board, fdt, &why);
    if (error < 0)
        return problem_set(problem, error, "%s: %s; name a board's device tree", wishes->board,
                           why.text);
    board->pmp_entries = wishes->pmp_entries;
    board->pmp_grain = wishes->pmp_grain;
    return 0;
}

/* Whether the board can be divided so; prints how. The firmware is at the start of memory. */
static int plan_layout(struct plan *plan, struct plan_board *board, const struct spec_fleet *fleet,
                       const struct wishes *wishes, struct problem *problem)
{
    struct plan_problem why = {.text = ""};
    uint64_t size, bundle;
    int error = bundle_measure(fleet, 0, wishes->hypervisor, &size, &bundle, problem);
    if (error < 0)
        return error;
    board->firmware = (struct plan_range){board->memory[0].base, size};
    board->bundle = (struct plan_range){board->firmware.base + size, bundle};
    error = plan_make(plan, board, fleet, &why);
    if (error == 0)
        error = plan_check(plan, board, &why);
    if (error < 0)
        return problem_set(problem, error, "%s", why.text);
    layout_print(plan, board, stdout);
    return 0;
}

static int validate_layout(const struct spec_fleet *fleet, const struct wishes *wishes,
                           struct problem *problem)
{
    struct plan_board *board = calloc(1, sizeof *board);
    struct plan *plan = calloc(1, sizeof *plan);
    struct blob file = {.kind = BLOB_NONE};
    struct fdt fdt;
    int error = board != NULL && plan != NULL ? 0 : problem_set(problem, -E_NOMEM, "no memory");

    if (error == 0)
        error = blob_map(&file, "board", wishes->board, problem);
    if (error == 0)
        error = read_board(board, &fdt, &file, wishes, problem);
    if (error == 0)
        error = plan_layout(plan, board, fleet, wishes, problem);
    blob_free(&file);
    free(plan);
    free(board);
    return error;
}

/* What no board could give. */
static int validate_wishes(const struct spec_fleet *fleet, struct problem *problem)
{
    for (unsigned i = 0; i < fleet->vm_count; i++) {
        const char *refused = plan_refuses(&fleet->vms[i]);
        if (refused != NULL)
            return problem_set(problem, -E_NOTSUP, "%s: %s", fleet->vms[i].name, refused);
    }
    return 0;
}

static int validate(const char *yaml, const struct wishes *wishes)
{
    struct problem problem = {.text = ""};
    struct config *config = NULL;
    bool type0 = wishes->type != NULL && strcmp(wishes->type, "0") == 0;

    if (config_read(&config, yaml, type0, &problem) < 0)
        return command_fail("%s", problem.text);
    const struct spec_fleet *fleet = config_fleet(config);
    int status = 0;
    for (unsigned i = 0; i < fleet->vm_count && status == 0; i++)
        if (validate_vm(&fleet->vms[i], &problem) < 0)
            status = command_fail("%s: %s: %s", yaml, fleet->vms[i].name, problem.text);
    if (status == 0 && type0 && validate_wishes(fleet, &problem) < 0)
        status = command_fail("%s: %s", yaml, problem.text);
    if (status == 0 && type0 && wishes->board != NULL &&
        validate_layout(fleet, wishes, &problem) < 0)
        status = command_fail("%s: %s", yaml, problem.text);
    if (status == 0)
        printf("%s: %u virtual machine%s, all well\n", yaml, fleet->vm_count,
               fleet->vm_count == 1 ? "" : "s");
    config_free(config);
    return status;
}

static bool read_number(const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 0);
    return text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0 && *value >= least &&
           *value <= most;
}

int cmd_validate(int argc, char **argv)
{
    enum { ENTRIES = 1000, GRAIN };
    static const struct option options[] = {{"help", no_argument, NULL, 'h'},
                                            {"type", required_argument, NULL, 't'},
                                            {"board", required_argument, NULL, 'b'},
                                            {"hypervisor", required_argument, NULL, 'H'},
                                            {"pmp-entries", required_argument, NULL, ENTRIES},
                                            {"pmp-grain", required_argument, NULL, GRAIN},
                                            {0}};
    struct wishes wishes = {.pmp_entries = PMP_ENTRIES, .pmp_grain = 4};
    uint64_t value;
    int c;

    while ((c = command_getopt(argc, argv, options)) != -1) {
        switch (c) {
        case 't': wishes.type = optarg; break;
        case 'b': wishes.board = optarg; break;
        case 'H': wishes.hypervisor = optarg; break;
        case ENTRIES:
            if (!read_number(optarg, 1, PMP_ENTRIES, &value))
                return command_fail("--pmp-entries %s: is not a number from 1 to %u; leave it out "
                                    "for %u",
                                    optarg, PMP_ENTRIES, PMP_ENTRIES);
            wishes.pmp_entries = (unsigned)value;
            break;
        case GRAIN:
            if (!read_number(optarg, 4, 1 << 21, &value) || (value & (value - 1)) != 0)
                return command_fail("--pmp-grain %s: is not a power of two from 4 to 2097152; "
                                    "leave it out for 4",
                                    optarg);
            wishes.pmp_grain = value;
            break;
        case -2: return 0;
        default: return 2;
        }
    }
    if (!command_words(argc, argv, 1))
        return 2;
    if (wishes.type != NULL && strcmp(wishes.type, "0") != 0 && strcmp(wishes.type, "1") != 0 &&
        strcmp(wishes.type, "2") != 0)
        return command_fail("--type %s: is none; write --type 0, 1 or 2", wishes.type);
    if (wishes.board != NULL && (wishes.type == NULL || strcmp(wishes.type, "0") != 0))
        return command_fail("--board %s: is for type 0; write --type 0 too", wishes.board);
    return validate(argv[optind], &wishes);
}
