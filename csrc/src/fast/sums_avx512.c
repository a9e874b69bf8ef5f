/* sums_avx512.c - sums.h and scene.h with the flags of cmake/NbhKernels.cmake for AVX-512. */
#include "fast/sums_avx512.h"

#include "fast/scene.h"
#include "fast/sums.h"

void fast_sums_avx512(const sums_lattice *lattice, const double *const q[3], double *sum,
                      const sums_derivatives *wanted)
{
    sum_tile(lattice, q, sum, wanted);
}

void fast_scene_avx512(const prepared_scene *scene, const scene_tile *tile, const scene_work *work)
{
    scene_tile_of(scene, tile, work);
}
