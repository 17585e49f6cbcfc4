"""Runs the benchmark: see bench/README.md. Started by bench/run.sh, which builds what it needs."""

import argparse
import datetime
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import real
import report
from machine import Machine, Subject, MEMORY_MIB

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = f"{ROOT}/build/bench"
GUEST = f"{os.environ.get('TRIVISOR_CACHE', ROOT + '/guests/cache')}/debian"
NATIVE = "native"
DISK_MIB = 64
SILENCE = 120  # seconds without a line after which a machine is given up


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def die(text):
    """Wrong use, or something is missing on this machine."""
    say(text)
    sys.exit(2)


def system_rows():
    return [
        report.Row("first-kernel-line", "start", "seconds"),
        report.Row("start-to-init", "start", "seconds"),
        report.Row("memory-beyond-ram", "footprint", "mebibytes"),
        report.Row("idle-processor", "footprint", "percent"),
    ]


def guest_rows():
    listing = subprocess.run([f"{BUILD}/native", "list"], capture_output=True, text=True, check=True).stdout
    return [report.Row(name, group, kind, int(harts)) for name, group, kind, harts in map(str.split, listing.splitlines())]


def real_rows():
    return [report.Row(name, "real", "work") for name in real.NAMES]


class TcpServer(threading.Thread):
    """The host's end of the network rows, see guest/io.c. On the loopback, at a port of the system's choice."""

    PATTERN = bytes(range(256)) * 256

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            try:
                with connection:
                    self.serve(connection)
            except (OSError, ValueError):
                pass  # the guest says that the row failed

    def serve(self, connection):
        request = b""
        while not request.endswith(b"\n"):
            byte = connection.recv(1)
            if not byte or len(request) > 64:
                return
            request += byte
        verb, count = request.split()
        count = int(count)
        if verb == b"receive":
            while count > 0:
                count -= connection.send(self.PATTERN[: min(count, len(self.PATTERN))])
            connection.recv(1)  # until the guest closes it
            return
        buffer, done = bytearray(1 << 18), 0
        while done < count:
            length = connection.recv_into(buffer)
            if not length or buffer[0] != done & 255 or buffer[length - 1] != (done + length - 1) & 255:
                return
            done += length
        connection.send(b"k")


