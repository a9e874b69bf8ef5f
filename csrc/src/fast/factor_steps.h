/* factor_steps.h - squared lattice factors of the crystal shapes and their derivatives (model 6.5),
 * several rows at a time, in double precision and in single precision.
 *
 * In single precision indices, the reduction of phases and distances stay double, and so is what
 * callers get: only sines, cosines, exponentials and what is made of them are single. */
#ifndef NBH_FAST_FACTOR_STEPS_H
#define NBH_FAST_FACTOR_STEPS_H

#include <math.h>

#include "fast/lattice_axis.h"
#include "fast/lattice_step.h"
#include "fast/single.h"
#include "shapes.h"

/* Of the product of three sines, in single precision: its inverse, times the most that it
 * multiplies (LARGEST_SINGLE_PEAK), is a float. */
#define WHOLE_PRODUCT_BELOW_F32 1e-18F
/* Of x^2: below it the slope of the sphere's transform is the start of its series. */
#define SPHERE_SERIES_BELOW 0.09
#define SPHERE_SERIES_BELOW_F32 1.0
/* exp of less counts as 0.  Its square is 1e-250: what derivatives multiply it with leaves normal
 * numbers, and those below the smallest of them are slow on some processors. */
#define LEAST_EXPONENT (-288.0)

/* One axis of a parallelepiped: sines and cosines of pi h and pi h N.  Signs may be lost, but of
 * both that belong to one angle together. */
typedef struct axis_phases {
    double s, c, sn, cn;
} axis_phases;

/* With the model's roundings, of which that of pi h N is large where N is. */
SPECIALISED axis_phases phases_as_rounded(double n, double h, double h0)
{
    const double x = PI * h;
    const double r = less_multiple_of_pi(x, h0);
    const double rn = less_multiple_of_pi(x * n, nearest_whole_product(h, n));
    const axis_phases phases = {sine(r), 0.0, sine(rn), 0.0};
    return phases;
}

/* Without them, and with cosines: slopes are differences that the roundings would drown.  `turns`
 * is what N h0 has beyond whole numbers, 0 for a whole N. */
SPECIALISED axis_phases phases_for_slopes(double n, double h, double h0, double turns)
{
    const double d = h - h0; /* exact */
    const double own = MULTIPLY_ADD(d, n, -nearest_whole_product(d, n)), both = own + turns;
    /* sine and cosine take half a turn at most */
    const double r = PI * d, rn = PI * (turns == 0.0 ? own : both - nearest_whole(both));
    const axis_phases phases = {sine(r), cosine(r), sine(rn), cosine(rn)};
    return phases;
}

SPECIALISED axis_phases phases_of(const int derive, double n, double h, double h0)
{
    return derive ? phases_for_slopes(n, h, h0, 0.0) : phases_as_rounded(n, h, h0);
}

/* What is left of the slope of the lattice factor without what the axis has in its denominator. */
SPECIALISED double slope_of(const axis_phases *at, const lattice_axis *axis, double ratio)
{
    return axis->n * at->cn - ratio * at->c;
}

/* The same in single precision, of phases that are reduced in double precision. */
typedef struct axis_phases_f32 {
    float s, c, sn, cn;
    float d; /* index less the nearest whole number */
} axis_phases_f32;

SPECIALISED axis_phases_f32 phases_of_f32(const int derive, double n, double h, double h0)
{
    const double d = h - h0; /* exact */
    const double dn = MULTIPLY_ADD(d, n, -nearest_whole_product(d, n));
    const float x = (float)d, xn = (float)dn;
    const axis_phases_f32 phases = {sine_of_half_turns(x), derive ? cosine_of_half_turns(x) : 0.0F,
                                    sine_of_half_turns(xn),
                                    derive ? cosine_of_half_turns(xn) : 0.0F, x};
    return phases;
}

/* Next to a whole number it is a difference that would lose its digits: there it is its series. */
SPECIALISED float slope_of_f32(const axis_phases_f32 *at, const lattice_axis *axis, float ratio)
{
    const float d = at->d;
    const float series =
        axis->series * d * at->s * MULTIPLY_ADD_F32(axis->series_next, d * d, 1.0F);
    const float difference = MULTIPLY_ADD_F32(axis->n_f32, at->cn, -ratio * at->c);
    return fabsf(d) < axis->series_below ? series : difference;
}

/* May h, k or l be whole, or too close to it for the quotients?  s: sines, and their product. */
SPECIALISED int may_be_whole(const int derive, const lattice_axis axes[3], double s_a, double s_b,
                             double s_c, double product)
{
    (void)product;
    const double a = derive ? axes[0].least_of_slope : WHOLE_BELOW,
                 b = derive ? axes[1].least_of_slope : WHOLE_BELOW,
                 c = derive ? axes[2].least_of_slope : WHOLE_BELOW;
    return (fabs(s_a) < a) | (fabs(s_b) < b) | (fabs(s_c) < c);
}

/* Here slopes have their series: whole numbers are what is left, and a product without a quotient.
 */
