"""What stands on the firmware that is not small: type 1 with guests of its own, Debian under type 2; and bad input."""

import os
import random
import re
import subprocess

from attack import chain, partition, STEPS
from main import FIRMWARE, Failed, Process, TRIVISOR, debian, nested, test, tiny

SUM = "echo the answer is $((6*7));"


def answers(board, process, count, limit):
    """The guests' own arithmetic came through all consoles so many times."""
    for _ in range(count):
        process.expect("the answer is 42", limit)


@test(long=True)
def type_1_runs_two_debians_in_a_partition_beside_one_that_computes(board):
    inner = [debian("one", SUM + "nproc", 2), debian("two", SUM + "nproc")]
    nest = dict(nested(board, inner), memory="768M")
    board.bundle(nest, tiny("steady", "hold again"))
    process = board.start(harts=3, memory="2G", cpu="rv64,h=true")
    answers(board, process, 2, 400)
    process.expect("nest: is off", 200)
    process.expect(r"steady\| \S*report: again \w+", 60)
    sums = set(re.findall(r"report: (?:again|checksum) (\w{64})", process.text()))
    if len(sums) != 1:
        raise Failed(f"the neighbour computed {sums}")


@test(long=True)
def debian_boots_on_plain_firmware_under_type_2(board):
    guest = debian("plain", SUM + "nproc")
    command = [TRIVISOR, "run", "--memory", "256M", "--cpus", "2", "--firmware", FIRMWARE]
    command += ["--kernel", guest["kernel"], "--initrd", guest["initrd"], "--cmdline", guest["cmdline"]]
    board.process = process = Process(command, board.dir, dict(os.environ))
    process.expect("type 0, 2 harts", 60)
    answers(board, process, 1, 300)
    process.expect(r"\n2\r", 60)
    process.ends(0)


@test(long=True)
def an_attacker_that_is_restarted_at_any_time_changes_nothing(board):
    count = int(os.environ.get("RESTARTS", "100")) // 4
    for harts in (2, 1):
        seed, secret = random.getrandbits(60), random.getrandbits(60) | 1 << 40
        attacker = partition("attacker", "attack", seed, secret)
        attacker["cmdline"] += " again="
        board.bundle(partition("victim", "victim", seed, secret, passthrough="[ { device: rtc } ]"), attacker)
        process = board.start(harts=harts, memory="256M")
        process.expect("victim: ready", 60)
        marks = ("attack: space", "attack: csrs", "attack: plic", "attack: calls", "attacker: begins")
        for number in range(count):
            process.send("restart attacker\r")
            process.expect("attacker: is off", 60)
            process.expect(marks[number % 5 if number % 4 == 0 else 4], 120)
        process.send("stop attacker\r")
        process.expect("attacker: is off", 60)
        process.send("\x011")
        process.expect("--- victim", 60)
        process.send("q")
        process.expect("victim: is off", 120)
        text = process.text()
        end = re.search(r"end after (\d+) rounds: chain 0x(\w+)", text)
        if not end or int(end[2], 16) != chain(seed, int(end[1]) * STEPS) or re.search(r", [1-9]\d* got through", text):
            raise Failed(f"the victim says {end and end[0]}")
        if "changed: RAM 0 registers 0 PLIC 0 strays 0 harts 0" not in text:
            raise Failed("something of the victim has changed")
        process.popen.kill()


def refused(board, words, *guests, tool=()):
    """What the tool says of the description, in one line."""
    path = board.file("fleet.yaml", b"", 0)
    with open(path, "w") as file:
        file.write("vms:\n" + "".join("  - { " + ", ".join(f"{k}: {v}" for k, v in guest.items()) + " }\n" for guest in guests))
    got = subprocess.run([TRIVISOR, "validate", "--type", "0", *tool, path], capture_output=True, text=True, timeout=60)
    lines = got.stderr.strip().splitlines()
    if got.returncode == 0 or len(lines) != 1 or not re.search(words, lines[0]):
        raise Failed(f"status {got.returncode}: {got.stderr}")


@test()
def what_a_board_cannot_be_divided_into_is_refused_by_the_tool_in_one_line(board):
    tree = os.path.join(board.dir, "board.dtb")
    subprocess.run(
        ["qemu-system-riscv64", "-M", f"virt,dumpdtb={tree}", "-smp", "2", "-m", "512M", "-display", "none"],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    here = ("--board", tree)
    small = dict(tiny("small"), memory="64M")
    refused(board, "partition 1 .*0x86000000 is not all free", small | {"address": "0x84000000"}, small | {"name": "b", "address": "0x86000000"}, tool=here)
    refused(board, "partition 0 .*0x80000000 is not all free", small | {"address": "0x80000000"}, tool=here)
    refused(board, "600M of memory do not fit; the largest free piece has", small | {"memory": "600M"}, tool=here)
    refused(board, r"needs \d+ PMP entries on hart 0, which has 2", small | {"memory": "100M", "passthrough": "[ { device: rtc } ]"}, tool=(*here, "--pmp-entries", "2"))
    refused(board, "trusted_dma: true", small | {"passthrough": "[ { device: virtio_mmio@10001000 } ]"}, tool=here)
    refused(board, "no device 'toaster'", small | {"passthrough": "[ { device: toaster } ]"}, tool=here)
    aia = os.path.join(board.dir, "aia.dtb")
    subprocess.run(
        ["qemu-system-riscv64", "-M", f"virt,aia=aplic-imsic,dumpdtb={aia}", "-m", "512M", "-display", "none"],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    refused(board, "hart 0 has 1 VCPU already, and registers of AIA", small, small | {"name": "b"}, tool=("--board", aia))
    refused(board, "colour: no such key", small | {"colour": "blue"})
    refused(board, "'w' is named by 1", small | {"shared": "[ { name: w, size: 64K } ]"})
    refused(board, "small: net: type 0 plays no networks", small | {"net": "[ { kind: user } ]"})


@test()
def what_a_board_cannot_be_divided_into_is_refused_by_the_firmware_in_one_line(board):
    for words, guests in (
        ("600M of memory do not fit", [tiny("one", memory="600M")]),
        ("0x86000000 is not all free", [tiny("one") | {"address": "0x84000000"}, tiny("two") | {"address": "0x86000000"}]),
        ("no device 'toaster'", [tiny("one") | {"passthrough": "[ { device: toaster } ]"}]),
        ("trusted_dma: true", [tiny("one") | {"passthrough": "[ { device: virtio_mmio@10001000 } ]"}]),
    ):
        board.bundle(*guests)
        process = board.start()
        process.expect(rf"trivisor: .*{words}.*; nothing is started", 60)
        if process.status(60) == 0:
            raise Failed("the board's status says that all was well")
