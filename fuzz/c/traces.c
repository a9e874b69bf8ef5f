/* Traces: the steps of a pixel add up to it, and the pixel is the one that is rendered. */
#include "experiment_from_bytes.h"

enum { MOST_TRACED = MOST_STEPS };

static int same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static void check_steps(const nbh_step_trace *steps, int64_t count, const nbh_trace *trace)
{
    for (int64_t i = 1; i < count; i++)
        if (!same_number(steps[i].running_sum, steps[i - 1].running_sum + steps[i].term))
            FINDING("step %lld: %.17g + %.17g is not %.17g", (long long)i, steps[i - 1].running_sum,
                    steps[i].term, steps[i].running_sum);
    if (count > 0 && trace->evaluated &&
        !same_number(steps[count - 1].running_sum, trace->i_before_scaling))
        FINDING("the last sum is %.17g, the trace's %.17g", steps[count - 1].running_sum,
                trace->i_before_scaling);
}

static void check_pixel(bytes *b, const scene *s, const nbh_plan *plan, const nbh_plan_info *info,
                        int32_t fast, int32_t slow, float rendered)
{
    static nbh_step_trace steps[MOST_TRACED];
    nbh_trace trace, again;
    nbh_error error;
    int64_t count = -1;
    if (nbh_plan_trace(plan, fast, slow, &trace, &error) != NBH_OK)
        FINDING("pixel %d %d has no trace: %s", fast, slow, error.message);
    if (!trace.is_active && rendered != 0.0F)
        FINDING("pixel %d %d is not active and %.9g", fast, slow, (double)rendered);
    if (trace.is_active && !same_bits(&trace.pixel_float, &rendered, sizeof rendered) &&
        !(isnan(trace.pixel_float) && isnan(rendered)))
        FINDING("pixel %d %d is %.9g, its trace says %.9g", fast, slow, (double)rendered,
                (double)trace.pixel_float);
    if (nbh_plan_trace_steps(plan, fast, slow, NULL, MOST_TRACED, steps, &count, NULL, &again,
                             &error) != NBH_OK)
        FINDING("pixel %d %d has no steps: %s", fast, slow, error.message);
    if (count < 0 || count > (int64_t)info->steps * info->sensor_layers)
        FINDING("pixel %d %d has %lld of %d steps", fast, slow, (long long)count, info->steps);
    const int multiplied = s->experiment.sampling.oversample_thick ||
                           s->experiment.sampling.oversample_polar ||
                           s->experiment.sampling.oversample_omega;
    if (count <= MOST_TRACED && !multiplied)
        check_steps(steps, count, &trace);

    /* one step of them, chosen by any numbers */
    const nbh_step_choice choice = {take_whole(b, -1, 0, 3), take_whole(b, -1, 0, 3),
                                    take_whole(b, -1, 0, 3), take_whole(b, -1, 0, 3),
                                    take_whole(b, -1, 0, 3), take_whole(b, -1, 0, 3)};
    int64_t chosen = -1;
    const nbh_status status =
        nbh_plan_trace_steps(plan, fast, slow, &choice, 1, steps, &chosen, NULL, &again, &error);
    if (status == NBH_OK && (chosen < 0 || chosen > count))
        FINDING("%lld of %lld steps chosen", (long long)chosen, (long long)count);
    if (status != NBH_OK && status != NBH_INVALID)
        FINDING("a choice of steps: %s", name_of(status));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes b = {data, data + size};
    scene *s = scene_from_bytes(&b);
    s->experiment.kernel = NBH_KERNEL_AUTO;
    nbh_plan *plan;
    nbh_plan_info info;
    float image[MOST_PIXELS];
    if (make_plan(s, &plan) == NBH_OK && is_small(plan, &info)) {
        if (nbh_plan_needs_scan(plan)) {
            int64_t first = -1, part;
            for (int32_t row = info.n_slow; row-- > 0;) { /* in any order */
                if (nbh_plan_scan_rows(plan, row, row + 1, NULL, &part, NULL) != NBH_OK)
                    FINDING("row %d cannot be scanned", row);
                if (part >= 0)
                    first = part;
            }
            if (nbh_plan_scan_pixels(plan, 0, (int64_t)info.n_fast * info.n_slow, NULL, &part,
                                     NULL) != NBH_OK ||
                part != first)
                FINDING("the rows' first pixel is %lld, the image's %lld", (long long)first,
                        (long long)part);
            if (nbh_plan_settle(plan, first, NULL) != NBH_OK)
                FINDING("a plan that does not settle");
        }
        double omega;
        nbh_error error;
        if (nbh_plan_render(plan, image, &omega, &error) != NBH_OK)
            FINDING("a plan that cannot be rendered: %s", error.message);
        for (int n = 0; n < 4; n++) {
            const int32_t fast = take_below(&b, info.n_fast), slow = take_below(&b, info.n_slow);
            check_pixel(&b, s, plan, &info, fast, slow, image[slow * info.n_fast + fast]);
        }
        nbh_trace trace;
        double low, high;
        const int32_t outside = take_whole(&b, -1, info.n_fast, info.n_fast + 20);
        if (outside < 0 || outside >= info.n_fast) {
            if (nbh_plan_trace(plan, outside, 0, &trace, NULL) == NBH_OK)
                FINDING("pixel %d outside has a trace", outside);
            nbh_plan_pixel_interval(plan, outside, 0, &low, &high, NULL);
        }
    }
    if (plan != NULL)
        nbh_plan_destroy(plan);
    scene_free(s);
    return 0;
}