SPECIALISED int may_be_whole_f32(const int derive, const lattice_axis axes[3], float s_a, float s_b,
                                 float s_c, float product)
{
    (void)derive, (void)axes, (void)s_a, (void)s_b, (void)s_c;
    return fabsf(product) < WHOLE_PRODUCT_BELOW_F32;
}

#define real double
#define OF_REAL(name) name
#define IS_SINGLE 0
#include "fast/step_formulas.h"
#undef real
#undef OF_REAL
#undef IS_SINGLE
#define real float
#define OF_REAL(name) name##_f32
#define IS_SINGLE 1
#include "fast/step_formulas.h"
#undef real
#undef OF_REAL
#undef IS_SINGLE

/* One axis of PROFILE_INTERFERENCE: sin(pi h N)/sin(pi h), and its derivatives over pi. */
typedef struct axis_ratio {
    lanes f;
    lanes by_index;
    lanes by_n;
} axis_ratio;

/* The same for any N, also next to whole numbers, where the quotient and its slope are limits. */
OUT_OF_LINE void interference_ratio(const int derive, double n, const lanes h, const lanes whole,
                                    axis_ratio *ratio)
{
    const double n_sqr = n * n;
    const int n_is_whole = n == nearest_whole(n);
    EACH_LANE {
        const axis_phases rounded = phases_as_rounded(n, h[j], whole[j]);
        const double y = PI * (h[j] - whole[j]);
        const int is_whole = y == 0.0;
        /* at other whole numbers the model divides what its roundings leave */
        ratio->f[j] = h[j] == 0.0 ? n : rounded.sn / rounded.s;
        if (derive) {
            const double turns =
                n_is_whole ? 0.0 : MULTIPLY_ADD(whole[j], n, -nearest_whole_product(whole[j], n));
            const axis_phases at = phases_for_slopes(n, h[j], whole[j], turns);
            const double f = at.sn / at.s;
            const int in_series = ((turns == 0.0) & (fabs(at.s) * n < SERIES_BELOW)) | is_whole;
            const double series =
                -n * (n_sqr - 1.0) / 3.0 * y * (1.0 - (3.0 * n_sqr - 7.0) / 30.0 * y * y);
            ratio->f[j] = is_whole ? n : f;
            ratio->by_index[j] = in_series ? series : (n * at.cn - f * at.c) / at.s;
            ratio->by_n[j] = is_whole ? INVERSE_PI : h[j] * at.cn / at.s;
        }
    }
}

/* PROFILE_INTERFERENCE (model 6.5). */
SPECIALISED void interference_step(const int derive, int is_single, int are_whole,
                                   const lattice_axis axes[3], const step_indices *at,
                                   lattice_step *step)
{
    if (are_whole && (is_single ? interference_apart_f32(derive, axes, at, step)
                                : interference_apart(derive, axes, at, step)))
        return;
    axis_ratio ratio[3];
    for (int i = 0; i < 3; i++) {
        if (derive || axes[i].n > 1.0) {
            interference_ratio(derive, axes[i].n, at->hkl[i], at->whole[i], &ratio[i]);
        } else {
            EACH_LANE {
                ratio[i].f[j] = 1.0;
                ratio[i].by_index[j] = ratio[i].by_n[j] = 0.0;
            }
        }
    }
    EACH_LANE {
        const double a = ratio[0].f[j], b = ratio[1].f[j], c = ratio[2].f[j], f = a * b * c;
        step->square[j] = f * f;
        if (derive) {
            const double wa = PI * f * b * c, wb = PI * f * a * c, wc = PI * f * a * b;
            step->by_index[0][j] = wa * ratio[0].by_index[j];
            step->by_index[1][j] = wb * ratio[1].by_index[j];
            step->by_index[2][j] = wc * ratio[2].by_index[j];
            step->by_n[0][j] = wa * ratio[0].by_n[j];
            step->by_n[1][j] = wb * ratio[1].by_n[j];
            step->by_n[2][j] = wc * ratio[2].by_n[j];
        }
    }
}

/* The other profiles: the squared distance of the indices from the reflection in the measure of the
 * shape, and half of its derivatives. */
typedef struct distance_step {
    lanes square;
    lanes by_index[3];
    lanes by_n[3];
    lanes across[3]; /* METRIC_RECIPROCAL: what multiplies d_i for the derivative by star[i] */
} distance_step;

