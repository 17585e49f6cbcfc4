#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/error.h"
#include "type1/dev_memdisk.h"

#include <stdlib.h>
#include <string.h>

#define SIZE (3u << 20)

static struct memdisk_worker worker;
static struct memdisk disk;
static uint8_t *image;
static int result, answers;
static unsigned breaths;

static int setup(void **state)
{
    (void)state;
    image = calloc(1, SIZE);
    for (unsigned i = 0; i < SIZE; i++)
        image[i] = (uint8_t)(i * 7 + i / 512);
    memdisk_worker_init(&worker);
    memdisk_init(&disk, image, SIZE, false, "serial", &worker);
    result = 1;
    answers = 0;
    breaths = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(image);
    return 0;
}

static void done(struct block_request *request, int error)
{
    (void)request;
    result = error;
    answers++;
}

static void breathe(void)
{
    breaths++;
}

static struct block_request request_of(enum block_op op, uint64_t offset,
                                       const struct buffer *buffers, unsigned count)
{
    struct block_request request = {
        .op = op, .offset = offset, .buffers = buffers, .buffer_count = count, .done = done};
    for (unsigned i = 0; i < count; i++)
        request.length += buffers[i].len;
    return request;
}

static void submit(struct block_request *request)
{
    disk.backend.ops->submit(&disk.backend, request);
}

static void small_reads_and_writes_are_answered_at_once(void **state)
{
    (void)state;
    uint8_t a[512], b[1024], expected[1536];
    struct buffer buffers[] = {{a, sizeof a}, {b, sizeof b}};
    struct block_request request = request_of(BLOCK_READ, 1024, buffers, 2);
    memcpy(expected, image + 1024, sizeof expected);
    submit(&request);
    assert_int_equal(answers, 1);
    assert_int_equal(result, 0);
    assert_memory_equal(a, expected, 512);
    assert_memory_equal(b, expected + 512, 1024);

    memset(a, 0xaa, sizeof a);
    memset(b, 0xbb, sizeof b);
    request = request_of(BLOCK_WRITE, SIZE - 1536, buffers, 2);
    submit(&request);
    assert_int_equal(result, 0);
    assert_memory_equal(image + SIZE - 1536, a, 512);
    assert_memory_equal(image + SIZE - 1024, b, 1024);
    request = request_of(BLOCK_FLUSH, 0, NULL, 0);
    submit(&request);
    assert_int_equal(answers, 3);
    assert_int_equal(result, 0);
}

static void large_requests_wait_for_the_worker_and_let_others_run(void **state)
{
    (void)state;
    uint8_t *copy = malloc(SIZE), small[512];
    struct buffer all = {copy, SIZE}, one = {small, sizeof small};
    struct block_request large = request_of(BLOCK_READ, 0, &all, 1),
                         zeroes = {.op = BLOCK_WRITE_ZEROES, .length = SIZE, .done = done},
                         quick = request_of(BLOCK_READ, 0, &one, 1);
    uint8_t *expected = malloc(SIZE);
    memcpy(expected, image, SIZE);
    submit(&large);
    submit(&zeroes);
    assert_int_equal(answers, 0);
    submit(&quick);
    assert_int_equal(answers, 1);
    memdisk_work(&worker, breathe);
    assert_int_equal(answers, 3);
    assert_int_equal(result, 0);
    assert_memory_equal(copy, expected, SIZE);
    assert_true(breaths >= 2 * SIZE / MEMDISK_PIECE);
    for (unsigned i = 0; i < SIZE; i++)
        assert_int_equal(image[i], 0);
    memdisk_work(&worker, breathe);
    assert_int_equal(answers, 3);
    free(copy);
    free(expected);
}

static void requests_outside_of_the_disk_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[1024];
    struct buffer buffer = {bytes, sizeof bytes};
    static const uint64_t offsets[] = {SIZE - 512, SIZE, SIZE + 512, UINT64_MAX - 511};
    for (unsigned i = 0; i < 4; i++) {
        struct block_request request = request_of(BLOCK_WRITE, offsets[i], &buffer, 1);
        submit(&request);
        assert_int_equal(result, -E_INVAL);
    }
    struct block_request request = {
        .op = BLOCK_WRITE_ZEROES, .offset = 512, .length = UINT64_MAX, .done = done};
    submit(&request);
    memdisk_work(&worker, NULL);
    assert_int_equal(result, -E_INVAL);
}

static void readonly_disk_refuses_every_change(void **state)
{
    (void)state;
    uint8_t bytes[512] = {0}, *before = malloc(SIZE);
    struct buffer buffer = {bytes, sizeof bytes};
    memcpy(before, image, SIZE);
    memdisk_init(&disk, image, SIZE, true, NULL, &worker);
    assert_true(disk.backend.readonly);
    static const enum block_op ops[] = {BLOCK_WRITE, BLOCK_DISCARD, BLOCK_WRITE_ZEROES};
    for (unsigned i = 0; i < 3; i++) {
        struct block_request request = request_of(ops[i], 0, &buffer, 1);
        submit(&request);
        assert_int_equal(result, -E_IO);
    }
    assert_memory_equal(image, before, SIZE);
    free(before);
}

static void size_is_whole_sectors_and_the_serial_is_cut(void **state)
{
    (void)state;
    memdisk_init(&disk, image, 513, false, "0123456789012345678901234", &worker);
    assert_int_equal(disk.backend.size, 1024);
    assert_string_equal(disk.backend.serial, "01234567890123456789");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(small_reads_and_writes_are_answered_at_once),
        T(large_requests_wait_for_the_worker_and_let_others_run),
        T(requests_outside_of_the_disk_are_refused),
        T(readonly_disk_refuses_every_change),
        T(size_is_whole_sectors_and_the_serial_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
