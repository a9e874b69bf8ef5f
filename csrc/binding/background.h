// background.h - nbh_background as a Python object.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <tuple>
#include <vector>

#include <pybind11/pybind11.h>

#include "arrays.h"
#include "nbh/nbh.h"

// Light beside the spots, with the arrays that it is made of.
class Background
{
  public:
    using Curve = std::tuple<CArray<double>, CArray<double>>; // x, y
    using Scatterer = std::tuple<CArray<double>, CArray<double>, bool, double>;
    using Offset = std::tuple<std::array<std::int32_t, 4>, double>; // fast, slow: min, max

    // scatterers: x, y, whether y is F^2, number of molecules.
    Background(double air_attenuation_per_m, double flat_photons, std::vector<Scatterer> scatterers,
               std::optional<Curve> radial, const std::vector<Offset> &offsets);
    Background(const Background &) = delete;
    Background &operator=(const Background &) = delete;

    const nbh_background &c() const
    {
        return c_;
    }

  private:
    std::vector<Scatterer> kept_;
    std::optional<Curve> radial_;
    std::vector<nbh_scatterer> scatterers_;
    std::vector<nbh_background_offset> offsets_;
    nbh_background c_{};
};
