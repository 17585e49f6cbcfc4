#define _GNU_SOURCE

#include "type2/savefile.h"

#include "core/error.h"
#include "core/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define HEAD_SIZE   24
#define TAIL_SIZE   24
#define FLAG_ZSTD   1U
#define BUFFER_SIZE (256U << 10)
#define ZSTD_LEVEL  1    /* guests wait for it */
#define RUN_MAX     1024 /* pages in one piece */

static const char head_magic[8] = {'T', 'R', 'I', 'V', 'I', 'S', 'O', 'R'};
static const char tail_magic[8] = {'R', 'E', 'T', 'S', 'A', 'V', 'E', 'D'};

struct savefile {
    struct state state;
    int fd;
    char *path;
    char *temporary; /* saving under a name: it; NULL while the file has none */
    uint8_t *buffer; /* saving: not yet written; loading: read ahead */
    size_t filled, at;
    uint64_t offset; /* saving: bytes before the buffer; loading: bytes of the body not yet read */
    uint32_t crc;
    int system_error; /* errno of the first failed call */
    ZSTD_CCtx *compressor;
    ZSTD_DCtx *expander;
    uint8_t *packed; /* loading zstd: the compressed side; saving: before compression */
    size_t packed_filled, packed_at;
};

static void put_le(uint8_t *to, uint64_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_le(const uint8_t *from, unsigned width)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < width; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

static int fail(struct savefile *file, int error)
{
    if (file->system_error == 0)
        file->system_error = error;
    return error == ENOSPC || error == EDQUOT || error == EFBIG ? -E_NOSPC : -E_IO;
}

/* ---- bytes out ---- */

static int write_through(struct savefile *file, const uint8_t *bytes, size_t len)
{
    file->crc = (uint32_t)crc32_z(file->crc, bytes, len);
    file->offset += len;
    while (len > 0) {
        ssize_t wrote = write(file->fd, bytes, len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return fail(file, wrote < 0 ? errno : EIO);
        bytes += wrote;
        len -= (size_t)wrote;
    }
    return 0;
}

static int flush_buffer(struct savefile *file)
{
    size_t filled = file->filled;

    file->filled = 0;
    return write_through(file, file->buffer, filled);
}

static int compress_some(struct savefile *file, const void *bytes, size_t len,
                         ZSTD_EndDirective directive)
{
    ZSTD_inBuffer in = {bytes, len, 0};

    for (;;) {
        ZSTD_outBuffer out = {file->packed, BUFFER_SIZE, 0};
        size_t left = ZSTD_compressStream2(file->compressor, &out, &in, directive);
        if (ZSTD_isError(left))
            return fail(file, ENOMEM);
        int error = write_through(file, file->packed, out.pos);
        if (error != 0)
            return error;
        if (directive == ZSTD_e_end ? left == 0 : in.pos == in.size)
            return 0;
    }
}

static int put_bytes(struct savefile *file, const void *bytes, size_t len)
{
    const uint8_t *from = bytes;

    if (file->compressor != NULL)
        return compress_some(file, bytes, len, ZSTD_e_continue);
    if (len > BUFFER_SIZE - file->filled) {
        int error = flush_buffer(file);
        if (error != 0)
            return error;
    }
    if (len >= BUFFER_SIZE)
        return write_through(file, from, len);
    memcpy(file->buffer + file->filled, from, len);
    file->filled += len;
    return 0;
}

/* ---- bytes in ---- */

/* Some bytes of the body as they are in the file; 0 at its end, or a negative error. */
static ssize_t read_body(struct savefile *file, uint8_t *to, size_t len)
{
    if (len > file->offset)
        len = (size_t)file->offset;
    if (len == 0)
        return 0;
    for (;;) {
        ssize_t got = read(file->fd, to, len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fail(file, got < 0 ? errno : EIO);
        file->offset -= (uint64_t)got;
        return got;
    }
}

/* Fills the buffer again. 0 at the end of the body. */
static ssize_t refill(struct savefile *file)
{
    file->at = file->filled = 0;
    if (file->expander == NULL) {
        ssize_t got = read_body(file, file->buffer, BUFFER_SIZE);
        file->filled = got > 0 ? (size_t)got : 0;
        return got;
    }
    for (;;) {
        ZSTD_inBuffer in = {file->packed, file->packed_filled, file->packed_at};
        ZSTD_outBuffer out = {file->buffer, BUFFER_SIZE, 0};
        size_t result = ZSTD_decompressStream(file->expander, &out, &in);
        file->packed_at = in.pos;
        if (ZSTD_isError(result))
            return -E_PROTO;
        if (out.pos > 0) {
            file->filled = out.pos;
            return (ssize_t)out.pos;
        }
        if (file->packed_at < file->packed_filled)
            continue;
        ssize_t got = read_body(file, file->packed, BUFFER_SIZE);
        if (got <= 0)
            return got;
        file->packed_filled = (size_t)got;
        file->packed_at = 0;
    }
}

static int get_bytes(struct savefile *file, void *bytes, size_t len)
{
    uint8_t *to = bytes;

    while (len > 0) {
        if (file->at == file->filled) {
            ssize_t got = refill(file);
            if (got <= 0)
                return got < 0 ? (int)got : -E_PROTO;
        }
        size_t part = file->filled - file->at < len ? file->filled - file->at : len;
        memcpy(to, file->buffer + file->at, part);
        file->at += part;
        to += part;
        len -= part;
    }
    return 0;
}

static int transfer(struct state *state, void *bytes, size_t len)
{
    struct savefile *file = state->file;

    return state->loading ? get_bytes(file, bytes, len) : put_bytes(file, bytes, len);
}

/* ---- beginning ---- */

static void savefile_free(struct savefile *file)
{
    if (file->fd >= 0)
        close(file->fd);
    if (file->temporary != NULL)
        unlink(file->temporary);
    ZSTD_freeCCtx(file->compressor);
    ZSTD_freeDCtx(file->expander);
    free(file->path);
    free(file->temporary);
    free(file->buffer);
    free(file->packed);
    free(file);
}

static struct savefile *savefile_new(const char *path, bool loading)
{
    struct savefile *file = calloc(1, sizeof(*file));

    if (file == NULL)
        return NULL;
    file->fd = -1;
    file->state = (struct state){.transfer = transfer, .file = file, .loading = loading};
    file->path = strdup(path);
    file->buffer = malloc(BUFFER_SIZE);
    file->packed = malloc(BUFFER_SIZE);
    if (file->path != NULL && file->buffer != NULL && file->packed != NULL)
        return file;
    savefile_free(file);
    return NULL;
}

/* Opens a file that has no name yet, or where that cannot be had a temporary one. */
static int open_temporary(struct savefile *file)
{
    char *copy = strdup(file->path);

    if (copy == NULL)
        return -1;
    file->fd = open(dirname(copy), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    free(copy);
    if (file->fd >= 0)
        return 0;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
        return -1;
    if (asprintf(&file->temporary, "%s.XXXXXX", file->path) < 0) {
        file->temporary = NULL;
        errno = ENOMEM;
        return -1;
    }
    file->fd = mkostemp(file->temporary, O_CLOEXEC);
    if (file->fd >= 0)
        return 0;
    free(file->temporary);
    file->temporary = NULL;
    return -1;
}

struct savefile *savefile_create(const char *path, bool compress, struct problem *problem)
{
    struct savefile *file = savefile_new(path, false);
    uint8_t head[HEAD_SIZE] = {0};
    struct stat st;

    if (file == NULL) {
        problem_set(problem, -E_NOMEM, "save file %s: out of memory; free some on this host", path);
        return NULL;
    }
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        problem_set(problem, -E_EXIST,
                    "save file %s: is there already and is not a file; name another", path);
        goto failed;
    }
    if (open_temporary(file) != 0) {
        problem_set(problem, -errno, "save file %s: %s; name one in a folder that you can write",
                    path, strerror(errno));
        goto failed;
    }
    memcpy(head, head_magic, sizeof(head_magic));
    put_le(head + 8, SAVEFILE_VERSION, 4);
    put_le(head + 12, compress ? FLAG_ZSTD : 0, 4);
    if (write_through(file, head, sizeof(head)) != 0) {
        problem_set(problem, -E_IO, "save file %s: %s", path, strerror(file->system_error));
        goto failed;
    }
    if (compress) {
        file->compressor = ZSTD_createCCtx();
        if (file->compressor == NULL) {
            problem_set(problem, -E_NOMEM, "save file %s: out of memory; free some on this host",
                        path);
            goto failed;
        }
        ZSTD_CCtx_setParameter(file->compressor, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    }
    return file;

failed:
    savefile_free(file);
    return NULL;
}

static bool read_at(int fd, uint8_t *to, size_t len, uint64_t offset)
{
    while (len > 0) {
        ssize_t got = pread(fd, to, len, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        to += got;
        len -= (size_t)got;
        offset += (uint64_t)got;
    }
    return true;
}

/* Looks at the whole file; on success the body is next to be read. */
static int savefile_check(struct savefile *file, struct problem *problem)
{
    uint8_t head[HEAD_SIZE], tail[TAIL_SIZE];
    struct stat st;

    if (fstat(file->fd, &st) != 0 || !S_ISREG(st.st_mode))
        return problem_set(problem, -E_INVAL,
                           "save file %s: is not a file; give one that 'trivisor save' wrote",
                           file->path);
    uint64_t size = (uint64_t)st.st_size;
    if (size < HEAD_SIZE || !read_at(file->fd, head, sizeof(head), 0) ||
        memcmp(head, head_magic, sizeof(head_magic)) != 0)
        return problem_set(
            problem, -E_PROTO,
            "save file %s: is not a saved machine; give one that 'trivisor save' wrote",
            file->path);
    uint64_t version = get_le(head + 8, 4), flags = get_le(head + 12, 4);
    if (version != SAVEFILE_VERSION || (flags & ~(uint64_t)FLAG_ZSTD) != 0)
        return problem_set(problem, -E_PROTO,
                           "save file %s: of form %u.%u, this program reads form %u; load it with "
                           "the version that made it",
                           file->path, (unsigned)version, (unsigned)flags, SAVEFILE_VERSION);
    if (size < HEAD_SIZE + TAIL_SIZE || !read_at(file->fd, tail, sizeof(tail), size - TAIL_SIZE) ||
        memcmp(tail + 16, tail_magic, sizeof(tail_magic)) != 0 ||
        get_le(tail, 8) != size - TAIL_SIZE)
        return problem_set(problem, -E_PROTO,
                           "save file %s: is cut short; copy it again, or save the machine again",
                           file->path);

    uint32_t crc = 0;
    for (uint64_t at = 0; at < size - TAIL_SIZE;) {
        uint64_t left = size - TAIL_SIZE - at;
        size_t part = left < BUFFER_SIZE ? (size_t)left : BUFFER_SIZE;
        if (!read_at(file->fd, file->buffer, part, at))
            return problem_set(problem, -E_IO,
                               "save file %s: cannot be read; copy it to another disk", file->path);
        crc = (uint32_t)crc32_z(crc, file->buffer, part);
        at += part;
    }
    if (crc != get_le(tail + 8, 4) || get_le(tail + 12, 4) != 0)
        return problem_set(problem, -E_PROTO,
                           "save file %s: is damaged (its checksum is wrong); copy it again, or "
                           "save the machine again",
                           file->path);

    if (flags & FLAG_ZSTD) {
        file->expander = ZSTD_createDCtx();
        if (file->expander == NULL)
            return problem_set(problem, -E_NOMEM,
                               "save file %s: out of memory; free some on this host", file->path);
    }
    file->offset = size - HEAD_SIZE - TAIL_SIZE;
    if (lseek(file->fd, HEAD_SIZE, SEEK_SET) != HEAD_SIZE)
        return problem_set(problem, -E_IO, "save file %s: %s", file->path, strerror(errno));
    return 0;
}

struct savefile *savefile_open(const char *path, struct problem *problem)
{
    struct savefile *file = savefile_new(path, true);

    if (file == NULL) {
        problem_set(problem, -E_NOMEM, "save file %s: out of memory; free some on this host", path);
        return NULL;
    }
    /* O_NONBLOCK: a named pipe must not hold us up. */
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file->fd < 0)
        problem_set(problem, -errno, "save file %s: %s; give one that 'trivisor save' wrote", path,
                    strerror(errno));
    else if (savefile_check(file, problem) == 0)
        return file;
    savefile_free(file);
    return NULL;
}

struct state *savefile_state(struct savefile *file)
{
    return &file->state;
}

/* ---- RAM: runs of pages that are not all zero; a run of none ends it ---- */

static bool page_is_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, MEM_PAGE_SIZE - 1) == 0;
}

/* Which pages the host has anything for, a window at a time: proc(5), /proc/PID/pagemap. */
struct pagemap {
    int fd; /* -1: not known here, so all of them are looked at */
    uint64_t first, count;
    uint64_t entries[512];
};

static bool page_was_touched(struct pagemap *map, const uint8_t *ram, uint64_t page, uint64_t pages)
{
    const uint64_t present_or_swapped = 3ULL << 62;

    if (map->fd < 0)
        return true;
    if (page - map->first >= map->count) {
        uint64_t count = pages - page < 512 ? pages - page : 512;
        off_t at = (off_t)(((uintptr_t)ram / MEM_PAGE_SIZE + page) * sizeof(map->entries[0]));
        size_t bytes = count * sizeof(map->entries[0]);
        if (pread(map->fd, map->entries, bytes, at) != (ssize_t)bytes) {
            close(map->fd);
            map->fd = -1;
            return true;
        }
        map->first = page;
        map->count = count;
    }
    return (map->entries[page - map->first] & present_or_swapped) != 0;
}

static bool page_is_saved(struct pagemap *map, const uint8_t *ram, uint64_t page, uint64_t pages)
{
    return page_was_touched(map, ram, page, pages) && !page_is_zero(ram + page * MEM_PAGE_SIZE);
}

static void ram_save(struct state *state, uint8_t *ram, uint64_t pages)
{
    /* Where the host's pages are of another size than ours, its indices are others. */
    bool same = sysconf(_SC_PAGESIZE) == (long)MEM_PAGE_SIZE;
    struct pagemap map = {.fd = same ? open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC) : -1};
    uint64_t first = 0, count = 0;

    for (uint64_t page = 0; page < pages && state->error == 0;) {
        if (!page_is_saved(&map, ram, page, pages)) {
            page++;
            continue;
        }
        first = page++;
        while (page < pages && page - first < RUN_MAX && page_is_saved(&map, ram, page, pages))
            page++;
        count = page - first;
        state_u64(state, &first);
        state_u64(state, &count);
        state_bytes(state, ram + first * MEM_PAGE_SIZE, (size_t)(count * MEM_PAGE_SIZE));
    }
    if (map.fd >= 0)
        close(map.fd);
    first = count = 0;
    state_u64(state, &first);
    state_u64(state, &count);
}

static void ram_load(struct state *state, uint8_t *ram, uint64_t pages)
{
    uint64_t next = 0;

    while (state->error == 0) {
        uint64_t first = 0, count = 0;
        state_u64(state, &first);
        state_u64(state, &count);
        if (state->error != 0 || count == 0)
            return;
        /* Runs go up and do not overlap: a file cannot make this endless. */
        if (count > RUN_MAX || first < next || first > pages || count > pages - first) {
            state_fail(state, -E_PROTO);
            return;
        }
        state_bytes(state, ram + first * MEM_PAGE_SIZE, (size_t)(count * MEM_PAGE_SIZE));
        next = first + count;
    }
}

int savefile_ram(struct savefile *file, void *hva, uint64_t size)
{
    struct state *state = &file->state;
    uint64_t found = size;

    state_section(state, "ram", 1);
    state_u64(state, &found);
    if (state->error == 0 && (found != size || size % MEM_PAGE_SIZE != 0))
        state_fail(state, -E_PROTO);
    if (state->error != 0)
        return state->error;
    if (state->loading)
        ram_load(state, hva, size / MEM_PAGE_SIZE);
    else
        ram_save(state, hva, size / MEM_PAGE_SIZE);
    return state->error;
}

/* ---- ending ---- */

/* Gives the finished file its name in one step. */
static int publish(struct savefile *file)
{
    char self[32];

    if (fsync(file->fd) != 0)
        return fail(file, errno);
    if (file->temporary == NULL) {
        /* linkat does not replace: a name for a moment, then rename. */
        char *name = NULL;
        snprintf(self, sizeof(self), "/proc/self/fd/%d", file->fd);
        if (asprintf(&name, "%s.new-%ld", file->path, (long)getpid()) < 0)
            return fail(file, ENOMEM);
        unlink(name);
        if (linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW) != 0) {
            free(name);
            return fail(file, errno);
        }
        file->temporary = name;
    }
    if (rename(file->temporary, file->path) != 0)
        return fail(file, errno);
    free(file->temporary);
    file->temporary = NULL;

    char *copy = strdup(file->path);
    int folder = copy != NULL ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    free(copy);
    if (folder >= 0) {
        fsync(folder); /* the name is there; whether it outlives a power cut is the disk's affair */
        close(folder);
    }
    return 0;
}

