#include "detector.h"

#include <float.h>
#include <math.h>

#include "error.h"
#include "given.h"
#include "vec3.h"

/* How far, relative to it, a close distance may be from what the distance says. */
#define SAME_DISTANCE 1e-5

/* The table of model 3. */
typedef struct convention_vectors {
    double beam[3], fast[3], slow[3], normal[3], twotheta_axis[3], polarization[3], spindle[3];
    nbh_pivot pivot;
} convention_vectors;

/* The row of the convention. */
static void set_convention(nbh_convention convention, convention_vectors *v)
{
    /* clang-format off */
    /*                                                 beam b     fast f     slow s      normal o   2theta axis  polar. p   spindle u  pivot */
    static const convention_vectors custom =       {{1, 0, 0}, {0, 0, 1}, {0, -1, 0}, {1, 0, 0}, {0, 1, 0},  {0, 0, 1}, {0, 0, 1}, NBH_PIVOT_BEAM};
    static const convention_vectors adxv =         {{0, 0, 1}, {1, 0, 0}, {0, -1, 0}, {0, 0, 1}, {-1, 0, 0}, {1, 0, 0}, {1, 0, 0}, NBH_PIVOT_BEAM};
    static const convention_vectors mosflm_denzo = {{1, 0, 0}, {0, 0, 1}, {0, -1, 0}, {1, 0, 0}, {0, 0, -1}, {0, 0, 1}, {0, 0, 1}, NBH_PIVOT_BEAM};
    static const convention_vectors xds =          {{0, 0, 1}, {1, 0, 0}, {0, 1, 0},  {0, 0, 1}, {1, 0, 0},  {1, 0, 0}, {1, 0, 0}, NBH_PIVOT_SAMPLE};
    static const convention_vectors dials =        {{0, 0, 1}, {1, 0, 0}, {0, 1, 0},  {0, 0, 1}, {0, 1, 0},  {0, 1, 0}, {0, 1, 0}, NBH_PIVOT_SAMPLE};
    /* clang-format on */
    switch (convention) {
    case NBH_CONVENTION_CUSTOM:
        *v = custom;
        break;
    case NBH_CONVENTION_ADXV:
        *v = adxv;
        break;
    case NBH_CONVENTION_MOSFLM:
    case NBH_CONVENTION_DENZO:
        *v = mosflm_denzo;
        break;
    case NBH_CONVENTION_XDS:
        *v = xds;
        break;
    case NBH_CONVENTION_DIALS:
        *v = dials;
        break;
    }
}

static void given_vector(const double given[3], const double otherwise[3], double out[3])
{
    vec3_copy(is_given(given[0]) ? given : otherwise, out);
}

/* Pixel counts and detector size of model 2. */
static nbh_status resolve_size(const nbh_detector *detector, nbh_plan_info *info, nbh_error *error)
{
    const double pixel = detector->pixel_size_m;
    const double pixel_slow = given_or(detector->pixel_size_slow_m, pixel);
    double size_fast = detector->size_fast_m, size_slow = detector->size_slow_m;
    if (is_given_int(detector->n_fast))
        size_fast = pixel * detector->n_fast;
    if (is_given_int(detector->n_slow))
        size_slow = pixel_slow * detector->n_slow;
    double n_fast = ceil(size_fast / pixel - 0.5), n_slow = ceil(size_slow / pixel_slow - 0.5);
    if (!(n_fast >= 1 && n_fast <= INT32_MAX))
        return nbh_fail(error, n_fast >= 1 ? NBH_TOO_LARGE : NBH_INVALID, "detector.size_fast_m",
                        "got %g m of %g m pixels, need 1 to %d pixels", size_fast, pixel,
                        INT32_MAX);
    if (!(n_slow >= 1 && n_slow <= INT32_MAX))
        return nbh_fail(error, n_slow >= 1 ? NBH_TOO_LARGE : NBH_INVALID, "detector.size_slow_m",
                        "got %g m of %g m pixels, need 1 to %d pixels", size_slow, pixel_slow,
                        INT32_MAX);
    info->pixel_size_m = pixel;
    info->pixel_size_slow_m = pixel_slow;
    info->size_fast_m = size_fast;
    info->size_slow_m = size_slow;
    info->n_fast = (int32_t)n_fast;
    info->n_slow = (int32_t)n_slow;
    return NBH_OK;
}

