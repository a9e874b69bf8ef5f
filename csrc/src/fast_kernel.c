/* fast_kernel.c - several pixels at a time; compiled once for each instruction set.
 *
 * NBH_FAST_KERNEL names the function, NBH_FAST_FMA says that fused multiply-add is fast.  Every
 * loop over lanes has a fixed length and no branches, for the compiler to vectorise.  IEEE add,
 * multiply, divide and square root give the same bits in vectors of any width, so up to the sines'
 * arguments this file repeats pixel.h's operations in pixel.h's order. */
#include "fast.h"

#include <math.h>

#include "pixel.h"

#define LANES FAST_LANES
/* A loop over the lanes, whose number is j. */
#define EACH_LANE for (int j = 0; j < LANES; j++)

typedef double lanes[LANES];

#if defined(NBH_FAST_FMA)
#define MULTIPLY_ADD(a, b, c) __builtin_fma(a, b, c)
#else
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#endif

/* Adding and subtracting it rounds a double below 2^51 to a whole number. */
#define ROUNDING_MAGIC 6755399441055744.0

/* pi in three parts; whole numbers below 2^20 times the first two are exact. */
#define PI_HIGH 0x1.921fb54400000p+1
#define PI_MIDDLE 0x1.0b4611a600000p-33
#define PI_LOW 0x1.3198a2e037073p-68

/* Relative error of the polynomial below, and of its argument, that the bound allows for; what the
 * smallest |product of sines| must be for that; see docs/accuracy.md. */
#define TERM_ERROR 1e-12
#define STEP_ERROR 2.5e-16
#define SMALLEST_PRODUCT 0x1p-50
#define SMALLEST_SUM 1e-250
#define LARGEST_SUM 1e250

/* +-sin(x) for |x| < 2^20 pi: the sine of what is left after whole multiples of pi. */
static inline double sine_but_sign(double x)
{
    const double n = (x * INVERSE_PI + ROUNDING_MAGIC) - ROUNDING_MAGIC;
    const double r = ((x - n * PI_HIGH) - n * PI_MIDDLE) - n * PI_LOW;
    const double t = r * r;
    double p = -0x1.9f240c034152ep-41;
    p = MULTIPLY_ADD(p, t, 0x1.60e72755aab43p-33);
    p = MULTIPLY_ADD(p, t, -0x1.ae635788ed28ep-26);
    p = MULTIPLY_ADD(p, t, 0x1.71de38088d0bbp-19);
    p = MULTIPLY_ADD(p, t, -0x1.a01a019a53f69p-13);
    p = MULTIPLY_ADD(p, t, 0x1.1111111109f29p-7);
    p = MULTIPLY_ADD(p, t, -0x1.555555555547fp-3);
    p = MULTIPLY_ADD(p, t, 0x1.fffffffffffffp-1);
    return r * p;
}

/* ceil(x - 0.5) for |x| < 2^50, up to the sign of zero. */
static inline double nearest_index(double x)
{
    const double y = x - 0.5;
    const double rounded = (y + ROUNDING_MAGIC) - ROUNDING_MAGIC;
    return rounded < y ? rounded + 1.0 : rounded;
}

/* Structure factors of the nearest reflections.  Returns 0 if all of them are 0. */
static inline int nearest_f(const nbh_plan *plan, const lanes h, const lanes k, const lanes l,
                            lanes f)
{
    const nbh_structure_factors *t = &plan->table;
    const double h_min = t->h_min, h_max = t->h_max, k_min = t->k_min, k_max = t->k_max,
                 l_min = t->l_min, l_max = t->l_max;
    const double k_count = plan->k_range, l_count = plan->l_range, default_f = t->default_f;
    int32_t index[LANES];
    lanes inside;
    EACH_LANE {
        const double h0 = nearest_index(h[j]), k0 = nearest_index(k[j]), l0 = nearest_index(l[j]);
        const int in = (h0 >= h_min) & (h0 <= h_max) & (k0 >= k_min) & (k0 <= k_max) &
                       (l0 >= l_min) & (l0 <= l_max);
        const double place = ((h0 - h_min) * k_count + (k0 - k_min)) * l_count + (l0 - l_min);
        inside[j] = in ? 1.0 : 0.0;
        index[j] = (int32_t)(in ? place : 0.0);
    }
    EACH_LANE
        f[j] = t->amplitude[index[j]];
    int any = 0;
    EACH_LANE {
        f[j] = inside[j] != 0.0 ? f[j] : default_f;
        any |= f[j] != 0.0;
    }
    return any;
}

