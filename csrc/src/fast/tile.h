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

/* Lanes whose sums are made side by side. */
#define TILE_SIDE 8

/* The sum of the lanes. */
static inline double tile_sum(const lanes x)
{
    double p[TILE_SIDE];
    for (int j = 0; j < TILE_SIDE; j++)
        p[j] = (x[j] + x[j + TILE_SIDE]) + (x[j + 2 * TILE_SIDE] + x[j + 3 * TILE_SIDE]);
    return ((p[0] + p[1]) + (p[2] + p[3])) + ((p[4] + p[5]) + (p[6] + p[7]));
}

/* The largest of the lanes, which are not NaN. */
static inline double tile_largest(const lanes x)
{
    double p[TILE_SIDE];
    for (int j = 0; j < TILE_SIDE; j++)
        p[j] = larger(larger(x[j], x[j + TILE_SIDE]),
                      larger(x[j + 2 * TILE_SIDE], x[j + 3 * TILE_SIDE]));
    return larger(larger(larger(p[0], p[1]), larger(p[2], p[3])),
                  larger(larger(p[4], p[5]), larger(p[6], p[7])));
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

/* Where the lanes of a tile are, and what a plane through values on them is made of. */
typedef struct tile_grid {
    lanes u, v; /* from the middle */
    double half_fast, half_slow;
    double mean_u, mean_v;
    double uu, uv, vv; /* sums of products, less the means */
} tile_grid;

/* A tile of 4 x 8 pixels, column after column, as most are. */
#define TILE_COLUMN(u) u, u, u, u, u, u, u, u
#define TILE_ROW -3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5
static const tile_grid FULL_TILE = {
    .u = {TILE_COLUMN(-1.5), TILE_COLUMN(-0.5), TILE_COLUMN(0.5), TILE_COLUMN(1.5)},
    .v = {TILE_ROW, TILE_ROW, TILE_ROW, TILE_ROW},
    .half_fast = 1.5,
    .half_slow = 3.5,
    .uu = 40.0,
    .vv = 168.0,
};

static inline int is_full_tile(const int32_t fast[LANES], const int32_t slow[LANES])
{
    int32_t differs = 0;
    EACH_LANE {
        differs |= (fast[j] - fast[0]) ^ (j / TILE_SIDE);
        differs |= (slow[j] - slow[0]) ^ (j % TILE_SIDE);
    }
    return differs == 0;
}

static inline void tile_grid_of(const int32_t fast[LANES], const int32_t slow[LANES],
                                tile_grid *grid)
{
    lanes product;
    grid->half_fast = tile_positions(fast, grid->u);
    grid->half_slow = tile_positions(slow, grid->v);
    const double mean_u = tile_sum(grid->u) / LANES, mean_v = tile_sum(grid->v) / LANES;
    EACH_LANE
        product[j] = (grid->u[j] - mean_u) * (grid->u[j] - mean_u);
    grid->uu = tile_sum(product);
    EACH_LANE
        product[j] = (grid->u[j] - mean_u) * (grid->v[j] - mean_v);
    grid->uv = tile_sum(product);
    EACH_LANE
        product[j] = (grid->v[j] - mean_v) * (grid->v[j] - mean_v);
    grid->vv = tile_sum(product);
    grid->mean_u = mean_u;
    grid->mean_v = mean_v;
}

/* The tile of the pixels (fast[j], slow[j]) with the unit vectors dx, dy, dz: the plane with the
 * least squares of e.  rho is NaN or infinite where a direction is. */
static inline void tile_fit(const int32_t fast[LANES], const int32_t slow[LANES], const lanes dx,
                            const lanes dy, const lanes dz, tile_directions *tile)
{
    const double *d[3] = {dx, dy, dz};
    lanes product, distance_sqr;
    tile_grid found;
    const int is_full = is_full_tile(fast, slow);
    if (!is_full)
        tile_grid_of(fast, slow, &found);
    const tile_grid *grid = is_full ? &FULL_TILE : &found;
    const double *u = grid->u, *v = grid->v, mean_u = grid->mean_u, mean_v = grid->mean_v,
                 uu = grid->uu, uv = grid->uv, vv = grid->vv;
    tile->half_fast = grid->half_fast;
    tile->half_slow = grid->half_slow;
    const double determinant = uu * vv - uv * uv, per_determinant = 1.0 / determinant;
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
            tile->g_fast[i] = (vv * ud - uv * vd) * per_determinant;
            tile->g_slow[i] = (uu * vd - uv * ud) * per_determinant;
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
