/* scene_tile.h - pixels of a scene that a kernel computes together, and their derivatives
 * (model 6.1 to 6.8). */
#ifndef NBH_FAST_SCENE_TILE_H
#define NBH_FAST_SCENE_TILE_H

#include "fast/light_bounds.h"
#include "fast/sums_tile.h"
#include "nbh/nbh.h"
#include "polarization_frame.h"

#define SCENE_TILE SUMS_TILE

/* What a factor does in its nbh_factor_place. */
typedef struct factor_role {
    int acts;       /* at all */
    int on_pixel;   /* on the pixel as a whole, */
    int on_rays;    /* or on what rays add to the sum, */
    int on_steps;   /* or on the sum so far, at every step */
    int from_first; /* polarization of rays: of the first sample, */
    int is_chosen;  /* or of one of the sample's sources */
} factor_role;

static inline factor_role role_of(int32_t place)
{
    factor_role role = {1, 0, 0, 0, 0, 0};
    switch ((nbh_factor_place)place) {
    case NBH_FACTOR_NONE:
        role.acts = 0;
        break;
    case NBH_FACTOR_PIXEL:
        role.on_pixel = 1;
        break;
    case NBH_FACTOR_RAY:
    case NBH_FACTOR_LAYER:
    case NBH_FACTOR_LAST_LAYER:
        role.on_rays = 1;
        break;
    case NBH_FACTOR_STEP:
        role.on_steps = 1;
        break;
    case NBH_FACTOR_SOURCE:
        role.on_rays = role.from_first = 1;
        break;
    case NBH_FACTOR_SAMPLE:
        role.on_rays = role.is_chosen = 1;
        break;
    }
    return role;
}

static inline int acts_on_pixel(int32_t place)
{
    return role_of(place).on_pixel;
}

static inline int acts_on_rays(int32_t place)
{
    return role_of(place).on_rays;
}

static inline int acts_on_steps(int32_t place)
{
    return role_of(place).on_steps;
}

/* Is the sum multiplied at every step? */
static inline int is_running(const nbh_scene *s)
{
    return acts_on_steps(s->capture) || acts_on_steps(s->polarization) ||
           acts_on_steps(s->solid_angle);
}

/* Does anything have a polarization factor? */
static inline int has_polarization(const nbh_scene *s)
{
    return role_of(s->polarization).acts ||
           ((s->background_factors | s->water_factors) & NBH_OWN_POLARIZATION) != 0;
}

/* Water of its own, which is added to the pixels. */
static inline int has_water(const nbh_scene *s)
{
    return s->water != NULL;
}

static inline int64_t samples_of(const nbh_scene *s)
{
    return (int64_t)s->layers * s->oversample * s->oversample;
}

/* Which steps may be left out. */
typedef struct scene_light {
    plan_light *crystals;      /* of each; every step of one without groups is visited */
    double *largest_f;         /* of each */
    double *dark_times_factor; /* of each: what F^2 times the squared factor of an omitted step may
                                  be, times what a sample's terms are multiplied with */
    int64_t *first_step;       /* of each, among the steps of one sample */
    int32_t crystal_count;
    int64_t source_count;
} scene_light;

/* The steps of a sample that may have light, as a kernel finds them. */
typedef struct scene_lists {
    light_tile tile;
    light_lists lists;
    uint8_t *lit;               /* for each step a bit for each LANES pixels */
    uint8_t *rays;              /* for each crystal and source: has any step one? */
    double *factor, *dark_from; /* of each crystal: the last darkness, and what it is for */
    int64_t visited;            /* steps, of all tiles so far */
} scene_lists;

/* A scene with what follows from it. */
typedef struct prepared_scene {
    const nbh_scene *scene;
    const sums_lattice *lattices;     /* of each crystal */
    const double *common_f;           /* of each: what the lattice's sums leave out */
    const polarization_frame *frames; /* of each source; NULL without polarization */
    const scene_light *light;         /* NULL: every step is visited */
} prepared_scene;

typedef double tile_numbers[SCENE_TILE];

/* Pixels; the last one is repeated where they end. */
typedef struct scene_tile {
    tile_numbers slow, fast;
    int64_t count;
} scene_tile;

/* Derivatives of a tile's weighted values.  All are added to. */
typedef struct scene_tile_gradient {
    double numbers[NBH_SCENE_NUMBERS];
    double *sources;          /* NBH_SOURCE_NUMBERS for each */
    double *frames;           /* FRAME_NUMBERS for each source */
    double *crystals;         /* NBH_CRYSTAL_NUMBERS for each */
    double *const *cells;     /* of each crystal, like those of sums_lattice */
    double *const *amplitude; /* of each crystal; the array or its elements may be NULL */
} scene_tile_gradient;

/* Directions, with what follows from them. */
typedef struct prepared_directions {
    const nbh_scene_directions *directions;
    const double *frames;            /* count * source_count * FRAME_NUMBERS, or NULL */
    const unsigned char *has_source; /* for each direction and source: does anything change? */
} prepared_directions;

/* What a kernel shall do with a tile: set values of all crystals, and either add to a gradient or
 * set a Jacobian; what is not wanted is NULL.  Where the work is cancelled, nothing is right. */
typedef struct scene_work {
    const volatile int32_t *cancel; /* looked at before each ray; NULL: never cancelled */
    scene_lists *lists;             /* of a scene with light */
    double *values;                 /* crystal_count * SCENE_TILE */
    const double *weight;           /* likewise, with `gradient`; 0 for repeated pixels */
    scene_tile_gradient *gradient;
    const prepared_directions *along; /* of the only crystal, with `jacobian` */
    double *jacobian;                 /* count * SCENE_TILE */
    double *by_turning;               /* memory for turning_count * SCENE_TILE */
    double *sums_before;  /* with derivatives of a running sum, memory for its value before each ray
                             of each crystal, samples * sources * crystal_count * SCENE_TILE */
    double *growth_after; /* likewise for what multiplies it after a ray, as two factors, 2 *
                             crystal_count * SCENE_TILE */
} scene_work;

static inline int is_cancelled(const scene_work *work)
{
    return work->cancel != NULL && *work->cancel != 0;
}

typedef void scene_kernel(const prepared_scene *scene, const scene_tile *tile,
                          const scene_work *work);

#endif
