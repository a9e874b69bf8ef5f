/* kernel_baseline.h - the fast kernel for any processor of the architecture. */
#ifndef NBH_FAST_KERNEL_BASELINE_H
#define NBH_FAST_KERNEL_BASELINE_H

#include "fast/block.h"

/* A fast_kernel. */
void fast_kernel_baseline(const nbh_plan *plan, const int32_t *fast, const int32_t *slow,
                          fast_task task, const volatile int32_t *cancel, fast_block *out);

#endif
