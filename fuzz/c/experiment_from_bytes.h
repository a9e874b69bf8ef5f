/* experiment_from_bytes.h - any nbh_experiment, with what it borrows, from a fuzzer's bytes.
 *
 * Every member is set here (tests/fuzz compares with the header).  Sizes are such that a render
 * takes milliseconds: the plan tells how many steps a pixel has, and is_small says whether that is
 * little. */
#ifndef NBH_FUZZ_EXPERIMENT_FROM_BYTES_H
#define NBH_FUZZ_EXPERIMENT_FROM_BYTES_H

#include "bytes.h"

enum {
    MOST_PIXELS = 144,
    MOST_SOURCES = 4,
    MOST_WAVELENGTHS = 3,
    MOST_ROTATIONS = 3,
    MOST_AMPLITUDES = 216,
    MOST_STEPS = 6000
};

typedef struct scene {
    nbh_experiment experiment;
    nbh_structure_factors table;
    nbh_source sources[MOST_SOURCES];
    nbh_wavelength spectrum[MOST_WAVELENGTHS];
    nbh_rotation rotations[MOST_ROTATIONS];
    double amplitude[MOST_AMPLITUDES];
    uint8_t *mask; /* as long as it says, so that a sanitizer sees who reads behind it */
} scene;

/* A vector: its first component says whether it is given. */
static inline void take_vector(bytes *b, double v[3], double size)
{
    if (take_byte(b) < 150)
        return;
    for (int i = 0; i < 3; i++)
        v[i] = take_number(b, i == 0 ? size : 0.0, -size, size);
}

static inline void take_beam(bytes *b, scene *s)
{
    nbh_beam *beam = &s->experiment.beam;
    beam->wavelength_m = take_number(b, beam->wavelength_m, 1e-12, 1e-8);
    take_vector(b, beam->direction, 1.0);
    take_vector(b, beam->polarization_axis, 1.0);
    beam->polarization_kahn = take_number(b, beam->polarization_kahn, -1.0, 1.0);
    beam->polarization_off = take_below(b, 4) == 1;
    beam->divergence_square = take_below(b, 2);
    beam->dispersion_fraction = take_number(b, beam->dispersion_fraction, 0.0, 0.1);
    beam->dispersion_steps = take_count(b, beam->dispersion_steps, 3);
    beam->divergence_h_steps = take_count(b, beam->divergence_h_steps, 3);
    beam->divergence_v_steps = take_count(b, beam->divergence_v_steps, 3);
    beam->reserved = take_byte(b);
    beam->divergence_h_rad = take_number(b, beam->divergence_h_rad, 0.0, 0.1);
    beam->divergence_v_rad = take_number(b, beam->divergence_v_rad, 0.0, 0.1);
    beam->divergence_h_step_rad = take_number(b, beam->divergence_h_step_rad, 0.0, 0.1);
    beam->divergence_v_step_rad = take_number(b, beam->divergence_v_step_rad, 0.0, 0.1);
    beam->source_count = take_whole(b, take_below(b, MOST_SOURCES + 1), 0, MOST_SOURCES);
    if (beam->source_count > MOST_SOURCES)
        beam->source_count = MOST_SOURCES;
    beam->sources = take_byte(b) > 200 ? s->sources : NULL;
    for (int i = 0; beam->sources != NULL && i < MOST_SOURCES; i++) {
        for (int j = 0; j < 3; j++)
            s->sources[i].position[j] = take_number(b, j == 0 ? -10.0 : 0.0, -1.0, 1.0);
        s->sources[i].weight = take_number(b, 1.0, 0.0, 2.0);
        s->sources[i].wavelength_m = take_number(b, NBH_UNSET, 0.5e-10, 2e-10);
    }
    beam->fluence_photons_per_m2 = take_number(b, beam->fluence_photons_per_m2, 1e20, 1e31);
    beam->flux_photons_per_s = take_number(b, beam->flux_photons_per_s, 0.0, 1e13);
    beam->exposure_s = take_number(b, beam->exposure_s, 0.0, 2.0);
    beam->beam_size_m = take_number(b, beam->beam_size_m, 1e-9, 1e-3);
}

