/* statistics.c - image statistics (model 6.9). */
#include <math.h>
#include <string.h>

#include "error.h"
#include "plan.h"
#include "subpixel.h"

#define PIXELS_PER_LINE 16 /* of a cache */
#define PIXELS_AHEAD 512

/* A serial sum looks few pixels ahead: too few for memory that is in no cache.  `last` is the
 * image's last pixel. */
static inline void read_ahead(const float *pixel, const float *last)
{
#if defined(__GNUC__)
    __builtin_prefetch(last - pixel > PIXELS_AHEAD ? pixel + PIXELS_AHEAD : last);
#else
    (void)pixel;
    (void)last;
#endif
}

/* The serial sums over active pixels, and where the brightest of them is. */
typedef struct active_sums {
    double sum, sum_sqr;
    double max;
    int32_t max_fast, max_slow;
    int64_t pixels;
} active_sums;

static int32_t line_end(int32_t line, int32_t fast_max)
{
    return fast_max - line >= PIXELS_PER_LINE ? line + PIXELS_PER_LINE : fast_max + 1;
}

/* Adds the active pixels of a row; mask is the row's, or NULL. */
static void add_row(const float *row, const uint8_t *mask, int32_t fast_min, int32_t fast_max,
                    int32_t slow, const float *last, active_sums *sums)
{
    active_sums s = *sums; /* which can stay in registers */
    for (int32_t line = fast_min; line <= fast_max; line += PIXELS_PER_LINE) {
        const int32_t end = line_end(line, fast_max);
        read_ahead(row + line, last);
        for (int32_t fast = line; fast < end; fast++) {
            if (mask != NULL && mask[fast] == 0)
                continue;
            const float value = row[fast];
            const float square = value * value;
            s.pixels++;
            s.sum += value;
            s.sum_sqr += square;
            if (value > s.max) {
                s.max = value;
                s.max_fast = fast;
                s.max_slow = slow;
            }
        }
    }
    *sums = s;
}

/* `sum` and the squared deviations from the mean of the active pixels of a row, one after the
 * other.
 */
static double add_deviations(const float *row, const uint8_t *mask, int32_t fast_min,
                             int32_t fast_max, const float *last, double mean, double sum)
{
    for (int32_t line = fast_min; line <= fast_max; line += PIXELS_PER_LINE) {
        const int32_t end = line_end(line, fast_max);
        read_ahead(row + line, last);
        for (int32_t fast = line; fast < end; fast++) {
            if (mask != NULL && mask[fast] == 0)
                continue;
            const double deviation = row[fast] - mean;
            sum += deviation * deviation;
        }
    }
    return sum;
}

nbh_status nbh_plan_statistics(const nbh_plan *plan, const float *image, double omega_sum_sr,
                               nbh_statistics *statistics, nbh_error *error)
{
    if (image == NULL)
        return nbh_fail(error, NBH_INVALID, "image", "got NULL, need an image");
    const nbh_plan_info *info = &plan->info;
    const int32_t fast_min = info->roi_fast_min, fast_max = info->roi_fast_max;
    const float *last = image + ((int64_t)info->n_fast * info->n_slow - 1);
    memset(statistics, 0, sizeof *statistics);
    active_sums active = {.max = 0.0};
    for (int32_t slow = info->roi_slow_min; slow <= info->roi_slow_max; slow++) {
        const int64_t row = (int64_t)slow * info->n_fast;
        const uint8_t *mask = plan->mask != NULL ? plan->mask + row : NULL;
        add_row(image + row, mask, fast_min, fast_max, slow, last, &active);
        statistics->pixels_in_roi += fast_min <= fast_max ? fast_max - fast_min + 1 : 0;
    }
    const int32_t last_subpixel = info->oversample - 1;
    statistics->pixels = active.pixels;
    if (active.max > 0.0) {
        statistics->max = active.max;
        statistics->max_fast = active.max_fast;
        statistics->max_slow = active.max_slow;
        statistics->max_fast_m = subpixel_fast(plan, active.max_fast, last_subpixel);
        statistics->max_slow_m = subpixel_slow(plan, active.max_slow, last_subpixel);
    }
    if (plan->quirks & NBH_QUIRK_SOLID_ANGLE_OVER_STEPS) /* C-PARITY-022 */
        statistics->solid_angle_sr = omega_sum_sr / info->steps;
    else
        statistics->solid_angle_sr =
            omega_sum_sr / ((double)info->oversample * info->oversample * info->sensor_layers);
    if (statistics->pixels == 0)
        return NBH_OK; /* nothing was rendered: all zero */
    const double n = (double)statistics->pixels;
    statistics->sum = active.sum;
    statistics->mean = active.sum / n;
    statistics->rms = sqrt(active.sum_sqr / (n - 1));

    const int count_masked = (plan->quirks & NBH_QUIRK_RMSD_COUNTS_MASKED) != 0; /* C-PARITY-023 */
    double sum_dev_sqr = 0.0;
    for (int32_t slow = info->roi_slow_min; slow <= info->roi_slow_max; slow++) {
        const int64_t row = (int64_t)slow * info->n_fast;
        const uint8_t *mask = plan->mask != NULL && !count_masked ? plan->mask + row : NULL;
        sum_dev_sqr = add_deviations(image + row, mask, fast_min, fast_max, last, statistics->mean,
                                     sum_dev_sqr);
    }
    const int64_t counted = count_masked ? statistics->pixels_in_roi : statistics->pixels;
    statistics->rmsd = sqrt(sum_dev_sqr / ((double)counted - 1));
    return NBH_OK;
}
