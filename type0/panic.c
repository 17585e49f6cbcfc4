#include "type0/panic.h"

#include "core/print.h"
#include "type0/board.h"
#include "type0/console.h"
#include "type0/hart.h"

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    char line[200];
    va_list arguments;
    va_start(arguments, format);
    text_vformat(line, sizeof line, format, arguments);
    va_end(arguments);
    console_emergency(line);
}

/* A second fault while reporting one must end, not repeat. */
static void once(void)
{
    struct hart *hart = this_hart();
    if (hart->panicking)
        board_power(BOARD_FAILED, 1);
    hart->panicking = true;
}

_Noreturn void panic(const char *format, ...)
{
    char line[200];
    va_list arguments;
    once();
    va_start(arguments, format);
    text_vformat(line, sizeof line, format, arguments);
    va_end(arguments);
    say("\ntrivisor: PANIC on hart %lu: %s\n  called from %p\n", (unsigned long)this_hart()->id,
        line, __builtin_return_address(0));
    board_power(BOARD_FAILED, 1);
}

_Noreturn void panic_trap(const uint64_t *x)
{
    extern const char image_start[];
    uint64_t pc = hcsr_read(MCSR_MEPC);
    once();
    say("\ntrivisor: PANIC on hart %lu: the firmware trapped, cause %lu\n",
        (unsigned long)this_hart()->id, (unsigned long)hcsr_read(MCSR_MCAUSE));
    say("  pc %lx (image + %lx)  address %lx  mstatus %lx\n", (unsigned long)pc,
        (unsigned long)(pc - (uintptr_t)image_start), (unsigned long)hcsr_read(MCSR_MTVAL),
        (unsigned long)hcsr_read(MCSR_MSTATUS));
    for (unsigned i = 1; i < 32; i += 3)
        say("  x%-2u %016lx  x%-2u %016lx  x%-2u %016lx\n", i, (unsigned long)x[i], i + 1,
            (unsigned long)x[i + 1 < 32 ? i + 1 : 31], i + 2 < 32 ? i + 2 : 31,
            (unsigned long)x[i + 2 < 32 ? i + 2 : 31]);
    board_power(BOARD_FAILED, 1);
}
