// lattice.h - nbh_lattice as a Python object.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "arrays.h"
#include "nbh/nbh.h"
#include "structure_factor_table.h"

class Lattice
{
  public:
    Lattice(std::int32_t kernel, std::int32_t shape, bool interpolate,
            const std::array<double, 3> &n_cells, double shape_fudge,
            const std::array<double, 9> &star_per_angstrom, CArray<double> cells_m,
            std::optional<CArray<double>> amplitude, const std::array<std::int32_t, 3> &hkl_min,
            double default_f, bool single_precision);

    const nbh_lattice &c() const
    {
        return c_;
    }
    const std::optional<CArray<double>> &amplitude() const
    {
        return table_.amplitude();
    }

    pybind11::object sums(const CArray<double> &q, int threads) const;
    pybind11::tuple gradients(const CArray<double> &q, const CArray<double> &weight,
                              bool want_amplitude, int threads) const;
    pybind11::tuple tangents(const CArray<double> &q, const CArray<double> &q_along,
                             const CArray<double> &cells_along,
                             const std::array<double, 3> &n_cells, double shape_fudge,
                             const std::array<double, 9> &star,
                             const std::optional<CArray<double>> &amplitude, double default_f,
                             int threads) const;

  private:
    pybind11::tuple added_up(const CArray<double> &sums, const CArray<double> &by_q,
                             const std::vector<double> &numbers,
                             const std::vector<nbh_lattice_gradient> &found, bool has_table) const;

    CArray<double> cells_;
    StructureFactorTable table_;
    nbh_lattice c_{};
};
