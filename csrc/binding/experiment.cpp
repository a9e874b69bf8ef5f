// experiment.cpp - the structs of nbh_experiment as attributes of the same names.
#include "experiment.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include <pybind11/stl.h>

#include "registers.h"

namespace py = pybind11;

using Array64 = CArray<double>;
using Array8 = CArray<std::uint8_t>;

namespace
{

// An array member reads as a list and takes a sequence of exactly N numbers.
template <typename Struct, std::size_t N>
void define(py::class_<Struct> &cls, const char *name, double (Struct::*member)[N])
{
    cls.def_property(
        name,
        [member](const Struct &self) {
            std::array<double, N> values{};
            std::copy(self.*member, self.*member + N, values.begin());
            return values;
        },
        [member](Struct &self, const std::array<double, N> &values) {
            std::copy(values.begin(), values.end(), self.*member);
        });
}

template <typename Struct, typename Scalar>
void define(py::class_<Struct> &cls, const char *name, Scalar Struct::*member)
{
    cls.def_readwrite(name, member);
}

#define FIELD(name) define(cls, #name, &Struct::name)

void register_beam(py::module_ &m)
{
    using Struct = nbh_beam;
    py::class_<Struct> cls(m, "Beam");
    FIELD(wavelength_m);
    FIELD(direction);
    FIELD(polarization_axis);
    FIELD(polarization_kahn);
    FIELD(polarization_off);
    FIELD(divergence_square);
    FIELD(dispersion_fraction);
    FIELD(dispersion_steps);
    FIELD(divergence_h_steps);
    FIELD(divergence_v_steps);
    FIELD(divergence_h_rad);
    FIELD(divergence_v_rad);
    FIELD(divergence_h_step_rad);
    FIELD(divergence_v_step_rad);
    FIELD(fluence_photons_per_m2);
    FIELD(flux_photons_per_s);
    FIELD(exposure_s);
    FIELD(beam_size_m);
}

void register_crystal(py::module_ &m)
{
    using Struct = nbh_crystal;
    py::class_<Struct> cls(m, "Crystal");
    FIELD(cell_length_angstrom);
    FIELD(cell_angle_rad);
    FIELD(orientation_matrix);
    FIELD(misset_rad);
    FIELD(misset_random);
    FIELD(misset_seed);
    FIELD(n_cells);
    FIELD(size_m);
    FIELD(shape);
    FIELD(mosaic_seed);
    FIELD(shape_fudge);
    FIELD(mosaic_spread_rad);
    FIELD(mosaic_domains);
    FIELD(water_size_m);
}

void register_goniometer(py::module_ &m)
{
    using Struct = nbh_goniometer;
    py::class_<Struct> cls(m, "Goniometer");
    FIELD(spindle_axis);
    FIELD(phi_rad);
    FIELD(osc_rad);
    FIELD(phi_step_rad);
    FIELD(phi_steps);
}

void register_detector(py::module_ &m)
{
    using Struct = nbh_detector;
    py::class_<Struct> cls(m, "Detector");
    FIELD(convention);
    FIELD(pivot);
    FIELD(fast_axis);
    FIELD(slow_axis);
    FIELD(normal_axis);
    FIELD(twotheta_axis);
    FIELD(pix0_m);
    FIELD(distance_m);
    FIELD(close_distance_m);
    FIELD(pixel_size_m);
    FIELD(pixel_size_slow_m);
    FIELD(n_fast);
    FIELD(n_slow);
    FIELD(size_fast_m);
    FIELD(size_slow_m);
    FIELD(beam_x_m);
    FIELD(beam_y_m);
    FIELD(close_x_m);
    FIELD(close_y_m);
    FIELD(org_x_px);
    FIELD(org_y_px);
    FIELD(rotation_rad);
    FIELD(twotheta_rad);
    FIELD(curved);
    FIELD(point_pixel);
    FIELD(sensor_thickness_m);
    FIELD(sensor_attenuation_per_m);
    FIELD(sensor_layers);
}

void register_sampling(py::module_ &m)
{
    using Struct = nbh_sampling;
    py::class_<Struct> cls(m, "Sampling");
    FIELD(oversample);
    FIELD(oversample_thick);
    FIELD(oversample_polar);
    FIELD(oversample_omega);
    FIELD(interpolate);
    FIELD(roi_fast_min);
    FIELD(roi_fast_max);
    FIELD(roi_slow_min);
    FIELD(roi_slow_max);
    FIELD(dmin_m);
}

#undef FIELD

// Rows of x, y, z, weight, wavelength in metres.
void set_sources(Experiment &self, const Array64 &rows)
{
    if (rows.ndim() != 2 || rows.shape(1) != 5)
        throw py::value_error("sources need the shape (n, 5): x, y, z, weight, wavelength");
    std::vector<nbh_source> sources;
    sources.reserve(static_cast<std::size_t>(rows.shape(0)));
    const double *value = rows.data();
    for (py::ssize_t i = 0; i < rows.shape(0); i++, value += 5)
        sources.push_back({{value[0], value[1], value[2]}, value[3], value[4]});
    const std::lock_guard<std::mutex> lock(self.arrays);
    self.sources.swap(sources);
    self.c.beam.sources = self.sources.data();
    self.c.beam.source_count = static_cast<std::int64_t>(self.sources.size());
}

// Rows of wavelength in metres, weight.
void set_spectrum(Experiment &self, const Array64 &rows)
{
    if (rows.ndim() != 2 || rows.shape(1) != 2)
        throw py::value_error("a spectrum needs the shape (n, 2): wavelength, weight");
    std::vector<nbh_wavelength> spectrum;
    spectrum.reserve(static_cast<std::size_t>(rows.shape(0)));
    const double *value = rows.data();
    for (py::ssize_t i = 0; i < rows.shape(0); i++, value += 2)
        spectrum.push_back({value[0], value[1]});
    const std::lock_guard<std::mutex> lock(self.arrays);
    self.spectrum.swap(spectrum);
    self.c.beam.spectrum = self.spectrum.data();
    self.c.beam.spectrum_count = static_cast<std::int64_t>(self.spectrum.size());
}

// Rows of nine elements of a matrix, weight.
void set_mosaic_rotations(Experiment &self, const Array64 &rows)
{
    if (rows.ndim() != 2 || rows.shape(1) != 10)
        throw py::value_error("rotations need the shape (n, 10): nine elements, weight");
    std::vector<nbh_rotation> rotations(static_cast<std::size_t>(rows.shape(0)));
    const double *value = rows.data();
    for (nbh_rotation &rotation : rotations) {
        std::copy(value, value + 9, rotation.matrix);
        rotation.weight = value[9];
        value += 10;
    }
    const std::lock_guard<std::mutex> lock(self.arrays);
    self.rotations.swap(rotations);
    self.c.crystal.mosaic_rotations = self.rotations.data();
    self.c.crystal.mosaic_rotation_count = static_cast<std::int64_t>(self.rotations.size());
}

void set_mask(Experiment &self, Array8 mask)
{
    // the old one is let go by the argument, after the lock
    const std::lock_guard<std::mutex> lock(self.arrays);
    std::swap(self.mask, mask);
    self.c.detector.mask = self.mask.data();
    self.c.detector.mask_count = self.mask.size();
}

} // namespace

