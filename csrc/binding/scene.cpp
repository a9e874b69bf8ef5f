// scene.cpp - nbh_scene as a Python object: pixels and their derivatives on threads.
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <pybind11/stl.h>

#include "arrays.h"
#include "errors.h"
#include "lattice.h"
#include "nbh/nbh.h"
#include "registers.h"
#include "row_groups.h"

namespace py = pybind11;

namespace
{

using Numbers = CArray<double>;
using Integers = CArray<std::int32_t>;

void check_size(const char *name, py::ssize_t size, std::int64_t wanted)
{
    if (size != wanted)
        raise_error(NBH_INVALID, name,
                    "got " + std::to_string(size) + " numbers, need " + std::to_string(wanted));
}

// Pixels as the C functions take them.
class Pixels
{
  public:
    Pixels(const Integers &slow, const Integers &fast)
    {
        check_size("fast", fast.size(), slow.size());
        c_.slow = slow.data();
        c_.fast = fast.data();
        c_.count = slow.size();
    }
    // To be stopped by the flag.
    nbh_pixel_list c(CancelFlag cancel) const
    {
        nbh_pixel_list list = c_;
        list.cancel = cancel;
        return list;
    }
    std::int64_t count() const
    {
        return c_.count;
    }

  private:
    nbh_pixel_list c_{};
};

class Scene
{
  public:
    // places: of capture, polarization, solid angle.
    Scene(std::int32_t oversample, std::int32_t layers, const std::array<std::int32_t, 3> &places,
          bool has_pixel_area, bool is_oblique, std::int32_t surface, bool faces_sample,
          bool counts_zeros, std::int32_t background_factors, std::int32_t water_factors,
          double steps, double dmin_m, const std::array<double, NBH_SCENE_NUMBERS> &numbers,
          Numbers sources, std::vector<py::object> crystals, std::vector<double> strength,
          std::vector<double> background, std::optional<std::vector<double>> water)
        : sources_(std::move(sources)), crystals_(std::move(crystals)),
          strength_(std::move(strength)), background_(std::move(background)),
          water_(std::move(water))
    {
        if (sources_.ndim() != 2 || sources_.shape(1) != NBH_SOURCE_NUMBERS)
            raise_error(NBH_INVALID, "sources", "need an array of shape (sources, 5)");
        check_size("strength", static_cast<py::ssize_t>(strength_.size()),
                   static_cast<std::int64_t>(crystals_.size()));
        check_size("background", static_cast<py::ssize_t>(background_.size()),
                   static_cast<std::int64_t>(crystals_.size()));
        if (water_)
            check_size("water", static_cast<py::ssize_t>(water_->size()),
                       static_cast<std::int64_t>(crystals_.size()));
        for (const py::object &crystal : crystals_) {
            if (!py::isinstance<Lattice>(crystal))
                raise_error(NBH_INVALID, "crystals", "need Lattice objects");
            lattices_.push_back(crystal.cast<const Lattice &>().c());
        }
        nbh_scene_init(&c_);
        c_.oversample = oversample;
        c_.layers = layers;
        c_.capture = places[0];
        c_.polarization = places[1];
        c_.solid_angle = places[2];
        c_.has_pixel_area = has_pixel_area ? 1 : 0;
        c_.is_oblique = is_oblique ? 1 : 0;
        c_.surface = surface;
        c_.faces_sample = faces_sample ? 1 : 0;
        c_.counts_zeros = counts_zeros ? 1 : 0;
        c_.background_factors = background_factors;
        c_.water_factors = water_factors;
        c_.steps = steps;
        c_.dmin_m = dmin_m;
        std::copy(numbers.begin(), numbers.end(), c_.numbers);
        c_.source_count = sources_.shape(0);
        c_.sources = sources_.data();
        c_.crystal_count = static_cast<std::int32_t>(lattices_.size());
        c_.crystals = lattices_.data();
        c_.strength = strength_.data();
        c_.background = background_.data();
        c_.water = water_ ? water_->data() : nullptr;
    }

    py::object values(const Integers &slow, const Integers &fast, int threads) const
    {
        const Pixels pixels(slow, fast);
        Numbers values(
            {static_cast<py::ssize_t>(lattices_.size()), static_cast<py::ssize_t>(pixels.count())});
        double *out = values.mutable_data();
        for_row_groups(pixels.count(), rows_of_group(pixels.count(), most_groups), steps_of(pixels),
                       threads,
                       [&](std::int64_t first, std::int64_t end, std::size_t, CancelFlag cancel,
                           nbh_error *error) {
                           const nbh_pixel_list list = pixels.c(cancel);
                           return nbh_scene_values(&c_, &list, first, end, out, error);
                       });
        return values.view();
    }