static int32_t lower_bound(int32_t given)
{
    return given < 0 ? 0 : given; /* NBH_UNSET_INT is negative */
}

static int32_t upper_bound(int32_t given, int32_t count)
{
    return given < 0 || given >= count ? count - 1 : given;
}

static void resolve_roi(const nbh_sampling *sampling, nbh_plan_info *info)
{
    info->roi_fast_min = lower_bound(sampling->roi_fast_min);
    info->roi_fast_max = upper_bound(sampling->roi_fast_max, info->n_fast);
    info->roi_slow_min = lower_bound(sampling->roi_slow_min);
    info->roi_slow_max = upper_bound(sampling->roi_slow_max, info->n_slow);
}

static int any_vector_given(const nbh_experiment *e)
{
    return is_given(e->beam.direction[0]) || is_given(e->beam.polarization_axis[0]) ||
           is_given(e->goniometer.spindle_axis[0]) || is_given(e->detector.fast_axis[0]) ||
           is_given(e->detector.slow_axis[0]) || is_given(e->detector.normal_axis[0]) ||
           is_given(e->detector.twotheta_axis[0]) || is_given(e->detector.pix0_m[0]);
}

typedef enum centre { BEAM_CENTRE, NEAR_POINT } centre;

/* The one centre that was given (C-PARITY-016 off); *which stays where none was. */
static nbh_status given_centre(const nbh_detector *detector, centre *which, nbh_error *error)
{
    const int beam = is_given(detector->beam_x_m) || is_given(detector->beam_y_m);
    const int near = is_given(detector->close_x_m) || is_given(detector->close_y_m);
    const int org = is_given(detector->org_x_px) || is_given(detector->org_y_px);
    if (beam + near + org > 1)
        return nbh_fail(error, NBH_INVALID, beam ? "detector.beam_x_m" : "detector.close_x_m",
                        "got several centres, need only one of beam centre, near point and XDS "
                        "origin while near_point_ignored is off");
    if (beam)
        *which = BEAM_CENTRE;
    if (near || org)
        *which = NEAR_POINT;
    return NBH_OK;
}

/* The origin from which (along_fast, along_slow) is the point at `distance` along `direction`. */
static void set_origin(double along_fast, const double fast[3], double along_slow,
                       const double slow[3], double distance, const double direction[3],
                       double origin[3])
{
    for (int i = 0; i < 3; i++)
        origin[i] = -along_fast * fast[i] - along_slow * slow[i] + distance * direction[i];
}

/* C-PARITY-032: a distance other than the default counts as given; `implied_m` is the close
 * distance that belongs to it. */
static nbh_status check_distances(const nbh_experiment *experiment, double implied_m,
                                  nbh_plan_info *info, nbh_error *error)
{
    const nbh_detector *detector = &experiment->detector;
    const double close_m = detector->close_distance_m;
    const int corner_decides =
        is_given(detector->pix0_m[0]) && !has_quirk(experiment, NBH_QUIRK_PIX0_IGNORED);
    if (!is_given(close_m) || detector->distance_m == DEFAULT_DISTANCE_M || corner_decides ||
        fabs(close_m - implied_m) <= SAME_DISTANCE * implied_m)
        return NBH_OK;
    if (has_quirk(experiment, NBH_QUIRK_DISTANCE_BESIDE_CLOSE)) {
        info->warnings |= NBH_WARN_DISTANCE_IGNORED;
        return NBH_OK;
    }
    return nbh_fail(error, NBH_INVALID, "detector.distance_m",
                    "got %.9g m beside a close distance of %.9g m, need only one of them, or the "
                    "close distance that belongs to the other (%.9g m), while "
                    "distance_beside_close is off",
                    detector->distance_m, close_m, implied_m);
}

