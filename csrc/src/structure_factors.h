/* structure_factors.h - F(h, k, l) from the table: the nearest reflection's, or interpolated
 * (model 6.5, 6.7). */
#ifndef NBH_STRUCTURE_FACTORS_H
#define NBH_STRUCTURE_FACTORS_H

#include <math.h>

#include "interpolation.h"
#include "plan.h"

/* ceil(x - 0.5), the nearest index (model 6.5), without a library call where an int64 holds it. */
static inline double miller_index_nearest(double x)
{
    const double y = x - 0.5;
    if (!(fabs(y) < 1e15))
        return ceil(y);
    const double truncated = (double)(int64_t)y;
    return truncated < y ? truncated + 1.0 : truncated;
}

/* Structure factor of the nearest reflection (model 6.5). */
static inline double structure_factor_nearest(const nbh_structure_factors *table,
                                              const double hkl0[3])
{
    if (table->amplitude != NULL && hkl0[0] >= table->h_min && hkl0[0] <= table->h_max &&
        hkl0[1] >= table->k_min && hkl0[1] <= table->k_max && hkl0[2] >= table->l_min &&
        hkl0[2] <= table->l_max) {
        const int64_t h = (int64_t)hkl0[0] - table->h_min, k = (int64_t)hkl0[1] - table->k_min,
                      l = (int64_t)hkl0[2] - table->l_min;
        const int64_t k_count = (int64_t)table->k_max - table->k_min + 1,
                      l_count = (int64_t)table->l_max - table->l_min + 1;
        return table->amplitude[(h * k_count + k) * l_count + l];
    }
    return table->default_f;
}

/* Is one of the nodes for an interpolation at hkl not in the table (model 6.5)? */
static inline int stencil_leaves_table(const nbh_plan *plan, const double hkl[3])
{
    const nbh_structure_factors *t = &plan->table;
    return hkl[0] - t->h_min + 3 > plan->h_range || hkl[0] - 2 < t->h_min ||
           hkl[1] - t->k_min + 3 > plan->k_range || hkl[1] - 2 < t->k_min ||
           hkl[2] - t->l_min + 3 > plan->l_range || hkl[2] - 2 < t->l_min;
}

/* Interpolated structure factor (model 6.7); NaN indices give the default as no node exists. */
static inline double structure_factor_interpolated(const nbh_structure_factors *t,
                                                   const double hkl[3])
{
    const double hf = floor(hkl[0]), kf = floor(hkl[1]), lf = floor(hkl[2]);
    if (!(hf == hf && kf == kf && lf == lf))
        return t->default_f;
    const int64_t k_count = (int64_t)t->k_max - t->k_min + 1,
                  l_count = (int64_t)t->l_max - t->l_min + 1;
    const double *at =
        t->amplitude +
        (((int64_t)hf - 1 - t->h_min) * k_count + ((int64_t)kf - 1 - t->k_min)) * l_count +
        ((int64_t)lf - 1 - t->l_min);
    return interpolate_tricubic(hkl[0], hkl[1], hkl[2], hf, kf, lf, at, k_count * l_count, l_count);
}

#endif
