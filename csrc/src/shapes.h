/* shapes.h - lattice factors of the crystal shapes (model 6.5). */
#ifndef NBH_SHAPES_H
#define NBH_SHAPES_H

#include <math.h>

#include "constants.h"
#include "nbh/nbh.h"

/* sin(N x) / sin(x), the interference of N planes; N at x = 0. */
static inline double shape_sincg(double x, double n)
{
    if (x == 0.0)
        return n;
    return sin(x * n) / sin(x);
}

/* The transform of a sphere, 1 at x = 0. */
static inline double shape_sinc3(double x)
{
    if (x == 0.0)
        return 1.0;
    return 3.0 * (sin(x) / x - cos(x)) / (x * x);
}

/* How the lattice factor depends on the distance from a reflection. */
typedef enum shape_profile {
    PROFILE_INTERFERENCE = 1, /* of planes along a, b and c: a product of three nbh_sincg */
    PROFILE_SPHERE,
    PROFILE_GAUSSIAN,
    PROFILE_TOP_HAT
} shape_profile;

/* What that distance is. */
typedef enum shape_metric {
    METRIC_HKL = 1,   /* of fractional indices, each times its number of cells */
    METRIC_RECIPROCAL /* of points of reciprocal space, times all numbers of cells */
} shape_metric;

/* What a shape needs besides the fractional indices. */
typedef struct crystal_shape {
    shape_profile profile;
    shape_metric metric; /* not of PROFILE_INTERFERENCE */
    double n_cells[3];
    double fudge;
    double a_star[3]; /* 1/A, not rotated with phi and mosaicity */
    double b_star[3];
    double c_star[3];
} crystal_shape;

/* Sets profile and metric, all that the kernels know of an nbh_shape. */
void shape_set(nbh_shape shape, crystal_shape *s);

/* Has the lattice factor no bound at some reflections?  sin(pi N h) / sin(pi h) has none where N is
 * not whole: the limit at a whole h is that of the denominator alone. */
int shape_has_poles(const crystal_shape *s);

/* Can the lattice factor be exactly 0 away from reflections? */
static inline int shape_has_zeros(const crystal_shape *s)
{
    switch (s->profile) {
    case PROFILE_INTERFERENCE: /* sines of multiples of pi are not exactly 0 */
        return 0;
    case PROFILE_SPHERE:
    case PROFILE_GAUSSIAN:
    case PROFILE_TOP_HAT:
        return 1;
    }
    return 1;
}

/* The squared distance of the fractional indices hkl from the reflection hkl0. */
static inline double shape_distance_sqr(const crystal_shape *s, const double hkl[3],
                                        const double hkl0[3])
{
    const double na = s->n_cells[0], nb = s->n_cells[1], nc = s->n_cells[2];
    const double dh = hkl[0] - hkl0[0], dk = hkl[1] - hkl0[1], dl = hkl[2] - hkl0[2];
    switch (s->metric) {
    case METRIC_HKL:
        return dh * dh * na * na + dk * dk * nb * nb + dl * dl * nc * nc;
    case METRIC_RECIPROCAL: {
        const double x = dh * s->a_star[0] + dk * s->b_star[0] + dl * s->c_star[0];
        const double y = dh * s->a_star[1] + dk * s->b_star[1] + dl * s->c_star[1];
        const double z = dh * s->a_star[2] + dk * s->b_star[2] + dl * s->c_star[2];
        return (x * x + y * y + z * z) * na * na * nb * nb * nc * nc;
    }
    }
    return NAN;
}

/* The lattice factor at a reflection. */
static inline double shape_peak(const crystal_shape *s)
{
    return s->n_cells[0] * s->n_cells[1] * s->n_cells[2];
}

/* Is what a Gaussian's exponent multiplies squares with far from overflow? */
static inline int shape_has_exponents(const crystal_shape *s)
{
    const double largest = 1e150, peak = shape_peak(s);
    int has = s->fudge < largest && s->fudge * peak * peak < largest;
    for (int i = 0; i < 3; i++)
        has &= s->fudge * s->n_cells[i] * s->n_cells[i] < largest;
    return has;
}

/* Is the lattice factor finite everywhere?  Then a structure factor of 0 makes a term of 0.  No
 * crystal comes near these bounds, below which nothing that it is made of overflows. */
static inline int shape_is_finite(const crystal_shape *s)
{
    const double largest = 1e70;
    int finite = fabs(shape_peak(s)) < largest;
    for (int i = 0; i < 3; i++) {
        finite &= fabs(s->n_cells[i]) < largest;
        finite &= fabs(s->a_star[i]) < largest && fabs(s->b_star[i]) < largest &&
                  fabs(s->c_star[i]) < largest;
    }
    switch (s->profile) {
    case PROFILE_INTERFERENCE:
    case PROFILE_TOP_HAT:
        return finite;
    case PROFILE_SPHERE: /* below 0: the root of a number below 0, or growth without limit */
    case PROFILE_GAUSSIAN:
        return finite && s->fudge >= 0.0 && s->fudge < largest;
    }
    return 0;
}

/* Lattice factor at the fractional indices hkl whose nearest whole numbers are hkl0.  factors[3]
 * gets the three factors of PROFILE_INTERFERENCE, and the whole factor three times otherwise. */
static inline double shape_lattice_factor(const crystal_shape *s, const double hkl[3],
                                          const double hkl0[3], double factors[3])
{
    double f = NAN;
    switch (s->profile) {
    case PROFILE_INTERFERENCE:
        f = 1.0;
        for (int i = 0; i < 3; i++) {
            factors[i] = s->n_cells[i] > 1.0 ? shape_sincg(PI * hkl[i], s->n_cells[i]) : 1.0;
            f *= factors[i];
        }
        return f;
    case PROFILE_SPHERE:
        f = shape_peak(s) * 0.723601254558268 *
            shape_sinc3(PI * sqrt(shape_distance_sqr(s, hkl, hkl0) * s->fudge));
        break;
    case PROFILE_GAUSSIAN:
        f = shape_peak(s) * exp(-(shape_distance_sqr(s, hkl, hkl0) / 0.63 * s->fudge));
        break;
    case PROFILE_TOP_HAT:
        f = shape_peak(s) * (shape_distance_sqr(s, hkl, hkl0) * s->fudge < 0.3969);
        break;
    }
    factors[0] = factors[1] = factors[2] = f;
    return f;
}

#endif
