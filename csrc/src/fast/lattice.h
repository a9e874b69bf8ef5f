/* lattice.h - lattice factors of several pixels at a time (model 6.5).
 *
 * Each differs from the exact kernel's by less than a relative TERM_ERROR / 4 plus what `error`
 * says; see docs/accuracy.md.  Signs do not matter: only squares are used. */
#ifndef NBH_FAST_LATTICE_H
#define NBH_FAST_LATTICE_H

#include <math.h>

#include "fast/lanes.h"
#include "fast/profiles.h"
#include "plan.h"
#include "shapes.h"

/* What the bound allows for (docs/accuracy.md): the relative error of a term; the absolute error of
 * sin(x)/x - cos(x); the exponent below which a Gaussian counts as 0, and exp of it, squared. */
#define TERM_ERROR 1.6e-12
/* The same of SINES_OF_TOLERANCE, besides: twelve sines. */
#define TERM_ERROR_OF_TOLERANCE 3e-10
/* Below it, sin(x) is x to within 1e-14 of it. */
#define SMALL_ARGUMENT 0x1p-22
#define SPHERE_ERROR 4e-15
#define SMALLEST_EXPONENT (-345.0)
#define SMALLEST_GAUSSIAN_SQR 3e-300

/* exp of less is exactly 0, of more it is not, and between the two the C library decides. */
#define SURE_ZERO_EXPONENT (-745.2)
#define SURE_POSITIVE_EXPONENT (-745.0)

typedef struct lattice_factors {
    lanes f;
    lanes error;            /* absolute; set if profile_has_error */
    lanes is_zero;          /* 1: the exact kernel's is exactly 0; else 0.  Set if
                               profile_tells_zeros */
    lanes exact;            /* NaN: whether it is 0 is not known; else 0.  Set like is_zero */
    lanes smallest_product; /* of sines, over all calls; PROFILE_INTERFERENCE only */
} lattice_factors;

/* Whole numbers nearest to h, k, l; next to a half, either of two. */
SPECIALISED void whole_indices(const lanes h, const lanes k, const lanes l, lanes h0, lanes k0,
                               lanes l0)
{
    EACH_LANE {
        h0[j] = nearest_whole(h[j]);
        k0[j] = nearest_whole(k[j]);
        l0[j] = nearest_whole(l[j]);
    }
}

/* How sines are computed: with what is too small replaced by numbers with the same quotient, N; or
 * only as well as an image with a tolerance needs them. */
typedef enum sine_way { SINES, SINES_NEAR_ZERO, SINES_OF_TOLERANCE } sine_way;

/* Multiply by sin(pi h N) and sin(pi h), but for the signs; h0 is a whole number nearest to h. */
SPECIALISED void multiply_sines(double n, const sine_way way, double h, double h0,
                                double *numerator, double *denominator)
{
    const double x = PI * h, xn = x * n;
    const double rn = less_multiple_of_pi(xn, nearest_whole_product(h, n));
    const double r = less_multiple_of_pi(x, h0);
    const double above = way == SINES_OF_TOLERANCE ? rougher_sine(rn) : rough_sine(rn);
    const double below = way == SINES_OF_TOLERANCE ? rougher_sine(r) : rough_sine(r);
    const int is_small = way == SINES_NEAR_ZERO && fabs(xn) < SMALL_ARGUMENT;
    *numerator *= is_small ? 1.0 : above;
    *denominator *= is_small ? 1.0 / n : below;
}

/* The products of sin(pi h N) and of sin(pi h) over the axes with N > 1; see multiply_sines. */
SPECIALISED void parallelepiped_sines(const double n[3], const sine_way way, const lanes h,
                                      const lanes k, const lanes l, const lanes h0, const lanes k0,
                                      const lanes l0, lanes numerator, lanes denominator)
{
    if ((n[0] > 1.0) & (n[1] > 1.0) & (n[2] > 1.0)) { /* one loop keeps more in registers */
        EACH_LANE {
            double above = 1.0, below = 1.0;
            multiply_sines(n[0], way, h[j], h0[j], &above, &below);
            multiply_sines(n[1], way, k[j], k0[j], &above, &below);
            multiply_sines(n[2], way, l[j], l0[j], &above, &below);
            numerator[j] = above;
            denominator[j] = below;
        }
        return;
    }
    const double *indices[3] = {h, k, l}, *whole[3] = {h0, k0, l0};
    EACH_LANE
        numerator[j] = denominator[j] = 1.0;
    for (int axis = 0; axis < 3; axis++)
        if (n[axis] > 1.0)
            EACH_LANE
                multiply_sines(n[axis], way, indices[axis][j], whole[axis][j], &numerator[j],
                               &denominator[j]);
}

