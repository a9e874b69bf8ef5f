/* instruction_sets.h - which builds of the fast kernels this processor runs. */
#ifndef NBH_FAST_INSTRUCTION_SETS_H
#define NBH_FAST_INSTRUCTION_SETS_H

#include "nbh/nbh.h"

/* Does this library have the build with this name, and this processor its instructions? */
int instruction_set_runs(nbh_kernel kernel);

/* Of the builds that run here, the fastest in place of NBH_KERNEL_AUTO; any other name stands for
 * itself. */
nbh_kernel instruction_set_of(nbh_kernel kernel);

#endif
