/* culled_steps.h - the steps of one source that may have light, for several pixels at a time.
 *
 * Apart from steps.h, whose loops over all orientations a compiler vectorises as they are. */
#ifndef NBH_FAST_CULLED_STEPS_H
#define NBH_FAST_CULLED_STEPS_H

#include "fast/gaussian_steps.h"
#include "fast/light_bounds.h"
#include "fast/steps.h"

/* Numbers of orientations, ascending. */
typedef struct step_list {
    const int32_t *orientation;
    int32_t count;
} step_list;

/* See sum_interference_steps. */
SPECIALISED void sum_listed_interference(const nbh_plan *plan, const fast_view *view,
                                         const f_origin from, const int near_zero,
                                         const step_list *list, lanes sum, lanes smallest_product)
{
    const f_table table = table_of(plan);
    const double n_cells[3] = {plan->shape.n_cells[0], plan->shape.n_cells[1],
                               plan->shape.n_cells[2]};
    EACH_LANE {
        sum[j] = 0.0;
        smallest_product[j] = 1.0;
    }
    for (int32_t i = 0; i < list->count; i++) {
        const double *cell = plan->cells + 9 * (int64_t)list->orientation[i];
        lanes h, k, l, h0, k0, l0, f, numerator, denominator;
        miller_indices(cell, view, h, k, l);
        if (from == ONE_F) {
            whole_indices(h, k, l, h0, k0, l0);
        } else {
            nearest_indices(h, k, l, h0, k0, l0);
            if (!table_f(&table, 0, h0, k0, l0, f))
                continue;
        }
        parallelepiped_sines(n_cells, near_zero, h, k, l, h0, k0, l0, numerator, denominator);
        EACH_LANE {
            const double above = from == ONE_F ? numerator[j] : f[j] * numerator[j];
            const double ratio = above / denominator[j];
            sum[j] = MULTIPLY_ADD(ratio, ratio, sum[j]);
            smallest_product[j] = smaller(smallest_product[j], fabs(numerator[j] * denominator[j]));
        }
    }
}

static inline void sum_of_planes(const nbh_plan *plan, const fast_view *view, int near_zero,
                                 const step_list *list, lanes sum, lanes smallest)
{
    if (plan->table.amplitude == NULL && near_zero)
        sum_listed_interference(plan, view, ONE_F, 1, list, sum, smallest);
    else if (plan->table.amplitude == NULL)
        sum_listed_interference(plan, view, ONE_F, 0, list, sum, smallest);
    else if (near_zero)
        sum_listed_interference(plan, view, TABLE, 1, list, sum, smallest);
    else
        sum_listed_interference(plan, view, TABLE, 0, list, sum, smallest);
}

/* Sets `sum` to that of the list, without the square of the only F and what goes with it. */
static inline void sum_listed_gaussians(const nbh_plan *plan, const fast_view *view,
                                        const step_list *list, lanes sum)
{
    const crystal_shape *s = &plan->shape;
    const gaussian_constants c =
        gaussian_constants_of(s, -2.0 * s->fudge / 0.63 * plan->light->bounds.dark_from);
    const f_table table = table_of(plan);
    EACH_LANE
        sum[j] = 0.0;
    const int has_one_f = plan->table.amplitude == NULL;
    const int is_hkl = s->metric == METRIC_HKL;
    for (int32_t i = 0; i < list->count; i++) {
        const double *cell = plan->cells + 9 * (int64_t)list->orientation[i];
        if (has_one_f && is_hkl)
            add_gaussian_step(&table, &c, view, ONE_F, METRIC_HKL, 1, cell, sum);
        else if (has_one_f)
            add_gaussian_step(&table, &c, view, ONE_F, METRIC_RECIPROCAL, 1, cell, sum);
        else if (is_hkl)
            add_gaussian_step(&table, &c, view, TABLE, METRIC_HKL, 1, cell, sum);
        else
            add_gaussian_step(&table, &c, view, TABLE, METRIC_RECIPROCAL, 1, cell, sum);
    }
}

