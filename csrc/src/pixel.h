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
    PIXEL_TRACE,  /* the same, recording steps */
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

/* A point of the curved detector's plane bent onto the sphere (or, C-PARITY-008, what nanoBragg
 * makes of it); flat is the point of the flat detector, fast_m and slow_m its coordinates. */
static inline void pixel_bend(const nbh_plan *plan, double fast_m, double slow_m, double depth_m,
                              const double flat[3], double out[3])
{
    const nbh_plan_info *info = &plan->info;
    const double distance = info->distance_m;
    double bent[3];
    if (plan->quirks & NBH_QUIRK_CURVED_DETECTOR_AXES) {
        const double turn_s = flat[1] / distance, turn_f = flat[2] / distance;
        vec3_scale(info->beam_direction, distance, bent);
        vec3_rotate_axis(bent, info->slow_axis, turn_s, bent);
        vec3_rotate_axis(bent, info->fast_axis, turn_f, out);
        return;
    }
    /* arc lengths u, w from the beam centre; e is their direction, made perpendicular to the beam
     */
    const double u = (fast_m - info->beam_fast_m) / distance,
                 w = (slow_m - info->beam_slow_m) / distance;
    const double *beam = info->beam_direction;
    const double angle = sqrt(u * u + w * w), radius = distance + depth_m;
    double e[3];
    for (int i = 0; i < 3; i++)
        e[i] = u * info->fast_axis[i] + w * info->slow_axis[i];
    const double along = vec3_dot(e, beam);
    for (int i = 0; i < 3; i++)
        e[i] -= along * beam[i];
    vec3_unit(e, e);
    for (int i = 0; i < 3; i++)
        out[i] = radius * (cos(angle) * beam[i] + sin(angle) * e[i]);
}

/* Lab position of a sub-pixel at detector coordinates in metres (model 6.2). */
static inline void pixel_position(const nbh_plan *plan, double fast_m, double slow_m,
                                  double depth_m, double out[3])
{
    const nbh_plan_info *info = &plan->info;
    for (int i = 0; i < 3; i++)
        out[i] = fast_m * info->fast_axis[i] + slow_m * info->slow_axis[i] +
                 depth_m * info->normal_axis[i] + info->pix0_m[i];
    if (plan->curved)
        pixel_bend(plan, fast_m, slow_m, depth_m, out, out);
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

/* What PIXEL_TRACE records. */
typedef struct pixel_record {
    nbh_trace *trace; /* the first and last step */
    nbh_step_choice choice;
    nbh_step_trace *steps; /* the first `capacity` of those of the choice */
    int64_t capacity, count;
} pixel_record;

/* Where a pass over a pixel stands. */
typedef struct pixel_pass {
    const nbh_plan *plan;
    const serial_state *start;      /* what the pixel inherits */
    const volatile int32_t *cancel; /* may be NULL */
    pixel_record *record;           /* may be NULL unless the mode is PIXEL_TRACE */
    pixel_result *out;

    double intensity, polar, omega, capture, omega_sum;
    double polar_axis[3];
    int first_loop, interpolate;

    int32_t layer, sub_slow, sub_fast, source, phi_step, domain;
    double position[3], airpath_m;
    double first_d[3]; /* direction of the pixel's first sub-pixel; see plan->needs_first_d */
} pixel_pass;

/* Coordinate along an axis of a sub-pixel's centre (model 6.2). */
static inline double pixel_coordinate(const nbh_plan *plan, int32_t pixel, int32_t sub_pixel)
{
    return plan->subpixel_m * ((double)pixel * plan->info.oversample + sub_pixel) +
           plan->subpixel_m / 2.0;
}

static inline int pixel_is_chosen(const nbh_step_choice *choice, const nbh_step_trace *step)
{
    return (choice->layer < 0 || choice->layer == step->layer) &&
           (choice->sub_slow < 0 || choice->sub_slow == step->sub_slow) &&
           (choice->sub_fast < 0 || choice->sub_fast == step->sub_fast) &&
           (choice->source < 0 || choice->source == step->source) &&
           (choice->phi_step < 0 || choice->phi_step == step->phi_step) &&
           (choice->domain < 0 || choice->domain == step->domain);
}

/* `step` has the factors, the structure factor, the term and the sum; the rest is filled here.
 * is_skipped: there was no structure factor; step has the one before. */
static inline void pixel_record_step(pixel_pass *pass, const double d[3], const double q[3],
                                     const double *cell, const double hkl[3], const double hkl0[3],
                                     nbh_step_trace step, int is_skipped)
{
    const nbh_plan *plan = pass->plan;
    const plan_source *from = &plan->sources[pass->source];
    pixel_record *record = pass->record;
    step.layer = pass->layer;
    step.sub_slow = pass->sub_slow;
    step.sub_fast = pass->sub_fast;
    step.source = pass->source;
    step.phi_step = pass->phi_step;
    step.domain = pass->domain;
    vec3_copy(pass->position, step.pixel_pos_m);
    step.airpath_m = pass->airpath_m;
    step.solid_angle_sr = pixel_solid_angle(plan, pass->airpath_m);
    step.obliquity = plan->info.close_distance_m / pass->airpath_m;
    vec3_copy(d, step.diffracted);
    vec3_copy(from->incident, step.incident);
    step.wavelength_m = from->wavelength_m;
    vec3_copy(q, step.q_per_m);
    step.stol_per_m = 0.5 * vec3_mag(q);
    step.phi_rad = plan->phi[pass->phi_step];
    vec3_copy(cell, step.a_m);
    vec3_copy(cell + 3, step.b_m);
    vec3_copy(cell + 6, step.c_m);
    vec3_copy(hkl, step.hkl);
    vec3_copy(hkl0, step.hkl_rounded);
    record->trace->last = step;
    if (is_skipped)
        step.f_cell = 0.0;
    if (!record->trace->evaluated)
        record->trace->first = step;
    record->trace->evaluated = 1;
    if (pixel_is_chosen(&record->choice, &step)) {
        if (record->count < record->capacity)
            record->steps[record->count] = step;
        record->count++;
    }
}

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
        if (!pixel_latch_falls(plan, hkl))
            return pixel_interpolated_f(&plan->table, hkl);
        if (plan->quirks & NBH_QUIRK_INTERPOLATION_LATCH) {
            pass->interpolate = 0;
            pass->out->latch_fell = 1;
        }
    }
    return pixel_nearest_f(&plan->table, hkl0);
}

