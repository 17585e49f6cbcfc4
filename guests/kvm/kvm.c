/*
 * A Linux program without a C library that is a small virtual machine monitor by KVM on riscv64: it
 * shows that a guest with the H extension can have guests. `kvm A B C` (hexadecimal) makes a VM
 * whose program reads A and B from a device, tells their product by an SBI call, gets C added to it
 * in return, writes that to the device and asks for shutdown. A line for each exit; it knows
 * nothing of the sum, which whoever started it computes. `kvm ID` makes one with an interrupt file
 * that is the hart's own (KVM's AIA device, accelerated), into which the message ID comes when the
 * VM's program has written to the device; it writes the cause of the interrupt and what it claims.
 *
 * Numbers and layouts: Linux's Documentation/virt/kvm/api.rst.
 */
#include <stddef.h>
#include <stdint.h>

enum { SYS_openat = 56, SYS_write = 64, SYS_exit = 93, SYS_ioctl = 29, SYS_mmap = 222 };

#define KVM_GET_API_VERSION        0xae00
#define KVM_CREATE_VM              0xae01
#define KVM_GET_VCPU_MMAP_SIZE     0xae04
#define KVM_CREATE_VCPU            0xae41
#define KVM_SET_USER_MEMORY_REGION 0x4020ae46
#define KVM_RUN                    0xae80
#define KVM_SIGNAL_MSI             0x4020aea5
#define KVM_CREATE_DEVICE          0xc00caee0
#define KVM_SET_DEVICE_ATTR        0x4018aee1
#define KVM_SET_ONE_REG            0x4010aeac
/* The architecture's registers, 64 bits, of the core: pc is the first. */
#define KVM_REG_PC 0x8030000002000000

/* The AIA device: its groups, the attributes used here, and the mode. */
enum {
    KVM_DEV_TYPE_RISCV_AIA = 11,
    AIA_CONFIG = 0,
    AIA_CONFIG_MODE = 0,
    AIA_CONFIG_IDS = 1,
    AIA_ADDRESS = 1,
    AIA_ADDRESS_IMSIC_0 = 1,
    AIA_CONTROL = 2,
    AIA_CONTROL_INIT = 0,
    AIA_MODE_HWACCEL = 1,
};

enum { KVM_EXIT_MMIO = 6, KVM_EXIT_SYSTEM_EVENT = 24, KVM_EXIT_RISCV_SBI = 35 };

/* The shared page of a VCPU, as far as it is used here. */
struct run {
    uint8_t head[8];
    uint32_t exit_reason;
    uint8_t more[20];
    union {
        struct {
            uint64_t address;
            uint8_t data[8];
            uint32_t len;
            uint8_t is_write;
        } mmio;
        struct {
            uint64_t extension, function, arguments[6], results[2];
        } sbi;
        struct {
            uint32_t type;
        } event;
    };
};
_Static_assert(offsetof(struct run, mmio) == 32, "struct kvm_run");

#define RAM      0x80000000u
#define RAM_SIZE 65536u
#define DEVICE   0x10000000u
#define IMSIC    0x28000000u

/* The VM's program. Extension 0x08000001 is an experimental one, which KVM leaves to us (SBI 2.0,
 * 4). */
__asm__(".pushsection .rodata\n"
        ".balign 4\n"
        "payload:\n"
        "    lui  t0, 0x10000\n"
        "    lwu  a0, 0(t0)\n"
        "    lwu  a1, 4(t0)\n"
        "    mul  a0, a0, a1\n"
        "    li   a7, 0x08000001\n"
        "    li   a6, 3\n"
        "    ecall\n"
        "    sd   a1, 8(t0)\n"
        "    li   a7, 0x53525354\n" /* SRST: shutdown, no reason */
        "    li   a6, 0\n"
        "    li   a0, 0\n"
        "    li   a1, 0\n"
        "    ecall\n"
        "1:  j    1b\n"
        "payload_end:\n"
        ".popsection\n");
extern const uint8_t payload[], payload_end[];

