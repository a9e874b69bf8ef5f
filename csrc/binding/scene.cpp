// scene.cpp - nbh_scene as a Python object: pixels and their derivatives on threads.
#include <algorithm>
#include <array>
#include <atomic>
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
#include "pixel_order.h"
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

// Pixels as the C functions take them: in the caller's order, or neighbours next to each other
// where steps may be left out, some of them repeated.
class Pixels
{
  public:
    Pixels(const Integers &slow, const Integers &fast, bool as_neighbours)
    {
        check_size("fast", fast.size(), slow.size());
        given_ = slow.size();
        c_.slow = slow.data();
        c_.fast = fast.data();
        c_.count = given_;
        if (!as_neighbours)
            return;
        order_ = neighbours(slow.data(), fast.data(), given_);
        slow_ = picked(slow.data());
        fast_ = picked(fast.data());
        c_.slow = slow_.data();
        c_.fast = fast_.data();
        c_.count = static_cast<std::int64_t>(order_.size());
        is_ordered_ = true;
    }
    // To be stopped by the flag; visited is added to.
    nbh_pixel_list c(CancelFlag cancel, std::int64_t *visited) const
    {
        nbh_pixel_list list = c_;
        list.cancel = cancel;
        list.visited = visited;
        return list;
    }
    std::int64_t count() const
    {
        return c_.count;
    }
    std::int64_t given() const
    {
        return given_;
    }
    // Where rows of count() numbers are computed: `out` itself, or memory of their own.
    double *rows(double *out, std::int64_t row_count)
    {
        if (!is_ordered_)
            return out;
        rows_.resize(static_cast<std::size_t>(row_count * count()));
        return rows_.data();
    }
    // Rows in the caller's order.
    void put_back(const double *rows, std::int64_t row_count, double *out) const
    {
        if (!is_ordered_)
            return;
        for (std::int64_t n = 0; n < row_count; n++)
            for (std::int64_t i = 0; i < count(); i++)
                if (order_[i].is_first)
                    out[n * given_ + order_[i].place] = rows[n * count() + i];
    }
    // Rows of the caller's numbers in this order; 0 for repeated pixels.
    const double *weights(const double *given, std::int64_t row_count)
    {
        if (!is_ordered_)
            return given;
        rows_.resize(static_cast<std::size_t>(row_count * count()));
        for (std::int64_t n = 0; n < row_count; n++)
            for (std::int64_t i = 0; i < count(); i++)
                rows_[n * count() + i] =
                    order_[i].is_first ? given[n * given_ + order_[i].place] : 0.0;
        return rows_.data();
    }

  private:
    std::vector<std::int32_t> picked(const std::int32_t *given) const
    {
        std::vector<std::int32_t> found;
        found.reserve(order_.size());
        for (const OrderedPixel &pixel : order_)
            found.push_back(given[pixel.place]);
        return found;
    }

