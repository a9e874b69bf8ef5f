#include "experiment.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "error.h"
#include "given.h"
#include "vec3.h"

/* Defaults of model 2. */
void nbh_experiment_init(nbh_experiment *experiment)
{
    memset(experiment, 0, sizeof *experiment);
    experiment->struct_size = sizeof *experiment;
    experiment->quirks = NBH_QUIRKS_NANOBRAGG;

    nbh_beam *beam = &experiment->beam;
    beam->wavelength_m = 1e-10;
    beam->direction[0] = NBH_UNSET;
    beam->polarization_axis[0] = NBH_UNSET;
    beam->dispersion_fraction = 0.0;
    beam->dispersion_steps = NBH_UNSET_INT;
    beam->divergence_h_steps = NBH_UNSET_INT;
    beam->divergence_v_steps = NBH_UNSET_INT;
    beam->divergence_h_rad = NBH_UNSET;
    beam->divergence_v_rad = NBH_UNSET;
    beam->divergence_h_step_rad = NBH_UNSET;
    beam->divergence_v_step_rad = NBH_UNSET;
    beam->fluence_photons_per_m2 = 125932015286227086360700780544.0;
    beam->exposure_s = 1.0;
    beam->beam_size_m = 1e-4;

    nbh_crystal *crystal = &experiment->crystal;
    crystal->cell_length_angstrom[0] = NBH_UNSET;
    crystal->orientation_matrix[0] = NBH_UNSET;
    crystal->misset_seed = 1;
    crystal->mosaic_seed = 12345678;
    crystal->shape_fudge = 1.0;
    crystal->mosaic_spread_rad = NBH_UNSET;
    crystal->mosaic_domains = NBH_UNSET_INT;
    for (int i = 0; i < 3; i++) {
        crystal->n_cells[i] = 1.0;
        crystal->size_m[i] = NBH_UNSET;
    }

    nbh_goniometer *goniometer = &experiment->goniometer;
    goniometer->spindle_axis[0] = NBH_UNSET;
    goniometer->osc_rad = NBH_UNSET;
    goniometer->phi_step_rad = NBH_UNSET;
    goniometer->phi_steps = NBH_UNSET_INT;

    nbh_detector *detector = &experiment->detector;
    detector->convention = NBH_CONVENTION_MOSFLM;
    detector->pivot = NBH_UNSET_INT;
    detector->fast_axis[0] = NBH_UNSET;
    detector->slow_axis[0] = NBH_UNSET;
    detector->normal_axis[0] = NBH_UNSET;
    detector->twotheta_axis[0] = NBH_UNSET;
    detector->pix0_m[0] = NBH_UNSET;
    detector->distance_m = DEFAULT_DISTANCE_M;
    detector->close_distance_m = NBH_UNSET;
    detector->pixel_size_m = 1e-4;
    detector->pixel_size_slow_m = NBH_UNSET;
    detector->n_fast = NBH_UNSET_INT;
    detector->n_slow = NBH_UNSET_INT;
    detector->size_fast_m = 0.1024;
    detector->size_slow_m = 0.1024;
    detector->beam_x_m = NBH_UNSET;
    detector->beam_y_m = NBH_UNSET;
    detector->close_x_m = NBH_UNSET;
    detector->close_y_m = NBH_UNSET;
    detector->org_x_px = NBH_UNSET;
    detector->org_y_px = NBH_UNSET;
    detector->sensor_attenuation_per_m = NBH_UNSET;
    detector->sensor_layers = NBH_UNSET_INT;

    nbh_sampling *sampling = &experiment->sampling;
    sampling->oversample = NBH_UNSET_INT;
    sampling->interpolate = NBH_UNSET_INT;
    sampling->roi_fast_min = NBH_UNSET_INT;
    sampling->roi_fast_max = NBH_UNSET_INT;
    sampling->roi_slow_min = NBH_UNSET_INT;
    sampling->roi_slow_max = NBH_UNSET_INT;
}

typedef enum rule { FINITE, POSITIVE, NOT_NEGATIVE } rule;

/* One or more adjacent doubles with one rule; NBH_UNSET passes where `optional`. */
typedef struct field_rule {
    const char *name;
    size_t offset;
    int count;
    rule rule;
    int optional;
} field_rule;

