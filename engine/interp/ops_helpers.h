/* Small pure functions behind the operations. Included by run.c. */

/* Division never traps (Unprivileged ISA, M, table "division by zero and overflow"). */
static inline uint64_t div_signed(uint64_t a, uint64_t b)
{
    if (b == 0)
        return UINT64_MAX;
    if (b == UINT64_MAX)
        return 0 - a; /* also the overflow of the most negative number */
    return (uint64_t)((int64_t)a / (int64_t)b);
}

static inline uint64_t rem_signed(uint64_t a, uint64_t b)
{
    if (b == 0)
        return a;
    if (b == UINT64_MAX)
        return 0;
    return (uint64_t)((int64_t)a % (int64_t)b);
}

static inline uint64_t rotate_right(uint64_t v, uint64_t n)
{
    return v >> (n & 63) | v << ((0 - n) & 63);
}

static inline uint64_t rotate_right_word(uint64_t v, uint64_t n)
{
    uint32_t w = (uint32_t)v;
    return sext32(w >> (n & 31) | w << ((0 - n) & 31));
}

/* Values in registers wider than they are: NaN-boxing (Unprivileged ISA, D, "NaN Boxing of Narrower Values"). */
#define NAN_S 0x7fc00000u
#define NAN_H 0x7e00u

static inline uint32_t unbox_s(uint64_t v)
{
    return v >> 32 == 0xffffffff ? (uint32_t)v : NAN_S;
}

static inline uint16_t unbox_h(uint64_t v)
{
    return v >> 16 == 0xffffffffffff ? (uint16_t)v : NAN_H;
}

static inline uint64_t unbox_d(uint64_t v)
{
    return v;
}

static inline uint64_t box_s(uint32_t v)
{
    return 0xffffffff00000000ULL | v;
}

static inline uint64_t box_h(uint16_t v)
{
    return 0xffffffffffff0000ULL | v;
}

static inline uint64_t box_d(uint64_t v)
{
    return v;
}

/* 128-bit compare and swap, atomic; *low and *high get what was there. */
static inline void compare_exchange_16(unsigned __int128 *at, uint64_t *low, uint64_t *high,
                                       uint64_t new_low, uint64_t new_high)
{
    unsigned __int128 expected = (unsigned __int128)*high << 64 | *low;
    unsigned __int128 wanted = (unsigned __int128)new_high << 64 | new_low;
    unsigned __int128 old = __sync_val_compare_and_swap(at, expected, wanted);
    *low = (uint64_t)old;
    *high = (uint64_t)(old >> 64);
}
