# nbh_floating_point(target): the flags that keep every bit of the image.
#
# Contraction (fused multiply-add) and fast-math change results; -O2 and -O3 do not.  There is no
# -march: the build machine's instruction set must not leak into a wheel.  -fno-math-errno changes
# no result, it only lets sqrt be one instruction.
set(NBH_FLOATING_POINT_FLAGS -ffp-contract=off -fno-fast-math -fno-math-errno)

if(NOT CMAKE_C_COMPILER_ID MATCHES "GNU|Clang" OR CMAKE_C_COMPILER_FRONTEND_VARIANT STREQUAL "MSVC")
  message(FATAL_ERROR "CMAKE_C_COMPILER: got ${CMAKE_C_COMPILER_ID} (${CMAKE_C_COMPILER}), need gcc or "
                      "clang with gcc's options (on Windows MinGW, or zig cc): with others nobody has "
                      "checked the bits of the images")
endif()

function(nbh_floating_point target)
  target_compile_options(${target} PRIVATE ${NBH_FLOATING_POINT_FLAGS})
endfunction()
