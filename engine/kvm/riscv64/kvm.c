/* The engine's life, and a VCPU's runs and exits. */
#define _GNU_SOURCE
#include "engine/kvm/kvm.h"

#include "core/error.h"
#include "core/print.h"
#include "engine/kvm/riscv64/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define API_VERSION 12
#define KICK_SIGNAL SIGRTMIN /* ends KVM_RUN; nothing else in this program sends it */

/* What an SBI call for a reset is (SBI 3.0, chapter 10), which KVM tells as an event. */
enum { SBI_SRST = 0x53525354, SRST_SHUTDOWN = 0, SRST_COLD_REBOOT = 1 };

/* ---- the host ---- */

static int open_kvm(void)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

const char *kvm_missing(void)
{
    int fd = open_kvm();

    if (fd == -EACCES || fd == -EPERM)
        return "this user may not open /dev/kvm; become a member of its group";
    if (fd < 0)
        return "there is no /dev/kvm; load the module kvm, if the host's harts have the H "
               "extension";
    const bool usable = ioctl(fd, KVM_GET_API_VERSION, 0) == API_VERSION &&
                        ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY) > 0 &&
                        ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_ONE_REG) > 0 &&
                        ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_MP_STATE) > 0 &&
                        ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT) > 0;
    close(fd);
    return usable ? NULL : "the kernel's KVM is too old; use Linux 6.6 or later";
}

/* ---- the VM ---- */

static void on_kick(int signal)
{
    (void)signal;
}

