/* render.c - pixels (model 6) in blocks, and the scan for the one in which interpolation is
 * switched off. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "fast/block.h"
#include "fast/coverage.h"
#include "pixel.h"
#include "pixel_block.h"
#include "plan.h"
#include "serial_states.h"

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

/* The block by the fast kernel; lanes without a pixel compute its last.  Returns 0 if cancelled. */
static int run_fast_kernel(const nbh_plan *plan, pixel_block *pixels, fast_task task,
                           const volatile int32_t *cancel, fast_block *block)
{
    for (int32_t j = pixels->count; j < FAST_LANES; j++) {
        pixels->fast[j] = pixels->fast[pixels->count - 1];
        pixels->slow[j] = pixels->slow[pixels->count - 1];
    }
    const int is_culled = plan->light != NULL;
    fast_kernel *const kernel = is_culled ? plan->culled_kernel : plan->kernel;
    kernel(plan, pixels->fast, pixels->slow, task, cancel, block);
    return !block->cancelled;
}

/* One pixel by the exact kernel; returns 0 if cancelled. */
static int render_exactly(const nbh_plan *plan, int32_t fast, int32_t slow,
                          const volatile int32_t *cancel, pixel_result *result)
{
    const serial_state state = serial_state_at(plan, plan_pixel_number(plan, fast, slow));
    pixel_compute(plan, &state, fast, slow, PIXEL_RENDER, cancel, result, NULL, NULL);
    return !result->cancelled;
}

/* What lane j of a block may have beyond its interval; only culled kernels set it. */
static double left_out_of(const nbh_plan *plan, const fast_block *block, int j)
{
    return plan->light != NULL ? block->left_out[j] : 0.0;
}

/* Steps of a pixel that were visited. */
static int64_t visited_of(const nbh_plan *plan, const fast_block *block)
{
    return block != NULL && plan->light != NULL
               ? block->visited
               : (int64_t)plan->info.steps * plan->info.sensor_layers;
}

/* Where pixels go. */
typedef struct output {
    const nbh_pixels *to;
    int32_t fast0, row0; /* the first of them */
    int32_t n_fast;
    int64_t cleared; /* so many pixels are 0 or rendered */
    int64_t visited; /* steps */
} output;

/* Pixels that are not rendered are 0: up to `count` of the output. */
static void clear_to(output *o, int64_t count)
{
    if (count <= o->cleared)
        return;
    const size_t more = (size_t)(count - o->cleared);
    memset(o->to->image + o->cleared, 0, sizeof(float) * more);
    if (o->to->unrounded != NULL)
        memset(o->to->unrounded + o->cleared, 0, sizeof(double) * more);
    if (o->to->half_width != NULL)
        memset(o->to->half_width + o->cleared, 0, sizeof(double) * more);
    o->cleared = count;
}

/* Doubles so small that they round to 0, which would take processors long, become 0. */
static void clear_underflows(double x[FAST_LANES])
{
    const double below_floats = 1e-60;
    for (int j = 0; j < FAST_LANES; j++)
        x[j] = x[j] > 0.0 && x[j] < below_floats ? 0.0 : x[j];
}

/* Is the middle of an interval as good as its ends?  Its width may be this part of it, or of the
 * tolerance, which light_setup.c does not use up. */
static int is_narrow(const nbh_plan *plan, double low, double high)
{
    const double width = high - low, middle = 0.5 * (low + high);
    return width <= 1e-8 * fabs(middle) || width <= 1e-6 * plan->tolerance_photons;
}

/* With a tolerance: the middles of the intervals.  NaN where these are not finite or too wide (next
 * to h = k = l = 0 a sphere's are), or where more may be left out than is allowed, which rounding
 * alone could bring about. */
static int round_middles(const nbh_plan *plan, const fast_block *block, float rounded[FAST_LANES])
{
    int any_is_nan = 0;
    for (int j = 0; j < FAST_LANES; j++) {
        /* half of a number below 1e-308 takes long */
        const int is_dark = block->low[j] >= 0.0 && block->high[j] < 1e-60;
        const double middle = is_dark ? 0.0 : 0.5 * (block->low[j] + block->high[j]);
        const int is_known = isfinite(middle) &&
                             (is_dark || is_narrow(plan, block->low[j], block->high[j])) &&
                             left_out_of(plan, block, j) <= plan->tolerance_photons;
        rounded[j] = is_known ? (float)middle : NAN;
        any_is_nan |= isnan(rounded[j]) != 0;
    }
    return any_is_nan;
}

