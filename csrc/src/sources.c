#include "sources.h"

#include <math.h>
#include <stdlib.h>

#include "allocate.h"
#include "error.h"
#include "given.h"
#include "vec3.h"

int64_t sources_count_candidates(const nbh_experiment *experiment, const nbh_plan_info *info)
{
    /* int32 counts: saturate instead of overflowing */
    const int64_t directions = experiment->beam.sources != NULL
                                   ? experiment->beam.source_count
                                   : (int64_t)info->divergence_h_steps * info->divergence_v_steps;
    if (directions > INT32_MAX)
        return (int64_t)INT32_MAX + 1;
    if (experiment->beam.spectrum != NULL)
        return directions * experiment->beam.spectrum_count;
    return experiment->beam.sources != NULL ? directions : directions * info->dispersion_steps;
}

int sources_have_weights(const nbh_experiment *experiment)
{
    return experiment->beam.spectrum != NULL ||
           !has_quirk(experiment, NBH_QUIRK_SOURCE_WEIGHTS_IGNORED);
}

static void set_source(plan_source *source, const double to_source[3], double wavelength_m,
                       double weight)
{
    double unit[3];
    vec3_unit(to_source, unit);
    for (int i = 0; i < 3; i++)
        source->incident[i] = -unit[i];
    vec3_unit(source->incident, source->incident_unit);
    source->wavelength_m = wavelength_m;
    source->weight = weight;
}

/* All wavelengths of the spectrum in one direction, whose weight is given. */
static int64_t add_spectrum(const nbh_beam *beam, const double to_source[3], double weight,
                            plan_source *out)
{
    for (int64_t n = 0; n < beam->spectrum_count; n++)
        set_source(&out[n], to_source, beam->spectrum[n].wavelength_m,
                   weight * beam->spectrum[n].weight);
    return beam->spectrum_count;
}

/* Outside the ellipse of a round beam?  A range of 0 makes NaN, which keeps the point. */
static int outside_round_beam(const nbh_plan_info *info, double hdiv, double vdiv)
{
    const double hstep = info->divergence_h_step_rad, vstep = info->divergence_v_step_rad;
    double test = (hdiv * hdiv - hstep * hstep / 4.0 * (1 - info->divergence_h_steps % 2)) /
                  info->divergence_h_rad / info->divergence_h_rad;
    test += (vdiv * vdiv - vstep * vstep / 4.0 * (1 - info->divergence_v_steps % 2)) /
            info->divergence_v_rad / info->divergence_v_rad;
    return test * 4.0 > 1.1;
}

static int64_t generate(const nbh_experiment *experiment, const nbh_plan_info *info,
                        plan_source *out)
{
    int64_t count = 0;
    for (int32_t i = 0; i < info->divergence_h_steps; i++) {
        for (int32_t j = 0; j < info->divergence_v_steps; j++) {
            const double hdiv = info->divergence_h_step_rad * i - info->divergence_h_rad / 2.0;
            const double vdiv = info->divergence_v_step_rad * j - info->divergence_v_rad / 2.0;
            if (!experiment->beam.divergence_square && outside_round_beam(info, hdiv, vdiv))
                continue;
            double to_source[3];
            for (int n = 0; n < 3; n++)
                to_source[n] = -10 * info->beam_direction[n];
            vec3_rotate_axis(to_source, info->polarization_axis, vdiv, to_source);
            vec3_rotate_axis(to_source, info->vertical_axis, hdiv, to_source);
            if (experiment->beam.spectrum != NULL) {
                count += add_spectrum(&experiment->beam, to_source, 1.0, &out[count]);
                continue;
            }
            for (int32_t n = 0; n < info->dispersion_steps; n++)
                set_source(&out[count++], to_source,
                           info->wavelength_m *
                               (1.0 + info->dispersion_step * n - info->dispersion_fraction / 2.0),
                           1.0);
        }
    }
    return count;
}

/* Wavelengths of X-rays, m: 12 MeV to 12 eV. */
#define SHORTEST_WAVELENGTH_M 1e-13
#define LONGEST_WAVELENGTH_M 1e-7

static int is_of_x_rays(double wavelength_m)
{
    return wavelength_m >= SHORTEST_WAVELENGTH_M && wavelength_m <= LONGEST_WAVELENGTH_M;
}

/* C-PARITY-041 off: what is wrong with source n, in the fields that made it. */
static nbh_status refuse_source(const nbh_experiment *experiment, const nbh_plan_info *info,
                                const plan_source *source, int64_t n, nbh_error *error)
{
    const int listed = experiment->beam.sources != NULL;
    if (vec3_mag(source->incident) == 0.0)
        return nbh_fail(error, NBH_INVALID, "beam.sources",
                        "got none, need a direction for each source (source %lld has none)",
                        (long long)n);
    if (!is_of_x_rays(source->wavelength_m)) {
        const char *field = experiment->beam.spectrum != NULL   ? "beam.spectrum"
                            : listed                            ? "beam.sources"
                            : !is_of_x_rays(info->wavelength_m) ? "beam.wavelength_m"
                                                                : "beam.dispersion_fraction";
        return nbh_fail(error, NBH_INVALID, field,
                        "got %g, need wavelengths from %g to %g m (source %lld has %g m)",
                        source->wavelength_m, SHORTEST_WAVELENGTH_M, LONGEST_WAVELENGTH_M,
                        (long long)n, source->wavelength_m);
    }
    const char *field = info->divergence_h_rad >= info->divergence_v_rad ? "beam.divergence_h_rad"
                                                                         : "beam.divergence_v_rad";
    return nbh_fail(error, NBH_INVALID, listed ? "beam.sources" : field,
                    "got others, need sources that shine towards the detector (source %lld shines "
                    "away from it)",
                    (long long)n);
}

