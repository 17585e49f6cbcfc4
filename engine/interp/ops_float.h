/* Floating point: riscv/fp.h with registers and flags around it. Included by run.c inside interp_run. */

/* Resolves the rounding mode; 5, 6 and a dynamic frm above 4 are illegal (Unprivileged ISA, F, table 29). */
#define ROUNDING                                                                                   \
    unsigned rm = op->imm & 0xff;                                                                  \
    FP_ON;                                                                                         \
    if (rm == FP_DYN)                                                                              \
        rm = hart->frm;                                                                            \
    if (unlikely(rm > FP_RMM))                                                                     \
        goto illegal
#define FLAGS (&hart->fflags)
#define F1(s) unbox_##s(f[op->rs1])
#define F2(s) unbox_##s(f[op->rs2])
#define F3(s) unbox_##s(f[op->imm >> 8])
#define SIGN_s 0x80000000u
#define SIGN_d (1ULL << 63)
#define SIGN_h 0x8000u

/* Single and double take the host's unit where that is exact; half is always computed. */
#define ARITH_s(name) hostfp_##name##_s
#define ARITH_d(name) hostfp_##name##_d
#define ARITH_h(name) fp_##name##_h

/* A result in an FP register, with and without rounding mode. */
#define FOP_RM(name, s, value)                                                                     \
    OP(name)                                                                                       \
    {                                                                                              \
        ROUNDING;                                                                                  \
        f[op->rd] = box_##s(value);                                                                \
        FP_DIRTY;                                                                                  \
        NEXT;                                                                                      \
    }
#define FOP(name, s, value)                                                                        \
    OP(name)                                                                                       \
    {                                                                                              \
        FP_ON;                                                                                     \
        f[op->rd] = box_##s(value);                                                                \
        FP_DIRTY;                                                                                  \
        NEXT;                                                                                      \
    }
/* A result in an integer register. FS becomes dirty because flags may change. */
#define XOP_RM(name, value)                                                                        \
    OP(name)                                                                                       \
    {                                                                                              \
        ROUNDING;                                                                                  \
        RD = value;                                                                                \
        FP_DIRTY;                                                                                  \
        NEXT;                                                                                      \
    }
#define XOP_FLAGS(name, value)                                                                     \
    OP(name)                                                                                       \
    {                                                                                              \
        FP_ON;                                                                                     \
        RD = value;                                                                                \
        FP_DIRTY;                                                                                  \
        NEXT;                                                                                      \
    }
/* No flags, no FP register written: FS stays as it is. */
#define XOP(name, value)                                                                           \
    OP(name)                                                                                       \
    {                                                                                              \
        FP_ON;                                                                                     \
        RD = value;                                                                                \
        NEXT;                                                                                      \
    }

