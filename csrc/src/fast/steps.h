/* steps.h - the phi steps and mosaic domains of one source seen from one sub-pixel, for
 * several pixels at a time (model 6.4, 6.5): the hot loops of the fast kernel. */
#ifndef NBH_FAST_STEPS_H
#define NBH_FAST_STEPS_H

#include <math.h>

#include "fast/factors.h"
#include "fast/lattice.h"
#include "fast/profiles.h"
#include "orientations.h"
#include "plan.h"

/* More than what an operation loses below the smallest normal double, and a normal double itself:
 * arithmetic with others is slow. */
#define LEAST_NORMAL 1e-305

/* One source as a sub-pixel sees it. */
typedef struct fast_view {
    lanes qx, qy, qz;
    lanes active; /* 0: cut by dmin; else 1 */
    lanes factor; /* of every term (C-PARITY-003, 004, 009, 036 off); 1 if there is none */
    /* the factors of the oversample options: of every term, or of the whole sum at every step
     * (C-PARITY-002) */
    const double *steps[3];
    int step_count;
    int interpolates;
} fast_view;

/* The sums of a block; each differs from the exact kernel's by less than a relative error that
 * depends on the number of operations alone, plus `slack`. */
typedef struct fast_sums {
    lanes intensity;
    lanes slack;
    lanes exact;            /* NaN: only the exact kernel can do this pixel; else 0 */
    lanes brightest_f;      /* largest |F| so far */
    lanes smallest_product; /* of sines, so far */
} fast_sums;

/* Do the oversample options multiply the whole sum at every step? */
static inline int multiplies_sum(const nbh_plan *plan)
{
    return (plan->quirks & NBH_QUIRK_OVERSAMPLE_RUNNING_PRODUCT) != 0 &&
           (plan->oversample_thick || plan->oversample_polar || plan->oversample_omega);
}

/* A square bound of the lattice factor. */
static inline double largest_lattice_sqr(const nbh_plan *plan)
{
    const double *n = plan->shape.n_cells;
    double above_peak = INFINITY;
    switch (plan->shape.profile) {
    case PROFILE_INTERFERENCE:
        above_peak = 1.01 / plan->smallest_product;
        break;
    case PROFILE_SPHERE:
    case PROFILE_GAUSSIAN:
    case PROFILE_TOP_HAT:
        above_peak = 1.01;
        break;
    }
    const double largest = above_peak * n[0] * n[1] * n[2];
    return largest * largest;
}

/* What one step can lose besides relative errors, before factors: for underflow, and as a multiple
 * of F^2 for a Gaussian that counts as 0. */
typedef struct step_loss {
    double underflow;
    double per_f_sqr;
} step_loss;

static inline step_loss loss_of_step(const nbh_plan *plan)
{
    const double *n = plan->shape.n_cells;
    const double peak = n[0] * n[1] * n[2];
    step_loss loss = {8.0 * LEAST_NORMAL * largest_lattice_sqr(plan), INFINITY};
    switch (plan->shape.profile) {
    case PROFILE_GAUSSIAN:
        loss.per_f_sqr = SMALLEST_GAUSSIAN_SQR * peak * peak;
        break;
    case PROFILE_INTERFERENCE:
    case PROFILE_SPHERE:
    case PROFILE_TOP_HAT:
        loss.per_f_sqr = 0.0;
        break;
    }
    return loss;
}

/* h, k, l for the cell a, b, c (model 6.5). */
SPECIALISED void miller_indices(const double cell[9], const fast_view *view, lanes h, lanes k,
                                lanes l)
{
    const double *qx = view->qx, *qy = view->qy, *qz = view->qz;
    EACH_LANE {
        h[j] = cell[0] * qx[j] + cell[1] * qy[j] + cell[2] * qz[j];
        k[j] = cell[3] * qx[j] + cell[4] * qy[j] + cell[5] * qz[j];
        l[j] = cell[6] * qx[j] + cell[7] * qy[j] + cell[8] * qz[j];
    }
}

/* The largest that the factors make of something that one step can lose. */
static inline void largest_factors(const nbh_plan *plan, const fast_view *view, lanes largest)
{
    EACH_LANE
        largest[j] = larger(view->factor[j], 1.0);
    if (plan->domain_weights != NULL)
        EACH_LANE
            largest[j] *= plan->largest_domain_weight;
    for (int n = 0; n < view->step_count; n++)
        EACH_LANE
            largest[j] *= larger(view->steps[n][j], 1.0);
}

/* Where the structure factors of all steps of a view come from. */
typedef enum f_origin { ONE_F, TABLE, INSIDE_TABLE } f_origin;