static inline void take_spectrum(bytes *b, scene *s)
{
    nbh_beam *beam = &s->experiment.beam;
    beam->spectrum_count = take_whole(b, take_below(b, MOST_WAVELENGTHS + 1), 0, MOST_WAVELENGTHS);
    if (beam->spectrum_count > MOST_WAVELENGTHS)
        beam->spectrum_count = MOST_WAVELENGTHS;
    beam->spectrum = take_byte(b) > 200 ? s->spectrum : NULL;
    for (int i = 0; beam->spectrum != NULL && i < MOST_WAVELENGTHS; i++) {
        s->spectrum[i].wavelength_m = take_number(b, 1e-10, 0.5e-10, 2e-10);
        s->spectrum[i].weight = take_number(b, 1.0, 0.0, 2.0);
    }
}

/* Turns about z, most of them proper. */
static inline void take_rotations(bytes *b, scene *s)
{
    nbh_crystal *crystal = &s->experiment.crystal;
    crystal->mosaic_rotation_count =
        take_whole(b, take_below(b, MOST_ROTATIONS + 1), 0, MOST_ROTATIONS);
    if (crystal->mosaic_rotation_count > MOST_ROTATIONS)
        crystal->mosaic_rotation_count = MOST_ROTATIONS;
    crystal->mosaic_rotations = take_byte(b) > 200 ? s->rotations : NULL;
    for (int i = 0; crystal->mosaic_rotations != NULL && i < MOST_ROTATIONS; i++) {
        const double angle = take_number(b, 0.01, -0.1, 0.1);
        const double c = cos(angle), sine = sin(angle);
        const double matrix[9] = {c, -sine, 0, sine, c, 0, 0, 0, 1};
        for (int j = 0; j < 9; j++)
            s->rotations[i].matrix[j] = matrix[j];
        if (take_byte(b) > 250)
            s->rotations[i].matrix[take_below(b, 9)] = take_number(b, 0.5, -1.0, 1.0);
        s->rotations[i].weight = take_number(b, 1.0, 0.0, 2.0);
    }
}

static inline void take_crystal(bytes *b, nbh_crystal *crystal)
{
    const double cell[6] = {7e1, 8e1, 9e1, 1.5707963267948966, 1.5707963267948966, 1.9};
    for (int i = 0; i < 3; i++) {
        crystal->cell_length_angstrom[i] = take_number(b, cell[i], 5.0, 200.0);
        crystal->cell_angle_rad[i] = take_number(b, cell[i + 3], 0.8, 2.2);
    }
    if (take_byte(b) > 180)
        for (int i = 0; i < 9; i++)
            crystal->orientation_matrix[i] = take_number(b, i % 4 ? 0.0 : 0.01, -0.1, 0.1);
    for (int i = 0; i < 3; i++)
        crystal->misset_rad[i] = take_number(b, 0.0, -3.2, 3.2);
    crystal->misset_random = take_below(b, 5) == 1;
    crystal->misset_seed = take_whole(b, crystal->misset_seed, -10, 100);
    for (int i = 0; i < 3; i++)
        crystal->n_cells[i] = take_number(b, 5.0, 1.0, 1000.0);
    for (int i = 0; i < 3; i++)
        crystal->size_m[i] = take_number(b, NBH_UNSET, 1e-9, 1e-6);
    crystal->shape = take_whole(b, take_below(b, 6), 0, 6);
    crystal->mosaic_seed = take_whole(b, crystal->mosaic_seed, -10, 100);
    crystal->shape_fudge = take_number(b, crystal->shape_fudge, 0.0, 2.0);
    crystal->mosaic_spread_rad = take_number(b, crystal->mosaic_spread_rad, 0.0, 0.1);
    crystal->mosaic_domains = take_count(b, crystal->mosaic_domains, 4);
    crystal->reserved = take_byte(b);
    crystal->water_size_m = take_number(b, crystal->water_size_m, 0.0, 1e-5);
}

static inline void take_goniometer(bytes *b, nbh_goniometer *goniometer)
{
    take_vector(b, goniometer->spindle_axis, 1.0);
    goniometer->phi_rad = take_number(b, goniometer->phi_rad, -3.0, 3.0);
    goniometer->osc_rad = take_number(b, goniometer->osc_rad, 0.0, 0.2);
    goniometer->phi_step_rad = take_number(b, goniometer->phi_step_rad, 0.0, 0.1);
    goniometer->phi_steps = take_count(b, goniometer->phi_steps, 4);
    goniometer->reserved = take_byte(b);
}

