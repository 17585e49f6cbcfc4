#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/error.h"
#include "type2/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the short forms ---- */

static void size_takes_units_and_plain_bytes(void **state)
{
    (void)state;
    uint64_t bytes;
    assert_int_equal(config_parse_size("512M", &bytes, NULL), 0);
    assert_int_equal(bytes, 536870912);
    assert_int_equal(config_parse_size("2G", &bytes, NULL), 0);
    assert_int_equal(bytes, 2147483648);
    assert_int_equal(config_parse_size("1048576K", &bytes, NULL), 0);
    assert_int_equal(bytes, 1073741824);
    assert_int_equal(config_parse_size("8388608", &bytes, NULL), 0);
    assert_int_equal(bytes, 8388608);
    assert_int_equal(config_parse_size("3g", &bytes, NULL), 0);
    assert_int_equal(bytes, 3221225472);
    assert_int_equal(config_parse_size("1T", &bytes, NULL), 0);
    assert_int_equal(bytes, 1099511627776);
    assert_int_equal(config_parse_size("16MiB", &bytes, NULL), 0);
    assert_int_equal(bytes, 16777216);
}

static void size_refuses_what_is_not_one(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",     "12X",       "M",     "-1M",
                                        "1.5G", "1 G",       "1GG",   "0x10",
                                        "1M ",  "16777216T", "1MiBs", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct problem problem = {.text = ""};
        uint64_t bytes = 77;
        assert_int_equal(config_parse_size(wrong[i], &bytes, &problem), -E_INVAL);
        assert_int_equal(bytes, 77);
        assert_non_null(strstr(problem.text, wrong[i]));
    }
}

static void disk_takes_options_after_its_path(void **state)
{
    (void)state;
    struct spec_disk disk;
    char plain[] = "root.raw";
    assert_int_equal(config_parse_disk(plain, &disk, NULL), 0);
    assert_string_equal(disk.path, "root.raw");
    assert_null(disk.serial);
    assert_false(disk.readonly);

    char full[] = "dir/data.raw,readonly,serial=abc";
    assert_int_equal(config_parse_disk(full, &disk, NULL), 0);
    assert_string_equal(disk.path, "dir/data.raw");
    assert_string_equal(disk.serial, "abc");
    assert_true(disk.readonly);
}

static void disk_names_a_wrong_option(void **state)
{
    (void)state;
    struct spec_disk disk;
    struct problem problem;
    char wrong[] = "a.raw,cache=none";
    assert_int_equal(config_parse_disk(wrong, &disk, &problem), -E_INVAL);
    assert_string_equal(problem.text, "disk a.raw: 'cache=none' is not an option; there are "
                                      "readonly and serial=TEXT");
    char empty[] = ",readonly";
    assert_int_equal(config_parse_disk(empty, &disk, &problem), -E_INVAL);
    char longer[] = "a.raw,serial=123456789012345678901";
    assert_int_equal(config_parse_disk(longer, &disk, &problem), -E_INVAL);
}

static void net_takes_forwards_and_mac(void **state)
{
    (void)state;
    struct spec_net net;
    char user[] = "user,forward=tcp:127.0.0.1:2222:22,forward=udp:0.0.0.0:53:5353,"
                  "mac=52:54:00:12:AB:cd";
    assert_int_equal(config_parse_net(user, &net, NULL), 0);
    assert_int_equal(net.kind, SPEC_NET_USER);
    assert_int_equal(net.forward_count, 2);
    assert_false(net.forwards[0].udp);
    assert_int_equal(net.forwards[0].host_address, 0x7f000001);
    assert_int_equal(net.forwards[0].host_port, 2222);
    assert_int_equal(net.forwards[0].guest_port, 22);
    assert_true(net.forwards[1].udp);
    assert_int_equal(net.forwards[1].host_address, 0);
    assert_int_equal(net.forwards[1].guest_port, 5353);
    static const uint8_t mac[6] = {0x52, 0x54, 0x00, 0x12, 0xab, 0xcd};
    assert_memory_equal(net.mac, mac, 6);

    char tap[] = "tap,ifname=tap0";
    assert_int_equal(config_parse_net(tap, &net, NULL), 0);
    assert_int_equal(net.kind, SPEC_NET_TAP);
    assert_string_equal(net.ifname, "tap0");
}

