/* gaussian_steps.h - the steps of Gaussian crystals without factors of their own (model 6.5), as
 * one power of two: the square of exp(-y) is 2^-x, x = 2 y / ln 2. */
#ifndef NBH_FAST_GAUSSIAN_STEPS_H
#define NBH_FAST_GAUSSIAN_STEPS_H

#include "fast/powers.h"
#include "fast/steps.h"

/* What the exponent is made of. */
typedef struct gaussian_constants {
    double along[3];         /* METRIC_HKL: of the squares of the distances along h, k, l */
    double star[3][3];       /* METRIC_RECIPROCAL */
    double along_reciprocal; /* of the squared distance in reciprocal space */
} gaussian_constants;

static inline gaussian_constants gaussian_constants_of(const crystal_shape *s)
{
    const double *n = s->n_cells, all = n[0] * n[1] * n[2], scale = 2.0 * s->fudge / 0.63 / LN2;
    gaussian_constants c = {.along_reciprocal = scale * (all * all)};
    for (int i = 0; i < 3; i++) {
        c.along[i] = scale * (n[i] * n[i]);
        c.star[0][i] = s->a_star[i];
        c.star[1][i] = s->b_star[i];
        c.star[2][i] = s->c_star[i];
    }
    return c;
}

/* x for the distances from the reflection. */
SPECIALISED double gaussian_exponent(const gaussian_constants *c, const shape_metric metric,
                                     double dh, double dk, double dl)
{
    switch (metric) {
    case METRIC_HKL:
        return MULTIPLY_ADD(c->along[2], dl * dl,
                            MULTIPLY_ADD(c->along[1], dk * dk, c->along[0] * (dh * dh)));
    case METRIC_RECIPROCAL:
        break;
    }
    double r[3];
    for (int i = 0; i < 3; i++)
        r[i] = MULTIPLY_ADD(dl, c->star[2][i], MULTIPLY_ADD(dk, c->star[1][i], dh * c->star[0][i]));
    return c->along_reciprocal * MULTIPLY_ADD(r[2], r[2], MULTIPLY_ADD(r[1], r[1], r[0] * r[0]));
}

/* x where all reflections have one F. */
SPECIALISED double gaussian_of_one_f(const gaussian_constants *c, const shape_metric metric,
                                     const double cell[9], double qx, double qy, double qz)
{
    double away[3];
    for (int i = 0; i < 3; i++) {
        const double *a = cell + (ptrdiff_t)3 * i;
        const double index = a[0] * qx + a[1] * qy + a[2] * qz;
        /* along h, k, l two reflections that are equally near are alike */
        away[i] = index - (metric == METRIC_HKL ? either_nearest(index) : nearest_index(index));
    }
    return gaussian_exponent(c, metric, away[0], away[1], away[2]);
}

/* Sets the exponents of one orientation in all lanes, and F^2 unless there is but one F.  `from`
 * and `metric` are constants where this is inlined.  Returns 0 if all F are 0. */
SPECIALISED int gaussian_exponents(const f_table *table, const gaussian_constants *c,
                                   const fast_view *view, const f_origin from,
                                   const shape_metric metric, const double *cell, lanes exponent,
                                   lanes f_sqr)
{
    lanes h, k, l, h0, k0, l0, f;
    if (from == ONE_F) {
        EACH_LANE
            exponent[j] = gaussian_of_one_f(c, metric, cell, view->qx[j], view->qy[j], view->qz[j]);
        return 1;
    }
    miller_indices(cell, view, h, k, l);
    nearest_indices(h, k, l, h0, k0, l0);
    if (!table_f(table, from == INSIDE_TABLE, h0, k0, l0, f))
        return 0;
    EACH_LANE
        f_sqr[j] = f[j] * f[j];
    EACH_LANE
        exponent[j] = gaussian_exponent(c, metric, h[j] - h0[j], k[j] - k0[j], l[j] - l0[j]);
    return 1;
}

/* Adds a step where all reflections have one F, but for that F. */
SPECIALISED void add_gaussian_of_one_f(const gaussian_constants *c, const shape_metric metric,
                                       const double *cell, const fast_view *view, lanes sum)
{
    const double *qx = view->qx, *qy = view->qy, *qz = view->qz;
#if defined(POWERS_HAVE_TABLE)
    lanes exponent;
    EACH_LANE
        exponent[j] = gaussian_of_one_f(c, metric, cell, qx[j], qy[j], qz[j]);
    add_powers_of_half(exponent, NULL, LANES, sum);
#else
    EACH_LANE { /* one loop keeps more in registers */
        const double x = gaussian_of_one_f(c, metric, cell, qx[j], qy[j], qz[j]);
        sum[j] += power_of_half(smaller(x, LARGEST_HALVINGS));
    }
#endif
}

/* Adds a step with F^2 of its own. */
SPECIALISED void add_gaussian(const lanes exponent, const lanes f_sqr, lanes sum,
                              lanes brightest_f_sqr)
{
#if defined(POWERS_HAVE_TABLE)
    add_powers_of_half(exponent, f_sqr, LANES, sum);
    EACH_LANE
        brightest_f_sqr[j] = larger(f_sqr[j], brightest_f_sqr[j]);
#else
    EACH_LANE {
        const double e = power_of_half(smaller(exponent[j], LARGEST_HALVINGS));
        sum[j] = MULTIPLY_ADD(f_sqr[j], e, sum[j]);
        brightest_f_sqr[j] = larger(f_sqr[j], brightest_f_sqr[j]);
    }
#endif
}