/* All phi steps and domains of one source (model 6.4, 6.5): the hot loop.  d is only recorded;
 * every term is multiplied by `factor`.  Returns 0 if the pass is over. */
static inline int pixel_add_steps(pixel_pass *pass, const pixel_mode mode, const double d[3],
                                  const double q[3], double factor)
{
    const nbh_plan *plan = pass->plan;
    const int no_water = plan->water_size_m == 0.0;
    const int may_vanish = plan->shape.shape != NBH_SHAPE_SQUARE;
    const int has_step_factors =
        plan->oversample_thick || plan->oversample_polar || plan->oversample_omega;
    const int is_running_product = /* C-PARITY-002 */
        (plan->quirks & NBH_QUIRK_OVERSAMPLE_RUNNING_PRODUCT) != 0;
    const int may_skip_dark = mode == PIXEL_RENDER && !has_step_factors;
    const int32_t phi_steps = plan->info.phi_steps, domains = plan->info.mosaic_domains;
    double intensity = pass->intensity;
    for (int32_t phi_step = 0; phi_step < phi_steps; phi_step++) {
        for (int32_t domain = 0; domain < domains; domain++) {
            if (plan_is_cancelled(pass->cancel, domain)) {
                pass->out->cancelled = 1;
                return 0;
            }
            double scratch[9], hkl[3], hkl0[3], factors[3];
            const double *cell = plan_cell(plan, pass->first_loop, phi_step, domain, scratch);
            for (int i = 0; i < 3; i++) {
                hkl[i] = vec3_dot(&cell[(ptrdiff_t)3 * i], q);
                hkl0[i] = pixel_nearest_index(hkl[i]);
            }
            if (mode == PIXEL_SCAN) {
                if (may_vanish && no_water &&
                    shape_lattice_factor(&plan->shape, hkl, hkl0, factors) == 0.0)
                    continue;
                pass->out->latch_fell = pixel_latch_falls(plan, hkl);
                if (pass->out->latch_fell)
                    return 0;
                continue;
            }
            /* a dark reflection adds nothing: skip its sines */
            const int f_is_known = may_skip_dark && !pass->interpolate;
            double f_cell = mode == PIXEL_TRACE ? pass->record->trace->last.f_cell : 0.0;
            if (f_is_known) {
                f_cell = pixel_nearest_f(&plan->table, hkl0);
                if (f_cell == 0.0 && isfinite(hkl[0] + hkl[1] + hkl[2]))
                    continue;
            }
            const double f_latt = shape_lattice_factor(&plan->shape, hkl, hkl0, factors);
            const int is_skipped = f_latt == 0.0 && no_water;
            double term = 0.0;
            if (!is_skipped) {
                if (!f_is_known)
                    f_cell = pixel_f_cell(pass, hkl, hkl0);
                term = f_cell * f_cell * f_latt * f_latt * factor;
                if (has_step_factors && !is_running_product)
                    term = pixel_step_factors(pass, term);
                intensity += term;
                if (has_step_factors && is_running_product)
                    intensity = pixel_step_factors(pass, intensity);
            }
            if (mode == PIXEL_TRACE) {
                const nbh_step_trace step = {.f_latt_a = factors[0],
                                             .f_latt_b = factors[1],
                                             .f_latt_c = factors[2],
                                             .f_latt = f_latt,
                                             .f_cell = f_cell,
                                             .term = term,
                                             .running_sum = intensity};
                pass->phi_step = phi_step;
                pass->domain = domain;
                pixel_record_step(pass, d, q, cell, hkl, hkl0, step, is_skipped);
            }
        }
    }
    pass->intensity = intensity;
    pass->first_loop = 0;
    return 1;
}

