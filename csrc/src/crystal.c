#include "crystal.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "constants.h"
#include "error.h"
#include "given.h"
#include "vec3.h"

/* Reciprocal vectors in 1/A, and what model 4.4 takes from the cell. */
typedef struct lattice {
    double a_star[3], b_star[3], c_star[3];
    int has_cell;
    double cell[3]; /* a b c, A */
    double volume;  /* A^3, of the cell */
} lattice;

static double clamp_sine(double x)
{
    return x > 1.0 ? 1.0 : x < -1.0 ? -1.0 : x;
}

static double clamp_cosine(double x)
{
    return x * x > 1.0 ? 1.0 : x;
}

static double make_positive(double length, nbh_plan_info *info)
{
    if (length > 0.0)
        return length;
    info->warnings |= NBH_WARN_RECIPROCAL_LENGTH;
    return -length;
}

/* Lengths whose products and reciprocals are numbers; beyond them nothing is rendered. */
#define SHORTEST_AXIS_ANGSTROM 1e-50
#define LONGEST_AXIS_ANGSTROM 1e50
#define SHORTEST_WAVELENGTH_M 1e-100
#define LONGEST_WAVELENGTH_M 1e100
/* Angles, in radians, and ratios below which a difference is one of rounding. */
#define ROUNDING 1e-12
#define RADIANS_LOOK_LIKE (3.15 / DEGREES_PER_RADIAN)
/* A cell beside a matrix is the matrix's own within these, and another one beyond those. */
#define SAME_RATIO 1e-4
#define SAME_ANGLE (0.01 / DEGREES_PER_RADIAN)
#define OTHER_RATIO 0.01
#define OTHER_ANGLE (1.0 / DEGREES_PER_RADIAN)
/* One ratio for all lengths means another wavelength; so do axes of no crystal. */
#define COMMON_RATIO 1e-3
#define COMMON_ANGLE (0.1 / DEGREES_PER_RADIAN)
#define SHORTEST_CRYSTAL_AXIS_ANGSTROM 1.0
#define LONGEST_CRYSTAL_AXIS_ANGSTROM 1e4

/* Lengths in A and angles of a cell, with what model 4.1 takes for those that are missing. */
typedef struct unit_cell {
    double length[3], angle[3];
} unit_cell;

static void cell_given(const nbh_crystal *crystal, unit_cell *cell)
{
    for (int i = 0; i < 3; i++) {
        const double length = crystal->cell_length_angstrom[i], angle = crystal->cell_angle_rad[i];
        cell->length[i] = length <= 0.0 ? crystal->cell_length_angstrom[0] : length;
        cell->angle[i] = angle <= 0.0 ? PI / 2.0 : angle;
    }
}

/* Three angles of a corner: each below the other two together, and less than a full turn in all. */
static int angles_fit(const double angle[3])
{
    const double half = (angle[0] + angle[1] + angle[2]) / 2.0;
    double slack = PI - half;
    for (int i = 0; i < 3; i++) {
        if (angle[i] >= PI)
            return 0;
        slack = fmin(slack, half - angle[i]);
    }
    return slack > ROUNDING;
}

static nbh_status check_cell(const nbh_experiment *experiment, nbh_plan_info *info,
                             nbh_error *error)
{
    unit_cell cell;
    cell_given(&experiment->crystal, &cell);
    const double *angle = cell.angle;
    for (int i = 0; i < 3; i++)
        if (!(cell.length[i] >= SHORTEST_AXIS_ANGSTROM && cell.length[i] <= LONGEST_AXIS_ANGSTROM))
            return nbh_fail(error, NBH_INVALID, "crystal.cell_length_angstrom",
                            "got %g, need lengths from %g to %g angstrom", cell.length[i],
                            SHORTEST_AXIS_ANGSTROM, LONGEST_AXIS_ANGSTROM);
    if (angle[0] <= RADIANS_LOOK_LIKE && angle[1] <= RADIANS_LOOK_LIKE &&
        angle[2] <= RADIANS_LOOK_LIKE)
        info->warnings |= NBH_WARN_ANGLES_IN_RADIANS;
    if (angles_fit(angle))
        return NBH_OK;
    if (!has_quirk(experiment, NBH_QUIRK_IMPOSSIBLE_CELL)) /* C-PARITY-040 off */
        return nbh_fail(error, NBH_INVALID, "crystal.cell_angle_rad",
                        "got %.4g, %.4g, %.4g, need angles of which each is less than the sum of "
                        "the other two, and that add up to less than 360 degrees",
                        angle[0], angle[1], angle[2]);
    info->warnings |= NBH_WARN_IMPOSSIBLE_CELL;
    return NBH_OK;
}

