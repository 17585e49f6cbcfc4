/*
 * What a description's kernel, initrd and firmware are: files, read, unpacked and looked at.
 */
#ifndef TYPE2_PAYLOAD_H
#define TYPE2_PAYLOAD_H

#include "core/error.h"
#include "core/spec.h"
#include "type2/problem.h"
#include "type2/unpack.h"

struct payload {
    struct blob kernel, initrd, firmware;
};

/* Opens and checks all of them. A negative error with `problem` filled; nothing is left open then.
 */
int payload_open(struct payload *payload, const struct spec_vm *spec, struct problem *problem);
void payload_close(struct payload *payload);

#endif
