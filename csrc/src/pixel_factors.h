/* pixel_factors.h - factors where corrected quirks take them out of the sum's end (C-PARITY-003,
 * 004, 006, 036 off), and what the water adds. */
#ifndef NBH_PIXEL_FACTORS_H
#define NBH_PIXEL_FACTORS_H

#include <math.h>

#include "plan.h"
#include "polarization.h"
#include "subpixel.h"
#include "vec3.h"

/* Where a pixel begins. */
typedef struct pixel_origin {
    const double *polar_axis; /* the polarization axis that it inherits */
    double first_d[3];        /* direction of its first sub-pixel; see plan->needs_first_d */
} pixel_origin;

/* Polarization factor of a source in the direction d. */
static inline double pixel_polarization_of(const nbh_plan *plan, const pixel_origin *origin,
                                           int32_t source, const double d[3])
{
    double axis[3];
    vec3_unit(origin->polar_axis, axis);
    return polarization_factor(plan->polarization_kahn, plan->sources[source].incident_unit, d,
                               axis);
}

/* Polarization factor of a source at the pixel's first sub-pixel (C-PARITY-004 off). */
static inline double pixel_source_polarization(const nbh_plan *plan, const pixel_origin *origin,
                                               int32_t source)
{
    return pixel_polarization_of(plan, origin, source, origin->first_d);
}

/* Capture fraction of a sub-pixel of a layer, in the direction d (C-PARITY-036 off): of this layer,
 * or of what lies below it in the last one (C-PARITY-003 on). */
static inline double pixel_sample_capture(const nbh_plan *plan, int32_t layer, double fast_m,
                                          double slow_m, const double d[3])
{
    const int32_t last = plan->info.sensor_layers - 1;
    if (layer == last || plan->capture_per_layer)
        return subpixel_capture(plan, layer, d);
    double below[3];
    subpixel_position(plan, fast_m, slow_m, last * plan->info.sensor_layer_step_m, below);
    vec3_unit(below, below);
    return subpixel_capture(plan, last, below);
}

/* Polarization factor of what the water scatters in the direction d: the first source's, or the
 * mean over all of them (C-PARITY-004 off), weighted as they are. */
static inline double pixel_water_polarization(const nbh_plan *plan, const pixel_origin *origin,
                                              const double d[3])
{
    if (plan->polarization_off)
        return 1.0;
    if (plan->quirks & NBH_QUIRK_POLAR_FIRST_SOURCE)
        return pixel_polarization_of(plan, origin, 0, d);
    double sum = 0.0;
    for (int32_t source = 0; source < plan->info.source_count; source++)
        sum += pixel_polarization_of(plan, origin, source, d) *
               (plan->use_source_weights ? plan->sources[source].relative_weight : 1.0);
    return sum / plan->info.source_count;
}

/* Photons scattered once, by all of the water, into a pixel with the direction d and this solid
 * angle, and stopped by the whole sensor. */
static inline double pixel_water_towards(const nbh_plan *plan, const pixel_origin *origin,
                                         const double d[3], double omega_sr)
{
    const nbh_plan_info *info = &plan->info;
    double capture = 1.0;
    if (info->sensor_thickness_m > 0.0)
        capture = 1.0 - exp(-info->sensor_layers * info->sensor_layer_step_m *
                            info->sensor_attenuation_per_m / subpixel_parallax(plan, d));
    return plan->water_electrons_sqr * plan->scale * pixel_water_polarization(plan, origin, d) *
           omega_sr * capture;
}

/* What the water adds to the pixel value (C-PARITY-006 off): towards its first sub-pixel, whose
 * solid angle is given, or the mean over those of its surface (C-PARITY-036 off). */
static inline double pixel_water(const nbh_plan *plan, const pixel_origin *origin, int32_t fast,
                                 int32_t slow, double first_omega_sr)
{
    if (!plan->water_per_subpixel)
        return pixel_water_towards(plan, origin, origin->first_d, first_omega_sr);
    const int32_t oversample = plan->info.oversample;
    double sum = 0.0;
    for (int32_t sub_slow = 0; sub_slow < oversample; sub_slow++) {
        for (int32_t sub_fast = 0; sub_fast < oversample; sub_fast++) {
            double position[3], d[3];
            subpixel_position(plan, subpixel_fast(plan, fast, sub_fast),
                              subpixel_slow(plan, slow, sub_slow), 0.0, position);
            vec3_unit(position, d);
            sum += pixel_water_towards(plan, origin, d,
                                       subpixel_solid_angle(plan, vec3_mag(position)));
        }
    }
    return sum / ((double)oversample * oversample);
}

/* The water term that the intensity starts from (C-PARITY-006 on), with the factors that multiply
 * it at the end unless they are in the terms of the sum (C-PARITY-003, 004 and 036 off): the first
 * sub-pixel's. */
static inline double pixel_water_background(const nbh_plan *plan, const pixel_origin *origin,
                                            int32_t fast, int32_t slow)
{
    double background = plan->info.water_background;
    if (background == 0.0)
        return background;
    if (plan->capture_per_layer || plan->capture_per_sample) {
        const int32_t last = plan->info.sensor_layers - 1;
        double d[3];
        subpixel_first_direction(plan, fast, slow, last, d);
        background *= subpixel_capture(plan, last, d);
    }
    if (plan->polar_per_source || plan->polar_per_sample)
        background *= pixel_source_polarization(plan, origin, 0);
    if (plan->omega_per_sample) {
        double position[3];
        subpixel_position(plan, subpixel_fast(plan, fast, 0), subpixel_slow(plan, slow, 0), 0.0,
                          position);
        background *= subpixel_solid_angle(plan, vec3_mag(position));
    }
    return background;
}

#endif
