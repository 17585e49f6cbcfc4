/*
 * The CSRs of an interrupt file in memory (riscv/imsic.h), of a VCPU that has no guest interrupt
 * file of a hart now, as they answer then.
 */
#ifndef ENGINE_HEXT_IMSIC_H
#define ENGINE_HEXT_IMSIC_H

#include "riscv/imsic.h"

/*
 * Executes an access to sireg or stopei, as a guest's S-mode would, on the registers x[1..31].
 * `select` is siselect. False: it is another instruction, or an illegal one.
 */
bool imsic_execute(struct imsic_file *file, uint32_t insn, uint64_t select, uint64_t *x);

#endif
