/* What the board's device tree says, as far as the hypervisor needs it. */
#ifndef TYPE1_PLATFORM_H
#define TYPE1_PLATFORM_H

#include "core/fdt.h"
#include "type1/hart.h"
#include "type1/pages.h"
#include "vmm/board.h"

#define PLATFORM_EXTENSIONS_MAX 96
#define PLATFORM_NAMES_MAX      1024

struct platform {
    struct fdt fdt;
    uint64_t timebase;
    uint64_t hart_ids[HARTS_MAX];
    const char *hart_lacks[HARTS_MAX]; /* the extension for want of which it is left out; or NULL */
    unsigned hart_count;
    bool has_fp, has_v;
    uint64_t uart; /* 0: none that we know; the firmware's console */
    unsigned uart_shift, uart_width;
    /* The CPU as guests are told of it: what all harts have and we can grant. */
    struct board_cpu cpu;
    const char *extensions[PLATFORM_EXTENSIONS_MAX];
    /* The same for guests whose harts have interrupt files. */
    struct board_cpu aia_cpu;
    const char *aia_extensions[PLATFORM_EXTENSIONS_MAX + 1];
    char names[PLATFORM_NAMES_MAX];
};

/* 0, or -E_INVAL with `*problem` said in plain words. `boot_id`: of the hart that reads it. */
int platform_read(struct platform *platform, const void *fdt, uint64_t boot_id,
                  const char **problem);
/* The word is one of /chosen/bootargs (QEMU: -append). */
bool platform_says(const struct platform *platform, const char *word);
/* Guests are not told of vectors: this hart, after all, has none that could be used. */
void platform_hide_vectors(struct platform *platform);
/* Where the range of memory that holds `address` ends; 0: none holds it. */
uint64_t platform_memory_end(const struct platform *platform, uint64_t address);
/* Fills aia_cpu, once cpu is as it shall be. */
void platform_add_aia(struct platform *platform);
/* All memory that is not the firmware's, which put us at `image`. */
void platform_memory(const struct platform *platform, uint64_t image, struct pages *pages);

#endif
