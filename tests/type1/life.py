"""The life of guests: what becomes of them when they reboot, fail, hang, are destroyed and made again, or share a hart."""

import os
import re
import time

from main import BUILD, Failed, debian, masks_mean_what_they_say, test, tiny

PROBE = os.path.join(BUILD, "guests", "probe.bin")


def probe(name, cmdline="", memory="64M", **more):
    return dict(name=name, cpus=1, memory=memory, kernel=PROBE, cmdline=f'"{cmdline}"', **more)


def ops(name, cmdline):
    return dict(name=name, cpus=1, memory="64M", kernel=os.path.join(BUILD, "guests", "ops.bin"), cmdline=f'"{cmdline}"')


def rows(process):
    """The last table on the console: name -> (harts, MiB, boots, seconds of harts, exits, result)."""
    found = {}
    for line in process.text().splitlines():
        match = re.match(r"([\w.-]+) +(\d+) +(\d+) MiB +(\d+) +([\d.]+)  (.*?)  +(\S.*)$", line)
        if match:
            found[match[1]] = (int(match[2]), int(match[3]), int(match[4]), float(match[5]), match[6], match[7])
    return found


@test()
def a_restarted_guest_never_sees_old_bytes(board):
    board.bundle(probe("again", "reboot"))
    process = board.start()
    for _ in range(4):
        process.expect(r"again\| \S*probe: (\d+) old words in 64 MiB")
    counts = re.findall(r"probe: (\d+) old words", process.text())
    if set(counts) != {"0"}:
        raise Failed(f"old words: {counts}")


@test()
def memory_that_another_guest_had_comes_empty(board):
    # The board has no room for both: the second gets what the first had filled.
    board.bundle(probe("first", "sleep", "256M"), probe("second", "sleep", "256M"))
    process = board.start(memory="448M")
    process.expect("second: needs 256 MiB of memory in one piece")
    process.expect(r"first\| \S*probe: 0 old words in 256 MiB")
    process.send("destroy first\r")
    process.expect("first: is destroyed")
    process.send("memory\r")
    process.expect("first +no memory")
    process.expect(r"guests' RAM 0 MiB")
    process.send("start first\r")
    process.expect("first cannot be started: it is destroyed; create it")
    for _ in range(2):
        process.send("create first\r")
        process.expect(r"first\| \S*probe: 0 old words in 256 MiB")
        process.send("create first\r")
        process.expect("first is there")
        process.send("destroy first\r")
        process.expect("first: is destroyed")


@test()
def a_guest_that_did_not_fit_at_boot_is_created_when_there_is_room(board):
    disk = board.file("disk.raw", b"", 96 << 20)
    board.bundle(
        probe("one", "sleep", "256M"),
        probe("two", "sleep", "256M"),
        probe("last", "sleep", "128M"),
        probe("disk", "sleep", "64M") | {"disks": f"[ {{ path: {disk} }} ]"},
    )
    process = board.start(memory="576M")  # without the bundle 479 MiB
    process.expect("two: needs 256 MiB of memory in one piece")
    process.expect("disk: no memory is left for its disk")
    process.expect(r"one\| \S*probe: 0 old words in 256 MiB")
    process.send("start two\r")
    process.expect("two cannot be started: needs 256 MiB .* are free; create it")
    process.send("create two\r")
    process.expect("two: needs 256 MiB of memory in one piece")
    for _ in range(2):
        process.send("destroy one\r")
        process.expect("one: is destroyed")
        process.send("create two\r")
        process.expect(r"two\| \S*probe: 0 old words in 256 MiB")
        process.send("create two\r")
        process.expect("two is there")
        process.send("destroy two\r")
        process.expect("two: is destroyed")
        process.send("create disk\r")
        process.expect(r"disk\| \S*probe: 0 old words in 64 MiB")
        process.send("memory\r")
        process.expect(r"guests' RAM 288 MiB")
        process.send("destroy disk\r")
        process.expect("disk: is destroyed")
        process.send("create one\r")
        process.expect(r"one\| \S*probe: 0 old words in 256 MiB")


@test()
def a_command_without_effect_says_why(board):
    board.bundle(probe("runs", "sleep"), probe("huge", "sleep", "448M"), probe("off", ""), probe("fails", "fail"))
    process = board.start()
    for _ in range(2):
        process.expect("off: is off|fails: stopped")
    for command in ("pause", "resume", "stop", "exits", "boot", "send"):
        process.send(f"{command} huge\r")
        process.expect(r"\nhuge \w[\w ]*: it is failed: needs 448 MiB")
    for command in ("vcpus huge", "trace huge off", "trace huge on"):
        process.send(f"{command}\r")
        process.expect(r"\nhuge has no VCPUs")
    for command in ("pause", "resume", "stop", "send"):
        process.send(f"{command} off\r")
        process.expect(r"\noff \w[\w ]*: it is off")
        process.send(f"{command} fails\r")
        process.expect(r"\nfails \w[\w ]*: it is failed: .*system failure")
    process.send("resume runs\rstart runs\r")
    process.expect("runs does not go on: it is running")
    process.expect("runs is not started: it is running")
    process.send("pause runs\rpause runs\rstart runs\rvcpus off\r")
    process.expect("runs is not paused: it is paused")
    process.expect("runs is not started: it is paused")
    process.expect("off/0 off: pc")
    process.send("\x01z")
    process.expect("Ctrl-A h lists the keys")


