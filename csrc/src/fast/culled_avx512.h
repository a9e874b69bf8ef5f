/* culled_avx512.h - the fast kernel that leaves out steps without light, built like
 * kernel_avx512.c. */
#ifndef NBH_FAST_CULLED_AVX512_H
#define NBH_FAST_CULLED_AVX512_H

#include "fast/block.h"

/* A fast_kernel. */
void culled_kernel_avx512(const nbh_plan *plan, const int32_t *fast, const int32_t *slow,
                          fast_task task, const volatile int32_t *cancel, fast_block *out);

#endif