/* Model 4.1. */
static void lattice_from_cell(const nbh_crystal *crystal, int triclinic_quirk, nbh_plan_info *info,
                              lattice *out)
{
    unit_cell given;
    cell_given(crystal, &given);
    const double a = given.length[0], b = given.length[1], c = given.length[2];
    const double alpha = given.angle[0], beta = given.angle[1], gamma = given.angle[2];

    const double half = (alpha + beta + gamma) / 2;
    double skew = sin(half) * sin(half - alpha) * sin(half - beta) * sin(half - gamma);
    if (skew < 0.0)
        skew = -skew;
    double volume = 2.0 * a * b * c * sqrt(skew);
    if (volume <= 0.0) {
        info->warnings |= NBH_WARN_CELL_VOLUME;
        volume = DBL_MIN;
    }
    const double inverse_volume = 1.0 / volume;

    const double a_star = make_positive(b * c * sin(alpha) * inverse_volume, info);
    const double b_star = make_positive(c * a * sin(beta) * inverse_volume, info);
    const double c_star = make_positive(a * b * sin(gamma) * inverse_volume, info);

    const double sin_gamma_star = clamp_sine(c * inverse_volume / a_star / b_star);
    const double cos_alpha_star =
        clamp_cosine((cos(beta) * cos(gamma) - cos(alpha)) / (sin(beta) * sin(gamma)));
    const double cos_beta_star =
        clamp_cosine((cos(gamma) * cos(alpha) - cos(beta)) / (sin(gamma) * sin(alpha)));
    const double cos_gamma_star =
        clamp_cosine((cos(alpha) * cos(beta) - cos(gamma)) / (sin(alpha) * sin(beta)));

    out->a_star[0] = a_star;
    out->a_star[1] = 0.0;
    out->a_star[2] = 0.0;
    out->b_star[0] = b_star * cos_gamma_star;
    out->b_star[1] = b_star * sin_gamma_star;
    out->b_star[2] = 0.0;
    out->c_star[0] = c_star * cos_beta_star;
    out->c_star[1] = c_star * (cos_alpha_star - cos_beta_star * cos_gamma_star) / sin_gamma_star;
    if (triclinic_quirk) /* C-PARITY-010: direct lengths with the sine of a reciprocal angle */
        out->c_star[2] = c_star * volume / (a * b * c * sin_gamma_star);
    else
        out->c_star[2] = 1.0 / c;
    out->has_cell = 1;
    out->cell[0] = a;
    out->cell[1] = b;
    out->cell[2] = c;
    out->volume = volume;
}

/* Model 4.2: a matrix replaces the vectors, not the cell's lengths and volume. */
static void lattice_from_matrix(const double matrix[9], double wavelength_m, lattice *out)
{
    const double per_angstrom = 1e-10 / wavelength_m;
    double *stars[3] = {out->a_star, out->b_star, out->c_star};
    for (int i = 0; i < 3; i++) {
        double column[3] = {matrix[i], matrix[3 + i], matrix[6 + i]};
        vec3_scale(column, per_angstrom, stars[i]);
    }
}

static double angle_between(const double x[3], const double y[3])
{
    double c = vec3_dot(x, y) / (vec3_mag(x) * vec3_mag(y));
    return acos(c > 1.0 ? 1.0 : c < -1.0 ? -1.0 : c);
}

/* The cell whose reciprocal vectors are *l's. */
static void cell_of_vectors(const lattice *l, unit_cell *cell)
{
    const double *stars[3] = {l->a_star, l->b_star, l->c_star};
    double direct[3][3];
    for (int i = 0; i < 3; i++)
        vec3_cross(stars[(i + 1) % 3], stars[(i + 2) % 3], direct[i]);
    const double volume = fabs(vec3_dot(stars[0], direct[0]));
    for (int i = 0; i < 3; i++) {
        cell->length[i] = vec3_mag(direct[i]) / volume;
        cell->angle[i] = angle_between(direct[(i + 1) % 3], direct[(i + 2) % 3]);
    }
}

