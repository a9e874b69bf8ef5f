/* kernel_avx512.c - kernel.h with the flags of cmake/NbhKernels.cmake for AVX-512 and fused
 * multiply-add. */
#include "fast/kernel_avx512.h"

#include "fast/kernel.h"

void fast_kernel_avx512(const nbh_plan *plan, const int32_t *fast, const int32_t *slow,
                        fast_task task, const volatile int32_t *cancel, fast_block *out)
{
    fast_compute_block(plan, fast, slow, task, cancel, out);
}
