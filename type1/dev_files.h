/*
 * Guest interrupt files of the board's IMSICs (RISC-V AIA 1.0, 3.7 and 6.1), given to the VCPUs of
 * guests that can have one each: their interrupts and IPIs then reach them without the hypervisor.
 * A VCPU is run by the hart that has its file and by no other.
 */
#ifndef TYPE1_DEV_FILES_H
#define TYPE1_DEV_FILES_H

#include "core/fdt.h"
#include "core/vm.h"
#include "engine/hext/hext.h"
#include "vmm/board.h"

struct files_place {
    uint64_t page;          /* host-physical */
    struct hext_hart *hart; /* NULL: it has none */
    unsigned file;
};

/* A guest's. */
struct files {
    unsigned count; /* of VCPUs; 0: its interrupts come through the emulated PLIC */
    struct files_place places[VM_VCPUS_MAX];
};

/* Finds the IMSICs for S-mode and maps them into `table`; how many identities each has, or 0: none.
 */
unsigned files_find(const struct fdt *fdt, struct gstage *table);
/*
 * A file for each of `vcpus` VCPUs on harts of `allowed`, and what the guest's board is to be told
 * of it. False: there are not enough, and nothing was taken. One caller at a time.
 */
bool files_take(struct files *files, const struct hext_features *features, unsigned vcpus,
                uint64_t allowed, struct board_backends *backends);
/* Maps them where the guest's board has its IMSICs. As gstage_map. */
int files_map(const struct files *files, struct gstage *gstage);

#endif
