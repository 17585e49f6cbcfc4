#!/usr/bin/env python3
"""Holds what the translator makes of fixed programs to tests/jit/counts.txt: counts, not times.

    tests/jit/counts.py [--renew]

A count that is more than 3 % above the one in the file fails; --renew writes the file anew, which a commit that
makes something worse has to explain. Ends with "N passed, N failed".
"""

import json
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.chdir(ROOT)
BUILD = os.environ.get("BUILD", "build")
TRIVISOR = os.environ.get("TRIVISOR", os.path.join(BUILD, "trivisor"))
FILE = "tests/jit/counts.txt"
WORK = os.path.join(BUILD, "tests", "jit")
PROGRAMS = ["INTEGERS", "CALLS", "MEMORY", "INDIRECT", "FLOATS", "ATOMICS", "SYSTEM", "VECTORS"]
# Of the figures of --json; what time or another thread may change is not here.
FIGURES = ["blocks_translated", "tlb_fills", "slow_loads", "slow_stores", "slow_atomics", "steps",
           "links_made", "left_for_look_up", "called_for_look_up", "called_to_execute"]
SLACK = 1  # of small counts
FLAGS = """--target=riscv64-unknown-elf -march=rv64gc -mabi=lp64d -mcmodel=medany -mno-relax -ffreestanding -fno-pic
    -fno-builtin -nostdlib -O2 -std=gnu17 -I. -Itests/isa -fuse-ld=lld -Wl,-T,tests/isa/link.ld""".split()


def build(program, *more):
    """The program's ELF file; `more` are options of the compiler."""
    elf = os.path.join(WORK, program.lower() + "".join(more) + ".elf")
    march = {"VECTORS": ["-march=rv64gcv"], "ZKT": ["-march=rv64gc_zba_zbb_zbc"]}.get(program, [])
    subprocess.run(
        [os.environ.get("CLANG", "clang"), *FLAGS, *march, f"-D{program}", *more, "tests/jit/work.c", "tests/isa/start.S",
         "tests/isa/rt.c", "-o", elf], check=True)
    return elf


def processor_ticks(process):
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as stat:
        return sum(int(word) for word in stat.read().rsplit(")", 1)[1].split()[11:13])


def has_v3():
    """This host has what the code that is counted was made for."""
    with open("/proc/cpuinfo", encoding="ascii") as info:
        flags = next((line.split() for line in info if line.startswith("flags")), [])
    return {"avx2", "bmi1", "bmi2", "fma", "abm"} <= set(flags)


def host_instructions(program):
    """Executed for 1,000 of the guest's, where the program goes round and round (steps.c); None: not to be had here."""
    if not has_v3():
        return None
    host, guest = turn_of(build(program, "-DSTEADY"))
    return None if host is None else 1000 * host // guest


def turn_of(elf):
    """Instructions of the host and of the guest in one turn of the program, or (None, None)."""
    with subprocess.Popen([TRIVISOR, "run", "--engine", "jit", "--firmware", elf, "--memory", "64M"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            while process.poll() is None and processor_ticks(process) < 25: # all is translated, hot loops as a whole
                time.sleep(0.02)
            run = subprocess.run([os.path.join(WORK, "steps"), str(process.pid)], capture_output=True, text=True, timeout=60)
        finally:
            process.kill()
    if run.returncode == 77:
        return None, None
    if run.returncode != 0:
        sys.exit(f"counts.py: {elf}: {run.stderr.strip()}")
    host, guest = map(int, run.stdout.split())
    return host, guest


def data_independent():
    """Zkt: as many instructions of the host whatever the operands. True where that is not to be had."""
    if not has_v3():
        return True
    operands = [(0, 0), ((1 << 64) - 1,) * 2, (1 << 63, 1), (random.getrandbits(64), random.getrandbits(64))]
    elfs = [build("ZKT", f"-DA={a}ULL", f"-DB={b}ULL", "-DSTEADY") for a, b in operands]
    with ThreadPoolExecutor(2) as pool:
        turns = list(pool.map(turn_of, elfs))
    if len(set(turns)) != 1:
        print(f"not ok - Zkt: operands {operands} take {turns} instructions of host and guest")
    return len(set(turns)) == 1


def measure(program):
    elf = build(program)
    report = os.path.join(WORK, program.lower() + ".json")
    if os.path.exists(report):
        os.unlink(report)
    run = subprocess.run([TRIVISOR, "run", "--engine", "jit", "--firmware", elf, "--memory", "64M", "--json", report],
                         stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    if run.returncode != 0 or b" 0 failed" not in run.stdout:
        sys.exit(f"counts.py: {program} failed: {run.stdout[-300:]!r} {run.stderr[-300:]!r}")
    with open(report) as file:
        engine = json.load(file)["vms"][0]["engine"]
    counts = {name: engine[name] for name in FIGURES}
    counts["host_bytes_per_100_instructions"] = (
        100 * engine["host_code_bytes"] // engine["instructions_translated"])
    executed = host_instructions(program)
    if executed is not None:
        counts["host_instructions_per_1000"] = executed
    return counts


def main():
    os.makedirs(WORK, exist_ok=True)
    subprocess.run([os.environ.get("CC", "gcc"), "-O2", "-Wall", "-Wextra", "tests/jit/steps.c", "-o",
                    os.path.join(WORK, "steps")], check=True)
    with ThreadPoolExecutor(2) as pool:
        counts = zip(PROGRAMS, pool.map(measure, PROGRAMS))
        now = {f"{program.lower()} {name}": value for program, each in counts for name, value in each.items()}
    if sys.argv[1:] == ["--renew"]:
        with open(FILE, "w") as file:
            file.write("# Held by tests/jit/counts.py; renewed on purpose by its --renew.\n")
            file.writelines(f"{name} {value}\n" for name, value in now.items())
        return
    with open(FILE) as file:
        rows = [line.split() for line in file if not line.startswith("#")]
    before = {" ".join(row[:-1]): int(row[-1]) for row in rows}
    failed = 0
    if not any("host_instructions" in name for name in now):
        print("skipped - host instructions executed: no x86-64-v3, or a process may not be traced here")
        before = {name: value for name, value in before.items() if "host_instructions" not in name}
    if not data_independent():
        failed += 1
    for name in sorted(set(now) | set(before)):
        was, is_now = before.get(name), now.get(name)
        if was is None or is_now is None or is_now > max(was * 1.03, was + SLACK):
            failed += 1
            print(f"not ok - {name}: {was} in {FILE}, {is_now} now")
        elif is_now < was * 0.97 - SLACK:
            print(f"better - {name}: {was} in {FILE}, {is_now} now; --renew keeps it")
    print(f"{len(now) + 1 - failed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
