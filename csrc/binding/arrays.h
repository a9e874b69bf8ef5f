// arrays.h - arrays as the C functions take them: exact type, C order, never copied.
//
// Python gives anything with the buffer protocol (numpy arrays, memoryviews) and gets memoryviews,
// which numpy takes as arrays without a copy.  Nothing here needs numpy to be loaded.
#pragma once

#include <cstddef>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <pybind11/pybind11.h>

#include "errors.h"

using Shape = std::vector<pybind11::ssize_t>;

// A memoryview of new memory, writable and not initialised.  Throws std::bad_alloc.
pybind11::object new_memory(const char *format, pybind11::ssize_t item_size, const Shape &shape);

// An array of Scalar in memory that a memoryview keeps alive.
template <typename Scalar> class CArray
{
  public:
    CArray() = default; // no array: only to be assigned to

    explicit CArray(const Shape &shape)
        : view_(new_memory(format().c_str(), sizeof(Scalar), shape)), buffer_(buffer_of(view_))
    {
    }

    // False if `source` is no array of Scalar in C order.
    bool take(pybind11::handle source)
    {
        if (!PyObject_CheckBuffer(source.ptr()))
            return false;
        auto view =
            pybind11::reinterpret_steal<pybind11::object>(PyMemoryView_FromObject(source.ptr()));
        if (!view) {
            PyErr_Clear();
            return false;
        }
        const Py_buffer *buffer = buffer_of(view);
        if (buffer->format == nullptr || format() != buffer->format ||
            PyBuffer_IsContiguous(buffer, 'C') == 0)
            return false;
        view_ = std::move(view);
        buffer_ = buffer;
        return true;
    }

    // The memoryview.
    const pybind11::object &view() const
    {
        return view_;
    }
    pybind11::ssize_t ndim() const
    {
        return buffer_->ndim;
    }
    pybind11::ssize_t shape(pybind11::ssize_t axis) const
    {
        return buffer_->shape[axis];
    }
    // Number of elements.
    pybind11::ssize_t size() const
    {
        return buffer_->len / buffer_->itemsize;
    }
    const Scalar *data() const
    {
        return static_cast<const Scalar *>(buffer_->buf);
    }
    Scalar *mutable_data() const
    {
        if (buffer_->readonly)
            throw pybind11::buffer_error("this memory may not be written to");
        return static_cast<Scalar *>(buffer_->buf);
    }

  private:
    static std::string format()
    {
        return pybind11::format_descriptor<Scalar>::format();
    }
    static const Py_buffer *buffer_of(const pybind11::object &view)
    {
        return PyMemoryView_GET_BUFFER(view.ptr());
    }

    pybind11::object view_;
    const Py_buffer *buffer_ = nullptr; // the view's
};

template <typename Scalar> struct pybind11::detail::type_caster<CArray<Scalar>> {
    PYBIND11_TYPE_CASTER(CArray<Scalar>, const_name("array"));

    bool load(handle source, bool /*convert*/)
    {
        return value.take(source);
    }
    static handle cast(const CArray<Scalar> &array, return_value_policy /*policy*/,
                       handle /*parent*/)
    {
        return array.view().inc_ref();
    }
};

// A (slow, fast) image whose sizes fit int32_t.
template <typename Scalar> void check_image(const CArray<Scalar> &image)
{
    if (image.ndim() != 2)
        raise_error(NBH_INVALID, "image",
                    "got " + std::to_string(image.ndim()) + " dimensions, need (slow, fast)");
    if (image.shape(0) > INT32_MAX || image.shape(1) > INT32_MAX)
        raise_error(NBH_TOO_LARGE, "image", "got more than 2147483647 pixels along an axis");
}

template <typename Scalar> CArray<Scalar> new_image(pybind11::ssize_t slow, pybind11::ssize_t fast)
{
    return CArray<Scalar>({slow, fast});
}
