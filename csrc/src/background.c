/* background.c - photons that are scattered beside the crystal's spots (model 9). */
#include <math.h>

#include "error.h"
#include "image_rules.h"
#include "plan.h"
#include "polarization.h"
#include "subpixel.h"
#include "vec3.h"

void nbh_background_init(nbh_background *background)
{
    const nbh_background none = {.struct_size = sizeof none};
    *background = none;
}

static nbh_status check_table(const nbh_curve *curve, const char *field, nbh_error *error)
{
    if (curve->count < 0 || (curve->count > 0 && (curve->x == NULL || curve->y == NULL)))
        return nbh_fail(error, NBH_INVALID, field, "got %d rows, need as many as x and y have",
                        curve->count);
    for (int32_t i = 0; i < curve->count; i++) {
        if (!isfinite(curve->x[i]) || !isfinite(curve->y[i]))
            return nbh_fail(error, NBH_INVALID, field, "row %d: need finite numbers", i);
        if (i > 0 && !(curve->x[i] > curve->x[i - 1]))
            return nbh_fail(error, NBH_INVALID, field,
                            "row %d: got %g, need more than the row before it, %g", i, curve->x[i],
                            curve->x[i - 1]);
    }
    return NBH_OK;
}

static nbh_status check_background(const nbh_background *background, nbh_error *error)
{
    if (background->struct_size != sizeof *background)
        return nbh_fail(error, NBH_INVALID, "background.struct_size",
                        "got %zu, need %zu: call nbh_background_init", background->struct_size,
                        sizeof *background);
    if (background->scatterer_count < 0 ||
        (background->scatterer_count > 0 && background->scatterers == NULL))
        return nbh_fail(error, NBH_INVALID, "background.scatterers", "got %d, need that many",
                        background->scatterer_count);
    if (background->offset_count < 0 ||
        (background->offset_count > 0 && background->offsets == NULL))
        return nbh_fail(error, NBH_INVALID, "background.offsets", "got %d, need that many",
                        background->offset_count);
    nbh_status status = image_check_finite("background.air_attenuation_per_m",
                                           background->air_attenuation_per_m, error);
    if (status == NBH_OK)
        status = image_check_finite("background.flat_photons", background->flat_photons, error);
    if (status == NBH_OK)
        status = check_table(&background->radial, "background.radial", error);
    for (int32_t i = 0; status == NBH_OK && i < background->scatterer_count; i++) {
        const nbh_scatterer *scatterer = &background->scatterers[i];
        status = check_table(&scatterer->curve, "background.scatterers", error);
        if (status == NBH_OK && scatterer->curve.count == 0)
            status = nbh_fail(error, NBH_INVALID, "background.scatterers", "got a table of 0 rows");
        if (status == NBH_OK)
            status =
                image_check_finite("background.scatterers.molecules", scatterer->molecules, error);
    }
    for (int32_t i = 0; status == NBH_OK && i < background->offset_count; i++)
        status =
            image_check_finite("background.offsets.photons", background->offsets[i].photons, error);
    return status;
}

/* The curve at x: linear between its rows, outside as at its ends, which *is_outside tells. */
static double curve_at(const nbh_curve *curve, double x, int *is_outside)
{
    int32_t low = 0, high = curve->count - 1;
    *is_outside = x < curve->x[0] || x > curve->x[high];
    if (!(x > curve->x[0]))
        return curve->y[0];
    if (x >= curve->x[high])
        return curve->y[high];
    while (high - low > 1) {
        const int32_t middle = low + (high - low) / 2;
        if (curve->x[middle] <= x)
            low = middle;
        else
            high = middle;
    }
    const double part = (x - curve->x[low]) / (curve->x[high] - curve->x[low]);
    return curve->y[low] + part * (curve->y[high] - curve->y[low]);
}

/* A pixel's centre as the background sees it. */
typedef struct seen_pixel {
    double direction[3];
    double distance_m;
    double factor; /* solid angle times what the whole sensor absorbs, times the air's */
} seen_pixel;

static seen_pixel see_pixel(const nbh_plan *plan, const nbh_background *background, int32_t fast,
                            int32_t slow)
{
    const nbh_plan_info *info = &plan->info;
    double position[3];
    seen_pixel seen;
    subpixel_position(plan, (fast + 0.5) * info->pixel_size_m,
                      (slow + 0.5) * info->pixel_size_slow_m, 0.0, position);
    seen.distance_m = vec3_mag(position);
    vec3_unit(position, seen.direction);
    seen.factor = subpixel_solid_angle(plan, seen.distance_m) *
                  exp(-background->air_attenuation_per_m * seen.distance_m);
    if (info->sensor_thickness_m > 0.0)
        seen.factor *=
            1.0 - exp(-info->sensor_layers * info->sensor_layer_step_m *
                      info->sensor_attenuation_per_m / subpixel_parallax(plan, seen.direction));
    return seen;
}

