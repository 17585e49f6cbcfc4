#!/usr/bin/env python3
"""Holds what the translator makes of fixed programs to tests/jit/counts.txt: counts, not times.

    tests/jit/counts.py [--renew]

A count that is more than 3 % above the one in the file fails; --renew writes the file anew, which a commit that
makes something worse has to explain. Ends with "N passed, N failed".
"""

import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.chdir(ROOT)
BUILD = os.environ.get("BUILD", "build")
TRIVISOR = os.environ.get("TRIVISOR", os.path.join(BUILD, "trivisor"))
FILE = "tests/jit/counts.txt"
WORK = os.path.join(BUILD, "tests", "jit")
PROGRAMS = ["INTEGERS", "CALLS", "MEMORY", "INDIRECT", "FLOATS", "ATOMICS", "SYSTEM"]
# Of the figures of --json; what time or another thread may change is not here.
FIGURES = ["blocks_translated", "tlb_fills", "slow_loads", "slow_stores", "slow_atomics", "steps",
           "links_made", "left_for_look_up", "called_for_look_up", "called_to_execute"]
SLACK = 1  # of small counts
FLAGS = """--target=riscv64-unknown-elf -march=rv64gc -mabi=lp64d -mcmodel=medany -mno-relax -ffreestanding -fno-pic
    -fno-builtin -nostdlib -O2 -std=gnu17 -I. -Itests/isa -fuse-ld=lld -Wl,-T,tests/isa/link.ld""".split()


def measure(program):
    elf = os.path.join(WORK, program.lower() + ".elf")
    report = os.path.join(WORK, program.lower() + ".json")
    subprocess.run(
        [os.environ.get("CLANG", "clang"), *FLAGS, f"-D{program}", "tests/jit/work.c", "tests/isa/start.S",
         "tests/isa/rt.c", "-o", elf], check=True)
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
    return counts


def main():
    os.makedirs(WORK, exist_ok=True)
    now = {f"{program.lower()} {name}": value
           for program in PROGRAMS for name, value in measure(program).items()}
    if sys.argv[1:] == ["--renew"]:
        with open(FILE, "w") as file:
            file.write("# Held by tests/jit/counts.py; renewed on purpose by its --renew.\n")
            file.writelines(f"{name} {value}\n" for name, value in now.items())
        return
    with open(FILE) as file:
        rows = [line.split() for line in file if not line.startswith("#")]
    before = {" ".join(row[:-1]): int(row[-1]) for row in rows}
    failed = 0
    for name in sorted(set(now) | set(before)):
        was, is_now = before.get(name), now.get(name)
        if was is None or is_now is None or is_now > max(was * 1.03, was + SLACK):
            failed += 1
            print(f"not ok - {name}: {was} in {FILE}, {is_now} now")
        elif is_now < was * 0.97 - SLACK:
            print(f"better - {name}: {was} in {FILE}, {is_now} now; --renew keeps it")
    print(f"{len(now) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
