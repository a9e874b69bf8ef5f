/* gaussian_steps.h - the steps of Gaussian crystals without factors of their own (model 6.5), as
 * one exponential: the square of exp(-y) is exp(-2 y). */
#ifndef NBH_FAST_GAUSSIAN_STEPS_H
#define NBH_FAST_GAUSSIAN_STEPS_H

#include "fast/steps.h"

/* What the exponent is made of. */
typedef struct gaussian_constants {
    double along[3];         /* METRIC_HKL: of the squares of the distances along h, k, l */
    double star[3][3];       /* METRIC_RECIPROCAL */
    double along_reciprocal; /* of the squared distance in reciprocal space */
} gaussian_constants;

static inline gaussian_constants gaussian_constants_of(const crystal_shape *s)
{
    const double *n = s->n_cells, all = n[0] * n[1] * n[2], scale = -2.0 * s->fudge / 0.63;
    gaussian_constants c = {.along_reciprocal = scale * (all * all)};
    for (int i = 0; i < 3; i++) {
        c.along[i] = scale * (n[i] * n[i]);
        c.star[0][i] = s->a_star[i];
        c.star[1][i] = s->b_star[i];
        c.star[2][i] = s->c_star[i];
    }
    return c;
}

/* -2 y for the distances from the reflection. */
SPECIALISED double gaussian_exponent(const gaussian_constants *c, const shape_metric metric,
                                     double dh, double dk, double dl)
{
    switch (metric) {
    case METRIC_HKL:
        return c->along[0] * (dh * dh) + c->along[1] * (dk * dk) + c->along[2] * (dl * dl);
    case METRIC_RECIPROCAL:
        break;
    }
    const double x = dh * c->star[0][0] + dk * c->star[1][0] + dl * c->star[2][0];
    const double y = dh * c->star[0][1] + dk * c->star[1][1] + dl * c->star[2][1];
    const double z = dh * c->star[0][2] + dk * c->star[1][2] + dl * c->star[2][2];
    return c->along_reciprocal * (x * x + y * y + z * z);
}

/* Sets the exponents -2 y of one orientation in all lanes, and F^2 unless there is but one F.
 * `from` and `metric` are constants where this is inlined.  Returns 0 if all F are 0. */
SPECIALISED int gaussian_exponents(const f_table *table, const gaussian_constants *c,
                                   const fast_view *view, const f_origin from,
                                   const shape_metric metric, const double *cell, lanes exponent,
                                   lanes f_sqr)
{
    lanes h, k, l, h0, k0, l0, f;
    miller_indices(cell, view, h, k, l);
    nearest_indices(h, k, l, h0, k0, l0);
    if (from != ONE_F) {
        if (!table_f(table, from == INSIDE_TABLE, h0, k0, l0, f))
            return 0;
        EACH_LANE
            f_sqr[j] = f[j] * f[j];
    }
    EACH_LANE
        exponent[j] = gaussian_exponent(c, metric, h[j] - h0[j], k[j] - k0[j], l[j] - l0[j]);
    return 1;
}

#endif
