/* scene_lists.h - which steps of a tile's samples may have light, for the instruction set of the
 * file that includes this one (docs/accuracy.md, "Steps without light"). */
#ifndef NBH_FAST_SCENE_LISTS_H
#define NBH_FAST_SCENE_LISTS_H

#include <math.h>
#include <string.h>

#include "fast/light_bounds.h"
#include "fast/light_lattice.h"
#include "fast/scene_factors.h"

/* Factors are rounded up to so many parts of a power of two: what is left out is then the same in
 * all builds, whose factors differ by roundings, and bounds are computed for few of them. */
#define PARTS_OF_FACTOR 16.0

/* What the terms of LANES pixels from `first` on are multiplied with at one sample, at most, but
 * for what depends on the source; NaN if one is. */
static inline double largest_factor(const pixel_factors_tile *pixel, const ray_factors_tile *ray,
                                    int first)
{
    double largest = 0.0, sum = 0.0;
    EACH_LANE {
        const int at = first + j;
        const double x =
            fabs(pixel->all[at] * ray->capture[at] * ray->polarization[at] * ray->solid_angle[at]);
        largest = x > largest ? x : largest;
        sum += 0.0 * x;
    }
    int exponent;
    const double part = frexp(largest, &exponent);
    return ldexp(ceil(part * PARTS_OF_FACTOR * (1.0 + 1e-9)) / PARTS_OF_FACTOR, exponent) + sum;
}

/* From which darkness on steps of crystal n may be left out, where that is their factor.  Nowhere
 * where it is 0: derivatives by the factor are not. */
static inline double dark_from_factor(const prepared_scene *p, int32_t n, double factor,
                                      scene_lists *out)
{
    if (!(factor > 0.0))
        return INFINITY;
    if (out->factor[n] != factor) {
        out->factor[n] = factor;
        out->dark_from[n] = light_dark_from(&p->lattices[n].shape, p->light->largest_f[n],
                                            p->light->dark_times_factor[n] / factor);
    }
    return out->dark_from[n];
}

/* Marks the steps of crystal n that may light the tile of `out`, which is `pixels` of the LANES
 * pixels whose bit this is. */
static inline void list_crystal(const prepared_scene *p, int32_t n, double dark_from, uint8_t bit,
                                int64_t pixels, scene_lists *out)
{
    const plan_light *light = p->light->crystals + n;
    const int64_t orientations = p->lattices[n].orientation_count;
    uint8_t *lit = out->lit + p->light->first_step[n];
    uint8_t *rays = out->rays + n * p->light->source_count;
    light_bounds bounds = light->bounds;
    bounds.dark_from = dark_from;
    out->tile.direction = -1;
    for (int32_t g = 0; g < light->group_count; g++) {
        const light_sources *group = light->groups + g;
        for (int64_t at = 0; at < bounds.count;) {
            at = bounds.by_planes ? light_list(&bounds, 1, group, at, &out->tile, &out->lists)
                                  : light_list(&bounds, 0, group, at, &out->tile, &out->lists);
            for (int32_t s = 0; s < group->count; s++) {
                const int32_t count = out->lists.count[s];
                uint8_t *own = lit + (group->first + s) * orientations;
                for (int32_t i = 0; i < count; i++)
                    own[out->lists.orientation[s][i]] |= bit;
                rays[group->first + s] |= count > 0;
                out->visited += count * pixels;
            }
        }
    }
}

/* Lists the steps of a sample. */
static void list_steps(const prepared_scene *p, const scene_tile *tile, const sample_beams *own,
                       const pixel_factors_tile *pixel, const ray_factors_tile *ray,
                       scene_lists *out)
{
    const scene_light *light = p->light;
    memset(out->rays, 0, (size_t)(light->crystal_count * light->source_count));
    memset(out->lit, 0, (size_t)light->first_step[light->crystal_count]);
    for (int32_t n = 0; n < light->crystal_count; n++) {
        if (light->crystals[n].group_count > 0)
            continue;
        const int64_t steps = light->first_step[n + 1] - light->first_step[n];
        memset(out->rays + n * light->source_count, 1, (size_t)light->source_count);
        memset(out->lit + light->first_step[n], UINT8_MAX, (size_t)steps);
        out->visited += steps * tile->count;
    }
    for (int first = 0; first < SCENE_TILE && first < tile->count; first += LANES) {
        int32_t fast[LANES], slow[LANES];
        const int64_t left = tile->count - first;
        EACH_LANE {
            fast[j] = (int32_t)tile->fast[first + j];
            slow[j] = (int32_t)tile->slow[first + j];
        }
        tile_fit(fast, slow, own->d[0] + first, own->d[1] + first, own->d[2] + first,
                 &out->tile.directions);
        const double factor = largest_factor(pixel, ray, first);
        for (int32_t n = 0; n < light->crystal_count; n++)
            if (light->crystals[n].group_count > 0)
                list_crystal(p, n, dark_from_factor(p, n, factor, out),
                             (uint8_t)(1u << (first / LANES)), left < LANES ? left : LANES, out);
    }
}

/* May any step of a ray have light? */
static inline int has_light(const prepared_scene *p, const scene_lists *lists, int32_t n,
                            int64_t source)
{
    return lists == NULL || lists->rays[n * p->light->source_count + source] != 0;
}

static inline int any_has_light(const prepared_scene *p, const scene_lists *lists, int64_t source)
{
    for (int32_t n = 0; n < p->scene->crystal_count; n++)
        if (has_light(p, lists, n, source))
            return 1;
    return 0;
}

/* Which steps of a ray are visited, as sums.h takes it. */
static inline const uint8_t *steps_with_light(const prepared_scene *p, const scene_lists *lists,
                                              int32_t n, int64_t source)
{
    if (lists == NULL)
        return NULL;
    return lists->lit + p->light->first_step[n] + source * p->lattices[n].orientation_count;
}

#endif
