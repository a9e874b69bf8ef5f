/* tile.h - the directions of several neighbouring pixels as a plane, and how far they are from it.
 *
 * All pixels of a block are together a tile, whatever its outline: bounds hold for what is measured
 * on these pixels.  Operations are plain IEEE ones, so a tile has the same bits in every build. */
#ifndef NBH_FAST_TILE_H
#define NBH_FAST_TILE_H

#include <math.h>

#include "fast/lanes.h"

/* Directions d_j = d + u_j g_fast + v_j g_slow + e_j with |u_j| <= half_fast, |v_j| <= half_slow,
 * |e_j| <= rho. */
typedef struct tile_directions {
    double d[3];
    double g_fast[3], g_slow[3]; /* per pixel along the two axes */
    double half_fast, half_slow; /* pixels */
    double rho;
} tile_directions;

/* The sum of the lanes. */
static inline double tile_sum(const lanes x)
{
    double half[LANES / 2];
    for (int j = 0; j < LANES / 2; j++)
        half[j] = x[j] + x[j + LANES / 2];
    for (int count = LANES / 4; count > 0; count /= 2)
        for (int j = 0; j < count; j++)
            half[j] += half[j + count];
    return half[0];
}

/* The largest of the lanes, which are not NaN. */
static inline double tile_largest(const lanes x)
{
    double half[LANES / 2];
    for (int j = 0; j < LANES / 2; j++)
        half[j] = larger(x[j], x[j + LANES / 2]);
    for (int count = LANES / 4; count > 0; count /= 2)
        for (int j = 0; j < count; j++)
            half[j] = larger(half[j], half[j + count]);
    return half[0];
}

/* Where lanes are along one axis, seen from the middle of the tile.  Returns half of its extent. */
static inline double tile_positions(const int32_t pixel[LANES], lanes from_middle)
{
    int32_t first = pixel[0], last = pixel[0];
    EACH_LANE {
        first = pixel[j] < first ? pixel[j] : first;
        last = pixel[j] > last ? pixel[j] : last;
    }
    const double middle = 0.5 * ((double)first + last);
    EACH_LANE
        from_middle[j] = pixel[j] - middle;
    return 0.5 * ((double)last - first);
}

/* The tile of the pixels (fast[j], slow[j]) with the unit vectors dx, dy, dz: the plane with the
 * least squares of e.  rho is NaN or infinite where a direction is. */
static inline void tile_fit(const int32_t fast[LANES], const int32_t slow[LANES], const lanes dx,
                            const lanes dy, const lanes dz, tile_directions *tile)
{
    const double *d[3] = {dx, dy, dz};
    lanes u, v, product, distance_sqr;
    tile->half_fast = tile_positions(fast, u);
    tile->half_slow = tile_positions(slow, v);
    const double mean_u = tile_sum(u) / LANES, mean_v = tile_sum(v) / LANES;
    EACH_LANE
        product[j] = (u[j] - mean_u) * (u[j] - mean_u);
    const double uu = tile_sum(product);
    EACH_LANE
        product[j] = (u[j] - mean_u) * (v[j] - mean_v);
    const double uv = tile_sum(product);
    EACH_LANE
        product[j] = (v[j] - mean_v) * (v[j] - mean_v);
    const double vv = tile_sum(product);
    const double determinant = uu * vv - uv * uv;
    const int is_line = !(determinant > 1e-9 * uu * vv);
    const int along_fast = uu >= vv;
    for (int i = 0; i < 3; i++) {
        const double mean = tile_sum(d[i]) / LANES;
        EACH_LANE
            product[j] = (u[j] - mean_u) * (d[i][j] - mean);
        const double ud = tile_sum(product);
        EACH_LANE
            product[j] = (v[j] - mean_v) * (d[i][j] - mean);
        const double vd = tile_sum(product);
        if (is_line) {
            tile->g_fast[i] = along_fast && uu > 0.0 ? ud / uu : 0.0;
            tile->g_slow[i] = !along_fast && vv > 0.0 ? vd / vv : 0.0;
        } else {
            tile->g_fast[i] = (vv * ud - uv * vd) / determinant;
            tile->g_slow[i] = (uu * vd - uv * ud) / determinant;
        }
        tile->d[i] = mean - tile->g_fast[i] * mean_u - tile->g_slow[i] * mean_v;
    }
    double finite = 0.0; /* NaN where a direction is not */
    EACH_LANE {
        double sum = 0.0;
        for (int i = 0; i < 3; i++) {
            const double e =
                d[i][j] - (tile->d[i] + u[j] * tile->g_fast[i] + v[j] * tile->g_slow[i]);
            sum += e * e;
        }
        distance_sqr[j] = sum;
    }
    for (int i = 0; i < 3; i++)
        finite += 0.0 * tile->d[i];
    tile->rho = sqrt(tile_largest(distance_sqr)) * (1.0 + 1e-9) + 1e-15 + finite;
}

#endif