    nbh_pixel_list c_{};
    std::int64_t given_ = 0;
    bool is_ordered_ = false;
    std::vector<OrderedPixel> order_;
    std::vector<std::int32_t> slow_, fast_;
    std::vector<double> rows_;
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
          std::vector<double> background, std::optional<std::vector<double>> water,
          double tolerance_photons)
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
        c_.tolerance_photons = tolerance_photons;
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
        Pixels pixels = taken(slow, fast);
        const auto crystals = static_cast<std::int64_t>(lattices_.size());
        Numbers values(
            {static_cast<py::ssize_t>(crystals), static_cast<py::ssize_t>(pixels.given())});
        double *out = pixels.rows(values.mutable_data(), crystals);
        std::atomic<std::int64_t> visited{0};
        for_row_groups(
            pixels.count(), rows_of_group(pixels.count(), most_groups), steps_of(pixels), threads,
            [&](std::int64_t first, std::int64_t end, std::size_t, CancelFlag cancel,
                nbh_error *error) {
                std::int64_t own = 0;
                const nbh_pixel_list list = pixels.c(cancel, &own);
                const nbh_status status = nbh_scene_values(&c_, &list, first, end, out, error);
                visited += own;
                return status;
            });
        pixels.put_back(out, crystals, values.mutable_data());
        count(pixels, visited);
        return values.view();
    }

    py::tuple gradients(const Integers &slow, const Integers &fast, const Numbers &weight,
                        bool want_amplitude, int threads) const
    {
        Pixels pixels = taken(slow, fast);
        const std::size_t crystals = lattices_.size();
        check_size("weight", weight.size(), pixels.given() * static_cast<std::int64_t>(crystals));
        const Layout layout = layout_of(want_amplitude);
        const std::int64_t group = rows_of_group(
            pixels.count(),
            std::clamp<std::int64_t>(most_shared_numbers / (layout.size + 1), 1, most_groups));
        const auto groups = static_cast<std::size_t>(group_count(pixels.count(), group));
        std::vector<double> found(static_cast<std::size_t>(layout.size));
        std::vector<std::vector<double>> parts(groups);
        const double *weights = pixels.weights(weight.data(), static_cast<std::int64_t>(crystals));
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
                const nbh_pixel_list list = pixels.c(cancel, nullptr);
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
        Pixels pixels = taken(slow, fast);
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
        Numbers values({static_cast<py::ssize_t>(pixels.given())});
        Numbers found({count, static_cast<py::ssize_t>(pixels.given())});
        Pixels changes = pixels; // for memory of its own
        double *out = pixels.rows(values.mutable_data(), 1),
               *out_found = changes.rows(found.mutable_data(), count);
        for_row_groups(
            pixels.count(), rows_of_group(pixels.count(), most_groups), steps_of(pixels), threads,
            [&](std::int64_t first, std::int64_t end, std::size_t, CancelFlag cancel,
                nbh_error *error) {
                const nbh_pixel_list list = pixels.c(cancel, nullptr);
                return nbh_scene_jacobian(&c_, &list, &along, first, end, out, out_found, error);
            });
        pixels.put_back(out, 1, values.mutable_data());
        changes.put_back(out_found, count, found.mutable_data());
        return py::make_tuple(values.view(), found.view());
    }

    // Why every step is visited in spite of a tolerance, an nbh_culling_reason.
    std::int32_t culling() const
    {
        std::int32_t reason = 0;
        nbh_error error{};
        check(nbh_scene_culling(&c_, &reason, &error), error);
        return reason;
    }
    // The steps of all values so far: those that were visited, and all.
    std::pair<double, double> visits() const
    {
        return {visited_, offered_};
    }

  private:
    Pixels taken(const Integers &slow, const Integers &fast) const
    {
        return {slow, fast, c_.tolerance_photons > 0.0};
    }

    void count(const Pixels &pixels, std::int64_t visited) const
    {
        visited_ += static_cast<double>(visited);
        offered_ += all_steps_of(pixels);
    }

    double all_steps_of(const Pixels &pixels) const
    {
        double orientations = 0.0;
        for (const nbh_lattice &lattice : lattices_)
            orientations += static_cast<double>(lattice.orientation_count);
        return static_cast<double>(pixels.count()) * static_cast<double>(c_.source_count) *
               c_.layers * c_.oversample * c_.oversample * orientations;
    }

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
    mutable double visited_ = 0.0, offered_ = 0.0; // with the GIL
};

} // namespace

void register_scene(py::module_ &m)
{
    py::class_<Scene>(m, "Scene")
        .def(py::init<std::int32_t, std::int32_t, const std::array<std::int32_t, 3> &, bool, bool,
                      std::int32_t, bool, bool, std::int32_t, std::int32_t, double, double,
                      const std::array<double, NBH_SCENE_NUMBERS> &, Numbers,
                      std::vector<py::object>, std::vector<double>, std::vector<double>,
                      std::optional<std::vector<double>>, double>(),
             py::arg("oversample"), py::arg("layers"), py::arg("places"), py::arg("has_pixel_area"),
             py::arg("is_oblique"), py::arg("surface"), py::arg("faces_sample"),
             py::arg("counts_zeros"), py::arg("background_factors"), py::arg("water_factors"),
             py::arg("steps"), py::arg("dmin_m"), py::arg("numbers"),
             py::arg("sources").noconvert(), py::arg("crystals"), py::arg("strength"),
             py::arg("background"), py::arg("water"), py::arg("tolerance_photons") = 0.0)
        .def_property_readonly("culling", &Scene::culling)
        .def_property_readonly("visits", &Scene::visits)
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
