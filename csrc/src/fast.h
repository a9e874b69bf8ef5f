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

#define FAST_LANES 32 /* pixels that are computed together */

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

/* Compute the pixels (fast[j], slow[j]), j < FAST_LANES, which may be the same: builds of
 * fast_kernel.c.  fast_covers_pixel the first of them, and the others are up to its
 * fast_block_limit.  If `scans`, only `low` is set: NaN where the interpolation latch may fall. */
void fast_kernel_baseline(const nbh_plan *plan, const int32_t *fast, const int32_t *slow, int scans,
                          const volatile int32_t *cancel, fast_block *out);
void fast_kernel_avx2(const nbh_plan *plan, const int32_t *fast, const int32_t *slow, int scans,
                      const volatile int32_t *cancel, fast_block *out);
void fast_kernel_avx512(const nbh_plan *plan, const int32_t *fast, const int32_t *slow, int scans,
                        const volatile int32_t *cancel, fast_block *out);

/* May the fast kernel compute the pixel?  Not while the serial order still matters (model 6.3,
 * 6.4), nor the one where the interpolation latch falls. */
static inline int fast_covers_pixel(const nbh_plan *plan, int64_t pixel)
{
    return plan->kernel != NULL && pixel >= plan->breaks[plan->break_count - 1].from &&
           pixel != plan->latch_pixel;
}

/* Pixels from `pixel` on that are all covered or all not, and all before the latch or all after
 * it, end before this one. */
static inline int64_t fast_block_limit(const nbh_plan *plan, int64_t pixel)
{
    const int64_t settled = plan->breaks[plan->break_count - 1].from, latch = plan->latch_pixel;
    if (pixel < settled)
        return settled;
    if (pixel < latch)
        return latch;
    return pixel == latch ? latch + 1 : INT64_MAX;
}

#endif