/* The lattice factors of PROFILE_INTERFERENCE, squared and times F^2 unless there is but one F,
 * added up without any factors but the domains' weights (NULL: none) in all lanes.  `from`,
 * `near_zero` (see multiply_sines) and NULL are constants where this is inlined.  Returns 0 if
 * cancelled. */
SPECIALISED int sum_interference_steps(const nbh_plan *plan, const fast_view *view,
                                       const f_origin from, const int near_zero,
                                       const double *weights, const volatile int32_t *cancel,
                                       lanes sum, lanes smallest_product)
{
    const nbh_plan_info *info = &plan->info;
    const f_table table = table_of(plan);
    const double n_cells[3] = {plan->shape.n_cells[0], plan->shape.n_cells[1],
                               plan->shape.n_cells[2]};
    EACH_LANE {
        sum[j] = 0.0;
        smallest_product[j] = 1.0;
    }
    for (int32_t phi_step = 0; phi_step < info->phi_steps; phi_step++) {
        for (int32_t domain = 0; domain < info->mosaic_domains; domain++) {
            if (plan_is_cancelled(cancel, domain))
                return 0;
            double scratch[9];
            const double *cell = orientation_cell(plan, 0, phi_step, domain, scratch);
            lanes h, k, l, h0, k0, l0, f, numerator, denominator;
            miller_indices(cell, view, h, k, l);
            if (from == ONE_F) {
                whole_indices(h, k, l, h0, k0, l0);
            } else {
                nearest_indices(h, k, l, h0, k0, l0);
                if (!table_f(&table, from == INSIDE_TABLE, h0, k0, l0, f))
                    continue;
            }
            parallelepiped_sines(n_cells, near_zero ? SINES_NEAR_ZERO : SINES, h, k, l, h0, k0, l0,
                                 numerator, denominator);
            EACH_LANE {
                const double above = from == ONE_F ? numerator[j] : f[j] * numerator[j];
                const double ratio = above / denominator[j];
                sum[j] = weights == NULL ? MULTIPLY_ADD(ratio, ratio, sum[j])
                                         : sum[j] + ratio * ratio * weights[domain];
                smallest_product[j] =
                    smaller(smallest_product[j], fabs(numerator[j] * denominator[j]));
            }
        }
    }
    return 1;
}

/* Are all lanes that near to q = 0?  Not worth asking for a few steps. */
static inline int all_are_within(const nbh_plan *plan, const fast_view *view, double q_sqr)
{
    if ((double)plan->info.phi_steps * plan->info.mosaic_domains < 4.0)
        return 0;
    const double *qx = view->qx, *qy = view->qy, *qz = view->qz;
    lanes is_near;
    EACH_LANE
        is_near[j] = qx[j] * qx[j] + qy[j] * qy[j] + qz[j] * qz[j] <= q_sqr ? 1.0 : 0.0;
    return all_are_set(is_near);
}

/* Is every step's nearest reflection one of the table? */
static inline int stays_in_table(const nbh_plan *plan, const fast_view *view)
{
    return all_are_within(plan, view, plan->q_sqr_inside_table);
}

/* sum_interference_steps for domains that have weights: one for each origin of F and no more, as
 * compilers stop inlining where a file grows. */
static inline int sum_weighted_interference(const nbh_plan *plan, const fast_view *view,
                                            const volatile int32_t *cancel, lanes sum,
                                            lanes smallest)
{
    const double *weights = plan->domain_weights;
    if (plan->table.amplitude == NULL)
        return sum_interference_steps(plan, view, ONE_F, 1, weights, cancel, sum, smallest);
    return sum_interference_steps(plan, view, TABLE, 1, weights, cancel, sum, smallest);
}

/* sum_interference_steps for the view's table. */
static inline int sum_interference(const nbh_plan *plan, const fast_view *view, int near_zero,
                                   const volatile int32_t *cancel, lanes sum, lanes smallest)
{
    if (plan->table.amplitude == NULL)
        return near_zero
                   ? sum_interference_steps(plan, view, ONE_F, 1, NULL, cancel, sum, smallest)
                   : sum_interference_steps(plan, view, ONE_F, 0, NULL, cancel, sum, smallest);
    if (near_zero)
        return sum_interference_steps(plan, view, TABLE, 1, NULL, cancel, sum, smallest);
    return stays_in_table(plan, view)
               ? sum_interference_steps(plan, view, INSIDE_TABLE, 0, NULL, cancel, sum, smallest)
               : sum_interference_steps(plan, view, TABLE, 0, NULL, cancel, sum, smallest);
}