@test()
def guests_do_not_move_the_cursor_or_colour_others_lines_in_overview(board):
    board.bundle(tiny("one", "hold"), tiny("two", "hold"))
    process = board.start()
    process.expect(r"two\| \S*report: tick 1\b")
    process.send("\x012")
    process.expect("--- two")
    process.send("\x1b[2Ja\x1b[1;31mb\x1b(0c\x0e")  # clear, red and bold, line drawing twice
    process.send("\x010send two d\r")
    process.expect(r"two\| \S*report: continued abcd\r")


@test()
def colours_are_switched_off_by_a_word(board):
    board.bundle(tiny("one"), tiny("two"))
    for words, coloured in ((["-append", "quiet colour=off"], False), (["-append", "colour=offside"], True)):
        process = board.start(devices=words)
        process.expect("one[|]" if not coloured else r"\x1b\[36mone[|] \x1b\[0m")
        process.expect("no guest is running")
        if not coloured and b"\x1b[" in process.console:
            raise Failed("there is an escape sequence")


@test()
def a_destroyed_guest_gives_back_its_disks_too(board):
    disk = board.file("disk.raw", b"", 96 << 20)
    board.bundle(probe("one", "sleep") | {"disks": f"[ {{ path: {disk} }} ]"}, probe("two", "sleep", "192M"))
    # The bundle with the disk, one copy of it and both guests' memory: two cannot grow into what one has.
    process = board.start(memory="512M")
    process.expect(r"one\| \S*probe: 0 old words")
    for _ in range(2):
        process.send("memory\r")
        process.expect(r"guests' RAM (352) MiB")
        process.send("destroy one\r")
        process.expect("one: is destroyed")
        process.send("memory\r")
        process.expect(r"guests' RAM 192 MiB")
        process.send("create one\r")
        process.expect(r"one\| \S*probe: 0 old words")


@test()
def a_guest_that_hangs_is_restarted_by_its_watchdog_and_one_that_computes_is_not(board):
    board.bundle(
        probe("hangs", "hang", watchdog=1, on_failure="restart"),
        probe("works", "spin", watchdog=3, on_failure="restart"),  # more than a loaded machine keeps a hart waiting
        probe("waits", "sleep", watchdog=3, on_failure="restart"),
    )
    process = board.start()
    for _ in range(6):
        process.expect("hangs: VCPU 0 has shown no sign of life for 1 s")
        process.expect("hangs: stopped: it hangs")
        process.expect(r"hangs/0 running: pc \w+ S-mode")
        process.expect("hangs: is restarted")
        process.expect(r"hangs\| \S*probe: 0 old words")
    process.send("table\r")
    process.expect("waits .*runs")
    if rows(process)["works"][2] != 1 or rows(process)["waits"][2] != 1:
        raise Failed("a guest that was alive was restarted")
    process.send("poweroff\r")
    process.ends(0)


@test()
def a_guest_that_fails_stops_or_is_restarted_by_policy(board):
    board.bundle(probe("stops", "fail"), probe("tries", "fail", on_failure="restart"), tiny("other", "hold"))
    process = board.start()
    process.expect("tries: is restarted")
    process.expect("tries: is restarted")
    process.send("stop tries\rtable\r")
    process.expect("stops .*reported a system failure")
    if rows(process)["stops"][2] != 1:
        raise Failed("it was started again")
    process.expect(r"other\| \S*report: tick")


@test()
def the_board_ends_with_a_failure_if_a_guest_failed(board):
    board.bundle(probe("fails", "fail"), tiny("other"))
    process = board.start()
    process.expect("fails .*reported a system failure")
    process.expect("no guest is running; the board goes off")
    process.ends(1)


