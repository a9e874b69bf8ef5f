#include "fast/light_setup.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "allocate.h"
#include "constants.h"
#include "fast/light_bounds.h"
#include "orientations.h"
#include "shapes.h"
#include "structure_factors.h"
#include "subpixel.h"
#include "vec3.h"

/* What an omitted step may add to a pixel, photons: far below half of the smallest float. */
#define DARK_PHOTONS 1e-51
/* The same as a part of the water's own light. */
#define DARK_PART_OF_WATER 1e-13
/* Of the exponent of a squared Gaussian: up to there its error is that of docs/accuracy.md. */
#define LARGEST_EXPONENT 340.0
/* exp of less than minus this is 0. */
#define ZERO_EXPONENT 745.2
/* The largest sum that the fast kernel takes, with room to spare. */
#define LARGEST_TERM 1e240
/* |cubic| <= 1.25 of the largest of its four values, three times. */
#define LARGEST_OF_TRICUBIC 1.96
/* Fewer steps of a sub-pixel cost less than looking which of them have light. */
#define LEAST_STEPS 4.0
/* Beyond this index nothing is known of a parallelepiped's peaks. */
#define LARGEST_PEAK_INDEX 10000
/* The part of the steps that may have light where it is worth looking for the others. */
#define LARGEST_SHARE 0.75
/* Tiles that are looked at for it: no more than this, along each axis and in all. */
#define SAMPLE_TILES 8
#define SAMPLE_TESTS 200000.0
#define TILES_PER_SAMPLE 16.0
/* Sources are tested together while their indices differ by so little, in parts of how far light
 * reaches from a reflection: whichever of these is best. */
static const double REACHES_OF_GROUP[] = {0.0, 0.5, 2.0, 8.0};
#define REACH_COUNT 4
/* What it costs to test a source for one orientation of a tile, where all sources were tested
 * before, in tests of a chunk of orientations for a group of sources. */
#define COST_OF_SOURCES 1.2
/* Image rows of a tile; with fewer bands of them threads would be idle. */
#define TILE_ROWS 8
#define LEAST_BANDS 12
#define LEAST_TILE_COLUMNS 16

/* The largest |F| of any step; infinite where one is not finite. */
static double largest_f(const nbh_plan *plan)
{
    const nbh_structure_factors *t = &plan->table;
    double largest = fabs(t->default_f), sum = 0.0 * t->default_f;
    if (t->amplitude != NULL) {
        const int64_t count = (int64_t)(plan->h_range * plan->k_range * plan->l_range);
        for (int64_t i = 0; i < count; i++) {
            const double f = fabs(t->amplitude[i]);
            largest = f > largest ? f : largest;
            sum += 0.0 * f;
        }
    }
    if (sum != 0.0) /* NaN: one is not finite */
        return INFINITY;
    return plan->info.interpolate ? LARGEST_OF_TRICUBIC * largest : largest;
}

/* The largest solid angle of any pixel of the ROI, or more. */
static double largest_omega(const nbh_plan *plan)
{
    const nbh_plan_info *info = &plan->info;
    const double pixel = info->pixel_size_m, close = fabs(info->close_distance_m);
    double r_sqr = info->distance_m * info->distance_m;
    if (!plan->curved) {
        const double *axes[2] = {info->fast_axis, info->slow_axis};
        const double first[2] = {info->roi_fast_min * pixel, info->roi_slow_min * pixel},
                     last[2] = {(info->roi_fast_max + 1.0) * pixel,
                                (info->roi_slow_max + 1.0) * pixel};
        r_sqr = close * close;
        for (int i = 0; i < 2; i++) {
            const double near = -vec3_dot(info->pix0_m, axes[i]);
            const double away = near < first[i]  ? first[i] - near
                                : near > last[i] ? near - last[i]
                                                 : 0.0;
            r_sqr += away * away;
        }
    }
    const double area = plan->has_pixel_area ? pixel * pixel : 1.0;
    return area / r_sqr * (plan->is_oblique ? close / sqrt(r_sqr) : 1.0);
}

