#include "sources.h"

#include <math.h>
#include <stdlib.h>

#include "allocate.h"
#include "error.h"
#include "given.h"
#include "vec3.h"

int64_t sources_count_candidates(const nbh_experiment *experiment, const nbh_plan_info *info)
{
    if (experiment->beam.sources != NULL)
        return experiment->beam.source_count;
    /* three int32 counts: saturate instead of overflowing */
    int64_t grid = (int64_t)info->divergence_h_steps * info->divergence_v_steps;
    if (grid > INT32_MAX)
        return (int64_t)INT32_MAX + 1;
    return grid * info->dispersion_steps;
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
            for (int32_t n = 0; n < info->dispersion_steps; n++)
                set_source(&out[count++], to_source,
                           info->wavelength_m *
                               (1.0 + info->dispersion_step * n - info->dispersion_fraction / 2.0),
                           1.0);
        }
    }
    return count;
}

nbh_status sources_make(const nbh_experiment *experiment, nbh_plan_info *info,
                        plan_source **sources, memory_budget *memory, nbh_error *error)
{
    const nbh_beam *beam = &experiment->beam;
    const int64_t candidates = sources_count_candidates(experiment, info);
    plan_source *list = allocate(candidates, sizeof *list, "the sources", memory, error);
    if (list == NULL)
        return NBH_OUT_OF_MEMORY;

    int64_t count = 0;
    if (beam->sources != NULL) {
        for (; count < beam->source_count; count++) {
            const nbh_source *given = &beam->sources[count];
            double to_source[3];
            for (int i = 0; i < 3; i++)
                to_source[i] = given_or(given->position[i], -10 * info->beam_direction[i]);
            set_source(&list[count], to_source, given_or(given->wavelength_m, info->wavelength_m),
                       given_or(given->weight, 1.0));
        }
    } else {
        count = generate(experiment, info, list);
    }
    if (count < 1) {
        free(list);
        return nbh_fail(error, NBH_INVALID, "beam.sources", "got no source, need at least one");
    }
    double sum = 0.0;
    for (int64_t n = 0; n < count; n++)
        sum += list[n].weight;
    if (!has_quirk(experiment, NBH_QUIRK_SOURCE_WEIGHTS_IGNORED) && !(sum > 0.0 && isfinite(sum))) {
        free(list);
        return nbh_fail(error, NBH_INVALID, "beam.sources",
                        "got weights whose sum is %g, need a finite sum > 0", sum);
    }
    for (int64_t n = 0; n < count; n++)
        list[n].relative_weight = list[n].weight * (double)count / sum;
    info->source_count = (int32_t)count;
    *sources = list;
    return NBH_OK;
}
