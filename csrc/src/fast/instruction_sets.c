/* instruction_sets.c - what this processor and its operating system run.
 *
 * The compilers' own question, __builtin_cpu_supports, reads what a runtime library has found, and
 * some runtimes have none: they answer no.  So the processor is asked (Intel, Software Developer's
 * Manual, volume 2, CPUID and XGETBV; volume 1, 13.1 to 13.3 and 15.2). */
#include "fast/instruction_sets.h"

#if defined(NBH_HAVE_X86_KERNELS)
#include <cpuid.h>

/* Bits of what is found. */
enum { IS_KNOWN = 1, RUNS_AVX2 = 2, RUNS_AVX512 = 4 };

static int has(unsigned int word, unsigned int bits)
{
    return (word & bits) == bits;
}

/* The registers whose contents the operating system keeps (XCR0); only where OSXSAVE is set. */
static unsigned int kept_registers(void)
{
    unsigned int low, high;
    __asm__ volatile(".byte 0x0f, 0x01, 0xd0" : "=a"(low), "=d"(high) : "c"(0)); /* xgetbv */
    return low;
}

static int ask_processor(void)
{
    const unsigned int fma = 1U << 12, osxsave = 1U << 27, avx = 1U << 28; /* 1, ecx */
    const unsigned int avx2 = 1U << 5;                                     /* 7, ebx */
    const unsigned int avx512 = 1U << 16 | 1U << 17 | 1U << 31;            /* F, DQ, VL */
    const unsigned int kept_by_avx = 0x06, kept_by_avx512 = 0xe6;          /* XCR0 */
    unsigned int eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !has(ecx, fma | osxsave | avx))
        return IS_KNOWN;
    const unsigned int kept = kept_registers();
    if (!has(kept, kept_by_avx) || !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) ||
        !has(ebx, avx2))
        return IS_KNOWN;
    return has(ebx, avx512) && has(kept, kept_by_avx512) ? IS_KNOWN | RUNS_AVX2 | RUNS_AVX512
                                                         : IS_KNOWN | RUNS_AVX2;
}

/* Asked once: a virtual machine takes some 0.1 ms to answer.  This is the only writable datum of
 * the library; whichever thread asks, the answer is the same. */
static int sets_of_processor;

static int runs(int set)
{
    int found = __atomic_load_n(&sets_of_processor, __ATOMIC_RELAXED);
    if (found == 0) {
        found = ask_processor();
        __atomic_store_n(&sets_of_processor, found, __ATOMIC_RELAXED);
    }
    return (found & set) != 0;
}
#endif

static int runs_avx2(void)
{
#if defined(NBH_HAVE_X86_KERNELS)
    return runs(RUNS_AVX2);
#else
    return 0;
#endif
}

static int runs_avx512(void)
{
#if defined(NBH_HAVE_X86_KERNELS)
    return runs(RUNS_AVX512);
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
