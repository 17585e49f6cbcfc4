#include "type2/payload.h"

#include "core/image.h"

#include <string.h>

static int payload_check(const struct blob *blob, const char *what, const char *path, bool raw,
                         struct problem *problem)
{
    struct image image;
    int error = image_open(&image, blob->bytes, blob->size);

    if (error < 0)
        return problem_set(problem, error, "%s %s: %s%s", what, path, image.problem,
                           strchr(image.problem, ';') == NULL ? "; give a riscv64 image" : "");
    if (image.kind == IMAGE_RAW && !raw)
        return problem_set(problem, -E_NOEXEC,
                           "%s %s: neither a riscv64 Linux Image nor an ELF file; give one of "
                           "these, or run it with "
                           "--firmware",
                           what, path);
    return 0;
}

int payload_open(struct payload *payload, const struct spec_vm *spec, struct problem *problem)
{
    int error = 0;

    memset(payload, 0, sizeof(*payload));
    if (spec->firmware != NULL) {
        error = blob_map_unpacked(&payload->firmware, "firmware", spec->firmware, problem);
        if (error == 0)
            error = payload_check(&payload->firmware, "firmware", spec->firmware, true, problem);
    }
    if (error == 0 && spec->kernel != NULL) {
        error = blob_map_unpacked(&payload->kernel, "kernel", spec->kernel, problem);
        if (error == 0) /* firmware may start anything: U-Boot is a plain binary */
            error = payload_check(&payload->kernel, "kernel", spec->kernel, spec->firmware != NULL,
                                  problem);
    }
    if (error == 0 && spec->initrd != NULL)
        error = blob_map(&payload->initrd, "initrd", spec->initrd, problem);
    if (error < 0)
        payload_close(payload);
    return error;
}

void payload_close(struct payload *payload)
{
    blob_free(&payload->kernel);
    blob_free(&payload->initrd);
    blob_free(&payload->firmware);
}