static inline void take_detector(bytes *b, scene *s)
{
    nbh_detector *detector = &s->experiment.detector;
    detector->convention = take_whole(b, detector->convention, 0, 6);
    detector->pivot = take_whole(b, detector->pivot, 0, 2);
    take_vector(b, detector->fast_axis, 1.0);
    take_vector(b, detector->slow_axis, 1.0);
    take_vector(b, detector->normal_axis, 1.0);
    take_vector(b, detector->twotheta_axis, 1.0);
    take_vector(b, detector->pix0_m, 0.1);
    detector->distance_m = take_number(b, detector->distance_m, 0.01, 1.0);
    detector->close_distance_m = take_number(b, detector->close_distance_m, -0.2, 0.2);
    detector->pixel_size_m = take_number(b, 2e-3, 1e-5, 1e-2);
    detector->pixel_size_slow_m = take_number(b, NBH_UNSET, 1e-5, 1e-2);
    detector->n_fast = take_whole(b, 12, 1, 40);
    detector->n_slow = take_whole(b, 6, 1, 12);
    detector->size_fast_m = take_number(b, 2.4e-2, 1e-3, 5e-2);
    detector->size_slow_m = take_number(b, 1.2e-2, 1e-3, 5e-2);
    detector->beam_x_m = take_number(b, detector->beam_x_m, -1e-2, 3e-2);
    detector->beam_y_m = take_number(b, detector->beam_y_m, -1e-2, 3e-2);
    detector->close_x_m = take_number(b, detector->close_x_m, -1e-2, 3e-2);
    detector->close_y_m = take_number(b, detector->close_y_m, -1e-2, 3e-2);
    detector->org_x_px = take_number(b, detector->org_x_px, -5.0, 15.0);
    detector->org_y_px = take_number(b, detector->org_y_px, -5.0, 15.0);
    for (int i = 0; i < 3; i++)
        detector->rotation_rad[i] = take_number(b, 0.0, -3.2, 3.2);
    detector->twotheta_rad = take_number(b, detector->twotheta_rad, -3.2, 3.2);
    detector->curved = take_below(b, 4) == 1;
    detector->point_pixel = take_below(b, 4) == 1;
    detector->sensor_thickness_m = take_number(b, detector->sensor_thickness_m, 0.0, 1e-3);
    detector->sensor_attenuation_per_m =
        take_number(b, detector->sensor_attenuation_per_m, 0.0, 1e4);
    detector->sensor_layers = take_count(b, detector->sensor_layers, 3);
    if (detector->sensor_layers > 4) /* nothing refuses millions of them */
        detector->sensor_layers = 4;
    detector->reserved = take_byte(b);
    if (take_byte(b) > 200) {
        const int64_t counts[4] = {(int64_t)detector->n_fast * detector->n_slow, 0, 7, -1};
        detector->mask_count = counts[take_byte(b) % 4];
        if (detector->mask_count > 4 * MOST_PIXELS)
            detector->mask_count = 4 * MOST_PIXELS;
        s->mask = malloc(detector->mask_count > 0 ? (size_t)detector->mask_count : 1);
        for (int64_t i = 0; i < detector->mask_count; i++)
            s->mask[i] = take_byte(b) % 2 == 0;
        detector->mask = s->mask;
    }
}

static inline void take_sampling(bytes *b, nbh_sampling *sampling)
{
    sampling->oversample = take_count(b, 1, 3);
    sampling->oversample_thick = take_below(b, 2);
    sampling->oversample_polar = take_below(b, 2);
    sampling->oversample_omega = take_below(b, 2);
    sampling->interpolate = take_whole(b, sampling->interpolate, 0, 1);
    sampling->roi_fast_min = take_whole(b, sampling->roi_fast_min, 0, 12);
    sampling->roi_fast_max = take_whole(b, sampling->roi_fast_max, 0, 12);
    sampling->roi_slow_min = take_whole(b, sampling->roi_slow_min, 0, 12);
    sampling->roi_slow_max = take_whole(b, sampling->roi_slow_max, 0, 12);
    sampling->reserved = take_byte(b);
    sampling->dmin_m = take_number(b, sampling->dmin_m, 0.0, 2e-9);
    if (sampling->oversample <= 0)
        sampling->dmin_m =
            0.0; /* chosen sub-pixels can be many: the plan would look at all of them */
}

