// build.cpp - what is loaded: version, constants, build flags, the library's path.
#include <sstream>
#include <string>

#include <pybind11/pybind11.h>

#include "header_text.h"
#include "library_path.h"
#include "nbh/nbh.h"
#include "registers.h"

namespace py = pybind11;

// nbh_build_info's `key: value` lines as a dict.
static py::dict build_info()
{
    py::dict info;
    std::istringstream lines(nbh_build_info());
    for (std::string line; std::getline(lines, line);) {
        const auto colon = line.find(": ");
        if (colon != std::string::npos)
            info[py::str(line.substr(0, colon))] = line.substr(colon + 2);
    }
    return info;
}

static std::string libnbh_path()
{
    std::string path = library_path();
    if (path.empty())
        throw py::import_error("the dynamic loader does not know where libnbh was loaded from");
    return path;
}

void register_build(py::module_ &m)
{
    m.attr("UNSET") = NBH_UNSET;
    m.attr("UNSET_INT") = NBH_UNSET_INT;
    m.def("version", []() { return nbh_version(); }, "Version of the loaded libnbh.");
    m.def("header_text", []() { return nbh_header_text; }, "The text of nbh.h.");
    m.def("build_info", &build_info, "How the loaded libnbh was built, by key.");
    m.def("kernel_is_available", &nbh_kernel_is_available, py::arg("kernel"),
          "1 if this build and this processor have the nbh_kernel.");
    m.def("libnbh_path", &libnbh_path, "Path of the loaded libnbh.");
}
