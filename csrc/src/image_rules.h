/* image_rules.h - what the integer, PGM and noise image have in common (model 8). */
#ifndef NBH_IMAGE_RULES_H
#define NBH_IMAGE_RULES_H

#include "nbh/nbh.h"

/* NULL pointers and sizes below 1 are NBH_INVALID. */
nbh_status image_check(const float *image, int32_t n_fast, int32_t n_slow, const void *out,
                       nbh_error *error);

/* Does the region have no pixel?  Then its bounds may be anything. */
static inline int image_roi_is_empty(const nbh_roi *roi)
{
    return roi->fast_min > roi->fast_max || roi->slow_min > roi->slow_max;
}

/* A region that is not empty must lie inside the image. */
nbh_status image_check_roi(const nbh_roi *roi, int32_t n_fast, int32_t n_slow, nbh_error *error);

nbh_status image_check_finite(const char *field, double value, nbh_error *error);

/* Sets every pixel to 0, unless the region covers them all. */
void image_clear(uint16_t *out, int32_t n_fast, int32_t n_slow, const nbh_roi *roi);

/* A pixel as a C program on x86-64 makes it an int: towards zero; NaN and what does not fit become
 * INT32_MIN, whose low 8 and 16 bits are 0. */
static inline int32_t image_truncate(double value)
{
    if (value > -2147483649.0 && value < 2147483648.0)
        return (int32_t)value;
    return INT32_MIN;
}

#endif
