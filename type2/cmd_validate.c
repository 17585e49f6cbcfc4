/* validate: everything about a description that can be known without starting it. */
#include "type2/command.h"
#include "type2/config.h"
#include "type2/payload.h"

#include <errno.h>
#include <stdio.h>
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

int cmd_validate(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    struct problem problem = {.text = ""};
    int c = command_getopt(argc, argv, options);

    if (c != -1)
        return c == -2 ? 0 : 2;
    if (!command_words(argc, argv, 1))
        return 2;
    struct config *config = NULL;
    if (config_read(&config, argv[optind], false, &problem) < 0)
        return command_fail("%s", problem.text);
    const struct spec_fleet *fleet = config_fleet(config);
    int status = 0;
    for (unsigned i = 0; i < fleet->vm_count && status == 0; i++)
        if (validate_vm(&fleet->vms[i], &problem) < 0)
            status = command_fail("%s: %s: %s", argv[optind], fleet->vms[i].name, problem.text);
    if (status == 0)
        printf("%s: %u virtual machine%s, all well\n", argv[optind], fleet->vm_count,
               fleet->vm_count == 1 ? "" : "s");
    config_free(config);
    return status;
}
