// arrays.cpp - memory that Python sees through the buffer protocol.
#include "arrays.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <utility>

#include <pybind11/stl.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "registers.h"

namespace py = pybind11;

namespace
{

// Owns what a memoryview shows.
class Buffer
{
  public:
    Buffer(std::string format, py::ssize_t item_size, Shape shape)
        : format_(std::move(format)), item_size_(item_size), shape_(std::move(shape)),
          start_(new std::byte[bytes()])
    {
        advise();
    }

    py::buffer_info info() const
    {
        return {start_.get(), item_size_,
                format_,      static_cast<py::ssize_t>(shape_.size()),
                shape_,       py::detail::c_strides(shape_, item_size_)};
    }

  private:
    std::size_t bytes() const
    {
        py::ssize_t bytes = item_size_;
        for (const py::ssize_t count : shape_) {
            if (count > 0 && bytes > std::numeric_limits<py::ssize_t>::max() / count)
                throw std::bad_alloc();
            bytes *= count;
        }
        return static_cast<std::size_t>(bytes);
    }

    // Large pages for large memory, where the system has them to give: fewer faults at first use.
    void advise() const
    {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
        constexpr std::uintptr_t page = std::uintptr_t{1} << 21;
        const auto first = reinterpret_cast<std::uintptr_t>(start_.get());
        const std::uintptr_t begin = (first + page - 1) / page * page;
        const std::uintptr_t end = (first + bytes()) / page * page;
        if (begin < end) // advice: whether it is taken does not matter
            madvise(reinterpret_cast<void *>(begin), end - begin, MADV_HUGEPAGE);
#endif
    }

    std::string format_;
    py::ssize_t item_size_;
    Shape shape_;
    std::unique_ptr<std::byte[]> start_; // not initialised
};

} // namespace

py::object new_memory(const char *format, py::ssize_t item_size, const Shape &shape)
{
    const py::object owner = py::cast(std::make_unique<Buffer>(format, item_size, shape));
    auto view = py::reinterpret_steal<py::object>(PyMemoryView_FromObject(owner.ptr()));
    if (!view)
        throw py::error_already_set();
    return view;
}

void register_arrays(py::module_ &m)
{
    py::class_<Buffer>(m, "_Buffer", py::buffer_protocol()).def_buffer(&Buffer::info);
    m.def(
        "new_table", [](const Shape &shape) { return CArray<double>(shape); }, py::arg("shape"),
        "Uninitialised memory, float64.");
}
