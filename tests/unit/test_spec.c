#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/spec.h"

#include <stdio.h>
#include <string.h>

static struct spec_fleet fleet, copy;
static struct spec_problem problem;
static uint8_t blob[65536];

/* Two VMs that use every field. */
static int setup(void **state)
{
    (void)state;
    memset(&fleet, 0, sizeof(fleet));
    fleet.vm_count = 2;
    fleet.vms[0] = (struct spec_vm){
        .name = "web",
        .cpus = 2,
        .memory = 512ULL << 20,
        .kernel = "vmlinux",
        .initrd = "initrd.img",
        .cmdline = "console=ttyS0",
        .engine = "interp",
        .cpu = "rva23",
        .vlen = 256,
        .no_reboot = true,
        .virtio_console = true,
        .disks = {{.path = "a.raw", .serial = "abc"}, {.path = "b.raw", .readonly = true}},
        .disk_count = 2,
        .nets = {{.kind = SPEC_NET_USER,
                  .mac = {0x52, 0x54, 0, 1, 2, 3},
                  .forwards = {{.host_address = 0x7f000001, .host_port = 8080, .guest_port = 80},
                               {.udp = true, .host_port = 53, .guest_port = 5353}},
                  .forward_count = 2},
                 {.kind = SPEC_NET_TAP, .ifname = "tap0"}},
        .net_count = 2,
    };
    fleet.vms[1] = (struct spec_vm){.name = "db",
                                    .cpus = 64,
                                    .memory = 1ULL << 40,
                                    .firmware = "fw.bin",
                                    .no_balloon = true,
                                    .disks = {{.path = "b.raw", .readonly = true}},
                                    .disk_count = 1};
    return 0;
}

static void expect_problem(const char *text)
{
    assert_int_equal(spec_check(&fleet, &problem), -E_INVAL);
    assert_string_equal(problem.text, text);
}

static void good_description_passes(void **state)
{
    (void)state;
    assert_int_equal(spec_check(&fleet, &problem), 0);
    assert_string_equal(problem.text, "");
}

static void flattened_description_reads_back_the_same(void **state)
{
    (void)state;
    long size = spec_flatten(&fleet, blob, sizeof(blob));
    assert_true(size > 0);
    assert_int_equal(spec_read(&copy, blob, (size_t)size, &problem), 0);
    assert_int_equal(copy.vm_count, 2);
    const struct spec_vm *web = &copy.vms[0];
    assert_string_equal(web->name, "web");
    assert_int_equal(web->cpus, 2);
    assert_int_equal(web->memory, 536870912);
    assert_string_equal(web->kernel, "vmlinux");
    assert_string_equal(web->initrd, "initrd.img");
    assert_null(web->firmware);
    assert_string_equal(web->cmdline, "console=ttyS0");
    assert_string_equal(web->engine, "interp");
    assert_string_equal(web->cpu, "rva23");
    assert_int_equal(web->vlen, 256);
    assert_true(web->no_reboot);
    assert_false(web->no_balloon);
    assert_true(web->virtio_console);
    assert_int_equal(web->disk_count, 2);
    assert_string_equal(web->disks[0].path, "a.raw");
    assert_string_equal(web->disks[0].serial, "abc");
    assert_false(web->disks[0].readonly);
    assert_string_equal(web->disks[1].path, "b.raw");
    assert_null(web->disks[1].serial);
    assert_true(web->disks[1].readonly);
    assert_int_equal(web->net_count, 2);
    assert_int_equal(web->nets[0].kind, SPEC_NET_USER);
    assert_memory_equal(web->nets[0].mac, fleet.vms[0].nets[0].mac, 6);
    assert_int_equal(web->nets[0].forward_count, 2);
    assert_false(web->nets[0].forwards[0].udp);
    assert_int_equal(web->nets[0].forwards[0].host_address, 0x7f000001);
    assert_int_equal(web->nets[0].forwards[0].host_port, 8080);
    assert_int_equal(web->nets[0].forwards[0].guest_port, 80);
    assert_true(web->nets[0].forwards[1].udp);
    assert_int_equal(web->nets[0].forwards[1].guest_port, 5353);
    assert_int_equal(web->nets[1].kind, SPEC_NET_TAP);
    assert_string_equal(web->nets[1].ifname, "tap0");
    const struct spec_vm *db = &copy.vms[1];
    assert_string_equal(db->name, "db");
    assert_true(db->memory == 1ULL << 40);
    assert_null(db->kernel);
    assert_string_equal(db->firmware, "fw.bin");
    assert_true(db->no_balloon);
}

