// background.cpp - nbh_background as a Python object (model 9).
#include "background.h"

#include <string>
#include <utility>

#include <pybind11/stl.h>

#include "errors.h"
#include "registers.h"

namespace py = pybind11;

namespace
{

nbh_curve to_curve(const char *name, const CArray<double> &x, const CArray<double> &y)
{
    if (x.ndim() != 1 || y.ndim() != 1 || x.size() != y.size() || x.size() > INT32_MAX)
        raise_error(NBH_INVALID, name, "got columns of different lengths, need one row for each");
    return {static_cast<std::int32_t>(x.size()), x.data(), y.data()};
}

} // namespace

Background::Background(double air_attenuation_per_m, double flat_photons,
                       std::vector<Scatterer> scatterers, std::optional<Curve> radial,
                       const std::vector<Offset> &offsets)
    : kept_(std::move(scatterers)), radial_(std::move(radial))
{
    nbh_background_init(&c_);
    c_.air_attenuation_per_m = air_attenuation_per_m;
    c_.flat_photons = flat_photons;
    for (const auto &[x, y, is_intensity, molecules] : kept_)
        scatterers_.push_back(
            {to_curve("background.scatterers", x, y), is_intensity ? 1 : 0, molecules});
    if (radial_)
        c_.radial = to_curve("background.radial", std::get<0>(*radial_), std::get<1>(*radial_));
    for (const auto &[box, photons] : offsets)
        offsets_.push_back({{box[0], box[1], box[2], box[3]}, photons});
    c_.scatterers = scatterers_.data();
    c_.scatterer_count = static_cast<std::int32_t>(scatterers_.size());
    c_.offsets = offsets_.data();
    c_.offset_count = static_cast<std::int32_t>(offsets_.size());
}

void register_background(py::module_ &m)
{
    py::class_<Background>(m, "Background")
        .def(py::init<double, double, std::vector<Background::Scatterer>,
                      std::optional<Background::Curve>, const std::vector<Background::Offset> &>(),
             py::arg("air_attenuation_per_m"), py::arg("flat_photons"), py::arg("scatterers"),
             py::arg("radial"), py::arg("offsets"));
}
