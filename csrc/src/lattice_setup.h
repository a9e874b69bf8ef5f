/* lattice_setup.h - an nbh_lattice as the kernels of its sums take it. */
#ifndef NBH_LATTICE_SETUP_H
#define NBH_LATTICE_SETUP_H

#include "fast/sums_tile.h"
#include "nbh/nbh.h"

/* The largest of the squares of `count` vectors whose components are `step` apart; NaN if one is.
 */
double lattice_largest_square(const double *x, const double *y, const double *z, int64_t count,
                              int64_t step);
/* Borrows what the lattice borrows.  q_sqr: no scattering vector's square is larger.  Fails for
 * sizes that make no sense, and for indices or phases that are too large. */
nbh_status lattice_setup(const nbh_lattice *lattice, double q_sqr, sums_lattice *out,
                         nbh_error *error);
/* The F that the kernels leave out of the sums. */
double lattice_common_f(const sums_lattice *lattice);

#endif
