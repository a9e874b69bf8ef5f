/* odd_pixels.c - one look at a finished image: is every pixel a number of photons? */
#include "nbh/nbh.h"

#include <math.h>
#include <string.h>

#include "error.h"
#include "image_rules.h"

/* What a row has, without saying which pixel. */
typedef struct row_glance {
    int is_odd; /* perhaps: -0 counts here */
    int64_t lit;
    int64_t pixels;
} row_glance;

/* All but the rarest rows need no more than this loop, which has no branch so that compilers
 * vectorise it.  Bits from 0x7f800000 up are infinity, NaN and everything with a sign. */
static row_glance glance_at(const float *row, const uint8_t *mask, int32_t count)
{
    uint32_t largest = 0, lit = 0, pixels = 0; /* a row has less than 2^31 pixels */
    if (mask == NULL) {
        for (int32_t i = 0; i < count; i++) {
            uint32_t bits;
            memcpy(&bits, &row[i], sizeof bits);
            largest = bits > largest ? bits : largest;
            lit += (bits << 1) != 0;
        }
        pixels = (uint32_t)count;
    } else {
        for (int32_t i = 0; i < count; i++) {
            uint32_t bits;
            memcpy(&bits, &row[i], sizeof bits);
            bits &= 0U - (uint32_t)(mask[i] != 0);
            largest = bits > largest ? bits : largest;
            lit += (bits << 1) != 0;
            pixels += mask[i] != 0;
        }
    }
    const row_glance glance = {largest >= 0x7f800000U, lit, pixels};
    return glance;
}

static void count_one(int64_t *count, int32_t *first_fast, int32_t *first_slow, int32_t fast,
                      int32_t slow)
{
    if ((*count)++ == 0) {
        *first_fast = fast;
        *first_slow = slow;
    }
}

nbh_status nbh_image_odd_pixels(const float *image, int32_t n_fast, int32_t n_slow,
                                const nbh_roi *roi, const uint8_t *mask, nbh_odd_pixels *odd,
                                nbh_error *error)
{
    nbh_status status = image_check(image, n_fast, n_slow, odd, error);
    if (status == NBH_OK)
        status = image_check_roi(roi, n_fast, n_slow, error);
    if (status != NBH_OK)
        return status;
    memset(odd, 0, sizeof *odd);
    odd->nan_fast = odd->nan_slow = -1;
    odd->infinite_fast = odd->infinite_slow = -1;
    odd->negative_fast = odd->negative_slow = -1;
    if (image_roi_is_empty(roi))
        return NBH_OK;
    for (int32_t slow = roi->slow_min; slow <= roi->slow_max; slow++) {
        const size_t at = (size_t)slow * (size_t)n_fast;
        const float *row = image + at;
        const uint8_t *skips = mask != NULL ? mask + at : NULL;
        const row_glance glance =
            glance_at(row + roi->fast_min, skips != NULL ? skips + roi->fast_min : NULL,
                      roi->fast_max - roi->fast_min + 1);
        odd->pixels += glance.pixels;
        odd->lit += glance.lit;
        if (!glance.is_odd)
            continue;
        for (int32_t fast = roi->fast_min; fast <= roi->fast_max; fast++) {
            if (skips != NULL && skips[fast] == 0)
                continue;
            if (isnan(row[fast]))
                count_one(&odd->nan, &odd->nan_fast, &odd->nan_slow, fast, slow);
            else if (isinf(row[fast]))
                count_one(&odd->infinite, &odd->infinite_fast, &odd->infinite_slow, fast, slow);
            else if (row[fast] < 0.0F)
                count_one(&odd->negative, &odd->negative_fast, &odd->negative_slow, fast, slow);
        }
    }
    return NBH_OK;
}
