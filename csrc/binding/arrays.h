// arrays.h - numpy arrays as the C functions take them: exact type, contiguous, never copied.
#pragma once

#include <string>

#include <pybind11/numpy.h>

#include "errors.h"

template <typename Scalar> using CArray = pybind11::array_t<Scalar, pybind11::array::c_style>;

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
