/* Plans and renders: every kernel against the exact one, bit for bit; rows, pixels, intervals and
 * what a plan says of itself. */
#include "experiment_from_bytes.h"

typedef struct rendered {
    nbh_status status;
    nbh_plan_info info;
    float image[MOST_PIXELS];
    double unrounded[MOST_PIXELS];
    double omega_sum_sr;
} rendered;

static void check_copies(const nbh_plan *plan, const nbh_plan_info *info)
{
    nbh_error error;
    nbh_source source[1];
    double matrix[9], phi[1], f[1];
    const double hkl[3] = {1.0, -1.0, 0.0};
    nbh_random state;
    nbh_plan_get_sources(plan, source, 1, &error);
    nbh_plan_get_mosaic_matrices(plan, matrix, 1, &error);
    nbh_plan_get_phi(plan, phi, 1, &error);
    nbh_plan_get_structure_factors(plan, hkl, 1, f, &error);
    nbh_plan_get_random(plan, &state, &error);
    if (info->n_fast < 1 || info->n_slow < 1 || info->steps < 1 || info->sensor_layers < 1)
        FINDING("%d x %d pixels, %d steps, %d layers", info->n_fast, info->n_slow, info->steps,
                info->sensor_layers);
}

/* In pieces of any size, with the values before rounding, which the exact kernel has. */
static void check_pieces(bytes *b, const nbh_plan *plan, const rendered *r)
{
    const int64_t pixels = (int64_t)r->info.n_fast * r->info.n_slow;
    for (int64_t first = 0, end; first < pixels; first = end) {
        end = take_byte(b) % 2 ? first + 1 + take_byte(b) : nbh_plan_work_item_end(plan, first);
        end = end > pixels ? pixels : end;
        if (end <= first)
            FINDING("the work item of pixel %lld ends at %lld", (long long)first, (long long)end);
        const size_t n = (size_t)(end - first);
        float *image = malloc(n * sizeof *image); /* no element too many */
        double *unrounded = malloc(n * sizeof *unrounded);
        const nbh_pixels to = {.image = image, .unrounded = unrounded};
        if (nbh_plan_render_pixels(plan, first, end, &to, NULL) != NBH_OK)
            FINDING("pixels %lld to %lld are refused", (long long)first, (long long)end);
        if (!same_bits(image, r->image + first, n * sizeof *image))
            FINDING("pixels %lld to %lld alone differ", (long long)first, (long long)end);
        for (size_t i = 0; i < n; i++)
            if ((float)unrounded[i] != image[i] && !(isnan(unrounded[i]) && isnan(image[i])))
                FINDING("%.17g rounds to %.9g", unrounded[i], (double)image[i]);
        free(unrounded);
        free(image);
    }
}

/* Values before rounding at the speed of the plan's kernel: the exact ones lie within their half
 * widths.  exact: NULL where the plan's kernel is the exact one. */
static void check_half_widths(const nbh_plan *plan, const rendered *exact, rendered *r)
{
    float image[MOST_PIXELS];
    double half_width[MOST_PIXELS];
    const int64_t pixels = (int64_t)r->info.n_fast * r->info.n_slow;
    const nbh_pixels to = {.image = image, .unrounded = r->unrounded, .half_width = half_width};
    if (nbh_plan_render_pixels(plan, 0, pixels, &to, NULL) != NBH_OK)
        FINDING("values with half widths are refused");
    if (!same_bits(image, r->image, (size_t)pixels * sizeof *image))
        FINDING("%s", "the image beside half widths differs");
    for (int64_t i = 0; i < pixels; i++) {
        const double value = r->unrounded[i];
        if ((float)value != image[i] && !(isnan(value) && isnan(image[i])))
            FINDING("%.17g rounds to %.9g", value, (double)image[i]);
        if (!(half_width[i] >= 0.0) || (exact == NULL && half_width[i] != 0.0))
            FINDING("pixel %lld has a half width of %g", (long long)i, half_width[i]);
        const double need = exact == NULL ? value : exact->unrounded[i];
        const int is_same = value == need || (isnan(value) && isnan(need));
        if (!is_same && !(fabs(value - need) <= half_width[i]))
            FINDING("pixel %lld: %.17g +- %g, exact %.17g", (long long)i, value, half_width[i],
                    need);
    }
}

static void check_rows(const nbh_plan *plan, const rendered *r)
{
    float *row = malloc((size_t)r->info.n_fast * sizeof *row);
    const nbh_rows to = {.image = row};
    const int32_t slow = r->info.n_slow / 2;
    if (nbh_plan_render_rows(plan, slow, slow + 1, &to, NULL) != NBH_OK)
        FINDING("row %d is refused", slow);
    if (!same_bits(row, r->image + slow * r->info.n_fast, (size_t)r->info.n_fast * sizeof *row))
        FINDING("row %d alone differs", slow);
    free(row);
}