#define FORMAT(s, T)                                                                               \
    FOP_RM(fadd_##s, s, ARITH_##s(add)(F1(s), F2(s), rm, FLAGS))                                       \
    FOP_RM(fsub_##s, s, ARITH_##s(sub)(F1(s), F2(s), rm, FLAGS))                                       \
    FOP_RM(fmul_##s, s, ARITH_##s(mul)(F1(s), F2(s), rm, FLAGS))                                       \
    FOP_RM(fdiv_##s, s, ARITH_##s(div)(F1(s), F2(s), rm, FLAGS))                                       \
    FOP_RM(fsqrt_##s, s, ARITH_##s(sqrt)(F1(s), rm, FLAGS))                                            \
    FOP_RM(fmadd_##s, s, ARITH_##s(fma)(F1(s), F2(s), F3(s), rm, FLAGS))                               \
    FOP_RM(fmsub_##s, s, ARITH_##s(fma)(F1(s), F2(s), (T)(F3(s) ^ SIGN_##s), rm, FLAGS))               \
    FOP_RM(fnmsub_##s, s, ARITH_##s(fma)((T)(F1(s) ^ SIGN_##s), F2(s), F3(s), rm, FLAGS))              \
    FOP_RM(fnmadd_##s, s,                                                                          \
           ARITH_##s(fma)((T)(F1(s) ^ SIGN_##s), F2(s), (T)(F3(s) ^ SIGN_##s), rm, FLAGS))             \
    FOP(fsgnj_##s, s, (T)((F1(s) & ~SIGN_##s) | (F2(s) & SIGN_##s)))                               \
    FOP(fsgnjn_##s, s, (T)((F1(s) & ~SIGN_##s) | (~F2(s) & SIGN_##s)))                             \
    FOP(fsgnjx_##s, s, (T)(F1(s) ^ (F2(s) & SIGN_##s)))                                            \
    FOP(fmin_##s, s, fp_min_##s(F1(s), F2(s), FLAGS))                                              \
    FOP(fmax_##s, s, fp_max_##s(F1(s), F2(s), FLAGS))                                              \
    FOP(fminm_##s, s, fp_minm_##s(F1(s), F2(s), FLAGS))                                            \
    FOP(fmaxm_##s, s, fp_maxm_##s(F1(s), F2(s), FLAGS))                                            \
    FOP_RM(fround_##s, s, fp_round_##s(F1(s), rm, false, FLAGS))                                   \
    FOP_RM(froundnx_##s, s, fp_round_##s(F1(s), rm, true, FLAGS))                                  \
    FOP(fli_##s, s, fp_li_##s(op->rs1))                                                            \
    XOP_FLAGS(feq_##s, fp_eq_##s(F1(s), F2(s), FLAGS))                                             \
    XOP_FLAGS(flt_##s, fp_lt_##s(F1(s), F2(s), FLAGS))                                             \
    XOP_FLAGS(fle_##s, fp_le_##s(F1(s), F2(s), FLAGS))                                             \
    XOP_FLAGS(fltq_##s, fp_ltq_##s(F1(s), F2(s), FLAGS))                                           \
    XOP_FLAGS(fleq_##s, fp_leq_##s(F1(s), F2(s), FLAGS))                                           \
    XOP(fclass_##s, fp_class_##s(F1(s)))                                                           \
    XOP_RM(fcvt_w_##s, (uint64_t)(int64_t)fp_to_i32_##s(F1(s), rm, FLAGS))                         \
    XOP_RM(fcvt_wu_##s, sext32(fp_to_u32_##s(F1(s), rm, FLAGS)))                                   \
    XOP_RM(fcvt_l_##s, (uint64_t)fp_to_i64_##s(F1(s), rm, FLAGS))                                  \
    XOP_RM(fcvt_lu_##s, fp_to_u64_##s(F1(s), rm, FLAGS))                                           \
    FOP_RM(fcvt_##s##_w, s, fp_from_i32_##s((int32_t)RS1, rm, FLAGS))                              \
    FOP_RM(fcvt_##s##_wu, s, fp_from_u32_##s((uint32_t)RS1, rm, FLAGS))                            \
    FOP_RM(fcvt_##s##_l, s, fp_from_i64_##s((int64_t)RS1, rm, FLAGS))                              \
    FOP_RM(fcvt_##s##_lu, s, fp_from_u64_##s(RS1, rm, FLAGS))

    FORMAT(s, uint32_t)
    FORMAT(d, uint64_t)
    FORMAT(h, uint16_t)

    FOP_RM(fcvt_s_d, s, fp_d_to_s(F1(d), rm, FLAGS))
    FOP_RM(fcvt_s_h, s, fp_h_to_s(F1(h), FLAGS))
    FOP_RM(fcvt_d_s, d, fp_s_to_d(F1(s), FLAGS))
    FOP_RM(fcvt_d_h, d, fp_h_to_d(F1(h), FLAGS))
    FOP_RM(fcvt_h_s, h, fp_s_to_h(F1(s), rm, FLAGS))
    FOP_RM(fcvt_h_d, h, fp_d_to_h(F1(d), rm, FLAGS))
    XOP_FLAGS(fcvtmod_w_d, (uint64_t)(int64_t)fp_cvtmod_w_d(F1(d), FLAGS))

    /* Moves take the bits as they are, boxed or not. */
    XOP(fmv_x_w, sext32(f[op->rs1]))
    XOP(fmv_x_d, f[op->rs1])
    XOP(fmv_x_h, (uint64_t)(int64_t)(int16_t)f[op->rs1])
    FOP(fmv_w_x, s, (uint32_t)RS1)
    FOP(fmv_d_x, d, RS1)
    FOP(fmv_h_x, h, (uint16_t)RS1)

#undef ROUNDING
#undef FLAGS
#undef F1
#undef F2
#undef F3
#undef SIGN_s
#undef SIGN_d
#undef SIGN_h
#undef ARITH_s
#undef ARITH_d
#undef ARITH_h
#undef FOP
#undef FOP_RM
#undef XOP
#undef XOP_RM
#undef XOP_FLAGS
#undef FORMAT