static inline double smaller(double a, double b)
{
    return a < b ? a : b;
}

static inline double larger(double a, double b)
{
    return a > b ? a : b;
}

/* What a block carries from sub-pixel to sub-pixel; see pixel_compute for the meaning. */
typedef struct block_state {
    lanes intensity, polar, omega, capture, omega_sum;
    lanes brightest_f;      /* largest |F| so far */
    lanes smallest_product; /* of sines, so far */
    lanes exact;            /* NaN: only the exact kernel can do this pixel; else 0 */
    int polar_is_pending;
} block_state;

/* All phi steps and domains of one source at one sub-pixel (model 6.4, 6.5): the hot loop. */
static inline int add_steps(const nbh_plan *plan, const lanes qx, const lanes qy, const lanes qz,
                            const lanes active, const volatile int32_t *cancel, block_state *s)
{
    const nbh_plan_info *info = &plan->info;
    const double na = plan->shape.n_cells[0], nb = plan->shape.n_cells[1],
                 nc = plan->shape.n_cells[2];
    const int use_a = na > 1.0, use_b = nb > 1.0, use_c = nc > 1.0;
    const int has_table = plan->table.amplitude != NULL;
    const double default_f = plan->table.default_f;
    for (int32_t phi_step = 0; phi_step < info->phi_steps; phi_step++) {
        for (int32_t domain = 0; domain < info->mosaic_domains; domain++) {
            if (plan_is_cancelled(cancel, domain))
                return 0;
            double scratch[9];
            const double *cell = pixel_cell(plan, 0, phi_step, domain, scratch);
            lanes h, k, l, f, numerator, denominator;
            EACH_LANE {
                h[j] = cell[0] * qx[j] + cell[1] * qy[j] + cell[2] * qz[j];
                k[j] = cell[3] * qx[j] + cell[4] * qy[j] + cell[5] * qz[j];
                l[j] = cell[6] * qx[j] + cell[7] * qy[j] + cell[8] * qz[j];
            }
            if (has_table) {
                if (!nearest_f(plan, h, k, l, f))
                    continue;
            } else {
                if (default_f == 0.0)
                    continue;
                EACH_LANE
                    f[j] = default_f;
            }
            EACH_LANE
                numerator[j] = denominator[j] = 1.0;
            const double *indices[3] = {h, k, l};
            const double n_cells[3] = {na, nb, nc};
            const int use[3] = {use_a, use_b, use_c};
            for (int axis = 0; axis < 3; axis++) {
                if (!use[axis])
                    continue;
                const double n = n_cells[axis];
                const double *index = indices[axis];
                EACH_LANE {
                    const double x = PI * index[j];
                    const double at_zero = x == 0.0 ? 1.0 : 0.0; /* there 0/0 means n */
                    numerator[j] *= sine_but_sign(x * n) + at_zero * n;
                    denominator[j] *= sine_but_sign(x) + at_zero;
                }
            }
            EACH_LANE {
                const double ratio = f[j] * numerator[j] / denominator[j];
                const double term = ratio * ratio;
                s->intensity[j] += active[j] != 0.0 ? term : 0.0;
                s->brightest_f[j] = larger(s->brightest_f[j], fabs(f[j]) * active[j]);
                s->smallest_product[j] = smaller(s->smallest_product[j],
                                                 smaller(fabs(numerator[j]), fabs(denominator[j])));
            }
        }
    }
    return 1;
}

