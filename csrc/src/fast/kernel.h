/* kernel.h - several pixels at a time; compiled once for each instruction set, by kernel_*.c.
 *
 * NBH_FAST_FMA says that fused multiply-add is fast.  Up to the lattice factors' arguments, and in
 * all factors, this file repeats pixel.h's operations in pixel.h's order. */
#ifndef NBH_FAST_KERNEL_H
#define NBH_FAST_KERNEL_H

#include <math.h>

#include "fast/gaussian_steps.h"
#include "fast/polarization_factors.h"
#include "fast/profiles.h"
#include "fast/steps.h"
#include "pixel_factors.h"
#include "subpixel.h"
#include "vec3.h"

#define STEP_ERROR 2.5e-16
#define LARGEST_SUM 1e250
/* More than what the last operations of a pixel lose below the smallest normal double, and a normal
 * double still when solid angles have multiplied it. */
#define LOST_AT_END 1e-290
/* Where the running product has more factors, their errors would leave too many pixels undecided.
 */
#define MOST_QUICK_POLARIZATIONS 500.0

/* What a block carries from sub-pixel to sub-pixel; see pixel_compute for the meaning. */
typedef struct block_state {
    fast_sums sums;
    lanes polar, omega, capture, omega_sum, first_omega;
    double first_d[LANES][3]; /* see plan->needs_first_d */
    int polar_is_pending;
    int interpolates;
    int scans; /* only looks where interpolation may be switched off */
} block_state;

/* Lane j as the functions want it that the exact kernel uses, too. */
static inline pixel_origin lane_origin(const nbh_plan *plan, const block_state *s, int j)
{
    pixel_origin origin = {.polar_axis = plan_last_state(plan)->state.polar_axis};
    vec3_copy(s->first_d[j], origin.first_d);
    return origin;
}

/* How often a term is multiplied by a polarization factor. */
static inline double polarization_count(const nbh_plan *plan)
{
    if (plan->oversample_polar && multiplies_sum(plan))
        return (double)plan->info.steps * plan->info.sensor_layers;
    return 1.0;
}

/* May the polarization factors have an error?  Not where the bound has no room for it. */
static inline int polarizes_quickly(const nbh_plan *plan, const plan_source *from)
{
    return from->frame_is_good && !profile_is_exact(plan->shape.profile) &&
           polarization_count(plan) <= MOST_QUICK_POLARIZATIONS;
}

/* Polarization factors of the directions d, which are unit vectors if they have to be exact. */
static inline void polarization_of(const nbh_plan *plan, const plan_source *from, const lanes dx,
                                   const lanes dy, const lanes dz, lanes factor)
{
    if (polarizes_quickly(plan, from)) {
        quick_polarization(plan->polarization_kahn, from, dx, dy, dz, factor);
        return;
    }
    if (plan->polarization_kahn == 0.0) {
        unpolarized_factor(from->incident_unit, dx, dy, dz, factor);
        return;
    }
    double axis[3];
    vec3_unit(plan_last_state(plan)->state.polar_axis, axis); /* a fixed point */
    exact_polarization(plan->polarization_kahn, from->incident_unit, axis, dx, dy, dz, factor);
}

/* Polarization factor of the lanes that are active and have none yet, or of all that are active
 * (model 6.3, 6.6).  is_last: nobody looks at the directions any more. */
static inline void polarize(const nbh_plan *plan, const plan_source *from, int is_last,
                            const lanes active, lanes dx, lanes dy, lanes dz, block_state *s)
{
    lanes ux, uy, uz, factor;
    if (is_last && polarizes_quickly(plan, from)) {
        EACH_LANE {
            ux[j] = dx[j];
            uy[j] = dy[j];
            uz[j] = dz[j];
        }
    } else {
        EACH_LANE {
            const double m = sqrt(dx[j] * dx[j] + dy[j] * dy[j] + dz[j] * dz[j]);
            const double per_m = 1.0 / m;
            ux[j] = quotient(dx[j], m, per_m);
            uy[j] = quotient(dy[j], m, per_m);
            uz[j] = quotient(dz[j], m, per_m);
        }
    }
    polarization_of(plan, from, ux, uy, uz, factor);
    /* whole loops in doubles: mixed with integers they would not be vectorised */
    const double again = plan->oversample_polar ? 1.0 : 0.0;
    lanes pending;
    EACH_LANE {
        const int now = (active[j] != 0.0) & ((s->polar[j] == 0.0) | (again != 0.0));
        dx[j] = now ? ux[j] : dx[j];
        dy[j] = now ? uy[j] : dy[j];
        dz[j] = now ? uz[j] : dz[j];
        s->polar[j] = now ? factor[j] : s->polar[j];
        pending[j] = s->polar[j] == 0.0 ? 1.0 : again;
    }
    s->polar_is_pending = any_is_set(pending);
}

