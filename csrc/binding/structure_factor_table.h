// structure_factor_table.h - a table of structure factors as libnbh borrows it, kept alive.
#pragma once

#include <cstdint>
#include <optional>

#include "arrays.h"
#include "nbh/nbh.h"

class StructureFactorTable
{
  public:
    // Without amplitudes, default_f everywhere.  Throws _core.Error for an array that is no table.
    StructureFactorTable(std::optional<CArray<double>> amplitude, std::int32_t h_min,
                         std::int32_t k_min, std::int32_t l_min, double default_f);

    const nbh_structure_factors &c() const
    {
        return c_;
    }
    // The amplitudes, if there are any.
    const std::optional<CArray<double>> &amplitude() const
    {
        return amplitude_;
    }

  private:
    std::optional<CArray<double>> amplitude_;
    nbh_structure_factors c_{};
};
