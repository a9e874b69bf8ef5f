/* pixel.h - the kernel: one pixel from start to end (model 6.1 to 6.8).
 *
 * The one place where a pixel is computed.  It is compiled for each purpose with a constant mode,
 * so that recording costs the render nothing. */
#ifndef NBH_PIXEL_H
#define NBH_PIXEL_H

#include <math.h>
#include <stddef.h>

#include "orientations.h"
#include "pixel_factors.h"
#include "plan.h"
#include "polarization.h"
#include "reflection_lights.h"
#include "shapes.h"
#include "structure_factors.h"
#include "subpixel.h"
#include "trace_recorder.h"
#include "vec3.h"

typedef enum pixel_mode {
    PIXEL_RENDER, /* the pixel's value */
    PIXEL_TRACE,  /* the same, recording steps */
    PIXEL_LIGHT,  /* the light of each reflection instead */
    PIXEL_STATE, /* only what changes the serial state: is any source used, the polarization axis */
    PIXEL_SCAN   /* only whether interpolation is switched off */
} pixel_mode;

typedef struct pixel_result {
    double value;     /* before rounding to float */
    double omega_sum; /* over all samples: every sub-pixel of every layer */
    /* the factors as they stand when the pixel is finished */
    double intensity, capture, polar, omega;
    double polar_axis[3]; /* serial state after the pixel */
    int32_t any_source;   /* 0: dmin cut every source */
    int32_t cancelled;    /* 1: nothing else is set */
    int32_t switched_off; /* 1: interpolation, for all pixels after this one */
} pixel_result;

/* Where a pass over a pixel stands. */
typedef struct pixel_pass {
    const nbh_plan *plan;
    const serial_state *start;      /* what the pixel inherits */
    const volatile int32_t *cancel; /* may be NULL */
    trace_recorder *recorder;       /* may be NULL unless the mode is PIXEL_TRACE */
    reflection_lights *lights;      /* may be NULL unless the mode is PIXEL_LIGHT */
    pixel_result *out;

    double intensity, polar, omega, capture, omega_sum;
    double polar_axis[3];
    int first_loop, interpolate;

    int32_t layer, sub_slow, sub_fast, source;
    double position[3], airpath_m;
    pixel_origin origin;
} pixel_pass;

/* A term or a sum times the factors that the oversample options apply at every step (model 6.5). */
static inline double pixel_step_factors(const pixel_pass *pass, double value)
{
    const nbh_plan *plan = pass->plan;
    if (plan->oversample_thick)
        value *= pass->capture;
    if (plan->oversample_polar)
        value *= pass->polar;
    if (plan->oversample_omega)
        value *= pass->omega;
    return value;
}

/* Structure factor at hkl; may switch interpolation off for the rest of the run (model 6.5). */
static inline double pixel_f_cell(pixel_pass *pass, const double hkl[3], const double hkl0[3])
{
    const nbh_plan *plan = pass->plan;
    if (pass->interpolate) {
        if (!stencil_leaves_table(plan, hkl))
            return structure_factor_interpolated(&plan->table, hkl);
        if (plan->quirks & NBH_QUIRK_INTERPOLATION_LATCH) {
            pass->interpolate = 0;
            pass->out->switched_off = 1;
        }
    }
    return structure_factor_nearest(&plan->table, hkl0);
}

/* All phi steps and domains of one source (model 6.4, 6.5): the hot loop.  d is only recorded;
 * every term is multiplied by `factor`.  Returns 0 if the pass is over. */