/* A matrix by itself, and the cell that may have been given beside it. */
static nbh_status check_matrix(const nbh_experiment *experiment, const lattice *l, int has_cell,
                               nbh_plan_info *info, nbh_error *error)
{
    double a[3], b[3], c[3], b_cross_c[3];
    vec3_unit(l->a_star, a);
    vec3_unit(l->b_star, b);
    vec3_unit(l->c_star, c);
    vec3_cross(b, c, b_cross_c);
    const double handed = vec3_dot(a, b_cross_c); /* the volume over that of right angles */
    if (!(fabs(handed) > ROUNDING)) {
        if (!has_quirk(experiment, NBH_QUIRK_IMPOSSIBLE_CELL)) /* C-PARITY-040 off */
            return nbh_fail(error, NBH_INVALID, "crystal.orientation_matrix",
                            "got %g, need three axes that do not lie in a plane", handed);
        info->warnings |= NBH_WARN_IMPOSSIBLE_CELL;
        return NBH_OK;
    }
    if (handed < 0.0)
        info->warnings |= NBH_WARN_LEFT_HANDED_MATRIX;

    unit_cell own, beside;
    cell_of_vectors(l, &own);
    if (!has_cell) {
        for (int i = 0; i < 3; i++)
            if (own.length[i] < SHORTEST_CRYSTAL_AXIS_ANGSTROM ||
                own.length[i] > LONGEST_CRYSTAL_AXIS_ANGSTROM)
                info->warnings |= NBH_WARN_MATRIX_SCALE;
        return NBH_OK;
    }
    cell_given(&experiment->crystal, &beside);
    double smallest = DBL_MAX, largest = 0.0, by_length = 0.0, by_angle = 0.0;
    for (int i = 0; i < 3; i++) {
        const double ratio = beside.length[i] / own.length[i];
        smallest = fmin(smallest, ratio);
        largest = fmax(largest, ratio);
        by_length = fmax(by_length, fabs(ratio - 1.0));
        by_angle = fmax(by_angle, fabs(beside.angle[i] - own.angle[i]));
    }
    if (by_length > COMMON_RATIO && largest <= smallest * (1.0 + COMMON_RATIO) &&
        by_angle <= COMMON_ANGLE)
        info->warnings |= NBH_WARN_MATRIX_SCALE;
    if (has_quirk(experiment, NBH_QUIRK_CELL_BESIDE_MATRIX)) {
        if (by_length > SAME_RATIO || by_angle > SAME_ANGLE)
            info->warnings |= NBH_WARN_CELL_BESIDE_MATRIX;
    } else if (by_length > OTHER_RATIO || by_angle > OTHER_ANGLE) { /* C-PARITY-042 off */
        return nbh_fail(
            error, NBH_INVALID,
            by_length > OTHER_RATIO ? "crystal.cell_length_angstrom" : "crystal.cell_angle_rad",
            "got another one, need the cell of crystal.orientation_matrix, %.6g %.6g "
            "%.6g A and %.6g %.6g %.6g degrees, to 1 %% and 1 degree, or no cell",
            own.length[0], own.length[1], own.length[2], own.angle[0] * DEGREES_PER_RADIAN,
            own.angle[1] * DEGREES_PER_RADIAN, own.angle[2] * DEGREES_PER_RADIAN);
    }
    return NBH_OK;
}

