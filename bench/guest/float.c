/* Double precision. Built with -ffp-contract=off: a fused operation is one that the source names.
 */
#include "bench.h"

#include <math.h>
#include <string.h>

static uint64_t bits(double value)
{
    uint64_t raw;
    memcpy(&raw, &value, sizeof(raw));
    return raw;
}

static double unit(uint64_t *state)
{
    return (double)(bench_random(state) >> 11) * 0x1p-53;
}

static uint64_t matmul(uint64_t count, uint64_t seed)
{
    enum { N = 48 };
    static double a[N][N], b[N][N], c[N][N];
    uint64_t state = seed, sum = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = unit(&state);
            b[i][j] = unit(&state) / N * 2;
        }
    bench_begin();
    for (uint64_t round = 0; round < count; round++) {
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                double dot = 0;
                for (int k = 0; k < N; k++)
                    dot += a[i][k] * b[k][j];
                c[i][j] = dot;
            }
        memcpy(a, c, sizeof(a));
        a[round % N][0] += 1;
    }
    bench_end(count);
    for (int i = 0; i < N; i++)
        sum = bench_mix(sum, bits(a[i][N - 1 - i]));
    return sum;
}

static uint64_t fused(uint64_t count, uint64_t seed)
{
    uint64_t state = seed;
    double x = unit(&state), p = 0, q = 1;
    bench_begin();
    for (uint64_t i = 0; i < count; i++) {
        double r = fma(fma(fma(fma(x, 1.0 / 24, 1.0 / 6), x, 0.5), x, 1), x, 1);
        p = fma(r, 0.25, p * 0.5);
        q = fma(-q, x, r);
        x = fma(x, -0.75, 0.5);
    }
    bench_end(count);
    return bench_mix(bits(p), bits(q));
}

struct body {
    double at[3], speed[3], mass;
};

static uint64_t nbody(uint64_t count, uint64_t seed)
{
    enum { BODIES = 5 };
    struct body bodies[BODIES];
    uint64_t state = seed, sum = 0;
    for (int i = 0; i < BODIES; i++) {
        for (int d = 0; d < 3; d++) {
            bodies[i].at[d] = 10 * i + unit(&state);
            bodies[i].speed[d] = unit(&state) - 0.5;
        }
        bodies[i].mass = i ? 0.01 * unit(&state) : 39.4;
    }
    bench_begin();
    for (uint64_t step = 0; step < count; step++) {
        for (int i = 0; i < BODIES; i++)
            for (int j = i + 1; j < BODIES; j++) {
                struct body *a = &bodies[i], *b = &bodies[j];
                double x = a->at[0] - b->at[0], y = a->at[1] - b->at[1], z = a->at[2] - b->at[2];
                double squared = x * x + y * y + z * z + 0.01;
                double magnitude = 0.001 / (squared * sqrt(squared));
                double ma = a->mass * magnitude, mb = b->mass * magnitude;
                a->speed[0] -= x * mb, a->speed[1] -= y * mb, a->speed[2] -= z * mb;
                b->speed[0] += x * ma, b->speed[1] += y * ma, b->speed[2] += z * ma;
            }
        for (int i = 0; i < BODIES; i++)
            for (int d = 0; d < 3; d++)
                bodies[i].at[d] += 0.001 * bodies[i].speed[d];
    }
    bench_end(count);
    for (int i = 0; i < BODIES; i++)
        sum = bench_mix(sum, bits(bodies[i].at[i % 3]));
    return sum;
}

static uint64_t mandelbrot(uint64_t count, uint64_t seed)
{
    uint64_t state = seed, sum = 0, inside = 0;
    double shift = unit(&state) * 1e-3;
    bench_begin();
    for (uint64_t i = 0; i < count; i++) {
        double cr = (double)(i % 61) / 24 - 2 + shift, ci = (double)(i % 47) / 24 - 1;
        double r = 0, j = 0;
        int n = 0;
        while (n < 200 && r * r + j * j <= 4) {
            double t = r * r - j * j + cr;
            j = 2 * r * j + ci;
            r = t;
            n++;
        }
        sum += (uint64_t)n;
        inside += n == 200;
    }
    bench_end(count);
    return bench_mix(sum, inside);
}

static uint64_t mixed(uint64_t count, uint64_t seed)
{
    uint64_t state = seed, sum = 0;
    double x = 1 + unit(&state), y = 0;
    float f = 1.5f;
    bench_begin();
    for (uint64_t i = 0; i < count; i++) {
        int32_t whole = (int32_t)(x * 1000);
        y += (double)(whole % 97) / (x + 3);
        x = sqrt(x * x + y / (double)(i + 1)) * 0.999;
        f = (float)y * 0.125f + (float)(int16_t)i;
        sum += (uint64_t)(int64_t)(double)f;
        if (x > 2 || x != x)
            x -= 1;
        if (y > 1e6)
            y = fabs(y - 1e6);
    }
    bench_end(count);
    return bench_mix(sum, bits(x) ^ bits(y));
}

const struct bench_group bench_float = {
    "float", 1,
    (const struct bench[]){{"matmul", BENCH_WORK, 60, matmul},
                           {"fma", BENCH_WORK, 700000, fused},
                           {"nbody", BENCH_WORK, 22000, nbody},
                           {"mandelbrot", BENCH_WORK, 16000, mandelbrot},
                           {"float-mixed", BENCH_WORK, 600000, mixed},
                           {0}}};