static void flattening_needs_room_and_a_good_description(void **state)
{
    (void)state;
    long size = spec_flatten(&fleet, blob, sizeof(blob));
    assert_int_equal(spec_flatten(&fleet, blob, (size_t)size - 1), -E_NOSPC);
    fleet.vms[0].cpus = 0;
    assert_int_equal(spec_flatten(&fleet, blob, sizeof(blob)), -E_INVAL);
}

static void every_value_out_of_range_is_named(void **state)
{
    struct spec_vm *vm = &fleet.vms[1];
    vm->cpus = 65;
    expect_problem("vms[1] (db): cpus: 65 is more than 64; write 1 to 64");
    assert_int_equal(problem.vm, 1);
    assert_string_equal(problem.text + problem.words, "cpus: 65 is more than 64; write 1 to 64");
    vm->cpus = 0;
    expect_problem("vms[1] (db): cpus: is 0; write 1 to 64");

    setup(state);
    vm->memory = (8ULL << 20) - 1;
    expect_problem("vms[1] (db): memory: 8388607 bytes is less than 8M; give it more, as 512M");
    vm->memory = (8ULL << 20) + 1;
    expect_problem("vms[1] (db): memory: 8388609 bytes is not a multiple of 4K; write 512M or 2G");
    vm->memory = (8ULL << 20) + 4096;
    assert_int_equal(spec_check(&fleet, &problem), 0);
    vm->memory = (1ULL << 40) + (1ULL << 20);
    expect_problem("vms[1] (db): memory: 1048577M is more than 1T; give it less, as 2G");

    setup(state);
    vm->firmware = NULL;
    expect_problem("vms[1] (db): kernel: is missing; name a kernel or a firmware");
    vm->kernel = "";
    expect_problem("vms[1] (db): kernel: is empty; name a file or leave it out");
    setup(state);
    vm->initrd = "x";
    expect_problem("vms[1] (db): initrd: needs a kernel; name one, or leave the initrd out");
    setup(state);
    vm->engine = "warp";
    expect_problem("vms[1] (db): engine: 'warp' is not an engine; write interp, jit or kvm");
    setup(state);
    static char cmdline[SPEC_CMDLINE_MAX + 2];
    memset(cmdline, 'x', SPEC_CMDLINE_MAX);
    vm->cmdline = cmdline;
    assert_int_equal(spec_check(&fleet, &problem), 0);
    cmdline[SPEC_CMDLINE_MAX] = 'x';
    expect_problem("vms[1] (db): cmdline: is longer than 2047 characters; shorten it");
}

static void names_are_plain_and_unique(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "", "a b", "a/b", ".hidden", "-x", "..", "\n", "ä", "0123456789012345678901234567890x"};
    static const char *const right[] = {"a", "A.b_c-9", "0123456789012345678901234567890"};
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        fleet.vms[1].name = right[i];
        assert_int_equal(spec_check(&fleet, &problem), 0);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        fleet.vms[1].name = wrong[i];
        assert_int_equal(spec_check(&fleet, &problem), -E_INVAL);
        for (const char *c = problem.text; *c != 0; c++)
            assert_in_range(*c, ' ', '~');
    }
    fleet.vms[1].name = "web";
    expect_problem("vms[1]: name: vms[0] has the same name; give each its own");
    fleet.vms[1].name = NULL;
    expect_problem("vms[1]: name: is missing; write one, as name: web");
}

