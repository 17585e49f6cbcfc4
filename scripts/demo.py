"""The demonstration, judged from outside: demo.py debian|tiny TRIVISOR ROOT CACHE

Three guests run under one `trivisor up`. Nothing that a guest says is believed: each checksum is computed again here
from a seed that was made here; the page and the disk carry fresh random tokens; the disk file is read after its guest
is off; one guest's process is killed by SIGKILL, and the word on which the other two go on is made only after that.
"""

import functools
import hashlib
import http.server
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from judge import KIB, Checks, Guest, check_description, print_table, repeated, say

LIMIT = 150  # seconds for all of it; a guest that hangs does not hang the demonstration
DISK_SIZE = 16 << 20
DISK_WRITTEN = 4 << 20

DEBIAN = [
    Guest("alpha", 1, 256, 3, victim=True),
    Guest("beta", 2, 512, 4, disk=True),
    Guest("gamma", 1, 384, 2, net=True),
]
TINY = [
    Guest("alpha", 1, 32, 3, victim=True),
    Guest("beta", 2, 64, 4),
    Guest("gamma", 1, 48, 2),
]


class Page(http.server.BaseHTTPRequestHandler):
    """A server on the loopback interface that knows one page."""

    def __init__(self, page, *args):
        self.page = page
        super().__init__(*args)

    def do_GET(self):
        known = self.path == "/" + self.page["path"]
        if known:
            self.page["fetched"] += 1
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write((self.page["token"] if known else "no such page").encode())

    def log_message(self, *args):
        pass


