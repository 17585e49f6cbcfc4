"""The demonstration of type 0, judged from outside: demo_type0.py TRIVISOR ROOT CACHE

The firmware divides a board of four harts, which QEMU plays: two unmodified Debian systems and a small kernel of ours,
each on harts of its own, at physical addresses, between PMP walls. The first Debian has two of the board's disks, writes
to them and reboots itself; the second is stopped and started again from the firmware's console; all the while the third
computes. Nothing that a guest says is believed: each checksum is computed again here from a seed that was made here,
and what the disks hold is looked at from outside.
"""

import hashlib
import os
import secrets
import subprocess

from demo_board import BoardDemo, demonstrate
from judge import KIB, Guest, check_description, checksum, print_table, repeated, say

BOARDS = {
    "qemu": "qemu-system-riscv64 -M virt -smp 4 -m 1G -display none -serial stdio -monitor none",
    "trivisor": "trivisor run --cpu rva23 --cpus 4 --memory 1G --no-reboot",
}
BOARD = os.environ.get("BOARD") or "qemu"
BOOTS = 2  # of the guest that reboots itself
DISK_SIZE = 8 << 20
WRITTEN = 4194304  # bytes, by guests/debian/tasks/demo
GUESTS = [Guest("web", 2, 256, 2, disk=True), Guest("db", 1, 256, 1), Guest("calc", 1, 64, 4)]
CALC_KIB = 256


