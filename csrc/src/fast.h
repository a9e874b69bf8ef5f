/* fast.h - the fast kernel beside the exact one (docs/accuracy.md).
 *
 * The fast kernel computes everything up to the sines' arguments with exactly the model's
 * operations, several pixels at a time, and squares of sines with a polynomial whose relative error
 * is bounded.  From the bound follow two doubles between which the exact pixel value lies; where
 * both round to the same float, that float is the pixel, otherwise the exact kernel computes it.
 * The image is therefore the exact kernel's, bit for bit, for every instruction set. */
#ifndef NBH_FAST_H
#define NBH_FAST_H

#include "plan.h"

#define FAST_LANES 16 /* pixels of a row that are computed together */

/* What is divided, and what divides, is 0 or between these: then the quotients of the model have
 * neither overflow nor underflow (docs/accuracy.md). */
#define SMALLEST_ORDINARY 0x1p-150
#define LARGEST_ORDINARY 0x1p150

/* Of one block: the exact pixel value lies in [low, high]; NaN where that is not known. */
typedef struct fast_block {
    double low[FAST_LANES];
    double high[FAST_LANES];
    double omega_sum[FAST_LANES]; /* over all sub-pixel visits */
    int32_t cancelled;            /* 1: nothing else is set */
} fast_block;

/* Compute the pixels fast[0..FAST_LANES-1] of a row, which fast_covers_pixels covers: builds of
 * fast_kernel.c.  If `scans`, only `low` is set: NaN where the interpolation latch may fall. */
void fast_kernel_baseline(const nbh_plan *plan, const int32_t *fast, int32_t slow, int scans,
                          const volatile int32_t *cancel, fast_block *out);
void fast_kernel_avx2(const nbh_plan *plan, const int32_t *fast, int32_t slow, int scans,
                      const volatile int32_t *cancel, fast_block *out);
void fast_kernel_avx512(const nbh_plan *plan, const int32_t *fast, int32_t slow, int scans,
                        const volatile int32_t *cancel, fast_block *out);

/* Are the pixels first .. last all such that the fast kernel may compute them?  Not while the
 * serial order still matters (model 6.3, 6.4), nor with the one where the interpolation latch
 * falls. */
static inline int fast_covers_pixels(const nbh_plan *plan, int64_t first, int64_t last)
{
    return first >= plan->breaks[plan->break_count - 1].from &&
           (plan->latch_pixel < first || plan->latch_pixel > last);
}

#endif
