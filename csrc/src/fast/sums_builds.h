/* sums_builds.h - lattice sums and pixels with derivatives, for the instruction set that runs. */
#ifndef NBH_FAST_SUMS_BUILDS_H
#define NBH_FAST_SUMS_BUILDS_H

#include "fast/scene_tile.h"
#include "nbh/nbh.h"

typedef struct sums_builds {
    sums_kernel *sums;
    scene_kernel *scene;
} sums_builds;

/* Those of an nbh_kernel; NULL if it is none, or none that this processor runs. */
const sums_builds *sums_builds_of(int32_t kernel);
/* The error for that. */
nbh_status sums_builds_fail(int32_t kernel, nbh_error *error);

#endif
