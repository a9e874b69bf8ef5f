/* reflections.c - whose light is in a pixel. */
#include "error.h"
#include "pixel.h"
#include "plan.h"
#include "reflection_lights.h"
#include "serial_states.h"

nbh_status nbh_plan_pixel_reflections(const nbh_plan *plan, int32_t fast, int32_t slow,
                                      int64_t capacity, nbh_reflection_light *lights,
                                      int64_t *count, const volatile int32_t *cancel,
                                      nbh_error *error)
{
    *count = 0;
    nbh_status status = plan_check_pixel(plan, fast, slow, error);
    if (status == NBH_OK && (capacity < 0 || (capacity > 0 && lights == NULL)))
        status = nbh_fail(error, NBH_INVALID, "lights",
                          "got %s for %lld reflections, need room for them",
                          lights == NULL ? "NULL" : "an array", (long long)capacity);
    if (status != NBH_OK)
        return status;
    if ((plan->oversample_thick || plan->oversample_polar || plan->oversample_omega) &&
        (plan->quirks & NBH_QUIRK_OVERSAMPLE_RUNNING_PRODUCT))
        return nbh_fail(
            error, NBH_NOT_IMPLEMENTED, "quirks.oversample_running_product",
            "got on beside oversample_thick, oversample_polar or oversample_omega, need "
            "off: the light of a reflection is no part of such a product");
    if (!plan_pixel_is_active(plan, fast, slow))
        return NBH_OK;

    const serial_state state = serial_state_at(plan, plan_pixel_number(plan, fast, slow));
    reflection_lights found = {.lights = lights, .capacity = capacity};
    pixel_result result = {0}; /* a cancelled pass sets nothing */
    pixel_compute(plan, &state, fast, slow, PIXEL_LIGHT, cancel, &result, NULL, &found);
    if (result.cancelled)
        return plan_fail_cancelled(error);
    if (found.is_full)
        return nbh_fail(error, NBH_TOO_LARGE, "capacity",
                        "got %lld, need room for all reflections that light pixel %d %d",
                        (long long)capacity, fast, slow);
    *count = found.count;
    return NBH_OK;
}