@test()
def harts_are_shared_by_weight_and_pinned(board):
    board.bundle(
        probe("heavy", "spin", weight=300, pin="[0]"),
        probe("light", "spin", weight=100, pin="[0]"),
        probe("nowhere", "spin", pin="[7]"),
        tiny("free", "hold"),  # which polls
    )
    process = board.start()
    process.expect("nowhere: pin: the board has no hart 7")
    process.expect("nowhere: is pinned to harts that the board does not have")
    process.expect(r"free\| \S*report: tick 8\b")
    process.send("table\r")
    process.expect("nowhere .*is pinned")
    process.expect(r"\nfree .*runs")
    heavy, light, free = (rows(process)[name][3] for name in ("heavy", "light", "free"))
    if not 2.2 < heavy / light < 3.8:
        raise Failed(f"heavy had {heavy} s, light {light} s")
    if free < 0.7 * (heavy + light):
        raise Failed(f"one hart ran {heavy + light} s, the other, to which nobody is pinned, {free} s")


@test()
def a_budget_holds_although_the_hart_is_free(board):
    board.bundle(
        probe("quarter", "spin", pin="[0]", budget=25),
        probe("tenth", "spin", pin="[0]", budget=10),
        tiny("all", "hold"),
    )
    process = board.start()
    process.expect(r"all\| \S*report: tick 8\b")
    process.send("table\r")
    process.expect(r"\nall .*runs")
    before = {name: row[3] for name, row in rows(process).items()}
    process.expect(r"all\| \S*report: tick 28\b")
    process.send("table\r")
    process.expect(r"\nall .*runs")
    after = {name: row[3] for name, row in rows(process).items()}
    # Seconds of harts as the table has them, to a tenth; what "all" had is no measure of time, as it waits.
    quarter, tenth = (after[name] - before[name] for name in ("quarter", "tenth"))
    if not 2.0 < quarter / tenth < 3.1:
        raise Failed(f"quarter had {quarter:.1f} s more, tenth {tenth:.1f} s")


@test()
def lazy_memory_is_mapped_as_it_is_touched_and_empty_again_after_a_reboot(board):
    board.bundle(probe("touches", "reboot", lazy_memory="true"), tiny("little", "hold", memory="256M") | {"lazy_memory": "true"})
    process = board.start()
    for _ in range(3):
        process.expect(r"touches\| \S*probe: (\d+) old words in 64 MiB")
    if set(re.findall(r"probe: (\d+) old words", process.text())) != {"0"}:
        raise Failed("old words were found")
    process.expect(r"little\| \S*report: tick ")
    process.send("memory\r")
    few = int(process.expect(r"little .* 0 leaves of 1 GiB, (\d+) of 2 MiB, 0 of 4 KiB").group(1))
    if not 0 < few < 64:
        raise Failed(f"{few} of 128 leaves are mapped for a guest that touches a few MiB")


@test()
def calls_interrupt_the_harts_that_they_name(board):
    board.bundle(dict(name="edge", cpus=2, memory="32M", kernel=os.path.join(BUILD, "guests", "edge.bin")))
    masks_mean_what_they_say(board.start(), "edge")


@test()
def a_start_right_behind_a_stop_is_not_lost(board):
    board.bundle(probe("one", "sleep"))
    process = board.start()
    for _ in range(5):
        process.expect(r"one\| \S*probe: 0 old words")
        process.send("stop one\rstart one\r")


@test()
def lines_are_sent_and_kept_while_another_console_is_entered(board):
    board.bundle(tiny("one", "hold"), tiny("two", "hold"))
    process = board.start()
    process.expect(r"two\| \S*report: tick 1\b")
    process.send("\x011")
    process.expect("--- one")
    for _ in range(4):
        process.expect(r"report: tick \d+")
    process.send("\x010send two some words\r")
    process.expect("--- overview")
    process.expect(r"two\| \S*report: continued some words")
    ticks = [int(tick) for tick in re.findall(r"two\| \S*report: tick (\d+)\n", process.text())]
    if ticks != list(range(1, len(ticks) + 1)):
        raise Failed(f"lines of the other guest are missing: {ticks}")


@test()
def the_monitor_says_where_vcpus_are_and_what_it_does_not_know(board):
    board.bundle(probe("loops", "hang"), probe("off", ""))
    process = board.start()
    process.expect("off: is off")
    process.send("vcpus loops\r")
    process.expect(r"loops/0 running: pc 80200\w+ S-mode")
    process.send("vcpus nobody\rpause\rlist x\rfly\r")
    process.expect("no guest nobody")
    process.expect("pause needs the name of a guest")
    process.expect("no guest x|list takes no name")
    process.expect("no command fly")
    process.send("pause loops\rvcpus loops\rresume loops\rlist\r")
    process.expect(r"loops/0 paused: pc 80200\w+ S-mode")
    process.expect("loops +running")


