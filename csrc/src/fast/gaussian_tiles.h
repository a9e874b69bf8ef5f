/* gaussian_tiles.h - the steps of Gaussian crystals without factors of their own, of all sources of
 * one direction at a time: h, k and l are what an orientation makes of the direction, over the
 * wavelength, and all pixels of a tile may have one nearest reflection.
 *
 * Rounded in another way than the model says, indices are off by some units in their last place;
 * docs/accuracy.md, "Gaussians of a tile", has what that does to a sum. */
#ifndef NBH_FAST_GAUSSIAN_TILES_H
#define NBH_FAST_GAUSSIAN_TILES_H

#include <math.h>
#include <string.h>

#include "fast/factors.h"
#include "fast/lane_bits.h"
#include "fast/lanes.h"
#include "fast/light_bounds.h"
#include "fast/powers.h"
#include "plan.h"
#include "shapes.h"

/* Lanes whose light is looked at together, and steps that wait together. */
#define TILE_PART 8
#define TILE_PARTS (LANES / TILE_PART)
#define TILE_BATCH 16
/* Of a term, besides what the indices make of it: the polynomial, and the exponent's roundings. */
#define TILE_TERM_ERROR 3e-12
/* Errors of an index, in parts of what its products may be: 16 or 24 halves of a unit. */
#define TILE_INDEX_ERROR_HKL (16.0 * 0x1p-53)
#define TILE_INDEX_ERROR_RECIPROCAL (24.0 * 0x1p-53)
/* Errors of a distance above which too many pixels would be undecided; with a tolerance, above
 * which they would be a matter of the float's last place. */
#define TILE_LARGEST_ERROR 3e-11
#define TILE_LARGEST_ERROR_OF_TOLERANCE 1e-10

/* Distances from a reflection in the measure of the shape: exp(-2 y) is 2^-(x^2 + y^2 + z^2). */
typedef struct tile_measure {
    int32_t along_indices; /* the measure is that of h, k, l: column i has but element i */
    double column[3][3];   /* of h, k, l */
    double per_weight[3];  /* 1/column[i][i], if along_indices */
    double darkest;        /* exponents above are those of steps without light */
    double log_of_all;     /* binary logarithm of all steps of a pixel, if they were brightest */
} tile_measure;

/* Sources of one direction as the lanes see them. */
typedef struct tile_view {
    lanes vx, vy, vz; /* the change of the unit vector */
} tile_view;

/* Steps that wait for their exponentials: parts of lanes with light side by side. */
typedef struct tile_batch {
    lanes exponent[TILE_BATCH];
    double f_sqr[TILE_BATCH];
    uint32_t part[(TILE_BATCH + 1) * TILE_PARTS]; /* the first lane: 32 for the second step; what
                                                    is behind part_count counts for nothing */
    int32_t count, part_count;
    double index_error; /* of the distance, the largest of what is in the sum */
    lanes sum;
} tile_batch;

static inline tile_measure tile_measure_of(const nbh_plan *plan)
{
    const crystal_shape *s = &plan->shape;
    const double scale = sqrt(2.0 * s->fudge / 0.63 / LN2), peak = shape_peak(s);
    const double *stars[3] = {s->a_star, s->b_star, s->c_star};
    tile_measure m = {.along_indices = s->metric == METRIC_HKL};
    for (int i = 0; i < 3; i++) {
        switch (s->metric) {
        case METRIC_HKL:
            m.column[i][i] = scale * s->n_cells[i];
            m.per_weight[i] = 1.0 / m.column[i][i];
            break;
        case METRIC_RECIPROCAL:
            for (int k = 0; k < 3; k++)
                m.column[i][k] = scale * peak * stars[i][k];
            break;
        }
    }
    m.darkest = scale * scale * plan->light->bounds.dark_from * (1.0 + 1e-9);
    m.log_of_all = log2(plan->light->brightest_term * plan->info.steps) + 1e-6;
    return m;
}

/* How far from the exact kernel's a distance may be, for indices of a tile: |a| is at most
 * length_m, the change of direction |v|, the wavelengths at least 1/largest. */
