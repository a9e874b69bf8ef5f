/* lattice_sums.c - sums over orientations for scattering vectors that the caller gives. */
#include <math.h>
#include <string.h>

#include "constants.h"
#include "error.h"
#include "fast/instruction_sets.h"
#include "fast/sums_avx2.h"
#include "fast/sums_avx512.h"
#include "fast/sums_baseline.h"
#include "nbh/nbh.h"

/* The kernels' reductions need |h| < 2^50, |h N| < 2^20 and positions in the table that an int32_t
 * holds; half of it leaves room for rounding. */
#define LARGEST_INDEX 1e9
#define LARGEST_PHASE 524288.0

void nbh_lattice_init(nbh_lattice *lattice)
{
    memset(lattice, 0, sizeof *lattice);
    lattice->struct_size = sizeof *lattice;
    lattice->kernel = NBH_KERNEL_AUTO;
    lattice->shape = NBH_SHAPE_SQUARE;
    for (int i = 0; i < 3; i++)
        lattice->n_cells[i] = 1.0;
    lattice->shape_fudge = 1.0;
    lattice->structure_factors.default_f = 1.0;
}

static sums_kernel *build_of(nbh_kernel kernel)
{
    switch (kernel) {
    case NBH_KERNEL_AUTO:
    case NBH_KERNEL_EXACT:
        return NULL;
    case NBH_KERNEL_BASELINE:
        return fast_sums_baseline;
#if defined(NBH_HAVE_X86_KERNELS)
    case NBH_KERNEL_AVX2:
        return fast_sums_avx2;
    case NBH_KERNEL_AVX512:
        return fast_sums_avx512;
#else
    case NBH_KERNEL_AVX2:
    case NBH_KERNEL_AVX512:
        return NULL;
#endif
    }
    return NULL;
}

/* The largest of the squares of `count` vectors whose components are `step` apart; NaN if one is.
 */
