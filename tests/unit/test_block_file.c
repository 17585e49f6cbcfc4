#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/host.h"
#include "type2/block_file.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DISK_SIZE (4U << 20)

static char path[64];
static struct loop loop;
static unsigned char content[DISK_SIZE]; /* what the disk must hold */

/* Each test runs three times: by io_uring, by threads, and by io_uring without the quick try. */
static const struct block_file_options variants[] = {
    {.path = path, .serial = "root-disk"},
    {.path = path, .serial = "root-disk", .threads = true, .no_try = true},
    {.path = path, .serial = "root-disk", .no_try = true},
};

static int make_disk_in(const char *folder)
{
    struct problem problem;

    snprintf(path, sizeof(path), "%s/trivisor-test-XXXXXX", folder);
    int fd = mkstemp(path);
    for (size_t i = 0; i < DISK_SIZE; i++)
        content[i] = (unsigned char)(i * 7 + (i >> 9) * 13 + 1);
    if (fd < 0 || write(fd, content, DISK_SIZE) != DISK_SIZE)
        return -1;
    close(fd);
    if (loop_init(&loop, &problem) != 0)
        return -1;
    return loop_start(&loop, "test", &problem);
}

static int make_disk(void **state)
{
    (void)state;
    return make_disk_in("/tmp");
}

