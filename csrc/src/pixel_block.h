/* pixel_block.h - the active pixels, as many at a time as the fast kernel takes: in raster order,
 * or in tiles. */
#ifndef NBH_PIXEL_BLOCK_H
#define NBH_PIXEL_BLOCK_H

#include <string.h>

#include "fast/coverage.h"
#include "plan.h"

/* Active pixels in raster order, wherever rows end. */
typedef struct pixel_block {
    int32_t fast[FAST_LANES], slow[FAST_LANES];
    int32_t count;
} pixel_block;

/* Where a walk stands; pixels from number `end` on are left out. */
typedef struct pixel_walk {
    const nbh_plan *plan;
    int64_t end;
    int32_t fast, slow;
} pixel_walk;

/* A walk over the pixels first .. end-1. */
static inline pixel_walk walk_from(const nbh_plan *plan, int64_t first, int64_t end)
{
    const nbh_plan_info *info = &plan->info;
    const int64_t slow = first / info->n_fast, fast = first % info->n_fast;
    pixel_walk walk = {plan, end, info->roi_fast_min, info->roi_slow_min};
    if (slow < info->roi_slow_min)
        return walk;
    walk.slow = slow <= info->roi_slow_max ? (int32_t)slow : info->roi_slow_max + 1;
    if (fast > info->roi_fast_min)
        walk.fast = (int32_t)fast;
    return walk;
}

/* Is none of the `count` (a multiple of 8) pixels active? */
static inline int all_are_skipped(const uint8_t *mask, int32_t count)
{
    uint64_t all = 0, eight;
    for (int32_t i = 0; i < count; i += (int32_t)sizeof eight) {
        memcpy(&eight, mask + i, sizeof eight);
        all |= eight;
    }
    return all == 0;
}

/* Are all of FAST_LANES pixels active? */
static inline int all_are_active(const uint8_t *mask)
{
    int any_is_skipped = 0;
    for (int j = 0; j < FAST_LANES; j++)
        any_is_skipped |= mask[j] == 0;
    return !any_is_skipped;
}

/* Adds the pixels from where the walk stands up to `stop`, active or not, while there is room. */
static inline void take_all(pixel_walk *walk, int32_t stop, pixel_block *block)
{
    const int32_t left = stop - walk->fast, room = FAST_LANES - block->count;
    const int32_t count = left < room ? left : room;
    for (int32_t j = 0; j < count; j++) {
        block->fast[block->count + j] = walk->fast + j;
        block->slow[block->count + j] = walk->slow;
    }
    block->count += count;
    walk->fast += count;
}

/* The same for the active ones of a row with this mask. */
static inline void take_active(const uint8_t *mask, pixel_walk *walk, int32_t stop,
                               pixel_block *block)
{
    enum { GROUP = 32 };
    int32_t fast = walk->fast, count = block->count;
    if (count == 0 && stop - fast >= FAST_LANES && all_are_active(mask + fast)) {
        take_all(walk, stop, block);
        return;
    }
    while (stop - fast >= GROUP && all_are_skipped(mask + fast, GROUP))
        fast += GROUP;
    const int32_t group_end = stop - fast > GROUP ? fast + GROUP : stop;
    for (; fast < group_end && count < FAST_LANES; fast++) { /* no branch that could go wrong */
        block->fast[count] = fast;
        block->slow[count] = walk->slow;
        count += mask[fast] != 0;
    }
    block->count = count;
    walk->fast = fast;
}

/* The next block of the walk, all of it before one fast_block_limit; returns 0 at the end. */
static inline int next_block(pixel_walk *walk, pixel_block *block)
{
    const nbh_plan *plan = walk->plan;
    const nbh_plan_info *info = &plan->info;
    int64_t limit = -1;
    block->count = 0;
    while (walk->slow <= info->roi_slow_max) {
        const int64_t row = plan_pixel_number(plan, 0, walk->slow), pixel = row + walk->fast;
        if (pixel >= walk->end || (pixel >= limit && block->count > 0))
            break;
        if (pixel >= limit)
            limit = fast_block_limit(plan, pixel);
        const int64_t before = (limit < walk->end ? limit : walk->end) - row;
        const int32_t stop =
            before <= info->roi_fast_max ? (int32_t)before : info->roi_fast_max + 1;
        if (walk->fast < stop && plan->mask != NULL)
            take_active(plan->mask + row, walk, stop, block);
        else if (walk->fast < stop)
            take_all(walk, stop, block);
        if (block->count == FAST_LANES)
            break;
        if (walk->fast > info->roi_fast_max) {
            walk->fast = info->roi_fast_min;
            walk->slow++;
        }
    }
    return block->count > 0;
}

/* A walk over a band of whole rows, column after column: a block is a tile, wider where the mask
 * leaves out pixels. */
typedef struct band_walk {
    const nbh_plan *plan;
    int32_t row0, row1; /* row1 is not in it */
    int32_t fast, slow;
} band_walk;

/* The rows slow .. row1-1 that make a band with a whole tile's rows, or the rest of one: behind the
 * last of them.  No band has a pixel that fast_block_limit sets apart; `slow` where it has to be
 * walked in raster order. */
static inline int32_t band_end(const nbh_plan *plan, int32_t slow, int32_t row1)
{
    const nbh_plan_info *info = &plan->info;
    if (plan->tile_rows == 0 || slow < info->roi_slow_min || slow > info->roi_slow_max)
        return slow;
    const int32_t first = info->roi_slow_min, rows = plan->tile_rows;
    int64_t end = first + ((int64_t)(slow - first) / rows + 1) * rows;
    if (end > row1)
        end = row1;
    if (end > info->roi_slow_max + 1)
        end = info->roi_slow_max + 1;
    const int64_t pixel = plan_pixel_number(plan, 0, slow);
    if (!fast_covers_pixel(plan, pixel) || fast_block_limit(plan, pixel) < end * info->n_fast)
        return slow;
    return (int32_t)end;
}

static inline band_walk walk_band(const nbh_plan *plan, int32_t row0, int32_t row1)
{
    const band_walk walk = {plan, row0, row1, plan->info.roi_fast_min, row0};
    return walk;
}

/* The next block of the band; returns 0 at its end. */
static inline int next_tile(band_walk *walk, pixel_block *block)
{
    const nbh_plan *plan = walk->plan;
    const int32_t n_fast = plan->info.n_fast, last = plan->info.roi_fast_max, row1 = walk->row1;
    int32_t count = 0, fast = walk->fast, slow = walk->slow;
    for (; fast <= last && count < FAST_LANES; fast++, slow = walk->row0) {
        const uint8_t *mask = plan->mask == NULL ? NULL : plan->mask + fast;
        for (; slow < row1 && count < FAST_LANES; slow++) {
            block->fast[count] = fast;
            block->slow[count] = slow;
            count += mask == NULL || mask[(int64_t)slow * n_fast] != 0;
        }
        if (slow < row1)
            break;
    }
    walk->fast = fast;
    walk->slow = slow;
    block->count = count;
    return count > 0;
}

#endif