/* The mean over the sources of polarization factor times F^2 of a scatterer (model 9.1). */
static double scattered(const nbh_plan *plan, const nbh_scatterer *scatterer,
                        const seen_pixel *seen, int *is_outside)
{
    double sum = 0.0;
    *is_outside = 0;
    for (int32_t n = 0; n < plan->info.source_count; n++) {
        const plan_source *source = &plan->sources[n];
        double q[3];
        for (int i = 0; i < 3; i++)
            q[i] = seen->direction[i] - source->incident[i];
        int outside;
        const double stol_per_m = 0.5 * vec3_mag(q) / source->wavelength_m;
        const double value = curve_at(&scatterer->curve, stol_per_m, &outside);
        *is_outside |= outside;
        double term = scatterer->is_intensity ? value : value * value;
        if (!plan->polarization_off)
            term *= polarization_factor(plan->polarization_kahn, source->incident_unit,
                                        seen->direction, plan->info.polarization_axis);
        if (plan->use_source_weights)
            term *= source->relative_weight;
        sum += term;
    }
    return sum / plan->info.source_count;
}

static int is_in_offset(const nbh_background_offset *offset, int32_t fast, int32_t slow)
{
    return fast >= offset->box.fast_min && fast <= offset->box.fast_max &&
           slow >= offset->box.slow_min && slow <= offset->box.slow_max;
}

static double pixel_background(const nbh_plan *plan, const nbh_background *background, int32_t fast,
                               int32_t slow, int64_t *outside)
{
    const seen_pixel seen = see_pixel(plan, background, fast, slow);
    double photons = 0.0;
    int is_outside;
    for (int32_t i = 0; i < background->scatterer_count; i++) {
        const nbh_scatterer *scatterer = &background->scatterers[i];
        photons += scatterer->molecules * plan->scale * seen.factor *
                   scattered(plan, scatterer, &seen, &is_outside);
        outside[i] += is_outside;
    }
    if (background->radial.count > 0) {
        const double *beam = plan->info.beam_direction;
        double across[3];
        vec3_cross(beam, seen.direction, across);
        const double two_theta_rad = atan2(vec3_mag(across), vec3_dot(beam, seen.direction));
        photons += curve_at(&background->radial, two_theta_rad, &is_outside);
        outside[background->scatterer_count] += is_outside;
    }
    photons += background->flat_photons;
    for (int32_t i = 0; i < background->offset_count; i++) {
        if (is_in_offset(&background->offsets[i], fast, slow))
            photons += background->offsets[i].photons;
    }
    return photons;
}

nbh_status nbh_plan_background(const nbh_plan *plan, const nbh_background *background,
                               int64_t pixel0, int64_t pixel1, const volatile int32_t *cancel,
                               double *photons, int64_t *outside, nbh_error *error)
{
    if (plan == NULL || background == NULL || photons == NULL || outside == NULL)
        return nbh_fail(error, NBH_INVALID, "background", "got NULL, need a pointer");
    nbh_status status = check_background(background, error);
    if (status != NBH_OK)
        return status;
    const int32_t n_fast = plan->info.n_fast;
    const int64_t pixels = (int64_t)n_fast * plan->info.n_slow;
    if (pixel0 < 0 || pixel1 < pixel0 || pixel1 > pixels)
        return nbh_fail(error, NBH_INVALID, "pixel1",
                        "got pixels %lld to %lld, need a range inside 0 to %lld", (long long)pixel0,
                        (long long)pixel1, (long long)pixels);
    for (int32_t i = 0; i <= background->scatterer_count; i++)
        outside[i] = 0;
    for (int64_t pixel = pixel0; pixel < pixel1; pixel++) {
        if (plan_is_cancelled(cancel, 0))
            return plan_fail_cancelled(error);
        const int32_t slow = (int32_t)(pixel / n_fast), fast = (int32_t)(pixel % n_fast);
        photons[pixel - pixel0] = plan_pixel_is_active(plan, fast, slow)
                                      ? pixel_background(plan, background, fast, slow, outside)
                                      : 0.0;
    }
    return NBH_OK;
}
