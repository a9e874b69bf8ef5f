#include "fast/light_setup.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "allocate.h"
#include "constants.h"
#include "fast/light_bounds.h"
#include "fast/light_lattice.h"
#include "fast/profiles.h"
#include "orientations.h"
#include "shapes.h"
#include "subpixel.h"
#include "vec3.h"

/* What an omitted step may add to a pixel, photons: far below half of the smallest float. */
#define DARK_PHOTONS 1e-51
/* The same as a part of the water's own light. */
#define DARK_PART_OF_WATER 1e-13
/* exp of less than minus this is 0. */
#define ZERO_EXPONENT 745.2
/* The largest sum that the fast kernel takes, with room to spare. */
#define LARGEST_TERM 1e240
/* Fewer steps of a sub-pixel cost less than looking which of them have light. */
#define LEAST_STEPS 4.0
/* The part of the steps that may have light where it is worth looking for the others. */
#define LARGEST_SHARE 0.75
/* Tiles that are looked at for it: no more than this, along each axis and in all. */
#define SAMPLE_TILES 8
#define SAMPLE_TESTS 200000.0
#define TILES_PER_SAMPLE 16.0
/* Sources are tested together while their indices differ by so little, in parts of how far light
 * reaches from a reflection: whichever of these is best. */
static const double REACHES_OF_GROUP[] = {0.0, 0.5, 2.0, 8.0, 32.0, 128.0, 512.0};
#define REACH_COUNT 7
/* What it costs to test a source for one orientation of a tile, where all sources were tested
 * before, in tests of a chunk of orientations for a group of sources. */
#define COST_OF_SOURCES 1.2
/* Image rows of a tile; with fewer bands of them threads would be idle. */
#define TILE_ROWS 8
#define LEAST_BANDS 12
#define LEAST_TILE_COLUMNS 16
#define LEAST_PIXELS_OF_BAND ((int64_t)2 * LANES)

/* The largest solid angle of any pixel of the ROI, or more. */
static double largest_omega(const nbh_plan *plan)
{
    const nbh_plan_info *info = &plan->info;
    const double pixel = info->pixel_size_m, along_slow = info->pixel_size_slow_m;
    const double close = fabs(info->close_distance_m);
    double r_sqr = info->distance_m * info->distance_m;
    if (!plan->curved) {
        const double *axes[2] = {info->fast_axis, info->slow_axis};
        const double first[2] = {info->roi_fast_min * pixel, info->roi_slow_min * along_slow},
                     last[2] = {(info->roi_fast_max + 1.0) * pixel,
                                (info->roi_slow_max + 1.0) * along_slow};
        r_sqr = close * close;
        for (int i = 0; i < 2; i++) {
            const double near = -vec3_dot(info->pix0_m, axes[i]);
            const double away = near < first[i]  ? first[i] - near
                                : near > last[i] ? near - last[i]
                                                 : 0.0;
            r_sqr += away * away;
        }
    }
    const double area = plan->has_pixel_area ? plan->pixel_area_m2 : 1.0;
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

/* Where interpolation may be switched off (model 6.5), and from which darkness on it cannot be. */
static void set_scan(const nbh_plan *plan, light_bounds *bounds)
{
    const nbh_structure_factors *t = &plan->table;
    const double first[3] = {t->h_min, t->k_min, t->l_min},
                 last[3] = {t->h_max, t->k_max, t->l_max};
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
            first = bounds->by_planes ? light_list(bounds, 1, group, first, &tile, lists)
                                      : light_list(bounds, 0, group, first, &tile, lists);
            for (int32_t s = 0; s < group->count; s++)
                sample->listed += lists->count[s];
            sample->cost += COST_OF_SOURCES * lists->looked_at;
        }
        sample->cost += (double)bounds->stride / LANES;
    }
    sample->steps += (double)bounds->count * info->source_count;
}

