# nbh_install(target): the library, its header, and what tells CMake and pkg-config about them.
#
# Everything is in one folder, that of the Python package.  The files of CMake and pkg-config find
# the rest from where they are, so that the folder can lie anywhere.
include(CMakePackageConfigHelpers)

set(NBH_INSTALL_DIR nanobragg_hybrid)

function(nbh_install target)
  set(library_dir ${NBH_INSTALL_DIR}/lib)
  set(cmake_dir ${library_dir}/cmake/nbh)
  install(
    TARGETS ${target}
    EXPORT nbh-targets
    LIBRARY DESTINATION ${library_dir}
    RUNTIME DESTINATION ${NBH_INSTALL_DIR} # a DLL: Windows looks beside the extension that needs it
    ARCHIVE DESTINATION ${library_dir}) # and what links to it
  install(FILES include/nbh/nbh.h DESTINATION ${NBH_INSTALL_DIR}/include/nbh)

  install(EXPORT nbh-targets NAMESPACE nbh:: DESTINATION ${cmake_dir})
  configure_package_config_file(
    ${PROJECT_SOURCE_DIR}/cmake/nbh-config.cmake.in nbh-config.cmake
    INSTALL_DESTINATION ${cmake_dir}
    NO_SET_AND_CHECK_MACRO)
  write_basic_package_version_file(nbh-config-version.cmake VERSION ${NBH_VERSION_NUMBER}
                                   COMPATIBILITY SameMinorVersion)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/nbh.pc.in nbh.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/nbh-config.cmake
                ${CMAKE_CURRENT_BINARY_DIR}/nbh-config-version.cmake DESTINATION ${cmake_dir})
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/nbh.pc DESTINATION ${library_dir}/pkgconfig)
endfunction()
