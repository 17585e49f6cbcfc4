/* A whole board with RAM for the tests of vmm/. */
#ifndef TESTS_UNIT_BOARD_TEST_H
#define TESTS_UNIT_BOARD_TEST_H

#include "tests/unit/device_test.h"

#include "vmm/board.h"

#include <stdlib.h>
#include <string.h>

#define TEST_HARTS_MAX 64

static struct vm vm;
static struct board board;
static struct riscv_vcpu harts[TEST_HARTS_MAX];
static uint8_t *ram;
static _Atomic uint8_t *ram_flags;
static uint64_t ram_size;

static char console[4096];
static size_t console_len;

static size_t console_write(struct stream_backend *backend, const void *bytes, size_t len)
{
    (void)backend;
    if (len > sizeof console - 1 - console_len)
        len = sizeof console - 1 - console_len;
    memcpy(console + console_len, bytes, len);
    console_len += len;
    return len;
}

static const struct stream_ops console_ops = {.write = console_write};
static struct stream_backend console_backend;

/* `extra`: backends besides the UART's, or NULL. Returns what board_init does. */
static inline int board_test_init(unsigned hart_count, uint64_t size,
                                  const struct board_backends *extra)
{
    struct board_backends backends = extra != NULL ? *extra : (struct board_backends){0};
    memset(console, 0, sizeof console);
    console_len = 0;
    console_backend = (struct stream_backend){.ops = &console_ops};
    backends.uart = &console_backend;
    ram_size = size;
    ram = aligned_alloc(4096, size);
    ram_flags = calloc(size / 4096, 1);
    assert_non_null(ram);
    assert_non_null(ram_flags);
    vm_init(&vm, "test");
    assert_int_equal(mem_slot_add(&vm.mem, BOARD_RAM, size, ram, ram_flags), 0);
    return board_init(&board, &vm, harts, hart_count, &backends);
}

static inline void board_test_fini(void)
{
    if (vm.board != NULL)
        board_fini(&board);
    free(ram);
    free((void *)(uintptr_t)ram_flags);
    ram = NULL;
    ram_flags = NULL;
}

/* A Linux Image of `size` bytes that claims `mem_size` (boot-image-header.rst); free() it. */
static inline uint8_t *make_image(size_t size, uint64_t mem_size)
{
    uint8_t *image = calloc(1, size);
    const uint64_t text_offset = 0x200000;
    const uint32_t version = 2;
    assert_non_null(image);
    memcpy(image, "\x6f\x00\x00\x04", 4); /* j +64 */
    memcpy(image + 8, &text_offset, 8);
    memcpy(image + 16, &mem_size, 8);
    memcpy(image + 32, &version, 4);
    memcpy(image + 48, "RISCV\0\0\0", 8);
    memcpy(image + 56, "RSC\x05", 4);
    return image;
}

#endif
