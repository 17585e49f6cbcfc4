#include "type2/unpack.h"

#include "core/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define LAYERS_MAX 4 /* a file can be made that unpacks to itself */

/* ---- files ---- */

int blob_map(struct blob *blob, const char *what, const char *path, struct problem *problem)
{
    *blob = (struct blob){0};
    /* Not to hang on a pipe that nobody writes to. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        int error = errno;
        if (error == ENOENT || error == ENOTDIR)
            return problem_set(problem, -E_NOENT, "%s %s: no such file; check the path", what,
                               path);
        if (error == EACCES || error == EPERM)
            return problem_set(
                problem, -error,
                "%s %s: no permission to read it; make it readable for you: chmod a+r %s", what,
                path, path);
        return problem_set(problem, -error, "%s %s: cannot open it: %s; give another file", what,
                           path, strerror(error));
    }

    struct stat st;
    int result = 0;
    if (fstat(fd, &st) != 0)
        result = problem_set(problem, -E_IO, "%s %s: %s", what, path, strerror(errno));
    else if (S_ISDIR(st.st_mode))
        result = problem_set(problem, -E_INVAL, "%s %s: is a folder, not a file; name a file in it",
                             what, path);
    else if (!S_ISREG(st.st_mode))
        result = problem_set(problem, -E_INVAL, "%s %s: is not a regular file; copy it into one",
                             what, path);
    else if (st.st_size == 0)
        result =
            problem_set(problem, -E_INVAL, "%s %s: is empty; fetch or copy it again", what, path);
    if (result == 0) {
        void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes == MAP_FAILED)
            result = problem_set(problem, -E_IO, "%s %s: cannot read it: %s; give another file",
                                 what, path, strerror(errno));
        else
            *blob = (struct blob){bytes, (size_t)st.st_size, BLOB_MAPPED};
    }
    close(fd);
    return result;
}

int blob_map_unpacked(struct blob *blob, const char *what, const char *path,
                      struct problem *problem)
{
    int result = blob_map(blob, what, path, problem);
    if (result != 0)
        return result;

    struct blob plain;
    const char *reason;
    result = unpack(&plain, blob->bytes, blob->size, &reason);
    if (result != 0) {
        blob_free(blob);
        return problem_set(problem, result, "%s %s: %s", what, path, reason);
    }
    if (plain.kind == BLOB_ALLOCATED) {
        blob_free(blob);
        *blob = plain;
    }
    return 0;
}

void blob_free(struct blob *blob)
{
    /* The bytes are const for everybody else. */
    void *bytes = (void *)(uintptr_t)blob->bytes;
    if (blob->kind == BLOB_MAPPED)
        munmap(bytes, blob->size);
    else if (blob->kind == BLOB_ALLOCATED)
        free(bytes);
    *blob = (struct blob){0};
}

/* ---- output that grows up to the limit ---- */

struct output {
    uint8_t *bytes;
    size_t size;     /* filled */
    size_t capacity; /* allocated */
    size_t limit;
};

/* Makes room for at least one more byte. */
static int output_grow(struct output *out, const char **reason)
{
    if (out->size < out->capacity)
        return 0;
    if (out->capacity >= out->limit) {
        *reason = "unpacks to more than any kernel needs; give a kernel";
        return -E_NOSPC;
    }
    size_t capacity = out->capacity == 0 ? (size_t)1 << 20 : out->capacity * 2;
    uint8_t *bytes = realloc(out->bytes, capacity);
    if (bytes == NULL) {
        *reason = "cannot be unpacked: not enough memory; free some on this host";
        return -E_NOMEM;
    }
    out->bytes = bytes;
    out->capacity = capacity;
    return 0;
}

/* ---- gzip ---- */

static bool is_gzip(const uint8_t *bytes, size_t size)
{
    return size >= 3 && bytes[0] == 0x1f && bytes[1] == 0x8b && bytes[2] == 8;
}

/* zlib counts in unsigned int. */
static unsigned at_most_uint(size_t len)
{
    return len > (1U << 30) ? 1U << 30 : (unsigned)len;
}

static int gunzip(const uint8_t *bytes, size_t size, struct output *out, const char **reason)
{
    z_stream stream = {0};
    size_t used = 0;
    int result = 0;

    if (inflateInit2(&stream, 15 + 16) != Z_OK) {
        *reason = "cannot be unpacked: not enough memory; free some on this host";
        return -E_NOMEM;
    }
    for (;;) {
        result = output_grow(out, reason);
        if (result != 0)
            break;
        unsigned in = at_most_uint(size - used);
        unsigned room = at_most_uint(out->capacity - out->size);
        stream.next_in = (z_const Bytef *)(uintptr_t)(bytes + used);
        stream.avail_in = in;
        stream.next_out = out->bytes + out->size;
        stream.avail_out = room;
        int status = inflate(&stream, Z_NO_FLUSH);
        used += in - stream.avail_in;
        out->size += room - stream.avail_out;

        if (status == Z_STREAM_END) {
            /* RFC 1952, 2.2: members may follow each other. Anything else behind one is padding. */
            if (!is_gzip(bytes + used, size - used))
                break;
            inflateReset(&stream);
        } else if (status == Z_BUF_ERROR ||
                   (status == Z_OK && used == size && stream.avail_out > 0)) {
            *reason = "is truncated (gzip); fetch or copy it again";
            result = -E_NOEXEC;
            break;
        } else if (status != Z_OK) {
            *reason = "is corrupt (gzip); fetch or copy it again";
            result = -E_NOEXEC;
            break;
        }
    }
    inflateEnd(&stream);
    return result;
}

