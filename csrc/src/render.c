/* render.c - pixels (model 6) in blocks, and the scan for the interpolation latch. */
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "fast.h"
#include "lit_pixels.h"
#include "pixel.h"

static nbh_status check_rows(const nbh_plan *plan, int32_t row0, int32_t row1, nbh_error *error)
{
    if (row0 < 0 || row1 < row0 || row1 > plan->info.n_slow)
        return nbh_fail(error, NBH_INVALID, "rows", "got [%d, %d), need a part of [0, %d)", row0,
                        row1, plan->info.n_slow);
    return NBH_OK;
}

static nbh_status check_pixels(const nbh_plan *plan, int64_t pixel0, int64_t pixel1,
                               nbh_error *error)
{
    const int64_t pixels = (int64_t)plan->info.n_fast * plan->info.n_slow;
    if (pixel0 < 0 || pixel1 < pixel0 || pixel1 > pixels)
        return nbh_fail(error, NBH_INVALID, "pixels", "got [%lld, %lld), need a part of [0, %lld)",
                        (long long)pixel0, (long long)pixel1, (long long)pixels);
    return NBH_OK;
}

static nbh_status fail_cancelled(nbh_error *error)
{
    return nbh_fail(error, NBH_CANCELLED, "", "cancelled by the caller");
}

static nbh_status fail_not_settled(nbh_error *error)
{
    return nbh_fail(error, NBH_NOT_SETTLED, "",
                    "this plan interpolates: scan its rows and settle it first");
}

/* Up to FAST_LANES lit pixels in raster order, wherever rows end. */
typedef struct pixel_block {
    int32_t fast[FAST_LANES], slow[FAST_LANES];
    int64_t pixel[FAST_LANES]; /* their numbers; of the first `count` only */
    int32_t count;
} pixel_block;

/* The next block of the walk, in which fast_block_limit holds; returns 0 at the end. */
static int next_block(pixel_walk *walk, pixel_block *block)
{
    int64_t limit = INT64_MAX;
    int32_t count = 0;
    pixel_run run;
    while (count < FAST_LANES && next_run(walk, FAST_LANES - count, &run)) {
        const int64_t pixel = pixel_number(walk->plan, run.fast, run.slow);
        if (count == 0)
            limit = fast_block_limit(walk->plan, pixel);
        if (run.count > limit - pixel) { /* the rest is for the next block */
            run.count = limit > pixel ? (int32_t)(limit - pixel) : 0;
            walk->fast = run.fast + run.count;
        }
        for (int32_t j = 0; j < run.count; j++) {
            block->fast[count + j] = run.fast + j;
            block->slow[count + j] = run.slow;
            block->pixel[count + j] = pixel + j;
        }
        count += run.count;
        if (pixel + run.count >= limit)
            break;
    }
    block->count = count;
    return count > 0;
}

/* The block by the fast kernel; lanes without a pixel compute its last.  Returns 0 if cancelled. */
static int run_fast_kernel(const nbh_plan *plan, pixel_block *pixels, int scans,
                           const volatile int32_t *cancel, fast_block *block)
{
    for (int32_t j = pixels->count; j < FAST_LANES; j++) {
        pixels->fast[j] = pixels->fast[pixels->count - 1];
        pixels->slow[j] = pixels->slow[pixels->count - 1];
    }
    plan->kernel(plan, pixels->fast, pixels->slow, scans, cancel, block);
    return !block->cancelled;
}

/* One pixel by the exact kernel; returns 0 if cancelled. */
static int render_exactly(const nbh_plan *plan, int32_t fast, int32_t slow,
                          const volatile int32_t *cancel, pixel_result *result)
{
    const serial_state state = plan_state_at(plan, pixel_number(plan, fast, slow));
    pixel_compute(plan, &state, fast, slow, PIXEL_RENDER, cancel, result, NULL);
    return !result->cancelled;
}

/* Where the pixels from `pixel0` on go. */
typedef struct canvas {
    const nbh_pixels *to;
    int64_t pixel0;
    int32_t row0;
    int64_t cleared; /* so many pixels are 0 or rendered */
} canvas;

/* Pixels that are not rendered are 0: up to `count` of the canvas. */
static void clear_to(canvas *c, int64_t count)
{
    if (count <= c->cleared)
        return;
    const size_t more = (size_t)(count - c->cleared);
    memset(c->to->image + c->cleared, 0, sizeof(float) * more);
    if (c->to->unrounded != NULL)
        memset(c->to->unrounded + c->cleared, 0, sizeof(double) * more);
    c->cleared = count;
}

