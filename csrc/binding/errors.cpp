// errors.cpp - the exception type _core.Error.
#include "errors.h"

#include <pybind11/gil_safe_call_once.h>
#include <pybind11/pybind11.h>

#include "registers.h"

namespace py = pybind11;

static py::object &error_type()
{
    PYBIND11_CONSTINIT static py::gil_safe_call_once_and_store<py::object> storage;
    return storage
        .call_once_and_store_result([]() {
            return py::reinterpret_steal<py::object>(PyErr_NewExceptionWithDoc(
                "nanobragg_hybrid._core.Error",
                "A failed call of libnbh, with attributes status, field, message and line.",
                PyExc_Exception, nullptr));
        })
        .get_stored();
}

void raise_error(nbh_status status, const std::string &field, const std::string &message,
                 std::int64_t line)
{
    const int number = static_cast<int>(status);
    const std::string text = field.empty() ? message : field + ": " + message;
    py::object error = error_type()(text);
    error.attr("status") = number;
    error.attr("field") = field;
    error.attr("message") = message;
    error.attr("line") = line;
    PyErr_SetObject(error_type().ptr(), error.ptr());
    throw py::error_already_set();
}

void register_errors(py::module_ &m)
{
    m.attr("Error") = error_type();
    m.def(
        "status_name", [](std::int32_t status) { return nbh_status_name(status); },
        py::arg("status"), "The name of a status code: \"NBH_INVALID\" for 1.");
}
