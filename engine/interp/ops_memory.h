/* Loads, stores, atomics, cache-block operations. Included by run.c inside interp_run. */

#define ENTRY(va) (&tlb[(va) >> MEM_PAGE_SHIFT & (TLB_ENTRIES - 1)])

/* `value` sees the loaded bits as `raw`. */
#define LOAD(name, type, width, result)                                                            \
    OP(name)                                                                                       \
    {                                                                                              \
        const uint64_t va = RS1 + IMM;                                                             \
        const struct tlb_entry *e = ENTRY(va);                                                     \
        uint64_t raw;                                                                              \
        if (likely(va - e->read <= MEM_PAGE_SIZE - (width)))                                       \
            raw = *(const volatile type *)(e->addend + va);                                        \
        else if (!interp_load(it, va, width, &raw))                                                \
            goto memory_trap;                                                                      \
        result;                                                                                    \
        NEXT;                                                                                      \
    }
    LOAD(lb, uint8_t, 1, RD = (uint64_t)(int64_t)(int8_t)raw)
    LOAD(lbu, uint8_t, 1, RD = raw)
    LOAD(lh, u16_any, 2, RD = (uint64_t)(int64_t)(int16_t)raw)
    LOAD(lhu, u16_any, 2, RD = raw)
    LOAD(lw, u32_any, 4, RD = sext32(raw))
    LOAD(lwu, u32_any, 4, RD = raw)
    LOAD(ld, u64_any, 8, RD = raw)

#define STORE(name, type, width, value)                                                            \
    OP(name)                                                                                       \
    {                                                                                              \
        const uint64_t va = RS1 + IMM;                                                             \
        const struct tlb_entry *e = ENTRY(va);                                                     \
        if (likely(va - e->write <= MEM_PAGE_SIZE - (width)))                                      \
            *(volatile type *)(e->addend + va) = (type)(value);                                    \
        else if (!interp_store(it, va, width, value))                                              \
            goto memory_trap;                                                                      \
        NEXT;                                                                                      \
    }
    STORE(sb, uint8_t, 1, RS2)
    STORE(sh, u16_any, 2, RS2)
    STORE(sw, u32_any, 4, RS2)
    STORE(sd, u64_any, 8, RS2)

#define FLOAD(name, type, width, boxed)                                                            \
    OP(name)                                                                                       \
    {                                                                                              \
        FP_ON;                                                                                     \
        const uint64_t va = RS1 + IMM;                                                             \
        const struct tlb_entry *e = ENTRY(va);                                                     \
        uint64_t raw;                                                                              \
        if (likely(va - e->read <= MEM_PAGE_SIZE - (width)))                                       \
            raw = *(const volatile type *)(e->addend + va);                                        \
        else if (!interp_load(it, va, width, &raw))                                                \
            goto memory_trap;                                                                      \
        f[op->rd] = boxed;                                                                         \
        FP_DIRTY;                                                                                  \
        NEXT;                                                                                      \
    }
    FLOAD(flh, u16_any, 2, box_h((uint16_t)raw))
    FLOAD(flw, u32_any, 4, box_s((uint32_t)raw))
    FLOAD(fld, u64_any, 8, raw)

#define FSTORE(name, type, width)                                                                  \
    OP(name)                                                                                       \
    {                                                                                              \
        FP_ON;                                                                                     \
        const uint64_t va = RS1 + IMM;                                                             \
        const struct tlb_entry *e = ENTRY(va);                                                     \
        if (likely(va - e->write <= MEM_PAGE_SIZE - (width)))                                      \
            *(volatile type *)(e->addend + va) = (type)f[op->rs2];                                 \
        else if (!interp_store(it, va, width, f[op->rs2]))                                         \
            goto memory_trap;                                                                      \
        NEXT;                                                                                      \
    }
    FSTORE(fsh, u16_any, 2)
    FSTORE(fsw, u32_any, 4)
    FSTORE(fsd, u64_any, 8)

