/* pixel.h - the kernel: one pixel from start to end (model 6.1 to 6.8).
 *
 * The one place where a pixel is computed.  It is included by render.c and trace.c and compiled
 * for each purpose with a constant mode, so that recording costs the render nothing. */
#ifndef NBH_PIXEL_H
#define NBH_PIXEL_H

#include <math.h>
#include <stddef.h>

#include "interpolation.h"
#include "plan.h"
#include "polarization.h"
#include "vec3.h"

typedef enum pixel_mode {
    PIXEL_RENDER, /* the pixel's value */
    PIXEL_TRACE,  /* the same, recording the first and last step */
    PIXEL_SETTLE, /* only what changes the serial state: is any source used, the polarization axis
                   */
    PIXEL_SCAN    /* only whether the interpolation latch falls */
} pixel_mode;

typedef struct pixel_result {
    double value;     /* before rounding to float */
    double omega_sum; /* over all sub-pixel visits */
    /* the factors as they stand when the pixel is finished */
    double intensity, capture, polar, omega;
    double polar_axis[3]; /* serial state after the pixel */
    int32_t any_source;   /* 0: dmin cut every source */
    int32_t cancelled;    /* 1: nothing else is set */
    int32_t latch_fell;
} pixel_result;

/* Lab position of a sub-pixel at detector coordinates in metres (model 6.2). */
static inline void pixel_position(const nbh_plan *plan, double fast_m, double slow_m,
                                  double depth_m, double out[3])
{
    const nbh_plan_info *info = &plan->info;
    for (int i = 0; i < 3; i++)
        out[i] = fast_m * info->fast_axis[i] + slow_m * info->slow_axis[i] +
                 depth_m * info->normal_axis[i] + info->pix0_m[i];
    if (plan->curved) { /* C-PARITY-008 */
        const double distance = info->distance_m;
        double bent[3];
        vec3_scale(info->beam_direction, distance, bent);
        vec3_rotate_axis(bent, info->slow_axis, out[1] / distance, bent);
        vec3_rotate_axis(bent, info->fast_axis, out[2] / distance, out);
    }
}

/* Solid angle of a pixel at distance r from the sample (model 6.2). */
static inline double pixel_solid_angle(const nbh_plan *plan, double r)
{
    if (plan->point_pixel)
        return 1.0 / r / r;
    const double pixel = plan->info.pixel_size_m;
    return pixel * pixel / r / r * plan->info.close_distance_m / r;
}

/* Fraction of photons absorbed in a sensor layer (model 6.2). */
static inline double pixel_capture(const nbh_plan *plan, int layer, const double diffracted[3])
{
    const nbh_plan_info *info = &plan->info;
    const double parallax = vec3_dot(diffracted, info->normal_axis);
    const double step = info->sensor_layer_step_m, mu = info->sensor_attenuation_per_m;
    return exp(-layer * step * mu / parallax) - exp(-(layer + 1) * step * mu / parallax);
}

/* a, b, c (9 doubles) of a phi step and mosaic domain; scratch is used where no table is kept. */
static inline const double *pixel_cell(const nbh_plan *plan, int first_loop, int32_t phi_step,
                                       int32_t domain, double scratch[9])
{
    if (plan->cells != NULL && !first_loop)
        return plan->cells + 9 * ((int64_t)phi_step * plan->info.mosaic_domains + domain);
    const double *phi_cells =
        first_loop && plan->first_phi_cells != NULL ? plan->first_phi_cells : plan->phi_cells;
    const double *cell = phi_cells + 9 * (int64_t)phi_step;
    if (!(plan->info.mosaic_spread_rad > 0.0))
        return cell;
    for (int i = 0; i < 9; i += 3)
        vec3_rotate_matrix(cell + i, plan->mosaic + 9 * (int64_t)domain, scratch + i);
    return scratch;
}

/* ceil(x - 0.5), the nearest index (model 6.5), without a library call where an int64 holds it. */
static inline double pixel_nearest_index(double x)
{
    const double y = x - 0.5;
    if (!(fabs(y) < 1e15))
        return ceil(y);
    const double truncated = (double)(int64_t)y;
    return truncated < y ? truncated + 1.0 : truncated;
}

/* Structure factor of the nearest reflection (model 6.5). */
static inline double pixel_nearest_f(const nbh_structure_factors *table, const double hkl0[3])
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