/* Inlined into the loop over steps, it would not be vectorised. */
OUT_OF_LINE void lattice_interference(const nbh_plan *plan, const lanes h, const lanes k,
                                      const lanes l, lattice_factors *out)
{
    lanes h0, k0, l0, numerator, denominator;
    whole_indices(h, k, l, h0, k0, l0);
    parallelepiped_sines(plan->shape.n_cells, SINES_NEAR_ZERO, h, k, l, h0, k0, l0, numerator,
                         denominator);
    EACH_LANE {
        out->f[j] = numerator[j] / denominator[j];
        out->smallest_product[j] =
            smaller(out->smallest_product[j], fabs(numerator[j] * denominator[j]));
    }
}

/* The squared distance from the reflection, in the measure of the shape, with the model's
 * operations: the bits are the exact kernel's. */
static inline void distance_sqr(const crystal_shape *s, const lanes h, const lanes k, const lanes l,
                                lanes r_sqr)
{
    const double na = s->n_cells[0], nb = s->n_cells[1], nc = s->n_cells[2];
    switch (s->metric) {
    case METRIC_RECIPROCAL: {
        const double *a = s->a_star, *b = s->b_star, *c = s->c_star;
        EACH_LANE {
            const double dh = h[j] - nearest_index(h[j]), dk = k[j] - nearest_index(k[j]),
                         dl = l[j] - nearest_index(l[j]);
            const double x = dh * a[0] + dk * b[0] + dl * c[0];
            const double y = dh * a[1] + dk * b[1] + dl * c[1];
            const double z = dh * a[2] + dk * b[2] + dl * c[2];
            r_sqr[j] = (x * x + y * y + z * z) * na * na * nb * nb * nc * nc;
        }
        break;
    }
    case METRIC_HKL:
        EACH_LANE {
            const double dh = h[j] - nearest_index(h[j]), dk = k[j] - nearest_index(k[j]),
                         dl = l[j] - nearest_index(l[j]);
            r_sqr[j] = dh * dh * na * na + dk * dk * nb * nb + dl * dl * nc * nc;
        }
        break;
    }
}

static inline void lattice_sphere(const crystal_shape *s, const lanes r_sqr, lattice_factors *out)
{
    const double scale = s->n_cells[0] * s->n_cells[1] * s->n_cells[2] * 0.723601254558268;
    EACH_LANE {
        const double x = PI * sqrt(r_sqr[j] * s->fudge);
        const double r = remainder_of_pi(x);
        const double per_x_sqr = 3.0 * scale / (x * x);
        const double f = per_x_sqr * (sine(r) / x - cosine(r));
        const double error = per_x_sqr * SPHERE_ERROR;
        out->f[j] = x == 0.0 ? scale : f;
        out->error[j] = x == 0.0 ? 0.0 : error;
        out->is_zero[j] = 0.0;
        out->exact[j] = fabs(out->f[j]) <= out->error[j] ? NAN : 0.0;
    }
}

static inline void lattice_gaussian(const crystal_shape *s, const lanes r_sqr, lattice_factors *out)
{
    const double scale = s->n_cells[0] * s->n_cells[1] * s->n_cells[2];
    EACH_LANE {
        const double y = -(r_sqr[j] / 0.63 * s->fudge);
        const double e = exponential(y < SMALLEST_EXPONENT ? SMALLEST_EXPONENT : y);
        out->f[j] = scale * (y < SMALLEST_EXPONENT ? 0.0 : e);
        out->is_zero[j] = y <= SURE_ZERO_EXPONENT ? 1.0 : 0.0;
        out->exact[j] = ((y > SURE_ZERO_EXPONENT) & (y < SURE_POSITIVE_EXPONENT)) ? NAN : 0.0;
    }
}

/* The bits are the exact kernel's. */
static inline void lattice_top_hat(const crystal_shape *s, const lanes r_sqr, lattice_factors *out)
{
    const double scale = s->n_cells[0] * s->n_cells[1] * s->n_cells[2];
    EACH_LANE {
        const int inside = r_sqr[j] * s->fudge < 0.3969;
        out->f[j] = scale * (inside ? 1.0 : 0.0);
        out->is_zero[j] = inside ? 0.0 : 1.0;
        out->exact[j] = 0.0;
    }
}

#endif
