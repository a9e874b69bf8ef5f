/* lanes.h - arithmetic on several pixels at a time, for the fast kernel.
 *
 * Every loop over lanes has a fixed length and no branches, for the compiler to vectorise.  IEEE
 * add, multiply, divide and square root give the same bits in vectors of any width.  The errors of
 * the functions here are those of docs/accuracy.md. */
#ifndef NBH_FAST_LANES_H
#define NBH_FAST_LANES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "constants.h"
#include "fast/block.h"

#define LANES FAST_LANES
/* A loop over the lanes, whose number is j. */
#define EACH_LANE for (int j = 0; j < LANES; j++)

typedef double lanes[LANES];

/* What is divided, and what divides, is 0 or between these: then the quotients of the model have
 * neither overflow nor underflow (docs/accuracy.md). */
#define SMALLEST_ORDINARY 0x1p-150
#define LARGEST_ORDINARY 0x1p150

/* A function that is compiled anew for the constant arguments of each call. */
#if defined(__GNUC__)
#define SPECIALISED static inline __attribute__((always_inline))
#define OUT_OF_LINE static __attribute__((noinline))
#else
#define SPECIALISED static inline
#define OUT_OF_LINE static
#endif

/* Only where docs/accuracy.md allows for either rounding. */
#if defined(NBH_FAST_FMA)
#define MULTIPLY_ADD(a, b, c) __builtin_fma(a, b, c)
#else
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#endif

/* Adding and subtracting it rounds a double below 2^51 to a whole number; the low bits of the sum
 * are that number. */
#define ROUNDING_MAGIC 6755399441055744.0
#define ROUNDING_MAGIC_BITS INT64_C(0x4338000000000000)

/* pi in three parts; whole numbers below 2^20 times the first two are exact.  With fused
 * multiply-add two parts do: pi itself, and what is left. */
#define PI_HIGH 0x1.921fb54400000p+1
#define PI_MIDDLE 0x1.0b4611a600000p-33
#define PI_LOW 0x1.3198a2e037073p-68
#define PI_REST 0x1.1a62633145c07p-53

/* ln 2 in two parts; whole numbers below 2^20 times the first are exact. */
#define LN2_HIGH 0x1.62e42fee00000p-1
#define LN2_LOW 0x1.a39ef35793c76p-33
#define INVERSE_LN2 0x1.71547652b82fep+0
#define LN2 0x1.62e42fefa39efp-1

SPECIALISED double smaller(double a, double b)
{
    return a < b ? a : b;
}

SPECIALISED double larger(double a, double b)
{
    return a > b ? a : b;
}

/* a / b, rounded as IEEE division rounds it, where per_b is 1 / b rounded: one correction of the
 * product is enough (docs/accuracy.md), and many quotients have one divisor.  a is 0 or, like b,
 * far from the ends of the range of doubles. */
SPECIALISED double quotient(double a, double b, double per_b)
{
#if defined(NBH_FAST_FMA)
    const double q = a * per_b;
    const double too_much = __builtin_fma(q, b, -a);
    return __builtin_fma(-too_much, per_b, q); /* but for the sign of 0 */
#else
    (void)per_b;
    return a / b;
#endif
}

/* Is any of them not 0?  (Sums of doubles would be added one after the other.) */
static inline int any_is_set(const lanes x)
{
    uint64_t bits[LANES], all = 0;
    memcpy(bits, x, sizeof bits);
    EACH_LANE
        all |= bits[j] << 1; /* without the sign of 0 */
    return all != 0;
}

/* Are all of them 1?  They are 0 or 1. */
static inline int all_are_set(const lanes x)
{
    uint64_t bits[LANES], all = UINT64_MAX;
    memcpy(bits, x, sizeof bits);
    EACH_LANE
        all &= bits[j];
    return all != 0;
}

/* The whole number nearest to x, |x| < 2^51. */
SPECIALISED double nearest_whole(double x)
{
    return (x + ROUNDING_MAGIC) - ROUNDING_MAGIC;
}

/* A whole number nearest to x n, |x n| < 2^51: next to a half, either of two. */
SPECIALISED double nearest_whole_product(double x, double n)
{
    return MULTIPLY_ADD(x, n, ROUNDING_MAGIC) - ROUNDING_MAGIC;
}

