/* plan_create.c - from an experiment to a plan: every topic in the order in which one needs the
 * other. */
#include <math.h>
#include <string.h>

#include "allocate.h"
#include "constants.h"
#include "crystal.h"
#include "detector.h"
#include "error.h"
#include "experiment.h"
#include "fast/choice.h"
#include "fast/light_setup.h"
#include "given.h"
#include "orientations.h"
#include "plan.h"
#include "sampling.h"
#include "serial_states.h"
#include "shapes.h"
#include "sources.h"
#include "vec3.h"
#include "work_items.h"

static nbh_status copy_mask(const nbh_detector *detector, nbh_plan *plan, nbh_error *error)
{
    if (detector->mask == NULL)
        return NBH_OK;
    const int64_t pixels = (int64_t)plan->info.n_fast * plan->info.n_slow;
    if (detector->mask_count < pixels)
        return nbh_fail(error, NBH_INVALID, "detector.mask",
                        "got %lld values, need %d x %d = %lld, one for each pixel",
                        (long long)detector->mask_count, plan->info.n_fast, plan->info.n_slow,
                        (long long)pixels);
    plan->mask = allocate(pixels, 1, "the mask", &plan->memory, error);
    if (plan->mask == NULL)
        return NBH_OUT_OF_MEMORY;
    memcpy(plan->mask, detector->mask, (size_t)pixels);
    return NBH_OK;
}

/* I_bg of model 6. */
static double water_background(double size_m, double fluence)
{
    return WATER_F_ELECTRONS * WATER_F_ELECTRONS * R_E_SQR_M2 * fluence * size_m * size_m * size_m *
           1e6 * AVOGADRO_PER_MOL / WATER_G_PER_MOL;
}

/* F^2 of all the molecules in a cube of water (C-PARITY-006 off). */
static double water_electrons_sqr(double size_m)
{
    return WATER_F_ELECTRONS * WATER_F_ELECTRONS * size_m * size_m * size_m * 1e6 *
           AVOGADRO_PER_MOL / WATER_G_PER_MOL;
}

/* Which corrected branches change anything: one source has one factor, whatever its weight (but
 * with dmin its first sub-pixel may be cut). */
static void choose_corrections(const nbh_experiment *experiment, nbh_plan *plan)
{
    const nbh_plan_info *info = &plan->info;
    plan->polar_per_source = !(plan->quirks & NBH_QUIRK_POLAR_FIRST_SOURCE) &&
                             (info->source_count > 1 || plan->dmin_m > 0.0) &&
                             !plan->polarization_off && !plan->oversample_polar;
    plan->capture_per_layer = !(plan->quirks & NBH_QUIRK_THICK_LAST_LAYER) &&
                              info->sensor_layers > 1 && !plan->oversample_thick;
    if (sources_have_weights(experiment))
        for (int32_t n = 1; n < info->source_count; n++)
            if (plan->sources[n].weight != plan->sources[0].weight)
                plan->use_source_weights = 1;
    const int samples_differ = !(plan->quirks & NBH_QUIRK_FIRST_SUBPIXEL_FACTORS) &&
                               (info->oversample > 1 || info->sensor_layers > 1);
    plan->capture_per_sample =
        samples_differ && info->sensor_thickness_m > 0.0 && !plan->oversample_thick;
    plan->polar_per_sample = samples_differ && !plan->polarization_off && !plan->oversample_polar;
    plan->omega_per_sample = samples_differ && !plan->oversample_omega;
    plan->water_per_subpixel = samples_differ && plan->water_electrons_sqr > 0.0;
    plan->needs_first_d = plan->polar_per_source || plan->capture_per_layer || samples_differ ||
                          plan->water_electrons_sqr > 0.0;
}

/* Sine of the angle to the beam below which the polarization axis is along it. */
#define PARALLEL 1e-6

/* Of unit vectors; a source without direction (0 0 0) is along nothing. */
static int are_parallel(const double x[3], const double y[3])
{
    double across[3];
    vec3_cross(x, y, across);
    return vec3_mag(across) < PARALLEL && vec3_mag(x) > 0.0;
}

