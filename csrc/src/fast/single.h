/* single.h - sines, cosines and exponentials in single precision, of arguments that were reduced in
 * double precision. */
#ifndef NBH_FAST_SINGLE_H
#define NBH_FAST_SINGLE_H

#include "fast/lanes.h"

#if defined(NBH_FAST_FMA)
#define MULTIPLY_ADD_F32(a, b, c) __builtin_fmaf(a, b, c)
#else
#define MULTIPLY_ADD_F32(a, b, c) ((a) * (b) + (c))
#endif

/* Is any of them not 0? */
static inline int any_is_set_f32(const float x[LANES])
{
    uint32_t bits[LANES], all = 0;
    memcpy(bits, x, sizeof bits);
    EACH_LANE
        all |= bits[j] << 1; /* without the sign of 0 */
    return all != 0;
}

/* sin(pi d) for |d| <= 1/2: the polynomial is off by 3e-8 of it, most of which is the float next
 * to pi. */
static inline float sine_of_half_turns(float d)
{
    const float t = d * d;
    float p = 0x1.3daff6p-4F;
    p = MULTIPLY_ADD_F32(p, t, -0x1.324ccap-1F);
    p = MULTIPLY_ADD_F32(p, t, 0x1.4668b0p+1F);
    p = MULTIPLY_ADD_F32(p, t, -0x1.4abbc2p+2F);
    p = MULTIPLY_ADD_F32(p, t, 0x1.921fb6p+1F);
    return d * p;
}

/* cos(pi d) for |d| <= 1/2, to 6e-8. */
static inline float cosine_of_half_turns(float d)
{
    const float t = d * d;
    float p = 0x1.c2b9a4p-3F;
    p = MULTIPLY_ADD_F32(p, t, -0x1.55041ap+0F);
    p = MULTIPLY_ADD_F32(p, t, 0x1.03bdaap+2F);
    p = MULTIPLY_ADD_F32(p, t, -0x1.3bd3b0p+2F);
    return MULTIPLY_ADD_F32(p, t, 1.0F);
}

/* sin(r) and cos(r) for |r| <= pi/2. */
static inline float sine_f32(float r)
{
    return sine_of_half_turns(r * (float)INVERSE_PI);
}

static inline float cosine_f32(float r)
{
    return cosine_of_half_turns(r * (float)INVERSE_PI);
}

/* exp(x) for -700 < x < 700, to 1e-7 of it: only the polynomial is in single precision. */
static inline double exponential_f32(double x)
{
    const double shifted = x * INVERSE_LN2 + ROUNDING_MAGIC;
    const double n = shifted - ROUNDING_MAGIC;
    const float r = (float)MULTIPLY_ADD(-n, LN2_HIGH + LN2_LOW, x);
    float p = 0x1.6db414p-10F;
    p = MULTIPLY_ADD_F32(p, r, 0x1.123b46p-7F);
    p = MULTIPLY_ADD_F32(p, r, 0x1.55545ep-5F);
    p = MULTIPLY_ADD_F32(p, r, 0x1.555490p-3F);
    p = MULTIPLY_ADD_F32(p, r, 0x1.000000p-1F);
    p = MULTIPLY_ADD_F32(p, r, 1.0F);
    p = MULTIPLY_ADD_F32(p, r, 1.0F);
    uint64_t bits;
    double power; /* 2^n */
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits - (uint64_t)ROUNDING_MAGIC_BITS + 1023) << 52;
    memcpy(&power, &bits, sizeof power);
    return (double)p * power;
}

#endif