/* What F^2 times the squared lattice factor of an omitted step may be. */
static double dark_term(const nbh_plan *plan)
{
    const nbh_plan_info *info = &plan->info;
    const double kahn = 0.5 * (1.0 + fabs(plan->polarization_kahn));
    const double per_term = plan->scale * largest_omega(plan) * (kahn > 1.0 ? kahn : 1.0);
    if (plan->tolerance_photons > 0.0) /* all steps of all layers may be omitted */
        return 0.999999 * plan->tolerance_photons / (per_term * info->sensor_layers);
    const double dark = DARK_PHOTONS * info->steps / per_term;
    const double of_water =
        DARK_PART_OF_WATER * info->water_background / ((double)info->steps * info->sensor_layers);
    return of_water > dark ? of_water : dark;
}

/* The smallest eigenvalue of the Gram matrix of three unit vectors with these cosines, or less:
 * Newton's steps towards the smallest root of the characteristic polynomial stay below it. */
static double least_eigenvalue(double ab, double ac, double bc)
{
    const double squares = ab * ab + ac * ac + bc * bc, product = 2.0 * ab * ac * bc;
    double x = 0.0;
    for (int i = 0; i < 60; i++) {
        const double y = 1.0 - x;
        const double value = y * y * y - y * squares + product, slope = 3.0 * y * y - squares;
        if (!(value > 0.0 && slope > 0.0))
            break;
        x += value / slope;
    }
    return x > 1e-6 ? x * (1.0 - 1e-6) : 0.0;
}

/* Weights of the squared distance from a reflection along each index. */
static void set_weights(const crystal_shape *s, double weight[3])
{
    switch (s->metric) {
    case METRIC_HKL:
        for (int i = 0; i < 3; i++)
            weight[i] = s->n_cells[i];
        break;
    case METRIC_RECIPROCAL: {
        double a[3], b[3], c[3];
        vec3_unit(s->a_star, a);
        vec3_unit(s->b_star, b);
        vec3_unit(s->c_star, c);
        const double peak = shape_peak(s);
        const double least =
            peak * sqrt(least_eigenvalue(vec3_dot(a, b), vec3_dot(a, c), vec3_dot(b, c)));
        weight[0] = least * vec3_mag(s->a_star);
        weight[1] = least * vec3_mag(s->b_star);
        weight[2] = least * vec3_mag(s->c_star);
        break;
    }
    }
}

/* The argument from which the squared transform of a sphere is at most `least` of K^2: |f| <=
 * 3 K (1 + 1/x) / x^2. */
static double dark_phase(double least)
{
    const double root = 3.0 / sqrt(least);
    double x = sqrt(root);
    for (int i = 0; i < 60; i++)
        x = sqrt(root * (1.0 + 1.0 / x));
    return x * 1.001;
}

/* Sets what depends on the shape.  Returns why steps cannot be omitted. */
static nbh_culling_reason set_measure(const nbh_plan *plan, double f, light_bounds *bounds)
{
    const crystal_shape *s = &plan->shape;
    const double peak = shape_peak(s), f_sqr = f * f, term = bounds->dark_term,
                 brightest = f_sqr * peak * peak;
    double farthest = 0.0;
    bounds->measure = LIGHT_BY_DISTANCE;
    switch (s->profile) {
    case PROFILE_INTERFERENCE:
        if (plan->tolerance_photons == 0.0 && plan->info.water_background == 0.0)
            return NBH_CULLING_REASON_SHAPE;
        bounds->measure = LIGHT_BY_PLANES;
        bounds->dark_from = f_sqr / term * (1.0 + 1e-6);
        return bounds->dark_from < 1.0 ? NBH_CULLING_REASON_NONE : NBH_CULLING_REASON_NOTHING_DARK;
    case PROFILE_SPHERE:
        bounds->dark_from = dark_phase(term / (brightest * 0.5237)) / PI;
        bounds->dark_from *= bounds->dark_from / s->fudge;
        break;
    case PROFILE_GAUSSIAN: {
        const double exponent = log(brightest / term) + 1e-6;
        if (!(exponent < LARGEST_EXPONENT))
            return NBH_CULLING_REASON_SHAPE;
        bounds->dark_from = exponent > 0.0 ? exponent * (0.63 / 2.0) / s->fudge : 0.0;
        break;
    }
    case PROFILE_TOP_HAT:
        bounds->dark_from = 0.3969 / s->fudge;
        bounds->dark_term = 0.0;
        break;
    }
    bounds->dark_from *= 1.0 + 1e-8;
    set_weights(s, bounds->weight);
    for (int i = 0; i < 3; i++)
        farthest += 0.25 * bounds->weight[i] * bounds->weight[i];
    return bounds->dark_from < farthest ? NBH_CULLING_REASON_NONE : NBH_CULLING_REASON_NOTHING_DARK;
}

