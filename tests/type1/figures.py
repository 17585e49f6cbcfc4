"""What the type 1 hypervisor costs: counts of instructions (QEMU -icount), bytes of image and memory, with their limits.

Run by itself it prints what it measures besides the operations, which bench/ops.sh prints: see bench/type1.sh.
"""

import os
import re
import sys

if __name__ == "__main__":
    del sys.argv[1:]
from main import BUILD, HYPERVISOR, Board, Failed, test, tiny

OPS = os.path.join(BUILD, "guests", "ops.bin")
COUNTED = ("-icount", "shift=0,sleep=off")  # an instruction is a nanosecond

IMAGE_BYTES = 128 << 10
DISKS = 6  # SPEC_DISKS_MAX
MEMORY_KIB = 1024  # and for each guest its root and page tables
BOOT_INSTRUCTIONS = 400000
# Instructions for one operation, by QEMU's (without htinst, with instruction fetch; with htinst: fewer).
LIMITS = {
    "hypercall": 100,
    "hypercall-table": 165,
    "set-timer": 120,
    "ipi-self": 130,
    "rfence-self": 125,
    "plic-read": 250,
    "plic-write": 250,
    "stimecmp": 4,
    "rdtime": 4,
    "cpu": 1.02 * 5002,  # 625 rounds of 8, and the loop
}


def operations(board, harts=1):
    board.bundle(dict(name="ops", cpus=1, memory="64M", kernel=OPS, cmdline='"loops=2000"'))
    process = board.start(harts=harts, devices=COUNTED)
    process.expect("ops: done")
    found = {}
    for name, count, damage in re.findall(r"op ([a-z0-9+-]+) ticks .* insns/op ([0-9.]+)( FP)?", process.text()):
        if damage:
            raise Failed(f"{name}: floating-point registers changed")
        found[name] = float(count)
    return found


def boot_instructions(board):
    """From the hypervisor's first instruction to the guest's; with and without what clears the guest's 64 MiB."""
    board.bundle(tiny("one", "hold"))
    process = board.start(harts=1, devices=COUNTED)
    process.expect(r"one\| \S*report: tick 1\b")
    process.send("boot\r")
    process.expect(r"one +began \d+ us after the hypervisor, \d+ us of it to clear")
    began, cleared = map(int, re.findall(r"one +began (\d+) us after the hypervisor, (\d+) us", process.text())[-1])
    return began * 1000, (began - cleared) * 1000


def memory(board, disks):
    """KiB in use with three guests, each with so many disks in memory, and KiB of their tables."""
    names = [board.file(f"{i}.raw", b"") for i in range(disks)]
    more = {"disks": "[ " + ", ".join(f"{{ path: {name} }}" for name in names) + " ]"} if disks else {}
    board.bundle(*[tiny(name, "hold", **more) for name in ("one", "two", "three")])
    process = board.start()
    process.expect_each(*(name + r"\| \S*report: tick 1\b" for name in ("one", "two", "three")))
    process.send("memory\r")
    process.expect(r"hypervisor \d+ KiB; largest")
    used = int(re.search(r"hypervisor (\d+) KiB; largest", process.text())[1])
    return used, sum(map(int, re.findall(r"tables (\d+) KiB", process.text())))


@test()
def operations_cost_no_more_than_they_may(board):
    found = operations(board)
    for name, limit in LIMITS.items():
        for variant in ("", "+fp", "+pending"):
            if name + variant not in found:
                raise Failed(f"{name}{variant} was not measured")
            if found[name + variant] > limit:
                raise Failed(f"{name}{variant} takes {found[name + variant]} instructions, {limit} are allowed")


@test()
def the_image_is_small(board):
    size = os.path.getsize(HYPERVISOR)
    if size > IMAGE_BYTES:
        raise Failed(f"the image has {size} bytes, {IMAGE_BYTES} are allowed")


@test()
def little_memory_is_used_for_three_guests(board):
    used, tables = memory(board, disks=0)
    if used - tables > MEMORY_KIB:
        raise Failed(f"{used} KiB are used, {tables} of them tables; {MEMORY_KIB} are allowed without those")


@test()
def little_memory_is_used_for_three_guests_with_all_the_disks_they_may_have(board):
    used, tables = memory(board, disks=DISKS)
    if used - tables > MEMORY_KIB:
        raise Failed(f"{used} KiB are used, {tables} of them tables; {MEMORY_KIB} are allowed without those")


@test()
def a_guest_begins_soon(board):
    count = boot_instructions(board)[1]
    if count > BOOT_INSTRUCTIONS:
        raise Failed(f"{count} instructions until the guest began, {BOOT_INSTRUCTIONS} are allowed")


def each(measure):
    board = Board()
    try:
        return measure(board)
    finally:
        board.close()


if __name__ == "__main__":
    whole, rest = each(boot_instructions)
    used, tables = each(lambda board: memory(board, disks=0))
    used_with_disks, tables_with_disks = each(lambda board: memory(board, disks=DISKS))
    print(f"| image, bytes | {os.path.getsize(HYPERVISOR):,} | {IMAGE_BYTES:,} |")
    print(f"| memory with three guests, KiB, page tables apart | {used - tables:,} | {MEMORY_KIB:,} |")
    print(f"| the same, each with {DISKS} disks in memory | {used_with_disks - tables_with_disks:,} | {MEMORY_KIB:,} |")
    print(f"| page tables of three guests of 64 MiB, KiB | {tables} | |")
    print(f"| entry to first guest instruction, 64 MiB, clearing apart | {rest:,} | 400,000 |")
    print(f"| the same with clearing the 64 MiB | {whole:,} | |")
