/* noise.c - photon-counting noise (model 7.5 and 8).
 *
 * The order of roundings is the contract: a float variable rounds what is stored in it, while the
 * C library's functions and constants work in double. */
#include "nbh/nbh.h"

#include <math.h>

#include "constants.h"
#include "error.h"
#include "image_rules.h"
#include "random.h"

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

static float gauss(nbh_random *state, int32_t *seed)
{
    if (state->has_spare) {
        state->has_spare = 0;
        return state->spare;
    }
    float v1, v2, rsq;
    do {
        v1 = (float)(2.0 * random_uniform(state, seed) - 1.0);
        v2 = (float)(2.0 * random_uniform(state, seed) - 1.0);
        rsq = v1 * v1 + v2 * v2;
    } while (!(rsq < 1.0F && rsq != 0.0F));
    float factor = (float)sqrt(-2.0 * log((double)rsq) / (double)rsq);
    state->spare = v1 * factor;
    state->has_spare = 1;
    return v2 * factor;
}

float nbh_gauss_deviate(nbh_random *state, int32_t *seed)
{
    return gauss(state, seed);
}

/* What a Poisson deviate needs of its mean, without a random number. */
typedef struct poisson_mean {
    float mean;
    float limit; /* mean < 12: exp(-mean); else the logarithm of the largest probability */
    float width;
    float log_mean;
} poisson_mean;

static poisson_mean poisson_prepare(float mean)
{
    poisson_mean m = {.mean = mean};
    if (mean > 1.0e6F)
        return m;
    if (mean < 12.0F) {
        m.limit = mean == 0.0F ? 1.0F : (float)exp((double)-mean);
        return m;
    }
    m.width = (float)sqrt(2.0 * (double)mean);
    m.log_mean = (float)log((double)mean);
    m.limit = mean * m.log_mean - nbh_log_gamma((float)((double)mean + 1.0));
    return m;
}

/* mean < 12: the number of uniform deviates whose product stays above the limit. */
static inline float poisson_by_product(nbh_random *state, int32_t *seed, float limit)
{
    float count = -1.0F;
    float product = 1.0F;
    int32_t y = state->y, s = *seed;
    do {
        count += 1.0F;
        product *= random_draw(state, &y, &s);
    } while (product > limit);
    state->y = y;
    *seed = s;
    return count;
}

/* The logarithms of the factorials 0! to (LOG_FACTORIALS - 1)! as they were asked for; before that
 * NaN. */
enum { LOG_FACTORIALS = 2048 };

static inline float log_factorial(float count, float *known)
{
    if (known == NULL || !(count < (float)LOG_FACTORIALS))
        return nbh_log_gamma((float)((double)count + 1.0));
    float *entry = &known[(int32_t)count];
    if (isnan(*entry))
        *entry = nbh_log_gamma((float)((double)count + 1.0));
    return *entry;
}

/* Rejection from a Lorentzian envelope.  A NaN mean leaves both loops at once. */
static float poisson_by_rejection(nbh_random *state, int32_t *seed, const poisson_mean *m,
                                  float *known)
{
    float count, t;
    do {
        float y;
        do {
            y = (float)tan(PI * random_uniform(state, seed));
            count = m->width * y + m->mean;
        } while (count < 0.0F);
        count = floorf(count);
        float exponent = count * m->log_mean - log_factorial(count, known) - m->limit;
        t = (float)(0.9 * (1.0 + (double)(y * y)) * exp((double)exponent));
    } while (random_uniform(state, seed) > t);
    return count;
}

static inline float poisson(nbh_random *state, int32_t *seed, const poisson_mean *m, float *known)
{
    if (m->mean > 1.0e6F)
        return (float)((double)m->mean + sqrt((double)m->mean) * gauss(state, seed));
    if (m->mean < 12.0F)
        return poisson_by_product(state, seed, m->limit);
    return poisson_by_rejection(state, seed, m, known);
}

float nbh_poisson_deviate(nbh_random *state, int32_t *seed, float mean)
{
    const poisson_mean m = poisson_prepare(mean);
    return poisson(state, seed, &m, NULL);
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

    enum { BLOCK = 256 }; /* the means of a block are prepared first: that needs no serial order */
    poisson_mean means[BLOCK];
    float known[LOG_FACTORIALS];
    for (int i = 0; i < LOG_FACTORIALS; i++)
        known[i] = NAN;
    nbh_random stream = *random;
    int32_t s = *seed;
    double sum = 0.0;
    int64_t clipped = 0;
    image_clear(out, n_fast, n_slow, roi);
    /* the bounds of an empty region are no places of the image */
    const int32_t slow_end = image_roi_is_empty(roi) ? roi->slow_min : roi->slow_max + 1;
    for (int32_t slow = roi->slow_min; slow < slow_end; slow++) {
        const float *row = image + (size_t)slow * (size_t)n_fast;
        uint16_t *to = out + (size_t)slow * (size_t)n_fast;
        for (int32_t first = roi->fast_min, end; first <= roi->fast_max; first = end) {
            end = roi->fast_max - first < BLOCK ? roi->fast_max + 1 : first + BLOCK;
            for (int32_t fast = first; fast < end; fast++)
                means[fast - first] = poisson_prepare(row[fast]);
            for (int32_t fast = first; fast < end; fast++) {
                double count = (double)poisson(&stream, &s, &means[fast - first], known);
                sum += count;
                double value = count + adc_offset;
                if (value > 65535.0) {
                    clipped++;
                    value = 65535.0;
                }
                to[fast] = (uint16_t)image_truncate(value);
            }
        }
    }
    *random = stream;
    *seed = s;
    if (photons != NULL)
        *photons = sum;
    if (overloads != NULL)
        *overloads = clipped;
    return NBH_OK;
}