/* Component after component, each padded to whole chunks. */
static int copy_cells(nbh_plan *plan, light_bounds *bounds)
{
    nbh_error ignored;
    const int64_t count = (int64_t)plan->info.phi_steps * plan->info.mosaic_domains;
    bounds->count = count;
    bounds->stride = (count + LANES - 1) / LANES * LANES;
    bounds->cells =
        allocate(9 * bounds->stride, sizeof(double), "cells by component", &plan->memory, &ignored);
    if (bounds->cells == NULL)
        return 0;
    double largest_index = 1.0, shortest = INFINITY;
    for (int32_t n = 0; n < plan->info.source_count; n++)
        if (plan->sources[n].wavelength_m < shortest)
            shortest = plan->sources[n].wavelength_m;
    for (int64_t n = 0; n < bounds->stride; n++) {
        const double *cell = plan->cells + 9 * (n < count ? n : count - 1);
        for (int i = 0; i < 9; i++)
            bounds->cells[i * bounds->stride + n] = cell[i];
        for (int i = 0; i < 3; i++) {
            const double length = vec3_mag(&cell[(ptrdiff_t)3 * i]) * (1.0 + 1e-9);
            if (!(length <= bounds->length_m[i]))
                bounds->length_m[i] = length;
        }
    }
    for (int i = 0; i < 3; i++) {
        bounds->largest_index[i] = bounds->length_m[i] * 2.0 / shortest;
        if (bounds->largest_index[i] > largest_index)
            largest_index = bounds->largest_index[i];
    }
    bounds->margin = 1e-8 + 1e-12 * largest_index;
    bounds->margin_of_normal =
        bounds->margin * (bounds->weight[0] + bounds->weight[1] + bounds->weight[2]);
    return 1;
}

/* Where interpolation may be switched off (model 6.5), and from which darkness on it cannot be. */
static void set_scan(const nbh_plan *plan, light_bounds *bounds)
{
    const nbh_structure_factors *t = &plan->table;
    const double first[3] = {t->h_min, t->k_min, t->l_min}, last[3] = {t->h_max, t->k_max, t->l_max};
    for (int i = 0; i < 3; i++) {
        bounds->first_inside[i] = first[i] + 2.0 + bounds->margin;
        bounds->last_inside[i] = last[i] - 2.0 - bounds->margin;
    }
    bounds->zero_from = INFINITY;
    if (plan->water_size_m != 0.0)
        return;
    switch (plan->shape.profile) {
    case PROFILE_INTERFERENCE:
    case PROFILE_SPHERE:
        break;
    case PROFILE_GAUSSIAN:
        bounds->zero_from = ZERO_EXPONENT * 0.63 / plan->shape.fudge * (1.0 + 1e-8);
        break;
    case PROFILE_TOP_HAT:
        bounds->zero_from = bounds->dark_from;
        break;
    }
}

/* The largest |sin(x N) / sin(x)| of doubles x next to n pi, for whole N.  x N is off by ulp(x) N
 * at most: nine units in the last place away the quotient is below 1.2 N; at the doubles in between
 * it is what the library makes of it. */
static double largest_quotient(double n_cells, double n)
{
    double largest = 1.2 * n_cells, x = n * PI;
    for (int i = 0; i < 10; i++)
        x = nextafter(x, 0.0);
    for (int i = 0; i < 21; i++, x = nextafter(x, INFINITY)) {
        const double quotient = fabs(shape_sincg(x, n_cells));
        if (!(quotient <= largest))
            largest = quotient;
    }
    return largest;
}

/* What next to whole numbers bounds the factors of planes.  Returns 0 if there is too little memory.
 */
