/* powers.h - sums of powers of two of several lanes, what the squares of Gaussians are.
 *
 * In the build for AVX-512 eight numbers of a table are one register, so that a polynomial has to
 * go no farther than a sixteenth.  docs/accuracy.md has the errors of both ways. */
#ifndef NBH_FAST_POWERS_H
#define NBH_FAST_POWERS_H

#include "fast/lanes.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include <immintrin.h>

#define POWERS_HAVE_TABLE

/* Lanes of a vector. */
#define POWERS_OF_VECTOR 8
/* Adding and subtracting it rounds a double below 2^48 to a whole number of eighths; the low bits
 * of the sum are that number. */
#define EIGHTHS_MAGIC (ROUNDING_MAGIC / 8.0)

/* The bits of 2^(i/8), less i times the eighth part of an exponent. */
static const int64_t EIGHTHS_OF_POWER[POWERS_OF_VECTOR] = {
    INT64_C(0x3ff0000000000000), INT64_C(0x3fef72b83c7d517b), INT64_C(0x3fef06fe0a31b715),
    INT64_C(0x3feebfdad5362a27), INT64_C(0x3feea09e667f3bcd), INT64_C(0x3feeace5422aa0db),
    INT64_C(0x3feee89f995ad3ad), INT64_C(0x3fef5818dcfba487)};

/* 2^-x = power * rest for 0 <= x < 1000, to within 2.9e-13 of it: power is 2^(n/8), n whole. */
SPECIALISED __m512d power_of_eighths(__m512d x, __m512d *rest)
{
    const __m512d magic = _mm512_set1_pd(EIGHTHS_MAGIC);
    const __m512d shifted = _mm512_sub_pd(magic, x);
    const __m512d r = _mm512_sub_pd(_mm512_sub_pd(magic, shifted), x); /* |r| <= 1/16 */
    const __m512i n = _mm512_castpd_si512(shifted);
    const __m512i table = _mm512_loadu_si512(EIGHTHS_OF_POWER);
    __m512d p = _mm512_set1_pd(0x1.5d81ff1c40fcep-10);
    p = _mm512_fmadd_pd(p, r, _mm512_set1_pd(0x1.3b32490292991p-7));
    p = _mm512_fmadd_pd(p, r, _mm512_set1_pd(0x1.c6b08dd63dd96p-5));
    p = _mm512_fmadd_pd(p, r, _mm512_set1_pd(0x1.ebfbdfcac2a79p-3));
    p = _mm512_fmadd_pd(p, r, _mm512_set1_pd(0x1.62e42fefa1cf4p-1));
    *rest = _mm512_fmadd_pd(p, r, _mm512_set1_pd(0x1.000000000050bp+0));
    /* the last three bits of n are the place in the table */
    return _mm512_castsi512_pd(
        _mm512_add_epi64(_mm512_permutexvar_epi64(n, table), _mm512_slli_epi64(n, 49)));
}

SPECIALISED void add_powers_of_half(const double *x, const double *f_sqr, const int count,
                                    double *sum)
{
    for (int j = 0; j < count; j += POWERS_OF_VECTOR) {
        __m512d rest;
        const __m512d within =
            _mm512_min_pd(_mm512_loadu_pd(x + j), _mm512_set1_pd(LARGEST_HALVINGS));
        __m512d power = power_of_eighths(within, &rest);
        if (f_sqr != NULL)
            power = _mm512_mul_pd(power, _mm512_loadu_pd(f_sqr + j));
        _mm512_storeu_pd(sum + j, _mm512_fmadd_pd(power, rest, _mm512_loadu_pd(sum + j)));
    }
}

SPECIALISED void add_powers_times(const double *x, double f_sqr, const int count, double *sum)
{
    for (int j = 0; j < count; j += POWERS_OF_VECTOR) {
        __m512d rest;
        const __m512d within =
            _mm512_min_pd(_mm512_loadu_pd(x + j), _mm512_set1_pd(LARGEST_HALVINGS));
        const __m512d power = _mm512_mul_pd(power_of_eighths(within, &rest), _mm512_set1_pd(f_sqr));
        _mm512_storeu_pd(sum + j, _mm512_fmadd_pd(power, rest, _mm512_loadu_pd(sum + j)));
    }
}
#else
/* sum[j] += 2^-x[j] of `count` lanes, eights of them, times f_sqr[j] (NULL: none); x above
 * LARGEST_HALVINGS count as that. */
SPECIALISED void add_powers_of_half(const double *x, const double *f_sqr, const int count,
                                    double *sum)
{
    for (int j = 0; j < count; j++) {
        const double e = power_of_half(smaller(x[j], LARGEST_HALVINGS));
        sum[j] = f_sqr == NULL ? sum[j] + e : MULTIPLY_ADD(f_sqr[j], e, sum[j]);
    }
}

/* The same with one F^2 for all lanes. */
SPECIALISED void add_powers_times(const double *x, double f_sqr, const int count, double *sum)
{
    for (int j = 0; j < count; j++) {
        const double e = power_of_half(smaller(x[j], LARGEST_HALVINGS));
        sum[j] = MULTIPLY_ADD(f_sqr, e, sum[j]);
    }
}
#endif

#endif
