# nbh_fast_kernels(target): builds src/fast_kernel.c once for each instruction set and adds it.
#
# The builds differ in compiler flags only; src/fast.c chooses among them when the program runs.
# -fno-trapping-math changes no result: it lets comparisons be vectorised.  It comes after
# -fno-fast-math, which would take it back.  -fno-tree-slp-vectorize: GCC 12 makes a multiplication
# and alternating additions one fused instruction there, whatever -ffp-contract says.  Loops over
# the lanes must then not be unrolled before they are vectorised, nor become calls of memset.
function(nbh_fast_kernel target name)
  cmake_parse_arguments(KERNEL "" "" "FLAGS;DEFINITIONS" ${ARGN})
  set(object ${target}_fast_${name})
  add_library(${object} OBJECT src/fast_kernel.c)
  target_include_directories(${object} PRIVATE include src)
  target_compile_definitions(${object} PRIVATE NBH_BUILDING_LIBRARY
                                               NBH_FAST_KERNEL=fast_kernel_${name}
                                               ${KERNEL_DEFINITIONS})
  set_target_properties(
    ${object}
    PROPERTIES C_STANDARD 99
               C_STANDARD_REQUIRED ON
               C_EXTENSIONS OFF
               C_VISIBILITY_PRESET hidden
               POSITION_INDEPENDENT_CODE ON)
  nbh_floating_point(${object})
  target_compile_options(
    ${object}
    PRIVATE -fno-trapping-math -fno-tree-slp-vectorize
            $<$<C_COMPILER_ID:GNU>:--param=max-completely-peel-times=8>
            $<$<C_COMPILER_ID:GNU>:-fno-tree-loop-distribute-patterns> ${KERNEL_FLAGS})
  nbh_warnings(${object})
  nbh_sanitizers(${object})
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:${object}>)
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
