/* sums_tile.h - rows whose lattice sums a kernel computes together, and what it says of them.
 *
 * A row is a scattering vector.  Its sum is that over orientations of F^2 times the square of the
 * lattice factor (model 6.5).  Unlike pixels of an image these sums promise accuracy, not bits
 * (docs/accuracy.md): they are what derivatives are taken of. */
#ifndef NBH_FAST_SUMS_TILE_H
#define NBH_FAST_SUMS_TILE_H

#include "shapes.h"

#define SUMS_TILE 256 /* rows that are computed together */

/* What the rows have in common. */
typedef struct sums_lattice {
    crystal_shape shape;
    const double *cells; /* a, b, c of each orientation, m: 9 numbers each */
    int64_t orientation_count;
    nbh_structure_factors table; /* without amplitudes F is left out of the sums */
    int interpolates;
} sums_lattice;

/* Half of the derivatives of the weighted sum of a tile's sums.  q is set; the others are added to.
 */
typedef struct sums_gradient {
    double q[3][SUMS_TILE];
    double *cells;     /* like those of sums_lattice */
    double *amplitude; /* like that of the table; NULL if it is not wanted */
    double default_f;
    double n_cells[3];
    double fudge;
    double star[3][3]; /* of a*, b*, c* */
} sums_gradient;

/* A direction in which everything changes. */
typedef struct sums_tangent {
    const double *q[3];
    const double *cells;
    const double *amplitude; /* NULL: not at all */
    double default_f;
    double n_cells[3];
    double fudge;
    double star[3][3];
} sums_tangent;

/* Sets `sum` for the rows q[0..2][i], i < SUMS_TILE; if not NULL, `tangent` to each row's
 * derivative in the direction `along`, and `gradient` for the rows' weights. */
typedef void sums_kernel(const sums_lattice *lattice, const double *const q[3], double *sum,
                         const sums_tangent *along, double *tangent, const double *weight,
                         sums_gradient *gradient);

#endif
