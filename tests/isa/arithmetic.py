#!/usr/bin/env python3
"""Tables of operands and results for instructions that compute, from their definitions in the specification.

usage: arithmetic.py FOLDER   writes arithmetic_GROUP.c, one program a group

The results come from Python's integers and fractions, by the text of the Unprivileged ISA (20240411), and share nothing
with the code under test. Encodings come from riscv/insn.def.
"""
import random
import re
import sys
from fractions import Fraction
from math import isqrt

random.seed(20240411)
M64 = (1 << 64) - 1
M32 = (1 << 32) - 1


def s64(v):
    v &= M64
    return v - (1 << 64) if v >> 63 else v


def s32(v):
    v &= M32
    return v - (1 << 32) if v >> 31 else v


def sx32(v):
    return s32(v) & M64


# ---- encodings ----

def read_table():
    rows, compressed = {}, {}
    text = open('riscv/insn.def').read()
    enc = {
        'OP': lambda op: op, 'F3': lambda op, f3: op | f3 << 12, 'F7': lambda op, f3, f7: op | f3 << 12 | f7 << 25,
        'F6': lambda op, f3, f6: op | f3 << 12 | f6 << 26, 'F12': lambda op, f3, f: op | f3 << 12 | f << 20,
        'AMO': lambda f3, f5: 0x2f | f3 << 12 | f5 << 27, 'LR': lambda f3: 0x2f | f3 << 12 | 2 << 27,
        'FP': lambda f7: 0x53 | f7 << 25, 'FP3': lambda f7, f3: 0x53 | f3 << 12 | f7 << 25,
        'FP2': lambda f7, rs2: 0x53 | rs2 << 20 | f7 << 25,
        'FP23': lambda f7, rs2, f3: 0x53 | f3 << 12 | rs2 << 20 | f7 << 25, 'R4': lambda op, fmt: op | fmt << 25,
        'ALL': lambda bits: bits, '': lambda bits, mask: bits,
    }
    for m in re.finditer(r'^INSN\(\w+, "([^"]+)", ENC_?(\w*)\(([^)]*)\), (\w+), (\w+)', text, re.M):
        args = [int(a.replace('(uint32_t)', ''), 0) for a in m[3].split(',')]
        rows[m[1]] = (enc[m[2]](*args), m[4])
    for m in re.finditer(r'^CINSN\(\w+, "([^"]+)", (\w+), \w+, (\w+), (\w+), (\w+)\)', text, re.M):
        compressed[m[1]] = (int(m[2], 0), m[3])
    return rows, compressed


ROWS, COMPRESSED = read_table()
A0, A1, A2 = 10, 11, 12  # also fa0, fa1, fa2; fa3 is 13

# ---- integers ----

CORNERS = [0, 1, 2, 3, 5, 31, 32, 63, 64, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
           0x100000000, 0x7fffffffffffffff, 0x8000000000000000, M64, M64 - 1, 0xffffffff80000000, 0xffffffff7fffffff,
           0x0123456789abcdef, 0xfedcba9876543210, 0xaaaaaaaaaaaaaaaa, 0x5555555555555555, 0x00ff00ff00ff00ff]
SOME = CORNERS + [random.getrandbits(64) for _ in range(6)]
PAIRS = [(a, b) for a in SOME for b in SOME] + [(random.getrandbits(64), random.getrandbits(64)) for _ in range(100)]


def div(a, b, bits):
    lowest = -(1 << (bits - 1))
    if b == 0:
        return -1
    if a == lowest and b == -1:
        return lowest
    q = abs(a) // abs(b)
    return -q if (a < 0) != (b < 0) else q


def rem(a, b, bits):
    return a if b == 0 else a - b * div(a, b, bits) if not (a == -(1 << (bits - 1)) and b == -1) else 0


def clmul_wide(a, b):
    r = 0
    for i in range(64):
        if b >> i & 1:
            r ^= a << i
    return r


def rol(v, n, bits):
    n %= bits
    v &= (1 << bits) - 1
    return (v << n | v >> (bits - n)) & ((1 << bits) - 1)


def clz(v, bits):
    return bits - v.bit_length()


def ctz(v, bits):
    return bits if v == 0 else (v & -v).bit_length() - 1


def orc_b(a):
    return sum(0xff << i for i in range(0, 64, 8) if a >> i & 0xff)


