/* scene_light.c - a scene's tolerance, as the kernels of its pixels take it. */
#include "scene_light.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "allocate.h"
#include "error.h"
#include "fast/light_lattice.h"

/* Fewer steps of a sample cost less than looking which of them have light. */
#define LEAST_STEPS 4.0
/* Of a tile, all crystals together, that are listed: more memory than this is not worth it. */
#define MOST_STEPS 0x1p28
/* The largest term that bounds are known of. */
#define LARGEST_TERM 1e240
/* Sources are tested together while their indices differ by so little, in parts of how far light
 * reaches from a reflection. */
#define REACH_OF_GROUP 2.0
/* All steps together stay below the tolerance, whatever rounding does. */
#define PART_OF_TOLERANCE 0.999999

static int sources_are_ordinary(const nbh_scene *s)
{
    for (int64_t n = 0; n < s->source_count; n++) {
        const double *source = s->sources + NBH_SOURCE_NUMBERS * n;
        const double *i = source + NBH_SOURCE_INCIDENT;
        if (!(source[NBH_SOURCE_WAVELENGTH] > 0.0 && isfinite(source[NBH_SOURCE_WAVELENGTH]) &&
              isfinite(source[NBH_SOURCE_WEIGHT]) && isfinite(i[0]) && isfinite(i[1]) &&
              isfinite(i[2])))
            return 0;
    }
    return 1;
}

/* The largest of what a ray has besides the factors of its sample: the source's weight, and a
 * polarization factor, 0.5 (1 + c^2 - kahn split) with |split| <= 1. */
static double largest_ray(const nbh_scene *s)
{
    const double kahn = has_polarization(s) ? fabs(s->numbers[NBH_SCENE_KAHN]) : 0.0;
    double largest = 0.0;
    for (int64_t n = 0; n < s->source_count; n++) {
        const double *source = s->sources + NBH_SOURCE_NUMBERS * n;
        const double *i = source + NBH_SOURCE_INCIDENT;
        const double c_sqr = (i[0] * i[0] + i[1] * i[1] + i[2] * i[2]) * (1.0 + 1e-9);
        const double polar = 0.5 * (1.0 + c_sqr + kahn);
        const double factor =
            fabs(source[NBH_SOURCE_WEIGHT]) * (has_polarization(s) && polar > 1.0 ? polar : 1.0);
        if (!(factor <= largest))
            largest = factor;
    }
    return largest;
}

static double shortest_wavelength(const nbh_scene *s)
{
    double shortest = INFINITY;
    for (int64_t n = 0; n < s->source_count; n++) {
        const double wavelength = s->sources[NBH_SOURCE_NUMBERS * n + NBH_SOURCE_WAVELENGTH];
        if (wavelength < shortest)
            shortest = wavelength;
    }
    return shortest;
}

/* What can be known without looking at the crystals. */
static nbh_culling_reason reason_against(const nbh_scene *s)
{
    double steps = 0.0, largest = 0.0;
    for (int32_t n = 0; n < s->crystal_count; n++) {
        const double own = (double)s->source_count * (double)s->crystals[n].orientation_count;
        steps += own;
        largest = own > largest ? own : largest;
    }
    if (s->tolerance_photons == 0.0)
        return NBH_CULLING_REASON_ASKED;
    if (is_running(s))
        return NBH_CULLING_REASON_RUNNING_PRODUCT;
    if (!(largest >= LEAST_STEPS))
        return NBH_CULLING_REASON_FEW_STEPS;
    if (steps > MOST_STEPS)
        return NBH_CULLING_REASON_MANY_ORIENTATIONS;
    if (!sources_are_ordinary(s))
        return NBH_CULLING_REASON_NOT_FINITE;
    return NBH_CULLING_REASON_NONE;
}

