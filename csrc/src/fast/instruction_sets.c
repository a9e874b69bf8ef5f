#include "fast/instruction_sets.h"

static int runs_avx2(void)
{
#if defined(NBH_HAVE_X86_KERNELS)
    return __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx2");
#else
    return 0;
#endif
}

static int runs_avx512(void)
{
#if defined(NBH_HAVE_X86_KERNELS)
    return __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512dq");
#else
    return 0;
#endif
}

int instruction_set_runs(nbh_kernel kernel)
{
    switch (kernel) {
    case NBH_KERNEL_AUTO:
    case NBH_KERNEL_EXACT:
        return 0;
    case NBH_KERNEL_BASELINE:
        return 1;
    case NBH_KERNEL_AVX2:
        return runs_avx2();
    case NBH_KERNEL_AVX512:
        return runs_avx512();
    }
    return 0;
}

nbh_kernel instruction_set_of(nbh_kernel kernel)
{
    switch (kernel) {
    case NBH_KERNEL_AUTO:
        return runs_avx512() ? NBH_KERNEL_AVX512
               : runs_avx2() ? NBH_KERNEL_AVX2
                             : NBH_KERNEL_BASELINE;
    case NBH_KERNEL_EXACT:
    case NBH_KERNEL_BASELINE:
    case NBH_KERNEL_AVX2:
    case NBH_KERNEL_AVX512:
        return kernel;
    }
    return NBH_KERNEL_EXACT;
}
