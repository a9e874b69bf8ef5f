/* light_lattice.h - what a lattice and its sources are to the bounds of light_bounds.h: of a plan,
 * or of a scene with derivatives. */
#ifndef NBH_FAST_LIGHT_LATTICE_H
#define NBH_FAST_LIGHT_LATTICE_H

#include "allocate.h"
#include "fast/light_bounds.h"
#include "nbh/nbh.h"
#include "shapes.h"

/* A source's direction of travel and wavelength. */
typedef struct light_beam {
    double incident[3];
    double wavelength_m;
} light_beam;

/* The largest |F| of any step; infinite where one is not finite. */
double light_largest_f(const nbh_structure_factors *t, int interpolates);
/* From which darkness on F^2 times the squared factor is dark_term at most; infinite if nowhere.
 * f: the largest |F|. */
double light_dark_from(const crystal_shape *s, double f, double dark_term);
/* Sets what depends on the shape, for bounds->dark_term.  Returns why steps cannot be omitted. */
nbh_culling_reason light_set_measure(const crystal_shape *s, double f, light_bounds *bounds);
/* Component after component, each padded to whole chunks.  Returns 0 if there is too little memory.
 */
int light_copy_cells(const double *cells, int64_t count, double shortest_m, memory_budget *memory,
                     light_bounds *bounds);
/* What next to whole numbers bounds the factors of planes, after the cells.  Returns 0 if there is
 * too little memory. */
int light_set_peaks(const crystal_shape *s, memory_budget *memory, light_bounds *bounds);
/* By how much 1/wavelength may differ in a group, in parts of how far light reaches. */
double light_width_of_group(const light_bounds *bounds, double reach_of_group);
/* Neighbouring sources in one direction with nearly one wavelength, as many as are tested together.
 * Returns how many groups there are. */
int32_t light_group_sources(const light_beam *beams, int32_t beam_count, double width,
                            light_sources *groups);

#endif