static int set_peaks(nbh_plan *plan, light_bounds *bounds)
{
    nbh_error ignored;
    for (int i = 0; i < 3; i++) {
        const double n_cells = plan->shape.n_cells[i];
        if (bounds->measure != LIGHT_BY_PLANES)
            continue;
        const double most = n_cells > 1.0 ? bounds->largest_index[i] + 1.0 : 0.0;
        const int32_t last = most < LARGEST_PEAK_INDEX ? (int32_t)most + 1 : LARGEST_PEAK_INDEX;
        double *least = allocate((int64_t)last + 1, sizeof *least, "peaks", &plan->memory, &ignored);
        bounds->least[i] = least;
        bounds->last_whole[i] = last;
        if (least == NULL)
            return 0;
        for (int32_t n = 0; n <= last && !(n_cells > 1.0); n++)
            least[n] = 1.0;
        if (n_cells != floor(n_cells) || !(n_cells > 1.0)) /* poles: no bound; no factor */
            continue;
        least[0] = (1.0 - 1e-6) / (n_cells * n_cells);
        for (int32_t n = 1; n < last; n++) { /* the last stays 0, for all beyond */
            const double quotient = largest_quotient(n_cells, n);
            least[n] = (1.0 - 1e-6) / (quotient * quotient);
        }
    }
    return 1;
}

/* By how much 1/wavelength may differ in a group. */
static double width_of_group(const light_bounds *bounds, double reach_of_group)
{
    double width = INFINITY;
    for (int i = 0; i < 3; i++) {
        const double reach = bounds->measure == LIGHT_BY_PLANES
                                 ? 0.1
                                 : sqrt(bounds->dark_from) / bounds->weight[i];
        const double of_axis = reach_of_group * reach / bounds->length_m[i];
        if (of_axis < width)
            width = of_axis;
    }
    return width;
}

static void finish_group(light_sources *group)
{
    double least = INFINITY, largest = 0.0;
    for (int32_t s = 0; s < group->count; s++) {
        least = group->per_wavelength[s] < least ? group->per_wavelength[s] : least;
        largest = group->per_wavelength[s] > largest ? group->per_wavelength[s] : largest;
    }
    for (int32_t s = group->count; s < LIGHT_SOURCES; s++)
        group->per_wavelength[s] = group->per_wavelength[group->count - 1];
    group->members = (UINT64_C(1) << group->count) - 1;
    group->largest = largest;
    group->middle = group->count == 1 ? largest : 0.5 * (least + largest);
    group->half = group->count == 1 ? 0.0 : 0.5 * (largest - least) * (1.0 + 1e-9);
}

/* Neighbouring sources in one direction with nearly one wavelength, as many as are tested together.
 * Returns how many groups there are. */
static int32_t group_sources(const nbh_plan *plan, double width, light_sources *groups)
{
    int32_t count = 0;
    double least = 0.0, largest = 0.0;
    int32_t members = 0;
    for (int32_t n = 0; n < plan->info.source_count; n++) {
        const plan_source *source = &plan->sources[n];
        const double per = 1.0 / source->wavelength_m;
        const double lower = members > 0 && least < per ? least : per,
                     upper = members > 0 && largest > per ? largest : per;
        const int joins = members > 0 && width > 0.0 && members < LIGHT_SOURCES && upper - lower <= width &&
                          vec3_equal(source->incident, plan->sources[n - 1].incident);
        members = joins ? members + 1 : 1;
        count += !joins;
        least = joins ? lower : per;
        largest = joins ? upper : per;
        light_sources *group = &groups[count - 1];
        if (!joins)
            group->first = n;
        vec3_copy(source->incident, group->incident);
        group->per_wavelength[members - 1] = per;
        group->count = members;
    }
    for (int32_t n = 0; n < count; n++) {
        const int goes_on = n > 0 && vec3_equal(groups[n].incident, groups[n - 1].incident);
        groups[n].direction = n == 0 ? 0 : groups[n - 1].direction + !goes_on;
        finish_group(&groups[n]);
    }
    return count;
}

static int sources_are_ordinary(const nbh_plan *plan)
{
    for (int32_t n = 0; n < plan->info.source_count; n++) {
        const plan_source *source = &plan->sources[n];
        if (!(source->wavelength_m > 0.0 && isfinite(source->wavelength_m) &&
              isfinite(vec3_mag(source->incident))))
            return 0;
    }
    return 1;
}