static double largest_square(const double *x, const double *y, const double *z, int64_t count,
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

static nbh_status check_phases(const nbh_lattice *lattice, const double *q, int64_t row_count,
                               int64_t first, int64_t end, nbh_error *error)
{
    const double *n = lattice->n_cells;
    const double edge = sqrt((n[0] * n[0] + n[1] * n[1] + n[2] * n[2]) * lattice->shape_fudge);
    if (!(0.5 * edge < LARGEST_PHASE)) /* only that of a sphere is a phase; no other comes near */
        return nbh_fail(error, NBH_TOO_LARGE, "shape_fudge",
                        "the crystal is too large for these sums");
    const double q_sqr =
        largest_square(q + first, q + row_count + first, q + 2 * row_count + first, end - first, 1);
    for (int i = 0; i < 3; i++) {
        const double *v = lattice->cells_m + 3 * (ptrdiff_t)i;
        const double index =
            sqrt(q_sqr * largest_square(v, v + 1, v + 2, lattice->orientation_count, 9));
        if (!(index < LARGEST_INDEX && index * lattice->n_cells[i] < LARGEST_PHASE))
            return nbh_fail(error, NBH_TOO_LARGE, "q",
                            "an index or its phase is too large for these sums");
    }
    return NBH_OK;
}

/* What the kernel needs, and the kernel; NULL if there is none: the status says why. */
static nbh_status prepare(const nbh_lattice *lattice, const double *q, int64_t row_count,
                          int64_t first, int64_t end, sums_lattice *out, sums_kernel **kernel,
                          nbh_error *error)
{
    memset(out, 0, sizeof *out);
    *kernel = NULL;
    if (lattice->struct_size != sizeof *lattice)
        return nbh_fail(error, NBH_STRUCT_SIZE, "struct_size", "call nbh_lattice_init first");
    sums_kernel *build = NULL;
    if (nbh_kernel_is_available(lattice->kernel))
        build = build_of(instruction_set_of((nbh_kernel)lattice->kernel));
    if (build == NULL)
        return nbh_fail(error, NBH_INVALID, "kernel",
                        "got %d, need a build of the fast kernels that this processor runs",
                        lattice->kernel);
    if (first < 0 || end < first || row_count < end)
        return nbh_fail(error, NBH_INVALID, "rows", "got %lld to %lld of %lld", (long long)first,
                        (long long)end, (long long)row_count);
    nbh_status status = check_sizes(lattice, &lattice->structure_factors, error);
    if (status == NBH_OK)
        status = check_phases(lattice, q, row_count, first, end, error);
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
    *kernel = build;
    return NBH_OK;
}

/* A tile of rows: those from `first` on, the last one repeated where they end. */
typedef struct tile_rows {
    double q[3][SUMS_TILE];
    int64_t count;
} tile_rows;

static void fill_tile(const double *q, int64_t row_count, int64_t first, int64_t end,
                      tile_rows *tile)
{
    tile->count = end - first < SUMS_TILE ? end - first : SUMS_TILE;
    for (int64_t j = 0; j < SUMS_TILE; j++) {
        const int64_t row = first + (j < tile->count ? j : tile->count - 1);
        for (int i = 0; i < 3; i++)
            tile->q[i][j] = q[i * row_count + row];
    }
}

/* The F that the kernel leaves out of its sums. */
static double common_f(const sums_lattice *lattice)
{
    return lattice->table.amplitude == NULL ? lattice->table.default_f : 1.0;
}

nbh_status nbh_lattice_sums(const nbh_lattice *lattice, const double *q, int64_t row_count,
                            int64_t first, int64_t end, double *sums, nbh_error *error)
{
    sums_lattice prepared;
    sums_kernel *kernel;
    const nbh_status status = prepare(lattice, q, row_count, first, end, &prepared, &kernel, error);
    if (kernel == NULL)
        return status;
    const double f = common_f(&prepared);
    for (int64_t row = first; row < end; row += SUMS_TILE) {
        tile_rows tile;
        double sum[SUMS_TILE];
        fill_tile(q, row_count, row, end, &tile);
        const double *const rows[3] = {tile.q[0], tile.q[1], tile.q[2]};
        kernel(&prepared, rows, sum, NULL);
        for (int64_t j = 0; j < tile.count; j++)
            sums[row + j] = f * f * sum[j];
    }
    return NBH_OK;
}

nbh_status nbh_lattice_gradients(const nbh_lattice *lattice, const double *q, const double *weight,
                                 int64_t row_count, int64_t first, int64_t end, double *sums,
                                 nbh_lattice_gradient *gradient, nbh_error *error)
{
    sums_lattice prepared;
    sums_kernel *kernel;
    const nbh_status status = prepare(lattice, q, row_count, first, end, &prepared, &kernel, error);
    if (kernel == NULL)
        return status;
    const int has_table = prepared.table.amplitude != NULL;
    const double f = common_f(&prepared);
    sums_gradient found;
    memset(&found, 0, sizeof found);
    found.cells = gradient->cells_m;
    found.amplitude = gradient->amplitude;
    for (int64_t row = first; row < end; row += SUMS_TILE) {
        tile_rows tile;
        double sum[SUMS_TILE], weights[SUMS_TILE]; /* the kernel gives half of the derivatives */
        fill_tile(q, row_count, row, end, &tile);
        for (int64_t j = 0; j < SUMS_TILE; j++)
            weights[j] = j < tile.count ? 2.0 * f * f * weight[row + j] : 0.0;
        const double *const rows[3] = {tile.q[0], tile.q[1], tile.q[2]};
        const sums_derivatives wanted = {NULL, NULL, weights, &found, NULL};
        kernel(&prepared, rows, sum, &wanted);
        for (int64_t j = 0; j < tile.count; j++) {
            sums[row + j] = f * f * sum[j];
            if (!has_table)
                found.default_f += 2.0 * f * weight[row + j] * sum[j];
            for (int i = 0; i < 3; i++)
                gradient->q[i * row_count + row + j] = found.q[i][j];
        }
    }
    gradient->default_f += found.default_f;
    gradient->shape_fudge += found.fudge;
    for (int i = 0; i < 3; i++) {
        gradient->n_cells[i] += found.n_cells[i];
        for (int x = 0; x < 3; x++)
            gradient->star_per_angstrom[3 * i + x] += found.star[i][x];
    }
    return NBH_OK;
}

nbh_status nbh_lattice_tangents(const nbh_lattice *lattice, const double *q,
                                const nbh_lattice_tangent *along, int64_t row_count, int64_t first,
                                int64_t end, double *sums, double *tangents, nbh_error *error)
{
    sums_lattice prepared;
    sums_kernel *kernel;
    const nbh_status status = prepare(lattice, q, row_count, first, end, &prepared, &kernel, error);
    if (kernel == NULL)
        return status;
    const int has_table = prepared.table.amplitude != NULL;
    const double f = common_f(&prepared), by_f = has_table ? 0.0 : 2.0 * f * along->default_f;
    sums_tangent direction;
    memset(&direction, 0, sizeof direction);
    direction.cells = along->cells_m;
    direction.amplitude = along->amplitude;
    direction.default_f = along->default_f;
    direction.fudge = along->shape_fudge;
    memcpy(direction.n_cells, along->n_cells, sizeof direction.n_cells);
    memcpy(direction.star, along->star_per_angstrom, sizeof direction.star);
    for (int64_t row = first; row < end; row += SUMS_TILE) {
        tile_rows tile, change;
        double sum[SUMS_TILE], tangent[SUMS_TILE];
        fill_tile(q, row_count, row, end, &tile);
        fill_tile(along->q, row_count, row, end, &change);
        const double *const rows[3] = {tile.q[0], tile.q[1], tile.q[2]};
        for (int i = 0; i < 3; i++)
            direction.q[i] = change.q[i];
        const sums_derivatives wanted = {&direction, tangent, NULL, NULL, NULL};
        kernel(&prepared, rows, sum, &wanted);
        for (int64_t j = 0; j < tile.count; j++) {
            sums[row + j] = f * f * sum[j];
            tangents[row + j] = f * f * tangent[j] + by_f * sum[j];
        }
    }
    return NBH_OK;
}
