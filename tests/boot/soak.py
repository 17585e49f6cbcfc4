"""See tests/soak.sh."""

import datetime
import os
import random
import re
import secrets
import subprocess
import sys
import threading
import time

from harness import ENGINE, ROOT, Failed, Test, check
from long import healthy, repeated, sha256

BOOTS = int(os.environ.get("BOOTS", "500"))
JOBS = int(os.environ.get("JOBS", "2"))
SEED = int(os.environ.get("SEED", str(secrets.randbelow(1 << 32))))
LIMIT = 300  # seconds without the next step: a hang

TASK = """
for part in 1 2 3; do (yes "SEED $part" | head -c 600000 | sha256sum | head -c 64 >/tmp/sum.$part) & done
wait
echo "sums $(cat /tmp/sum.* | sha256sum)"
"""


class Soak:
    def __init__(self):
        self.lock = threading.Lock()
        self.chance = random.Random(SEED)
        self.begun = self.good = self.saves = 0
        self.problems = []

    def boot(self, chance, number):
        t = Test(f"boot {number}")
        seed = f"{chance.getrandbits(64):016x}"
        harts = chance.choice([1, 1, 2, 2, 3, 4, 6, 8])
        saves = chance.choice([0, 0, 1, 2])
        console = b""
        try:
            vm = t.script(TASK.replace("SEED", seed), cpus=harts, memory=chance.choice(["192M", "256M", "512M"]))
            for save in range(saves):
                time.sleep(chance.random() * 3)
                try:
                    t.command("save", "vm", t.path("saved"))
                except Failed as refused:
                    # It had ended already, or not begun: then there is nothing to save.
                    if not re.search("no VM of this name|about to end|has gone away|it ended before", str(refused)):
                        raise
                    break
                vm.ends(0, LIMIT)
                console += vm.console
                with self.lock:
                    self.saves += 1
                vm = t.start("restore", t.path("saved"))
            vm.ends(0, LIMIT)
            console += vm.console
            digests = "".join(sha256(repeated(f"{seed} {part}", 600000)) for part in (1, 2, 3))
            check(f"sums {sha256(digests.encode())}".encode() in console, "the sums are wrong or missing")
            check(f"Brought up 1 node, {harts} CPU".encode() in console, f"not {harts} harts")
            healthy(vm)
            check(vm.errors == b"", vm.errors.decode(errors="replace"))
        except Exception as failed:  # every kind of failure is one of this boot
            text = "\n".join([f"boot {number}: {harts} harts, {saves} saves: {failed}", *t.tail()])
            with self.lock:
                self.problems.append(text)
            print(text, flush=True)
        else:
            with self.lock:
                self.good += 1
        t.close()

    def work(self):
        while True:
            with self.lock:
                if self.begun == BOOTS:
                    return
                self.begun += 1
                number = self.begun
                chance = random.Random(self.chance.getrandbits(64))
            self.boot(chance, number)
            if number % 20 == 0:
                print(f"{number} boots, {self.saves} saves, {len(self.problems)} failed", flush=True)


def note(row):
    """Behind the last row of the first table of docs/soak.md."""
    path = os.path.join(ROOT, "docs", "soak.md")
    with open(path) as file:
        lines = file.readlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("|"))
    while at < len(lines) and lines[at].startswith("|"):
        at += 1
    lines.insert(at, row)
    with open(path, "w") as file:
        file.writelines(lines)


soak = Soak()
begun = time.monotonic()
workers = [threading.Thread(target=soak.work) for _ in range(JOBS)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
minutes = (time.monotonic() - begun) / 60
version = subprocess.run(
    ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
).stdout.strip()
today = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
if BOOTS >= 100:
    note(f"| {today} | {version}, {ENGINE or 'default'} | {BOOTS} | {soak.saves} | {len(soak.problems)} | {minutes:.0f} | {SEED} |\n")
print(f"{soak.good} passed, {len(soak.problems)} failed ({soak.saves} saves and restores, {minutes:.0f} minutes, seed {SEED})")
sys.exit(1 if soak.problems else 0)
