/* sums.h - sums of F^2 times squared lattice factors over orientations, and their first derivatives
 * in the same pass (model 6.5), for the instruction set of the file that includes this one.
 *
 * Indices and the sines' arguments are computed with exactly the model's operations, as in
 * kernel.h; what follows rounds differently, by a few units in the fifteenth digit. */
#ifndef NBH_FAST_SUMS_H
#define NBH_FAST_SUMS_H

#include <float.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "fast/amplitudes.h"
#include "fast/factor_steps.h"
#include "fast/sum_derivatives.h"
#include "fast/sums_tile.h"

SPECIALISED void indices_of(const double cell[9], const double *const q[3], int rounds_half_down,
                            step_indices *at)
{
    for (int i = 0; i < 3; i++) {
        const double *v = cell + (ptrdiff_t)3 * i;
        double *hkl = at->hkl[i], *whole = at->whole[i];
        EACH_LANE
            hkl[j] = v[0] * q[0][j] + v[1] * q[1][j] + v[2] * q[2][j];
        if (rounds_half_down) {
            EACH_LANE
                whole[j] = nearest_index(hkl[j]);
        } else {
            EACH_LANE
                whole[j] = nearest_whole(hkl[j]);
        }
    }
}

/* What a step adds to its row's sum, and half of that term's derivatives.  Without a table F is
 * left out: it is the caller's business.  Returns 0 where that is nothing: see spot_step. */
SPECIALISED int evaluate_step(const int derive, int may_skip, const shape_profile profile,
                              const sums_lattice *lattice, const double cell[9],
                              const double *const q[3], lattice_step *step,
                              step_amplitudes *amplitudes)
{
    const crystal_shape *s = &lattice->shape;
    const nbh_structure_factors *table = &lattice->table;
    const int has_table = table->amplitude != NULL;
    step_indices at;
    indices_of(cell, q, has_table || profile != PROFILE_INTERFERENCE, &at);
    if (profile == PROFILE_INTERFERENCE)
        interference_step(derive, lattice->is_single, lattice->has_whole_cells, lattice->axes, &at,
                          step);
    else if (!spot_step(derive, lattice->is_single, may_skip, profile, s, &at, step))
        return 0;
    if (!has_table)
        return 1;
    double *f = amplitudes->f;
    if (lattice->interpolates)
        interpolated_amplitudes(derive, table, &at, amplitudes);
    else
        nearest_amplitudes(table, &at, amplitudes);
    if (derive) {
        for (int i = 0; i < 3; i++) {
            EACH_LANE {
                step->by_index[i][j] *= f[j] * f[j];
                step->by_n[i][j] *= f[j] * f[j];
            }
            if (lattice->interpolates)
                EACH_LANE
                    step->by_index[i][j] += f[j] * amplitudes->by_index[i][j] * step->square[j];
        }
        EACH_LANE
            step->by_f[j] = f[j] * step->square[j];
        if (profile != PROFILE_INTERFERENCE) {
            EACH_LANE
                step->by_fudge[j] *= f[j] * f[j];
            if (s->metric == METRIC_RECIPROCAL)
                for (int i = 0; i < 3; i++)
                    for (int x = 0; x < 3; x++)
                        EACH_LANE
                            step->by_star[i][x][j] *= f[j] * f[j];
        }
    }
    EACH_LANE
        step->square[j] *= f[j] * f[j];
    return 1;
}

/* exp(-x) is 0 from here on: half of the smallest double, or less. */
#define GAUSSIAN_ENDS 745.1332191019412

