"""Boards, bundles and guests that are not as they should be: a plain line each, and the other guests start."""

import os
import re
import struct
import subprocess

from main import HYPERVISOR, OWN, QEMU, Failed, Skipped, test, tiny


@test()
def an_initrd_that_does_not_fit_leaves_the_others_running(board):
    board.bundle(dict(tiny("small", memory="16M"), initrd=board.file("initrd", b"x", 32 << 20)), tiny("one"))
    process = board.start()
    process.expect(r"small: the initrd needs 32 MiB but only \d+ KiB are left")
    process.expect(r"one\| \S*report: done")


@test()
def an_image_of_nonsense_leaves_the_others_running(board):
    board.bundle(tiny("bad"), tiny("one", cpus=2))
    with open(board.image, "rb") as file:
        image = bytearray(file.read())
    # The first kernel is shared by both: a copy for the first only, with its first instructions lost.
    bad = board.file("bad.bin", b"")
    with open(tiny("x")["kernel"], "rb") as source, open(bad, "wb") as target:
        kernel = source.read()
        target.write(kernel[:64] + os.urandom(len(kernel) - 64))
    board.bundle(dict(tiny("bad"), kernel=bad), tiny("one", cpus=2))
    process = board.start()
    process.expect(r"one\| \S*report: done")
    process.send("list\r")
    process.expect(r"bad +(running|failed|off)")
    process.send("poweroff\r")
    process.ends(0)


@test()
def a_bundle_that_ends_behind_the_memory_is_refused_in_one_line(board):
    board.bundle(tiny("one"))
    with open(HYPERVISOR, "rb") as file:
        at = struct.unpack_from("<Q", file.read(24), 16)[0]
    with open(board.image, "r+b") as file:
        data = file.read()
        if data[at : at + 8] != b"TRIVBNDL":
            at = data.index(b"TRIVBNDL\1\0\0\0")
        file.seek(at + 16)
        file.write(struct.pack("<Q", 1 << 30))  # the board has 512 MiB
    process = board.start()
    process.expect("the bundle behind the hypervisor is damaged, or the memory ends before it; nothing is started")
    process.ends(1)


@test()
def a_bundle_with_any_byte_of_its_description_damaged_starts_or_is_refused(board):
    board.bundle(tiny("one", "parts=1"), tiny("two", "parts=1"))
    with open(board.image, "rb") as file:
        good = file.read()
    at = good.index(b"TRIVBNDL\1\0\0\0")
    spec, size = struct.unpack_from("<QQ", good, at + 40)
    for step in range(6):
        image = bytearray(good)
        where = at + spec + 8 + (size - 8) * step // 6
        image[where : where + 4] = b"\xff\xff\xff\xff"
        with open(board.image, "wb") as file:
            file.write(image)
        process = board.start()
        process.expect("goes off|nothing is started|cannot be used|is damaged")
        if process.says("PANIC"):
            raise Failed(f"a byte at {step}/6 of the description makes the hypervisor panic")
        process.destroy()


def edited_board(board, edit, harts=2, memory="512M", cpu="rv64"):
    """QEMU's device tree after `edit` of its source: options for board.start."""
    tree = os.path.join(board.dir, "board")
    options = ["-M", f"virt,dumpdtb={tree}.dtb", "-cpu", cpu, "-smp", str(harts), "-m", memory, "-display", "none"]
    subprocess.run([*QEMU, *options], check=True, capture_output=True)
    subprocess.run(["dtc", "-I", "dtb", "-O", "dts", "-o", tree + ".dts", tree + ".dtb"], check=True, capture_output=True)
    with open(tree + ".dts") as file:
        source = file.read()
    edited = edit(source)
    if edited == source:
        raise Failed("the device tree is not what the test was written for")
    with open(tree + ".dts", "w") as file:
        file.write(edited)
    subprocess.run(["dtc", "-I", "dts", "-O", "dtb", "-o", tree + ".dtb", tree + ".dts"], check=True, capture_output=True)
    return ["-dtb", tree + ".dtb"]


def more_memory(base, size):
    node = f'memory@{base:x} {{ device_type = "memory"; reg = <0x0 {base:#x} 0x0 {size:#x}>; }};\n'
    return lambda source: source[: source.rindex("};")] + node + source[source.rindex("};") :]


@test()
def memory_that_the_board_names_twice_is_given_out_once(board):
    board.bundle(tiny("one", memory="256M"), tiny("two", memory="256M"))
    process = board.start(devices=edited_board(board, more_memory(0x90000000, 0x10000000)))
    process.expect(r"2 harts, 51\d MiB")
    process.expect("two: needs 256 MiB of memory in one piece but only")
    process.expect(r"one\| \S*report: done")


def image_offset(process):
    """Where in the image the hypervisor trapped, which must be in its text."""
    match = process.expect(r"pc [0-9a-f]+ \(image \+ ([0-9a-f]+)\)")
    if not 0 < int(match[1], 16) < os.path.getsize(HYPERVISOR):
        raise Failed("pc is not in the image")