SPECIALISED void distance_of(const int derive, const crystal_shape *s, const step_indices *at,
                             distance_step *out)
{
    const double *n = s->n_cells;
    switch (s->metric) {
    case METRIC_HKL:
        EACH_LANE {
            const double d0 = at->hkl[0][j] - at->whole[0][j], d1 = at->hkl[1][j] - at->whole[1][j],
                         d2 = at->hkl[2][j] - at->whole[2][j];
            const double x = d0 * n[0], y = d1 * n[1], z = d2 * n[2];
            out->square[j] = x * x + y * y + z * z;
            if (derive) {
                out->by_index[0][j] = x * n[0];
                out->by_index[1][j] = y * n[1];
                out->by_index[2][j] = z * n[2];
                out->by_n[0][j] = x * d0;
                out->by_n[1][j] = y * d1;
                out->by_n[2][j] = z * d2;
            }
        }
        break;
    case METRIC_RECIPROCAL: {
        const double *a = s->a_star, *b = s->b_star, *c = s->c_star;
        const double cells = n[0] * n[1] * n[2], cells_sqr = cells * cells;
        EACH_LANE {
            const double d0 = at->hkl[0][j] - at->whole[0][j], d1 = at->hkl[1][j] - at->whole[1][j],
                         d2 = at->hkl[2][j] - at->whole[2][j];
            const double x = d0 * a[0] + d1 * b[0] + d2 * c[0];
            const double y = d0 * a[1] + d1 * b[1] + d2 * c[1];
            const double z = d0 * a[2] + d1 * b[2] + d2 * c[2];
            const double square = (x * x + y * y + z * z) * cells_sqr;
            out->square[j] = square;
            if (derive) {
                const double wx = x * cells_sqr, wy = y * cells_sqr, wz = z * cells_sqr;
                out->across[0][j] = wx;
                out->across[1][j] = wy;
                out->across[2][j] = wz;
                out->by_index[0][j] = wx * a[0] + wy * a[1] + wz * a[2];
                out->by_index[1][j] = wx * b[0] + wy * b[1] + wz * b[2];
                out->by_index[2][j] = wx * c[0] + wy * c[1] + wz * c[2];
                out->by_n[0][j] = square / n[0];
                out->by_n[1][j] = square / n[1];
                out->by_n[2][j] = square / n[2];
            }
        }
        break;
    }
    }
}

/* The square of the profile at the squared distance, and d(square)/d(distance^2 fudge) / square of
 * the profile, but for the factor that is the number of cells. */
SPECIALISED void profile_of(const int derive, int is_single, const shape_profile profile,
                            double fudge, const lanes distance_sqr, lanes f, lanes slope)
{
    switch (profile) {
    case PROFILE_SPHERE:
        if (is_single)
            sphere_f32(derive, fudge, distance_sqr, f, slope);
        else
            sphere(derive, fudge, distance_sqr, f, slope);
        break;
    case PROFILE_GAUSSIAN:
        if (is_single)
            gaussian_f32(derive, fudge, distance_sqr, f, slope);
        else
            gaussian(derive, fudge, distance_sqr, f, slope);
        break;
    case PROFILE_TOP_HAT:
        EACH_LANE {
            f[j] = distance_sqr[j] * fudge < 0.3969 ? 1.0 : 0.0;
            if (derive)
                slope[j] = 0.0;
        }
        break;
    case PROFILE_INTERFERENCE: /* has no distance */
        break;
    }
}

/* Is a lane in reach of the profile?  Of a Gaussian a little more than that. */
SPECIALISED int is_in_reach(const shape_profile profile, double fudge, const lanes distance_sqr)
{
    const double reach = profile == PROFILE_GAUSSIAN ? -0.6301 * LEAST_EXPONENT : 0.3969;
    lanes is_out;
    if (profile == PROFILE_SPHERE)
        return 1;
    EACH_LANE
        is_out[j] = distance_sqr[j] * fudge >= reach ? 1.0 : 0.0; /* NaN is not */
    return !all_are_set(is_out);
}

/* A profile of the distance from the reflection (model 6.5).  With may_skip it returns 0, and sets
 * nothing, where every lattice factor counts as 0, and with it all derivatives. */
SPECIALISED int spot_step(const int derive, int is_single, int may_skip,
                          const shape_profile profile, const crystal_shape *s,
                          const step_indices *at, lattice_step *step)
{
    const double cells = shape_peak(s), cells_sqr = cells * cells;
    distance_step distance;
    lanes f, slope, by_distance, per_fudge;
    distance_of(derive, s, at, &distance);
    if (may_skip && !is_in_reach(profile, s->fudge, distance.square))
        return 0;
    profile_of(derive, is_single, profile, s->fudge, distance.square, f, slope);
    EACH_LANE
        step->square[j] = cells_sqr * f[j] * f[j];
    if (!derive)
        return 1;
    EACH_LANE {
        per_fudge[j] = cells_sqr * f[j] * slope[j];
        /* half of d(square) is f times df, and the distance's derivatives are halves */
        by_distance[j] = 2.0 * per_fudge[j] * s->fudge;
        step->by_fudge[j] = per_fudge[j] * distance.square[j];
    }
    for (int i = 0; i < 3; i++) {
        const double per_n = 1.0 / s->n_cells[i];
        EACH_LANE {
            step->by_index[i][j] = by_distance[j] * distance.by_index[i][j];
            step->by_n[i][j] = step->square[j] * per_n + by_distance[j] * distance.by_n[i][j];
        }
    }
    if (s->metric == METRIC_RECIPROCAL)
        for (int x = 0; x < 3; x++) {
            lanes across;
            EACH_LANE
                across[j] = by_distance[j] * distance.across[x][j];
            for (int i = 0; i < 3; i++)
                EACH_LANE
                    step->by_star[i][x][j] = across[j] * (at->hkl[i][j] - at->whole[i][j]);
        }
    return 1;
}

#endif