/* The part of a unit vector that is along the beam, never 0. */
static double along_beam(const double v[3], const double beam[3])
{
    const double part = vec3_dot(beam, v);
    return part == 0.0 ? DBL_MIN : part;
}

/* The ratio of the detector as it stands, whose normal points away from the sample (C-PARITY-028
 * off): below 0 where the beam meets its plane behind the sample. */
static double outward_ratio(double ratio, const double normal[3], const double beam[3])
{
    return copysign(ratio, along_beam(normal, beam));
}

/* Steps 3 and 4: the three rotations, then 2theta. */
static void rotate_detector(const nbh_detector *detector, const double twotheta_axis[3],
                            double v[3])
{
    vec3_rotate_xyz(v, detector->rotation_rad, v);
    vec3_rotate_axis(v, twotheta_axis, detector->twotheta_rad, v);
}

nbh_status detector_resolve(const nbh_experiment *experiment, nbh_plan_info *info, nbh_error *error)
{
    const nbh_detector *detector = &experiment->detector;
    nbh_status status = resolve_size(detector, info, error);
    if (status != NBH_OK)
        return status;
    resolve_roi(&experiment->sampling, info);

    const double pixel = info->pixel_size_m, pixel_slow = info->pixel_size_slow_m;
    const double size_fast = info->size_fast_m, size_slow = info->size_slow_m;

    /* near point and beam centre before conventions */
    double close_fast =
        is_given(detector->org_x_px) ? (detector->org_x_px - 0.5) * pixel : size_fast / 2.0;
    double close_slow =
        is_given(detector->org_y_px) ? (detector->org_y_px - 0.5) * pixel_slow : size_slow / 2.0;
    const double close_x = given_or(detector->close_x_m, close_fast);
    const double close_y = given_or(detector->close_y_m, close_slow);

    /* C-PARITY-013: any vector given selects CUSTOM */
    nbh_convention convention = (nbh_convention)detector->convention;
    if (has_quirk(experiment, NBH_QUIRK_CUSTOM_CONVENTION_SWITCH) && any_vector_given(experiment))
        convention = NBH_CONVENTION_CUSTOM;
    convention_vectors vectors = {.beam = {0.0}};
    set_convention(convention, &vectors);

    double beam[3], fast[3], slow[3], normal[3], twotheta_axis[3], polarization[3], spindle[3];
    given_vector(experiment->beam.direction, vectors.beam, beam);
    given_vector(detector->fast_axis, vectors.fast, fast);
    given_vector(detector->slow_axis, vectors.slow, slow);
    given_vector(detector->normal_axis, vectors.normal, normal);
    given_vector(detector->twotheta_axis, vectors.twotheta_axis, twotheta_axis);
    given_vector(experiment->beam.polarization_axis, vectors.polarization, polarization);
    given_vector(experiment->goniometer.spindle_axis, vectors.spindle, spindle);

    /* the beam centre; C-PARITY-014: named conventions have their own pivot, whatever was asked */
    double beam_x = NAN, beam_y = NAN, beam_fast = NAN, beam_slow = NAN;
    int pivot_is_free = !has_quirk(experiment, NBH_QUIRK_PIVOT_FLAG_IGNORED);
    switch (convention) {
    case NBH_CONVENTION_ADXV:
        beam_x = given_or(detector->beam_x_m, (size_fast + pixel) / 2.0);
        beam_y = given_or(detector->beam_y_m, (size_slow - pixel_slow) / 2.0);
        beam_fast = beam_x;
        beam_slow = size_slow - beam_y;
        break;
    case NBH_CONVENTION_MOSFLM:
        beam_x = given_or(detector->beam_x_m, (size_slow + pixel_slow) / 2.0);
        beam_y = given_or(detector->beam_y_m, (size_fast + pixel) / 2.0);
        beam_fast = beam_y + 0.5 * pixel;
        beam_slow = beam_x + 0.5 * pixel_slow;
        break;
    case NBH_CONVENTION_DENZO:
        beam_x = given_or(detector->beam_x_m, (size_slow + pixel_slow) / 2.0);
        beam_y = given_or(detector->beam_y_m, (size_fast + pixel) / 2.0);
        beam_fast = beam_y + 0.0 * pixel;
        beam_slow = beam_x + 0.0 * pixel_slow;
        break;
    case NBH_CONVENTION_XDS:
    case NBH_CONVENTION_DIALS:
        beam_x = beam_fast = given_or(detector->beam_x_m, close_x);
        beam_y = beam_slow = given_or(detector->beam_y_m, close_y);
        break;
    case NBH_CONVENTION_CUSTOM:
        beam_x = beam_fast = close_fast = given_or(detector->beam_x_m, close_x);
        beam_y = beam_slow = close_slow = given_or(detector->beam_y_m, close_y);
        pivot_is_free = 1;
        break;
    }
    const nbh_pivot pivot =
        pivot_is_free && is_given_int(detector->pivot) ? (nbh_pivot)detector->pivot : vectors.pivot;
    info->convention = (int32_t)convention;
    info->pivot = (int32_t)pivot;
    info->beam_x_m = beam_x;
    info->beam_y_m = beam_y;

    if (!has_quirk(experiment, NBH_QUIRK_TWOTHETA_AXIS_LENGTH)) { /* C-PARITY-030 */
        if (vec3_mag(twotheta_axis) == 0.0 && detector->twotheta_rad != 0.0)
            return nbh_fail(error, NBH_INVALID, "detector.twotheta_axis",
                            "got 0 0 0, need a direction for a two-theta of %g rad while "
                            "twotheta_axis_length is off",
                            detector->twotheta_rad);
        vec3_unit(twotheta_axis, twotheta_axis);
    }
    const double normal_mag = vec3_mag(normal);
    vec3_unit(beam, beam);
    vec3_unit(fast, fast);
    vec3_unit(slow, slow);
    vec3_unit(normal, normal);
    vec3_unit(polarization, polarization);
    vec3_unit(spindle, spindle);
    if (normal_mag != 1.0) {
        vec3_cross(fast, slow, normal);
        vec3_unit(normal, normal);
        info->warnings |= NBH_WARN_NORMAL_RECOMPUTED;
    }
    const int as_written = has_quirk(experiment, NBH_QUIRK_NORMAL_TOWARDS_SOURCE);
    if (!as_written && vec3_dot(beam, normal) < 0.0)
        vec3_negate(normal, normal);
    vec3_cross(beam, polarization, info->vertical_axis);
    vec3_unit(info->vertical_axis, info->vertical_axis);

    /* origin, steps 1 and 2 */
    double tilted[3];
    vec3_rotate_xyz(normal, detector->rotation_rad, tilted);
    double ratio = along_beam(tilted, beam);
    const double implied_close_distance = fabs(ratio * detector->distance_m);
    double close_distance = given_or(detector->close_distance_m, implied_close_distance);
    status = check_distances(experiment, implied_close_distance, info, error);
    if (status != NBH_OK)
        return status;
    double distance = close_distance / (as_written ? ratio : fabs(ratio));

    /* which centre says where the detector is: C-PARITY-016, that of the pivot */
    centre known = BEAM_CENTRE;
    switch (pivot) {
    case NBH_PIVOT_BEAM:
        known = BEAM_CENTRE;
        break;
    case NBH_PIVOT_SAMPLE:
        known = NEAR_POINT;
        break;
    }
    if (!has_quirk(experiment, NBH_QUIRK_NEAR_POINT_IGNORED)) {
        nbh_status given = given_centre(detector, &known, error);
        if (given != NBH_OK)
            return given;
        if (known == NEAR_POINT && is_given(detector->close_x_m))
            close_fast = close_x;
        if (known == NEAR_POINT && is_given(detector->close_y_m))
            close_slow = close_y;
    }

    /* steps 3 to 5 */
    double origin[3] = {0.0, 0.0, 0.0};
    const double twotheta = detector->twotheta_rad;
    double *axes[3] = {fast, slow, normal};
    switch (pivot) {
    case NBH_PIVOT_SAMPLE:
        switch (known) {
        case NEAR_POINT:
            set_origin(close_fast, fast, close_slow, slow, close_distance, normal, origin);
            break;
        case BEAM_CENTRE: /* of the upright detector, which is close_distance away */
            set_origin(beam_fast, fast, beam_slow, slow, close_distance / along_beam(normal, beam),
                       beam, origin);
            break;
        }
        rotate_detector(detector, twotheta_axis, origin);
        for (int i = 0; i < 3; i++)
            rotate_detector(detector, twotheta_axis, axes[i]);
        break;
    case NBH_PIVOT_BEAM:
        for (int i = 0; i < 3; i++)
            rotate_detector(detector, twotheta_axis, axes[i]);
        switch (known) {
        case NEAR_POINT:
            set_origin(close_fast, fast, close_slow, slow, close_distance, normal, origin);
            break;
        case BEAM_CENTRE:
            set_origin(beam_fast, fast, beam_slow, slow, distance, beam, origin);
            break;
        }
        break;
    }
    /* C-PARITY-015: a pix0 vector that was given is overwritten */
    if (!has_quirk(experiment, NBH_QUIRK_PIX0_IGNORED) && is_given(detector->pix0_m[0]))
        vec3_copy(detector->pix0_m, origin);
    /* step 6 */
    close_fast = -vec3_dot(origin, fast);
    close_slow = -vec3_dot(origin, slow);
    close_distance = vec3_dot(origin, normal);
    if (as_written) { /* C-PARITY-028 */
        if (close_distance < 0.0)
            info->warnings |= NBH_WARN_CLOSE_DISTANCE_NEGATIVE;
    } else {
        if (close_distance < 0.0) {
            vec3_negate(normal, normal);
            close_distance = -close_distance;
        }
        ratio = outward_ratio(ratio, normal, beam);
    }
    if (!has_quirk(experiment, NBH_QUIRK_RATIO_BEFORE_TWOTHETA)) /* C-PARITY-027 */
        ratio = along_beam(normal, beam);
    /* step 7 */
    double to_beam[3];
    for (int i = 0; i < 3; i++)
        to_beam[i] = close_distance / ratio * beam[i] - origin[i];
    beam_fast = vec3_dot(fast, to_beam);
    beam_slow = vec3_dot(slow, to_beam);
    distance = close_distance / ratio;

    vec3_copy(beam, info->beam_direction);
    vec3_copy(polarization, info->polarization_axis);
    vec3_copy(spindle, info->spindle_axis);
    vec3_copy(fast, info->fast_axis);
    vec3_copy(slow, info->slow_axis);
    vec3_copy(normal, info->normal_axis);
    vec3_copy(twotheta_axis, info->twotheta_axis);
    vec3_copy(origin, info->pix0_m);
    info->twotheta_rad = twotheta;
    info->distance_m = distance;
    info->close_distance_m = close_distance;
    info->beam_fast_m = beam_fast;
    info->beam_slow_m = beam_slow;
    info->close_fast_m = close_fast;
    info->close_slow_m = close_slow;
    /* step 8, reported only */
    info->org_x_px = close_fast / pixel + 0.5;
    info->org_y_px = close_slow / pixel_slow + 0.5;
    const double dials_axes[3][3] = {{0, 0, 1}, {0, 1, 0}, {-1, 0, 0}};
    for (int i = 0; i < 3; i++)
        info->dials_origin_mm[i] = 1000.0 * vec3_dot(origin, dials_axes[i]);
    return NBH_OK;
}
