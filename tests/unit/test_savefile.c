#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/error.h"
#include "type2/ram.h"
#include "type2/savefile.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RAM_SIZE (8U << 20)

static char folder[] = "/tmp/trivisor-save-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/trivisor-save-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/vm.save", folder);
    return 0;
}

static int drop_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* fails if anything else was left behind */
}

static unsigned files_in_folder(void)
{
    unsigned count = 0;
    DIR *dir = opendir(folder);

    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

struct thing {
    uint32_t number;
    uint8_t bytes[300];
};

static void thing_state(struct thing *thing, struct state *state)
{
    state_section(state, "thing", 1);
    state_u32(state, &thing->number);
    state_bytes(state, thing->bytes, sizeof(thing->bytes));
}

static void fill_ram(struct ram *ram)
{
    /* The first and last page, a long run, single pages; a page whose only byte is its last. */
    memset(ram->hva, 1, 4096);
    ram->hva[ram->size - 1] = 2;
    for (uint32_t i = 0; i < 2000 * 4096; i += 3)
        ram->hva[40 * 4096 + i % (2000 * 4096 - 1)] = (uint8_t)(i * 7);
    memset(ram->hva + 500 * 4096, 0, 4096 * 3);
    ram->hva[503 * 4096 - 1] = 9;
}

static void save_all(bool compress, const struct ram *ram)
{
    struct problem problem = {""};
    struct thing thing = {.number = 0xdeadbeef};

    for (size_t i = 0; i < sizeof(thing.bytes); i++)
        thing.bytes[i] = (uint8_t)(i * 3);
    struct savefile *file = savefile_create(path, compress, &problem);
    if (file == NULL)
        fail_msg("%s", problem.text);
    thing_state(&thing, savefile_state(file));
    uint64_t resident = ram_resident(ram);
    assert_int_equal(savefile_ram(file, ram->hva, ram->size), 0);
    assert_int_equal(ram_resident(ram), resident); /* saving does not make pages */
    if (savefile_finish(file, &problem) != 0)
        fail_msg("%s", problem.text);
}

static void what_was_saved_is_loaded(void **state)
{
    struct ram before, after;
    struct problem problem = {""};

    (void)state;
    for (int compress = 0; compress < 2; compress++) {
        struct thing thing = {0};
        assert_int_equal(ram_init(&before, "a", RAM_SIZE * 2, &problem), 0);
        assert_int_equal(ram_init(&after, "b", RAM_SIZE * 2, &problem), 0);
        fill_ram(&before);
        save_all(compress, &before);
        assert_int_equal(files_in_folder(), 1);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_true(st.st_size < RAM_SIZE * 3 / 2); /* zero pages take no room */

        struct savefile *file = savefile_open(path, &problem);
        if (file == NULL)
            fail_msg("%s", problem.text);
        thing_state(&thing, savefile_state(file));
        assert_int_equal(savefile_ram(file, after.hva, after.size), 0);
        assert_int_equal(savefile_finish(file, &problem), 0);
        assert_int_equal(thing.number, 0xdeadbeef);
        assert_int_equal(thing.bytes[299], (uint8_t)(299 * 3));
        assert_memory_equal(before.hva, after.hva, before.size);
        ram_fini(&before);
        ram_fini(&after);
    }
}

/* Expects savefile_open to refuse it in one line that names the file. */
static void expect_refused(const char *why)
{
    struct problem problem = {""};

    assert_null(savefile_open(path, &problem));
    if (strstr(problem.text, why) == NULL || strstr(problem.text, path) == NULL)
        fail_msg("'%s' does not say '%s'", problem.text, why);
    assert_null(strchr(problem.text, '\n'));
}

static void every_damage_is_noticed_before_anything_is_loaded(void **state)
{
    struct ram ram;
    struct problem problem;
    struct stat st;

    (void)state;
    for (int compress = 0; compress < 2; compress++) {
        assert_int_equal(ram_init(&ram, "a", 1 << 20, &problem), 0);
        memset(ram.hva, 0x11, 8192);
        save_all(compress, &ram);
        assert_int_equal(stat(path, &st), 0);
        int fd = open(path, O_RDWR);
        for (off_t at = 0; at < st.st_size; at += at < 40 || at > st.st_size - 40 ? 1 : 37) {
            uint8_t byte, wrong;
            assert_int_equal(pread(fd, &byte, 1, at), 1);
            wrong = byte ^ 0x10;
            assert_int_equal(pwrite(fd, &wrong, 1, at), 1);
            expect_refused("save file");
            assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        }
        for (off_t size = st.st_size - 1; size > 0; size -= 1 + size / 20) {
            assert_int_equal(ftruncate(fd, size), 0);
            expect_refused(size >= 24 ? "cut short" : "not a saved machine");
        }
        close(fd);
        ram_fini(&ram);
    }
}

static void foreign_files_are_named(void **state)
{
    (void)state;
    unlink(path);
    expect_refused("No such file");
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    expect_refused("not a saved machine");
    assert_int_equal(write(fd, "#!/bin/sh\necho this is a script, and long enough\n", 49), 49);
    expect_refused("not a saved machine");
    assert_int_equal(pwrite(fd, "TRIVISOR\x63\0\0\0\0\0\0\0", 16, 0), 16);
    expect_refused("of form 99");
    close(fd);
}

static void another_order_of_parts_is_refused(void **state)
{
    struct ram ram;
    struct thing thing = {.number = 5};
    struct problem problem = {""};

    (void)state;
    assert_int_equal(ram_init(&ram, "a", 1 << 20, &problem), 0);
    save_all(true, &ram);

    struct savefile *file = savefile_open(path, &problem);
    assert_non_null(file);
    assert_int_equal(savefile_ram(file, ram.hva, ram.size), -E_PROTO);
    assert_int_equal(savefile_finish(file, &problem), -E_PROTO);
    assert_non_null(strstr(problem.text, "'ram'"));

    /* Another size of RAM. */
    file = savefile_open(path, &problem);
    assert_non_null(file);
    thing_state(&thing, savefile_state(file));
    assert_int_equal(savefile_ram(file, ram.hva, ram.size / 2), -E_PROTO);
    savefile_abort(file);

    /* Something is left over. */
    file = savefile_open(path, &problem);
    assert_non_null(file);
    thing_state(&thing, savefile_state(file));
    assert_int_equal(savefile_finish(file, &problem), -E_PROTO);
    assert_non_null(strstr(problem.text, "'end'"));
    ram_fini(&ram);
}

static void abandoned_save_leaves_the_old_file(void **state)
{
    struct ram ram;
    struct thing thing = {0};
    struct problem problem = {""};
    struct stat before, after;

    (void)state;
    assert_int_equal(ram_init(&ram, "a", 1 << 20, &problem), 0);
    save_all(false, &ram);
    assert_int_equal(stat(path, &before), 0);

    struct savefile *file = savefile_create(path, false, &problem);
    assert_non_null(file);
    thing_state(&thing, savefile_state(file));
    assert_int_equal(files_in_folder(), 1); /* nothing half-made is to be seen */
    savefile_abort(file);

    file = savefile_create(path, true, &problem);
    assert_non_null(file);
    state_fail(savefile_state(file), -E_NOTSUP);
    assert_int_equal(savefile_finish(file, &problem), -E_NOTSUP);
    assert_int_equal(files_in_folder(), 1);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(before.st_size, after.st_size);
    ram_fini(&ram);
}

static void places_that_cannot_be_written_are_named(void **state)
{
    struct problem problem = {""};

    (void)state;
    assert_null(savefile_create("/nonexistent/vm.save", true, &problem));
    assert_non_null(strstr(problem.text, "/nonexistent/vm.save: No such file"));
    assert_null(savefile_create(folder, true, &problem));
    assert_non_null(strstr(problem.text, "is not a file"));
}

int main(void)
{
#define FOLDER_TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, drop_folder)
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(what_was_saved_is_loaded),
        FOLDER_TEST(every_damage_is_noticed_before_anything_is_loaded),
        FOLDER_TEST(foreign_files_are_named),
        FOLDER_TEST(another_order_of_parts_is_refused),
        FOLDER_TEST(abandoned_save_leaves_the_old_file),
        FOLDER_TEST(places_that_cannot_be_written_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
