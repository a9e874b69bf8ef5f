/* light_lattice.c - what a lattice and its sources are to the bounds of light_bounds.h. */
#include "fast/light_lattice.h"

#include <math.h>

#include "constants.h"
#include "fast/profiles.h"
#include "vec3.h"

/* Of the exponent of a squared Gaussian: up to there its error is that of docs/accuracy.md. */
#define LARGEST_EXPONENT 340.0
/* |cubic| <= 1.25 of the largest of its four values, three times. */
#define LARGEST_OF_TRICUBIC 1.96
/* Beyond this index nothing is known of a parallelepiped's peaks. */
#define LARGEST_PEAK_INDEX 10000

double light_largest_f(const nbh_structure_factors *t, int interpolates)
{
    double largest = fabs(t->default_f), sum = 0.0 * t->default_f;
    if (t->amplitude != NULL) {
        const int64_t count = ((int64_t)t->h_max - t->h_min + 1) *
                              ((int64_t)t->k_max - t->k_min + 1) *
                              ((int64_t)t->l_max - t->l_min + 1);
        for (int64_t i = 0; i < count; i++) {
            const double f = fabs(t->amplitude[i]);
            largest = f > largest ? f : largest;
            sum += 0.0 * f;
        }
    }
    if (sum != 0.0) /* NaN: one is not finite */
        return INFINITY;
    return interpolates ? LARGEST_OF_TRICUBIC * largest : largest;
}

/* The smallest eigenvalue of the Gram matrix of three unit vectors with these cosines, or less:
 * Newton's steps towards the smallest root of the characteristic polynomial stay below it. */
static double least_eigenvalue(double ab, double ac, double bc)
{
    const double squares = ab * ab + ac * ac + bc * bc, product = 2.0 * ab * ac * bc;
    double x = 0.0;
    for (int i = 0; i < 60; i++) {
        const double y = 1.0 - x;
        const double value = y * y * y - y * squares + product, slope = 3.0 * y * y - squares;
        if (!(value > 0.0 && slope > 0.0))
            break;
        x += value / slope;
    }
    return x > 1e-6 ? x * (1.0 - 1e-6) : 0.0;
}

/* Weights of the squared distance from a reflection along each index. */
static void set_weights(const crystal_shape *s, double weight[3])
{
    switch (s->metric) {
    case METRIC_HKL:
        for (int i = 0; i < 3; i++)
            weight[i] = s->n_cells[i];
        break;
    case METRIC_RECIPROCAL: {
        double a[3], b[3], c[3];
        vec3_unit(s->a_star, a);
        vec3_unit(s->b_star, b);
        vec3_unit(s->c_star, c);
        const double peak = shape_peak(s);
        const double least =
            peak * sqrt(least_eigenvalue(vec3_dot(a, b), vec3_dot(a, c), vec3_dot(b, c)));
        weight[0] = least * vec3_mag(s->a_star);
        weight[1] = least * vec3_mag(s->b_star);
        weight[2] = least * vec3_mag(s->c_star);
        break;
    }
    }
}

/* The argument from which the squared transform of a sphere is at most `least` of K^2: |f| <=
 * 3 K (1 + 1/x) / x^2. */
static double dark_phase(double least)
{
    const double root = 3.0 / sqrt(least);
    double x = sqrt(root);
    for (int i = 0; i < 60; i++)
        x = sqrt(root * (1.0 + 1.0 / x));
    return x * 1.001;
}

double light_dark_from(const crystal_shape *s, double f, double dark_term)
{
    const double peak = shape_peak(s), f_sqr = f * f, brightest = f_sqr * peak * peak;
    double dark_from = INFINITY;
    switch (s->profile) {
    case PROFILE_INTERFERENCE:
        return f_sqr / dark_term * (1.0 + 1e-6);
    case PROFILE_SPHERE:
        dark_from = dark_phase(dark_term / (brightest * 0.5237)) / PI;
        dark_from *= dark_from / s->fudge;
        break;
    case PROFILE_GAUSSIAN: {
        const double exponent = log(brightest / dark_term) + 1e-6;
        if (!(exponent < LARGEST_EXPONENT) || !shape_has_exponents(s))
            return INFINITY;
        dark_from = exponent > 0.0 ? exponent * (0.63 / 2.0) / s->fudge : 0.0;
        break;
    }
    case PROFILE_TOP_HAT:
        dark_from = 0.3969 / s->fudge;
        break;
    }
    return dark_from * (1.0 + 1e-8);
}

nbh_culling_reason light_set_measure(const crystal_shape *s, double f, light_bounds *bounds)
{
    double farthest = 0.0;
    bounds->by_planes = s->profile == PROFILE_INTERFERENCE;
    bounds->dark_from = light_dark_from(s, f, bounds->dark_term);
    if (profile_is_exact(s->profile))
        bounds->dark_term = 0.0;
    if (bounds->by_planes)
        return bounds->dark_from < 1.0 ? NBH_CULLING_REASON_NONE : NBH_CULLING_REASON_NOTHING_DARK;
    if (isinf(bounds->dark_from))
        return NBH_CULLING_REASON_SHAPE;
    set_weights(s, bounds->weight);
    for (int i = 0; i < 3; i++)
        farthest += 0.25 * bounds->weight[i] * bounds->weight[i];
    return bounds->dark_from < farthest ? NBH_CULLING_REASON_NONE : NBH_CULLING_REASON_NOTHING_DARK;
}

