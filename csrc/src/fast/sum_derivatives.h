/* sum_derivatives.h - derivatives of a step's terms, added to what is wanted: those of a weighted
 * sum by everything, of each row along a direction, of each row by what rows share. */
#ifndef NBH_FAST_SUM_DERIVATIVES_H
#define NBH_FAST_SUM_DERIVATIVES_H

#include <string.h>

#include "fast/amplitudes.h"
#include "fast/sums_tile.h"

/* What a tile's loop over orientations adds up for everything that rows share but for the cells. */
typedef struct sums_totals {
    lanes n_cells[3];
    lanes fudge;
    lanes star[3][3];
} sums_totals;

/* Hands the derivatives by structure factors back to where they came from. */
static inline void scatter_by_f(const sums_lattice *lattice, const lattice_step *step,
                                const step_amplitudes *a, const double *weight,
                                sums_gradient *gradient)
{
    const nbh_structure_factors *t = &lattice->table;
    const int32_t l_count = t->l_max - t->l_min + 1, kl_count = (t->k_max - t->k_min + 1) * l_count;
    for (int j = 0; j < LANES; j++) {
        const double by_f = step->by_f[j] * weight[j];
        if (!lattice->interpolates || a->leaves[j] != 0.0) {
            if (a->index[j] < 0)
                gradient->default_f += by_f;
            else if (gradient->amplitude != NULL)
                gradient->amplitude[a->index[j]] += by_f;
            continue;
        }
        if (gradient->amplitude == NULL)
            continue;
        for (int ih = 0; ih < 4; ih++)
            for (int ik = 0; ik < 4; ik++) {
                const double w = by_f * a->nodes[0][ih][j] * a->nodes[1][ik][j];
                double *row = gradient->amplitude + a->corner[j] + (ptrdiff_t)ih * kl_count +
                              (ptrdiff_t)ik * l_count;
                for (int il = 0; il < 4; il++)
                    row[il] += w * a->nodes[2][il][j];
            }
    }
}

/* Adds the derivatives to q and to N, those to N times the weight. */
static inline void add_q_and_n(const double cell[9], const double *weight, const lattice_step *step,
                               int first, sums_totals *totals, sums_gradient *gradient)
{
    const double *da = step->by_index[0], *db = step->by_index[1], *dc = step->by_index[2];
    for (int x = 0; x < 3; x++) {
        double *out = gradient->q[x] + first;
        EACH_LANE
            out[j] += da[j] * cell[x] + db[j] * cell[3 + x] + dc[j] * cell[6 + x];
    }
    for (int i = 0; i < 3; i++)
        EACH_LANE
            totals->n_cells[i][j] += step->by_n[i][j] * weight[j];
}

/* The same with fewer instructions, where roundings do not matter. */
static inline void add_q_and_n_fused(const double cell[9], const double *weight,
                                     const lattice_step *step, int first, sums_totals *totals,
                                     sums_gradient *gradient)
{
    const double *da = step->by_index[0], *db = step->by_index[1], *dc = step->by_index[2];
    for (int x = 0; x < 3; x++) {
        double *out = gradient->q[x] + first;
        EACH_LANE {
            const double sum = MULTIPLY_ADD(dc[j], cell[6 + x], out[j]);
            out[j] = MULTIPLY_ADD(da[j], cell[x], MULTIPLY_ADD(db[j], cell[3 + x], sum));
        }
    }
    for (int i = 0; i < 3; i++) {
        double *out = totals->n_cells[i];
        EACH_LANE
            out[j] = MULTIPLY_ADD(step->by_n[i][j], weight[j], out[j]);
    }
}