class Demo(BoardDemo):
    kind, guests = "type0", GUESTS
    first = ""
    told = f"a board divided between {len(GUESTS)} systems"

    def __init__(self, vmm, root, cache):
        super().__init__(vmm, root, cache)
        self.seeds = {guest.name: secrets.token_hex(8) for guest in GUESTS}
        self.token = secrets.token_hex(8)

    def keys(self, guest):
        """Its entry in the description."""
        seed = self.seeds[guest.name]
        keys = dict(name=guest.name, cpus=guest.harts, memory=f"{guest.memory}M")
        if guest.name == "calc":
            keys["kernel"] = f"{self.root}/build/guests/tiny.bin"
            keys["cmdline"] = f"hostname=calc seed={seed} parts={guest.parts} kib={CALC_KIB} hold again"
            return keys
        words = {"task": "demo", "seed": seed, "parts": guest.parts, "kib": KIB, "hold": 1, "again": 1}
        if guest.disk:
            words.update(boots=BOOTS, disk="vdb")
        words = " ".join(f"trivisor.{key}={value}" for key, value in words.items())
        keys.update(kernel=f"{self.cache}/debian/vmlinux", initrd=f"{self.cache}/debian/initrd.img")
        keys["cmdline"] = f'"console=ttyS0 quiet hostname={guest.name} {words}"'
        if guest.disk:
            # Their DMA passes PMP by: whoever describes the board must say that this guest may.
            keys["passthrough"] = "[ { device: virtio_mmio@10001000 }, { device: virtio_mmio@10002000 } ]"
            keys["trusted_dma"] = "true"
        return keys

    def write_files(self):
        entries = ["  - " + "\n    ".join(f"{key}: {value}" for key, value in self.keys(guest).items()) for guest in GUESTS]
        with open(self.path("fleet.yaml"), "w") as fleet:
            fleet.write("vms:\n" + "\n".join(entries) + "\n")
        for name in ("count.raw", "data.raw"):
            with open(self.path(name), "wb") as disk:
                disk.truncate(DISK_SIZE)
                if name == "data.raw":
                    disk.seek(DISK_SIZE - 512)
                    disk.write(self.token.encode())

    def start(self):
        self.write_files()
        say("trivisor bundle --type 0 fleet.yaml -o web.fw")
        subprocess.run([self.vmm, "bundle", "--type", "0", self.path("fleet.yaml"), "-o", self.path("web.fw")], check=True)
        disks = []
        # Linux names disks in the order of the device tree, which has the highest address first.
        for bus, name in ((0, "data.raw"), (1, "count.raw")):
            if BOARD == "trivisor":
                disks = ["--disk", self.path(name), *disks]  # named in this order
            else:
                disks += ["-drive", f"if=none,id=d{bus},format=raw,file={self.path(name)}"]
                disks += ["-device", f"virtio-blk-device,drive=d{bus},bus=virtio-mmio-bus.{bus}"]
        words = BOARDS[BOARD].split() + ["--firmware" if BOARD == "trivisor" else "-bios"]
        say(" ".join([*words, "web.fw and two disks"]))
        if BOARD == "trivisor":
            words[0] = self.vmm
        self.start_board([*words, self.path("web.fw"), *disks])

    def again(self, name):
        return self.console.reports(name, "again")

    def want(self, guest):
        if guest.name == "calc":
            digests = [
                hashlib.sha256(repeated(f"{self.seeds['calc']} {part}", CALC_KIB * 1024)).hexdigest()
                for part in range(1, guest.parts + 1)
            ]
            return hashlib.sha256("".join(digest + "\n" for digest in digests).encode()).hexdigest()
        return checksum(self.seeds[guest.name], guest.parts)

    def check_again(self, guest):
        again = self.again(guest.name)
        self.check(
            again and set(again) == {self.want(guest)},
            f"{guest.name} computed its checksum {len(again)} more times, each time right",
        )

    def rows(self):
        """The firmware's last list of partitions: name -> (state, harts, MiB, address, boots)."""
        pattern = r"^\d+ ([\w.-]+) +(\w+) +(\d+) harts  (\d+) MiB at (\w+)  (\d+) boots"
        return {match[1]: match.groups()[1:] for match in self.own(pattern)}

    def list(self):
        count = len(self.own(r"^\d+ calc "))
        self.command("list")
        self.wait(lambda: len(self.own(r"^\d+ calc ")) > count)
        return self.rows()

    def stop_and_start(self):
        """The second Debian, from the console; what calc computes meanwhile is counted."""
        self.command("stop db")
        off = self.wait(lambda: self.own(r"^trivisor: db: is off"))
        row = self.list().get("db", ("",))
        self.check(off and row[0] == "off", "db was stopped from the firmware's console: " + row[0])
        began, silent = len(self.again("calc")), len(self.console.lines["db"])
        self.wait(lambda: len(self.again("calc")) >= began + 3)
        self.check(len(self.again("calc")) >= began + 3, "calc went on computing meanwhile")
        self.check(len(self.console.lines["db"]) == silent, "db was silent while it was off")
        self.command("start db")

    def again_since_start(self):
        lines = list(self.console.lines["db"])
        starts = [i for i, line in enumerate(lines) if line.startswith("report: hostname")]
        return len(starts) == 2 and any(line.startswith("report: again") for line in lines[starts[-1] :])

    def run(self):
        self.start()
        web, db, calc = GUESTS
        up = self.wait(lambda: self.again("db") and self.again("calc"))
        if not self.check(up, "db and calc were up and computing"):
            return
        check_description(self.check, self.console.reports, db, self.seeds["db"])
        say("db is stopped and started again, whatever web does")
        self.stop_and_start()
        ready = self.wait(lambda: self.again("web") and self.again_since_start())
        if not self.check(ready, "all partitions computed at the same time, on harts of their own; db since it was started again"):
            return
        check_description(self.check, self.console.reports, web, self.seeds["web"])
        self.check(self.console.reports("calc", "checksum")[0].split()[0] == self.want(calc), "calc's checksum is the one computed here")
        boots = self.console.reports("web", "boot")
        self.check(boots == [str(boot) for boot in range(1, BOOTS + 1)], f"web rebooted itself: boots {' '.join(boots)}")
        self.check(self.own(r"^trivisor: web: reboots"), "the firmware restarted web alone")
        self.check(self.console.reports("web", "disk read") == [self.token], "web read our token from its disk")
        rows = self.list()
        for guest, count in ((web, BOOTS), (db, 2), (calc, 1)):
            row = rows.get(guest.name, ("",) * 5)
            self.check(row[0] == "running" and row[4] == str(count), f"{guest.name} runs, booted {row[4]} time(s)")
        for guest in GUESTS:
            self.check_again(guest)
        self.check(len(self.console.reports("calc", "checksum")) == 1, "calc noticed nothing: it began once")
        self.command("poweroff")
        self.check(self.wait(lambda: self.qemu.poll() is not None), "the firmware switched the board off")
        self.reader.join(5)
        self.check(self.qemu.returncode == 0, f"the board's exit status is 0: {self.qemu.returncode}")
        self.check_disks()

    def check_disks(self):
        with open(self.path("count.raw"), "rb") as disk:
            count = disk.read(8).strip()
        self.check(count == str(BOOTS).encode(), f"the boots counted on web's disk: {count.decode(errors='replace')}")
        with open(self.path("data.raw"), "rb") as disk:
            data = disk.read(WRITTEN)
        self.check(data == repeated(f"{self.seeds['web']} disk", WRITTEN), "web's data are on its disk, byte for byte")

    def show_rows(self):
        rows = self.rows()
        if rows:
            table = [(name, row[1], row[2], row[3], row[4], row[0]) for name, row in rows.items()]
            print_table([("partition", "harts", "MiB", "at", "boots", "state"), *table])


demonstrate(Demo)
