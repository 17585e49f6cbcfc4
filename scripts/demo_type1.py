"""The demonstration of type 1, judged from outside: demo_type1.py TRIVISOR ROOT CACHE

Three Debian guests share a board of two harts, which QEMU or (BOARD=trivisor) our own type 2 machine plays, under the
bare-metal hypervisor. All that is known of
them comes over the board's one console, as it would from a real one. Nothing that a guest says is believed: each
checksum is computed again here from a seed that was made here; what guests fetch from each other are tokens that were
made here; the words on which they go on are made when all of them work.
"""

import os
import secrets
import subprocess

from demo_board import BoardDemo, demonstrate
from judge import Guest, check_description, checksum, print_table, say

BOARDS = {
    "qemu": "qemu-system-riscv64 -M virt -smp 2 -m 1G -display none -serial stdio -monitor none",
    "trivisor": "trivisor run --cpu rva23 --cpus 2 --memory 1G --no-reboot",
}
BOARD = os.environ.get("BOARD") or "qemu"
BOOTS = 4  # of the guest that reboots
KIB = 512  # of text in each part of a checksum
LOGLEVEL = 6  # of the kernels: each character is an exit or two, and for each QEMU forgets its TLB
COUNTER_SIZE = 1 << 20
GUESTS = [Guest("web", 2, 256, 4), Guest("db", 1, 256, 3), Guest("app", 1, 192, 2, disk=True)]
ADDRESSES = {"web": "10.7.0.1", "db": "10.7.0.2", "app": "10.7.0.3"}
PEERS = {"web": "db", "db": "web", "app": "web"}


