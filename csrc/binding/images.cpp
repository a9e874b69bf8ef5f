// images.cpp - integer, PGM and noise images (model 8).
#include <array>
#include <optional>
#include <string>
#include <tuple>

#include <pybind11/stl.h>

#include "arrays.h"
#include "dictionaries.h"
#include "errors.h"
#include "float_environment.h"
#include "nbh/nbh.h"
#include "random.h"
#include "registers.h"

namespace py = pybind11;

namespace
{

using Image = CArray<float>;
using Bounds = std::array<std::int32_t, 4>; // fast_min, fast_max, slow_min, slow_max

nbh_roi to_roi(const Bounds &bounds)
{
    return {bounds[0], bounds[1], bounds[2], bounds[3]};
}

std::int32_t size(const Image &image, int axis)
{
    return static_cast<std::int32_t>(image.shape(axis));
}

// The mask has a byte for each pixel, in raster order whatever its shape.
py::dict odd_pixels(const Image &image, const Bounds &bounds,
                    const std::optional<CArray<std::uint8_t>> &mask)
{
    check_image(image);
    if (mask && mask->size() < image.size())
        raise_error(NBH_INVALID, "mask",
                    "got " + std::to_string(mask->size()) + " values, need " +
                        std::to_string(image.size()) + ", one for each pixel");
    const nbh_roi roi = to_roi(bounds);
    const float *in = image.data();
    const std::uint8_t *skips = mask ? mask->data() : nullptr;
    nbh_odd_pixels odd{};
    nbh_error error{};
    nbh_status status = NBH_OK;
    {
        const py::gil_scoped_release release;
        status =
            nbh_image_odd_pixels(in, size(image, 1), size(image, 0), &roi, skips, &odd, &error);
    }
    check(status, error);
    return to_dict(odd);
}

py::tuple integer_image(const Image &image, const Bounds &bounds, double scale, double max_value,
                        double adc_offset)
{
    check_image(image);
    auto out = new_image<std::uint16_t>(image.shape(0), image.shape(1));
    const nbh_roi roi = to_roi(bounds);
    const float *in = image.data();
    std::uint16_t *to = out.mutable_data();
    double scale_used = 0.0;
    nbh_error error{};
    nbh_status status = NBH_OK;
    {
        const py::gil_scoped_release release;
        const DefaultFloatEnvironment environment;
        status = nbh_integer_image(in, size(image, 1), size(image, 0), &roi, scale, max_value,
                                   adc_offset, to, &scale_used, &error);
    }
    check(status, error);
    return py::make_tuple(out, scale_used);
}

py::tuple pgm_image(const Image &image, double scale, double rmsd, double integer_scale)
{
    check_image(image);
    auto out = new_image<std::uint8_t>(image.shape(0), image.shape(1));
    const float *in = image.data();
    std::uint8_t *to = out.mutable_data();
    double scale_used = 0.0;
    nbh_error error{};
    nbh_status status = NBH_OK;
    {
        const py::gil_scoped_release release;
        const DefaultFloatEnvironment environment;
        status = nbh_pgm_image(in, size(image, 1), size(image, 0), scale, rmsd, integer_scale, to,
                               &scale_used, &error);
    }
    check(status, error);
    return py::make_tuple(out, scale_used);
}

// `random` goes on from where it stands and is left where the image ends; so is the seed returned.
py::tuple noise_image(const Image &image, const Bounds &bounds, double adc_offset, Random &random,
                      std::int32_t seed)
{
    check_image(image);
    auto out = new_image<std::uint16_t>(image.shape(0), image.shape(1));
    const nbh_roi roi = to_roi(bounds);
    const float *in = image.data();
    std::uint16_t *to = out.mutable_data();
    nbh_random state = random.get();
    double photons = 0.0;
    std::int64_t overloads = 0;
    nbh_error error{};
    nbh_status status = NBH_OK;
    {
        const py::gil_scoped_release release;
        const DefaultFloatEnvironment environment;
        status = nbh_noise_image(in, size(image, 1), size(image, 0), &roi, adc_offset, &state,
                                 &seed, to, &photons, &overloads, &error);
    }
    check(status, error);
    random.set(state);
    return py::make_tuple(out, photons, overloads, seed);
}

} // namespace

void register_images(py::module_ &m)
{
    m.def("odd_pixels", &odd_pixels, py::arg("image").noconvert(), py::arg("roi"),
          py::arg("mask").noconvert());
    m.def("integer_image", &integer_image, py::arg("image").noconvert(), py::arg("roi"),
          py::arg("scale"), py::arg("max_value"), py::arg("adc_offset"));
    m.def("pgm_image", &pgm_image, py::arg("image").noconvert(), py::arg("scale"), py::arg("rmsd"),
          py::arg("integer_scale"));
    m.def("noise_image", &noise_image, py::arg("image").noconvert(), py::arg("roi"),
          py::arg("adc_offset"), py::arg("random"), py::arg("seed"));
}
