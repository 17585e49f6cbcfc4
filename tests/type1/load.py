"""Guests beside a guest that does everything a guest may not do, for a while or for long."""

import os
import re
import secrets
import time

from bad_input import edited_board
from life import rows
from main import BUILD, Failed, Skipped, qemu_has, test, tiny

CROWD = os.path.join(BUILD, "guests", "crowd.bin")
STORM = os.path.join(BUILD, "guests", "storm.bin")
WAKE = os.path.join(BUILD, "guests", "wake.bin")
SOAK = float(os.environ.get("SOAK_MINUTES", "3"))
# Where the storms begin: they say the seed of each boot, and `storm.seed=` without `storm.vary` repeats that one.
SEED = int(os.environ.get("SEED", secrets.randbelow(1000000)))

# What a storm must have met in the end, or it did not cover what it is for.
MET = [f"exception {name} fault" for name in ("instruction access", "load access", "store access")]
MET += [f"exception {name} fault" for name in ("instruction page", "load page", "store page")]
MET += ["exception illegal instruction", "exception load misaligned", "exception store misaligned", "exception ecall from U"]
MET += ["exception breakpoint", "interrupt software", "interrupt timer", "harts started again", "sleeps"]
MET += ["SBI calls", "SBI calls refused", "virtio devices set up", "virtio buffers used"]
# Steps until each hart has been everywhere: all CSR numbers; five walks at a time, the longest over 2^16 words.
WALKS = {"CSR numbers walked": 4096, "words walked": 5 << 16, "device pages walked": 1000}


def storm(name, seed, seconds, cpus=1, **more):
    words = f"storm.seed={seed} storm.vary=1 storm.seconds={seconds}"
    return dict(name=name, cpus=cpus, memory="64M", kernel=STORM, cmdline=f'"{words}"', **more)


def not_met(text):
    """What the storms have not met yet."""
    counts = {}
    for what, count in re.findall(r"storm: ([a-zA-Z -]+?) (\d+)$", text, re.M):
        counts[what] = counts.get(what, 0) + int(count)
    missing = [what for what in MET if not counts.get(what)]
    return missing + [f"{least} {what}" for what, least in WALKS.items() if counts.get(what, 0) < least]


def plain(process):
    return re.sub(r"\033\[[0-9;]*[mK]", "", process.text())


def storms_beside_a_neighbour(board, minutes, seconds):
    """Storms that start again when they have ended, beside a guest that computes the same checksum again and again.

    From 3 minutes on they go on until they have met everything, for at most four times as long.
    """
    if qemu_has("iommu-sys"):  # QEMU 10, whose OpenSBI says each CSR that it lacks, in the middle of what others say
        raise Skipped("its firmware's words in the guests' lines cannot be told from theirs")
    disk = board.file("storm.raw", b"", 4 << 20)
    board.bundle(
        tiny("calm", "seed=storm parts=3 kib=256", 2),
        storm("one", SEED, seconds, disks=f"[ {{ path: {disk} }} ]", net="[ { kind: switch, network: lan } ]"),
        storm("four", SEED + 1, seconds, 4, virtio_console="true", net="[ { kind: switch, network: lan } ]"),
    )
    print(f"        SEED={SEED}", flush=True)
    process = board.start()
    process.send("list\r")
    began = time.monotonic()
    missing = []
    boots = {"calm": 0, "one": 0, "four": 0}
    while True:
        over = time.monotonic() - began >= 60 * minutes and min(boots.values()) >= 2
        missing = not_met(plain(process)) if over and minutes >= 3 else []
        if over and (not missing or time.monotonic() - began > 240 * minutes):
            break
        match = process.expect(r"(calm|one|four): (is off|stopped: [^\r]*|reported [^\r]*|reboots)", 180)
        name, how = (group.decode() for group in match.groups())
        boots[name] += 1
        if how != "reboots":
            process.send(f"start {name}\r")
    text = plain(process)
    wrong = re.search(r"storm: .*(WRONG|LOST|OVERWRITTEN|trapped outside|does not start).*", text)
    if wrong:
        raise Failed(f"{wrong[0]}")
    if "PANIC" in text:
        raise Failed("the hypervisor panicked")
    stopped = re.search(r"(calm|one|four): stopped: .*", text)
    if stopped:
        raise Failed(stopped[0])
    sums = re.findall(r"calm[|>] report: checksum ([0-9a-f]{64})", text)
    if len(set(sums)) != 1 or len(sums) < boots["calm"]:
        raise Failed(f"the neighbour computed {len(set(sums))} different checksums in {boots} runs ({len(sums)} reports)")
    if missing:
        raise Failed(f"the storms did not meet {', '.join(missing)}")
    process.send("poweroff\r")
    process.status()
    boots = {name: row[2] for name, row in rows(process).items()}
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
def interrupts_between_vcpus_that_share_a_hart_are_not_lost(board):
    board.bundle(crowd("four", 4, "naps=2 laps=25"), crowd("five", 5, "naps=2 laps=20"))
    process = board.start(harts=1)
    process.expect("no guest is running")
    process.ends(0)
    for name in ("four", "five"):
        if not process.says(rf"{name}[|>] \S*crowd: 100 interrupts received"):
            raise Failed(f"{name} did not receive its 100 interrupts")


