/* culled_steps.h - the steps of one source that may have light, for several pixels at a time.
 *
 * Apart from steps.h, whose loops over all orientations a compiler vectorises as they are. */
#ifndef NBH_FAST_CULLED_STEPS_H
#define NBH_FAST_CULLED_STEPS_H

#include "fast/gaussian_steps.h"
#include "fast/light_bounds.h"
#include "fast/steps.h"

/* Lanes whose light is looked at together, and steps that wait together. */
#define PART 8
#define GAUSSIAN_BATCH 16

/* Numbers of orientations, ascending. */
typedef struct step_list {
    const int32_t *orientation;
    int32_t count;
} step_list;

/* See sum_interference_steps. */
SPECIALISED void sum_listed_interference(const nbh_plan *plan, const fast_view *view,
                                         const f_origin from, const sine_way way,
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
        parallelepiped_sines(n_cells, way, h, k, l, h0, k0, l0, numerator, denominator);
        EACH_LANE {
            const double above = from == ONE_F ? numerator[j] : f[j] * numerator[j];
            const double ratio = above / denominator[j];
            sum[j] = MULTIPLY_ADD(ratio, ratio, sum[j]);
            smallest_product[j] = smaller(smallest_product[j], fabs(numerator[j] * denominator[j]));
        }
    }
}

SPECIALISED void sum_of_planes_in(const nbh_plan *plan, const fast_view *view, const sine_way way,
                                  const step_list *list, lanes sum, lanes smallest)
{
    if (plan->table.amplitude == NULL)
        sum_listed_interference(plan, view, ONE_F, way, list, sum, smallest);
    else
        sum_listed_interference(plan, view, TABLE, way, list, sum, smallest);
}

OUT_OF_LINE void sum_of_planes(const nbh_plan *plan, const fast_view *view, const sine_way way,
                               const step_list *list, lanes sum, lanes smallest)
{
    switch (way) {
    case SINES:
        sum_of_planes_in(plan, view, SINES, list, sum, smallest);
        break;
    case SINES_NEAR_ZERO:
        sum_of_planes_in(plan, view, SINES_NEAR_ZERO, list, sum, smallest);
        break;
    case SINES_OF_TOLERANCE:
        sum_of_planes_in(plan, view, SINES_OF_TOLERANCE, list, sum, smallest);
        break;
    }
}

/* Steps of Gaussian crystals that wait for their exponentials: parts of lanes with light side by
 * side, and no branches between them. */
typedef struct gaussian_batch {
    lanes exponent[GAUSSIAN_BATCH];
    lanes f_sqr[GAUSSIAN_BATCH];
    int32_t part[GAUSSIAN_BATCH * (LANES / PART)]; /* the first lane: 32 for the second step */
    int32_t count, part_count;
    gaussian_constants constants;
    double darkest; /* exponents above it are those of steps without light */
} gaussian_batch;

static inline void set_gaussians(const nbh_plan *plan, gaussian_batch *batch)
{
    batch->constants = gaussian_constants_of(&plan->shape);
    batch->darkest = 2.0 * plan->shape.fudge / 0.63 / LN2 * plan->light->bounds.dark_from;
}

static inline void start_gaussians(gaussian_batch *batch, lanes sum)
{
    batch->count = batch->part_count = 0;
    EACH_LANE
        sum[j] = 0.0;
}

/* Adds what waits to the sum. */
SPECIALISED void sum_batch(const f_origin from, gaussian_batch *batch, lanes sum)
{
    const double *exponents = batch->exponent[0], *f_sqr = batch->f_sqr[0];
    for (int32_t n = 0; n < batch->part_count; n++) {
        const int32_t first = batch->part[n];
        const double *exponent = exponents + first, *f = f_sqr + first;
        double *to = sum + first % LANES;
        /* what is beyond the largest is less than the light of an omitted step */
        if (from == ONE_F)
            add_powers_of_half(exponent, NULL, PART, to);
        else
            add_powers_of_half(exponent, f, PART, to);
    }
    batch->count = batch->part_count = 0;
}

static inline void sum_gaussians(const nbh_plan *plan, gaussian_batch *batch, lanes sum)
{
    if (plan->table.amplitude == NULL)
        sum_batch(ONE_F, batch, sum);
    else
        sum_batch(TABLE, batch, sum);
}

/* The steps of the list, which wait; some are added to the sum. */
SPECIALISED void keep_list(const nbh_plan *plan, const fast_view *view, const f_origin from,
                           const shape_metric metric, const step_list *list, gaussian_batch *batch,
                           lanes sum)
{
    const double darkest = batch->darkest;
    const gaussian_constants c = batch->constants;
    const f_table table = table_of(plan);
    for (int32_t i = 0; i < list->count; i++) {
        if (batch->count == GAUSSIAN_BATCH)
            sum_gaussians(plan, batch, sum);
        const double *cell = plan->cells + 9 * (int64_t)list->orientation[i];
        double *exponent = batch->exponent[batch->count];
        if (!gaussian_exponents(&table, &c, view, from, metric, cell, exponent,
                                batch->f_sqr[batch->count]))
            continue;
        const uint64_t lit = lanes_below(exponent, darkest);
        for (int32_t first = 0; first < LANES; first += PART) {
            batch->part[batch->part_count] = LANES * batch->count + first;
            batch->part_count += (lit >> first & ((1 << PART) - 1)) != 0;
        }
        batch->count++;
    }
}

