/* Integer, PGM and noise images of any floats, sizes, regions and scales. */
#include "bytes.h"

static float take_pixel(bytes *b)
{
    const uint8_t selector = take_byte(b);
    float value;
    if (selector < 100)
        return (float)selector;
    if (selector < 200)
        return (float)take_number(b, 12.0, -100.0, 2e6);
    if (selector < 230)
        return (float)ldexp(1.0, take_byte(b) - 128);
    take(b, &value, sizeof value);
    return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes b = {data, data + size};
    const int32_t n_fast = 1 + take_below(&b, 40), n_slow = 1 + take_below(&b, 6);
    const size_t pixels = (size_t)n_fast * (size_t)n_slow;
    const nbh_roi roi = {
        take_whole(&b, 0, 0, n_fast - 1), take_whole(&b, n_fast - 1, 0, n_fast - 1),
        take_whole(&b, 0, 0, n_slow - 1), take_whole(&b, n_slow - 1, 0, n_slow - 1)};
    const double scale = take_number(&b, 0.0, -1.0, 100.0);
    const double max = take_number(&b, 100.0, 0.0, 1e6);
    const double adc_offset = take_number(&b, 40.0, -100.0, 100.0);
    const double rmsd = take_number(&b, 10.0, 0.0, 1e4);
    const double integer_scale = take_number(&b, 1.0, 0.0, 10.0);
    int32_t seed = take_whole(&b, -1, -100, 100);
    int32_t bad_fast = take_whole(&b, n_fast, 1, n_fast),
            bad_slow = take_whole(&b, n_slow, 1, n_slow);
    nbh_random random;
    nbh_random_init(&random);
    for (int n = take_below(&b, 8); n > 0; n--)
        nbh_gauss_deviate(&random, &seed);
    float *image = malloc(pixels * sizeof *image);
    for (size_t i = 0; i < pixels; i++)
        image[i] = take_pixel(&b);

    uint16_t *out = malloc(pixels * sizeof *out);
    uint8_t *grey = malloc(pixels);
    nbh_error error;
    double used = -1.0, photons;
    int64_t overloads;
    if (nbh_integer_image(image, n_fast, n_slow, &roi, scale, max, adc_offset, out, &used,
                          &error) == NBH_OK &&
        roi.fast_min <= roi.fast_max && roi.slow_min <= roi.slow_max) {
        for (int32_t slow = 0; slow < n_slow; slow++) {
            for (int32_t fast = 0; fast < n_fast; fast++) {
                const int inside = fast >= roi.fast_min && fast <= roi.fast_max &&
                                   slow >= roi.slow_min && slow <= roi.slow_max;
                const size_t at = (size_t)slow * (size_t)n_fast + (size_t)fast;
                if (!inside && out[at] != 0)
                    FINDING("pixel %d %d outside the region is %d", fast, slow, out[at]);
            }
        }
    }
    nbh_odd_pixels odd;
    uint8_t *mask = malloc(pixels);
    for (size_t i = 0; i < pixels; i++)
        mask[i] = (uint8_t)(i % 5 != 1);
    const int masked = take_below(&b, 2);
    if (nbh_image_odd_pixels(image, n_fast, n_slow, &roi, masked ? mask : NULL, &odd, &error) ==
            NBH_OK &&
        (odd.pixels < 0 || odd.pixels > (int64_t)pixels || odd.lit > odd.pixels ||
         odd.nan + odd.infinite + odd.negative > odd.lit))
        FINDING("%lld odd pixels of %lld", (long long)(odd.nan + odd.infinite + odd.negative),
                (long long)odd.pixels);
    free(mask);
    nbh_pgm_image(image, n_fast, n_slow, scale, rmsd, integer_scale, grey, &used, &error);
    if (nbh_noise_image(image, n_fast, n_slow, &roi, adc_offset, &random, &seed, out, &photons,
                        &overloads, &error) == NBH_OK &&
        (overloads < 0 || overloads > (int64_t)pixels))
        FINDING("%lld overloads", (long long)overloads);
    /* smaller than it is, or no size at all */
    if (bad_fast <= n_fast && bad_slow <= n_slow)
        nbh_integer_image(image, bad_fast, bad_slow, &roi, scale, max, adc_offset, out, &used,
                          NULL);
    free(grey);
    free(out);
    free(image);
    return 0;
}
