#include "plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "constants.h"
#include "crystal.h"
#include "detector.h"
#include "error.h"
#include "experiment.h"
#include "sampling.h"
#include "vec3.h"

/* Largest table of rotated cells kept (entries of 9 doubles); above, they are made per step. */
#define MAX_KEPT_CELLS (1 << 18)

static void *allocate(int64_t count, size_t size, const char *what, nbh_error *error)
{
    void *memory = calloc((size_t)count, size);
    if (memory == NULL)
        nbh_fail(error, NBH_OUT_OF_MEMORY, "", "need %lld times %zu bytes of memory for %s",
                 (long long)count, size, what);
    return memory;
}

/* a, b, c of every phi step.  A step of exactly 0 keeps the vectors of the step before
 * (C-PARITY-001): `first` starts from a0 b0 c0, the others from where the loop before ended.
 * Returns 1 if the two differ. */
static int fill_phi_cells(const nbh_plan *plan, double *first, double *steady)
{
    const nbh_plan_info *info = &plan->info;
    const int carryover = (plan->quirks & NBH_QUIRK_PHI_CARRYOVER) != 0;
    double reference[9], current[9];
    vec3_copy(info->a0_m, reference);
    vec3_copy(info->b0_m, reference + 3);
    vec3_copy(info->c0_m, reference + 6);
    memcpy(current, reference, sizeof current);

    double *loops[2] = {first, steady};
    for (int loop = 0; loop < 2; loop++) {
        for (int32_t n = 0; n < info->phi_steps; n++) {
            if (plan->phi[n] != 0.0)
                for (int i = 0; i < 9; i += 3)
                    vec3_rotate_axis(reference + i, info->spindle_axis, plan->phi[n], current + i);
            else if (!carryover)
                memcpy(current, reference, sizeof current);
            memcpy(loops[loop] + 9 * (int64_t)n, current, sizeof current);
        }
    }
    for (int64_t i = 0; i < 9 * (int64_t)info->phi_steps; i++)
        if (first[i] != steady[i])
            return 1;
    return 0;
}

/* Mosaic matrices in the order of model 5.3: three deviates a domain, the first then replaced. */
static void fill_mosaic(const nbh_experiment *experiment, nbh_plan *plan)
{
    int32_t seed = (int32_t)(0u - (uint32_t)experiment->crystal.mosaic_seed);
    for (int32_t n = 0; n < plan->info.mosaic_domains; n++)
        nbh_random_rotation(&plan->random, &seed, (float)plan->info.mosaic_spread_rad,
                            plan->mosaic + 9 * (int64_t)n);
    static const double identity[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    memcpy(plan->mosaic, identity, sizeof identity);
}

static nbh_status fill_cells(nbh_plan *plan, nbh_error *error)
{
    const nbh_plan_info *info = &plan->info;
    plan->phi = allocate(info->phi_steps, sizeof(double), "the phi steps", error);
    plan->phi_cells = allocate(info->phi_steps, 9 * sizeof(double), "the phi steps", error);
    plan->first_phi_cells = allocate(info->phi_steps, 9 * sizeof(double), "the phi steps", error);
    if (plan->phi == NULL || plan->phi_cells == NULL || plan->first_phi_cells == NULL)
        return NBH_OUT_OF_MEMORY;
    /* C-PARITY-025: steps sit at the left edge of their intervals */
    const int left_edge = (plan->quirks & NBH_QUIRK_PHI_LEFT_EDGE) != 0;
    const double offset = left_edge || !(info->osc_rad > 0.0) ? 0.0 : 0.5;
    for (int32_t n = 0; n < info->phi_steps; n++)
        plan->phi[n] = info->phi_rad + info->phi_step_rad * (n + offset);
    if (!fill_phi_cells(plan, plan->first_phi_cells, plan->phi_cells)) {
        free(plan->first_phi_cells);
        plan->first_phi_cells = NULL;
    }

    const int64_t count = (int64_t)info->phi_steps * info->mosaic_domains;
    if (count > MAX_KEPT_CELLS)
        return NBH_OK;
    double *cells = allocate(count, 9 * sizeof(double), "the rotated cells", error);
    if (cells == NULL)
        return NBH_OUT_OF_MEMORY;
    for (int64_t n = 0; n < count; n++) {
        const double *cell = plan->phi_cells + 9 * (n / info->mosaic_domains);
        const double *matrix = plan->mosaic + 9 * (n % info->mosaic_domains);
        for (int i = 0; i < 9; i += 3) {
            if (info->mosaic_spread_rad > 0.0)
                vec3_rotate_matrix(cell + i, matrix, cells + 9 * n + i);
            else
                vec3_copy(cell + i, cells + 9 * n + i);
        }
    }
    plan->cells = cells;
    return NBH_OK;
}

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
    plan->mask = allocate(pixels, 1, "the mask", error);
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
        status = sources_make(experiment, info, &plan->sources, error);
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

    plan->shape.shape = experiment->crystal.shape;
    plan->shape.fudge = experiment->crystal.shape_fudge;
    vec3_copy(info->n_cells, plan->shape.n_cells);
    vec3_copy(info->a_star_per_angstrom, plan->shape.a_star);
    vec3_copy(info->b_star_per_angstrom, plan->shape.b_star);
    vec3_copy(info->c_star_per_angstrom, plan->shape.c_star);

    plan->mosaic = allocate(info->mosaic_domains, 9 * sizeof(double), "the mosaic domains", error);
    if (plan->mosaic == NULL)
        return NBH_OUT_OF_MEMORY;
    fill_mosaic(experiment, plan);
    status = fill_cells(plan, error);
    if (status != NBH_OK)
        return status;

    plan->latch_pixel = -1;
    plan->settled = !info->interpolate || !(plan->quirks & NBH_QUIRK_INTERPOLATION_LATCH);
    plan_find_breaks(plan);
    plan_set_units(plan);
    return plan_choose_kernel(plan, experiment->kernel, error);
}

