"""Starts a virtual machine monitor, reads its guest's console with the time of each line, and measures its process."""

import ctypes
import os
import re
import select
import signal
import subprocess
import time

MEMORY_MIB = 512
_libc = ctypes.CDLL(None)


def _die_with_parent():
    """In the child: whatever becomes of us, no machine is left behind (PR_SET_PDEATHSIG)."""
    _libc.prctl(1, signal.SIGKILL)


class Subject:
    """One of the monitors that are compared: `kind` is "trivisor" or "qemu"."""

    def __init__(self, name, kind, path, engine=None):
        self.name, self.kind, self.path, self.engine = name, kind, path, engine
        out = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
        self.version = (out.stdout.strip() or out.stderr.strip() or "?").splitlines()[0]

    def command(self, harts, kernel, initrd, cmdline, disks=(), readonly=False, network=False, vector=False):
        if self.kind == "trivisor":
            command = [self.path, "run", "--name", f"bench-{os.getpid()}", "--cpus", str(harts), "--memory",
                       f"{MEMORY_MIB}M", "--kernel", kernel, "--initrd", initrd, "--cmdline", cmdline, "--no-reboot"]
            if vector:
                command += ["--cpu", "rva23"]
            if self.engine:
                command += ["--engine", self.engine]
            for disk in disks:
                command += ["--disk", disk + (",readonly" if readonly else "")]
            return command + (["--net", "user"] if network else [])
        command = [self.path, "-M", "virt", "-smp", str(harts), "-m", f"{MEMORY_MIB}M", "-accel", "tcg", "-no-reboot",
                   "-display", "none", "-monitor", "none", "-serial", "stdio",
                   "-global", "virtio-mmio.force-legacy=false",
                   "-kernel", kernel, "-initrd", initrd, "-append", cmdline]
        if vector:
            command += ["-cpu", "rv64,v=true,vlen=128"]
        for i, disk in enumerate(disks):
            command += ["-drive", f"if=none,id=d{i},format=raw,file={disk},readonly={'on' if readonly else 'off'}",
                        "-device", f"virtio-blk-device,drive=d{i}"]
        if network:
            command += ["-netdev", "user,id=n", "-device", "virtio-net-device,netdev=n"]
        return command


class Machine:
    """A running monitor; a context manager, at whose end its process is gone."""

    def __init__(self, command, folder):
        self.text = b""
        self.lines = []
        self.ended = False
        environment = dict(os.environ, XDG_RUNTIME_DIR=folder)
        self.start = time.monotonic()
        # A session of its own: the terminal's signals come to us alone, and a process group can be ended.
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True, env=environment,
                                        preexec_fn=_die_with_parent)
        self._skip_wrapper(command[0])

    def _skip_wrapper(self, program):
        """Where `program` is a script that executes the monitor, its own time does not count."""
        with open(program, "rb") as file:
            if file.read(2) != b"#!":
                return
        end = time.monotonic() + 1
        while time.monotonic() < end:
            try:
                if not re.search(r"/(ba|da|)sh$", os.readlink(f"/proc/{self.process.pid}/exe")):
                    self.start = time.monotonic()
                    return
            except OSError:
                return
            time.sleep(0.0003)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdout.close()

    def console(self, timeout):
        """Yields (seconds since the start, line) as the lines come, until the end or until none comes for `timeout`."""
        seen = 0
        while True:
            while seen < len(self.lines):
                yield self.lines[seen]
                seen += 1
            if self.ended:
                return
            if not select.select([self.process.stdout], [], [], timeout)[0]:
                return
            data = os.read(self.process.stdout.fileno(), 65536)
            now = time.monotonic() - self.start
            self.ended = not data
            *lines, self.text = (self.text + data).split(b"\n")
            self.lines += [(now, line.decode("utf-8", "replace").strip("\r")) for line in lines]

    def processor_seconds(self):
        """Time on processors of all its threads."""
        total = 0
        tasks = f"/proc/{self.process.pid}/task"
        for task in os.listdir(tasks):
            try:
                with open(f"{tasks}/{task}/schedstat", encoding="ascii") as file:
                    total += int(file.read().split()[0])
            except OSError:
                pass
        return total / 1e9

    def overhead_bytes(self):
        """(PSS of the process less PSS of the guest's RAM, PSS of the RAM)."""
        total = ram = 0
        # Mappings that touch and show the same file (or none) are one: a monitor may have split its RAM.
        area, previous = None, None
        areas = []
        with open(f"/proc/{self.process.pid}/smaps", encoding="utf-8") as file:
            for line in file:
                header = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ (\S+ \d+)\s*(.*)", line)
                if header:
                    begin, end = int(header[1], 16), int(header[2], 16)
                    key = (header[3], header[4], header[5])
                    if previous != (begin, key):
                        area = {"size": 0, "pss": 0, "code": "x" in header[3]}
                        areas.append(area)
                    area["size"] += end - begin
                    previous = (end, key)
                elif line.startswith("Pss:"):
                    area["pss"] += int(line.split()[1]) * 1024
        for area in areas:
            total += area["pss"]
            # A generous reservation for translated code may be as large, but it is executable.
            if area["size"] >= MEMORY_MIB << 20 and not area["code"]:
                ram += area["pss"]
        return total - ram, ram
