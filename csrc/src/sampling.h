/* sampling.h - counts, ranges and steps (model 2 fluence, model 5.1). */
#ifndef NBH_SAMPLING_H
#define NBH_SAMPLING_H

#include "nbh/nbh.h"

/* Fills the sampling part of *info except sources and steps; needs the crystal's part. */
nbh_status sampling_resolve(const nbh_experiment *experiment, const nbh_structure_factors *table,
                            nbh_plan_info *info, nbh_error *error);

/* Sets info->steps from its counts; the number of source_candidates (grid points before the round
 * beam drops any) must be known. */
nbh_status sampling_count_steps(nbh_plan_info *info, int64_t source_candidates, nbh_error *error);

/* How long the render will take, in steps: refused if for ever, warned of if long. */
nbh_status sampling_check_cost(nbh_plan_info *info, nbh_error *error);

#endif