/* All steps of a view, without any factors.  brightest_f_sqr: the largest F^2.  `from` and `metric`
 * are constants where this is inlined.  Returns 0 if cancelled. */
SPECIALISED int sum_gaussian_steps(const nbh_plan *plan, const fast_view *view, const f_origin from,
                                   const shape_metric metric, const volatile int32_t *cancel,
                                   lanes sum, lanes brightest_f_sqr)
{
    const nbh_plan_info *info = &plan->info;
    const f_table table = table_of(plan);
    const gaussian_constants c = gaussian_constants_of(&plan->shape);
    const double f = plan->table.default_f, one_f_sqr = from == ONE_F ? f * f : 0.0;
    lanes all; /* not `sum`, which might be what is read here */
    EACH_LANE {
        all[j] = 0.0;
        brightest_f_sqr[j] = one_f_sqr;
    }
    for (int32_t phi_step = 0; phi_step < info->phi_steps; phi_step++) {
        for (int32_t first = 0; first < info->mosaic_domains; first += ORIENTATION_CELLS) {
            if (plan_is_cancelled(cancel, 0))
                return 0;
            double scratch[9 * ORIENTATION_CELLS];
            const int32_t left = info->mosaic_domains - first;
            const int32_t count = left < ORIENTATION_CELLS ? left : ORIENTATION_CELLS;
            const double *cell = orientation_cells(plan, phi_step, first, count, scratch);
            for (int32_t n = 0; n < count; n++, cell += 9) {
                lanes exponent, f_sqr;
                if (from == ONE_F)
                    add_gaussian_of_one_f(&c, metric, cell, view, all);
                else if (gaussian_exponents(&table, &c, view, from, metric, cell, exponent, f_sqr))
                    add_gaussian(exponent, f_sqr, all, brightest_f_sqr);
            }
        }
    }
    EACH_LANE
        sum[j] = from == ONE_F ? all[j] * one_f_sqr : all[j];
    return 1;
}

SPECIALISED int sum_gaussians_of_metric(const nbh_plan *plan, const fast_view *view,
                                        const shape_metric metric, const volatile int32_t *cancel,
                                        lanes sum, lanes brightest)
{
    if (plan->table.amplitude == NULL)
        return sum_gaussian_steps(plan, view, ONE_F, metric, cancel, sum, brightest);
    return stays_in_table(plan, view)
               ? sum_gaussian_steps(plan, view, INSIDE_TABLE, metric, cancel, sum, brightest)
               : sum_gaussian_steps(plan, view, TABLE, metric, cancel, sum, brightest);
}

OUT_OF_LINE int sum_every_gaussian(const nbh_plan *plan, const fast_view *view,
                                   const volatile int32_t *cancel, lanes sum, lanes brightest)
{
    switch (plan->shape.metric) {
    case METRIC_HKL:
        return sum_gaussians_of_metric(plan, view, METRIC_HKL, cancel, sum, brightest);
    case METRIC_RECIPROCAL:
        break;
    }
    return sum_gaussians_of_metric(plan, view, METRIC_RECIPROCAL, cancel, sum, brightest);
}

/* Are steps of the plan powers of two, added up before any factor? */
static inline int adds_gaussians(const nbh_plan *plan, const fast_view *view)
{
    switch (plan->shape.profile) {
    case PROFILE_GAUSSIAN:
        return plan->domain_weights == NULL && !view->interpolates && !multiplies_sum(plan) &&
               shape_has_exponents(&plan->shape);
    case PROFILE_INTERFERENCE:
    case PROFILE_SPHERE:
    case PROFILE_TOP_HAT:
        return 0;
    }
    return 0;
}

/* All phi steps and domains of one view, of every shape; see add_steps.  Returns 0 if cancelled. */
static inline int add_every_step(const nbh_plan *plan, const fast_view *view,
                                 const volatile int32_t *cancel, fast_sums *s)
{
    if (!adds_gaussians(plan, view))
        return add_steps(plan, view, cancel, s);
    const double peak = shape_peak(&plan->shape), peak_sqr = peak * peak;
    const double lost = (double)plan->info.phi_steps * plan->info.mosaic_domains * LOST_GAUSSIAN;
    lanes sum, brightest, largest;
    if (view_has_factors(plan, view))
        check_factors(view, s);
    if (!sum_every_gaussian(plan, view, cancel, sum, brightest))
        return 0;
    largest_factors(plan, view, largest);
    EACH_LANE {
        sum[j] = sum[j] * peak_sqr * view->factor[j];
        s->brightest_f[j] = larger(s->brightest_f[j], sqrt(brightest[j]) * view->active[j]);
        s->slack[j] += lost * peak_sqr * brightest[j] * largest[j];
    }
    for (int n = 0; n < view->step_count; n++)
        EACH_LANE
            sum[j] *= view->steps[n][j];
    EACH_LANE
        s->intensity[j] += view->active[j] != 0.0 ? sum[j] : 0.0;
    allow_for_steps(plan, view, s);
    return 1;
}

#endif
