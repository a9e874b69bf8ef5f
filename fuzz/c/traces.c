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

/* The lights of a pixel are those of its steps. */
static void check_reflections(const scene *s, const nbh_plan *plan, int32_t fast, int32_t slow)
{
    enum { MOST = 4096 };
    static nbh_reflection_light lights[MOST];
    nbh_error error;
    int64_t count = -1;
    const nbh_status status =
        nbh_plan_pixel_reflections(plan, fast, slow, MOST, lights, &count, NULL, &error);
    const int multiplied = s->experiment.sampling.oversample_thick ||
                           s->experiment.sampling.oversample_polar ||
                           s->experiment.sampling.oversample_omega;
    if (status == NBH_NOT_IMPLEMENTED && multiplied)
        return;
    if (status == NBH_TOO_LARGE && count == 0)
        return;
    if (status != NBH_OK)
        FINDING("pixel %d %d has no reflections: %s", fast, slow, error.message);
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < i; j++)
            if (lights[i].h == lights[j].h && lights[i].k == lights[j].k &&
                lights[i].l == lights[j].l)
                FINDING("%d %d %d lights pixel %d %d twice", lights[i].h, lights[i].k, lights[i].l,
                        fast, slow);
    int64_t again = -1;
    if (count > 0 && nbh_plan_pixel_reflections(plan, fast, slow, count - 1, lights, &again, NULL,
                                                &error) != NBH_TOO_LARGE)
        FINDING("room for %lld of %lld reflections is enough", (long long)(count - 1),
                (long long)count);
}

/* The cells of all orientations fit where they have room, and are refused where they have not. */
static void check_cells(const nbh_plan *plan, const nbh_plan_info *info)
{
    enum { MOST = 512 };
    const int64_t count = (int64_t)info->phi_steps * info->mosaic_domains;
    if (count > MOST)
        return;
    double cells[MOST * 9];
    nbh_error error;
    cells[count * 9 - 1] = -1e300;
    if (nbh_plan_get_cells(plan, cells, count - 1, &error) != NBH_INVALID)
        FINDING("room for %lld of %lld cells is enough", (long long)(count - 1), (long long)count);
    if (nbh_plan_get_cells(plan, cells, count, &error) != NBH_OK)
        FINDING("no cells: %s", error.message);
    if (cells[count * 9 - 1] == -1e300)
        FINDING("the last of %lld cells is not written", (long long)count);
}

/* Photons beside the spots: the whole image is what its pixels are one by one. */
static void check_background(bytes *b, const nbh_plan *plan, const nbh_plan_info *info)
{
    double x[3], y[3], whole[MOST_PIXELS], one;
    int64_t outside[2], part[2], sum[2] = {0, 0};
    for (int i = 0; i < 3; i++) {
        x[i] = take_number(b, i, 0.0, 3e10);
        y[i] = take_number(b, 1.0, -1e3, 1e3);
    }
    const int32_t rows = take_whole(b, 3, -1, 3); /* of arrays that have no more */
    const nbh_scatterer scatterer = {
        {rows > 3 ? 3 : rows, x, y}, take_below(b, 2), take_number(b, 1e10, 0.0, 1e20)};
    const nbh_background_offset offset = {{take_whole(b, 0, -5, 9), take_whole(b, 3, -5, 9),
                                           take_whole(b, 0, -5, 9), take_whole(b, 3, -5, 9)},
                                          take_number(b, 1.0, -10.0, 10.0)};
    nbh_background background;
    nbh_background_init(&background);
    background.scatterers = &scatterer;
    background.scatterer_count = take_below(b, 2);
    background.offsets = &offset;
    background.offset_count = take_below(b, 2);
    if (take_below(b, 2))
        background.radial = scatterer.curve;
    background.flat_photons = take_number(b, 1.0, 0.0, 10.0);
    background.air_attenuation_per_m = take_number(b, 0.0, 0.0, 10.0);
    nbh_error error;
    error.message[0] = '\0';
    const int64_t pixels = (int64_t)info->n_fast * info->n_slow;
    const nbh_status status =
        nbh_plan_background(plan, &background, 0, pixels, NULL, whole, outside, &error);
    if (status != NBH_OK) {
        if (error.message[0] == '\0')
            FINDING("status %s without a message", name_of(status));
        return;
    }
    for (int64_t pixel = 0; pixel < pixels; pixel++) {
        if (nbh_plan_background(plan, &background, pixel, pixel + 1, NULL, &one, part, NULL) !=
                NBH_OK ||
            !same_number(one, whole[pixel]))
            FINDING("pixel %lld is %.17g, alone %.17g", (long long)pixel, whole[pixel], one);
        for (int i = 0; i <= background.scatterer_count; i++)
            sum[i] += part[i];
    }
    for (int i = 0; i <= background.scatterer_count; i++)
        if (sum[i] != outside[i])
            FINDING("%lld pixels outside a curve, one by one %lld", (long long)outside[i],
                    (long long)sum[i]);
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
            check_reflections(s, plan, fast, slow);
        }
        check_cells(plan, &info);
        check_background(&b, plan, &info);
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
