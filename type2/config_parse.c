#include "type2/config.h"

#include "core/error.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* A decimal number at *text, which is moved behind it. False: none there, or beyond 64 bits. */
static bool take_number(const char **text, uint64_t *value)
{
    const char *p = *text;
    uint64_t number = 0;
    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        unsigned digit = (unsigned)(*p - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *text = p;
    *value = number;
    return true;
}

int config_parse_size(const char *text, uint64_t *bytes, struct problem *problem)
{
    static const char units[] = "KMGT";
    const char *p = text;
    uint64_t number;
    unsigned shift = 0;

    if (!take_number(&p, &number))
        return problem_set(problem, -E_INVAL, "'%s' is not a size; write 512M or 2G", text);
    if (*p != 0) {
        const char *unit = strchr(units, *p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
        if (unit == NULL || (p[1] != 0 && strcmp(p + 1, "iB") != 0))
            return problem_set(problem, -E_INVAL, "'%s' is not a size; write 512M or 2G", text);
        shift = 10 * (unsigned)(unit - units + 1);
    }
    if (number > UINT64_MAX >> shift)
        return problem_set(problem, -E_INVAL, "'%s' is too large a size; write 512M or 2G", text);
    *bytes = number << shift;
    return 0;
}

int config_parse_cpus(const char *text, unsigned *cpus, struct problem *problem)
{
    const char *p = text;
    uint64_t number;
    if (!take_number(&p, &number) || *p != 0 || number < 1 || number > SPEC_CPUS_MAX)
        return problem_set(problem, -E_INVAL, "'%s' is not a number of CPUs; write 1 to %d", text,
                           SPEC_CPUS_MAX);
    *cpus = (unsigned)number;
    return 0;
}

int config_parse_vlen(const char *text, unsigned *vlen, struct problem *problem)
{
    const char *p = text;
    uint64_t number;
    if (!take_number(&p, &number) || *p != 0 || (number != 128 && number != 256 && number != 512))
        return problem_set(problem, -E_INVAL,
                           "'%s' is no length of vector registers; write 128, 256 or 512", text);
    *vlen = (unsigned)number;
    return 0;
}

int config_isa(const struct spec_vm *vm, struct riscv_isa *isa, struct problem *problem)
{
    if (!riscv_isa_of(vm->cpu, vm->vlen, isa))
        return problem_set(problem, -E_INVAL, "cpu: '%.20s' is no model; write %s", vm->cpu,
                           riscv_cpu_names);
    if (vm->vlen != 0 && isa->vlen == 0)
        return problem_set(problem, -E_INVAL,
                           "vlen: the model '%s' has no vector registers; leave it out",
                           vm->cpu != NULL ? vm->cpu : RISCV_CPU_DEFAULT);
    return 0;
}

int config_parse_mac(const char *text, uint8_t mac[6], struct problem *problem)
{
    unsigned bytes[6];
    int end = 0;
    size_t digits = strspn(text, "0123456789abcdefABCDEF:");
    if (digits != 17 || text[17] != 0 ||
        sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &bytes[0], &bytes[1], &bytes[2], &bytes[3],
               &bytes[4], &bytes[5], &end) != 6 ||
        end != 17)
        return problem_set(problem, -E_INVAL,
                           "'%s' is not a MAC address; write it like 52:54:00:12:34:56", text);
    if (bytes[0] & 1)
        return problem_set(problem, -E_INVAL,
                           "'%s' is a multicast address; the first byte must be even", text);
    for (unsigned i = 0; i < 6; i++)
        mac[i] = (uint8_t)bytes[i];
    return 0;
}

/* "8080", followed by `after`. Moves *text behind both. */
static bool take_port(const char **text, char after, uint16_t *port)
{
    uint64_t number;
    if (!take_number(text, &number) || number < 1 || number > UINT16_MAX || **text != after)
        return false;
    *text += after != 0 ? 1 : 0;
    *port = (uint16_t)number;
    return true;
}

int config_parse_forward(const char *text, struct spec_forward *forward, struct problem *problem)
{
    const char *p = text;
    struct spec_forward found = {.host_address = INADDR_LOOPBACK};

    if (strncmp(p, "udp:", 4) == 0)
        found.udp = true;
    else if (strncmp(p, "tcp:", 4) != 0)
        goto bad;
    p += 4;

    /* Three colons before the end: an address (which may be empty) comes first. */
    const char *first = strchr(p, ':');
    if (first != NULL && strchr(first + 1, ':') != NULL) {
        char address[INET_ADDRSTRLEN];
        struct in_addr in;
        size_t len = (size_t)(first - p);
        if (len >= sizeof(address))
            goto bad;
        memcpy(address, p, len);
        address[len] = 0;
        if (len > 0) {
            if (inet_pton(AF_INET, address, &in) != 1)
                goto bad;
            found.host_address = ntohl(in.s_addr);
        }
        p = first + 1;
    }
    if (!take_port(&p, ':', &found.host_port) || !take_port(&p, 0, &found.guest_port))
        goto bad;
    *forward = found;
    return 0;

bad:
    return problem_set(
        problem, -E_INVAL,
        "'%s' is not a port forward; write tcp:127.0.0.1:8080:80 (host address, host "
        "port, guest port)",
        text);
}

/* The value of `item` if it is "key=value", else NULL. */
static char *value_of(char *item, const char *key)
{
    size_t len = strlen(key);
    return strncmp(item, key, len) == 0 && item[len] == '=' ? item + len + 1 : NULL;
}

int config_parse_disk(char *text, struct spec_disk *disk, struct problem *problem)
{
    struct spec_disk found = {0};
    char *item = strsep(&text, ",");

    found.path = item;
    if (*item == 0)
        return problem_set(problem, -E_INVAL,
                           "a disk has no file; write data.raw or data.raw,readonly,serial=abc");
    while ((item = strsep(&text, ",")) != NULL) {
        char *serial = value_of(item, "serial");
        if (strcmp(item, "readonly") == 0) {
            found.readonly = true;
        } else if (serial != NULL) {
            if (strlen(serial) > 20)
                return problem_set(problem, -E_INVAL,
                                   "serial '%s' is longer than 20 characters; shorten it", serial);
            found.serial = serial;
        } else {
            return problem_set(problem, -E_INVAL,
                               "disk %s: '%s' is not an option; there are readonly and serial=TEXT",
                               found.path, item);
        }
    }
    *disk = found;
    return 0;
}

int config_parse_net(char *text, struct spec_net *net, struct problem *problem)
{
    struct spec_net found = {0};
    char *kind = strsep(&text, ",");
    char *item;

    if (strcmp(kind, "tap") == 0)
        found.kind = SPEC_NET_TAP;
    else if (strcmp(kind, "user") != 0)
        return problem_set(problem, -E_INVAL, "'%s' is not a kind of network; write user or tap",
                           kind);
    while ((item = strsep(&text, ",")) != NULL) {
        char *value;
        int error = 0;
        if ((value = value_of(item, "mac")) != NULL) {
            error = config_parse_mac(value, found.mac, problem);
        } else if ((value = value_of(item, "ifname")) != NULL && found.kind == SPEC_NET_TAP) {
            if (*value == 0 || strlen(value) > 15)
                error = problem_set(problem, -E_INVAL,
                                    "ifname '%s' must have 1 to 15 characters; write tap0", value);
            found.ifname = value;
        } else if ((value = value_of(item, "forward")) != NULL && found.kind == SPEC_NET_USER) {
            if (found.forward_count == SPEC_FORWARDS_MAX)
                error = problem_set(problem, -E_INVAL,
                                    "more than %d port forwards on one network; leave some out",
                                    SPEC_FORWARDS_MAX);
            else
                error =
                    config_parse_forward(value, &found.forwards[found.forward_count++], problem);
        } else {
            error = problem_set(
                problem, -E_INVAL,
                "'%s' is not an option of a %s network; there are %s and mac=ADDRESS", item, kind,
                found.kind == SPEC_NET_TAP ? "ifname=NAME" : "forward=tcp:ADDRESS:PORT:PORT");
        }
        if (error != 0)
            return error;
    }
    if (found.kind == SPEC_NET_TAP && found.ifname == NULL)
        return problem_set(problem, -E_INVAL,
                           "a tap network needs a device; write tap,ifname=tap0");
    *net = found;
    return 0;
}