/* Model 4.4: consistent direct and reciprocal vectors; *direct in A. */
static void complete_lattice(lattice *l, nbh_plan_info *info)
{
    double a_cross_b[3], b_cross_c[3], c_cross_a[3];
    vec3_cross(l->a_star, l->b_star, a_cross_b);
    vec3_cross(l->b_star, l->c_star, b_cross_c);
    vec3_cross(l->c_star, l->a_star, c_cross_a);
    double inverse_volume = vec3_dot(l->a_star, b_cross_c);
    if (l->has_cell) {
        vec3_rescale(b_cross_c, l->cell[0] / l->volume, b_cross_c);
        vec3_rescale(c_cross_a, l->cell[1] / l->volume, c_cross_a);
        vec3_rescale(a_cross_b, l->cell[2] / l->volume, a_cross_b);
        inverse_volume = 1.0 / l->volume;
    }
    const double volume = 1.0 / inverse_volume;
    double a[3], b[3], c[3];
    vec3_scale(b_cross_c, volume, a);
    vec3_scale(c_cross_a, volume, b);
    vec3_scale(a_cross_b, volume, c);

    vec3_cross(b, c, b_cross_c);
    vec3_cross(c, a, c_cross_a);
    vec3_cross(a, b, a_cross_b);
    vec3_scale(b_cross_c, inverse_volume, l->a_star);
    vec3_scale(c_cross_a, inverse_volume, l->b_star);
    vec3_scale(a_cross_b, inverse_volume, l->c_star);

    vec3_copy(l->a_star, info->a_star_per_angstrom);
    vec3_copy(l->b_star, info->b_star_per_angstrom);
    vec3_copy(l->c_star, info->c_star_per_angstrom);
    vec3_scale(a, 1e-10, info->a0_m);
    vec3_scale(b, 1e-10, info->b0_m);
    vec3_scale(c, 1e-10, info->c0_m);

    info->cell_volume_angstrom3 = volume;
    const double *direct[3] = {a, b, c};
    const double *reciprocal[3] = {l->a_star, l->b_star, l->c_star};
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3, k = (i + 2) % 3;
        info->cell_length_angstrom[i] = vec3_mag(direct[i]);
        info->cell_angle_rad[i] = angle_between(direct[j], direct[k]);
        info->reciprocal_length_per_angstrom[i] = vec3_mag(reciprocal[i]);
        info->reciprocal_angle_rad[i] = angle_between(reciprocal[j], reciprocal[k]);
    }
}

/* The largest crystal that the beam covers (model 2). */
static void size_limits(const nbh_experiment *experiment, const double beam[3], double limit[3])
{
    const double size = experiment->beam.beam_size_m;
    if (has_quirk(experiment, NBH_QUIRK_BEAM_CLIPS_Y_AND_Z)) {
        limit[0] = INFINITY;
        limit[1] = limit[2] = size;
        return;
    }
    for (int i = 0; i < 3; i++) {
        const double u = beam[(i + 1) % 3], v = beam[(i + 2) % 3];
        const double across = sqrt(u * u + v * v); /* of a length along axis i */
        limit[i] = across > 0.0 ? size / across : INFINITY;
    }
}

/* Model 4.5. */
static void resolve_size(const nbh_experiment *experiment, nbh_plan_info *info)
{
    double size[3], largest = 0.0;
    for (int i = 0; i < 3; i++)
        size[i] = given_or(experiment->crystal.size_m[i], 0.0);
    if (experiment->beam.beam_size_m >= 0.0) {
        const uint32_t warning[3] = {NBH_WARN_SIZE_X_CLIPPED, NBH_WARN_SIZE_Y_CLIPPED,
                                     NBH_WARN_SIZE_Z_CLIPPED};
        double limit[3];
        size_limits(experiment, info->beam_direction, limit);
        for (int i = 0; i < 3; i++)
            if (size[i] > limit[i]) {
                size[i] = limit[i];
                info->warnings |= warning[i];
            }
    }
    const double *direct[3] = {info->a0_m, info->b0_m, info->c0_m};
    for (int i = 0; i < 3; i++) {
        const double length_m = vec3_mag(direct[i]);
        double n = experiment->crystal.n_cells[i];
        if (size[i] > 0.0)
            n = ceil(size[i] / length_m);
        if (n <= 1.0)
            n = 1.0;
        info->n_cells[i] = n;
        info->crystal_size_m[i] = size[i];
        if (length_m * n > largest)
            largest = length_m * n;
    }
    const double pixel =
        info->pixel_size_slow_m > info->pixel_size_m ? info->pixel_size_slow_m : info->pixel_size_m;
    double recommended = ceil(3.0 * largest / (info->wavelength_m * info->distance_m / pixel));
    if (!(recommended > 0.0))
        recommended = 1.0;
    info->recommended_oversample = recommended < INT32_MAX ? (int32_t)recommended : INT32_MAX;
}

