/* statistics.c - image statistics (model 6.9). */
#include <math.h>
#include <string.h>

#include "plan.h"

nbh_status nbh_plan_statistics(const nbh_plan *plan, const float *image, double omega_sum_sr,
                               nbh_statistics *statistics, nbh_error *error)
{
    (void)error;
    const nbh_plan_info *info = &plan->info;
    memset(statistics, 0, sizeof *statistics);
    double sum = 0.0, sum_sqr = 0.0;
    for (int32_t slow = info->roi_slow_min; slow <= info->roi_slow_max; slow++) {
        for (int32_t fast = info->roi_fast_min; fast <= info->roi_fast_max; fast++) {
            statistics->pixels_in_roi++;
            if (!plan_pixel_is_lit(plan, fast, slow))
                continue;
            statistics->pixels++;
            const float value = image[(int64_t)slow * info->n_fast + fast];
            const float square = value * value;
            sum += value;
            sum_sqr += square;
            if (value > statistics->max) {
                const double last = info->oversample - 1;
                statistics->max = value;
                statistics->max_fast = fast;
                statistics->max_slow = slow;
                statistics->max_fast_m =
                    plan->subpixel_m * ((double)fast * info->oversample + last) +
                    plan->subpixel_m / 2.0;
                statistics->max_slow_m =
                    plan->subpixel_m * ((double)slow * info->oversample + last) +
                    plan->subpixel_m / 2.0;
            }
        }
    }
    if (plan->quirks & NBH_QUIRK_SOLID_ANGLE_OVER_STEPS) /* C-PARITY-022 */
        statistics->solid_angle_sr = omega_sum_sr / info->steps;
    else
        statistics->solid_angle_sr =
            omega_sum_sr / ((double)info->oversample * info->oversample * info->sensor_layers);
    if (statistics->pixels == 0)
        return NBH_OK; /* nothing was rendered: all zero */
    const double n = (double)statistics->pixels;
    statistics->sum = sum;
    statistics->mean = sum / n;
    statistics->rms = sqrt(sum_sqr / (n - 1));

    const int count_masked = (plan->quirks & NBH_QUIRK_RMSD_COUNTS_MASKED) != 0; /* C-PARITY-023 */
    double sum_dev_sqr = 0.0;
    for (int32_t slow = info->roi_slow_min; slow <= info->roi_slow_max; slow++) {
        for (int32_t fast = info->roi_fast_min; fast <= info->roi_fast_max; fast++) {
            if (!count_masked && !plan_pixel_is_lit(plan, fast, slow))
                continue;
            const double deviation = image[(int64_t)slow * info->n_fast + fast] - statistics->mean;
            sum_dev_sqr += deviation * deviation;
        }
    }
    const int64_t counted = count_masked ? statistics->pixels_in_roi : statistics->pixels;
    statistics->rmsd = sqrt(sum_dev_sqr / ((double)counted - 1));
    return NBH_OK;
}