class Demo(BoardDemo):
    kind, guests = "type1", GUESTS
    first = "trivisor:"  # what comes before is the firmware's
    told = f"{len(GUESTS)} guests (unmodified Debian) on bare metal"

    def __init__(self, vmm, root, cache):
        super().__init__(vmm, root, cache)
        self.seeds = {guest.name: secrets.token_hex(8) for guest in GUESTS}
        self.tokens = {guest.name: secrets.token_hex(8) for guest in GUESTS}

    def command_line(self, guest):
        words = {"task": "demo", "seed": self.seeds[guest.name], "parts": guest.parts, "kib": KIB, "hold": 1, "again": 1}
        words.update(lan=ADDRESSES[guest.name], token=self.tokens[guest.name], peer=ADDRESSES[PEERS[guest.name]])
        if guest.disk:
            words["boots"] = BOOTS
        return " ".join(
            ["console=ttyS0", f"loglevel={LOGLEVEL}", f"hostname={guest.name}"] + [f"trivisor.{key}={value}" for key, value in words.items()]
        )

    def write_fleet(self):
        lines = ["vms:"]
        for guest in GUESTS:
            lines += [
                f"  - name: {guest.name}",
                f"    cpus: {guest.harts}",
                f"    memory: {guest.memory}M",
                f"    kernel: {self.cache}/debian/vmlinux",
                f"    initrd: {self.cache}/debian/initrd.img",
                f'    cmdline: "{self.command_line(guest)}"',
                "    net: [ { kind: switch, network: lan } ]",
            ]
            if guest.disk:
                # The others compute all the time; it shall boot nevertheless.
                lines += [f"    disks: [ {{ path: {guest.name}.raw }} ]", "    weight: 400"]
                with open(self.path(guest.name + ".raw"), "wb") as disk:
                    disk.truncate(COUNTER_SIZE)
        with open(self.path("fleet.yaml"), "w") as fleet:
            fleet.write("\n".join(lines) + "\n")

    def start(self):
        self.write_fleet()
        bundle = [self.vmm, "bundle", "--type", "1", self.path("fleet.yaml"), "-o", self.path("fleet.img")]
        say("trivisor bundle --type 1 fleet.yaml -o fleet.img")
        subprocess.run(bundle, check=True)
        words = BOARDS[BOARD].split() + ["--kernel" if BOARD == "trivisor" else "-kernel"]
        say(" ".join([*words, "fleet.img"]))
        if BOARD == "trivisor":
            words[0] = self.vmm
        self.start_board([*words, self.path("fleet.img")])

    def check_guest(self, guest):
        name, reports = guest.name, self.console.reports
        check_description(self.check, reports, guest, self.seeds[name], KIB)
        self.check(reports(name, "peer") == [self.tokens[PEERS[name]]], f"{name} fetched {PEERS[name]}'s token over the switch")
        self.check(reports(name, "pings") == ["3"], f"{name} has an answer to each of its 3 pings")
        if guest.disk:
            want = [str(boot) for boot in range(1, BOOTS + 1)]
            self.check(reports(name, "boot") == want, f"{name} rebooted {BOOTS - 1} times, and its disk in memory stayed")

    def check_computing(self, guest):
        want = checksum(self.seeds[guest.name], guest.parts, KIB)
        again = self.console.reports(guest.name, "again")
        self.check(
            again and set(again) == {want},
            f"{guest.name} computed its checksum {len(again)} more times, each time right",
        )

    def check_memory(self):
        """What the monitor says of the mappings: RAM in leaves of 2 MiB."""
        self.command("memory")
        self.wait(lambda: self.own(r"^board: \d+ MiB"))
        for guest in GUESTS:
            leaves = self.own(rf"^{guest.name} .*: 0 leaves of 1 GiB, (\d+) of 2 MiB")
            self.check(
                leaves and int(leaves[0][1]) == guest.memory // 2,
                f"{guest.name}'s RAM is mapped by leaves of 2 MiB: {leaves[0][1] if leaves else '?'}",
            )

    def let_go_on(self):
        """Types words that did not exist before on the guests' consoles, as a person would."""
        words = {guest.name: secrets.token_hex(8) for guest in GUESTS}
        for name, word in words.items():
            self.command(f"send {name} {word}")
        for name, word in words.items():
            self.wait(lambda name=name: self.console.reports(name, "continued"))
            self.check(self.console.reports(name, "continued") == [word], f"{name} took up our word")

    def run(self):
        self.start()
        ready = self.wait(lambda: all(self.console.reports(guest.name, "again") for guest in GUESTS))
        for guest in GUESTS:
            self.check_guest(guest)
        for guest in GUESTS:
            self.check_computing(guest)
        if not self.check(ready, "all guests were up and working at the same time: 4 VCPUs on 2 harts"):
            return
        self.check_memory()
        self.let_go_on()
        off = self.wait(lambda: all(self.own(f"^trivisor: {guest.name}: is off") for guest in GUESTS))
        self.check(off, "all guests powered off")
        self.command("poweroff")
        self.check(self.wait(lambda: self.qemu.poll() is not None), "the monitor switched the board off")
        self.judge_end()

    def judge_end(self):
        self.reader.join(5)
        self.check(self.qemu.returncode == 0, f"the board's exit status is 0: {self.qemu.returncode}")
        for guest in GUESTS:
            row = self.rows().get(guest.name, ("",) * 7)
            boots = BOOTS if guest.disk else 1
            self.check(row[3] == str(boots), f"{guest.name} was booted {boots} time(s)")
            self.check(row[6] == "powered off", f"{guest.name} ended well: {row[6]}")

    def rows(self):
        """The monitor's last table, by guest: name, harts, memory, boots, seconds, exits, result."""
        pattern = r"^([\w.-]+) +(\d+) +(\d+ MiB) +(\d+) +([\d.]+)  (.*?)  +(\S.*)$"
        return {match[1]: match.groups() for match in self.own(pattern)}

    def show_rows(self):
        rows = self.rows()
        if rows:
            print_table([("guest", "harts", "memory", "boots", "harts' s", "exits by reason", "result"), *rows.values()])


demonstrate(Demo)
