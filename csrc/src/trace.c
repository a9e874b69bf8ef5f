/* trace.c - the whole chain of one pixel. */
#include <string.h>

#include "constants.h"
#include "error.h"
#include "pixel.h"
#include "plan.h"
#include "serial_states.h"
#include "trace_recorder.h"
#include "vec3.h"

static nbh_status check_index(const char *field, int32_t index, int32_t count, nbh_error *error)
{
    if (index < -1 || index >= count)
        return nbh_fail(error, NBH_INVALID, field, "got %d, need 0 to %d, or -1 for any", index,
                        count - 1);
    return NBH_OK;
}

static nbh_status check_choice(const nbh_plan_info *info, const nbh_step_choice *choice,
                               nbh_error *error)
{
    nbh_status status = check_index("choice.layer", choice->layer, info->sensor_layers, error);
    if (status == NBH_OK)
        status = check_index("choice.sub_slow", choice->sub_slow, info->oversample, error);
    if (status == NBH_OK)
        status = check_index("choice.sub_fast", choice->sub_fast, info->oversample, error);
    if (status == NBH_OK)
        status = check_index("choice.source", choice->source, info->source_count, error);
    if (status == NBH_OK)
        status = check_index("choice.phi_step", choice->phi_step, info->phi_steps, error);
    if (status == NBH_OK)
        status = check_index("choice.domain", choice->domain, info->mosaic_domains, error);
    return status;
}

/* What the pixel has besides its steps. */
static void fill_pixel(const nbh_plan_info *info, const pixel_result *result, nbh_trace *trace)
{
    vec3_copy(info->pix0_m, trace->pix0_m);
    vec3_copy(info->fast_axis, trace->fast_axis);
    vec3_copy(info->slow_axis, trace->slow_axis);
    trace->omega_sr = result->omega;
    trace->close_distance_m = info->close_distance_m;
    if (trace->evaluated) {
        trace->obliquity = trace->first.obliquity;
        trace->cos_2theta = vec3_dot(trace->last.incident, trace->last.diffracted);
    }
    trace->i_before_scaling = result->intensity;
    trace->r_e_sqr_m2 = R_E_SQR_M2;
    trace->fluence_photons_per_m2 = info->fluence_photons_per_m2;
    trace->steps = info->steps;
    trace->capture_fraction = result->capture;
    trace->polarization = result->polar;
    trace->pixel_value = result->value;
    trace->pixel_float = (float)result->value;
}

nbh_status nbh_plan_trace_steps(const nbh_plan *plan, int32_t fast, int32_t slow,
                                const nbh_step_choice *choice, int64_t capacity,
                                nbh_step_trace *steps, int64_t *count,
                                const volatile int32_t *cancel, nbh_trace *trace, nbh_error *error)
{
    const nbh_plan_info *info = &plan->info;
    memset(trace, 0, sizeof *trace);
    *count = 0;
    trace_recorder recorder = {
        .trace = trace, .choice = {-1, -1, -1, -1, -1, -1}, .steps = steps, .capacity = capacity};
    if (choice != NULL)
        recorder.choice = *choice;
    nbh_status status = plan_check_pixel(plan, fast, slow, error);
    if (status == NBH_OK && (capacity < 0 || (capacity > 0 && steps == NULL)))
        status = nbh_fail(error, NBH_INVALID, "steps", "got %s for %lld steps, need room for them",
                          steps == NULL ? "NULL" : "an array", (long long)capacity);
    if (status == NBH_OK)
        status = check_choice(info, &recorder.choice, error);
    if (status != NBH_OK)
        return status;
    trace->fast = fast;
    trace->slow = slow;
    trace->is_active = plan_pixel_is_active(plan, fast, slow);
    if (!trace->is_active)
        return NBH_OK;

    const serial_state state = serial_state_at(plan, plan_pixel_number(plan, fast, slow));
    pixel_result result = {0}; /* a cancelled pass sets nothing */
    pixel_compute(plan, &state, fast, slow, PIXEL_TRACE, cancel, &result, &recorder, NULL);
    if (result.cancelled)
        return plan_fail_cancelled(error);
    *count = recorder.count;
    fill_pixel(info, &result, trace);
    return NBH_OK;
}

nbh_status nbh_plan_trace(const nbh_plan *plan, int32_t fast, int32_t slow, nbh_trace *trace,
                          nbh_error *error)
{
    int64_t count;
    return nbh_plan_trace_steps(plan, fast, slow, NULL, 0, NULL, &count, NULL, trace, error);
}