static void a_file_that_one_vm_writes_belongs_to_it_alone_unless_it_is_copied(void **state)
{
    assert_int_equal(spec_check_files(&fleet, &problem), 0);
    fleet.vms[1].disks[0].readonly = false;
    assert_int_equal(spec_check(&fleet, &problem), 0);
    assert_int_equal(spec_check_files(&fleet, &problem), -E_INVAL);
    assert_string_equal(problem.text, "vms[1] (db): disks[0].path: vms[0] has the same disk; give "
                                      "each its own file, or make all readonly");
    setup(state);
    fleet.vms[0].disks[1].path = "a.raw";
    assert_int_equal(spec_check(&fleet, &problem), 0);
    assert_int_equal(spec_check_files(&fleet, &problem), -E_INVAL);
    assert_string_equal(problem.text, "vms[0] (web): disks[1].path: disks[0] is the same file; "
                                      "give each its own, or make both readonly");
}

/* The last console= is the one behind /dev/console (Linux, admin-guide/serial-console.rst). */
static void the_last_console_of_the_command_line_gets_what_is_typed(void **state)
{
    static const struct {
        const char *cmdline;
        bool hvc;
    } rows[] = {
        {NULL, false},
        {"", false},
        {"console=hvc0", true},
        {"console=ttyS0 console=hvc0 quiet", true},
        {"console=hvc0 console=ttyS0", false},
        {"quiet  console=hvc1", true},
        {"noconsole=hvc0", false},
        {"console=ttyS0 noconsole=hvc0", false},
        {"console=hv", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fleet.vms[0].cmdline = rows[i].cmdline;
        fleet.vms[0].virtio_console = true;
        assert_int_equal(spec_console_is_hvc(&fleet.vms[0]), rows[i].hvc);
        fleet.vms[0].virtio_console = false;
        assert_false(spec_console_is_hvc(&fleet.vms[0]));
    }
}

static void disks_are_checked(void **state)
{
    (void)state;
    fleet.vms[0].disks[0].serial = "123456789012345678901";
    expect_problem(
        "vms[0] (web): disks[0].serial: must be at most 20 printable characters; shorten it");
    fleet.vms[0].disks[0].serial = "12345678901234567890";
    assert_int_equal(spec_check(&fleet, &problem), 0);
    fleet.vms[0].disks[0].path = NULL;
    expect_problem("vms[0] (web): disks[0].path: is missing; name a file");
    fleet.vms[0].disk_count = 7;
    expect_problem("vms[0] (web): disks: 7 are more than 6; leave some out");
}

static void networks_are_checked(void **state)
{
    struct spec_net *net = fleet.vms[0].nets;
    net[1].ifname = NULL;
    expect_problem("vms[0] (web): net[1].ifname: is missing; name the tap device");
    net[1].ifname = "0123456789abcdef";
    expect_problem("vms[0] (web): net[1].ifname: must be 1 to 15 characters");
    net[1].ifname = "t";
    net[1].forward_count = 1;
    expect_problem("vms[0] (web): net[1].forward: is for kind user only");
    setup(state);
    net[0].ifname = "t";
    expect_problem("vms[0] (web): net[0].ifname: is for kind tap only");
    setup(state);
    net[0].mac[0] = 1;
    expect_problem("vms[0] (web): net[0].mac: is a multicast address; make its first byte even");
    setup(state);
    net[0].forwards[1].guest_port = 0;
    expect_problem("vms[0] (web): net[0].forward[1]: a port is 0; write 1 to 65535");
    setup(state);
    net[0].forward_count = 17;
    expect_problem("vms[0] (web): net[0].forward: 17 are more than 16; leave some out");
}

static void bare_metal(void)
{
    fleet.vms[0].disks[0].path = "board:0";
    fleet.vms[0].nets[0] = (struct spec_net){
        .kind = SPEC_NET_SWITCH, .network = "lan", .uplink = "board:1", .mac = {2}};
    fleet.vms[0].nets[1] = (struct spec_net){.kind = SPEC_NET_SWITCH, .network = "dmz"};
    fleet.vms[0].passthrough[0] = "virtio_mmio@10008000";
    fleet.vms[0].passthrough[1] = "/soc/rtc@101000";
    fleet.vms[0].passthrough_count = 2;
    fleet.vms[1].disks[0] = (struct spec_disk){.path = "c.raw", .fresh = true};
}

static void bare_metal_fields_read_back_the_same(void **state)
{
    (void)state;
    bare_metal();
    long size = spec_flatten(&fleet, blob, sizeof(blob));
    assert_true(size > 0);
    assert_int_equal(spec_read(&copy, blob, (size_t)size, &problem), 0);
    const struct spec_vm *web = &copy.vms[0];
    assert_string_equal(web->disks[0].path, "board:0");
    assert_false(web->disks[0].fresh);
    assert_int_equal(web->nets[0].kind, SPEC_NET_SWITCH);
    assert_string_equal(web->nets[0].network, "lan");
    assert_string_equal(web->nets[0].uplink, "board:1");
    assert_string_equal(web->nets[1].network, "dmz");
    assert_null(web->nets[1].uplink);
    assert_int_equal(web->passthrough_count, 2);
    assert_string_equal(web->passthrough[0], "virtio_mmio@10008000");
    assert_string_equal(web->passthrough[1], "/soc/rtc@101000");
    assert_true(copy.vms[1].disks[0].fresh);
    assert_int_equal(copy.vms[1].passthrough_count, 0);
}

static void bare_metal_fields_are_checked(void **state)
{
    (void)state;
    struct spec_net *net = fleet.vms[0].nets;
    bare_metal();
    assert_int_equal(spec_check(&fleet, &problem), 0);
    fleet.vms[1].disks[0] = (struct spec_disk){.path = "board:0"};
    expect_problem("vms[1] (db): disks[0].path: vms[0] has the same disk; give each its own file, "
                   "or make all readonly");
    fleet.vms[1].disks[0] = (struct spec_disk){.path = "board:1", .fresh = true};
    expect_problem("vms[1] (db): disks[0].fresh: is for files, not for board:1");
    fleet.vms[1].disks[0] = (struct spec_disk){.path = "board:x"};
    expect_problem("vms[1] (db): disks[0].path: 'board:x' is no device of the board; write board:0 "
                   "to board:99, or ./board:x for a file of that name");
    fleet.vms[1].disk_count = 0;

    net[1].network = NULL;
    expect_problem("vms[0] (web): net[1].network: is missing; name the segment to join");
    net[1].network = "a b";
    expect_problem("vms[0] (web): net[1].network: 'a b' is not a name");
    net[1].network = "dmz";
    net[1].uplink = "eth0";
    expect_problem("vms[0] (web): net[1].uplink: 'eth0' is no device of the board; write board:0");
    net[1].uplink = "board:1";
    expect_problem("vms[0] (web): net[1].uplink: board:1 for network dmz, but vms[0] has board:1 "
                   "for lan");
    net[1].network = "lan";
    assert_int_equal(spec_check(&fleet, &problem), 0);
    net[1].uplink = "board:2";
    expect_problem("vms[0] (web): net[1].uplink: board:2 for network lan, but vms[0] has board:1 "
                   "for lan");
    net[1] = (struct spec_net){.kind = SPEC_NET_USER, .network = "lan"};
    expect_problem("vms[0] (web): net[1].network: is for kind switch only");
    net[1] = (struct spec_net){.kind = SPEC_NET_USER, .uplink = "board:0"};
    expect_problem("vms[0] (web): net[1].uplink: is for kind switch only");
    net[1] = (struct spec_net){.kind = SPEC_NET_SWITCH, .network = "lan", .forward_count = 1};
    expect_problem("vms[0] (web): net[1].forward: is for kind user only");
    net[1] = (struct spec_net){.kind = SPEC_NET_SWITCH, .network = "lan"};

    fleet.vms[1].passthrough_count = 1;
    expect_problem("vms[1] (db): passthrough[0].device: is missing; name a node of the board's "
                   "device tree, as virtio_mmio@10008000");
    fleet.vms[1].passthrough[0] = "virtio_mmio@10008000";
    expect_problem("vms[1] (db): passthrough[0].device: vms[0] has it already");
    fleet.vms[1].passthrough_count = 9;
    expect_problem("vms[1] (db): passthrough: 9 are more than 8");
}

static void board_devices_are_numbered_without_doubt(void **state)
{
    (void)state;
    static const char *const wrong[] = {"board:", "board:00",  "board:-1", "board:100", "board:1 ",
                                        "board",  "./board:1", "Board:1",  ""};
    unsigned index = 7;
    assert_true(spec_board_index("board:0", &index));
    assert_int_equal(index, 0);
    assert_true(spec_board_index("board:42", &index));
    assert_int_equal(index, 42);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(spec_board_index(wrong[i], &index));
    assert_int_equal(index, 42);
    assert_false(spec_board_index(NULL, &index));
}

static void type_2_names_what_it_cannot_do(void **state)
{
    (void)state;
    assert_int_equal(spec_check_hosted(&fleet, 0, &problem), 0);
    bare_metal();
    assert_int_equal(spec_check_hosted(&fleet, 0, &problem), -E_INVAL);
    assert_string_equal(problem.text, "vms[0] (web): disks[0].path: 'board:0' is for bare metal "
                                      "alone (trivisor bundle)");
    fleet.vms[0].disks[0].path = "a.raw";
    assert_int_equal(spec_check_hosted(&fleet, 0, &problem), -E_INVAL);
    assert_string_equal(problem.text,
                        "vms[0] (web): net[0].kind: 'switch' is for bare metal alone (trivisor "
                        "bundle)");
    fleet.vms[0].net_count = 0;
    assert_int_equal(spec_check_hosted(&fleet, 0, &problem), -E_INVAL);
    assert_string_equal(problem.text,
                        "vms[0] (web): passthrough: is for bare metal alone (trivisor bundle)");
    assert_int_equal(spec_check_hosted(&fleet, 1, &problem), -E_INVAL);
    assert_string_equal(problem.text,
                        "vms[1] (db): disks[0].fresh: is for bare metal alone (trivisor bundle)");
}

static void default_mac_is_local_unicast_and_its_own(void **state)
{
    (void)state;
    uint8_t a[6], b[6], c[6], again[6];
    spec_default_mac("web", 0, a);
    spec_default_mac("web", 1, b);
    spec_default_mac("db", 0, c);
    spec_default_mac("web", 0, again);
    assert_memory_equal(a, again, 6);
    assert_memory_not_equal(a, b, 6);
    assert_memory_not_equal(a, c, 6);
    assert_int_equal(a[0] & 3, 2);
}

static void a_host_port_is_forwarded_once(void **state)
{
    (void)state;
    fleet.vms[1].net_count = 1;
    fleet.vms[1].nets[0] = (struct spec_net){
        .forwards = {{.host_address = 0x7f000001, .host_port = 8080, .guest_port = 1}},
        .forward_count = 1};
    expect_problem(
        "vms[1] (db): net[0].forward[0]: host port 8080 is taken by vms[0]; choose another");
    fleet.vms[1].nets[0].forwards[0].host_address = 0; /* all addresses */
    assert_int_equal(spec_check(&fleet, &problem), -E_INVAL);
    fleet.vms[1].nets[0].forwards[0].host_address = 0x7f000002;
    assert_int_equal(spec_check(&fleet, &problem), 0);
    fleet.vms[1].nets[0].forwards[0].host_address = 0x7f000001;
    fleet.vms[1].nets[0].forwards[0].udp = true;
    assert_int_equal(spec_check(&fleet, &problem), 0);
}

static void virtio_devices_fit_into_the_slots(void **state)
{
    (void)state;
    fleet.vms[0].nets[2] = (struct spec_net){.kind = SPEC_NET_USER};
    fleet.vms[0].net_count = 3; /* 2 disks, 3 nets, entropy, balloon, console */
    assert_int_equal(spec_check(&fleet, &problem), 0);
    fleet.vms[0].net_count = 4;
    expect_problem(
        "vms[0] (web): disks and net: 9 virtio devices with entropy, balloon and console "
        "are more than the board's 8; leave one out");
    fleet.vms[0].virtio_console = false;
    assert_int_equal(spec_check(&fleet, &problem), 0);
}

static void an_empty_or_too_large_fleet_is_refused(void **state)
{
    (void)state;
    fleet.vm_count = 0;
    expect_problem("vms: there is none; describe at least one virtual machine");
    assert_int_equal(problem.vm, -1);
    fleet.vm_count = 33;
    expect_problem("vms: 33 are more than 32; leave some out");
}

/* A tree that spec_flatten would not write. */
static int read_tree(void (*fill)(struct fdt_writer *w))
{
    struct fdt_writer w;
    fdt_begin(&w, blob, sizeof(blob));
    fdt_node(&w, "");
    fill(&w);
    fdt_end(&w);
    long size = fdt_finish(&w);
    assert_true(size > 0);
    return spec_read(&copy, blob, (size_t)size, &problem);
}

static void fill_nothing(struct fdt_writer *w)
{
    (void)w;
}

static void fill_version_2(struct fdt_writer *w)
{
    fdt_put_str(w, "compatible", "trivisor,fleet");
    fdt_put_u32(w, "version", 2);
}

static void fill_unterminated(struct fdt_writer *w)
{
    fdt_put_str(w, "compatible", "trivisor,fleet");
    fdt_put_u32(w, "version", 1);
    fdt_node(w, "vm@0");
    fdt_put(w, "label", "web", 3);
    fdt_end(w);
}

static void fill_many(struct fdt_writer *w)
{
    fdt_put_str(w, "compatible", "trivisor,fleet");
    fdt_put_u32(w, "version", 1);
    for (unsigned i = 0; i < SPEC_VMS_MAX + 1; i++) {
        char name[16];
        snprintf(name, sizeof(name), "vm%u", i);
        fdt_node_at(w, "vm", i);
        fdt_put_str(w, "label", name);
        fdt_end(w);
    }
}

static void fill_disks(struct fdt_writer *w)
{
    fdt_put_str(w, "compatible", "trivisor,fleet");
    fdt_put_u32(w, "version", 1);
    fdt_node(w, "vm@0");
    for (unsigned i = 0; i < SPEC_DISKS_MAX + 1; i++) {
        fdt_node_at(w, "disk", i);
        fdt_end(w);
    }
    fdt_end(w);
}

static void foreign_and_damaged_trees_are_refused(void **state)
{
    (void)state;
    assert_int_equal(spec_read(&copy, "nothing", 7, &problem), -E_INVAL);
    assert_string_equal(problem.text, "the description is not a device tree, or a damaged one");
    assert_int_equal(read_tree(fill_nothing), -E_INVAL);
    assert_string_equal(problem.text, "the device tree does not describe virtual machines");
    assert_int_equal(read_tree(fill_version_2), -E_INVAL);
    assert_string_equal(problem.text,
                        "the description has version 2; this program reads version 1");
    assert_int_equal(read_tree(fill_unterminated), -E_INVAL);
    assert_string_equal(problem.text, "vms[0]: label: is not a string");
    assert_int_equal(read_tree(fill_many), -E_INVAL);
    assert_string_equal(problem.text, "vms: more than 32");
    assert_int_equal(read_tree(fill_disks), -E_INVAL);
    assert_string_equal(problem.text, "vms[0]: disks: more than 6");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(good_description_passes, setup),
        cmocka_unit_test_setup(flattened_description_reads_back_the_same, setup),
        cmocka_unit_test_setup(flattening_needs_room_and_a_good_description, setup),
        cmocka_unit_test_setup(every_value_out_of_range_is_named, setup),
        cmocka_unit_test_setup(names_are_plain_and_unique, setup),
        cmocka_unit_test_setup(a_file_that_one_vm_writes_belongs_to_it_alone_unless_it_is_copied,
                               setup),
        cmocka_unit_test_setup(the_last_console_of_the_command_line_gets_what_is_typed, setup),
        cmocka_unit_test_setup(disks_are_checked, setup),
        cmocka_unit_test_setup(networks_are_checked, setup),
        cmocka_unit_test_setup(bare_metal_fields_read_back_the_same, setup),
        cmocka_unit_test_setup(bare_metal_fields_are_checked, setup),
        cmocka_unit_test_setup(board_devices_are_numbered_without_doubt, setup),
        cmocka_unit_test_setup(type_2_names_what_it_cannot_do, setup),
        cmocka_unit_test_setup(default_mac_is_local_unicast_and_its_own, setup),
        cmocka_unit_test_setup(a_host_port_is_forwarded_once, setup),
        cmocka_unit_test_setup(virtio_devices_fit_into_the_slots, setup),
        cmocka_unit_test_setup(an_empty_or_too_large_fleet_is_refused, setup),
        cmocka_unit_test_setup(foreign_and_damaged_trees_are_refused, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
