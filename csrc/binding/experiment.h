// experiment.h - nbh_experiment together with the arrays its pointers point to.
//
// The mutex guards the arrays and the pointers to them.  Nobody calls Python while it is locked.
#pragma once

#include <mutex>
#include <vector>

#include "arrays.h"
#include "nbh/nbh.h"

struct Experiment {
    nbh_experiment c{};
    std::vector<nbh_source> sources;
    std::vector<nbh_wavelength> spectrum;
    std::vector<nbh_rotation> rotations;
    CArray<std::uint8_t> mask;
    mutable std::mutex arrays;

    Experiment()
    {
        nbh_experiment_init(&c);
    }
    Experiment(const Experiment &) = delete;
    Experiment &operator=(const Experiment &) = delete;
};