@test()
def a_trap_of_the_hypervisor_names_cause_address_pc_and_guest(board):
    # Memory that only the tree knows: the first guest's, which is cleared for it.
    board.bundle(tiny("one", memory="128M"))
    process = board.start(devices=edited_board(board, more_memory(0xA0000000, 0x8000000)))
    process.expect(r"PANIC: the hypervisor trapped: store access fault \(cause 7\)")
    image_offset(process)
    process.expect(r"address a[0-7][0-9a-f]{6} ")
    process.expect(r"hart \d \(index \d\), running task one\r")
    process.expect(r"x29 [0-9a-f]{16}  x30 ")
    process.ends(1)


@test()
def a_hart_that_lacks_what_the_boot_hart_has_is_left_out(board):
    board.bundle(tiny("one", cpus=2))

    def each_lacks_one(source):
        """Whichever boots has what the other lacks."""
        before, *cpus = source.split("cpu@")
        for number, name in enumerate(("zba", "zbb")):
            cpus[number] = re.sub(f'_{name}|"{name}", |{name}\\\\0', "", cpus[number])
        return "cpu@".join((before, *cpus))

    process = board.start(devices=edited_board(board, each_lacks_one))
    process.expect(r"hart \d is left out: the hart that boots has zb[ab], this one not")
    process.expect("1 hart, ")
    process.expect(r"one\| \S*report: done")
    process.ends(0)


@test()
def the_console_is_what_stdout_path_names_by_an_alias(board):
    board.bundle(tiny("one"))

    def with_alias(source):
        """Before the UART that the alias names is one that is not there."""
        at = source.index("serial@10000000 {")
        end = source.index("};", at) + 2
        bad = source[at:end].replace("10000000", "11000000")
        named = re.sub(r"stdout-path = .*", 'stdout-path = "serial0:115200n8";', source[:at] + bad + source[at:])
        end = named.rindex("};")
        if "aliases {" in named:  # those of QEMU 10 are the same
            return named
        return named[:end] + 'aliases { serial0 = "/soc/serial@10000000"; };\n' + named[end:]

    process = board.start(devices=edited_board(board, with_alias))
    process.expect(r"one\| \S*report: done")
    process.ends(0)


@test()
def without_a_uart_that_it_knows_the_firmware_is_the_console(board):
    board.bundle(tiny("one", "hold"))

    def other_uart(source):
        """One whose registers are the other way round in memory: the firmware does not look at that word."""
        at = source.index("serial@10000000 {") + len("serial@10000000 {")
        return source[:at] + " big-endian; " + source[at:]

    process = board.start(devices=edited_board(board, other_uart))
    process.expect(r"one\| \S*report: tick 2\b")
    process.send("list\r")
    process.expect(r"one +.*running")
    process.send("stop one\r")
    process.expect("one: is off")


@test()
def a_console_that_traps_is_reported_by_the_firmware(board):
    board.bundle(tiny("one"))

    def second_uart(source):
        """Where nothing is. The firmware prefers the other one, which is first and a plain ns16550."""
        at = source.index("serial@10000000 {")
        end = source.index("};", at) + 2
        real = source[at:end].replace('"ns16550a"', '"ns16550"')
        bad = source[at:end].replace("10000000", "11000000")
        return re.sub(r"stdout-path = .*", "", source[:at] + real + bad + source[end:])

    process = board.start(devices=edited_board(board, second_uart))
    process.expect(r"PANIC within a panic:")
    process.expect(r"PANIC: the hypervisor trapped: (load|store) access fault \(cause [57]\)")
    image_offset(process)
    process.expect(r"address 1100000[0-7] ")
    process.ends(1)


@test()
def devices_that_others_depend_on_are_not_passed_to_a_guest(board):
    if OWN:
        raise Skipped("our own board has no PCI")
    refused = {
        "plic@c000000": "it is an interrupt controller",
        "clint@2000000": "it is the harts' timer or IPIs",
        "serial@10000000": "the hypervisor uses it",
        "test@100000": "it switches the board off",
        "memory@80000000": "that is memory",
        "pci@30000000": "there is no IOMMU for it",
    }
    guests = [dict(tiny(f"g{n}", memory="16M"), passthrough=f"[ {{ device: {node} }} ]") for n, node in enumerate(refused)]
    twice = (("first", "rtc@101000"), ("second", "/soc/rtc@101000"))
    rtc = [dict(tiny(name, memory="16M"), passthrough=f"[ {{ device: {node} }} ]") for name, node in twice]
    board.bundle(*guests, *rtc)
    process = board.start()
    for n, (node, why) in enumerate(refused.items()):
        process.expect(rf"trivisor: g{n}: {node} cannot be passed on: {why}")
    process.expect("first: has the board's rtc@101000")
    process.expect("second: /soc/rtc@101000 cannot be passed on: it is given already")
    process.expect(r"first\| \S*report: done")
