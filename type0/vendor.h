/*
 * Our own SBI extension, for the partition that the description lets control the others (control:
 * true). The others may ask for their own index and statistics alone. docs/type0.md is for its
 * callers.
 */
#ifndef TYPE0_VENDOR_H
#define TYPE0_VENDOR_H

#include "type0/world.h"
#include "vmm/sbi_impl.h"

/* In the range for vendors (SBI 2.0, table 3), whose low bits would be mvendorid: "TRV". */
#define SBI_VENDOR 0x09545256

struct sbi_result vendor_call(struct world *world);

#endif