/* Adds to what rows share, each times its weight, and to q without it. */
SPECIALISED void add_gradient(const shape_profile profile, const sums_lattice *lattice,
                              const double cell[9], const double *const q[3], const double *weight,
                              const lattice_step *step, const step_amplitudes *amplitudes,
                              int first, double partial[9][8], sums_totals *totals,
                              sums_gradient *gradient)
{
    if (lattice->is_single)
        add_q_and_n_fused(cell, weight, step, first, totals, gradient);
    else
        add_q_and_n(cell, weight, step, first, totals, gradient);
    if (profile != PROFILE_INTERFERENCE) {
        EACH_LANE
            totals->fudge[j] += step->by_fudge[j] * weight[j];
        if (lattice->shape.metric == METRIC_RECIPROCAL)
            for (int i = 0; i < 3; i++)
                for (int x = 0; x < 3; x++)
                    EACH_LANE
                        totals->star[i][x][j] += step->by_star[i][x][j] * weight[j];
    }
    if (lattice->table.amplitude != NULL)
        scatter_by_f(lattice, step, amplitudes, weight, gradient);
    for (int i = 0; i < 3; i++) {
        const double *d = step->by_index[i];
        for (int p = 0; p < 8; p++) {
            const double w0 = d[p] * weight[p], w1 = d[p + 8] * weight[p + 8],
                         w2 = d[p + 16] * weight[p + 16], w3 = d[p + 24] * weight[p + 24];
            for (int x = 0; x < 3; x++)
                partial[3 * i + x][p] +=
                    MULTIPLY_ADD(w0, q[x][p],
                                 MULTIPLY_ADD(w1, q[x][p + 8],
                                              MULTIPLY_ADD(w2, q[x][p + 16], w3 * q[x][p + 24])));
        }
    }
}

/* Is a lane's structure factor one of the table, or made of some? */
static inline int is_amplitude_in_table(const sums_lattice *lattice, const step_amplitudes *a,
                                        int j)
{
    return (lattice->interpolates && a->leaves[j] == 0.0) || a->index[j] >= 0;
}

/* What a lane takes from a table of the same size, with the same weights. */
static inline double amplitude_of(const sums_lattice *lattice, const step_amplitudes *a,
                                  const double *table, int j)
{
    if (!lattice->interpolates || a->leaves[j] != 0.0)
        return table[a->index[j]];
    const nbh_structure_factors *t = &lattice->table;
    const int32_t l_count = t->l_max - t->l_min + 1, kl_count = (t->k_max - t->k_min + 1) * l_count;
    double f = 0.0;
    for (int ih = 0; ih < 4; ih++)
        for (int ik = 0; ik < 4; ik++)
            for (int il = 0; il < 4; il++)
                f += a->nodes[0][ih][j] * a->nodes[1][ik][j] * a->nodes[2][il][j] *
                     table[a->corner[j] + ih * kl_count + ik * l_count + il];
    return f;
}

/* Adds the derivative along a direction. */
SPECIALISED void add_tangent(const shape_profile profile, const sums_lattice *lattice,
                             const double cell[9], const double cell_tangent[9],
                             const double *const q[3], const lattice_step *step,
                             const step_amplitudes *amplitudes, int first,
                             const sums_tangent *along, double *out)
{
    for (int i = 0; i < 3; i++) {
        const double *c = cell + (ptrdiff_t)3 * i, *v = cell_tangent + (ptrdiff_t)3 * i;
        const double *qx = along->q[0] + first, *qy = along->q[1] + first,
                     *qz = along->q[2] + first;
        const double *d = step->by_index[i], *by_n = step->by_n[i];
        const double n = along->n_cells[i];
        EACH_LANE
            out[j] += 2.0 * d[j] *
                          (c[0] * qx[j] + c[1] * qy[j] + c[2] * qz[j] + v[0] * q[0][j] +
                           v[1] * q[1][j] + v[2] * q[2][j]) +
                      2.0 * by_n[j] * n;
    }
    if (profile != PROFILE_INTERFERENCE) {
        EACH_LANE
            out[j] += 2.0 * step->by_fudge[j] * along->fudge;
        if (lattice->shape.metric == METRIC_RECIPROCAL)
            for (int i = 0; i < 3; i++)
                for (int x = 0; x < 3; x++)
                    EACH_LANE
                        out[j] += 2.0 * step->by_star[i][x][j] * along->star[i][x];
    }
    if (lattice->table.amplitude == NULL)
        return;
    for (int j = 0; j < LANES; j++) {
        double f = along->default_f;
        if (is_amplitude_in_table(lattice, amplitudes, j))
            f = along->amplitude == NULL ? 0.0
                                         : amplitude_of(lattice, amplitudes, along->amplitude, j);
        out[j] += 2.0 * step->by_f[j] * f;
    }
}

