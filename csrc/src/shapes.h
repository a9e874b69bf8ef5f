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

/* What a shape needs besides the fractional indices. */
typedef struct crystal_shape {
    int32_t shape; /* nbh_shape */
    double n_cells[3];
    double fudge;
    double a_star[3]; /* 1/A, not rotated with phi and mosaicity */
    double b_star[3];
    double c_star[3];
} crystal_shape;

/* Lattice factor at the fractional indices hkl whose nearest whole numbers are hkl0.  factors[3]
 * gets the three factors of SQUARE, and the whole factor three times otherwise. */
static inline double shape_lattice_factor(const crystal_shape *s, const double hkl[3],
                                          const double hkl0[3], double factors[3])
{
    const double na = s->n_cells[0], nb = s->n_cells[1], nc = s->n_cells[2];
    double f = 1.0;

    if (s->shape == NBH_SHAPE_SQUARE) {
        for (int i = 0; i < 3; i++) {
            factors[i] = s->n_cells[i] > 1.0 ? shape_sincg(PI * hkl[i], s->n_cells[i]) : 1.0;
            f *= factors[i];
        }
        return f;
    }

    const double dh = hkl[0] - hkl0[0], dk = hkl[1] - hkl0[1], dl = hkl[2] - hkl0[2];
    double r_sqr;
    if (s->shape == NBH_SHAPE_GAUSS || s->shape == NBH_SHAPE_TOPHAT) {
        double x = dh * s->a_star[0] + dk * s->b_star[0] + dl * s->c_star[0];
        double y = dh * s->a_star[1] + dk * s->b_star[1] + dl * s->c_star[1];
        double z = dh * s->a_star[2] + dk * s->b_star[2] + dl * s->c_star[2];
        r_sqr = (x * x + y * y + z * z) * na * na * nb * nb * nc * nc;
    } else {
        r_sqr = dh * dh * na * na + dk * dk * nb * nb + dl * dl * nc * nc;
    }

    switch (s->shape) {
    case NBH_SHAPE_ROUND:
        f = na * nb * nc * 0.723601254558268 * shape_sinc3(PI * sqrt(r_sqr * s->fudge));
        break;
    case NBH_SHAPE_GAUSS:
    case NBH_SHAPE_GAUSS_HKL:
        f = na * nb * nc * exp(-(r_sqr / 0.63 * s->fudge));
        break;
    default: /* the two top hats */
        f = na * nb * nc * (r_sqr * s->fudge < 0.3969);
        break;
    }
    factors[0] = factors[1] = factors[2] = f;
    return f;
}

#endif