class Demo:
    def __init__(self, kind, vmm, root, cache):
        self.kind = kind
        self.guests = DEBIAN if kind == "debian" else TINY
        self.vmm, self.root, self.cache = vmm, root, cache
        self.work = tempfile.mkdtemp(prefix="trivisor-demo-")
        self.environment = dict(os.environ, XDG_RUNTIME_DIR=self.work)
        self.seeds = {guest.name: secrets.token_hex(8) for guest in self.guests}
        self.disk_token = secrets.token_hex(8)
        self.page = {"path": secrets.token_hex(4), "token": secrets.token_hex(8), "fetched": 0}
        self.check = Checks()
        self.deadline = time.monotonic() + LIMIT
        self.started = time.monotonic()
        self.up = None
        self.consoles = []
        self.results = {}

    def path(self, *names):
        return os.path.join(self.work, *names)

    # What the host prepares

    def serve(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Page, self.page))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def write_disk(self):
        with open(self.path("beta.raw"), "wb") as disk:
            disk.truncate(DISK_SIZE)
            disk.seek(DISK_SIZE - 512)
            disk.write(self.disk_token.encode())

    def command_line(self, guest):
        words = {"seed": self.seeds[guest.name], "parts": guest.parts, "kib": KIB, "hold": 1}
        if self.kind == "tiny":
            return " ".join([f"hostname={guest.name}"] + [f"{key}={value}" for key, value in words.items()])
        words["task"] = "demo"
        if guest.disk:
            words["disk"] = "vda"
        if guest.net:
            words["page"] = f"{self.server.server_address[1]}/{self.page['path']}"
        return " ".join(
            ["console=ttyS0", f"hostname={guest.name}"] + [f"trivisor.{key}={value}" for key, value in words.items()]
        )

    def write_fleet(self):
        lines = ["vms:"]
        for guest in self.guests:
            lines += [
                f"  - name: {guest.name}",
                f"    cpus: {guest.harts}",
                f"    memory: {guest.memory}M",
            ]
            if self.kind == "tiny":
                lines += [f"    kernel: {self.root}/build/guests/tiny.bin"]
            else:
                lines += [
                    f"    kernel: {self.cache}/debian/vmlinux",
                    f"    initrd: {self.cache}/debian/initrd.img",
                ]
            lines += [f'    cmdline: "{self.command_line(guest)}"', "    no_reboot: true"]
            if guest.disk:
                lines += [f"    disks: [ {{ path: {guest.name}.raw }} ]"]
            if guest.net:
                lines += ["    net: [ { kind: user } ]"]
        with open(self.path("fleet.yaml"), "w") as fleet:
            fleet.write("\n".join(lines) + "\n")

    # What the host sees

    def console(self, name):
        try:
            with open(self.path("logs", name + ".log"), "rb") as log:
                return log.read().decode(errors="replace").replace("\r", "")
        except FileNotFoundError:
            return ""

    def reports(self, name, key):
        """The values of a guest's lines "report: KEY VALUE"; only whole lines count."""
        return re.findall(rf"^report: {key} (.*)\n", self.console(name), re.MULTILINE)

    def wait(self, condition):
        while time.monotonic() < self.deadline:
            if condition():
                return True
            if self.up.poll() is not None:
                return bool(condition())
            time.sleep(0.05)
        return False

    def status(self, name):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(5)
            connection.connect(self.path("trivisor", name + ".sock"))
            connection.sendall(b'{"cmd": "status"}\n')
            return json.loads(connection.makefile().readline())

    def alive(self, pid):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
        except FileNotFoundError:
            return False

    def check_devices(self, guest):
        if guest.disk:
            self.check(self.reports(guest.name, "disk read") == [self.disk_token], f"{guest.name} read our token from its disk")
            want = hashlib.sha256(repeated(f"{self.seeds[guest.name]} disk", DISK_WRITTEN)).hexdigest()
            self.check(self.reports(guest.name, "disk wrote") == [want], f"{guest.name} wrote its disk and read it again")
        if guest.net:
            self.check(self.reports(guest.name, "page") == [self.page["token"]], f"{guest.name} fetched our page with its token")
            self.check(self.page["fetched"] == 1, "our server was asked for that page once")

    def check_disk_file(self, guest):
        with open(self.path(guest.name + ".raw"), "rb") as disk:
            written = disk.read(DISK_WRITTEN)
        self.check(
            written == repeated(f"{self.seeds[guest.name]} disk", DISK_WRITTEN),
            f"{guest.name}'s disk file holds what it wrote",
        )

    # What happens

    def show_consoles(self):
        """Passes on what `up` prints, with coloured names on a terminal, and without its table: ours comes last."""
        colours = {guest.name: 36 - index for index, guest in enumerate(self.guests)}
        for line in self.up.stdout:
            text = line.decode(errors="replace").rstrip("\n")
            name = text.split(" ", 1)[0]
            if name == "name":
                break
            if sys.stdout.isatty() and name in colours:
                text = text.replace(name, f"\033[{colours[name]}m{name}", 1).replace("|", "|\033[0m", 1)
            if text:
                print(text, flush=True)
        self.up.stdout.read()

    def kill_victim(self, victim, others):
        pids = {guest.name: self.status(guest.name)["pid"] for guest in self.guests}
        self.victim_status = self.status(victim.name)  # nobody can ask it afterwards
        self.check(len(set(pids.values())) == len(pids), "each guest is a process of its own")
        say(f"killing {victim.name} from outside: kill -9 {pids[victim.name]}")
        os.kill(pids[victim.name], signal.SIGKILL)
        self.check(self.wait(lambda: not self.alive(pids[victim.name])), f"{victim.name} is dead")
        before = {guest.name: len(self.reports(guest.name, "tick")) for guest in others}
        for guest in others:
            self.wait(lambda: len(self.reports(guest.name, "tick")) > before[guest.name])
            ticks = len(self.reports(guest.name, "tick")) > before[guest.name]
            self.check(ticks and self.alive(pids[guest.name]), f"{guest.name} goes on")

    def let_go_on(self, guest):
        """Types a word that did not exist before on the guest's console, as a person would."""
        word = secrets.token_hex(8)
        console = subprocess.Popen(
            [self.vmm, "console", guest.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.environment,
        )
        self.consoles.append(console)
        console.stdin.write((word + "\n").encode())
        console.stdin.flush()
        self.wait(lambda: self.reports(guest.name, "continued"))
        self.check(self.reports(guest.name, "continued") == [word], f"{guest.name} took up our word after the kill")

    def run(self):
        os.mkdir(self.path("logs"))
        self.serve()
        self.write_disk()
        self.write_fleet()
        say(f"starting {len(self.guests)} guests: trivisor up fleet.yaml")
        self.up = subprocess.Popen(
            [self.vmm, "up", "--logs", self.path("logs"), "--json", self.path("result.json"), self.path("fleet.yaml")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=self.environment,
        )
        self.printer = threading.Thread(target=self.show_consoles, daemon=True)
        self.printer.start()
        victim = next(guest for guest in self.guests if guest.victim)
        others = [guest for guest in self.guests if not guest.victim]
        ready = self.wait(lambda: all(self.reports(guest.name, "tick") for guest in self.guests))
        for guest in self.guests:
            check_description(self.check, self.reports, guest, self.seeds[guest.name])
            self.check_devices(guest)
        if not self.check(ready, "all guests were up and working at the same time"):
            return
        self.kill_victim(victim, others)
        for guest in others:
            self.let_go_on(guest)
        self.check(self.wait(lambda: self.up.poll() is not None), "the others powered off")
        self.judge_results(victim, others)

    def judge_results(self, victim, others):
        try:
            with open(self.path("result.json")) as file:
                self.results = {result["name"]: result for result in json.load(file)["vms"]}
        except (OSError, ValueError, KeyError):
            self.check(False, "trivisor up says how its machines ended")
            return
        for guest in others:
            result = self.results.get(guest.name, {})
            self.check(result.get("result") == "powered off", f"{guest.name} ended well: {result.get('result')}")
        how = self.results.get(victim.name, {}).get("result", "")
        self.check("signal 9" in how, f"{victim.name} ended as we ended it: {how}")
        self.check(self.up.returncode == 1, "trivisor up tells by its status that one machine was killed")
        for guest in others:
            if guest.disk:
                self.check_disk_file(guest)

    def end(self):
        if self.up and self.up.poll() is None:
            self.up.terminate()
            try:
                self.up.wait(20)
            except subprocess.TimeoutExpired:
                self.up.kill()
                self.up.wait()
        if self.up:
            self.printer.join(5)
        for console in self.consoles:
            console.kill()
            console.wait()

    def table(self):
        """How each guest ended; the killed one's numbers are those just before the kill."""
        rows = [("name", "kind", "harts", "memory", "time to init", "instructions", "exits by reason", "result")]
        for guest in self.guests:
            result = dict(self.results.get(guest.name, {}))
            if guest.victim:
                result.update({key: self.victim_status[key] for key in ("init_ms", "instructions", "exits")})
            exits = sorted(result.get("exits", {}).items(), key=lambda item: -item[1])
            rows.append(
                (
                    guest.name,
                    re.sub(r" \(.*", "", " ".join(self.reports(guest.name, "kernel"))),
                    str(guest.harts),
                    f"{guest.memory} MiB",
                    f"{result['init_ms'] / 1000:.2f} s" if result.get("init_ms") else "-",
                    f"{result.get('instructions', 0) / 1e6:,.0f} M",
                    ", ".join(f"{reason} {count}" for reason, count in exits),
                    result.get("result", "-"),
                )
            )
        print_table(rows)

    def report(self):
        seconds = time.monotonic() - self.started
        self.check(seconds < 60, f"it took {seconds:.0f} s, less than a minute")
        self.check.print()
        print()
        if self.results and hasattr(self, "victim_status"):
            self.table()
        kind = "unmodified Debian" if self.kind == "debian" else "our own tiny kernel"
        print(f"\n  {len(self.guests)} guests ({kind}): {self.check.verdict()}")
        if not self.check.all_true():
            kept = os.path.join(self.root, "build", "demo-failed")
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(self.path("logs"), kept)
            print(f"  the consoles are in {os.path.relpath(kept)}")
        sys.stdout.flush()


def main():
    if len(sys.argv) != 5 or sys.argv[1] not in ("debian", "tiny"):
        sys.exit("use: demo.py debian|tiny TRIVISOR ROOT CACHE")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    demo = Demo(*sys.argv[1:])
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


main()