static void net_refuses_what_does_not_belong_together(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "bridge",
        "tap",
        "tap,ifname=",
        "tap,ifname=0123456789abcdef",
        "user,ifname=x",
        "user,foo=1",
        "user,mac=52:54:00:12",
        "tap,ifname=t,forward=tcp::1:1",
        "",
        "user,mac=01:00:5e:00:00:01",
        "user,forward=tcp:1:2:3:4:5",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct spec_net net;
        struct problem problem = {.text = ""};
        char text[64];
        snprintf(text, sizeof(text), "%s", wrong[i]);
        assert_int_equal(config_parse_net(text, &net, &problem), -E_INVAL);
        assert_true(strlen(problem.text) > 0);
    }
}

static void forward_defaults_to_loopback(void **state)
{
    (void)state;
    struct spec_forward forward;
    assert_int_equal(config_parse_forward("tcp::8080:80", &forward, NULL), 0);
    assert_int_equal(forward.host_address, 0x7f000001);
    assert_int_equal(config_parse_forward("tcp:8080:80", &forward, NULL), 0);
    assert_int_equal(forward.host_address, 0x7f000001);
    assert_int_equal(forward.host_port, 8080);
    assert_int_equal(forward.guest_port, 80);
}

static void forward_refuses_bad_ports_and_addresses(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "tcp",
        "sctp:1:2",
        "tcp:0:80",
        "tcp:80:0",
        "tcp:65536:1",
        "tcp:80",
        "tcp:a:80:80",
        "tcp:300.0.0.1:1:1",
        "tcp:80:80x",
        "tcp:80:80:",
        "tcp:1.2.3:1:1",
        "tcp:-1:80",
        "tcp:localhost:1:1",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct spec_forward forward;
        assert_int_equal(config_parse_forward(wrong[i], &forward, NULL), -E_INVAL);
    }
}

/* ---- the file ---- */

static const char good[] = "# two machines\n"
                           "vms:\n"
                           "  - name: web\n"
                           "    cpus: 2\n"
                           "    memory: 512M\n"
                           "    kernel: guests/vmlinux\n"
                           "    initrd: /abs/initrd.img\n"
                           "    cmdline: console=ttyS0 panic=-1\n"
                           "    engine: interp\n"
                           "    no_reboot: true\n"
                           "    virtio_console: yes\n"
                           "    disks:\n"
                           "      - path: web.raw\n"
                           "      - { path: data.raw, readonly: true, serial: abc }\n"
                           "    net:\n"
                           "      - kind: user\n"
                           "        mac: 52:54:00:12:34:56\n"
                           "        forward: [\"tcp:127.0.0.1:8080:80\", udp::5000:50]\n"
                           "      - { kind: tap, ifname: tap3 }\n"
                           "  - name: db\n"
                           "    memory: 1G\n"
                           "    firmware: fw.bin\n"
                           "    no_balloon: true\n";

static void file_fills_every_field(void **state)
{
    (void)state;
    struct config *config;
    struct problem problem = {.text = ""};
    int error = config_read_bytes(&config, "fleet.yaml", "some/dir", good, strlen(good), &problem);
    assert_string_equal(problem.text, "");
    assert_int_equal(error, 0);

    const struct spec_fleet *fleet = config_fleet(config);
    assert_int_equal(fleet->vm_count, 2);
    const struct spec_vm *web = &fleet->vms[0];
    assert_string_equal(web->name, "web");
    assert_int_equal(web->cpus, 2);
    assert_int_equal(web->memory, 536870912);
    assert_string_equal(web->kernel, "some/dir/guests/vmlinux");
    assert_string_equal(web->initrd, "/abs/initrd.img");
    assert_null(web->firmware);
    assert_string_equal(web->cmdline, "console=ttyS0 panic=-1");
    assert_string_equal(web->engine, "interp");
    assert_true(web->no_reboot);
    assert_false(web->no_balloon);
    assert_true(web->virtio_console);
    assert_int_equal(web->disk_count, 2);
    assert_string_equal(web->disks[0].path, "some/dir/web.raw");
    assert_false(web->disks[0].readonly);
    assert_string_equal(web->disks[1].path, "some/dir/data.raw");
    assert_string_equal(web->disks[1].serial, "abc");
    assert_true(web->disks[1].readonly);
    assert_int_equal(web->net_count, 2);
    assert_int_equal(web->nets[0].kind, SPEC_NET_USER);
    assert_int_equal(web->nets[0].mac[5], 0x56);
    assert_int_equal(web->nets[0].forward_count, 2);
    assert_int_equal(web->nets[0].forwards[0].host_port, 8080);
    assert_true(web->nets[0].forwards[1].udp);
    assert_int_equal(web->nets[1].kind, SPEC_NET_TAP);
    assert_string_equal(web->nets[1].ifname, "tap3");
    const struct spec_vm *db = &fleet->vms[1];
    assert_int_equal(db->cpus, 1);
    assert_null(db->kernel);
    assert_string_equal(db->firmware, "some/dir/fw.bin");
    assert_true(db->no_balloon);
    assert_false(db->no_reboot);
    config_free(config);
}