/* The other: siselect 0x150, sireg 0x151, stopei 0x15c; eidelivery 0x70, eie0 0xc0 (AIA 1.0). */
__asm__(".pushsection .rodata\n"
        ".balign 4\n"
        "waits:\n"
        "    lui  t0, 0x10000\n"
        "    lla  t1, 2f\n"
        "    csrw stvec, t1\n"
        "    li   t1, 0x70\n"
        "    csrw 0x150, t1\n"
        "    csrwi 0x151, 1\n"
        "    li   t1, 0xc0\n"
        "    csrw 0x150, t1\n"
        "    li   t1, -1\n"
        "    csrw 0x151, t1\n"
        "    li   t1, 0x200\n" /* SEI */
        "    csrw sie, t1\n"
        "    sd   zero, 16(t0)\n"
        "    csrsi sstatus, 2\n"
        "1:  j    1b\n"
        "    .balign 4\n"
        "2:  csrr a0, scause\n"
        "    sd   a0, 24(t0)\n"
        "    csrrw a0, 0x15c, zero\n"
        "    sd   a0, 32(t0)\n"
        "    li   a7, 0x53525354\n"
        "    li   a6, 0\n"
        "    li   a0, 0\n"
        "    li   a1, 0\n"
        "    ecall\n"
        "waits_end:\n"
        ".popsection\n");
extern const uint8_t waits[], waits_end[];

static int64_t call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                    uint64_t f)
{
    register uint64_t a7 __asm__("a7") = number, a0 __asm__("a0") = a, a1 __asm__("a1") = b,
                         a2 __asm__("a2") = c, a3 __asm__("a3") = d, a4 __asm__("a4") = e,
                         a5 __asm__("a5") = f;
    __asm__ volatile("ecall"
                     : "+r"(a0)
                     : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5)
                     : "memory");
    return (int64_t)a0;
}

static void say(const char *text)
{
    size_t length = 0;
    while (text[length] != 0)
        length++;
    call(SYS_write, 1, (uintptr_t)text, length, 0, 0, 0);
}

static void say_hex(uint64_t value)
{
    char text[18], *at = text + sizeof text - 1;
    *at = 0;
    do
        *--at = "0123456789abcdef"[value & 15];
    while ((value >>= 4) != 0);
    say(" ");
    say(at);
}

static void finish(int status)
{
    call(SYS_exit, (uint64_t)status, 0, 0, 0, 0, 0);
}

/* The call's result; ends the program if it is an error. */
static int64_t must(const char *what, int64_t result)
{
    if (result < 0) {
        say("kvm: ");
        say(what);
        say(" failed:");
        say_hex((uint64_t)-result);
        say("\n");
        finish(1);
    }
    return result;
}

static int64_t control(int64_t file, uint64_t request, uint64_t argument)
{
    return call(SYS_ioctl, (uint64_t)file, request, argument, 0, 0, 0);
}

static void *map(int64_t file, uint64_t size)
{
    const uint64_t read_write = 3, shared = 1, anonymous = 0x20;
    return (void *)must("mmap", call(SYS_mmap, 0, size, read_write,
                                     file < 0 ? shared | anonymous : shared, (uint64_t)file, 0));
}

static uint64_t number(const char *text)
{
    uint64_t value = 0;
    for (; *text != 0; text++)
        value = value << 4 | (uint64_t)(*text <= '9' ? *text - '0' : *text - 'a' + 10);
    return value;
}

static void mmio(struct run *run, const uint32_t answers[2])
{
    uint64_t value = 0;
    if (run->mmio.is_write) {
        for (unsigned i = 0; i < run->mmio.len && i < 8; i++)
            value |= (uint64_t)run->mmio.data[i] << 8 * i;
        say("kvm: write");
    } else {
        value = answers[run->mmio.address >> 2 & 1];
        for (unsigned i = 0; i < 8; i++)
            run->mmio.data[i] = i < 4 ? (uint8_t)(value >> 8 * i) : 0;
        say("kvm: read");
    }
    say_hex(run->mmio.address);
    say_hex(run->mmio.len);
    say_hex(value);
    say("\n");
}

static void set(int64_t device, uint32_t group, uint64_t name, const void *value)
{
    const struct {
        uint32_t flags, group;
        uint64_t name, address;
    } attribute = {0, group, name, (uintptr_t)value};
    must("KVM_SET_DEVICE_ATTR", control(device, KVM_SET_DEVICE_ATTR, (uintptr_t)&attribute));
}