static inline void keep_gaussians(const nbh_plan *plan, const fast_view *view,
                                  const step_list *list, gaussian_batch *batch, lanes sum)
{
    const int has_one_f = plan->table.amplitude == NULL;
    switch (plan->shape.metric) {
    case METRIC_HKL:
        if (has_one_f)
            keep_list(plan, view, ONE_F, METRIC_HKL, list, batch, sum);
        else
            keep_list(plan, view, TABLE, METRIC_HKL, list, batch, sum);
        break;
    case METRIC_RECIPROCAL:
        if (has_one_f)
            keep_list(plan, view, ONE_F, METRIC_RECIPROCAL, list, batch, sum);
        else
            keep_list(plan, view, TABLE, METRIC_RECIPROCAL, list, batch, sum);
        break;
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

/* Adds all that waited, with the factors of the view, and begins anew. */
static inline void add_gaussians(const nbh_plan *plan, const fast_view *view, gaussian_batch *batch,
                                 lanes sum, fast_sums *s)
{
    const double peak = shape_peak(&plan->shape);
    sum_gaussians(plan, batch, sum);
    add_listed_sum(plan, view, peak * peak, sum, s);
    start_gaussians(batch, sum);
}

/* PROFILE_INTERFERENCE; see add_interference. */
static inline void add_listed_planes(const nbh_plan *plan, const fast_view *view,
                                     const step_list *list, fast_sums *s)
{
    lanes sum, smallest, is_small;
    const sine_way way = plan->tolerance_photons > 0.0 ? SINES_OF_TOLERANCE : SINES;
    sum_of_planes(plan, view, way, list, sum, smallest);
    EACH_LANE
        is_small[j] = smallest[j] < plan->smallest_product ? 1.0 : 0.0;
    if (any_is_set(is_small))
        sum_of_planes(plan, view, SINES_NEAR_ZERO, list, sum, smallest);
    add_listed_sum(plan, view, 1.0, sum, s);
    EACH_LANE
        s->smallest_product[j] = smaller(s->smallest_product[j], smallest[j]);
}

SPECIALISED void add_listed_any(const nbh_plan *plan, const fast_view *view,
                                const shape_profile profile, const step_list *list, fast_sums *s)
{
    const step_rules rules = rules_of(plan, view);
    lanes largest;
    largest_factors(plan, view, largest);
    lattice_factors latt;
    EACH_LANE
        latt.smallest_product[j] = s->smallest_product[j];
    for (int32_t i = 0; i < list->count; i++)
        /* whichever domain it is: none has a weight (light_setup.c) */
        add_any_step(plan, view, profile, &rules, plan->cells + 9 * (int64_t)list->orientation[i],
                     0, largest, &latt, s);
    EACH_LANE
        s->smallest_product[j] = latt.smallest_product[j];
}

/* Adds the steps of a list, of which no other is a sum of its own; see add_steps. */
static inline void add_listed_steps(const nbh_plan *plan, const fast_view *view,
                                    const step_list *list, fast_sums *s)
{
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
        add_listed_any(plan, view, PROFILE_GAUSSIAN, list, s);
        break;
    case PROFILE_TOP_HAT:
        add_listed_any(plan, view, PROFILE_TOP_HAT, list, s);
        break;
    }
}

/* Instead of adding anything: `exact` becomes NaN where a step of the list may switch interpolation
 * off: a node is outside of the table, and the lattice factor is not known to be 0. */
SPECIALISED void scan_listed_any(const nbh_plan *plan, const fast_view *view,
                                 const shape_profile profile, const step_list *list, fast_sums *s)
{
    const int skips_zeros = plan->water_size_m == 0.0 && profile_tells_zeros(profile);
    lattice_factors latt;
    for (int32_t i = 0; i < list->count; i++) {
        lanes h, k, l, leaves;
        miller_indices(plan->cells + 9 * (int64_t)list->orientation[i], view, h, k, l);
        stencils_leave_table(plan, h, k, l, leaves);
        if (!any_is_set(leaves))
            continue;
        EACH_LANE
            latt.is_zero[j] = 0.0;
        if (skips_zeros)
            lattice_of(plan, profile, h, k, l, &latt);
        EACH_LANE
            s->exact[j] = ((leaves[j] != 0.0) & (view->active[j] != 0.0) & (latt.is_zero[j] == 0.0))
                              ? NAN
                              : s->exact[j];
    }
}

static inline void scan_listed_steps(const nbh_plan *plan, const fast_view *view,
                                     const step_list *list, fast_sums *s)
{
    switch (plan->shape.profile) {
    case PROFILE_INTERFERENCE: /* which tells no zeros either */
    case PROFILE_SPHERE:
        scan_listed_any(plan, view, PROFILE_SPHERE, list, s);
        break;
    case PROFILE_GAUSSIAN:
        scan_listed_any(plan, view, PROFILE_GAUSSIAN, list, s);
        break;
    case PROFILE_TOP_HAT:
        scan_listed_any(plan, view, PROFILE_TOP_HAT, list, s);
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
    largest_factors(plan, view, largest);
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
