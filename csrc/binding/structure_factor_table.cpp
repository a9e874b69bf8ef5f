// structure_factor_table.cpp - the sizes of a table, checked.
#include "structure_factor_table.h"

#include <string>
#include <utility>

#include "errors.h"

namespace py = pybind11;

namespace
{

// Last index of an axis that starts at `first`.
std::int32_t last_index(const char *field, std::int32_t first, py::ssize_t count)
{
    if (count < 1)
        raise_error(NBH_INVALID, field, "got an empty axis, need at least one index");
    if (count - 1 > INT32_MAX - std::int64_t{first})
        raise_error(NBH_TOO_LARGE, field,
                    "got " + std::to_string(count) + " indices from " + std::to_string(first) +
                        ", need a last index that fits 32 bits");
    return static_cast<std::int32_t>(first + count - 1);
}

} // namespace

StructureFactorTable::StructureFactorTable(std::optional<CArray<double>> amplitude,
                                           std::int32_t h_min, std::int32_t k_min,
                                           std::int32_t l_min, double default_f)
    : amplitude_(std::move(amplitude))
{
    c_.default_f = default_f;
    if (!amplitude_)
        return;
    if (amplitude_->ndim() != 3)
        raise_error(NBH_INVALID, "structure_factors.amplitude",
                    "got " + std::to_string(amplitude_->ndim()) + " dimensions, need (h, k, l)");
    c_.amplitude = amplitude_->data();
    c_.h_min = h_min;
    c_.k_min = k_min;
    c_.l_min = l_min;
    c_.h_max = last_index("structure_factors.h_max", h_min, amplitude_->shape(0));
    c_.k_max = last_index("structure_factors.k_max", k_min, amplitude_->shape(1));
    c_.l_max = last_index("structure_factors.l_max", l_min, amplitude_->shape(2));
}
