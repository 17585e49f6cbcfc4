/*
 * Orders to a machine that runs: stop, kill, pause, resume. From any thread but a VCPU's.
 */
#include "type2/host.h"
#include "type2/machine_impl.h"

const char machine_ordered_stop[] = "stopped";
const char machine_ordered_kill[] = "killed";
const char machine_ordered_save[] = "saved";

/* A guest that leaves what it is sent unread for so long does not listen. */
#define STOP_PATIENCE_NS 1000000000ULL
#define STOP_LOOK_NS     20000000ULL

void machine_order(struct machine *machine, const char *order)
{
    atomic_store(&machine->order, order);
    vm_power_request(&machine->vm, VM_POWER_OFF, 0, order);
}

/*
 * Breaks and keys, each sent when the guest has read the one before (a UART without its FIFO holds
 * a single byte); then patience.
 */
static void machine_stop_step(void *arg)
{
    static const struct {
        char key;       /* 0: a break, which makes the next key a SysRq command */
        uint64_t pause; /* ns that Linux gets to do it: sync and remount run behind */
    } steps[] = {{0, 0}, {'s', 300000000}, {0, 0}, {'u', 700000000}, {0, 0}, {'o', 0}};
    const unsigned count = sizeof(steps) / sizeof(steps[0]);
    struct machine *machine = arg;
    struct stream_backend *port = &machine->uart.backend;
    struct ns16550a *uart = &machine->board.uart;
    uint64_t now = host_time_ns(), pause;

    if (machine->stop_since == 0)
        machine->stop_since = now;
    host_lock_acquire(&uart->lock);
    bool unread = uart->count > 0;
    host_lock_release(&uart->lock);
    if (atomic_load(&machine->vm.paused) || machine->stop_step == count ||
        (unread && now >= machine->stop_since + STOP_PATIENCE_NS)) {
        machine_order(machine, machine_ordered_stop);
        return;
    }
    if (unread) {
        pause = STOP_LOOK_NS;
    } else {
        if (steps[machine->stop_step].key == 0)
            ns16550a_break(uart);
        else
            port->receive(port->device, &steps[machine->stop_step].key, 1);
        pause = steps[machine->stop_step++].pause;
        machine->stop_since = now + pause;
        if (machine->stop_step == count)
            pause = machine->options.grace_ms * 1000000ULL;
    }
    loop_timer_arm(&machine->loop, &machine->stop_timer, now + pause);
}

void machine_orders_init(struct machine *machine)
{
    loop_work_init(&machine->stop_work, machine_stop_step, machine);
    loop_timer_init(&machine->stop_timer, machine_stop_step, machine);
}

void machine_stop(struct machine *machine)
{
    const char *none = NULL;

    if (atomic_compare_exchange_strong(&machine->order, &none, machine_ordered_stop))
        loop_work_post(&machine->loop, &machine->stop_work); /* first step */
}

void machine_kill(struct machine *machine)
{
    machine_order(machine, machine_ordered_kill);
}

int machine_lock_live(struct machine *machine, struct problem *problem)
{
    pthread_mutex_lock(&machine->lock);
    if (!machine->ended && vm_power_state(&machine->vm) == VM_POWER_ON)
        return 0;
    pthread_mutex_unlock(&machine->lock);
    return problem_set(problem, -E_BUSY, "%s: it is about to end or to reboot", machine->vm.name);
}

int machine_pause(struct machine *machine, struct problem *problem)
{
    int error = machine_lock_live(machine, problem);

    if (error < 0)
        return error;
    machine_park(machine);
    pthread_mutex_unlock(&machine->lock);
    return 0;
}

int machine_resume(struct machine *machine, struct problem *problem)
{
    int error = machine_lock_live(machine, problem);

    if (error < 0)
        return error;
    machine_unpark(machine);
    pthread_mutex_unlock(&machine->lock);
    return 0;
}
