/* factors.h - structure factors of several pixels at a time (model 6.5, 6.7), the exact
 * kernel's to the last bit. */
#ifndef NBH_FAST_FACTORS_H
#define NBH_FAST_FACTORS_H

#include "fast/lanes.h"
#include "plan.h"

/* The nearest reflections. */
SPECIALISED void nearest_indices(const lanes h, const lanes k, const lanes l, lanes h0, lanes k0,
                                 lanes l0)
{
    EACH_LANE {
        h0[j] = nearest_index(h[j]);
        k0[j] = nearest_index(k[j]);
        l0[j] = nearest_index(l[j]);
    }
}

/* The table of structure factors as the lanes look at it. */
typedef struct f_table {
    const double *amplitude;
    double first[3], last[3]; /* h, k, l of the first and of the last entry */
    double h_stride, k_stride;
    double default_f;
} f_table;

static inline f_table table_of(const nbh_plan *plan)
{
    const nbh_structure_factors *t = &plan->table;
    const f_table table = {.amplitude = t->amplitude,
                           .first = {t->h_min, t->k_min, t->l_min},
                           .last = {t->h_max, t->k_max, t->l_max},
                           .h_stride = plan->k_range * plan->l_range,
                           .k_stride = plan->l_range,
                           .default_f = t->default_f};
    return table;
}

static inline int is_between(double x, double first, double last)
{
    return (x >= first) & (x <= last);
}

/* Structure factors of the reflections h0, k0, l0, which are all in the table if `are_inside`.
 * Returns 0 if all of them are 0. */
SPECIALISED int table_f(const f_table *t, const int are_inside, const lanes h0, const lanes k0,
                        const lanes l0, lanes f)
{
    const double *first = t->first, *last = t->last;
    const double start = first[0] * t->h_stride + first[1] * t->k_stride + first[2];
    lanes inside;
    double indices[LANES]; /* on top of ROUNDING_MAGIC: whole numbers, exact, fused or not */
    EACH_LANE {
        const double index =
            MULTIPLY_ADD(h0[j], t->h_stride, MULTIPLY_ADD(k0[j], t->k_stride, l0[j]));
        const int in = are_inside || (is_between(h0[j], first[0], last[0]) &
                                      is_between(k0[j], first[1], last[1]) &
                                      is_between(l0[j], first[2], last[2]));
        inside[j] = in ? 1.0 : 0.0;
        indices[j] = in ? index + (ROUNDING_MAGIC - start) : ROUNDING_MAGIC;
    }
    /* one by one: the compiler would only take a vector of indices apart again */
    uint64_t bits[LANES];
    memcpy(bits, indices, sizeof bits);
    const volatile uint64_t *one = bits;
    uint64_t all = 0;
    EACH_LANE {
        uint64_t f_bits;
        memcpy(&f_bits, &t->amplitude[(int32_t)one[j]], sizeof f_bits);
        memcpy(&f[j], &f_bits, sizeof f_bits);
        all |= f_bits << 1; /* without the sign of 0 */
    }
    if (are_inside)
        return all != 0;
    EACH_LANE
        f[j] = inside[j] != 0.0 ? f[j] : t->default_f;
    return any_is_set(f);
}

/* Structure factors of the nearest reflections.  Returns 0 if all of them are 0. */
static inline int nearest_f(const nbh_plan *plan, const lanes h, const lanes k, const lanes l,
                            lanes f)
{
    const double default_f = plan->table.default_f;
    if (plan->table.amplitude == NULL) {
        EACH_LANE
            f[j] = default_f;
        return default_f != 0.0;
    }
    lanes h0, k0, l0;
    nearest_indices(h, k, l, h0, k0, l0);
    const f_table table = table_of(plan);
    return table_f(&table, 0, h0, k0, l0, f);
}

/* Where a node for an interpolation is not in the table (model 6.5), or an index is NaN: 1, else
 * 0. */
static inline void stencils_leave_table(const nbh_plan *plan, const lanes h, const lanes k,
                                        const lanes l, lanes leaves)
{
    const nbh_structure_factors *t = &plan->table;
    const double h_min = t->h_min, k_min = t->k_min, l_min = t->l_min;
    const double h_range = plan->h_range, k_range = plan->k_range, l_range = plan->l_range;
    EACH_LANE {
        const int inside = (h[j] - h_min + 3 <= h_range) & (h[j] - 2 >= h_min) &
                           (k[j] - k_min + 3 <= k_range) & (k[j] - 2 >= k_min) &
                           (l[j] - l_min + 3 <= l_range) & (l[j] - 2 >= l_min);
        leaves[j] = inside ? 0.0 : 1.0;
    }
}

