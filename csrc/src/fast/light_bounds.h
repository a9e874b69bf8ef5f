/* light_bounds.h - which orientations of a crystal can light a tile of pixels for a source.
 *
 * The squared lattice factor of a step, times F^2, is bounded from above over all pixels of a tile
 * (docs/accuracy.md, "Steps without light").  Operations are plain IEEE ones, none fused: what is
 * left out is the same in every build and for any number of threads. */
#ifndef NBH_FAST_LIGHT_BOUNDS_H
#define NBH_FAST_LIGHT_BOUNDS_H

#include <math.h>
#include <stdlib.h>

#include "fast/lane_bits.h"
#include "fast/lanes.h"
#include "fast/tile.h"

/* Sources that are tested together, orientations of a chunk, and how many of a list. */
#define LIGHT_SOURCES LANES
#define LIGHT_LIST 1024
#define LIGHT_CHUNKS 8

/* A lattice in many orientations. */
typedef struct light_bounds {
    /* How dark a step is grows with the distance of h, k and l from whole numbers.  It is the
     * squared distance from the reflection in the measure of the shape, or by planes, of a
     * parallelepiped, 1 over a bound of the squared factor. */
    int32_t by_planes;
    double dark_from; /* from this darkness on F^2 times the squared factor is `dark_term` at
                             most; 0 of a top hat */
    double weight[3]; /* without planes: of the distance along each index */
    /* By planes: 1 over the largest squared factor next to the whole number n, n <=
     * last_whole; 0 where it has no bound, 1 without a factor. */
    double *least[3];
    double last_whole[3];
    double length_m[3];      /* of a, b, c, at least */
    double largest_index[3]; /* of all pixels, at least */
    double margin;           /* of an index, for roundings */
    double margin_of_normal; /* of the component along a normal */
    double dark_term;
    /* Where interpolation may be switched off: an index outside of these, and a darkness below
     * zero_from, from which on the lattice factor is exactly 0. */
    double first_inside[3], last_inside[3];
    double zero_from;
    double *cells;  /* the nine components of a, b, c, m: `stride` numbers each, one for each
                       orientation; those beyond `count` repeat the last */
    int64_t stride; /* a multiple of LANES */
    int64_t count;
} light_bounds;

/* Sources in one direction. */
typedef struct light_sources {
    double incident[3];
    double per_wavelength[LIGHT_SOURCES]; /* 1/m; those beyond `count` repeat the last */
    double middle, half;                  /* all of them are within `half` of `middle` */
    double largest;
    int32_t first, count;
    int32_t direction; /* the same number for groups in the same direction */
    uint64_t members;  /* a bit for each of them */
} light_sources;

/* Indices of a chunk of orientations times the wavelength: those of the tile's middle, and how far
 * others are from them. */
typedef struct light_reach {
    lanes middle[3], half[3];
    /* Without planes: across the tile, in the measure of the shape: what multiplies indices for
     * the component along the tile's normal, and how far that of others is from the middle's */
    lanes normal[3], half_along_normal;
} light_reach;

/* A tile, and what its first orientations reach for the sources of one direction. */
typedef struct light_tile {
    tile_directions directions;
    int32_t direction, known;
    light_reach reach[LIGHT_CHUNKS];
    light_reach other;
} light_tile;

/* What a plan knows of its light: the lattice, and all sources in groups. */
typedef struct plan_light {
    light_bounds bounds;
    double brightest_term; /* F^2 times the squared lattice factor of a step, at most */
    light_sources *groups;
    int32_t group_count;
} plan_light;

static inline void light_destroy(plan_light *light)
{
    if (light == NULL)
        return;
    for (int i = 0; i < 3; i++)
        free(light->bounds.least[i]);
    free(light->bounds.cells);
    free(light->groups);
    free(light);
}

/* For each source of light_sources the orientations that may light a tile. */
typedef struct light_lists {
    int32_t orientation[LIGHT_SOURCES][LIGHT_LIST];
    int32_t count[LIGHT_SOURCES];
    int32_t looked_at; /* orientations that were tested for each source */
} light_lists;

