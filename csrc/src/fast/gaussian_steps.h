/* gaussian_steps.h - the steps of Gaussian crystals without factors of their own (model 6.5), as
 * one exponential: the square of exp(-y) is exp(-2 y). */
#ifndef NBH_FAST_GAUSSIAN_STEPS_H
#define NBH_FAST_GAUSSIAN_STEPS_H

#include "fast/steps.h"

/* Lanes whose light is looked at together. */
#define PART (LANES / 2)
#define EACH_OF_PART for (int j = 0; j < PART; j++)

/* What the exponent is made of. */
typedef struct gaussian_constants {
    double along[3];         /* METRIC_HKL: of the squares of the distances along h, k, l */
    double star[3][3];       /* METRIC_RECIPROCAL */
    double along_reciprocal; /* of the squared distance in reciprocal space */
    double darkest;          /* exponents below it are those of steps without light */
} gaussian_constants;

static inline gaussian_constants gaussian_constants_of(const crystal_shape *s, double darkest)
{
    const double *n = s->n_cells, all = n[0] * n[1] * n[2], scale = -2.0 * s->fudge / 0.63;
    gaussian_constants c = {.along_reciprocal = scale * (all * all), .darkest = darkest};
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
    if (metric == METRIC_HKL)
        return c->along[0] * (dh * dh) + c->along[1] * (dk * dk) + c->along[2] * (dl * dl);
    const double x = dh * c->star[0][0] + dk * c->star[1][0] + dl * c->star[2][0];
    const double y = dh * c->star[0][1] + dk * c->star[1][1] + dl * c->star[2][1];
    const double z = dh * c->star[0][2] + dk * c->star[1][2] + dl * c->star[2][2];
    return c->along_reciprocal * (x * x + y * y + z * z);
}

/* Adds exp(-2 y), times F^2 unless there is but one F, of one orientation in all lanes.  `from`,
 * `metric` and `looks` are constants where this is inlined.  looks: leave out a part of the lanes
 * where none has light. */
SPECIALISED void add_gaussian_step(const f_table *table, const gaussian_constants *c,
                                   const fast_view *view, const f_origin from,
                                   const shape_metric metric, const int looks, const double *cell,
                                   lanes sum)
{
    lanes h0, k0, l0, f, exponent;
    const double *qx = view->qx, *qy = view->qy, *qz = view->qz;
    if (from != ONE_F) {
        lanes h, k, l;
        miller_indices(cell, view, h, k, l);
        nearest_indices(h, k, l, h0, k0, l0);
        if (!table_f(table, from == INSIDE_TABLE, h0, k0, l0, f))
            return;
        EACH_LANE
            exponent[j] = gaussian_exponent(c, metric, h[j] - h0[j], k[j] - k0[j], l[j] - l0[j]);
    }
    for (int part = 0; part < LANES; part += PART) {
        if (from == ONE_F) {
            EACH_OF_PART
            {
                const int n = part + j;
                const double h = cell[0] * qx[n] + cell[1] * qy[n] + cell[2] * qz[n],
                             k = cell[3] * qx[n] + cell[4] * qy[n] + cell[5] * qz[n],
                             l = cell[6] * qx[n] + cell[7] * qy[n] + cell[8] * qz[n];
                exponent[n] = gaussian_exponent(c, metric, h - nearest_index(h),
                                                k - nearest_index(k), l - nearest_index(l));
            }
        }
        if (looks) {
            int64_t any = 0;
            EACH_OF_PART
            any |= exponent[part + j] > c->darkest;
            if (!any)
                continue;
        }
        EACH_OF_PART
        {
            const int n = part + j;
            const double y = exponent[n];
            const double e = exponential(y < SMALLEST_EXPONENT ? SMALLEST_EXPONENT : y);
            const double term = y < SMALLEST_EXPONENT ? 0.0 : e;
            sum[n] += from == ONE_F ? term : f[n] * f[n] * term;
        }
    }
}

#endif
