"""Tests of the type 0 firmware from outside: its console under QEMU is all that they see."""

import importlib.util
import os
import re
import shutil
import struct
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def load_type1():
    """What the tests of type 1 share with these; their own tests are not taken."""
    spec = importlib.util.spec_from_file_location("type1_main", os.path.join(ROOT, "tests", "type1", "main.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.tests.clear()
    return module


type1 = load_type1()
from expect import Failed, Process  # noqa: E402

test, tiny, debian, checksum_by_type2 = type1.test, type1.tiny, type1.debian, type1.checksum_by_type2
BUILD, TRIVISOR, TINY, DEBIAN, QEMU = type1.BUILD, type1.TRIVISOR, type1.TINY, type1.DEBIAN, type1.QEMU
FIRMWARE = os.path.abspath(os.environ.get("TYPE0", os.path.join(ROOT, "build", "type0.bin")))
OPS, PROBE, INTRUDER = (os.path.join(BUILD, "guests", name + ".bin") for name in ("ops", "probe", "intruder"))
UBOOT = "/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin"
COUNTED = ("-icount", "shift=0,sleep=off")  # an instruction is a nanosecond
OLD = "version 7" in subprocess.run([*QEMU, "--version"], capture_output=True, text=True).stdout

IMAGE_BYTES = 64 << 10
BOOT_INSTRUCTIONS = 4000000
# Instructions for one operation, the loop's two included; of OpenSBI 1.9: 296, 351, 1044, 1321.
LIMITS = {"hypercall": 100, "set-timer": 120, "ipi-self": 400, "rfence-self": 700, "stimecmp": 4, "rdtime": 4}


class Board(type1.Board):
    """One test's folder and its QEMU, whose firmware is ours."""

    def bundle(self, *guests):
        lines = ["vms:"]
        for guest in guests:
            lines.append("  - " + "\n    ".join(f"{key}: {value}" for key, value in guest.items()))
        path = os.path.join(self.dir, "fleet.yaml")
        with open(path, "w") as file:
            file.write("\n".join(lines) + "\n")
        self.image = os.path.join(self.dir, "fleet.fw")
        command = [TRIVISOR, "bundle", "--type", "0", "--hypervisor", FIRMWARE, path, "-o", self.image]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def start(self, harts=4, memory="512M", cpu="rv64", firmware=None, devices=(), machine="virt"):
        if type1.OWN:
            own = type1.OWN_CPUS.get(cpu)
            if own is None or devices or machine != "virt":
                raise type1.Skipped("our own board has no such parts")
            return self.start_own(harts, memory, "--firmware", firmware or self.image, cpu=own)
        command = [*QEMU, "-M", machine, "-cpu", cpu, "-smp", str(harts), "-m", memory, "-display", "none"]
        command += ["-serial", "stdio", "-monitor", "none", "-bios", firmware or self.image, *devices]
        self.process = type1.Console(command, self.dir, dict(os.environ))
        return self.process

    def plain(self, kernel, cmdline, devices=(), **more):
        return self.start(firmware=FIRMWARE, devices=("-kernel", kernel, "-append", cmdline, *devices), **more)


type1.Board = Board


# ---- Plain firmware ----


def computes(process, seed="first"):
    process.expect("report: done")
    process.ends(0)
    want = checksum_by_type2("plain", f"seed={seed} parts=3")
    if not process.says("report: checksum " + want):
        raise Failed(f"did not report {want}")


@test()
def a_kernel_computes_on_plain_firmware_with_any_number_of_harts_and_without_sstc(board):
    for harts, cpu in ((1, "rv64"), (4, "rv64"), (4, "rv64,sstc=false"), (2, "rv64,h=false")):
        process = board.plain(TINY, "hostname=plain kib=16 seed=first parts=3", harts=harts, cpu=cpu)
        process.expect(f"type 0, {harts} hart")
        computes(process)


@test()
def a_payload_that_nobody_names_is_where_fw_jump_has_it(board):
    process = board.start(firmware=FIRMWARE, devices=["-device", f"loader,file={TINY},addr=0x80200000,force-raw=on"])
    process.expect("report: done", 60)
    process.ends(0)


@test()
def a_payload_that_bundle_puts_behind_it_is_started(board):
    image = os.path.join(board.dir, "payload.fw")
    command = [TRIVISOR, "bundle", "--type", "0", "--hypervisor", FIRMWARE, "--payload", TINY, "-o", image]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    process = board.start(firmware=image)
    process.expect("type 0, 4 harts")
    process.expect("report: done", 60)
    process.ends(0)


@test()
def a_kernel_computes_on_it_under_type_2(board):
    command = [TRIVISOR, "run", "--memory", "128M", "--cpus", "2", "--firmware", FIRMWARE, "--kernel", TINY]
    board.process = Process([*command, "--cmdline", "hostname=plain kib=16 seed=first parts=3"], board.dir, dict(os.environ))
    board.process.expect("type 0, 2 harts")
    computes(board.process)


@test(long=True)
def debian_boots_on_plain_firmware(board):
    guest = debian("plain", "nproc;reboot -f")
    for harts in (1, 4):
        process = board.plain(guest["kernel"], guest["cmdline"], ("-initrd", guest["initrd"], "-no-reboot"), harts=harts)
        process.expect("reserved mem: 0x0000000080000000")
        process.expect(rf"\n{harts}\r", 300)
        process.ends(0)


def uboot_starts(process, guest, *before):
    """What U-Boot is to do before Debian's kernel and initramfs are where it takes them from; then all harts are there."""
    process.expect("U-Boot 20")
    process.expect("Hit any key")
    process.send("\r")
    size = os.path.getsize(guest["initrd"])
    bootargs = guest["cmdline"].replace(";", r"\;")
    for line in (*before, f"setenv bootargs '{bootargs}'", f"booti 0x84000000 0x8c000000:{size:x} ${{fdtcontroladdr}}"):
        process.expect("=> ")
        process.send(line + "\r")
    process.expect(r"\n2\r", 300)
    process.ends(0)


@test(long=True)
def debian_boots_by_uboot_on_plain_firmware(board):
    guest = debian("plain", "nproc;poweroff -f")
    loader = []
    for name, address in (("kernel", 0x84000000), ("initrd", 0x8C000000)):
        loader += ["-device", f"loader,file={guest[name]},addr={address:#x},force-raw=on"]
    process = board.start(firmware=FIRMWARE, memory="1G", harts=2, devices=["-kernel", UBOOT, *loader])
    uboot_starts(process, guest)


@test(long=True)
def debian_boots_by_uboot_on_plain_firmware_under_type_2(board):
    guest = debian("plain", "nproc;poweroff -f")
    files = os.path.join(board.dir, "files")
    os.mkdir(files)
    for name in ("kernel", "initrd"):
        shutil.copy(guest[name], os.path.join(files, name))
    disk = board.file("boot.ext4", b"", 128 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", files, disk], check=True)
    command = [TRIVISOR, "run", "--memory", "1G", "--cpus", "2", "--firmware", FIRMWARE, "--kernel", UBOOT, "--disk", disk]
    board.process = Process(command, board.dir, dict(os.environ))
    board.process.expect("type 0, 2 harts")
    uboot_starts(
        board.process, guest, "virtio scan", "load virtio 0:0 0x84000000 kernel", "load virtio 0:0 0x8c000000 initrd"
    )


# ---- Partitions ----


@test()
def partitions_compute_what_they_compute_under_type_2(board):
    board.bundle(tiny("one", "seed=first parts=3", cpus=2), tiny("two", "seed=second"), tiny("three", "seed=third"))
    process = board.start()
    for name in ("one", "two", "three"):
        process.expect("trivisor: [a-z]*: is off")
    for name, cmdline in (("one", "seed=first parts=3"), ("two", "seed=second"), ("three", "seed=third")):
        want = checksum_by_type2(name, cmdline)
        if not process.says(name + r"\| \S*report: checksum " + want):
            raise Failed(f"{name} did not report {want}")


@test()
def a_machine_of_type_2_is_divided_as_a_board_is(board):
    for harts in (2, 1):
        board.bundle(tiny("one", "seed=first parts=3"), tiny("two", "seed=second"), tiny("three", "seed=third", cpus=2))
        command = [TRIVISOR, "run", "--memory", "512M", "--cpus", str(harts), "--firmware", board.image]
        board.process = type1.Console(command, board.dir, dict(os.environ))
        board.process.expect("no partition is running; the board goes off")
        board.process.ends(0)
        for name, cmdline in (("one", "seed=first parts=3"), ("two", "seed=second"), ("three", "seed=third")):
            if not board.process.says(name + r"\| \S*report: checksum " + checksum_by_type2(name, cmdline)):
                raise Failed(f"{name} did not compute on {harts} harts")


@test()
def a_partition_is_restarted_stopped_and_started_alone(board):
    board.bundle(tiny("one", "hold", cpus=2), tiny("two", "hold"))
    process = board.start()
    process.expect(r"one\| \S*report: tick 1\b")
    process.send("restart one\r")
    process.expect("one: is off")
    process.expect(r"one\| \S*report: tick 1\b")
    process.send("stop one\r")
    process.expect("one: is off")
    process.send("list\r")
    process.expect(r"one +off .*2 boots")
    process.expect(r"two +running .*1 boots")
    process.expect(r"two\| \S*report: tick \d+")
    process.send("start one\r")
    process.expect(r"one\| \S*report: tick 1\b")
    process.send("poweroff\r")
    process.ends(0)


@test()
def what_is_asked_while_a_partition_is_loaded_is_not_lost(board):
    big = dict(probe("big", "sleep"), memory="512M", pin="[1]")  # which takes a while to fill
    board.bundle(tiny("small", "hold", pin="[0]"), big)
    process = board.start(harts=2, memory="1G")
    process.expect("big: begins")
    process.send("stop big\r")
    process.expect("big: is off")
    process.send("start big\r")
    time.sleep(0.2)
    process.send("stop big\r")
    time.sleep(3)
    process.send("list\r")
    process.expect(r"big +off ")
    # A second start is none, and comes to nothing later.
    process.send("start big\r")
    time.sleep(0.2)
    process.send("start big\r")
    process.expect("big: begins")
    process.send("stop big\r")
    process.expect("big: is off")
    time.sleep(3)
    process.send("list\r")
    process.expect(r"big +off ")


@test()
def partitions_that_share_harts_compute_what_they_compute_alone(board):
    for harts, cpu in ((1, "rv64"), (1, "rv64,sstc=false"), (2, "rv64,v=true"), (2, "rv64,h=false")):
        board.bundle(tiny("one", "seed=first parts=3", cpus=2), tiny("two", "seed=second"), tiny("three", "seed=third"))
        process = board.start(harts=harts, cpu=cpu)
        for name in ("one", "two", "three"):
            process.expect("trivisor: [a-z]*: is off", 100)
        for name, cmdline in (("one", "seed=first parts=3"), ("two", "seed=second"), ("three", "seed=third")):
            want = checksum_by_type2(name, cmdline)
            if not process.says(name + r"\| \S*report: checksum " + want):
                raise Failed(f"{name} did not report {want} on {harts} harts {cpu}")
        process.popen.kill()


def probe(name, cmdline, cpus=1, **more):
    return dict(name=name, cpus=cpus, memory="64M", kernel=PROBE, cmdline=cmdline, **more)


@test()
def a_partition_that_reboots_itself_never_sees_old_bytes_and_others_do_not_notice(board):
    board.bundle(probe("again", "reboot"), tiny("steady", "hold"))
    process = board.start()
    for _ in range(10):
        process.expect(r"again\| \S*probe: \d+ old words")
        process.expect("again: reboots")
    process.send("list\r")
    process.expect(r"steady +running .*1 boots")
    process.expect(r"steady\| \S*report: tick \d+")
    if process.says(r"probe: [1-9]\d* old words"):
        raise Failed("there were old bytes")


@test()
def an_intruder_reaches_nothing_and_others_do_not_notice(board):
    for harts in (3, 1):
        intruder = dict(name="intruder", cpus=1, memory="64M", kernel=INTRUDER)
        board.bundle(tiny("first", "hold seed=first parts=3"), intruder, tiny("second", "hold seed=second"))
        process = board.start(harts=harts)
        nothing = "intruder: 0 places reached, 0 registers changed, 0 calls accepted, 0 CSRs written"
        process.expect(r"intruder\| \S*" + nothing, 120)
        process.expect("intruder: is off", 60)
        process.expect(r"first\| \S*report: tick", 60)
        process.expect(r"second\| \S*report: tick", 60)
        for name, cmdline in (("first", "seed=first parts=3"), ("second", "seed=second")):
            want = checksum_by_type2(name, cmdline)
            if not process.says(name + r"\| \S*report: checksum " + want):
                raise Failed(f"{name} did not report {want}")
        process.popen.kill()


@test()
def a_shared_hart_is_divided_by_weight(board):
    alone = 5002  # instructions of the operation: 625 rounds of 8, and the loop
    for mine, other in ((300, 100), (100, 300)):
        counts = dict(name="counts", cpus=1, memory="64M", kernel=OPS, cmdline='"loops=10000 ops=cpu"', weight=mine)
        board.bundle(counts, probe("spins", "spin", weight=other))
        process = board.start(harts=1, devices=COUNTED)
        process.expect("ops: done")
        found = re.findall(r"op cpu\S* ticks .* insns/op ([0-9.]+)", process.text())
        want = alone * (mine + other) / mine
        # Turns are of 4 ms: the first and the last are as chance has it.
        if len(found) < 1 or any(not 0.85 < float(count) / want < 1.15 for count in found):
            raise Failed(f"with weight {mine} beside {other} it took {found}, {want:.0f} were due")
        process.popen.kill()


@test(long=True)
def partitions_are_restarted_a_hundred_times(board):
    count = int(os.environ.get("RESTARTS", "100"))
    again = dict(probe("again", "reboot"), memory="8M")
    board.bundle(again, tiny("pair", "hold parts=2", cpus=2, memory="16M"), tiny("steady", "hold"))
    process = board.start(harts=4)
    process.expect(r"steady\| \S*report: tick 1\b", 60)
    for number in range(count):
        process.send("restart pair\r")
        process.expect("pair: is off", 60)
        # At any time of its life.
        process.expect(("pair: begins", r"pair\| \S*Run /user", r"pair\| \S*report: cpus 2")[number % 3], 60)
    process.send("list\r")
    boots = int(process.expect(r"again +(?:running|off) .* (\d+) boots", 60).group(1))
    process.expect(rf"pair +running .* {count + 1} boots", 60)
    process.expect(r"steady +running .* 1 boots", 60)
    process.expect(r"pair\| \S*report: tick", 60)  # its first may have been before the table
    process.expect(r"steady\| \S*report: tick", 60)
    if process.says(r"probe: [1-9]\d* old words") or boots < count / 10:
        raise Failed(f"old bytes, or only {boots} boots")
    print(f"        {count} restarts by command, {boots} boots of one that reboots itself, no old bytes", flush=True)


@test()
def the_control_partition_stops_and_starts_another(board):
    control = dict(name="chief", cpus=1, memory="32M", kernel=INTRUDER, cmdline="mode=control", control="true")
    board.bundle(tiny("first", "hold"), control)
    process = board.start()
    process.expect(r"chief\| \S*control: first running 64 MiB", 60)
    process.expect(r"chief\| \S*control: chief running 32 MiB", 60)
    # docs/type0.md: eight counts.
    process.expect(r"control: statistics of 8 kinds, own calls [1-9]", 60)
    process.expect(r"(?s)--- first .*--- overview ---", 60)
    # Stopping what is off: SBI_ERR_ALREADY_STOPPED.
    process.expect(r"control: stop 0, again 8, start 0, boots 2", 60)
    process.expect_each("chief: is off", r"first\| \S*report: tick 1\b", limit=60)


@test()
def firmware_features_are_set_and_locked_until_a_partition_starts_anew(board):
    for harts in (2, 1):
        board.bundle(dict(name="sets", cpus=1, memory="32M", kernel=INTRUDER, cmdline="mode=features"), tiny("other", "hold"))
        process = board.start(harts=harts)
        for _ in range(2):
            # SBI 3.0, 18.1: INVALID_PARAM for a value or flags that are none, NOT_SUPPORTED, DENIED_LOCKED.
            process.expect(r"sets\| \S*features: 0 -0 -3 -3 -2 -0 -14 1\r", 60)
            process.expect("sets: reboots", 60)
        process.popen.kill()


@test()
def two_partitions_share_a_window_with_a_doorbell(board):
    def end(name, mode):
        shared = "[ { name: pane, size: 64K } ]"
        return dict(name=name, cpus=1, memory="32M", kernel=INTRUDER, cmdline="mode=" + mode, shared=shared)

    for harts in (3, 1):
        # The one that rings begins later, since its memory takes longer to fill.
        board.bundle(end("waits", "wait"), dict(end("rings", "ring"), memory="256M"), tiny("other", "hold"))
        process = board.start(harts=harts, memory="1G")
        for _ in range(2):
            process.expect("(waits|rings): is off", 60)
        # SBI_ERR_DENIED for a window that is not its own.
        if not process.says(r"rings\| \S*ring: 0, another's 4"):
            raise Failed("the bell could not be rung, or another's could")
        if not process.says(r"waits\| \S*wait: rung 0x0*1 window 0x0*7269766973\r"):
            raise Failed("what was said did not arrive")
        process.popen.kill()


@test()
def partitions_begin_soon(board):
    board.bundle(*(tiny(name) for name in ("one", "two", "three")))
    process = board.start(devices=COUNTED)
    for _ in range(3):
        began, filled = map(int, process.expect(r": begins (\d+) us after reset, (\d+) us", 60).groups())
        # All harts count as one with -icount: they fill their memory at the same time.
        if (began - 3 * filled) * 1000 > BOOT_INSTRUCTIONS:
            raise Failed(f"{began} us until a partition began, {filled} of them to fill its memory")


@test()
def the_board_goes_off_when_all_partitions_are(board):
    board.bundle(probe("good", "off"), probe("bad", "off"))
    process = board.start()
    process.expect("no partition is running; the board goes off", 60)
    process.ends(0, 30)
    board.bundle(probe("good", "off"), probe("bad", "fail"))
    process = board.start()
    process.expect("bad: has failed", 60)
    if process.status(30) == 0:
        raise Failed("nobody is told that a partition failed")


@test()
def each_partition_has_a_seed_of_its_own_at_each_start(board):
    board.bundle(probe("one", "reboot"), probe("two", "reboot"))
    seeds = []
    for _ in range(2):  # the board's own seed differs too
        process = board.start()
        for _ in range(5):
            seeds.append(process.expect(r"probe: .*, seed (\d+)\r").group(1))
        process.popen.kill()
    if len(set(seeds)) != len(seeds):
        raise Failed(f"a seed came again: {seeds}")


@test()
def a_partition_may_have_any_number_of_pages(board):
    board.bundle(dict(probe("odd", "off"), memory="65540K"), dict(probe("even", "off"), memory="64M"), tiny("third", "seed=third"))
    process = board.start()
    process.expect(r"odd\| \S*probe: 0 old words in 64 MiB")
    process.ends(0)


@test()
def partitions_without_wired_devices_run_on_aia_boards(board):
    for aia, harts in (("aplic", 2), ("aplic", 1), ("aplic-imsic", 2)):
        board.bundle(tiny("one", "seed=first parts=3"), tiny("two", "seed=second"))
        process = board.start(machine=f"virt,aia={aia}", harts=harts)
        process.ends(0)
        for name, cmdline in (("one", "seed=first parts=3"), ("two", "seed=second")):
            if not process.says(name + r"\| \S*report: checksum " + checksum_by_type2(name, cmdline)):
                raise Failed(f"{name} did not compute with {aia} and {harts} harts")
    # Who has the hart after another would find in its interrupt file what that left there.
    process = board.start(machine="virt,aia=aplic-imsic", harts=1)
    process.expect(r"partition 1 \(two\): hart 0 has 1 VCPU already, and registers of AIA that cannot be shared; .*; nothing is started")
    board.bundle(dict(probe("one", "off"), passthrough="[ { device: rtc } ]"))
    process = board.start(machine="virt,aia=aplic")
    process.expect(r"partition 0 \(one\): rtc@101000 interrupts through an APLIC, .*; nothing is started")


@test()
def a_partition_that_fails_is_restarted_if_so_described(board):
    board.bundle(probe("stops", "fail"), probe("again", "fail", on_failure="restart"))
    process = board.start()
    for _ in range(2):
        process.expect("again: has failed: .*; it is restarted")
    while not process.says("stops: has failed"):
        process.expect("again: has failed")
    process.send("list\r")
    process.expect(r"stops +(off|failed) .*1 boots")


@test()
def a_partition_that_hangs_fails_alone(board):
    board.bundle(
        probe("hangs", "hang", watchdog=1),
        probe("asleep", "sleep", watchdog=3),  # more than a loaded machine keeps a hart waiting
        probe("spins", "spin", watchdog=3),
        tiny("steady", "hold"),
    )
    process = board.start()
    process.expect("hangs: has failed: it hangs", 60)
    time.sleep(8)
    process.send("list\r")
    process.expect("hangs +failed", 60)
    for name in ("asleep", "spins", "steady"):
        process.expect(name + " +running .*1 boots", 60)


@test()
def a_partition_that_cannot_take_a_trap_fails_alone_with_a_report(board):
    # The header of an Image, whose first instruction is 0: illegal, and there is no handler.
    header = struct.pack("<QQQQQQ8s4sI", 0, 0x200000, 4096, 0, 2, 0, b"RISCV", b"RSC\x05", 0)
    zeros = board.file("zeros.bin", header, 4096)
    board.bundle(dict(tiny("bad"), kernel=zeros), tiny("steady", "hold"))
    process = board.start()
    process.expect("bad: hart 0 cannot fetch its trap handler", 60)
    process.expect("before: scause 2 ", 60)
    process.expect("bad: has failed: it cannot take a trap", 60)
    process.expect(r"steady\| \S*report: tick 2", 60)


def nested(board, guests=None):
    """Type 1 with guests of its own, as the kernel of a partition."""
    image = os.path.join(board.dir, "type1.img")
    guests = guests or [dict(tiny("inner"), memory="32M")]
    path = os.path.join(board.dir, "inner.yaml")
    with open(path, "w") as file:
        for guest in guests:
            entry = "\n    ".join(f"{key}: {value}" for key, value in guest.items())
            file.write(("vms:\n" if guest is guests[0] else "") + "  - " + entry + "\n")
    command = [TRIVISOR, "bundle", "--type", "1", "--hypervisor", type1.HYPERVISOR, path, "-o", image]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return dict(name="nest", cpus=2, memory="256M", kernel=image)


@test()
def type_1_runs_guests_in_a_partition_on_its_own_harts_and_on_shared_ones(board):
    want = checksum_by_type2("inner", "")
    for harts in (3, 1):
        board.bundle(nested(board), tiny("steady", "hold"))
        process = board.start(harts=harts, memory="1G", cpu="rv64,h=true")
        process.expect("nest: is off", 100)
        process.expect(r"steady\| \S*report: tick", 60)
        # Of the lines of the partition those of the guest within, which may be in pieces too.
        inner = re.findall(rb"^\S*nest[|] (?:\x1b\[0m)?(.*)", type1.whole_lines(process.console), re.M)
        if f"report: checksum {want}".encode() not in type1.whole_lines(b"\n".join(inner)):
            raise Failed(f"the guest within did not report {want}")
        process.popen.kill()


@test()
def calls_interrupt_the_harts_that_they_name(board):
    edge = os.path.join(BUILD, "guests", "edge.bin")
    board.bundle(dict(name="edge", cpus=2, memory="32M", kernel=edge), tiny("other"))
    type1.masks_mean_what_they_say(board.start(harts=3), "edge")


@test()
def keys_reach_the_partition_whose_console_is_entered(board):
    board.bundle(tiny("one", "hold"), tiny("two", "hold"))
    process = board.start()
    process.expect(r"two\| \S*report: tick 1\b")
    process.send("\x012")
    process.expect("--- two")
    process.send("a line for two\r")
    process.expect("a line for two")
    process.send("\x010")
    process.expect("--- overview")
    process.send("list\r")
    process.expect(r"one +running")


@test()
def a_layout_that_does_not_fit_is_refused_in_one_line(board):
    board.bundle(tiny("big", memory="16G"), tiny("one"))
    process = board.start()
    process.expect("trivisor: .*big.*; nothing is started")
    process.status()


@test(long=True)
def debian_runs_in_partitions_and_one_reboots_alone(board):
    # The UART that partitions see has no interrupt: Linux polls it, and takes time to send what it has.
    board.bundle(debian("one", "nproc;sleep 3;reboot -f", 2), debian("two", "nproc;sleep 600"))
    process = board.start(memory="1G")
    process.expect(r"two\| \S*1\r", 300)
    for _ in range(2):
        process.expect(r"one\| \S*2\r", 300)
        process.expect("one: reboots", 100)
    process.send("list\r")
    process.expect(r"two +running .*1 boots")


@test(long=True)
def a_partition_uses_a_disk_of_the_board_with_its_interrupt(board):
    disk = board.file("disk.raw", os.urandom(1 << 20))
    want = type1.sha256(disk)
    for harts in (3, 1):
        owner = debian("owner", "sha256sum /dev/vda;grep virtio /proc/interrupts;sleep 3;reboot -f")
        given = {"passthrough": "[ { device: virtio_mmio@10008000 } ]"} if harts == 3 else {"disks": '[ { path: "board:0" } ]'}
        board.bundle(dict(owner, trusted_dma="true", **given), tiny("steady", "hold"))
        devices = ["-global", "virtio-mmio.force-legacy=false", "-drive", f"file={disk},format=raw,if=none,id=d0"]
        devices += ["-device", "virtio-blk-device,drive=d0,bus=virtio-mmio-bus.7"]
        process = board.start(harts=harts, memory="1G", devices=devices)
        for _ in range(2):
            process.expect(want, 100)
            process.expect(r" [1-9]\d* .*virtio0", 60)
            process.expect("owner: reboots", 60)
        process.expect(r"steady\| \S*report: tick", 60)
        process.popen.kill()


@test(long=True)
def a_partition_uses_a_disk_behind_pci_with_its_interrupt(board):
    disk = board.file("disk.raw", os.urandom(1 << 20))
    owner = debian("owner", "sha256sum /dev/vda;grep virtio /proc/interrupts;sleep 3")
    board.bundle(dict(owner, passthrough="[ { device: pci@30000000 } ]", trusted_dma="true"), tiny("steady", "hold"))
    devices = ["-drive", f"file={disk},format=raw,if=none,id=d0", "-device", "virtio-blk-pci,drive=d0"]
    process = board.start(harts=2, memory="1G", devices=devices)
    process.expect(type1.sha256(disk), 200)
    process.expect(r" [1-9]\d* .*PLIC.*virtio", 60)
    process.expect("owner: is off", 60)


@test(long=True)
def debian_in_a_partition_takes_ipis_by_its_interrupt_files(board):
    if OLD:
        raise type1.Skipped("Linux does not start on this QEMU's APLIC and IMSICs")
    board.bundle(debian("files", "grep IPI1 /proc/interrupts;sleep 3", 2), tiny("steady", "hold"))
    process = board.start(harts=3, memory="1G", machine="virt,aia=aplic-imsic")
    process.expect(r"files\| .*riscv-imsic: .*: providing IPIs", 200)
    process.expect(r"files\| \S*IPI1: +[1-9]\d* +[1-9]", 200)  # each hart has had some
    process.expect("files: is off", 60)


# ---- Figures ----


@test()
def calls_cost_no_more_than_they_may(board):
    process = board.plain(OPS, "loops=2000", harts=1, devices=COUNTED)
    process.expect("ops: done")
    text = process.console.decode(errors="replace")
    found = {}
    for name, count, damage in re.findall(r"op ([a-z0-9+-]+) ticks .* insns/op ([0-9.]+)( FP)?", text):
        if damage:
            raise Failed(f"{name}: floating-point registers changed")
        found[name] = float(count)
    for name, limit in LIMITS.items():
        for variant in ("", "+fp", "+pending"):
            if found.get(name + variant, limit + 1) > limit:
                raise Failed(f"{name}{variant} takes {found.get(name + variant)} instructions, {limit} are allowed")


@test()
def the_firmware_is_small(board):
    size = os.path.getsize(FIRMWARE)
    if size > IMAGE_BYTES:
        raise Failed(f"it has {size} bytes, {IMAGE_BYTES} are allowed")


@test()
def the_payload_begins_soon(board):
    process = board.plain(OPS, "loops=1 ops=hypercall", harts=1, devices=COUNTED)
    ticks = int(process.expect(r"ops: entered at tick (\d+)\n").group(1))
    if ticks * 100 > BOOT_INSTRUCTIONS:
        raise Failed(f"{ticks * 100} instructions until the payload began, {BOOT_INSTRUCTIONS} are allowed")


if __name__ == "__main__":
    sys.modules["main"] = sys.modules["__main__"]
    import attack  # noqa: E402, F401
    import depth  # noqa: E402, F401
    import leaks  # noqa: E402, F401

    sys.exit(type1.main())
