/* The SBI, and printing through it. */
#include "guest.h"

void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memset(void *to, int value, size_t length);

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
    for (size_t i = 0; i < length; i++)
        ((char *)to)[i] = ((const char *)from)[i];
    return to;
}

void *memset(void *to, int value, size_t length)
{
    for (size_t i = 0; i < length; i++)
        ((char *)to)[i] = (char)value;
    return to;
}

struct sbi_result sbi(uint64_t extension, uint64_t function, const uint64_t arguments[6])
{
    register uint64_t a0 __asm__("a0") = arguments[0];
    register uint64_t a1 __asm__("a1") = arguments[1];
    register uint64_t a2 __asm__("a2") = arguments[2];
    register uint64_t a3 __asm__("a3") = arguments[3];
    register uint64_t a4 __asm__("a4") = arguments[4];
    register uint64_t a5 __asm__("a5") = arguments[5];
    register uint64_t a6 __asm__("a6") = function;
    register uint64_t a7 __asm__("a7") = extension;

    __asm__ volatile("ecall"
                     : "+r"(a0), "+r"(a1)
                     : "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a6), "r"(a7)
                     : "memory");
    return (struct sbi_result){.error = (long)a0, .value = (long)a1};
}

struct sbi_result sbi3(uint64_t extension, uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    return sbi(extension, function, (const uint64_t[6]){a, b, c});
}

void power_off(bool failed)
{
    sbi3(SBI_SRST, 0, 0, failed, 0);
    for (;;)
        __asm__ volatile("wfi");
}

static void print_bytes(const char *text, size_t length)
{
    while (length) {
        struct sbi_result result = sbi3(SBI_DBCN, 0, length, (uintptr_t)text, 0);
        if (result.error || result.value <= 0 || (size_t)result.value > length) {
            sbi3(SBI_LEGACY_PUTCHAR, 0, (uint8_t)*text, 0, 0);
            result.value = 1;
        }
        text += result.value;
        length -= (size_t)result.value;
    }
}

void print(const char *text)
{
    size_t length = 0;

    while (text[length])
        length++;
    print_bytes(text, length);
}

void print_number(uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    print_bytes(digits + at, sizeof(digits) - at);
}

void print_hex(uint64_t value)
{
    char digits[18] = "0x";

    for (int i = 0; i < 16; i++)
        digits[2 + i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
    print_bytes(digits, sizeof(digits));
}
