// lattice_sums.cpp - nbh_lattice as a Python object: sums and derivatives of rows on threads.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
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

void check_rows(const Numbers &q)
{
    if (q.ndim() != 2 || q.shape(0) != 3)
        raise_error(NBH_INVALID, "q", "need an array of shape (3, rows)");
}

} // namespace

Lattice::Lattice(std::int32_t kernel, std::int32_t shape, bool interpolate,
                 const std::array<double, 3> &n_cells, double shape_fudge,
                 const std::array<double, 9> &star_per_angstrom, Numbers cells_m,
                 std::optional<Numbers> amplitude, const std::array<std::int32_t, 3> &hkl_min,
                 double default_f, bool single_precision)
    : cells_(std::move(cells_m)),
      table_(std::move(amplitude), hkl_min[0], hkl_min[1], hkl_min[2], default_f)
{
    if (cells_.ndim() != 2 || cells_.shape(1) != 9)
        raise_error(NBH_INVALID, "cells_m", "need an array of shape (orientations, 9)");
    nbh_lattice_init(&c_);
    c_.kernel = kernel;
    c_.shape = shape;
    c_.interpolate = interpolate ? 1 : 0;
    c_.single_precision = single_precision ? 1 : 0;
    std::copy(n_cells.begin(), n_cells.end(), c_.n_cells);
    c_.shape_fudge = shape_fudge;
    std::copy(star_per_angstrom.begin(), star_per_angstrom.end(), c_.star_per_angstrom);
    c_.cells_m = cells_.data();
    c_.orientation_count = cells_.shape(0);
    c_.structure_factors = table_.c();
}

py::object Lattice::sums(const Numbers &q, int threads) const
{
    check_rows(q);
    const std::int64_t rows = q.shape(1);
    Numbers sums({static_cast<py::ssize_t>(rows)});
    const double *in = q.data();
    double *out = sums.mutable_data();
    const std::int64_t group = rows_of_group(rows, most_groups);
    for_row_groups(
        rows, group, static_cast<double>(rows) * static_cast<double>(c_.orientation_count), threads,
        [&](std::int64_t first, std::int64_t end, std::size_t, CancelFlag, nbh_error *error) {
            return nbh_lattice_sums(&c_, in, rows, first, end, out, error);
        });
    return sums.view();
}

py::tuple Lattice::gradients(const Numbers &q, const Numbers &weight, bool want_amplitude,
                             int threads) const
{
    check_rows(q);
    const std::int64_t rows = q.shape(1), orientations = c_.orientation_count;
    if (weight.ndim() != 1 || weight.shape(0) != rows)
        raise_error(NBH_INVALID, "weight", "need a number for each row");
    const bool has_table = want_amplitude && table_.amplitude();
    const std::int64_t entries = has_table ? table_.amplitude()->size() : 0;
    const std::int64_t shared = 9 * orientations + entries;
    const std::int64_t group = rows_of_group(
        rows, std::clamp<std::int64_t>(most_shared_numbers / (shared + 1), 1, most_groups));
    const std::int64_t groups = group_count(rows, group);

    Numbers sums({static_cast<py::ssize_t>(rows)});
    Numbers by_q({3, static_cast<py::ssize_t>(rows)});
    std::vector<double> numbers(static_cast<std::size_t>(groups * shared));
    std::vector<nbh_lattice_gradient> found(static_cast<std::size_t>(groups));
    const double *in = q.data(), *weights = weight.data();
    double *out = sums.mutable_data(), *out_q = by_q.mutable_data();
    for (std::int64_t g = 0; g < groups; g++) {
        nbh_lattice_gradient &gradient = found[static_cast<std::size_t>(g)];
        gradient = {};
        gradient.q = out_q;
        gradient.cells_m = numbers.data() + g * shared;
        gradient.amplitude = has_table ? gradient.cells_m + 9 * orientations : nullptr;
    }
    for_row_groups(
        rows, group, static_cast<double>(rows) * static_cast<double>(c_.orientation_count), threads,
        [&](std::int64_t first, std::int64_t end, std::size_t g, CancelFlag, nbh_error *error) {
            return nbh_lattice_gradients(&c_, in, weights, rows, first, end, out, &found[g], error);
        });
    return added_up(sums, by_q, numbers, found, has_table);
}

