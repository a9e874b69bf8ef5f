// registers.h - what module.cpp calls, one function per source file.
#pragma once

#include <pybind11/pybind11.h>

void register_arrays(pybind11::module_ &m);
void register_background(pybind11::module_ &m);
void register_deviates(pybind11::module_ &m);
void register_errors(pybind11::module_ &m);
void register_build(pybind11::module_ &m);
void register_byte_offset(pybind11::module_ &m);
void register_experiment(pybind11::module_ &m);
void register_random(pybind11::module_ &m);
void register_plan(pybind11::module_ &m);
void register_images(pybind11::module_ &m);
void register_lattice_sums(pybind11::module_ &m);
void register_scene(pybind11::module_ &m);
void register_structure_factors_text(pybind11::module_ &m);
void register_structure_factors_dump(pybind11::module_ &m);