static inline void take_table(bytes *b, scene *s)
{
    nbh_structure_factors *t = &s->table;
    t->default_f = take_number(b, 100.0, 0.0, 1e3);
    const int32_t n[3] = {1 + take_below(b, 6), 1 + take_below(b, 6), 1 + take_below(b, 6)};
    int32_t *const bounds[3][2] = {
        {&t->h_min, &t->h_max}, {&t->k_min, &t->k_max}, {&t->l_min, &t->l_max}};
    for (int i = 0; i < 3; i++) {
        const int32_t min = take_whole(b, -n[i] / 2, -6, 6);
        const int64_t max = (int64_t)min + n[i] - 1;
        *bounds[i][0] = min;
        *bounds[i][1] = max > INT32_MAX ? INT32_MAX : (int32_t)max;
    }
    t->amplitude = take_byte(b) > 100 ? s->amplitude : NULL;
    for (int i = 0; t->amplitude != NULL && i < n[0] * n[1] * n[2]; i++)
        s->amplitude[i] = take_number(b, 50.0, -300.0, 300.0);
}

/* Where the library chooses them, sub-pixels can be thousands a side: a plan alone takes seconds
 * then, because it looks for what the first pixels leave to the next.  Those are given few. */
static inline void limit_oversampling(scene *s)
{
    nbh_plan *plan = NULL;
    nbh_plan_info info;
    if (s->experiment.sampling.oversample > 0)
        return;
    const int32_t asked = s->experiment.sampling.oversample;
    s->experiment.sampling.oversample = 1;
    if (nbh_plan_create(&s->experiment, &s->table, &plan, NULL) != NBH_OK)
        return;
    nbh_plan_get_info(plan, &info, NULL);
    if (info.recommended_oversample <= 4)
        s->experiment.sampling.oversample = asked;
    nbh_plan_destroy(plan);
}

/* The caller frees it with scene_free. */
static inline scene *scene_from_bytes(bytes *b)
{
    scene *s = calloc(1, sizeof *s);
    nbh_experiment_init(&s->experiment);
    take_sampling(b, &s->experiment.sampling);
    take_crystal(b, &s->experiment.crystal);
    uint64_t off;
    take(b, &off, sizeof off);
    const uint8_t preset = take_byte(b);
    s->experiment.quirks = preset == 255 ? off : NBH_QUIRKS_NANOBRAGG & ~off;
    if (take_byte(b) == 255)
        s->experiment.struct_size = take_byte(b);
    s->experiment.memory_limit_bytes = 1 << 18;
    if (take_byte(b) == 255)
        s->experiment.memory_limit_bytes = take_below(b, 100) ? 100 : -1;
    s->experiment.kernel = NBH_KERNEL_EXACT; /* each harness has its own kernels */
    s->experiment.culling = NBH_CULLING_AUTO;
    s->experiment.tolerance_photons = 0.0; /* bits are compared */
    take_goniometer(b, &s->experiment.goniometer);
    take_detector(b, s);
    take_beam(b, s);
    take_table(b, s);
    take_spectrum(b, s);
    take_rotations(b, s);
    /* with a resolution limit the plan looks for the first pixel that it leaves, which may be none
     */
    const nbh_detector *detector = &s->experiment.detector;
    if ((detector->n_fast > 1000 || detector->n_fast <= 0) ||
        (detector->n_slow > 1000 || detector->n_slow <= 0))
        s->experiment.sampling.dmin_m = 0.0;
    limit_oversampling(s);
    return s;
}

static inline void scene_free(scene *s)
{
    free(s->mask);
    free(s);
}

/* Fails on what must not be said of any experiment: a refusal without words. */
static inline nbh_status make_plan(const scene *s, nbh_plan **plan)
{
    nbh_error error;
    memset(&error, 0, sizeof error);
    *plan = NULL;
    const nbh_status status = nbh_plan_create(&s->experiment, &s->table, plan, &error);
    if ((status == NBH_OK) != (*plan != NULL))
        FINDING("status %s, plan %p", name_of(status), (void *)*plan);
    if (status != NBH_OK && error.message[0] == '\0')
        FINDING("status %s without a message", name_of(status));
    return status;
}

static inline int is_small(const nbh_plan *plan, nbh_plan_info *info)
{
    if (nbh_plan_get_info(plan, info, NULL) != NBH_OK)
        FINDING("a plan without its info");
    const int64_t pixels = (int64_t)info->n_fast * info->n_slow;
    return pixels <= MOST_PIXELS &&
           pixels * info->steps <= MOST_STEPS / (info->sensor_layers > 0 ? info->sensor_layers : 1);
}

#endif
