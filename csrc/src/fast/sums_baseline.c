/* sums_baseline.c - sums.h and scene.h without flags for an instruction set. */
#include "fast/sums_baseline.h"

#include "fast/scene.h"
#include "fast/sums.h"

void fast_sums_baseline(const sums_lattice *lattice, const double *const q[3], double *sum,
                        const sums_derivatives *wanted)
{
    sum_tile(lattice, q, sum, wanted);
}

void fast_scene_baseline(const prepared_scene *scene, const scene_tile *tile,
                         const scene_work *work)
{
    scene_tile_of(scene, tile, work);
}