/* What the intervals round to, NaN where that is not one float.  Returns whether any is NaN. */
static int round_intervals(const nbh_plan *plan, const fast_block *block, float rounded[FAST_LANES])
{
    double dark_low[FAST_LANES], dark_high[FAST_LANES];
    const double *lows = block->low, *highs = block->high;
    if (plan->light != NULL) { /* most pixels are dark */
        memcpy(dark_low, lows, sizeof dark_low);
        memcpy(dark_high, highs, sizeof dark_high);
        clear_underflows(dark_low);
        clear_underflows(dark_high);
        lows = dark_low;
        highs = dark_high;
    }

    float low[FAST_LANES], high[FAST_LANES];
    uint32_t low_bits[FAST_LANES], high_bits[FAST_LANES];
    for (int j = 0; j < FAST_LANES; j++) {
        low[j] = (float)lows[j];
        high[j] = (float)highs[j];
    }
    memcpy(low_bits, low, sizeof low_bits);
    memcpy(high_bits, high, sizeof high_bits);
    int any_is_nan = 0;
    for (int j = 0; j < FAST_LANES; j++) { /* a sum of nothing may be 0 or, rounded, -0 */
        rounded[j] = low_bits[j] == high_bits[j] ? high[j] : NAN;
        any_is_nan |= isnan(rounded[j]) != 0;
    }
    return any_is_nan;
}

/* Adds the block's solid angles to those of its rows, and keeps those of the first row. */
static void add_omega(const pixel_block *pixels, const double omega_sum[FAST_LANES], output *o)
{
    double *row_sums = o->to->omega_row_sums_sr, *first_row = o->to->omega_first_row_sr;
    int32_t j = 0;
    while (row_sums != NULL && j < pixels->count) {
        const int32_t slow = pixels->slow[j];
        double sum = row_sums[slow - o->row0];
        for (; j < pixels->count && pixels->slow[j] == slow; j++)
            sum += omega_sum[j];
        row_sums[slow - o->row0] = sum;
    }
    if (first_row != NULL)
        for (j = 0; j < pixels->count; j++)
            if (pixels->slow[j] == o->row0)
                first_row[pixels->fast[j] - o->fast0] = omega_sum[j];
}

static int64_t index_in(const output *o, int32_t fast, int32_t slow)
{
    return (int64_t)(slow - o->row0) * o->n_fast + fast - o->fast0;
}

/* The pixels of the block that are NaN in `rounded`.  Returns 0 if cancelled. */
static int render_rest(const nbh_plan *plan, const pixel_block *pixels,
                       const float rounded[FAST_LANES], double omega_sum[FAST_LANES], output *o)
{
    for (int32_t j = 0; j < pixels->count; j++) {
        if (!isnan(rounded[j]))
            continue;
        const int64_t at = index_in(o, pixels->fast[j], pixels->slow[j]);
        pixel_result result;
        if (!render_exactly(plan, pixels->fast[j], pixels->slow[j], o->to->cancel, &result))
            return 0;
        o->to->image[at] = (float)result.value;
        if (o->to->unrounded != NULL)
            o->to->unrounded[at] = result.value;
        if (o->to->half_width != NULL)
            o->to->half_width[at] = 0.0;
        omega_sum[j] = result.omega_sum;
    }
    return 1;
}

/* The middles of the intervals, and how far from them their ends are.  Those that are not finite
 * are no bound: such pixels become NaN in `rounded`.  Returns how many. */
static int keep_intervals(const nbh_plan *plan, const pixel_block *pixels, const fast_block *block,
                          float rounded[FAST_LANES], output *o)
{
    int left = 0;
    if (o->to->unrounded == NULL) /* widths are asked for beside values */
        return 0;
    for (int32_t j = 0; j < pixels->count; j++) {
        const int64_t at = index_in(o, pixels->fast[j], pixels->slow[j]);
        const double middle = 0.5 * (block->low[j] + block->high[j]);
        if (!isfinite(middle)) {
            rounded[j] = NAN;
            left++;
            continue;
        }
        const double below = fabs(middle - block->low[j]), above = fabs(block->high[j] - middle);
        o->to->unrounded[at] = middle;
        o->to->half_width[at] = ((below > above ? below : above) + left_out_of(plan, block, j)) *
                                (1.0 + 4.0 * DBL_EPSILON);
    }
    return left;
}