/* The polarization factor that a sub-pixel has of its own (C-PARITY-036 off): of the source, or of
 * the first one that is active.  has_polar: the lanes that have it. */
static inline void polarize_sample(const nbh_plan *plan, const plan_source *from,
                                   const lanes active, const lanes dx, const lanes dy,
                                   const lanes dz, lanes has_polar, block_state *s)
{
    if (!plan->polar_per_source && all_are_set(has_polar))
        return;
    lanes factor;
    polarization_of(plan, from, dx, dy, dz, factor);
    const double again = plan->polar_per_source ? 1.0 : 0.0;
    EACH_LANE {
        const int now = (active[j] != 0.0) & ((has_polar[j] == 0.0) | (again != 0.0));
        s->polar[j] = now ? factor[j] : s->polar[j];
        has_polar[j] = now ? 1.0 : has_polar[j];
    }
}

/* The factors of a source's terms that are in no sum of the exact nanoBragg (model 6.3). */
static inline void source_factors(const nbh_plan *plan, int32_t source, const block_state *s,
                                  lanes factor)
{
    EACH_LANE
        factor[j] = plan->polar_per_sample ? s->polar[j] : 1.0;
    if (plan->polar_per_source && !plan->polar_per_sample) {
        lanes dx, dy, dz;
        EACH_LANE {
            dx[j] = s->first_d[j][0];
            dy[j] = s->first_d[j][1];
            dz[j] = s->first_d[j][2];
        }
        polarization_of(plan, &plan->sources[source], dx, dy, dz, factor);
    }
    if (plan->use_source_weights) {
        const double weight = plan->sources[source].relative_weight;
        EACH_LANE
            factor[j] *= weight;
    }
    if (plan->capture_per_layer || plan->capture_per_sample)
        EACH_LANE
            factor[j] *= s->capture[j];
    if (plan->omega_per_sample)
        EACH_LANE
            factor[j] *= s->omega[j];
}

/* Positions of a sub-pixel of one layer (model 6.2). */
static inline void positions(const nbh_plan *plan, const lanes fast_m, const lanes slow_m,
                             double depth_m, lanes px, lanes py, lanes pz)
{
    const nbh_plan_info *info = &plan->info;
    if (plan->curved) {
        EACH_LANE {
            double position[3];
            subpixel_position(plan, fast_m[j], slow_m[j], depth_m, position);
            px[j] = position[0];
            py[j] = position[1];
            pz[j] = position[2];
        }
        return;
    }
    const double *f = info->fast_axis, *g = info->slow_axis, *o = info->normal_axis,
                 *p0 = info->pix0_m;
    EACH_LANE {
        px[j] = fast_m[j] * f[0] + slow_m[j] * g[0] + depth_m * o[0] + p0[0];
        py[j] = fast_m[j] * f[1] + slow_m[j] * g[1] + depth_m * o[1] + p0[1];
        pz[j] = fast_m[j] * f[2] + slow_m[j] * g[2] + depth_m * o[2] + p0[2];
    }
}

/* Solid angle at the distances r (model 6.2). */
static inline void solid_angles(const nbh_plan *plan, const lanes r, const lanes per_r, lanes omega)
{
    const double area = plan->pixel_area_m2, close = plan->info.close_distance_m;
    if (!plan->has_pixel_area) {
        EACH_LANE
            omega[j] = quotient(per_r[j], r[j], per_r[j]);
    } else if (!plan->is_oblique) {
        EACH_LANE {
            const double over_r = quotient(area, r[j], per_r[j]);
            omega[j] = quotient(over_r, r[j], per_r[j]);
        }
    } else {
        EACH_LANE {
            const double over_r = quotient(area, r[j], per_r[j]);
            const double over_r_sqr = quotient(over_r, r[j], per_r[j]);
            omega[j] = quotient(over_r_sqr * close, r[j], per_r[j]);
        }
    }
}

