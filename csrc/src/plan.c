#include "plan.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "fast/light_bounds.h"

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
    free(plan->domain_weights);
    free(plan->cells);
    light_destroy(plan->light);
    free(plan);
}

/* Room for what a plan always has at least one of. */
static nbh_status check_capacity(const void *room, int64_t capacity, int64_t need, nbh_error *error)
{
    if (room == NULL || capacity < need)
        return nbh_fail(error, NBH_INVALID, "capacity", "got %lld, need %lld",
                        room == NULL ? 0LL : (long long)capacity, (long long)need);
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
    nbh_status status = check_capacity(sources, capacity, plan->info.source_count, error);
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
    nbh_status status = check_capacity(matrices, capacity, plan->info.mosaic_domains, error);
    if (status == NBH_OK)
        memcpy(matrices, plan->mosaic, sizeof(double) * 9 * (size_t)plan->info.mosaic_domains);
    return status;
}

nbh_status nbh_plan_get_phi(const nbh_plan *plan, double *phi_rad, int64_t capacity,
                            nbh_error *error)
{
    nbh_status status = check_capacity(phi_rad, capacity, plan->info.phi_steps, error);
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
    plan->last_interpolated = first_pixel;
    plan->settled = 1;
    return NBH_OK;
}

nbh_status plan_check_settled(const nbh_plan *plan, nbh_error *error)
{
    if (!plan->settled)
        return nbh_fail(error, NBH_NOT_SETTLED, "",
                        "this plan interpolates: scan its rows and settle it first");
    return NBH_OK;
}

nbh_status plan_check_pixel(const nbh_plan *plan, int32_t fast, int32_t slow, nbh_error *error)
{
    const nbh_plan_info *info = &plan->info;
    if (fast < 0 || fast >= info->n_fast || slow < 0 || slow >= info->n_slow)
        return nbh_fail(error, NBH_INVALID, "pixel",
                        "got fast %d, slow %d, need a pixel of the %d x %d detector", fast, slow,
                        info->n_fast, info->n_slow);
    return plan_check_settled(plan, error);
}

nbh_status plan_fail_cancelled(nbh_error *error)
{
    return nbh_fail(error, NBH_CANCELLED, "", "cancelled by the caller");
}