    py::tuple gradients(const Integers &slow, const Integers &fast, const Numbers &weight,
                        bool want_amplitude, int threads) const
    {
        const Pixels pixels(slow, fast);
        const std::size_t crystals = lattices_.size();
        check_size("weight", weight.size(), pixels.count() * static_cast<std::int64_t>(crystals));
        const Layout layout = layout_of(want_amplitude);
        const std::int64_t group = rows_of_group(
            pixels.count(),
            std::clamp<std::int64_t>(most_shared_numbers / (layout.size + 1), 1, most_groups));
        const auto groups = static_cast<std::size_t>(group_count(pixels.count(), group));
        std::vector<double> found(static_cast<std::size_t>(layout.size));
        std::vector<std::vector<double>> parts(groups);
        const double *weights = weight.data();
        for_row_groups(
            pixels.count(), group, steps_of(pixels), threads,
            [&](std::int64_t first, std::int64_t end, std::size_t g, CancelFlag cancel,
                nbh_error *error) {
                std::vector<double> &own = parts[g];
                own.assign(static_cast<std::size_t>(layout.size), 0.0);
                nbh_scene_gradient gradient{};
                std::vector<double *> cells(crystals);
                std::vector<double *> amplitude(crystals);
                gradient.sources = own.data() + layout.sources;
                gradient.crystals = own.data() + layout.crystals;
                for (std::size_t n = 0; n < crystals; n++) {
                    cells[n] = own.data() + layout.cells[n];
                    amplitude[n] =
                        layout.amplitude[n] < 0 ? nullptr : own.data() + layout.amplitude[n];
                }
                gradient.cells_m = cells.data();
                gradient.amplitude = amplitude.data();
                const nbh_pixel_list list = pixels.c(cancel);
                const nbh_status status =
                    nbh_scene_gradients(&c_, &list, weights, first, end, &gradient, error);
                std::copy(std::begin(gradient.numbers), std::end(gradient.numbers), own.begin());
                return status;
            });
        for (const std::vector<double> &part : parts)
            for (std::size_t i = 0; i < found.size(); i++)
                found[i] += part[i];
        return unpacked(layout, found);
    }

    py::tuple jacobian(const Integers &slow, const Integers &fast, std::int32_t count,
                       const std::optional<Numbers> &numbers, const std::optional<Numbers> &sources,
                       const std::optional<Numbers> &crystal,
                       const std::optional<Numbers> &rotations,
                       const std::optional<Numbers> &reference_m,
                       const std::vector<std::int32_t> &turning,
                       const std::optional<Numbers> &turning_m,
                       const std::optional<Numbers> &amplitude, int threads) const
    {
        const Pixels pixels(slow, fast);
        if (lattices_.size() != 1)
            raise_error(NBH_INVALID, "crystals",
                        "got " + std::to_string(lattices_.size()) + ", need 1 for a Jacobian");
        if (count < 1)
            raise_error(NBH_INVALID, "directions",
                        "got " + std::to_string(count) + ", need at least 1");
        const std::int64_t orientations = lattices_[0].orientation_count;
        nbh_scene_directions along{};
        along.count = count;
        along.turning_count = static_cast<std::int32_t>(turning.size());
        along.turning = turning.data();
        along.numbers = taken("numbers", numbers, std::int64_t{count} * NBH_SCENE_NUMBERS);
        along.sources = taken("sources", sources, count * c_.source_count * NBH_SOURCE_NUMBERS);
        along.crystal = taken("crystal", crystal, std::int64_t{count} * NBH_CRYSTAL_NUMBERS);
        along.rotations = taken("rotations", rotations, 9 * orientations);
        along.reference_m = taken("reference_m", reference_m, std::int64_t{count} * 9);
        along.turning_m = taken("turning_m", turning_m, 9 * orientations * along.turning_count);
        if (amplitude) {
            const std::optional<Numbers> &table = tables_of_first();
            if (!table)
                raise_error(NBH_INVALID, "amplitude", "need a crystal that has a table");
            along.amplitude = taken("amplitude", amplitude, table->size());
        }
        Numbers values({static_cast<py::ssize_t>(pixels.count())});
        Numbers found({count, static_cast<py::ssize_t>(pixels.count())});
        double *out = values.mutable_data(), *out_found = found.mutable_data();
        for_row_groups(
            pixels.count(), rows_of_group(pixels.count(), most_groups), steps_of(pixels), threads,
            [&](std::int64_t first, std::int64_t end, std::size_t, CancelFlag cancel,
                nbh_error *error) {
                const nbh_pixel_list list = pixels.c(cancel);
                return nbh_scene_jacobian(&c_, &list, &along, first, end, out, out_found, error);
            });
        return py::make_tuple(values.view(), found.view());
    }

  private:
    // Evaluations of the innermost formula, all crystals together.
    double steps_of(const Pixels &pixels) const
    {
        double orientations = 0.0;
        for (const nbh_lattice &lattice : lattices_)
            orientations += static_cast<double>(lattice.orientation_count);
        return static_cast<double>(pixels.count()) * static_cast<double>(c_.source_count) *
               c_.layers * c_.oversample * c_.oversample * std::max(orientations, 1.0);
    }

