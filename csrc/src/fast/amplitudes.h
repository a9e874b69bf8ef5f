/* amplitudes.h - structure factors of several rows' steps, nearest and interpolated, with their
 * derivatives (model 6.5, 6.7). */
#ifndef NBH_FAST_AMPLITUDES_H
#define NBH_FAST_AMPLITUDES_H

#include "fast/lanes.h"
#include "fast/lattice_step.h"
#include "nbh/nbh.h"

/* Structure factors of a step, and what is needed to hand derivatives back to the table. */
typedef struct step_amplitudes {
    lanes f;
    lanes by_index[3];     /* of interpolated ones */
    lanes leaves;          /* 1: not interpolated, because a node is not in the table */
    lanes nodes[3][4];     /* weights of the four nodes along h, k, l */
    int32_t index[LANES];  /* in the table, of the nearest reflection; -1: not in it */
    int32_t corner[LANES]; /* of the first node */
} step_amplitudes;

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

#endif