/* x - n pi for a whole n, |n| < 2^20, near x / pi. */
SPECIALISED double less_multiple_of_pi(double x, double n)
{
#if defined(NBH_FAST_FMA)
    return __builtin_fma(-n, PI_REST, __builtin_fma(-n, PI, x)); /* the inner one is exact */
#else
    const double r = -n * PI_HIGH + x;
    return -n * PI_LOW + (-n * PI_MIDDLE + r);
#endif
}

/* What is left of x, |x| < 2^20 pi, after whole multiples of pi. */
SPECIALISED double remainder_of_pi(double x)
{
    return less_multiple_of_pi(x, nearest_whole(x * INVERSE_PI));
}

/* sin(r) for |r| <= pi/2. */
SPECIALISED double sine(double r)
{
    const double t = r * r;
    double p = -0x1.9f240c034152ep-41;
    p = MULTIPLY_ADD(p, t, 0x1.60e72755aab43p-33);
    p = MULTIPLY_ADD(p, t, -0x1.ae635788ed28ep-26);
    p = MULTIPLY_ADD(p, t, 0x1.71de38088d0bbp-19);
    p = MULTIPLY_ADD(p, t, -0x1.a01a019a53f69p-13);
    p = MULTIPLY_ADD(p, t, 0x1.1111111109f29p-7);
    p = MULTIPLY_ADD(p, t, -0x1.555555555547fp-3);
    p = MULTIPLY_ADD(p, t, 0x1.fffffffffffffp-1);
    return r * p;
}

/* The same to within 6.4e-14 of it, with one operation less. */
SPECIALISED double rough_sine(double r)
{
    const double t = r * r;
    double p = 0x1.52accedecb73dp-33;
    p = MULTIPLY_ADD(p, t, -0x1.ae00fbf20c7a4p-26);
    p = MULTIPLY_ADD(p, t, 0x1.71dce5a4944aap-19);
    p = MULTIPLY_ADD(p, t, -0x1.a019fce94e228p-13);
    p = MULTIPLY_ADD(p, t, 0x1.111111090e9fdp-7);
    p = MULTIPLY_ADD(p, t, -0x1.5555555540b7fp-3);
    p = MULTIPLY_ADD(p, t, 0x1.ffffffffffdcep-1);
    return r * p;
}

/* The same to within 2.2e-11 of it, with one operation less again. */
SPECIALISED double rougher_sine(double r)
{
    const double t = r * r;
    double p = -0x1.9a0dfeb22530bp-26;
    p = MULTIPLY_ADD(p, t, 0x1.716ba3d117e27p-19);
    p = MULTIPLY_ADD(p, t, -0x1.a017a8f4c36f1p-13);
    p = MULTIPLY_ADD(p, t, 0x1.11110b748fc6bp-7);
    p = MULTIPLY_ADD(p, t, -0x1.55555541751a7p-3);
    p = MULTIPLY_ADD(p, t, 0x1.ffffffffd17bbp-1);
    return r * p;
}

/* cos(r) for |r| <= pi/2. */
SPECIALISED double cosine(double r)
{
    const double t = r * r;
    double p = 0x1.9f23b25c89980p-45;
    p = MULTIPLY_ADD(p, t, -0x1.9350a3800c5b3p-37);
    p = MULTIPLY_ADD(p, t, 0x1.1eecdf36d35c2p-29);
    p = MULTIPLY_ADD(p, t, -0x1.27e4f979285a1p-22);
    p = MULTIPLY_ADD(p, t, 0x1.a01a01994c07ap-16);
    p = MULTIPLY_ADD(p, t, -0x1.6c16c16c09b47p-10);
    p = MULTIPLY_ADD(p, t, 0x1.55555555553c4p-5);
    p = MULTIPLY_ADD(p, t, -0x1.ffffffffffffbp-2);
    return MULTIPLY_ADD(p, t, 1.0);
}

