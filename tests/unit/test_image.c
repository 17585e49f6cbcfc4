#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/image.h"

#include <string.h>

#define RAM_SIZE (4 << 20)

static uint8_t ram[RAM_SIZE] __attribute__((aligned(4096)));
static _Atomic uint8_t flags[RAM_SIZE / 4096];
static uint8_t file[8192];

static struct memory fresh_memory(void)
{
    struct memory mem;
    mem_init(&mem);
    memset(ram, 0xee, sizeof(ram));
    assert_int_equal(mem_slot_add(&mem, 0x80000000, RAM_SIZE, ram, flags), 0);
    return mem;
}

static void put(size_t at, uint64_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        file[at + i] = (uint8_t)(value >> (8 * i));
}

/* Linux, Documentation/arch/riscv/boot-image-header.rst. */
static size_t make_linux(void)
{
    memset(file, 0x13, sizeof(file));
    memset(file, 0, 64);
    put(8, 0x200000, 8);
    put(16, 0x3000, 8);
    put(32, 2, 4);
    memcpy(file + 48, "RISCV\0\0\0", 8);
    memcpy(file + 56, "RSC\x05", 4);
    return 0x1800;
}

#define PHDR 64

static void put_segment(unsigned index, uint64_t offset, uint64_t vaddr, uint64_t paddr,
                        uint64_t filesz, uint64_t memsz)
{
    size_t at = PHDR + 56 * index;
    put(at, 1, 4);
    put(at + 8, offset, 8);
    put(at + 16, vaddr, 8);
    put(at + 24, paddr, 8);
    put(at + 32, filesz, 8);
    put(at + 40, memsz, 8);
}

/* ELF-64 Object File Format, and 243 for RISC-V. Two segments; entry in the second. */
static size_t make_elf(void)
{
    memset(file, 0, sizeof(file));
    memcpy(file, "\177ELF\x02\x01\x01", 7);
    put(16, 2, 2);
    put(18, 243, 2);
    put(20, 1, 4);
    put(24, 0xffffffff80002010, 8);
    put(32, PHDR, 8);
    put(52, 64, 2);
    put(54, 56, 2);
    put(56, 3, 2);
    put_segment(0, 0x400, 0xffffffff80000000, 0x80100000, 0x10, 0x10);
    put_segment(1, 0x500, 0xffffffff80002000, 0x80102000, 0x20, 0x3000);
    put(PHDR + 56 * 2, 4, 4); /* PT_NOTE: not loaded */
    memset(file + 0x400, 0x11, 0x10);
    memset(file + 0x500, 0x22, 0x20);
    return 0x600;
}

static void expect_refusal(size_t size, const char *words)
{
    struct image image;
    assert_int_equal(image_open(&image, file, size), -E_NOEXEC);
    assert_non_null(image.problem);
    if (strstr(image.problem, words) == NULL)
        fail_msg("'%s' does not speak of '%s'", image.problem, words);
}

static void linux_image_goes_where_told_with_its_bss_cleared(void **state)
{
    (void)state;
    struct image image;
    struct memory mem = fresh_memory();
    uint64_t entry, end;
    size_t size = make_linux();
    assert_int_equal(image_open(&image, file, size), 0);
    assert_int_equal(image.kind, IMAGE_LINUX);
    assert_int_equal(image.text_offset, 0x200000);
    assert_int_equal(image.mem_size, 0x3000);
    assert_int_equal(image_load(&image, &mem, 0x80200000, &entry, &end), 0);
    assert_int_equal(entry, 0x80200000);
    assert_int_equal(end, 0x80203000);
    assert_int_equal(ram[0x1fffff], 0xee);
    assert_memory_equal(ram + 0x200000, file, size);
    for (size_t i = size; i < 0x3000; i++)
        assert_int_equal(ram[0x200000 + i], 0);
    assert_int_equal(ram[0x203000], 0xee);
}

static void linux_image_with_an_mz_header_is_one_too(void **state)
{
    (void)state;
    struct image image;
    size_t size = make_linux();
    memcpy(file, "MZ", 2);
    assert_int_equal(image_open(&image, file, size), 0);
    assert_int_equal(image.kind, IMAGE_LINUX);
}

