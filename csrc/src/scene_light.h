/* scene_light.h - which steps of a scene may be left out within its tolerance. */
#ifndef NBH_SCENE_LIGHT_H
#define NBH_SCENE_LIGHT_H

#include "fast/scene_tile.h"
#include "nbh/nbh.h"

/* Sets what the kernel needs for it; to be destroyed in any case.  Returns why every step of every
 * crystal is visited, which no lack of memory is: that is an error. */
nbh_status scene_light_set_up(const nbh_scene *s, const sums_lattice *lattices, scene_light *out,
                              nbh_culling_reason *reason, nbh_error *error);
void scene_light_destroy(scene_light *light);

/* What a kernel writes its lists to; NULL if there is too little memory. */
scene_lists *scene_lists_create(const scene_light *light, nbh_error *error);
void scene_lists_destroy(scene_lists *lists);

#endif