/* One block; returns 0 if cancelled. */
static int render_block(const nbh_plan *plan, pixel_block *pixels, canvas *c)
{
    const nbh_pixels *to = c->to;
    fast_block block;
    const int use_fast = to->unrounded == NULL && fast_covers_pixel(plan, pixels->pixel[0]);
    if (use_fast && !run_fast_kernel(plan, pixels, 0, to->cancel, &block))
        return 0;
    for (int32_t j = 0; j < pixels->count; j++) {
        const int64_t at = pixels->pixel[j] - c->pixel0;
        const int32_t row = pixels->slow[j] - c->row0;
        const float low = use_fast ? (float)block.low[j] : NAN;
        const float high = use_fast ? (float)block.high[j] : NAN;
        double omega_sum;
        /* not for NaN; a sum of nothing may be 0 or, rounded, -0 */
        if (low == high && signbit(low) == signbit(high)) {
            to->image[at] = high;
            omega_sum = block.omega_sum[j];
        } else {
            pixel_result result;
            if (!render_exactly(plan, pixels->fast[j], pixels->slow[j], to->cancel, &result))
                return 0;
            to->image[at] = (float)result.value;
            if (to->unrounded != NULL)
                to->unrounded[at] = result.value;
            omega_sum = result.omega_sum;
        }
        if (to->omega_row_sums_sr != NULL)
            to->omega_row_sums_sr[row] += omega_sum;
        if (row == 0 && to->omega_first_row_sr != NULL)
            to->omega_first_row_sr[at] = omega_sum;
    }
    return 1;
}

/* Pixels that exist of a settled plan; returns 0 if cancelled. */
static int render(const nbh_plan *plan, int64_t pixel0, int64_t pixel1, const nbh_pixels *to)
{
    const int32_t n_fast = plan->info.n_fast;
    if (pixel0 == pixel1)
        return 1;
    const int64_t row0 = pixel0 / n_fast, rows = (pixel1 - 1) / n_fast - row0 + 1;
    const int64_t of_first_row =
        pixel1 < (row0 + 1) * n_fast ? pixel1 - pixel0 : (row0 + 1) * n_fast - pixel0;
    if (to->omega_row_sums_sr != NULL)
        memset(to->omega_row_sums_sr, 0, sizeof(double) * (size_t)rows);
    if (to->omega_first_row_sr != NULL)
        memset(to->omega_first_row_sr, 0, sizeof(double) * (size_t)of_first_row);

    canvas c = {.to = to, .pixel0 = pixel0, .row0 = (int32_t)row0};
    pixel_walk walk = walk_from(plan, pixel0, pixel1);
    pixel_block block;
    while (next_block(&walk, &block)) {
        const int64_t row_end = pixel_number(plan, n_fast, block.slow[block.count - 1]);
        clear_to(&c, (row_end < pixel1 ? row_end : pixel1) - pixel0);
        if (!render_block(plan, &block, &c))
            return 0;
    }
    clear_to(&c, pixel1 - pixel0);
    return 1;
}

nbh_status nbh_plan_render_pixels(const nbh_plan *plan, int64_t pixel0, int64_t pixel1,
                                  const nbh_pixels *pixels, nbh_error *error)
{
    nbh_status status = check_pixels(plan, pixel0, pixel1, error);
    if (status != NBH_OK)
        return status;
    if (!plan->settled)
        return fail_not_settled(error);
    return render(plan, pixel0, pixel1, pixels) ? NBH_OK : fail_cancelled(error);
}

nbh_status nbh_plan_render_rows(const nbh_plan *plan, int32_t row0, int32_t row1,
                                const nbh_rows *rows, nbh_error *error)
{
    nbh_status status = check_rows(plan, row0, row1, error);
    if (status != NBH_OK)
        return status;
    const nbh_pixels pixels = {.image = rows->image,
                               .unrounded = rows->unrounded,
                               .omega_row_sums_sr = rows->omega_row_sums_sr,
                               .cancel = rows->cancel};
    return nbh_plan_render_pixels(plan, pixel_number(plan, 0, row0), pixel_number(plan, 0, row1),
                                  &pixels, error);
}

