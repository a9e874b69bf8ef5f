/* sums_tile.h - rows whose lattice sums a kernel computes together, and what it says of them.
 *
 * A row is a scattering vector.  Its sum is that over orientations of F^2 times the square of the
 * lattice factor (model 6.5).  Unlike pixels of an image these sums promise accuracy, not bits
 * (docs/accuracy.md): they are what derivatives are taken of. */
#ifndef NBH_FAST_SUMS_TILE_H
#define NBH_FAST_SUMS_TILE_H

#include "fast/lattice_axis.h"
#include "shapes.h"

#define SUMS_TILE 256 /* rows that are computed together */

/* What the rows have in common. */
typedef struct sums_lattice {
    crystal_shape shape;
    const double *cells; /* a, b, c of each orientation, m: 9 numbers each */
    int64_t orientation_count;
    nbh_structure_factors table; /* without amplitudes F is left out of the sums */
    int interpolates;
    lattice_axis axes[3]; /* of a parallelepiped */
    int has_whole_cells;
    int is_single; /* sines, exponentials and what is made of them are single precision; only where
                      its range and digits do */
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

/* Half of the derivatives of each row's sum, by what the rows share.  All are set.
 *
 * Where the cells of an orientation are its rotation of one reference cell, indices are products of
 * that cell and of q turned back: nine numbers for each row stand for all cells. */
typedef struct sums_local {
    const double *rotations; /* 9 numbers for each orientation, row by row; NULL: not wanted */
    const double *turning;   /* for each of turning_count: changes of all cells, like these */
    int turning_count;
    const double *amplitude; /* changes of the table; NULL: none */
    double q[3][SUMS_TILE];
    double reference[9][SUMS_TILE]; /* by the reference cell's a, b, c */
    double n_cells[3][SUMS_TILE];
    double fudge[SUMS_TILE];
    double star[9][SUMS_TILE];
    double default_f[SUMS_TILE];
    double by_amplitude[SUMS_TILE]; /* along `amplitude` */
    double *by_turning;             /* turning_count * SUMS_TILE: along each of them */
} sums_local;

/* Which derivatives are wanted; what is not is NULL. */
typedef struct sums_derivatives {
    const sums_tangent *along; /* with `tangent`, which is set: each row's derivative */
    double *tangent;
    const double *weight; /* of each row, with `gradient` */
    sums_gradient *gradient;
    sums_local *local;
} sums_derivatives;

/* A sum that is multiplied by `growth` after each term (model 6.5), if that counts: the kernel goes
 * from the last orientation to the first.  Sums are then those of terms times all growth from
 * their own on, which is in two factors: their product may be no double where a term times it is.
 */
typedef struct sums_running {
    int skips_zeros; /* a lattice factor of exactly 0 does not count */
    double growth[SUMS_TILE];
    /* set */
    double count[SUMS_TILE];     /* of terms */
    double all[2][SUMS_TILE];    /* growth to that power */
    double before[2][SUMS_TILE]; /* to that power less 1; 1 without a term */
    double by_growth[SUMS_TILE]; /* derivatives of the sums */
} sums_running;

/* One number for each orientation, with a bit for each LANES rows: is the step visited? */
typedef uint8_t sums_visits;

/* Sets `sum` for the rows q[0..2][i], i < SUMS_TILE, and the derivatives (NULL: none). */
typedef void sums_kernel(const sums_lattice *lattice, const double *const q[3], double *sum,
                         const sums_derivatives *derivatives);

#endif