/* Uniform over all rotations, from three deviates: K. Shoemake, Graphics Gems III (1992). */
static void uniform_rotation(nbh_random *random, int32_t *seed, double matrix[9])
{
    const double u1 = nbh_uniform_deviate(random, seed);
    const double u2 = nbh_uniform_deviate(random, seed);
    const double u3 = nbh_uniform_deviate(random, seed);
    const double x = sqrt(1.0 - u1) * sin(2.0 * PI * u2), y = sqrt(1.0 - u1) * cos(2.0 * PI * u2),
                 z = sqrt(u1) * sin(2.0 * PI * u3), w = sqrt(u1) * cos(2.0 * PI * u3);
    const double rows[9] = {
        1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z),       2.0 * (x * z + w * y),
        2.0 * (x * y + w * z),       1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x),
        2.0 * (x * z - w * y),       2.0 * (y * z + w * x),       1.0 - 2.0 * (x * x + y * y)};
    memcpy(matrix, rows, sizeof rows);
}

nbh_status crystal_resolve(const nbh_experiment *experiment, nbh_random *random,
                           nbh_plan_info *info, nbh_error *error)
{
    const nbh_crystal *crystal = &experiment->crystal;
    const double wavelength = experiment->beam.wavelength_m;
    if (!(wavelength >= SHORTEST_WAVELENGTH_M && wavelength <= LONGEST_WAVELENGTH_M))
        return nbh_fail(error, NBH_INVALID, "beam.wavelength_m",
                        "got %g, need a wavelength from %g to %g m", wavelength,
                        SHORTEST_WAVELENGTH_M, LONGEST_WAVELENGTH_M);
    lattice l;
    memset(&l, 0, sizeof l);
    const int has_cell =
        is_given(crystal->cell_length_angstrom[0]) && crystal->cell_length_angstrom[0] > 0.0;
    const int has_matrix = is_given(crystal->orientation_matrix[0]);
    nbh_status status = has_cell ? check_cell(experiment, info, error) : NBH_OK;
    if (status != NBH_OK)
        return status;
    /* C-PARITY-042 off: the matrix alone */
    if (has_cell && (!has_matrix || has_quirk(experiment, NBH_QUIRK_CELL_BESIDE_MATRIX)))
        lattice_from_cell(crystal, has_quirk(experiment, NBH_QUIRK_TRICLINIC_CELL), info, &l);
    if (has_matrix) {
        lattice_from_matrix(crystal->orientation_matrix, experiment->beam.wavelength_m, &l);
        status = check_matrix(experiment, &l, has_cell, info, error);
        if (status != NBH_OK)
            return status;
    } else if (!l.has_cell)
        return nbh_fail(error, NBH_INVALID, "crystal.cell_length_angstrom",
                        "got neither a cell nor an orientation matrix, need a cell or a matrix");

    vec3_copy(crystal->misset_rad, info->misset_rad);
    if (crystal->misset_random) {
        double matrix[9];
        /* the negative in unsigned arithmetic: -INT32_MIN wraps as a C int does */
        int32_t seed = (int32_t)(0u - (uint32_t)crystal->misset_seed);
        if (has_quirk(experiment, NBH_QUIRK_MISSET_RANDOM_RADIANS))
            nbh_random_rotation(random, &seed, 90.0f, matrix); /* C-PARITY-011: 90 radians */
        else
            uniform_rotation(random, &seed, matrix);
        nbh_rotation_angles(matrix, info->misset_rad);
    }
    double *stars[3] = {l.a_star, l.b_star, l.c_star};
    for (int i = 0; i < 3; i++)
        vec3_rotate_xyz(stars[i], info->misset_rad, stars[i]);

    complete_lattice(&l, info);
    if (!(isfinite(info->cell_volume_angstrom3) && info->cell_volume_angstrom3 != 0.0))
        return nbh_fail(error, NBH_INVALID,
                        l.has_cell ? "crystal.cell_length_angstrom" : "crystal.orientation_matrix",
                        "got a cell of volume %g A^3, need three independent axes",
                        info->cell_volume_angstrom3);
    resolve_size(experiment, info);
    return NBH_OK;
}
