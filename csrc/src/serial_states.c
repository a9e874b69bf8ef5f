/* serial_states.c - what a pixel inherits from the pixels before it (model 6.3, 6.4, 6.5).
 *
 * The reference renders pixel after pixel and carries three things along: the phi vectors, the
 * polarization axis and the interpolation switch.  After the first pixel or two they no longer
 * change, so the few pixels where they do are found here, once, and rows stay independent. */
#include "serial_states.h"

#include "pixel.h"
#include "vec3.h"

serial_state serial_state_at(const nbh_plan *plan, int64_t pixel)
{
    int32_t n = plan->state_change_count - 1;
    while (n > 0 && plan->state_changes[n].from > pixel)
        n--;
    serial_state state = plan->state_changes[n].state;
    state.interpolate =
        plan->info.interpolate && (plan->last_interpolated < 0 || pixel <= plan->last_interpolated);
    return state;
}

static void set_axis(serial_state *state, const double axis[3])
{
    double unit[3];
    vec3_unit(axis, unit);
    vec3_copy(axis, state->polar_axis);
    state->axis_is_fixed = vec3_equal(unit, axis);
}

void serial_states_find(nbh_plan *plan)
{
    const nbh_plan_info *info = &plan->info;
    serial_state state = {.first_loop = 1, .interpolate = info->interpolate};
    set_axis(&state, info->polarization_axis);
    /* C-PARITY-004 or 036 off: the axis settles here, and no pixel leaves another one to the next
     */
    const nbh_quirks carried = NBH_QUIRK_POLAR_FIRST_SOURCE | NBH_QUIRK_FIRST_SUBPIXEL_FACTORS;
    if ((plan->quirks & carried) != carried) {
        for (int i = 0; i < PLAN_MAX_STATE_CHANGES && !state.axis_is_fixed; i++) {
            vec3_unit(state.polar_axis, state.polar_axis);
            set_axis(&state, state.polar_axis);
        }
        state.axis_is_fixed = 1;
    }
    plan->state_changes[0].from = 0;
    plan->state_changes[0].state = state;
    plan->state_change_count = 1;
    /* nothing differs between the first and later pixels? */
    if (plan->first_phi_cells == NULL && state.axis_is_fixed) {
        plan->state_changes[0].state.first_loop = 0;
        return;
    }
    for (int32_t slow = info->roi_slow_min; slow <= info->roi_slow_max; slow++) {
        for (int32_t fast = info->roi_fast_min; fast <= info->roi_fast_max; fast++) {
            if (!plan_pixel_is_active(plan, fast, slow))
                continue;
            pixel_result result;
            pixel_compute(plan, &state, fast, slow, PIXEL_STATE, NULL, &result, NULL, NULL);
            if (!result.any_source)
                continue;
            const int axis_moved = !vec3_equal(state.polar_axis, result.polar_axis);
            if (axis_moved || state.first_loop) {
                state.first_loop = 0;
                set_axis(&state, result.polar_axis);
                plan->state_changes[plan->state_change_count].from =
                    plan_pixel_number(plan, fast, slow) + 1;
                plan->state_changes[plan->state_change_count].state = state;
                plan->state_change_count++;
            }
            /* an axis that nobody normalises (no polarization) stays as it is */
            if (state.axis_is_fixed || !axis_moved ||
                plan->state_change_count == PLAN_MAX_STATE_CHANGES)
                return;
        }
    }
}