/* What a kernel proves is true. */
static void check_intervals(const nbh_plan *plan, const rendered *exact)
{
    for (int32_t slow = 0; slow < exact->info.n_slow; slow++) {
        for (int32_t fast = slow % 3; fast < exact->info.n_fast; fast += 5) { /* a block each */
            double low, high;
            if (nbh_plan_pixel_interval(plan, fast, slow, &low, &high, NULL) != NBH_OK)
                FINDING("pixel %d %d has no interval", fast, slow);
            const float pixel = exact->image[slow * exact->info.n_fast + fast];
            if ((float)low > pixel || (float)high < pixel)
                FINDING("pixel %d %d is %.9g, outside %.17g to %.17g", fast, slow, (double)pixel,
                        low, high);
            if (low > high)
                FINDING("pixel %d %d: %.17g to %.17g", fast, slow, low, high);
        }
    }
}

/* Statistics and the pictures of what was rendered, whatever is in it. */
static void check_pictures(const nbh_plan *plan, const rendered *r)
{
    uint16_t integers[MOST_PIXELS];
    uint8_t grey[MOST_PIXELS];
    nbh_statistics statistics;
    double used;
    const nbh_roi roi = {r->info.roi_fast_min, r->info.roi_fast_max, r->info.roi_slow_min,
                         r->info.roi_slow_max};
    if (nbh_plan_statistics(plan, r->image, r->omega_sum_sr, &statistics, NULL) != NBH_OK)
        FINDING("no statistics");
    if (nbh_integer_image(r->image, r->info.n_fast, r->info.n_slow, &roi, 0.0, statistics.max, 40.0,
                          integers, &used, NULL) != NBH_OK)
        FINDING("no integer image");
    nbh_pgm_image(r->image, r->info.n_fast, r->info.n_slow, 0.0, statistics.rmsd, used, grey, &used,
                  NULL);
}

/* Returns 0 where there is nothing to compare: refused, or too much work. */
static int render(const scene *s, bytes *pieces, const rendered *exact, rendered *r)
{
    nbh_plan *plan;
    r->status = make_plan(s, &plan);
    if (r->status != NBH_OK)
        return 0;
    const int small = is_small(plan, &r->info);
    if (small) {
        check_copies(plan, &r->info);
        if (nbh_plan_render(plan, r->image, &r->omega_sum_sr, NULL) != NBH_OK)
            FINDING("a plan that cannot be rendered");
        check_intervals(plan, exact ? exact : r);
        check_rows(plan, r);
        check_half_widths(plan, exact, r);
        if (exact == NULL) {
            check_pieces(pieces, plan, r);
            check_pictures(plan, r);
        }
    }
    nbh_plan_destroy(plan);
    return small;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes b = {data, data + size};
    scene *s = scene_from_bytes(&b);
    rendered exact, other;
    const int small = render(s, &b, NULL, &exact);
    for (int32_t kernel = NBH_KERNEL_AUTO; kernel <= NBH_KERNEL_AVX512; kernel++) {
        if (!nbh_kernel_is_available(kernel) || kernel == NBH_KERNEL_EXACT)
            continue;
        if (exact.status == NBH_OK && !small)
            break;
        s->experiment.kernel = kernel;
        render(s, &b, &exact, &other);
        /* a kernel may keep tables of its own: then the limit of memory refuses it alone */
        if (other.status == NBH_OUT_OF_MEMORY)
            continue;
        if (other.status != exact.status)
            FINDING("kernel %d: %s, exact: %s", kernel, name_of(other.status),
                    name_of(exact.status));
        if (exact.status != NBH_OK)
            continue;
        const size_t pixels = (size_t)exact.info.n_fast * (size_t)exact.info.n_slow;
        for (size_t i = 0; i < pixels; i++)
            if (!same_bits(&exact.image[i], &other.image[i], sizeof(float)))
                FINDING("kernel %d, pixel %zu of %d x %d: %.9g (%a), exact %.9g (%a)", kernel, i,
                        exact.info.n_fast, exact.info.n_slow, (double)other.image[i],
                        (double)other.image[i], (double)exact.image[i], (double)exact.image[i]);
        if (!same_bits(&exact.omega_sum_sr, &other.omega_sum_sr, sizeof(double)))
            FINDING("kernel %d: solid angle %.17g, exact %.17g", kernel, other.omega_sum_sr,
                    exact.omega_sum_sr);
    }
    scene_free(s);
    return 0;
}
