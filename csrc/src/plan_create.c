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
static void choose_corrections(nbh_plan *plan)
{
    const nbh_plan_info *info = &plan->info;
    plan->polar_per_source = !(plan->quirks & NBH_QUIRK_POLAR_FIRST_SOURCE) &&
                             (info->source_count > 1 || plan->dmin_m > 0.0) &&
                             !plan->polarization_off && !plan->oversample_polar;
    plan->capture_per_layer = !(plan->quirks & NBH_QUIRK_THICK_LAST_LAYER) &&
                              info->sensor_layers > 1 && !plan->oversample_thick;
    if (!(plan->quirks & NBH_QUIRK_SOURCE_WEIGHTS_IGNORED))
        for (int32_t n = 1; n < info->source_count; n++)
            if (plan->sources[n].weight != plan->sources[0].weight)
                plan->use_source_weights = 1;
    plan->needs_first_d =
        plan->polar_per_source || plan->capture_per_layer || plan->water_electrons_sqr > 0.0;
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
    if (status != NBH_OK)
        return status;

    plan->subpixel_m = info->pixel_size_m / info->oversample;
    plan->curved = experiment->detector.curved != 0;
    plan->point_pixel = experiment->detector.point_pixel != 0;
    plan->oversample_thick = experiment->sampling.oversample_thick != 0;
    plan->oversample_polar = experiment->sampling.oversample_polar != 0;
    plan->oversample_omega = experiment->sampling.oversample_omega != 0;
    plan->polarization_kahn = experiment->beam.polarization_kahn;
    plan->polarization_off = experiment->beam.polarization_off != 0;
    plan->dmin_m = experiment->sampling.dmin_m;
    plan->water_size_m = experiment->crystal.water_size_m;
    plan->scale = R_E_SQR_M2 * info->fluence_photons_per_m2;
    if (plan->quirks & NBH_QUIRK_WATER_BACKGROUND)
        info->water_background = water_background(plan->water_size_m, info->fluence_photons_per_m2);
    else
        plan->water_electrons_sqr = water_electrons_sqr(plan->water_size_m);
    choose_corrections(plan);

    shape_set((nbh_shape)experiment->crystal.shape, &plan->shape);
    plan->shape.fudge = experiment->crystal.shape_fudge;
    vec3_copy(info->n_cells, plan->shape.n_cells);
    vec3_copy(info->a_star_per_angstrom, plan->shape.a_star);
    vec3_copy(info->b_star_per_angstrom, plan->shape.b_star);
    vec3_copy(info->c_star_per_angstrom, plan->shape.c_star);

    status = orientations_make(experiment->crystal.mosaic_seed, plan, error);
    if (status != NBH_OK)
        return status;

    plan->last_interpolated = -1;
    plan->settled = !info->interpolate || !(plan->quirks & NBH_QUIRK_INTERPOLATION_LATCH);
    serial_states_find(plan);
    work_items_set(plan);
    return fast_choose_kernel(plan, experiment->kernel, error);
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
