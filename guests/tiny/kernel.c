/*
 * tiny: start, scheduler, system calls.
 *
 * One lock guards everything; a hart holds it whenever it is in the kernel, and gives it away while
 * a process runs on it or while it waits for work. Interrupts are only ever taken from user mode.
 */
#include "kernel.h"

#include <stdatomic.h>

#define SLICE_HZ  100
#define WRITE_MAX 1024

enum { CAUSE_INTERRUPT_BIT = 63, CAUSE_TIMER = 5, CAUSE_SOFTWARE = 1, CAUSE_ECALL_U = 8 };
enum { SIE_SSIE = 1 << 1, SIE_STIE = 1 << 5 };

void *memcpy(void *restrict to, const void *restrict from, size_t length);

_Noreturn void kernel_start(uint64_t hart_id, const void *tree);
_Noreturn void hart_run(unsigned index);
_Noreturn void kernel_fault(uint64_t cause, uint64_t pc, uint64_t value);

enum state { FREE, READY, RUNNING, WAITING };

struct process {
    struct frame frame;
    enum state state;
    uint32_t pid;
    unsigned hart;
    uint64_t root;
    uint64_t slices;
    /* A mailbox for one message. */
    uint32_t sender; /* 0: empty */
    uint64_t receive_at;
    uint8_t message[MESSAGE_SIZE];
};

static atomic_flag lock = ATOMIC_FLAG_INIT;
static struct machine machine;
static struct process processes[PROCESSES_MAX];
static unsigned turn; /* the process that ran last: the next ready one after it is next */
static uint32_t last_pid;
static uint64_t start_time;
static bool idle[HARTS_MAX];
/* The word at the top of a stack is the hart's index: see hart_entry. */
static struct {
    uint8_t below[8192 - 16];
    uint64_t index, align;
} stacks[HARTS_MAX] __attribute__((aligned(16)));

static void lock_take(void)
{
    while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire))
        ;
}

static void lock_give(void)
{
    atomic_flag_clear_explicit(&lock, memory_order_release);
}

static void print(const char *text)
{
    size_t length = 0;

    while (text[length])
        length++;
    console_write(text, length);
}