static inline void light_reach_of(const light_bounds *bounds, const tile_directions *tile,
                                  const double incident[3], int64_t first, light_reach *reach)
{
    const double x = tile->d[0] - incident[0], y = tile->d[1] - incident[1],
                 z = tile->d[2] - incident[2];
    const double fx = tile->g_fast[0] * tile->half_fast, fy = tile->g_fast[1] * tile->half_fast,
                 fz = tile->g_fast[2] * tile->half_fast;
    const double sx = tile->g_slow[0] * tile->half_slow, sy = tile->g_slow[1] * tile->half_slow,
                 sz = tile->g_slow[2] * tile->half_slow;
    lanes along_fast[3], along_slow[3];
    for (int i = 0; i < 3; i++) {
        const double *a = bounds->cells + (3 * (int64_t)i) * bounds->stride + first,
                     *b = a + bounds->stride, *c = b + bounds->stride;
        const double rest = bounds->length_m[i] * tile->rho;
        double *middle = reach->middle[i], *half = reach->half[i];
        EACH_LANE {
            middle[j] = a[j] * x + b[j] * y + c[j] * z;
            along_fast[i][j] = a[j] * fx + b[j] * fy + c[j] * fz;
            along_slow[i][j] = a[j] * sx + b[j] * sy + c[j] * sz;
            half[j] = fabs(along_fast[i][j]) + fabs(along_slow[i][j]) + rest;
        }
    }
    if (bounds->by_planes)
        return;
    const double w0 = bounds->weight[0], w1 = bounds->weight[1], w2 = bounds->weight[2];
    const double rest0 = bounds->length_m[0] * tile->rho, rest1 = bounds->length_m[1] * tile->rho,
                 rest2 = bounds->length_m[2] * tile->rho;
    EACH_LANE {
        /* the vector product in coordinates that are scaled by w */
        const double n0 = (w1 * w2) * (along_fast[1][j] * along_slow[2][j] -
                                       along_fast[2][j] * along_slow[1][j]),
                     n1 = (w2 * w0) * (along_fast[2][j] * along_slow[0][j] -
                                       along_fast[0][j] * along_slow[2][j]),
                     n2 = (w0 * w1) * (along_fast[0][j] * along_slow[1][j] -
                                       along_fast[1][j] * along_slow[0][j]);
        const double length = sqrt(n0 * n0 + n1 * n1 + n2 * n2);
        const double scale = length > 0.0 ? (1.0 - 1e-9) / length : 0.0;
        const double x0 = w0 * (n0 * scale), x1 = w1 * (n1 * scale), x2 = w2 * (n2 * scale);
        reach->normal[0][j] = x0;
        reach->normal[1][j] = x1;
        reach->normal[2][j] = x2;
        reach->half_along_normal[j] =
            fabs(x0) * rest0 + fabs(x1) * rest1 + fabs(x2) * rest2 +
            fabs(x0 * along_fast[0][j] + x1 * along_fast[1][j] + x2 * along_fast[2][j]) +
            fabs(x0 * along_slow[0][j] + x1 * along_slow[1][j] + x2 * along_slow[2][j]);
    }
}

/* The squared distance along the tile's normal from the reflection, all indices of the tile being
 * closer to it than to others; else 0. */
SPECIALISED double light_above_plane(const double away[3], const double half[3],
                                     const double normal[3], double half_along_normal)
{
    const int is_alone = (fabs(away[0]) + half[0] < 0.5) & (fabs(away[1]) + half[1] < 0.5) &
                         (fabs(away[2]) + half[2] < 0.5);
    const double above =
        fabs(normal[0] * away[0] + normal[1] * away[1] + normal[2] * away[2]) - half_along_normal;
    return (is_alone & (above > 0.0)) ? above * above : 0.0;
}

/* At least how far from a whole number an index is that is within `half` of one `away` from it. */
SPECIALISED double light_distance(double away, double half)
{
    const double least = fabs(away) - half;
    return least > 0.0 ? least : 0.0;
}

/* At least 1 over the squared factor of the planes along one axis where the squared sine is
 * `sine_sqr` or more, no other whole number than this one being in reach. */
