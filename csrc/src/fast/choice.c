#include "fast/choice.h"

#include <math.h>

#include "constants.h"
#include "error.h"
#include "fast/culled_avx2.h"
#include "fast/culled_avx512.h"
#include "fast/culled_baseline.h"
#include "fast/instruction_sets.h"
#include "fast/kernel_avx2.h"
#include "fast/kernel_avx512.h"
#include "fast/kernel_baseline.h"
#include "fast/lanes.h"
#include "fast/profiles.h"
#include "orientations.h"
#include "vec3.h"

/* remainder_of_pi needs |x| < 2^20 pi; half of that leaves room for rounding. */
#define LARGEST_PHASE (524288.0 * PI)
/* nearest_index needs |h| < 2^50. */
#define LARGEST_INDEX 1e9
/* table_f needs whole numbers that are exact. */
#define LARGEST_TABLE_INDEX 0x1p50
/* How far the vectors of the polarization may be from orthonormal (docs/accuracy.md). */
#define FRAME_ERROR 1e-15

/* The largest |h|, |k|, |l| of the whole image: |h| <= |a| |q|, and |q| <= 2 / wavelength. */
static void largest_indices(const nbh_plan *plan, double hkl[3])
{
    const double *axes[3] = {plan->info.a0_m, plan->info.b0_m, plan->info.c0_m};
    for (int i = 0; i < 3; i++) {
        hkl[i] = 0.0;
        for (int32_t n = 0; n < plan->info.source_count; n++) {
            const double index = vec3_mag(axes[i]) * (2.0 / fabs(plan->sources[n].wavelength_m));
            if (!(index <= hkl[i]) && !isnan(hkl[i]))
                hkl[i] = index;
        }
    }
}

/* Are all indices, and the sines' arguments, small enough? */
static int indices_are_small(const nbh_plan *plan)
{
    const crystal_shape *s = &plan->shape;
    double hkl[3], n_sqr = 0.0;
    if (!shape_is_finite(s) || !plan_orientations_are_finite(plan))
        return 0;
    largest_indices(plan, hkl);
    for (int i = 0; i < 3; i++) {
        if (!(hkl[i] < LARGEST_INDEX))
            return 0;
        n_sqr += s->n_cells[i] * s->n_cells[i];
    }
    switch (s->profile) {
    case PROFILE_INTERFERENCE:
        for (int i = 0; i < 3; i++)
            if (!(PI * hkl[i] * s->n_cells[i] < LARGEST_PHASE))
                return 0;
        return 1;
    case PROFILE_SPHERE: /* the distance from a reflection is at most half an index in each
                            direction */
        return PI * 0.5 * sqrt(n_sqr * s->fudge) < LARGEST_PHASE;
    case PROFILE_GAUSSIAN:
    case PROFILE_TOP_HAT:
        return 1;
    }
    return 0;
}

/* Is the shape's factor at most that of a reflection? */
static int shape_is_bounded(const crystal_shape *s)
{
    switch (s->profile) {
    case PROFILE_INTERFERENCE:
    case PROFILE_TOP_HAT:
        return 1;
    case PROFILE_SPHERE:
    case PROFILE_GAUSSIAN:
        return s->fudge >= 0.0;
    }
    return 0;
}

/* Can a sum have terms of either sign, or the shape grow without limit? */
static int something_is_negative(const nbh_plan *plan)
{
    if (profile_is_exact(plan->shape.profile))
        return 0;
    if (plan->use_source_weights)
        for (int32_t n = 0; n < plan->info.source_count; n++)
            if (!(plan->sources[n].relative_weight >= 0.0))
                return 1;
    return !(plan->info.water_background >= 0.0) || !(plan->scale >= 0.0) ||
           !shape_is_bounded(&plan->shape);
}

/* Zero, or far enough from the ends of the range of doubles that `quotient` is exact? */
static int is_ordinary(double x)
{
    return x == 0.0 || (fabs(x) >= SMALLEST_ORDINARY && fabs(x) <= LARGEST_ORDINARY);
}