static void print_hex(uint64_t value)
{
    char digits[19] = "0x";

    for (int i = 0; i < 16; i++)
        digits[2 + i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
    print(digits);
}

void kernel_fault(uint64_t cause, uint64_t pc, uint64_t value)
{
    print("tiny: the kernel trapped: cause ");
    print_hex(cause);
    print(" pc ");
    print_hex(pc);
    print(" value ");
    print_hex(value);
    print("\n");
    machine_off(true);
}

static uint64_t satp(uint64_t root)
{
    return 8UL << 60 | root >> 12; /* Sv39 */
}

/* One hart that waits for work is told that there is some. */
static void wake_one(void)
{
    for (unsigned i = 0; i < machine.info.harts; i++) {
        if (idle[i]) {
            idle[i] = false;
            hart_wake(machine.hart_ids[i]);
            return;
        }
    }
}

static void make_ready(struct process *process)
{
    process->state = READY;
    wake_one();
}

/* A new process of the one program, which finds `argument` in a0. Its number, or -1. */
static long process_spawn(uint64_t argument)
{
    size_t size = (size_t)(user_program_end - user_program);
    uint64_t shared; /* the program's second word: see user.c */

    memcpy(&shared, user_program + 8, sizeof(shared));
    for (unsigned i = 0; i < PROCESSES_MAX; i++) {
        struct process *process = &processes[i];
        if (process->state != FREE)
            continue;
        *process = (struct process){.root = space_new(user_program, size, shared)};
        if (!process->root)
            return -1;
        process->pid = ++last_pid;
        process->frame.pc = USER_BASE;
        process->frame.x[2] = USER_STACK;
        process->frame.x[10] = argument;
        make_ready(process);
        return process->pid;
    }
    return -1;
}

static void process_end(struct process *process)
{
    space_free(process->root);
    process->state = FREE;
    if (process->pid == 1) {
        print("tiny: process 1 ended\n");
        machine_off(true);
    }
}

static struct process *process_find(uint64_t pid)
{
    for (unsigned i = 0; i < PROCESSES_MAX; i++)
        if (processes[i].state != FREE && processes[i].pid == pid)
            return &processes[i];
    return NULL;
}

/* Round robin: the next ready one after the one that ran last. */
static struct process *process_pick(void)
{
    for (unsigned i = 1; i <= PROCESSES_MAX; i++) {
        unsigned index = (turn + i) % PROCESSES_MAX;
        if (processes[index].state == READY) {
            turn = index;
            return &processes[index];
        }
    }
    return NULL;
}

static long sys_write(struct process *process, uint64_t text, uint64_t length)
{
    char buffer[WRITE_MAX];

    if (length > sizeof(buffer) || !copy_in(process->root, buffer, text, length))
        return -1;
    console_write(buffer, length);
    return (long)length;
}

static long sys_read(struct process *process, uint64_t to, uint64_t length)
{
    char buffer[64];
    long count = console_read(buffer, length < sizeof(buffer) ? length : sizeof(buffer));

    return copy_out(process->root, to, buffer, (size_t)count) ? count : -1;
}

/* Gives a waiting process its message: receive's result is the sender's number. */
static void deliver(struct process *process)
{
    bool ok = copy_out(process->root, process->receive_at, process->message, MESSAGE_SIZE);

    process->frame.x[10] = ok ? process->sender : (uint64_t)-1;
    process->sender = 0;
}

static long sys_send(struct process *from, uint64_t pid, uint64_t message)
{
    struct process *to = process_find(pid);

    if (!to || to->sender || !copy_in(from->root, to->message, message, MESSAGE_SIZE))
        return -1;
    to->sender = from->pid;
    if (to->state == WAITING) {
        deliver(to);
        make_ready(to);
    }
    return 0;
}

static long sys_process(struct process *process, uint64_t index, uint64_t to)
{
    for (unsigned i = 0; i < PROCESSES_MAX; i++) {
        const struct process *other = &processes[i];
        if (other->state == FREE || index--)
            continue;
        struct process_info info = {
            .pid = other->pid,
            .hart = other->hart,
            .state = other->state == RUNNING ? 'R'
                     : other->state == READY ? 'r'
                                             : 'W',
            .slices = other->slices,
        };
        return copy_out(process->root, to, &info, sizeof(info)) ? 0 : -1;
    }
    return -1;
}

/* Answers a process's system call; its state says afterwards whether it goes on. */
static void system_call(struct process *process)
{
    uint64_t *x = process->frame.x;
    uint64_t a0 = x[10], a1 = x[11];
    long result = 0;

    process->frame.pc += 4;
    switch (x[17]) {
    case SYS_EXIT: process_end(process); return;
    case SYS_WRITE: result = sys_write(process, a0, a1); break;
    case SYS_READ: result = sys_read(process, a0, a1); break;
    case SYS_YIELD: process->state = READY; break;
    case SYS_GETPID: result = process->pid; break;
    case SYS_SPAWN: result = process_spawn(a0); break;
    case SYS_SEND: result = sys_send(process, a0, a1); break;
    case SYS_RECEIVE:
        process->receive_at = a0;
        if (process->sender)
            deliver(process);
        else
            process->state = WAITING;
        return;
    case SYS_TIME: result = (long)((time_now() - start_time) * 1000 / machine.timebase); break;
    case SYS_MACHINE:
        result = copy_out(process->root, a0, &machine.info, sizeof(machine.info)) ? 0 : -1;
        break;
    case SYS_PROCESS: result = sys_process(process, a0, a1); break;
    case SYS_SHUTDOWN: machine_off(a0 != 0);
    default: result = -1;
    }
    x[10] = (uint64_t)result;
}

static void process_trap(struct process *process, struct trap trap)
{
    if (trap.cause >> CAUSE_INTERRUPT_BIT) {
        /* The slice is over (or this hart was woken while it had work: no harm). */
        __asm__ volatile("csrc sip, %0" : : "r"(SIE_SSIE));
        process->state = READY;
    } else if (trap.cause == CAUSE_ECALL_U) {
        system_call(process);
    } else {
        print("tiny: a process did what it may not: cause ");
        print_hex(trap.cause);
        print(" pc ");
        print_hex(process->frame.pc);
        print(" value ");
        print_hex(trap.value);
        print("; it is ended\n");
        process_end(process);
    }
}

/* A hart's life. The lock is held wherever the loop does not give it away. */
void hart_run(unsigned index)
{
    uint64_t kernel_satp = satp(kernel_root());
    uint64_t slice = machine.timebase / SLICE_HZ;

    __asm__ volatile("csrw satp, %0\n\tsfence.vma" : : "r"(kernel_satp) : "memory");
    __asm__ volatile("csrw sie, %0" : : "r"(SIE_STIE | SIE_SSIE));
    lock_take();
    for (;;) {
        struct process *process = process_pick();
        if (!process) {
            idle[index] = true;
            timer_set(UINT64_MAX);
            lock_give();
            /* Interrupts are off: a wake-up since idle was set stays pending, and wfi returns at
             * once. */
            __asm__ volatile("wfi");
            __asm__ volatile("csrc sip, %0" : : "r"(SIE_SSIE));
            lock_take();
            idle[index] = false;
            continue;
        }
        process->hart = index;
        process->slices++;
        process->state = RUNNING;
        timer_set(time_now() + slice);
        /* Calls that do not change hands return to the same process at once, within its slice. */
        while (process->state == RUNNING) {
            lock_give();
            struct trap trap = enter_user(&process->frame, satp(process->root), kernel_satp);
            lock_take();
            process_trap(process, trap);
        }
    }
}

void kernel_start(uint64_t hart_id, const void *tree)
{
    unsigned self = 0;

    console_open();
    if (!machine_read(&machine, tree)) {
        print("tiny: no device tree that says where RAM, harts and time are\n");
        machine_off(true);
    }
    start_time = time_now();
    memory_init(&machine, (uint64_t)image_end);
    print("tiny: a kernel with processes, started at ");
    print_hex((uint64_t)image_start);
    print("\n");
    process_spawn(0);
    for (unsigned i = 0; i < machine.info.harts; i++) {
        stacks[i].index = i;
        if (machine.hart_ids[i] == hart_id)
            self = i;
        else if (!hart_start(machine.hart_ids[i], (uint64_t)hart_entry, (uint64_t)&stacks[i].index))
            print("tiny: a hart does not start\n");
    }
    hart_run(self);
}
