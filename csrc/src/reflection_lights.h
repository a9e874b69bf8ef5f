/* reflection_lights.h - collects a pixel's light by the reflection that it is of. */
#ifndef NBH_REFLECTION_LIGHTS_H
#define NBH_REFLECTION_LIGHTS_H

#include "nbh/nbh.h"
#include "shapes.h"

typedef struct reflection_lights {
    nbh_reflection_light *lights;
    int64_t capacity, count;
    int64_t latest; /* the one that was added to last */
    int is_full;    /* 1: there was no room for another one */
} reflection_lights;

/* Is the square of a Gaussian lattice factor below 1e-20 of its peak?  No for all other profiles.
 */
static inline int reflection_is_far(const crystal_shape *s, const double hkl[3],
                                    const double hkl0[3])
{
    const double ln_sqr_root = 23.1; /* > ln(1e20) / 2 */
    return s->profile == PROFILE_GAUSSIAN &&
           shape_distance_sqr(s, hkl, hkl0) / 0.63 * s->fudge > ln_sqr_root;
}

static inline int light_is_of(const nbh_reflection_light *light, const double hkl0[3])
{
    return light->h == hkl0[0] && light->k == hkl0[1] && light->l == hkl0[2];
}

/* hkl0: whole numbers.  Indices beyond 32 bits, and NaN, are no reflection's. */
static inline void reflection_lights_add(reflection_lights *to, const double hkl0[3], double term,
                                         double phi_rad)
{
    const double largest = 2147483647.0;
    if (term == 0.0 ||
        !(fabs(hkl0[0]) <= largest && fabs(hkl0[1]) <= largest && fabs(hkl0[2]) <= largest))
        return;
    int64_t at = to->latest;
    if (at >= to->count || !light_is_of(&to->lights[at], hkl0)) {
        at = 0;
        while (at < to->count && !light_is_of(&to->lights[at], hkl0))
            at++;
        if (at == to->capacity) {
            to->is_full = 1;
            return;
        }
        if (at == to->count) {
            const nbh_reflection_light none = {
                .h = (int32_t)hkl0[0], .k = (int32_t)hkl0[1], .l = (int32_t)hkl0[2]};
            to->lights[to->count++] = none;
        }
        to->latest = at;
    }
    to->lights[at].photons += term;
    to->lights[at].photons_phi_rad += term * phi_rad;
}

#endif
