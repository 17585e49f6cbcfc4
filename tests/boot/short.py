"""The boot tests of `make check`."""

import hashlib
import itertools
import os
import re
import signal
import subprocess
import sys
import time
import zlib

from harness import BARE, ENGINE, MIB, OPENSBI, TRIVISOR, UBOOT, VMLINUX, check, test

INIT = r"guest: init is running"


def boots(t, *options, harts, **how):
    """Boots, computes something on every hart, and powers off."""
    vm = t.script(
        """
for hart in $(seq $(nproc)); do yes $hart | head -c 3000000 | sha256sum >/tmp/$hart & done
wait
echo "harts: $(nproc), sum: $(cat /tmp/[1-9]* | sha256sum)"
""",
        *options,
        cpus=harts,
        **how,
    )
    vm.ends(0)
    check(vm.says(INIT) and vm.says(f"Brought up 1 node, {harts} CPU"), "init did not run on all harts")
    commands = "".join(f"yes {hart} | head -c 3000000 | sha256sum;" for hart in range(1, harts + 1))
    expected = subprocess.run(["sh", "-c", f"({commands}) | sha256sum"], capture_output=True, text=True, check=True)
    check(f"harts: {harts}, sum: {expected.stdout.strip()}" in vm.text(), "the guest computed something else")
    check(vm.says("reboot: Power down"), "it did not power off from inside")
    check(vm.errors == b"", f"stderr: {vm.errors[:300]}")


@test()
def direct_boot_with_one_hart(t):
    boots(t, harts=1)


@test()
def direct_boot_with_four_harts(t):
    boots(t, harts=4)


@test()
def opensbi_fw_dynamic_boots_linux(t):
    vm = t.linux("trivisor.task=poweroff", "--firmware", f"{OPENSBI}/fw_dynamic.bin", cpus=2)
    vm.expect(r"OpenSBI v\d")
    vm.expect(r"Brought up 1 node, 2 CPUs")
    vm.expect(INIT)
    vm.ends(0)


NETWORK = """
ip link set lo up
ip link set eth0 up
udhcpc -i eth0 -q -n -t 10 -T 1 -s /udhcpc -f >/dev/null 2>&1 || echo no address
"""


def interrupts_by_messages(t, *options, harts):
    """With an APLIC and IMSICs disk, network and harts interrupt, before and after a save; by messages alone."""
    disk = t.path("data")
    with open(disk, "wb") as file:
        file.write(os.urandom(4 * MIB))
    work = """
echo 1 >/proc/sys/vm/drop_caches
echo "disk $(sha256sum </dev/vdb)"
for hart in $(seq $(nproc)); do yes $hart | head -c 1000000 | sha256sum >/dev/null & done
wait
sed 's/^/count: /' /proc/interrupts
ip -o addr show eth0
"""
    vm = t.script(
        NETWORK + work + "echo half\nsleep 3\nping -c 3 10.0.2.2 >/dev/null || echo no answer\n" + work + "echo whole\n",
        *("--irq", "aia", "--disk", disk, "--net", "user", *options),
        cpus=harts,
    )
    vm.expect(r"half")
    t.command("save", "vm", t.path("saved"))
    vm.ends(0)
    first = counts(vm.text())
    with open(disk, "rb") as file:
        expected = f"disk {hashlib.sha256(file.read()).hexdigest()}"
    check(expected in vm.text() and "inet 10.0.2.15" in vm.text(), "disk or network do not work")
    vm = t.start("restore", t.path("saved"))
    vm.expect(r"whole")
    vm.ends(0)
    check(expected in vm.text() and "no answer" not in vm.text(), "disk or network do not work any more")
    second = counts(vm.text())
    for device in ("virtio1", "virtio2", "ttyS0"):
        check(first.get(device, 0) > 0, f"{device} never interrupted: {first}")
        check(second.get(device, 0) > first[device], f"{device} did not interrupt any more: {first} {second}")
    if harts > 1:
        check(second["IPI1"] > 0, f"no hart interrupted another: {second}")


