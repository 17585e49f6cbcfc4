/* A board like QEMU's virt, described by our own writer: harts with a PLIC, a CLINT, memory, and
 * devices. */
#ifndef TESTS_UNIT_PLAN_BOARD_H
#define TESTS_UNIT_PLAN_BOARD_H

#include "core/fdt.h"

#include <stdbool.h>
#include <stdint.h>

#define BOARD_PLIC_PHANDLE 200u
#define BOARD_FIRST_HART   4u /* ids begin here, so that numbers and ids differ */

static inline void board_device(struct fdt_writer *w, const char *name, uint64_t address,
                                uint64_t size, const char *compatible, uint32_t line)
{
    fdt_node_at(w, name, address);
    fdt_put_str(w, "compatible", compatible);
    fdt_put_reg64(w, address, size);
    if (line != 0) {
        fdt_put_u32(w, "interrupts", line);
        fdt_put_u32(w, "interrupt-parent", BOARD_PLIC_PHANDLE);
    }
    fdt_end(w);
}

static inline void board_harts(struct fdt_writer *w, unsigned harts)
{
    fdt_node(w, "cpus");
    fdt_put_u32(w, "#address-cells", 1);
    fdt_put_u32(w, "#size-cells", 0);
    fdt_put_u32(w, "timebase-frequency", 10000000);
    for (unsigned h = 0; h < harts; h++) {
        fdt_node_at(w, "cpu", BOARD_FIRST_HART + h);
        fdt_put_str(w, "device_type", "cpu");
        fdt_put_u32(w, "reg", BOARD_FIRST_HART + h);
        fdt_put_u32(w, "phandle", 50 + h);
        fdt_node(w, "interrupt-controller");
        fdt_put_u32(w, "#interrupt-cells", 1);
        fdt_put_u32(w, "phandle", 100 + h);
        fdt_end(w);
        fdt_end(w);
    }
    fdt_end(w);
}

/* interrupts-extended with two outputs to each hart. */
static inline void board_outputs(struct fdt_writer *w, unsigned harts, uint32_t first,
                                 uint32_t second)
{
    uint32_t cells[4 * 64];
    for (unsigned h = 0; h < harts; h++) {
        cells[4 * h] = cells[4 * h + 2] = 100 + h;
        cells[4 * h + 1] = first;
        cells[4 * h + 3] = second;
    }
    fdt_put_cells(w, "interrupts-extended", cells, 4 * (size_t)harts);
}

/* Its size. `memory` bytes begin at 0x80000000; the first 64 KiB of the last MiB are reserved. */
static inline long board_write(void *buf, size_t capacity, unsigned harts, uint64_t memory)
{
    struct fdt_writer w;
    fdt_begin(&w, buf, capacity);
    fdt_node(&w, "");
    fdt_put_u32(&w, "#address-cells", 2);
    fdt_put_u32(&w, "#size-cells", 2);
    fdt_put_str(&w, "compatible", "riscv-virtio");
    fdt_node(&w, "chosen");
    fdt_put_str(&w, "stdout-path", "/soc/serial@10000000:115200");
    fdt_end(&w);
    fdt_node_at(&w, "memory", 0x80000000);
    fdt_put_str(&w, "device_type", "memory");
    fdt_put_reg64(&w, 0x80000000, memory);
    fdt_end(&w);
    fdt_node(&w, "reserved-memory");
    fdt_put_u32(&w, "#address-cells", 2);
    fdt_put_u32(&w, "#size-cells", 2);
    fdt_put_empty(&w, "ranges");
    fdt_node(&w, "old");
    fdt_put_reg64(&w, 0x80000000 + memory - (1 << 20), 65536);
    fdt_end(&w);
    fdt_end(&w);
    board_harts(&w, harts);
    fdt_node(&w, "soc");
    fdt_put_u32(&w, "#address-cells", 2);
    fdt_put_u32(&w, "#size-cells", 2);
    fdt_put_str(&w, "compatible", "simple-bus");
    fdt_put_empty(&w, "ranges");
    board_device(&w, "test", 0x100000, 0x1000, "sifive,test0", 0);
    board_device(&w, "rtc", 0x101000, 0x1000, "google,goldfish-rtc", 11);
    board_device(&w, "serial", 0x10000000, 0x100, "ns16550a", 10);
    for (unsigned i = 1; i <= 8; i++)
        board_device(&w, "virtio_mmio", 0x10000000 + 0x1000 * (uint64_t)i, 0x1000, "virtio,mmio",
                     i);
    /* Two that share a page, and one far away. */
    board_device(&w, "gpio", 0x10060000, 0x100, "sifive,gpio0", 20);
    board_device(&w, "pwm", 0x10060100, 0x100, "sifive,pwm0", 21);
    board_device(&w, "flash", 0x20000000, 0x4000000, "cfi-flash", 0);
    fdt_node_at(&w, "plic", 0xc000000);
    fdt_put_str(&w, "compatible", "riscv,plic0");
    fdt_put_reg64(&w, 0xc000000, 0x600000);
    fdt_put_u32(&w, "riscv,ndev", 96);
    fdt_put_u32(&w, "#interrupt-cells", 1);
    fdt_put_u32(&w, "#address-cells", 0);
    fdt_put_u32(&w, "phandle", BOARD_PLIC_PHANDLE);
    board_outputs(&w, harts, 11, 9);
    fdt_end(&w);
    fdt_node_at(&w, "clint", 0x2000000);
    fdt_put_str(&w, "compatible", "riscv,clint0");
    fdt_put_reg64(&w, 0x2000000, 0x10000);
    board_outputs(&w, harts, 3, 7);
    fdt_end(&w);
    fdt_end(&w);
    fdt_end(&w);
    return fdt_finish(&w);
}

#endif
