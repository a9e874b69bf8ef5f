/* The exported formulas and random deviates at any numbers: defined behaviour, and rotations that
 * keep lengths. */
#include "bytes.h"

static void take_any(bytes *b, double *to, int count)
{
    for (int i = 0; i < count; i++)
        to[i] = take_number(b, 0.0, -2.0, 2.0);
}

static double length(const double v[3])
{
    return sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes b = {data, data + size};
    double v[3], axis[3], angles[3], out[3], matrix[9], values[64], unit[3];
    take_any(&b, v, 3);
    take_any(&b, axis, 3);
    take_any(&b, angles, 3);
    nbh_sincg(take_number(&b, 1.0, -10.0, 10.0), take_number(&b, 5.0, 0.0, 1000.0));
    nbh_sinc3(take_number(&b, 1.0, -10.0, 10.0));
    nbh_unit(axis, unit);
    nbh_rotate_xyz(v, angles, out);
    nbh_rotate_axis(v, unit, angles[0], out);
    if (fabs(length(unit) - 1.0) < 1e-9 && length(v) > 1e-100 && length(v) < 1e100 &&
        fabs(angles[0]) < 1e6 && !(fabs(length(out) / length(v) - 1.0) < 1e-9))
        FINDING("a rotation makes %.17g of the length %.17g", length(out), length(v));
    take_any(&b, matrix, 9);
    nbh_rotation_angles(matrix, angles);
    nbh_polarization(take_number(&b, 0.0, -1.0, 1.0), v, out, axis);
    take_any(&b, values, 64);
    nbh_interpolate_tricubic(v[0], v[1], v[2], values);
    nbh_log_gamma((float)take_number(&b, 1.0, 0.0, 1e6));

    nbh_random state;
    nbh_random_init(&state);
    int32_t seed = take_whole(&b, -1, -100, 100);
    for (int n = take_below(&b, 50); n >= 0; n--) {
        const float uniform = nbh_uniform_deviate(&state, &seed);
        if (!(uniform >= 0.0F && uniform < 1.0F))
            FINDING("a uniform deviate of %.9g", (double)uniform);
        if (!isfinite(nbh_gauss_deviate(&state, &seed)))
            FINDING("a normal deviate that is not finite");
        const float mean = (float)take_number(&b, 12.0, 0.0, 2e6);
        const float count = nbh_poisson_deviate(&state, &seed, mean);
        if (mean >= 0.0F && mean < 1e6F && !(count >= 0.0F && count == floorf(count)))
            FINDING("a Poisson deviate of %.9g for the mean %.9g", (double)count, (double)mean);
    }
    nbh_random_rotation(&state, &seed, (float)take_number(&b, 0.1, 0.0, 2.0), matrix);
    for (int32_t number = -1; number < 10; number++)
        if (nbh_status_name(number) == NULL || nbh_version() == NULL || nbh_build_info() == NULL)
            FINDING("a text that is NULL");
    return 0;
}
