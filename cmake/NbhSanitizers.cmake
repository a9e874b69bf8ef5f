# nbh_sanitizers(target): compiles and links with the sanitizers named by NBH_SANITIZE.
set(NBH_SANITIZE_CHOICES "" "address,undefined" "thread")
if(NOT NBH_SANITIZE IN_LIST NBH_SANITIZE_CHOICES)
  message(FATAL_ERROR "NBH_SANITIZE is \"${NBH_SANITIZE}\", need \"address,undefined\" or \"thread\"")
endif()

function(nbh_sanitizers target)
  if(NBH_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${NBH_SANITIZE} -fno-sanitize-recover=all
                                             -fno-omit-frame-pointer -g)
    target_link_options(${target} PRIVATE -fsanitize=${NBH_SANITIZE})
  endif()
endfunction()
