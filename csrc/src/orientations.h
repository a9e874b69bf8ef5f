/* orientations.h - the cell at every phi step and in every mosaic domain (model 5.3, 6.4). */
#ifndef NBH_ORIENTATIONS_H
#define NBH_ORIENTATIONS_H

#include <stddef.h>
#include <string.h>

#include "plan.h"
#include "vec3.h"

/* a, b, c (9 doubles) of a phi step and mosaic domain; scratch is used where no table is kept. */
static inline const double *orientation_cell(const nbh_plan *plan, int first_loop, int32_t phi_step,
                                             int32_t domain, double scratch[9])
{
    if (plan->cells != NULL && !first_loop)
        return plan->cells + 9 * ((int64_t)phi_step * plan->info.mosaic_domains + domain);
    const double *phi_cells =
        first_loop && plan->first_phi_cells != NULL ? plan->first_phi_cells : plan->phi_cells;
    const double *cell = phi_cells + 9 * (int64_t)phi_step;
    if (!plan->turns_domains)
        return cell;
    for (int i = 0; i < 9; i += 3)
        vec3_rotate_matrix(cell + i, plan->mosaic + 9 * (int64_t)domain, scratch + i);
    return scratch;
}

/* So many cells can be asked for together. */
#define ORIENTATION_CELLS 32

/* orientation_cell of `count` domains, one after the other, in the steady state. */
static inline const double *orientation_cells(const nbh_plan *plan, int32_t phi_step,
                                              int32_t domain, int32_t count,
                                              double scratch[9 * ORIENTATION_CELLS])
{
    if (plan->cells != NULL)
        return plan->cells + 9 * ((int64_t)phi_step * plan->info.mosaic_domains + domain);
    for (int32_t n = 0; n < count; n++) {
        double *own = scratch + (ptrdiff_t)9 * n;
        const double *cell = orientation_cell(plan, 0, phi_step, domain + n, own);
        if (cell != own)
            memcpy(own, cell, 9 * sizeof *own);
    }
    return scratch;
}

/* Makes the tables of a plan whose info and random generator are ready; draws the mosaic domains
 * from plan->random (model 7.4: after the random missetting) unless they are given. */
nbh_status orientations_make(const nbh_crystal *crystal, nbh_plan *plan, nbh_error *error);

#endif