/* tmpfs makes holes but no zeroed ranges. */
static int make_disk_in_tmpfs(void **state)
{
    (void)state;
    return make_disk_in(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
}

static int drop_disk(void **state)
{
    (void)state;
    loop_stop(&loop);
    loop_fini(&loop);
    unlink(path);
    return 0;
}

struct call {
    struct block_request request;
    struct host_event done;
    int result;
    _Atomic int *count;
};

static void call_done(struct block_request *request, int result)
{
    struct call *call = request->owner;

    call->result = result;
    if (call->count != NULL)
        atomic_fetch_add(call->count, 1);
    host_event_set(&call->done);
}

static void call_begin(struct block_backend *disk, struct call *call, enum block_op op,
                       uint64_t offset, uint64_t length, const struct buffer *buffers,
                       unsigned count)
{
    host_event_init(&call->done);
    call->result = 12345;
    call->request.op = op;
    call->request.offset = offset;
    call->request.length = length;
    call->request.buffers = buffers;
    call->request.buffer_count = count;
    call->request.done = call_done;
    call->request.owner = call;
    disk->ops->submit(disk, &call->request);
}

static int call_wait(struct call *call)
{
    assert_true(host_event_wait(&call->done, 20000000000ULL));
    return call->result;
}

static int disk_do(struct block_backend *disk, enum block_op op, uint64_t offset, void *bytes,
                   uint64_t length, bool unmap)
{
    struct call call = {.request.unmap = unmap};
    struct buffer buffer = {bytes, (size_t)length};

    call_begin(disk, &call, op, offset, length, &buffer, bytes != NULL ? 1 : 0);
    return call_wait(&call);
}

static void assert_file_holds_content(void)
{
    static unsigned char found[DISK_SIZE];
    int fd = open(path, O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(read(fd, found, DISK_SIZE), DISK_SIZE);
    assert_memory_equal(found, content, DISK_SIZE);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, DISK_SIZE);
    close(fd);
}

static struct block_backend *open_variant(size_t i)
{
    struct problem problem = {""};
    struct block_backend *disk = block_file_open(&variants[i], &loop, &problem);

    if (disk == NULL)
        fail_msg("%s", problem.text);
    return disk;
}

#define EACH_VARIANT(i) for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)

static void reads_and_writes_land_where_they_should(void **state)
{
    static unsigned char bytes[DISK_SIZE];

    (void)state;
    EACH_VARIANT(i)
    {
        struct block_backend *disk = open_variant(i);
        assert_int_equal(disk->size, DISK_SIZE);
        assert_string_equal(disk->serial, "root-disk");
        assert_false(disk->readonly);

        assert_int_equal(disk_do(disk, BLOCK_READ, 0, bytes, DISK_SIZE, false), 0);
        assert_memory_equal(bytes, content, DISK_SIZE);
        assert_int_equal(disk_do(disk, BLOCK_READ, 512 * 77, bytes, 4096, false), 0);
        assert_memory_equal(bytes, content + 512 * 77, 4096);

        memset(content + 1024, 0x40 + (int)i, 512);
        assert_int_equal(disk_do(disk, BLOCK_WRITE, 1024, content + 1024, 512, false), 0);
        memset(content + DISK_SIZE - 8192, 0x50 + (int)i, 8192);
        assert_int_equal(
            disk_do(disk, BLOCK_WRITE, DISK_SIZE - 8192, content + DISK_SIZE - 8192, 8192, false),
            0);
        assert_int_equal(disk_do(disk, BLOCK_FLUSH, 0, NULL, 0, false), 0);
        assert_int_equal(disk_do(disk, BLOCK_FLUSH, 0, NULL, 0, false), 0);
        assert_file_holds_content();
        block_file_close(disk);
    }
}

static void scattered_buffers_are_gathered(void **state)
{
    /* More pieces than one system call takes, of odd lengths. */
    static struct buffer pieces[1500];
    static unsigned char bytes[DISK_SIZE];

    (void)state;
    EACH_VARIANT(i)
    {
        struct block_backend *disk = open_variant(i);
        struct call call = {0};
        uint64_t total = 0;
        memset(bytes, 0, sizeof(bytes));
        for (unsigned p = 0; p < 1500; p++) {
            pieces[p] = (struct buffer){bytes + total, 1 + p % 700};
            total += pieces[p].len;
        }
        call_begin(disk, &call, BLOCK_READ, 512, total, pieces, 1500);
        assert_int_equal(call_wait(&call), 0);
        assert_memory_equal(bytes, content + 512, total);

        for (uint64_t b = 0; b < total; b++)
            content[512 + b] = bytes[b] = (unsigned char)(bytes[b] ^ 0x5a);
        call_begin(disk, &call, BLOCK_WRITE, 512, total, pieces, 1500);
        assert_int_equal(call_wait(&call), 0);
        assert_file_holds_content();
        block_file_close(disk);
    }
}

static void more_requests_than_the_ring_holds_all_complete(void **state)
{
    enum { CALLS = 600 };
    static struct call calls[CALLS];
    static struct buffer buffers[CALLS];

    (void)state;
    EACH_VARIANT(i)
    {
        struct block_backend *disk = open_variant(i);
        _Atomic int count = 0;
        for (unsigned c = 0; c < CALLS; c++) {
            unsigned char *at = content + (size_t)c * 4096;
            memset(at, (int)(c + i), 4096);
            buffers[c] = (struct buffer){at, 4096};
            calls[c].count = &count;
            call_begin(disk, &calls[c], BLOCK_WRITE, (uint64_t)c * 4096, 4096, &buffers[c], 1);
        }
        for (unsigned c = 0; c < CALLS; c++)
            assert_int_equal(call_wait(&calls[c]), 0);
        assert_int_equal(count, CALLS);
        assert_file_holds_content();
        block_file_close(disk);
    }
}

static void zeroes_are_written_and_discards_done(void **state)
{
    (void)state;
    EACH_VARIANT(i)
    {
        struct block_backend *disk = open_variant(i);
        for (int unmap = 0; unmap < 2; unmap++) {
            uint64_t at = 65536 * (1 + i * 2 + (uint64_t)unmap) + 512;
            memset(content + at, 0, 30000 / 512 * 512);
            assert_int_equal(disk_do(disk, BLOCK_WRITE_ZEROES, at, NULL, 30000 / 512 * 512, unmap),
                             0);
        }
        struct stat before, after;
        stat(path, &before);
        uint64_t at = (2U << 20) + i * 262144;
        assert_int_equal(disk_do(disk, BLOCK_DISCARD, at, NULL, 131072, false), 0);
        stat(path, &after);
        /* Where the file system makes holes, the host gets the room back and zeroes are read. */
        if (after.st_blocks < before.st_blocks)
            memset(content + at, 0, 131072);
        assert_file_holds_content();
        block_file_close(disk);
    }
}

static void what_is_out_of_range_never_reaches_the_file(void **state)
{
    static unsigned char bytes[8192];

    (void)state;
    EACH_VARIANT(i)
    {
        struct block_backend *disk = open_variant(i);
        assert_int_equal(disk_do(disk, BLOCK_WRITE, DISK_SIZE, bytes, 512, false), -E_RANGE);
        assert_int_equal(disk_do(disk, BLOCK_WRITE, DISK_SIZE - 512, bytes, 1024, false), -E_RANGE);
        assert_int_equal(disk_do(disk, BLOCK_READ, UINT64_MAX - 511, bytes, 1024, false), -E_RANGE);
        assert_int_equal(disk_do(disk, BLOCK_WRITE_ZEROES, 512, NULL, UINT64_MAX - 511, false),
                         -E_RANGE);
        assert_int_equal(disk_do(disk, BLOCK_READ, 0, bytes, 0, false), 0);
        struct call call = {0};
        struct buffer wrong = {bytes, 1024};
        call_begin(disk, &call, BLOCK_WRITE, 0, 512, &wrong, 1); /* more bytes than it says */
        assert_int_equal(call_wait(&call), -E_INVAL);
        assert_file_holds_content();
        block_file_close(disk);
    }
}

static void shrunken_file_is_an_io_error(void **state)
{
    unsigned char bytes[512];

    (void)state;
    EACH_VARIANT(i)
    {
        struct block_backend *disk = open_variant(i);
        assert_int_equal(truncate(path, 512), 0);
        assert_int_equal(disk_do(disk, BLOCK_READ, 4096, bytes, 512, false), -E_IO);
        assert_int_equal(truncate(path, DISK_SIZE), 0);
        block_file_close(disk);
    }
}

static void readonly_disk_refuses_writes(void **state)
{
    struct block_file_options options = {.path = path, .readonly = true};
    struct problem problem;
    unsigned char bytes[512];

    (void)state;
    struct block_backend *disk = block_file_open(&options, &loop, &problem);
    assert_non_null(disk);
    assert_true(disk->readonly);
    assert_false(disk->discard);
    assert_int_equal(disk_do(disk, BLOCK_READ, 512, bytes, 512, false), 0);
    assert_memory_equal(bytes, content + 512, 512);
    assert_int_equal(disk_do(disk, BLOCK_WRITE, 0, bytes, 512, false), -E_ROFS);
    assert_int_equal(disk_do(disk, BLOCK_DISCARD, 0, NULL, 512, false), -E_ROFS);
    assert_int_equal(disk_do(disk, BLOCK_WRITE_ZEROES, 0, NULL, 512, false), -E_ROFS);
    assert_int_equal(disk_do(disk, BLOCK_FLUSH, 0, NULL, 0, false), 0);
    block_file_close(disk);
    assert_file_holds_content();
}

static void disk_is_locked_against_a_second_writer(void **state)
{
    struct block_file_options rw = {.path = path}, ro = {.path = path, .readonly = true};
    struct problem problem;
    char wanted[160];

    (void)state;
    struct block_backend *first = block_file_open(&rw, &loop, &problem);
    assert_non_null(first);
    assert_null(block_file_open(&rw, &loop, &problem));
    snprintf(wanted, sizeof(wanted), "disk %s: in use by another VM", path);
    assert_memory_equal(problem.text, wanted, strlen(wanted));
    assert_null(block_file_open(&ro, &loop, &problem));
    /* Another process sees it as well. */
    pid_t child = fork();
    if (child == 0) {
        struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
        int fd = open(path, O_RDONLY);
        _exit(fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) != 0 ? 42 : 0);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(WEXITSTATUS(status), 42);
    block_file_close(first);

    /* Readers share; a writer has to wait for them. */
    struct block_backend *a = block_file_open(&ro, &loop, &problem);
    struct block_backend *b = block_file_open(&ro, &loop, &problem);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(block_file_open(&rw, &loop, &problem));
    block_file_close(a);
    block_file_close(b);
    first = block_file_open(&rw, &loop, &problem);
    assert_non_null(first);
    block_file_close(first);
}

static void expect_refused(const char *disk_path, int size, const char *why)
{
    struct block_file_options options = {.path = disk_path};
    struct problem problem = {""};

    if (size >= 0)
        assert_int_equal(truncate(disk_path, size), 0);
    assert_null(block_file_open(&options, &loop, &problem));
    if (strstr(problem.text, why) == NULL || strstr(problem.text, disk_path) == NULL)
        fail_msg("'%s' does not say '%s' about %s", problem.text, why, disk_path);
    assert_null(strchr(problem.text, '\n'));
}

static void unusable_files_are_named(void **state)
{
    (void)state;
    expect_refused("/nonexistent/data.raw", -1, "no such file; make one");
    expect_refused("/tmp", -1, "folder");
    expect_refused("/dev/null", -1, "not a file");
    expect_refused(path, 0, "empty");
    expect_refused(path, 1000, "not a multiple of 512");
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "QFI\xfb", 4, 0), 4);
    close(fd);
    expect_refused(path, 1024, "qcow2");
}