/* What was seen in some tiles. */
typedef struct light_sample {
    double steps, listed; /* listed: they may have light */
    double cost;          /* of finding that out */
} light_sample;

static void look_at_tile(const nbh_plan *plan, const plan_light *light, int32_t fast0,
                         int32_t slow0, light_lists *lists, light_sample *sample)
{
    const nbh_plan_info *info = &plan->info;
    const light_bounds *bounds = &light->bounds;
    int32_t fast[LANES], slow[LANES];
    lanes d[3];
    EACH_LANE {
        fast[j] = fast0 + j / TILE_ROWS;
        slow[j] = slow0 + j % TILE_ROWS;
        fast[j] = fast[j] > info->roi_fast_max ? info->roi_fast_max : fast[j];
        slow[j] = slow[j] > info->roi_slow_max ? info->roi_slow_max : slow[j];
        double direction[3];
        subpixel_first_direction(plan, fast[j], slow[j], 0, direction);
        for (int i = 0; i < 3; i++)
            d[i][j] = direction[i];
    }
    light_tile tile = {.direction = -1};
    tile_fit(fast, slow, d[0], d[1], d[2], &tile.directions);
    for (int32_t n = 0; n < light->group_count; n++) {
        const light_sources *group = &light->groups[n];
        int64_t first = 0;
        while (first < bounds->count) {
            first = bounds->measure == LIGHT_BY_PLANES
                        ? light_list(bounds, LIGHT_BY_PLANES, group, first, &tile, lists)
                        : light_list(bounds, LIGHT_BY_DISTANCE, group, first, &tile, lists);
            for (int32_t s = 0; s < group->count; s++)
                sample->listed += lists->count[s];
            sample->cost += COST_OF_SOURCES * lists->looked_at;
        }
        sample->cost += (double)(bounds->stride / LANES);
    }
    sample->steps += (double)bounds->count * info->source_count;
}

/* Tiles all over the ROI. */
static light_sample look_at_image(const nbh_plan *plan, const plan_light *light,
                                  light_lists *lists)
{
    const nbh_plan_info *info = &plan->info;
    const double tests = (double)light->bounds.count * light->group_count;
    light_sample sample = {0.0, 0.0, 0.0};
    int32_t along = SAMPLE_TILES;
    const double width = info->roi_fast_max - info->roi_fast_min + 1.0,
                 height = info->roi_slow_max - info->roi_slow_min + 1.0;
    while (along > 2 && (tests * along * along > SAMPLE_TESTS ||
                         along * along * TILES_PER_SAMPLE > width * height / LANES))
        along--;
    for (int32_t i = 0; i < along; i++)
        for (int32_t k = 0; k < along; k++)
            look_at_tile(plan, light, info->roi_fast_min + (int32_t)(width * (i + 0.5) / along),
                         info->roi_slow_min + (int32_t)(height * (k + 0.5) / along), lists,
                         &sample);
    sample.cost /= (double)along * along;
    return sample;
}

/* Groups the sources in the way that makes looking for light cheapest.  Returns whether that is
 * worth it. */
static nbh_culling_reason choose_groups(const nbh_plan *plan, plan_light *light,
                                        light_lists *lists)
{
    double least = INFINITY, best = 0.0, share = 1.0;
    int32_t most = 0;
    for (int i = 0; i < REACH_COUNT; i++) {
        const double width = width_of_group(&light->bounds, REACHES_OF_GROUP[i]);
        light->group_count = group_sources(plan, width, light->groups);
        if (light->group_count == most) /* the same groups */
            continue;
        most = light->group_count;
        const light_sample sample = look_at_image(plan, light, lists);
        if (sample.cost < least) {
            least = sample.cost;
            best = width;
            share = sample.listed / sample.steps;
        }
    }
    light->group_count = group_sources(plan, best, light->groups);
    return share <= LARGEST_SHARE ? NBH_CULLING_REASON_NONE : NBH_CULLING_REASON_NOTHING_DARK;
}

