/* Indirect jumps: a bytecode interpreter, and calls through pointers. */
#include "bench.h"

enum op {
    OP_PUSH,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_XOR,
    OP_LOAD,
    OP_STORE,
    OP_DUP,
    OP_JUMP_NONZERO,
    OP_HALT
};

static uint64_t bytecode(uint64_t count, uint64_t seed)
{
    /* v0 = loops; do { v1 = (v1 * 31 + v0) ^ 77; v2 += v1 - 3; v0 -= 1; } while (v0); */
    static const unsigned char program[] = {
        OP_LOAD,         1,      OP_PUSH,  31, OP_MUL,  OP_LOAD, 0,      OP_ADD,  OP_PUSH,  77,
        OP_XOR,          OP_DUP, OP_STORE, 1,  OP_PUSH, 3,       OP_SUB, OP_LOAD, 2,        OP_ADD,
        OP_STORE,        2,      OP_LOAD,  0,  OP_PUSH, 1,       OP_SUB, OP_DUP,  OP_STORE, 0,
        OP_JUMP_NONZERO, 0,      OP_HALT,
    };
    static const void *const labels[] = {&&push, &&add,   &&sub, &&mul,  &&xor_,
                                         &&load, &&store, &&dup, &&jump, &&halt};
    uint64_t stack[16], *top = stack, variables[3] = {count, seed, 0};
    const unsigned char *at = program;
    bench_begin();
#define NEXT goto *labels[*at++]
    NEXT;
push:
    *top++ = *at++;
    NEXT;
add:
    top--;
    top[-1] += top[0];
    NEXT;
sub:
    top--;
    top[-1] -= top[0];
    NEXT;
mul:
    top--;
    top[-1] *= top[0];
    NEXT;
xor_:
    top--;
    top[-1] ^= top[0];
    NEXT;
load:
    *top++ = variables[*at++];
    NEXT;
store:
    variables[*at++] = *--top;
    NEXT;
dup:
    *top = top[-1];
    top++;
    NEXT;
jump:
    at = *--top ? program + *at : at + 1;
    NEXT;
#undef NEXT
halt:
    bench_end(count);
    return bench_mix(variables[1], variables[2]);
}

struct object {
    const struct shape *shape;
    uint64_t value;
};

struct shape {
    void (*step)(struct object *object, uint64_t input);
    uint64_t (*read)(const struct object *object);
};

#define SHAPE(n, step_body, read_body)                                                             \
    static void step_##n(struct object *object, uint64_t input)                                    \
    {                                                                                              \
        step_body;                                                                                 \
    }                                                                                              \
    static uint64_t read_##n(const struct object *object)                                          \
    {                                                                                              \
        return read_body;                                                                          \
    }
SHAPE(0, object->value += input, object->value)
SHAPE(1, object->value ^= input << 3, object->value >> 1)
SHAPE(2, object->value -= input * 5, ~object->value)
SHAPE(3, object->value = object->value * 9 + input, object->value >> 7)
SHAPE(4, object->value |= input & 0xFF, object->value ^ 0x5A5A)
SHAPE(5, object->value += input >> 5, object->value * 3)
SHAPE(6, object->value ^= ~input, object->value - 1)
SHAPE(7, object->value = (object->value << 1) + (input & 1), object->value)
static const struct shape shapes[8] = {{step_0, read_0}, {step_1, read_1}, {step_2, read_2},
                                       {step_3, read_3}, {step_4, read_4}, {step_5, read_5},
                                       {step_6, read_6}, {step_7, read_7}};

static uint64_t function_pointers(uint64_t count, uint64_t seed)
{
    enum { OBJECTS = 256 };
    static struct object objects[OBJECTS];
    uint64_t state = seed, sum = 0;
    for (size_t i = 0; i < OBJECTS; i++)
        objects[i] = (struct object){&shapes[bench_random(&state) >> 32 & 7], state};
    bench_begin();
    for (uint64_t i = 0; i < count; i++) {
        struct object *object = &objects[(i * 7 + (i >> 8)) % OBJECTS];
        object->shape->step(object, sum);
        sum += object->shape->read(object);
    }
    bench_end(count);
    return sum;
}

const struct bench_group bench_indirect = {
    "indirect", 1,
    (const struct bench[]){{"bytecode", BENCH_WORK, 180000, bytecode},
                           {"function-pointers", BENCH_WORK, 1200000, function_pointers},
                           {0}}};
