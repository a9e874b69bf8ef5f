/* render.c - rows of pixels (model 6), and the scan for the interpolation latch. */
#include <stdlib.h>
#include <string.h>

#include "error.h"
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

nbh_status nbh_plan_render_rows(const nbh_plan *plan, int32_t row0, int32_t row1,
                                const nbh_rows *rows, nbh_error *error)
{
    nbh_status status = check_rows(plan, row0, row1, error);
    if (status != NBH_OK)
        return status;
    if (!plan->settled)
        return nbh_fail(error, NBH_NOT_SETTLED, "",
                        "this plan interpolates: scan its rows and settle it first");
    const int32_t n_fast = plan->info.n_fast;
    for (int32_t slow = row0; slow < row1; slow++) {
        const int64_t offset = (int64_t)(slow - row0) * n_fast;
        double omega_sum = 0.0;
        for (int32_t fast = 0; fast < n_fast; fast++) {
            double value = 0.0;
            if (plan_pixel_is_lit(plan, fast, slow)) {
                const serial_state state = plan_state_at(plan, (int64_t)slow * n_fast + fast);
                pixel_result result;
                pixel_compute(plan, &state, fast, slow, PIXEL_RENDER, rows->cancel, &result, NULL);
                if (result.cancelled)
                    return fail_cancelled(error);
                value = result.value;
                omega_sum += result.omega_sum;
            }
            rows->image[offset + fast] = (float)value;
            if (rows->unrounded != NULL)
                rows->unrounded[offset + fast] = value;
        }
        if (rows->omega_row_sums_sr != NULL)
            rows->omega_row_sums_sr[slow - row0] = omega_sum;
    }
    return NBH_OK;
}

nbh_status nbh_plan_scan_rows(const nbh_plan *plan, int32_t row0, int32_t row1,
                              const volatile int32_t *cancel, int64_t *first_pixel,
                              nbh_error *error)
{
    *first_pixel = -1;
    nbh_status status = check_rows(plan, row0, row1, error);
    if (status != NBH_OK || !plan->info.interpolate)
        return status;
    const int32_t n_fast = plan->info.n_fast;
    for (int32_t slow = row0; slow < row1; slow++) {
        for (int32_t fast = 0; fast < n_fast; fast++) {
            if (!plan_pixel_is_lit(plan, fast, slow))
                continue;
            const int64_t pixel = (int64_t)slow * n_fast + fast;
            const serial_state state = plan_state_at(plan, pixel);
            pixel_result result;
            pixel_compute(plan, &state, fast, slow, PIXEL_SCAN, cancel, &result, NULL);
            if (result.cancelled)
                return fail_cancelled(error);
            if (result.latch_fell) {
                *first_pixel = pixel;
                return NBH_OK;
            }
        }
    }
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