static int add_memory(const struct kvm_vm *kvm, const struct memory *mem)
{
    for (unsigned i = 0; i < mem->slot_count; i++) {
        const struct mem_slot *slot = &mem->slots[i];
        const struct kvm_userspace_memory_region region = {
            .slot = i,
            .flags = slot->readonly ? KVM_MEM_READONLY : 0,
            .guest_phys_addr = slot->gpa,
            .memory_size = slot->size,
            .userspace_addr = (uintptr_t)slot->hva,
        };
        if (ioctl(kvm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
            return -errno;
    }
    return 0;
}

static int open_vm(struct kvm_vm *kvm, const struct memory *mem)
{
    int fd = open_kvm();
    if (fd < 0)
        return fd;
    const int size = ioctl(fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    kvm->fd = size > 0 ? ioctl(fd, KVM_CREATE_VM, 0) : -1;
    const int error = kvm->fd < 0 ? -errno : 0;
    close(fd);
    kvm->run_size = size > 0 ? (size_t)size : 0;
    return error != 0 ? error : add_memory(kvm, mem);
}

static void vm_destroy(struct vm *vm)
{
    struct kvm_vm *kvm = vm->engine_data;

    if (kvm == NULL)
        return;
    if (kvm->fd >= 0)
        close(kvm->fd);
    host_free(kvm, sizeof *kvm);
    vm->engine_data = NULL;
}

static int vm_init_kvm(struct vm *vm)
{
    struct kvm_vm *kvm = host_alloc(sizeof *kvm, 64);
    const struct sigaction action = {.sa_handler = on_kick};

    if (kvm == NULL)
        return -E_NOMEM;
    kvm->fd = -1;
    host_lock_init(&kvm->lock);
    vm->engine_data = kvm;
    int error = sigaction(KICK_SIGNAL, &action, NULL) < 0 ? -errno : open_vm(kvm, &vm->mem);
    if (error != 0)
        vm_destroy(vm);
    return error;
}

/* ---- a VCPU ---- */

static void vcpu_destroy(struct vcpu *vcpu)
{
    const struct kvm_vm *kvm = vcpu->vm->engine_data;
    struct kvm_vcpu *kv = kvm_of(vcpu);

    if (kv == NULL)
        return;
    clock_timer_fini(&kv->nudge);
    if (kv->run != NULL)
        munmap(kv->run, kvm->run_size);
    if (kv->fd >= 0)
        close(kv->fd);
    host_free(kv, sizeof *kv);
    vcpu->engine_data = NULL;
}

static int open_vcpu(const struct kvm_vm *kvm, struct kvm_vcpu *kv, unsigned id)
{
    struct kvm_mp_state mp;

    kv->fd = ioctl(kvm->fd, KVM_CREATE_VCPU, id);
    if (kv->fd < 0)
        return -errno;
    void *run = mmap(NULL, kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, kv->fd, 0);
    if (run == MAP_FAILED)
        return -errno;
    kv->run = run;
    if (ioctl(kv->fd, KVM_GET_MP_STATE, &mp) < 0)
        return -errno;
    kv->mp_state = mp.mp_state;
    int error = kvm_agree_sbi(kv);
    return error != 0 ? error : kvm_agree_isa(kv);
}

static void nudged(void *arg)
{
    vcpu_kick(arg);
}

static int vcpu_init_kvm(struct vcpu *vcpu)
{
    struct kvm_vm *kvm = vcpu->vm->engine_data;
    struct kvm_vcpu *kv = host_alloc(sizeof *kv, 64);

    if (kv == NULL)
        return -E_NOMEM;
    kv->hart = riscv_of(vcpu);
    kv->fd = -1;
    kv->external = WIRE_UNKNOWN;
    clock_timer_init(&kv->nudge, &vcpu->vm->clock, nudged, vcpu);
    vcpu->engine_data = kv;
    int error = open_vcpu(kvm, kv, vcpu->id);
    const uint64_t hz = error == 0 ? kvm_get64(kv, KVM_ID_TIMER(frequency)) : 0;
    if (error == 0 && (hz == 0 || hz > UINT32_MAX))
        error = -E_NOTSUP;
    if (error != 0) {
        vcpu_destroy(vcpu);
        return error;
    }
    vcpu->vm->clock.guest_hz = hz; /* the guest reads the hart's own time */
    return 0;
}

/* ---- running ---- */

static enum exit_reason halted(struct kvm_vcpu *kv, struct exit *exit, const char *what,
                               uint64_t number)
{
    text_format(kv->message, sizeof kv->message, what, (unsigned long)number);
    exit->message = kv->message;
    return EXIT_HALTED;
}

/* KVM_RUN that does no more than to end what the guest waits for. */
static void run_nothing(struct kvm_vcpu *kv)
{
    kv->run->immediate_exit = 1;
    ioctl(kv->fd, KVM_RUN, 0);
    kv->run->immediate_exit = 0;
}

/*
 * There is nothing at the address: KVM, which knows only of accesses that go well, is let end this
 * one, and then its instruction is undone.
 */
static void refuse(struct kvm_vcpu *kv, bool store)
{
    uint64_t x[32];

    for (unsigned i = 0; i < 32; i++)
        x[i] = kvm_get64(kv, KVM_ID_X(i)); /* [0]: pc */
    run_nothing(kv);
    for (unsigned i = 0; i < 32; i++)
        kvm_set64(kv, KVM_ID_X(i), x[i]);
    kvm_access_fault(kv, store ? CAUSE_STORE_ACCESS : CAUSE_LOAD_ACCESS);
}

/* Hands over the answer that the guest waits for; KVM takes it at the next KVM_RUN. */
static void answer(struct kvm_vcpu *kv)
{
    const enum kvm_pending pending = kv->pending;
    struct kvm_run *run = kv->run;

    kv->pending = PENDING_NONE;
    if (pending == PENDING_SBI) {
        run->riscv_sbi.ret[0] = kv->hart->x[10];
        run->riscv_sbi.ret[1] = kv->hart->x[11];
    } else if (pending != PENDING_NONE && kv->exit->fault) {
        refuse(kv, pending == PENDING_WRITE);
    } else if (pending == PENDING_READ) {
        memcpy(run->mmio.data, &kv->exit->data, sizeof run->mmio.data);
    }
}

static enum exit_reason mmio(struct kvm_vcpu *kv, struct exit *exit)
{
    const struct kvm_run *run = kv->run;

    exit->address = run->mmio.phys_addr;
    exit->width = (uint8_t)run->mmio.len;
    exit->fault = false;
    exit->data = 0;
    if (!run->mmio.is_write) {
        kv->pending = PENDING_READ;
        return EXIT_MMIO_READ;
    }
    memcpy(&exit->data, run->mmio.data, run->mmio.len <= 8 ? run->mmio.len : 8);
    kv->pending = PENDING_WRITE;
    return EXIT_MMIO_WRITE;
}

/* The registers of the call, which are all that KVM's callers of it may need (sbi.c's legacy
 * console and DBCN). */
static enum exit_reason sbi(struct kvm_vcpu *kv, struct exit *exit)
{
    const struct kvm_run *run = kv->run;
    struct riscv_vcpu *hart = kv->hart;

    for (unsigned i = 0; i < 6; i++)
        hart->x[10 + i] = run->riscv_sbi.args[i];
    hart->x[16] = run->riscv_sbi.function_id;
    hart->x[17] = run->riscv_sbi.extension_id;
    exit->registers = true;
    kv->pending = PENDING_SBI;
    return EXIT_SBI;
}

/* KVM has answered the call; what is left of it is said as the call was. */
static enum exit_reason event(struct kvm_vcpu *kv, struct exit *exit)
{
    const struct kvm_run *run = kv->run;
    struct riscv_vcpu *hart = kv->hart;

    if (run->system_event.type != KVM_SYSTEM_EVENT_SHUTDOWN &&
        run->system_event.type != KVM_SYSTEM_EVENT_RESET)
        return halted(kv, exit, "KVM: system event %lu", run->system_event.type);
    hart->x[17] = SBI_SRST;
    hart->x[16] = 0;
    hart->x[10] =
        run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN ? SRST_SHUTDOWN : SRST_COLD_REBOOT;
    /* Its reason is as the guest wrote it: of those that are no failure none is told apart. */
    hart->x[11] = run->system_event.ndata > 0 && run->system_event.data[0] == 1;
    exit->registers = true;
    return EXIT_SBI;
}

static enum exit_reason leave(struct kvm_vcpu *kv, struct exit *exit)
{
    const struct kvm_run *run = kv->run;

    kv->exit = exit;
    switch (run->exit_reason) {
    case KVM_EXIT_MMIO: return mmio(kv, exit);
    case KVM_EXIT_RISCV_SBI: return sbi(kv, exit);
    case KVM_EXIT_SYSTEM_EVENT: return event(kv, exit);
    case KVM_EXIT_INTR: return EXIT_KICKED;
    case KVM_EXIT_FAIL_ENTRY:
        return halted(kv, exit, "KVM: the hart refuses to enter the guest (%lx)",
                      run->fail_entry.hardware_entry_failure_reason);
    case KVM_EXIT_INTERNAL_ERROR:
        return halted(kv, exit, "KVM: internal error %lu", run->internal.suberror);
    default: return halted(kv, exit, "KVM: exit %lu, which is not answered", run->exit_reason);
    }
}

/* Tells KVM the wire of the PLIC. */
static void sync_external(struct kvm_vcpu *kv)
{
    const bool level = (atomic_load(&kv->hart->mip) >> IRQ_SEI & 1) != 0;
    struct kvm_interrupt interrupt = {level ? (__u32)KVM_INTERRUPT_SET
                                            : (__u32)KVM_INTERRUPT_UNSET};

    const enum kvm_wire wire = level ? WIRE_HIGH : WIRE_LOW;
    if (wire != kv->external && ioctl(kv->fd, KVM_INTERRUPT, &interrupt) == 0)
        kv->external = wire;
}

/* Threads of this program have all signals blocked but for this one. */
static pid_t this_thread(void)
{
    static _Thread_local pid_t id;

    if (id == 0) {
        sigset_t kick;
        sigemptyset(&kick);
        sigaddset(&kick, KICK_SIGNAL);
        pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
        id = gettid();
    }
    return id;
}

static enum exit_reason run_kvm(struct vcpu *vcpu, struct exit *exit)
{
    struct kvm_vcpu *kv = kvm_of(vcpu);

    answer(kv);
    sync_external(kv);
    atomic_store(&vcpu->requests, 0); /* they are about caches that KVM keeps in order itself */
    /* Who kicks sets `kick` first and then looks for the thread: either it is seen here, or
     * immediate_exit is, or the signal comes while KVM_RUN is under way. */
    kv->run->immediate_exit = 0;
    atomic_store(&kv->thread, this_thread());
    int error = 0;
    if (atomic_load(&vcpu->kick) != 0)
        kv->run->immediate_exit = 1; /* what the guest waits for is ended all the same */
    if (ioctl(kv->fd, KVM_RUN, 0) < 0)
        error = errno;
    atomic_store(&kv->thread, 0);
    if (error == EINTR || error == EAGAIN)
        return EXIT_KICKED;
    if (error == EIO || error == EOPNOTSUPP) {
        kvm_access_fault(kv, kvm_refused_access(kv));
        return EXIT_KICKED;
    }
    if (error != 0)
        return halted(kv, exit, "KVM_RUN: error %lu", (uint64_t)error);
    return leave(kv, exit);
}

static void kick_kvm(struct vcpu *vcpu)
{
    struct kvm_vcpu *kv = kvm_of(vcpu);

    if (kv == NULL)
        return;
    const pid_t thread = atomic_load(&kv->thread);
    if (thread == 0)
        return;
    kv->run->immediate_exit = 1;
    syscall(SYS_tgkill, getpid(), thread, KICK_SIGNAL);
}

/* ---- state ---- */

static void get_all(struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        kvm_state_get(kvm_of(vm->vcpus[i]));
    const uint64_t time = kvm_get64(kvm_of(vm->vcpus[0]), KVM_ID_TIMER(time));
    /* The hart's clock and that of the host's kernel drift; no guest is to see time go back. */
    clock_reaches(&vm->clock, clock_of_guest(&vm->clock, time));
}

static void put_all(struct vm *vm)
{
    const uint64_t now = clock_to_guest(&vm->clock, clock_now(&vm->clock));

    kvm_set64(kvm_of(vm->vcpus[0]), KVM_ID_TIMER(time), now);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        kvm_state_put(kvm_of(vm->vcpus[i]));
}

static void state_get(struct vcpu *vcpu)
{
    struct kvm_vm *kvm = vcpu->vm->engine_data;
    struct kvm_vcpu *kv = kvm_of(vcpu);

    if (kv->pending != PENDING_NONE) {
        answer(kv);
        run_nothing(kv);
    }
    host_lock_acquire(&kvm->lock);
    if (--kvm->lent == 0)
        get_all(vcpu->vm);
    host_lock_release(&kvm->lock);
}

static void state_put(struct vcpu *vcpu)
{
    struct kvm_vm *kvm = vcpu->vm->engine_data;

    host_lock_acquire(&kvm->lock);
    if (kvm->lent++ == 0)
        put_all(vcpu->vm);
    host_lock_release(&kvm->lock);
}

/* KVM follows the host's page tables, and caches nothing else. */
static void nothing_changed(struct vm *vm)
{
    (void)vm;
}

static void no_code_changed(struct vm *vm, uint64_t gpa, uint64_t len)
{
    (void)vm, (void)gpa, (void)len;
}

const struct engine_ops kvm_engine = {
    .name = "kvm",
    .own_harts = true,
    .vm_init = vm_init_kvm,
    .vm_destroy = vm_destroy,
    .slot_changed = nothing_changed,
    .code_changed = no_code_changed,
    .vcpu_init = vcpu_init_kvm,
    .vcpu_destroy = vcpu_destroy,
    .run = run_kvm,
    .kick = kick_kvm,
    .irq_changed = kick_kvm,
    .state_get = state_get,
    .state_put = state_put,
};
