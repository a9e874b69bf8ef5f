// reflections.cpp - the light of each reflection, summed over the pixels of an image.
#include "reflections.h"

#include <algorithm>
#include <cstddef>
#include <tuple>

#include "arrays.h"

namespace py = pybind11;

nbh_status ReflectionSums::add(const nbh_plan *plan, const Range &range, double least,
                               CancelFlag cancel, nbh_error *error)
{
    constexpr std::size_t usual = 64, most = std::size_t{1} << 24;
    std::vector<nbh_reflection_light> lights(usual);
    for (std::int64_t pixel = range.first; pixel < range.end; pixel++) {
        if (range.wanted[pixel] == 0)
            continue;
        const auto fast = static_cast<std::int32_t>(pixel % range.n_fast);
        const auto slow = static_cast<std::int32_t>(pixel / range.n_fast);
        std::int64_t count = 0;
        nbh_status status = NBH_OK;
        for (;;) {
            status = nbh_plan_pixel_reflections(plan, fast, slow,
                                                static_cast<std::int64_t>(lights.size()),
                                                lights.data(), &count, cancel, error);
            if (status != NBH_TOO_LARGE || lights.size() >= most)
                break;
            lights.resize(2 * lights.size());
        }
        if (status != NBH_OK)
            return status;
        for (std::int64_t i = 0; i < count; i++) {
            const nbh_reflection_light &light = lights[static_cast<std::size_t>(i)];
            const Hkl hkl = {light.h, light.k, light.l};
            Sums &to = sums[hkl];
            to[0] += light.photons;
            to[1] += light.photons * fast;
            to[2] += light.photons * slow;
            to[3] += light.photons_phi_rad;
            if (light.photons >= least)
                pixels.push_back({pixel, hkl, light.photons});
        }
    }
    return NBH_OK;
}

py::tuple reflection_arrays(const std::vector<ReflectionSums> &parts)
{
    std::map<Hkl, std::tuple<ReflectionSums::Sums, std::int64_t>> all;
    std::size_t in_pixels = 0;
    for (const ReflectionSums &part : parts) {
        in_pixels += part.pixels.size();
        for (const auto &[hkl, sums] : part.sums) {
            ReflectionSums::Sums &to = std::get<0>(all[hkl]);
            for (std::size_t i = 0; i < to.size(); i++)
                to[i] += sums[i];
        }
    }
    const auto n = static_cast<py::ssize_t>(all.size());
    const auto m = static_cast<py::ssize_t>(in_pixels);
    CArray<std::int32_t> indices({n, py::ssize_t{3}});
    CArray<double> totals({n, py::ssize_t{4}});
    CArray<std::int64_t> places({m, py::ssize_t{2}});
    CArray<double> photons({m});
    std::int32_t *to_index = indices.mutable_data();
    double *to_total = totals.mutable_data();
    std::int64_t row = 0;
    for (auto &[hkl, entry] : all) {
        to_index = std::copy(hkl.begin(), hkl.end(), to_index);
        to_total = std::copy(std::get<0>(entry).begin(), std::get<0>(entry).end(), to_total);
        std::get<1>(entry) = row++;
    }
    std::int64_t *to_place = places.mutable_data();
    double *to_photons = photons.mutable_data();
    for (const ReflectionSums &part : parts) {
        for (const ReflectionSums::InPixel &entry : part.pixels) {
            *to_place++ = entry.pixel;
            *to_place++ = std::get<1>(all.at(entry.hkl));
            *to_photons++ = entry.photons;
        }
    }
    return py::make_tuple(indices, totals, places, photons);
}
