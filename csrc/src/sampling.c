#include "sampling.h"

#include <math.h>

#include "constants.h"
#include "error.h"
#include "given.h"

/* A count, range and step under the rules of model 5.1. */
typedef struct range_rule {
    double range;
    double step;
    int32_t count;
} range_rule;

/* ceil(range/step) as a count; a NaN or huge quotient is caught by the caller's bounds check. */
static int32_t steps_in(double range, double step)
{
    double n = ceil(range / step);
    return n >= INT32_MAX ? INT32_MAX : n >= 0 ? (int32_t)n : 0;
}

/* First table of model 5.1. */
static void resolve_phi(range_rule *r)
{
    const int has_range = r->range >= 0.0;
    if (r->count < 0) {
        if (!has_range && r->step <= 0.0) {
            r->count = 1;
            r->range = r->step = 0.0;
        } else if (!has_range) {
            r->range = r->step;
            r->count = 2;
        } else if (r->step <= 0.0) {
            r->count = 2;
            r->step = r->range / 2.0;
        } else {
            r->count = steps_in(r->range, r->step);
        }
        return;
    }
    if (r->count == 0)
        r->count = 1;
    if (!has_range && r->step <= 0.0) {
        r->range = 1.0 / DEGREES_PER_RADIAN;
        r->step = r->range / r->count;
    } else if (!has_range) {
        r->range = r->step;
        r->count = 2;
    } else if (r->step < 0.0) {
        r->step = r->range / r->count;
    }
}

static void reset_if_empty(range_rule *r)
{
    if (r->range <= 0.0 || r->step <= 0.0 || r->count <= 0) {
        r->range = r->step = 0.0;
        r->count = 1;
    }
}

/* Second table of model 5.1: divergence and dispersion. */
static void resolve_beam_range(range_rule *r)
{
    const int has_range = r->range >= 0.0;
    if (r->count <= 0) {
        if (!has_range && r->step <= 0.0) {
            r->count = 1;
            r->range = r->step = 0.0;
        } else if (!has_range) {
            r->range = r->step;
            r->count = 2;
        } else if (r->step <= 0.0) {
            r->step = r->range;
            r->count = 2;
        } else {
            r->count = steps_in(r->range, r->step);
        }
    } else if (!has_range && r->step <= 0.0) {
        r->range = 1.0;
        r->step = r->range / r->count;
    } else if (!has_range) {
        r->range = r->step;
        r->count = 2;
    } else if (r->step <= 0.0) {
        if (r->count < 2)
            r->count = 2;
        r->step = r->range / (r->count - 1);
    }
    reset_if_empty(r);
}

/* Sensor layers: the second table with the differences of model 5.1.  No step can be given. */
static void resolve_layers(range_rule *r, int overshoot)
{
    const int has_range = r->range >= 0.0;
    if (!overshoot && r->count > 0 && has_range) { /* C-PARITY-007 off */
        r->step = r->range / r->count;
        reset_if_empty(r);
        return;
    }
    if (r->count <= 0) {
        if (!has_range) {
            r->count = 1;
            r->range = r->step = 0.0;
        } else {
            r->count = 2;
            r->step = r->range / r->count;
        }
    } else if (!has_range) {
        r->range = 0.5e-6;
        r->step = r->range / r->count;
    } else { /* C-PARITY-007: one step more than there are layers */
        if (r->count < 2)
            r->count = 2;
        r->step = r->range / (r->count - 1);
    }
    reset_if_empty(r);
}

static void resolve_mosaic(const nbh_crystal *crystal, nbh_plan_info *info)
{
    double spread = crystal->mosaic_spread_rad;
    int32_t domains = crystal->mosaic_domains;
    if (domains <= 0) {
        if (spread > 0.0) {
            domains = 10;
            info->warnings |= NBH_WARN_MOSAIC_DOMAINS;
        } else {
            domains = 1;
            spread = 0.0;
        }
    } else if (spread <= 0.0) {
        domains = 1;
        spread = 0.0;
    }
    info->mosaic_domains = domains;
    info->mosaic_spread_rad = spread;
}

