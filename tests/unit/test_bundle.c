/* Bundles: what is in them is found; damage anywhere is refused or stays inside. */
#include "core/bundle.h"
#include "core/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 8192, SPEC = 64, DIRECTORY = 1024, FILE_AT = 4096 };

static _Alignas(8) uint8_t image[SIZE];

static struct bundle_header *header(void)
{
    return (struct bundle_header *)(void *)image;
}

static void make(uint64_t file_size)
{
    struct fdt_writer w;
    memset(image, 0, sizeof image);
    fdt_begin(&w, image + DIRECTORY, 2048);
    fdt_node(&w, "");
    fdt_node_at(&w, "file", 0);
    fdt_put_str(&w, "path", "kernel");
    fdt_put_u64(&w, "offset", FILE_AT);
    fdt_put_u64(&w, "size", file_size);
    fdt_end(&w);
    fdt_end(&w);
    long size = fdt_finish(&w);
    assert_true(size > 0);
    *header() = (struct bundle_header){.version = 1,
                                       .size = SIZE,
                                       .directory = DIRECTORY,
                                       .directory_size = (uint64_t)size,
                                       .spec = SPEC,
                                       .spec_size = 100};
    memcpy(header()->magic, BUNDLE_MAGIC, 8);
}

static void files_are_found_by_their_paths(void **state)
{
    (void)state;
    struct bundle bundle;
    uint64_t size;
    make(4096);
    assert_int_equal(bundle_open(&bundle, image, SIZE), 0);
    assert_ptr_equal(bundle.spec, image + SPEC);
    assert_int_equal(bundle.spec_size, 100);
    assert_ptr_equal(bundle_file(&bundle, "kernel", &size), image + FILE_AT);
    assert_int_equal(size, 4096);
    assert_null(bundle_file(&bundle, "initrd", &size));
}

static void files_that_reach_out_of_the_bundle_are_not_there(void **state)
{
    (void)state;
    struct bundle bundle;
    uint64_t size;
    make(4097);
    assert_int_equal(bundle_open(&bundle, image, SIZE), 0);
    assert_null(bundle_file(&bundle, "kernel", &size));
    make(UINT64_MAX - 100);
    assert_int_equal(bundle_open(&bundle, image, SIZE), 0);
    assert_null(bundle_file(&bundle, "kernel", &size));
}

static void headers_that_cannot_be_right_are_refused(void **state)
{
    (void)state;
    struct bundle bundle;
    make(1);
    header()->magic[0] = 'X';
    assert_int_equal(bundle_open(&bundle, image, SIZE), -E_NOENT);
    assert_int_equal(bundle_open(&bundle, image, 10), -E_NOENT);
    make(1);
    header()->version = 2;
    assert_int_equal(bundle_open(&bundle, image, SIZE), -E_PROTO);
    make(1);
    assert_int_equal(bundle_open(&bundle, image, SIZE - 1), -E_INVAL);
    header()->spec = UINT64_MAX - 7;
    assert_int_equal(bundle_open(&bundle, image, SIZE), -E_INVAL);
    make(1);
    header()->directory_size = SIZE;
    assert_int_equal(bundle_open(&bundle, image, SIZE), -E_INVAL);
    make(1);
    header()->spec = SPEC + 1;
    assert_int_equal(bundle_open(&bundle, image, SIZE), -E_INVAL);
}

/* Under ASan in the sanitized configuration; the buffer is exactly as large as is said. */
static void random_damage_never_leads_outside(void **state)
{
    (void)state;
    srand(2);
    for (unsigned round = 0; round < 20000; round++) {
        struct bundle bundle;
        uint64_t size;
        make(4096);
        for (unsigned i = 0; i < 3; i++)
            image[(unsigned)rand() % 1400] = (uint8_t)rand();
        if (bundle_open(&bundle, image, SIZE) != 0)
            continue;
        const uint8_t *file = bundle_file(&bundle, "kernel", &size);
        if (file != NULL)
            assert_true(file >= image && size <= SIZE && file + size <= image + SIZE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_found_by_their_paths),
        cmocka_unit_test(files_that_reach_out_of_the_bundle_are_not_there),
        cmocka_unit_test(headers_that_cannot_be_right_are_refused),
        cmocka_unit_test(random_damage_never_leads_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