static inline double tile_index_error(const tile_measure *m, const light_bounds *bounds,
                                      const tile_directions *tile, const light_sources *sources)
{
    double v_sqr = 0.0, fast_sqr = 0.0, slow_sqr = 0.0, squares = 0.0, sum = 0.0;
    for (int i = 0; i < 3; i++) {
        const double v = tile->d[i] - sources->incident[i];
        v_sqr += v * v;
        fast_sqr += tile->g_fast[i] * tile->g_fast[i];
        slow_sqr += tile->g_slow[i] * tile->g_slow[i];
    }
    const double v = (sqrt(v_sqr) + sqrt(fast_sqr) * tile->half_fast +
                      sqrt(slow_sqr) * tile->half_slow + tile->rho) *
                     (1.0 + 1e-9);
    for (int i = 0; i < 3; i++) {
        const double *c = m->column[i];
        const double of_index = sqrt(c[0] * c[0] + c[1] * c[1] + c[2] * c[2]) *
                                (bounds->length_m[i] * v * sources->largest + 0.5);
        squares += of_index * of_index;
        sum += of_index;
    }
    return m->along_indices ? TILE_INDEX_ERROR_HKL * sqrt(squares)
                            : TILE_INDEX_ERROR_RECIPROCAL * sum;
}

static inline void tile_start(tile_batch *batch)
{
    batch->count = batch->part_count = 0;
    batch->index_error = 0.0;
    EACH_LANE
        batch->sum[j] = 0.0;
}

/* Adds what waits to the sum. */
OUT_OF_LINE void tile_sum_batch(tile_batch *batch)
{
    const double *exponents = batch->exponent[0];
    for (int32_t n = 0; n < batch->part_count; n++) {
        const uint32_t first = batch->part[n];
        const double *exponent = exponents + first, f_sqr = batch->f_sqr[first / LANES];
        double *to = batch->sum + first % LANES;
        /* what is beyond the largest is less than the light of an omitted step */
        add_powers_times(exponent, f_sqr, TILE_PART, to);
    }
    batch->count = batch->part_count = 0;
}

/* What an orientation makes of the directions: times 1/wavelength, what the measure makes of h, k,
 * l. */
SPECIALISED void tile_turn(const tile_measure *m, const double *cells, int64_t stride,
                           const tile_view *view, lanes x[3])
{
    double cell[3][3];
    for (int i = 0; i < 3; i++) {
        const double *components = cells + (ptrdiff_t)i * stride;
        const double a = components[0], b = components[3 * stride], c = components[6 * stride];
        for (int k = 0; k < 3; k++)
            cell[k][i] = m->column[0][k] * a + m->column[1][k] * b + m->column[2][k] * c;
    }
    const double *vx = view->vx, *vy = view->vy, *vz = view->vz;
    EACH_LANE {
        x[0][j] =
            MULTIPLY_ADD(cell[0][2], vz[j], MULTIPLY_ADD(cell[0][1], vy[j], cell[0][0] * vx[j]));
        x[1][j] =
            MULTIPLY_ADD(cell[1][2], vz[j], MULTIPLY_ADD(cell[1][1], vy[j], cell[1][0] * vx[j]));
        x[2][j] =
            MULTIPLY_ADD(cell[2][2], vz[j], MULTIPLY_ADD(cell[2][1], vy[j], cell[2][0] * vx[j]));
    }
}

/* The parts whose bits are set, by their first lanes. */
typedef struct part_list {
    uint32_t first[TILE_PARTS];
    int32_t count;
} part_list;

static const part_list PARTS[1 << TILE_PARTS] = {
    {{0}, 0},      {{0}, 1},         {{8}, 1},         {{0, 8}, 2},
    {{16}, 1},     {{0, 16}, 2},     {{8, 16}, 2},     {{0, 8, 16}, 3},
    {{24}, 1},     {{0, 24}, 2},     {{8, 24}, 2},     {{0, 8, 24}, 3},
    {{16, 24}, 2}, {{0, 16, 24}, 3}, {{8, 16, 24}, 3}, {{0, 8, 16, 24}, 4}};

/* Where the exponents of the next step go. */
static inline double *tile_next(tile_batch *batch)
{
    if (batch->count == TILE_BATCH)
        tile_sum_batch(batch);
    return batch->exponent[batch->count];
}

/* The next step, whose exponents are there, waits. */
static inline void tile_keep(const tile_measure *m, double f_sqr, tile_batch *batch)
{
    const uint64_t lit = lanes_below(batch->exponent[batch->count], m->darkest);
    const part_list *parts = &PARTS[eights_with_bits(lit)];
    uint32_t *part = batch->part + batch->part_count;
    const uint32_t step = (uint32_t)batch->count * LANES;
    for (int i = 0; i < TILE_PARTS; i++)
        part[i] = step + parts->first[i];
    batch->part_count += parts->count;
    batch->f_sqr[batch->count] = f_sqr;
    batch->count++;
}

