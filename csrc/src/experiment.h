/* experiment.h - checking an experiment's fields one by one. */
#ifndef NBH_EXPERIMENT_H
#define NBH_EXPERIMENT_H

#include "nbh/nbh.h"

/* Every field against its own rule; combinations are checked where they are derived. */
nbh_status experiment_validate(const nbh_experiment *experiment, const nbh_structure_factors *table,
                               nbh_error *error);

#endif