/* Is x between 0 and what `quotient` may divide? */
static inline int is_too_small(double x)
{
    return (fabs(x) < SMALLEST_ORDINARY) & (x != 0.0);
}

/* Where a block stands among its sub-pixels. */
typedef struct block_position {
    int32_t layer;
    int is_first;
    int is_first_of_layer;
} block_position;

/* Solid angle and capture fraction of a sub-pixel, where they change (model 6.2). */
static inline void subpixel_factors(const nbh_plan *plan, const block_position *at,
                                    const lanes fast_m, const lanes slow_m, const lanes r,
                                    const lanes per_r, const lanes dx, const lanes dy,
                                    const lanes dz, block_state *s)
{
    /* a factor of exactly 0 is computed again at the next sub-pixel: leave that to pixel.h */
    if (at->is_first || plan->oversample_omega || plan->omega_per_sample) {
        solid_angles(plan, r, per_r, s->omega);
        if (at->is_first)
            EACH_LANE {
                s->first_omega[j] = s->omega[j];
                s->sums.exact[j] = s->omega[j] == 0.0 ? NAN : s->sums.exact[j];
            }
    }
    EACH_LANE
        s->omega_sum[j] += s->omega[j];
    const int has_sensor = plan->info.sensor_thickness_m > 0.0;
    if (plan->capture_per_sample) {
        EACH_LANE {
            const double d[3] = {dx[j], dy[j], dz[j]};
            s->capture[j] = pixel_sample_capture(plan, at->layer, fast_m[j], slow_m[j], d);
        }
    } else if (plan->oversample_thick || (at->is_first_of_layer && has_sensor)) {
        EACH_LANE {
            const double d[3] = {dx[j], dy[j], dz[j]};
            s->capture[j] = subpixel_capture(plan, at->layer, d);
        }
        if (!plan->oversample_thick)
            EACH_LANE
                s->sums.exact[j] = s->capture[j] == 0.0 ? NAN : s->sums.exact[j];
    } else if (at->is_first_of_layer) {
        EACH_LANE
            s->capture[j] = 1.0;
    }
}