@test()
def guests_keep_the_time_of_a_board_that_is_not_of_10_mhz(board):
    # The clock of QEMU's board is always of 10 MHz; whoever believes the tree lives slower or faster, but consistently.
    for hz, cpu, words in ((5000000, "rv64,sstc=false", ""), (24000000, "rv64,sstc=false", ""), (5000000, "rv64", " legacy=1")):
        board.bundle(crowd("crowd", 3, "first=800 naps=5 laps=3" + words))
        tree = edited_board(board, lambda source: source.replace("timebase-frequency = <0x989680>", f"timebase-frequency = <{hz}>"), 1, cpu=cpu)
        process = board.start(harts=1, cpu=cpu, devices=[*tree, "-icount", "shift=4,sleep=off"])
        process.expect("ms late at most")
        match = re.search(r"each was woken (\d+) times, (\d+) ms late", plain(process).replace("\ncrowd> ", ""))
        if int(match[1]) > 20 or int(match[2]) > 50:
            raise Failed(f"with {hz} Hz{words}: {match[0]}")
        process.expect("no guest is running")
        process.ends(0)


@test()
def instructions_that_change_while_they_are_looked_at_hurt_nobody_else(board):
    words = '"storm.seed=3 storm.seconds=3 storm.parts=code"'
    board.bundle(dict(storm("racer", 3, 3, 4), cmdline=words), tiny("calm", "hold"))
    process = board.start()
    process.expect(r"racer\| \S*storm: done")
    process.expect(r"calm\| \S*report: tick \d+")
    if process.says("PANIC") or process.says("LOST|OVERWRITTEN|trapped outside"):
        raise Failed("the race was lost")


@test()
def a_storm_of_seconds_leaves_a_neighbour_alone(board):
    storms_beside_a_neighbour(board, 0, 2)


@test(long=True)
def storms_leave_a_neighbour_alone(board):
    storms_beside_a_neighbour(board, SOAK, 10)


@test()
def no_wake_up_is_lost_between_vcpus_that_sleep(board):
    # They outnumber the harts; the only thing that wakes each is another's IPI or its own timer.
    for harts, cpu in ((2, "rv64"), (1, "rv64"), (2, "rv64,sstc=false")):
        sizes = {"four": 4, "two": 2, "three": 3}
        board.bundle(
            *(
                dict(name=name, cpus=cpus, memory="16M", kernel=WAKE, cmdline=f'"rounds=1000 seed={SEED}"')
                for name, cpus in sizes.items()
            )
        )
        process = board.start(harts=harts, cpu=cpu)
        process.expect("no guest is running; the board goes off", 120)
        for name, cpus in sizes.items():
            if not process.says(rf"{name}\| \S*wake: {1000 * cpus} passes, [1-9]\d* naps"):
                raise Failed(f"{name} did not hand the token round, on {harts} harts of {cpu} with seed {SEED}")
        process.destroy()