/* ---- zstd ---- */

static bool is_zstd(const uint8_t *bytes, size_t size)
{
    return size >= 4 && memcmp(bytes, "\x28\xb5\x2f\xfd", 4) == 0;
}

static int unzstd(const uint8_t *bytes, size_t size, struct output *out, const char **reason)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (context == NULL) {
        *reason = "cannot be unpacked: not enough memory; free some on this host";
        return -E_NOMEM;
    }
    /* Linux packs its images with windows of up to 128 MiB (zstd -22 --ultra). */
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 27);

    ZSTD_inBuffer in = {bytes, size, 0};
    int result;
    for (;;) {
        result = output_grow(out, reason);
        if (result != 0)
            break;
        ZSTD_outBuffer to = {out->bytes, out->capacity, out->size};
        size_t status = ZSTD_decompressStream(context, &to, &in);
        out->size = to.pos;
        if (ZSTD_isError(status)) {
            *reason = "is corrupt (zstd); fetch or copy it again";
            result = -E_NOEXEC;
            break;
        }
        /* 0: a frame has ended and is flushed. zboot's size word, or padding, may follow it. */
        if (status == 0 && !is_zstd(bytes + in.pos, size - in.pos))
            break;
        if (status != 0 && in.pos == size && to.pos < to.size) {
            *reason = "is truncated (zstd); fetch or copy it again";
            result = -E_NOEXEC;
            break;
        }
    }
    ZSTD_freeDCtx(context);
    return result;
}

/* ---- EFI zboot (Linux, drivers/firmware/efi/libstub/zboot-header.S) ---- */

enum zboot_header {
    ZBOOT_MAGIC = 4,
    ZBOOT_PAYLOAD_OFFSET = 8,
    ZBOOT_PAYLOAD_SIZE = 12,
    ZBOOT_COMPRESSION = 24,
    ZBOOT_COMPRESSION_SIZE = 32,
    ZBOOT_HEADER_SIZE = 64,
};

static bool is_zboot(const uint8_t *bytes, size_t size)
{
    return size >= ZBOOT_MAGIC + 4 && memcmp(bytes, "MZ", 2) == 0 &&
           memcmp(bytes + ZBOOT_MAGIC, "zimg", 4) == 0;
}

static uint32_t get_le32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int unzboot(const uint8_t *bytes, size_t size, struct output *out, const char **reason)
{
    if (size < ZBOOT_HEADER_SIZE) {
        *reason = "is truncated (EFI zboot); fetch or copy it again";
        return -E_NOEXEC;
    }
    uint32_t offset = get_le32(bytes + ZBOOT_PAYLOAD_OFFSET);
    uint32_t len = get_le32(bytes + ZBOOT_PAYLOAD_SIZE);
    if (offset > size || len > size - offset) {
        *reason = "is truncated (EFI zboot); fetch or copy it again";
        return -E_NOEXEC;
    }
    const char *name = (const char *)bytes + ZBOOT_COMPRESSION;
    if (strncmp(name, "gzip", ZBOOT_COMPRESSION_SIZE) == 0 && is_gzip(bytes + offset, len))
        return gunzip(bytes + offset, len, out, reason);
    if (strncmp(name, "zstd", 4) == 0 && is_zstd(bytes + offset, len))
        return unzstd(bytes + offset, len, out, reason);
    if (strncmp(name, "gzip", 4) == 0 || strncmp(name, "zstd", 4) == 0)
        *reason = "is corrupt (EFI zboot); fetch or copy it again";
    else
        *reason = "is an EFI zboot image with another compression than gzip or zstd; "
                  "give the Image inside it";
    return -E_NOEXEC;
}

int unpack(struct blob *blob, const void *bytes, size_t size, const char **reason)
{
    return unpack_limited(blob, bytes, size, UNPACK_SIZE_MAX, reason);
}

int unpack_limited(struct blob *blob, const void *bytes, size_t size, size_t limit,
                   const char **reason)
{
    struct blob now = {bytes, size, BLOB_BORROWED};

    *blob = (struct blob){0};
    *reason = "";
    for (unsigned layer = 0;; layer++) {
        int (*unwrap)(const uint8_t *, size_t, struct output *, const char **);
        if (is_gzip(now.bytes, now.size))
            unwrap = gunzip;
        else if (is_zstd(now.bytes, now.size))
            unwrap = unzstd;
        else if (is_zboot(now.bytes, now.size))
            unwrap = unzboot;
        else
            break;

        struct output out = {.limit = limit};
        int result = 0;
        if (layer == LAYERS_MAX) {
            *reason = "is compressed too many times over; give the kernel itself";
            result = -E_NOSPC;
        } else {
            result = unwrap(now.bytes, now.size, &out, reason);
        }
        blob_free(&now);
        if (result == 0 && out.size == 0) {
            *reason = "unpacks to nothing; fetch or copy it again";
            result = -E_NOEXEC;
        }
        if (result != 0) {
            free(out.bytes);
            return result;
        }
        now = (struct blob){out.bytes, out.size, BLOB_ALLOCATED};
    }
    *blob = now;
    return 0;
}