/* One sub-pixel of one layer: position, solid angle, capture, then every source. */
static inline int add_subpixel(const nbh_plan *plan, const lanes fast_m, const lanes slow_m,
                               const block_position *at, const volatile int32_t *cancel,
                               block_state *s)
{
    const nbh_plan_info *info = &plan->info;
    lanes px, py, pz, r, per_r, dx, dy, dz;
    positions(plan, fast_m, slow_m, at->layer * info->sensor_layer_step_m, px, py, pz);
    EACH_LANE {
        r[j] = sqrt(px[j] * px[j] + py[j] * py[j] + pz[j] * pz[j]);
        per_r[j] = 1.0 / r[j];
        dx[j] = quotient(px[j], r[j], per_r[j]);
        dy[j] = quotient(py[j], r[j], per_r[j]);
        dz[j] = quotient(pz[j], r[j], per_r[j]);
    }
    EACH_LANE {
        const int far = is_too_small(px[j]) | is_too_small(py[j]) | is_too_small(pz[j]) |
                        (r[j] > LARGEST_ORDINARY);
        s->sums.exact[j] = far ? NAN : s->sums.exact[j];
    }
    subpixel_factors(plan, at, fast_m, slow_m, r, per_r, dx, dy, dz, s);

    fast_view view;
    view.step_count = 0;
    view.interpolates = s->interpolates;
    if (plan->oversample_thick)
        view.steps[view.step_count++] = s->capture;
    if (plan->oversample_polar)
        view.steps[view.step_count++] = s->polar;
    if (plan->oversample_omega)
        view.steps[view.step_count++] = s->omega;
    lanes has_polar = {0}; /* see polarize_sample */
    for (int32_t source = 0; source < info->source_count; source++) {
        const plan_source *from = &plan->sources[source];
        const int is_last = source == info->source_count - 1;
        const double wavelength_m = from->wavelength_m, per_wavelength = 1.0 / wavelength_m;
        EACH_LANE {
            view.qx[j] = quotient(dx[j] - from->incident[0], wavelength_m, per_wavelength);
            view.qy[j] = quotient(dy[j] - from->incident[1], wavelength_m, per_wavelength);
            view.qz[j] = quotient(dz[j] - from->incident[2], wavelength_m, per_wavelength);
            view.active[j] = 1.0;
            /* NaN where q is not finite */
            s->sums.exact[j] += (view.qx[j] + view.qy[j] + view.qz[j]) * 0.0;
        }
        if (plan->dmin_m > 0.0) {
            EACH_LANE {
                const double stol = 0.5 * sqrt(view.qx[j] * view.qx[j] + view.qy[j] * view.qy[j] +
                                               view.qz[j] * view.qz[j]);
                const int cut = (stol > 0.0) & (plan->dmin_m > 0.5 / stol);
                view.active[j] = cut ? 0.0 : 1.0;
            }
            if (!any_is_set(view.active))
                continue;
        }
        if (s->polar_is_pending)
            polarize(plan, from, is_last, view.active, dx, dy, dz, s);
        else if (plan->polar_per_sample)
            polarize_sample(plan, from, view.active, dx, dy, dz, has_polar, s);
        if (s->scans) {
            if (!scan_steps(plan, &view, cancel, &s->sums))
                return 0;
            continue;
        }
        source_factors(plan, source, s, view.factor);
        if (!add_every_step(plan, &view, cancel, &s->sums))
            return 0;
    }
    return 1;
}

/* The state before the first sub-pixel. */
static inline void start_block(const nbh_plan *plan, const int32_t *fast, const int32_t *slow,
                               block_state *s)
{
    /* all pixels interpolate or none does */
    const int64_t pixel = plan_pixel_number(plan, fast[0], slow[0]);
    s->interpolates =
        plan->info.interpolate && (plan->last_interpolated < 0 || pixel < plan->last_interpolated);
    s->polar_is_pending = !plan->polar_per_source && !plan->polar_per_sample &&
                          (!plan->polarization_off || plan->oversample_polar);
    EACH_LANE {
        s->sums.intensity[j] = plan->info.water_background;
        s->sums.slack[j] = s->sums.exact[j] = s->sums.brightest_f[j] = 0.0;
        s->sums.smallest_product[j] = 1.0;
        s->polar[j] = plan->polarization_off ? 1.0 : 0.0;
        s->omega[j] = s->capture[j] = s->omega_sum[j] = 0.0;
    }
    if (plan->needs_first_d) {
        EACH_LANE {
            subpixel_first_direction(plan, fast[j], slow[j], 0, s->first_d[j]);
            const pixel_origin origin = lane_origin(plan, s, j);
            s->sums.intensity[j] = pixel_water_background(plan, &origin, fast[j], slow[j]);
        }
    }
}