/* Is the polarization axis along the beam, or along a listed source, where that matters: for the
 * polarization factors, or for the divergence, which turns about it? */
static int axis_is_along_beam(const nbh_plan *plan, int is_polarized, int is_listed)
{
    const nbh_plan_info *info = &plan->info;
    const int diverges =
        !is_listed && (info->divergence_h_steps > 1 || info->divergence_v_steps > 1);
    if (!(is_polarized && plan->polarization_kahn != 0.0) && !diverges)
        return 0;
    if (!is_listed)
        return are_parallel(info->beam_direction, info->polarization_axis);
    for (int32_t n = 0; n < info->source_count; n++)
        if (are_parallel(plan->sources[n].incident, info->polarization_axis))
            return 1;
    return 0;
}

/* Warnings, or errors with C-PARITY-037 off. */
static nbh_status check_polarization(const nbh_experiment *experiment, nbh_plan *plan,
                                     nbh_error *error)
{
    const nbh_beam *beam = &experiment->beam;
    const int is_tolerated = (plan->quirks & NBH_QUIRK_POLARIZATION_UNCHECKED) != 0;
    const int is_polarized = !plan->polarization_off || plan->oversample_polar;
    if (is_polarized && !(fabs(beam->polarization_kahn) <= 1.0)) {
        if (!is_tolerated)
            return nbh_fail(error, NBH_INVALID, "beam.polarization_kahn",
                            "got %g, need -1 to 1 while polarization_unchecked is off",
                            beam->polarization_kahn);
        plan->info.warnings |= NBH_WARN_POLARIZATION_FACTOR;
    }
    if (axis_is_along_beam(plan, is_polarized, beam->sources != NULL)) {
        if (!is_tolerated)
            return nbh_fail(error, NBH_INVALID,
                            is_given(beam->polarization_axis[0]) ? "beam.polarization_axis"
                            : is_given(beam->direction[0])       ? "beam.direction"
                                                                 : "beam.sources",
                            "got the same line, need beam and polarization axis in different "
                            "directions while polarization_unchecked is off");
        plan->info.warnings |= NBH_WARN_POLARIZATION_AXIS;
    }
    return NBH_OK;
}

