/* lattice_sums.c - sums over orientations for scattering vectors that the caller gives. */
#include <string.h>

#include "error.h"
#include "fast/sums_builds.h"
#include "lattice_setup.h"
#include "nbh/nbh.h"

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

/* What the kernel needs, and the kernel; NULL if there is none: the status says why. */
static nbh_status prepare(const nbh_lattice *lattice, const double *q, int64_t row_count,
                          int64_t first, int64_t end, sums_lattice *out, sums_kernel **kernel,
                          nbh_error *error)
{
    *kernel = NULL;
    if (lattice->struct_size != sizeof *lattice)
        return nbh_fail(error, NBH_STRUCT_SIZE, "struct_size", "call nbh_lattice_init first");
    const sums_builds *builds = sums_builds_of(lattice->kernel);
    if (builds == NULL)
        return sums_builds_fail(lattice->kernel, error);
    if (first < 0 || end < first || row_count < end)
        return nbh_fail(error, NBH_INVALID, "rows", "got %lld to %lld of %lld", (long long)first,
                        (long long)end, (long long)row_count);
    const double q_sqr = lattice_largest_square(q + first, q + row_count + first,
                                                q + 2 * row_count + first, end - first, 1);
    const nbh_status status = lattice_setup(lattice, q_sqr, out, error);
    if (status == NBH_OK)
        *kernel = builds->sums;
    return status;
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

nbh_status nbh_lattice_sums(const nbh_lattice *lattice, const double *q, int64_t row_count,
                            int64_t first, int64_t end, double *sums, nbh_error *error)
{
    sums_lattice prepared;
    sums_kernel *kernel;
    const nbh_status status = prepare(lattice, q, row_count, first, end, &prepared, &kernel, error);
    if (kernel == NULL)
        return status;
    const double f = lattice_common_f(&prepared);
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
    const double f = lattice_common_f(&prepared);
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
    const double f = lattice_common_f(&prepared),
                 by_f = has_table ? 0.0 : 2.0 * f * along->default_f;
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
