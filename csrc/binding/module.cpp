// module.cpp - the private extension nanobragg_hybrid._core: one register_* per topic.
//
// It is safe without the GIL.  libnbh has no writable data of its own.  Here, the exception type is
// made once behind a lock (errors.cpp).  A plan changes once, when it is settled: one thread
// does so, behind mutexes that every render and trace passes first; the rest of it is only read.
// Sources and mask of an Experiment, and the state of a Random, are exchanged whole behind theirs.
// What remains is the caller's, as with any array: the numbers of an Experiment while they are set,
// and the memory of arrays that somebody writes to.
#include "registers.h"

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used())
{
    m.doc() =
        "Private binding of libnbh; nanobragg_hybrid.engines.c and base.native are its only users.";
    register_errors(m);
    register_arrays(m);
    register_build(m);
    register_byte_offset(m);
    register_deviates(m);
    register_experiment(m);
    register_random(m);
    register_background(m);
    register_plan(m);
    register_images(m);
    register_lattice_sums(m);
    register_scene(m);
    register_structure_factors_text(m);
    register_structure_factors_dump(m);
}
