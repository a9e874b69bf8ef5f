/* plan.h - the inside of nbh_plan: what the render needs, derived once. */
#ifndef NBH_PLAN_H
#define NBH_PLAN_H

#include "nbh/nbh.h"
#include "shapes.h"
#include "sources.h"
#include "vec3.h"

/* What one pixel inherits from the pixels before it in serial order (model 6.3, 6.4, 6.5). */
typedef struct serial_state {
    double polar_axis[3];  /* p as the last polarization call left it */
    int32_t axis_is_fixed; /* normalising it again changes nothing */
    int32_t first_loop;    /* 1: the next phi loop is the first of the run */
    int32_t interpolate;
} serial_state;

struct fast_block; /* fast.h */
typedef void fast_kernel(const struct nbh_plan *plan, const int32_t *fast, const int32_t *slow,
                         int scans, const volatile int32_t *cancel, struct fast_block *out);

/* The state from pixel `from` (slow * n_fast + fast) on. */
typedef struct serial_break {
    int64_t from;
    serial_state state;
} serial_break;

#define PLAN_MAX_BREAKS 32

struct nbh_plan {
    nbh_plan_info info;
    uint32_t quirks;

    /* detector */
    double subpixel_m;
    int32_t curved;
    int32_t point_pixel;
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
    int32_t use_source_weights; /* C-PARITY-009 off */
    int32_t capture_per_layer;  /* C-PARITY-003 off */
    int32_t needs_first_d;      /* one of them looks at the pixel's first direction */
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
    double *cells;           /* phi_steps * mosaic_domains * 9, NULL if too large to keep */
    nbh_structure_factors table;
    double h_range, k_range, l_range; /* max - min + 1 */

    /* constants of the pixel value */
    double scale; /* r_e^2 * fluence */

    /* serial-order effects */
    serial_break breaks[PLAN_MAX_BREAKS];
    int32_t break_count;
    int32_t settled;
    int64_t latch_pixel; /* where the interpolation latch falls, -1: nowhere */

    nbh_random random;

    /* how threads divide the image; see nbh_plan_unit_end */
    int32_t unit_pixels;
    int32_t units_are_rows; /* 1: a unit ends with a row */

    /* the fast kernel, NULL: only the exact one, and what it needs */
    fast_kernel *kernel;
    double smallest_product;   /* of the sines of a step, for which its error bound holds */
    double q_sqr_inside_table; /* 1/m^2: up to there all nearest reflections are in the table */
};

/* Is the pixel rendered at all? */
static inline int plan_pixel_is_lit(const nbh_plan *plan, int32_t fast, int32_t slow)
{
    const nbh_plan_info *info = &plan->info;
    return fast >= info->roi_fast_min && fast <= info->roi_fast_max && slow >= info->roi_slow_min &&
           slow <= info->roi_slow_max &&
           (plan->mask == NULL || plan->mask[(int64_t)slow * info->n_fast + fast] != 0);
}

/* Has the caller asked to stop?  Looked at before every phi step and every 4096 domains. */
static inline int plan_is_cancelled(const volatile int32_t *cancel, int32_t domain)
{
    return (domain & 4095) == 0 && cancel != NULL && *cancel != 0;
}

/* a, b, c (9 doubles) of a phi step and mosaic domain; scratch is used where no table is kept. */
static inline const double *plan_cell(const nbh_plan *plan, int first_loop, int32_t phi_step,
                                      int32_t domain, double scratch[9])
{
    if (plan->cells != NULL && !first_loop)
        return plan->cells + 9 * ((int64_t)phi_step * plan->info.mosaic_domains + domain);
    const double *phi_cells =
        first_loop && plan->first_phi_cells != NULL ? plan->first_phi_cells : plan->phi_cells;
    const double *cell = phi_cells + 9 * (int64_t)phi_step;
    if (!(plan->info.mosaic_spread_rad > 0.0))
        return cell;
    for (int i = 0; i < 9; i += 3)
        vec3_rotate_matrix(cell + i, plan->mosaic + 9 * (int64_t)domain, scratch + i);
    return scratch;
}

/* serial.c: the state that the pixel inherits. */
serial_state plan_state_at(const nbh_plan *plan, int64_t pixel);

/* serial.c: finds plan->breaks: from which pixel on nothing depends on the serial order
 * (model 6.3, 6.4). */
void plan_find_breaks(nbh_plan *plan);

/* units.c: sets what nbh_plan_unit_end needs. */
void plan_set_units(nbh_plan *plan);

/* fast.c: sets plan->kernel and info->kernel for the nbh_kernel asked for; a plan that the fast
 * kernel does not cover gets the exact one. */
nbh_status plan_choose_kernel(nbh_plan *plan, int32_t kernel, nbh_error *error);

#endif