/* What the measure makes of a reflection. */
static inline void tile_origin(const tile_measure *m, const double whole[3], double origin[3])
{
    for (int k = 0; k < 3; k++)
        origin[k] =
            m->column[0][k] * whole[0] + m->column[1][k] * whole[1] + m->column[2][k] * whole[2];
}

/* A step with the same nearest reflection in all lanes. */
static inline void tile_add_alone(const tile_measure *m, const double origin[3], double f_sqr,
                                  double per_wavelength, lanes x[3], tile_batch *batch)
{
    double *exponent = tile_next(batch);
    const double *x0 = x[0], *x1 = x[1], *x2 = x[2];
    EACH_LANE {
        const double a = MULTIPLY_ADD(x0[j], per_wavelength, -origin[0]),
                     b = MULTIPLY_ADD(x1[j], per_wavelength, -origin[1]),
                     c = MULTIPLY_ADD(x2[j], per_wavelength, -origin[2]);
        exponent[j] = MULTIPLY_ADD(c, c, MULTIPLY_ADD(b, b, a * a));
    }
    tile_keep(m, f_sqr, batch);
}

/* One whose lanes may have different ones, all with the same F; where two are equally near, either.
 * The measure is along h, k, l. */
static inline void tile_add_nearest(const tile_measure *m, double f_sqr, double per_wavelength,
                                    lanes x[3], tile_batch *batch)
{
    double *exponent = tile_next(batch), per[3], weight[3];
    for (int i = 0; i < 3; i++) {
        per[i] = per_wavelength * m->per_weight[i];
        weight[i] = m->column[i][i];
    }
    const double *x0 = x[0], *x1 = x[1], *x2 = x[2];
    EACH_LANE {
        const double h = nearest_whole(x0[j] * per[0]), k = nearest_whole(x1[j] * per[1]),
                     l = nearest_whole(x2[j] * per[2]);
        const double a = MULTIPLY_ADD(x0[j], per_wavelength, -(h * weight[0])),
                     b = MULTIPLY_ADD(x1[j], per_wavelength, -(k * weight[1])),
                     c = MULTIPLY_ADD(x2[j], per_wavelength, -(l * weight[2]));
        exponent[j] = MULTIPLY_ADD(c, c, MULTIPLY_ADD(b, b, a * a));
    }
    tile_keep(m, f_sqr, batch);
}

/* F of a reflection. */
static inline double tile_f(const nbh_plan *plan, const double whole[3])
{
    const nbh_structure_factors *t = &plan->table;
    const double first[3] = {t->h_min, t->k_min, t->l_min},
                 last[3] = {t->h_max, t->k_max, t->l_max};
    if (t->amplitude == NULL)
        return t->default_f;
    for (int i = 0; i < 3; i++)
        if (!is_between(whole[i], first[i], last[i]))
            return t->default_f;
    const int64_t h = (int64_t)(whole[0] - first[0]), k = (int64_t)(whole[1] - first[1]),
                  l = (int64_t)(whole[2] - first[2]);
    return t->amplitude[(h * (int64_t)plan->k_range + k) * (int64_t)plan->l_range + l];
}

/* The sum of all that waited, times the squared number of cells, and how far it may be off. */
static inline void tile_finish(const nbh_plan *plan, const tile_measure *m, tile_batch *batch,
                               lanes sum, lanes error)
{
    const double peak = shape_peak(&plan->shape), peak_sqr = peak * peak;
    if (batch->count > 0)
        tile_sum_batch(batch);
    const double of_index = 2.0 * LN2 * (1.0 + 1e-6) * batch->index_error;
    uint64_t bits[LANES];
    EACH_LANE
        sum[j] = batch->sum[j] * peak_sqr;
    memcpy(bits, sum, sizeof bits);
    lanes power;
    EACH_LANE { /* the double between 1.5 * 2^52 and 2^53 whose last bits are the exponent's */
        const uint64_t exponent = (bits[j] >> 52) + (uint64_t)ROUNDING_MAGIC_BITS;
        memcpy(&power[j], &exponent, sizeof exponent);
    }
    EACH_LANE {
        const double below_all = m->log_of_all - ((power[j] - ROUNDING_MAGIC) - 1023.0);
        const double average = below_all > 0.0 ? below_all : 0.0;
        error[j] = sum[j] * (of_index * sqrt(average) + TILE_TERM_ERROR);
    }
}

#endif
