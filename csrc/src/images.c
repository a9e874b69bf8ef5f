/* images.c - the integer and the PGM image (model 8). */
#include "nbh/nbh.h"

#include "image_rules.h"

/* Pixels first to last of one row.  The comparisons make NaN 0; below 65536 the float's floor is
 * its integer part.  Nothing branches, so that compilers vectorise the loop. */
static void integer_pixels(const float *restrict row, int32_t first, int32_t last, double scale,
                           double adc_offset, uint16_t *restrict out)
{
    for (int32_t fast = first; fast <= last; fast++) {
        double x = row[fast] * scale + adc_offset;
        x = x > 65535.0 ? 65535.0 : x;
        x = x > 0.0 ? x : 0.0;
        out[fast] = (uint16_t)(int32_t)(float)(x + 0.5);
    }
}

/* `pixels` of them.  Negative ones keep the low bits of their integer part; NaN and what no int
 * holds become INT32_MIN, whose low bits are 0 (see image_truncate). */
static void pgm_pixels(const float *restrict image, size_t pixels, double scale,
                       uint8_t *restrict out)
{
    for (size_t i = 0; i < pixels; i++) {
        double x = image[i] * scale;
        x = x > 255.0 ? 255.0 : x;
        x = x > -2147483648.0 ? x : -2147483648.0;
        out[i] = (uint8_t)(int32_t)x;
    }
}

nbh_status nbh_integer_image(const float *image, int32_t n_fast, int32_t n_slow, const nbh_roi *roi,
                             double scale, double max, double adc_offset, uint16_t *out,
                             double *scale_used, nbh_error *error)
{
    nbh_status status = image_check(image, n_fast, n_slow, out, error);
    if (status == NBH_OK)
        status = image_check_roi(roi, n_fast, n_slow, error);
    if (status == NBH_OK)
        status = image_check_finite("scale", scale, error);
    if (status == NBH_OK)
        status = image_check_finite("adc_offset", adc_offset, error);
    if (status != NBH_OK)
        return status;

    if (scale <= 0.0)
        scale = max > 0.0 ? 55000.0 / max : 1.0;
    if (scale_used != NULL)
        *scale_used = scale;
    image_clear(out, n_fast, n_slow, roi);
    if (image_roi_is_empty(roi))
        return NBH_OK; /* its bounds are no places of the image */
    for (int32_t slow = roi->slow_min; slow <= roi->slow_max; slow++) {
        const size_t row = (size_t)slow * (size_t)n_fast;
        integer_pixels(image + row, roi->fast_min, roi->fast_max, scale, adc_offset, out + row);
    }
    return NBH_OK;
}

nbh_status nbh_pgm_image(const float *image, int32_t n_fast, int32_t n_slow, double scale,
                         double rmsd, double integer_scale, uint8_t *out, double *scale_used,
                         nbh_error *error)
{
    nbh_status status = image_check(image, n_fast, n_slow, out, error);
    if (status == NBH_OK)
        status = image_check_finite("scale", scale, error);
    if (status != NBH_OK)
        return status;

    if (scale <= 0.0)
        scale = rmsd > 0.0 ? 250.0 / (5.0 * rmsd) : integer_scale;
    if (scale_used != NULL)
        *scale_used = scale;
    pgm_pixels(image, (size_t)n_fast * (size_t)n_slow, scale, out);
    return NBH_OK;
}
