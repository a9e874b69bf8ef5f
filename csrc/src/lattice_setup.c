/* lattice_setup.c - checks, and what the kernels know of a lattice. */
#include "lattice_setup.h"

#include <math.h>
#include <string.h>

#include "error.h"

/* The kernels' reductions need |h| < 2^50, |h N| < 2^20 and positions in the table that an int32_t
 * holds; half of it leaves room for rounding. */
#define LARGEST_INDEX 1e9
#define LARGEST_PHASE 524288.0

double lattice_largest_square(const double *x, const double *y, const double *z, int64_t count,
                              int64_t step)
{
    double largest = 0.0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t n = i * step;
        const double square = x[n] * x[n] + y[n] * y[n] + z[n] * z[n];
        if (!(square <= largest) && !isnan(largest))
            largest = square;
    }
    return largest;
}

static nbh_status check_sizes(const nbh_lattice *lattice, const nbh_structure_factors *t,
                              nbh_error *error)
{
    for (int i = 0; i < 3; i++)
        if (!(lattice->n_cells[i] >= 1.0 && isfinite(lattice->n_cells[i])))
            return nbh_fail(error, NBH_INVALID, "n_cells", "got %g, need a finite value >= 1",
                            lattice->n_cells[i]);
    if (!(lattice->shape_fudge >= 0.0 && isfinite(lattice->shape_fudge)))
        return nbh_fail(error, NBH_INVALID, "shape_fudge", "got %g, need a finite value >= 0",
                        lattice->shape_fudge);
    if (lattice->orientation_count < 0)
        return nbh_fail(error, NBH_INVALID, "orientation_count", "got %lld, need at least 0",
                        (long long)lattice->orientation_count);
    if (lattice->orientation_count > 0 && lattice->cells_m == NULL)
        return nbh_fail(error, NBH_INVALID, "cells_m", "got NULL, need an array");
    if (t->amplitude == NULL)
        return NBH_OK;
    if (t->h_max < t->h_min || t->k_max < t->k_min || t->l_max < t->l_min)
        return nbh_fail(error, NBH_INVALID, "structure_factors", "the table is empty");
    const double count = ((double)t->h_max - t->h_min + 1) * ((double)t->k_max - t->k_min + 1) *
                         ((double)t->l_max - t->l_min + 1);
    if (!(count <= INT32_MAX))
        return nbh_fail(error, NBH_TOO_LARGE, "structure_factors",
                        "the table is too large for these sums");
    return NBH_OK;
}

static nbh_status check_phases(const nbh_lattice *lattice, double q_sqr, nbh_error *error)
{
    const double *n = lattice->n_cells;
    const double edge = sqrt((n[0] * n[0] + n[1] * n[1] + n[2] * n[2]) * lattice->shape_fudge);
    if (!(0.5 * edge < LARGEST_PHASE)) /* only that of a sphere is a phase; no other comes near */
        return nbh_fail(error, NBH_TOO_LARGE, "shape_fudge",
                        "the crystal is too large for these sums");
    for (int i = 0; i < 3; i++) {
        const double *v = lattice->cells_m + 3 * (ptrdiff_t)i;
        const double index =
            sqrt(q_sqr * lattice_largest_square(v, v + 1, v + 2, lattice->orientation_count, 9));
        if (!(index < LARGEST_INDEX && index * lattice->n_cells[i] < LARGEST_PHASE))
            return nbh_fail(error, NBH_TOO_LARGE, "q",
                            "an index or its phase is too large for these sums");
    }
    return NBH_OK;
}

/* Do single precision's digits and range do?  Next to whole indices the slope of a parallelepiped
 * with parts of cells has none, and the cells' number is in its derivatives more than twice. */
static int fits_single(const sums_lattice *lattice)
{
    return lattice->shape.profile != PROFILE_INTERFERENCE ||
           (lattice->has_whole_cells && shape_peak(&lattice->shape) <= LARGEST_SINGLE_PEAK);
}

nbh_status lattice_setup(const nbh_lattice *lattice, double q_sqr, sums_lattice *out,
                         nbh_error *error)
{
    memset(out, 0, sizeof *out);
    nbh_status status = check_sizes(lattice, &lattice->structure_factors, error);
    if (status == NBH_OK)
        status = check_phases(lattice, q_sqr, error);
    if (status != NBH_OK)
        return status;
    shape_set((nbh_shape)lattice->shape, &out->shape);
    if (out->shape.profile == 0)
        return nbh_fail(error, NBH_INVALID, "shape", "got %d, need an nbh_shape", lattice->shape);
    memcpy(out->shape.n_cells, lattice->n_cells, sizeof out->shape.n_cells);
    out->shape.fudge = lattice->shape_fudge;
    memcpy(out->shape.a_star, lattice->star_per_angstrom, sizeof out->shape.a_star);
    memcpy(out->shape.b_star, lattice->star_per_angstrom + 3, sizeof out->shape.b_star);
    memcpy(out->shape.c_star, lattice->star_per_angstrom + 6, sizeof out->shape.c_star);
    out->cells = lattice->cells_m;
    out->orientation_count = lattice->orientation_count;
    out->table = lattice->structure_factors;
    out->interpolates = lattice->interpolate != 0;
    out->has_whole_cells = 1;
    for (int i = 0; i < 3; i++) {
        const double n = lattice->n_cells[i];
        out->axes[i] = lattice_axis_of(n);
        out->has_whole_cells &= n == floor(n);
    }
    out->is_single = lattice->single_precision != 0 && fits_single(out);
    return NBH_OK;
}

double lattice_common_f(const sums_lattice *lattice)
{
    return lattice->table.amplitude == NULL ? lattice->table.default_f : 1.0;
}
