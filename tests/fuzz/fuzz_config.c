/*
 * Any bytes as fleet.yaml and as the command line's short forms: refused with one line of plain
 * text, or a description that survives being flattened.
 */
#include "tests/fuzz/fuzz.h"
#include "type2/config.h"

#include <stdlib.h>
#include <string.h>

static void expect_line(const struct problem *problem)
{
    if (problem->text[0] == 0)
        abort();
    for (const char *c = problem->text; *c != 0; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            abort();
}

static void try_file(const uint8_t *data, size_t size)
{
    static uint8_t blob[1 << 17];
    static struct spec_fleet copy;
    struct config *config;
    struct problem problem = {.text = ""};
    struct spec_problem spec_problem;

    if (config_read_bytes(&config, "f", "folder", data, size, &problem) != 0) {
        expect_line(&problem);
        return;
    }
    const struct spec_fleet *fleet = config_fleet(config);
    long flat = spec_flatten(fleet, blob, sizeof(blob));
    if (flat < 0 || spec_read(&copy, blob, (size_t)flat, &spec_problem) != 0 ||
        copy.vm_count != fleet->vm_count)
        abort();
    for (unsigned i = 0; i < copy.vm_count; i++)
        if (strcmp(copy.vms[i].name, fleet->vms[i].name) != 0 ||
            copy.vms[i].memory != fleet->vms[i].memory ||
            copy.vms[i].disk_count != fleet->vms[i].disk_count ||
            copy.vms[i].net_count != fleet->vms[i].net_count)
            abort();
    config_free(config);
}

static void try_short_forms(const uint8_t *data, size_t size)
{
    struct problem problem;
    struct spec_disk disk;
    struct spec_net net;
    struct spec_forward forward;
    uint64_t bytes;
    uint8_t mac[6];
    char *text = malloc(size + 1);

    if (text == NULL)
        abort();
    memcpy(text, data, size);
    text[size] = 0;
    if (config_parse_size(text, &bytes, &problem) != 0)
        expect_line(&problem);
    if (config_parse_mac(text, mac, &problem) != 0)
        expect_line(&problem);
    if (config_parse_forward(text, &forward, &problem) != 0)
        expect_line(&problem);
    else if (forward.host_port == 0 || forward.guest_port == 0)
        abort();
    if (config_parse_disk(text, &disk, &problem) != 0)
        expect_line(&problem);
    memcpy(text, data, size);
    if (config_parse_net(text, &net, &problem) != 0)
        expect_line(&problem);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_file(data, size);
    try_short_forms(data, size);
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *buf, size_t capacity)
{
    static const char *const seeds[] = {
        "vms:\n"
        "  - name: web\n"
        "    cpus: 2\n"
        "    memory: 512M\n"
        "    kernel: vmlinux\n"
        "    initrd: initrd.img\n"
        "    cmdline: console=ttyS0\n"
        "    engine: interp\n"
        "    no_reboot: true\n"
        "    virtio_console: yes\n"
        "    disks: [ { path: web.raw, readonly: true, serial: abc } ]\n"
        "    net:\n"
        "      - kind: user\n"
        "        mac: 52:54:00:12:34:56\n"
        "        forward: [\"tcp:127.0.0.1:8080:80\"]\n"
        "      - { kind: tap, ifname: tap0 }\n"
        "  - name: db\n"
        "    memory: 1G\n"
        "    firmware: fw.bin\n",
        "vms: [{name: a, memory: 8M, kernel: \"k\\x41\"}]\n# end\n",
        "data.raw,readonly,serial=abc",
        "user,forward=tcp:127.0.0.1:2222:22,mac=52:54:00:12:34:56",
        "tap,ifname=tap0",
        "tcp::8080:80",
        "1048576K",
        "52:54:00:12:34:56",
    };
    if (index >= sizeof(seeds) / sizeof(seeds[0]) || strlen(seeds[index]) > capacity)
        return 0;
    memcpy(buf, seeds[index], strlen(seeds[index]));
    return strlen(seeds[index]);
}
