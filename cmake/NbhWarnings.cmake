# nbh_warnings(target): the warnings that the code is kept free of; errors with NBH_WERROR.
#
# In C a switch over an enumeration that leaves out an enumerator is always an error: a new crystal
# shape, say, is then named at every place that has to know it.
function(nbh_warnings target)
  if(CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
    target_compile_options(
      ${target}
      PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wvla
              $<$<COMPILE_LANGUAGE:C>:-Wconversion -Wstrict-prototypes -Wmissing-prototypes
                                     -Werror=switch -Werror=switch-enum>
              $<$<BOOL:${NBH_WERROR}>:-Werror>)
  endif()
endfunction()
