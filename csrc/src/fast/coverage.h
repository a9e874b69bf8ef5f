/* coverage.h - which pixels of a plan its fast kernel may compute, and which of them together. */
#ifndef NBH_FAST_COVERAGE_H
#define NBH_FAST_COVERAGE_H

#include "plan.h"

/* May the fast kernel compute the pixel?  Not while the serial order still matters (model 6.3,
 * 6.4), nor the one in which interpolation is switched off. */
static inline int fast_covers_pixel(const nbh_plan *plan, int64_t pixel)
{
    return plan->kernel != NULL && pixel >= plan_last_state(plan)->from &&
           pixel != plan->last_interpolated;
}

/* Pixels from `pixel` on that are all covered or all not, and that all interpolate or all do not,
 * end before this one. */
static inline int64_t fast_block_limit(const nbh_plan *plan, int64_t pixel)
{
    const int64_t last_change = plan_last_state(plan)->from, last = plan->last_interpolated;
    if (pixel < last_change)
        return last_change;
    if (pixel < last)
        return last;
    return pixel == last ? last + 1 : INT64_MAX;
}

#endif