/* Does the interpolation latch fall at hkl (model 6.5)? */
static inline int pixel_latch_falls(const nbh_plan *plan, const double hkl[3])
{
    const nbh_structure_factors *t = &plan->table;
    return hkl[0] - t->h_min + 3 > plan->h_range || hkl[0] - 2 < t->h_min ||
           hkl[1] - t->k_min + 3 > plan->k_range || hkl[1] - 2 < t->k_min ||
           hkl[2] - t->l_min + 3 > plan->l_range || hkl[2] - 2 < t->l_min;
}

/* Interpolated structure factor (model 6.7); NaN indices give the default as no node exists. */
static inline double pixel_interpolated_f(const nbh_structure_factors *t, const double hkl[3])
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

/* One pass over the pixel.  `start` is the serial state it inherits; cancel may be NULL, is looked
 * at before every phi step and ends the pass; trace may be NULL unless mode is PIXEL_TRACE. */
static inline void pixel_compute(const nbh_plan *plan, const serial_state *start, int32_t fast,
                                 int32_t slow, pixel_mode mode, const volatile int32_t *cancel,
                                 pixel_result *out, nbh_trace *trace)
{
    const nbh_plan_info *info = &plan->info;
    const int32_t oversample = info->oversample;
    const int running_product = (plan->quirks & NBH_QUIRK_OVERSAMPLE_RUNNING_PRODUCT) != 0;
    const int per_step_factors =
        plan->oversample_thick || plan->oversample_polar || plan->oversample_omega;
    const int no_water = plan->water_size_m == 0.0;
    const int factor_can_vanish = plan->shape.shape != NBH_SHAPE_SQUARE;

    double intensity = info->water_background;
    double polar = plan->polarization_off ? 1.0 : 0.0;
    double omega = 0.0, capture = 0.0, omega_sum = 0.0;
    double axis[3];
    vec3_copy(start->polar_axis, axis);
    int first_loop = start->first_loop;
    int interpolate = start->interpolate;
    out->any_source = 0;
    out->cancelled = 0;
    out->latch_fell = 0;

    for (int32_t layer = 0; layer < info->sensor_layers; layer++) {
        const double depth_m = layer * info->sensor_layer_step_m;
        capture = info->sensor_thickness_m > 0.0 ? 0.0 : 1.0;
        for (int32_t sub_slow = 0; sub_slow < oversample; sub_slow++) {
            for (int32_t sub_fast = 0; sub_fast < oversample; sub_fast++) {
                const double fast_m = plan->subpixel_m * ((double)fast * oversample + sub_fast) +
                                      plan->subpixel_m / 2.0;
                const double slow_m = plan->subpixel_m * ((double)slow * oversample + sub_slow) +
                                      plan->subpixel_m / 2.0;
                double position[3], d[3];
                pixel_position(plan, fast_m, slow_m, depth_m, position);
                const double r = vec3_mag(position);
                vec3_unit(position, d);
                if (omega == 0.0 || plan->oversample_omega)
                    omega = pixel_solid_angle(plan, r);
                omega_sum += omega;
                if (capture == 0.0 || plan->oversample_thick)
                    capture = pixel_capture(plan, layer, d);

                for (int32_t source = 0; source < info->source_count; source++) {
                    const plan_source *from = &plan->sources[source];
                    double q[3];
                    for (int i = 0; i < 3; i++)
                        q[i] = (d[i] - from->incident[i]) / from->wavelength_m;
                    if (plan->dmin_m > 0.0) {
                        const double stol = 0.5 * vec3_mag(q);
                        if (stol > 0.0 && plan->dmin_m > 0.5 / stol)
                            continue;
                    }
                    out->any_source = 1;
                    double before[3]; /* d as q saw it */
                    if (mode == PIXEL_TRACE)
                        vec3_copy(d, before);
                    if (polar == 0.0 || plan->oversample_polar) {
                        vec3_unit(d, d);
                        if (!start->axis_is_fixed)
                            vec3_unit(axis, axis);
                        polar = polarization_factor(plan->polarization_kahn, from->incident_unit, d,
                                                    axis);
                    }
                    if (mode == PIXEL_SETTLE)
                        continue;

                    for (int32_t phi_step = 0; phi_step < info->phi_steps; phi_step++) {
                        if (cancel != NULL && *cancel != 0) {
                            out->cancelled = 1;
                            return;
                        }
                        for (int32_t domain = 0; domain < info->mosaic_domains; domain++) {
                            double scratch[9], hkl[3], hkl0[3], factors[3];
                            const double *cell =
                                pixel_cell(plan, first_loop, phi_step, domain, scratch);
                            double f_cell = 0.0, f_latt = 0.0;
                            for (int i = 0; i < 3; i++) {
                                hkl[i] = vec3_dot(&cell[(ptrdiff_t)3 * i], q);
                                hkl0[i] = pixel_nearest_index(hkl[i]);
                            }
                            if (mode == PIXEL_SCAN) {
                                if (factor_can_vanish && no_water &&
                                    shape_lattice_factor(&plan->shape, hkl, hkl0, factors) == 0.0)
                                    continue;
                                if (pixel_latch_falls(plan, hkl)) {
                                    out->latch_fell = 1;
                                    return;
                                }
                                continue;
                            }
                            /* a dark reflection adds nothing: skip its sines */
                            if (mode == PIXEL_RENDER && !interpolate && !per_step_factors) {
                                f_cell = pixel_nearest_f(&plan->table, hkl0);
                                if (f_cell == 0.0 && isfinite(hkl[0] + hkl[1] + hkl[2]))
                                    continue;
                            }
                            f_latt = shape_lattice_factor(&plan->shape, hkl, hkl0, factors);
                            const int skip = f_latt == 0.0 && no_water;
                            if (!skip) {
                                if (interpolate && pixel_latch_falls(plan, hkl)) {
                                    interpolate = 0; /* C-PARITY-005 */
                                    out->latch_fell = 1;
                                }
                                if (interpolate)
                                    f_cell = pixel_interpolated_f(&plan->table, hkl);
                                else if (mode == PIXEL_TRACE || per_step_factors ||
                                         start->interpolate)
                                    f_cell = pixel_nearest_f(&plan->table, hkl0);
                                double term = f_cell * f_cell * f_latt * f_latt;
                                if (running_product) { /* C-PARITY-002 */
                                    intensity += term;
                                    if (plan->oversample_thick)
                                        intensity *= capture;
                                    if (plan->oversample_polar)
                                        intensity *= polar;
                                    if (plan->oversample_omega)
                                        intensity *= omega;
                                } else {
                                    if (plan->oversample_thick)
                                        term *= capture;
                                    if (plan->oversample_polar)
                                        term *= polar;
                                    if (plan->oversample_omega)
                                        term *= omega;
                                    intensity += term;
                                }
                            }
                            if (mode == PIXEL_TRACE) {
                                nbh_step_trace step = {0};
                                step.layer = layer;
                                step.sub_slow = sub_slow;
                                step.sub_fast = sub_fast;
                                step.source = source;
                                step.phi_step = phi_step;
                                step.domain = domain;
                                vec3_copy(position, step.pixel_pos_m);
                                step.airpath_m = r;
                                vec3_copy(before, step.diffracted);
                                vec3_copy(from->incident, step.incident);
                                step.wavelength_m = from->wavelength_m;
                                vec3_copy(q, step.q_per_m);
                                step.stol_per_m = 0.5 * vec3_mag(q);
                                step.phi_rad = plan->phi[phi_step];
                                vec3_copy(cell, step.a_m);
                                vec3_copy(cell + 3, step.b_m);
                                vec3_copy(cell + 6, step.c_m);
                                vec3_copy(hkl, step.hkl);
                                vec3_copy(hkl0, step.hkl_rounded);
                                step.f_latt_a = factors[0];
                                step.f_latt_b = factors[1];
                                step.f_latt_c = factors[2];
                                step.f_latt = f_latt;
                                step.f_cell = skip ? trace->last.f_cell : f_cell;
                                if (!trace->evaluated)
                                    trace->first = step;
                                trace->last = step;
                                trace->evaluated = 1;
                            }
                        }
                    }
                    first_loop = 0;
                }
            }
        }
    }

    double value = plan->scale * intensity / info->steps;
    if (!plan->oversample_thick)
        value *= capture;
    if (!plan->oversample_polar)
        value *= polar;
    if (!plan->oversample_omega)
        value *= omega;
    out->value = 0.0 + value;
    out->omega_sum = omega_sum;
    out->intensity = intensity;
    out->capture = capture;
    out->polar = polar;
    out->omega = omega;
    vec3_copy(axis, out->polar_axis);
}

#endif
