/* sums.h - sums of F^2 times squared lattice factors over orientations, and their first derivatives
 * in the same pass (model 6.5), for the instruction set of the file that includes this one.
 *
 * Indices and the sines' arguments are computed with exactly the model's operations, as in
 * kernel.h; what follows rounds differently, by a few units in the fifteenth digit. */
#ifndef NBH_FAST_SUMS_H
#define NBH_FAST_SUMS_H

#include <string.h>

#include "fast/factor_steps.h"
#include "fast/sums_tile.h"

/* Structure factors of a step, and what is needed to hand derivatives back to the table. */
typedef struct step_amplitudes {
    lanes f;
    lanes by_index[3];     /* of interpolated ones */
    lanes leaves;          /* 1: not interpolated, because a node is not in the table */
    lanes nodes[3][4];     /* weights of the four nodes along h, k, l */
    int32_t index[LANES];  /* in the table, of the nearest reflection; -1: not in it */
    int32_t corner[LANES]; /* of the first node */
} step_amplitudes;

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

static inline double count_of(int32_t first, int32_t last)
{
    return (double)last - (double)first + 1.0;
}

/* Of the nearest reflections. */
static inline void nearest_amplitudes(const nbh_structure_factors *t, const step_indices *at,
                                      step_amplitudes *out)
{
    const double k_count = count_of(t->k_min, t->k_max), l_count = count_of(t->l_min, t->l_max);
    const double *h = at->whole[0], *k = at->whole[1], *l = at->whole[2];
    lanes flat;
    EACH_LANE {
        const int inside = (h[j] >= t->h_min) & (h[j] <= t->h_max) & (k[j] >= t->k_min) &
                           (k[j] <= t->k_max) & (l[j] >= t->l_min) & (l[j] <= t->l_max);
        const double number =
            ((h[j] - t->h_min) * k_count + (k[j] - t->k_min)) * l_count + (l[j] - t->l_min);
        flat[j] = inside ? number : -1.0;
    }
    EACH_LANE
        out->index[j] = (int32_t)flat[j];
    EACH_LANE
        out->f[j] = out->index[j] < 0 ? t->default_f : t->amplitude[out->index[j]];
}

/* Weights of the nodes -1, 0, 1, 2 at u past node 0, and their derivatives (model 6.7). */
static inline void node_weights(const lanes u, lanes weight[4], lanes slope[4])
{
    EACH_LANE {
        const double x = u[j], p = x + 1.0, m = x - 1.0, n = x - 2.0, sixth = 1.0 / 6.0;
        weight[0][j] = -sixth * x * m * n;
        weight[1][j] = 0.5 * p * m * n;
        weight[2][j] = -0.5 * p * x * n;
        weight[3][j] = sixth * p * x * m;
        slope[0][j] = -sixth * (m * n + x * n + x * m);
        slope[1][j] = 0.5 * (m * n + p * n + p * m);
        slope[2][j] = -0.5 * (x * n + p * n + p * x);
        slope[3][j] = sixth * (x * m + p * m + p * x);
    }
}