/* Tiles all over the ROI. */
static light_sample look_at_image(const nbh_plan *plan, const plan_light *light, light_lists *lists)
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
static nbh_culling_reason choose_groups(const nbh_plan *plan, const light_beam *beams,
                                        plan_light *light, light_lists *lists)
{
    double least = INFINITY, best = 0.0, share = 1.0;
    int32_t most = 0;
    for (int i = 0; i < REACH_COUNT; i++) {
        const double width = light_width_of_group(&light->bounds, REACHES_OF_GROUP[i]);
        light->group_count =
            light_group_sources(beams, plan->info.source_count, width, light->groups);
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
    light->group_count = light_group_sources(beams, plan->info.source_count, best, light->groups);
    return share <= LARGEST_SHARE ? NBH_CULLING_REASON_NONE : NBH_CULLING_REASON_NOTHING_DARK;
}

static double shortest_wavelength(const nbh_plan *plan)
{
    double shortest = INFINITY;
    for (int32_t n = 0; n < plan->info.source_count; n++)
        if (plan->sources[n].wavelength_m < shortest)
            shortest = plan->sources[n].wavelength_m;
    return shortest;
}

/* To be freed; NULL if there is too little memory. */
static light_beam *beams_of_plan(const nbh_plan *plan)
{
    light_beam *beams = malloc((size_t)plan->info.source_count * sizeof *beams);
    for (int32_t n = 0; beams != NULL && n < plan->info.source_count; n++) {
        vec3_copy(plan->sources[n].incident, beams[n].incident);
        beams[n].wavelength_m = plan->sources[n].wavelength_m;
    }
    return beams;
}

static int is_wanted(nbh_culling culling)
{
    switch (culling) {
    case NBH_CULLING_AUTO:
        return 1;
    case NBH_CULLING_OFF:
        return 0;
    }
    return 0;
}

static int has_fudge(shape_profile profile)
{
    switch (profile) {
    case PROFILE_INTERFERENCE:
        return 0;
    case PROFILE_SPHERE:
    case PROFILE_GAUSSIAN:
    case PROFILE_TOP_HAT:
        return 1;
    }
    return 1;
}

/* Does its light fall so slowly with the distance that only a tolerance, or the light of water,
 * makes it dark? */
static int reaches_everywhere(shape_profile profile)
{
    switch (profile) {
    case PROFILE_INTERFERENCE:
    case PROFILE_SPHERE:
        return 1;
    case PROFILE_GAUSSIAN:
    case PROFILE_TOP_HAT:
        return 0;
    }
    return 1;
}

/* What can be known without looking at the light. */
static nbh_culling_reason reason_against(const nbh_plan *plan, int32_t culling)
{
    const nbh_plan_info *info = &plan->info;
    const int multiplies_sum =
        (plan->quirks & NBH_QUIRK_OVERSAMPLE_RUNNING_PRODUCT) != 0 &&
        (plan->oversample_thick || plan->oversample_polar || plan->oversample_omega);
    const int only_zeros = profile_is_exact(plan->shape.profile) && plan->water_size_m == 0.0;
    if (!is_wanted((nbh_culling)culling))
        return NBH_CULLING_REASON_ASKED;
    if (plan->kernel == NULL)
        return NBH_CULLING_REASON_EXACT_KERNEL;
    if ((double)info->source_count * info->phi_steps * info->mosaic_domains < LEAST_STEPS)
        return NBH_CULLING_REASON_FEW_STEPS;
    if (multiplies_sum && !only_zeros)
        return NBH_CULLING_REASON_RUNNING_PRODUCT;
    if (reaches_everywhere(plan->shape.profile) && plan->tolerance_photons == 0.0 &&
        info->water_background == 0.0)
        return NBH_CULLING_REASON_SHAPE;
    if (has_fudge(plan->shape.profile) && !(plan->shape.fudge > 0.0))
        return NBH_CULLING_REASON_SHAPE;
    if (!sources_are_ordinary(plan))
        return NBH_CULLING_REASON_NOT_FINITE;
    if (plan->cells == NULL)
        return NBH_CULLING_REASON_MANY_ORIENTATIONS;
    if (plan->domain_weights != NULL)
        return NBH_CULLING_REASON_DOMAIN_WEIGHTS;
    if (info->roi_fast_max < info->roi_fast_min || info->roi_slow_max < info->roi_slow_min)
        return NBH_CULLING_REASON_NO_LIGHT;
    return NBH_CULLING_REASON_NONE;
}

static nbh_culling_reason set_up(nbh_plan *plan, int32_t culling, plan_light *light)
{
    nbh_culling_reason reason = reason_against(plan, culling);
    if (reason)
        return reason;
    light_bounds *bounds = &light->bounds;
    const double f = light_largest_f(&plan->table, plan->info.interpolate),
                 peak = shape_peak(&plan->shape);
    bounds->dark_term = dark_term(plan);
    if (!(f * f * peak * peak < LARGEST_TERM))
        return NBH_CULLING_REASON_NOT_FINITE;
    if (f == 0.0 || !(bounds->dark_term > 0.0 && bounds->dark_term < LARGEST_TERM))
        return NBH_CULLING_REASON_NO_LIGHT;
    light->brightest_term = f * f * peak * peak;
    reason = light_set_measure(&plan->shape, f, bounds);
    if (reason)
        return reason;
    const int64_t count = (int64_t)plan->info.phi_steps * plan->info.mosaic_domains;
    if (!light_copy_cells(plan->cells, count, shortest_wavelength(plan), &plan->memory, bounds) ||
        !light_set_peaks(&plan->shape, &plan->memory, bounds))
        return NBH_CULLING_REASON_MEMORY;
    nbh_error ignored;
    set_scan(plan, bounds);
    light->groups = allocate(plan->info.source_count, sizeof *light->groups, "groups of sources",
                             &plan->memory, &ignored);
    light_lists *lists = malloc(sizeof *lists);
    light_beam *beams = beams_of_plan(plan);
    if (light->groups != NULL && lists != NULL && beams != NULL)
        reason = choose_groups(plan, beams, light, lists);
    else
        reason = NBH_CULLING_REASON_MEMORY;
    free(beams);
    free(lists);
    return reason;
}

/* Has a band so many pixels, on average, that the lanes that its last tile leaves empty matter
 * little? */
static int bands_fill_tiles(const nbh_plan *plan, int32_t rows)
{
    const nbh_plan_info *info = &plan->info;
    const int32_t bands = (info->roi_slow_max - info->roi_slow_min) / rows + 1;
    const int64_t least = bands * LEAST_PIXELS_OF_BAND;
    int64_t active = 0;
    if (plan->mask == NULL)
        return 1;
    for (int32_t slow = info->roi_slow_min; slow <= info->roi_slow_max && active < least; slow++)
        for (int32_t fast = info->roi_fast_min; fast <= info->roi_fast_max; fast++)
            active += plan_pixel_is_active(plan, fast, slow) != 0;
    return active >= least;
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
    return rows > 1 && bands_fill_tiles(plan, rows) ? rows : 0;
}

void light_setup(nbh_plan *plan, int32_t culling)
{
    nbh_error ignored;
    nbh_culling_reason reason = NBH_CULLING_REASON_MEMORY;
    plan->tile_rows = 0;
    plan->light = allocate(1, sizeof *plan->light, "the light", &plan->memory, &ignored);
    if (plan->light != NULL)
        reason = set_up(plan, culling, plan->light);
    if (reason) {
        light_destroy(plan->light);
        plan->light = NULL;
    } else {
        plan->tile_rows = tile_rows(plan);
    }
    plan->info.culling_reason = (int32_t)reason;
}
