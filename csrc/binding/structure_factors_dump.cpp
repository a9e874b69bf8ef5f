// structure_factors_dump.cpp - planes of a dump: little-endian doubles, padded by one row and
// column.
#include <array>
#include <cmath>
#include <cstring>

#include <pybind11/pybind11.h>

#include "arrays.h"
#include "errors.h"
#include "registers.h"

namespace py = pybind11;

namespace
{

constexpr py::ssize_t width = sizeof(double);

double from_little_endian(const std::uint8_t *bytes)
{
    std::uint64_t bits = 0;
    for (int i = width - 1; i >= 0; i--)
        bits = bits << 8 | bytes[i];
    double value = 0.0;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

void to_little_endian(double value, std::uint8_t *bytes)
{
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < width; i++)
        bytes[i] = static_cast<std::uint8_t>(bits >> 8 * i);
}

// The rows and columns of plane `h` of a table of shape (h, k, l), whose padded bytes are `bytes`.
std::array<py::ssize_t, 2> check_plane(const CArray<double> &table, py::ssize_t h,
                                       const CArray<std::uint8_t> &bytes)
{
    if (table.ndim() != 3 || h < 0 || h >= table.shape(0))
        raise_error(NBH_INVALID, "table", "got another shape, need (h, k, l) with this plane");
    const py::ssize_t rows = table.shape(1), columns = table.shape(2);
    if (bytes.size() != width * (rows + 1) * (columns + 1))
        raise_error(NBH_INVALID, "data", "got another size, need that of a padded plane");
    return {rows, columns};
}

// Fills plane `h`; false if one of its values is not finite.
bool read_dump_plane(const CArray<std::uint8_t> &bytes, const CArray<double> &table, py::ssize_t h)
{
    const auto [rows, columns] = check_plane(table, h, bytes);
    const std::uint8_t *from = bytes.data();
    double *to = table.mutable_data() + h * rows * columns;
    bool all_finite = true;
    const py::gil_scoped_release release;
    for (py::ssize_t k = 0; k < rows; k++, from += width) {
        for (py::ssize_t l = 0; l < columns; l++, from += width, to++) {
            *to = from_little_endian(from);
            all_finite = all_finite && std::isfinite(*to);
        }
    }
    return all_finite;
}

// The inverse; the padding of `bytes` stays as it is.
void write_dump_plane(const CArray<double> &table, py::ssize_t h, const CArray<std::uint8_t> &bytes)
{
    const auto [rows, columns] = check_plane(table, h, bytes);
    const double *from = table.data() + h * rows * columns;
    std::uint8_t *to = bytes.mutable_data();
    const py::gil_scoped_release release;
    for (py::ssize_t k = 0; k < rows; k++, to += width) {
        for (py::ssize_t l = 0; l < columns; l++, to += width)
            to_little_endian(*from++, to);
    }
}

} // namespace

void register_structure_factors_dump(py::module_ &m)
{
    m.def("read_dump_plane", &read_dump_plane, py::arg("data"), py::arg("table"), py::arg("h"));
    m.def("write_dump_plane", &write_dump_plane, py::arg("table"), py::arg("h"), py::arg("data"));
}
