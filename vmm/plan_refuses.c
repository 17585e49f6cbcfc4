/* In the tool alone: what it says, the firmware takes for damage. */
#include "vmm/plan.h"

const char *plan_refuses(const struct spec_vm *spec)
{
    unsigned number;
    if (spec->firmware != NULL)
        return "firmware: a partition starts from a kernel; name one";
    if (spec->kernel == NULL)
        return "kernel: is missing; name one";
    for (unsigned i = 0; i < spec->disk_count; i++) {
        if (!spec_board_index(spec->disks[i].path, &number))
            return "disks: type 0 plays no disks; name those of the board, as path: \"board:0\"";
        if (spec->disks[i].readonly)
            return "disks: readonly: type 0 gives the device itself; leave it out";
    }
    for (unsigned i = 0; i < spec->net_count; i++) {
        if (spec->nets[i].kind != SPEC_NET_SWITCH ||
            !spec_board_index(spec->nets[i].uplink, &number))
            return "net: type 0 plays no networks; name the board's, as uplink: \"board:0\"";
    }
    return NULL;
}
