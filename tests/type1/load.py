"""Guests beside a guest that does everything a guest may not do, for a while or for long."""

import os
import re
import time

from life import rows
from main import BUILD, Failed, test, tiny

CROWD = os.path.join(BUILD, "guests", "crowd.bin")
STORM = os.path.join(BUILD, "guests", "storm.bin")
SOAK = float(os.environ.get("SOAK_MINUTES", "3"))


def storm(name, seed, seconds, cpus=1, **more):
    words = f"storm.seed={seed} storm.seconds={seconds}"
    return dict(name=name, cpus=cpus, memory="64M", kernel=STORM, cmdline=f'"{words}"', **more)


def storms_beside_a_neighbour(board, minutes, seconds):
    """Storms that start again when they have ended, beside a guest that computes the same checksum again and again."""
    disk = board.file("storm.raw", b"", 4 << 20)
    board.bundle(
        tiny("calm", "seed=storm parts=3 kib=256", 2),
        storm("one", 1, seconds, disks=f"[ {{ path: {disk} }} ]", net="[ { kind: switch, network: lan } ]"),
        storm("four", 2, seconds, 4, virtio_console="true", net="[ { kind: switch, network: lan } ]"),
    )
    process = board.start()
    process.send("list\r")
    end = time.monotonic() + 60 * minutes
    sums = set()
    runs = 0
    while True:
        match = process.expect(r"(calm|one|four): (is off|stopped: .*|reported.*|reboots)", 120)
        name, how = (group.decode() for group in match.groups())
        if time.monotonic() > end and runs > 2:
            break
        if name == "calm":
            runs += 1
        if how.strip() != "reboots":
            process.send(f"start {name}\r")
    text = re.sub(r"\033\[[0-9;]*m", "", process.text())
    sums = re.findall(r"calm[|>] report: checksum (\w{64})", text)
    if len(set(sums)) != 1 or len(sums) < runs:
        raise Failed(f"the neighbour computed {len(set(sums))} different checksums in {runs} runs ({len(sums)} reports)")
    wrong = re.search(r"storm: .*(WRONG|LOST|OVERWRITTEN|trapped outside|does not start).*", text)
    if wrong:
        raise Failed(f"{wrong[0]}")
    if "PANIC" in text:
        raise Failed("the hypervisor panicked")
    process.send("poweroff\r")
    process.status()
    boots = {name: row[2] for name, row in rows(process).items()}
    if min(boots.values()) < 2:
        raise Failed(f"a storm blew once only: {boots}")
    print(f"        the neighbour was right {len(sums)} times; boots: {boots}", flush=True)


def crowd(name, cpus, words=""):
    return dict(name=name, cpus=cpus, memory="16M", kernel=CROWD, cmdline=f'"{words}"')


@test()
def no_number_of_vcpus_has_too_many_timers(board):
    names = [f"crowd{number}" for number in range(5)]
    board.bundle(*(crowd(name, 64, "first=1000 naps=5 laps=3") for name in names))
    process = board.start(harts=1)
    process.expect("no guest is running; the board goes off")
    process.ends(0)
    for name in names:
        for line in ("64 harts slept 5 times\r", "192 interrupts received"):
            if not process.says(rf"{name}[|>] \S*crowd: {line}"):
                raise Failed(f"{name} does not say: {line}")


@test()
def instructions_that_change_while_they_are_looked_at_hurt_nobody_else(board):
    words = '"storm.seed=3 storm.seconds=3 storm.parts=code"'
    board.bundle(dict(storm("racer", 3, 3, 4), cmdline=words), tiny("calm", "hold"))
    process = board.start()
    process.expect(r"racer\| \S*storm: done", 60)
    process.expect(r"calm\| \S*report: tick \d+")
    if process.says("PANIC") or process.says("LOST|OVERWRITTEN|trapped outside"):
        raise Failed("the race was lost")


@test(long=True)
def storms_leave_a_neighbour_alone(board):
    storms_beside_a_neighbour(board, SOAK, 5)
