/* light_setup.h - whether a plan leaves out steps without light, and what its kernel needs for it.
 */
#ifndef NBH_FAST_LIGHT_SETUP_H
#define NBH_FAST_LIGHT_SETUP_H

#include "plan.h"

/* Sets plan->light and info->culling_reason for a plan whose kernel is chosen.  Whatever is in the
 * way, lack of memory too, is a reason and no error. */
void light_setup(nbh_plan *plan, int32_t culling);

#endif
