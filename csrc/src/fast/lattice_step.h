/* lattice_step.h - one orientation's part of the lattice sums of several rows. */
#ifndef NBH_FAST_LATTICE_STEP_H
#define NBH_FAST_LATTICE_STEP_H

#include "fast/lanes.h"

/* A step of every lane: the squared lattice factor and half of its derivatives. */
typedef struct lattice_step {
    lanes square;
    lanes by_index[3];
    lanes by_n[3];
    lanes by_fudge;
    lanes by_star[3][3];
    lanes by_f;
} lattice_step;

/* The indices of a step, and the whole numbers nearest to them. */
typedef struct step_indices {
    lanes hkl[3];
    lanes whole[3];
} step_indices;

#endif
