# nbh_warnings(target): the warnings that the code is kept free of; errors with NBH_WERROR.
function(nbh_warnings target)
  if(CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
    target_compile_options(
      ${target}
      PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wvla
              $<$<COMPILE_LANGUAGE:C>:-Wconversion -Wstrict-prototypes -Wmissing-prototypes>
              $<$<BOOL:${NBH_WERROR}>:-Werror>)
  endif()
endfunction()