/* Atomics are sequentially consistent, which is stronger than any aq and rl ask for. */
#define AMO(name, type, width, extend, body)                                                       \
    OP(name)                                                                                       \
    {                                                                                              \
        _Atomic type *const at = interp_atomic_at(it, RS1, width, true);                           \
        const type source = (type)RS2;                                                             \
        type old;                                                                                  \
        if (unlikely(at == NULL))                                                                  \
            goto memory_trap;                                                                      \
        body;                                                                                      \
        RD = extend(old);                                                                          \
        NEXT;                                                                                      \
    }
#define AMO_FETCH(name, fn)                                                                        \
    AMO(name##_w, uint32_t, 4, sext32, old = fn(at, source))                                       \
    AMO(name##_d, uint64_t, 8, , old = fn(at, source))
#define AMO_LOOP(name, w, d, compare)                                                              \
    AMO(name##_w, uint32_t, 4, sext32,                                                             \
        old = atomic_load(at);                                                                     \
        while (!atomic_compare_exchange_weak(at, &old, (w)old compare (w)source ? old : source)))  \
    AMO(name##_d, uint64_t, 8, ,                                                                   \
        old = atomic_load(at);                                                                     \
        while (!atomic_compare_exchange_weak(at, &old, (d)old compare (d)source ? old : source)))
    AMO_FETCH(amoswap, atomic_exchange)
    AMO_FETCH(amoadd, atomic_fetch_add)
    AMO_FETCH(amoxor, atomic_fetch_xor)
    AMO_FETCH(amoand, atomic_fetch_and)
    AMO_FETCH(amoor, atomic_fetch_or)
    AMO_LOOP(amomin, int32_t, int64_t, <)
    AMO_LOOP(amomax, int32_t, int64_t, >)
    AMO_LOOP(amominu, uint32_t, uint64_t, <)
    AMO_LOOP(amomaxu, uint32_t, uint64_t, >)

    /* Zacas: rd holds what is compared and gets what was found. */
    OP(amocas_w)
    {
        _Atomic uint32_t *const at = interp_atomic_at(it, RS1, 4, true);
        uint32_t expected = (uint32_t)(op->rd == 32 ? 0 : RD);
        if (unlikely(at == NULL))
            goto memory_trap;
        atomic_compare_exchange_strong(at, &expected, (uint32_t)RS2);
        RD = sext32(expected);
        NEXT;
    }
    OP(amocas_d)
    {
        _Atomic uint64_t *const at = interp_atomic_at(it, RS1, 8, true);
        uint64_t expected = op->rd == 32 ? 0 : RD;
        if (unlikely(at == NULL))
            goto memory_trap;
        atomic_compare_exchange_strong(at, &expected, RS2);
        RD = expected;
        NEXT;
    }
    OP(amocas_q)
    {
        /* x0 as a pair reads 0 in both halves; x0 as destination discards both (Zacas, 3). */
        unsigned __int128 *const at = interp_atomic_at(it, RS1, 16, true);
        const bool zero = op->rd == 32;
        if (unlikely(at == NULL))
            goto memory_trap;
        uint64_t low = zero ? 0 : RD, high = zero ? 0 : X(op->rd + 1);
        const uint64_t new_low = RS2, new_high = op->rs2 == 0 ? 0 : X(op->rs2 + 1);
        compare_exchange_16(at, &low, &high, new_low, new_high);
        if (!zero) {
            RD = low;
            X(op->rd + 1) = high;
        }
        NEXT;
    }

#define LR(name, type, width, extend)                                                              \
    OP(name)                                                                                       \
    {                                                                                              \
        _Atomic type *const at = interp_atomic_at(it, RS1, width, false);                    \
        if (unlikely(at == NULL))                                                                  \
            goto memory_trap;                                                                      \
        const type value = atomic_load(at);                                                        \
        hart->reserved_at = (uintptr_t)at;                                                        \
        hart->reserved_value = value;                                                                \
        hart->reserved_width = width;                                                                \
        RD = extend(value);                                                                        \
        NEXT;                                                                                      \
    }
    LR(lr_w, uint32_t, 4, sext32)
    LR(lr_d, uint64_t, 8, )

/* The reservation holds if the word still has the value that LR saw; any SC ends it. */
#define SC(name, type, width)                                                                      \
    OP(name)                                                                                       \
    {                                                                                              \
        _Atomic type *const at = interp_atomic_at(it, RS1, width, true);                           \
        if (unlikely(at == NULL))                                                                  \
            goto memory_trap;                                                                      \
        type expected = (type)hart->reserved_value;                                                  \
        const bool ok = hart->reserved_at == (uintptr_t)at && hart->reserved_width == (width) &&    \
                        atomic_compare_exchange_strong(at, &expected, (type)RS2);                  \
        hart->reserved_at = 0;                                                                    \
        RD = !ok;                                                                                  \
        NEXT;                                                                                      \
    }
    SC(sc_w, uint32_t, 4)
    SC(sc_d, uint64_t, 8)

#define HLV(name, width, access, result)                                                           \
    OP(name)                                                                                       \
    {                                                                                              \
        uint64_t raw;                                                                              \
        if (unlikely(!riscv_hlv_allowed(hart)))                                                    \
            goto illegal;                                                                          \
        if (!interp_hlv(it, RS1, width, access, &raw))                                             \
            goto memory_trap;                                                                      \
        RD = result;                                                                               \
        NEXT;                                                                                      \
    }
    HLV(hlv_b, 1, ACCESS_LOAD, (uint64_t)(int64_t)(int8_t)raw)
    HLV(hlv_bu, 1, ACCESS_LOAD, raw)
    HLV(hlv_h, 2, ACCESS_LOAD, (uint64_t)(int64_t)(int16_t)raw)
    HLV(hlv_hu, 2, ACCESS_LOAD, raw)
    HLV(hlvx_hu, 2, ACCESS_HLVX, raw)
    HLV(hlv_w, 4, ACCESS_LOAD, sext32(raw))
    HLV(hlv_wu, 4, ACCESS_LOAD, raw)
    HLV(hlvx_wu, 4, ACCESS_HLVX, raw)
    HLV(hlv_d, 8, ACCESS_LOAD, raw)

#define HSV(name, width)                                                                           \
    OP(name)                                                                                       \
    {                                                                                              \
        if (unlikely(!riscv_hlv_allowed(hart)))                                                    \
            goto illegal;                                                                          \
        if (!interp_hsv(it, RS1, width, RS2))                                                      \
            goto memory_trap;                                                                      \
        NEXT;                                                                                      \
    }
    HSV(hsv_b, 1)
    HSV(hsv_h, 2)
    HSV(hsv_w, 4)
    HSV(hsv_d, 8)

#define CBO(name)                                                                                  \
    OP(name)                                                                                       \
    {                                                                                              \
        if (unlikely(!interp_cbo(it, OP_##name, RS1))) {                                           \
            if (it->cause == CAUSE_ILLEGAL)                                                        \
                goto illegal;                                                                      \
            goto memory_trap;                                                                      \
        }                                                                                          \
        NEXT;                                                                                      \
    }
    CBO(cbo_inval)
    CBO(cbo_clean)
    CBO(cbo_flush)
    CBO(cbo_zero)
    OP(prefetch_i) NEXT;
    OP(prefetch_r) NEXT;
    OP(prefetch_w) NEXT;

#undef LOAD
#undef STORE
#undef FLOAD
#undef FSTORE
#undef AMO
#undef AMO_FETCH
#undef AMO_LOOP
#undef LR
#undef SC
#undef CBO
#undef HLV
#undef HSV
#undef ENTRY