static int finish_saving(struct savefile *file)
{
    uint8_t tail[TAIL_SIZE] = {0};
    int error =
        file->compressor != NULL ? compress_some(file, NULL, 0, ZSTD_e_end) : flush_buffer(file);

    if (error != 0)
        return error;
    put_le(tail, file->offset, 8);
    put_le(tail + 8, file->crc, 4);
    memcpy(tail + 16, tail_magic, sizeof(tail_magic));
    error = write_through(file, tail, sizeof(tail));
    return error != 0 ? error : publish(file);
}

int savefile_finish(struct savefile *file, struct problem *problem)
{
    bool loading = file->state.loading;
    int error = file->state.error;
    const char *what = file->state.what != NULL ? file->state.what : "start";

    if (error == 0 && !loading)
        error = finish_saving(file);
    if (error == 0 && loading && (file->at < file->filled || refill(file) != 0)) {
        error = -E_PROTO;
        what = "end";
    }
    if (error != 0 && file->system_error != 0)
        problem_set(problem, error, "save file %s: %s", file->path, strerror(file->system_error));
    else if (error != 0 && loading)
        problem_set(problem, error,
                    "save file %s: part '%s' is not understood; it was made by another version or "
                    "for another machine",
                    file->path, what);
    else if (error != 0)
        problem_set(problem, error, "save file %s: part '%s' cannot be saved: %s", file->path, what,
                    strerror(-error));
    savefile_free(file);
    return error;
}

void savefile_abort(struct savefile *file)
{
    if (file != NULL)
        savefile_free(file);
}
