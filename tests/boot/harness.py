"""Registers and runs the boot tests. A test is a function of one Test; it fails by an exception."""

import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from expect import Failed, Process

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
TRIVISOR = os.path.abspath(os.environ.get("TRIVISOR", os.path.join(BUILD, "trivisor")))
ENGINE = os.environ.get("TRIVISOR_ENGINE", "")  # of the machines that Test.run starts; empty: the default
DEBIAN = os.path.join(os.environ.get("TRIVISOR_CACHE", os.path.join(ROOT, "guests", "cache")), "debian")
VMLINUX = os.path.join(DEBIAN, "vmlinux")
INITRD = os.path.join(DEBIAN, "initrd.img")
ROOT_DISK = os.path.join(DEBIAN, "root.raw")
TOOLS_DISK = os.path.join(DEBIAN, "tools.raw")
OPENSBI = "/usr/lib/riscv64-linux-gnu/opensbi/generic"
UBOOT = "/usr/lib/u-boot"
BARE = os.path.join(BUILD, "tests", "boot")
MIB = 1 << 20

tests = []  # (name, function, set: "short", "long" or "real")


def test(long=False, real=False):
    def register(function):
        tests.append((function.__name__.replace("_", "-"), function, "real" if real else "long" if long else "short"))
        return function

    return register


def check(condition, what):
    if not condition:
        raise Failed(what)


class Test:
    """One test's own folder, runtime folder and processes; all gone at its end."""

    def __init__(self, name):
        self.name = name
        self.dir = tempfile.mkdtemp(prefix="trivisor-boot-")
        runtime = os.path.join(self.dir, "run")
        os.mkdir(runtime, 0o700)
        self.env = dict(os.environ, XDG_RUNTIME_DIR=runtime)
        self.processes = []
        self.servers = []

    def path(self, name):
        return os.path.join(self.dir, name)

    def start(self, *words, **how):
        """`trivisor WORDS...` with a console."""
        process = Process([TRIVISOR, *map(str, words)], self.dir, self.env, **how)
        self.processes.append(process)
        return process

    def run(self, *options, cpus=1, memory="256M", name="vm", **how):
        engine = ["--engine", ENGINE] if ENGINE else []
        return self.start("run", "--name", name, "--cpus", cpus, "--memory", memory, *engine, *options, **how)

    def linux(self, cmdline, *options, **how):
        """Debian's kernel and the test initramfs (guests/debian/init)."""
        cmdline = "console=ttyS0 " + cmdline
        return self.run("--kernel", VMLINUX, "--initrd", INITRD, "--cmdline", cmdline, *options, **how)

    def script(self, text, *options, cmdline="", **how):
        """The same with a shell script to run, which comes on the first disk: vda (others: vdb, ...)."""
        disk = self.path("script")
        body = "exec </dev/null\n" + text + "\n"
        with open(disk, "w") as file:
            file.write(body + "\n" * (-len(body.encode()) % 512))
        words = "trivisor.task=shell trivisor.command=until+[+-b+/dev/vda+];do+sleep+0.1;done;sh+/dev/vda "
        return self.linux(words + cmdline, "--disk", disk + ",readonly", *options, **how)

    def bare(self, guest, *options, **how):
        """A bare-metal guest of tests/boot/bare, as firmware."""
        return self.run("--firmware", os.path.join(BARE, guest + ".elf"), *options, **dict({"memory": "64M"}, **how))

    def command(self, *words, limit=120):
        """Another trivisor command; its output if it ends well."""
        done = subprocess.run(
            [TRIVISOR, *map(str, words)],
            env=self.env,
            cwd=self.dir,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
        check(done.returncode == 0, f"trivisor {' '.join(map(str, words))}: {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def resident(self, name="vm"):
        """Bytes of the host's memory behind the guest's RAM."""
        return next(vm["resident"] for vm in json.loads(self.command("ps", "--json")) if vm["name"] == name)

    def disk(self, name, size):
        path = self.path(name)
        with open(path, "wb") as file:
            file.truncate(size)
        return path

    def copy(self, source, name):
        path = self.path(name)
        subprocess.run(["cp", "--sparse=always", source, path], check=True)
        return path

    def serve(self, server):
        """An http.server on the loopback interface; its port."""
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.servers.append(server)
        return server.server_address[1]

    def close(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()
        for process in self.processes:
            process.destroy()
        shutil.rmtree(self.dir, ignore_errors=True)

    def tail(self):
        """The ends of the consoles, for somebody who wants to know why."""
        lines = []
        for process in self.processes:
            lines.append("$ " + " ".join(re.sub(r"^.*/", "", word) or word for word in process.command))
            lines += process.text().splitlines()[-15:]
            lines += process.errors.decode(errors="replace").splitlines()[:4]
        return lines


running = set()
lock = threading.Lock()


CRASHES = (signal.SIGILL, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV)
CRASHED = "a process died"


def run_one(name, function, before=None):
    """Why it failed, or None. `before`: why it failed when it was tried before; without it a failure is not final,
    but for that of a process that died by a signal which says that it is wrong."""
    one = Test(name)
    begun = time.monotonic()
    problem = None
    with lock:
        running.add(one)
    try:
        function(one)
    except Failed as failed:
        problem = [str(failed)]
    except Exception:  # a broken test is a failed one
        problem = traceback.format_exc().splitlines()
    crashes = [-process.popen.poll() for process in one.processes if -(process.popen.poll() or 0) in CRASHES]
    if crashes:
        problem = (problem or []) + [f"{CRASHED} by {signal.Signals(crashes[0]).name}"]
    seconds = time.monotonic() - begun
    tail = one.tail() if problem else []
    one.close()
    with lock:
        running.discard(one)
        if problem is None:
            print(f"ok - {name}{f' AT THE SECOND TRY, first: {before[-1]}' if before else ''} ({seconds:.1f} s)", flush=True)
        else:
            print(f"FAILED - {name}: {problem[-1]} ({seconds:.1f} s)" if before or crashes else f"first try of {name}: {problem[-1]}")
            print("\n".join("    | " + line for line in problem + tail), flush=True)
    return problem


def give_up(number, _frame):
    for one in list(running):
        for process in one.processes:
            if process.popen.poll() is None:
                process.popen.kill()
        shutil.rmtree(one.dir, ignore_errors=True)
    print("interrupted", flush=True)
    os._exit(128 + number)


def main(sets, only, jobs):
    """Runs the tests of these sets."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, give_up)
    chosen = [(name, function) for name, function, which in tests if which in sets and re.search(only, name)]
    if not chosen:
        print(f"no test is named like {only}", file=sys.stderr)
        return 2
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        problems = list(pool.map(lambda one: run_one(*one), chosen))
    # Guests are timed by a clock that other work on the machine may share: what failed is tried once more, by itself.
    again = [problem if problem[-1].startswith(CRASHED) else run_one(*one, problem)
             for one, problem in zip(chosen, problems) if problem is not None]
    failed = len(again) - again.count(None)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed else 0
