# nbh_fast_kernels(target): adds src/fast/kernel_*.c and src/fast/sums_*.c, which compile
# src/fast/kernel.h and src/fast/sums.h once for each instruction set.
#
# The files differ in compiler flags only; src/fast/choice.c chooses among them when the program
# runs.  -fno-trapping-math changes no result: it lets comparisons be vectorised.  It comes after
# -fno-fast-math, which would take it back.  -fno-tree-slp-vectorize: GCC 12 makes a multiplication
# and alternating additions one fused instruction there, whatever -ffp-contract says.  Loops over
# the lanes must then not be unrolled before they are vectorised, nor become calls of memset.
set(NBH_FAST_KERNEL_FLAGS -fno-trapping-math -fno-tree-slp-vectorize)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND NBH_FAST_KERNEL_FLAGS --param=max-completely-peel-times=8
       -fno-tree-loop-distribute-patterns)
endif()

function(nbh_fast_kernel target name)
  cmake_parse_arguments(KERNEL "" "" "FLAGS;DEFINITIONS" ${ARGN})
  foreach(source src/fast/kernel_${name}.c src/fast/culled_${name}.c src/fast/sums_${name}.c)
    target_sources(${target} PRIVATE ${source})
    set_property(SOURCE ${source} APPEND PROPERTY COMPILE_OPTIONS ${NBH_FAST_KERNEL_FLAGS}
                                                  ${KERNEL_FLAGS})
    set_property(SOURCE ${source} APPEND PROPERTY COMPILE_DEFINITIONS ${KERNEL_DEFINITIONS})
  endforeach()
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU") # loops over eight lanes, too
    set_property(SOURCE src/fast/culled_${name}.c APPEND PROPERTY COMPILE_OPTIONS
                                                         --param=max-completely-peel-times=7)
  endif()
endfunction()

function(nbh_fast_kernels target)
  nbh_fast_kernel(${target} baseline)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    nbh_fast_kernel(${target} avx2 FLAGS -mavx2 -mfma DEFINITIONS NBH_FAST_FMA)
    nbh_fast_kernel(
      ${target} avx512
      FLAGS -mavx512f -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512
      DEFINITIONS NBH_FAST_FMA)
    target_compile_definitions(${target} PRIVATE NBH_HAVE_X86_KERNELS)
  endif()
endfunction()
