/* light_bounds.h - which orientations of a crystal can light a tile of pixels for a source.
 *
 * The squared lattice factor of a step, times F^2, is bounded from above over all pixels of a tile
 * (docs/accuracy.md, "Steps without light").  Operations are plain IEEE ones, none fused: what is
 * left out is the same in every build and for any number of threads. */
#ifndef NBH_FAST_LIGHT_BOUNDS_H
#define NBH_FAST_LIGHT_BOUNDS_H

#include <math.h>

#include "fast/lanes.h"
#include "fast/tile.h"

/* Sources that are tested together, orientations of a chunk, and how many of a list. */
#define LIGHT_SOURCES LANES
#define LIGHT_LIST 1024

/* How dark a step is grows with the distance of h, k and l from whole numbers. */
typedef enum light_measure {
    LIGHT_BY_DISTANCE =
        1,          /* the squared distance from the reflection in the measure of the shape */
    LIGHT_BY_PLANES /* of a parallelepiped: 1 over a bound of its squared factor */
} light_measure;

/* A lattice in many orientations. */
typedef struct light_bounds {
    light_measure measure;
    double dark_from;     /* from this darkness on F^2 times the squared factor is `dark_term` at
                             most; 0 of a top hat */
    double weight_sqr[3]; /* LIGHT_BY_DISTANCE: of the squared distance along each index */
    double per_n_sqr[3];  /* LIGHT_BY_PLANES: 1/N^2, 1 where there is no factor, 0 where N has parts
                             of cells and the factor has no bound */
    int32_t has_planes[3];
    double length_m[3]; /* of a, b, c, at least */
    double margin;      /* of an index, for roundings */
    double dark_term;
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
} light_sources;

/* Indices of a chunk of orientations times the wavelength: those of the tile's middle, and how far
 * others are from them. */
typedef struct light_reach {
    lanes middle[3], half[3];
} light_reach;

/* What a plan knows of its light: the lattice, and all sources in groups. */
typedef struct plan_light {
    light_bounds bounds;
    light_sources *groups;
    int32_t group_count;
} plan_light;

/* For each source of light_sources the orientations that may light a tile. */
typedef struct light_lists {
    int32_t orientation[LIGHT_SOURCES][LIGHT_LIST];
    int32_t count[LIGHT_SOURCES];
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
    for (int i = 0; i < 3; i++) {
        const double *a = bounds->cells + (3 * (int64_t)i) * bounds->stride + first,
                     *b = a + bounds->stride, *c = b + bounds->stride;
        const double rest = bounds->length_m[i] * tile->rho;
        double *middle = reach->middle[i], *half = reach->half[i];
        EACH_LANE {
            middle[j] = a[j] * x + b[j] * y + c[j] * z;
            half[j] = fabs(a[j] * fx + b[j] * fy + c[j] * fz) +
                      fabs(a[j] * sx + b[j] * sy + c[j] * sz) + rest;
        }
    }
}

/* Of an index between middle - half and middle + half: at least how far from a whole number. */
SPECIALISED double light_distance(double middle, double half)
{
    const double away = fabs(middle - nearest_whole(middle)) - half;
    return away > 0.0 ? away : 0.0;
}

/* The least darkness where indices are that far from whole numbers. */
SPECIALISED double light_darkness(const light_bounds *bounds, const light_measure measure,
                                  double away_h, double away_k, double away_l)
{
    if (measure == LIGHT_BY_DISTANCE)
        return bounds->weight_sqr[0] * (away_h * away_h) +
               bounds->weight_sqr[1] * (away_k * away_k) +
               bounds->weight_sqr[2] * (away_l * away_l);
    /* |sin(pi x)| >= 3 x - 4 x^3 for x <= 1/2 */
    const double h = away_h * (3.0 - 4.0 * (away_h * away_h)),
                 k = away_k * (3.0 - 4.0 * (away_k * away_k)),
                 l = away_l * (3.0 - 4.0 * (away_l * away_l));
    const double *least = bounds->per_n_sqr;
    const double ph = bounds->has_planes[0] ? larger(h * h, least[0]) : 1.0,
                 pk = bounds->has_planes[1] ? larger(k * k, least[1]) : 1.0,
                 pl = bounds->has_planes[2] ? larger(l * l, least[2]) : 1.0;
    return ph * pk * pl;
}

/* Orientations of a chunk, for all sources: how dark their steps are at least. */
SPECIALISED void light_of_chunk(const light_bounds *bounds, const light_measure measure,
                                const light_sources *sources, const light_reach *reach,
                                lanes darkness)
{
    const double middle = sources->middle, half = sources->half, largest = sources->largest,
                 margin = bounds->margin;
    EACH_LANE {
        double away[3];
        for (int i = 0; i < 3; i++)
            away[i] = light_distance(reach->middle[i][j] * middle,
                                     fabs(reach->middle[i][j]) * half +
                                         reach->half[i][j] * largest + margin);
        darkness[j] = light_darkness(bounds, measure, away[0], away[1], away[2]);
    }
}

/* One orientation, for each of the sources. */
SPECIALISED void light_of_sources(const light_bounds *bounds, const light_measure measure,
                                  const light_sources *sources, const double middle[3],
                                  const double half[3], lanes darkness)
{
    const double *per = sources->per_wavelength;
    const double margin = bounds->margin;
    EACH_LANE {
        double away[3];
        for (int i = 0; i < 3; i++)
            away[i] = light_distance(middle[i] * per[j], half[i] * per[j] + margin);
        darkness[j] = light_darkness(bounds, measure, away[0], away[1], away[2]);
    }
}

/* Lists the orientations from number `first` on that may light the tile, for the sources.  Returns
 * the number of the first orientation that no list had room for, bounds->count at the end. */
SPECIALISED int64_t light_list(const light_bounds *bounds, const light_measure measure,
                               const tile_directions *tile, const light_sources *sources,
                               int64_t first, light_lists *lists)
{
    const double dark_from = bounds->dark_from;
    const int32_t source_count = sources->count;
    int32_t listed = 0;
    for (int32_t s = 0; s < source_count; s++)
        lists->count[s] = 0;
    for (; first < bounds->count; first += LANES) {
        if (listed > LIGHT_LIST - LANES)
            return first;
        light_reach reach;
        lanes chunk, each;
        light_reach_of(bounds, tile, sources->incident, first, &reach);
        light_of_chunk(bounds, measure, sources, &reach, chunk);
        const int64_t left = bounds->count - first;
        const int last = left < LANES ? (int)left : LANES;
        for (int j = 0; j < last; j++) {
            if (chunk[j] >= dark_from) /* and not where it is NaN */
                continue;
            const int32_t orientation = (int32_t)(first + j);
            listed++;
            if (source_count == 1) {
                lists->orientation[0][lists->count[0]++] = orientation;
                continue;
            }
            const double middle[3] = {reach.middle[0][j], reach.middle[1][j], reach.middle[2][j]},
                         half[3] = {reach.half[0][j], reach.half[1][j], reach.half[2][j]};
            light_of_sources(bounds, measure, sources, middle, half, each);
            for (int32_t s = 0; s < source_count; s++) {
                const int32_t at = lists->count[s];
                lists->orientation[s][at] = orientation;
                lists->count[s] = at + !(each[s] >= dark_from);
            }
        }
    }
    return bounds->count;
}

#endif