/* PROFILE_INTERFERENCE with nearest structure factors and with the factors of the view, which may
 * not be those of the whole sum.  has_weights: the domains do; a constant where this is inlined.
 * Returns 0 if cancelled. */
SPECIALISED int add_interference_of(const nbh_plan *plan, const fast_view *view, int has_factors,
                                    const int has_weights, const volatile int32_t *cancel,
                                    fast_sums *s)
{
    const double default_f = plan->table.default_f;
    const int has_one_f = plan->table.amplitude == NULL;
    if (has_one_f && default_f == 0.0)
        return 1;
    lanes sum, smallest, is_small;
    if (has_weights) {
        if (!sum_weighted_interference(plan, view, cancel, sum, smallest))
            return 0;
    } else {
        if (!sum_interference(plan, view, 0, cancel, sum, smallest))
            return 0;
        EACH_LANE
            is_small[j] = smallest[j] < plan->smallest_product ? 1.0 : 0.0;
        if (any_is_set(is_small) && !sum_interference(plan, view, 1, cancel, sum, smallest))
            return 0;
    }
    if (has_one_f)
        EACH_LANE
            sum[j] *= default_f * default_f;
    if (has_factors) {
        EACH_LANE
            sum[j] *= view->factor[j];
        for (int n = 0; n < view->step_count; n++)
            EACH_LANE
                sum[j] *= view->steps[n][j];
    }
    EACH_LANE {
        s->intensity[j] += view->active[j] != 0.0 ? sum[j] : 0.0;
        s->smallest_product[j] = smaller(s->smallest_product[j], smallest[j]);
    }
    return 1;
}

static inline int add_interference(const nbh_plan *plan, const fast_view *view, int has_factors,
                                   const volatile int32_t *cancel, fast_sums *s)
{
    return add_interference_of(plan, view, has_factors, 0, cancel, s);
}

/* The same for domains with weights. */
OUT_OF_LINE int add_weighted_interference(const nbh_plan *plan, const fast_view *view,
                                          int has_factors, const volatile int32_t *cancel,
                                          fast_sums *s)
{
    return add_interference_of(plan, view, has_factors, 1, cancel, s);
}

/* Add one step's terms with the exact kernel's operations in its order. */
SPECIALISED void add_terms(const nbh_plan *plan, const fast_view *view, const shape_profile profile,
                           int of_sum, int no_water, int32_t domain, const lanes f,
                           const lattice_factors *latt, const lanes largest, fast_sums *s)
{
    lanes term, error, use;
    EACH_LANE {
        term[j] = f[j] * f[j] * latt->f[j] * latt->f[j] * view->factor[j];
        s->brightest_f[j] = larger(s->brightest_f[j], fabs(f[j]) * view->active[j]);
    }
    if (plan->domain_weights != NULL)
        EACH_LANE
            term[j] *= plan->domain_weights[domain];
    if (!profile_tells_zeros(profile) || !no_water) {
        EACH_LANE
            use[j] = view->active[j];
    } else { /* where the lattice factor is 0 the exact kernel skips the step */
        EACH_LANE
            use[j] = view->active[j] * (1.0 - latt->is_zero[j]);
    }
    if (profile_has_error(profile)) {
        EACH_LANE
            error[j] = f[j] * f[j] * latt->error[j] * (2.0 * fabs(latt->f[j]) + latt->error[j]) *
                       view->factor[j];
        if (plan->domain_weights != NULL)
            EACH_LANE
                error[j] *= plan->domain_weights[domain];
    }
    if (of_sum) {
        const step_loss loss = loss_of_step(plan);
        lanes sum, slack;
        EACH_LANE {
            sum[j] = s->intensity[j] + term[j];
            slack[j] = s->slack[j] + (profile_has_error(profile) ? error[j] : 0.0);
        }
        for (int n = 0; n < view->step_count; n++) {
            const double *factor = view->steps[n];
            EACH_LANE {
                sum[j] *= factor[j];
                slack[j] *= factor[j];
            }
        }
        EACH_LANE {
            const double lost =
                (loss.underflow + loss.per_f_sqr * s->brightest_f[j] * s->brightest_f[j]) *
                largest[j];
            s->intensity[j] = use[j] != 0.0 ? sum[j] : s->intensity[j];
            s->slack[j] = use[j] != 0.0 ? slack[j] + lost : s->slack[j];
            if (profile_tells_zeros(profile))
                s->exact[j] += no_water ? latt->exact[j] : 0.0;
        }
        return;
    }
    for (int n = 0; n < view->step_count; n++) {
        const double *factor = view->steps[n];
        EACH_LANE
            term[j] *= factor[j];
        if (profile_has_error(profile))
            EACH_LANE
                error[j] *= factor[j];
    }
    EACH_LANE {
        s->intensity[j] += use[j] != 0.0 ? term[j] : 0.0;
        if (profile_has_error(profile))
            s->slack[j] += use[j] != 0.0 ? error[j] : 0.0;
    }
}

