/* fast.c - which plans the fast kernel covers, and which of its builds this processor runs. */
#include "fast.h"

#include <math.h>

#include "constants.h"
#include "error.h"
#include "vec3.h"

/* sine_but_sign needs |x| < 2^20 pi; half of that leaves room for rounding. */
#define LARGEST_PHASE (524288.0 * PI)

/* The largest |pi h N| of the whole image: |h| <= |a| |q|, and |q| <= 2 / wavelength. */
static double largest_phase(const nbh_plan *plan)
{
    const double *axes[3] = {plan->info.a0_m, plan->info.b0_m, plan->info.c0_m};
    double largest = 0.0;
    for (int32_t n = 0; n < plan->info.source_count; n++) {
        const double q = 2.0 / fabs(plan->sources[n].wavelength_m);
        for (int i = 0; i < 3; i++) {
            const double phase = PI * vec3_mag(axes[i]) * q * plan->shape.n_cells[i];
            if (!(phase <= largest))
                largest = phase;
        }
    }
    return largest;
}

static int covers(const nbh_plan *plan)
{
    const serial_state *settled = &plan->breaks[plan->break_count - 1].state;
    const double entries = plan->h_range * plan->k_range * plan->l_range;
    const int corrected = plan->polar_per_source || plan->use_source_weights ||
                          plan->capture_per_layer || plan->water_electrons_sqr > 0.0;
    return !corrected && plan->shape.shape == NBH_SHAPE_SQUARE && !plan->oversample_thick &&
           !plan->oversample_polar && !plan->oversample_omega && settled->axis_is_fixed &&
           plan->info.water_background >= 0.0 && largest_phase(plan) < LARGEST_PHASE &&
           (plan->table.amplitude == NULL || entries <= INT32_MAX);
}

typedef struct kernel_build {
    int32_t name; /* nbh_kernel */
    fast_kernel *function;
    int runs_here;
} kernel_build;

/* The builds of the fast kernel, slowest first.  Returns how many there are. */
static int list_kernels(kernel_build builds[3])
{
    int count = 0;
    builds[count++] = (kernel_build){NBH_KERNEL_BASELINE, fast_kernel_baseline, 1};
#if defined(NBH_HAVE_X86_KERNELS)
    const int fma = __builtin_cpu_supports("fma") != 0;
    const int avx2 = fma && __builtin_cpu_supports("avx2");
    const int avx512 =
        fma && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
    builds[count++] = (kernel_build){NBH_KERNEL_AVX2, fast_kernel_avx2, avx2};
    builds[count++] = (kernel_build){NBH_KERNEL_AVX512, fast_kernel_avx512, avx512};
#endif
    return count;
}

nbh_status plan_choose_kernel(nbh_plan *plan, int32_t kernel, nbh_error *error)
{
    kernel_build builds[3];
    const int count = list_kernels(builds);
    const kernel_build *chosen = NULL;
    for (int i = 0; i < count; i++)
        if (builds[i].runs_here && (kernel == NBH_KERNEL_AUTO || kernel == builds[i].name))
            chosen = &builds[i];
    if (kernel != NBH_KERNEL_EXACT && chosen == NULL)
        return nbh_fail(error, NBH_INVALID, "kernel",
                        "got %d, need an nbh_kernel that this processor runs", kernel);
    plan->kernel = NULL;
    plan->info.kernel = NBH_KERNEL_EXACT;
    if (chosen != NULL && covers(plan)) {
        plan->kernel = chosen->function;
        plan->info.kernel = chosen->name;
    }
    return NBH_OK;
}

int32_t nbh_kernel_is_available(int32_t kernel)
{
    kernel_build builds[3];
    const int count = list_kernels(builds);
    for (int i = 0; i < count; i++)
        if (builds[i].name == kernel)
            return builds[i].runs_here;
    return kernel == NBH_KERNEL_EXACT || kernel == NBH_KERNEL_AUTO;
}