/* All that divides, or is divided, and that the kernel does not look at itself. */
static int quotients_are_ordinary(const nbh_plan *plan)
{
    int ordinary = is_ordinary(plan->info.pixel_size_m) &&
                   is_ordinary(plan->info.pixel_size_slow_m) &&
                   is_ordinary(plan->info.close_distance_m);
    for (int32_t n = 0; n < plan->info.source_count; n++) {
        const plan_source *source = &plan->sources[n];
        ordinary &= is_ordinary(source->wavelength_m);
        for (int i = 0; i < 3; i++)
            ordinary &= is_ordinary(source->incident[i]);
    }
    return ordinary;
}

/* The vectors b and e of the polarization (model 6.6) with the axis as it settled. */
static void set_polarization_frame(const nbh_plan *plan, plan_source *source)
{
    double axis[3], gram[6];
    vec3_unit(plan_last_state(plan)->state.polar_axis, axis);
    vec3_cross(axis, source->incident_unit, source->b);
    vec3_unit(source->b, source->b);
    vec3_cross(source->incident_unit, source->b, source->e);
    vec3_unit(source->e, source->e);
    const double *vectors[3] = {source->incident_unit, source->b, source->e};
    for (int i = 0; i < 3; i++) {
        gram[i] = vec3_dot(vectors[i], vectors[i]) - 1.0;
        gram[i + 3] = vec3_dot(vectors[i], vectors[(i + 1) % 3]);
    }
    source->frame_is_good = 1;
    for (int i = 0; i < 6; i++)
        source->frame_is_good &= fabs(gram[i]) < FRAME_ERROR;
}

/* Bounds h h_stride + k k_stride + l of all entries of the table. */
static double largest_table_index(const nbh_plan *plan)
{
    const nbh_structure_factors *t = &plan->table;
    const double last = plan->h_range * plan->k_range * plan->l_range;
    return fabs((double)t->h_min) * plan->k_range * plan->l_range +
           fabs((double)t->k_min) * plan->l_range + fabs((double)t->l_min) + last;
}

/* Does the fast kernel cover the plan?  If not, *reason says why. */
static int covers(const nbh_plan *plan, nbh_kernel_reason *reason)
{
    const serial_state *settled = &plan_last_state(plan)->state;
    const double entries = plan->h_range * plan->k_range * plan->l_range;
    const int polarizes = !plan->polarization_off || plan->oversample_polar;
    if (something_is_negative(plan))
        *reason = NBH_KERNEL_REASON_NEGATIVE;
    else if (!indices_are_small(plan))
        *reason = NBH_KERNEL_REASON_LARGE_INDICES;
    else if (!quotients_are_ordinary(plan))
        *reason = NBH_KERNEL_REASON_EXTREME_LENGTHS;
    else if (plan->table.amplitude != NULL &&
             (!(entries <= INT32_MAX) || !(largest_table_index(plan) < LARGEST_TABLE_INDEX)))
        *reason = NBH_KERNEL_REASON_LARGE_TABLE;
    else if (polarizes && !settled->axis_is_fixed)
        *reason = NBH_KERNEL_REASON_POLARIZATION_AXIS;
    else
        return 1;
    return 0;
}

/* The longest vectors a, b, c of any step, metres. */
static void longest_axes(const nbh_plan *plan, double longest[3])
{
    for (int i = 0; i < 3; i++)
        longest[i] = 0.0;
    for (int32_t phi_step = 0; phi_step < plan->info.phi_steps; phi_step++) {
        for (int32_t domain = 0; domain < plan->info.mosaic_domains; domain++) {
            double scratch[9];
            const double *cell = orientation_cell(plan, 0, phi_step, domain, scratch);
            for (int i = 0; i < 3; i++) {
                const double length = vec3_mag(&cell[(ptrdiff_t)3 * i]);
                if (!(length <= longest[i]) && !isnan(longest[i]))
                    longest[i] = length;
            }
        }
    }
}

/* The reduction by pi is off by 2^-106 for each multiple, relative to the smallest sine (at least
 * the product of all) by 2^-46. */
static double smallest_product(const nbh_plan *plan)
{
    double hkl[3], multiples = 1.0;
    largest_indices(plan, hkl);
    for (int i = 0; i < 3; i++)
        if (hkl[i] * plan->shape.n_cells[i] > multiples)
            multiples = hkl[i] * plan->shape.n_cells[i];
    return multiples * 0x1p-60;
}

