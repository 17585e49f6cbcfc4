#define _GNU_SOURCE

#include "type2/ram.h"

#include "core/error.h"
#include "core/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define HUGE_PAGE (2ULL << 20)
#define MIB       (1ULL << 20)

/* The number that begins `path`, or the one behind `key` in it; UINT64_MAX if there is none
 * ("max"). */
static uint64_t read_number(const char *path, const char *key)
{
    char line[256];
    uint64_t value = UINT64_MAX;
    unsigned long long number;
    FILE *f = fopen(path, "re");

    if (f == NULL)
        return UINT64_MAX;
    while (fgets(line, sizeof(line), f) != NULL) {
        size_t skip = key == NULL ? 0 : strlen(key);
        if (key != NULL && strncmp(line, key, skip) != 0)
            continue;
        if (sscanf(line + skip, "%llu", &number) == 1)
            value = number;
        break;
    }
    fclose(f);
    return value;
}

/* What this process's cgroup (version 2) may still take. */
static uint64_t cgroup_available(void)
{
    char line[512], path[600];
    uint64_t least = UINT64_MAX;
    FILE *f = fopen("/proc/self/cgroup", "re");

    if (f == NULL)
        return UINT64_MAX;
    while (fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, "0::/", 4) != 0)
            continue;
        char *group = line + 3;
        group[strcspn(group, "\n")] = 0;
        /* A limit of any ancestor counts. */
        for (;;) {
            const char *at = strcmp(group, "/") == 0 ? "" : group;
            snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", at);
            uint64_t max = read_number(path, NULL);
            snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.current", at);
            uint64_t now = read_number(path, NULL);
            if (max != UINT64_MAX && now != UINT64_MAX) {
                /* `now` includes page cache that would make room; MemAvailable of a cgroup is not
                 * told. */
                snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.stat", at);
                uint64_t cache = read_number(path, "inactive_file ");
                if (cache != UINT64_MAX && cache <= now)
                    now -= cache;
                uint64_t left = max > now ? max - now : 0;
                least = left < least ? left : least;
            }
            char *slash = strrchr(group, '/');
            if (slash == NULL || *at == 0)
                break;
            slash[slash == group ? 1 : 0] = 0;
        }
    }
    fclose(f);
    return least;
}

uint64_t ram_available(void)
{
    uint64_t kib = read_number("/proc/meminfo", "MemAvailable:");
    uint64_t host = kib == UINT64_MAX ? UINT64_MAX : kib * 1024;
    uint64_t group = cgroup_available();

    return host < group ? host : group;
}

static void ram_release(struct reclaim_backend *reclaim, void *hva, size_t len)
{
    struct ram *ram = (struct ram *)((char *)reclaim - offsetof(struct ram, reclaim));
    uint64_t offset = (uint64_t)((uint8_t *)hva - ram->hva);

    if ((uint8_t *)hva < ram->hva || offset > ram->size || len > ram->size - offset || len == 0)
        return;
    if (madvise(hva, len, MADV_DONTNEED) == 0)
        atomic_fetch_add(&ram->released, len);
    else
        memset(hva, 0, len); /* the promise that it reads as zero holds all the same */
}

static uint64_t ram_area(uint64_t size)
{
    return size + 2 * HUGE_PAGE;
}

int ram_init(struct ram *ram, const char *name, uint64_t size, struct problem *problem)
{
    char label[64];
    uint64_t available = ram_available();

    memset(ram, 0, sizeof(*ram));
    if (size == 0 || size % MEM_PAGE_SIZE != 0 || size > (1ULL << 46))
        return problem_set(problem, -E_INVAL,
                           "memory: %llu bytes is not a size for RAM; write 512M or 2G",
                           (unsigned long long)size);
    if (size > available)
        return problem_set(
            problem, -E_NOMEM,
            "memory: %llu MiB asked for, but the host has only %llu MiB available; give the guest "
            "less (--memory, or memory:)",
            (unsigned long long)(size / MIB), (unsigned long long)(available / MIB));

    /* Aligned to a huge page, so that the guest's own 2 MiB pages can be one of the host's, with
     * nothing before and behind it that an access could reach. */
    uint8_t *area =
        mmap(NULL, ram_area(size), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED)
        goto failed;
    ram->area = area;
    ram->size = size;
    uint8_t *hva = area + HUGE_PAGE - ((uintptr_t)area & (HUGE_PAGE - 1));
    if (mprotect(hva, size, PROT_READ | PROT_WRITE) != 0)
        goto failed;
    ram->hva = hva;
    madvise(hva, size, MADV_HUGEPAGE);
    snprintf(label, sizeof(label), "trivisor-%s", name);
    prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, hva, size, label);
    /* Guests are not part of a core dump: it would be as large as all of them. */
    madvise(hva, size, MADV_DONTDUMP);

    void *flags = mmap(NULL, size / MEM_PAGE_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (flags == MAP_FAILED)
        goto failed;
    ram->flags = flags;
    ram->reclaim.release = ram_release;
    return 0;

failed:;
    int error = errno;
    ram_fini(ram);
    return problem_set(
        problem, error == ENOMEM ? -E_NOMEM : -error,
        "memory: cannot reserve %llu MiB for the guest: %s; give it less (--memory, or "
        "memory:)",
        (unsigned long long)(size / MIB), strerror(error));
}

void ram_fini(struct ram *ram)
{
    if (ram->flags != NULL)
        munmap((void *)(uintptr_t)ram->flags, ram->size / MEM_PAGE_SIZE);
    if (ram->area != NULL)
        munmap(ram->area, ram_area(ram->size));
    memset(ram, 0, sizeof(*ram));
}

uint64_t ram_resident(const struct ram *ram)
{
    unsigned char present[4096];
    uint64_t step = sizeof(present) * MEM_PAGE_SIZE, pages = 0;

    for (uint64_t at = 0; at < ram->size; at += step) {
        uint64_t len = ram->size - at < step ? ram->size - at : step;
        if (mincore(ram->hva + at, len, present) != 0)
            return 0;
        for (uint64_t i = 0; i < len / MEM_PAGE_SIZE; i++)
            pages += present[i] & 1;
    }
    return pages * MEM_PAGE_SIZE;
}