def cpio(members):
    """An archive (newc) that the kernel unpacks over the initramfs before it."""
    out = b""
    for i, (name, mode, data) in enumerate(members + [("TRAILER!!!", 0, b"")]):
        path = name.encode() + b"\0"
        fields = (i + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + path
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return out


def boot_of(row):
    """Rows are done in one boot for each number of harts, and one with the vector extension."""
    return "vector" if row.group in ("vector", "scalar") else str(row.harts)


def make_initrd(path, rows, scale):
    members = [("bench", 0o040755, b"")]
    with open(f"{BUILD}/bench", "rb") as file:
        members.append(("bench/bench", 0o100755, file.read()))
    with open(f"{ROOT}/bench/guest/task", "rb") as file:
        members.append(("tasks/bench", 0o100644, file.read()))
    for boot in sorted({boot_of(row) for row in rows}):
        names = "".join(f"{row.name} {scale}\n" for row in rows if boot_of(row) == boot)
        members.append((f"bench/rows-{boot}", 0o100644, names.encode()))
    with open(f"{GUEST}/initrd.img", "rb") as file:
        debian = file.read()
    with open(path, "wb") as file:
        file.write(debian + bytes(-len(debian) % 512) + cpio(members))


def make_disk(path):
    """Words that are their own index: both ends can check any of them."""
    with open(path, "wb") as file:
        for mib in range(DISK_MIB):
            first = mib << 17
            file.write(struct.pack("<131072Q", *range(first, first + 131072)))


class Bench:
    def __init__(self, options, subjects, folder):
        self.options, self.subjects, self.folder = options, subjects, folder
        wanted = re.compile(options.rows)
        every = system_rows() + guest_rows() + (real_rows() if options.real else [])
        self.rows = [row for row in every if wanted.search(row.name) or wanted.search(row.group)]
        if not self.rows:
            die(f"no row matches '{options.rows}'")
        self.by_name = {row.name: row for row in self.rows}
        self.guest_rows = [row for row in self.rows if row.group not in ("start", "footprint", "real")]
        self.real_rows = [row for row in self.rows if row.group == "real"]
        self.failures = []
        self.server = TcpServer() if any(row.group == "network" for row in self.rows) else None
        self.disk = f"{folder}/disk.raw" if any(row.group == "disk" for row in self.rows) else None
        if self.disk:
            make_disk(self.disk)
        self.initrd = f"{folder}/initrd.img"
        make_initrd(self.initrd, self.guest_rows, options.scale)
        if self.real_rows:
            self.archive = f"{folder}/archive.tar"
            real.make_archive(self.archive, [row.name for row in self.real_rows], options.scale)
        self.lines = []  # what each run said

    def fail(self, subject, text):
        self.failures.append(f"{subject.name}: {text}")
        say(f"FAILED: {subject.name}: {text}")

    def machine(self, subject, harts, cmdline, **devices):
        command = subject.command(harts, f"{GUEST}/vmlinux", self.initrd, cmdline, **devices)
        return Machine(command, self.folder)

    def add(self, name, subject, value):
        if name in self.by_name:
            self.by_name[name].add(subject.name, value)

    def boot(self, subject, idle_seconds):
        """Start-up and footprint."""
        times = {}
        with self.machine(subject, 1, "console=ttyS0 earlycon trivisor.task=bench trivisor.rows=idle") as machine:
            for when, line in machine.console(SILENCE):
                if "Linux version" in line:
                    times.setdefault("first-kernel-line", when)
                elif "Run /init as init process" in line:
                    times.setdefault("start-to-init", when)
                elif line == "bench: idle":
                    break
            else:
                self.fail(subject, "did not boot: " + (machine.lines[-1][1] if machine.lines else "it said nothing"))
                return
            for name, when in times.items():
                self.add(name, subject, when)
            time.sleep(2)
            if idle_seconds:
                before, begin = machine.processor_seconds(), time.monotonic()
                time.sleep(idle_seconds)
                used = machine.processor_seconds() - before
                self.add("idle-processor", subject, used / (time.monotonic() - begin) * 100)
            self.add("memory-beyond-ram", subject, machine.overhead_bytes()[0] / 2**20)

    def work(self, subject, boot):
        """All guest rows of one boot."""
        rows = [row for row in self.guest_rows if boot_of(row) == boot]
        groups = {row.group for row in rows}
        network = "network" in groups
        cmdline = f"console=ttyS0 quiet trivisor.task=bench trivisor.rows={boot}"
        if network:
            cmdline += f" trivisor.port={self.server.port}"
        self.measure(subject, rows, rows[0].harts, cmdline, disks=[self.disk] if "disk" in groups else [],
                     network=network, vector=boot == "vector")

    def real(self, subject):
        """The programs of Debian's, on its own disk."""
        self.measure(subject, self.real_rows, 1, "console=ttyS0 quiet trivisor.task=archive",
                     disks=[f"{GUEST}/tools.raw", self.archive], readonly=True)

    def measure(self, subject, rows, harts, cmdline, **devices):
        """Boots a guest that does the rows, and takes what it says of them."""
        missing = {row.name for row in rows}
        began, used = {}, {}
        with self.machine(subject, harts, cmdline, **devices) as machine:
            for when, line in machine.console(SILENCE):
                said = re.search(r"bench: (\S+) (begin|end|skipped|failed|ended)\b ?(.*)", line)
                if "bench: done" in line:
                    break
                if not said or said[1] not in self.by_name:
                    continue
                row, what, rest = self.by_name[said[1]], said[2], said[3]
                if what == "begin":
                    began[row.name], used[row.name] = when, machine.processor_seconds()
                elif what == "end":
                    missing.discard(row.name)
                    row.add_processor(subject.name, machine.processor_seconds() - used.get(row.name, 0))
                    self.take(subject, row, rest, when - began.get(row.name, when))
                else:
                    missing.discard(row.name)
                    self.fail(subject, f"{row.name} {what} {rest}")
            last = machine.lines[-1][1] if machine.lines else "nothing"
        for name in sorted(missing):
            self.fail(subject, f"{name} did not come to its end; the last line was: {last}")

    def take(self, subject, row, text, host_seconds):
        found = re.match(r"operations=(\d+) ns=(\d+) sum=([0-9a-f]+)$", text)
        if not found:
            self.fail(subject, f"{row.name} said: {text}")
            return
        operations, ns = int(found[1]), int(found[2])
        row.add_time(subject.name, operations, ns, found[3])
        # The console may be late; but a guest's clock must not be slow.
        if ns / 1e9 < host_seconds * 0.8 - 0.1:
            row.note(f"{row.name}: {subject.name}'s guest counted {ns / 1e9:.2f} s, the host {host_seconds:.2f} s")

    def native(self):
        for row in self.guest_rows:
            if row.group in ("disk", "network"):
                continue
            result = subprocess.run([f"{BUILD}/native", row.name, str(self.options.scale)], capture_output=True,
                                    text=True, check=False, timeout=600)
            found = re.search(r"end operations=(\d+) ns=(\d+) sum=([0-9a-f]+)", result.stdout)
            if found and row.kind == "instructions":
                row.sums.setdefault(found[3], []).append(NATIVE)  # they are not this processor's instructions
            elif found:
                row.add_time(NATIVE, int(found[1]), int(found[2]), found[3])
            else:
                self.failures.append(f"native: {row.name}: {result.stdout.strip()}")

    def run(self):
        systems = any(row.group in ("start", "footprint") for row in self.rows)
        for number in range(self.options.runs):
            # Interleaved, and each time another one is first.
            turn = number % len(self.subjects)
            for subject in self.subjects[turn:] + self.subjects[:turn]:
                say(f"run {number + 1} of {self.options.runs}: {subject.name}")
                if systems:
                    idle = "idle-processor" in self.by_name and number == 0
                    self.boot(subject, self.options.idle if idle else 0)
                for boot in sorted({boot_of(row) for row in self.guest_rows}):
                    self.work(subject, boot)
                if self.real_rows:
                    self.real(subject)
            self.native()
        for row in self.rows:
            if len(row.sums) > 1:
                self.failures.append(f"{row.name}: checksums differ: " + "; ".join(
                    f"{checksum} {', '.join(sorted(set(who)))}" for checksum, who in row.sums.items()))


def report_text(bench, description, seconds):
    options, names = bench.options, [subject.name for subject in bench.subjects]
    native = NATIVE if any(NATIVE in row.values for row in bench.rows) else None
    ours = names[0]
    with open(f"{GUEST}/version", encoding="ascii") as file:
        kernel = file.read().strip()
    description = description + [
        ("guest", f"Debian's {kernel}, {MEMORY_MIB} MiB"),
        *((subject.name, subject.version + (f", engine {subject.engine}" if subject.engine else ""))
          for subject in bench.subjects),
        ("runs", f"{options.runs}, interleaved, scale {options.scale:g}, {seconds:.0f} s in all"),
        ("date", datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z")),
    ]
    parts = [
        "Trivisor's benchmark (bench/README.md says what the rows are)",
        "\n".join(f"{key + ':':13}{value}" for key, value in description),
        "Medians. A/B below is how many times better A is than B: over 1, A is ahead.",
        report.rows_table(bench.rows, ours, names, native),
        report.groups_table(bench.rows, ours, names, native),
        *filter(None, [report.gains(bench.rows, names, native)]),
        "Processor time of the monitors during the rows [s], which a busy machine changes less:",
        report.processor_table(bench.rows, ours, names),
    ]
    notes = [note for row in bench.rows for note in row.notes]
    if notes:
        parts.append("Notes:\n" + "\n".join("  " + note for note in notes))
    if bench.failures:
        parts.append("FAILED:\n" + "\n".join("  " + failure for failure in dict.fromkeys(bench.failures)))
    if options.runs > 1:
        lines = [f"  {row.name} [{row.unit}] " + "; ".join(
            f"{who}: {' '.join(report.number(v) for v in values)}" for who, values in row.values.items())
            for row in bench.rows if row.values]
        parts.append("Each run:\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def parse_options():
    parser = argparse.ArgumentParser(prog="bench/run.sh", description=(
        "Measures Trivisor side by side with QEMU TCG and prints a table of ratios. It never fails because of a time."))
    parser.add_argument("--quick", action="store_true", help="one run of small sizes, nothing written")
    parser.add_argument("--runs", type=int, metavar="N", help="interleaved runs of which medians are taken (5)")
    parser.add_argument("--rows", default="", metavar="REGEX", help="only rows whose name or group matches")
    parser.add_argument("--scale", type=float, metavar="X", help="work per row (1 is about 0.2 s in the interpreter)")
    parser.add_argument("--real", action="store_true",
                        help="also the group real: gcc, python and so on, on Debian's disk (made the first time)")
    parser.add_argument("--engine", metavar="NAME", help="Trivisor's engine")
    parser.add_argument("--trivisor", metavar="PATH", help="another build of it",
                        default=os.environ.get("TRIVISOR") or f"{ROOT}/build/trivisor")
    parser.add_argument("--with", action="append", default=[], dest="extra", metavar="NAME=QEMU",
                        help="another QEMU to compare with; may be repeated")
    parser.add_argument("--only", action="store_true", help="leave out the QEMUs that are not named by --with")
    parser.add_argument("--output", metavar="FILE", help="where the report goes (bench/results/DATE-COMMIT.txt)")
    parser.add_argument("--qemu10", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.runs = options.runs or (1 if options.quick else 5)
    options.scale = options.scale or (0.1 if options.quick else 1.0)
    options.idle = 3 if options.quick else 10
    return options


def find_subjects(options):
    if not os.access(options.trivisor, os.X_OK):
        die(f"no {options.trivisor}: run make")
    subjects = [Subject("trivisor", "trivisor", options.trivisor, options.engine)]
    candidates = []
    if not options.only:
        candidates = [(None, options.qemu10), (None, shutil.which("qemu-system-riscv64") or "")]
    for text in options.extra:
        name, equals, path = text.partition("=")
        if not equals or not os.access(path, os.X_OK):
            die(f"--with {text}: wants NAME=PATH of a program")
        candidates.append((name, path))
    for name, path in candidates:
        if not path:
            continue
        subject = Subject(name, "qemu", path)
        version = re.search(r"version (\d+)\.(\d+)", subject.version)
        subject.name = name or ("QEMU " + (f"{version[1]}.{version[2]}" if version else path))
        if subject.name not in [s.name for s in subjects]:
            subjects.append(subject)
    return subjects


def clear_folders():
    """What runs that were killed have left behind."""
    for name in os.listdir(BUILD):
        found = re.match(r"work-(\d+)-", name)
        if found and not os.path.exists(f"/proc/{found[1]}"):
            shutil.rmtree(f"{BUILD}/{name}", ignore_errors=True)


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    subjects = find_subjects(options)
    commit, description = report.machine_description(ROOT)
    begin = time.monotonic()
    clear_folders()
    with tempfile.TemporaryDirectory(prefix=f"work-{os.getpid()}-", dir=BUILD) as folder:
        bench = Bench(options, subjects, folder)
        bench.run()
    text = report_text(bench, description, time.monotonic() - begin)
    print(text, end="")
    output = options.output
    if not output and not options.quick:
        date = datetime.datetime.now().strftime("%Y-%m-%d-%H%M")
        output = f"{ROOT}/bench/results/{date}-{commit}.txt"
    if output:
        os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
        with open(f"{output}.tmp", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(f"{output}.tmp", output)
        say(f"written to {os.path.relpath(output)}")
    sys.exit(1 if bench.failures else 0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
