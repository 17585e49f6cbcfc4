"""Makes figures of measurements, and the text of a report of them."""

import math
import os
import platform
import re
import statistics
import subprocess

# kind: (unit, figure from operations and nanoseconds, is more better)
KINDS = {
    "work": ("ms", lambda operations, ns: ns / 1e6, False),
    "each": ("us", lambda operations, ns: ns / 1e3 / operations, False),
    "bytes": ("MB/s", lambda operations, ns: operations * 1e3 / ns, True),
    "rate": ("/s", lambda operations, ns: operations * 1e9 / ns, True),
    "instructions": ("M/s", lambda operations, ns: operations * 1e3 / ns, True),
    "seconds": ("s", None, False),
    "mebibytes": ("MiB", None, False),
    "percent": ("% of a core", None, False),
}
# Groups whose figures are times of a processor at work: these make the overall mean.
PROCESSOR_GROUPS = ("integer", "bytes", "calls", "indirect", "memory", "float", "syscall", "pipe", "process", "faults",
                    "code", "harts")


class Row:
    def __init__(self, name, group, kind, harts=1):
        self.name, self.group, self.kind, self.harts = name, group, kind, harts
        self.unit, self._figure, self.more_is_better = KINDS[kind]
        self.values = {}  # subject: a figure for each run
        self.processor = {}  # subject: seconds of processor time for each run
        self.sums = {}  # checksum: who computed it
        self.notes = []

    def add(self, subject, value):
        self.values.setdefault(subject, []).append(value)

    def add_processor(self, subject, seconds):
        self.processor.setdefault(subject, []).append(seconds)

    def add_time(self, subject, operations, ns, checksum):
        self.add(subject, self._figure(operations, max(ns, 1)))
        self.sums.setdefault(checksum, []).append(subject)

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def median(self, subject):
        values = self.values.get(subject)
        return statistics.median(values) if values else None

    def times_better(self, subject, other):
        """How many times better `subject` is than `other`; None if one has no figure."""
        ours, theirs = self.median(subject), self.median(other)
        if not ours or not theirs:
            return None
        return ours / theirs if self.more_is_better else theirs / ours


def mean(values):
    values = [v for v in values if v]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def number(value, digits=4):
    if value is None:
        return "-"
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(places, 3)}f}"


def factor(value):
    return "-" if value is None else f"{value:.2f}"


def table(lines):
    """Columns as wide as needed: the first to the left, the others to the right; None is a rule."""
    widths = [max(len(line[i]) for line in lines if line) for i in range(len(lines[0]))]
    out = []
    for line in lines:
        if line is None:
            out.append("  ".join("-" * w for w in widths))
        else:
            cells = [line[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(line[1:], widths[1:])]
            out.append("  ".join(cells).rstrip())
    return "\n".join(out)


def rows_table(rows, ours, subjects, native):
    others = [s for s in subjects if s != ours]
    names = subjects + ([native] if native else [])
    lines = [["row", "unit"] + names + [f"{ours}/{s}" for s in others], None]
    group = None
    for row in rows:
        if not row.values:
            continue
        if group not in (None, row.group):
            lines.append([""] * len(lines[0]))
        group = row.group
        lines.append([row.name, row.unit] + [number(row.median(s)) for s in names] +
                     [factor(row.times_better(ours, s)) for s in others])
    return table(lines)


def groups_table(rows, ours, subjects, native):
    others = [s for s in subjects if s != ours]
    heads = [(f"{ours}/{s}", ours, s) for s in others]
    if native:
        heads += [(f"native/{s}", native, s) for s in subjects]
    lines = [["group (geometric mean)", "rows"] + [head for head, _, _ in heads], None]
    means = {}
    for group in dict.fromkeys(row.group for row in rows):
        members = [row for row in rows if row.group == group and row.values]
        figures = [mean(row.times_better(a, b) for row in members) for _, a, b in heads]
        if not members or not any(figures):
            continue
        means[group] = figures
        lines.append([group, str(len(members))] + [factor(f) for f in figures])
    processor = [figures for group, figures in means.items() if group in PROCESSOR_GROUPS]
    if processor:
        lines += [None, ["processor at work", f"{len(processor)} groups"] +
                  [factor(mean(column)) for column in zip(*processor)]]
    return table(lines)


def gains(rows, subjects, native):
    """A line: how many times as much two processes do as one, on two harts, and that as a share of the native gain.

    By the runs' own pairs, so that a machine that changes its speed between them changes little."""
    by_name = {row.name: row for row in rows}
    one, two = by_name.get("one-process"), by_name.get("two-processes")
    if not one or not two or not one.values or not two.values:
        return None
    gain = {who: statistics.median(2 * a / b for a, b in zip(one.values[who], two.values[who]))
            for who in subjects + ([native] if native else []) if one.values.get(who) and two.values.get(who)}
    return "What two processes on two harts do, one being 1: " + ", ".join(
        f"{who} {factor(g)}" + (f" ({factor(g / gain[native])} of native's)" if native in gain and who != native else "")
        for who, g in gain.items())


def processor_table(rows, ours, subjects):
    """Of the rows of fixed work: how much of the host's processors each subject took, and how many times more."""
    others = [s for s in subjects if s != ours]
    lines = [["row"] + subjects + [f"{ours}/{s}" for s in others], None]
    ratios = {}
    for row in rows:
        seconds = {s: statistics.median(row.processor[s]) for s in subjects if row.processor.get(s)}
        if not seconds:
            continue
        factors = {s: seconds[s] / seconds[ours] for s in others if s in seconds and seconds.get(ours)}
        for s, value in factors.items():
            ratios.setdefault(s, {}).setdefault(row.group, []).append(value)
        lines.append([row.name] + [number(seconds.get(s)) for s in subjects] + [factor(factors.get(s)) for s in others])
    lines.append(None)
    for group in dict.fromkeys(row.group for row in rows):
        means = [mean(ratios.get(s, {}).get(group, [])) for s in others]
        if any(means):
            lines.append([f"mean of {group}"] + [""] * len(subjects) + [factor(value) for value in means])
    return table(lines)


def machine_description(root):
    """Lines that say where and of what it was measured."""

    def read(path, pattern):
        try:
            with open(path, encoding="utf-8") as file:
                found = re.search(pattern, file.read(), re.M)
                return found[1].strip() if found else "?"
        except OSError:
            return "?"

    def output(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True, check=False, cwd=root).stdout.strip()
        except OSError:
            return ""

    commit = output("git", "rev-parse", "--short=10", "HEAD") or "none"
    dirty = output("git", "status", "--porcelain", "--untracked-files=no", "--", "core", "riscv", "devices", "vmm",
                   "engine", "type2", "Makefile", "bench")
    system = read("/etc/os-release", r'^PRETTY_NAME="?([^"\n]*)')
    memory = read("/proc/meminfo", r"^MemTotal:\s*(\d+)")
    virtual = "a VM itself" if re.search(r"\bhypervisor\b", read("/proc/cpuinfo", r"^flags\s*:(.*)")) else "not a VM"
    return commit + ("-dirty" if dirty else ""), [
        ("commit", commit + (" and uncommitted changes" if dirty else "")),
        ("processor", f"{read('/proc/cpuinfo', r'^model name.*: (.*)')}, {os.cpu_count()} cores, {virtual}"),
        ("memory", f"{int(memory) // 1024} MiB" if memory.isdigit() else "?"),
        ("host", f"Linux {platform.release()}, {system}"),
        ("load before", " ".join(f"{load:.2f}" for load in os.getloadavg())),
    ]
