/* subpixel.h - where a sub-pixel is, how large it looks from the sample, and what a layer of the
 * sensor absorbs of the light to it (model 6.2). */
#ifndef NBH_SUBPIXEL_H
#define NBH_SUBPIXEL_H

#include <math.h>

#include "plan.h"
#include "vec3.h"

/* Coordinates of a sub-pixel's centre along fast and along slow (model 6.2). */
static inline double subpixel_fast(const nbh_plan *plan, int32_t pixel, int32_t sub_pixel)
{
    return plan->subpixel_m * ((double)pixel * plan->info.oversample + sub_pixel) +
           plan->subpixel_m / 2.0;
}

static inline double subpixel_slow(const nbh_plan *plan, int32_t pixel, int32_t sub_pixel)
{
    return plan->subpixel_slow_m * ((double)pixel * plan->info.oversample + sub_pixel) +
           plan->subpixel_slow_m / 2.0;
}

/* A point of the curved detector's plane bent onto the sphere (or, C-PARITY-008, what nanoBragg
 * makes of it); flat is the point of the flat detector, fast_m and slow_m its coordinates. */
static inline void subpixel_bend(const nbh_plan *plan, double fast_m, double slow_m, double depth_m,
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
static inline void subpixel_position(const nbh_plan *plan, double fast_m, double slow_m,
                                     double depth_m, double out[3])
{
    const nbh_plan_info *info = &plan->info;
    for (int i = 0; i < 3; i++)
        out[i] = fast_m * info->fast_axis[i] + slow_m * info->slow_axis[i] +
                 depth_m * info->normal_axis[i] + info->pix0_m[i];
    if (plan->curved)
        subpixel_bend(plan, fast_m, slow_m, depth_m, out, out);
}

/* Solid angle of a pixel at distance r from the sample (model 6.2). */
static inline double subpixel_solid_angle(const nbh_plan *plan, double r)
{
    if (!plan->has_pixel_area)
        return 1.0 / r / r;
    const double facing = plan->pixel_area_m2 / r / r;
    return plan->is_oblique ? facing * plan->info.close_distance_m / r : facing;
}

/* Thickness of the sensor over the path through it (model 6.2). */
static inline double subpixel_parallax(const nbh_plan *plan, const double diffracted[3])
{
    return plan->faces_sample ? 1.0 : vec3_dot(diffracted, plan->info.normal_axis);
}

/* Fraction of photons absorbed in a sensor layer (model 6.2). */
static inline double subpixel_capture(const nbh_plan *plan, int layer, const double diffracted[3])
{
    const nbh_plan_info *info = &plan->info;
    const double parallax = subpixel_parallax(plan, diffracted);
    const double step = info->sensor_layer_step_m, mu = info->sensor_attenuation_per_m;
    return exp(-layer * step * mu / parallax) - exp(-(layer + 1) * step * mu / parallax);
}

/* Direction of the first sub-pixel of a layer. */
static inline void subpixel_first_direction(const nbh_plan *plan, int32_t fast, int32_t slow,
                                            int32_t layer, double d[3])
{
    double position[3];
    subpixel_position(plan, subpixel_fast(plan, fast, 0), subpixel_slow(plan, slow, 0),
                      layer * plan->info.sensor_layer_step_m, position);
    vec3_unit(position, d);
}

#endif