SPECIALISED double light_of_planes(const light_bounds *bounds, int i, double whole, double half,
                                   double sine_sqr)
{
    const double *least = bounds->least[i];
    const double n = fabs(whole), last = bounds->last_whole[i];
    const int32_t at = (int32_t)(n < last ? n : last);
    const double found = least[at];
    return larger(sine_sqr, half < 0.5 ? found : 0.0);
}

/* No more than sin(pi x), 0 <= x <= 1/2: its series to the fifth power, less what follows. */
SPECIALISED double light_least_sine(double x)
{
    const double x_sqr = x * x;
    return x * (3.14159 - x_sqr * (5.1677129 - 2.405 * x_sqr));
}

/* The least darkness of indices within `half` of those `away` from whole numbers. */
SPECIALISED double light_darkness(const light_bounds *bounds, const int by_planes,
                                  const double whole[3], const double away[3], const double half[3],
                                  const double normal[3], double half_along_normal)
{
    const double h = light_distance(away[0], half[0]), k = light_distance(away[1], half[1]),
                 l = light_distance(away[2], half[2]);
    if (!by_planes) {
        const double x = bounds->weight[0] * h, y = bounds->weight[1] * k,
                     z = bounds->weight[2] * l;
        return larger(light_above_plane(away, half, normal, half_along_normal),
                      x * x + y * y + z * z);
    }
    const double sh = light_least_sine(h), sk = light_least_sine(k), sl = light_least_sine(l);
    return light_of_planes(bounds, 0, whole[0], half[0], sh * sh) *
           light_of_planes(bounds, 1, whole[1], half[1], sk * sk) *
           light_of_planes(bounds, 2, whole[2], half[2], sl * sl);
}

/* Orientations of a chunk, for all sources: how dark their steps are at least.  `leaves` (NULL: not
 * wanted): 1 where an index may be outside, else 0. */
SPECIALISED void light_of_chunk(const light_bounds *bounds, const int by_planes,
                                const light_sources *sources, const light_reach *reach,
                                lanes darkness, double *leaves)
{
    const double middle = sources->middle, half = sources->half, largest = sources->largest,
                 margin = bounds->margin;
    EACH_LANE {
        double whole[3], away[3], reaches[3], normal[3], along = 0.0;
        for (int i = 0; i < 3; i++) {
            const double index = reach->middle[i][j] * middle;
            whole[i] = nearest_whole(index);
            away[i] = index - whole[i];
            reaches[i] = fabs(reach->middle[i][j]) * half + reach->half[i][j] * largest + margin;
            normal[i] = by_planes ? 0.0 : reach->normal[i][j];
            along += normal[i] * reach->middle[i][j];
        }
        const double half_along = by_planes
                                      ? 0.0
                                      : fabs(along) * half + reach->half_along_normal[j] * largest +
                                            bounds->margin_of_normal;
        darkness[j] = light_darkness(bounds, by_planes, whole, away, reaches, normal, half_along);
        if (leaves != NULL) {
            int is_inside = 1;
            for (int i = 0; i < 3; i++)
                is_inside &= (whole[i] + away[i] - reaches[i] >= bounds->first_inside[i]) &
                             (whole[i] + away[i] + reaches[i] <= bounds->last_inside[i]);
            leaves[j] = is_inside ? 0.0 : 1.0;
        }
    }
}

/* One orientation of a chunk, for each of the sources. */
SPECIALISED void light_of_sources(const light_bounds *bounds, const int by_planes,
                                  const light_sources *sources, const light_reach *reach, int n,
                                  lanes darkness)
{
    const double *per = sources->per_wavelength;
    const double margin = bounds->margin;
    const double middle[3] = {reach->middle[0][n], reach->middle[1][n], reach->middle[2][n]},
                 half[3] = {reach->half[0][n], reach->half[1][n], reach->half[2][n]};
    const int has_normal = !by_planes;
    const double normal[3] = {has_normal ? reach->normal[0][n] : 0.0,
                              has_normal ? reach->normal[1][n] : 0.0,
                              has_normal ? reach->normal[2][n] : 0.0};
    const double half_along = has_normal ? reach->half_along_normal[n] : 0.0,
                 margin_along = has_normal ? bounds->margin_of_normal : 0.0;
    EACH_LANE {
        double whole[3], away[3], reaches[3];
        for (int i = 0; i < 3; i++) {
            const double index = middle[i] * per[j];
            whole[i] = nearest_whole(index);
            away[i] = index - whole[i];
            reaches[i] = half[i] * per[j] + margin;
        }
        darkness[j] = light_darkness(bounds, by_planes, whole, away, reaches, normal,
                                     half_along * per[j] + margin_along);
    }
}