/* Polarization factor of a source at the pixel's first sub-pixel (C-PARITY-004 off). */
static inline double pixel_source_polarization(const pixel_pass *pass, int32_t source)
{
    const nbh_plan *plan = pass->plan;
    double axis[3];
    vec3_unit(pass->start->polar_axis, axis);
    return polarization_factor(plan->polarization_kahn, plan->sources[source].incident_unit,
                               pass->first_d, axis);
}

/* All sources at one sub-pixel in direction d (model 6.3).  Returns 0 if the pass is over. */
static inline int pixel_add_sources(pixel_pass *pass, const pixel_mode mode, double d[3])
{
    const nbh_plan *plan = pass->plan;
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
        if (plan->polar_per_source) {
            pass->polar = pixel_source_polarization(pass, pass->source);
            factor *= pass->polar;
        } else if (pass->polar == 0.0 || plan->oversample_polar) {
            vec3_unit(d, d);
            if (!pass->start->axis_is_fixed)
                vec3_unit(pass->polar_axis, pass->polar_axis);
            pass->polar = polarization_factor(plan->polarization_kahn, from->incident_unit, d,
                                              pass->polar_axis);
        }
        if (mode == PIXEL_SETTLE)
            continue;
        if (plan->use_source_weights)
            factor *= from->relative_weight;
        if (plan->capture_per_layer)
            factor *= pass->capture;
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
    const double fast_m = pixel_coordinate(plan, fast, pass->sub_fast);
    const double slow_m = pixel_coordinate(plan, slow, pass->sub_slow);
    double d[3];
    pixel_position(plan, fast_m, slow_m, pass->layer * plan->info.sensor_layer_step_m,
                   pass->position);
    pass->airpath_m = vec3_mag(pass->position);
    vec3_unit(pass->position, d);
    if (pass->omega == 0.0 || plan->oversample_omega)
        pass->omega = pixel_solid_angle(plan, pass->airpath_m);
    pass->omega_sum += pass->omega;
    if (pass->capture == 0.0 || plan->oversample_thick)
        pass->capture = pixel_capture(plan, pass->layer, d);
    return pixel_add_sources(pass, mode, d);
}

