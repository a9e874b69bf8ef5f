/* lane_bits.h - which lanes are below a limit, a bit for each.
 *
 * Instruction sets of x86-64 have comparisons whose results are bits; compilers do not find them.
 */
#ifndef NBH_FAST_LANE_BITS_H
#define NBH_FAST_LANE_BITS_H

#include <stddef.h>
#include <stdint.h>

#include "fast/lanes.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

/* The number of the lowest bit that is set; one is. */
static inline int lowest_bit(uint64_t bits)
{
#if defined(__GNUC__)
    return __builtin_ctzll(bits);
#else
    int n = 0;
    for (; (bits & 1) == 0; bits >>= 1)
        n++;
    return n;
#endif
}

/* How many bits are set. */
static inline int count_bits(uint64_t bits)
{
#if defined(__GNUC__)
    return __builtin_popcountll(bits);
#else
    int n = 0;
    for (; bits != 0; bits &= bits - 1)
        n++;
    return n;
#endif
}

/* The bits of the lanes that are below the limit, or NaN. */
static inline uint64_t lanes_below(const lanes x, double limit)
{
    uint64_t all = 0;
#if defined(__AVX512F__)
    const __m512d limits = _mm512_set1_pd(limit);
    for (int j = 0; j < LANES; j += 8)
        all |= (uint64_t)_mm512_cmp_pd_mask(_mm512_loadu_pd(x + j), limits, _CMP_NGE_UQ) << j;
#elif defined(__AVX__)
    const __m256d limits = _mm256_set1_pd(limit);
    for (int j = 0; j < LANES; j += 4) {
        const __m256d below = _mm256_cmp_pd(_mm256_loadu_pd(x + j), limits, _CMP_NGE_UQ);
        all |= (uint64_t)(uint32_t)_mm256_movemask_pd(below) << j;
    }
#elif defined(__SSE2__)
    const __m128d limits = _mm_set1_pd(limit);
    for (int j = 0; j < LANES; j += 16) {
        __m128 fours[4];
        for (int n = 0; n < 4; n++) {
            const double *four = x + j + (ptrdiff_t)4 * n;
            const __m128d low = _mm_cmpnge_pd(_mm_loadu_pd(four), limits),
                          high = _mm_cmpnge_pd(_mm_loadu_pd(four + 2), limits);
            fours[n] =
                _mm_shuffle_ps(_mm_castpd_ps(low), _mm_castpd_ps(high), _MM_SHUFFLE(2, 0, 2, 0));
        }
        const __m128i low = _mm_packs_epi32(_mm_castps_si128(fours[0]), _mm_castps_si128(fours[1])),
                      high =
                          _mm_packs_epi32(_mm_castps_si128(fours[2]), _mm_castps_si128(fours[3]));
        all |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high)) << j;
    }
#else
    EACH_LANE
        all |= (uint64_t)!(x[j] >= limit) << j;
#endif
    return all;
}

/* For each eight of 32 lanes a bit: is one of theirs set? */
static inline uint32_t eights_with_bits(uint64_t of_lanes)
{
    uint32_t any = (uint32_t)of_lanes;
    any |= any >> 4;
    any |= any >> 2;
    any |= any >> 1;
    return ((any & 0x01010101u) * 0x01020408u) >> 24 & 0xfu; /* bits 0, 8, 16, 24 side by side */
}

#endif