nbh_status nbh_plan_create(const nbh_experiment *experiment, const nbh_structure_factors *table,
                           nbh_plan **plan, nbh_error *error)
{
    static const nbh_structure_factors no_table;
    *plan = NULL;
    if (table == NULL)
        table = &no_table;
    nbh_status status = experiment_validate(experiment, table, error);
    if (status != NBH_OK)
        return status;
    nbh_plan *created = allocate(1, sizeof *created, "the plan", error);
    if (created == NULL)
        return NBH_OUT_OF_MEMORY;
    status = derive(experiment, table, created, error);
    if (status != NBH_OK) {
        nbh_plan_destroy(created);
        return status;
    }
    *plan = created;
    return NBH_OK;
}

void nbh_plan_destroy(nbh_plan *plan)
{
    if (plan == NULL)
        return;
    free(plan->mask);
    free(plan->sources);
    free(plan->phi);
    free(plan->phi_cells);
    free(plan->first_phi_cells);
    free(plan->mosaic);
    free(plan->cells);
    free(plan);
}

static nbh_status check_capacity(int64_t capacity, int64_t need, nbh_error *error)
{
    if (capacity < need)
        return nbh_fail(error, NBH_INVALID, "capacity", "got %lld, need %lld", (long long)capacity,
                        (long long)need);
    return NBH_OK;
}

nbh_status nbh_plan_get_info(const nbh_plan *plan, nbh_plan_info *info, nbh_error *error)
{
    (void)error;
    *info = plan->info;
    return NBH_OK;
}

nbh_status nbh_plan_get_sources(const nbh_plan *plan, nbh_source *sources, int64_t capacity,
                                nbh_error *error)
{
    nbh_status status = check_capacity(capacity, plan->info.source_count, error);
    if (status != NBH_OK)
        return status;
    for (int32_t n = 0; n < plan->info.source_count; n++) {
        for (int i = 0; i < 3; i++)
            sources[n].position[i] = -plan->sources[n].incident[i];
        sources[n].weight = plan->sources[n].weight;
        sources[n].wavelength_m = plan->sources[n].wavelength_m;
    }
    return NBH_OK;
}

nbh_status nbh_plan_get_mosaic_matrices(const nbh_plan *plan, double *matrices, int64_t capacity,
                                        nbh_error *error)
{
    nbh_status status = check_capacity(capacity, plan->info.mosaic_domains, error);
    if (status == NBH_OK)
        memcpy(matrices, plan->mosaic, sizeof(double) * 9 * (size_t)plan->info.mosaic_domains);
    return status;
}

nbh_status nbh_plan_get_phi(const nbh_plan *plan, double *phi_rad, int64_t capacity,
                            nbh_error *error)
{
    nbh_status status = check_capacity(capacity, plan->info.phi_steps, error);
    if (status == NBH_OK)
        memcpy(phi_rad, plan->phi, sizeof(double) * (size_t)plan->info.phi_steps);
    return status;
}

nbh_status nbh_plan_get_random(const nbh_plan *plan, nbh_random *state, nbh_error *error)
{
    (void)error;
    *state = plan->random;
    return NBH_OK;
}

int32_t nbh_plan_needs_scan(const nbh_plan *plan)
{
    return !plan->settled;
}

nbh_status nbh_plan_settle(nbh_plan *plan, int64_t first_pixel, nbh_error *error)
{
    const int64_t pixels = (int64_t)plan->info.n_fast * plan->info.n_slow;
    if (first_pixel < -1 || first_pixel >= pixels)
        return nbh_fail(error, NBH_INVALID, "first_pixel", "got %lld, need -1 to %lld",
                        (long long)first_pixel, (long long)pixels - 1);
    plan->latch_pixel = first_pixel;
    plan->settled = 1;
    return NBH_OK;
}