/* Polarization factor of the lanes that are active and have none yet (model 6.3, 6.6). */
static inline void polarize(const nbh_plan *plan, const plan_source *from, const lanes active,
                            lanes dx, lanes dy, lanes dz, block_state *s)
{
    lanes ux, uy, uz, factor;
    EACH_LANE {
        const double m = sqrt(dx[j] * dx[j] + dy[j] * dy[j] + dz[j] * dz[j]);
        ux[j] = dx[j] / m;
        uy[j] = dy[j] / m;
        uz[j] = dz[j] / m;
    }
    const double *incident = from->incident_unit;
    if (plan->polarization_kahn == 0.0) {
        EACH_LANE {
            const double c = incident[0] * ux[j] + incident[1] * uy[j] + incident[2] * uz[j];
            factor[j] = 0.5 * (1.0 + c * c);
        }
    } else {
        const double *axis = plan->breaks[plan->break_count - 1].state.polar_axis;
        EACH_LANE {
            const double d[3] = {ux[j], uy[j], uz[j]};
            factor[j] = polarization_factor(plan->polarization_kahn, incident, d, axis);
        }
    }
    int pending = 0;
    EACH_LANE {
        const int now = (active[j] != 0.0) & (s->polar[j] == 0.0);
        dx[j] = now ? ux[j] : dx[j];
        dy[j] = now ? uy[j] : dy[j];
        dz[j] = now ? uz[j] : dz[j];
        s->polar[j] = now ? factor[j] : s->polar[j];
        pending |= s->polar[j] == 0.0;
    }
    s->polar_is_pending = pending;
}

/* One sub-pixel of one layer: position, solid angle, capture, then every source. */
static inline int add_subpixel(const nbh_plan *plan, const lanes fast_m, double slow_m,
                               int32_t layer, int is_first, int is_first_of_layer,
                               const volatile int32_t *cancel, block_state *s)
{
    const nbh_plan_info *info = &plan->info;
    const double depth_m = layer * info->sensor_layer_step_m;
    lanes px, py, pz, r, dx, dy, dz;
    if (plan->curved) {
        EACH_LANE {
            double position[3];
            pixel_position(plan, fast_m[j], slow_m, depth_m, position);
            px[j] = position[0];
            py[j] = position[1];
            pz[j] = position[2];
        }
    } else {
        const double *f = info->fast_axis, *g = info->slow_axis, *o = info->normal_axis,
                     *p0 = info->pix0_m;
        EACH_LANE {
            px[j] = fast_m[j] * f[0] + slow_m * g[0] + depth_m * o[0] + p0[0];
            py[j] = fast_m[j] * f[1] + slow_m * g[1] + depth_m * o[1] + p0[1];
            pz[j] = fast_m[j] * f[2] + slow_m * g[2] + depth_m * o[2] + p0[2];
        }
    }
    EACH_LANE {
        r[j] = sqrt(px[j] * px[j] + py[j] * py[j] + pz[j] * pz[j]);
        dx[j] = px[j] / r[j];
        dy[j] = py[j] / r[j];
        dz[j] = pz[j] / r[j];
    }
    if (is_first) {
        const double pixel = info->pixel_size_m, close = info->close_distance_m;
        if (plan->point_pixel) {
            EACH_LANE
                s->omega[j] = 1.0 / r[j] / r[j];
        } else {
            EACH_LANE
                s->omega[j] = pixel * pixel / r[j] / r[j] * close / r[j];
        }
        /* a factor of exactly 0 is computed again at the next sub-pixel: leave that to pixel.h */
        EACH_LANE
            s->exact[j] = s->omega[j] == 0.0 ? NAN : s->exact[j];
    }
    EACH_LANE
        s->omega_sum[j] += s->omega[j];
    if (is_first_of_layer) {
        if (info->sensor_thickness_m > 0.0) {
            EACH_LANE {
                const double d[3] = {dx[j], dy[j], dz[j]};
                s->capture[j] = pixel_capture(plan, layer, d);
                s->exact[j] = s->capture[j] == 0.0 ? NAN : s->exact[j];
            }
        } else {
            EACH_LANE
                s->capture[j] = 1.0;
        }
    }

    for (int32_t source = 0; source < info->source_count; source++) {
        const plan_source *from = &plan->sources[source];
        lanes qx, qy, qz, active;
        EACH_LANE {
            qx[j] = (dx[j] - from->incident[0]) / from->wavelength_m;
            qy[j] = (dy[j] - from->incident[1]) / from->wavelength_m;
            qz[j] = (dz[j] - from->incident[2]) / from->wavelength_m;
            active[j] = 1.0;
            s->exact[j] += (qx[j] + qy[j] + qz[j]) * 0.0; /* NaN where q is not finite */
        }
        if (plan->dmin_m > 0.0) {
            EACH_LANE {
                const double stol = 0.5 * sqrt(qx[j] * qx[j] + qy[j] * qy[j] + qz[j] * qz[j]);
                const int cut = (stol > 0.0) & (plan->dmin_m > 0.5 / stol);
                active[j] = cut ? 0.0 : 1.0;
            }
            double any_active = 0.0;
            EACH_LANE
                any_active += active[j];
            if (any_active == 0.0)
                continue;
        }
        if (s->polar_is_pending)
            polarize(plan, from, active, dx, dy, dz, s);
        if (!add_steps(plan, qx, qy, qz, active, cancel, s))
            return 0;
    }
    return 1;
}

