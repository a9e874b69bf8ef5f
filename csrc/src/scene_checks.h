/* scene_checks.h - does a scene make sense, and what is asked of it? */
#ifndef NBH_SCENE_CHECKS_H
#define NBH_SCENE_CHECKS_H

#include "nbh/nbh.h"

/* All but what lattice_setup says of a crystal, and the kernel. */
nbh_status scene_check(const nbh_scene *scene, nbh_error *error);
nbh_status scene_check_pixels(const nbh_pixel_list *pixels, int64_t first, int64_t end,
                              nbh_error *error);
/* Is there an array, unless it has no numbers? */
nbh_status scene_check_array(const void *array, const char *name, int64_t count, nbh_error *error);
/* The scene has been checked before these. */
nbh_status scene_check_gradient(const nbh_scene *scene, const nbh_scene_gradient *gradient,
                                nbh_error *error);
nbh_status scene_check_directions(const nbh_scene *scene, const nbh_scene_directions *directions,
                                  nbh_error *error);

#endif