def counts(text):
    """Interrupts of each device by the APLIC, and of each kind between harts."""
    found = {}
    for line in re.findall(r"^count: (.*?)\r?$", text, re.M):
        words = line.split()
        number = sum(map(int, itertools.takewhile(str.isdigit, words[1:])))
        if "APLIC-MSI" in line:
            found[words[-1]] = number
        elif words[0].startswith("IPI"):
            found[words[0].rstrip(":")] = number
        check("PLIC" not in line.replace("APLIC", ""), f"there is a PLIC: {line}")
    return found


@test()
def aia_one_hart(t):
    interrupts_by_messages(t, harts=1)


@test()
def aia_four_harts_with_guest_files(t):
    interrupts_by_messages(t, "--cpu", "rva23", harts=4)


@test()
def aia_under_opensbi(t):
    interrupts_by_messages(t, "--firmware", f"{OPENSBI}/fw_dynamic.bin", harts=2)


# Lines that differ between two boots of one machine because they tell a time or a speed. Nothing else may differ.
TIMES = [
    (r"^\[ *\d+\.\d+\] ", ""),
    (r"audit\(\d+\.\d+:", "audit(T:"),
    (r"setting system clock to .*", "setting system clock to T"),
    (r"(cpu\d: Ratio of byte access time to unaligned word access is) .*", r"\1 T"),
    (r"(node 0 deferred pages initialised in) \d+ms", r"\1 T"),
    (r"(init is running,) [\d.]+ s", r"\1 T s"),
    # A few KiB more or less, with two harts under firmware: which of them boots is a lottery.
    (r"Memory: \d+K(/.*, )\d+K reserved", r"Memory: K\1K reserved"),
]
# Said by a worker thread whenever it is done, or only when the host was slow.
FLOATING = r"Freeing initrd memory|Trying to unpack rootfs image|audit: type=2000|hrtimer: interrupt took"


def story(console):
    """The console without times, and what floats in it."""
    lines, floating = [], []
    for line in console.decode(errors="replace").replace("\r", "").split("\n"):
        for pattern, replacement in TIMES:
            line = re.sub(pattern, replacement, line)
        (floating if re.search(FLOATING, line) else lines).append(line)
    return lines, sorted(line for line in floating if "hrtimer" not in line)


def difference(whole, broken):
    for number, (one, other) in enumerate(zip(whole + ["(end)"], broken + ["(end)"])):
        if one != other:
            return f"line {number}: unbroken {one!r}, saved and restored {other!r}"
    return "(only the length)"


def saved_in_mid_boot(t, cmdline, *options, at, in_order=True, **how):
    """Saves a boot at the words of `at`, each time into a fresh process; its console is that of an unbroken one."""
    whole = t.linux(cmdline, *options, name="whole", **how)
    vm = t.linux(cmdline, *options, name="broken", **how)
    console, ran = b"", 0.0
    for number, words in enumerate(at):
        vm.expect(words)
        t.command("save", "broken", t.path(f"saved{number}"))
        vm.ends(0)
        console += vm.console
        ran += time.monotonic() - vm.started
        time.sleep(2)
        vm = t.start("restore", t.path(f"saved{number}"))
    vm.ends(0)
    console += vm.console
    ran += time.monotonic() - vm.started
    whole.ends(0)
    lines, floating = story(whole.console)
    other, also = story(console)
    if not in_order:
        lines, other = sorted(lines), sorted(other)
    check(len(lines) > 150, "the unbroken run said too little")
    check(lines == other, difference(lines, other))
    check(floating == also, f"{floating} and {also}")
    # The guest's clock stood still in between.
    times = [float(stamp) for stamp in re.findall(rb"^\[ *(\d+\.\d+)\]", console, re.M)]
    check(not in_order or times == sorted(times), "the guest's clock went backwards")
    check(times[-1] < ran, f"the guest's clock went on to {times[-1]} s in {ran:.1f} s of running")


