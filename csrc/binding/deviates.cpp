// deviates.cpp - numbers of photons and normal deviates that depend on a key and a counter alone
// (model 10.4).
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "arrays.h"
#include "errors.h"
#include "normal_stream.h"
#include "philox.h"
#include "registers.h"

namespace py = pybind11;

namespace
{

constexpr double large_mean = 64.0, rows_per_photon = 8.0, unit = 0x1p-32;
constexpr std::size_t guides = 256, table_rows = 512;

// The whole number next to x >= 0, halves to even.
inline double rounded(double x)
{
    constexpr double no_fraction = 0x1p52; // from here on
    return x < no_fraction ? (x + no_fraction) - no_fraction : x;
}

// Cornish and Fisher's expansion of the quantiles; `photons` has normal deviates.
void of_large_means(const double *mean, std::size_t count, double *photons)
{
    for (std::size_t n = 0; n < count; n++) {
        const double normal = photons[n], excess = normal * normal - 1.0;
        double found = std::sqrt(mean[n] - 1.0 / 12.0) * normal + mean[n];
        found += excess * (1.0 / 6.0);
        found -= normal * excess / (std::sqrt(mean[n]) * 72.0);
        photons[n] = rounded(found > 0.0 ? found : 0.0);
    }
}

// The photons of pixels, from the first to the last.
class PhotonStream
{
  public:
    PhotonStream(const Philox::Key &key, const Philox::Counter &small, const Philox::Counter &large,
                 CArray<double> distribution, CArray<std::uint8_t> guide)
        : small_(key, small), large_(key, large), distribution_(std::move(distribution)),
          guide_(std::move(guide))
    {
        const auto rows = static_cast<std::size_t>(guide_.size()) / guides;
        width_ = rows == 0 ? 0 : static_cast<std::size_t>(distribution_.size()) / rows;
        if (rows < table_rows || width_ < 2)
            raise_error(NBH_INVALID, "guide",
                        "got " + std::to_string(rows) + " rows, need " +
                            std::to_string(table_rows));
    }

    void draw(const CArray<double> &mean, const CArray<double> &photons)
    {
        if (mean.size() != photons.size())
            raise_error(NBH_INVALID, "photons",
                        "got " + std::to_string(photons.size()) + " pixels, need " +
                            std::to_string(mean.size()));
        const double *from = mean.data();
        double *to = photons.mutable_data();
        const auto count = static_cast<std::size_t>(mean.size());
        if (from < to + count && to < from + count)
            raise_error(NBH_INVALID, "photons", "got the memory of the means, need other memory");
        const py::gil_scoped_release release;
        for (std::size_t begin = 0; begin < count; begin += block)
            draw_block(from + begin, std::min(block, count - begin), to + begin);
    }

  private:
    static constexpr std::size_t block = 1024;

    void draw_block(const double *mean, std::size_t count, double *photons)
    {
        std::size_t large = 0;
        for (std::size_t n = 0; n < count; n++)
            large += mean[n] >= large_mean ? 1 : 0;
        if (large == 0)
            large_.skip(count);
        else {
            large_.draw(photons, count);
            of_large_means(mean, count, photons); // the others are overwritten
        }
        if (large < count) {
            std::array<std::uint64_t, block> raw;
            small_.numbers(position_, count, raw.data());
            for (std::size_t n = 0; n < count; n++)
                if (!(mean[n] >= large_mean))
                    photons[n] = of_small_mean(mean[n], raw[n]);
        }
        position_ += count;
    }

    // The sum of two deviates: of the mean rounded down to a row of the table, by inversion with
    // the upper half of the raw number, and of what is left, with the lower.
    double of_small_mean(double mean, std::uint64_t raw) const
    {
        if (!(mean > 0.0))
            return 0.0;
        const auto row = static_cast<std::size_t>(mean * rows_per_photon);
        const double *const first = distribution_.data() + row * width_;
        const double uniform = static_cast<double>(raw >> 32) * unit;
        std::size_t found = guide_.data()[row * guides + (raw >> 56)];
        while (uniform >= first[found]) // the last one of a row is infinite
            found++;
        const double second = static_cast<double>(raw & 0xffffffffU) * unit;
        const double left = mean - static_cast<double>(row) / rows_per_photon;
        if (second < 1.0 - left - 1e-12) // which is less than exp(-left)
            return static_cast<double>(found);
        double term = std::exp(-left), total = term;
        for (double k = 1.0; second >= total; k += 1.0) {
            found++;
            term = term * left / k;
            total += term;
            if (!(term > 1e-12)) // beyond the last digit of the sum there is nothing more
                break;
        }
        return static_cast<double>(found);
    }

    Philox small_;
    NormalStream large_;
    CArray<double> distribution_;
    CArray<std::uint8_t> guide_;
    std::size_t width_ = 0;
    std::uint64_t position_ = 0; // of the next pixel
};

void draw_normals(NormalStream &stream, const CArray<double> &deviates)
{
    double *to = deviates.mutable_data();
    const auto count = static_cast<std::size_t>(deviates.size());
    const py::gil_scoped_release release;
    stream.draw(to, count);
}

} // namespace

void register_deviates(py::module_ &m)
{
    py::class_<NormalStream>(m, "NormalStream", "Normal deviates of a key and a counter.")
        .def(py::init<const Philox::Key &, const Philox::Counter &>(), py::arg("key"),
             py::arg("counter"))
        .def("draw", &draw_normals, py::arg("deviates").noconvert());
    py::class_<PhotonStream>(m, "PhotonStream", "Photons of pixels (model 10.4).")
        .def(py::init<const Philox::Key &, const Philox::Counter &, const Philox::Counter &,
                      CArray<double>, CArray<std::uint8_t>>(),
             py::arg("key"), py::arg("small"), py::arg("large"),
             py::arg("distribution").noconvert(), py::arg("guide").noconvert())
        .def("draw", &PhotonStream::draw, py::arg("mean").noconvert(),
             py::arg("photons").noconvert());
}
