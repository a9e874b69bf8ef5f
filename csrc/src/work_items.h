/* work_items.h - the image in parts that threads take one after the other. */
#ifndef NBH_WORK_ITEMS_H
#define NBH_WORK_ITEMS_H

#include "plan.h"

/* Sets what nbh_plan_work_item_end needs. */
void work_items_set(nbh_plan *plan);

#endif
