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

/* Model 4.1. */
static void lattice_from_cell(const nbh_crystal *crystal, int triclinic_quirk, nbh_plan_info *info,
                              lattice *out)
{
    const double a = crystal->cell_length_angstrom[0];
    double b = crystal->cell_length_angstrom[1], c = crystal->cell_length_angstrom[2];
    double angle[3];
    if (b <= 0.0)
        b = a;
    if (c <= 0.0)
        c = a;
    for (int i = 0; i < 3; i++)
        angle[i] = crystal->cell_angle_rad[i] <= 0.0 ? PI / 2.0 : crystal->cell_angle_rad[i];
    const double alpha = angle[0], beta = angle[1], gamma = angle[2];

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
    double recommended =
        ceil(3.0 * largest / (info->wavelength_m * info->distance_m / info->pixel_size_m));
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
    lattice l;
    memset(&l, 0, sizeof l);
    if (is_given(crystal->cell_length_angstrom[0]) && crystal->cell_length_angstrom[0] > 0.0)
        lattice_from_cell(crystal, has_quirk(experiment, NBH_QUIRK_TRICLINIC_CELL), info, &l);
    if (is_given(crystal->orientation_matrix[0]))
        lattice_from_matrix(crystal->orientation_matrix, experiment->beam.wavelength_m, &l);
    else if (!l.has_cell)
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
