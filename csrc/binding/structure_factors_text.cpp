// structure_factors_text.cpp - the two passes over a text of h k l F.
#include <pybind11/pybind11.h>

#include "arrays.h"
#include "dictionaries.h"
#include "errors.h"
#include "float_environment.h"
#include "nbh/nbh.h"
#include "registers.h"

namespace py = pybind11;

namespace
{

struct Text {
    const char *start;
    std::size_t length;
};

Text view(const py::bytes &text)
{
    return {PyBytes_AS_STRING(text.ptr()), static_cast<std::size_t>(PyBytes_GET_SIZE(text.ptr()))};
}

py::dict hkl_scan(const py::bytes &bytes, bool stream)
{
    const Text text = view(bytes);
    nbh_hkl_bounds bounds{};
    nbh_error error{};
    nbh_status status = NBH_OK;
    {
        const py::gil_scoped_release release;
        const DefaultFloatEnvironment environment;
        status = nbh_hkl_scan(text.start, text.length, stream, &bounds, &error);
    }
    check(status, error);
    return to_dict(bounds);
}

nbh_hkl_bounds from_dict(const py::dict &from)
{
    nbh_hkl_bounds bounds{};
#define GET(name) bounds.name = from[#name].cast<decltype(bounds.name)>()
    GET(h_min);
    GET(h_max);
    GET(k_min);
    GET(k_max);
    GET(l_min);
    GET(l_max);
    GET(reflections);
    GET(fractional);
    GET(stopped_at_line);
#undef GET
    return bounds;
}

py::tuple hkl_fill(const py::bytes &bytes, bool stream, const py::dict &scanned, double default_f)
{
    const Text text = view(bytes);
    const nbh_hkl_bounds bounds = from_dict(scanned);
    // The differences of two int32_t fit; the product is checked where memory is allocated.
    CArray<double> table({py::ssize_t{bounds.h_max} - bounds.h_min + 1,
                          py::ssize_t{bounds.k_max} - bounds.k_min + 1,
                          py::ssize_t{bounds.l_max} - bounds.l_min + 1});
    double *amplitude = table.mutable_data();
    std::int64_t filled = 0;
    std::int64_t stopped_at_line = 0;
    nbh_hkl_repeats repeats{};
    nbh_error error{};
    nbh_status status = NBH_OK;
    {
        const py::gil_scoped_release release;
        const DefaultFloatEnvironment environment;
        status = nbh_hkl_fill_telling(text.start, text.length, stream, &bounds, default_f,
                                      amplitude, &filled, &stopped_at_line, &repeats, &error);
    }
    check(status, error);
    return py::make_tuple(table, filled, stopped_at_line, to_dict(repeats));
}

} // namespace

void register_structure_factors_text(py::module_ &m)
{
    m.def("hkl_scan", &hkl_scan, py::arg("text"), py::arg("stream"));
    m.def("hkl_fill", &hkl_fill, py::arg("text"), py::arg("stream"), py::arg("bounds"),
          py::arg("default_f"));
}
