"""What a partition leaves behind in a hart, types into a UART that it has, or draws on others' lines: guests/leak."""

import os
import re
import struct

from main import BUILD, FIRMWARE, OLD, Failed, test, tiny

LEAK = os.path.join(BUILD, "guests", "leak.bin")


def leak(name, cmdline, **more):
    return dict(name=name, cpus=1, memory="32M", kernel=LEAK, cmdline=cmdline, **more)


@test()
def nothing_in_a_hart_is_anothers_or_left_from_before_a_restart(board):
    """The seeds differ in all bits, so that both values of each are seen."""
    cpu = "rv64,h=true,sscofpmf=true" + ("" if OLD else ",smstateen=true")
    for harts in (1, 2):
        board.bundle(leak("one", "seed=85 reboot=1"), leak("two", "seed=170 reboot=1"))
        process = board.start(harts=harts, cpu=cpu)
        for name in ("one", "two"):
            for _ in range(2):
                process.expect(rf"{name}: reboots", 60)
        found = re.findall(r"(\d+) CSRs there, (\d+) used before, (\d+) changed, counters (\d+)", process.text())
        if len(found) < 4 or any(int(there) < 3 or int(a) + int(b) + int(c) != 0 for there, a, b, c in found):
            raise Failed(f"on {harts} harts: {found}")
        process.popen.kill()


@test()
def a_partition_that_has_the_uart_cannot_type_commands(board):
    """By the loopback of the UART, which the firmware would read if it did so at all."""
    board.bundle(tiny("quiet", "hold"), leak("types", "mode=type reboot=1", passthrough="[ { device: serial@10000000 } ]"))
    process = board.start(harts=2)
    for _ in range(2):
        process.expect("leak: all keys are here", 60)
    process.send("poweroff\r")
    for _ in range(2):
        process.expect("leak: ", 60)
    process.expect("leak: all keys are here", 60)
    if process.says("is off|reboots"):
        raise Failed("the firmware took keys, or said something by a UART that is not its own")


@test()
def what_a_partition_draws_stays_on_its_line(board):
    board.bundle(leak("draws", "mode=draw"))
    process = board.start(harts=1)
    process.expect("draws: is off", 60)
    if b"draws| \x1b[0mabcdefgh\r\n" not in process.console:
        raise Failed("escape sequences or control characters got through, or text was lost")


@test()
def a_pci_function_is_no_bus_master_when_its_partition_begins_anew(board):
    passed = dict(passthrough="[ { device: pci@30000000 } ]", trusted_dma="true")
    board.bundle(leak("owner", "mode=dma reboot=1", **passed))
    process = board.start(harts=1, devices=["-device", "virtio-rng-pci"])
    process.expect("owner: has pci@30000000; there is no IOMMU, so its DMA is trusted", 60)
    process.expect("leak: command 1 0x0*6", 60)
    process.expect("owner: reboots", 60)
    process.expect("leak: command 0 0x0*2", 60)


@test()
def what_the_loader_leaves_in_a2_may_be_anything(board):
    """Neither aligned nor memory: the payload is where fw_jump has it."""
    for a2 in (0x80000001, 0xDEADBEEF00, 0x8000000000000000):
        # Instead of the ROM: from address 0x1000, a0 = hart, a1 = tree, a2, to the firmware.
        stub = board.file("stub.bin", start_with(a2), 4096)
        loaded = ["-device", f"loader,file={stub},addr=0x83000000,cpu-num=0,force-raw=on"]
        loaded += ["-device", f"loader,file={tiny('x')['kernel']},addr=0x80200000,force-raw=on"]
        process = board.start(harts=1, firmware=FIRMWARE, devices=loaded)
        process.expect("type 0, 1 hart", 60)
        process.expect("report: done", 60)
        process.popen.kill()


def start_with(a2):
    """The device tree of QEMU's virt is where the ROM's words at 0x1020 say; the firmware is at 0x80000000."""
    code = [0xF1402573, 0x000012B7, 0x0202B583]  # csrr a0, mhartid; lui t0, 1; ld a1, 32(t0)
    code += [0x00000317, 0x01433603, 0x0010029B, 0x01F29293, 0x00028067]  # auipc t1, 0; ld a2, 20(t1); li t0, 1 << 31; jr
    return struct.pack("<8IQ", *code, a2)
