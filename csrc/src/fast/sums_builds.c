/* sums_builds.c - which build of the sums an nbh_kernel means. */
#include "fast/sums_builds.h"

#include "error.h"
#include "fast/instruction_sets.h"
#include "fast/sums_avx2.h"
#include "fast/sums_avx512.h"
#include "fast/sums_baseline.h"

const sums_builds *sums_builds_of(int32_t kernel)
{
    static const sums_builds baseline = {fast_sums_baseline, fast_scene_baseline};
#if defined(NBH_HAVE_X86_KERNELS)
    static const sums_builds avx2 = {fast_sums_avx2, fast_scene_avx2};
    static const sums_builds avx512 = {fast_sums_avx512, fast_scene_avx512};
#endif
    if (!nbh_kernel_is_available(kernel))
        return NULL;
    switch (instruction_set_of((nbh_kernel)kernel)) {
    case NBH_KERNEL_AUTO:
    case NBH_KERNEL_EXACT:
        return NULL;
    case NBH_KERNEL_BASELINE:
        return &baseline;
#if defined(NBH_HAVE_X86_KERNELS)
    case NBH_KERNEL_AVX2:
        return &avx2;
    case NBH_KERNEL_AVX512:
        return &avx512;
#else
    case NBH_KERNEL_AVX2:
    case NBH_KERNEL_AVX512:
        return NULL;
#endif
    }
    return NULL;
}

nbh_status sums_builds_fail(int32_t kernel, nbh_error *error)
{
    return nbh_fail(error, NBH_INVALID, "kernel",
                    "got %d, need a build of the fast kernels that this processor runs", kernel);
}
