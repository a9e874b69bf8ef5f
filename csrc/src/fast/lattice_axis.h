/* lattice_axis.h - one axis of a parallelepiped: numbers that the kernels of lattice sums need for
 * every step. */
#ifndef NBH_FAST_LATTICE_AXIS_H
#define NBH_FAST_LATTICE_AXIS_H

#include "constants.h"

/* Of N |sin(pi h)|: below it the slope of sin(N x)/sin(x) is the start of its series, whose next
 * term is 1e-14 of it. */
#define SERIES_BELOW 1e-3
/* Of N |h - a whole number|: the same in single precision, with 4e-7. */
#define SERIES_BELOW_F32 0.03
/* Of |sin(pi h)|: below it h may be whole. */
#define WHOLE_BELOW 1e-9

/* Of N_a N_b N_c: its square, over 1e-18, is a single precision number. */
#define LARGEST_SINGLE_PEAK 4e9

typedef struct lattice_axis {
    double n;
    double least_of_slope; /* of |sin(pi h)|: below it the slope is a series, or h may be whole */
    /* single precision */
    float n_f32;
    float series_below;        /* of |h - a whole number| =: d */
    float series, series_next; /* of the slope: series d sin(pi h) (1 + series_next d^2) */
} lattice_axis;

/* For N >= 1. */
static inline lattice_axis lattice_axis_of(double n)
{
    const double n_sqr = n * n, least = SERIES_BELOW / n;
    const lattice_axis axis = {
        n,
        least > WHOLE_BELOW ? least : WHOLE_BELOW,
        (float)n,
        (float)(SERIES_BELOW_F32 / n),
        (float)(-PI * n * (n_sqr - 1.0) / 3.0),
        (float)(-PI * PI * (3.0 * n_sqr - 7.0) / 30.0),
    };
    return axis;
}

#endif
