/* culled_avx512.c - culled.h with the flags of cmake/NbhKernels.cmake. */
#include "fast/culled_avx512.h"

#include "fast/culled.h"

void culled_kernel_avx512(const nbh_plan *plan, const int32_t *fast, const int32_t *slow,
                          fast_task task, const volatile int32_t *cancel, fast_block *out)
{
    culled_compute_block(plan, fast, slow, task, cancel, out);
}
