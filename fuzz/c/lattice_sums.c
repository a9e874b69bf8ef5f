/* Sums over orientations of any lattice: every build that runs here agrees, and derivatives to rows
 * and to what they share are each other's transpose. */
#include "lattice_from_bytes.h"

#define MOST_ROWS 300

typedef struct numbers {
    double q[3 * MOST_ROWS];
    lattice_numbers lattice;
} numbers;

static double largest(const double *x, int64_t count)
{
    double found = 0.0;
    for (int64_t i = 0; i < count; i++)
        found = fabs(x[i]) > found ? fabs(x[i]) : found;
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes b = {data, data + size};
    static numbers n, along, by;
    static double sums[MOST_ROWS], others[MOST_ROWS], weight[MOST_ROWS], tangents[MOST_ROWS];
    nbh_lattice lattice;
    take_lattice(&b, &lattice, &n.lattice);
    const int64_t rows = take_below(&b, 2) ? MOST_ROWS : take_below(&b, 40);
    for (int i = 0; i < 3 * MOST_ROWS; i++) {
        n.q[i] = take_number(&b, (i % 17 - 8) * 1e8, -3e9, 3e9);
        along.q[i] = i % 5 * 1e6;
    }
    for (int i = 0; i < TABLE * TABLE * TABLE; i++)
        n.lattice.amplitude[i] = i % 11, along.lattice.amplitude[i] = i % 3;
    for (int i = 0; i < 9 * MOST_ORIENTATIONS; i++)
        along.lattice.cells[i] = (i % 7 - 3) * 1e-12;
    for (int i = 0; i < MOST_ROWS; i++)
        weight[i] = 0.5 + i % 3;
    lattice.kernel = NBH_KERNEL_BASELINE;
    if (nbh_lattice_sums(&lattice, n.q, rows, 0, rows, sums, NULL) != NBH_OK)
        return 0;
    for (int32_t kernel = NBH_KERNEL_AVX2; kernel <= NBH_KERNEL_AVX512; kernel++) {
        lattice.kernel = kernel;
        if (nbh_lattice_sums(&lattice, n.q, rows, 0, rows, others, NULL) != NBH_OK)
            continue;
        const double scale = largest(sums, rows);
        const double tolerance = lattice.single_precision ? 1e-5 : 1e-6;
        for (int64_t i = 0; i < rows; i++)
            if (isfinite(sums[i]) && isfinite(scale) &&
                !(fabs(sums[i] - others[i]) <= tolerance * scale))
                FINDING("row %d: %.17g and %.17g", (int)i, sums[i], others[i]);
    }
    memset(&by, 0, sizeof by);
    lattice.kernel = NBH_KERNEL_AUTO;
    nbh_lattice_gradient gradient = {
        .q = by.q, .cells_m = by.lattice.cells, .amplitude = by.lattice.amplitude};
    nbh_lattice_tangent direction = {.q = along.q,
                                     .cells_m = along.lattice.cells,
                                     .amplitude = along.lattice.amplitude,
                                     .default_f = 1.0,
                                     .n_cells = {1e-3, 2e-3, 3e-3},
                                     .shape_fudge = 1e-3};
    if (nbh_lattice_gradients(&lattice, n.q, weight, rows, 0, rows, others, &gradient, NULL) ||
        nbh_lattice_tangents(&lattice, n.q, &direction, rows, 0, rows, others, tangents, NULL))
        FINDING("derivatives are refused where sums are not");
    double left = 0.0, right = gradient.default_f + 1e-3 * gradient.shape_fudge,
           scale = fabs(right);
    for (int i = 0; i < 3; i++)
        right += (i + 1) * 1e-3 * gradient.n_cells[i],
            scale += fabs((i + 1) * 1e-3 * gradient.n_cells[i]);
    for (int64_t i = 0; i < rows; i++)
        left += weight[i] * tangents[i], scale += fabs(weight[i] * tangents[i]);
    for (int64_t i = 0; i < 3 * rows; i++)
        right += by.q[i] * along.q[i], scale += fabs(by.q[i] * along.q[i]);
    for (int64_t i = 0; i < 9 * lattice.orientation_count; i++)
        right += by.lattice.cells[i] * along.lattice.cells[i],
            scale += fabs(by.lattice.cells[i] * along.lattice.cells[i]);
    if (lattice.structure_factors.amplitude != NULL)
        for (int i = 0; i < TABLE * TABLE * TABLE; i++)
            right += by.lattice.amplitude[i] * along.lattice.amplitude[i],
                scale += fabs(by.lattice.amplitude[i] * along.lattice.amplitude[i]);
    if (isfinite(scale) && !(fabs(left - right) <= 1e-9 * scale + SMALLEST_SUM))
        FINDING("the transpose of a tangent: %.17g and %.17g, of %.3g", left, right, scale);
    return 0;
}
