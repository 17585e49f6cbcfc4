/* Any bytes as a compressed image: unpacked within the limit, or refused with a reason. */
#include "core/image.h"
#include "tests/fuzz/fuzz.h"
#include "type2/unpack.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define LIMIT (1U << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct blob blob;
    struct image image;
    const char *reason;

    if (unpack_limited(&blob, data, size, LIMIT, &reason) != 0) {
        if (reason[0] == 0 || blob.bytes != NULL)
            abort();
        return 0;
    }
    if (blob.kind == BLOB_ALLOCATED && blob.size > LIMIT)
        abort();
    image_open(&image, blob.bytes, blob.size);
    blob_free(&blob);
    return 0;
}

static size_t gzip_seed(uint8_t *buf, size_t capacity, const uint8_t *plain, size_t size)
{
    z_stream stream = {0};
    if (deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return 0;
    stream.next_in = (z_const Bytef *)(uintptr_t)plain;
    stream.avail_in = (unsigned)size;
    stream.next_out = buf;
    stream.avail_out = (unsigned)capacity;
    deflate(&stream, Z_FINISH);
    size_t packed = stream.total_out;
    deflateEnd(&stream);
    return packed;
}

/* Wraps `size` bytes that stand at buf + 64 already. */
static size_t zboot_seed(uint8_t *buf, size_t size, const char *compression)
{
    memset(buf, 0, 64);
    memcpy(buf, "MZ\0\0zimg", 8);
    buf[8] = 64;
    buf[12] = (uint8_t)size;
    buf[13] = (uint8_t)(size >> 8);
    memcpy(buf + 24, compression, strlen(compression));
    return 64 + size;
}

size_t fuzz_seed(unsigned index, uint8_t *buf, size_t capacity)
{
    uint8_t plain[600], inner[1024];
    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (uint8_t)(i * i >> 5);
    memcpy(plain + 56, "RSC\x05", 4);

    switch (index) {
    case 0: return gzip_seed(buf, capacity, plain, sizeof(plain));
    case 1: return ZSTD_compress(buf, capacity, plain, sizeof(plain), 3);
    case 2:
        return zboot_seed(buf, gzip_seed(buf + 64, capacity - 64, plain, sizeof(plain)), "gzip");
    case 3:
        return zboot_seed(buf, ZSTD_compress(buf + 64, capacity - 64, plain, sizeof(plain), 3),
                          "zstd");
    case 4: {
        size_t size = ZSTD_compress(inner, sizeof(inner), plain, sizeof(plain), 3);
        return gzip_seed(buf, capacity, inner, size);
    }
    default: return 0;
    }
}
