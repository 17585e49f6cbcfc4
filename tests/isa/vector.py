#!/usr/bin/env python3
"""Operands and results of every vector instruction that does not access memory, from the specification's definitions.

usage: vector.py FOLDER   writes vector_GROUP.c, one program a group

VLEN is 128, LMUL 1, tails and inactive elements are left undisturbed. The results come from Python's integers and
fractions (Unprivileged ISA 20240411, "V", "Zvbb" and so on), and share nothing with the code under test.
"""
import random
import re
import sys
from math import sqrt

from arithmetic import (D, DZ, H, NV, NX, OF, RDN, RNE, RTZ, RUP, S, SBOX, Fraction, clmul_wide, clz, columns_times,
                        corners, ctz, div, f_add, f_class, f_compare, f_convert, f_div, f_fma, f_minmax, f_mul, f_sqrt,
                        f_sub, f_to_int, nan_flags, randoms, rem, rol, unbox)

VLENB = 16
FORMAT = {16: H, 32: S, 64: D}


def read_rows():
    text = open('riscv/insn_v.def').read()
    rows = {}
    for m in re.finditer(r'^VINSN\(\w+, "([^"]+)", ENC\((\w+), (\w+)\), (\w+), (\w+), ([^)]*)\)', text, re.M):
        rows[m[1]] = (int(m[2], 0), int(m[3], 0), m[4], m[5], m[6])
    return rows


ROWS = read_rows()


def s(v, w):
    v &= (1 << w) - 1
    return v - (1 << w) if v >> (w - 1) else v


def u(v, w):
    return v & ((1 << w) - 1)


# ---- elements ----

def get(data, i, w):
    n = w // 8
    return int.from_bytes(data[i * n:(i + 1) * n], 'little')


def put(data, i, w, v):
    n = w // 8
    data[i * n:(i + 1) * n] = u(v, w).to_bytes(n, 'little')