@test()
def saved_in_mid_boot_the_console_is_that_of_an_unbroken_run(t):
    # Before the first console driver, in the middle of the drivers, as init begins.
    points = (r"Mount-cache hash", r"io scheduler", r"Run /init")
    saved_in_mid_boot(t, "earlycon=sbi trivisor.task=poweroff", at=points)


@test()
def reboot_from_inside(t):
    disk = t.disk("count", MIB)
    vm = t.linux("trivisor.task=reboot trivisor.boots=3", "--disk", disk, cpus=2)
    for boot in (1, 2, 3):
        vm.expect(rf"guest: boot {boot} of 3")
    vm.ends(0)
    check(vm.console.count(b"Linux version") == 3, "not three boots")
    with open(disk, "rb") as file:
        check(file.read(8) == b"3       ", "the disk did not count the boots")


@test()
def reboot_ends_it_with_no_reboot(t):
    vm = t.linux("trivisor.task=reboot", "--no-reboot")
    vm.ends(0)
    check(vm.console.count(b"Linux version") == 1, "it booted again")


def panics(t, words, *options):
    return t.run("--kernel", VMLINUX, "--cmdline", f"console=ttyS0 root=/dev/vda9 {words}", *options)


@test()
def kernel_panic_is_reported(t):
    vm = panics(t, "")
    vm.expect(r"Kernel panic - not syncing: VFS")
    vm.ends(1)
    first = vm.errors.decode().splitlines()[0]
    check(re.match(r"trivisor: vm: the guest failed: kernel panic: .*VFS", first), f"stderr: {first}")


@test()
def kernel_panic_that_reboots_fails_with_no_reboot(t):
    vm = panics(t, "panic=1", "--no-reboot")
    vm.ends(1)
    check(b"kernel panic" in vm.errors, f"stderr: {vm.errors[:300]}")
    vm = panics(t, "panic=1")
    vm.expect(r"Kernel panic")
    vm.expect(r"Linux version")
    vm.signal(signal.SIGTERM)
    vm.ends(0)


@test()
def uboot_in_m_mode_reads_the_disk(t):
    tree = t.path("tree")
    os.makedirs(os.path.join(tree, "boot"))
    for number in range(40):
        with open(os.path.join(tree, "boot", f"file-{number}"), "wb") as file:
            file.write(os.urandom(1000 + number))
    partition = t.path("partition")
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tree, partition, "30M"], check=True, capture_output=True)
    disk = t.disk("disk.raw", 32 * MIB)
    with open(disk, "r+b") as file, open(partition, "rb") as source:
        # A partition table with one Linux partition at 1 MiB.
        file.seek(446)
        file.write(bytes([0x80, 254, 255, 255, 0x83, 254, 255, 255]) + (2048).to_bytes(4, "little"))
        file.write((30 * 2048).to_bytes(4, "little"))
        file.seek(510)
        file.write(b"\x55\xaa")
        file.seek(MIB)
        file.write(source.read())
    vm = t.run("--firmware", f"{UBOOT}/qemu-riscv64/u-boot.bin", "--disk", disk, memory="512M")
    vm.expect(r"Hit any key to stop autoboot")
    vm.line("")
    vm.expect(r"=> ")
    vm.line("ls virtio 0:1 /boot")
    vm.expect(r"1039\s+file-39")
    vm.expect(r"=> ")
    vm.line("load virtio 0:1 0x84000000 /boot/file-7")
    vm.expect(r"1007 bytes read")
    vm.expect(r"=> ")
    vm.line("crc32 0x84000000 3ef")
    with open(os.path.join(tree, "boot", "file-7"), "rb") as file:
        vm.expect(f"==> {zlib.crc32(file.read()):08x}")
    vm.expect(r"=> ")
    vm.line("poweroff")
    vm.ends(0)