static void linux_image_is_2_mib_aligned_and_must_fit(void **state)
{
    (void)state;
    struct image image;
    struct memory mem = fresh_memory();
    uint64_t entry, end;
    size_t size = make_linux();
    assert_int_equal(image_open(&image, file, size), 0);
    assert_int_equal(image_load(&image, &mem, 0x80100000, &entry, &end), -E_INVAL);
    assert_int_equal(image_load(&image, &mem, 0x80400000, &entry, &end), -E_NOSPC);
    put(16, 0x200001, 8); /* one byte more than there is behind 2 MiB */
    assert_int_equal(image_open(&image, file, size), 0);
    assert_int_equal(image_load(&image, &mem, 0x80200000, &entry, &end), -E_NOSPC);
    assert_int_equal(ram[0x200000], 0xee);
}

static void linux_image_cut_short_of_its_sections_is_truncated(void **state)
{
    (void)state;
    struct image image;
    make_linux();
    memcpy(file, "MZ", 2);
    put(60, 64, 4);
    memcpy(file + 64, "PE\0\0", 4);
    put(64 + 6, 2, 2);     /* sections */
    put(64 + 20, 0x10, 2); /* optional header */
    size_t section = 64 + 24 + 0x10;
    put(section + 16, 0x800, 4);
    put(section + 20, 0x200, 4);
    put(section + 40 + 16, 0x800, 4);
    put(section + 40 + 20, 0xa00, 4);
    assert_int_equal(image_open(&image, file, 0x1200), 0);
    expect_refusal(0x11ff, "truncated");
    expect_refusal(section + 60, "truncated");
    expect_refusal(70, "truncated");
}

static void linux_image_with_an_absurd_header_is_refused(void **state)
{
    (void)state;
    size_t size = make_linux();
    put(16, UINT64_MAX, 8);
    expect_refusal(size, "malformed");
    make_linux();
    put(8, UINT64_MAX, 8);
    expect_refusal(size, "malformed");
    make_linux();
    put(24, 1, 8);
    expect_refusal(size, "big-endian");
}

static void elf_goes_to_its_physical_addresses(void **state)
{
    (void)state;
    struct image image;
    struct memory mem = fresh_memory();
    uint64_t entry, end;
    size_t size = make_elf();
    assert_int_equal(image_open(&image, file, size), 0);
    assert_int_equal(image.kind, IMAGE_ELF);
    assert_int_equal(image.low, 0x80100000);
    assert_int_equal(image.high, 0x80105000);
    assert_int_equal(image.mem_size, 0x5000);
    assert_int_equal(image_load(&image, &mem, 0, &entry, &end), 0);
    assert_int_equal(entry, 0x80102010);
    assert_int_equal(end, 0x80105000);
    assert_int_equal(ram[0x100000], 0x11);
    assert_int_equal(ram[0x100010], 0xee);
    assert_int_equal(ram[0x10201f], 0x22);
    assert_int_equal(ram[0x102020], 0);
    assert_int_equal(ram[0x104fff], 0);
    assert_int_equal(ram[0x105000], 0xee);
}

static void elf_outside_of_ram_does_not_fit(void **state)
{
    (void)state;
    struct image image;
    struct memory mem = fresh_memory();
    uint64_t entry, end;
    size_t size = make_elf();
    put_segment(1, 0x500, 0xffffffff80002000, 0x803ff000, 0x20, 0x1001);
    assert_int_equal(image_open(&image, file, size), 0);
    assert_int_equal(image_load(&image, &mem, 0, &entry, &end), -E_NOSPC);
}

