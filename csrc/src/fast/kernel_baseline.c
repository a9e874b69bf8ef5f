/* kernel_baseline.c - kernel.h with the flags of cmake/NbhKernels.cmake for any processor of the
 * architecture. */
#include "fast/kernel_baseline.h"

#include "fast/kernel.h"

void fast_kernel_baseline(const nbh_plan *plan, const int32_t *fast, const int32_t *slow,
                          fast_task task, const volatile int32_t *cancel, fast_block *out)
{
    fast_compute_block(plan, fast, slow, task, cancel, out);
}
