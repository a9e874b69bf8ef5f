/* pixel_factors.h - factors that the first direction of a pixel fixes, where corrected quirks take
 * them out of the sum's end (C-PARITY-003, 004, 006 off), and what the water adds. */
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

/* Polarization factor of a source at the pixel's first sub-pixel (C-PARITY-004 off). */
static inline double pixel_source_polarization(const nbh_plan *plan, const pixel_origin *origin,
                                               int32_t source)
{
    double axis[3];
    vec3_unit(origin->polar_axis, axis);
    return polarization_factor(plan->polarization_kahn, plan->sources[source].incident_unit,
                               origin->first_d, axis);
}

/* Polarization factor of what the water scatters: the first source's, or the mean over all of them
 * (C-PARITY-004 off), weighted as they are. */
static inline double pixel_water_polarization(const nbh_plan *plan, const pixel_origin *origin)
{
    if (plan->polarization_off)
        return 1.0;
    if (plan->quirks & NBH_QUIRK_POLAR_FIRST_SOURCE)
        return pixel_source_polarization(plan, origin, 0);
    double sum = 0.0;
    for (int32_t source = 0; source < plan->info.source_count; source++)
        sum += pixel_source_polarization(plan, origin, source) *
               (plan->use_source_weights ? plan->sources[source].relative_weight : 1.0);
    return sum / plan->info.source_count;
}

/* What the water adds to the pixel value (C-PARITY-006 off): photons scattered once, by all of the
 * water, into the pixel's solid angle, and stopped by the whole sensor. */
static inline double pixel_water(const nbh_plan *plan, const pixel_origin *origin, double omega_sr)
{
    const nbh_plan_info *info = &plan->info;
    double capture = 1.0;
    if (info->sensor_thickness_m > 0.0)
        capture =
            1.0 - exp(-info->sensor_layers * info->sensor_layer_step_m *
                      info->sensor_attenuation_per_m / subpixel_parallax(plan, origin->first_d));
    return plan->water_electrons_sqr * plan->scale * pixel_water_polarization(plan, origin) *
           omega_sr * capture;
}

/* The water term that the intensity starts from (C-PARITY-006 on), with the factors that multiply
 * it at the end unless they are in the terms of the sum (C-PARITY-003 and 004 off). */
static inline double pixel_water_background(const nbh_plan *plan, const pixel_origin *origin,
                                            int32_t fast, int32_t slow)
{
    double background = plan->info.water_background;
    if (plan->capture_per_layer) {
        const int32_t last = plan->info.sensor_layers - 1;
        double d[3];
        subpixel_first_direction(plan, fast, slow, last, d);
        background *= subpixel_capture(plan, last, d);
    }
    if (plan->polar_per_source)
        background *= pixel_source_polarization(plan, origin, 0);
    return background;
}

#endif