/* Which lattice factors are exactly 0, where only some are (model 6.5). */
OUT_OF_LINE void zeros_of(const sums_lattice *lattice, const double cell[9],
                          const double *const q[3], lanes is_zero)
{
    const double fudge = lattice->shape.fudge;
    step_indices at;
    distance_step distance;
    EACH_LANE
        is_zero[j] = 0.0;
    switch (lattice->shape.profile) {
    case PROFILE_INTERFERENCE: /* sines of multiples of pi are not exactly 0 */
    case PROFILE_SPHERE:
        return;
    case PROFILE_GAUSSIAN:
        indices_of(cell, q, 1, &at);
        distance_of(0, &lattice->shape, &at, &distance);
        EACH_LANE
            is_zero[j] = distance.square[j] / 0.63 * fudge >= GAUSSIAN_ENDS ? 1.0 : 0.0;
        return;
    case PROFILE_TOP_HAT:
        indices_of(cell, q, 1, &at);
        distance_of(0, &lattice->shape, &at, &distance);
        EACH_LANE
            is_zero[j] = distance.square[j] * fudge < 0.3969 ? 0.0 : 1.0;
        return;
    }
}

/* Before the first step of a running sum. */
static inline void start_running(sums_running *r)
{
    for (int j = 0; j < SUMS_TILE; j++) {
        r->count[j] = r->by_growth[j] = 0.0;
        r->all[0][j] = r->all[1][j] = r->before[0][j] = r->before[1][j] = 1.0;
    }
}

/* A step's term and its derivatives, times all growth from the step on. */
OUT_OF_LINE void grow_step(const int derive, const sums_lattice *lattice, const double cell[9],
                           const double *const q[3], int first, lattice_step *step, sums_running *r)
{
    lanes is_zero, one, other;
    EACH_LANE
        is_zero[j] = 0.0;
    if (r->skips_zeros)
        zeros_of(lattice, cell, q, is_zero);
    EACH_LANE {
        const int at = first + j, counts = is_zero[j] == 0.0;
        const double a = r->all[0][at], b = r->all[1][at];
        const double term = counts ? step->square[j] : 0.0;
        /* the factors take turns */
        const double grown = counts ? b * r->growth[at] : a, left = counts ? a : b;
        r->count[at] += counts ? 1.0 : 0.0;
        r->by_growth[at] += term == 0.0 ? 0.0 : term * a * b * r->count[at];
        r->before[0][at] = counts ? a : r->before[0][at];
        r->before[1][at] = counts ? b : r->before[1][at];
        r->all[0][at] = grown;
        r->all[1][at] = left;
        /* nothing stays nothing, whatever it is multiplied with */
        one[j] = term == 0.0 && isinf(grown) ? 0.0 : grown;
        other[j] = term == 0.0 && isinf(left) ? 0.0 : left;
        step->square[j] = term * one[j] * other[j];
    }
    if (!derive)
        return;
    for (int i = 0; i < 3; i++)
        EACH_LANE {
            step->by_index[i][j] *= one[j] * other[j];
            step->by_n[i][j] *= one[j] * other[j];
        }
    if (lattice->table.amplitude != NULL)
        EACH_LANE
            step->by_f[j] *= one[j] * other[j];
    if (lattice->shape.profile == PROFILE_INTERFERENCE)
        return;
    EACH_LANE
        step->by_fudge[j] *= one[j] * other[j];
    if (lattice->shape.metric == METRIC_RECIPROCAL)
        for (int i = 0; i < 3; i++)
            for (int x = 0; x < 3; x++)
                EACH_LANE
                    step->by_star[i][x][j] *= one[j] * other[j];
}

/* For each LANES rows a bit: may steps without light be skipped?  Not where a step's derivatives
 * are multiplied by what is no number, and not where what is multiplied is the sum so far. */
static inline unsigned skippable(const sums_derivatives *wanted, const sums_running *running)
{
    unsigned bits = 0;
    if (running != NULL)
        return 0;
    if (wanted == NULL || wanted->gradient == NULL)
        return UINT_MAX;
    for (int first = 0; first < SUMS_TILE; first += LANES) {
        lanes is_number;
        EACH_LANE
            is_number[j] = fabs(wanted->weight[first + j]) <= DBL_MAX ? 1.0 : 0.0;
        bits |= (unsigned)all_are_set(is_number) << (first / LANES);
    }
    return bits;
}

