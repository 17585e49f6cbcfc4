#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/error.h"
#include "type2/unpack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define PLAIN_SIZE 3000000 /* more than one step of the output's growth */

static uint8_t plain[PLAIN_SIZE];

struct bytes {
    uint8_t *at;
    size_t size;
};

static int setup(void **state)
{
    (void)state;
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof(plain); i++) {
        x = x * 1664525 + 1013904223;
        plain[i] = (uint8_t)(x >> 30); /* compressible, not trivial */
    }
    return 0;
}

static struct bytes gzip(const void *bytes, size_t size)
{
    z_stream stream = {0};
    struct bytes out = {malloc(size + 1000), 0};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (z_const Bytef *)(uintptr_t)bytes;
    stream.avail_in = (unsigned)size;
    stream.next_out = out.at;
    stream.avail_out = (unsigned)size + 1000;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out.size = stream.total_out;
    deflateEnd(&stream);
    return out;
}

static struct bytes zstd(const void *bytes, size_t size)
{
    struct bytes out = {malloc(ZSTD_compressBound(size)), 0};
    out.size = ZSTD_compress(out.at, ZSTD_compressBound(size), bytes, size, 3);
    assert_false(ZSTD_isError(out.size));
    return out;
}

static void put_le32(uint8_t *at, size_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

/* Linux, drivers/firmware/efi/libstub/zboot-header.S. Frees `payload`. */
static struct bytes zboot(struct bytes payload, const char *compression)
{
    struct bytes out = {calloc(1, 0x1000 + payload.size + 4), 0x1000 + payload.size + 4};
    memcpy(out.at, "MZ\0\0zimg", 8);
    put_le32(out.at + 8, 0x1000);
    put_le32(out.at + 12, payload.size);
    strncpy((char *)out.at + 24, compression, 31);
    memcpy(out.at + 0x1000, payload.at, payload.size);
    free(payload.at);
    return out;
}

/* Unpacks and frees `packed`. */
static void expect_plain(struct bytes packed)
{
    struct blob blob;
    const char *reason;
    int error = unpack(&blob, packed.at, packed.size, &reason);
    assert_string_equal(reason, "");
    assert_int_equal(error, 0);
    assert_int_equal(blob.kind, BLOB_ALLOCATED);
    assert_int_equal(blob.size, sizeof(plain));
    assert_memory_equal(blob.bytes, plain, sizeof(plain));
    blob_free(&blob);
    blob_free(&blob);
    free(packed.at);
}

static void expect_refusal(const void *bytes, size_t size, int error, const char *reason)
{
    struct blob blob;
    const char *found;
    assert_int_equal(unpack(&blob, bytes, size, &found), error);
    assert_string_equal(found, reason);
    assert_null(blob.bytes);
}

static void plain_bytes_are_not_copied(void **state)
{
    (void)state;
    struct blob blob;
    const char *reason;
    assert_int_equal(unpack(&blob, plain, sizeof(plain), &reason), 0);
    assert_ptr_equal(blob.bytes, plain);
    assert_int_equal(blob.size, sizeof(plain));
    blob_free(&blob);
    assert_int_equal(unpack(&blob, plain, 0, &reason), 0);
}

static void each_wrapping_comes_off(void **state)
{
    (void)state;
    expect_plain(gzip(plain, sizeof(plain)));
    expect_plain(zstd(plain, sizeof(plain)));
    expect_plain(zboot(gzip(plain, sizeof(plain)), "gzip"));
    expect_plain(zboot(zstd(plain, sizeof(plain)), "zstd"));
}

static void wrappings_in_wrappings_come_off(void **state)
{
    (void)state;
    struct bytes inner = zboot(gzip(plain, sizeof(plain)), "gzip");
    struct bytes outer = zstd(inner.at, inner.size);
    free(inner.at);
    expect_plain(outer);
}

static void members_and_frames_in_a_row_are_joined(void **state)
{
    (void)state;
    struct bytes (*const packers[])(const void *, size_t) = {gzip, zstd};
    for (unsigned i = 0; i < 2; i++) {
        struct bytes first = packers[i](plain, 1000);
        struct bytes second = packers[i](plain + 1000, sizeof(plain) - 1000);
        struct bytes both = {malloc(first.size + second.size + 16), first.size + second.size + 16};
        memcpy(both.at, first.at, first.size);
        memcpy(both.at + first.size, second.at, second.size);
        memset(both.at + first.size + second.size, 0, 16); /* padding */
        free(first.at);
        free(second.at);
        expect_plain(both);
    }
}

static void every_truncation_is_an_error(void **state)
{
    (void)state;
    struct bytes z = gzip(plain, 5000);
    for (size_t size = 3; size < z.size; size++)
        expect_refusal(z.at, size, -E_NOEXEC, "is truncated (gzip); fetch or copy it again");
    free(z.at);
    z = zstd(plain, 5000);
    for (size_t size = 4; size < z.size; size++)
        expect_refusal(z.at, size, -E_NOEXEC, "is truncated (zstd); fetch or copy it again");
    z = zboot(z, "zstd");
    expect_refusal(z.at, z.size - 5, -E_NOEXEC, "is truncated (EFI zboot); fetch or copy it again");
    expect_refusal(z.at, 40, -E_NOEXEC, "is truncated (EFI zboot); fetch or copy it again");
    put_le32(z.at + 8, 0xfffffff0);
    expect_refusal(z.at, z.size, -E_NOEXEC, "is truncated (EFI zboot); fetch or copy it again");
    free(z.at);
}

static void corruption_is_an_error(void **state)
{
    (void)state;
    struct bytes z = gzip(plain, 5000);
    z.at[z.size - 6] ^= 1; /* its CRC */
    expect_refusal(z.at, z.size, -E_NOEXEC, "is corrupt (gzip); fetch or copy it again");
    z.at[10] = 0xff; /* a block type that is not one */
    expect_refusal(z.at, z.size, -E_NOEXEC, "is corrupt (gzip); fetch or copy it again");
    free(z.at);
    z = zstd(plain, 5000);
    z.at[4] |= 8; /* a reserved bit of the frame header */
    expect_refusal(z.at, z.size, -E_NOEXEC, "is corrupt (zstd); fetch or copy it again");
    z = zboot(z, "gzip");
    expect_refusal(z.at, z.size, -E_NOEXEC, "is corrupt (EFI zboot); fetch or copy it again");
    strcpy((char *)z.at + 24, "lzma");
    expect_refusal(z.at, z.size, -E_NOEXEC,
                   "is an EFI zboot image with another compression than gzip or zstd; give the "
                   "Image inside it");
    free(z.at);
    z = gzip("", 0);
    expect_refusal(z.at, z.size, -E_NOEXEC, "unpacks to nothing; fetch or copy it again");
    free(z.at);
}

static void endless_wrappings_are_an_error(void **state)
{
    (void)state;
    struct bytes z = {malloc(100), 100};
    memcpy(z.at, plain, 100);
    for (unsigned layer = 1; layer <= 5; layer++) {
        struct bytes next = gzip(z.at, z.size);
        free(z.at);
        z = next;
        struct blob blob;
        const char *reason;
        assert_int_equal(unpack(&blob, z.at, z.size, &reason), layer <= 4 ? 0 : -E_NOSPC);
        blob_free(&blob);
    }
    free(z.at);
}

static void a_bomb_is_an_error(void **state)
{
    (void)state;
    const size_t limit = 4 << 20;
    uint8_t *zeros = calloc(1, limit + 1);
    struct bytes (*const packers[])(const void *, size_t) = {gzip, zstd};
    for (unsigned i = 0; i < 2; i++) {
        struct blob blob;
        const char *reason;
        struct bytes z = packers[i](zeros, limit - 1);
        assert_int_equal(unpack_limited(&blob, z.at, z.size, limit, &reason), 0);
        assert_int_equal(blob.size, limit - 1);
        blob_free(&blob);
        free(z.at);
        z = packers[i](zeros, limit + 1);
        assert_int_equal(unpack_limited(&blob, z.at, z.size, limit, &reason), -E_NOSPC);
        assert_string_equal(reason, "unpacks to more than any kernel needs; give a kernel");
        assert_null(blob.bytes);
        free(z.at);
    }
    free(zeros);
}

static void files_that_cannot_be_read_are_named(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_unpack.XXXXXX";
    char path[64], expected[128];
    struct blob blob;
    struct problem problem;
    assert_non_null(mkdtemp(folder));

    assert_int_equal(blob_map(&blob, "kernel", folder, &problem), -E_INVAL);
    snprintf(expected, sizeof(expected), "kernel %s: is a folder, not a file; name a file in it",
             folder);
    assert_string_equal(problem.text, expected);

    snprintf(path, sizeof(path), "%s/file", folder);
    assert_int_equal(blob_map(&blob, "kernel", path, &problem), -E_NOENT);
    snprintf(expected, sizeof(expected), "kernel %s: no such file; check the path", path);
    assert_string_equal(problem.text, expected);

    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(blob_map(&blob, "kernel", path, &problem), -E_INVAL);
    snprintf(expected, sizeof(expected), "kernel %s: is not a regular file; copy it into one",
             path);
    assert_string_equal(problem.text, expected);
    unlink(path);

    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(blob_map(&blob, "kernel", path, &problem), -E_INVAL);
    snprintf(expected, sizeof(expected), "kernel %s: is empty; fetch or copy it again", path);
    assert_string_equal(problem.text, expected);
    assert_null(blob.bytes);

    struct bytes z = gzip(plain, sizeof(plain));
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(z.at, 1, z.size, file), z.size);
    fclose(file);
    assert_int_equal(blob_map(&blob, "kernel", path, &problem), 0);
    assert_int_equal(blob.size, z.size);
    assert_memory_equal(blob.bytes, z.at, z.size);
    blob_free(&blob);
    assert_int_equal(blob_map_unpacked(&blob, "kernel", path, &problem), 0);
    assert_int_equal(blob.size, sizeof(plain));
    blob_free(&blob);
    free(z.at);

    assert_int_equal(truncate(path, 1000), 0);
    assert_int_equal(blob_map_unpacked(&blob, "kernel", path, &problem), -E_NOEXEC);
    snprintf(expected, sizeof(expected), "kernel %s: is truncated (gzip); fetch or copy it again",
             path);
    assert_string_equal(problem.text, expected);
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_bytes_are_not_copied),
        cmocka_unit_test(each_wrapping_comes_off),
        cmocka_unit_test(wrappings_in_wrappings_come_off),
        cmocka_unit_test(members_and_frames_in_a_row_are_joined),
        cmocka_unit_test(every_truncation_is_an_error),
        cmocka_unit_test(corruption_is_an_error),
        cmocka_unit_test(endless_wrappings_are_an_error),
        cmocka_unit_test(a_bomb_is_an_error),
        cmocka_unit_test(files_that_cannot_be_read_are_named),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
