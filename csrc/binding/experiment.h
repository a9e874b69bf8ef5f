// experiment.h - nbh_experiment together with the arrays its pointers point to.
#pragma once

#include <vector>

#include "arrays.h"
#include "nbh/nbh.h"

struct Experiment {
    nbh_experiment c{};
    std::vector<nbh_source> sources;
    CArray<std::uint8_t> mask;

    Experiment()
    {
        nbh_experiment_init(&c);
    }
    Experiment(const Experiment &) = delete;
    Experiment &operator=(const Experiment &) = delete;
};
