"""What a partition leaves behind in a hart, types into a UART that it has, or draws on others' lines: guests/leak."""

import os
import re
import subprocess

from main import BUILD, QEMU, Failed, test, tiny

LEAK = os.path.join(BUILD, "guests", "leak.bin")
OLD = "version 7" in subprocess.run([*QEMU, "--version"], capture_output=True, text=True).stdout


def leak(name, cmdline, **more):
    return dict(name=name, cpus=1, memory="32M", kernel=LEAK, cmdline=cmdline, **more)


@test()
def nothing_in_a_hart_is_anothers_or_left_from_before_a_restart(board):
    """The seeds differ in all bits, so that both values of each are seen."""
    cpu = "rv64,h=true,sscofpmf=true" + ("" if OLD else ",smstateen=true")
    for harts in (1, 2):
        board.bundle(leak("one", "seed=85 reboot=1"), leak("two", "seed=170 reboot=1"))
        process = board.start(harts=harts, cpu=cpu)
        for name in ("one", "two"):
            for _ in range(2):
                process.expect(rf"{name}: reboots", 60)
        found = re.findall(r"(\d+) CSRs there, (\d+) used before, (\d+) changed, counters (\d+)", process.text())
        if len(found) < 4 or any(int(there) < 3 or int(a) + int(b) + int(c) != 0 for there, a, b, c in found):
            raise Failed(f"on {harts} harts: {found}")
        process.popen.kill()


@test()
def a_partition_that_has_the_uart_cannot_type_commands(board):
    """By the loopback of the UART, which the firmware would read if it did so at all."""
    board.bundle(tiny("quiet", "hold"), leak("types", "mode=type reboot=1", passthrough="[ { device: serial@10000000 } ]"))
    process = board.start(harts=2)
    for _ in range(2):
        process.expect("leak: all keys are here", 60)
    process.send("poweroff\r")
    for _ in range(2):
        process.expect("leak: ", 60)
    process.expect("leak: all keys are here", 60)
    if process.says("is off|reboots"):
        raise Failed("the firmware took keys, or said something by a UART that is not its own")


@test()
def what_a_partition_draws_stays_on_its_line(board):
    board.bundle(leak("draws", "mode=draw"))
    process = board.start(harts=1)
    process.expect("draws: is off", 60)
    if b"draws| \x1b[0mabcdefgh\r\n" not in process.console:
        raise Failed("escape sequences or control characters got through, or text was lost")