static inline int pixel_add_steps(pixel_pass *pass, const pixel_mode mode, const double d[3],
                                  const double q[3], double factor)
{
    const nbh_plan *plan = pass->plan;
    const int no_water = plan->water_size_m == 0.0;
    const int may_vanish = shape_has_zeros(&plan->shape);
    const int has_step_factors =
        plan->oversample_thick || plan->oversample_polar || plan->oversample_omega;
    const int is_running_product = /* C-PARITY-002 */
        (plan->quirks & NBH_QUIRK_OVERSAMPLE_RUNNING_PRODUCT) != 0;
    const int may_skip_zero_f = (mode == PIXEL_RENDER || mode == PIXEL_LIGHT) &&
                                !has_step_factors && isfinite(factor) &&
                                shape_is_finite(&plan->shape) && plan_orientations_are_finite(plan);
    const int32_t phi_steps = plan->info.phi_steps, domains = plan->info.mosaic_domains;
    const double *weights = plan->domain_weights;
    double intensity = pass->intensity;
    for (int32_t phi_step = 0; phi_step < phi_steps; phi_step++) {
        for (int32_t domain = 0; domain < domains; domain++) {
            if (plan_is_cancelled(pass->cancel, domain)) {
                pass->out->cancelled = 1;
                return 0;
            }
            double scratch[9], hkl[3], hkl0[3], factors[3];
            const double *cell =
                orientation_cell(plan, pass->first_loop, phi_step, domain, scratch);
            for (int i = 0; i < 3; i++) {
                hkl[i] = vec3_dot(&cell[(ptrdiff_t)3 * i], q);
                hkl0[i] = miller_index_nearest(hkl[i]);
            }
            if (mode == PIXEL_SCAN) {
                if (may_vanish && no_water &&
                    shape_lattice_factor(&plan->shape, hkl, hkl0, factors) == 0.0)
                    continue;
                pass->out->switched_off = stencil_leaves_table(plan, hkl);
                if (pass->out->switched_off)
                    return 0;
                continue;
            }
            if (mode == PIXEL_LIGHT && !pass->interpolate &&
                reflection_is_far(&plan->shape, hkl, hkl0))
                continue;
            /* a reflection without F adds nothing: skip its sines */
            const int f_is_known = may_skip_zero_f && !pass->interpolate;
            double f_cell = mode == PIXEL_TRACE ? pass->recorder->trace->last.f_cell : 0.0;
            if (f_is_known) {
                f_cell = structure_factor_nearest(&plan->table, hkl0);
                if (f_cell == 0.0 && isfinite(hkl[0] + hkl[1] + hkl[2]))
                    continue;
            }
            const double f_latt = shape_lattice_factor(&plan->shape, hkl, hkl0, factors);
            const int has_no_f = f_latt == 0.0 && no_water;
            double term = 0.0;
            if (!has_no_f) {
                if (!f_is_known)
                    f_cell = pixel_f_cell(pass, hkl, hkl0);
                term = f_cell * f_cell * f_latt * f_latt * factor;
                if (weights != NULL)
                    term *= weights[domain];
                if (has_step_factors && !is_running_product)
                    term = pixel_step_factors(pass, term);
                intensity += term;
                if (mode == PIXEL_LIGHT)
                    reflection_lights_add(pass->lights, hkl0, term, plan->phi[phi_step]);
                if (has_step_factors && is_running_product)
                    intensity = pixel_step_factors(pass, intensity);
            }
            if (mode == PIXEL_TRACE) {
                const nbh_step_trace step = {.layer = pass->layer,
                                             .sub_slow = pass->sub_slow,
                                             .sub_fast = pass->sub_fast,
                                             .source = pass->source,
                                             .phi_step = phi_step,
                                             .domain = domain,
                                             .f_latt_a = factors[0],
                                             .f_latt_b = factors[1],
                                             .f_latt_c = factors[2],
                                             .f_latt = f_latt,
                                             .f_cell = f_cell,
                                             .term = term,
                                             .running_sum = intensity};
                const step_geometry at = {.position = pass->position,
                                          .diffracted = d,
                                          .q = q,
                                          .cell = cell,
                                          .hkl = hkl,
                                          .hkl0 = hkl0,
                                          .airpath_m = pass->airpath_m};
                recorder_add_step(pass->recorder, plan, &at, step, has_no_f);
            }
        }
    }
    pass->intensity = intensity;
    pass->first_loop = 0;
    return 1;
}

/* All sources at one sub-pixel in direction d (model 6.3).  Returns 0 if the pass is over. */
static inline int pixel_add_sources(pixel_pass *pass, const pixel_mode mode, double d[3])
{
    const nbh_plan *plan = pass->plan;
    int has_polar = 0; /* this sub-pixel, where each has its own factor (C-PARITY-036 off) */
    for (pass->source = 0; pass->source < plan->info.source_count; pass->source++) {
        const plan_source *from = &plan->sources[pass->source];
        double q[3], seen[3]; /* d as q saw it */
        for (int i = 0; i < 3; i++)
            q[i] = (d[i] - from->incident[i]) / from->wavelength_m;
        if (plan->dmin_m > 0.0) {
            const double stol = 0.5 * vec3_mag(q);
            if (stol > 0.0 && plan->dmin_m > 0.5 / stol)
                continue;
        }
        pass->out->any_source = 1;
        vec3_copy(d, seen);
        double factor = 1.0;
        if (plan->polar_per_sample) {
            if (plan->polar_per_source || !has_polar)
                pass->polar = pixel_polarization_of(plan, &pass->origin, pass->source, d);
            has_polar = 1;
            factor *= pass->polar;
        } else if (plan->polar_per_source) {
            pass->polar = pixel_source_polarization(plan, &pass->origin, pass->source);
            factor *= pass->polar;
        } else if (pass->polar == 0.0 || plan->oversample_polar) {
            vec3_unit(d, d);
            if (!pass->start->axis_is_fixed)
                vec3_unit(pass->polar_axis, pass->polar_axis);
            pass->polar = polarization_factor(plan->polarization_kahn, from->incident_unit, d,
                                              pass->polar_axis);
        }
        if (mode == PIXEL_STATE)
            continue;
        if (plan->use_source_weights)
            factor *= from->relative_weight;
        if (plan->capture_per_layer || plan->capture_per_sample)
            factor *= pass->capture;
        if (plan->omega_per_sample)
            factor *= pass->omega;
        if (!pixel_add_steps(pass, mode, seen, q, factor))
            return 0;
    }
    return 1;
}