/* A sums_kernel for one profile. */
SPECIALISED void sum_tile_of(const int derive, const shape_profile profile,
                             const sums_lattice *lattice, const double *const q[3], double *sum,
                             const sums_derivatives *wanted, sums_running *running,
                             const sums_visits *visits)
{
    sums_totals totals;
    sums_gradient *gradient = derive ? wanted->gradient : NULL;
    if (derive) {
        memset(&totals, 0, sizeof totals);
        clear_derivatives(wanted);
    }
    memset(sum, 0, SUMS_TILE * sizeof *sum);
    if (running != NULL)
        start_running(running);
    const unsigned may_skip =
        profile == PROFILE_INTERFERENCE ? 0 : skippable(derive ? wanted : NULL, running);
    for (int64_t n = 0; n < lattice->orientation_count; n++) {
        const int64_t o = running == NULL ? n : lattice->orientation_count - 1 - n;
        const double *cell = lattice->cells + 9 * o;
        const unsigned visited = visits == NULL ? UINT_MAX : visits[o];
        if (visited == 0)
            continue;
        double partial[9][8];
        memset(partial, 0, sizeof partial);
        for (int first = 0; first < SUMS_TILE; first += LANES) {
            if ((visited >> (first / LANES) & 1) == 0)
                continue;
            const double *const rows[3] = {q[0] + first, q[1] + first, q[2] + first};
            double *own = sum + first;
            lattice_step step;
            step_amplitudes amplitudes;
            if (!evaluate_step(derive, may_skip >> (first / LANES) & 1, profile, lattice, cell,
                               rows, &step, &amplitudes))
                continue;
            if (running != NULL)
                grow_step(derive, lattice, cell, rows, first, &step, running);
            EACH_LANE
                own[j] += step.square[j];
            if (derive && gradient != NULL)
                add_gradient(profile, lattice, cell, rows, wanted->weight + first, &step,
                             &amplitudes, first, partial, &totals, gradient);
            if (derive && wanted->tangent != NULL)
                add_tangent(profile, lattice, cell, wanted->along->cells + 9 * o, rows, &step,
                            &amplitudes, first, wanted->along, wanted->tangent + first);
            if (derive && wanted->local != NULL)
                add_local(profile, lattice, o, rows, &step, &amplitudes, first, wanted->local);
        }
        if (derive && gradient != NULL)
            for (int i = 0; i < 9; i++) {
                double total = 0.0;
                for (int p = 0; p < 8; p++)
                    total += partial[i][p];
                gradient->cells[9 * o + i] += total;
            }
    }
    if (derive && gradient != NULL)
        finish_gradient(wanted->weight, &totals, gradient);
}

/* The same, compiled for a profile with and without derivatives. */
#define SUM_TILE_OF(profile)                                                                       \
    if (wanted == NULL)                                                                            \
        sum_tile_of(0, profile, lattice, q, sum, NULL, running, visits);                           \
    else                                                                                           \
        sum_tile_of(1, profile, lattice, q, sum, wanted, running, visits)

/* A sums_kernel, for the instruction set of the file that includes this one; running: NULL, or what
 * the sums are multiplied with; visits: NULL, or which steps are visited. */
OUT_OF_LINE void running_sum_tile(const sums_lattice *lattice, const double *const q[3],
                                  double *sum, const sums_derivatives *wanted,
                                  sums_running *running, const sums_visits *visits)
{
    switch (lattice->shape.profile) {
    case PROFILE_INTERFERENCE:
        SUM_TILE_OF(PROFILE_INTERFERENCE);
        break;
    case PROFILE_SPHERE:
        SUM_TILE_OF(PROFILE_SPHERE);
        break;
    case PROFILE_GAUSSIAN:
        SUM_TILE_OF(PROFILE_GAUSSIAN);
        break;
    case PROFILE_TOP_HAT:
        SUM_TILE_OF(PROFILE_TOP_HAT);
        break;
    }
}

static void sum_tile(const sums_lattice *lattice, const double *const q[3], double *sum,
                     const sums_derivatives *wanted)
{
    running_sum_tile(lattice, q, sum, wanted, NULL, NULL);
}

#endif
