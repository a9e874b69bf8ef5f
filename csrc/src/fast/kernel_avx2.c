/* kernel_avx2.c - kernel.h with the flags of cmake/NbhKernels.cmake for AVX2 and fused
 * multiply-add. */
#include "fast/kernel_avx2.h"

#include "fast/kernel.h"

void fast_kernel_avx2(const nbh_plan *plan, const int32_t *fast, const int32_t *slow,
                      fast_task task, const volatile int32_t *cancel, fast_block *out)
{
    fast_compute_block(plan, fast, slow, task, cancel, out);
}
