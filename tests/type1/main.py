"""Tests of the type 1 hypervisor from outside: its console under QEMU is all that they see."""

import os
import re
import struct
import subprocess
import sys
import tempfile
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "boot"))
from expect import Failed, Process  # noqa: E402

BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
TRIVISOR = os.path.abspath(os.environ.get("TRIVISOR", os.path.join(BUILD, "trivisor")))
HYPERVISOR = os.path.abspath(os.environ.get("TYPE1", os.path.join(ROOT, "build", "type1.bin")))
TINY = os.path.join(BUILD, "guests", "tiny.bin")
DEBIAN = os.path.join(os.environ.get("TRIVISOR_CACHE", os.path.join(ROOT, "guests", "cache")), "debian")
QEMU = os.environ.get("QEMU", "qemu-system-riscv64").split()

tests = []


def test(long=False):
    def register(function):
        tests.append((function.__name__.replace("_", "-"), function, long))
        return function

    return register


def tiny(name, cmdline="", cpus=1, memory="64M"):
    return dict(name=name, cpus=cpus, memory=memory, kernel=TINY, cmdline=f"hostname={name} kib=16 {cmdline}")


def debian(name, command, cpus=1):
    return dict(
        name=name,
        cpus=cpus,
        memory="256M",
        kernel=os.path.join(DEBIAN, "vmlinux"),
        initrd=os.path.join(DEBIAN, "initrd.img"),
        cmdline=f"console=ttyS0 hostname={name} trivisor.task=shell trivisor.command={command.replace(' ', '+')}",
    )