static void bare_metal_devices_are_read(void **state)
{
    (void)state;
    static const char yaml[] = "vms:\n"
                               "  - name: a\n"
                               "    memory: 16M\n"
                               "    kernel: k\n"
                               "    disks:\n"
                               "      - { path: \"board:1\" }\n"
                               "      - { path: ./board:1, fresh: true }\n"
                               "    net: [ { kind: switch, network: lan, uplink: \"board:0\" } ]\n"
                               "    passthrough:\n"
                               "      - device: virtio_mmio@10008000\n"
                               "      - device: /soc/rtc@101000\n";
    struct config *config;
    struct problem problem = {.text = ""};
    config_read_bytes(&config, "f", "dir", yaml, strlen(yaml), &problem);
    assert_string_equal(problem.text, "");
    const struct spec_vm *vm = &config_fleet(config)->vms[0];
    assert_string_equal(vm->disks[0].path, "board:1");
    assert_string_equal(vm->disks[1].path, "dir/./board:1");
    assert_false(vm->disks[0].fresh);
    assert_true(vm->disks[1].fresh);
    assert_int_equal(vm->nets[0].kind, SPEC_NET_SWITCH);
    assert_string_equal(vm->nets[0].network, "lan");
    assert_string_equal(vm->nets[0].uplink, "board:0");
    assert_int_equal(vm->passthrough_count, 2);
    assert_string_equal(vm->passthrough[0], "virtio_mmio@10008000");
    assert_string_equal(vm->passthrough[1], "/soc/rtc@101000");
    config_free(config);
}

/* A description and the one line that answers it. */
struct mistake {
    const char *yaml, *line;
};

#define VM "vms:\n  - name: a\n    memory: 16M\n    kernel: k\n"

