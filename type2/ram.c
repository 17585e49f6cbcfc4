#define _GNU_SOURCE

#include "type2/ram.h"

#include "core/error.h"
#include "core/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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
    /* A hole in the memfd frees the pages of every mapping; MADV_DONTNEED would only unmap them. */
    if (fallocate(ram->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len) ==
            0 ||
        madvise(hva, len, MADV_REMOVE) == 0)
        atomic_fetch_add(&ram->released, len);
    else
        memset(hva, 0, len); /* the promise that it reads as zero holds all the same */
}

int ram_init(struct ram *ram, const char *name, uint64_t size, bool huge, struct problem *problem)
{
    char label[64];
    uint64_t available = ram_available();

    memset(ram, 0, sizeof(*ram));
    ram->fd = -1;
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

    snprintf(label, sizeof(label), "trivisor-%s", name);
    ram->fd = memfd_create(label, MFD_CLOEXEC);
    if (ram->fd < 0)
        goto failed;
    if (ftruncate(ram->fd, (off_t)size) != 0)
        goto failed;

    /* Alignment to a huge page, so that the guest's own 2 MiB pages can be one of the host's. */
    uint8_t *area =
        mmap(NULL, size + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED)
        goto failed;
    uint64_t head = -(uintptr_t)area & (HUGE_PAGE - 1);
    uint8_t *hva = mmap(area + head, size, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_FIXED | MAP_NORESERVE, ram->fd, 0);
    if (hva == MAP_FAILED) {
        int error = errno;
        munmap(area, size + HUGE_PAGE);
        errno = error;
        goto failed;
    }
    if (head > 0)
        munmap(area, head);
    uint64_t tail = HUGE_PAGE - head;
    uint64_t tail_from = (head + size + MEM_PAGE_SIZE - 1) & ~(MEM_PAGE_SIZE - 1);
    munmap(area + tail_from, tail);
    ram->hva = hva;
    ram->size = size;
    if (huge)
        madvise(hva, size, MADV_HUGEPAGE);
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
    if (ram->hva != NULL)
        munmap(ram->hva, ram->size);
    if (ram->fd >= 0)
        close(ram->fd);
    memset(ram, 0, sizeof(*ram));
    ram->fd = -1;
}

uint64_t ram_resident(const struct ram *ram)
{
    struct stat st;

    return fstat(ram->fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}
