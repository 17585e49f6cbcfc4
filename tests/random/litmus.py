"""Random litmus tests: two harts of a few loads, stores, AMOs, LR/SC pairs and fences each. What they see must be among
what the memory model permits (RVWMO: Unprivileged ISA 20240411, chapter 17), which is worked out here from its axioms.

    litmus.py assemble SEED COUNT FILE      writes the tests as assembly, for litmus.c
    litmus.py judge SEED COUNT [NAME]       reads what litmus.c said: "N OUTCOME TIMES" for each outcome of test N

Where a rule of the model is hard to say (dependencies by way of SC's result), it is left out: then more is permitted.
"""

import itertools
import random
import sys

LOCATIONS = 2  # see litmus.c
DIGITS = 5  # bits of a value in an outcome: see litmus.c


class Op:
    """A memory operation or a fence of one hart. `after`: the operations whose result address, data or control need."""

    def __init__(self, kind, hart, place, loc=0, value=0, bits="", address=None, data=None, control=None):
        self.kind, self.hart, self.place, self.loc, self.value, self.bits = kind, hart, place, loc, value, bits
        self.address, self.data, self.control = address, data, control
        self.reads = kind in ("load", "swap", "add", "lr")
        self.writes = kind in ("store", "swap", "add", "sc")
        self.pair = None  # of SC: its LR
        self.result = None  # index among the results of the hart

    def matches(self, kinds):
        return (self.reads and "r" in kinds) or (self.writes and "w" in kinds)


def make_hart(chance, hart, values, places, kinds=()):
    """`places`: the locations of its operations, one after the other; `kinds`: what they are, if that is fixed."""
    ops, readers = [], []

    def add(op):
        ops.append(op)
        if op.reads:
            op.result = len(readers)
            readers.append(op)

    def dependence():
        """Of the next operation on an earlier read, or none."""
        if not readers or chance.random() < 0.5:
            return {}
        return {chance.choice(["address", "data", "control"]): chance.choice(readers)}

    for number, loc in enumerate(places):
        place = len(ops)
        kind = kinds[number] if kinds else chance.choice(["load"] * 3 + ["store"] * 3 + ["swap", "add", "lrsc"])
        bits = chance.choice(["", "", ".aq", ".rl", ".aqrl"])
        if kind == "load":
            depends = dependence()
            depends.pop("data", None)
            add(Op("load", hart, place, loc, **depends))
        elif kind == "lrsc":
            lr = Op("lr", hart, place, loc, bits=".aq" if bits == ".aq" else "")
            add(lr)
            sc = Op("sc", hart, place + 1, loc, next(values), ".rl" if bits == ".rl" else "", data=lr)
            sc.pair = lr
            add(sc)
        else:
            add(Op(kind, hart, place, loc, next(values), "" if kind == "store" else bits, **dependence()))
        if chance.random() < 0.6:
            add(Op("fence", hart, len(ops), bits=chance.choice(["rw,rw", "rw,rw", "r,r", "w,w", "r,rw", "rw,w", "w,r", "tso"])))
    return ops


def make_test(seed, number):
    chance = random.Random(seed * 1000003 + number)
    values = iter((1, 2, 4, 8, 1, 2, 4, 8))
    shape = chance.randrange(3)
    if shape < 2:  # each goes to the places of the other in the other order; or the one that hosts with TSO relax
        kinds = ("store", "load") if shape else ()
        return [make_hart(chance, 0, values, (0, 1), kinds), make_hart(chance, 1, values, (1, 0), kinds)]
    return [make_hart(chance, hart, values, [chance.randrange(LOCATIONS) for _ in range(chance.choice([2, 3]))])
            for hart in (0, 1)]


# ---- the model ----


def fences(a, b, ops):
    for fence in ops[a.place + 1 : b.place]:
        if fence.kind != "fence":
            continue
        if fence.bits == "tso":
            if (a.reads and (b.reads or b.writes)) or (a.writes and b.writes):
                return True
            continue
        before, behind = fence.bits.split(",")
        if a.matches(before) and b.matches(behind):
            return True
    return False


def preserved(a, b, ops):
    """Whether program order of a before b is kept whatever they read (17.1.3, rules 1, 4 to 11 and 13)."""
    if b.writes and a.loc == b.loc:
        return True
    if fences(a, b, ops) or "aq" in a.bits or "rl" in b.bits or (a.bits and b.bits) or b.pair is a:
        return True
    if b.address is a or (b.writes and (b.data is a or b.control is a)):
        return True
    return b.writes and any(op.kind != "fence" and op.address is a for op in ops[a.place + 1 : b.place])


def outcomes(test, orders=True):
    """All that the two harts may see; without `orders`, that of no order at all but the load value axiom's."""
    memory = [[op for op in ops if op.kind != "fence"] for ops in test]
    every = memory[0] + memory[1]
    pairs = [(a, b) for hart in (0, 1) for a, b in itertools.combinations(memory[hart], 2)
             if orders and preserved(a, b, test[hart])]
    seen = set()
    for order in itertools.permutations(every):
        at = {op: i for i, op in enumerate(order)}
        if all(at[a] < at[b] for a, b in pairs):
            outcome = execute(order, at, memory, orders)
            if outcome is not None:
                seen.add(outcome)
    return seen


