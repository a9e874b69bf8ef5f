/* block.h - pixels that a fast kernel computes together, and what it says of them.
 *
 * The fast kernels compute everything up to the sines' arguments with exactly the model's
 * operations, several pixels at a time, and squares of sines with a polynomial whose relative error
 * is bounded (docs/accuracy.md).  From the bound follow two doubles between which the exact pixel
 * value lies; where both round to the same float, that float is the pixel, otherwise the exact
 * kernel computes it.  The image is therefore the exact kernel's, bit for bit, for every
 * instruction set. */
#ifndef NBH_FAST_BLOCK_H
#define NBH_FAST_BLOCK_H

#include "nbh/nbh.h"

#define FAST_LANES 32 /* pixels that are computed together */

/* Of one block: the exact pixel value lies in [low, high]; NaN where that is not known. */
typedef struct fast_block {
    double low[FAST_LANES];
    double high[FAST_LANES];
    double omega_sum[FAST_LANES]; /* over all samples: every sub-pixel of every layer */
    double left_out[FAST_LANES];  /* what the exact value may have beyond the interval: with a
                                     tolerance only, and by the kernels that leave out steps */
    int64_t visited;              /* steps of one pixel that were not left out; by these kernels */
    int32_t cancelled;            /* 1: nothing else is set */
} fast_block;

/* What is wanted of a block. */
typedef enum fast_task {
    FAST_RENDER,          /* intervals that round to one float each, where that is quick */
    FAST_RENDER_NARROWLY, /* intervals as narrow as they can be */
    FAST_SCAN             /* only `low`: NaN where interpolation may be switched off */
} fast_task;

/* Computes the pixels (fast[j], slow[j]), j < FAST_LANES, which may be the same.  fast_covers_pixel
 * the first of them, and the others are up to its fast_block_limit (coverage.h). */
typedef void fast_kernel(const nbh_plan *plan, const int32_t *fast, const int32_t *slow,
                         fast_task task, const volatile int32_t *cancel, fast_block *out);

#endif
