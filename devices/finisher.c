#include "devices/finisher.h"

static int finisher_read(void *device, uint64_t offset, unsigned width, uint64_t *value)
{
    (void)device;
    (void)offset;
    (void)width;
    *value = 0;
    return 0;
}

static int finisher_write(void *device, uint64_t offset, unsigned width, uint64_t value)
{
    (void)width;
    struct finisher *finisher = device;
    uint32_t event = value & 0xffff;
    if (offset == 0 &&
        (event == FINISHER_PASS || event == FINISHER_FAIL || event == FINISHER_RESET))
        finisher->finish(finisher->arg, (enum finisher_event)event, (value >> 16) & 0xffff);
    return 0;
}

const struct bus_ops finisher_bus_ops = {
    .read = finisher_read, .write = finisher_write, .widths = 2 | 4};

void finisher_init(struct finisher *finisher,
                   void (*finish)(void *arg, enum finisher_event event, uint32_t code), void *arg)
{
    finisher->finish = finish;
    finisher->arg = arg;
}

void finisher_fdt(const struct finisher *finisher, struct fdt_writer *w, uint64_t base,
                  uint32_t phandle)
{
    (void)finisher;
    static const char *const compatible[] = {"sifive,test1", "sifive,test0", "syscon"};
    fdt_node_at(w, "test", base);
    fdt_put_strs(w, "compatible", compatible, 3);
    fdt_put_reg64(w, base, FINISHER_SIZE);
    fdt_put_u32(w, "phandle", phandle);
    fdt_end(w);
}

static void power_node(struct fdt_writer *w, const char *name, const char *compatible,
                       uint32_t phandle, enum finisher_event event)
{
    fdt_node(w, name);
    fdt_put_str(w, "compatible", compatible);
    fdt_put_u32(w, "regmap", phandle);
    fdt_put_u32(w, "offset", 0);
    fdt_put_u32(w, "value", event);
    fdt_end(w);
}

void finisher_power_fdt(const struct finisher *finisher, struct fdt_writer *w, uint32_t phandle)
{
    (void)finisher;
    power_node(w, "poweroff", "syscon-poweroff", phandle, FINISHER_PASS);
    power_node(w, "reboot", "syscon-reboot", phandle, FINISHER_RESET);
}
