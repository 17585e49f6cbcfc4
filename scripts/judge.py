"""What the demonstrations share: how a guest is judged from outside (demo.py for type 2, demo_board.py for the others)."""

import collections
import hashlib
import re

KIB = 2048  # of text in each part of a checksum

Guest = collections.namedtuple("Guest", "name harts memory parts disk net victim", defaults=(False, False, False))


def repeated(line, size):
    """What `yes LINE | head -c SIZE` prints."""
    text = (line + "\n").encode()
    return (text * (size // len(text) + 1))[:size]


def checksum(seed, parts, kib=KIB):
    digests = [hashlib.sha256(repeated(f"{seed} {part}", kib * 1024)).hexdigest() for part in range(1, parts + 1)]
    return hashlib.sha256("".join(digest + "\n" for digest in digests).encode()).hexdigest()


class Checks:
    """What was found to be true or not, in the order of the finding."""

    def __init__(self):
        self.lines = []

    def __call__(self, ok, what):
        self.lines.append((bool(ok), what))
        return ok

    def all_true(self):
        return all(ok for ok, _ in self.lines)

    def print(self):
        print()
        for ok, what in self.lines:
            print(f"  {'yes' if ok else 'NO '}  {what}")

    def verdict(self):
        false = sum(not ok for ok, _ in self.lines)
        return "all of it was true" if not false else f"{false} of {len(self.lines)} was NOT true"


def check_description(check, reports, guest, seed, kib=KIB):
    """What every guest says of itself, against what the host knows; reports(NAME, KEY) are the values of its lines."""
    name = guest.name
    want = checksum(seed, guest.parts, kib) + f" by {guest.parts} processes"
    check(reports(name, "hostname") == [name], f"{name} knows its name")
    kernels = reports(name, "kernel")
    check(len(kernels) == 1, f"{name} runs a kernel of its own: {' '.join(kernels)}")
    check(reports(name, "cpus") == [str(guest.harts)], f"{name} sees {guest.harts} CPU(s)")
    sizes = [int(size) for size in re.findall(r"\d+", " ".join(reports(name, "memory")))]
    check(
        len(sizes) == 1 and guest.memory * 0.6 <= sizes[0] <= guest.memory,
        f"{name} has memory of its own: {sizes[0] if sizes else '?'} of {guest.memory} MiB",
    )
    processes = reports(name, "process")
    check(len(processes) > guest.parts, f"{name} lists {len(processes)} processes of its own")
    check(reports(name, "checksum") == [want], f"{name}'s checksum is the one computed here")


def print_table(rows):
    """Rows of equal length; the first is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def say(text):
    print(f"demo: {text}", flush=True)