def bit(data, i):
    return data[i // 8] >> i % 8 & 1


def put_bit(data, i, v):
    data[i // 8] = data[i // 8] & ~(1 << i % 8) | (1 if v else 0) << i % 8


def int_value(w):
    low = [0, 1, 2, (1 << w) - 1, 1 << (w - 1), (1 << (w - 1)) - 1, (1 << (w // 2)) - 1]
    return random.choice(low) if random.random() < 0.4 else random.getrandbits(w)


def fp_value(w):
    f = FORMAT[w]
    return random.choice(corners(f)) if random.random() < 0.4 else randoms(f, 1)[0]


def fill(n, w, value):
    data = bytearray(n)
    for i in range(n * 8 // w):
        put(data, i, w, value(w))
    return data


# ---- what elements become: (vs2, vs1 or scalar, vd, width) ----

SAME = {
    'vadd': lambda a, b, d, w: a + b, 'vsub': lambda a, b, d, w: a - b, 'vrsub': lambda a, b, d, w: b - a,
    'vand': lambda a, b, d, w: a & b, 'vor': lambda a, b, d, w: a | b, 'vxor': lambda a, b, d, w: a ^ b,
    'vandn': lambda a, b, d, w: a & ~b, 'vminu': lambda a, b, d, w: min(a, b), 'vmaxu': lambda a, b, d, w: max(a, b),
    'vmin': lambda a, b, d, w: min(s(a, w), s(b, w)), 'vmax': lambda a, b, d, w: max(s(a, w), s(b, w)),
    'vsll': lambda a, b, d, w: a << b % w, 'vsrl': lambda a, b, d, w: a >> b % w,
    'vsra': lambda a, b, d, w: s(a, w) >> b % w, 'vrol': lambda a, b, d, w: rol(a, b % w, w),
    'vror': lambda a, b, d, w: rol(a, -b % w, w), 'vmul': lambda a, b, d, w: a * b,
    'vmulh': lambda a, b, d, w: s(a, w) * s(b, w) >> w, 'vmulhu': lambda a, b, d, w: a * b >> w,
    'vmulhsu': lambda a, b, d, w: s(a, w) * b >> w, 'vdiv': lambda a, b, d, w: div(s(a, w), s(b, w), w),
    'vdivu': lambda a, b, d, w: -1 if b == 0 else a // b, 'vrem': lambda a, b, d, w: rem(s(a, w), s(b, w), w),
    'vremu': lambda a, b, d, w: a if b == 0 else a % b, 'vmadd': lambda a, b, d, w: b * d + a,
    'vnmsub': lambda a, b, d, w: -(b * d) + a, 'vmacc': lambda a, b, d, w: b * a + d,
    'vnmsac': lambda a, b, d, w: -(b * a) + d, 'vclmul': lambda a, b, d, w: clmul_wide(a, b),
    'vclmulh': lambda a, b, d, w: clmul_wide(a, b) >> 64, 'vmv': lambda a, b, d, w: b,
}
# To twice the width; b and a are of w, but a of .w forms of 2 w.
WIDE = {
    'vwaddu': lambda a, b, d, w: a + b, 'vwadd': lambda a, b, d, w: s(a, w) + s(b, w),
    'vwsubu': lambda a, b, d, w: a - b, 'vwsub': lambda a, b, d, w: s(a, w) - s(b, w),
    'vwmulu': lambda a, b, d, w: a * b, 'vwmul': lambda a, b, d, w: s(a, w) * s(b, w),
    'vwmulsu': lambda a, b, d, w: s(a, w) * b, 'vwmaccu': lambda a, b, d, w: a * b + d,
    'vwmacc': lambda a, b, d, w: s(a, w) * s(b, w) + d, 'vwmaccsu': lambda a, b, d, w: a * s(b, w) + d,
    'vwmaccus': lambda a, b, d, w: s(a, w) * b + d, 'vwsll': lambda a, b, d, w: a << b % (2 * w),
}
COMPARE = {
    'vmseq': lambda a, b, w: a == b, 'vmsne': lambda a, b, w: a != b, 'vmsltu': lambda a, b, w: a < b,
    'vmslt': lambda a, b, w: s(a, w) < s(b, w), 'vmsleu': lambda a, b, w: a <= b,
    'vmsle': lambda a, b, w: s(a, w) <= s(b, w), 'vmsgtu': lambda a, b, w: a > b,
    'vmsgt': lambda a, b, w: s(a, w) > s(b, w),
}
UNARY = {
    'vbrev8': lambda a, w: sum((a >> i & 1) << (i ^ 7) for i in range(w)),
    'vrev8': lambda a, w: int.from_bytes(a.to_bytes(w // 8, 'little'), 'big'),
    'vbrev': lambda a, w: sum((a >> i & 1) << (w - 1 - i) for i in range(w)), 'vclz': lambda a, w: clz(a, w),
    'vctz': lambda a, w: ctz(a, w), 'vcpop': lambda a, w: bin(a).count('1'),
}
REDUCE = {
    'vredsum': lambda a, b, w: a + b, 'vredand': lambda a, b, w: a & b, 'vredor': lambda a, b, w: a | b,
    'vredxor': lambda a, b, w: a ^ b, 'vredminu': lambda a, b, w: min(a, b), 'vredmaxu': lambda a, b, w: max(a, b),
    'vredmin': lambda a, b, w: min(s(a, w), s(b, w)), 'vredmax': lambda a, b, w: max(s(a, w), s(b, w)),
}
MASK = {
    'vmand': lambda a, b: a & b, 'vmnand': lambda a, b: 1 - (a & b), 'vmandn': lambda a, b: a & (1 - b),
    'vmxor': lambda a, b: a ^ b, 'vmor': lambda a, b: a | b, 'vmnor': lambda a, b: 1 - (a | b),
    'vmorn': lambda a, b: a | (1 - b), 'vmxnor': lambda a, b: 1 - (a ^ b),
}


def round_off(v, n, vxrm):
    """v / 2^n, rounded ("V", 3.8)."""
    if n == 0:
        return v
    low, half = v & ((1 << n) - 1), 1 << (n - 1)
    r = (low >= half, low > half or low == half and v >> n & 1, 0, not v >> n & 1 and low != 0)[vxrm]
    return (v >> n) + (1 if r else 0)


def clip(v, w, signed):
    low, high = (-(1 << (w - 1)), (1 << (w - 1)) - 1) if signed else (0, (1 << w) - 1)
    return min(max(v, low), high), not low <= v <= high


def fixed(name, a, b, w, vxrm):
    """(result, whether it saturated), or None."""
    signed = name[-1] != 'u'
    x, y = (s(a, w), s(b, w)) if signed else (a, b)
    if name in ('vsadd', 'vsaddu'):
        return clip(x + y, w, signed)
    if name in ('vssub', 'vssubu'):
        return clip(x - y, w, signed)
    if name in ('vaadd', 'vaaddu'):
        return round_off(x + y, 1, vxrm), False
    if name in ('vasub', 'vasubu'):
        return round_off(x - y, 1, vxrm), False
    if name == 'vsmul':
        return clip(round_off(x * y, w - 1, vxrm), w, True)
    if name == 'vssrl':
        return round_off(a, b % w, vxrm), False
    if name == 'vssra':
        return round_off(s(a, w), b % w, vxrm), False
    if name in ('vnclip', 'vnclipu'):  # a is twice as wide
        return clip(round_off(s(a, 2 * w) if signed else a, b % (2 * w), vxrm), w, signed)
    return None


# ---- floating point ----

def sign_of(how):
    def f(fmt, a, b, rm):
        return {'vfsgnj': a & ~fmt.sign | b & fmt.sign, 'vfsgnjn': a & ~fmt.sign | ~b & fmt.sign,
                'vfsgnjx': a ^ b & fmt.sign}[how], 0
    return f


FLOAT = {
    'vfadd': f_add, 'vfsub': f_sub, 'vfrsub': lambda f, a, b, rm: f_sub(f, b, a, rm), 'vfmul': f_mul, 'vfdiv': f_div,
    'vfrdiv': lambda f, a, b, rm: f_div(f, b, a, rm), 'vfmin': lambda f, a, b, rm: f_minmax(f, a, b, min, 0),
    'vfmax': lambda f, a, b, rm: f_minmax(f, a, b, max, 0), 'vfsgnj': sign_of('vfsgnj'), 'vfsgnjn': sign_of('vfsgnjn'),
    'vfsgnjx': sign_of('vfsgnjx'), 'vfmv': lambda f, a, b, rm: (b, 0),
}
# +-(x * y) +- z: signs of the product and of z; macc: x * y of vs1 and vs2, z vd; madd: vs1, vd, and vs2
FUSED = {'macc': (0, 0), 'nmacc': (1, 1), 'msac': (0, 1), 'nmsac': (1, 0), 'madd': (0, 0), 'nmadd': (1, 1),
         'msub': (0, 1), 'nmsub': (1, 0)}
FCOMPARE = {
    'vmfeq': (lambda a, b: a == b, 1), 'vmfne': (lambda a, b: a == b, 1), 'vmflt': (lambda a, b: a < b, 0),
    'vmfle': (lambda a, b: a <= b, 0), 'vmfgt': (lambda a, b: a > b, 0), 'vmfge': (lambda a, b: a >= b, 0),
}


def normalized(f, a):
    """(biased exponent, maybe below 1; fraction) of a number that is not 0."""
    e, m = a >> f.m & ((1 << f.e) - 1), a & ((1 << f.m) - 1)
    if e == 0:
        shift = f.m + 1 - m.bit_length()
        return 1 - shift, m << shift & ((1 << f.m) - 1)
    return e, m


def rec7(f, a, rm):
    sign = a & f.sign
    if f.is_nan(a):
        return f.nan, nan_flags(f, a)
    if f.is_inf(a):
        return sign, 0
    if f.is_zero(a):
        return sign | f.inf, DZ
    e, m = normalized(f, a)
    if e < -1:
        largest = rm == RTZ or rm == RDN and not sign or rm == RUP and sign
        return sign | (f.inf - 1 if largest else f.inf), NX | OF
    out = round(256 / (1 + ((m >> (f.m - 7)) + 0.5) / 128)) - 128
    significand, exponent = out << (f.m - 7), 2 * f.bias - 1 - e
    if exponent < 1:
        significand = (significand | 1 << f.m) >> (1 - exponent)
        exponent = 0
    return sign | exponent << f.m | significand, 0


def rsqrt7(f, a, rm):
    if f.is_nan(a):
        return f.nan, nan_flags(f, a)
    if f.is_zero(a):
        return a & f.sign | f.inf, DZ
    if a & f.sign:
        return f.nan, NV
    if f.is_inf(a):
        return 0, 0
    e, m = normalized(f, a)
    x = 1 + ((m >> (f.m - 6)) + 0.5) / 64
    out = round(256 / sqrt(x if e & 1 else 2 * x)) - 128
    return (3 * f.bias - 1 - e) // 2 << f.m | out << (f.m - 7), 0


def convert(name, a, w, rm):
    """vfcvt of w to w, vfwcvt to 2 w, vfncvt from 2 w."""
    to, source = (w, w) if name.startswith('vfcvt') else (2 * w, w) if name.startswith('vfwcvt') else (w, 2 * w)
    how = name.split('.')[1:-1]
    if how[0] == 'rtz':
        rm, how = RTZ, how[1:]
    if how[0] == 'rod':  # toward zero, then odd if inexact
        bits, flags = f_convert(FORMAT[to], FORMAT[source], a, RTZ)
        return (bits | 1 if flags & NX else bits), flags
    if how[0] in ('x', 'xu'):
        return f_to_int_of(FORMAT[source], a, rm, to, how[0] == 'x')
    if how[1] in ('x', 'xu'):
        return FORMAT[to].round(Fraction(s(a, source) if how[1] == 'x' else a), rm)
    return f_convert(FORMAT[to], FORMAT[source], a, rm)


def f_to_int_of(f, a, rm, bits, signed):
    v, flags = f_to_int(f, a, rm, bits, signed)
    return u(v, bits), flags


# ---- cryptography: an element group of four ----

INV_SBOX = [SBOX.index(i) for i in range(256)]


def words_of(v):
    return [v >> 32 * i & 0xffffffff for i in range(4)]


def of_words(words):
    return sum(v << 32 * i for i, v in enumerate(words))


def aes(name, d, k):
    state = list(d.to_bytes(16, 'little'))
    key = list(k.to_bytes(16, 'little'))

    def with_key(x):
        return [a ^ b for a, b in zip(x, key)]
    if name == 'vaesz':
        state = with_key(state)
    elif name[4] == 'e':
        state = [SBOX[state[4 * ((c + r) % 4) + r]] for c in range(4) for r in range(4)]
        if name == 'vaesem':
            state = columns_times(state, [2, 3, 1, 1])
        state = with_key(state)
    else:
        state = with_key([INV_SBOX[state[4 * ((c - r) % 4) + r]] for c in range(4) for r in range(4)])
        if name == 'vaesdm':
            state = columns_times(state, [14, 11, 13, 9])
    return int.from_bytes(bytes(state), 'little')


def sub_word(v):
    return sum(SBOX[v >> i & 0xff] << i for i in range(0, 32, 8))


def aes_key(name, d, k, n):
    w = words_of(k)
    if name == 'vaeskf1':
        n = n ^ 8 if n & 15 in (0, 11, 12, 13, 14, 15) else n
        rcon = [0, 1, 2, 4, 8, 16, 32, 64, 128, 0x1b, 0x36][n & 15]
        out = [sub_word(rol(w[3], 24, 32)) ^ rcon ^ w[0]]
        for i in range(1, 4):
            out.append(out[i - 1] ^ w[i])
        return of_words(out)
    n = n ^ 8 if n & 15 < 2 or n & 15 > 14 else n
    rcon = [0, 1, 2, 4, 8, 16, 32, 64][(n & 15) >> 1]
    p = words_of(d)
    out = [(sub_word(w[3]) if n & 1 else sub_word(rol(w[3], 24, 32)) ^ rcon) ^ p[0]]
    for i in range(1, 4):
        out.append(out[i - 1] ^ p[i])
    return of_words(out)


def brev8(v):
    return sum((v >> i & 1) << (i ^ 7) for i in range(128))


def gcm(y, h):
    """y * h in GF(2^128), bits as GHASH has them ("Zvkg")."""
    y, h, z = brev8(y), brev8(h), 0
    for i in range(128):
        if y >> i & 1:
            z ^= h
        carry = h >> 127
        h = u(h << 1, 128) ^ (0x87 if carry else 0)
    return brev8(z)


def sha2(name, d, a, b, w):
    """Elements of vd, vs2 and vs1, the lowest first ("Zvknh")."""
    def r(v, n):
        return rol(v, w - n, w)
    if w == 32:
        sig0, sig1 = (lambda v: r(v, 7) ^ r(v, 18) ^ v >> 3), (lambda v: r(v, 17) ^ r(v, 19) ^ v >> 10)
        sum0, sum1 = (lambda v: r(v, 2) ^ r(v, 13) ^ r(v, 22)), (lambda v: r(v, 6) ^ r(v, 11) ^ r(v, 25))
    else:
        sig0, sig1 = (lambda v: r(v, 1) ^ r(v, 8) ^ v >> 7), (lambda v: r(v, 19) ^ r(v, 61) ^ v >> 6)
        sum0, sum1 = (lambda v: r(v, 28) ^ r(v, 34) ^ r(v, 39)), (lambda v: r(v, 14) ^ r(v, 18) ^ r(v, 41))
    if name == 'vsha2ms':
        w0, w1, w2, w3 = d
        w4, w9, w10, w11 = a
        w12, _, w14, w15 = b
        w16 = u(sig1(w14) + w9 + sig0(w1) + w0, w)
        w17 = u(sig1(w15) + w10 + sig0(w2) + w1, w)
        w18 = u(sig1(w16) + w11 + sig0(w3) + w2, w)
        return [w16, w17, w18, u(sig1(w17) + w12 + sig0(w4) + w3, w)]
    f, e, b_, a_ = a
    h, g, d_, c = d
    for message in (b[2:] if name == 'vsha2ch' else b[:2]):
        t1 = h + sum1(e) + (e & f ^ ~e & g) + message
        t2 = sum0(a_) + (a_ & b_ ^ a_ & c ^ b_ & c)
        h, g, f, e, d_, c, b_, a_ = g, f, e, u(d_ + t1, w), c, b_, a_, u(t1 + t2, w)
    return [f, e, b_, a_]


# ---- one case of a row ----

VD, VS1, VS2, A0, FA0, FA1 = 8, 24, 16, 10, 10, 11


def background(first, n):
    """What registers hold that no case says anything of (rt_vector.c)."""
    return bytearray((i * 53 + 7) & 255 for i in range(first * VLENB, first * VLENB + n))


class Case:
    def __init__(self, w, fp, masked, vl):
        self.w, self.vl, self.masked = w, vl, masked
        self.v0 = fill(VLENB, 8, int_value)
        value = fp_value if fp else int_value
        self.vs2, self.vs1 = fill(32, w, value), fill(32, w, value)
        self.vd = background(VD, 128)
        self.x = int_value(64) if random.random() < 0.5 else random.getrandbits(64) >> 64 - w
        self.imm = random.getrandbits(6)
        self.f = 0
        self.vxrm, self.vxsat = random.randrange(4), random.getrandbits(1)
        self.rm = random.choice([0, 0, 1, 2, 3, 4])
        self.flags = random.choice([0, 0, NX])
        self.want_x, self.want_f = self.x, 0
        self.want_flags, self.want_vxsat = self.flags, self.vxsat

    def active(self, i):
        return not self.masked or bit(self.v0, i)


def second(c, name, fmt, w, i, wide=None):
    """The operand that is vs1's element, x, f or an immediate, of w bits."""
    kind = name.rsplit('.', 1)[1]
    if kind in ('vv', 'wv', 'vvm', 'vs', 'vm', 'v'):
        return get(c.vs1, i, w)
    if kind in ('vf', 'wf', 'vfm', 'f'):
        return u(c.f, w)
    if kind in ('vx', 'wx', 'vxm', 'x'):
        return u(c.x, w)
    return u(s(c.imm, 5) if fmt in ('VVI', 'VDI') else c.imm if fmt == 'VVU6' else c.imm & 31, w)


def compute(name, c):
    """Changes c.vd (a fresh one is returned) and what c wants. None: no such case."""
    match, mask, fmt, ext, flags = ROWS[name]
    op, w, old = name.split('.')[0], c.w, c.vd
    vd, vlmax = bytearray(old), VLENB * 8 // w
    body = [i for i in range(c.vl) if c.active(i)]

    def b(i, width=w):
        return second(c, name, fmt, width, i)
    if op in SAME and not (op == 'vmv' and name[4] != 'v'):
        for i in range(c.vl) if op == 'vmv' else body:
            put(vd, i, w, SAME[op](get(c.vs2, i, w), b(i), get(old, i, w), w))
    elif op == 'vmerge' or op == 'vfmerge':
        for i in range(c.vl):
            put(vd, i, w, b(i) if bit(c.v0, i) else get(c.vs2, i, w))
    elif op in WIDE:
        for i in body:
            a = get(c.vs2, i, 2 * w if '.w' in name else w)
            if '.w' in name and op[-1] != 'u':  # vwadd.wv, vwsub.wv
                v = a + s(b(i), w) if op == 'vwadd' else a - s(b(i), w)
            else:
                v = WIDE[op](a, b(i), get(old, i, 2 * w), w)
            put(vd, i, 2 * w, v)
    elif op in ('vnsrl', 'vnsra'):
        for i in body:
            a = get(c.vs2, i, 2 * w)
            put(vd, i, w, (s(a, 2 * w) if op == 'vnsra' else a) >> b(i) % (2 * w))
    elif op in COMPARE:
        for i in body:
            put_bit(vd, i, COMPARE[op](get(c.vs2, i, w), b(i), w))
    elif op in ('vadc', 'vsbc'):
        for i in range(c.vl):
            carry = bit(c.v0, i)
            put(vd, i, w, get(c.vs2, i, w) + b(i) + carry if op == 'vadc' else get(c.vs2, i, w) - b(i) - carry)
    elif op in ('vmadc', 'vmsbc'):
        for i in range(c.vl):
            carry = bit(c.v0, i) if name.endswith('m') else 0
            v = get(c.vs2, i, w) + b(i) + carry if op == 'vmadc' else get(c.vs2, i, w) - b(i) - carry
            put_bit(vd, i, not 0 <= v < 1 << w)
    elif fixed(op, 0, 0, w, 0) is not None:
        for i in body:
            a = get(c.vs2, i, 2 * w if op.startswith('vnclip') else w)
            v, saturated = fixed(op, a, b(i), w, c.vxrm)
            c.want_vxsat |= int(saturated)
            put(vd, i, w, v)
    elif op in ('vzext', 'vsext'):
        factor = int(name[-1])
        if w // factor < 8:
            return None
        for i in body:
            a = get(c.vs2, i, w // factor)
            put(vd, i, w, s(a, w // factor) if op == 'vsext' else a)
    elif op in UNARY and fmt == 'VV':
        for i in body:
            put(vd, i, w, UNARY[op](get(c.vs2, i, w), w))
    elif op in REDUCE or op in ('vwredsum', 'vwredsumu'):
        to = 2 * w if op.startswith('vw') else w
        v = get(c.vs1, 0, to)
        for i in body:
            a = get(c.vs2, i, w)
            v = u(v + (s(a, w) if op == 'vwredsum' else a), to) if to != w else u(REDUCE[op](v, a, w), w)
        put(vd, 0, to, v)
    elif op in MASK:
        for i in range(c.vl):
            put_bit(vd, i, MASK[op](bit(c.vs2, i), bit(c.vs1, i)))
    elif name == 'vcpop.m':
        c.want_x = sum(bit(c.vs2, i) for i in body)
    elif name == 'vfirst.m':
        c.want_x = next((i for i in body if bit(c.vs2, i)), (1 << 64) - 1)
    elif op in ('vmsbf', 'vmsif', 'vmsof'):
        found = False
        for i in body:
            here = bit(c.vs2, i) and not found
            put_bit(vd, i, {'vmsbf': not found and not here, 'vmsif': not found, 'vmsof': here}[op])
            found = found or here
    elif op == 'viota':
        for i in body:
            put(vd, i, w, sum(bit(c.vs2, k) for k in body if k < i))
    elif op == 'vid':
        for i in body:
            put(vd, i, w, i)
    elif op == 'vcompress':
        to = 0
        for i in range(c.vl):
            if bit(c.vs1, i):
                put(vd, to, w, get(c.vs2, i, w))
                to += 1
    elif op in ('vslideup', 'vslidedown'):
        n = c.x if name.endswith('x') else c.imm & 31
        for i in body:
            if op == 'vslideup':
                if i >= n:
                    put(vd, i, w, get(c.vs2, i - n, w))
            else:
                put(vd, i, w, get(c.vs2, i + n, w) if i + n < vlmax else 0)
    elif op.endswith('slide1up') or op.endswith('slide1down'):
        scalar = u(c.f if 'vf' in op else c.x if w == 64 else s(c.x, 64), w)
        for i in body:
            if op.endswith('up'):
                put(vd, i, w, scalar if i == 0 else get(c.vs2, i - 1, w))
            else:
                put(vd, i, w, scalar if i == c.vl - 1 else get(c.vs2, i + 1, w))
    elif op in ('vrgather', 'vrgatherei16'):
        for i in body:
            at = get(c.vs1, i, 16) if op == 'vrgatherei16' else get(c.vs1, i, w) if name.endswith('vv') else \
                c.x if name.endswith('vx') else c.imm & 31
            put(vd, i, w, get(c.vs2, at, w) if at < vlmax else 0)
    elif name == 'vmv.x.s':
        c.want_x = u(s(get(c.vs2, 0, w), w), 64)
    elif name == 'vmv.s.x':
        put(vd, 0, w, c.x)
    elif name == 'vfmv.f.s':
        c.want_f = FORMAT[w].box(get(c.vs2, 0, w))
    elif name == 'vfmv.s.f':
        put(vd, 0, w, c.f)
    elif re.fullmatch(r'vmv\dr', op):
        n = int(op[3]) * VLENB
        vd[:n] = (c.vs2 + background(VS2 + 2, 128))[:n]
    elif ext in ('ZVKG', 'ZVKNED', 'ZVKNHB'):
        cryptography(name, op, c, vd, old, w)
    else:
        return float_case(name, op, c, vd, old, w, body, b)
    return vd


def cryptography(name, op, c, vd, old, w):
    group = 4 * w
    for i in range(c.vl // 4):
        d, a = get(old, i, group), get(c.vs2, 0 if name.endswith('.vs') else i, group)
        if op.startswith('vsha2'):
            put(vd, i, group, sum(v << w * k for k, v in enumerate(sha2(
                op, *([get(data, 4 * i + k, w) for k in range(4)] for data in (old, c.vs2, c.vs1)), w))))
        elif op.startswith('vaeskf'):
            put(vd, i, group, aes_key(op, d, a, c.imm & 31))
        elif op == 'vgmul':
            put(vd, i, group, gcm(d, a))
        elif op == 'vghsh':
            put(vd, i, group, gcm(d ^ get(c.vs1, i, group), a))
        else:
            put(vd, i, group, aes(op, d, a))


def float_case(name, op, c, vd, old, w, body, b):
    f, rm = FORMAT.get(w), c.rm
    wide = FORMAT.get(2 * w)

    def put_fp(i, width, result):
        put(vd, i, width, result[0])
        c.want_flags |= result[1]

    def widened(v):
        """Exact; a signaling NaN stays what raises the flag of the operation."""
        return f_convert(wide, f, v, RNE)[0] if not f.is_snan(v) else wide.inf | 1
    fused = re.fullmatch(r'vf(w?)(nmacc|nmsac|macc|msac|nmadd|nmsub|madd|msub)', op)
    if op in FCOMPARE:
        test, quiet = FCOMPARE[op]
        for i in body:
            v, flags = f_compare(f, get(c.vs2, i, w), b(i), test, quiet)
            put_bit(vd, i, 1 - v if op == 'vmfne' else v)
            c.want_flags |= flags
    elif fused:
        product, addend = FUSED[fused[2]]
        g, gw = (wide, 2 * w) if fused[1] else (f, w)
        for i in body:
            a, x, d = get(c.vs2, i, w), b(i), get(old, i, gw)
            if fused[1]:
                a, x = widened(a), widened(x)
            if fused[2].endswith('add') or fused[2].endswith('sub'):
                a, d = d, a
            put_fp(i, gw, f_fma(g, x ^ (g.sign if product else 0), a, d ^ (g.sign if addend else 0), rm))
    elif op in ('vfwadd', 'vfwsub', 'vfwmul'):
        for i in body:
            a = get(c.vs2, i, 2 * w) if '.w' in name else widened(get(c.vs2, i, w))
            put_fp(i, 2 * w, FLOAT['vf' + op[3:]](wide, a, widened(b(i)), rm))
    elif op in ('vfredusum', 'vfredosum', 'vfredmin', 'vfredmax', 'vfwredusum', 'vfwredosum'):
        to, g = (2 * w, wide) if op.startswith('vfw') else (w, f)
        by = 'vfmin' if op == 'vfredmin' else 'vfmax' if op == 'vfredmax' else 'vfadd'
        v = get(c.vs1, 0, to)
        for i in body:
            a = get(c.vs2, i, w)
            v, flags = FLOAT[by](g, v, widened(a) if to != w else a, rm)
            c.want_flags |= flags
        put(vd, 0, to, v)
    elif 'cvt' in op:
        source, to = (2 * w, w) if op == 'vfncvt' else (w, 2 * w if op == 'vfwcvt' else w)
        for i in body:
            put_fp(i, to, convert(name, get(c.vs2, i, source), w, rm))
    elif op in ('vfsqrt', 'vfrec7', 'vfrsqrt7'):
        how = {'vfsqrt': f_sqrt, 'vfrec7': rec7, 'vfrsqrt7': rsqrt7}[op]
        for i in body:
            put_fp(i, w, how(f, get(c.vs2, i, w), rm))
    elif op == 'vfclass':
        for i in body:
            put(vd, i, w, f_class(f, get(c.vs2, i, w)))
    else:
        for i in range(c.vl) if op == 'vfmv' else body:
            put_fp(i, w, FLOAT[op](f, get(c.vs2, i, w), b(i), rm))
    return vd


def widths(name):
    """The SEW that the row has a meaning for with LMUL = 1 and VLEN = 128."""
    match, mask, fmt, ext, flags = ROWS[name]
    if ext == 'ZVKNHB' or ext == 'ZVKG' or ext == 'ZVKNED':
        return [32]
    if ext == 'ZVBC':
        return [64]
    if name.startswith('vfwcvt.f') or name.startswith('vfncvt') and name.split('.')[1] != 'rod':
        ints = '.x' in name and not name.endswith('.f.w')
        return [32] if name.startswith('vfncvt') and ints else [16, 32]
    if name.startswith('vfw') or name.startswith('vfncvt'):
        return [32]
    if 'FP' in flags:
        return [32, 64]
    if name.startswith('vw') or '.w' in name:
        return [8, 16, 32]
    return [8, 16, 32, 64]


def encode(name, c):
    match, mask, fmt, ext, flags = ROWS[name]
    word = match

    def field(low, width, value):
        nonlocal word
        here = ((1 << width) - 1) << low
        if mask & here == 0:
            word |= value << low & here
    first = {'VVV': VS1, 'VMV': VS1, 'VDV': VS1, 'VVX': A0, 'VMX': A0, 'VDX': A0, 'VVF': FA1, 'VMF': FA1, 'VDF': FA1}
    field(7, 5, A0 if fmt in ('VXV', 'VXS') else FA0 if fmt == 'VFS' else VD)
    field(15, 5, first.get(fmt, c.imm & 31))
    field(20, 5, VS2)
    field(25, 1, 0 if c.masked else 1)
    if fmt == 'VVU6':
        word |= (c.imm >> 5) << 26
    return word


def cases(name):
    match, mask, fmt, ext, flags = ROWS[name]
    fp = 'FP' in flags
    groups = ext in ('ZVKNHB', 'ZVKG', 'ZVKNED')
    for w in widths(name):
        vlmax = VLENB * 8 // w
        for masked, vl in ((False, vlmax), (False, vlmax), (True, vlmax), (True, max(vlmax - 1, 1))):
            if masked and mask >> 25 & 1:
                masked = False
            ints = fp and (name.startswith('vf') and re.search(r'cvt\.f\.xu?\.', name))
            c = Case(w, fp and w > 8 and not ints, masked, vlmax if groups else vl)
            if fp and w > 8:
                f = FORMAT[w]
                c.f = f.box(fp_value(w)) if random.random() < 0.9 else random.getrandbits(64)
            if 'usum' in name:  # any order: all sums are exact
                for i in range(vlmax):
                    put(c.vs2, i, w, FORMAT[w].round(Fraction(random.randrange(-64, 64)), RNE)[0])
                to = 2 * w if 'vfw' in name else w
                put(c.vs1, 0, to, FORMAT[to].round(Fraction(random.randrange(1, 64)), RNE)[0])
            elif name.startswith('vfw') and ('.w' in name or 'red' in name):
                wide = fill(32, 2 * w, fp_value)
                c.vs2, c.vs1 = (wide, c.vs1) if '.w' in name else (c.vs2, wide)
            elif name.startswith('vfncvt') and not ints:
                c.vs2 = fill(32, 2 * w, fp_value)
            if 'gather' in name or 'slide' in name:
                for i in range(vlmax):
                    put(c.vs1, i, 16 if 'ei16' in name else w, random.randrange(vlmax + 2))
                c.x = random.choice([c.x, random.randrange(vlmax + 2)])
                c.imm %= vlmax + 2
            raw = c.f
            if fp and w in (16, 32):
                c.f = unbox(FORMAT[w], raw)
            vd = compute(name, c)
            if vd is None:
                continue
            c.want_x = c.want_x if fmt in ('VXV', 'VXS') else c.x
            yield encode(name, c), c, vd, raw


def hexes(data):
    return ', '.join(hex(get(data, i, 64)) for i in range(len(data) // 8))


def main(folder):
    groups = {}
    for name, (_, _, fmt, ext, flags) in ROWS.items():
        if 'MEM' in flags or fmt.startswith('VSET'):
            continue
        group = 'float' if 'FP' in flags else 'crypto' if ext != 'V' else 'integer'
        groups.setdefault(group, []).append(name)
    for group, names in groups.items():
        with open(f'{folder}/vector_{group}.c', 'w') as file:
            file.write('/* Made by tests/isa/vector.py. */\n#include "vector.h"\n\n'
                       'static const struct vector_case cases[] = {\n')
            for name in names:
                random.seed(name)
                for word, c, vd, f in cases(name):
                    vtype = (c.w.bit_length() - 4) << 3
                    file.write(f'    {{"{name}", {word:#x}, {vtype:#x}, {c.vl}, {c.vxrm << 1 | c.vxsat}, '
                               f'{c.vxrm << 1 | c.want_vxsat}, {c.rm << 5 | c.flags:#x}, '
                               f'{c.rm << 5 | c.want_flags:#x}, {c.x:#x}, {c.want_x:#x}, {f:#x}, {c.want_f:#x},\n'
                               f'     {{{hexes(c.v0)}}}, {{{hexes(c.vs2)}}}, {{{hexes(c.vs1)}}},\n     {{{hexes(vd)}}}}},\n')
            file.write('};\n\nvoid test_main(void)\n{\n    check_vector_cases(cases, sizeof cases / sizeof cases[0]);\n}\n')


if __name__ == '__main__':
    main(sys.argv[1])
