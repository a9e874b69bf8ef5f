/* lit_pixels.h - from one pixel that is rendered to the next, in raster order.
 *
 * A pixel's number is slow * n_fast + fast. */
#ifndef NBH_LIT_PIXELS_H
#define NBH_LIT_PIXELS_H

#include <string.h>

#include "plan.h"

/* Where a walk stands; pixels from `end` on are not visited. */
typedef struct pixel_walk {
    const nbh_plan *plan;
    int64_t end;
    int32_t fast, slow;
} pixel_walk;

/* Lit pixels side by side in one row. */
typedef struct pixel_run {
    int32_t fast, slow; /* the first of them */
    int32_t count;
} pixel_run;

static inline int64_t pixel_number(const nbh_plan *plan, int32_t fast, int32_t slow)
{
    return (int64_t)slow * plan->info.n_fast + fast;
}

/* A walk over the pixels first .. end-1. */
static inline pixel_walk walk_from(const nbh_plan *plan, int64_t first, int64_t end)
{
    const nbh_plan_info *info = &plan->info;
    const pixel_walk top = {plan, end, info->roi_fast_min, info->roi_slow_min};
    const int64_t slow = first / info->n_fast, fast = first % info->n_fast;
    pixel_walk walk = top;
    if (slow < info->roi_slow_min)
        return top;
    walk.slow = slow <= info->roi_slow_max ? (int32_t)slow : info->roi_slow_max + 1;
    if (fast > info->roi_fast_min)
        walk.fast = (int32_t)fast;
    return walk;
}

/* The first lit pixel of a row's mask from `fast` on, `end` if there is none before it. */
static inline int32_t first_lit(const uint8_t *mask, int32_t fast, int32_t end)
{
    uint64_t eight = 0;
    while (end - fast >= (int32_t)sizeof eight) {
        memcpy(&eight, mask + fast, sizeof eight);
        if (eight != 0)
            break;
        fast += (int32_t)sizeof eight;
    }
    while (fast < end && mask[fast] == 0)
        fast++;
    return fast;
}

/* The same for the first that is not lit. */
static inline int32_t first_dark(const uint8_t *mask, int32_t fast, int32_t end)
{
    uint64_t eight = 0;
    while (end - fast >= (int32_t)sizeof eight) {
        memcpy(&eight, mask + fast, sizeof eight);
        /* is one of the bytes 0? */
        if (((eight - UINT64_C(0x0101010101010101)) & ~eight & UINT64_C(0x8080808080808080)) != 0)
            break;
        fast += (int32_t)sizeof eight;
    }
    while (fast < end && mask[fast] != 0)
        fast++;
    return fast;
}

/* The next lit pixels, at most `most` (1 or more) of one row; returns 0 at the end. */
static inline int next_run(pixel_walk *walk, int32_t most, pixel_run *run)
{
    const nbh_plan *plan = walk->plan;
    const nbh_plan_info *info = &plan->info;
    for (; walk->slow <= info->roi_slow_max; walk->slow++, walk->fast = info->roi_fast_min) {
        const int64_t row = pixel_number(plan, 0, walk->slow), left = walk->end - row;
        if (left <= walk->fast)
            return 0;
        const int32_t end = left <= info->roi_fast_max ? (int32_t)left : info->roi_fast_max + 1;
        const uint8_t *mask = plan->mask != NULL ? plan->mask + row : NULL;
        const int32_t fast = mask != NULL ? first_lit(mask, walk->fast, end) : walk->fast;
        int32_t count = end - fast < most ? end - fast : most;
        if (mask != NULL)
            count = first_dark(mask, fast, fast + count) - fast;
        walk->fast = fast + count;
        if (count > 0) {
            run->fast = fast;
            run->slow = walk->slow;
            run->count = count;
            return 1;
        }
    }
    return 0;
}

#endif
