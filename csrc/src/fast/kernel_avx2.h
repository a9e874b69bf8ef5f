/* kernel_avx2.h - the fast kernel for AVX2 and fused multiply-add. */
#ifndef NBH_FAST_KERNEL_AVX2_H
#define NBH_FAST_KERNEL_AVX2_H

#include "fast/block.h"

/* A fast_kernel. */
void fast_kernel_avx2(const nbh_plan *plan, const int32_t *fast, const int32_t *slow,
                      fast_task task, const volatile int32_t *cancel, fast_block *out);

#endif
