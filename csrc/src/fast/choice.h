/* choice.h - which plans a fast kernel covers, and which of its builds this processor runs. */
#ifndef NBH_FAST_CHOICE_H
#define NBH_FAST_CHOICE_H

#include "plan.h"

/* Sets plan->kernel and info->kernel for the nbh_kernel asked for; a plan that the fast kernel does
 * not cover gets the exact one.  Needs everything else of the plan. */
nbh_status fast_choose_kernel(nbh_plan *plan, int32_t kernel, nbh_error *error);

#endif
