/* version.c - what this library is and how it was built. */
#include "nbh/nbh.h"

#include <float.h>

/* The bits of the image depend on these; refuse to build a library that could not keep them. */
#if defined(__FAST_MATH__)
#error "libnbh must be compiled without -ffast-math: it changes the image"
#endif
#if FLT_EVAL_METHOD != 0
#error "libnbh needs float and double arithmetic without extra precision (FLT_EVAL_METHOD 0)"
#endif

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown"
#endif

#if defined(NBH_HAVE_X86_KERNELS)
#define INSTRUCTION_SETS "baseline, avx2+fma, avx512"
#else
#define INSTRUCTION_SETS "baseline"
#endif

const char *nbh_version(void)
{
    return NBH_VERSION;
}

const char *nbh_build_info(void)
{
    return "version: " NBH_VERSION "\n"
           "compiler: " COMPILER "\n"
           "flags: " NBH_COMPILE_FLAGS "\n"
           "sanitizers: " NBH_SANITIZERS "\n"
           "instruction sets: " INSTRUCTION_SETS "\n";
}

const char *nbh_status_name(int32_t status)
{
    switch ((nbh_status)status) {
    case NBH_OK:
        return "NBH_OK";
    case NBH_INVALID:
        return "NBH_INVALID";
    case NBH_OUT_OF_MEMORY:
        return "NBH_OUT_OF_MEMORY";
    case NBH_TOO_LARGE:
        return "NBH_TOO_LARGE";
    case NBH_FILE_FORMAT:
        return "NBH_FILE_FORMAT";
    case NBH_STRUCT_SIZE:
        return "NBH_STRUCT_SIZE";
    case NBH_NOT_IMPLEMENTED:
        return "NBH_NOT_IMPLEMENTED";
    case NBH_NOT_SETTLED:
        return "NBH_NOT_SETTLED";
    case NBH_CANCELLED:
        return "NBH_CANCELLED";
    }
    return "unknown status";
}
