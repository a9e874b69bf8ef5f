/* noise.c - photon-counting noise (model 7.5 and 8).
 *
 * The order of roundings is the contract: a float variable rounds what is stored in it, while the
 * C library's functions and constants work in double. */
#include "nbh/nbh.h"

#include <math.h>

#include "constants.h"
#include "error.h"
#include "image_rules.h"

float nbh_log_gamma(float x)
{
    static const double coefficients[6] = {76.18009172947146,     -86.50532032941677,
                                           24.01409824083091,     -1.231739572450155,
                                           0.1208650973866179e-2, -0.5395239384953e-5};
    double x0 = x;
    double y = x0;
    double tmp = x0 + 5.5;
    tmp -= (x0 + 0.5) * log(tmp);
    double series = 1.000000000190015;
    for (int i = 0; i < 6; i++) {
        y += 1.0;
        series += coefficients[i] / y;
    }
    return (float)(-tmp + log(2.5066282746310005 * series / x0));
}

float nbh_gauss_deviate(nbh_random *state, int32_t *seed)
{
    if (state->has_spare) {
        state->has_spare = 0;
        return state->spare;
    }
    float v1, v2, rsq;
    do {
        v1 = (float)(2.0 * nbh_uniform_deviate(state, seed) - 1.0);
        v2 = (float)(2.0 * nbh_uniform_deviate(state, seed) - 1.0);
        rsq = v1 * v1 + v2 * v2;
    } while (!(rsq < 1.0F && rsq != 0.0F));
    float factor = (float)sqrt(-2.0 * log((double)rsq) / (double)rsq);
    state->spare = v1 * factor;
    state->has_spare = 1;
    return v2 * factor;
}

/* mean < 12: the number of uniform deviates whose product stays above exp(-mean). */
static float poisson_by_product(nbh_random *state, int32_t *seed, float mean)
{
    float limit = (float)exp((double)-mean);
    float count = -1.0F;
    float product = 1.0F;
    do {
        count += 1.0F;
        product *= nbh_uniform_deviate(state, seed);
    } while (product > limit);
    return count;
}

/* Rejection from a Lorentzian envelope.  A NaN mean leaves both loops at once. */
static float poisson_by_rejection(nbh_random *state, int32_t *seed, float mean)
{
    float width = (float)sqrt(2.0 * (double)mean);
    float log_mean = (float)log((double)mean);
    float g = mean * log_mean - nbh_log_gamma((float)((double)mean + 1.0));
    float count, t;
    do {
        float y;
        do {
            y = (float)tan(PI * nbh_uniform_deviate(state, seed));
            count = width * y + mean;
        } while (count < 0.0F);
        count = floorf(count);
        float exponent = count * log_mean - nbh_log_gamma((float)((double)count + 1.0)) - g;
        t = (float)(0.9 * (1.0 + (double)(y * y)) * exp((double)exponent));
    } while (nbh_uniform_deviate(state, seed) > t);
    return count;
}

float nbh_poisson_deviate(nbh_random *state, int32_t *seed, float mean)
{
    if (mean > 1.0e6F)
        return (float)((double)mean + sqrt((double)mean) * nbh_gauss_deviate(state, seed));
    if (mean < 12.0F)
        return poisson_by_product(state, seed, mean);
    return poisson_by_rejection(state, seed, mean);
}

nbh_status nbh_noise_image(const float *image, int32_t n_fast, int32_t n_slow, const nbh_roi *roi,
                           double adc_offset, nbh_random *random, int32_t *seed, uint16_t *out,
                           double *photons, int64_t *overloads, nbh_error *error)
{
    nbh_status status = image_check(image, n_fast, n_slow, out, error);
    if (status == NBH_OK)
        status = image_check_roi(roi, n_fast, n_slow, error);
    if (status == NBH_OK)
        status = image_check_finite("adc_offset", adc_offset, error);
    if (status != NBH_OK)
        return status;
    if (random == NULL)
        return nbh_fail(error, NBH_INVALID, "random", "got NULL, need a generator state");
    if (seed == NULL)
        return nbh_fail(error, NBH_INVALID, "seed", "got NULL, need a seed");

    double sum = 0.0;
    int64_t clipped = 0;
    image_clear(out, n_fast, n_slow);
    for (int32_t slow = roi->slow_min; slow <= roi->slow_max; slow++) {
        for (int32_t fast = roi->fast_min; fast <= roi->fast_max; fast++) {
            size_t i = (size_t)slow * (size_t)n_fast + (size_t)fast;
            double count = (double)nbh_poisson_deviate(random, seed, image[i]);
            sum += count;
            double value = count + adc_offset;
            if (value > 65535.0) {
                clipped++;
                value = 65535.0;
            }
            out[i] = (uint16_t)image_truncate(value);
        }
    }
    if (photons != NULL)
        *photons = sum;
    if (overloads != NULL)
        *overloads = clipped;
    return NBH_OK;
}