/* What can be known without looking at the light. */
static nbh_culling_reason reason_against(const nbh_plan *plan, int32_t culling)
{
    const nbh_plan_info *info = &plan->info;
    const int multiplies_sum =
        (plan->quirks & NBH_QUIRK_OVERSAMPLE_RUNNING_PRODUCT) != 0 &&
        (plan->oversample_thick || plan->oversample_polar || plan->oversample_omega);
    const int only_zeros = plan->shape.profile == PROFILE_TOP_HAT && plan->water_size_m == 0.0;
    if (culling == NBH_CULLING_OFF)
        return NBH_CULLING_REASON_ASKED;
    if (plan->kernel == NULL)
        return NBH_CULLING_REASON_EXACT_KERNEL;
    if ((double)info->source_count * info->phi_steps * info->mosaic_domains < LEAST_STEPS)
        return NBH_CULLING_REASON_FEW_STEPS;
    if (multiplies_sum && !only_zeros)
        return NBH_CULLING_REASON_RUNNING_PRODUCT;
    if (plan->shape.profile != PROFILE_INTERFERENCE && !(plan->shape.fudge > 0.0))
        return NBH_CULLING_REASON_SHAPE;
    if (!sources_are_ordinary(plan))
        return NBH_CULLING_REASON_NOT_FINITE;
    if (plan->cells == NULL)
        return NBH_CULLING_REASON_MANY_ORIENTATIONS;
    if (info->roi_fast_max < info->roi_fast_min || info->roi_slow_max < info->roi_slow_min)
        return NBH_CULLING_REASON_NO_LIGHT;
    return NBH_CULLING_REASON_NONE;
}

static nbh_culling_reason set_up(nbh_plan *plan, int32_t culling, plan_light *light)
{
    nbh_culling_reason reason = reason_against(plan, culling);
    if (reason != NBH_CULLING_REASON_NONE)
        return reason;
    light_bounds *bounds = &light->bounds;
    const double f = largest_f(plan), peak = shape_peak(&plan->shape);
    bounds->dark_term = dark_term(plan);
    if (!(f * f * peak * peak < LARGEST_TERM))
        return NBH_CULLING_REASON_NOT_FINITE;
    if (f == 0.0 || !(bounds->dark_term > 0.0 && bounds->dark_term < LARGEST_TERM))
        return NBH_CULLING_REASON_NO_LIGHT;
    reason = set_measure(plan, f, bounds);
    if (reason != NBH_CULLING_REASON_NONE)
        return reason;
    if (!copy_cells(plan, bounds) || !set_peaks(plan, bounds))
        return NBH_CULLING_REASON_MEMORY;
    nbh_error ignored;
    set_scan(plan, bounds);
    light->groups = allocate(plan->info.source_count, sizeof *light->groups, "groups of sources",
                             &plan->memory, &ignored);
    light_lists *lists = malloc(sizeof *lists);
    if (light->groups != NULL && lists != NULL)
        reason = choose_groups(plan, light, lists);
    else
        reason = NBH_CULLING_REASON_MEMORY;
    free(lists);
    return reason;
}

/* The rows of a band; 0 where the image is too small for bands. */
static int32_t tile_rows(const nbh_plan *plan)
{
    const nbh_plan_info *info = &plan->info;
    if (info->roi_fast_max - info->roi_fast_min + 1 < LEAST_TILE_COLUMNS)
        return 0;
    const int32_t height = info->roi_slow_max - info->roi_slow_min + 1;
    int32_t rows = TILE_ROWS;
    while (rows > 1 && height / rows < LEAST_BANDS)
        rows /= 2;
    return rows > 1 ? rows : 0;
}

void light_destroy(nbh_plan *plan)
{
    if (plan->light == NULL)
        return;
    for (int i = 0; i < 3; i++)
        free(plan->light->bounds.least[i]);
    free(plan->light->bounds.cells);
    free(plan->light->groups);
    free(plan->light);
    plan->light = NULL;
}

void light_setup(nbh_plan *plan, int32_t culling)
{
    nbh_error ignored;
    nbh_culling_reason reason = NBH_CULLING_REASON_MEMORY;
    plan->tile_rows = 0;
    plan->light = allocate(1, sizeof *plan->light, "the light", &plan->memory, &ignored);
    if (plan->light != NULL)
        reason = set_up(plan, culling, plan->light);
    if (reason != NBH_CULLING_REASON_NONE)
        light_destroy(plan);
    else
        plan->tile_rows = tile_rows(plan);
    plan->info.culling_reason = (int32_t)reason;
}