static void close_waits_for_what_is_in_flight(void **state)
{
    enum { CALLS = 64 };
    static struct call calls[CALLS];
    struct buffer buffer = {content, 65536};

    (void)state;
    EACH_VARIANT(i)
    {
        struct block_backend *disk = open_variant(i);
        _Atomic int count = 0;
        for (unsigned c = 0; c < CALLS; c++) {
            calls[c].count = &count;
            call_begin(disk, &calls[c], BLOCK_WRITE, 0, 65536, &buffer, 1);
        }
        block_file_close(disk);
        assert_int_equal(count, CALLS);
    }
}

enum { ORPHANS = 100 };
static struct call orphans[ORPHANS];
static struct buffer orphan_buffers[ORPHANS];

static void *submit_and_leave(void *arg)
{
    struct block_backend *disk = arg;

    for (unsigned c = 0; c < ORPHANS; c++) {
        orphan_buffers[c] = (struct buffer){content + (size_t)c * 16384, 16384};
        call_begin(disk, &orphans[c], BLOCK_WRITE, (uint64_t)c * 16384, 16384, &orphan_buffers[c],
                   1);
    }
    return NULL;
}

static void requests_outlive_the_thread_that_submitted_them(void **state)
{
    (void)state;
    EACH_VARIANT(i)
    {
        struct block_backend *disk = open_variant(i);
        for (int round = 0; round < 10; round++) {
            pthread_t vcpu;
            memset(content, (int)(17 * i) + round, ORPHANS * 16384);
            pthread_create(&vcpu, NULL, submit_and_leave, disk);
            pthread_join(vcpu, NULL);
            for (unsigned c = 0; c < ORPHANS; c++)
                assert_int_equal(call_wait(&orphans[c]), 0);
            assert_file_holds_content();
        }
        block_file_close(disk);
    }
}

int main(void)
{
#define DISK_TEST(f) cmocka_unit_test_setup_teardown(f, make_disk, drop_disk)
    const struct CMUnitTest tests[] = {
        DISK_TEST(reads_and_writes_land_where_they_should),
        DISK_TEST(scattered_buffers_are_gathered),
        DISK_TEST(more_requests_than_the_ring_holds_all_complete),
        DISK_TEST(zeroes_are_written_and_discards_done),
        cmocka_unit_test_setup_teardown(zeroes_are_written_and_discards_done, make_disk_in_tmpfs,
                                        drop_disk),
        DISK_TEST(what_is_out_of_range_never_reaches_the_file),
        DISK_TEST(shrunken_file_is_an_io_error),
        DISK_TEST(readonly_disk_refuses_writes),
        DISK_TEST(disk_is_locked_against_a_second_writer),
        DISK_TEST(unusable_files_are_named),
        DISK_TEST(close_waits_for_what_is_in_flight),
        DISK_TEST(requests_outlive_the_thread_that_submitted_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
