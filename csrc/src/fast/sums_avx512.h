/* sums_avx512.h - the build of the lattice sums for AVX-512. */
#ifndef NBH_FAST_SUMS_AVX512_H
#define NBH_FAST_SUMS_AVX512_H

#include "fast/scene_tile.h"
#include "fast/sums_tile.h"

void fast_sums_avx512(const sums_lattice *lattice, const double *const q[3], double *sum,
                      const sums_derivatives *wanted);
void fast_scene_avx512(const prepared_scene *scene, const scene_tile *tile, const scene_work *work);

#endif