/* Gives VCPU 0 a file of 63 identities, of the hart that runs it, and no APLIC. */
static void add_aia(int64_t vm)
{
    const uint32_t mode = AIA_MODE_HWACCEL, identities = 63;
    const uint64_t imsic = IMSIC;
    struct {
        uint32_t type, file, flags;
    } device = {KVM_DEV_TYPE_RISCV_AIA, 0, 0};
    must("KVM_CREATE_DEVICE", control(vm, KVM_CREATE_DEVICE, (uintptr_t)&device));
    set(device.file, AIA_CONFIG, AIA_CONFIG_MODE, &mode);
    set(device.file, AIA_CONFIG, AIA_CONFIG_IDS, &identities);
    set(device.file, AIA_ADDRESS, AIA_ADDRESS_IMSIC_0, &imsic);
    set(device.file, AIA_CONTROL, AIA_CONTROL_INIT, NULL);
}

static void send(int64_t vm, uint32_t identity)
{
    const struct {
        uint32_t low, high, data, flags, device;
        uint8_t pad[12];
    } message = {.low = IMSIC, .data = identity};
    must("KVM_SIGNAL_MSI", control(vm, KVM_SIGNAL_MSI, (uintptr_t)&message));
}

void main(uint64_t *stack)
{
    char **arguments = (char **)(stack + 1);
    const _Bool aia = stack[0] == 2;
    if (stack[0] != 4 && !aia) {
        say("use: kvm A B C or kvm ID (hexadecimal)\n");
        finish(2);
    }
    const uint32_t answers[2] = {(uint32_t)number(arguments[1]),
                                 aia ? 0 : (uint32_t)number(arguments[2])};
    const uint64_t more = aia ? 0 : number(arguments[3]);

    const int64_t kvm =
        must("open /dev/kvm", call(SYS_openat, (uint64_t)-100, (uintptr_t) "/dev/kvm", 2, 0, 0, 0));
    say("kvm: version");
    say_hex((uint64_t)must("KVM_GET_API_VERSION", control(kvm, KVM_GET_API_VERSION, 0)));
    say("\n");
    const int64_t vm = must("KVM_CREATE_VM", control(kvm, KVM_CREATE_VM, 0));
    uint8_t *ram = map(-1, RAM_SIZE);
    const uint8_t *const from = aia ? waits : payload, *const to = aia ? waits_end : payload_end;
    for (const uint8_t *p = from; p < to; p++)
        ram[p - from] = *p;
    const struct {
        uint32_t slot, flags;
        uint64_t guest, size, here;
    } region = {0, 0, RAM, RAM_SIZE, (uintptr_t)ram};
    must("KVM_SET_USER_MEMORY_REGION", control(vm, KVM_SET_USER_MEMORY_REGION, (uintptr_t)&region));
    const int64_t vcpu = must("KVM_CREATE_VCPU", control(vm, KVM_CREATE_VCPU, 0));
    if (aia)
        add_aia(vm);
    struct run *run = map(
        vcpu, (uint64_t)must("KVM_GET_VCPU_MMAP_SIZE", control(kvm, KVM_GET_VCPU_MMAP_SIZE, 0)));
    const uint64_t pc = RAM;
    const struct {
        uint64_t id, address;
    } reg = {KVM_REG_PC, (uintptr_t)&pc};
    must("KVM_SET_ONE_REG", control(vcpu, KVM_SET_ONE_REG, (uintptr_t)&reg));

    for (unsigned exits = 0; exits < 16; exits++) {
        must("KVM_RUN", control(vcpu, KVM_RUN, 0));
        switch (run->exit_reason) {
        case KVM_EXIT_MMIO:
            mmio(run, answers);
            if (aia && run->mmio.address == DEVICE + 16)
                send(vm, answers[0]);
            break;
        case KVM_EXIT_RISCV_SBI:
            say("kvm: sbi");
            say_hex(run->sbi.extension);
            say_hex(run->sbi.function);
            say_hex(run->sbi.arguments[0]);
            say("\n");
            run->sbi.results[0] = 0;
            run->sbi.results[1] = run->sbi.arguments[0] + more;
            break;
        case KVM_EXIT_SYSTEM_EVENT:
            say("kvm: event");
            say_hex(run->event.type);
            say("\n");
            finish(0);
            break;
        default:
            say("kvm: unexpected exit");
            say_hex(run->exit_reason);
            say("\n");
            finish(1);
        }
    }
    say("kvm: too many exits\n");
    finish(1);
}

__asm__(".globl _start\n"
        "_start:\n"
        "    mv   a0, sp\n"
        "    andi sp, sp, -16\n"
        "    tail main\n");