static nbh_status derive(const nbh_experiment *experiment, const nbh_structure_factors *table,
                         nbh_plan *plan, nbh_error *error)
{
    nbh_plan_info *info = &plan->info;
    plan->quirks = experiment->quirks;
    plan->table = *table;
    plan->h_range = (double)table->h_max - table->h_min + 1;
    plan->k_range = (double)table->k_max - table->k_min + 1;
    plan->l_range = (double)table->l_max - table->l_min + 1;
    nbh_random_init(&plan->random);
    plan->random.drops_first = !(plan->quirks & NBH_QUIRK_FIRST_DEVIATE);
    info->wavelength_m = experiment->beam.wavelength_m;

    nbh_status status = detector_resolve(experiment, info, error);
    if (status == NBH_OK)
        status = copy_mask(&experiment->detector, plan, error);
    if (status == NBH_OK)
        status = crystal_resolve(experiment, &plan->random, info, error);
    if (status == NBH_OK)
        status = sampling_resolve(experiment, table, info, error);
    if (status == NBH_OK)
        status = sampling_count_steps(info, sources_count_candidates(experiment, info), error);
    if (status == NBH_OK)
        status = sources_make(experiment, info, &plan->sources, &plan->memory, error);
    if (status == NBH_OK)
        status = sampling_count_steps(info, info->source_count, error);
    if (status == NBH_OK)
        status = sampling_check_cost(info, error);
    if (status != NBH_OK)
        return status;

    plan->subpixel_m = info->pixel_size_m / info->oversample;
    plan->subpixel_slow_m = info->pixel_size_slow_m / info->oversample;
    plan->pixel_area_m2 = info->pixel_size_m * info->pixel_size_slow_m;
    plan->curved = experiment->detector.curved != 0;
    plan->faces_sample = plan->curved && !(plan->quirks & NBH_QUIRK_CURVED_FLAT_FACTORS);
    const int point_pixel = experiment->detector.point_pixel != 0;
    plan->has_pixel_area = !point_pixel || !(plan->quirks & NBH_QUIRK_POINT_PIXEL_AREA);
    plan->is_oblique = !point_pixel && !plan->faces_sample;
    plan->oversample_thick =
        experiment->sampling.oversample_thick != 0 &&
        (info->sensor_thickness_m > 0.0 || (plan->quirks & NBH_QUIRK_NO_SENSOR_IS_BLACK) != 0);
    plan->oversample_omega = experiment->sampling.oversample_omega != 0;
    plan->polarization_kahn = experiment->beam.polarization_kahn;
    plan->polarization_off = experiment->beam.polarization_off != 0;
    plan->oversample_polar =
        experiment->sampling.oversample_polar != 0 &&
        (!plan->polarization_off || (plan->quirks & NBH_QUIRK_NOPOLAR_UNDONE) != 0);
    status = check_polarization(experiment, plan, error);
    if (status != NBH_OK)
        return status;
    plan->dmin_m = experiment->sampling.dmin_m;
    plan->water_size_m = experiment->crystal.water_size_m;
    plan->scale = R_E_SQR_M2 * info->fluence_photons_per_m2;
    if (plan->quirks & NBH_QUIRK_WATER_BACKGROUND)
        info->water_background = water_background(plan->water_size_m, info->fluence_photons_per_m2);
    else
        plan->water_electrons_sqr = water_electrons_sqr(plan->water_size_m);
    choose_corrections(experiment, plan);

    shape_set((nbh_shape)experiment->crystal.shape, &plan->shape);
    plan->shape.fudge = experiment->crystal.shape_fudge;
    vec3_copy(info->n_cells, plan->shape.n_cells);
    if (shape_has_poles(&plan->shape))
        info->warnings |= NBH_WARN_BROKEN_CELLS;
    vec3_copy(info->a_star_per_angstrom, plan->shape.a_star);
    vec3_copy(info->b_star_per_angstrom, plan->shape.b_star);
    vec3_copy(info->c_star_per_angstrom, plan->shape.c_star);

    status = orientations_make(&experiment->crystal, plan, error);
    if (status != NBH_OK)
        return status;

    plan->last_interpolated = -1;
    plan->settled = !info->interpolate || !(plan->quirks & NBH_QUIRK_INTERPOLATION_LATCH);
    serial_states_find(plan);
    status = fast_choose_kernel(plan, experiment->kernel, error);
    if (status != NBH_OK)
        return status;
    plan->tolerance_photons = experiment->tolerance_photons;
    light_setup(plan, experiment->culling);
    work_items_set(plan);
    return NBH_OK;
}

nbh_status nbh_plan_create(const nbh_experiment *experiment, const nbh_structure_factors *table,
                           nbh_plan **plan, nbh_error *error)
{
    static const nbh_structure_factors no_table;
    if (plan == NULL)
        return nbh_fail(error, NBH_INVALID, "plan", "got NULL, need a place for the plan");
    *plan = NULL;
    if (experiment == NULL)
        return nbh_fail(error, NBH_INVALID, "experiment", "got NULL, need an experiment");
    if (table == NULL)
        table = &no_table;
    nbh_status status = experiment_validate(experiment, table, error);
    if (status != NBH_OK)
        return status;
    memory_budget memory = {experiment->memory_limit_bytes, 0};
    nbh_plan *created = allocate(1, sizeof *created, "the plan", &memory, error);
    if (created == NULL)
        return NBH_OUT_OF_MEMORY;
    created->memory = memory;
    status = derive(experiment, table, created, error);
    if (status != NBH_OK) {
        nbh_plan_destroy(created);
        return status;
    }
    *plan = created;
    return NBH_OK;
}