/* A factor of a pixel as it may be, for the groups of sources alone: pixels have their own. */
static double usual_factor(const nbh_scene *s)
{
    const double close = s->numbers[NBH_SCENE_CLOSE];
    const double area = s->numbers[NBH_SCENE_PIXEL] * s->numbers[NBH_SCENE_PIXEL_SLOW];
    const double factor = (s->has_pixel_area ? area : 1.0) / (close * close);
    return factor > 0.0 && isfinite(factor) ? factor : 1.0;
}

/* Why every step of a crystal is visited, as far as that is known before its cells are. */
static nbh_culling_reason reason_against_crystal(const nbh_scene *s, const sums_lattice *lattice,
                                                 int32_t n, double f)
{
    const crystal_shape *shape = &lattice->shape;
    const double peak = shape_peak(shape), strength = fabs(s->strength[n]);
    if (!(f * f * peak * peak < LARGEST_TERM) || !isfinite(strength))
        return NBH_CULLING_REASON_NOT_FINITE;
    if (f == 0.0 || strength == 0.0 || lattice->orientation_count == 0)
        return NBH_CULLING_REASON_NO_LIGHT;
    switch (shape->profile) {
    case PROFILE_INTERFERENCE: /* parts of cells have poles */
        return lattice->has_whole_cells ? NBH_CULLING_REASON_NONE : NBH_CULLING_REASON_SHAPE;
    case PROFILE_SPHERE:
    case PROFILE_GAUSSIAN:
    case PROFILE_TOP_HAT:
        break;
    }
    return shape->fudge > 0.0 ? NBH_CULLING_REASON_NONE : NBH_CULLING_REASON_SHAPE;
}

/* Crystal n; see scene_light_set_up. */
static nbh_status set_crystal(const nbh_scene *s, const sums_lattice *lattice, int32_t n,
                              const light_beam *beams, scene_light *out, nbh_culling_reason *reason,
                              nbh_error *error)
{
    plan_light *light = out->crystals + n;
    light_bounds *bounds = &light->bounds;
    const crystal_shape *shape = &lattice->shape;
    const double f = light_largest_f(&lattice->table, lattice->interpolates);
    const double steps =
        (double)samples_of(s) * (double)s->source_count * (double)lattice->orientation_count;
    memory_budget unlimited = {0, 0};
    *reason = reason_against_crystal(s, lattice, n, f);
    if (*reason)
        return NBH_OK;
    out->largest_f[n] = f;
    out->dark_times_factor[n] = PART_OF_TOLERANCE * s->tolerance_photons * s->steps /
                                (fabs(s->strength[n]) * largest_ray(s) * steps);
    bounds->dark_term = out->dark_times_factor[n] / usual_factor(s);
    if (!(bounds->dark_term > 0.0 && isfinite(bounds->dark_term))) {
        *reason = NBH_CULLING_REASON_NOT_FINITE;
        return NBH_OK;
    }
    *reason = light_set_measure(shape, f, bounds);
    if (*reason)
        return NBH_OK;
    if (!light_copy_cells(lattice->cells, lattice->orientation_count, shortest_wavelength(s),
                          &unlimited, bounds) ||
        !light_set_peaks(shape, &unlimited, bounds))
        return nbh_fail(error, NBH_OUT_OF_MEMORY, "crystals",
                        "too little memory for leaving out steps");
    light->groups =
        allocate(s->source_count, sizeof *light->groups, "groups of sources", &unlimited, error);
    if (light->groups == NULL)
        return NBH_OUT_OF_MEMORY;
    light->group_count =
        light_group_sources(beams, (int32_t)s->source_count,
                            light_width_of_group(bounds, REACH_OF_GROUP), light->groups);
    return NBH_OK;
}

