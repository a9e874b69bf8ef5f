// byte_offset.cpp - the byte-offset compression of CBF files: steps between neighbours in 1 byte;
// in 2 behind a byte of 0x80; in 4 behind 0x80 0x00 0x80; all little-endian.
#include <cstdint>
#include <cstdlib>

#include <pybind11/pybind11.h>

#include "arrays.h"
#include "errors.h"
#include "registers.h"

namespace py = pybind11;

namespace
{

constexpr std::int64_t most_in_1 = 127, most_in_2 = 32767, most_in_4 = 2147483647;

// How many bytes the steps take; -1 if one of them does not fit into 4.
py::ssize_t bytes_needed(const std::int32_t *pixels, py::ssize_t count)
{
    std::int64_t before = 0, largest = 0;
    py::ssize_t wide = 0, wider = 0;
    for (py::ssize_t i = 0; i < count; i++) {
        const std::int64_t size = std::llabs(pixels[i] - before);
        before = pixels[i];
        wide += size > most_in_1;
        wider += size > most_in_2;
        largest = size > largest ? size : largest;
    }
    return largest > most_in_4 ? -1 : count + 2 * wide + 4 * wider;
}

std::uint8_t *put(std::uint8_t *to, std::uint32_t bits, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *to++ = static_cast<std::uint8_t>(bits >> 8 * i);
    return to;
}

std::uint8_t *put_step(std::uint8_t *to, std::int64_t step)
{
    const std::int64_t size = std::llabs(step);
    const auto bits = static_cast<std::uint32_t>(step);
    if (size <= most_in_1)
        return put(to, bits, 1);
    *to++ = 0x80;
    if (size <= most_in_2)
        return put(to, bits, 2);
    return put(put(to, 0x8000, 2), bits, 4);
}

void write_steps(const std::int32_t *pixels, py::ssize_t count, std::uint8_t *to)
{
    std::int64_t before = 0;
    for (py::ssize_t i = 0; i < count; i++) {
        const std::int64_t step = pixels[i] - before, size = std::llabs(step);
        before = pixels[i];
        if (size > most_in_2 || i + 2 >= count) {
            to = put_step(to, step);
            continue;
        }
        // In noise nothing foretells which steps need 1 byte: without a branch, two bytes more may
        // be written than count, where the next two steps will be.
        const bool is_wide = size > most_in_1;
        const auto bits = static_cast<std::uint32_t>(step);
        to[0] = is_wide ? 0x80 : static_cast<std::uint8_t>(bits);
        put(to + 1, bits, 2);
        to += is_wide ? 3 : 1;
    }
}

// Throws for neighbours that differ by 2^31 or more, for which many readers have no step.
py::bytes byte_offset(const CArray<std::int32_t> &pixels)
{
    const std::int32_t *from = pixels.data();
    const py::ssize_t count = pixels.size();
    py::ssize_t needed = 0;
    {
        const py::gil_scoped_release release;
        needed = bytes_needed(from, count);
    }
    if (needed < 0)
        raise_error(NBH_INVALID, "pixels",
                    "got a step of 2^31 or more, need smaller steps between neighbours");
    auto made = py::reinterpret_steal<py::bytes>(PyBytes_FromStringAndSize(nullptr, needed));
    if (!made)
        throw py::error_already_set();
    auto *to = reinterpret_cast<std::uint8_t *>(PyBytes_AS_STRING(made.ptr()));
    {
        const py::gil_scoped_release release;
        write_steps(from, count, to);
    }
    return made;
}

} // namespace

void register_byte_offset(py::module_ &m)
{
    m.def("byte_offset", &byte_offset, py::arg("pixels").noconvert());
}