@test()
def sigterm_switches_linux_off_in_order(t):
    vm = t.linux("hostname=guest")
    vm.expect(r"guest: no task; a shell")
    vm.line("echo $((6 * 7)) is the answer")
    vm.expect(r"42 is the answer")
    vm.signal(signal.SIGTERM)
    vm.ends(0, 60)
    check(vm.says("Emergency Sync") and vm.says("Power Off|Power down"), "the kernel was not asked")


@test()
def sigterm_ends_a_guest_that_does_not_listen(t):
    vm = t.bare("ticker")
    vm.expect(r"tick 5\n")
    vm.signal(signal.SIGTERM)
    vm.ends(0, 20)
    vm = t.bare("trap_busy")
    vm.expect(r"about to trap")
    time.sleep(1)
    check(vm.running(), "it ended by itself")
    vm.signal(signal.SIGTERM)
    time.sleep(0.3)  # or the two would become one
    vm.signal(signal.SIGTERM)
    vm.ends(1, 20)  # the second one kills


@test()
def guests_that_are_lost_are_reported(t):
    for guest, words in [
        ("fail_code", "the guest reported failure, code 42"),
        ("trap_nowhere", "endless traps"),
        ("trap_itself", "endless traps"),
        ("wander_empty", "endless traps"),
        ("wander_end", "endless traps"),
    ]:
        vm = t.bare(guest)
        vm.expect(r"about to \w+")
        vm.ends(1, 30)
        first = vm.errors.decode().splitlines()[0]
        check(first.startswith(f"trivisor: vm: the guest failed: {words}"), f"{guest}: {first}")
        check(b"hart 0: pc " in vm.errors, f"{guest}: no registers")
    vm = t.run("--kernel", os.path.join(BARE, "wander_kernel.elf"), memory="64M")
    vm.ends(1, 30)
    check(b"endless traps" in vm.errors, "a kernel that wanders off")


@test()
def broken_virtqueues_need_a_reset_and_nothing_else_notices(t):
    disks = [t.disk("first", MIB), t.disk("second", MIB)]
    with open(disks[1], "r+b") as file:
        file.write(b"second disk")
    vm = t.bare("virtio_bad", *(word for disk in disks for word in ("--disk", disk)))
    vm.ends(0, 60)
    text = vm.text()
    check("WRONG" not in text, "a rule was broken without the right answer")
    check(text.count("rule: ") == 20 and text.endswith("second disk\nthe guest goes on\n"), "it did not come to its end")


def flood():
    """What bare/flood.c prints."""
    lines = (
        f"{line:06}" + "".join(chr(33 + (line * 7 + i) % 90) for i in range(6, 31)) + "\n" for line in range(32768)
    )
    return "".join(lines).encode()


@test()
def no_byte_of_the_console_is_lost(t):
    vm = t.bare("flood")
    vm.ends(0, 60)
    check(vm.console == flood(), "something is missing")
    # A reader that stands still for three seconds.
    vm = t.bare("flood", reading=False)
    time.sleep(3)
    check(vm.running(), "it did not wait for its reader")
    vm.go_on_reading()
    vm.ends(0, 60)
    check(vm.console == flood(), "something is missing after a pause of the reader")
    check(vm.errors == b"", f"stderr: {vm.errors[:300]}")
    # A file: bytes go there directly.
    with open(t.path("console"), "wb") as file:
        words = [TRIVISOR, "run", "--memory", "64M", "--firmware", os.path.join(BARE, "flood.elf")]
        subprocess.run(words, stdout=file, stdin=subprocess.DEVNULL, env=t.env, check=True, timeout=60)
    with open(t.path("console"), "rb") as file:
        check(file.read() == flood(), "something is missing in the file")


