/* How much memory a bundle takes on the board, before it is written. */
#ifndef TYPE2_BUNDLE_SIZE_H
#define TYPE2_BUNDLE_SIZE_H

#include "core/spec.h"
#include "type2/problem.h"

/*
 * The bytes of memory of the hypervisor of `type` (0 or 1; `hypervisor` NULL: the one beside the
 * program) and of the bundle behind it. A negative error with `problem` filled.
 */
int bundle_measure(const struct spec_fleet *fleet, unsigned type, const char *hypervisor,
                   uint64_t *hypervisor_size, uint64_t *bundle_size, struct problem *problem);

#endif
