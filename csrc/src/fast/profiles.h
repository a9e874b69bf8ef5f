/* profiles.h - what the fast kernel's lattice factors say of themselves, by the shape's profile. */
#ifndef NBH_FAST_PROFILES_H
#define NBH_FAST_PROFILES_H

#include "fast/lanes.h"
#include "shapes.h"

/* Is nothing approximated: are the bits the exact kernel's? */
SPECIALISED int profile_is_exact(const shape_profile profile)
{
    switch (profile) {
    case PROFILE_INTERFERENCE:
    case PROFILE_SPHERE:
    case PROFILE_GAUSSIAN:
        return 0;
    case PROFILE_TOP_HAT:
        return 1;
    }
    return 0;
}

/* Does its function say where the exact kernel's factor is exactly 0? */
SPECIALISED int profile_tells_zeros(const shape_profile profile)
{
    switch (profile) {
    case PROFILE_INTERFERENCE:
        return 0;
    case PROFILE_SPHERE:
    case PROFILE_GAUSSIAN:
    case PROFILE_TOP_HAT:
        return 1;
    }
    return 0;
}

/* Has it an absolute error besides the relative one? */
SPECIALISED int profile_has_error(const shape_profile profile)
{
    switch (profile) {
    case PROFILE_SPHERE:
        return 1;
    case PROFILE_INTERFERENCE:
    case PROFILE_GAUSSIAN:
    case PROFILE_TOP_HAT:
        return 0;
    }
    return 1;
}

#endif