#define FIELD(path, count, rule, optional)                                                         \
    {#path, offsetof(nbh_experiment, path), count, rule, optional}

static const field_rule FIELD_RULES[] = {
    FIELD(tolerance_photons, 1, NOT_NEGATIVE, 0),
    FIELD(beam.wavelength_m, 1, POSITIVE, 0),
    FIELD(beam.direction, 3, FINITE, 1),
    FIELD(beam.polarization_axis, 3, FINITE, 1),
    FIELD(beam.polarization_kahn, 1, FINITE, 0),
    FIELD(beam.dispersion_fraction, 1, FINITE, 1),
    FIELD(beam.divergence_h_rad, 1, FINITE, 1),
    FIELD(beam.divergence_v_rad, 1, FINITE, 1),
    FIELD(beam.divergence_h_step_rad, 1, FINITE, 1),
    FIELD(beam.divergence_v_step_rad, 1, FINITE, 1),
    FIELD(beam.fluence_photons_per_m2, 1, FINITE, 0),
    FIELD(beam.flux_photons_per_s, 1, FINITE, 0),
    FIELD(beam.exposure_s, 1, FINITE, 0),
    FIELD(beam.beam_size_m, 1, FINITE, 0),
    FIELD(crystal.cell_length_angstrom, 3, FINITE, 1),
    FIELD(crystal.cell_angle_rad, 3, FINITE, 0),
    FIELD(crystal.orientation_matrix, 9, FINITE, 1),
    FIELD(crystal.misset_rad, 3, FINITE, 0),
    FIELD(crystal.n_cells, 3, FINITE, 0),
    FIELD(crystal.size_m, 3, FINITE, 1),
    FIELD(crystal.shape_fudge, 1, FINITE, 0),
    FIELD(crystal.mosaic_spread_rad, 1, FINITE, 1),
    FIELD(crystal.water_size_m, 1, FINITE, 0),
    FIELD(goniometer.spindle_axis, 3, FINITE, 1),
    FIELD(goniometer.phi_rad, 1, FINITE, 0),
    FIELD(goniometer.osc_rad, 1, FINITE, 1),
    FIELD(goniometer.phi_step_rad, 1, FINITE, 1),
    FIELD(detector.fast_axis, 3, FINITE, 1),
    FIELD(detector.slow_axis, 3, FINITE, 1),
    FIELD(detector.normal_axis, 3, FINITE, 1),
    FIELD(detector.twotheta_axis, 3, FINITE, 1),
    FIELD(detector.pix0_m, 3, FINITE, 1),
    FIELD(detector.distance_m, 1, POSITIVE, 0),
    FIELD(detector.close_distance_m, 1, FINITE, 1),
    FIELD(detector.pixel_size_m, 1, POSITIVE, 0),
    FIELD(detector.pixel_size_slow_m, 1, POSITIVE, 1),
    FIELD(detector.size_fast_m, 1, POSITIVE, 0),
    FIELD(detector.size_slow_m, 1, POSITIVE, 0),
    FIELD(detector.beam_x_m, 1, FINITE, 1),
    FIELD(detector.beam_y_m, 1, FINITE, 1),
    FIELD(detector.close_x_m, 1, FINITE, 1),
    FIELD(detector.close_y_m, 1, FINITE, 1),
    FIELD(detector.org_x_px, 1, FINITE, 1),
    FIELD(detector.org_y_px, 1, FINITE, 1),
    FIELD(detector.rotation_rad, 3, FINITE, 0),
    FIELD(detector.twotheta_rad, 1, FINITE, 0),
    FIELD(detector.sensor_thickness_m, 1, FINITE, 1),
    FIELD(detector.sensor_attenuation_per_m, 1, FINITE, 1),
    FIELD(sampling.dmin_m, 1, NOT_NEGATIVE, 0),
};

static nbh_status check_double(const field_rule *field, double value, nbh_error *error)
{
    if (!isfinite(value))
        return nbh_fail(error, NBH_INVALID, field->name, "got %g, need a finite value", value);
    switch (field->rule) {
    case FINITE:
        return NBH_OK;
    case POSITIVE:
        if (value > 0.0)
            return NBH_OK;
        return nbh_fail(error, NBH_INVALID, field->name, "got %g, need a finite value > 0", value);
    case NOT_NEGATIVE:
        if (value >= 0.0)
            return NBH_OK;
        return nbh_fail(error, NBH_INVALID, field->name, "got %g, need a finite value >= 0", value);
    }
    return NBH_INVALID;
}

static int is_convention(int32_t value)
{
    switch ((nbh_convention)value) {
    case NBH_CONVENTION_CUSTOM:
    case NBH_CONVENTION_ADXV:
    case NBH_CONVENTION_MOSFLM:
    case NBH_CONVENTION_DENZO:
    case NBH_CONVENTION_XDS:
    case NBH_CONVENTION_DIALS:
        return 1;
    }
    return 0;
}

static int is_pivot(int32_t value)
{
    switch ((nbh_pivot)value) {
    case NBH_PIVOT_SAMPLE:
    case NBH_PIVOT_BEAM:
        return 1;
    }
    return 0;
}

static int is_culling(int32_t value)
{
    switch ((nbh_culling)value) {
    case NBH_CULLING_AUTO:
    case NBH_CULLING_OFF:
        return 1;
    }
    return 0;
}

static int is_shape(int32_t value)
{
    switch ((nbh_shape)value) {
    case NBH_SHAPE_SQUARE:
    case NBH_SHAPE_ROUND:
    case NBH_SHAPE_GAUSS:
    case NBH_SHAPE_TOPHAT:
    case NBH_SHAPE_GAUSS_HKL:
    case NBH_SHAPE_TOPHAT_HKL:
        return 1;
    }
    return 0;
}

/* Enumerators are numbered from 0 without a gap. */
static nbh_status check_enumerator(const char *field, int32_t value, int (*is_known)(int32_t),
                                   nbh_error *error)
{
    if (is_known(value))
        return NBH_OK;
    int32_t last = 0;
    while (is_known(last + 1))
        last++;
    return nbh_fail(error, NBH_INVALID, field, "got %d, need 0 to %d", value, last);
}

static nbh_status check_count(const char *field, int32_t value, nbh_error *error)
{
    if (is_given_int(value) && value < 1)
        return nbh_fail(error, NBH_INVALID, field, "got %d, need at least 1", value);
    return NBH_OK;
}

/* The columns of the matrix are a*, b*, c*.  Rounding makes the volume of three vectors in a plane
 * some 1e-15 of the product of their lengths. */
static nbh_status check_matrix(const double matrix[9], nbh_error *error)
{
    if (!is_given(matrix[0]))
        return NBH_OK;
    double axes[3][3], normal[3];
    for (int i = 0; i < 3; i++) {
        const double column[3] = {matrix[i], matrix[3 + i], matrix[6 + i]};
        /* by the largest element first, whose square may overflow or vanish */
        double largest = 0.0;
        for (int j = 0; j < 3; j++)
            largest = fabs(column[j]) > largest ? fabs(column[j]) : largest;
        for (int j = 0; j < 3; j++)
            axes[i][j] = largest > 0.0 ? column[j] / largest : 0.0;
        vec3_unit(axes[i], axes[i]);
    }
    vec3_cross(axes[1], axes[2], normal);
    if (!(fabs(vec3_dot(axes[0], normal)) > 1e-14))
        return nbh_fail(error, NBH_INVALID, "crystal.orientation_matrix",
                        "got a singular matrix, need three columns that do not lie in a plane");
    return NBH_OK;
}

static nbh_status check_sources(const nbh_beam *beam, nbh_error *error)
{
    if (beam->sources == NULL)
        return NBH_OK;
    if (beam->source_count < 1 || beam->source_count > INT32_MAX)
        return nbh_fail(error, NBH_INVALID, "beam.source_count", "got %lld, need 1 to %d",
                        (long long)beam->source_count, INT32_MAX);
    for (int64_t i = 0; i < beam->source_count; i++) {
        const nbh_source *s = &beam->sources[i];
        if (!(isfinite(s->position[0]) && isfinite(s->position[1]) && isfinite(s->position[2]) &&
              isfinite(s->weight) && isfinite(s->wavelength_m)))
            return nbh_fail(error, NBH_INVALID, "beam.sources",
                            "source %lld has a value that is not finite", (long long)i);
    }
    return NBH_OK;
}

/* beam.sources is checked. */
static nbh_status check_spectrum(const nbh_beam *beam, nbh_error *error)
{
    if (beam->spectrum == NULL)
        return NBH_OK;
    if (beam->spectrum_count < 1 || beam->spectrum_count > INT32_MAX)
        return nbh_fail(error, NBH_INVALID, "beam.spectrum_count", "got %lld, need 1 to %d",
                        (long long)beam->spectrum_count, INT32_MAX);
    double sum = 0.0;
    for (int64_t i = 0; i < beam->spectrum_count; i++) {
        const nbh_wavelength *w = &beam->spectrum[i];
        if (!(isfinite(w->wavelength_m) && w->wavelength_m > 0.0))
            return nbh_fail(error, NBH_INVALID, "beam.spectrum",
                            "got wavelength %lld of %g m, need finite values > 0", (long long)i,
                            w->wavelength_m);
        if (!(isfinite(w->weight) && w->weight >= 0.0))
            return nbh_fail(error, NBH_INVALID, "beam.spectrum",
                            "got weight %lld of %g, need finite values >= 0", (long long)i,
                            w->weight);
        sum += w->weight;
    }
    if (!(sum > 0.0 && isfinite(sum)))
        return nbh_fail(error, NBH_INVALID, "beam.spectrum",
                        "got weights whose sum is %g, need a finite sum > 0", sum);
    if (beam->dispersion_fraction > 0.0 || beam->dispersion_steps > 0)
        return nbh_fail(error, NBH_INVALID, "beam.spectrum",
                        "got one beside beam.dispersion_%s, need one of the two",
                        beam->dispersion_steps > 0 ? "steps" : "fraction");
    for (int64_t i = 0; beam->sources != NULL && i < beam->source_count; i++)
        if (is_given(beam->sources[i].wavelength_m))
            return nbh_fail(error, NBH_INVALID, "beam.spectrum",
                            "got one beside the wavelength of beam.sources[%lld], need one of the "
                            "two",
                            (long long)i);
    return NBH_OK;
}

/* How far from a proper rotation a matrix may be. */
#define ROTATION_ERROR 1e-6

static int is_rotation(const double matrix[9])
{
    double cross[3];
    for (int i = 0; i < 3; i++)
        for (int j = i; j < 3; j++)
            if (!(fabs(vec3_dot(matrix + 3 * (ptrdiff_t)i, matrix + 3 * (ptrdiff_t)j) - (i == j)) <=
                  ROTATION_ERROR))
                return 0;
    vec3_cross(matrix, matrix + 3, cross);
    return vec3_dot(cross, matrix + 6) > 0.0;
}

static nbh_status check_rotations(const nbh_crystal *crystal, nbh_error *error)
{
    if (crystal->mosaic_rotations == NULL)
        return NBH_OK;
    if (crystal->mosaic_rotation_count < 1 || crystal->mosaic_rotation_count > INT32_MAX)
        return nbh_fail(error, NBH_INVALID, "crystal.mosaic_rotation_count",
                        "got %lld, need 1 to %d", (long long)crystal->mosaic_rotation_count,
                        INT32_MAX);
    double sum = 0.0;
    for (int64_t i = 0; i < crystal->mosaic_rotation_count; i++) {
        const nbh_rotation *r = &crystal->mosaic_rotations[i];
        if (!is_rotation(r->matrix))
            return nbh_fail(error, NBH_INVALID, "crystal.mosaic_rotations",
                            "got matrix %lld, need proper rotations to %g", (long long)i,
                            ROTATION_ERROR);
        if (!(isfinite(r->weight) && r->weight >= 0.0))
            return nbh_fail(error, NBH_INVALID, "crystal.mosaic_rotations",
                            "got weight %lld of %g, need finite values >= 0", (long long)i,
                            r->weight);
        sum += r->weight;
    }
    if (!(sum > 0.0 && isfinite(sum)))
        return nbh_fail(error, NBH_INVALID, "crystal.mosaic_rotations",
                        "got weights whose sum is %g, need a finite sum > 0", sum);
    if (crystal->mosaic_spread_rad >= 0.0 || crystal->mosaic_domains > 0)
        return nbh_fail(error, NBH_INVALID, "crystal.mosaic_rotations",
                        "got some beside crystal.mosaic_%s, need one of the two",
                        crystal->mosaic_domains > 0 ? "domains" : "spread_rad");
    return NBH_OK;
}

static nbh_status check_quirks(nbh_quirks quirks, nbh_error *error)
{
    if (quirks & ~NBH_QUIRKS_NANOBRAGG)
        return nbh_fail(error, NBH_INVALID, "quirks", "got 0x%llx, need NBH_QUIRK_ bits",
                        (unsigned long long)quirks);
    return NBH_OK;
}

static nbh_status check_memory_limit(int64_t bytes, nbh_error *error)
{
    if (bytes < 0)
        return nbh_fail(error, NBH_INVALID, "memory_limit_bytes",
                        "got %lld, need 0 (no limit) or more", (long long)bytes);
    return NBH_OK;
}

static nbh_status check_table(const nbh_structure_factors *table, nbh_error *error)
{
    if (!isfinite(table->default_f))
        return nbh_fail(error, NBH_INVALID, "structure_factors.default_f",
                        "got %g, need a finite value", table->default_f);
    if (table->amplitude == NULL)
        return NBH_OK;
    const int32_t bounds[6] = {table->h_min, table->h_max, table->k_min,
                               table->k_max, table->l_min, table->l_max};
    for (int i = 0; i < 6; i += 2)
        if (bounds[i] > bounds[i + 1])
            return nbh_fail(error, NBH_INVALID, "structure_factors.h_min",
                            "got bounds %d to %d, need min <= max", bounds[i], bounds[i + 1]);
    return NBH_OK;
}

nbh_status experiment_validate(const nbh_experiment *experiment, const nbh_structure_factors *table,
                               nbh_error *error)
{
    if (experiment->struct_size != sizeof *experiment)
        return nbh_fail(error, NBH_STRUCT_SIZE, "struct_size",
                        "got %zu, this library's nbh_experiment has %zu bytes",
                        experiment->struct_size, sizeof *experiment);
    nbh_status status = check_quirks(experiment->quirks, error);
    if (status == NBH_OK)
        status = check_memory_limit(experiment->memory_limit_bytes, error);
    for (size_t i = 0; status == NBH_OK && i < sizeof FIELD_RULES / sizeof FIELD_RULES[0]; i++) {
        const field_rule *field = &FIELD_RULES[i];
        const double *values = (const double *)((const char *)experiment + field->offset);
        if (field->optional && !is_given(values[0]))
            continue;
        for (int j = 0; status == NBH_OK && j < field->count; j++)
            if (!(field->optional && !is_given(values[j])))
                status = check_double(field, values[j], error);
    }

    if (status == NBH_OK)
        status = check_enumerator("culling", experiment->culling, is_culling, error);
    const nbh_detector *d = &experiment->detector;
    if (status == NBH_OK)
        status = check_enumerator("detector.convention", d->convention, is_convention, error);
    if (status == NBH_OK && is_given_int(d->pivot))
        status = check_enumerator("detector.pivot", d->pivot, is_pivot, error);
    if (status == NBH_OK)
        status = check_enumerator("crystal.shape", experiment->crystal.shape, is_shape, error);
    if (status == NBH_OK && !(experiment->quirks & NBH_QUIRK_WATER_BACKGROUND) &&
        experiment->crystal.water_size_m < 0.0)
        status = nbh_fail(error, NBH_INVALID, "crystal.water_size_m",
                          "got %g, need a size >= 0 with the quirk water_background off",
                          experiment->crystal.water_size_m);
    if (status == NBH_OK)
        status = check_count("detector.n_fast", d->n_fast, error);
    if (status == NBH_OK)
        status = check_count("detector.n_slow", d->n_slow, error);
    if (status == NBH_OK)
        status = check_matrix(experiment->crystal.orientation_matrix, error);
    if (status == NBH_OK)
        status = check_sources(&experiment->beam, error);
    if (status == NBH_OK)
        status = check_spectrum(&experiment->beam, error);
    if (status == NBH_OK)
        status = check_rotations(&experiment->crystal, error);
    if (status == NBH_OK)
        status = check_table(table, error);
    return status;
}