def execute(order, at, memory, orders):
    """What is read in this global memory order, or None if it breaks an axiom."""
    writers = [op for op in order if op.writes]
    got, made, source = {}, {}, {}
    for op in order:
        if op.reads:
            known = [w for w in writers if w.loc == op.loc and w is not op and
                     (at[w] < at[op] or (w.hart == op.hart and w.place < op.place))]
            writer = max(known, key=at.get, default=None)
            if writer is not None and writer not in made:
                if writer.kind != "store":
                    return None  # forwarded from an AMO or SC: rule 3
                made[writer] = writer.value
            source[op], got[op] = writer, 0 if writer is None else made[writer]
        if op.writes:
            base = {"add": op, "sc": op.pair}.get(op.kind)
            if base is not None and base not in got:
                return None
            made[op] = op.value + (got[base] if base is not None else 0)
        if op.kind == "sc":  # the atomicity axiom
            begin = -1 if source[op.pair] is None else at[source[op.pair]]
            if any(w.hart != op.hart and w.loc == op.loc and begin < at[w] < at[op] for w in writers):
                return None
    if orders and not all(kept_by_values(ops, at, source) for ops in memory):
        return None
    last = [max((w for w in writers if w.loc == loc), key=at.get, default=None) for loc in range(LOCATIONS)]
    values = [got[op] for ops in memory for op in ops if op.reads] + [0 if w is None else made[w] for w in last]
    return sum(value << DIGITS * i for i, value in enumerate(values))


def kept_by_values(ops, at, source):
    """Rules 2, 3 and 12: those that depend on what was read."""
    for a, b in itertools.combinations(ops, 2):
        if not b.reads or at[a] < at[b]:
            continue
        between = [op for op in ops if a.place < op.place < b.place]
        if (a.reads and a.loc == b.loc and source[a] is not source[b] and
                not any(m.writes and m.loc == b.loc for m in between)):
            return False
        if a.kind in ("swap", "add", "sc") and source[b] is a:
            return False
        if any(m.writes and (m.address is a or m.data is a) and source[b] is m for m in between):
            return False
    return True


# ---- as a program ----


def assemble_hart(name, ops):
    """void NAME(locations a0, results a1): results in s-registers until all is done."""
    lines = [f"{name}:"]

    def register(op):
        return f"a{2 + op.result}"

    for number, op in enumerate(ops):
        if op.kind == "fence":
            lines.append("    fence.tso" if op.bits == "tso" else f"    fence {op.bits}")
            continue
        lines.append(f"    addi t0, a0, {op.loc * 64}")
        if op.kind not in ("load", "lr", "sc"):
            lines.append(f"    li t1, {op.value}")
        if op.address is not None:
            lines += [f"    xor t2, {register(op.address)}, {register(op.address)}", "    add t0, t0, t2"]
        if op.data is not None and op.kind != "sc":
            lines += [f"    xor t2, {register(op.data)}, {register(op.data)}", "    add t1, t1, t2"]
        if op.control is not None:
            lines += [f"    xor t2, {register(op.control)}, {register(op.control)}", "    bnez t2, 1f", "1:"]
        if op.kind == "load":
            lines.append(f"    ld {register(op)}, (t0)")
        elif op.kind == "store":
            lines.append("    sd t1, (t0)")
        elif op.kind == "lr":
            lines += ["2:", f"    lr.d{op.bits} {register(op)}, (t0)"]
        elif op.kind == "sc":
            lines += [f"    addi t1, {register(op.pair)}, {op.value}", f"    sc.d{op.bits} t2, t1, (t0)", "    bnez t2, 2b"]
        else:
            lines.append(f"    amo{op.kind}.d{op.bits} {register(op)}, t1, (t0)")
    lines += [f"    sd {register(op)}, {op.result * 8}(a1)" for op in ops if op.reads]
    return lines + ["    ret"]


def assemble(tests):
    lines, table = ["    .text"], ["    .data", "    .balign 8", "    .global tests, test_count", "tests:"]
    for number, test in enumerate(tests):
        reads = [sum(op.reads for op in ops) for ops in test]
        for hart, ops in enumerate(test):
            lines += assemble_hart(f"test_{number}_{hart}", ops)
        table.append(f"    .dword test_{number}_0, test_{number}_1, {reads[0]}, {reads[1]}")
    return "\n".join(lines + table + [f"test_count: .dword {len(tests)}"]) + "\n"


def show(test):
    return " || ".join("; ".join(line.strip() for line in assemble_hart("", ops)[1:-1]) for ops in test)


def digits(outcome):
    return " ".join(str(outcome >> DIGITS * i & (1 << DIGITS) - 1) for i in range(12)).rstrip(" 0") or "0"


def judge(tests, text, name):
    """0: all that was seen is permitted; 3: it is, but no test had two outcomes; 1: something is wrong."""
    seen = [{} for _ in tests]
    ended = False
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and all(word.isalnum() for word in words):
            seen[int(words[0], 16)][int(words[1], 16)] = int(words[2], 16)
        ended = ended or line == "E"
    wrong, raced, sharp = 0, 0, 0
    for number, test in enumerate(tests):
        permitted = outcomes(test)
        sharp += permitted != outcomes(test, orders=False)
        raced += len(seen[number]) > 1
        for outcome, times in seen[number].items():
            if outcome not in permitted:
                wrong += 1
                print(f"{name}: test {number}: saw {digits(outcome)}, {times} times: {show(test)}")
        if not seen[number]:
            wrong += 1
            print(f"{name}: test {number} saw nothing")
    print(f"{name}: {len(tests)} litmus tests, {sharp} in which the order matters, {raced} with several outcomes, {wrong} wrong")
    if not ended or wrong > 0 or sharp <= len(tests) // 4:
        return 1
    return 0 if raced > 0 else 3


def main():
    command, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    tests = [make_test(seed, number) for number in range(count)]
    if command == "assemble":
        with open(sys.argv[4], "w", encoding="ascii") as file:
            file.write(assemble(tests))
        return 0
    return judge(tests, sys.stdin.read(), sys.argv[4] if len(sys.argv) > 4 else "guest")


if __name__ == "__main__":
    sys.exit(main())