py::tuple Lattice::tangents(const Numbers &q, const Numbers &q_along, const Numbers &cells_along,
                            const std::array<double, 3> &n_cells, double shape_fudge,
                            const std::array<double, 9> &star,
                            const std::optional<Numbers> &amplitude, double default_f,
                            int threads) const
{
    check_rows(q);
    check_rows(q_along);
    const std::int64_t rows = q.shape(1);
    if (q_along.shape(1) != rows)
        raise_error(NBH_INVALID, "q_along", "need as many rows as q has");
    if (cells_along.size() != cells_.size())
        raise_error(NBH_INVALID, "cells_along", "need as many numbers as cells_m has");
    if (amplitude && (!table_.amplitude() || amplitude->size() != table_.amplitude()->size()))
        raise_error(NBH_INVALID, "amplitude", "need as many numbers as the table has");
    nbh_lattice_tangent along{};
    along.q = q_along.data();
    along.cells_m = cells_along.data();
    along.amplitude = amplitude ? amplitude->data() : nullptr;
    along.default_f = default_f;
    along.shape_fudge = shape_fudge;
    std::copy(n_cells.begin(), n_cells.end(), along.n_cells);
    std::copy(star.begin(), star.end(), along.star_per_angstrom);
    Numbers sums({static_cast<py::ssize_t>(rows)});
    Numbers tangents({static_cast<py::ssize_t>(rows)});
    const double *in = q.data();
    double *out = sums.mutable_data(), *out_tangents = tangents.mutable_data();
    const std::int64_t group = rows_of_group(rows, most_groups);
    for_row_groups(
        rows, group, static_cast<double>(rows) * static_cast<double>(c_.orientation_count), threads,
        [&](std::int64_t first, std::int64_t end, std::size_t, CancelFlag, nbh_error *error) {
            return nbh_lattice_tangents(&c_, in, &along, rows, first, end, out, out_tangents,
                                        error);
        });
    return py::make_tuple(sums.view(), tangents.view());
}

py::tuple Lattice::added_up(const Numbers &sums, const Numbers &by_q,
                            const std::vector<double> &numbers,
                            const std::vector<nbh_lattice_gradient> &found, bool has_table) const
{
    const std::int64_t orientations = c_.orientation_count;
    Numbers by_cells({static_cast<py::ssize_t>(orientations), 9});
    double *cells = by_cells.mutable_data();
    std::fill(cells, cells + 9 * orientations, 0.0);
    py::object by_amplitude = py::none();
    double *amplitude = nullptr;
    std::int64_t entries = 0;
    if (has_table) {
        const Numbers &table = *table_.amplitude();
        const Numbers like({table.shape(0), table.shape(1), table.shape(2)});
        entries = like.size();
        amplitude = like.mutable_data();
        std::fill(amplitude, amplitude + entries, 0.0);
        by_amplitude = like.view();
    }
    std::array<double, 3> n_cells{};
    std::array<double, 9> star{};
    double fudge = 0.0, default_f = 0.0;
    const double *from = numbers.data();
    for (const nbh_lattice_gradient &gradient : found) {
        for (std::int64_t i = 0; i < 9 * orientations; i++)
            cells[i] += *from++;
        for (std::int64_t i = 0; i < entries; i++)
            amplitude[i] += *from++;
        for (std::size_t i = 0; i < 3; i++)
            n_cells[i] += gradient.n_cells[i];
        for (std::size_t i = 0; i < 9; i++)
            star[i] += gradient.star_per_angstrom[i];
        fudge += gradient.shape_fudge;
        default_f += gradient.default_f;
    }
    return py::make_tuple(sums.view(), by_q.view(), by_cells.view(), n_cells, fudge, star,
                          by_amplitude, default_f);
}

void register_lattice_sums(py::module_ &m)
{
    py::class_<Lattice>(m, "Lattice")
        .def(py::init<std::int32_t, std::int32_t, bool, const std::array<double, 3> &, double,
                      const std::array<double, 9> &, Numbers, std::optional<Numbers>,
                      const std::array<std::int32_t, 3> &, double, bool>(),
             py::arg("kernel"), py::arg("shape"), py::arg("interpolate"), py::arg("n_cells"),
             py::arg("shape_fudge"), py::arg("star_per_angstrom"), py::arg("cells_m").noconvert(),
             py::arg("amplitude").noconvert().none(true), py::arg("hkl_min"), py::arg("default_f"),
             py::arg("single_precision") = false)
        .def("sums", &Lattice::sums, py::arg("q").noconvert(), py::arg("threads"))
        .def("gradients", &Lattice::gradients, py::arg("q").noconvert(),
             py::arg("weight").noconvert(), py::arg("want_amplitude"), py::arg("threads"))
        .def("tangents", &Lattice::tangents, py::arg("q").noconvert(),
             py::arg("q_along").noconvert(), py::arg("cells_along").noconvert(), py::arg("n_cells"),
             py::arg("shape_fudge"), py::arg("star_per_angstrom"),
             py::arg("amplitude").noconvert().none(true), py::arg("default_f"), py::arg("threads"));
}
