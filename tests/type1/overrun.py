"""What becomes of a task of the hypervisor that needs more stack than it has: QEMU's debugger moves its stack pointer."""

import os
import re
import socket
import struct

from main import HYPERVISOR, Failed, test, tiny

LOADED_AT = 0x80200000  # where QEMU and OpenSBI start a kernel
STACK = 16384  # and as much without memory below it (type1/stacks.h)


def symbol(name):
    """The address of a symbol in the hypervisor's ELF file (ELF64), which is linked at 0."""
    with open(HYPERVISOR.removesuffix(".bin") + ".elf", "rb") as file:
        data = file.read()
    (table,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, table + i * size) for i in range(count)]
    for _, kind, _, _, offset, length, link, _, _, entry in sections:
        if kind != 2:  # SHT_SYMTAB
            continue
        names = sections[link][4]
        for at in range(offset, offset + length, entry):
            text, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", data, at)
            if data[names + text : data.index(b"\0", names + text)] == name.encode():
                return value
    raise Failed(f"the hypervisor has no {name}")


class Debugger:
    """The remote serial protocol, as far as it is needed (GDB manual, appendix E)."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(150)
        self.socket.connect(path)
        self.bytes = b""

    def send(self, text):
        self.socket.sendall(f"${text}#{sum(text.encode()) % 256:02x}".encode())

    def answer(self):
        while True:
            match = re.search(rb"\$([^#]*)#..", self.bytes)
            if match:
                self.bytes = self.bytes[match.end() :]
                self.socket.sendall(b"+")
                return match[1].decode()
            more = self.socket.recv(4096)
            if not more:
                raise Failed("the debugger has gone")
            self.bytes += more

    def ask(self, text, want=None):
        self.send(text)
        answer = self.answer()
        while want is not None and answer.startswith("T02"):  # it was stopped by our coming
            answer = self.answer()
        if want is not None and answer != want:
            raise Failed(f"the debugger answers {answer} to {text}")
        return answer


def overrun(board, function):
    """The next task that calls `function` finds its stack used up; returns where it was."""
    path = os.path.join(board.dir, "gdb")
    board.bundle(tiny("one", "hold"))
    process = board.start(devices=["-gdb", f"unix:{path},server=on,wait=off"])
    process.expect(r"one\| \S*report: tick 1\b")
    gdb = Debugger(path)
    where = f"{LOADED_AT + symbol(function):x},4"
    gdb.ask(f"Z0,{where}", "OK")
    gdb.ask("qXfer:features:read:target.xml:0,ffb")  # else QEMU names no single registers
    process.send("pause one\r")  # or nothing takes the VCPU off its hart: it polls
    stop = gdb.ask("c")
    thread = re.search(r"thread:([^;]+);", stop)[1]
    gdb.ask(f"Hg{thread}", "OK")
    sp = struct.unpack("<Q", bytes.fromhex(gdb.ask("p2")))[0]
    hole = sp - sp % (2 * STACK), STACK
    if sp < 1 << 63:  # the boot hart's, in the image
        hole = LOADED_AT + symbol("boot_stack_guard"), 4096
    end = hole[0] + hole[1]
    if not end <= sp <= end + STACK:
        raise Failed(f"the stack pointer {sp:x} is not in a stack")
    gdb.ask(f"P2={struct.pack('<Q', end - hole[1] // 4).hex()}", "OK")
    gdb.ask(f"z0,{where}", "OK")
    gdb.ask("D", "OK")
    process.expect(r"PANIC: the hypervisor trapped: (load page fault .cause 13|store page fault .cause 15)", 150)
    process.expect(r"pc \w+ \(image \+ \w+\)  address \w+  ")
    address = int(re.search(r"image \+ \w+\)  address (\w+)", process.text())[1], 16)
    if not hole[0] <= address < end:
        raise Failed(f"the fault is at {address:x}, the stack ends at {end:x}")
    process.expect("the stack is overrun")
    return process


@test()
def a_vcpu_that_overruns_its_stack_in_the_hypervisor_ends_in_a_panic_that_names_its_guest(board):
    overrun(board, "hext_unload").expect("running a VCPU of guest one")


@test()
def the_scheduler_overrunning_its_stack_ends_in_a_panic(board):
    overrun(board, "hart_interrupts")
