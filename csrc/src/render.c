/* render.c - rows of pixels (model 6), and the scan for the interpolation latch. */
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "fast.h"
#include "pixel.h"

static nbh_status check_rows(const nbh_plan *plan, int32_t row0, int32_t row1, nbh_error *error)
{
    if (row0 < 0 || row1 < row0 || row1 > plan->info.n_slow)
        return nbh_fail(error, NBH_INVALID, "rows", "got [%d, %d), need a part of [0, %d)", row0,
                        row1, plan->info.n_slow);
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

/* One pixel by the exact kernel; returns 0 if cancelled. */
static int render_exactly(const nbh_plan *plan, int32_t fast, int32_t slow,
                          const volatile int32_t *cancel, pixel_result *result)
{
    const serial_state state = plan_state_at(plan, (int64_t)slow * plan->info.n_fast + fast);
    pixel_compute(plan, &state, fast, slow, PIXEL_RENDER, cancel, result, NULL);
    return !result->cancelled;
}

/* The pixels fast0 .. fast1 (at most FAST_LANES) by the fast kernel.  Returns 0 if cancelled. */
static int run_fast_kernel(const nbh_plan *plan, int32_t fast0, int32_t fast1, int32_t slow,
                           int scans, const volatile int32_t *cancel, fast_block *block)
{
    int32_t fast[FAST_LANES];
    for (int32_t j = 0; j < FAST_LANES; j++)
        fast[j] = fast0 + j <= fast1 ? fast0 + j : fast1;
    plan->kernel(plan, fast, slow, scans, cancel, block);
    return !block->cancelled;
}

static int covers_pixels(const nbh_plan *plan, int32_t fast0, int32_t fast1, int32_t slow)
{
    const int64_t row = (int64_t)slow * plan->info.n_fast;
    return plan->kernel != NULL && fast_covers_pixels(plan, row + fast0, row + fast1);
}

/* The last pixel of the ROI in the block that starts at fast0. */
static int32_t end_of_block(const nbh_plan *plan, int32_t fast0)
{
    const int32_t fast1 = fast0 + FAST_LANES - 1;
    return fast1 < plan->info.roi_fast_max ? fast1 : plan->info.roi_fast_max;
}

static int any_pixel_is_lit(const nbh_plan *plan, int32_t fast0, int32_t fast1, int32_t slow)
{
    for (int32_t fast = fast0; fast <= fast1; fast++)
        if (plan_pixel_is_lit(plan, fast, slow))
            return 1;
    return 0;
}

/* One row; unrounded may be NULL.  Returns 0 if cancelled. */
static int render_row(const nbh_plan *plan, int32_t slow, const volatile int32_t *cancel,
                      float *image, double *unrounded, double *omega_sum)
{
    const nbh_plan_info *info = &plan->info;
    *omega_sum = 0.0;
    memset(image, 0, sizeof *image * (size_t)info->n_fast);
    if (unrounded != NULL)
        memset(unrounded, 0, sizeof *unrounded * (size_t)info->n_fast);

    for (int32_t fast0 = info->roi_fast_min; fast0 <= info->roi_fast_max; fast0 += FAST_LANES) {
        const int32_t fast1 = end_of_block(plan, fast0);
        if (!any_pixel_is_lit(plan, fast0, fast1, slow))
            continue;
        const int use_fast = unrounded == NULL && covers_pixels(plan, fast0, fast1, slow);
        fast_block block;
        if (use_fast && !run_fast_kernel(plan, fast0, fast1, slow, 0, cancel, &block))
            return 0;
        for (int32_t fast = fast0; fast <= fast1; fast++) {
            if (!plan_pixel_is_lit(plan, fast, slow))
                continue;
            if (use_fast) {
                const float low = (float)block.low[fast - fast0];
                const float high = (float)block.high[fast - fast0];
                /* not for NaN; a sum of nothing may be 0 or, rounded, -0 */
                if (low == high && signbit(low) == signbit(high)) {
                    image[fast] = high;
                    *omega_sum += block.omega_sum[fast - fast0];
                    continue;
                }
            }
            pixel_result result;
            if (!render_exactly(plan, fast, slow, cancel, &result))
                return 0;
            image[fast] = (float)result.value;
            if (unrounded != NULL)
                unrounded[fast] = result.value;
            *omega_sum += result.omega_sum;
        }
    }
    return 1;
}

nbh_status nbh_plan_render_rows(const nbh_plan *plan, int32_t row0, int32_t row1,
                                const nbh_rows *rows, nbh_error *error)
{
    nbh_status status = check_rows(plan, row0, row1, error);
    if (status != NBH_OK)
        return status;
    if (!plan->settled)
        return fail_not_settled(error);
    for (int32_t slow = row0; slow < row1; slow++) {
        const int64_t offset = (int64_t)(slow - row0) * plan->info.n_fast;
        double *unrounded = rows->unrounded != NULL ? rows->unrounded + offset : NULL;
        double omega_sum;
        if (!render_row(plan, slow, rows->cancel, rows->image + offset, unrounded, &omega_sum))
            return fail_cancelled(error);
        if (rows->omega_row_sums_sr != NULL)
            rows->omega_row_sums_sr[slow - row0] = omega_sum;
    }
    return NBH_OK;
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
    if (covers_pixels(plan, fast, fast, slow)) {
        fast_block block;
        run_fast_kernel(plan, fast, fast, slow, 0, NULL, &block);
        *low = block.low[0];
        *high = block.high[0];
    } else {
        pixel_result result;
        render_exactly(plan, fast, slow, NULL, &result);
        *low = *high = result.value;
    }
    return NBH_OK;
}

/* The first pixel of a row at which the latch falls, -1: none.  Returns 0 if cancelled. */
static int scan_row(const nbh_plan *plan, int32_t slow, const volatile int32_t *cancel,
                    int64_t *first_pixel)
{
    const nbh_plan_info *info = &plan->info;
    for (int32_t fast0 = info->roi_fast_min; fast0 <= info->roi_fast_max; fast0 += FAST_LANES) {
        const int32_t fast1 = end_of_block(plan, fast0);
        if (!any_pixel_is_lit(plan, fast0, fast1, slow))
            continue;
        const int use_fast = covers_pixels(plan, fast0, fast1, slow);
        fast_block block;
        if (use_fast && !run_fast_kernel(plan, fast0, fast1, slow, 1, cancel, &block))
            return 0;
        for (int32_t fast = fast0; fast <= fast1; fast++) {
            if (!plan_pixel_is_lit(plan, fast, slow) ||
                (use_fast && !isnan(block.low[fast - fast0])))
                continue;
            const int64_t pixel = (int64_t)slow * info->n_fast + fast;
            const serial_state state = plan_state_at(plan, pixel);
            pixel_result result;
            pixel_compute(plan, &state, fast, slow, PIXEL_SCAN, cancel, &result, NULL);
            if (result.cancelled)
                return 0;
            if (result.latch_fell) {
                *first_pixel = pixel;
                return 1;
            }
        }
    }
    return 1;
}

nbh_status nbh_plan_scan_rows(const nbh_plan *plan, int32_t row0, int32_t row1,
                              const volatile int32_t *cancel, int64_t *first_pixel,
                              nbh_error *error)
{
    *first_pixel = -1;
    nbh_status status = check_rows(plan, row0, row1, error);
    if (status != NBH_OK || !plan->info.interpolate)
        return status;
    for (int32_t slow = row0; slow < row1 && *first_pixel < 0; slow++)
        if (!scan_row(plan, slow, cancel, first_pixel))
            return fail_cancelled(error);
    return NBH_OK;
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