/* Sources that there cannot be: without direction, with a wavelength of no X-rays, or with light
 * that goes the other way than the beam. */
static nbh_status check_sources(const nbh_experiment *experiment, const plan_source *list,
                                int64_t count, nbh_plan_info *info, nbh_error *error)
{
    info->first_impossible_source = -1;
    for (int64_t n = 0; n < count; n++) {
        if (is_of_x_rays(list[n].wavelength_m) &&
            vec3_dot(list[n].incident, info->beam_direction) > 0.0)
            continue;
        if (!has_quirk(experiment, NBH_QUIRK_IMPOSSIBLE_SOURCES))
            return refuse_source(experiment, info, &list[n], n, error);
        if (info->impossible_sources++ == 0)
            info->first_impossible_source = (int32_t)n;
        info->warnings |= NBH_WARN_IMPOSSIBLE_SOURCES;
    }
    return NBH_OK;
}

/* No grid point is inside the round beam: what to say depends on what was given. */
static nbh_status refuse_empty_beam(const nbh_beam *beam, nbh_error *error)
{
    static const char need[] = "directions inside the round beam: a number of them needs its range "
                               "(-divsteps: -divergence; -hdivsteps: -hdivrange; -vdivsteps: "
                               "-vdivrange), or all of the square (-square_div)";
    if (beam->divergence_h_steps > 0)
        return nbh_fail(error, NBH_INVALID, "beam.divergence_h_steps", "got %d, need %s",
                        beam->divergence_h_steps, need);
    if (beam->divergence_v_steps > 0)
        return nbh_fail(error, NBH_INVALID, "beam.divergence_v_steps", "got %d, need %s",
                        beam->divergence_v_steps, need);
    return nbh_fail(error, NBH_INVALID, "beam.divergence_h_step_rad", "got %g, need %s",
                    beam->divergence_h_step_rad, need);
}

/* The sources of a list, each with its own wavelength or with all of the spectrum, whose weights
 * count whether or not those of the list do (C-PARITY-009). */
static int64_t take_listed(const nbh_experiment *experiment, const nbh_plan_info *info,
                           plan_source *out)
{
    const nbh_beam *beam = &experiment->beam;
    const int is_ignored = has_quirk(experiment, NBH_QUIRK_SOURCE_WEIGHTS_IGNORED);
    int64_t count = 0;
    for (int64_t n = 0; n < beam->source_count; n++) {
        const nbh_source *given = &beam->sources[n];
        const double weight = given_or(given->weight, 1.0);
        double to_source[3];
        for (int i = 0; i < 3; i++)
            to_source[i] = given_or(given->position[i], -10 * info->beam_direction[i]);
        if (beam->spectrum != NULL)
            count += add_spectrum(beam, to_source, is_ignored ? 1.0 : weight, &out[count]);
        else
            set_source(&out[count++], to_source, given_or(given->wavelength_m, info->wavelength_m),
                       weight);
    }
    return count;
}

/* The beam's own wavelength scales an orientation matrix and chooses the oversampling also where a
 * spectrum has those of the rays; by so much it may be outside of them. */
#define WAVELENGTH_TOLERANCE 1e-3

static int wavelength_is_outside(const nbh_beam *beam, double wavelength_m)
{
    double shortest = INFINITY, longest = 0.0;
    for (int64_t n = 0; n < beam->spectrum_count; n++) {
        const double own = beam->spectrum[n].wavelength_m;
        shortest = own < shortest ? own : shortest;
        longest = own > longest ? own : longest;
    }
    return !(wavelength_m >= shortest * (1.0 - WAVELENGTH_TOLERANCE) &&
             wavelength_m <= longest * (1.0 + WAVELENGTH_TOLERANCE));
}

nbh_status sources_make(const nbh_experiment *experiment, nbh_plan_info *info,
                        plan_source **sources, memory_budget *memory, nbh_error *error)
{
    const nbh_beam *beam = &experiment->beam;
    const int64_t candidates = sources_count_candidates(experiment, info);
    plan_source *list = allocate(candidates, sizeof *list, "the sources", memory, error);
    if (list == NULL)
        return NBH_OUT_OF_MEMORY;

    const int64_t count = beam->sources != NULL ? take_listed(experiment, info, list)
                                                : generate(experiment, info, list);
    if (count < 1) {
        free(list);
        return refuse_empty_beam(beam, error);
    }
    const nbh_status status = check_sources(experiment, list, count, info, error);
    if (status != NBH_OK) {
        free(list);
        return status;
    }
    double sum = 0.0;
    for (int64_t n = 0; n < count; n++)
        sum += list[n].weight;
    if (sources_have_weights(experiment) && !(sum > 0.0 && isfinite(sum))) {
        free(list);
        return nbh_fail(error, NBH_INVALID,
                        beam->sources != NULL ? "beam.sources" : "beam.spectrum",
                        "got weights whose sum is %g, need a finite sum > 0", sum);
    }
    for (int64_t n = 0; n < count; n++)
        list[n].relative_weight = list[n].weight * (double)count / sum;
    if (beam->spectrum != NULL && wavelength_is_outside(beam, info->wavelength_m))
        info->warnings |= NBH_WARN_WAVELENGTH_OUTSIDE_SPECTRUM;
    info->source_count = (int32_t)count;
    *sources = list;
    return NBH_OK;
}