static void malformed_elf_is_refused(void **state)
{
    (void)state;
    size_t size = make_elf();
    expect_refusal(40, "truncated");
    expect_refusal(PHDR + 56 * 2 + 55, "truncated");
    expect_refusal(0x51f, "truncated");
    put(32, UINT64_MAX - 8, 8);
    expect_refusal(size, "truncated");
    make_elf();
    put(56, 0xffff, 2);
    expect_refusal(size, "program headers");
    make_elf();
    put(54, 32, 2);
    expect_refusal(size, "program headers");
    make_elf();
    put_segment(0, UINT64_MAX, 0, 0x80000000, 2, 2);
    expect_refusal(size, "truncated");
    make_elf();
    put_segment(0, 0x400, 0, 0x80000000, 0x20, 0x10);
    expect_refusal(size, "segment");
    make_elf();
    put_segment(0, 0x400, 0, UINT64_MAX - 4, 0x10, 0x10);
    expect_refusal(size, "segment");
    make_elf();
    put_segment(0, 0, 0, 0, 0, 0);
    put_segment(1, 0, 0, 0, 0, 0);
    expect_refusal(size, "nothing to load");
    make_elf();
    put_segment(0, 0x400, 0, 0x80102000, 0x10, 0x3000);
    expect_refusal(size, "overlapping");
    make_elf();
    put(56, 129, 2);
    expect_refusal(sizeof(file), "too many");
    make_elf();
    put(16, 1, 2);
    expect_refusal(size, "object file");
    make_elf();
    file[4] = 1;
    expect_refusal(size, "32-bit");
}

static void images_of_other_machines_are_named(void **state)
{
    (void)state;
    size_t size = make_elf();
    put(18, 62, 2);
    expect_refusal(size, "x86-64");
    put(18, 183, 2);
    expect_refusal(size, "arm64");
    put(18, 9999, 2);
    expect_refusal(size, "another processor");
    memset(file, 0, sizeof(file));
    memcpy(file + 0x202, "HdrS", 4); /* Linux, Documentation/arch/x86/boot.rst */
    memcpy(file, "MZ", 2);
    expect_refusal(sizeof(file), "x86");
    make_linux();
    memcpy(file + 56, "ARM\x64", 4); /* Linux, Documentation/arch/arm64/booting.rst */
    expect_refusal(size, "arm64");
}

static void compressed_and_foreign_files_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *words;
    } files[] = {
        {"\x1f\x8b\x08", 3, "gzip"}, {"\x28\xb5\x2f\xfd", 4, "zstd"},
        {"\xfd\x37zXZ\0", 6, "xz"},  {"MZ\0\0zimg", 8, "EFI zboot"},
        {"MZ\0\0\0\0", 6, "EFI"},    {"\xd0\x0d\xfe\xed", 4, "FIT"},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        memset(file, 0, sizeof(file));
        memcpy(file, files[i].bytes, files[i].len);
        expect_refusal(1024, files[i].words);
    }
    expect_refusal(0, "empty");
}

static void anything_else_is_loaded_as_it_is(void **state)
{
    (void)state;
    struct image image;
    struct memory mem = fresh_memory();
    uint64_t entry, end;
    memset(file, 0x6f, 100);
    assert_int_equal(image_open(&image, file, 100), 0);
    assert_int_equal(image.kind, IMAGE_RAW);
    assert_int_equal(image_load(&image, &mem, 0x80000010, &entry, &end), 0);
    assert_int_equal(entry, 0x80000010);
    assert_int_equal(end, 0x80000074);
    assert_int_equal(ram[0xf], 0xee);
    assert_memory_equal(ram + 0x10, file, 100);
    assert_int_equal(ram[0x74], 0xee);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linux_image_goes_where_told_with_its_bss_cleared),
        cmocka_unit_test(linux_image_with_an_mz_header_is_one_too),
        cmocka_unit_test(linux_image_is_2_mib_aligned_and_must_fit),
        cmocka_unit_test(linux_image_cut_short_of_its_sections_is_truncated),
        cmocka_unit_test(linux_image_with_an_absurd_header_is_refused),
        cmocka_unit_test(elf_goes_to_its_physical_addresses),
        cmocka_unit_test(elf_outside_of_ram_does_not_fit),
        cmocka_unit_test(malformed_elf_is_refused),
        cmocka_unit_test(images_of_other_machines_are_named),
        cmocka_unit_test(compressed_and_foreign_files_are_named),
        cmocka_unit_test(anything_else_is_loaded_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