/* One sub-pixel of one layer (model 6.2).  Returns 0 if the pass is over. */
static inline int pixel_add_subpixel(pixel_pass *pass, const pixel_mode mode, int32_t fast,
                                     int32_t slow)
{
    const nbh_plan *plan = pass->plan;
    const double fast_m = subpixel_fast(plan, fast, pass->sub_fast);
    const double slow_m = subpixel_slow(plan, slow, pass->sub_slow);
    double d[3];
    subpixel_position(plan, fast_m, slow_m, pass->layer * plan->info.sensor_layer_step_m,
                      pass->position);
    pass->airpath_m = vec3_mag(pass->position);
    vec3_unit(pass->position, d);
    if (pass->omega == 0.0 || plan->oversample_omega || plan->omega_per_sample)
        pass->omega = subpixel_solid_angle(plan, pass->airpath_m);
    pass->omega_sum += pass->omega;
    if (plan->capture_per_sample)
        pass->capture = pixel_sample_capture(plan, pass->layer, fast_m, slow_m, d);
    else if (pass->capture == 0.0 || plan->oversample_thick)
        pass->capture = subpixel_capture(plan, pass->layer, d);
    return pixel_add_sources(pass, mode, d);
}

/* What makes a pixel of the sum of its terms (model 6.8). */
static inline double pixel_scaled(const pixel_pass *pass, double sum)
{
    const nbh_plan *plan = pass->plan;
    double value = plan->scale * sum / plan->info.steps;
    if (!plan->oversample_thick && !plan->capture_per_layer && !plan->capture_per_sample)
        value *= pass->capture;
    if (!plan->oversample_polar && !plan->polar_per_source && !plan->polar_per_sample)
        value *= pass->polar;
    if (!plan->oversample_omega && !plan->omega_per_sample)
        value *= pass->omega;
    return value;
}

/* One pass over the pixel.  `start` is the serial state it inherits; for cancel, recorder and
 * lights see pixel_pass. */
static inline void pixel_compute(const nbh_plan *plan, const serial_state *start, int32_t fast,
                                 int32_t slow, pixel_mode mode, const volatile int32_t *cancel,
                                 pixel_result *out, trace_recorder *recorder,
                                 reflection_lights *lights)
{
    const nbh_plan_info *info = &plan->info;
    pixel_pass pass = {.plan = plan,
                       .start = start,
                       .cancel = cancel,
                       .recorder = recorder,
                       .lights = lights,
                       .out = out,
                       .intensity = info->water_background,
                       .polar = plan->polarization_off ? 1.0 : 0.0,
                       .first_loop = start->first_loop,
                       .interpolate = start->interpolate,
                       .origin = {.polar_axis = start->polar_axis}};
    vec3_copy(start->polar_axis, pass.polar_axis);
    if (plan->needs_first_d) {
        subpixel_first_direction(plan, fast, slow, 0, pass.origin.first_d);
        pass.intensity = pixel_water_background(plan, &pass.origin, fast, slow);
    }
    out->any_source = 0;
    out->cancelled = 0;
    out->switched_off = 0;

    double first_omega = 0.0;
    for (pass.layer = 0; pass.layer < info->sensor_layers; pass.layer++) {
        pass.capture = info->sensor_thickness_m > 0.0 ? 0.0 : 1.0;
        for (pass.sub_slow = 0; pass.sub_slow < info->oversample; pass.sub_slow++) {
            for (pass.sub_fast = 0; pass.sub_fast < info->oversample; pass.sub_fast++) {
                if (!pixel_add_subpixel(&pass, mode, fast, slow))
                    return;
                if (first_omega == 0.0)
                    first_omega = pass.omega;
            }
        }
    }

    double value = pixel_scaled(&pass, pass.intensity);
    if (mode == PIXEL_LIGHT) {
        for (int64_t i = 0; i < lights->count; i++) {
            lights->lights[i].photons = pixel_scaled(&pass, lights->lights[i].photons);
            lights->lights[i].photons_phi_rad =
                pixel_scaled(&pass, lights->lights[i].photons_phi_rad);
        }
    }
    if (plan->water_electrons_sqr > 0.0)
        value += pixel_water(plan, &pass.origin, fast, slow, first_omega);
    out->value = 0.0 + value;
    out->omega_sum = pass.omega_sum;
    out->intensity = pass.intensity;
    out->capture = pass.capture;
    out->polar = pass.polar;
    out->omega = pass.omega;
    vec3_copy(pass.polar_axis, out->polar_axis);
}

#endif