/* Direction of the first sub-pixel of a layer. */
static inline void pixel_first_direction(const nbh_plan *plan, int32_t fast, int32_t slow,
                                         int32_t layer, double d[3])
{
    double position[3];
    pixel_position(plan, pixel_coordinate(plan, fast, 0), pixel_coordinate(plan, slow, 0),
                   layer * plan->info.sensor_layer_step_m, position);
    vec3_unit(position, d);
}

/* Polarization factor of what the water scatters: the first source's, or the mean over all of them
 * (C-PARITY-004 off), weighted as they are. */
static inline double pixel_water_polarization(const pixel_pass *pass)
{
    const nbh_plan *plan = pass->plan;
    if (plan->polarization_off)
        return 1.0;
    if (plan->quirks & NBH_QUIRK_POLAR_FIRST_SOURCE)
        return pixel_source_polarization(pass, 0);
    double sum = 0.0;
    for (int32_t source = 0; source < plan->info.source_count; source++)
        sum += pixel_source_polarization(pass, source) *
               (plan->use_source_weights ? plan->sources[source].relative_weight : 1.0);
    return sum / plan->info.source_count;
}

/* What the water adds to the pixel value (C-PARITY-006 off): photons scattered once, by all of the
 * water, into the pixel's solid angle, and stopped by the whole sensor. */
static inline double pixel_water(const pixel_pass *pass, double omega_sr)
{
    const nbh_plan *plan = pass->plan;
    const nbh_plan_info *info = &plan->info;
    double capture = 1.0;
    if (info->sensor_thickness_m > 0.0)
        capture =
            1.0 - exp(-info->sensor_layers * info->sensor_layer_step_m *
                      info->sensor_attenuation_per_m / vec3_dot(pass->first_d, info->normal_axis));
    return plan->water_electrons_sqr * plan->scale * pixel_water_polarization(pass) * omega_sr *
           capture;
}

/* The water term that the intensity starts from (C-PARITY-006 on), with the factors that multiply
 * it at the end unless they are in the terms of the sum (C-PARITY-003 and 004 off). */
static inline double pixel_water_background(const pixel_pass *pass, int32_t fast, int32_t slow)
{
    const nbh_plan *plan = pass->plan;
    double background = plan->info.water_background;
    if (plan->capture_per_layer) {
        const int32_t last = plan->info.sensor_layers - 1;
        double d[3];
        pixel_first_direction(plan, fast, slow, last, d);
        background *= pixel_capture(plan, last, d);
    }
    if (plan->polar_per_source)
        background *= pixel_source_polarization(pass, 0);
    return background;
}

/* One pass over the pixel.  `start` is the serial state it inherits; for cancel and record see
 * pixel_pass. */
static inline void pixel_compute(const nbh_plan *plan, const serial_state *start, int32_t fast,
                                 int32_t slow, pixel_mode mode, const volatile int32_t *cancel,
                                 pixel_result *out, pixel_record *record)
{
    const nbh_plan_info *info = &plan->info;
    pixel_pass pass = {.plan = plan,
                       .start = start,
                       .cancel = cancel,
                       .record = record,
                       .out = out,
                       .intensity = info->water_background,
                       .polar = plan->polarization_off ? 1.0 : 0.0,
                       .first_loop = start->first_loop,
                       .interpolate = start->interpolate};
    vec3_copy(start->polar_axis, pass.polar_axis);
    if (plan->needs_first_d) {
        pixel_first_direction(plan, fast, slow, 0, pass.first_d);
        pass.intensity = pixel_water_background(&pass, fast, slow);
    }
    out->any_source = 0;
    out->cancelled = 0;
    out->latch_fell = 0;

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

    double value = plan->scale * pass.intensity / info->steps;
    if (!plan->oversample_thick && !plan->capture_per_layer)
        value *= pass.capture;
    if (!plan->oversample_polar && !plan->polar_per_source)
        value *= pass.polar;
    if (!plan->oversample_omega)
        value *= pass.omega;
    if (plan->water_electrons_sqr > 0.0)
        value += pixel_water(&pass, first_omega);
    out->value = 0.0 + value;
    out->omega_sum = pass.omega_sum;
    out->intensity = pass.intensity;
    out->capture = pass.capture;
    out->polar = pass.polar;
    out->omega = pass.omega;
    vec3_copy(pass.polar_axis, out->polar_axis);
}

#endif