/* In a pixel in which interpolation is not switched off, a node can be outside of the table only
 * where the lattice factor is exactly 0; where this kernel does not know that, the pixel is the
 * exact kernel's. */
SPECIALISED void check_nodes(const fast_view *view, const shape_profile profile,
                             const lattice_factors *latt, const lanes leaves, fast_sums *s)
{
    EACH_LANE {
        const double is_zero = profile_tells_zeros(profile) ? latt->is_zero[j] : 0.0;
        s->exact[j] =
            ((leaves[j] != 0.0) & (view->active[j] != 0.0) & (is_zero == 0.0)) ? NAN : s->exact[j];
    }
}

/* Instead of adding anything: `exact` becomes NaN where interpolation may be switched off.  Returns
 * 0 if cancelled. */
static inline int scan_steps(const nbh_plan *plan, const fast_view *view,
                             const volatile int32_t *cancel, fast_sums *s)
{
    const nbh_plan_info *info = &plan->info;
    if (all_are_within(plan, view, plan->q_sqr_inside_stencils))
        return 1;
    for (int32_t phi_step = 0; phi_step < info->phi_steps; phi_step++) {
        for (int32_t domain = 0; domain < info->mosaic_domains; domain++) {
            if (plan_is_cancelled(cancel, domain))
                return 0;
            double scratch[9];
            const double *cell = orientation_cell(plan, 0, phi_step, domain, scratch);
            lanes h, k, l, leaves;
            miller_indices(cell, view, h, k, l);
            stencils_leave_table(plan, h, k, l, leaves);
            if (!any_is_set(leaves))
                continue;
            EACH_LANE
                s->exact[j] = ((leaves[j] != 0.0) & (view->active[j] != 0.0)) ? NAN : s->exact[j];
        }
    }
    return 1;
}

/* The lattice factors at h, k, l.  Returns 0 if all of them are known to be exactly 0. */
SPECIALISED int lattice_of(const nbh_plan *plan, const shape_profile profile, const lanes h,
                           const lanes k, const lanes l, lattice_factors *latt)
{
    lanes r_sqr;
    switch (profile) {
    case PROFILE_INTERFERENCE:
        lattice_interference(plan, h, k, l, latt);
        return 1;
    case PROFILE_SPHERE:
        distance_sqr(&plan->shape, h, k, l, r_sqr);
        lattice_sphere(&plan->shape, r_sqr, latt);
        break;
    case PROFILE_GAUSSIAN:
        distance_sqr(&plan->shape, h, k, l, r_sqr);
        lattice_gaussian(&plan->shape, r_sqr, latt);
        break;
    case PROFILE_TOP_HAT:
        distance_sqr(&plan->shape, h, k, l, r_sqr);
        lattice_top_hat(&plan->shape, r_sqr, latt);
        break;
    }
    return !all_are_set(latt->is_zero);
}

/* How the steps of a view are added up. */
typedef struct step_rules {
    int of_sum, no_water, can_switch_off;
} step_rules;

static inline step_rules rules_of(const nbh_plan *plan, const fast_view *view)
{
    const step_rules rules = {multiplies_sum(plan), plan->water_size_m == 0.0,
                              view->interpolates &&
                                  (plan->quirks & NBH_QUIRK_INTERPOLATION_LATCH) != 0};
    return rules;
}

/* One step of every shape, and what add_interference does not do.  `profile` is a constant where
 * this is inlined. */
SPECIALISED void add_any_step(const nbh_plan *plan, const fast_view *view,
                              const shape_profile profile, const step_rules *rules,
                              const double *cell, int32_t domain, const lanes largest,
                              lattice_factors *latt, fast_sums *s)
{
    lanes h, k, l, f;
    miller_indices(cell, view, h, k, l);
    /* what is quick to know comes first: a step without F changes no sum */
    const int f_first = !profile_is_exact(profile) && !view->interpolates;
    if (f_first) {
        const int any_f = nearest_f(plan, h, k, l, f);
        if (!any_f && !rules->of_sum)
            return;
    }
    const int any_latt = lattice_of(plan, profile, h, k, l, latt);
    if (!any_latt &&
        rules->no_water) /* with water F counts: F^2 may overflow, and 0 of it is NaN */
        return;
    if (!f_first) {
        lanes leaves = {0};
        const int any_f = view->interpolates ? interpolated_f(plan, h, k, l, leaves, f)
                                             : nearest_f(plan, h, k, l, f);
        if (rules->can_switch_off)
            check_nodes(view, profile, latt, leaves, s);
        if (!any_f && !rules->of_sum)
            return;
    }
    add_terms(plan, view, profile, rules->of_sum, rules->no_water, domain, f, latt, largest, s);
}