BINARY = {
    'add': lambda a, b: a + b, 'sub': lambda a, b: a - b, 'sll': lambda a, b: a << (b & 63),
    'slt': lambda a, b: s64(a) < s64(b), 'sltu': lambda a, b: a < b, 'xor': lambda a, b: a ^ b,
    'srl': lambda a, b: a >> (b & 63), 'sra': lambda a, b: s64(a) >> (b & 63), 'or': lambda a, b: a | b,
    'and': lambda a, b: a & b, 'addw': lambda a, b: sx32(a + b), 'subw': lambda a, b: sx32(a - b),
    'sllw': lambda a, b: sx32(a << (b & 31)), 'srlw': lambda a, b: sx32((a & M32) >> (b & 31)),
    'sraw': lambda a, b: s32(a) >> (b & 31),
    'mul': lambda a, b: a * b, 'mulh': lambda a, b: s64(a) * s64(b) >> 64, 'mulhsu': lambda a, b: s64(a) * b >> 64,
    'mulhu': lambda a, b: a * b >> 64, 'div': lambda a, b: div(s64(a), s64(b), 64),
    'divu': lambda a, b: M64 if b == 0 else a // b, 'rem': lambda a, b: rem(s64(a), s64(b), 64),
    'remu': lambda a, b: a if b == 0 else a % b, 'mulw': lambda a, b: sx32(a * b),
    'divw': lambda a, b: sx32(div(s32(a), s32(b), 32)),
    'divuw': lambda a, b: M64 if b & M32 == 0 else sx32((a & M32) // (b & M32)),
    'remw': lambda a, b: sx32(rem(s32(a), s32(b), 32)),
    'remuw': lambda a, b: sx32(a) if b & M32 == 0 else sx32((a & M32) % (b & M32)),
    'sh1add': lambda a, b: (a << 1) + b, 'sh2add': lambda a, b: (a << 2) + b, 'sh3add': lambda a, b: (a << 3) + b,
    'add.uw': lambda a, b: (a & M32) + b, 'sh1add.uw': lambda a, b: ((a & M32) << 1) + b,
    'sh2add.uw': lambda a, b: ((a & M32) << 2) + b, 'sh3add.uw': lambda a, b: ((a & M32) << 3) + b,
    'andn': lambda a, b: a & ~b, 'orn': lambda a, b: a | ~b, 'xnor': lambda a, b: ~(a ^ b),
    'min': lambda a, b: min(s64(a), s64(b)), 'max': lambda a, b: max(s64(a), s64(b)), 'minu': min, 'maxu': max,
    'rol': lambda a, b: rol(a, b & 63, 64), 'ror': lambda a, b: rol(a, 64 - (b & 63), 64),
    'rolw': lambda a, b: sx32(rol(a, b & 31, 32)), 'rorw': lambda a, b: sx32(rol(a, 32 - (b & 31), 32)),
    'clmul': lambda a, b: clmul_wide(a, b), 'clmulh': lambda a, b: clmul_wide(a, b) >> 64,
    'clmulr': lambda a, b: clmul_wide(a, b) >> 63,
    'bclr': lambda a, b: a & ~(1 << (b & 63)), 'bset': lambda a, b: a | 1 << (b & 63),
    'binv': lambda a, b: a ^ 1 << (b & 63), 'bext': lambda a, b: a >> (b & 63) & 1,
    'czero.eqz': lambda a, b: 0 if b == 0 else a, 'czero.nez': lambda a, b: 0 if b != 0 else a,
    'mop.rr': lambda a, b: 0,
}


# ---- scalar cryptography (chapter 33; FIPS 197, 180-4) ----

def gf_mul(a, b):
    r = 0
    for i in range(8):
        if b >> i & 1:
            r ^= a << i
    for i in range(14, 7, -1):
        if r >> i & 1:
            r ^= 0x11b << (i - 8)
    return r


def sub_byte(a):
    v = next((b for b in range(256) if gf_mul(a, b) == 1), 0)
    return sum(((v >> i ^ v >> (i + 4) % 8 ^ v >> (i + 5) % 8 ^ v >> (i + 6) % 8 ^ v >> (i + 7) % 8 ^ 0x63 >> i) & 1) << i
               for i in range(8))


SBOX = [sub_byte(a) for a in range(256)]
ROUND_CONSTANTS = [1, 2, 4, 8, 16, 32, 64, 128, 0x1b, 0x36]


def columns_times(state, matrix_row):
    out = []
    for c in range(0, len(state), 4):
        for r in range(4):
            v = 0
            for k in range(4):
                v ^= gf_mul(state[c + k], matrix_row[(k - r) % 4])
            out.append(v)
    return out


def aes_half(low, high, decrypt, mixed):
    state = list(low.to_bytes(8, 'little') + high.to_bytes(8, 'little'))
    shifted = [state[4 * ((c - r if decrypt else c + r) % 4) + r] for c in range(4) for r in range(4)]
    state = [SBOX.index(v) if decrypt else SBOX[v] for v in shifted]
    if mixed:
        state = columns_times(state, [14, 11, 13, 9] if decrypt else [2, 3, 1, 1])
    return int.from_bytes(bytes(state[:8]), 'little')


def aes_ks1(a, n):
    word = a >> 32
    if n != 10:
        word = rol(word, 24, 32)
    word = sum(SBOX[word >> i & 0xff] << i for i in range(0, 32, 8)) ^ (ROUND_CONSTANTS[n] if n < 10 else 0)
    return word << 32 | word


def sigma(bits, a, b, c, shift):
    def f(v):
        v &= (1 << bits) - 1
        last = v >> c if shift else rol(v, bits - c, bits)
        v = rol(v, bits - a, bits) ^ rol(v, bits - b, bits) ^ last
        return sx32(v) if bits == 32 else v
    return f


def permuted(table, indices, bits):
    return sum((table >> (indices >> i & (1 << bits) - 1) * bits & (1 << bits) - 1) << i for i in range(0, 64, bits))


BINARY |= {
    'aes64es': lambda a, b: aes_half(a, b, False, False), 'aes64esm': lambda a, b: aes_half(a, b, False, True),
    'aes64ds': lambda a, b: aes_half(a, b, True, False), 'aes64dsm': lambda a, b: aes_half(a, b, True, True),
    'aes64ks2': lambda a, b: a >> 32 ^ b & M32 | (a >> 32 ^ b & M32 ^ b >> 32) << 32,
    'pack': lambda a, b: a & M32 | b << 32, 'packh': lambda a, b: a & 0xff | (b & 0xff) << 8,
    'packw': lambda a, b: sx32(a & 0xffff | b << 16),
    'xperm4': lambda a, b: permuted(a, b, 4), 'xperm8': lambda a, b: permuted(a, b, 8),
}
UNARY = {
    'aes64im': lambda a: int.from_bytes(bytes(columns_times(list(a.to_bytes(8, 'little')), [14, 11, 13, 9])), 'little'),
    'sha256sum0': sigma(32, 2, 13, 22, False), 'sha256sum1': sigma(32, 6, 11, 25, False),
    'sha256sig0': sigma(32, 7, 18, 3, True), 'sha256sig1': sigma(32, 17, 19, 10, True),
    'sha512sum0': sigma(64, 28, 34, 39, False), 'sha512sum1': sigma(64, 14, 18, 41, False),
    'sha512sig0': sigma(64, 1, 8, 7, True), 'sha512sig1': sigma(64, 19, 61, 6, True),
    'brev8': lambda a: sum((a >> i & 1) << (i ^ 7) for i in range(64)),
    'clz': lambda a: clz(a, 64), 'ctz': lambda a: ctz(a, 64), 'cpop': lambda a: bin(a).count('1'),
    'clzw': lambda a: clz(a & M32, 32), 'ctzw': lambda a: ctz(a & M32, 32), 'cpopw': lambda a: bin(a & M32).count('1'),
    'sext.b': lambda a: (a & 0xff) - ((a & 0x80) << 1), 'sext.h': lambda a: (a & 0xffff) - ((a & 0x8000) << 1),
    'zext.h': lambda a: a & 0xffff, 'orc.b': orc_b,
    'rev8': lambda a: int.from_bytes(a.to_bytes(8, 'little'), 'big'), 'mop.r': lambda a: 0,
}
IMMEDIATE = {
    'addi': lambda a, i: a + i, 'slti': lambda a, i: s64(a) < i, 'sltiu': lambda a, i: a < (i & M64),
    'xori': lambda a, i: a ^ i, 'ori': lambda a, i: a | i, 'andi': lambda a, i: a & i,
    'addiw': lambda a, i: sx32(a + i),
}
SHIFT = {
    'slli': 'sll', 'srli': 'srl', 'srai': 'sra', 'slliw': 'sllw', 'srliw': 'srlw', 'sraiw': 'sraw', 'rori': 'ror',
    'roriw': 'rorw', 'bclri': 'bclr', 'bseti': 'bset', 'binvi': 'binv', 'bexti': 'bext',
}
BINARY_IMMEDIATE = {name: BINARY[of] for name, of in SHIFT.items()}
BINARY_IMMEDIATE['slli.uw'] = lambda a, n: (a & M32) << n
BRANCH = {
    'beq': lambda a, b: a == b, 'bne': lambda a, b: a != b, 'blt': lambda a, b: s64(a) < s64(b),
    'bge': lambda a, b: s64(a) >= s64(b), 'bltu': lambda a, b: a < b, 'bgeu': lambda a, b: a >= b,
}
GROUP = {
    'rv64m': 'mul mulh mulhsu mulhu mulw div divu rem remu divw divuw remw remuw',
    'zba': 'sh1add sh2add sh3add add.uw sh1add.uw sh2add.uw sh3add.uw slli.uw',
    'zbb': 'andn orn xnor min max minu maxu rol ror rolw rorw rori roriw clz ctz cpop clzw ctzw cpopw sext.b sext.h '
           'zext.h orc.b rev8',
    'zbc': 'clmul clmulh clmulr', 'zbs': 'bclr bset binv bext bclri bseti binvi bexti',
    'zkn': 'aes64es aes64esm aes64ds aes64dsm aes64ks2 aes64im sha256sum0 sha256sum1 sha256sig0 sha256sig1 sha512sum0 '
           'sha512sum1 sha512sig0 sha512sig1 brev8 pack packh packw xperm4 xperm8',
    'zicond': 'czero.eqz czero.nez', 'zimop': 'mop.r mop.rr',
}
GROUP_OF = {name: group for group, names in GROUP.items() for name in names.split()}

out = {}  # group -> list of (name, words, kind, vectors)


def add(group, name, words, kind, vectors):
    out.setdefault(group, []).append((name, words, kind, vectors))


RET = 0x8067


def row(name, rd=0, rs1=0, rs2=0, imm=None):
    word = ROWS[name][0] | rd << 7 | rs1 << 15 | rs2 << 20
    return word if imm is None else word | (imm & 0xfff) << 20


def integers():
    for name, f in BINARY.items():
        group = GROUP_OF.get(name, 'rv64i')
        add(group, name, [row(name, A0, A0, A1), RET], 'X', [(a, b, 0, f(a, b) & M64) for a, b in PAIRS])
    for name, f in UNARY.items():
        values = [random.getrandbits(64) >> random.randrange(64) for _ in range(100)] + [1 << i for i in range(64)]
        add(GROUP_OF.get(name, 'rv64i'), name, [row(name, A0, A0), RET], 'X',
            [(a, 0, 0, f(a) & M64) for a in SOME + values])
    for name, f in IMMEDIATE.items():
        for imm in [0, 1, -1, 2, 31, 32, 0x7f, 0xff, 2047, -2048, -2047, 0x555, -0x556]:
            add('rv64i', f'{name} {imm}', [row(name, A0, A0, imm=imm), RET], 'X',
                [(a, 0, 0, f(a, imm) & M64) for a in SOME])
    for name, f in BINARY_IMMEDIATE.items():
        limit = 32 if ROWS[name][1] == 'SHIFTW' else 64
        for n in range(limit):
            add(GROUP_OF.get(name, 'rv64i'), f'{name} {n}', [row(name, A0, A0) | n << 20, RET], 'X',
                [(a, 0, 0, f(a, n) & M64) for a in SOME])
    for n in range(11):
        add('zkn', f'aes64ks1i {n}', [0x31001013 | A0 << 7 | A0 << 15 | n << 20, RET], 'X',
            [(a, 0, 0, aes_ks1(a, n)) for a in SOME])
    for imm in [0, 1, 0x7ffff, 0x80000, 0xfffff, 0x12345]:
        add('rv64i', f'lui {imm:#x}', [row('lui', A0) | imm << 12, RET], 'X', [(0, 0, 0, sx32(imm << 12))])
    # auipc a0, imm; auipc a1, 0; sub a0, a0, a1: the immediate, 4 less
    for imm in [0, 1, 0x7ffff, 0x80000, 0xfffff, 0x12345]:
        add('rv64i', f'auipc {imm:#x}', [row('auipc', A0) | imm << 12, row('auipc', A1), row('sub', A0, A0, A1), RET],
            'X', [(0, 0, 0, sx32(imm << 12) - 4 & M64)])
    for name, f in BRANCH.items():
        # taken: 1 at +12; not: 0
        words = [ROWS[name][0] | A0 << 15 | A1 << 20 | 6 << 9, row('addi', A0, 0, imm=0), RET, row('addi', A0, 0, imm=1),
                 RET]
        assert (6 << 9) >> 8 & 15 == 12
        words[0] = ROWS[name][0] | A0 << 15 | A1 << 20 | (12 >> 1 & 15) << 8
        add('rv64i', name, words, 'X', [(a, b, 0, int(f(a, b))) for a, b in PAIRS])
    # jal a0, +8 over an instruction; the link is the address behind: jal - auipc
    add('rv64i', 'jal', [row('auipc', A1), row('jal', A0) | 8 << 20, row('addi', A1, A1, imm=100),
                         row('sub', A0, A0, A1), RET], 'X', [(0, 0, 0, 8)])
    add('rv64i', 'jalr', [row('auipc', A1), row('jalr', A0, A1, imm=13), row('addi', A1, A1, imm=100),
                          row('sub', A0, A0, A1), RET], 'X', [(0, 0, 0, 8)])
    add('rv64i', 'jalr rd = rs1', [row('auipc', A0), row('jalr', A0, A0, imm=12), row('addi', A0, A0, imm=100),
                                   row('auipc', A1), row('sub', A0, A0, A1), RET], 'X', [(0, 0, 0, -4 & M64)])
    for name, values in (('fence', [0, 0x0ff, 0x833]),):
        for v in values:
            add('rv64i', f'{name} {v:#x}', [row(name, imm=v), RET], 'X', [(7, 0, 0, 7)])
    add('rv64i', 'fence.i', [row('fence.i'), RET], 'X', [(7, 0, 0, 7)])
    # mop.r.n, mop.rr.n: every n, 0 to rd
    for n in range(32):
        word = row('mop.r', A0, A0) | (n & 3) << 20 | (n >> 2 & 3) << 26 | (n >> 4) << 30
        add('zimop', f'mop.r.{n}', [word, RET], 'X', [(a, 0, 0, 0) for a in CORNERS[:6]])
    for n in range(8):
        word = row('mop.rr', A0, A0, A1) | (n & 3) << 26 | (n >> 2) << 30
        add('zimop', f'mop.rr.{n}', [word, RET], 'X', [(a, a, 0, 0) for a in CORNERS[:6]])


def compressed():
    c0, c1 = A0 - 8, A1 - 8  # 3-bit register numbers

    def ci(name, imm, rd=A0):
        return COMPRESSED[name][0] | rd << 7 | (imm & 31) << 2 | (imm >> 5 & 1) << 12

    def one(group, name, word, f, unary=True):
        add(group, name, [word | 0x8082 << 16], 'X',  # c.jr ra behind it
            [(a, b, 0, f(a, b) & M64) for a, b in ([(a, 0) for a in SOME] if unary else PAIRS)])

    for imm in [1, -1, 31, -32, 7, -5]:
        one('c', f'c.addi {imm}', ci('c.addi', imm), lambda a, b, i=imm: a + i)
        one('c', f'c.li {imm}', ci('c.li', imm), lambda a, b, i=imm: i)
        one('c', f'c.lui {imm}', ci('c.lui', imm), lambda a, b, i=imm: i << 12)
    for imm in [0, 1, -1, 31, -32]:
        one('c', f'c.addiw {imm}', ci('c.addiw', imm), lambda a, b, i=imm: sx32(a + i))
        one('c', f'c.andi {imm}', COMPRESSED['c.andi'][0] | c0 << 7 | (imm & 31) << 2 | (imm >> 5 & 1) << 12,
            lambda a, b, i=imm: a & i)
    for n in [1, 2, 31, 32, 33, 63]:
        one('c', f'c.slli {n}', ci('c.slli', n), lambda a, b, n=n: a << n)
        for name, f in (('c.srli', lambda a, b, n=n: a >> n), ('c.srai', lambda a, b, n=n: s64(a) >> n)):
            one('c', f'{name} {n}', COMPRESSED[name][0] | c0 << 7 | (n & 31) << 2 | (n >> 5) << 12, f)
    for name in 'sub xor or and subw addw'.split():
        one('c', f'c.{name}', COMPRESSED['c.' + name][0] | c0 << 7 | c1 << 2, BINARY[name], False)
    one('c', 'c.mv', COMPRESSED['c.mv'][0] | A0 << 7 | A1 << 2, lambda a, b: b, False)
    one('c', 'c.add', COMPRESSED['c.add'][0] | A0 << 7 | A1 << 2, lambda a, b: a + b, False)
    one('zcb', 'c.mul', COMPRESSED['c.mul'][0] | c0 << 7 | c1 << 2, BINARY['mul'], False)
    for name, f in (('c.zext.b', lambda a, b: a & 0xff), ('c.sext.b', lambda a, b: UNARY['sext.b'](a)),
                    ('c.zext.h', lambda a, b: a & 0xffff), ('c.sext.h', lambda a, b: UNARY['sext.h'](a)),
                    ('c.zext.w', lambda a, b: a & M32), ('c.not', lambda a, b: ~a)):
        one('zcb', name, COMPRESSED[name][0] | c0 << 7, f)
    for n in range(1, 16, 2):
        one('zcmop', f'c.mop.{n}', COMPRESSED['c.mop'][0] | (n >> 1) << 8, lambda a, b: a)
    # c.j +6 over c.li a0, 1; c.beqz, c.bnez +6
    li = [ci('c.li', 1), 0x8082, ci('c.li', 2), 0x8082]
    cb6 = (6 >> 1 & 3) << 3
    for name, f in (('c.beqz', lambda a: a == 0), ('c.bnez', lambda a: a != 0)):
        halves = [COMPRESSED[name][0] | c0 << 7 | cb6] + li + [1]
        add('c', name, [halves[i] | halves[i + 1] << 16 for i in range(0, 6, 2)], 'X',
            [(a, 0, 0, 2 if f(a) else 1) for a in SOME])
    halves = [COMPRESSED['c.j'][0] | (6 >> 1 & 7) << 3] + li + [1]
    add('c', 'c.j', [halves[i] | halves[i + 1] << 16 for i in range(0, 6, 2)], 'X', [(0, 0, 0, 2)])


AMO = {
    'amoswap': lambda m, v, n: v, 'amoadd': lambda m, v, n: m + v, 'amoxor': lambda m, v, n: m ^ v,
    'amoand': lambda m, v, n: m & v, 'amoor': lambda m, v, n: m | v,
    'amomin': lambda m, v, n: min(n(m), n(v)), 'amomax': lambda m, v, n: max(n(m), n(v)),
    'amominu': lambda m, v, n: min(m, v), 'amomaxu': lambda m, v, n: max(m, v),
}


def atomics():
    for name, f in AMO.items():
        for order in range(4):
            for width, mask, signed in (('.w', M32, s32), ('.d', M64, s64)):
                vectors = []
                for m, v in PAIRS[::1 if order == 0 else 23]:
                    new = f(m & mask, v & mask, signed) & mask
                    vectors.append((0, v, m, signed(m) & M64, new | m & ~mask))
                add('rv64a', name + width, [row(name + width, A0, A2, A1) | order << 25, RET], 'M', vectors)
    for width, mask, signed in (('.w', M32, s32), ('.d', M64, s64)):
        vectors = []
        for m, v in PAIRS:
            for expected in (m, m ^ 1, m ^ 1 << 40, v):  # bits above the width do not count
                new = v & mask if m & mask == expected & mask else m & mask
                vectors.append((expected, v, m, signed(m) & M64, new | m & ~mask))
        add('zacas', 'amocas' + width, [row('amocas' + width, A0, A2, A1), RET], 'M', vectors)
    for name, size, signed in (('lb', 8, 1), ('lbu', 8, 0), ('lh', 16, 1), ('lhu', 16, 0), ('lw', 32, 1), ('lwu', 32, 0),
                               ('ld', 64, 1)):
        for off in range(0, 64 - size + 8, 8):
            vectors = []
            for m in SOME:
                v = m >> off & ((1 << size) - 1)
                if signed and v >> (size - 1):
                    v -= 1 << size
                vectors.append((0, 0, m, v & M64, m))
            add('rv64i', f'{name} {off // 8}', [row(name, A0, A2, imm=off // 8), RET], 'M', vectors)
    for name, size in (('sb', 8), ('sh', 16), ('sw', 32), ('sd', 64)):
        for off in range(0, 64 - size + 8, 8):
            mask = ((1 << size) - 1) << off
            word = ROWS[name][0] | A2 << 15 | A1 << 20 | off // 8 << 7
            add('rv64i', f'{name} {off // 8}', [word, RET], 'M',
                [(5, v, m, 5, m & ~mask | v << off & mask) for m, v in PAIRS[::7]])
    c1, c2 = A1 - 8, A2 - 8
    for name, size, signed, offs in (('c.lw', 32, 1, (0, 4)), ('c.ld', 64, 1, (0,)), ('c.lbu', 8, 0, (0, 1, 2, 3)),
                                     ('c.lhu', 16, 0, (0, 2)), ('c.lh', 16, 1, (0, 2))):
        for off in offs:
            if size >= 32:
                imm = (off >> 2 & 1) << 6 if size == 32 else 0
            else:
                imm = (off & 1) << 6 | (off >> 1) << 5 if size == 8 else (off >> 1) << 5
            vectors = []
            for m in SOME:
                v = m >> 8 * off & ((1 << size) - 1)
                if signed and v >> (size - 1):
                    v -= 1 << size
                vectors.append((0, 0, m, v & M64, m))
            add('c' if size >= 32 else 'zcb', f'{name} {off}',
                [COMPRESSED[name][0] | c2 << 7 | (A0 - 8) << 2 | imm | 0x8082 << 16], 'M', vectors)
    for name, size, offs in (('c.sw', 32, (0, 4)), ('c.sd', 64, (0,)), ('c.sb', 8, (0, 1, 2, 3)), ('c.sh', 16, (0, 2))):
        for off in offs:
            imm = (off >> 2 & 1) << 6 if size == 32 else 0 if size == 64 else \
                (off & 1) << 6 | (off >> 1) << 5 if size == 8 else (off >> 1) << 5
            mask = ((1 << size) - 1) << 8 * off
            add('c' if size >= 32 else 'zcb', f'{name} {off}',
                [COMPRESSED[name][0] | c2 << 7 | c1 << 2 | imm | 0x8082 << 16], 'M',
                [(5, v, m, 5, m & ~mask | v << 8 * off & mask) for m, v in PAIRS[::11]])


# ---- floating point (IEEE 754-2019) ----

NX, UF, OF, DZ, NV = 1, 2, 4, 8, 16
RNE, RTZ, RDN, RUP, RMM = range(5)


class Format:
    def __init__(self, letter, width, mantissa):
        self.letter, self.width, self.m = letter, width, mantissa
        self.e = width - 1 - mantissa
        self.bias = (1 << (self.e - 1)) - 1
        self.emin = 1 - self.bias
        self.inf = ((1 << self.e) - 1) << mantissa
        self.nan = self.inf | 1 << (mantissa - 1)
        self.sign = 1 << (width - 1)

    def box(self, bits):
        return bits | (M64 << self.width & M64)

    def is_nan(self, b):
        return b & ~self.sign > self.inf

    def is_snan(self, b):
        return self.is_nan(b) and not b >> (self.m - 1) & 1

    def is_inf(self, b):
        return b & ~self.sign == self.inf

    def is_zero(self, b):
        return b & ~self.sign == 0

    def value(self, b):
        exponent = b >> self.m & ((1 << self.e) - 1)
        fraction = b & ((1 << self.m) - 1)
        v = Fraction(fraction | (1 << self.m if exponent else 0)) * Fraction(2) ** (
            max(exponent, 1) - self.bias - self.m)
        return -v if b & self.sign else v

    def round(self, v, rm, zero_sign=0):
        """(bits, flags) of the exact value v."""
        if v == 0:
            return (self.sign if zero_sign else 0), 0
        negative = v < 0
        x = abs(v)
        e = x.numerator.bit_length() - x.denominator.bit_length()
        if Fraction(2) ** e > x:
            e -= 1
        assert Fraction(2) ** e <= x < Fraction(2) ** (e + 1)

        def at(quantum):
            n, r = divmod(x, quantum)
            n = int(n)
            half = quantum / 2
            up = (rm == RNE and (r > half or r == half and n & 1)) or (rm == RMM and r >= half) or \
                (rm == RUP and r and not negative) or (rm == RDN and r and negative)
            return n + (1 if up else 0), r != 0

        n, inexact = at(Fraction(2) ** (max(e, self.emin) - self.m))
        unbounded, _ = at(Fraction(2) ** (e - self.m))
        tiny = unbounded * Fraction(2) ** (e - self.m) < Fraction(2) ** self.emin
        result = n * Fraction(2) ** (max(e, self.emin) - self.m)
        flags = (NX if inexact else 0) | (UF if inexact and tiny else 0)
        sign = self.sign if negative else 0
        if result >= Fraction(2) ** (self.bias + 1):
            away = rm in (RNE, RMM) or (rm == RUP and not negative) or (rm == RDN and negative)
            return sign | (self.inf if away else self.inf - 1), OF | NX
        if n < 1 << self.m:  # subnormal
            return sign | n, flags
        exponent = max(e, self.emin) + self.bias
        if n == 1 << (self.m + 1):
            n >>= 1
            exponent += 1
        return sign | exponent << self.m | n - (1 << self.m), flags


H, S, D = Format('h', 16, 10), Format('s', 32, 23), Format('d', 64, 52)


def nan_flags(f, *operands):
    return NV if any(f.is_snan(b) for b in operands) else 0


def f_add(f, a, b, rm):
    if f.is_nan(a) or f.is_nan(b):
        return f.nan, nan_flags(f, a, b)
    if f.is_inf(a) and f.is_inf(b) and (a ^ b) & f.sign:
        return f.nan, NV
    if f.is_inf(a):
        return a, 0
    if f.is_inf(b):
        return b, 0
    zero_sign = (a & f.sign) if (a & f.sign) == (b & f.sign) else rm == RDN
    return f.round(f.value(a) + f.value(b), rm, zero_sign)


def f_sub(f, a, b, rm):
    if f.is_nan(b):
        return f_add(f, a, b, rm)
    return f_add(f, a, b ^ f.sign, rm)


def f_mul(f, a, b, rm):
    sign = (a ^ b) & f.sign
    if f.is_nan(a) or f.is_nan(b):
        return f.nan, nan_flags(f, a, b)
    if f.is_inf(a) or f.is_inf(b):
        return (f.nan, NV) if f.is_zero(a) or f.is_zero(b) else (f.inf | sign, 0)
    return f.round(f.value(a) * f.value(b), rm, sign)


def f_div(f, a, b, rm):
    sign = (a ^ b) & f.sign
    if f.is_nan(a) or f.is_nan(b):
        return f.nan, nan_flags(f, a, b)
    if f.is_inf(a):
        return (f.nan, NV) if f.is_inf(b) else (f.inf | sign, 0)
    if f.is_inf(b):
        return sign, 0
    if f.is_zero(b):
        return (f.nan, NV) if f.is_zero(a) else (f.inf | sign, DZ)
    return f.round(f.value(a) / f.value(b), rm, sign)


def f_sqrt(f, a, rm):
    if f.is_nan(a):
        return f.nan, nan_flags(f, a)
    if f.is_zero(a):
        return a, 0
    if a & f.sign:
        return f.nan, NV
    if f.is_inf(a):
        return a, 0
    scaled = f.value(a) * Fraction(4) ** 1300  # an integer for every format
    assert scaled.denominator == 1
    root = isqrt(scaled.numerator)
    exact = root * root == scaled.numerator
    # An inexact root never lies half way between two numbers: any value strictly between does.
    v = Fraction(2 * root + (0 if exact else 1), 2) / Fraction(2) ** 1300
    return f.round(v, rm)


def f_fma(f, a, b, c, rm):
    product = (a ^ b) & f.sign
    invalid = (f.is_inf(a) and f.is_zero(b)) or (f.is_zero(a) and f.is_inf(b))
    if f.is_nan(a) or f.is_nan(b) or f.is_nan(c):
        return f.nan, nan_flags(f, a, b, c) | (NV if invalid else 0)
    if invalid:
        return f.nan, NV
    if f.is_inf(a) or f.is_inf(b):
        return (f.nan, NV) if f.is_inf(c) and (c ^ product) & f.sign else (f.inf | product, 0)
    if f.is_inf(c):
        return c, 0
    zero_sign = product if product == c & f.sign else rm == RDN
    return f.round(f.value(a) * f.value(b) + f.value(c), rm, zero_sign)


def f_neg(f, b):
    return b ^ f.sign


def order(f, b):
    """Comparable; -0 below +0."""
    return (f.value(b) if not f.is_inf(b) else Fraction(2) ** 2000 * (-1 if b & f.sign else 1),
            0 if b & f.sign else 1)


def f_minmax(f, a, b, pick, propagate):
    flags = nan_flags(f, a, b)
    if f.is_nan(a) and f.is_nan(b) or propagate and (f.is_nan(a) or f.is_nan(b)):
        return f.nan, flags
    if f.is_nan(a):
        return b, flags
    if f.is_nan(b):
        return a, flags
    return pick(a, b, key=lambda v: order(f, v)), flags


def f_compare(f, a, b, test, quiet):
    if f.is_nan(a) or f.is_nan(b):
        return 0, nan_flags(f, a, b) if quiet else NV
    return int(test(order(f, a)[0], order(f, b)[0])), 0


def f_class(f, a):
    negative = bool(a & f.sign)
    exponent = a >> f.m & ((1 << f.e) - 1)
    if f.is_nan(a):
        return 1 << 8 if f.is_snan(a) else 1 << 9
    if f.is_inf(a):
        return 1 << 0 if negative else 1 << 7
    if f.is_zero(a):
        return 1 << 3 if negative else 1 << 4
    if exponent == 0:
        return 1 << 2 if negative else 1 << 5
    return 1 << 1 if negative else 1 << 6


def integer(v, rm):
    """(v rounded to an integer, inexact)"""
    floor = v.numerator // v.denominator
    r = v - floor
    if r == 0:
        return floor, False
    half = Fraction(1, 2)
    up = {RNE: r > half or r == half and floor & 1, RTZ: v < 0, RDN: False, RUP: True,
          RMM: r > half or r == half and v > 0}[rm]
    return floor + (1 if up else 0), True


def f_to_int(f, a, rm, bits, signed):
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if f.is_nan(a):
        v, flags = high, NV
    elif f.is_inf(a):
        v, flags = low if a & f.sign else high, NV
    else:
        v, inexact = integer(f.value(a), rm)
        flags = NX if inexact else 0
        if v < low or v > high:
            v, flags = low if v < low else high, NV
    return (sx32(v) if bits == 32 else v & M64), flags


def f_round_int(f, a, rm, exact):
    if f.is_nan(a):
        return f.nan, nan_flags(f, a)
    if f.is_inf(a) or f.is_zero(a):
        return a, 0
    v, inexact = integer(f.value(a), rm)
    bits, flags = f.round(Fraction(v), RTZ, a & f.sign)
    assert flags == 0
    return bits, NX if inexact and exact else 0


def f_convert(to, f, a, rm):
    if f.is_nan(a):
        return to.nan, nan_flags(f, a)
    sign = to.sign if a & f.sign else 0
    if f.is_inf(a):
        return to.inf | sign, 0
    return to.round(f.value(a), rm, sign)


def fcvtmod(a):
    if D.is_nan(a) or D.is_inf(a):
        return 0, NV
    v, inexact = integer(D.value(a), RTZ)
    flags = NV if not -(1 << 31) <= v < 1 << 31 else NX if inexact else 0
    return sx32(v), flags


def corners(f):
    one = f.bias << f.m
    magnitudes = [0, 1, 2, (1 << f.m) - 1, 1 << f.m, (1 << f.m) + 1, one, one + 1, one - 1, one + (1 << (f.m - 1)),
                  one + (1 << f.m), f.inf - 1, f.inf - (1 << f.m), f.inf, f.nan, f.inf | 1, f.nan | 5,
                  (f.bias + f.m) << f.m | 1, (f.bias + f.m - 1) << f.m | 3, (f.bias - 1) << f.m, (f.bias - f.m) << f.m | 1]
    return magnitudes + [m | f.sign for m in magnitudes]


def randoms(f, n):
    values = []
    for _ in range(n):
        exponent = random.choice([random.randrange(1 << f.e), f.bias + random.randrange(-4, 5)])
        fraction = random.choice([random.getrandbits(f.m), random.getrandbits(f.m) & random.getrandbits(f.m),
                                  1 << random.randrange(f.m)])
        values.append(random.getrandbits(1) << (f.width - 1) | exponent << f.m | fraction)
    return values


def unboxed(f):
    """Raw registers that are no NaN-boxed value: they read as the canonical NaN (Unprivileged ISA, 22.2)."""
    return [] if f is D else [0, 1, M64 >> 1, f.inf, 0xfffffffe00000000 | f.bias << f.m, 0x3ff0000000000000]


def unbox(f, raw):
    return raw & ((1 << f.width) - 1) if f is D or raw >> f.width == M64 >> f.width else f.nan


EXT = {'h': 'zfh', 's': 'rv64f', 'd': 'rv64d'}


def floats():
    for f in (H, S, D):
        x = f.letter
        group = EXT[x]
        values = corners(f)
        raws = [f.box(v) for v in values] + unboxed(f)
        pairs = [(a, b) for a in raws for b in raws[::1 if x != 'h' else 2]]
        pairs += list(zip(map(f.box, randoms(f, 300)), map(f.box, randoms(f, 300))))
        singles = raws + [f.box(v) for v in randoms(f, 300)]

        def rows(name, to_group, kind, operands, compute, rm_field, box, static=True):
            """compute(unboxed operands..., rm) -> bits, flags; half of it with a static rm, half with frm."""
            operands = list(operands)
            for rm in range(5) if rm_field and static else [None]:
                vectors, dynamic = [], []
                for i, o in enumerate(operands):
                    o = o if isinstance(o, tuple) else (o,)
                    args = [unbox(f, v) if kind != 'T' else v for v in o]
                    mode = rm if rm is not None else i % 5
                    if rm is not None and (i + rm) % 3 and len(operands) > 400:
                        continue
                    want, flags = compute(*args, mode)
                    want = box(want)
                    before = random.choice([0, 0, NX, NV | UF])
                    raw = (o + (0, 0, 0))[:3]
                    vectors.append(raw + (want, 0, before, before | flags))
                    dynamic.append(raw + (want, 0, before | mode << 5, before | flags | mode << 5))
                sources = A0 << 15 if kind == 'T' else 11 << 15
                base = ROWS[name][0] | 10 << 7 | sources
                if len(operands[0] if isinstance(operands[0], tuple) else (0,)) >= 2:
                    base |= 12 << 20
                if len(operands[0] if isinstance(operands[0], tuple) else (0,)) >= 3:
                    base |= 13 << 27
                if rm is None:
                    add(to_group, name, [base, RET], kind, vectors)
                else:
                    add(to_group, f'{name}, rm {rm}', [base | rm << 12, RET], kind, vectors)
                    add(to_group, f'{name}, dynamic {rm}', [base | 7 << 12, RET], kind, dynamic[::4])

        plain = lambda v: v & M64
        rows(f'fadd.{x}', group, 'F', pairs, lambda a, b, rm, f=f: f_add(f, a, b, rm), True, f.box)
        rows(f'fsub.{x}', group, 'F', pairs, lambda a, b, rm, f=f: f_sub(f, a, b, rm), True, f.box)
        rows(f'fmul.{x}', group, 'F', pairs, lambda a, b, rm, f=f: f_mul(f, a, b, rm), True, f.box)
        rows(f'fdiv.{x}', group, 'F', pairs, lambda a, b, rm, f=f: f_div(f, a, b, rm), True, f.box)
        rows(f'fsqrt.{x}', group, 'F', singles, lambda a, rm, f=f: f_sqrt(f, a, rm), True, f.box)
        triples = [(random.choice(raws), random.choice(raws), random.choice(raws)) for _ in range(900)]
        triples += list(zip(*[[f.box(v) for v in randoms(f, 300)] for _ in range(3)]))
        for a, b in list(zip(randoms(f, 300), randoms(f, 300))):  # a * b - nearly a * b
            c = f_mul(f, a, b, RNE)[0]
            triples.append((f.box(a), f.box(b), f.box(f_neg(f, c))))
        for name, sp, sc in (('fmadd', 0, 0), ('fmsub', 0, 1), ('fnmsub', 1, 0), ('fnmadd', 1, 1)):
            rows(f'{name}.{x}', group, 'F', triples,
                 lambda a, b, c, rm, f=f, sp=sp, sc=sc: f_fma(f, a ^ (f.sign if sp else 0), b,
                                                             c ^ (f.sign if sc else 0), rm), True, f.box)
        for name, pick, propagate, to in (('fmin', min, 0, group), ('fmax', max, 0, group), ('fminm', min, 1, 'zfa'),
                                          ('fmaxm', max, 1, 'zfa')):
            rows(f'{name}.{x}', to, 'F', pairs,
                 lambda a, b, rm, f=f, p=pick, q=propagate: f_minmax(f, a, b, p, q), False, f.box)
        for name, how in (('fsgnj', lambda a, b, s: a & ~s | b & s), ('fsgnjn', lambda a, b, s: a & ~s | ~b & s),
                          ('fsgnjx', lambda a, b, s: a ^ b & s)):
            rows(f'{name}.{x}', group, 'F', pairs[::3], lambda a, b, rm, f=f, h=how: (h(a, b, f.sign), 0), False, f.box)
        for name, test, quiet, to in (('feq', lambda a, b: a == b, 1, group), ('flt', lambda a, b: a < b, 0, group),
                                      ('fle', lambda a, b: a <= b, 0, group), ('fltq', lambda a, b: a < b, 1, 'zfa'),
                                      ('fleq', lambda a, b: a <= b, 1, 'zfa')):
            rows(f'{name}.{x}', to, 'C', pairs,
                 lambda a, b, rm, f=f, t=test, q=quiet: f_compare(f, a, b, t, q), False, plain)
        rows(f'fclass.{x}', group, 'C', singles, lambda a, rm, f=f: (f_class(f, a), 0), False, plain)
        rows(f'fround.{x}', 'zfa', 'F', singles, lambda a, rm, f=f: f_round_int(f, a, rm, False), True, f.box)
        rows(f'froundnx.{x}', 'zfa', 'F', singles, lambda a, rm, f=f: f_round_int(f, a, rm, True), True, f.box)
        edges = []
        for bits in (31, 32, 63, 64):
            for delta in (-2, -1, Fraction(-1, 2), 0, Fraction(1, 2), 1):
                for sign in (1, -1):
                    edges.append(f.box(f.round(sign * (Fraction(2) ** bits + delta), RNE)[0]))
        for delta in range(-8, 9):
            edges.append(f.box(f.round(Fraction(delta, 4), RNE)[0]))
        for name, bits, signed in (('w', 32, 1), ('wu', 32, 0), ('l', 64, 1), ('lu', 64, 0)):
            rows(f'fcvt.{name}.{x}', group, 'C', singles + edges,
                 lambda a, rm, f=f, b=bits, s=signed: f_to_int(f, a, rm, b, s), True, plain)

            def from_int(v, rm, f=f, bits=bits, signed=signed):
                v = (s32(v) if signed else v & M32) if bits == 32 else (s64(v) if signed else v)
                return f.round(Fraction(v), rm)
            ints = SOME + [random.getrandbits(64) >> random.randrange(64) for _ in range(150)]
            rows(f'fcvt.{x}.{name}', group, 'T', ints, from_int, True, f.box)
        mv = {'h': 'fmv.x.h', 's': 'fmv.x.w', 'd': 'fmv.x.d'}[x]
        low = (1 << f.width) - 1
        add(group, mv, [ROWS[mv][0] | A0 << 7 | 11 << 15, RET], 'C',
            [(a, 0, 0, ((a & low) - ((a & f.sign) << 1)) & M64, 0, 0, 0) for a in singles + SOME])
        mv = {'h': 'fmv.h.x', 's': 'fmv.w.x', 'd': 'fmv.d.x'}[x]
        add(group, mv, [ROWS[mv][0] | 10 << 7 | A0 << 15, RET], 'T',
            [(a, 0, 0, f.box(a & low), 0, 0, 0) for a in SOME])
        # Unprivileged ISA, Zfa, table of FLI constants
        inf = Fraction(2) ** 5000
        table = [Fraction(-1), None, Fraction(1, 1 << 16), Fraction(1, 1 << 15), Fraction(1, 1 << 8), Fraction(1, 1 << 7),
                 Fraction(1, 16), Fraction(1, 8), Fraction(1, 4), Fraction(5, 16), Fraction(3, 8), Fraction(7, 16),
                 Fraction(1, 2), Fraction(5, 8), Fraction(3, 4), Fraction(7, 8), Fraction(1), Fraction(5, 4),
                 Fraction(3, 2), Fraction(7, 4), Fraction(2), Fraction(5, 2), Fraction(3), Fraction(4), Fraction(8),
                 Fraction(16), Fraction(128), Fraction(256), Fraction(1 << 15), Fraction(1 << 16), inf, None]
        for i, v in enumerate(table):
            bits = 1 << f.m if i == 1 else f.nan if i == 31 else f.inf if v == inf else f.round(v, RNE)[0]
            add('zfa', f'fli.{x} {i}', [ROWS[f'fli.{x}'][0] | 10 << 7 | i << 15, RET], 'F',
                [(0, 0, 0, f.box(bits), 0, 0, 0)])
        for to in (H, S, D):
            if to is f:
                continue
            widen = to.width > f.width
            to_group = 'rv64d' if 'h' not in (x, to.letter) else 'zfh'
            rows(f'fcvt.{to.letter}.{x}', to_group, 'F', singles + [f.box(f_convert(f, to, v, RNE)[0] ^ 1)
                                                                   for v in corners(to) + randoms(to, 100)],
                 lambda a, rm, f=f, to=to: f_convert(to, f, a, rm), True, to.box)
            del widen
    big = [D.round(s * (Fraction(2) ** e + d), RNE)[0] for e in (30, 31, 32, 33, 52, 53, 63, 64, 84, 85, 100)
           for d in (0, 1, Fraction(1, 2), 5, 1 << 20, 1 << 31) for s in (1, -1)]
    values = corners(D) + randoms(D, 400) + big
    add('zfa', 'fcvtmod.w.d', [ROWS['fcvtmod.w.d'][0] | A0 << 7 | 11 << 15, RET], 'C',
        [(a, 0, 0, fcvtmod(a)[0], 0, 0, fcvtmod(a)[1]) for a in values])


def write(folder):
    for group, stubs in out.items():
        with open(f'{folder}/arithmetic_{group}.c', 'w') as file:
            file.write('/* Made by tests/isa/arithmetic.py. */\n#include "isa.h"\n\n__asm__(".text\\n .option push\\n '
                       '.option norvc\\n .balign 4\\n"\n')
            for i, (_, words, _, _) in enumerate(stubs):
                file.write(f'        "stub_{i}: .4byte {", ".join(hex(w) for w in words)}\\n"\n')
            file.write('        ".option pop\\n");\n')
            for i, (_, _, _, vectors) in enumerate(stubs):
                file.write(f'extern const char stub_{i}[];\nstatic const struct vector vectors_{i}[] = {{\n')
                for v in vectors:
                    v = tuple(int(n) & M64 for n in v) + (0,) * (7 - len(v))
                    file.write('    {' + ', '.join(hex(n) for n in v) + '},\n')
                file.write('};\n')
            file.write('\nvoid test_main(void)\n{\n')
            for i, (name, _, kind, vectors) in enumerate(stubs):
                file.write(f'    check_vectors("{name}", stub_{i}, VECTOR_{kind}, vectors_{i}, {len(vectors)});\n')
            file.write('}\n')


if __name__ == '__main__':
    integers()
    compressed()
    atomics()
    floats()
    write(sys.argv[1])
