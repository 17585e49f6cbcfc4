#include "type1/panic.h"

#include "engine/hext/csr.h"
#include "type1/console.h"
#include "type1/print.h"
#include "type1/sbi.h"
#include "type1/stacks.h"
#include "type1/task.h"

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

/* Which hart, and on whose behalf. */
static void say_where(void)
{
    const struct hart *hart = this_hart();
    if (hart == NULL)
        return;
    say("  hart %lu (index %u), running %s%s\n", (unsigned long)hart->id, hart->hext.index,
        hart->current == NULL         ? "the scheduler"
        : hart->current->vcpu != NULL ? "a VCPU of guest "
                                      : "task ",
        hart->current != NULL ? hart->current->name : "");
}

static _Noreturn void stop(void)
{
    sbi_reset(false, true);
}

/*
 * A trap while one is reported comes here again. It may be the board's console that trapped: the
 * second report goes out by the firmware's. A third is not made: nothing is printed any more.
 */
static void begin(void)
{
    struct hart *hart = this_hart();
    if (hart == NULL)
        return;
    switch (hart->panics++) {
    case 0: return;
    case 1:
        console_use_firmware();
        say("\ntrivisor: PANIC within a panic:");
        return;
    default: stop();
    }
}

_Noreturn void panic(const char *format, ...)
{
    char line[200];
    va_list arguments;
    begin();
    va_start(arguments, format);
    text_vformat(line, sizeof line, format, arguments);
    va_end(arguments);
    say("\ntrivisor: PANIC: %s\n", line);
    say_where();
    say("  called from %p\n", __builtin_return_address(0));
    stop();
}

static const char *cause_name(uint64_t cause)
{
    static const char *const names[] = {
        [0] = "instruction address misaligned",
        [1] = "instruction access fault",
        [2] = "illegal instruction",
        [3] = "breakpoint",
        [4] = "load address misaligned",
        [5] = "load access fault",
        [6] = "store address misaligned",
        [7] = "store access fault",
        [9] = "environment call",
        [12] = "instruction page fault",
        [13] = "load page fault",
        [15] = "store page fault",
        [20] = "instruction guest-page fault",
        [21] = "load guest-page fault",
        [22] = "virtual instruction",
        [23] = "store guest-page fault",
    };
    return cause < sizeof names / sizeof names[0] && names[cause] != NULL ? names[cause]
                                                                          : "unknown cause";
}

_Noreturn void panic_trap(const uint64_t *x)
{
    extern const char image_start[], boot_stack_guard[];
    uint64_t cause = hcsr_read(HCSR_SCAUSE), pc = hcsr_read(HCSR_SEPC);
    begin();
    say("\ntrivisor: PANIC: the hypervisor trapped: %s (cause %lu)\n", cause_name(cause),
        (unsigned long)cause);
    say("  pc %lx (image + %lx)  address %lx  guest-physical %lx  ra %lx (image + %lx)  sp %lx\n",
        (unsigned long)pc, (unsigned long)(pc - (uintptr_t)image_start),
        (unsigned long)hcsr_read(HCSR_STVAL), (unsigned long)hcsr_read(HCSR_HTVAL) << 2,
        (unsigned long)x[1], (unsigned long)(x[1] - (uintptr_t)image_start), (unsigned long)x[2]);
    if (stack_below(hcsr_read(HCSR_STVAL)) ||
        hcsr_read(HCSR_STVAL) - (uintptr_t)boot_stack_guard < 4096)
        say("  the stack is overrun\n");
    say_where();
    for (unsigned i = 5; i < 32; i += 3)
        say("  x%-2u %016lx  x%-2u %016lx  x%-2u %016lx\n", i, (unsigned long)x[i], i + 1,
            (unsigned long)x[i + 1], i + 2, (unsigned long)x[i + 2 < 32 ? i + 2 : 31]);
    stop();
}