class Board:
    """One test's folder and its QEMU."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="trivisor-type1-")
        self.process = None

    def bundle(self, *guests):
        lines = ["vms:"]
        for guest in guests:
            words = [f"{key}: {value}" for key, value in guest.items()]
            lines.append("  - " + "\n    ".join(words))
        path = os.path.join(self.dir, "fleet.yaml")
        with open(path, "w") as file:
            file.write("\n".join(lines) + "\n")
        self.image = os.path.join(self.dir, "fleet.img")
        subprocess.run(
            [TRIVISOR, "bundle", "--type", "1", "--hypervisor", HYPERVISOR, path, "-o", self.image],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def start(self, harts=2, memory="512M", cpu="rv64", image=None):
        command = [*QEMU, "-M", "virt", "-cpu", cpu, "-smp", str(harts), "-m", memory, "-display", "none"]
        command += ["-serial", "stdio", "-monitor", "none", "-kernel", image or self.image]
        self.process = Process(command, self.dir, dict(os.environ))
        return self.process

    def close(self):
        if self.process is not None and self.process.running():
            self.process.popen.kill()
        subprocess.run(["rm", "-rf", self.dir])


def checksum_by_type2(name, cmdline):
    """The same guest with the same words under our other hypervisor, which shares no engine with this one."""
    guest = tiny(name, cmdline)
    out = subprocess.run(
        [TRIVISOR, "run", "--memory", "64M", "--kernel", TINY, "--cmdline", guest["cmdline"]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
    ).stdout.decode(errors="replace")
    return re.search(r"report: checksum (\w{64})", out).group(1)


@test()
def guests_compute_what_they_compute_under_type_2(board):
    board.bundle(tiny("one", "seed=first parts=3", cpus=2), tiny("two", "seed=second"), tiny("three", "seed=third"))
    process = board.start()
    process.expect("no guest is running; the board goes off")
    process.ends(0)
    for name, cmdline in (("one", "seed=first parts=3"), ("two", "seed=second"), ("three", "seed=third")):
        want = checksum_by_type2(name, cmdline)
        if not process.says(name + r"\| \S*report: checksum " + want):
            raise Failed(f"{name} did not report {want}")


@test()
def more_vcpus_than_harts_and_one_hart_are_enough(board):
    board.bundle(tiny("one", "parts=8", cpus=4), tiny("two", cpus=2))
    process = board.start(harts=1)
    process.expect("1 hart,")
    process.expect("no guest is running")
    if not (process.says(r"one\| \S*report: done") and process.says(r"two\| \S*report: done")):
        raise Failed("a guest did not finish")


@test()
def guests_run_without_sstc(board):
    board.bundle(tiny("one", cpus=2), tiny("two"))
    process = board.start(cpu="rv64,sstc=false")
    process.expect("no Sstc")
    process.expect("no guest is running")
    if not (process.says(r"one\| \S*report: done") and process.says(r"two\| \S*report: done")):
        raise Failed("a guest did not finish")


@test()
def a_guest_is_restarted_stopped_and_started_alone(board):
    board.bundle(tiny("one", "hold"), tiny("two", "hold"))
    process = board.start()
    process.expect(r"one\| \S*report: tick 1\b")
    process.send("restart one\r")
    process.expect("one: reboots")
    process.expect(r"one\| \S*report: done|one\| \S*report: tick 1\b")
    process.send("stop one\r")
    process.expect("one: is off")
    process.send("list\r")
    process.expect(r"one +off .*2 boots")
    process.expect(r"two +running .*1 boots")
    process.send("start one\r")
    process.expect(r"one\| \S*report: tick 1\b")
    process.send("poweroff\r")
    process.ends(0)


@test()
def keys_reach_the_guest_whose_console_is_entered(board):
    board.bundle(tiny("one", "hold"), tiny("two", "hold"))
    process = board.start()
    process.expect(r"two\| \S*report: tick 1\b")
    process.send("\x012")
    process.expect("--- two")
    process.send("a line for two\r")
    process.expect("a line for two")
    process.send("\x010list\r")
    process.expect("two: is off|two +off")
    process.send("list\r")
    process.expect(r"one +running")


@test()
def paused_guests_stand_still(board):
    board.bundle(tiny("one", "hold"), tiny("two", "hold"))
    process = board.start()
    process.expect(r"one\| \S*report: tick 1\b")
    process.send("pause one\rlist\r")
    process.expect("one +paused")
    at = len(process.console)
    for _ in range(4):
        process.expect(r"two\| \S*report: tick \d+")
    if b"one|" in process.console[at:]:
        raise Failed("a paused guest went on")
    process.send("resume one\r")
    process.expect(r"one\| \S*report: tick \d+")


@test()
def ram_is_mapped_by_the_largest_leaves(board):
    board.bundle(tiny("small", "hold"), tiny("large", "hold", memory="1026M"))
    process = board.start(memory="3G")
    process.expect(r"small\| \S*report: tick")
    process.send("memory\r")
    # 15 pages: the board's ROM.
    process.expect(r"small .* 0 leaves of 1 GiB, 32 of 2 MiB, 15 of 4 KiB")
    process.expect(r"large .* 1 leaves of 1 GiB, 1 of 2 MiB, 15 of 4 KiB")


@test()
def a_guest_that_does_not_fit_leaves_the_others_running(board):
    board.bundle(tiny("big", memory="16G"), tiny("one"))
    process = board.start()
    process.expect("big: needs 16384 MiB of memory in one piece but only")
    process.expect(r"one\| \S*report: done")


@test()
def a_corrupt_kernel_leaves_the_others_running(board):
    board.bundle(tiny("one"), tiny("two"))
    guest = dict(tiny("bad"))
    bad = os.path.join(board.dir, "bad.bin")
    with open(TINY, "rb") as file:
        data = file.read()
    with open(bad, "wb") as file:
        file.write(data)
    guest["kernel"] = bad
    board.bundle(guest, tiny("one"))
    with open(board.image, "rb") as file:
        image = bytearray(file.read())
    at = image.index(data)  # the first copy is bad's
    image[at + 56 : at + 60] = b"XXXX"  # the Image header's magic
    with open(board.image, "wb") as file:
        file.write(image)
    process = board.start()
    process.expect("bad: the kernel is neither")
    process.expect(r"one\| \S*report: done")


@test()
def without_the_h_extension_one_line_says_so(board):
    board.bundle(tiny("one"))
    process = board.start(cpu="rv64,h=false")
    process.expect("this hart has no H extension")
    process.status()


@test()
def without_a_bundle_or_with_a_damaged_one_one_line_says_so(board):
    process = board.start(image=HYPERVISOR)
    process.expect("no guests: make an image with")
    process.status()
    board.bundle(tiny("one"))
    with open(board.image, "r+b") as file:
        file.seek(os.path.getsize(HYPERVISOR) + 16)
        file.write(struct.pack("<Q", 1 << 60))
    process = board.start()
    process.expect("the bundle behind the hypervisor is damaged")
    process.status()


@test(long=True)
def three_debian_guests_share_two_harts(board):
    board.bundle(debian("web", "nproc; ps", 2), debian("db", "hostname; ps"), debian("app", "hostname; ps"))
    process = board.start(memory="1G")
    process.expect("no guest is running; the board goes off", 300)
    process.ends(0)
    for name in ("web", "db", "app"):
        if not process.says(name + r"[|>] \S*guest: task shell is done"):
            raise Failed(f"{name} did not finish its task")


def main():
    long = "--long" in sys.argv
    only = sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else "."
    passed = failed = 0
    for name, function, is_long in tests:
        if (is_long and not long) or not re.search(only, name):
            continue
        board = Board()
        try:
            function(board)
            passed += 1
            print(f"ok      {name}", flush=True)
        except Exception as error:  # a failed test is reported, whatever it was
            failed += 1
            print(f"FAILED  {name}: {error}", flush=True)
            if not isinstance(error, Failed):
                traceback.print_exc()
            if board.process is not None:
                print("status", board.process.popen.poll(), board.process.errors.decode(errors="replace"), flush=True)
                text = board.process.console.decode(errors="replace")
                print("\n".join("    | " + line for line in text.splitlines()[-400:]), flush=True)
        finally:
            board.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


sys.exit(main())
