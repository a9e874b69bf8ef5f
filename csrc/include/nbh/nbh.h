/* nbh.h - the public C interface of libnbh, the diffraction core of nanobragg-hybrid.
 *
 * Everything is SI (metres, radians, 1/metre) and IEEE double unless a name says otherwise.
 * Nothing here prints, exits, reads the environment or the clock, or keeps global state: the
 * random generator is a struct that the caller owns.  "model" is docs/model.md, the arithmetic
 * that this library reproduces to the last bit; section numbers are cited as `model 5.2`.
 *
 * Use: nbh_experiment_init, edit the struct, nbh_plan_create, then nbh_plan_render_rows or
 * nbh_plan_render_pixels from as many threads as you like, nbh_plan_destroy.  Every function that
 * can fail returns an nbh_status and fills the caller's nbh_error (which may be NULL).
 *
 * This header is plain C99 and is also read by cffi: below the marker only declarations that a
 * C parser without preprocessor understands, besides the lines that start with '#'.
 */
#ifndef NBH_NBH_H
#define NBH_NBH_H

#include <float.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#if defined(NBH_BUILDING_LIBRARY)
#define NBH_API __declspec(dllexport)
#else
#define NBH_API __declspec(dllimport)
#endif
#else
#define NBH_API __attribute__((visibility("default")))
#endif

/* A double field with this value is "not given": the library chooses.  (NaN is always an error.) */
#define NBH_UNSET (-DBL_MAX)
/* The same for int32_t fields. */
#define NBH_UNSET_INT INT32_MIN