/* What chunk number `chunk` reaches, computed once for all sources of a direction if it is one of
 * the first few. */
static inline const light_reach *light_reach_at(const light_bounds *bounds,
                                                const light_sources *sources, int64_t chunk,
                                                light_tile *tile)
{
    if (tile->direction != sources->direction) {
        tile->direction = sources->direction;
        tile->known = 0;
    }
    if (chunk < tile->known)
        return &tile->reach[chunk];
    const int keeps = chunk == tile->known && chunk < LIGHT_CHUNKS;
    light_reach *reach = keeps ? &tile->reach[chunk] : &tile->other;
    light_reach_of(bounds, &tile->directions, sources->incident, chunk * LANES, reach);
    tile->known += keeps;
    return reach;
}

/* Lists the orientations from number `first` on, a multiple of LANES, that may light the tile, for
 * the sources.  Returns the number of the first orientation that no list had room for,
 * bounds->count at the end. */
SPECIALISED int64_t light_list(const light_bounds *bounds, const int by_planes,
                               const light_sources *sources, int64_t first, light_tile *tile,
                               light_lists *lists)
{
    const double dark_from = bounds->dark_from;
    int32_t listed = 0;
    lists->looked_at = 0;
    for (int32_t s = 0; s < sources->count; s++)
        lists->count[s] = 0;
    for (; first < bounds->count; first += LANES) {
        if (listed > LIGHT_LIST - LANES)
            return first;
        lanes chunk, each;
        const light_reach *reach = light_reach_at(bounds, sources, first / LANES, tile);
        light_of_chunk(bounds, by_planes, sources, reach, chunk, NULL);
        uint64_t bright = lanes_below(chunk, dark_from);
        if (bounds->count - first < LANES)
            bright &= (UINT64_C(1) << (bounds->count - first)) - 1;
        for (; bright != 0; bright &= bright - 1) {
            const int j = lowest_bit(bright);
            const int32_t orientation = (int32_t)(first + j);
            listed++;
            if (sources->count == 1) {
                lists->orientation[0][lists->count[0]++] = orientation;
                continue;
            }
            lists->looked_at++;
            light_of_sources(bounds, by_planes, sources, reach, j, each);
            uint64_t lit = lanes_below(each, dark_from) & sources->members;
            for (; lit != 0; lit &= lit - 1) {
                const int s = lowest_bit(lit);
                lists->orientation[s][lists->count[s]++] = orientation;
            }
        }
    }
    return bounds->count;
}

/* Lists the orientations from number `first` on in which interpolation may be switched off by one
 * of the sources, in the first list; see light_list. */
SPECIALISED int64_t light_scan_list(const light_bounds *bounds, const int by_planes,
                                    const light_sources *sources, int64_t first, light_tile *tile,
                                    light_lists *lists)
{
    lists->count[0] = 0;
    for (; first < bounds->count && lists->count[0] <= LIGHT_LIST - LANES; first += LANES) {
        lanes darkness, leaves;
        const light_reach *reach = light_reach_at(bounds, sources, first / LANES, tile);
        light_of_chunk(bounds, by_planes, sources, reach, darkness, leaves);
        uint64_t found = lanes_below(darkness, bounds->zero_from) & ~lanes_below(leaves, 0.5);
        if (bounds->count - first < LANES)
            found &= (UINT64_C(1) << (bounds->count - first)) - 1;
        for (; found != 0; found &= found - 1)
            lists->orientation[0][lists->count[0]++] = (int32_t)(first + lowest_bit(found));
    }
    return first < bounds->count ? first : bounds->count;
}

#endif
