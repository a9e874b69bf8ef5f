/* trace_recorder.h - keeps the steps of a pixel that somebody wants to see. */
#ifndef NBH_TRACE_RECORDER_H
#define NBH_TRACE_RECORDER_H

#include "plan.h"
#include "subpixel.h"
#include "vec3.h"

typedef struct trace_recorder {
    nbh_trace *trace; /* the first and last step */
    nbh_step_choice choice;
    nbh_step_trace *steps; /* the first `capacity` of those of the choice */
    int64_t capacity, count;
} trace_recorder;

/* Where a step happens. */
typedef struct step_geometry {
    const double *position, *diffracted, *q, *cell, *hkl, *hkl0;
    double airpath_m;
} step_geometry;

static inline int step_is_chosen(const nbh_step_choice *choice, const nbh_step_trace *step)
{
    return (choice->layer < 0 || choice->layer == step->layer) &&
           (choice->sub_slow < 0 || choice->sub_slow == step->sub_slow) &&
           (choice->sub_fast < 0 || choice->sub_fast == step->sub_fast) &&
           (choice->source < 0 || choice->source == step->source) &&
           (choice->phi_step < 0 || choice->phi_step == step->phi_step) &&
           (choice->domain < 0 || choice->domain == step->domain);
}

/* `step` has its indices, the factors, the structure factor, the term and the sum; the rest is
 * filled here.  has_no_f: no structure factor was looked up; step has the one before. */
static inline void recorder_add_step(trace_recorder *recorder, const nbh_plan *plan,
                                     const step_geometry *at, nbh_step_trace step, int has_no_f)
{
    const plan_source *from = &plan->sources[step.source];
    vec3_copy(at->position, step.pixel_pos_m);
    step.airpath_m = at->airpath_m;
    step.solid_angle_sr = subpixel_solid_angle(plan, at->airpath_m);
    step.obliquity = plan->faces_sample ? 1.0 : plan->info.close_distance_m / at->airpath_m;
    vec3_copy(at->diffracted, step.diffracted);
    vec3_copy(from->incident, step.incident);
    step.wavelength_m = from->wavelength_m;
    vec3_copy(at->q, step.q_per_m);
    step.stol_per_m = 0.5 * vec3_mag(at->q);
    step.phi_rad = plan->phi[step.phi_step];
    vec3_copy(at->cell, step.a_m);
    vec3_copy(at->cell + 3, step.b_m);
    vec3_copy(at->cell + 6, step.c_m);
    vec3_copy(at->hkl, step.hkl);
    vec3_copy(at->hkl0, step.hkl_rounded);
    recorder->trace->last = step;
    if (has_no_f)
        step.f_cell = 0.0;
    if (!recorder->trace->evaluated)
        recorder->trace->first = step;
    recorder->trace->evaluated = 1;
    if (step_is_chosen(&recorder->choice, &step)) {
        if (recorder->count < recorder->capacity)
            recorder->steps[recorder->count] = step;
        recorder->count++;
    }
}

#endif
