/* detector.h - detector geometry (model 2 sizes, model 3). */
#ifndef NBH_DETECTOR_H
#define NBH_DETECTOR_H

#include "nbh/nbh.h"

/* Fills the detector part of *info: sizes, vectors, origin, distances, beam centre, ROI. */
nbh_status detector_resolve(const nbh_experiment *experiment, nbh_plan_info *info,
                            nbh_error *error);

#endif
