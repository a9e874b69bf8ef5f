/* sums_baseline.h - the build of the lattice sums for any processor. */
#ifndef NBH_FAST_SUMS_BASELINE_H
#define NBH_FAST_SUMS_BASELINE_H

#include "fast/scene_tile.h"
#include "fast/sums_tile.h"

void fast_sums_baseline(const sums_lattice *lattice, const double *const q[3], double *sum,
                        const sums_derivatives *wanted);
void fast_scene_baseline(const prepared_scene *scene, const scene_tile *tile,
                         const scene_work *work);

#endif
