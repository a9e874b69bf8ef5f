// random.cpp - the generator's state as an opaque, copyable, picklable object.
#include <cstring>
#include <memory>
#include <string_view>

#include <pybind11/pybind11.h>

#include "nbh/nbh.h"
#include "random.h"
#include "registers.h"

namespace py = pybind11;

static py::bytes to_bytes(const Random &random)
{
    const nbh_random state = random.get();
    return py::bytes(reinterpret_cast<const char *>(&state), sizeof state);
}

static std::unique_ptr<Random> from_bytes(const py::bytes &bytes)
{
    const std::string_view view = bytes;
    nbh_random state{};
    if (view.size() != sizeof state)
        throw py::value_error("not the state of this generator");
    std::memcpy(&state, view.data(), sizeof state);
    return std::make_unique<Random>(state);
}

void register_random(py::module_ &m)
{
    py::class_<Random>(m, "Random", "State of the random generator (model 7.1).")
        .def(py::init([]() {
            nbh_random state;
            nbh_random_init(&state);
            return std::make_unique<Random>(state);
        }))
        .def("copy", [](const Random &self) { return std::make_unique<Random>(self.get()); })
        .def(py::pickle(&to_bytes, &from_bytes));
}
