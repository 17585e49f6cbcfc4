#!/usr/bin/env python3
"""How long a guest in a guest takes to start: Debian in Debian, by the engine kvm, beside the same under QEMU.

    bench/nested.py [--runs N] [--engine NAME] [--harts N]        3 runs each, in turn

The outer machine is Trivisor's (--cpu rva23) or QEMU 10's (scripts/qemu10.sh; -cpu rva23s64 or, without it, max); both
start the same Debian kernel with the same initramfs, which loads kvm.ko and runs the riscv64 build of Trivisor (make
riscv64) with the same kernel again. Seconds from the start of the outer machine to each kernel's init, and medians of them.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEBIAN = os.path.join(os.environ.get("TRIVISOR_CACHE", os.path.join(ROOT, "guests", "cache")), "debian")
VMLINUX, INITRD = os.path.join(DEBIAN, "vmlinux"), os.path.join(DEBIAN, "initrd.img")
TRIVISOR = os.environ.get("TRIVISOR", os.path.join(ROOT, "build", "trivisor"))
INSIDE = os.path.join(ROOT, "build-riscv64", "trivisor")
LIMIT = 600
SCRIPT = """exec </dev/null
dmesg -n 1
insmod /kvm.ko
until [ -c /dev/kvm ]; do sleep 0.02; done
echo nested: start
trivisor run --engine kvm --cpus {harts} --memory 256M --kernel /vmlinux --initrd /initrd.img \\
    --cmdline "console=ttyS0 quiet trivisor.task=poweroff"
echo nested: status $?
"""
COMMAND = "until+[+-b+/dev/vda+];do+sleep+0.1;done;sh+/dev/vda"


def prepare(folder, harts):
    more, initrd, disk = (os.path.join(folder, name) for name in ("more.cpio", "initrd", "script"))
    files = [f"kvm.ko={DEBIAN}/extra/kvm.ko", f"vmlinux={VMLINUX}", f"initrd.img={INITRD}"]
    subprocess.run([f"{ROOT}/scripts/riscv64-root.sh", more, INSIDE, *files], check=True)
    with open(initrd, "wb") as out:
        for part in (INITRD, more):
            with open(part, "rb") as source:
                out.write(source.read())
    script = SCRIPT.format(harts=harts).encode()
    with open(disk, "wb") as out:
        out.write(script + b"\n" * (-len(script) % 512))
    return initrd, disk


def machines(options, initrd, disk):
    words = f"console=ttyS0 quiet trivisor.task=shell trivisor.command={COMMAND}"
    qemu = subprocess.run([f"{ROOT}/scripts/qemu10.sh"], check=True, capture_output=True, text=True).stdout.strip()
    models = subprocess.run([qemu, "-M", "virt", "-cpu", "help"], check=True, capture_output=True, text=True).stdout
    model = "rva23s64" if "rva23s64" in models else "max"
    engine = ["--engine", options.engine] if options.engine else []
    return {
        "Trivisor": [TRIVISOR, "run", *engine, "--cpu", "rva23", "--cpus", str(options.harts), "--memory", "1G", "--kernel",
                     VMLINUX, "--initrd", initrd, "--disk", disk + ",readonly", "--cmdline", words],
        f"QEMU 10, -cpu {model}": [qemu, "-M", "virt", "-cpu", model, "-smp", str(options.harts), "-m", "1G", "-nographic",
                                   "-kernel", VMLINUX, "-initrd", initrd, "-append", words, "-drive",
                                   f"file={disk},format=raw,if=none,id=disk,readonly=on", "-device",
                                   "virtio-blk-device,drive=disk"],
    }  # fmt: skip


def measure(command):
    """Seconds until the outer init, the start of the inner machine, its init, and the end; None: it went wrong."""
    begin, marks, text = time.monotonic(), [], b""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        for line in process.stdout:
            text += line
            if re.search(rb"guest: init is running|nested: start|nested: status 0", line):
                marks.append(time.monotonic() - begin)
            if time.monotonic() - begin > LIMIT:
                process.kill()
    if len(marks) != 4 or process.returncode != 0:
        sys.stderr.write(text.decode(errors="replace")[-2000:])
        return None
    return marks


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--harts", type=int, default=2)
    parser.add_argument("--engine")
    options = parser.parse_args()
    if not os.path.exists(INSIDE):
        sys.exit("nested.py: no build-riscv64/trivisor: run make riscv64")
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        chosen = machines(options, *prepare(folder, options.harts))
        for run in range(options.runs):
            for name, command in chosen.items():
                marks = measure(command)
                if marks is None:
                    sys.exit(f"nested.py: {name}: the inner machine did not come to its end")
                found.setdefault(name, []).append(marks)
                print(f"run {run + 1}: {name}: " + ", ".join(f"{mark:.2f}" for mark in marks), file=sys.stderr)
    print("| outer machine | its init | inner machine starts | its init | from the inner start |")
    print("|---|---|---|---|---|")
    for name, runs in found.items():
        outer, start, inner, _ = (statistics.median(run[i] for run in runs) for i in range(4))
        alone = statistics.median(run[2] - run[1] for run in runs)
        print(f"| {name} | {outer:.2f} s | {start:.2f} s | {inner:.2f} s | {alone:.2f} s |")


main()
