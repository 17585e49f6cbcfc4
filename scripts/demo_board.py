"""What the demonstrations on a board that QEMU plays share (demo_type0.py, demo_type1.py): its console and its end."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from judge import Checks

LIMIT = 150  # seconds for all of it; a guest that hangs does not hang the demonstration
ANSI = re.compile(r"\033\[[0-9;]*[A-Za-z]")


class Console:
    """The board's console: shown as it comes, from the first line that begins with `first`, and taken apart into the
    lines of each guest and of the hypervisor."""

    def __init__(self, stream, guests, first=""):
        self.stream = stream
        self.first = first
        self.lines = {guest.name: [] for guest in guests}
        self.own = []
        self.raw = []

    def take(self, text):
        plain = ANSI.sub("", text).split("\r")[-1]
        match = re.match(r"([\w.-]+)([|>]) (.*)", plain)
        if not match or match[1] not in self.lines:
            self.own.append(plain)
        elif match[2] == ">" and self.lines[match[1]]:
            self.lines[match[1]][-1] += match[3]  # the rest of a line whose beginning was shown before
        else:
            self.lines[match[1]].append(match[3])
        return plain

    def read(self):
        started = False
        for line in self.stream:
            text = line.decode(errors="replace").rstrip("\r\n")
            self.raw.append(text)
            plain = self.take(text)
            started = started or plain.startswith(self.first)
            if started:
                print(text.split("\r")[-1] if sys.stdout.isatty() else plain, flush=True)

    def reports(self, name, key):
        """The values of a guest's lines "report: KEY VALUE"."""
        found = [re.fullmatch(rf"report: {key} (.*)", line) for line in list(self.lines[name])]
        return [match[1] for match in found if match]


class BoardDemo:
    """One demonstration. A kind has `kind`, `guests`, `first` (of Console), `run`, `show_rows` and `told`, its last words."""

    def __init__(self, vmm, root, cache):
        self.vmm, self.root, self.cache = vmm, root, cache
        self.work = tempfile.mkdtemp(prefix="trivisor-demo-")
        self.check = Checks()
        self.started = time.monotonic()
        self.deadline = self.started + LIMIT
        self.qemu = None

    def path(self, name):
        return os.path.join(self.work, name)

    def start_board(self, command):
        self.qemu = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.console = Console(self.qemu.stdout, self.guests, self.first)
        self.reader = threading.Thread(target=self.console.read, daemon=True)
        self.reader.start()

    def wait(self, condition):
        while time.monotonic() < self.deadline:
            if condition():
                return True
            if self.qemu.poll() is not None:
                self.reader.join(5)
                return bool(condition())
            time.sleep(0.05)
        return False

    def command(self, line):
        self.qemu.stdin.write((line + "\r").encode())
        self.qemu.stdin.flush()

    def own(self, pattern):
        return [match for match in (re.search(pattern, line) for line in list(self.console.own)) if match]

    def end(self):
        if self.qemu and self.qemu.poll() is None:
            self.qemu.kill()
            self.qemu.wait()

    def report(self):
        seconds = time.monotonic() - self.started
        self.check(seconds < 90, f"it took {seconds:.0f} s, less than 90")
        self.check.print()
        print()
        self.show_rows()
        print(f"\n  {self.told}: {self.check.verdict()}")
        if not self.check.all_true() and self.qemu:
            kept = os.path.join(self.root, "build", f"demo-{self.kind}-failed.log")
            with open(kept, "w") as file:
                file.write("\n".join(self.console.raw) + "\n")
            print(f"  the console is in {os.path.relpath(kept)}")
        sys.stdout.flush()


def demonstrate(kind):
    if len(sys.argv) != 4:
        sys.exit(f"use: demo_{kind.kind}.py TRIVISOR ROOT CACHE")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    demo = kind(*sys.argv[1:])
    try:
        demo.run()
        demo.end()
        demo.report()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        demo.end()
        shutil.rmtree(demo.work, ignore_errors=True)
    sys.exit(0 if demo.check.all_true() else 1)