int light_copy_cells(const double *cells, int64_t count, double shortest_m, memory_budget *memory,
                     light_bounds *bounds)
{
    nbh_error ignored;
    bounds->count = count;
    bounds->stride = (count + LANES - 1) / LANES * LANES;
    bounds->cells =
        allocate(9 * bounds->stride, sizeof(double), "cells by component", memory, &ignored);
    if (bounds->cells == NULL)
        return 0;
    double largest_index = 1.0;
    for (int64_t n = 0; n < bounds->stride; n++) {
        const double *cell = cells + 9 * (n < count ? n : count - 1);
        for (int i = 0; i < 9; i++)
            bounds->cells[i * bounds->stride + n] = cell[i];
        for (int i = 0; i < 3; i++) {
            const double length = vec3_mag(&cell[(ptrdiff_t)3 * i]) * (1.0 + 1e-9);
            if (!(length <= bounds->length_m[i]))
                bounds->length_m[i] = length;
        }
    }
    for (int i = 0; i < 3; i++) {
        bounds->largest_index[i] = bounds->length_m[i] * 2.0 / shortest_m;
        if (bounds->largest_index[i] > largest_index)
            largest_index = bounds->largest_index[i];
    }
    bounds->margin = 1e-8 + 1e-12 * largest_index;
    bounds->margin_of_normal =
        bounds->margin * (bounds->weight[0] + bounds->weight[1] + bounds->weight[2]);
    return 1;
}

/* The largest |sin(x N) / sin(x)| of doubles x next to n pi, for whole N.  x N is off by ulp(x) N
 * at most: nine units in the last place away the quotient is below 1.2 N; at the doubles in between
 * it is what the library makes of it. */
static double largest_quotient(double n_cells, double n)
{
    double largest = 1.2 * n_cells, x = n * PI;
    for (int i = 0; i < 10; i++)
        x = nextafter(x, 0.0);
    for (int i = 0; i < 21; i++, x = nextafter(x, INFINITY)) {
        const double quotient = fabs(shape_sincg(x, n_cells));
        if (!(quotient <= largest))
            largest = quotient;
    }
    return largest;
}

int light_set_peaks(const crystal_shape *s, memory_budget *memory, light_bounds *bounds)
{
    nbh_error ignored;
    for (int i = 0; i < 3; i++) {
        const double n_cells = s->n_cells[i];
        if (!bounds->by_planes)
            continue;
        const double most = n_cells > 1.0 ? bounds->largest_index[i] + 1.0 : 0.0;
        const int32_t last = most < LARGEST_PEAK_INDEX ? (int32_t)most + 1 : LARGEST_PEAK_INDEX;
        double *least = allocate((int64_t)last + 1, sizeof *least, "peaks", memory, &ignored);
        bounds->least[i] = least;
        bounds->last_whole[i] = last;
        if (least == NULL)
            return 0;
        for (int32_t n = 0; n <= last && !(n_cells > 1.0); n++)
            least[n] = 1.0;
        if (n_cells != floor(n_cells) || !(n_cells > 1.0)) /* poles: no bound; no factor */
            continue;
        least[0] = (1.0 - 1e-6) / (n_cells * n_cells);
        for (int32_t n = 1; n < last; n++) { /* the last stays 0, for all beyond */
            const double quotient = largest_quotient(n_cells, n);
            least[n] = (1.0 - 1e-6) / (quotient * quotient);
        }
    }
    return 1;
}

double light_width_of_group(const light_bounds *bounds, double reach_of_group)
{
    double width = INFINITY;
    for (int i = 0; i < 3; i++) {
        const double reach = bounds->by_planes ? 0.1 : sqrt(bounds->dark_from) / bounds->weight[i];
        const double of_axis = reach_of_group * reach / bounds->length_m[i];
        if (of_axis < width)
            width = of_axis;
    }
    return width;
}

static void finish_group(light_sources *group)
{
    double least = INFINITY, largest = 0.0;
    for (int32_t s = 0; s < group->count; s++) {
        least = group->per_wavelength[s] < least ? group->per_wavelength[s] : least;
        largest = group->per_wavelength[s] > largest ? group->per_wavelength[s] : largest;
    }
    for (int32_t s = group->count; s < LIGHT_SOURCES; s++)
        group->per_wavelength[s] = group->per_wavelength[group->count - 1];
    group->members = (UINT64_C(1) << group->count) - 1;
    group->largest = largest;
    group->middle = group->count == 1 ? largest : 0.5 * (least + largest);
    group->half = group->count == 1 ? 0.0 : 0.5 * (largest - least) * (1.0 + 1e-9);
}

int32_t light_group_sources(const light_beam *beams, int32_t beam_count, double width,
                            light_sources *groups)
{
    int32_t count = 0;
    double least = 0.0, largest = 0.0;
    int32_t members = 0;
    for (int32_t n = 0; n < beam_count; n++) {
        const light_beam *source = &beams[n];
        const double per = 1.0 / source->wavelength_m;
        const double lower = members > 0 && least < per ? least : per,
                     upper = members > 0 && largest > per ? largest : per;
        const int joins = members > 0 && width > 0.0 && members < LIGHT_SOURCES &&
                          upper - lower <= width &&
                          vec3_equal(source->incident, beams[n - 1].incident);
        members = joins ? members + 1 : 1;
        count += !joins;
        least = joins ? lower : per;
        largest = joins ? upper : per;
        light_sources *group = &groups[count - 1];
        if (!joins)
            group->first = n;
        vec3_copy(source->incident, group->incident);
        group->per_wavelength[members - 1] = per;
        group->count = members;
    }
    for (int32_t n = 0; n < count; n++) {
        const int goes_on = n > 0 && vec3_equal(groups[n].incident, groups[n - 1].incident);
        groups[n].direction = n == 0 ? 0 : groups[n - 1].direction + !goes_on;
        finish_group(&groups[n]);
    }
    return count;
}