nbh_status sampling_resolve(const nbh_experiment *experiment, const nbh_structure_factors *table,
                            nbh_plan_info *info, nbh_error *error)
{
    const nbh_beam *beam = &experiment->beam;
    const nbh_goniometer *goniometer = &experiment->goniometer;
    const nbh_detector *detector = &experiment->detector;
    const nbh_sampling *sampling = &experiment->sampling;

    range_rule phi = {goniometer->osc_rad, goniometer->phi_step_rad, goniometer->phi_steps};
    resolve_phi(&phi);
    if (phi.count < 1)
        return nbh_fail(error, NBH_INVALID, "goniometer.phi_step_rad",
                        "got a step of %g rad for a range of %g rad, need at least one step",
                        phi.step, phi.range);
    info->phi_rad = goniometer->phi_rad;
    info->osc_rad = phi.range;
    info->phi_step_rad = phi.step;
    info->phi_steps = phi.count;

    range_rule h = {beam->divergence_h_rad, beam->divergence_h_step_rad, beam->divergence_h_steps};
    range_rule v = {beam->divergence_v_rad, beam->divergence_v_step_rad, beam->divergence_v_steps};
    range_rule d = {beam->dispersion_fraction, NBH_UNSET, beam->dispersion_steps};
    resolve_beam_range(&h);
    resolve_beam_range(&v);
    resolve_beam_range(&d);
    info->divergence_h_rad = h.range;
    info->divergence_h_step_rad = h.step;
    info->divergence_h_steps = h.count;
    info->divergence_v_rad = v.range;
    info->divergence_v_step_rad = v.step;
    info->divergence_v_steps = v.count;
    info->dispersion_fraction = d.range;
    info->dispersion_step = d.step;
    info->dispersion_steps = d.count;

    range_rule layers = {detector->sensor_thickness_m, NBH_UNSET, detector->sensor_layers};
    resolve_layers(&layers, has_quirk(experiment, NBH_QUIRK_LAYER_OVERSHOOT));
    if (detector->sensor_attenuation_per_m == 0.0 &&
        !has_quirk(experiment, NBH_QUIRK_NO_SENSOR_IS_BLACK)) {
        const range_rule none = {0.0, 0.0, 1};
        layers = none;
    }
    info->sensor_thickness_m = layers.range;
    info->sensor_layer_step_m = layers.step;
    info->sensor_layers = layers.count;
    info->sensor_attenuation_per_m = given_or(detector->sensor_attenuation_per_m, -1.0);
    if (layers.range > 0.0 && info->sensor_attenuation_per_m < 0.0)
        info->sensor_attenuation_per_m = 1.0 / layers.range;
    const int captures = layers.range > 0.0 && info->sensor_attenuation_per_m > 0.0;
    if (!captures && (layers.range > 0.0 || sampling->oversample_thick) &&
        has_quirk(experiment, NBH_QUIRK_NO_SENSOR_IS_BLACK))
        info->warnings |= NBH_WARN_NO_SENSOR_IS_BLACK;

    resolve_mosaic(&experiment->crystal, info);

    info->oversample =
        sampling->oversample > 0 ? sampling->oversample : info->recommended_oversample;
    if (info->oversample < info->recommended_oversample)
        info->warnings |= NBH_WARN_OVERSAMPLE_LOW;

    const double *n = experiment->crystal.n_cells;
    int interpolate = n[0] <= 2 || n[1] <= 2 || n[2] <= 2;
    if (is_given_int(sampling->interpolate))
        interpolate = sampling->interpolate != 0;
    if (table->amplitude == NULL) {
        if (is_given_int(sampling->interpolate) && interpolate)
            info->warnings |= NBH_WARN_INTERPOLATION_OFF;
        interpolate = 0;
    }
    info->interpolate = interpolate;

    info->wavelength_m = beam->wavelength_m;
    double fluence = beam->fluence_photons_per_m2;
    if (beam->flux_photons_per_s != 0.0 && beam->exposure_s > 0.0 && beam->beam_size_m >= 0.0)
        fluence =
            beam->flux_photons_per_s * beam->exposure_s / beam->beam_size_m / beam->beam_size_m;
    if (!isfinite(fluence))
        return nbh_fail(error, NBH_INVALID, "beam.beam_size_m",
                        "got %g m for a flux of %g photons/s, need a size that gives a finite "
                        "fluence",
                        beam->beam_size_m, beam->flux_photons_per_s);
    info->fluence_photons_per_m2 = fluence;
    return NBH_OK;
}

nbh_status sampling_count_steps(nbh_plan_info *info, int64_t source_candidates, nbh_error *error)
{
    const int64_t factors[5] = {source_candidates, info->mosaic_domains, info->phi_steps,
                                info->oversample, info->oversample};
    int64_t product = 1;
    for (int i = 0; i < 5; i++) {
        if (factors[i] > INT32_MAX || product * factors[i] > INT32_MAX)
            return nbh_fail(error, NBH_TOO_LARGE, "",
                            "got %lld sources * %d mosaic domains * %d phi steps * %d * %d "
                            "sub-pixels, need a product of at most %d steps",
                            (long long)source_candidates, info->mosaic_domains, info->phi_steps,
                            info->oversample, info->oversample, INT32_MAX);
        product *= factors[i];
    }
    info->steps = (int32_t)product;
    return NBH_OK;
}