nbh_status nbh_plan_pixel_interval(const nbh_plan *plan, int32_t fast, int32_t slow, double *low,
                                   double *high, nbh_error *error)
{
    const nbh_plan_info *info = &plan->info;
    *low = *high = 0.0;
    if (fast < 0 || fast >= info->n_fast || slow < 0 || slow >= info->n_slow)
        return nbh_fail(error, NBH_INVALID, "pixel",
                        "got fast %d, slow %d, need a pixel of the %d x %d detector", fast, slow,
                        info->n_fast, info->n_slow);
    if (!plan->settled)
        return fail_not_settled(error);
    if (!plan_pixel_is_lit(plan, fast, slow))
        return NBH_OK;
    const int64_t pixel = pixel_number(plan, fast, slow);
    if (fast_covers_pixel(plan, pixel)) {
        pixel_block alone = {.fast = {fast}, .slow = {slow}, .count = 1};
        fast_block block;
        run_fast_kernel(plan, &alone, 0, NULL, &block);
        *low = block.low[0];
        *high = block.high[0];
    } else {
        pixel_result result;
        render_exactly(plan, fast, slow, NULL, &result);
        *low = *high = result.value;
    }
    return NBH_OK;
}

/* The first pixel of the block at which the latch falls, -1: none.  Returns 0 if cancelled. */
static int scan_block(const nbh_plan *plan, pixel_block *pixels, const volatile int32_t *cancel,
                      int64_t *first_pixel)
{
    fast_block block;
    const int use_fast = fast_covers_pixel(plan, pixels->pixel[0]);
    if (use_fast && !run_fast_kernel(plan, pixels, 1, cancel, &block))
        return 0;
    for (int32_t j = 0; j < pixels->count; j++) {
        if (use_fast && !isnan(block.low[j]))
            continue;
        const serial_state state = plan_state_at(plan, pixels->pixel[j]);
        pixel_result result;
        pixel_compute(plan, &state, pixels->fast[j], pixels->slow[j], PIXEL_SCAN, cancel, &result,
                      NULL);
        if (result.cancelled)
            return 0;
        if (result.latch_fell) {
            *first_pixel = pixels->pixel[j];
            return 1;
        }
    }
    return 1;
}

nbh_status nbh_plan_scan_pixels(const nbh_plan *plan, int64_t pixel0, int64_t pixel1,
                                const volatile int32_t *cancel, int64_t *first_pixel,
                                nbh_error *error)
{
    *first_pixel = -1;
    nbh_status status = check_pixels(plan, pixel0, pixel1, error);
    if (status != NBH_OK || !plan->info.interpolate)
        return status;
    pixel_walk walk = walk_from(plan, pixel0, pixel1);
    pixel_block block;
    while (*first_pixel < 0 && next_block(&walk, &block))
        if (!scan_block(plan, &block, cancel, first_pixel))
            return fail_cancelled(error);
    return NBH_OK;
}

nbh_status nbh_plan_scan_rows(const nbh_plan *plan, int32_t row0, int32_t row1,
                              const volatile int32_t *cancel, int64_t *first_pixel,
                              nbh_error *error)
{
    *first_pixel = -1;
    nbh_status status = check_rows(plan, row0, row1, error);
    if (status != NBH_OK)
        return status;
    return nbh_plan_scan_pixels(plan, pixel_number(plan, 0, row0), pixel_number(plan, 0, row1),
                                cancel, first_pixel, error);
}

nbh_status nbh_plan_render(nbh_plan *plan, float *image, double *omega_sum_sr, nbh_error *error)
{
    const int32_t n_slow = plan->info.n_slow;
    if (nbh_plan_needs_scan(plan)) {
        int64_t first_pixel;
        nbh_plan_scan_rows(plan, 0, n_slow, NULL, &first_pixel, error);
        nbh_plan_settle(plan, first_pixel, error);
    }
    double *row_sums = calloc((size_t)n_slow, sizeof *row_sums);
    if (row_sums == NULL)
        return nbh_fail(error, NBH_OUT_OF_MEMORY, "", "%d row sums", n_slow);
    const nbh_rows rows = {image, NULL, row_sums, NULL};
    nbh_status status = nbh_plan_render_rows(plan, 0, n_slow, &rows, error);
    if (omega_sum_sr != NULL) {
        *omega_sum_sr = 0.0;
        for (int32_t slow = 0; status == NBH_OK && slow < n_slow; slow++)
            *omega_sum_sr += row_sums[slow];
    }
    free(row_sums);
    return status;
}