static const struct mistake mistakes[] = {
    {"", "f: is empty; it must begin with 'vms:' and a list of virtual machines under it"},
    {"# nothing\n",
     "f: is empty; it must begin with 'vms:' and a list of virtual machines under it"},
    {"\n- a\n", "f:2: must begin with 'vms:' and a list of virtual machines under it"},
    {"hello\n", "f:1: must begin with 'vms:' and a list of virtual machines under it"},
    {"vms: []\n", "f:1: vms: there is none; describe at least one virtual machine"},
    {"vms: 5\n", "f:1: vms: must be a list, not one value"},
    {"machines: []\n", "f:1: machines: no such key; there is vms"},
    {"vms:\n  - 5\n", "f:2: vms[0]: must be keys with values, not one value"},
    {VM "\n    memroy: 5\n",
     "f:6: vms[0].memroy: no such key; there are name, cpus, memory, kernel, "
     "initrd, firmware, cmdline, engine, cpu, vlen, no_reboot, no_balloon, "
     "lazy_memory, virtio_console, disks, net, passthrough, weight, budget, pin, watchdog, "
     "on_failure, irq, address, trusted_dma, control, shared"},
    {VM "\n    address: 88000000\n",
     "f:6: vms[0].address: '88000000' is not an address; write 0x88000000"},
    {VM "\n    shared: [ { name: box, size: 3K } ]\n",
     "f:6: vms[0].shared[0].size: write a power of two from 4K to 64M, as 64K"},
    {VM "\n    trusted_dma: maybe\n",
     "f:6: vms[0].trusted_dma: 'maybe' is neither true nor false; write one of the two"},
    {"vms:\n  - memory: 12X\n", "f:2: vms[0].memory: '12X' is not a size; write 512M or 2G"},
    {VM "  - name: b\n    kernel: k\n    memory: 12X\n",
     "f:7: vms[1].memory: '12X' is not a size; write 512M or 2G"},
    {"vms:\n  - name: a\n    kernel: k\n    memory:\n      - 1\n",
     "f:4: vms[0].memory: must be one value, not a list"},
    {"vms:\n  - name: a\n    kernel: k\n", "f:2: vms[0].memory: is missing or 0; write 512M or 2G"},
    {"vms:\n  - name: a\n    memory: 1M\n    kernel: k\n",
     "f:3: vms[0].memory: 1M is less than 8M; give it more, as 512M"},
    {"vms:\n  - memory: 16M\n    kernel: k\n",
     "f:2: vms[0].name: is missing; write one, as name: web"},
    {"vms:\n  - name: a\n    memory: 16M\n",
     "f:2: vms[0].kernel: is missing; name a kernel or a firmware"},
    {VM "    cpus: many\n", "f:5: vms[0].cpus: 'many' is not a number of CPUs; write 1 to 64"},
    {VM "    cpus: 65\n", "f:5: vms[0].cpus: '65' is not a number of CPUs; write 1 to 64"},
    {VM "    cpus: 1\n    cpus: 2\n", "f:6: vms[0].cpus: is written twice; keep one"},
    {VM "    no_reboot: maybe\n",
     "f:5: vms[0].no_reboot: 'maybe' is neither true nor false; write one of the two"},
    {VM "    engine: fast\n",
     "f:5: vms[0].engine: 'fast' is not an engine; write interp, jit or kvm"},
    {VM "    cpu: rva99\n", "f:5: vms[0].cpu: 'rva99' is no model; write rv64gc, rva22 or rva23 "
                            "(and +zkn, +zkr behind one of the last two)"},
    {VM "    cpu: rva22+zkr+zkr\n", "f:5: vms[0].cpu: 'rva22+zkr+zkr' is no model; write rv64gc, "
                                    "rva22 or rva23 (and +zkn, +zkr behind one of the last two)"},
    {VM "    cpu: rv64gc+zkn\n", "f:5: vms[0].cpu: 'rv64gc+zkn' is no model; write rv64gc, rva22 "
                                 "or rva23 (and +zkn, +zkr behind one of the last two)"},
    {VM "    vlen: 100\n",
     "f:5: vms[0].vlen: '100' is no length of vector registers; write 128, 256 or 512"},
    {VM "    cpu: rv64gc\n    vlen: 256\n",
     "f:6: vms[0].vlen: the model 'rv64gc' has no vector registers; leave it out"},
    {VM "  - name: a\n    memory: 16M\n    kernel: k\n",
     "f:5: vms[1].name: vms[0] has the same name; give each its own"},
    {VM "    disks:\n      - path: x\n      - readonly: true\n",
     "f:7: vms[0].disks[1].path: is missing; name a file"},
    {VM "    disks: x.raw\n", "f:5: vms[0].disks: must be a list, not one value"},
    {VM "    disks:\n    - path: x\n      size: 5\n",
     "f:7: vms[0].disks[0].size: no such key; there are path, readonly, serial, fresh"},
    {VM "    disks: [{path: a},{path: b},{path: c},{path: d},{path: e},{path: f},{path: g}]\n",
     "f:5: vms[0].disks: has more than 6 entries; leave some out"},
    {VM "    disks:\n    - path: x\n    - path: x\n",
     "f:7: vms[0].disks[1].path: disks[0] is the same file; give each its own, or make both "
     "readonly"},
    {VM "    net:\n    - kind: bridge\n",
     "f:6: vms[0].net[0].kind: 'bridge' is not a kind of network; write user, tap or switch"},
    {VM "    net:\n    - kind: tap\n",
     "f:6: vms[0].net[0].ifname: is missing; name the tap device"},
    {VM "    net:\n    - forward:\n      - tcp:1:2\n      - nonsense\n",
     "f:8: vms[0].net[0].forward[1]: 'nonsense' is not a port forward; write "
     "tcp:127.0.0.1:8080:80 (host address, host port, guest port)"},
    {VM "    net:\n    - forward:\n      - tcp:1:2\n      - tcp:1:3\n",
     "f:8: vms[0].net[0].forward[1]: host port 1 is forwarded twice; choose another"},
    {VM "    net:\n    - mac: 1:2\n",
     "f:6: vms[0].net[0].mac: '1:2' is not a MAC address; write it like 52:54:00:12:34:56"},
    {VM "    initrd:\n", "f:5: vms[0].initrd: is empty; name a file or leave it out"},
    {"vms:\n  - name: &x a\n    memory: 16M\n    kernel: k\n    cmdline: *x\n",
     "f:5: vms[0].cmdline: aliases (*name) are not supported; write the value out"},
    {VM "---\n" VM, "f:6: holds a second document ('---'); write one only"},
};

