// dictionaries.h - result structs of libnbh as Python dicts with the same names.
#pragma once

#include <pybind11/pybind11.h>

#include "nbh/nbh.h"

// Scalars become numbers, arrays become tuples, nested structs become dicts.
pybind11::dict to_dict(const nbh_plan_info &info);
pybind11::dict to_dict(const nbh_trace &trace);
pybind11::dict to_dict(const nbh_step_trace &step);
pybind11::dict to_dict(const nbh_statistics &statistics);
pybind11::dict to_dict(const nbh_odd_pixels &odd);
pybind11::dict to_dict(const nbh_hkl_bounds &bounds);
pybind11::dict to_dict(const nbh_hkl_repeats &repeats);
