/* serial_states.h - what a pixel inherits from the pixels before it (model 6.3, 6.4, 6.5). */
#ifndef NBH_SERIAL_STATES_H
#define NBH_SERIAL_STATES_H

#include "plan.h"

/* The state that the pixel with this number inherits. */
serial_state serial_state_at(const nbh_plan *plan, int64_t pixel);

/* Finds plan->state_changes: from which pixel on nothing depends on the serial order.  Needs all
 * that computing a pixel needs. */
void serial_states_find(nbh_plan *plan);

#endif