/* Interpolated ones where all nodes are in the table (model 6.5, 6.7), otherwise the nearest. */
OUT_OF_LINE void interpolated_amplitudes(const int derive, const nbh_structure_factors *t,
                                         const step_indices *at, step_amplitudes *out)
{
    const double first[3] = {t->h_min, t->k_min, t->l_min};
    const double count[3] = {count_of(t->h_min, t->h_max), count_of(t->k_min, t->k_max),
                             count_of(t->l_min, t->l_max)};
    lanes u, corner, slopes[3][4], value;
    nearest_amplitudes(t, at, out);
    EACH_LANE
        out->leaves[j] = corner[j] = value[j] = 0.0;
    for (int i = 0; i < 3; i++) {
        const double *x = at->hkl[i];
        EACH_LANE {
            const double node = floor_index(x[j]);
            const int inside = (x[j] - first[i] + 3 <= count[i]) & (x[j] - 2 >= first[i]);
            out->leaves[j] = inside ? out->leaves[j] : 1.0;
            corner[j] = corner[j] * count[i] + (node - 1.0 - first[i]);
            u[j] = x[j] - node;
        }
        node_weights(u, out->nodes[i], slopes[i]);
        EACH_LANE
            out->by_index[i][j] = 0.0;
    }
    EACH_LANE
        out->corner[j] = (int32_t)(out->leaves[j] != 0.0 ? 0.0 : corner[j]);
    if (all_are_set(out->leaves))
        return;
    const int32_t l_count = (int32_t)count[2], kl_count = (int32_t)(count[1] * count[2]);
    for (int ih = 0; ih < 4; ih++)
        for (int ik = 0; ik < 4; ik++) {
            lanes row, row_slope;
            EACH_LANE
                row[j] = row_slope[j] = 0.0;
            for (int il = 0; il < 4; il++) {
                lanes f;
                const int32_t offset = ih * kl_count + ik * l_count + il;
                EACH_LANE {
                    /* all four nodes are there, or the first entry stands in for nothing */
                    const int32_t place = out->corner[j] + offset;
                    f[j] = t->amplitude[out->leaves[j] != 0.0 ? 0 : place];
                }
                EACH_LANE {
                    row[j] += out->nodes[2][il][j] * f[j];
                    row_slope[j] += slopes[2][il][j] * f[j];
                }
            }
            EACH_LANE {
                const double wh = out->nodes[0][ih][j], wk = out->nodes[1][ik][j];
                value[j] += wh * wk * row[j];
                if (derive) {
                    out->by_index[0][j] += slopes[0][ih][j] * wk * row[j];
                    out->by_index[1][j] += wh * slopes[1][ik][j] * row[j];
                    out->by_index[2][j] += wh * wk * row_slope[j];
                }
            }
        }
    EACH_LANE {
        const int leaves = out->leaves[j] != 0.0;
        out->f[j] = leaves ? out->f[j] : value[j];
        for (int i = 0; i < 3; i++)
            out->by_index[i][j] = leaves ? 0.0 : out->by_index[i][j];
    }
}

/* What a step adds to its row's sum, and half of that term's derivatives.  Without a table F is
 * left out: it is the caller's business. */
SPECIALISED void evaluate_step(const int derive, const shape_profile profile,
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
    else
        spot_step(derive, lattice->is_single, profile, s, &at, step);
    if (!has_table)
        return;
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
}

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

/* A sums_kernel for one profile. */
SPECIALISED void sum_tile_of(const int derive, const shape_profile profile,
                             const sums_lattice *lattice, const double *const q[3], double *sum,
                             const sums_derivatives *wanted)
{
    sums_totals totals;
    sums_gradient *gradient = derive ? wanted->gradient : NULL;
    if (derive) {
        memset(&totals, 0, sizeof totals);
        clear_derivatives(wanted);
    }
    memset(sum, 0, SUMS_TILE * sizeof *sum);
    for (int64_t o = 0; o < lattice->orientation_count; o++) {
        const double *cell = lattice->cells + 9 * o;
        double partial[9][8];
        memset(partial, 0, sizeof partial);
        for (int first = 0; first < SUMS_TILE; first += LANES) {
            const double *const rows[3] = {q[0] + first, q[1] + first, q[2] + first};
            double *own = sum + first;
            lattice_step step;
            step_amplitudes amplitudes;
            evaluate_step(derive, profile, lattice, cell, rows, &step, &amplitudes);
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
        sum_tile_of(0, profile, lattice, q, sum, NULL);                                            \
    else                                                                                           \
        sum_tile_of(1, profile, lattice, q, sum, wanted)

/* A sums_kernel, for the instruction set of the file that includes this one. */
static void sum_tile(const sums_lattice *lattice, const double *const q[3], double *sum,
                     const sums_derivatives *wanted)
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

#endif
