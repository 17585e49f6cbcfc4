/* What is read on a guest's console. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "type2/console_watch.h"

#include <string.h>

static void feed(struct console_watch *watch, const char *text, uint64_t now)
{
    console_watch_feed(watch, text, strlen(text), now);
}

static void init_line_gives_the_time_of_its_end(void **state)
{
    struct console_watch watch;

    (void)state;
    console_watch_init(&watch);
    feed(&watch, "[    0.9] Freeing unused kernel image\r\n[    1.0] Run /in", 5);
    assert_int_equal(watch.init_at, 0);
    feed(&watch, "it as init process\r\n", 7);
    assert_int_equal(watch.init_at, 7);
    feed(&watch, "[    2.0] Run /init as init process\n", 9);
    assert_int_equal(watch.init_at, 7);
}

static void other_lines_with_run_are_not_init(void **state)
{
    struct console_watch watch;

    (void)state;
    console_watch_init(&watch);
    feed(&watch, "Run /bin/true, they said\nas init process\n", 5);
    assert_int_equal(watch.init_at, 0);
}

static void panic_gives_its_words_and_its_end(void **state)
{
    struct console_watch watch;

    (void)state;
    console_watch_init(&watch);
    feed(&watch, "[    1.0] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n", 1);
    assert_string_equal(watch.panic, "VFS: Unable to mount root fs");
    assert_false(watch.panic_ended);
    feed(&watch,
         "[    1.1] ---[ end Kernel panic - not syncing: VFS: Unable to mount root fs ]---\r\n", 2);
    assert_true(watch.panic_ended);
    assert_string_equal(watch.panic, "VFS: Unable to mount root fs");
    console_watch_reboot(&watch);
    assert_false(watch.panic_ended);
    assert_string_equal(watch.panic, "");
}

static void long_lines_are_cut_not_overrun(void **state)
{
    struct console_watch watch;

    (void)state;
    console_watch_init(&watch);
    for (int i = 0; i < 1000; i++)
        feed(&watch, "0123456789", 1);
    feed(&watch, "Run /init as init process\n", 2);
    assert_int_equal(watch.init_at, 0);
    assert_int_equal(watch.bytes, 10026);
    feed(&watch, "Run /init as init process\n", 3);
    assert_int_equal(watch.init_at, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_line_gives_the_time_of_its_end),
        cmocka_unit_test(other_lines_with_run_are_not_init),
        cmocka_unit_test(panic_gives_its_words_and_its_end),
        cmocka_unit_test(long_lines_are_cut_not_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
