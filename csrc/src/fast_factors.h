/* fast_factors.h - structure factors of several pixels at a time (model 6.5, 6.7), the exact
 * kernel's to the last bit. */
#ifndef NBH_FAST_FACTORS_H
#define NBH_FAST_FACTORS_H

#include "fast_lanes.h"

/* Structure factors of the nearest reflections.  Returns 0 if all of them are 0. */
static inline int nearest_f(const nbh_plan *plan, const lanes h, const lanes k, const lanes l,
                            lanes f)
{
    const nbh_structure_factors *t = &plan->table;
    const double h_min = t->h_min, h_max = t->h_max, k_min = t->k_min, k_max = t->k_max,
                 l_min = t->l_min, l_max = t->l_max;
    const double k_count = plan->k_range, l_count = plan->l_range, default_f = t->default_f;
    if (t->amplitude == NULL) {
        EACH_LANE
            f[j] = default_f;
        return default_f != 0.0;
    }
    int32_t index[LANES];
    lanes inside;
    EACH_LANE {
        const double h0 = nearest_index(h[j]), k0 = nearest_index(k[j]), l0 = nearest_index(l[j]);
        const int in = (h0 >= h_min) & (h0 <= h_max) & (k0 >= k_min) & (k0 <= k_max) &
                       (l0 >= l_min) & (l0 <= l_max);
        const double place = ((h0 - h_min) * k_count + (k0 - k_min)) * l_count + (l0 - l_min);
        inside[j] = in ? 1.0 : 0.0;
        index[j] = (int32_t)(in ? place : 0.0);
    }
    EACH_LANE
        f[j] = t->amplitude[index[j]];
    int any = 0;
    EACH_LANE {
        f[j] = inside[j] != 0.0 ? f[j] : default_f;
        any |= f[j] != 0.0;
    }
    return any;
}

#endif