/* From the sums to the intervals (model 6.8). */
static inline void finish_block(const nbh_plan *plan, const int32_t *fast, const int32_t *slow,
                                const block_state *s, fast_block *out)
{
    const nbh_plan_info *info = &plan->info;
    const fast_sums *sums = &s->sums;
    /* Adding n terms, and multiplying n times, rounds as often here and in the exact kernel. */
    int operations = 1;
    if (multiplies_sum(plan))
        operations += (plan->oversample_thick != 0) + (plan->oversample_polar != 0) +
                      (plan->oversample_omega != 0);
    const double polarizations = polarization_count(plan);
    double error = TERM_ERROR + STEP_ERROR * operations * info->steps * info->sensor_layers;
    if (polarizations > 1.0 && polarizations <= MOST_QUICK_POLARIZATIONS)
        error += POLARIZATION_ERROR * polarizations;
    const double lattice_sqr = largest_lattice_sqr(plan), steps = info->steps;
    lanes low, high, factor;
    EACH_LANE {
        const double f = sums->brightest_f[j];
        const int in_range = (sums->intensity[j] < LARGEST_SUM) &
                             (f * f * lattice_sqr < LARGEST_SUM) & (sums->intensity[j] >= 0.0) &
                             (sums->smallest_product[j] >= plan->smallest_product);
        const double middle = in_range ? sums->intensity[j] : NAN;
        const double slack = 1.01 * sums->slack[j];
        low[j] = middle * (1.0 - error) - slack;
        low[j] = low[j] < 0.0 ? 0.0 : low[j]; /* no term is below 0 */
        high[j] = middle * (1.0 + error) + slack;
    }
    /* what follows rises (or falls) with the sum in every IEEE operation, so low and high bracket
     * the exact value */
    if (profile_is_exact(
            plan->shape.profile)) { /* the bits are the exact kernel's: nothing to allow for */
        EACH_LANE {
            const double sum = sums->intensity[j] + sums->exact[j];
            out->low[j] = out->high[j] = plan->scale * sum / steps;
        }
    } else {
        const double per_step = 1.0 / steps; /* off by less than the interval is wide */
        EACH_LANE {
            const double least = plan->scale * (low[j] + sums->exact[j]) * per_step - LOST_AT_END;
            out->low[j] = least < 0.0 ? 0.0 : least;
            out->high[j] = plan->scale * (high[j] + sums->exact[j]) * per_step + LOST_AT_END;
        }
    }
    memcpy(out->omega_sum, s->omega_sum, sizeof out->omega_sum);
    const double *factors[3];
    int count = 0;
    if (!plan->oversample_thick && !plan->capture_per_layer && !plan->capture_per_sample)
        factors[count++] = s->capture;
    if (!plan->oversample_polar && !plan->polar_per_source && !plan->polar_per_sample)
        factors[count++] = s->polar;
    if (!plan->oversample_omega && !plan->omega_per_sample)
        factors[count++] = s->omega;
    for (int n = 0; n < count; n++) {
        memcpy(factor, factors[n], sizeof factor);
        EACH_LANE {
            out->low[j] *= factor[j];
            out->high[j] *= factor[j];
        }
    }
    if (plan->water_electrons_sqr > 0.0) {
        EACH_LANE {
            const pixel_origin origin = lane_origin(plan, s, j);
            const double water = pixel_water(plan, &origin, fast[j], slow[j], s->first_omega[j]);
            out->low[j] += water;
            out->high[j] += water;
        }
    }
    EACH_LANE {
        out->low[j] = 0.0 + out->low[j];
        out->high[j] = 0.0 + out->high[j];
    }
    out->cancelled = 0;
}

/* A fast_kernel, for the instruction set of the file that includes this one. */
static inline void fast_compute_block(const nbh_plan *plan, const int32_t *fast,
                                      const int32_t *slow, fast_task task,
                                      const volatile int32_t *cancel, fast_block *out)
{
    const nbh_plan_info *info = &plan->info;
    const int32_t oversample = info->oversample;
    block_state s;
    s.scans = task == FAST_SCAN;
    start_block(plan, fast, slow, &s);
    block_position at = {.layer = 0, .is_first = 1};
    for (; at.layer < info->sensor_layers; at.layer++) {
        at.is_first_of_layer = 1;
        for (int32_t sub_slow = 0; sub_slow < oversample; sub_slow++) {
            lanes slow_m;
            EACH_LANE
                slow_m[j] = plan->subpixel_slow_m * ((double)slow[j] * oversample + sub_slow) +
                            plan->subpixel_slow_m / 2.0;
            for (int32_t sub_fast = 0; sub_fast < oversample; sub_fast++) {
                lanes fast_m;
                EACH_LANE
                    fast_m[j] = plan->subpixel_m * ((double)fast[j] * oversample + sub_fast) +
                                plan->subpixel_m / 2.0;
                if (!add_subpixel(plan, fast_m, slow_m, &at, cancel, &s)) {
                    out->cancelled = 1;
                    return;
                }
                at.is_first = at.is_first_of_layer = 0;
            }
        }
    }
    if (s.scans) {
        memcpy(out->low, s.sums.exact, sizeof out->low);
        out->cancelled = 0;
        return;
    }
    finish_block(plan, fast, slow, &s, out);
}

#endif