/* exp(x) for -700 < x < 700. */
SPECIALISED double exponential(double x)
{
    const double shifted = x * INVERSE_LN2 + ROUNDING_MAGIC;
    const double n = shifted - ROUNDING_MAGIC;
    const double r = MULTIPLY_ADD(-n, LN2_LOW, MULTIPLY_ADD(-n, LN2_HIGH, x));
    double p = 0x1.af631d21c7c3ap-26;
    p = MULTIPLY_ADD(p, r, 0x1.28b4059a6fc39p-22);
    p = MULTIPLY_ADD(p, r, 0x1.71ddf5748b00cp-19);
    p = MULTIPLY_ADD(p, r, 0x1.a01991ac69d18p-16);
    p = MULTIPLY_ADD(p, r, 0x1.a01a01b1437fbp-13);
    p = MULTIPLY_ADD(p, r, 0x1.6c16c187fbeb1p-10);
    p = MULTIPLY_ADD(p, r, 0x1.111111110f225p-7);
    p = MULTIPLY_ADD(p, r, 0x1.555555554f0cep-5);
    p = MULTIPLY_ADD(p, r, 0x1.555555555555ap-3);
    p = MULTIPLY_ADD(p, r, 0x1.0000000000011p-1);
    p = MULTIPLY_ADD(p, r, 1.0);
    p = MULTIPLY_ADD(p, r, 1.0);
    uint64_t bits;
    double power; /* 2^n */
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits - (uint64_t)ROUNDING_MAGIC_BITS + 1023) << 52;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

/* Larger x may count as this one, whose power of two is lost. */
#define LARGEST_HALVINGS 500.0
#define LOST_GAUSSIAN 0x1p-499

/* 2^-x for 0 <= x < 1000, to within 2.3e-14 of it. */
SPECIALISED double power_of_half(double x)
{
    const double shifted = ROUNDING_MAGIC - x; /* its last bits are n: 2^-x = 2^n 2^r */
    const double r = (ROUNDING_MAGIC - shifted) - x;
#if defined(NBH_FAST_FMA) /* pairs do not wait for each other */
    const double r_sqr = r * r, r_fourth = r_sqr * r_sqr;
    const double low = MULTIPLY_ADD(MULTIPLY_ADD(0x1.c6b08d7044119p-5, r, 0x1.ebfbdff8149f2p-3),
                                    r_sqr, MULTIPLY_ADD(0x1.62e42fefa39f7p-1, r, 1.0));
    const double high =
        MULTIPLY_ADD(MULTIPLY_ADD(0x1.ffcb76789860fp-17, r, 0x1.43088e257f341p-13), r_sqr,
                     MULTIPLY_ADD(0x1.5d87fe908f88ap-10, r, 0x1.3b2ab72b175eep-7));
    const double last = MULTIPLY_ADD(0x1.b6571de2f2351p-24, r, 0x1.63ef969a64d3cp-20);
    double p = MULTIPLY_ADD(MULTIPLY_ADD(last, r_fourth, high), r_fourth, low);
#else
    double p = 0x1.b6571de2f2351p-24;
    p = MULTIPLY_ADD(p, r, 0x1.63ef969a64d3cp-20);
    p = MULTIPLY_ADD(p, r, 0x1.ffcb76789860fp-17);
    p = MULTIPLY_ADD(p, r, 0x1.43088e257f341p-13);
    p = MULTIPLY_ADD(p, r, 0x1.5d87fe908f88ap-10);
    p = MULTIPLY_ADD(p, r, 0x1.3b2ab72b175eep-7);
    p = MULTIPLY_ADD(p, r, 0x1.c6b08d7044119p-5);
    p = MULTIPLY_ADD(p, r, 0x1.ebfbdff8149f2p-3);
    p = MULTIPLY_ADD(p, r, 0x1.62e42fefa39f7p-1);
    p = MULTIPLY_ADD(p, r, 1.0);
#endif
    uint64_t n, bits;
    memcpy(&n, &shifted, sizeof n);
    memcpy(&bits, &p, sizeof bits);
    bits += n << 52;
    memcpy(&p, &bits, sizeof p);
    return p;
}

/* ceil(x - 0.5) for |x| < 2^50, up to the sign of zero. */
SPECIALISED double nearest_index(double x)
{
    const double y = x - 0.5;
#if defined(NBH_FAST_FMA) /* then there is an instruction for it, too */
    return ceil(y);
#else
    const double rounded = nearest_whole(y);
    return rounded < y ? rounded + 1.0 : rounded;
#endif
}

/* A whole number nearest to x, |x| < 2^50: next to a half, either of two. */
SPECIALISED double either_nearest(double x)
{
#if defined(NBH_FAST_FMA)
    return rint(x);
#else
    return nearest_whole(x);
#endif
}

/* floor(x) for |x| < 2^50, up to the sign of zero. */
SPECIALISED double floor_index(double x)
{
    const double rounded = nearest_whole(x);
    return rounded > x ? rounded - 1.0 : rounded;
}

#endif