    // Where everything of a gradient stands in one array; it begins with the scene's numbers.
    struct Layout {
        std::int64_t sources, crystals, size;
        std::vector<std::int64_t> cells;
        std::vector<std::int64_t> amplitude; // -1: not wanted
    };

    Layout layout_of(bool want_amplitude) const
    {
        Layout layout{};
        layout.sources = NBH_SCENE_NUMBERS;
        layout.crystals = layout.sources + NBH_SOURCE_NUMBERS * c_.source_count;
        layout.size =
            layout.crystals + NBH_CRYSTAL_NUMBERS * static_cast<std::int64_t>(lattices_.size());
        for (std::size_t n = 0; n < lattices_.size(); n++) {
            layout.cells.push_back(layout.size);
            layout.size += 9 * lattices_[n].orientation_count;
            const std::optional<Numbers> &table = crystals_[n].cast<const Lattice &>().amplitude();
            layout.amplitude.push_back(want_amplitude && table ? layout.size : -1);
            if (layout.amplitude.back() >= 0)
                layout.size += table->size();
        }
        return layout;
    }

    py::tuple unpacked(const Layout &layout, const std::vector<double> &found) const
    {
        const auto part = [&](std::int64_t first, const ::Shape &shape) {
            Numbers out(shape);
            std::copy_n(found.data() + first, out.size(), out.mutable_data());
            return out.view();
        };
        py::list cells, amplitude;
        for (std::size_t n = 0; n < lattices_.size(); n++) {
            const auto orientations = static_cast<py::ssize_t>(lattices_[n].orientation_count);
            cells.append(part(layout.cells[n], {orientations, 9}));
            if (layout.amplitude[n] < 0) {
                amplitude.append(py::none());
                continue;
            }
            const Numbers &table = *crystals_[n].cast<const Lattice &>().amplitude();
            amplitude.append(
                part(layout.amplitude[n], {table.shape(0), table.shape(1), table.shape(2)}));
        }
        return py::make_tuple(part(0, {NBH_SCENE_NUMBERS}),
                              part(layout.sources, {sources_.shape(0), NBH_SOURCE_NUMBERS}),
                              part(layout.crystals, {static_cast<py::ssize_t>(lattices_.size()),
                                                     NBH_CRYSTAL_NUMBERS}),
                              cells, amplitude);
    }

    const std::optional<Numbers> &tables_of_first() const
    {
        return crystals_.at(0).cast<const Lattice &>().amplitude();
    }

    static const double *taken(const char *name, const std::optional<Numbers> &array,
                               std::int64_t size)
    {
        if (!array)
            return nullptr;
        check_size(name, array->size(), size);
        return array->data();
    }

    Numbers sources_;
    std::vector<py::object> crystals_; // kept alive
    std::vector<double> strength_, background_;
    std::optional<std::vector<double>> water_;
    std::vector<nbh_lattice> lattices_;
    nbh_scene c_{};
};

} // namespace

void register_scene(py::module_ &m)
{
    py::class_<Scene>(m, "Scene")
        .def(py::init<std::int32_t, std::int32_t, const std::array<std::int32_t, 3> &, bool, bool,
                      std::int32_t, bool, bool, std::int32_t, std::int32_t, double, double,
                      const std::array<double, NBH_SCENE_NUMBERS> &, Numbers,
                      std::vector<py::object>, std::vector<double>, std::vector<double>,
                      std::optional<std::vector<double>>>(),
             py::arg("oversample"), py::arg("layers"), py::arg("places"), py::arg("has_pixel_area"),
             py::arg("is_oblique"), py::arg("surface"), py::arg("faces_sample"),
             py::arg("counts_zeros"), py::arg("background_factors"), py::arg("water_factors"),
             py::arg("steps"), py::arg("dmin_m"), py::arg("numbers"),
             py::arg("sources").noconvert(), py::arg("crystals"), py::arg("strength"),
             py::arg("background"), py::arg("water"))
        .def("values", &Scene::values, py::arg("slow").noconvert(), py::arg("fast").noconvert(),
             py::arg("threads"))
        .def("gradients", &Scene::gradients, py::arg("slow").noconvert(),
             py::arg("fast").noconvert(), py::arg("weight").noconvert(), py::arg("want_amplitude"),
             py::arg("threads"))
        .def("jacobian", &Scene::jacobian, py::arg("slow").noconvert(), py::arg("fast").noconvert(),
             py::arg("count"), py::arg("numbers").noconvert().none(true),
             py::arg("sources").noconvert().none(true), py::arg("crystal").noconvert().none(true),
             py::arg("rotations").noconvert().none(true),
             py::arg("reference_m").noconvert().none(true), py::arg("turning"),
             py::arg("turning_m").noconvert().none(true),
             py::arg("amplitude").noconvert().none(true), py::arg("threads"));
}