void register_experiment(py::module_ &m)
{
    register_beam(m);
    register_crystal(m);
    register_goniometer(m);
    register_detector(m);
    register_sampling(m);

    const auto inside = py::return_value_policy::reference_internal;
    py::class_<Experiment>(m, "Experiment")
        .def(py::init<>())
        .def_property(
            "quirks", [](const Experiment &self) { return self.c.quirks; },
            [](Experiment &self, nbh_quirks quirks) { self.c.quirks = quirks; })
        .def_property(
            "kernel", [](const Experiment &self) { return self.c.kernel; },
            [](Experiment &self, std::int32_t kernel) { self.c.kernel = kernel; })
        .def_property(
            "culling", [](const Experiment &self) { return self.c.culling; },
            [](Experiment &self, std::int32_t culling) { self.c.culling = culling; })
        .def_property(
            "tolerance_photons", [](const Experiment &self) { return self.c.tolerance_photons; },
            [](Experiment &self, double photons) { self.c.tolerance_photons = photons; })
        .def_property(
            "memory_limit_bytes", [](const Experiment &self) { return self.c.memory_limit_bytes; },
            [](Experiment &self, std::int64_t bytes) { self.c.memory_limit_bytes = bytes; })
        .def_property_readonly(
            "beam", [](Experiment &self) { return &self.c.beam; }, inside)
        .def_property_readonly(
            "crystal", [](Experiment &self) { return &self.c.crystal; }, inside)
        .def_property_readonly(
            "goniometer", [](Experiment &self) { return &self.c.goniometer; }, inside)
        .def_property_readonly(
            "detector", [](Experiment &self) { return &self.c.detector; }, inside)
        .def_property_readonly(
            "sampling", [](Experiment &self) { return &self.c.sampling; }, inside)
        .def("set_sources", &set_sources, py::arg("rows").noconvert())
        .def("set_spectrum", &set_spectrum, py::arg("rows").noconvert())
        .def("set_mosaic_rotations", &set_mosaic_rotations, py::arg("rows").noconvert())
        .def("set_mask", &set_mask, py::arg("mask").noconvert());
}
