#include "image_rules.h"

#include <math.h>
#include <string.h>

#include "error.h"

nbh_status image_check(const float *image, int32_t n_fast, int32_t n_slow, const void *out,
                       nbh_error *error)
{
    if (image == NULL)
        return nbh_fail(error, NBH_INVALID, "image", "got NULL, need an image");
    if (n_fast < 1)
        return nbh_fail(error, NBH_INVALID, "n_fast", "got %d, need at least 1", (int)n_fast);
    if (n_slow < 1)
        return nbh_fail(error, NBH_INVALID, "n_slow", "got %d, need at least 1", (int)n_slow);
    if (out == NULL)
        return nbh_fail(error, NBH_INVALID, "out", "got NULL, need room for the image");
    return NBH_OK;
}

nbh_status image_check_roi(const nbh_roi *roi, int32_t n_fast, int32_t n_slow, nbh_error *error)
{
    if (roi == NULL)
        return nbh_fail(error, NBH_INVALID, "roi", "got NULL, need a region");
    if (image_roi_is_empty(roi))
        return NBH_OK;
    if (roi->fast_min < 0 || roi->fast_max >= n_fast)
        return nbh_fail(error, NBH_INVALID, "roi.fast_max", "got %d to %d, need 0 to %d",
                        (int)roi->fast_min, (int)roi->fast_max, (int)n_fast - 1);
    if (roi->slow_min < 0 || roi->slow_max >= n_slow)
        return nbh_fail(error, NBH_INVALID, "roi.slow_max", "got %d to %d, need 0 to %d",
                        (int)roi->slow_min, (int)roi->slow_max, (int)n_slow - 1);
    return NBH_OK;
}

nbh_status image_check_finite(const char *field, double value, nbh_error *error)
{
    if (!isfinite(value))
        return nbh_fail(error, NBH_INVALID, field, "got %g, need a finite value", value);
    return NBH_OK;
}

void image_clear(uint16_t *out, int32_t n_fast, int32_t n_slow, const nbh_roi *roi)
{
    if (image_roi_is_empty(roi) || roi->fast_min > 0 || roi->fast_max < n_fast - 1 ||
        roi->slow_min > 0 || roi->slow_max < n_slow - 1)
        memset(out, 0, (size_t)n_fast * (size_t)n_slow * sizeof *out);
}
