// module.cpp - the private extension nanobragg_hybrid._core: one register_* per topic.
#include "registers.h"

PYBIND11_MODULE(_core, m)
{
    m.doc() = "Private binding of libnbh; nanobragg_hybrid.engines.c and base.native are its only users.";
    register_errors(m);
    register_arrays(m);
    register_build(m);
    register_experiment(m);
    register_random(m);
    register_plan(m);
    register_images(m);
    register_structure_factors_text(m);
    register_structure_factors_dump(m);
}