/* Adds a sum of squared lattice factors, times F^2 unless there is but one F. */
static inline void add_listed_sum(const nbh_plan *plan, const fast_view *view, double peak_sqr,
                                  lanes sum, fast_sums *s)
{
    const double default_f = plan->table.default_f;
    const double common =
        plan->table.amplitude == NULL ? default_f * default_f * peak_sqr : peak_sqr;
    EACH_LANE
        sum[j] = sum[j] * common * view->factor[j];
    for (int n = 0; n < view->step_count; n++)
        EACH_LANE
            sum[j] *= view->steps[n][j];
    EACH_LANE
        s->intensity[j] += view->active[j] != 0.0 ? sum[j] : 0.0;
}

/* PROFILE_INTERFERENCE; see add_interference. */
static inline void add_listed_planes(const nbh_plan *plan, const fast_view *view,
                                     const step_list *list, fast_sums *s)
{
    lanes sum, smallest, is_small;
    sum_of_planes(plan, view, 0, list, sum, smallest);
    EACH_LANE
        is_small[j] = smallest[j] < plan->smallest_product ? 1.0 : 0.0;
    if (any_is_set(is_small))
        sum_of_planes(plan, view, 1, list, sum, smallest);
    add_listed_sum(plan, view, 1.0, sum, s);
    EACH_LANE
        s->smallest_product[j] = smaller(s->smallest_product[j], smallest[j]);
}

SPECIALISED void add_listed_any(const nbh_plan *plan, const fast_view *view,
                                const shape_profile profile, const step_list *list, fast_sums *s)
{
    const step_rules rules = rules_of(plan, view);
    lanes largest;
    largest_factors(view, largest);
    lattice_factors latt;
    EACH_LANE
        latt.smallest_product[j] = s->smallest_product[j];
    for (int32_t i = 0; i < list->count; i++)
        add_any_step(plan, view, profile, &rules, plan->cells + 9 * (int64_t)list->orientation[i],
                     largest, &latt, s);
    EACH_LANE
        s->smallest_product[j] = latt.smallest_product[j];
}

/* Adds the steps of a list, of which no other is a sum of its own; see add_steps. */
static inline void add_listed_steps(const nbh_plan *plan, const fast_view *view,
                                    const step_list *list, fast_sums *s)
{
    const double peak = shape_peak(&plan->shape);
    if (list->count == 0)
        return;
    switch (plan->shape.profile) {
    case PROFILE_INTERFERENCE:
        if (view->interpolates)
            add_listed_any(plan, view, PROFILE_INTERFERENCE, list, s);
        else
            add_listed_planes(plan, view, list, s);
        break;
    case PROFILE_SPHERE:
        add_listed_any(plan, view, PROFILE_SPHERE, list, s);
        break;
    case PROFILE_GAUSSIAN:
        if (view->interpolates) {
            add_listed_any(plan, view, PROFILE_GAUSSIAN, list, s);
        } else {
            lanes sum;
            sum_listed_gaussians(plan, view, list, sum);
            add_listed_sum(plan, view, peak * peak, sum, s);
        }
        break;
    case PROFILE_TOP_HAT:
        add_listed_any(plan, view, PROFILE_TOP_HAT, list, s);
        break;
    }
}

/* What the steps of `sources` sources may lose, visited or not, and factors that no bound is for;
 * see add_steps. */
static inline void allow_for_losses(const nbh_plan *plan, const fast_view *view, fast_sums *s)
{
    const step_loss loss = loss_of_step(plan);
    const double steps = (double)plan->light->bounds.count;
    lanes largest;
    largest_factors(view, largest);
    EACH_LANE {
        const double lost = loss.underflow + loss.per_f_sqr * s->brightest_f[j] * s->brightest_f[j];
        s->slack[j] += steps * lost * largest[j];
        s->exact[j] += view->active[j] != 0.0 ? 0.0 * view->factor[j] : 0.0;
        s->exact[j] = view->factor[j] < 0.0 ? NAN : s->exact[j];
    }
    for (int n = 0; n < view->step_count; n++)
        EACH_LANE
            s->exact[j] = view->steps[n][j] < 0.0 ? NAN : s->exact[j];
}

#endif