/* One block; returns 0 if cancelled. */
static int render_block(const nbh_plan *plan, pixel_block *pixels, output *o)
{
    const int64_t first = plan_pixel_number(plan, pixels->fast[0], pixels->slow[0]);
    fast_block block;
    float rounded[FAST_LANES];
    int some_are_left = 1;
    const int is_fast = o->to->unrounded == NULL || o->to->half_width != NULL;
    if (is_fast && fast_covers_pixel(plan, first)) {
        const fast_task task = o->to->half_width != NULL ? FAST_RENDER_NARROWLY : FAST_RENDER;
        if (!run_fast_kernel(plan, pixels, task, o->to->cancel, &block))
            return 0;
        some_are_left = plan->tolerance_photons > 0.0 ? round_middles(plan, &block, rounded)
                                                      : round_intervals(plan, &block, rounded);
        o->visited += visited_of(plan, &block) * pixels->count;
        float *image = o->to->image;
        for (int32_t j = 0; j < pixels->count; j++)
            image[index_in(o, pixels->fast[j], pixels->slow[j])] = rounded[j];
        if (o->to->half_width != NULL)
            some_are_left += keep_intervals(plan, pixels, &block, rounded, o);
    } else {
        for (int j = 0; j < FAST_LANES; j++)
            rounded[j] = NAN;
        o->visited += visited_of(plan, NULL) * pixels->count;
    }
    if (some_are_left && !render_rest(plan, pixels, rounded, block.omega_sum, o))
        return 0;
    add_omega(pixels, block.omega_sum, o);
    return 1;
}

/* Pixels in raster order; the output begins with pixel `origin`.  Returns 0 if cancelled. */
static int render_range(const nbh_plan *plan, int64_t pixel0, int64_t pixel1, int64_t origin,
                        output *o)
{
    pixel_walk walk = walk_from(plan, pixel0, pixel1);
    pixel_block block;
    while (next_block(&walk, &block)) {
        const int64_t row_end = plan_pixel_number(plan, o->n_fast, block.slow[block.count - 1]);
        clear_to(o, (row_end < pixel1 ? row_end : pixel1) - origin);
        if (!render_block(plan, &block, o))
            return 0;
    }
    return 1;
}

/* Rows row0 .. row1-1 in tiles. */
static int render_band(const nbh_plan *plan, int32_t row0, int32_t row1, int64_t origin, output *o)
{
    band_walk walk = walk_band(plan, row0, row1);
    pixel_block block;
    clear_to(o, plan_pixel_number(plan, 0, row1) - origin);
    while (next_tile(&walk, &block))
        if (!render_block(plan, &block, o))
            return 0;
    return 1;
}

/* Pixels that exist of a settled plan; returns 0 if cancelled. */
static int render(const nbh_plan *plan, int64_t pixel0, int64_t pixel1, const nbh_pixels *to)
{
    const int32_t n_fast = plan->info.n_fast;
    if (pixel0 == pixel1) {
        if (to != NULL && to->steps_visited != NULL)
            *to->steps_visited = 0;
        return 1;
    }
    const int64_t row0 = pixel0 / n_fast, rows = (pixel1 - 1) / n_fast - row0 + 1;
    const int64_t of_first_row =
        pixel1 < (row0 + 1) * n_fast ? pixel1 - pixel0 : (row0 + 1) * n_fast - pixel0;
    if (to->omega_row_sums_sr != NULL)
        memset(to->omega_row_sums_sr, 0, sizeof(double) * (size_t)rows);
    if (to->omega_first_row_sr != NULL)
        memset(to->omega_first_row_sr, 0, sizeof(double) * (size_t)of_first_row);

    output o = {
        .to = to, .fast0 = (int32_t)(pixel0 % n_fast), .row0 = (int32_t)row0, .n_fast = n_fast};
    int64_t pixel = pixel0;
    while (pixel < pixel1) {
        const int64_t row = pixel / n_fast, full_rows_end = pixel1 / n_fast;
        const int32_t end = pixel % n_fast == 0
                                ? band_end(plan, (int32_t)row, (int32_t)full_rows_end)
                                : (int32_t)row;
        const int64_t next = plan->tile_rows == 0 ? pixel1
                             : end > row          ? (int64_t)end * n_fast
                                                  : (row + 1) * n_fast;
        const int64_t stop = next < pixel1 ? next : pixel1;
        if (!(end > row ? render_band(plan, (int32_t)row, end, pixel0, &o)
                        : render_range(plan, pixel, stop, pixel0, &o)))
            return 0;
        pixel = stop;
    }
    clear_to(&o, pixel1 - pixel0);
    if (to->steps_visited != NULL)
        *to->steps_visited = o.visited;
    return 1;
}

