#include "sampling.h"

#include <math.h>

#include "constants.h"
#include "error.h"
#include "given.h"

/* An oversampling chosen by model 4.5 above this is worth a warning. */
#define MOST_CHOSEN_OVERSAMPLE 32
/* Steps of all layers and pixels: above the first a warning, above the second (2^63) none of
 * today's machines would ever end. */
#define MANY_STEPS 1e11
#define MOST_STEPS 9223372036854775808.0

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

/* The same where whole steps need not fit (C-PARITY-045, C-PARITY-046 off): at least one, and no
 * more because of rounding. */
static int32_t steps_that_fill(double range, double step)
{
    const int32_t n = steps_in(range * (1.0 - 1e-12), step);
    return n > 1 ? n : 1;
}

/* First table of model 5.1, corrected: C-PARITY-043, 044 and 046 off, each by itself.  What they do
 * not change is left to resolve_phi. */
static void correct_phi(nbh_quirks quirks, range_rule *r)
{
    const int has_range = r->range >= 0.0, has_step = r->step > 0.0;
    const int32_t count = r->count == 0 ? 1 : r->count;
    if (!(quirks & NBH_QUIRK_STEP_AND_COUNT) && count > 0 && !has_range && has_step) {
        r->range = count * r->step;
        r->count = count;
    } else if (!(quirks & NBH_QUIRK_COUNT_ALONE) && count == 1 && !has_range && !has_step) {
        r->range = r->step = 0.0;
        r->count = 1;
    } else if (!(quirks & NBH_QUIRK_OSC_OVERSHOOT) && count > 0 && has_range) {
        r->step = r->range / count;
        r->count = count;
    } else if (!(quirks & NBH_QUIRK_OSC_OVERSHOOT) && has_step) {
        if (!has_range)
            r->range = r->step;
        r->count = steps_that_fill(r->range, r->step);
        r->step = r->range / r->count;
    }
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

/* Second table of model 5.1, corrected: C-PARITY-043, 044 and 045 off, each by itself.  The sources
 * at both ends count, so that n of them have n-1 steps between them. */
static void correct_beam_range(nbh_quirks quirks, range_rule *r)
{
    const int has_range = r->range >= 0.0, has_step = r->step > 0.0;
    if (!(quirks & NBH_QUIRK_STEP_AND_COUNT) && r->count > 0 && !has_range && has_step)
        r->range = (r->count - 1) * r->step;
    else if (!(quirks & NBH_QUIRK_COUNT_ALONE) && r->count == 1 && !has_range && !has_step)
        r->range = 0.0;
    else if (!(quirks & NBH_QUIRK_MISSING_LAST_SOURCE) && r->count > 0 && !has_range && !has_step)
        r->range = 1.0; /* the made-up range (C-PARITY-044 on), which then has its step below */
    else if (!(quirks & NBH_QUIRK_MISSING_LAST_SOURCE) && r->range > 0.0 && has_step) {
        if (r->count <= 0) {
            r->count = steps_that_fill(r->range, r->step);
            if (r->count < INT32_MAX)
                r->count++;
        } else if (r->count < 2) {
            r->count = 2;
        }
        r->step = r->range / (r->count - 1);
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

/* What the tables of model 5.1 make of a count, a range and a step that do not fit (C-PARITY-043 to
 * 046 on).  `asked` is before, `r` after; `steps` is how many of them should fill the range. */
static uint32_t misfits(const range_rule *asked, const range_rule *r, double steps,
                        uint32_t not_filled)
{
    if (asked->count > 0 && asked->range < 0.0 && asked->step > 0.0)
        return r->count != asked->count ? NBH_WARN_STEP_AND_COUNT : 0;
    if (asked->count > 0 && asked->range < 0.0)
        return r->range > 0.0 ? NBH_WARN_COUNT_ALONE : 0;
    return fabs(steps * r->step - r->range) > 1e-9 * r->range ? not_filled : 0;
}

/* C-PARITY-044 off: a count that has nothing to count. */
static nbh_status require_range(nbh_quirks quirks, const range_rule *r, const char *field,
                                const char *need, nbh_error *error)
{
    if ((quirks & NBH_QUIRK_COUNT_ALONE) || r->count <= 1 || r->range >= 0.0 || r->step > 0.0)
        return NBH_OK;
    return nbh_fail(error, NBH_INVALID, field, "got %d, need %s", r->count, need);
}

static nbh_status resolve_spindle(const nbh_experiment *experiment, nbh_plan_info *info,
                                  nbh_error *error)
{
    const nbh_goniometer *goniometer = &experiment->goniometer;
    const range_rule asked = {goniometer->osc_rad, goniometer->phi_step_rad, goniometer->phi_steps};
    nbh_status status = require_range(
        experiment->quirks, &asked, "goniometer.phi_steps",
        "an oscillation for its steps (-osc), or an angle for each (-phistep)", error);
    if (status != NBH_OK)
        return status;
    range_rule phi = asked;
    correct_phi(experiment->quirks, &phi);
    resolve_phi(&phi);
    if (phi.count < 1)
        return nbh_fail(error, NBH_INVALID, "goniometer.phi_step_rad",
                        "got a step of %g rad for a range of %g rad, need at least one step",
                        phi.step, phi.range);
    /* one step at the left edge of whatever range is a still */
    if (phi.count > 1 || !has_quirk(experiment, NBH_QUIRK_PHI_LEFT_EDGE))
        info->warnings |= misfits(&asked, &phi, phi.count, NBH_WARN_OSC_OVERSHOOT);
    info->phi_rad = goniometer->phi_rad;
    info->osc_rad = phi.range;
    info->phi_step_rad = phi.step;
    info->phi_steps = phi.count;
    return NBH_OK;
}

static nbh_status resolve_divergence(const nbh_experiment *experiment, range_rule *r,
                                     const char *field, const char *need, nbh_plan_info *info,
                                     nbh_error *error)
{
    const range_rule asked = *r;
    if (experiment->beam.sources == NULL) {
        nbh_status status = require_range(experiment->quirks, r, field, need, error);
        if (status != NBH_OK)
            return status;
    }
    correct_beam_range(experiment->quirks, r);
    resolve_beam_range(r);
    if (experiment->beam.sources == NULL)
        info->warnings |= misfits(&asked, r, r->count - 1.0, NBH_WARN_MISSING_LAST_SOURCE);
    return NBH_OK;
}

static nbh_status resolve_dispersion(const nbh_experiment *experiment, range_rule *r,
                                     nbh_plan_info *info, nbh_error *error)
{
    const range_rule asked = *r;
    if (experiment->beam.sources == NULL && asked.count > 1 && asked.range <= 0.0) {
        if (!has_quirk(experiment, NBH_QUIRK_COUNT_ALONE))
            return nbh_fail(error, NBH_INVALID, "beam.dispersion_steps",
                            "got %d, need a spread for its wavelengths (-dispersion)", asked.count);
        if (asked.range == 0.0) /* as where it is not given */
            info->warnings |= NBH_WARN_WAVELENGTHS_WITHOUT_RANGE;
    }
    return resolve_divergence(experiment, r, "beam.dispersion_steps", "", info, error);
}

static void resolve_mosaic(const nbh_crystal *crystal, nbh_plan_info *info)
{
    double spread = crystal->mosaic_spread_rad;
    int32_t domains = crystal->mosaic_domains;
    if (crystal->mosaic_rotations != NULL) {
        info->mosaic_domains = (int32_t)crystal->mosaic_rotation_count;
        info->mosaic_spread_rad = 0.0;
        return;
    }
    if (domains <= 0) {
        if (spread > 0.0) {
            domains = 10;
            info->warnings |= NBH_WARN_MOSAIC_DOMAINS;
        } else {
            domains = 1;
            spread = 0.0;
        }
    } else if (spread <= 0.0) {
        if (spread < 0.0 && domains > 1)
            info->warnings |= NBH_WARN_DOMAINS_WITHOUT_SPREAD;
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
    const nbh_detector *detector = &experiment->detector;
    const nbh_sampling *sampling = &experiment->sampling;

    nbh_status status = resolve_spindle(experiment, info, error);
    if (status != NBH_OK)
        return status;

    range_rule h = {beam->divergence_h_rad, beam->divergence_h_step_rad, beam->divergence_h_steps};
    range_rule v = {beam->divergence_v_rad, beam->divergence_v_step_rad, beam->divergence_v_steps};
    range_rule d = {beam->dispersion_fraction, NBH_UNSET, beam->dispersion_steps};
    status =
        resolve_divergence(experiment, &h, "beam.divergence_h_steps",
                           "a range for its directions (-hdivrange or -divergence)", info, error);
    if (status == NBH_OK)
        status = resolve_divergence(experiment, &v, "beam.divergence_v_steps",
                                    "a range for its directions (-vdivrange or -divergence)", info,
                                    error);
    if (status == NBH_OK)
        status = resolve_dispersion(experiment, &d, info, error);
    if (status != NBH_OK)
        return status;
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
    if (sampling->oversample <= 0 && info->oversample > MOST_CHOSEN_OVERSAMPLE)
        info->warnings |= NBH_WARN_OVERSAMPLE_HIGH;

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

nbh_status sampling_check_cost(nbh_plan_info *info, nbh_error *error)
{
    const double fast = (double)info->roi_fast_max - info->roi_fast_min + 1;
    const double slow = (double)info->roi_slow_max - info->roi_slow_min + 1;
    const double pixels = fast > 0.0 && slow > 0.0 ? fast * slow : 0.0;
    const double steps = (double)info->steps * info->sensor_layers * pixels;
    if (steps > MOST_STEPS)
        return nbh_fail(error, NBH_TOO_LARGE, "",
                        "got %d steps * %d sensor layers * %.0f pixels, need a product of at most "
                        "2^63",
                        info->steps, info->sensor_layers, pixels);
    if (steps > MANY_STEPS)
        info->warnings |= NBH_WARN_MANY_STEPS;
    return NBH_OK;
}