/* Up to which q^2 all indices are `less` inside of the first and the last of the table, whatever
 * the direction: |h| <= |a| |q|.  Below 0 where the origin is not, which is that of q = 0. */
static double q_sqr_inside(const nbh_plan *plan, double less)
{
    const nbh_structure_factors *t = &plan->table;
    if (t->amplitude == NULL)
        return 0.0;
    const double first[3] = {t->h_min, t->k_min, t->l_min},
                 last[3] = {t->h_max, t->k_max, t->l_max};
    double longest[3], q = INFINITY;
    longest_axes(plan, longest);
    for (int i = 0; i < 3; i++) {
        const double reach = -first[i] < last[i] ? -first[i] : last[i];
        const double q_of_axis = (reach - less) / longest[i];
        if (!(q_of_axis >= q))
            q = q_of_axis;
    }
    return q > 0.0 ? q * q : -1.0;
}

/* The build with this name; NULL where the name is no build's, or this processor does not run it.
 */
static fast_kernel *build_of(nbh_kernel kernel)
{
    if (!instruction_set_runs(kernel))
        return NULL;
    switch (kernel) {
    case NBH_KERNEL_AUTO:
    case NBH_KERNEL_EXACT:
        return NULL;
    case NBH_KERNEL_BASELINE:
        return fast_kernel_baseline;
#if defined(NBH_HAVE_X86_KERNELS)
    case NBH_KERNEL_AVX2:
        return fast_kernel_avx2;
    case NBH_KERNEL_AVX512:
        return fast_kernel_avx512;
#else
    case NBH_KERNEL_AVX2:
    case NBH_KERNEL_AVX512:
        return NULL;
#endif
    }
    return NULL;
}

/* The same for steps with light only. */
static fast_kernel *culled_build_of(nbh_kernel kernel)
{
    switch (kernel) {
    case NBH_KERNEL_AUTO:
    case NBH_KERNEL_EXACT:
        return NULL;
    case NBH_KERNEL_BASELINE:
        return culled_kernel_baseline;
#if defined(NBH_HAVE_X86_KERNELS)
    case NBH_KERNEL_AVX2:
        return culled_kernel_avx2;
    case NBH_KERNEL_AVX512:
        return culled_kernel_avx512;
#else
    case NBH_KERNEL_AVX2:
    case NBH_KERNEL_AVX512:
        return NULL;
#endif
    }
    return NULL;
}

int32_t nbh_kernel_is_available(int32_t kernel)
{
    switch ((nbh_kernel)kernel) {
    case NBH_KERNEL_AUTO:
    case NBH_KERNEL_EXACT:
        return 1;
    case NBH_KERNEL_BASELINE:
    case NBH_KERNEL_AVX2:
    case NBH_KERNEL_AVX512:
        return instruction_set_runs((nbh_kernel)kernel);
    }
    return 0;
}

nbh_status fast_choose_kernel(nbh_plan *plan, int32_t kernel, nbh_error *error)
{
    if (!nbh_kernel_is_available(kernel))
        return nbh_fail(error, NBH_INVALID, "kernel",
                        "got %d, need an nbh_kernel that this processor runs", kernel);
    const nbh_kernel chosen = instruction_set_of((nbh_kernel)kernel);
    fast_kernel *const build = build_of(chosen);
    nbh_kernel_reason reason = NBH_KERNEL_REASON_ASKED;
    plan->kernel = plan->culled_kernel = NULL;
    plan->info.kernel = NBH_KERNEL_EXACT;
    if (build != NULL && covers(plan, &reason)) {
        for (int32_t n = 0; n < plan->info.source_count; n++)
            set_polarization_frame(plan, &plan->sources[n]);
        plan->smallest_product = smallest_product(plan);
        plan->q_sqr_inside_table = q_sqr_inside(plan, -0.49); /* not 0.5: there are roundings */
        plan->q_sqr_inside_stencils = q_sqr_inside(plan, 2.01);
        plan->kernel = build;
        plan->culled_kernel = culled_build_of(chosen);
        plan->info.kernel = (int32_t)chosen;
        reason = NBH_KERNEL_REASON_NONE;
    }
    plan->info.kernel_reason = (int32_t)reason;
    return NBH_OK;
}
