/* sums_avx2.c - sums.h and scene.h with the flags of cmake/NbhKernels.cmake for AVX2 and fused
 * multiply-add. */
#include "fast/sums_avx2.h"

#include "fast/scene.h"
#include "fast/sums.h"

void fast_sums_avx2(const sums_lattice *lattice, const double *const q[3], double *sum,
                    const sums_derivatives *wanted)
{
    sum_tile(lattice, q, sum, wanted);
}

void fast_scene_avx2(const prepared_scene *scene, const scene_tile *tile, const scene_work *work)
{
    scene_tile_of(scene, tile, work);
}