/* All steps.  Returns 0 if cancelled. */
SPECIALISED int add_any_steps(const nbh_plan *plan, const fast_view *view,
                              const shape_profile profile, const volatile int32_t *cancel,
                              fast_sums *s)
{
    const nbh_plan_info *info = &plan->info;
    const step_rules rules = rules_of(plan, view);
    lanes largest;
    largest_factors(plan, view, largest);
    lattice_factors latt;
    EACH_LANE
        latt.smallest_product[j] = s->smallest_product[j];
    for (int32_t phi_step = 0; phi_step < info->phi_steps; phi_step++) {
        for (int32_t domain = 0; domain < info->mosaic_domains; domain++) {
            if (plan_is_cancelled(cancel, domain))
                return 0;
            double scratch[9];
            const double *cell = orientation_cell(plan, 0, phi_step, domain, scratch);
            add_any_step(plan, view, profile, &rules, cell, domain, largest, &latt, s);
        }
    }
    EACH_LANE
        s->smallest_product[j] = latt.smallest_product[j];
    return 1;
}

/* 0 times a factor that is not finite is NaN, which a step without F must not hide. */
static inline void check_factors(const fast_view *view, fast_sums *s)
{
    EACH_LANE
        s->exact[j] += view->active[j] != 0.0 ? 0.0 * view->factor[j] : 0.0;
}

/* What the steps of a view lose, and factors that no bound is for: those below 0 would make terms
 * of either sign. */
static inline void allow_for_steps(const nbh_plan *plan, const fast_view *view, fast_sums *s)
{
    if (!multiplies_sum(plan)) {
        const step_loss loss = loss_of_step(plan);
        const double steps = (double)plan->info.phi_steps * plan->info.mosaic_domains;
        lanes largest;
        largest_factors(plan, view, largest);
        EACH_LANE {
            const double lost =
                loss.underflow + loss.per_f_sqr * s->brightest_f[j] * s->brightest_f[j];
            s->slack[j] += steps * lost * largest[j];
        }
    }
    EACH_LANE
        s->exact[j] = view->factor[j] < 0.0 ? NAN : s->exact[j];
    for (int n = 0; n < view->step_count; n++)
        EACH_LANE
            s->exact[j] = view->steps[n][j] < 0.0 ? NAN : s->exact[j];
}

/* Has a view factors, besides those of all its sums? */
static inline int view_has_factors(const nbh_plan *plan, const fast_view *view)
{
    return plan->polar_per_source || plan->polar_per_sample || plan->use_source_weights ||
           plan->capture_per_layer || plan->capture_per_sample || plan->omega_per_sample ||
           view->step_count > 0;
}

/* All phi steps and domains of one view.  Returns 0 if cancelled. */
static inline int add_steps(const nbh_plan *plan, const fast_view *view,
                            const volatile int32_t *cancel, fast_sums *s)
{
    const int of_sum = multiplies_sum(plan), has_factors = view_has_factors(plan, view);
    int done = 0;
    if (has_factors)
        check_factors(view, s);
    switch (plan->shape.profile) {
    case PROFILE_INTERFERENCE:
        if (of_sum || view->interpolates)
            done = add_any_steps(plan, view, PROFILE_INTERFERENCE, cancel, s);
        else if (plan->domain_weights == NULL)
            done = add_interference(plan, view, has_factors, cancel, s);
        else
            done = add_weighted_interference(plan, view, has_factors, cancel, s);
        break;
    case PROFILE_SPHERE:
        done = add_any_steps(plan, view, PROFILE_SPHERE, cancel, s);
        break;
    case PROFILE_GAUSSIAN:
        done = add_any_steps(plan, view, PROFILE_GAUSSIAN, cancel, s);
        break;
    case PROFILE_TOP_HAT:
        done = add_any_steps(plan, view, PROFILE_TOP_HAT, cancel, s);
        break;
    }
    if (!done)
        return 0;
    allow_for_steps(plan, view, s);
    return 1;
}

#endif