/* Adds each row's derivatives by what rows share. */
SPECIALISED void add_local(const shape_profile profile, const sums_lattice *lattice, int64_t o,
                           const double *const q[3], const lattice_step *step,
                           const step_amplitudes *amplitudes, int first, sums_local *local)
{
    const double *cell = lattice->cells + 9 * o;
    const double *da = step->by_index[0], *db = step->by_index[1], *dc = step->by_index[2];
    for (int x = 0; x < 3; x++) {
        double *out = local->q[x] + first;
        EACH_LANE
            out[j] += da[j] * cell[x] + db[j] * cell[3 + x] + dc[j] * cell[6 + x];
    }
    if (local->rotations != NULL) {
        const double *m = local->rotations + 9 * o;
        for (int x = 0; x < 3; x++) {
            double *a = local->reference[x] + first, *b = local->reference[3 + x] + first,
                   *c = local->reference[6 + x] + first;
            EACH_LANE {
                const double turned = m[x] * q[0][j] + m[3 + x] * q[1][j] + m[6 + x] * q[2][j];
                a[j] += da[j] * turned;
                b[j] += db[j] * turned;
                c[j] += dc[j] * turned;
            }
        }
    }
    for (int t = 0; t < local->turning_count; t++) {
        const double *v = local->turning + 9 * (t * lattice->orientation_count + o);
        double *out = local->by_turning + (ptrdiff_t)t * SUMS_TILE + first;
        EACH_LANE
            out[j] += da[j] * (v[0] * q[0][j] + v[1] * q[1][j] + v[2] * q[2][j]) +
                      db[j] * (v[3] * q[0][j] + v[4] * q[1][j] + v[5] * q[2][j]) +
                      dc[j] * (v[6] * q[0][j] + v[7] * q[1][j] + v[8] * q[2][j]);
    }
    for (int i = 0; i < 3; i++) {
        double *out = local->n_cells[i] + first;
        EACH_LANE
            out[j] += step->by_n[i][j];
    }
    if (profile != PROFILE_INTERFERENCE) {
        EACH_LANE
            local->fudge[first + j] += step->by_fudge[j];
        if (lattice->shape.metric == METRIC_RECIPROCAL)
            for (int i = 0; i < 9; i++) {
                double *out = local->star[i] + first;
                const double *by_star = step->by_star[i / 3][i % 3];
                EACH_LANE
                    out[j] += by_star[j];
            }
    }
    if (lattice->table.amplitude == NULL)
        return;
    for (int j = 0; j < LANES; j++) {
        const int is_in_table = is_amplitude_in_table(lattice, amplitudes, j);
        if (!is_in_table)
            local->default_f[first + j] += step->by_f[j];
        else if (local->amplitude != NULL)
            local->by_amplitude[first + j] +=
                step->by_f[j] * amplitude_of(lattice, amplitudes, local->amplitude, j);
    }
}

static inline double total_of(const lanes x)
{
    double total = 0.0;
    for (int j = 0; j < LANES; j++)
        total += x[j];
    return total;
}

/* Sets to 0 what the loop over orientations adds to. */
static inline void clear_derivatives(const sums_derivatives *d)
{
    if (d->tangent != NULL)
        memset(d->tangent, 0, SUMS_TILE * sizeof *d->tangent);
    if (d->gradient != NULL)
        memset(d->gradient->q, 0, sizeof d->gradient->q);
    sums_local *local = d->local;
    if (local == NULL)
        return;
    memset(local->q, 0, sizeof local->q);
    memset(local->reference, 0, sizeof local->reference);
    memset(local->n_cells, 0, sizeof local->n_cells);
    memset(local->fudge, 0, sizeof local->fudge);
    memset(local->star, 0, sizeof local->star);
    memset(local->default_f, 0, sizeof local->default_f);
    memset(local->by_amplitude, 0, sizeof local->by_amplitude);
    if (local->turning_count > 0)
        memset(local->by_turning, 0,
               (size_t)local->turning_count * SUMS_TILE * sizeof *local->by_turning);
}

/* Adds up what the lanes of a gradient have. */
static inline void finish_gradient(const double *weight, const sums_totals *totals,
                                   sums_gradient *gradient)
{
    for (int x = 0; x < 3; x++)
        for (int j = 0; j < SUMS_TILE; j++)
            gradient->q[x][j] *= weight[j];
    gradient->fudge += total_of(totals->fudge);
    for (int i = 0; i < 3; i++) {
        gradient->n_cells[i] += total_of(totals->n_cells[i]);
        for (int x = 0; x < 3; x++)
            gradient->star[i][x] += total_of(totals->star[i][x]);
    }
}

#endif
