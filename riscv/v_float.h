/*
 * Vector floating point: what riscv/v_float.c makes of an instruction for its elements to be
 * computed, exactly by riscv/fp (v_float.c), or by the host's FPU (v_float_host.c).
 */
#ifndef RISCV_V_FLOAT_H
#define RISCV_V_FLOAT_H

#include "riscv/fp.h"
#include "riscv/v_internal.h"

#define SIGN_s UINT32_C(0x80000000) /* the least integer, too */
#define SIGN_d UINT64_C(0x8000000000000000)
#define INF_s  UINT32_C(0x7f800000)
#define INF_d  UINT64_C(0x7ff0000000000000)
#define NAN_s  UINT32_C(0x7fc00000)
#define NAN_d  UINT64_C(0x7ff8000000000000)

/* An element of the result from those of up to three operands; comparisons give 0 or 1. */
typedef uint64_t v_operation(uint64_t x, uint64_t y, uint64_t z, unsigned rm, uint32_t *flags);

/* What the host can do by the chunk. */
enum v_host_op {
    V_HOST_NONE,
    V_HOST_ADD,
    V_HOST_SUB,
    V_HOST_MUL,
    V_HOST_DIV,
    V_HOST_SQRT,
    V_HOST_FMA,
    V_HOST_MIN,
    V_HOST_MAX,
    V_HOST_SGNJ,
    V_HOST_SGNJN,
    V_HOST_SGNJX,
    V_HOST_EQ,
    V_HOST_NE,
    V_HOST_LT,
    V_HOST_LE,
    V_HOST_TO_INT,     /* signed, of the same width, as frm says */
    V_HOST_TO_INT_RTZ, /* the same, truncating */
    V_HOST_FROM_INT,
    V_HOST_MOVE, /* the operand as it was widened or narrowed */
};

struct v_operand {
    const uint8_t *at; /* of a scalar: sixteen bytes full of it */
    unsigned step;     /* 1; 0: a scalar, or none */
    unsigned eew;
    bool widen;    /* single elements for an operation on doubles */
    uint64_t flip; /* what negates it, or 0 */
};

struct v_job {
    const struct vop *o;
    v_operation *soft;
    enum v_host_op host;
    unsigned eew; /* of the result */
    struct v_operand x, y, z;
    unsigned rm;
    uint32_t flags;
    uint64_t *mask; /* the result of a comparison, by words; else NULL */
};

/* Active elements of [from, to), exactly. */
void v_by_elements(struct v_job *job, uint64_t from, uint64_t to);
/* All of the body, by the host; false: it cannot, and nothing has been done. */
bool v_by_host(struct v_job *job);
/*
 * *sum += the active elements of x in their order; sum is of the width `eew`. False: as above.
 * There is at least one. A NaN may be any.
 */
bool v_sum_by_host(struct v_job *job, uint64_t *sum);

/* v_float_convert.c: the row of a conversion, NULL where there is none with this SEW. */
struct v_conversion {
    v_operation *soft;
    uint8_t host; /* enum v_host_op */
};
const struct v_conversion *v_conversion_of(const struct vop *o);

#endif
