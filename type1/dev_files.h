/*
 * Interrupt files of VCPUs (RISC-V AIA 1.0, chapters 3 and 6). A VCPU has a guest interrupt file of
 * the hart that runs it as long as there are any: then its interrupts and IPIs reach it without the
 * hypervisor, and it stays on that hart until the file is taken from it. Else its file is in
 * memory: accesses to it trap, and so do messages to its page.
 */
#ifndef TYPE1_DEV_FILES_H
#define TYPE1_DEV_FILES_H

#include "core/fdt.h"
#include "core/vm.h"
#include "engine/hext/hext.h"
#include "vmm/board.h"

/* Finds the IMSICs for S-mode and maps them into `table`; how many identities each has, or 0: none.
 */
unsigned files_find(const struct fdt *fdt, struct gstage *table);
/* What the guest's board is to be told, before board_init. */
void files_offer(struct vm *vm, struct board_backends *backends);
/* After vcpu_init of all. */
int files_init(struct vm *vm);
/* The pages where the guest's board has its IMSICs: nothing is mapped yet, nothing fails later. */
int files_map(struct vm *vm);
/* For a message to the VCPU's guest interrupt file: an APLIC's target register without an identity
 * (AIA 1.0, 4.5.16). 0: it has none. */
uint32_t files_target(struct vm *vm, unsigned vcpu);
/*
 * The VCPU's file is in memory from now on and no interrupt was lost. On the hart whose file it
 * has; the VCPU does not run. True if it had one.
 */
bool files_release(struct vcpu *vcpu);

#endif
