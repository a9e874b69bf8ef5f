/* trace.c - the whole chain of one pixel. */
#include <string.h>

#include "constants.h"
#include "error.h"
#include "pixel.h"

nbh_status nbh_plan_trace(const nbh_plan *plan, int32_t fast, int32_t slow, nbh_trace *trace,
                          nbh_error *error)
{
    const nbh_plan_info *info = &plan->info;
    memset(trace, 0, sizeof *trace);
    if (fast < 0 || fast >= info->n_fast || slow < 0 || slow >= info->n_slow)
        return nbh_fail(error, NBH_INVALID, "pixel",
                        "got fast %d, slow %d, need a pixel of the %d x %d detector", fast, slow,
                        info->n_fast, info->n_slow);
    if (!plan->settled)
        return nbh_fail(error, NBH_NOT_SETTLED, "",
                        "this plan interpolates: scan its rows and settle it first");
    trace->fast = fast;
    trace->slow = slow;
    trace->masked = !plan_pixel_is_lit(plan, fast, slow);
    if (trace->masked)
        return NBH_OK;

    const serial_state state = plan_state_at(plan, (int64_t)slow * info->n_fast + fast);
    pixel_result result = {0}; /* a cancelled pass sets nothing; none is cancelled here */
    pixel_compute(plan, &state, fast, slow, PIXEL_TRACE, NULL, &result, trace);

    vec3_copy(info->pix0_m, trace->pix0_m);
    vec3_copy(info->fast_axis, trace->fast_axis);
    vec3_copy(info->slow_axis, trace->slow_axis);
    trace->omega_sr = result.omega;
    trace->close_distance_m = info->close_distance_m;
    if (trace->evaluated) {
        trace->obliquity = info->close_distance_m / trace->first.airpath_m;
        trace->cos_2theta = vec3_dot(trace->last.incident, trace->last.diffracted);
    }
    trace->i_before_scaling = result.intensity;
    trace->r_e_sqr_m2 = R_E_SQR_M2;
    trace->fluence_photons_per_m2 = info->fluence_photons_per_m2;
    trace->steps = info->steps;
    trace->capture_fraction = result.capture;
    trace->polarization = result.polar;
    trace->pixel_value = result.value;
    trace->pixel_float = (float)result.value;
    return NBH_OK;
}