@test()
def exits_are_traced(board):
    board.bundle(probe("fails", "fail"), probe("off", ""), ops("device", "loops=100000000 ops=plic-read"), tiny("polls", "hold"))
    process = board.start()
    process.expect("fails: stopped")
    # SBI 2.0, 12.1: of 7 bytes ("probe: "), at an address, 7 are written; 10.1: a shutdown, for system failure.
    process.send("trace fails on\rstart fails\r")
    process.expect(r"fails/0 ecall +pc 80200\w+  DBCN function 0 \(7, 8020\w+, 0\) = error 0, value 7\r")
    process.expect(r"fails/0 ecall +pc 80200\w+  SRST function 0 \(0, 1, 0\) does not return\r")
    process.send("trace device 3\r")
    for _ in range(3):
        # The priority of source 10 (PLIC 1.0.0, 4), which nobody has set.
        process.expect(r"device/0 mmio +pc 80200\w+  read of 4 bytes at c000028 \(plic \+ 28\) = 0\r")
    process.expect("device: the trace is off")
    if len(re.findall("device/0 mmio", process.text())) != 3:
        raise Failed("3 exits were asked for")
    process.send("trace\rtrace off\rtrace off 0\rtrace off often\rtrace nobody on\r")
    process.expect(r"fails +traced")
    process.expect(r"device +not traced")
    for _ in range(3):
        process.expect("trace off: say on, off, or how many exits")
    process.expect("no guest nobody")


@test()
def a_guest_that_exits_all_the_time_does_not_flood_the_console(board):
    board.bundle(tiny("polls", "hold"), ops("device", "loops=100000000 ops=plic-read"))
    process = board.start()
    process.expect(r"polls\| \S*report: tick 1\b")
    process.send("trace device on\r")
    begun = time.monotonic()
    for _ in range(3):
        process.expect(r"device: \d{3,} more exits, not shown")
        process.expect(r"polls\| \S*report: tick \d+")
    process.send("trace device off\r")
    process.expect("device: the trace is off")
    lines, seconds = len(re.findall(r"device/0 \w+ +pc", process.text())), time.monotonic() - begun
    if lines > 110 * (seconds + 1):
        raise Failed(f"{lines} lines in {seconds:.1f} s")


@test(long=True)
def a_guest_reboots_twenty_times_while_others_compute(board):
    counter = os.path.join(board.dir, "counter.raw")
    with open(counter, "wb") as disk:
        disk.truncate(1 << 20)

    def fleet(name, words, cpus=1):
        guest = debian(name, "", cpus)
        guest["cmdline"] = f"console=ttyS0 hostname={name} trivisor.task=demo trivisor.parts=2 trivisor.kib=512 {words}"
        return guest

    board.bundle(
        fleet("app", "trivisor.seed=a trivisor.boots=21") | {"disks": f"[ {{ path: {counter} }} ]"},
        fleet("web", "trivisor.seed=w trivisor.hold=1 trivisor.again=1", 2),
        fleet("db", "trivisor.seed=d trivisor.hold=1 trivisor.again=1"),
    )
    process = board.start(memory="1G")
    for boot in range(1, 22):
        process.expect(rf"app[|>] \S*report: boot {boot}\b", 300)
    process.expect("app: is off", 300)
    for name in ("web", "db"):
        process.send(f"send {name} enough\r")
        process.expect(f"{name}: is off", 300)
    process.send("poweroff\r")
    process.ends(0)
    table = rows(process)
    if (table["app"][2], table["web"][2], table["db"][2]) != (21, 1, 1):
        raise Failed(f"boots: {table}")
    for name in ("web", "db"):
        sums = re.findall(name + r"[|>] report: (?:checksum|again) (\w{64})", re.sub(r"\033\[[0-9;]*m", "", process.text()))
        if len(sums) < 10 or len(set(sums)) != 1:
            raise Failed(f"{name} computed {len(sums)} times, {len(set(sums))} different results")



@test(long=True)
def a_virtio_console_and_the_copy_of_a_disk_are_each_guests_own(board):
    disk = board.file("disk.raw", b"as it began")

    def writer(name):
        # The driver of virtio-mmio is a module: the console is there only when init runs already.
        guest = debian(
            name,
            "until [ -c /dev/hvc0 ]; do sleep 0.1; done; exec </dev/hvc0 >/dev/hvc0;"
            f"printf {name}-wrote | dd of=/dev/vda conv=fsync,notrunc; sleep 6; head -c 11 /dev/vda; echo; read line; echo heard $line",
        )
        guest["cmdline"] = guest["cmdline"].replace("ttyS0", "ttyS0 console=hvc0")
        return guest | {"virtio_console": "true", "disks": f"[ {{ path: {disk} }} ]"}

    board.bundle(writer("first"), writer("other"))
    process = board.start(memory="1G")
    for _ in range(2):  # in any order
        process.expect(r"(first|other)[|>] \S*\1-wrote", 400)
    for name in ("first", "other"):
        process.send(f"send {name} a line for {name}\r")
        process.expect(rf"{name}[|>] \S*heard a line for {name}")
    process.expect("no guest is running|other: is off")
