/* sums_avx2.h - the build of the lattice sums for AVX2. */
#ifndef NBH_FAST_SUMS_AVX2_H
#define NBH_FAST_SUMS_AVX2_H

#include "fast/scene_tile.h"
#include "fast/sums_tile.h"

void fast_sums_avx2(const sums_lattice *lattice, const double *const q[3], double *sum,
                    const sums_derivatives *wanted);
void fast_scene_avx2(const prepared_scene *scene, const scene_tile *tile, const scene_work *work);

#endif
