/* given.h - which optional fields of an experiment were given. */
#ifndef NBH_GIVEN_H
#define NBH_GIVEN_H

#include "nbh/nbh.h"

static inline int is_given(double value)
{
    return value != NBH_UNSET;
}

static inline int is_given_int(int32_t value)
{
    return value != NBH_UNSET_INT;
}

/* A value where given, else the default. */
static inline double given_or(double value, double otherwise)
{
    return is_given(value) ? value : otherwise;
}

/* The distance of an experiment that gives none. */
#define DEFAULT_DISTANCE_M 0.1

static inline int has_quirk(const nbh_experiment *experiment, nbh_quirks quirk)
{
    return (experiment->quirks & quirk) != 0;
}

#endif