nbh_status nbh_plan_render_pixels(const nbh_plan *plan, int64_t pixel0, int64_t pixel1,
                                  const nbh_pixels *pixels, nbh_error *error)
{
    nbh_status status = check_pixels(plan, pixel0, pixel1, error);
    if (status != NBH_OK)
        return status;
    status = plan_check_settled(plan, error);
    if (status != NBH_OK)
        return status;
    if (pixel0 < pixel1 && (pixels == NULL || pixels->image == NULL))
        return nbh_fail(error, NBH_INVALID, "image", "got NULL, need room for %lld pixels",
                        (long long)(pixel1 - pixel0));
    if (pixels != NULL && pixels->half_width != NULL && pixels->unrounded == NULL)
        return nbh_fail(error, NBH_INVALID, "unrounded",
                        "got NULL, need room for the values that "
                        "half_width is about");
    return render(plan, pixel0, pixel1, pixels) ? NBH_OK : plan_fail_cancelled(error);
}

nbh_status nbh_plan_render_rows(const nbh_plan *plan, int32_t row0, int32_t row1,
                                const nbh_rows *rows, nbh_error *error)
{
    nbh_status status = check_rows(plan, row0, row1, error);
    if (status != NBH_OK)
        return status;
    if (rows == NULL)
        return nbh_plan_render_pixels(plan, plan_pixel_number(plan, 0, row0),
                                      plan_pixel_number(plan, 0, row1), NULL, error);
    const nbh_pixels pixels = {.image = rows->image,
                               .unrounded = rows->unrounded,
                               .omega_row_sums_sr = rows->omega_row_sums_sr,
                               .cancel = rows->cancel};
    return nbh_plan_render_pixels(plan, plan_pixel_number(plan, 0, row0),
                                  plan_pixel_number(plan, 0, row1), &pixels, error);
}

nbh_status nbh_plan_pixel_interval(const nbh_plan *plan, int32_t fast, int32_t slow, double *low,
                                   double *high, nbh_error *error)
{
    *low = *high = 0.0;
    nbh_status status = plan_check_pixel(plan, fast, slow, error);
    if (status != NBH_OK)
        return status;
    if (!plan_pixel_is_active(plan, fast, slow))
        return NBH_OK;
    const int64_t pixel = plan_pixel_number(plan, fast, slow);
    if (fast_covers_pixel(plan, pixel)) {
        pixel_block alone = {.fast = {fast}, .slow = {slow}, .count = 1};
        fast_block block;
        run_fast_kernel(plan, &alone, FAST_RENDER_NARROWLY, NULL, &block);
        /* a factor below 0 (behind the detector, a Kahn factor above 1) has exchanged the ends */
        const double left_out = left_out_of(plan, &block, 0);
        const int is_reversed = block.low[0] > block.high[0];
        *low = (is_reversed ? block.high[0] : block.low[0]) - left_out;
        *high = (is_reversed ? block.low[0] : block.high[0]) + left_out;
        if (*low < 0.0 && block.low[0] >= 0.0 && block.high[0] >= 0.0)
            *low = 0.0; /* left out is light */
    } else {
        pixel_result result;
        render_exactly(plan, fast, slow, NULL, &result);
        *low = *high = result.value;
    }
    return NBH_OK;
}

/* The first pixel of the block in which interpolation is switched off, -1: none.  Returns 0 if
 * cancelled. */
static int scan_block(const nbh_plan *plan, pixel_block *pixels, const volatile int32_t *cancel,
                      int64_t *first_pixel)
{
    fast_block block;
    const int64_t first = plan_pixel_number(plan, pixels->fast[0], pixels->slow[0]);
    const int use_fast = fast_covers_pixel(plan, first);
    if (use_fast && !run_fast_kernel(plan, pixels, FAST_SCAN, cancel, &block))
        return 0;
    for (int32_t j = 0; j < pixels->count; j++) {
        if (use_fast && !isnan(block.low[j]))
            continue;
        const int32_t fast = pixels->fast[j], slow = pixels->slow[j];
        const int64_t pixel = plan_pixel_number(plan, fast, slow);
        const serial_state state = serial_state_at(plan, pixel);
        pixel_result result;
        pixel_compute(plan, &state, fast, slow, PIXEL_SCAN, cancel, &result, NULL, NULL);
        if (result.cancelled)
            return 0;
        if (result.switched_off) {
            *first_pixel = pixel;
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
            return plan_fail_cancelled(error);
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
    return nbh_plan_scan_pixels(plan, plan_pixel_number(plan, 0, row0),
                                plan_pixel_number(plan, 0, row1), cancel, first_pixel, error);
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
