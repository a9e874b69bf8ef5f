/* sources.h - the list of X-ray sources (model 5.2). */
#ifndef NBH_SOURCES_H
#define NBH_SOURCES_H

#include "allocate.h"
#include "nbh/nbh.h"

/* A source as the kernel wants it. */
typedef struct plan_source {
    double incident[3];      /* minus the unit vector to the source */
    double incident_unit[3]; /* its unit vector, as the polarization uses it */
    double wavelength_m;
    double weight;
    double relative_weight; /* over the mean of all */
    /* Of the polarization, for the fast kernel: the electric field's plane is spanned by b and e.
     * frame_is_good: b, e and incident_unit are orthonormal up to rounding. */
    double b[3], e[3];
    int32_t frame_is_good;
} plan_source;

/* Number of candidates: file sources, or grid points before the round beam drops any, each with all
 * wavelengths. */
int64_t sources_count_candidates(const nbh_experiment *experiment, const nbh_plan_info *info);

/* Do weights count: with a spectrum, or where a list's do (C-PARITY-009 off)? */
int sources_have_weights(const nbh_experiment *experiment);

/* Makes the list (free it with free), of the memory that is left, and sets info->source_count. */
nbh_status sources_make(const nbh_experiment *experiment, nbh_plan_info *info,
                        plan_source **sources, memory_budget *memory, nbh_error *error);

#endif