#ifdef __cplusplus
extern "C" {
#endif

/* cffi reads from here ------------------------------------------------------------------------ */

/* Status codes.  Numbers are never reused or renumbered. */
typedef enum nbh_status {
    NBH_OK = 0,
    NBH_INVALID = 1,         /* a field's value breaks its rule; error.field names it */
    NBH_OUT_OF_MEMORY = 2,   /* an allocation failed; error.message names the bytes asked for */
    NBH_TOO_LARGE = 3,       /* a count or product does not fit its type */
    NBH_FILE_FORMAT = 4,     /* text or data of a file breaks its rule; error.line is set */
    NBH_STRUCT_SIZE = 5,     /* struct_size is not this library's: header and library differ */
    NBH_NOT_IMPLEMENTED = 6, /* this combination is not available in this version */
    NBH_NOT_SETTLED = 7,     /* nbh_plan_settle must be called before rendering this plan */
    NBH_CANCELLED = 8        /* *rows.cancel became non-zero */
} nbh_status;

typedef struct nbh_error {
    int32_t status;
    int32_t reserved;
    int64_t line;      /* one-based line of a text, 0 if there is none */
    char field[96];    /* "detector.pixel_size_m", empty if no field is to blame */
    char message[416]; /* got what, need what; without the field */
} nbh_error;

/* Detector conventions (model 3). */
typedef enum nbh_convention {
    NBH_CONVENTION_CUSTOM = 0,
    NBH_CONVENTION_ADXV = 1,
    NBH_CONVENTION_MOSFLM = 2,
    NBH_CONVENTION_DENZO = 3,
    NBH_CONVENTION_XDS = 4,
    NBH_CONVENTION_DIALS = 5
} nbh_convention;

/* What stays in place when the detector rotates (model 3). */
typedef enum nbh_pivot { NBH_PIVOT_SAMPLE = 0, NBH_PIVOT_BEAM = 1 } nbh_pivot;

/* Crystal shapes (model 6.5). */
typedef enum nbh_shape {
    NBH_SHAPE_SQUARE = 0,
    NBH_SHAPE_ROUND = 1,
    NBH_SHAPE_GAUSS = 2,
    NBH_SHAPE_TOPHAT = 3,
    NBH_SHAPE_GAUSS_HKL = 4,
    NBH_SHAPE_TOPHAT_HKL = 5
} nbh_shape;

/* How pixels are computed.  All give the same bits; EXACT is the definition, the others compute
 * what they can prove to round alike faster (docs/accuracy.md), in one build for each instruction
 * set. */
typedef enum nbh_kernel {
    NBH_KERNEL_AUTO = 0, /* the fastest that covers the experiment and runs on this processor */
    NBH_KERNEL_EXACT = 1,
    NBH_KERNEL_BASELINE = 2,
    NBH_KERNEL_AVX2 = 3, /* with FMA */
    NBH_KERNEL_AVX512 = 4
} nbh_kernel;

/* Why a plan has the exact kernel (docs/accuracy.md). */
typedef enum nbh_kernel_reason {
    NBH_KERNEL_REASON_NONE = 0,              /* it has another one */
    NBH_KERNEL_REASON_ASKED = 1,             /* it was asked for */
    NBH_KERNEL_REASON_LARGE_INDICES = 2,     /* |h N| may be above half a million, or |h| 10^9 */
    NBH_KERNEL_REASON_LARGE_TABLE = 3,       /* 2^31 structure factors or more, or far
                                                from h = k = l = 0 */
    NBH_KERNEL_REASON_POLARIZATION_AXIS = 4, /* it never becomes a fixed point of its unit vector */
    NBH_KERNEL_REASON_NEGATIVE = 5,          /* shape_fudge, a weight or the fluence is below 0 */
    NBH_KERNEL_REASON_UNROUNDED = 6,         /* unrounded pixel values are the exact kernel's */
    NBH_KERNEL_REASON_EXTREME_LENGTHS = 7    /* beyond 2^150 m, or below 2^-150 m but not 0 */
} nbh_kernel_reason;

/* May steps be left out that are proven to carry no light (docs/accuracy.md)? */
typedef enum nbh_culling {
    NBH_CULLING_AUTO = 0, /* where that saves time */
    NBH_CULLING_OFF = 1
} nbh_culling;

/* Why a plan visits every step. */
typedef enum nbh_culling_reason {
    NBH_CULLING_REASON_NONE = 0,              /* it does not */
    NBH_CULLING_REASON_ASKED = 1,             /* NBH_CULLING_OFF */
    NBH_CULLING_REASON_EXACT_KERNEL = 2,      /* only the fast kernels leave out steps */
    NBH_CULLING_REASON_FEW_STEPS = 3,         /* fewer than four of a sub-pixel */
    NBH_CULLING_REASON_SHAPE = 4,             /* its light reaches everywhere */
    NBH_CULLING_REASON_NOTHING_DARK = 5,      /* nearly all steps may have light */
    NBH_CULLING_REASON_RUNNING_PRODUCT = 6,   /* every step changes the whole sum (C-PARITY-002) */
    NBH_CULLING_REASON_NOT_FINITE = 7,        /* a structure factor or a source is infinite or NaN,
                                                 or huge */
    NBH_CULLING_REASON_MANY_ORIENTATIONS = 8, /* more than the plan keeps the cells of */
    NBH_CULLING_REASON_NO_LIGHT = 9,          /* no pixel has any */
    NBH_CULLING_REASON_MEMORY = 10,           /* too little left */
    NBH_CULLING_REASON_DOMAIN_WEIGHTS = 11    /* mosaic domains have weights of their own */
} nbh_culling_reason;

/* The quirk ledger (docs/quirks.md): bit n-1 is C-PARITY-00n; a set bit is nanoBragg's behaviour.
 * Numbers of 64 bits, which an enumeration of C11 cannot have. */
typedef uint64_t nbh_quirks;
#define NBH_QUIRK_PHI_CARRYOVER 0x000000000001ULL
#define NBH_QUIRK_OVERSAMPLE_RUNNING_PRODUCT 0x000000000002ULL
#define NBH_QUIRK_THICK_LAST_LAYER 0x000000000004ULL
#define NBH_QUIRK_POLAR_FIRST_SOURCE 0x000000000008ULL
#define NBH_QUIRK_INTERPOLATION_LATCH 0x000000000010ULL
#define NBH_QUIRK_WATER_BACKGROUND 0x000000000020ULL
#define NBH_QUIRK_LAYER_OVERSHOOT 0x000000000040ULL
#define NBH_QUIRK_CURVED_DETECTOR_AXES 0x000000000080ULL
#define NBH_QUIRK_SOURCE_WEIGHTS_IGNORED 0x000000000100ULL
#define NBH_QUIRK_TRICLINIC_CELL 0x000000000200ULL
#define NBH_QUIRK_MISSET_RANDOM_RADIANS 0x000000000400ULL
#define NBH_QUIRK_MISSET_SEED_DEFAULT 0x000000000800ULL
#define NBH_QUIRK_CUSTOM_CONVENTION_SWITCH 0x000000001000ULL
#define NBH_QUIRK_PIVOT_FLAG_IGNORED 0x000000002000ULL
#define NBH_QUIRK_PIX0_IGNORED 0x000000004000ULL
#define NBH_QUIRK_NEAR_POINT_IGNORED 0x000000008000ULL
#define NBH_QUIRK_CLI_SUBSTRING 0x000000010000ULL
#define NBH_QUIRK_SMV_HEADER_SEARCH 0x000000020000ULL
#define NBH_QUIRK_HKL_STREAM 0x000000040000ULL
#define NBH_QUIRK_SOURCE_FILE_COMMENTS 0x000000080000ULL
#define NBH_QUIRK_FDUMP_WHITESPACE 0x000000100000ULL
#define NBH_QUIRK_SOLID_ANGLE_OVER_STEPS 0x000000200000ULL
#define NBH_QUIRK_RMSD_COUNTS_MASKED 0x000000400000ULL
#define NBH_QUIRK_CURVED_NEEDS_ARGUMENT 0x000000800000ULL
#define NBH_QUIRK_PHI_LEFT_EDGE 0x000001000000ULL
#define NBH_QUIRK_HEADER_OVERFLOW 0x000002000000ULL
#define NBH_QUIRK_RATIO_BEFORE_TWOTHETA 0x000004000000ULL
#define NBH_QUIRK_NORMAL_TOWARDS_SOURCE 0x000008000000ULL
#define NBH_QUIRK_CURVED_FLAT_FACTORS 0x000010000000ULL
#define NBH_QUIRK_TWOTHETA_AXIS_LENGTH 0x000020000000ULL
#define NBH_QUIRK_POINT_PIXEL_AREA 0x000040000000ULL
#define NBH_QUIRK_DISTANCE_BESIDE_CLOSE 0x000080000000ULL
#define NBH_QUIRK_HEADER_GEOMETRY 0x000100000000ULL
#define NBH_QUIRK_FIRST_DEVIATE 0x000200000000ULL
#define NBH_QUIRK_NO_SENSOR_IS_BLACK 0x000400000000ULL
#define NBH_QUIRK_FIRST_SUBPIXEL_FACTORS 0x000800000000ULL
#define NBH_QUIRK_POLARIZATION_UNCHECKED 0x001000000000ULL
#define NBH_QUIRK_NOPOLAR_UNDONE 0x002000000000ULL
#define NBH_QUIRK_BEAM_CLIPS_Y_AND_Z 0x004000000000ULL
#define NBH_QUIRK_IMPOSSIBLE_CELL 0x008000000000ULL
#define NBH_QUIRK_IMPOSSIBLE_SOURCES 0x010000000000ULL
#define NBH_QUIRK_CELL_BESIDE_MATRIX 0x020000000000ULL
#define NBH_QUIRK_STEP_AND_COUNT 0x040000000000ULL
#define NBH_QUIRK_COUNT_ALONE 0x080000000000ULL
#define NBH_QUIRK_MISSING_LAST_SOURCE 0x100000000000ULL
#define NBH_QUIRK_OSC_OVERSHOOT 0x200000000000ULL
#define NBH_QUIRKS_NANOBRAGG 0x3fffffffffffULL
#define NBH_QUIRKS_NANOBRAGG_FIXED 0x3fffff7ffffcULL
#define NBH_QUIRKS_NONE 0x000000000000ULL

/* One source of a source list (model 5.2): the vector points from the sample to the source.  A
 * component or wavelength that is NBH_UNSET gets model 5.2's default. */
typedef struct nbh_source {
    double position[3];
    double weight;
    double wavelength_m;
} nbh_source;

/* One wavelength of a spectrum (model 5.2): wavelength > 0, weight >= 0. */
typedef struct nbh_wavelength {
    double wavelength_m;
    double weight;
} nbh_wavelength;

/* The orientation of one domain (model 5.3): a proper rotation, row by row, and its weight >= 0. */
typedef struct nbh_rotation {
    double matrix[9];
    double weight;
} nbh_rotation;

/* Ranges, steps and counts below follow model 5.1: a range is "not given" when negative or
 * NBH_UNSET, a step when <= 0, a count when <= 0 or NBH_UNSET_INT (phi_steps 0 counts as 1). */
typedef struct nbh_beam {
    double wavelength_m;
    double direction[3];         /* b; first component NBH_UNSET: the convention's */
    double polarization_axis[3]; /* p; first component NBH_UNSET: the convention's */
    double polarization_kahn;    /* Kahn factor, 0 unpolarized, 1 along p, -1 across */
    int32_t polarization_off;    /* 1: factor 1 everywhere */
    int32_t divergence_square;   /* 1: every grid point; 0: those inside an ellipse */
    double dispersion_fraction;
    int32_t dispersion_steps;
    int32_t divergence_h_steps;
    int32_t divergence_v_steps;
    int32_t reserved;
    double divergence_h_rad;
    double divergence_v_rad;
    double divergence_h_step_rad;
    double divergence_v_step_rad;
    const nbh_source *sources; /* NULL: generated from divergence and dispersion */
    int64_t source_count;
    double fluence_photons_per_m2;
    double flux_photons_per_s; /* 0: use the fluence */
    double exposure_s;
    double beam_size_m;
    /* NULL: one wavelength a source, or those of the dispersion; else each direction has all of
     * these, and neither the dispersion nor a source may give another */
    const nbh_wavelength *spectrum;
    int64_t spectrum_count;
} nbh_beam;

typedef struct nbh_crystal {
    double cell_length_angstrom[3]; /* a b c, in the unit model 4.1 computes in; a unset: no cell */
    double cell_angle_rad[3];       /* alpha beta gamma */
    double orientation_matrix[9];   /* row i: component i of a*, b*, c* times wavelength in A;
                                       first element NBH_UNSET: no matrix */
    double misset_rad[3];
    int32_t misset_random; /* 1: draw the missetting from misset_seed */
    int32_t misset_seed;   /* as given by the user; the generator starts from its negative */
    double n_cells[3];
    double size_m[3];    /* sample size along a, b, c; NBH_UNSET: use n_cells */
    int32_t shape;       /* nbh_shape */
    int32_t mosaic_seed; /* as given by the user */
    double shape_fudge;
    double mosaic_spread_rad;
    int32_t mosaic_domains;
    int32_t reserved;
    double water_size_m; /* below 0 with NBH_QUIRK_WATER_BACKGROUND only */
    /* NULL: drawn from the spread; else the domains themselves, and neither spread nor number of
     * domains may be given */
    const nbh_rotation *mosaic_rotations;
    int64_t mosaic_rotation_count;
} nbh_crystal;

typedef struct nbh_goniometer {
    double spindle_axis[3]; /* u; first component NBH_UNSET: the convention's */
    double phi_rad;
    double osc_rad;
    double phi_step_rad;
    int32_t phi_steps;
    int32_t reserved;
} nbh_goniometer;

typedef struct nbh_detector {
    int32_t convention;  /* nbh_convention */
    int32_t pivot;       /* nbh_pivot or NBH_UNSET_INT */
    double fast_axis[3]; /* f, s, o and 2theta axis; first component NBH_UNSET: the convention's */
    double slow_axis[3];
    double normal_axis[3];
    double twotheta_axis[3];
    double pix0_m[3];         /* first component NBH_UNSET: from beam centre and distance */
    double distance_m;        /* 0.1, the default, counts as not given beside a close distance */
    double close_distance_m;  /* before 2theta; NBH_UNSET: from distance_m */
    double pixel_size_m;      /* edge of a pixel along f, */
    double pixel_size_slow_m; /* and along s; NBH_UNSET: the same */
    int32_t n_fast;           /* NBH_UNSET_INT: from size_fast_m */
    int32_t n_slow;
    double size_fast_m;
    double size_slow_m;
    double beam_x_m; /* Xbeam, Ybeam, Xclose, Yclose: in the convention's meaning */
    double beam_y_m;
    double close_x_m;
    double close_y_m;
    double org_x_px; /* XDS ORGX, ORGY, pixels */
    double org_y_px;
    double rotation_rad[3];
    double twotheta_rad;
    int32_t curved;
    int32_t point_pixel;
    double sensor_thickness_m;
    double sensor_attenuation_per_m; /* 1 / attenuation depth; negative or NBH_UNSET: not given */
    int32_t sensor_layers;
    int32_t reserved;
    const uint8_t *mask; /* n_slow * n_fast values, 0 is skipped; NULL: no mask */
    int64_t mask_count;
} nbh_detector;

typedef struct nbh_sampling {
    int32_t oversample; /* NBH_UNSET_INT or <= 0: chosen by model 4.5 */
    int32_t oversample_thick;
    int32_t oversample_polar;
    int32_t oversample_omega;
    int32_t interpolate;  /* 1 tricubic, 0 nearest, NBH_UNSET_INT: by model 5.1 */
    int32_t roi_fast_min; /* inclusive bounds; NBH_UNSET_INT: the edge */
    int32_t roi_fast_max;
    int32_t roi_slow_min;
    int32_t roi_slow_max;
    int32_t reserved;
    double dmin_m; /* 0: no limit */
} nbh_sampling;

typedef struct nbh_experiment {
    size_t struct_size; /* sizeof(nbh_experiment), set by nbh_experiment_init */
    nbh_quirks quirks;  /* NBH_QUIRK_ bits */
    int32_t kernel;  /* nbh_kernel; where the one asked for does not cover the experiment, exact */
    int32_t culling; /* nbh_culling */
    /* >= 0.  Above 0 the fast kernels leave out steps whose light in a pixel is less than this in
     * all: no pixel differs from the exact image by more, plus one unit in its last place. */
    double tolerance_photons;
    int64_t memory_limit_bytes; /* a plan that would allocate more is refused; 0: no limit */
    nbh_beam beam;
    nbh_crystal crystal;
    nbh_goniometer goniometer;
    nbh_detector detector;
    nbh_sampling sampling;
} nbh_experiment;

/* A dense table of structure factors: amplitude[((h-h_min)*k_count + (k-k_min))*l_count + l-l_min].
 * The plan borrows the table: it must outlive the plan. */
typedef struct nbh_structure_factors {
    const double *amplitude; /* NULL: default_f everywhere */
    int32_t h_min;
    int32_t h_max;
    int32_t k_min;
    int32_t k_max;
    int32_t l_min;
    int32_t l_max;
    double default_f;
} nbh_structure_factors;

/* ---- the plan: everything that does not depend on the pixel, immutable once settled --------- */

typedef struct nbh_plan nbh_plan;

/* What the plan chose and derived (model 3 to 5).  Lengths in metres unless named otherwise. */
typedef struct nbh_plan_info {
    /* detector, model 3 */
    int32_t convention;
    int32_t pivot;
    double beam_direction[3];
    double polarization_axis[3];
    double vertical_axis[3];
    double spindle_axis[3];
    double fast_axis[3];
    double slow_axis[3];
    double normal_axis[3];
    double twotheta_axis[3];
    double pix0_m[3]; /* D0 */
    double distance_m;
    double close_distance_m;
    double beam_x_m; /* Xbeam, Ybeam as the image headers report them */
    double beam_y_m;
    double beam_fast_m; /* Fbeam, Sbeam */
    double beam_slow_m;
    double close_fast_m; /* Fclose, Sclose */
    double close_slow_m;
    double org_x_px;
    double org_y_px;
    double dials_origin_mm[3];
    double pixel_size_m; /* along f */
    double pixel_size_slow_m;
    double size_fast_m;
    double size_slow_m;
    double twotheta_rad;
    int32_t n_fast;
    int32_t n_slow;
    int32_t roi_fast_min; /* inclusive, clipped; min > max: empty */
    int32_t roi_fast_max;
    int32_t roi_slow_min;
    int32_t roi_slow_max;
    /* crystal, model 4 */
    double a0_m[3]; /* reference orientation */
    double b0_m[3];
    double c0_m[3];
    double a_star_per_angstrom[3];
    double b_star_per_angstrom[3];
    double c_star_per_angstrom[3];
    double cell_length_angstrom[3];
    double cell_angle_rad[3];
    double reciprocal_length_per_angstrom[3];
    double reciprocal_angle_rad[3];
    double cell_volume_angstrom3;
    double misset_rad[3];
    double n_cells[3];
    double crystal_size_m[3]; /* after clipping to the beam; 0 where not given */
    /* sampling, model 5 */
    int32_t source_count;
    int32_t mosaic_domains;
    int32_t phi_steps;
    int32_t oversample;
    int32_t recommended_oversample;
    int32_t sensor_layers;
    int32_t steps; /* sources * domains * phi steps * oversample^2 */
    int32_t interpolate;
    int32_t divergence_h_steps;
    int32_t divergence_v_steps;
    int32_t dispersion_steps;
    int32_t reserved;
    double divergence_h_rad;
    double divergence_v_rad;
    double divergence_h_step_rad;
    double divergence_v_step_rad;
    double dispersion_fraction;
    double dispersion_step;
    double phi_rad;
    double osc_rad;
    double phi_step_rad;
    double mosaic_spread_rad;
    double sensor_thickness_m;
    double sensor_layer_step_m;
    double sensor_attenuation_per_m;
    double wavelength_m;
    double fluence_photons_per_m2;
    double water_background; /* I_bg of model 6 */
    /* warnings: bits of nbh_plan_warning */
    uint32_t warnings;
    int32_t kernel; /* the nbh_kernel in use; rows with unrounded values have the exact one */
    int32_t kernel_reason; /* nbh_kernel_reason */
    int32_t reserved2;
    int32_t impossible_sources;      /* how many there are (C-PARITY-041) */
    int32_t first_impossible_source; /* from 0; -1: none */
    int32_t culling_reason;          /* nbh_culling_reason */
    int64_t active_pixels;           /* in the ROI and not masked */
} nbh_plan_info;

typedef enum nbh_plan_warning {
    NBH_WARN_SIZE_Y_CLIPPED = 0x1,     /* crystal size y was clipped to the beam size */
    NBH_WARN_SIZE_Z_CLIPPED = 0x2,     /* the same for z */
    NBH_WARN_NORMAL_RECOMPUTED = 0x4,  /* the detector normal was not a unit vector */
    NBH_WARN_CELL_VOLUME = 0x8,        /* impossible cell: its volume was replaced */
    NBH_WARN_RECIPROCAL_LENGTH = 0x10, /* a reciprocal length was not positive */
    NBH_WARN_MOSAIC_DOMAINS = 0x20, /* number of domains chosen because only a spread was given */
    NBH_WARN_INTERPOLATION_OFF = 0x40,        /* interpolation asked for without a table */
    NBH_WARN_OVERSAMPLE_LOW = 0x80,           /* fewer sub-pixels than model 4.5 recommends */
    NBH_WARN_CLOSE_DISTANCE_NEGATIVE = 0x100, /* the detector's normal points at the sample: so are
                                               solid angles and photons */
    NBH_WARN_DISTANCE_IGNORED = 0x200,    /* a close distance was given, too, and says otherwise */
    NBH_WARN_NO_SENSOR_IS_BLACK = 0x400,  /* C-PARITY-035: the sensor captures nothing */
    NBH_WARN_POLARIZATION_FACTOR = 0x800, /* C-PARITY-037: not -1 to 1 */
    NBH_WARN_POLARIZATION_AXIS = 0x1000,  /* C-PARITY-037: along the beam */
    NBH_WARN_SIZE_X_CLIPPED = 0x2000,     /* as y and z (C-PARITY-039 off) */
    NBH_WARN_IMPOSSIBLE_CELL = 0x4000,   /* C-PARITY-040: the angles fit no cell, or the axes of the
                                             matrix lie in a plane */
    NBH_WARN_ANGLES_IN_RADIANS = 0x8000, /* no angle of the cell exceeds 3.15 degrees */
    NBH_WARN_LEFT_HANDED_MATRIX = 0x10000,       /* the matrix turns right into left */
    NBH_WARN_MATRIX_SCALE = 0x20000,             /* the matrix is for another wavelength */
    NBH_WARN_IMPOSSIBLE_SOURCES = 0x40000,       /* C-PARITY-041 */
    NBH_WARN_CELL_BESIDE_MATRIX = 0x80000,       /* C-PARITY-042: and they disagree */
    NBH_WARN_STEP_AND_COUNT = 0x100000,          /* C-PARITY-043: the count is ignored */
    NBH_WARN_COUNT_ALONE = 0x200000,             /* C-PARITY-044: a range was made up */
    NBH_WARN_MISSING_LAST_SOURCE = 0x400000,     /* C-PARITY-045: the divergence is off centre */
    NBH_WARN_OSC_OVERSHOOT = 0x800000,           /* C-PARITY-046: the steps do not fill the range */
    NBH_WARN_DOMAINS_WITHOUT_SPREAD = 0x1000000, /* a number of domains has no effect */
    NBH_WARN_WAVELENGTHS_WITHOUT_RANGE = 0x2000000, /* a number of wavelengths has no effect */
    NBH_WARN_OVERSAMPLE_HIGH = 0x4000000,           /* model 4.5 chose more than 32 */
    NBH_WARN_MANY_STEPS = 0x8000000,                /* more than 10^11 in all the pixels together */
    NBH_WARN_WAVELENGTH_OUTSIDE_SPECTRUM = 0x10000000, /* the beam's own, which still counts */
    NBH_WARN_BROKEN_CELLS = 0x20000000 /* parts of cells in a square crystal: poles (model 6.5) */
} nbh_plan_warning;

/* Where a block of rows goes.  image holds (row1-row0) * n_fast floats, unrounded (may be NULL) as
 * many doubles before rounding to float.  omega_row_sums_sr gets, for each row, the solid angle
 * summed over every sample (a sub-pixel of a layer, model 6.9), pixel after pixel; the image's is
 * the sum of its rows', row after row.  If cancel is not NULL, *cancel is looked at again and again
 * and a value other than 0 ends the call with NBH_CANCELLED. */
typedef struct nbh_rows {
    float *image;
    double *unrounded;
    double *omega_row_sums_sr; /* row1-row0 values; may be NULL */
    const volatile int32_t *cancel;
} nbh_rows;

/* Where a range of pixels in raster order goes, as for rows.  Its first row may begin before the
 * range: with the solid angle of each pixel that the range has in that row, the row's sum can go on
 * as if it had not been cut. */
typedef struct nbh_pixels {
    float *image;               /* pixel1-pixel0 values */
    double *unrounded;          /* the same; may be NULL */
    double *omega_row_sums_sr;  /* of each row, over its pixels of the range; may be NULL */
    double *omega_first_row_sr; /* of each pixel of the range in its first row; may be NULL */
    const volatile int32_t *cancel;
    /* May be NULL.  If not, unrounded must not be either, and gets what the plan's kernel has where
     * that proves the pixel's float, not the exact kernel's value, which then lies within
     * half_width of it (0 where it is the exact one). */
    double *half_width;
    int64_t *steps_visited; /* one number: how many were not left out; may be NULL */
} nbh_pixels;

/* Image statistics of model 6.9. */
typedef struct nbh_statistics {
    double max;
    double max_fast_m; /* Fdet, Sdet of the brightest pixel's last sub-pixel */
    double max_slow_m;
    int32_t max_fast;
    int32_t max_slow;
    double sum;
    double mean;
    double rms;
    double rmsd;
    double solid_angle_sr;
    int64_t pixels;        /* in the ROI and not masked */
    int64_t pixels_in_roi; /* masked ones too */
} nbh_statistics;

/* One evaluation of the kernel's innermost loop (model 6.2 to 6.5). */
typedef struct nbh_step_trace {
    int32_t layer;
    int32_t sub_slow;
    int32_t sub_fast;
    int32_t source;
    int32_t phi_step;
    int32_t domain;
    double pixel_pos_m[3]; /* P */
    double airpath_m;      /* R */
    double solid_angle_sr; /* of this sub-pixel */
    double obliquity;      /* close_distance / R; 1 where a curved detector faces the sample */
    double diffracted[3];  /* d */
    double incident[3];
    double wavelength_m;
    double q_per_m[3];
    double stol_per_m;
    double phi_rad;
    double a_m[3]; /* rotated with phi and the domain */
    double b_m[3];
    double c_m[3];
    double hkl[3];
    double hkl_rounded[3];
    double f_latt_a; /* the three factors; for shapes other than square f_latt_a = f_latt */
    double f_latt_b;
    double f_latt_c;
    double f_latt;
    double f_cell;      /* 0 where f_latt = 0 ends the step before it is looked up */
    double term;        /* what the step adds to the sum */
    double running_sum; /* the sum before scaling once the step is done */
} nbh_step_trace;

/* Which steps of a pixel to record; -1: any. */
typedef struct nbh_step_choice {
    int32_t layer;
    int32_t sub_slow;
    int32_t sub_fast;
    int32_t source;
    int32_t phi_step;
    int32_t domain;
} nbh_step_choice;

/* The whole chain of one pixel (model 6). */
typedef struct nbh_trace {
    int32_t fast;
    int32_t slow;
    int32_t is_active;    /* 0: outside the ROI or masked; nothing else is set */
    int32_t evaluated;    /* 0: dmin cut every source; the steps are not set */
    nbh_step_trace first; /* the first step that dmin does not cut */
    nbh_step_trace last;  /* the last one; its f_cell is the last that was looked up */
    double pix0_m[3];
    double fast_axis[3];
    double slow_axis[3];
    double omega_sr; /* as used in the pixel value */
    double close_distance_m;
    double obliquity;        /* close_distance / R of the first step */
    double cos_2theta;       /* incident . diffracted of the last step */
    double i_before_scaling; /* a corrected quirk may have its factors in the terms of this sum */
    double r_e_sqr_m2;
    double fluence_photons_per_m2;
    double steps;
    double capture_fraction;
    double polarization;
    double pixel_value; /* before rounding to float */
    float pixel_float;
    int32_t reserved;
} nbh_trace;

/* The light of one reflection in one pixel: that of all steps whose nearest whole indices are h, k,
 * l (model 6.5), with all factors of the pixel.  The lights of a pixel add up to it, but for water
 * and rounding. */
typedef struct nbh_reflection_light {
    int32_t h;
    int32_t k;
    int32_t l;
    int32_t reserved;
    double photons;
    double photons_phi_rad; /* the sum of each step's photons times its spindle angle */
} nbh_reflection_light;

/* State of the random generator (model 7.1): one shuffle table shared by all streams. */
typedef struct nbh_random {
    int32_t shuffle[32];
    int32_t y;
    int32_t has_spare; /* a normal deviate kept by nbh_gauss_deviate */
    float spare;
    int32_t drops_first; /* 1: the deviate after filling the table is dropped (C-PARITY-034 off) */
} nbh_random;

/* Fills `experiment` with the defaults of model 2 (no cell, no matrix). */
NBH_API void nbh_experiment_init(nbh_experiment *experiment);

/* Validates, copies and derives everything of model 3 to 5.  `table` may be NULL (default_f 0).
 * On success *plan must be destroyed by nbh_plan_destroy; on failure *plan is NULL. */
NBH_API nbh_status nbh_plan_create(const nbh_experiment *experiment,
                                   const nbh_structure_factors *table, nbh_plan **plan,
                                   nbh_error *error);
NBH_API void nbh_plan_destroy(nbh_plan *plan);
NBH_API nbh_status nbh_plan_get_info(const nbh_plan *plan, nbh_plan_info *info, nbh_error *error);

/* Copies of the plan's tables; capacity counts elements (sources, 9 doubles a domain, steps). */
NBH_API nbh_status nbh_plan_get_sources(const nbh_plan *plan, nbh_source *sources, int64_t capacity,
                                        nbh_error *error);
NBH_API nbh_status nbh_plan_get_mosaic_matrices(const nbh_plan *plan, double *matrices,
                                                int64_t capacity, nbh_error *error);
NBH_API nbh_status nbh_plan_get_phi(const nbh_plan *plan, double *phi_rad, int64_t capacity,
                                    nbh_error *error);
/* a, b, c in metres, 9 doubles for each phi step and domain (domain fastest), as every phi loop but
 * the first of the run takes them (model 6.4); capacity counts phi steps times domains. */
NBH_API nbh_status nbh_plan_get_cells(const nbh_plan *plan, double *cells_m, int64_t capacity,
                                      nbh_error *error);
/* The structure factors that the kernel takes at whole indices where it does not interpolate; hkl
 * has three doubles for each of `count` reflections. */
NBH_API nbh_status nbh_plan_get_structure_factors(const nbh_plan *plan, const double *hkl,
                                                  int64_t count, double *f, nbh_error *error);
/* The generator's state after set-up: noise images go on from it (model 7.4). */
NBH_API nbh_status nbh_plan_get_random(const nbh_plan *plan, nbh_random *state, nbh_error *error);

/* Interpolated plans have one serial-order effect (model 6.5, interpolation_latch) that needs a
 * pass over the image.  nbh_plan_needs_scan says so (1 or 0); then every row block must be scanned
 * (in any order, from any number of threads) and the smallest pixel index found must be given to
 * nbh_plan_settle before rendering.  nbh_plan_scan_rows returns in *first_pixel the smallest
 * slow * n_fast + fast in [row0, row1) in which interpolation is switched off, or -1. */
NBH_API int32_t nbh_plan_needs_scan(const nbh_plan *plan);
NBH_API nbh_status nbh_plan_scan_rows(const nbh_plan *plan, int32_t row0, int32_t row1,
                                      const volatile int32_t *cancel, int64_t *first_pixel,
                                      nbh_error *error);
/* The same for the pixels [pixel0, pixel1), numbered slow * n_fast + fast. */
NBH_API nbh_status nbh_plan_scan_pixels(const nbh_plan *plan, int64_t pixel0, int64_t pixel1,
                                        const volatile int32_t *cancel, int64_t *first_pixel,
                                        nbh_error *error);
NBH_API nbh_status nbh_plan_settle(nbh_plan *plan, int64_t first_pixel, nbh_error *error);

/* Renders rows [row0, row1); safe to call from many threads on one settled plan. */
NBH_API nbh_status nbh_plan_render_rows(const nbh_plan *plan, int32_t row0, int32_t row1,
                                        const nbh_rows *rows, nbh_error *error);
/* The same for the pixels [pixel0, pixel1), numbered slow * n_fast + fast: parts of long rows, or
 * many short rows, as one wants. */
NBH_API nbh_status nbh_plan_render_pixels(const nbh_plan *plan, int64_t pixel0, int64_t pixel1,
                                          const nbh_pixels *pixels, nbh_error *error);
/* Divides the image into work items for threads: the pixels from 0 to
 * nbh_plan_work_item_end(plan, 0), from there to that pixel's work item end, and so on to
 * n_slow * n_fast.  Work items have about equally many active pixels, enough of them to be worth
 * the call, and depend on the plan only.  In images of many rows they are whole rows.  After the
 * last pixel, and before the first, the answer is n_slow * n_fast. */
NBH_API int64_t nbh_plan_work_item_end(const nbh_plan *plan, int64_t pixel);
/* Scans if needed, settles and renders the whole image (n_slow * n_fast floats) in this thread. */
NBH_API nbh_status nbh_plan_render(nbh_plan *plan, float *image, double *omega_sum_sr,
                                   nbh_error *error);
/* The interval, low <= high, in which the plan's kernel proves a pixel's value (before rounding to
 * float) to lie; NaN where it leaves the pixel to the exact kernel, whose interval is the value
 * itself.  Both are 0 outside the ROI and where masked.  The plan must be settled. */
NBH_API nbh_status nbh_plan_pixel_interval(const nbh_plan *plan, int32_t fast, int32_t slow,
                                           double *low, double *high, nbh_error *error);
/* The whole chain of one pixel; the plan must be settled. */
NBH_API nbh_status nbh_plan_trace(const nbh_plan *plan, int32_t fast, int32_t slow,
                                  nbh_trace *trace, nbh_error *error);
/* The same with more of its steps: those of the choice (NULL: all), in serial order, of which the
 * first `capacity` go to steps.  *count is how many there are; dmin leaves out steps, and a pixel
 * that is not active has none.  Non-zero *cancel (may be NULL) stops. */
NBH_API nbh_status nbh_plan_trace_steps(const nbh_plan *plan, int32_t fast, int32_t slow,
                                        const nbh_step_choice *choice, int64_t capacity,
                                        nbh_step_trace *steps, int64_t *count,
                                        const volatile int32_t *cancel, nbh_trace *trace,
                                        nbh_error *error);
/* The reflections that light a pixel, in the order of their first step, computed as the exact
 * kernel does; none where it is not active.  Steps of a Gaussian whose F_latt^2 is below 1e-20 of
 * its peak are left out.  *count is how many there are; NBH_TOO_LARGE for more than `capacity`.
 * NBH_NOT_IMPLEMENTED where the whole sum is multiplied at every step (C-PARITY-002), so that no
 * light is anybody's own.  The plan must be settled.  Non-zero *cancel (may be NULL) stops. */
NBH_API nbh_status nbh_plan_pixel_reflections(const nbh_plan *plan, int32_t fast, int32_t slow,
                                              int64_t capacity, nbh_reflection_light *lights,
                                              int64_t *count, const volatile int32_t *cancel,
                                              nbh_error *error);
/* Statistics of a rendered image (n_slow * n_fast); omega_sum_sr is the total over all rows. */
NBH_API nbh_status nbh_plan_statistics(const nbh_plan *plan, const float *image,
                                       double omega_sum_sr, nbh_statistics *statistics,
                                       nbh_error *error);

/* ---- lattice sums and their derivatives (model 6.5) ----------------------------------------- */

/* A crystal in several orientations.  The sum of a scattering vector q, 1/m, is that over the
 * orientations of F^2 times the square of the lattice factor.  These sums promise accuracy, not
 * bits: they are what derivatives are taken of. */
typedef struct nbh_lattice {
    size_t struct_size;       /* sizeof(nbh_lattice), set by nbh_lattice_init */
    int32_t kernel;           /* nbh_kernel: a build of the fast kernels, or auto */
    int32_t shape;            /* nbh_shape */
    int32_t interpolate;      /* F is interpolated where all nodes are in the table (model 6.7) */
    int32_t single_precision; /* 1: sines, exponentials and what is made of them are float32 where
                                 that does (docs/accuracy.md); indices, phases and sums never */
    double n_cells[3];        /* >= 1 */
    double shape_fudge;       /* >= 0 */
    double star_per_angstrom[9]; /* a*, b*, c* before phi and mosaicity, where the shape has them */
    const double *cells_m;       /* a, b, c of each orientation: 9 * orientation_count */
    int64_t orientation_count;
    nbh_structure_factors structure_factors; /* borrowed */
} nbh_lattice;

/* Derivatives of the weighted sum of the sums of rows.  q is set, the others are added to. */
typedef struct nbh_lattice_gradient {
    double *q;         /* 3 * row_count, like the rows themselves */
    double *cells_m;   /* 9 * orientation_count */
    double *amplitude; /* as many as the table has; NULL: not wanted */
    double default_f;
    double n_cells[3];
    double shape_fudge;
    double star_per_angstrom[9];
} nbh_lattice_gradient;

/* A direction in which all of it changes; arrays as in nbh_lattice_gradient. */
typedef struct nbh_lattice_tangent {
    const double *q;
    const double *cells_m;
    const double *amplitude; /* NULL: not at all */
    double default_f;
    double n_cells[3];
    double shape_fudge;
    double star_per_angstrom[9];
} nbh_lattice_tangent;

/* One cell, shape square, F = 1, kernel auto, no orientation. */
NBH_API void nbh_lattice_init(nbh_lattice *lattice);
/* Sums of the rows first .. end-1 of q, which is 3 * row_count: all x, all y, all z.  Any part may
 * be computed at the same time as another.  Whoever knows which orientations have light for a part
 * of the rows gives a lattice of these alone.  NBH_TOO_LARGE if indices or phases are too large. */
NBH_API nbh_status nbh_lattice_sums(const nbh_lattice *lattice, const double *q, int64_t row_count,
                                    int64_t first, int64_t end, double *sums, nbh_error *error);
/* The same to rounding, with derivatives; weight has row_count.  What rows share is added up from
 * the first row to the last: parts whose bounds are fixed, added up in order, are the same for any
 * threads. */
NBH_API nbh_status nbh_lattice_gradients(const nbh_lattice *lattice, const double *q,
                                         const double *weight, int64_t row_count, int64_t first,
                                         int64_t end, double *sums, nbh_lattice_gradient *gradient,
                                         nbh_error *error);
/* The same with each row's derivative in a direction. */
NBH_API nbh_status nbh_lattice_tangents(const nbh_lattice *lattice, const double *q,
                                        const nbh_lattice_tangent *along, int64_t row_count,
                                        int64_t first, int64_t end, double *sums, double *tangents,
                                        nbh_error *error);

/* ---- pixels of a scene and their derivatives (model 6.1 to 6.8) --------------------------------
 */

/* Where a factor of model 6.8 acts, and which ray it is taken from.  On the pixel: a solid angle of
 * its first sample; the first capture fraction of its last layer that is not 0, the first
 * polarization factor that is neither 0 nor cut by dmin_m. */
typedef enum nbh_factor_place {
    NBH_FACTOR_NONE = 0,
    NBH_FACTOR_PIXEL = 1,
    NBH_FACTOR_RAY = 2,        /* on each ray: as its own sample and source have it */
    NBH_FACTOR_STEP = 3,       /* the same, on the sum so far at every step (model 6.5) */
    NBH_FACTOR_LAYER = 4,      /* capture, on each ray: of its layer's first sub-pixel */
    NBH_FACTOR_LAST_LAYER = 5, /* capture, on each ray: of the last layer at its sub-pixel */
    NBH_FACTOR_SOURCE = 6,     /* polarization, on each ray: of its source at the first sample */
    NBH_FACTOR_SAMPLE = 7      /* polarization, on each ray: of its sample's first uncut source */
} nbh_factor_place;

/* Where the samples of pixels are (model 6.2). */
typedef enum nbh_detector_surface {
    NBH_SURFACE_PLANE = 0,
    NBH_SURFACE_TURNED = 1, /* the beam's end, turned about slow and fast: y and z of the plane are
                               arcs (curved_detector_axes) */
    NBH_SURFACE_SPHERE = 2  /* around the crystal; distances from the beam centre are arcs */
} nbh_detector_surface;

/* Sets of factors that something has for itself, added up. */
typedef enum nbh_own_factors {
    NBH_OWN_CAPTURE = 1,
    NBH_OWN_POLARIZATION = 2,
    NBH_OWN_SOLID_ANGLE = 4,
    NBH_OWN_OF_SOURCES = 8,    /* water: the mean over all sources, not the first one's */
    NBH_OWN_OF_SUB_PIXELS = 16 /* water: the mean over a layer's sub-pixels, not the first one's */
} nbh_own_factors;

/* Positions in nbh_scene.numbers; vectors are three numbers. */
typedef enum nbh_scene_number {
    NBH_SCENE_FAST = 0, /* f, s, o: directions of the detector */
    NBH_SCENE_SLOW = 3,
    NBH_SCENE_NORMAL = 6,
    NBH_SCENE_ORIGIN = 9,       /* D0, m */
    NBH_SCENE_PIXEL = 12,       /* size along f, m */
    NBH_SCENE_LAYER = 13,       /* thickness of a layer, m */
    NBH_SCENE_ATTENUATION = 14, /* 1/m */
    NBH_SCENE_CLOSE = 15,       /* close distance, m */
    NBH_SCENE_KAHN = 16,
    NBH_SCENE_POLARIZATION = 17, /* axis */
    NBH_SCENE_PIXEL_SLOW = 20,   /* size along s, m */
    NBH_SCENE_BEAM = 21,         /* direction; from here on for surfaces that are no plane */
    NBH_SCENE_DISTANCE = 24,     /* m */
    NBH_SCENE_BEAM_FAST = 25,    /* beam centre, m from the detector's corner along f, */
    NBH_SCENE_BEAM_SLOW = 26,    /* and along s */
    NBH_SCENE_NUMBERS = 27       /* how many there are */
} nbh_scene_number;

/* The same for a source, nbh_scene.sources. */
typedef enum nbh_source_number {
    NBH_SOURCE_INCIDENT = 0, /* direction of travel, a unit vector */
    NBH_SOURCE_WAVELENGTH = 3,
    NBH_SOURCE_WEIGHT = 4, /* 1 on average */
    NBH_SOURCE_NUMBERS = 5
} nbh_source_number;

/* The same for a crystal of nbh_scene, besides its cells and its table. */
typedef enum nbh_crystal_number {
    NBH_CRYSTAL_N_CELLS = 0,
    NBH_CRYSTAL_FUDGE = 3,
    NBH_CRYSTAL_STAR = 4,
    NBH_CRYSTAL_DEFAULT_F = 13,
    NBH_CRYSTAL_STRENGTH = 14,   /* r_e^2 fluence */
    NBH_CRYSTAL_BACKGROUND = 15, /* what a pixel's sum starts with */
    NBH_CRYSTAL_WATER = 16,      /* what is added to a pixel's value, over strength and factors */
    NBH_CRYSTAL_NUMBERS = 17
} nbh_crystal_number;

/* Crystals on a detector, each with an image of its own: everything that pixels depend on, as
 * it stands after set-up.  Like lattice sums, the pixels promise accuracy and not bits. */
typedef struct nbh_scene {
    size_t struct_size; /* sizeof(nbh_scene), set by nbh_scene_init */
    int32_t oversample; /* sub-pixels along each edge of a pixel */
    int32_t layers;     /* of the sensor */
    int32_t capture;    /* nbh_factor_place, as the next two */
    int32_t polarization;
    int32_t solid_angle;    /* never NBH_FACTOR_NONE */
    int32_t has_pixel_area; /* the solid angle has the factor of its area, */
    int32_t is_oblique;     /* and the factor close distance / R */
    int32_t surface;        /* nbh_detector_surface */
    int32_t faces_sample;   /* capture: beams meet the sensor at right angles */
    int32_t counts_zeros;   /* NBH_FACTOR_STEP: steps with a lattice factor of 0 multiply, too */
    int32_t background_factors; /* nbh_own_factors that the background has besides the pixel's: the
                                   first sample's and first source's, the last layer's capture */
    int32_t water_factors;      /* nbh_own_factors: all that the water has */
    int32_t crystal_count;
    int64_t source_count;
    double steps;  /* the divisor of model 6.8 */
    double dmin_m; /* 0: no limit */
    /* >= 0.  Steps are left out that together are less than this in every pixel; their derivatives
     * are left out with them.  The lists of steps that are left, of each 32 pixels, source and
     * orientation, are made inside, by bounds; none is taken from the caller.  0: no lists, and
     * every step is visited. */
    double tolerance_photons;
    double numbers[NBH_SCENE_NUMBERS];
    const double *sources;       /* NBH_SOURCE_NUMBERS for each */
    const nbh_lattice *crystals; /* all with the same kernel */
    const double *strength;      /* of each crystal */
    const double *background;    /* of each crystal */
    const double *water;         /* of each crystal; NULL: none */
} nbh_scene;

/* Pixels, one after the other.  If cancel is not NULL, *cancel is looked at again and again; once
 * it is not 0, the call ends with NBH_CANCELLED, and derivatives that are added to are no good.
 * If visited is not NULL, the steps that were visited are added to *visited: samples times sources
 * times orientations of each pixel and crystal, less what tolerance_photons left out.  With a
 * tolerance each 32 pixels that follow each other should be neighbours, as 4 * 8 are: bounds are
 * those of all of them. */
typedef struct nbh_pixel_list {
    const int32_t *slow;
    const int32_t *fast;
    int64_t count;
    const volatile int32_t *cancel;
    int64_t *visited;
} nbh_pixel_list;

/* Derivatives of a weighted sum of pixels; all are added to.  Of each crystal: NBH_CRYSTAL_NUMBERS,
 * cells, and the table's amplitudes (NULL: not wanted). */
typedef struct nbh_scene_gradient {
    double numbers[NBH_SCENE_NUMBERS];
    double *sources;
    double *crystals;
    double *const *cells_m;
    double *const *amplitude;
} nbh_scene_gradient;

/* Directions in which the only crystal's scene changes; NULL: not at all.  If rotations are given,
 * cells of orientation o are rotations[o] times the vectors of a reference cell. */
typedef struct nbh_scene_directions {
    int32_t count;
    int32_t turning_count;
    const double *numbers;     /* count * NBH_SCENE_NUMBERS */
    const double *sources;     /* count * source_count * NBH_SOURCE_NUMBERS */
    const double *crystal;     /* count * NBH_CRYSTAL_NUMBERS */
    const double *rotations;   /* 9 for each orientation, row by row */
    const double *reference_m; /* count * 9: changes of the reference cell */
    const int32_t *turning;    /* directions, turning_count of them, in which cells change else */
    const double *turning_m;   /* turning_count * orientation_count * 9: those changes */
    const double *amplitude;   /* change of the table, in direction 0 */
} nbh_scene_directions;

/* Sets struct_size, one sub-pixel, one layer, a plane, no capture and no polarization factor. */
NBH_API void nbh_scene_init(nbh_scene *scene);
/* Why the pixels visit every step in spite of a tolerance, an nbh_culling_reason. */
NBH_API nbh_status nbh_scene_culling(const nbh_scene *scene, int32_t *reason, nbh_error *error);
/* Values of the pixels first .. end-1, photons: crystal_count times pixels->count numbers.  Any
 * part may be computed at the same time as another.  NBH_TOO_LARGE as for nbh_lattice_sums. */
NBH_API nbh_status nbh_scene_values(const nbh_scene *scene, const nbh_pixel_list *pixels,
                                    int64_t first, int64_t end, double *values, nbh_error *error);
/* Derivatives of the sum of weight times value, which are arrays alike.  See nbh_lattice_gradients
 * for threads. */
NBH_API nbh_status nbh_scene_gradients(const nbh_scene *scene, const nbh_pixel_list *pixels,
                                       const double *weight, int64_t first, int64_t end,
                                       nbh_scene_gradient *gradient, nbh_error *error);
/* Values, and derivatives of each: directions->count times pixels->count numbers. */
NBH_API nbh_status nbh_scene_jacobian(const nbh_scene *scene, const nbh_pixel_list *pixels,
                                      const nbh_scene_directions *directions, int64_t first,
                                      int64_t end, double *values, double *jacobian,
                                      nbh_error *error);

/* ---- images (model 8) ----------------------------------------------------------------------- */

/* Inclusive bounds; an empty range (min > max) leaves the image 0. */
typedef struct nbh_roi {
    int32_t fast_min;
    int32_t fast_max;
    int32_t slow_min;
    int32_t slow_max;
} nbh_roi;

/* Pixels that a picture should not have, where the region has pixels that the mask does not skip;
 * their places are those of the first one in raster order, -1 where there is none. */
typedef struct nbh_odd_pixels {
    int64_t pixels;   /* looked at */
    int64_t lit;      /* not 0, these odd ones too */
    int64_t nan;      /* not a number */
    int64_t infinite; /* of either sign */
    int64_t negative; /* finite and below 0 */
    int32_t nan_fast;
    int32_t nan_slow;
    int32_t infinite_fast;
    int32_t infinite_slow;
    int32_t negative_fast;
    int32_t negative_slow;
} nbh_odd_pixels;

/* Counts them.  mask (n_fast * n_slow values, 0 is skipped) may be NULL. */
NBH_API nbh_status nbh_image_odd_pixels(const float *image, int32_t n_fast, int32_t n_slow,
                                        const nbh_roi *roi, const uint8_t *mask,
                                        nbh_odd_pixels *odd, nbh_error *error);
/* scale <= 0: 55000 / max, or 1 if max <= 0.  *scale_used may be NULL. */
NBH_API nbh_status nbh_integer_image(const float *image, int32_t n_fast, int32_t n_slow,
                                     const nbh_roi *roi, double scale, double max,
                                     double adc_offset, uint16_t *out, double *scale_used,
                                     nbh_error *error);
/* scale <= 0: 250 / (5 rmsd), or integer_scale if rmsd <= 0. */
NBH_API nbh_status nbh_pgm_image(const float *image, int32_t n_fast, int32_t n_slow, double scale,
                                 double rmsd, double integer_scale, uint8_t *out,
                                 double *scale_used, nbh_error *error);
/* Poisson noise in raster order over the ROI.  `random` and `seed` go on from where they stand. */
NBH_API nbh_status nbh_noise_image(const float *image, int32_t n_fast, int32_t n_slow,
                                   const nbh_roi *roi, double adc_offset, nbh_random *random,
                                   int32_t *seed, uint16_t *out, double *photons,
                                   int64_t *overloads, nbh_error *error);

/* ---- background (model 9) ------------------------------------------------------------------- */

/* A curve: linear between its rows, before the first and behind the last one as there. */
typedef struct nbh_curve {
    int32_t count;
    const double *x; /* each more than the one before it */
    const double *y;
} nbh_curve;

/* Molecules without order. */
typedef struct nbh_scatterer {
    nbh_curve curve;      /* against sin(theta)/lambda, 1/m */
    int32_t is_intensity; /* 1: it is F^2, electrons^2; 0: F, electrons */
    double molecules;     /* how many scatter, attenuation by the sample counted */
} nbh_scatterer;

/* Photons that are added to each pixel of a box, which may reach over the detector's edge. */
typedef struct nbh_background_offset {
    nbh_roi box;
    double photons;
} nbh_background_offset;

/* Light beside the crystal's spots; arrays are borrowed for the length of a call. */
typedef struct nbh_background {
    size_t struct_size; /* sizeof(nbh_background), set by nbh_background_init */
    double air_attenuation_per_m;
    double flat_photons;
    const nbh_scatterer *scatterers;
    nbh_curve radial; /* photons per pixel against the scattering angle, radians; count 0: none */
    const nbh_background_offset *offsets;
    int32_t scatterer_count;
    int32_t offset_count;
} nbh_background;

/* None at all. */
NBH_API void nbh_background_init(nbh_background *background);
/* Photons per pixel, for the pixels [pixel0, pixel1), numbered slow * n_fast + fast; 0 outside the
 * ROI and where masked.  outside gets, for each scatterer and behind them for `radial`, in how many
 * of these pixels its curve was asked outside its rows.  Any part may be computed at the same time
 * as another; the plan need not be settled. */
NBH_API nbh_status nbh_plan_background(const nbh_plan *plan, const nbh_background *background,
                                       int64_t pixel0, int64_t pixel1,
                                       const volatile int32_t *cancel, double *photons,
                                       int64_t *outside, nbh_error *error);

/* ---- structure-factor text (files: -hkl) ---------------------------------------------------- */

typedef struct nbh_hkl_bounds {
    int32_t h_min;
    int32_t h_max;
    int32_t k_min;
    int32_t k_max;
    int32_t l_min;
    int32_t l_max;
    int64_t reflections; /* quadruples (stream) or lines (line by line) */
    int64_t fractional;  /* indices that are not whole numbers */
    int64_t
        stopped_at_line; /* stream: line of the word that ended the first pass, 0: end of text */
} nbh_hkl_bounds;

/* First pass over a text of h k l F.  stream != 0 reads four numbers at a time whatever the lines
 * (quirk hkl_stream); 0 reads line by line, skipping blank lines and # comments. */
NBH_API nbh_status nbh_hkl_scan(const char *text, size_t length, int32_t stream,
                                nbh_hkl_bounds *bounds, nbh_error *error);
/* Second pass: fills the dense table (bounds' extent, see nbh_structure_factors) with default_f and
 * then the amplitudes; *filled counts them, *stopped_at_line is as above. */
NBH_API nbh_status nbh_hkl_fill(const char *text, size_t length, int32_t stream,
                                const nbh_hkl_bounds *bounds, double default_f, double *amplitude,
                                int64_t *filled, int64_t *stopped_at_line, nbh_error *error);

/* Reflections that a text lists more than once; the last amplitude of each counts. */
typedef struct nbh_hkl_repeats {
    int64_t count;      /* amplitudes that take the place of another one */
    int64_t first_line; /* one-based line of the first of them; 0: there is none */
    int32_t first[3];   /* its indices */
} nbh_hkl_repeats;

/* nbh_hkl_fill that also tells of repeated reflections. */
NBH_API nbh_status nbh_hkl_fill_telling(const char *text, size_t length, int32_t stream,
                                        const nbh_hkl_bounds *bounds, double default_f,
                                        double *amplitude, int64_t *filled,
                                        int64_t *stopped_at_line, nbh_hkl_repeats *repeats,
                                        nbh_error *error);

/* ---- pure functions, exported for tests and C users ----------------------------------------- */

NBH_API double nbh_sincg(double x, double n);            /* model 6.5 g */
NBH_API double nbh_sinc3(double x);                      /* model 6.5 s3 */
NBH_API void nbh_unit(const double v[3], double out[3]); /* model 1 */
NBH_API void nbh_rotate_xyz(const double v[3], const double angles_rad[3], double out[3]);
NBH_API void nbh_rotate_axis(const double v[3], const double axis[3], double phi_rad,
                             double out[3]);
/* model 6.6; incident, diffracted and axis are replaced by their unit vectors. */
NBH_API double nbh_polarization(double kahn, double incident[3], double diffracted[3],
                                double axis[3]);
/* model 6.7 at (x,y,z) from 64 values at floor-1 .. floor+2, [h][k][l]. */
NBH_API double nbh_interpolate_tricubic(double h, double k, double l, const double values[64]);
/* An empty shuffle table; set state->drops_first afterwards where the first deviate is dropped. */
NBH_API void nbh_random_init(nbh_random *state);
NBH_API float nbh_uniform_deviate(nbh_random *state, int32_t *seed); /* model 7.1 */
NBH_API float nbh_gauss_deviate(nbh_random *state, int32_t *seed);   /* model 7.5 */
NBH_API float nbh_poisson_deviate(nbh_random *state, int32_t *seed, float mean);
NBH_API float nbh_log_gamma(float x);
NBH_API void nbh_random_rotation(nbh_random *state, int32_t *seed, float spread_rad,
                                 double matrix[9]);                             /* model 7.2 */
NBH_API void nbh_rotation_angles(const double matrix[9], double angles_rad[3]); /* model 7.3 */

/* 1 if this build and this processor have the nbh_kernel, else 0. */
NBH_API int32_t nbh_kernel_is_available(int32_t kernel);

/* "0.1.0" */
NBH_API const char *nbh_version(void);
/* Compiler, flags that matter for the bits, instruction sets: one `key: value` a line. */
NBH_API const char *nbh_build_info(void);
/* "NBH_INVALID" for 1; "unknown status" for a number that is none. */
NBH_API const char *nbh_status_name(int32_t status);

/* cffi reads to here -------------------------------------------------------------------------- */

#ifdef __cplusplus
}
#endif

#endif