void NBH_FAST_KERNEL(const nbh_plan *plan, const int32_t *fast, int32_t slow,
                     const volatile int32_t *cancel, fast_block *out)
{
    const nbh_plan_info *info = &plan->info;
    const int32_t oversample = info->oversample;
    block_state s;
    s.polar_is_pending = !plan->polarization_off;
    EACH_LANE {
        s.intensity[j] = info->water_background;
        s.polar[j] = plan->polarization_off ? 1.0 : 0.0;
        s.omega[j] = s.capture[j] = s.omega_sum[j] = s.exact[j] = s.brightest_f[j] = 0.0;
        s.smallest_product[j] = 1.0;
    }
    int is_first = 1;
    for (int32_t layer = 0; layer < info->sensor_layers; layer++) {
        int is_first_of_layer = 1;
        for (int32_t sub_slow = 0; sub_slow < oversample; sub_slow++) {
            const double slow_m =
                plan->subpixel_m * ((double)slow * oversample + sub_slow) + plan->subpixel_m / 2.0;
            for (int32_t sub_fast = 0; sub_fast < oversample; sub_fast++) {
                lanes fast_m;
                EACH_LANE
                    fast_m[j] = plan->subpixel_m * ((double)fast[j] * oversample + sub_fast) +
                                plan->subpixel_m / 2.0;
                if (!add_subpixel(plan, fast_m, slow_m, layer, is_first, is_first_of_layer, cancel,
                                  &s)) {
                    out->cancelled = 1;
                    return;
                }
                is_first = is_first_of_layer = 0;
            }
        }
    }

    /* The bound: every term has a relative error below TERM_ERROR, all terms are >= 0, and adding
     * n terms rounds n times here and n times in the exact kernel.  What follows rises (or falls)
     * with the intensity in every IEEE operation, so low and high bracket the exact value. */
    const double error = TERM_ERROR + STEP_ERROR * info->steps * info->sensor_layers;
    EACH_LANE {
        const int in_range = (s.intensity[j] > SMALLEST_SUM) & (s.intensity[j] < LARGEST_SUM);
        const int known =
            (s.smallest_product[j] >= SMALLEST_PRODUCT) & (in_range | (s.brightest_f[j] == 0.0));
        const double middle = (known ? s.intensity[j] : NAN) + s.exact[j];
        double low = plan->scale * (middle * (1.0 - error)) / info->steps;
        double high = plan->scale * (middle * (1.0 + error)) / info->steps;
        low *= s.capture[j];
        high *= s.capture[j];
        low *= s.polar[j];
        high *= s.polar[j];
        low *= s.omega[j];
        high *= s.omega[j];
        out->low[j] = 0.0 + low;
        out->high[j] = 0.0 + high;
        out->omega_sum[j] = s.omega_sum[j];
    }
    out->cancelled = 0;
}