/* Products of the differences to three of four nodes, the first of which is floor_x - 1. */
static inline void node_products(const lanes x, const lanes floor_x, lanes products[4])
{
    EACH_LANE {
        const double d0 = x[j] - (floor_x[j] - 1.0), d1 = x[j] - floor_x[j],
                     d2 = x[j] - (floor_x[j] + 1.0), d3 = x[j] - (floor_x[j] + 2.0);
        products[0][j] = d1 * d2 * d3;
        products[1][j] = d0 * d2 * d3;
        products[2][j] = d0 * d1 * d3;
        products[3][j] = d0 * d1 * d2;
    }
}

/* The cubic through four values (model 6.7); the divisors are exactly -6, 2, -2 and 6. */
static inline void cubic(lanes products[4], lanes y[4], lanes out)
{
    EACH_LANE {
        const double t0 = -quotient(products[0][j] * y[0][j], 6.0, 1.0 / 6.0),
                     t1 = products[1][j] * y[1][j] * 0.5, t2 = products[2][j] * y[2][j] * -0.5,
                     t3 = quotient(products[3][j] * y[3][j], 6.0, 1.0 / 6.0);
        out[j] = t0 + t1 + t2 + t3;
    }
}

/* Interpolated structure factors where all nodes are in the table; that is at least one lane. */
static inline void tricubic_f(const nbh_plan *plan, const lanes h, const lanes k, const lanes l,
                              const lanes leaves, lanes f)
{
    const nbh_structure_factors *t = &plan->table;
    const double h_min = t->h_min, k_min = t->k_min, l_min = t->l_min;
    const double k_count = plan->k_range, l_count = plan->l_range;
    const int32_t k_stride = (int32_t)l_count, h_stride = (int32_t)(k_count * l_count);
    lanes h_floor, k_floor, l_floor, h_products[4], k_products[4], l_products[4];
    int32_t index[LANES]; /* of the first node */
    EACH_LANE {
        h_floor[j] = floor_index(h[j]);
        k_floor[j] = floor_index(k[j]);
        l_floor[j] = floor_index(l[j]);
        const double first =
            ((h_floor[j] - 1.0 - h_min) * k_count + (k_floor[j] - 1.0 - k_min)) * l_count +
            (l_floor[j] - 1.0 - l_min);
        index[j] = (int32_t)(leaves[j] != 0.0 ? 0.0 : first);
    }
    node_products(h, h_floor, h_products);
    node_products(k, k_floor, k_products);
    node_products(l, l_floor, l_products);
    lanes planes[4];
    for (int ih = 0; ih < 4; ih++) {
        lanes rows[4];
        for (int ik = 0; ik < 4; ik++) {
            const double *at = t->amplitude + (ih * h_stride + ik * k_stride);
            lanes y[4];
            EACH_LANE
                y[0][j] = at[index[j]];
            EACH_LANE
                y[1][j] = at[index[j] + 1];
            EACH_LANE
                y[2][j] = at[index[j] + 2];
            EACH_LANE
                y[3][j] = at[index[j] + 3];
            cubic(l_products, y, rows[ik]);
        }
        cubic(k_products, rows, planes[ih]);
    }
    cubic(h_products, planes, f);
}

/* Structure factors, interpolated where all nodes are in the table.  Returns 0 if all of them are
 * 0. */
static inline int interpolated_f(const nbh_plan *plan, const lanes h, const lanes k, const lanes l,
                                 lanes leaves, lanes f)
{
    stencils_leave_table(plan, h, k, l, leaves);
    if (all_are_set(leaves))
        return nearest_f(plan, h, k, l, f);
    if (!any_is_set(leaves)) {
        tricubic_f(plan, h, k, l, leaves, f);
    } else {
        lanes inside;
        nearest_f(plan, h, k, l, f);
        tricubic_f(plan, h, k, l, leaves, inside);
        EACH_LANE
            f[j] = leaves[j] != 0.0 ? f[j] : inside[j];
    }
    return any_is_set(f);
}

#endif
