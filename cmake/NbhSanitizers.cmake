# nbh_sanitizers(target): compiles and links with the sanitizers named by NBH_SANITIZE.
set(NBH_SANITIZE_CHOICES "" "address,undefined" "thread")
if(NOT NBH_SANITIZE IN_LIST NBH_SANITIZE_CHOICES)
  message(FATAL_ERROR "NBH_SANITIZE is \"${NBH_SANITIZE}\", need \"address,undefined\" or \"thread\"")
endif()

# With NBH_FUZZ the code is also watched by libFuzzer, and conversions to whole numbers for overflow.
set(NBH_SANITIZE_FLAGS "${NBH_SANITIZE}")
if(NBH_FUZZ)
  string(APPEND NBH_SANITIZE_FLAGS ",fuzzer-no-link,float-cast-overflow")
endif()

function(nbh_sanitizers target)
  if(NBH_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${NBH_SANITIZE_FLAGS} -fno-sanitize-recover=all
                                             -fno-omit-frame-pointer -g)
    if(NOT NBH_FUZZ) # checks in the vector kernels take an optimizing compiler some times as long
      target_compile_options(${target} PRIVATE -O0)
    endif()
    target_link_options(${target} PRIVATE -fsanitize=${NBH_SANITIZE_FLAGS})
  endif()
endfunction()
