/* crystal.h - unit cell, orientation and size (model 4). */
#ifndef NBH_CRYSTAL_H
#define NBH_CRYSTAL_H

#include "nbh/nbh.h"

/* Fills the crystal part of *info; needs its distance, pixel and wavelength.  Draws the random
 * missetting, if asked for, from *random (model 7.4: before the mosaic domains). */
nbh_status crystal_resolve(const nbh_experiment *experiment, nbh_random *random,
                           nbh_plan_info *info, nbh_error *error);

#endif