static void each_mistake_gets_one_line_with_file_line_and_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct config *config = (struct config *)&config;
        struct problem problem = {.text = ""};
        int error = config_read_bytes(&config, "f", "", mistakes[i].yaml, strlen(mistakes[i].yaml),
                                      &problem);
        assert_string_equal(problem.text, mistakes[i].line);
        assert_int_equal(error, -E_INVAL);
        assert_null(config);
    }
}

static void broken_yaml_is_answered_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *begin;
    } broken[] = {
        {"vms:\n  - name: \"a\n", "f:3: is not YAML: "},
        {"vms:\n  - name: a\n   memory: 5\n", "f:3: is not YAML: "},
        {"vms: [\n", "f:2: is not YAML: "},
        {"vms:\n\t- name: a\n", "f:2: is not YAML: "},
        {"vms: \xff\n", "f:1: is not a text in UTF-8"},
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct config *config;
        struct problem problem = {.text = ""};
        assert_int_equal(
            config_read_bytes(&config, "f", "", broken[i].yaml, strlen(broken[i].yaml), &problem),
            -E_INVAL);
        if (strncmp(problem.text, broken[i].begin, strlen(broken[i].begin)) != 0)
            fail_msg("'%s' does not begin with '%s'", problem.text, broken[i].begin);
        assert_null(strchr(problem.text, '\n'));
    }
}

static void missing_files_are_named_with_their_key(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_config.XXXXXX";
    char path[64], kernel[64], expected[200];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/fleet.yaml", folder);
    snprintf(kernel, sizeof(kernel), "%s/k", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("vms:\n  - name: a\n    memory: 16M\n    kernel: k\n    initrd: .\n", file);
    fclose(file);

    struct config *config;
    struct problem problem;
    assert_int_equal(config_read(&config, path, false, &problem), -E_INVAL);
    snprintf(expected, sizeof(expected), "%s:4: vms[0].kernel: %s: no such file; check the path",
             path, kernel);
    assert_string_equal(problem.text, expected);

    file = fopen(kernel, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(config_read(&config, path, false, &problem), -E_INVAL);
    snprintf(expected, sizeof(expected),
             "%s:5: vms[0].initrd: %s/.: is a folder, not a file; name a file in it", path, folder);
    assert_string_equal(problem.text, expected);

    file = fopen(path, "w");
    assert_non_null(file);
    fputs("vms:\n  - name: a\n    memory: 16M\n    kernel: k\n", file);
    fclose(file);
    assert_int_equal(config_read(&config, path, false, &problem), 0);
    assert_string_equal(config_fleet(config)->vms[0].kernel, kernel);
    config_free(config);

    unlink(path);
    assert_int_equal(config_read(&config, path, false, &problem), -E_NOENT);
    snprintf(expected, sizeof(expected), "description %s: no such file; check the path", path);
    assert_string_equal(problem.text, expected);
    unlink(kernel);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(size_takes_units_and_plain_bytes),
        cmocka_unit_test(size_refuses_what_is_not_one),
        cmocka_unit_test(disk_takes_options_after_its_path),
        cmocka_unit_test(disk_names_a_wrong_option),
        cmocka_unit_test(net_takes_forwards_and_mac),
        cmocka_unit_test(net_refuses_what_does_not_belong_together),
        cmocka_unit_test(forward_defaults_to_loopback),
        cmocka_unit_test(forward_refuses_bad_ports_and_addresses),
        cmocka_unit_test(file_fills_every_field),
        cmocka_unit_test(bare_metal_devices_are_read),
        cmocka_unit_test(each_mistake_gets_one_line_with_file_line_and_key),
        cmocka_unit_test(broken_yaml_is_answered_with_its_line),
        cmocka_unit_test(missing_files_are_named_with_their_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
