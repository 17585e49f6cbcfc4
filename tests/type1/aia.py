"""The Advanced Interrupt Architecture: guests with interrupt files of their own, in harts and in memory."""

import os
import re

from load import SEED, storm
from main import OWN, Failed, Skipped, board_devices, checksum_by_type2, debian, sha256, test, tiny

# Tasks that hop between the guest's harts, so that IPIs and moves of files go on while a disk is read.
BUSY = "for n in 1 2 3 4 5 6;do (sha256sum /dev/vda;sleep 0.1;sha256sum /dev/vda) & done;wait;cat /proc/interrupts"


def crowd(board, files, **more):
    """Five VCPUs of three guests on two harts that have `files` guest interrupt files each; how often they moved."""
    disks = [board.file(f"{name}.raw", os.urandom(1 << 20)) for name in ("one", "two", "three")]
    board.bundle(
        dict(debian("one", BUSY, 2), **more, disks='[ { path: "board:0" } ]'),
        dict(debian("two", BUSY, 2), **more, disks=f"[ {{ path: {disks[1]}, readonly: true }} ]"),
        dict(debian("three", BUSY, 1), **more, disks=f"[ {{ path: {disks[2]}, readonly: true }} ]"),
    )
    process = board.start(
        memory="1200M",
        devices=board_devices(board, True, (disks[0], "serial=x")),
        machine=f"virt,aia=aplic-imsic,aia-guests={files}",
    )
    process.expect("3 guests")
    process.send("exits\r")  # somebody is there: the board stays on
    for _ in range(3):
        process.expect(r"(one|two|three): is off", 300)
    for name, disk in zip(("one", "two", "three"), disks):
        for words in (r"riscv-imsic: .*: providing IPIs", sha256(disk), r" [1-9]\d* .*APLIC-MSI.* virtio0"):
            if not process.says(rf"{name}[|>] .*{words}"):
                raise Failed(f"{name} does not say {words}")
    at = len(process.console)
    process.send("exits\r")
    process.expect(r"three/0: .*\r\n.*taken from a hart")
    process.send("poweroff\r")
    process.ends(0)
    return [int(n) for n in re.findall(rb"(\d+) times taken from a hart", process.console[at:])]


@test(long=True)
def more_vcpus_than_guest_interrupt_files_lose_no_interrupt(board):
    moves = crowd(board, 1)
    # Five VCPUs have two files: at least three are taken from somebody. How often more depends on when they sleep.
    if len(moves) != 5 or sum(moves) < 3:
        raise Failed(f"files were taken from harts {moves} times")


@test(long=True)
def interrupt_files_in_memory_serve_harts_that_have_none(board):
    moves = crowd(board, 0, irq="aia")
    if moves != [0] * 5:
        raise Failed(f"files were taken from harts {moves} times")


@test()
def a_guest_has_the_interrupt_controller_that_it_asks_for(board):
    board.bundle(tiny("one", "hold", irq="plic"), tiny("two", "hold", irq="aia"), tiny("three", "hold"))
    for machine, files in (("virt,aia=aplic-imsic,aia-guests=3", ["two", "three"]), ("virt,aia=aplic-imsic", ["two"])):
        process = board.start(machine=machine)
        process.expect_each(*(rf"{name}\| \S*report: tick 1\b" for name in ("one", "two", "three")))
        at = len(process.console)
        process.send("exits\r")
        process.expect(r"three/0: .*\r\n")
        process.send("poweroff\r")
        process.ends(0)
        found = re.findall(r"(\w+)/0: .*\r\n  interrupt file", process.console[at:].decode(errors="replace"))
        if found != files:
            raise Failed(f"{found} have interrupt files, not {files}")
    process = board.start()
    process.expect("two: irq: the board's harts have no IMSICs; write plic")
    process.expect(r"three\| \S*report: tick 1\b")


@test(long=True)
def guests_on_our_own_board_take_their_interrupts_themselves(board):
    """Guests of a guest: type 2 plays the board, with 7 guest interrupt files on each of two harts."""
    if not OWN:
        raise Skipped("of our own board")
    disk = board.file("disk.raw", os.urandom(1 << 20))
    board.bundle(
        dict(debian("one", BUSY, 2), disks='[ { path: "board:0" } ]'),
        dict(debian("two", BUSY, 2), disks=f"[ {{ path: {disk}, readonly: true }} ]"),
        debian("memory", "cat /proc/interrupts", 1) | {"irq": "plic"},
    )
    process = board.start_own(2, "1200M", "--irq", "aia", "--disk", disk, "--kernel", board.image)
    process.expect("board: 7 guest interrupt files on each hart")
    process.expect("no guest is running; the board goes off", 300)
    process.ends(0)
    for name in ("one", "two"):
        for words in (
            r"riscv-imsic: .*: providing IPIs",
            sha256(disk),
            r" [1-9]\d* .*APLIC-MSI.* virtio0",
            r"IPI1: +[1-9]",
        ):
            if not process.says(rf"{name}[|>] .*{words}"):
                raise Failed(f"{name} does not say {words}")


@test(long=True)
def harts_of_two_sockets_have_interrupt_files_and_send_each_other_interrupts(board):
    disk = board.file("disk.raw", os.urandom(1 << 20))
    board.bundle(dict(debian("wide", BUSY, 4), disks=f"[ {{ path: {disk}, readonly: true }} ]"))
    numa = ["-smp", "4,sockets=2,cores=2"]
    for node in (0, 1):
        numa += ["-object", f"memory-backend-ram,id=m{node},size=512M", "-numa", f"node,nodeid={node},memdev=m{node}"]
    for core in range(4):
        numa += ["-numa", f"cpu,node-id={core // 2},core-id={core}"]
    process = board.start(harts=4, memory="1G", machine="virt,aia=aplic-imsic,aia-guests=1", devices=numa)
    process.expect("no guest is running; the board goes off", 400)
    for words in (sha256(disk), r"smp: Brought up 1 node, 4 CPUs", r"IPI\d: +[1-9]\d* +[1-9]\d* +[1-9]\d* +[1-9]"):
        if not process.says(rf"wide[|>] .*{words}"):
            raise Failed(f"the guest does not say {words}")


@test(long=True)
def whatever_a_guest_does_to_interrupt_files_its_neighbour_does_not_notice(board):
    """Storms over every CSR and device, with files in harts, in memory and on the way."""
    for files in (1, 0):
        board.bundle(
            tiny("calm", "seed=storm parts=3 kib=256", 2, irq="aia"),
            storm("one", SEED, 20, irq="aia"),
            storm("two", SEED + 1, 20, 2, irq="aia"),
        )
        print(f"        SEED={SEED}", flush=True)
        want = checksum_by_type2("calm", "seed=storm parts=3 kib=256")
        process = board.start(machine=f"virt,aia=aplic-imsic,aia-guests={files}")
        process.ends(0, 600)  # when no guest is left
        if not process.says_amid_others(f"report: checksum {want}"):
            raise Failed("the neighbour did not compute what it should")
        for name in ("one", "two"):
            if not process.says_amid_others(f"{name}| storm: done", 300):
                raise Failed(f"{name} did not storm to its end")
