/* lattice_from_bytes.h - any nbh_lattice out of a fuzzer's bytes. */
#ifndef NBH_FUZZ_LATTICE_FROM_BYTES_H
#define NBH_FUZZ_LATTICE_FROM_BYTES_H

#include "bytes.h"

#define MOST_ORIENTATIONS 4
#define TABLE 7 /* reflections along each axis */
/* Numbers far below it have fewer digits. */
#define SMALLEST_SUM 1e-290

typedef struct lattice_numbers {
    double cells[9 * MOST_ORIENTATIONS], amplitude[TABLE * TABLE * TABLE];
} lattice_numbers;

/* Borrows the numbers; the caller fills the amplitudes. */
static inline void take_lattice(bytes *b, nbh_lattice *lattice, lattice_numbers *n)
{
    nbh_lattice_init(lattice);
    lattice->shape = take_below(b, 6);
    lattice->interpolate = take_below(b, 2);
    lattice->single_precision = take_below(b, 2);
    for (int i = 0; i < 3; i++)
        lattice->n_cells[i] = take_number(b, 5.0, 1.0, 1000.0);
    lattice->shape_fudge = take_number(b, 1.0, 0.0, 3.0);
    for (int i = 0; i < 9; i++)
        lattice->star_per_angstrom[i] = take_number(b, i % 4 == 0 ? 0.02 : 0.0, -0.1, 0.1);
    lattice->orientation_count = take_below(b, MOST_ORIENTATIONS + 1);
    for (int i = 0; i < 9 * MOST_ORIENTATIONS; i++)
        n->cells[i] = take_number(b, i % 4 == 0 ? 5e-9 : 0.0, -1e-8, 1e-8);
    lattice->cells_m = n->cells;
    lattice->structure_factors.default_f = take_number(b, 10.0, 0.0, 1e3);
    if (take_below(b, 2)) {
        lattice->structure_factors.amplitude = n->amplitude;
        lattice->structure_factors.h_min = -9 + take_below(b, 19);
        lattice->structure_factors.k_min = -9 + take_below(b, 19);
        lattice->structure_factors.l_min = -9 + take_below(b, 19);
        lattice->structure_factors.h_max =
            (int32_t)((int64_t)lattice->structure_factors.h_min + TABLE - 1);
        lattice->structure_factors.k_max =
            (int32_t)((int64_t)lattice->structure_factors.k_min + TABLE - 1);
        lattice->structure_factors.l_max =
            (int32_t)((int64_t)lattice->structure_factors.l_min + TABLE - 1);
    }
}

#endif
