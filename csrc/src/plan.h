/* plan.h - the inside of nbh_plan: what the render needs, derived once, and questions about it.
 *
 * plan_create.c fills it; here are only data and what reads them. */
#ifndef NBH_PLAN_H
#define NBH_PLAN_H

#include <math.h>

#include "allocate.h"
#include "fast/block.h"
#include "nbh/nbh.h"
#include "shapes.h"
#include "sources.h"

/* What one pixel inherits from the pixels before it in serial order (model 6.3, 6.4, 6.5). */
typedef struct serial_state {
    double polar_axis[3];  /* p as the last polarization call left it */
    int32_t axis_is_fixed; /* normalising it again changes nothing */
    int32_t first_loop;    /* 1: the next phi loop is the first of the run */
    int32_t interpolate;
} serial_state;

/* The state from pixel number `from` on. */
typedef struct state_change {
    int64_t from;
    serial_state state;
} state_change;

#define PLAN_MAX_STATE_CHANGES 32

struct plan_light;

struct nbh_plan {
    memory_budget memory;
    nbh_plan_info info;
    nbh_quirks quirks;

    /* detector */
    double subpixel_m;      /* edge of a sub-pixel along f, */
    double subpixel_slow_m; /* and along s */
    double pixel_area_m2;
    int32_t curved;
    int32_t faces_sample;   /* every pixel does, and so does the sensor (C-PARITY-029 off) */
    int32_t has_pixel_area; /* of the factors of a solid angle: pixel^2, not with point pixels
                               (C-PARITY-031) */
    int32_t is_oblique;     /* close distance / R */
    int32_t oversample_thick;
    int32_t oversample_polar;
    int32_t oversample_omega;
    uint8_t *mask; /* n_slow * n_fast or NULL */

    /* beam */
    plan_source *sources;
    double polarization_kahn;
    int32_t polarization_off;
    /* corrected branches that make a difference for this plan */
    int32_t polar_per_source;   /* C-PARITY-004 off */
    int32_t use_source_weights; /* C-PARITY-009 off, or a spectrum */
    int32_t capture_per_layer;  /* C-PARITY-003 off */
    int32_t
        capture_per_sample; /* C-PARITY-036 off: the factor is in the terms of each sub-pixel of */
    int32_t polar_per_sample; /* each layer */
    int32_t omega_per_sample;
    int32_t water_per_subpixel;
    int32_t needs_first_d; /* one of them looks at the pixel's first direction */
    double dmin_m;

    /* crystal */
    crystal_shape shape;
    double water_size_m;
    double water_electrons_sqr; /* of all the water, where C-PARITY-006 is off; else 0 */
    double *phi;                /* phi_steps angles */
    double
        *phi_cells; /* 9 doubles a step: a b c after phi, as every loop but the first sees them */
    double *first_phi_cells; /* the same for the first loop of the run, NULL if no different */
    double *mosaic;          /* 9 doubles a domain */
    int32_t turns_domains;   /* by them: there is a spread, or they are given */
    double *domain_weights;  /* over the mean of all, NULL: all are 1 */
    double largest_domain_weight;
    double *cells; /* phi_steps * mosaic_domains * 9, NULL if too large to keep */
    nbh_structure_factors table;
    double h_range, k_range, l_range; /* max - min + 1 */

    /* constants of the pixel value */
    double scale; /* r_e^2 * fluence */

    /* serial-order effects */
    state_change state_changes[PLAN_MAX_STATE_CHANGES];
    int32_t state_change_count; /* at least 1: the state of the first pixel */
    int32_t settled;
    int64_t last_interpolated; /* the pixel in which interpolation is switched off for all after
                                  it, -1: none */

    nbh_random random;

    /* how threads divide the image; see nbh_plan_work_item_end */
    int32_t work_item_pixels;
    int32_t work_items_are_rows; /* 1: a work item ends with a row */

    /* the fast kernel, NULL: only the exact one, and what it needs */
    fast_kernel *kernel;
    double smallest_product;      /* of the sines of a step, for which its error bound holds */
    double q_sqr_inside_table;    /* 1/m^2: up to there all nearest reflections are in the table */
    double q_sqr_inside_stencils; /* the same of all nodes of interpolations */

    /* leaving out steps without light; see light_setup.h */
    struct plan_light *light; /* NULL: every step is visited */
    fast_kernel *culled_kernel;
    double tolerance_photons;
    int32_t tile_rows; /* pixels are walked in bands of so many rows, from the first row of the ROI
                          on; 0: in rows */
};

/* The number of a pixel in raster order. */
static inline int64_t plan_pixel_number(const nbh_plan *plan, int32_t fast, int32_t slow)
{
    return (int64_t)slow * plan->info.n_fast + fast;
}

/* Is the pixel rendered: in the region of interest and not masked? */
static inline int plan_pixel_is_active(const nbh_plan *plan, int32_t fast, int32_t slow)
{
    const nbh_plan_info *info = &plan->info;
    return fast >= info->roi_fast_min && fast <= info->roi_fast_max && slow >= info->roi_slow_min &&
           slow <= info->roi_slow_max &&
           (plan->mask == NULL || plan->mask[plan_pixel_number(plan, fast, slow)] != 0);
}

/* The state that no pixel changes any more, and the number of the first pixel that has it. */
static inline const state_change *plan_last_state(const nbh_plan *plan)
{
    return &plan->state_changes[plan->state_change_count - 1];
}

/* Has the caller asked to stop?  Looked at before every phi step and every 4096 domains. */
static inline int plan_is_cancelled(const volatile int32_t *cancel, int32_t domain)
{
    return (domain & 4095) == 0 && cancel != NULL && *cancel != 0;
}

/* NBH_NOT_SETTLED if it is not. */
nbh_status plan_check_settled(const nbh_plan *plan, nbh_error *error);

/* The same, and whether the detector has the pixel. */
nbh_status plan_check_pixel(const nbh_plan *plan, int32_t fast, int32_t slow, nbh_error *error);

/* NBH_CANCELLED. */
nbh_status plan_fail_cancelled(nbh_error *error);

/* Are the orientations finite?  The generator of domains computes their spread as a float. */
static inline int plan_orientations_are_finite(const nbh_plan *plan)
{
    return fabs(plan->info.mosaic_spread_rad) < 1e30;
}

#endif
