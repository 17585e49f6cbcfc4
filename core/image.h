/*
 * Guest images: what a plain blob is, and where it goes in guest memory.
 *
 * Flat RISC-V Linux Image (Documentation/arch/riscv/boot-image-header.rst of Linux) and ELF64 only;
 * type 2 and `bundle` unpack compressed forms first. The image is somebody's input: every field is
 * checked.
 */
#ifndef CORE_IMAGE_H
#define CORE_IMAGE_H

#include "core/memory.h"

enum image_kind {
    IMAGE_LINUX, /* Image with the RISC-V header */
    IMAGE_ELF,   /* ELF64, little-endian, EM_RISCV */
    IMAGE_RAW,   /* anything else: loaded as it is (firmware) */
};

struct image {
    enum image_kind kind;
    const uint8_t *bytes;
    size_t size;
    uint64_t
        entry; /* ELF: physical address of e_entry. LINUX, RAW: 0, the load address is the entry */
    uint64_t text_offset; /* LINUX: from the start of RAM, 2 MiB on RV64 */
    uint64_t mem_size;    /* bytes of memory it occupies, .bss included (LINUX: image_size) */
    uint64_t low, high;   /* ELF: physical range of its loadable segments */
    const char *problem;  /* on error: a short reason in plain words */
};

/*
 * Looks at a blob. 0; or -E_NOEXEC with `problem` set: another architecture, truncated, malformed.
 */
int image_open(struct image *image, const void *bytes, size_t size);
/*
 * Copies the image into guest RAM: LINUX and RAW at `gpa` (LINUX: 2 MiB-aligned), ELF at its
 * physical addresses. *entry gets the address of the first instruction, *end the first byte behind
 * the image. -E_NOSPC when it does not fit into RAM, -E_INVAL for a misaligned `gpa`.
 */
int image_load(const struct image *image, struct memory *mem, uint64_t gpa, uint64_t *entry,
               uint64_t *end);

#endif