static nbh_status allocate_light(const nbh_scene *s, scene_light *out, nbh_error *error)
{
    memory_budget unlimited = {0, 0};
    const int64_t count = s->crystal_count;
    out->crystals = allocate(count, sizeof *out->crystals, "the light", &unlimited, error);
    out->largest_f = allocate(count, sizeof *out->largest_f, "the light", &unlimited, error);
    out->dark_times_factor =
        allocate(count, sizeof *out->dark_times_factor, "the light", &unlimited, error);
    out->first_step = allocate(count + 1, sizeof *out->first_step, "the light", &unlimited, error);
    if (out->crystals == NULL || out->largest_f == NULL || out->dark_times_factor == NULL ||
        out->first_step == NULL)
        return NBH_OUT_OF_MEMORY;
    out->crystal_count = s->crystal_count;
    out->source_count = s->source_count;
    for (int64_t n = 0; n < count; n++)
        out->first_step[n + 1] =
            out->first_step[n] + s->source_count * s->crystals[n].orientation_count;
    return NBH_OK;
}

static light_beam *beams_of_sources(const nbh_scene *s, nbh_error *error)
{
    memory_budget unlimited = {0, 0};
    light_beam *beams = allocate(s->source_count, sizeof *beams, "sources", &unlimited, error);
    for (int64_t n = 0; beams != NULL && n < s->source_count; n++) {
        const double *source = s->sources + NBH_SOURCE_NUMBERS * n;
        memcpy(beams[n].incident, source + NBH_SOURCE_INCIDENT, sizeof beams[n].incident);
        beams[n].wavelength_m = source[NBH_SOURCE_WAVELENGTH];
    }
    return beams;
}

nbh_status scene_light_set_up(const nbh_scene *s, const sums_lattice *lattices, scene_light *out,
                              nbh_culling_reason *reason, nbh_error *error)
{
    memset(out, 0, sizeof *out);
    *reason = reason_against(s);
    if (*reason)
        return NBH_OK;
    nbh_status status = allocate_light(s, out, error);
    light_beam *beams = beams_of_sources(s, error);
    if (status == NBH_OK && beams == NULL)
        status = NBH_OUT_OF_MEMORY;
    int any = 0;
    for (int32_t n = 0; status == NBH_OK && n < s->crystal_count; n++) {
        status = set_crystal(s, lattices + n, n, beams, out, reason, error);
        any |= !*reason;
    }
    free(beams);
    if (any)
        *reason = NBH_CULLING_REASON_NONE;
    return status;
}

void scene_light_destroy(scene_light *light)
{
    for (int32_t n = 0; light->crystals != NULL && n < light->crystal_count; n++) {
        for (int i = 0; i < 3; i++)
            free(light->crystals[n].bounds.least[i]);
        free(light->crystals[n].bounds.cells);
        free(light->crystals[n].groups);
    }
    free(light->crystals);
    free(light->largest_f);
    free(light->dark_times_factor);
    free(light->first_step);
}

scene_lists *scene_lists_create(const scene_light *light, nbh_error *error)
{
    memory_budget unlimited = {0, 0};
    const int64_t crystals = light->crystal_count;
    scene_lists *lists = allocate(1, sizeof *lists, "lists of steps", &unlimited, error);
    if (lists == NULL)
        return NULL;
    lists->lit = allocate(light->first_step[crystals] + 1, 1, "lists of steps", &unlimited, error);
    lists->rays =
        allocate(crystals * light->source_count + 1, 1, "lists of steps", &unlimited, error);
    lists->factor = allocate(crystals, sizeof *lists->factor, "lists of steps", &unlimited, error);
    lists->dark_from =
        allocate(crystals, sizeof *lists->dark_from, "lists of steps", &unlimited, error);
    if (lists->lit == NULL || lists->rays == NULL || lists->factor == NULL ||
        lists->dark_from == NULL) {
        scene_lists_destroy(lists);
        return NULL;
    }
    return lists;
}

void scene_lists_destroy(scene_lists *lists)
{
    if (lists == NULL)
        return;
    free(lists->lit);
    free(lists->rays);
    free(lists->factor);
    free(lists->dark_from);
    free(lists);
}
