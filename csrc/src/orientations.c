#include "orientations.h"

#include <stdlib.h>
#include <string.h>

#include "allocate.h"
#include "error.h"
#include "vec3.h"

/* Largest table of rotated cells kept (entries of 9 doubles); above, they are made per step. */
#define MAX_KEPT_CELLS (1 << 18)

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
static void fill_mosaic(int32_t mosaic_seed, nbh_plan *plan)
{
    int32_t seed = (int32_t)(0u - (uint32_t)mosaic_seed);
    for (int32_t n = 0; n < plan->info.mosaic_domains; n++)
        nbh_random_rotation(&plan->random, &seed, (float)plan->info.mosaic_spread_rad,
                            plan->mosaic + 9 * (int64_t)n);
    static const double identity[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    memcpy(plan->mosaic, identity, sizeof identity);
}

/* The domains that the user gives, and their weights where these differ. */
static nbh_status take_rotations(const nbh_crystal *crystal, nbh_plan *plan, nbh_error *error)
{
    const int64_t count = crystal->mosaic_rotation_count;
    const nbh_rotation *given = crystal->mosaic_rotations;
    double sum = 0.0;
    int differ = 0;
    for (int64_t n = 0; n < count; n++) {
        memcpy(plan->mosaic + 9 * n, given[n].matrix, sizeof given[n].matrix);
        sum += given[n].weight;
        differ |= given[n].weight != given[0].weight;
    }
    if (!differ)
        return NBH_OK;
    plan->largest_domain_weight = 1.0;
    plan->domain_weights =
        allocate(count, sizeof(double), "the mosaic domains", &plan->memory, error);
    if (plan->domain_weights == NULL)
        return NBH_OUT_OF_MEMORY;
    for (int64_t n = 0; n < count; n++) {
        const double weight = given[n].weight * (double)count / sum;
        plan->domain_weights[n] = weight;
        if (weight > plan->largest_domain_weight)
            plan->largest_domain_weight = weight;
    }
    return NBH_OK;
}

static nbh_status fill_cells(nbh_plan *plan, nbh_error *error)
{
    const nbh_plan_info *info = &plan->info;
    plan->phi = allocate(info->phi_steps, sizeof(double), "the phi steps", &plan->memory, error);
    plan->phi_cells =
        allocate(info->phi_steps, 9 * sizeof(double), "the phi steps", &plan->memory, error);
    plan->first_phi_cells =
        allocate(info->phi_steps, 9 * sizeof(double), "the phi steps", &plan->memory, error);
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
    double *cells = allocate(count, 9 * sizeof(double), "the rotated cells", &plan->memory, error);
    if (cells == NULL)
        return NBH_OUT_OF_MEMORY;
    for (int64_t n = 0; n < count; n++) {
        const double *cell = plan->phi_cells + 9 * (n / info->mosaic_domains);
        const double *matrix = plan->mosaic + 9 * (n % info->mosaic_domains);
        for (int i = 0; i < 9; i += 3) {
            if (plan->turns_domains)
                vec3_rotate_matrix(cell + i, matrix, cells + 9 * n + i);
            else
                vec3_copy(cell + i, cells + 9 * n + i);
        }
    }
    plan->cells = cells;
    return NBH_OK;
}

nbh_status orientations_make(const nbh_crystal *crystal, nbh_plan *plan, nbh_error *error)
{
    plan->mosaic = allocate(plan->info.mosaic_domains, 9 * sizeof(double), "the mosaic domains",
                            &plan->memory, error);
    if (plan->mosaic == NULL)
        return NBH_OUT_OF_MEMORY;
    const int is_given = crystal->mosaic_rotations != NULL;
    plan->turns_domains = is_given || plan->info.mosaic_spread_rad > 0.0;
    nbh_status status = NBH_OK;
    if (is_given)
        status = take_rotations(crystal, plan, error);
    else
        fill_mosaic(crystal->mosaic_seed, plan);
    return status == NBH_OK ? fill_cells(plan, error) : status;
}

nbh_status nbh_plan_get_cells(const nbh_plan *plan, double *cells_m, int64_t capacity,
                              nbh_error *error)
{
    const int32_t phi_steps = plan->info.phi_steps, domains = plan->info.mosaic_domains;
    const int64_t need = (int64_t)phi_steps * domains;
    if (cells_m == NULL || capacity < need)
        return nbh_fail(error, NBH_INVALID, "capacity", "got %lld, need %lld",
                        cells_m == NULL ? 0LL : (long long)capacity, (long long)need);
    double scratch[9];
    for (int32_t phi_step = 0; phi_step < phi_steps; phi_step++) {
        for (int32_t domain = 0; domain < domains; domain++) {
            memcpy(cells_m, orientation_cell(plan, 0, phi_step, domain, scratch), sizeof scratch);
            cells_m += 9;
        }
    }
    return NBH_OK;
}