def measured(t, words):
    """(status, stdout, stderr, most that was resident in KiB) of a machine in a process of its own."""
    with open(t.path("out"), "w+b") as out, open(t.path("err"), "w+b") as err:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=t.env, cwd=t.dir)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        return child.returncode, out.read(), err.read(), usage.ru_maxrss


@test()
def host_that_lets_no_code_be_made_gets_the_interpreter(t):
    refusing = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "no_code.py")]
    guest = ["run", "--engine", "jit", "--memory", "64M", "--firmware", os.path.join(BARE, "flood.elf")]
    for prefix in refusing, ["prlimit", f"--as={256 * MIB}"]:
        status, out, err, _ = measured(t, [*prefix, TRIVISOR, *guest])
        check(status == 0 and out == flood(), f"{prefix}: status {status}, {err[:300]}")
        check(err.count(b"\n") == 1 and b"interpreter" in err, f"{prefix}: stderr: {err[:300]}")


@test()
def code_that_no_translator_likes_is_executed_as_written(t):
    for guest, lines in ("code_everywhere", 2), ("code_between", 1), ("code_mapped", 2):
        words = ["run", *(["--engine", ENGINE] if ENGINE else []), "--memory", "64M", "--firmware",
                 os.path.join(BARE, guest + ".elf")]
        status, out, err, resident = measured(t, [TRIVISOR, *words])
        check(status == 0 and out == b"as written\n" * lines, f"{guest}: status {status}, {out[:200]}, {err[:200]}")
        # RAM, the cache of translated code (128 MiB in two mappings) and what is known of its blocks.
        check(resident < 400 << 10, f"{guest}: {resident >> 10} MiB resident")


@test()
def guest_that_waits_for_its_reader_can_be_paused_and_stopped(t):
    vm = t.bare("flood", reading=False)
    time.sleep(2)
    t.command("pause", "vm", limit=20)
    t.command("resume", "vm", limit=20)
    t.command("pause", "vm", limit=20)
    vm.go_on_reading()
    time.sleep(0.5)
    check(vm.running(), "it ended while it was paused")
    t.command("resume", "vm", limit=20)
    vm.ends(0, 60)
    check(vm.console == flood(), "something is missing after a pause")

    vm = t.bare("flood", reading=False)
    time.sleep(2)
    vm.signal(signal.SIGTERM)
    vm.popen.wait(15)
    vm.go_on_reading()
    vm.ends(0, 5)
    check(flood().startswith(vm.console) and len(vm.console) > 30000, "not the beginning of what it says")


@test()
def console_of_linux_is_whole(t):
    vm = t.script("dmesg -n 1; echo begin; seq 1 60000; echo the end", cpus=2)
    vm.ends(0)
    expected = "begin\n" + "".join(f"{n}\n" for n in range(1, 60001)) + "the end\n"
    check(expected in vm.text(), "numbers are missing")


@test()
def paused_guest_stands_still(t):
    vm = t.bare("ticker")
    vm.expect(r"tick 5\n")
    t.command("pause", "vm")
    time.sleep(0.5)
    before = len(vm.console)
    time.sleep(3)
    check(len(vm.console) == before, "it goes on while it is paused")
    seen = int(re.findall(rb"tick (\d+)\n", vm.console)[-1])
    t.command("resume", "vm")
    begun = time.monotonic()
    vm.expect(rf"tick {seen + 20}\n", 60)
    check(time.monotonic() - begun > 1.5, "guest time ran on during the pause")
    vm.signal(signal.SIGTERM)
    vm.ends(0, 20)


@test()
def virtio_console_is_whole(t):
    vm = t.script(
        "dmesg -n 1; until [ -c /dev/hvc0 ]; do sleep 0.1; done; (seq 1 30000; echo the end; sleep 1) >/dev/hvc0",
        "--virtio-console",
    )
    vm.ends(0)
    expected = "".join(f"{n}\n" for n in range(1, 30001)) + "the end\n"
    check(expected in vm.text(), "numbers are missing")
