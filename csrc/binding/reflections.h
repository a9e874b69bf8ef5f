// reflections.h - the light of each reflection, summed over the pixels of an image.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include <pybind11/pybind11.h>

#include "nbh/nbh.h"
#include "parallel_work_items.h"

using Hkl = std::array<std::int32_t, 3>;

// Of the pixels of a work item.
struct ReflectionSums {
    // Photons, and these times fast, slow and the spindle angle in radians.
    using Sums = std::array<double, 4>;
    struct InPixel {
        std::int64_t pixel;
        Hkl hkl;
        double photons;
    };

    // Pixels by number, of an image of rows of n_fast; those that are not wanted are 0 there.
    struct Range {
        std::int64_t first, end, n_fast;
        const std::uint8_t *wanted;
    };

    std::map<Hkl, Sums> sums;
    std::vector<InPixel> pixels; // of at least `least` photons

    // Called without the GIL.
    nbh_status add(const nbh_plan *plan, const Range &range, double least, CancelFlag cancel,
                   nbh_error *error);
};

// In this order, whatever thread summed what: see Plan::reflections.
pybind11::tuple reflection_arrays(const std::vector<ReflectionSums> &parts);
