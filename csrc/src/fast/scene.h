/* scene.h - values of pixels and their derivatives (model 6.8), for the instruction set of the file
 * that includes this one.
 *
 * A pixel's value is strength / steps * (background + sum over rays of weight * lattice sum), times
 * the factors of the pixel.  Derivatives go back the same way: to the lattice, to the beam of each
 * ray, to the factors, and from beams and factors to the numbers of the scene. */
#ifndef NBH_FAST_SCENE_H
#define NBH_FAST_SCENE_H

#include "fast/scene_geometry.h"
#include "fast/sums.h"

/* Factors of the pixels as a whole, 1 for those that rays have. */
typedef struct pixel_factors_tile {
    sample_beams first, lowest; /* first samples of the pixel, and of its last layer */
    layer_capture captured;     /* of `lowest` */
    tile_numbers solid_angle, polarization, capture;
    tile_numbers all; /* their product */
} pixel_factors_tile;

/* The same for the rays of one sample; polarization changes with the source. */
typedef struct ray_factors_tile {
    layer_capture captured;
    tile_numbers solid_angle, polarization, capture;
    tile_numbers weight; /* their product with the source's weight, 0 for cut rays */
} ray_factors_tile;

static void fill(tile_numbers x, double value)
{
    EACH_PIXEL
        x[j] = value;
}

static int64_t samples_of(const nbh_scene *s)
{
    return (int64_t)s->layers * s->oversample * s->oversample;
}

static const double *source_of(const nbh_scene *s, int64_t n)
{
    return s->sources + NBH_SOURCE_NUMBERS * n;
}

static void set_pixel_factors(const prepared_scene *p, const scene_tile *tile,
                              pixel_factors_tile *out)
{
    const nbh_scene *s = p->scene;
    set_beams(s, tile, 0, &out->first);
    fill(out->solid_angle, 1.0);
    fill(out->polarization, 1.0);
    fill(out->capture, 1.0);
    if (acts_on_pixel(s->solid_angle))
        set_solid_angle(s, &out->first, out->solid_angle);
    if (acts_on_pixel(s->polarization))
        set_polarization(s, source_of(s, 0), p->frames, &out->first, out->polarization);
    if (acts_on_pixel(s->capture)) {
        set_beams(s, tile, samples_of(s) - (int64_t)s->oversample * s->oversample, &out->lowest);
        set_capture(s, &out->lowest, &out->captured);
        EACH_PIXEL
            out->capture[j] = out->captured.above[j] - out->captured.below[j];
    }
    EACH_PIXEL
        out->all[j] = out->capture[j] * out->polarization[j] * out->solid_angle[j];
}

static void set_sample_factors(const nbh_scene *s, const sample_beams *b, ray_factors_tile *out)
{
    fill(out->solid_angle, 1.0);
    fill(out->polarization, 1.0);
    fill(out->capture, 1.0);
    if (acts_on_rays(s->solid_angle))
        set_solid_angle(s, b, out->solid_angle);
    if (acts_on_rays(s->capture)) {
        set_capture(s, b, &out->captured);
        EACH_PIXEL
            out->capture[j] = out->captured.above[j] - out->captured.below[j];
    }
}

static void set_ray_weight(const prepared_scene *p, int64_t source, const sample_beams *b,
                           const tile_numbers is_left, ray_factors_tile *out)
{
    const double *own = source_of(p->scene, source);
    if (acts_on_rays(p->scene->polarization))
        set_polarization(p->scene, own, p->frames + source, b, out->polarization);
    const double weight = own[NBH_SOURCE_WEIGHT];
    EACH_PIXEL
        out->weight[j] =
            is_left[j] * weight * out->capture[j] * out->polarization[j] * out->solid_angle[j];
}

static const double *const *rows_of(tile_numbers q[3], const double *rows[3])
{
    for (int i = 0; i < 3; i++)
        rows[i] = q[i];
    return rows;
}

/* Those of a sample: the first is there already. */
static const sample_beams *beams_of(const prepared_scene *p, const scene_tile *tile,
                                    const pixel_factors_tile *pixel, int64_t sample,
                                    sample_beams *memory)
{
    if (sample == 0)
        return &pixel->first;
    set_beams(p->scene, tile, sample, memory);
    return memory;
}

static void scene_values(const prepared_scene *p, const scene_tile *tile, const scene_work *work)
{
    const nbh_scene *s = p->scene;
    double *values = work->values;
    const int64_t samples = samples_of(s);
    pixel_factors_tile pixel;
    ray_factors_tile ray;
    sample_beams beams;
    tile_numbers q[3], is_left, sum;
    const double *rows[3];
    set_pixel_factors(p, tile, &pixel);
    for (int32_t n = 0; n < s->crystal_count; n++)
        fill(values + (ptrdiff_t)n * SCENE_TILE, 0.0);
    for (int64_t sample = 0; sample < samples; sample++) {
        const sample_beams *own = beams_of(p, tile, &pixel, sample, &beams);
        set_sample_factors(s, own, &ray);
        for (int64_t source = 0; source < s->source_count; source++) {
            if (is_cancelled(work))
                return;
            set_scattering(s, source_of(s, source), own, q, is_left);
            set_ray_weight(p, source, own, is_left, &ray);
            for (int32_t n = 0; n < s->crystal_count; n++) {
                double *total = values + (ptrdiff_t)n * SCENE_TILE;
                sum_tile(p->lattices + n, rows_of(q, rows), sum, NULL);
                const double f_sqr = p->common_f[n] * p->common_f[n];
                EACH_PIXEL
                    total[j] += f_sqr * sum[j] * ray.weight[j];
            }
        }
    }
    for (int32_t n = 0; n < s->crystal_count; n++) {
        double *total = values + (ptrdiff_t)n * SCENE_TILE;
        const double background = s->background[n], scale = s->strength[n] / s->steps;
        EACH_PIXEL
            total[j] = scale * (background + total[j]) * pixel.all[j];
    }
}

/* What derivatives are collected in while a tile is worked on. */
typedef struct scene_backward {
    const prepared_scene *p;
    const scene_tile *tile;
    const scene_work *work;
    local_numbers local;
    beams_gradient by_first; /* by the beams of the first sample */
    tile_numbers unscaled; /* sum over crystals of weight * strength / steps * (background + sum) */
    struct scene_local *crystal; /* with a Jacobian */
} scene_backward;

/* Each pixel's derivatives by the numbers of the crystal. */
typedef struct scene_local {
    sums_local ray; /* of one ray, unweighted */
    tile_numbers by_reference[9], by_n_cells[3], by_fudge, by_star[9], by_default_f, by_amplitude;
} scene_local;

static double sum_over_tile(const tile_numbers x)
{
    lanes part;
    memcpy(part, x, sizeof part);
    for (int first = LANES; first < SCENE_TILE; first += LANES)
        EACH_LANE
            part[j] += x[first + j];
    return total_of(part);
}

/* Adds x times the change that each direction has at `place` of `stride` numbers. */
static void add_along(const scene_backward *w, const double *changes, int64_t stride, int64_t place,
                      const tile_numbers x)
{
    if (changes == NULL)
        return;
    for (int32_t d = 0; d < w->work->along->directions->count; d++) {
        const double change = changes[d * stride + place];
        double *out = w->work->jacobian + (ptrdiff_t)d * SCENE_TILE;
        if (change != 0.0)
            EACH_PIXEL
                out[j] += change * x[j];
    }
}

/* Derivatives by `count` numbers of a source: those of the source itself, or of its frame. */
static void add_source_numbers(const scene_backward *w, int64_t source, int is_frame, int first,
                               int count, tile_numbers *x)
{
    const int stride = is_frame ? FRAME_NUMBERS : NBH_SOURCE_NUMBERS;
    if (w->work->gradient != NULL) {
        double *out = is_frame ? w->work->gradient->frames : w->work->gradient->sources;
        for (int i = 0; i < count; i++)
            out[stride * source + first + i] += sum_over_tile(x[i]);
        return;
    }
    const prepared_directions *along = w->work->along;
    const double *changes = is_frame ? along->frames : along->directions->sources;
    const int64_t sources = w->p->scene->source_count;
    for (int32_t d = 0; changes != NULL && d < along->directions->count; d++) {
        if (!along->has_source[d * sources + source])
            continue;
        const double *change = changes + stride * (d * sources + source) + first;
        double *out = w->work->jacobian + (ptrdiff_t)d * SCENE_TILE;
        for (int i = 0; i < count; i++)
            EACH_PIXEL
                out[j] += change[i] * x[i][j];
    }
}

static void add_polarization(scene_backward *w, int64_t source, const sample_beams *b,
                             const tile_numbers by_factor, beams_gradient *by)
{
    tile_numbers by_incident[3], by_frame[FRAME_NUMBERS];
    add_polarization_gradient(w->p->scene, source_of(w->p->scene, source), w->p->frames + source, b,
                              by_factor, by, w->local, by_incident, by_frame);
    add_source_numbers(w, source, 0, NBH_SOURCE_INCIDENT, 3, by_incident);
    add_source_numbers(w, source, 1, 0, FRAME_NUMBERS, by_frame);
}

/* Derivatives by the factors of the pixel, and with those of its first rays by its first beams. */
static void add_pixel_factors(scene_backward *w, const pixel_factors_tile *pixel)
{
    const nbh_scene *s = w->p->scene;
    beams_gradient by;
    tile_numbers by_factor;
    if (acts_on_pixel(s->solid_angle)) {
        EACH_PIXEL
            by_factor[j] = w->unscaled[j] * pixel->capture[j] * pixel->polarization[j];
        add_solid_angle_gradient(s, &pixel->first, by_factor, &w->by_first, w->local);
    }
    if (acts_on_pixel(s->polarization)) {
        EACH_PIXEL
            by_factor[j] = w->unscaled[j] * pixel->capture[j] * pixel->solid_angle[j];
        add_polarization(w, 0, &pixel->first, by_factor, &w->by_first);
    }
    add_beams_gradient(s, w->tile, &pixel->first, &w->by_first, w->local);
    if (!acts_on_pixel(s->capture))
        return;
    memset(&by, 0, sizeof by);
    EACH_PIXEL
        by_factor[j] = w->unscaled[j] * pixel->polarization[j] * pixel->solid_angle[j];
    add_capture_gradient(s, &pixel->lowest, &pixel->captured, by_factor, &by, w->local);
    add_beams_gradient(s, w->tile, &pixel->lowest, &by, w->local);
}

/* Derivatives by the factors of a ray; by_weight: by its weight. */
static void add_ray_factors(scene_backward *w, int64_t source, const sample_beams *b,
                            const ray_factors_tile *ray, const tile_numbers is_left,
                            const tile_numbers by_weight, beams_gradient *by)
{
    const nbh_scene *s = w->p->scene;
    const double weight = source_of(s, source)[NBH_SOURCE_WEIGHT];
    tile_numbers by_factor;
    EACH_PIXEL
        by_factor[j] = by_weight[j] * is_left[j] * ray->capture[j] * ray->polarization[j] *
                       ray->solid_angle[j];
    add_source_numbers(w, source, 0, NBH_SOURCE_WEIGHT, 1, &by_factor);
    if (acts_on_rays(s->solid_angle)) {
        EACH_PIXEL
            by_factor[j] =
                by_weight[j] * is_left[j] * weight * ray->capture[j] * ray->polarization[j];
        add_solid_angle_gradient(s, b, by_factor, by, w->local);
    }
    if (acts_on_rays(s->capture)) {
        EACH_PIXEL
            by_factor[j] =
                by_weight[j] * is_left[j] * weight * ray->polarization[j] * ray->solid_angle[j];
        add_capture_gradient(s, b, &ray->captured, by_factor, by, w->local);
    }
    if (acts_on_rays(s->polarization)) {
        EACH_PIXEL
            by_factor[j] =
                by_weight[j] * is_left[j] * weight * ray->capture[j] * ray->solid_angle[j];
        add_polarization(w, source, b, by_factor, by);
    }
}

/* From the scattering vectors to beams and source. */
static void add_scattering(const scene_backward *w, int64_t source, tile_numbers q[3],
                           tile_numbers by_q[3], beams_gradient *by)
{
    const double per_wavelength = 1.0 / source_of(w->p->scene, source)[NBH_SOURCE_WAVELENGTH];
    tile_numbers by_source[4];
    for (int i = 0; i < 3; i++)
        EACH_PIXEL {
            const double change = by_q[i][j] * per_wavelength;
            by->d[i][j] += change;
            by_source[i][j] = -change;
        }
    EACH_PIXEL
        by_source[3][j] =
            -per_wavelength * (by_q[0][j] * q[0][j] + by_q[1][j] * q[1][j] + by_q[2][j] * q[2][j]);
    add_source_numbers(w, source, 0, NBH_SOURCE_INCIDENT, 4, by_source);
}

/* One ray of each pixel and one crystal: adds to by_q, and sets `sum`, the lattice sums.
 * scale: what a sum is multiplied with in the weighted value. */
static void add_crystal_gradient(const scene_backward *w, int32_t n, tile_numbers q[3],
                                 const tile_numbers scale, tile_numbers by_q[3], tile_numbers sum)
{
    const prepared_scene *p = w->p;
    scene_tile_gradient *out = w->work->gradient;
    const double f = p->common_f[n];
    const int has_table = p->lattices[n].table.amplitude != NULL;
    sums_gradient found;
    memset(&found, 0, sizeof found);
    found.cells = out->cells[n];
    found.amplitude = out->amplitude == NULL ? NULL : out->amplitude[n];
    tile_numbers weight;
    const double *rows[3];
    EACH_PIXEL
        weight[j] = 2.0 * f * f * scale[j]; /* the kernel gives half of the derivatives */
    const sums_derivatives wanted = {NULL, NULL, weight, &found, NULL};
    sum_tile(p->lattices + n, rows_of(q, rows), sum, &wanted);
    for (int i = 0; i < 3; i++)
        EACH_PIXEL
            by_q[i][j] += found.q[i][j];
    double *numbers = out->crystals + (ptrdiff_t)n * NBH_CRYSTAL_NUMBERS;
    for (int i = 0; i < 3; i++)
        numbers[NBH_CRYSTAL_N_CELLS + i] += found.n_cells[i];
    numbers[NBH_CRYSTAL_FUDGE] += found.fudge;
    for (int i = 0; i < 9; i++)
        numbers[NBH_CRYSTAL_STAR + i] += found.star[i / 3][i % 3];
    double by_default_f = found.default_f;
    if (!has_table) {
        tile_numbers product;
        EACH_PIXEL
            product[j] = 2.0 * f * scale[j] * sum[j];
        by_default_f = sum_over_tile(product);
    }
    numbers[NBH_CRYSTAL_DEFAULT_F] += by_default_f;
}

static void add_product(tile_numbers out, const tile_numbers scale, const tile_numbers x)
{
    EACH_PIXEL
        out[j] += scale[j] * x[j];
}

/* The same for each pixel by itself. */
static void add_crystal_local(scene_backward *w, tile_numbers q[3], const tile_numbers scale,
                              tile_numbers by_q[3], tile_numbers sum)
{
    const prepared_scene *p = w->p;
    const nbh_scene_directions *along = w->work->along->directions;
    const double f = p->common_f[0];
    scene_local *out = w->crystal;
    sums_local *found = &out->ray;
    found->rotations = along->rotations;
    found->turning = along->turning_m;
    found->turning_count = along->turning_count;
    found->amplitude = along->amplitude;
    found->by_turning = w->work->by_turning;
    tile_numbers weight;
    const double *rows[3];
    const sums_derivatives wanted = {NULL, NULL, NULL, NULL, found};
    sum_tile(p->lattices, rows_of(q, rows), sum, &wanted);
    EACH_PIXEL
        weight[j] = 2.0 * f * f * scale[j];
    for (int i = 0; i < 3; i++) {
        add_product(by_q[i], weight, found->q[i]);
        add_product(out->by_n_cells[i], weight, found->n_cells[i]);
    }
    for (int i = 0; i < 9; i++) {
        add_product(out->by_reference[i], weight, found->reference[i]);
        add_product(out->by_star[i], weight, found->star[i]);
    }
    add_product(out->by_fudge, weight, found->fudge);
    add_product(out->by_default_f, weight, found->default_f);
    add_product(out->by_amplitude, weight, found->by_amplitude);
    for (int32_t t = 0; t < along->turning_count; t++)
        add_product(w->work->jacobian + (ptrdiff_t)along->turning[t] * SCENE_TILE, weight,
                    found->by_turning + (ptrdiff_t)t * SCENE_TILE);
    if (p->lattices->table.amplitude == NULL)
        EACH_PIXEL
            out->by_default_f[j] += 2.0 * f * scale[j] * sum[j];
}

/* All rays; sets values to the sums that have neither strength nor the factors of the pixel. */
static void add_rays(scene_backward *w, const pixel_factors_tile *pixel, double *values)
{
    const nbh_scene *s = w->p->scene;
    const int64_t samples = samples_of(s);
    for (int32_t n = 0; n < s->crystal_count; n++)
        fill(values + (ptrdiff_t)n * SCENE_TILE, 0.0);
    for (int64_t sample = 0; sample < samples; sample++) {
        sample_beams beams;
        ray_factors_tile ray;
        beams_gradient by_own;
        const sample_beams *own = beams_of(w->p, w->tile, pixel, sample, &beams);
        beams_gradient *by = sample == 0 ? &w->by_first : &by_own;
        set_sample_factors(s, own, &ray);
        memset(by, 0, sizeof *by);
        for (int64_t source = 0; source < s->source_count; source++) {
            tile_numbers q[3], by_q[3], is_left, sum, scale, by_weight;
            if (is_cancelled(w->work))
                return;
            set_scattering(s, source_of(s, source), own, q, is_left);
            set_ray_weight(w->p, source, own, is_left, &ray);
            memset(by_q, 0, sizeof by_q);
            fill(by_weight, 0.0);
            for (int32_t n = 0; n < s->crystal_count; n++) {
                const double f_sqr = w->p->common_f[n] * w->p->common_f[n];
                const double strength = s->strength[n] / s->steps;
                const double *weight = w->work->weight;
                EACH_PIXEL {
                    const double wanted =
                        weight == NULL ? 1.0 : weight[(ptrdiff_t)n * SCENE_TILE + j];
                    scale[j] = wanted * strength * pixel->all[j] * ray.weight[j];
                }
                if (w->work->gradient != NULL)
                    add_crystal_gradient(w, n, q, scale, by_q, sum);
                else
                    add_crystal_local(w, q, scale, by_q, sum);
                double *total = values + (ptrdiff_t)n * SCENE_TILE;
                EACH_PIXEL {
                    const double wanted =
                        weight == NULL ? 1.0 : weight[(ptrdiff_t)n * SCENE_TILE + j];
                    by_weight[j] += wanted * strength * pixel->all[j] * f_sqr * sum[j];
                    total[j] += f_sqr * sum[j] * ray.weight[j];
                }
            }
            add_scattering(w, source, q, by_q, by);
            add_ray_factors(w, source, own, &ray, is_left, by_weight, by);
        }
        if (sample > 0)
            add_beams_gradient(s, w->tile, own, by, w->local);
    }
}

/* Derivatives by strength and background; completes the values. */
static void finish_values(scene_backward *w, const pixel_factors_tile *pixel, double *values)
{
    const nbh_scene *s = w->p->scene;
    fill(w->unscaled, 0.0);
    for (int32_t n = 0; n < s->crystal_count; n++) {
        double *value = values + (ptrdiff_t)n * SCENE_TILE;
        const double *weight = w->work->weight;
        const double background = s->background[n], strength = s->strength[n];
        tile_numbers by_strength, by_background;
        EACH_PIXEL {
            const double own = weight == NULL ? 1.0 : weight[(ptrdiff_t)n * SCENE_TILE + j];
            const double per_strength = (background + value[j]) / s->steps;
            w->unscaled[j] += own * strength * per_strength;
            by_strength[j] = own * per_strength * pixel->all[j];
            by_background[j] = own * strength / s->steps * pixel->all[j];
            value[j] = strength / s->steps * (background + value[j]) * pixel->all[j];
        }
        if (w->work->gradient != NULL) {
            double *out = w->work->gradient->crystals + (ptrdiff_t)n * NBH_CRYSTAL_NUMBERS;
            out[NBH_CRYSTAL_STRENGTH] += sum_over_tile(by_strength);
            out[NBH_CRYSTAL_BACKGROUND] += sum_over_tile(by_background);
        } else {
            const double *changes = w->work->along->directions->crystal;
            add_along(w, changes, NBH_CRYSTAL_NUMBERS, NBH_CRYSTAL_STRENGTH, by_strength);
            add_along(w, changes, NBH_CRYSTAL_NUMBERS, NBH_CRYSTAL_BACKGROUND, by_background);
        }
    }
}

/* What pixels have collected, along the directions. */
static void add_directions(const scene_backward *w)
{
    const nbh_scene_directions *along = w->work->along->directions;
    for (int i = 0; i < NBH_SCENE_NUMBERS; i++)
        add_along(w, along->numbers, NBH_SCENE_NUMBERS, i, w->local[i]);
    for (int i = 0; i < 9; i++) {
        add_along(w, along->reference_m, 9, i, w->crystal->by_reference[i]);
        add_along(w, along->crystal, NBH_CRYSTAL_NUMBERS, NBH_CRYSTAL_STAR + i,
                  w->crystal->by_star[i]);
    }
    for (int i = 0; i < 3; i++)
        add_along(w, along->crystal, NBH_CRYSTAL_NUMBERS, NBH_CRYSTAL_N_CELLS + i,
                  w->crystal->by_n_cells[i]);
    add_along(w, along->crystal, NBH_CRYSTAL_NUMBERS, NBH_CRYSTAL_FUDGE, w->crystal->by_fudge);
    add_along(w, along->crystal, NBH_CRYSTAL_NUMBERS, NBH_CRYSTAL_DEFAULT_F,
              w->crystal->by_default_f);
    if (along->amplitude != NULL)
        EACH_PIXEL
            w->work->jacobian[j] += w->crystal->by_amplitude[j];
}

/* Values, and with a gradient what is added to it. */
static void scene_gradients(const prepared_scene *p, const scene_tile *tile, const scene_work *work)
{
    scene_backward w;
    pixel_factors_tile pixel;
    w.p = p;
    w.tile = tile;
    w.work = work;
    w.crystal = NULL;
    memset(w.local, 0, sizeof w.local);
    set_pixel_factors(p, tile, &pixel);
    add_rays(&w, &pixel, work->values);
    finish_values(&w, &pixel, work->values);
    add_pixel_factors(&w, &pixel);
    for (int i = 0; i < NBH_SCENE_NUMBERS; i++)
        work->gradient->numbers[i] += sum_over_tile(w.local[i]);
}

/* Values, and each pixel's derivatives along the directions. */
static void scene_jacobian(const prepared_scene *p, const scene_tile *tile, const scene_work *work)
{
    scene_backward w;
    scene_local crystal;
    pixel_factors_tile pixel;
    w.p = p;
    w.tile = tile;
    w.work = work;
    w.crystal = &crystal;
    memset(w.local, 0, sizeof w.local);
    memset(&crystal, 0, sizeof crystal);
    memset(work->jacobian, 0,
           (size_t)work->along->directions->count * SCENE_TILE * sizeof *work->jacobian);
    set_pixel_factors(p, tile, &pixel);
    add_rays(&w, &pixel, work->values);
    finish_values(&w, &pixel, work->values);
    add_pixel_factors(&w, &pixel);
    add_directions(&w);
}

/* A scene_kernel, for the instruction set of the file that includes this one. */
static inline void scene_tile_of(const prepared_scene *p, const scene_tile *tile,
                                 const scene_work *work)
{
    if (work->gradient != NULL)
        scene_gradients(p, tile, work);
    else if (work->jacobian != NULL)
        scene_jacobian(p, tile, work);
    else
        scene_values(p, tile, work);
}

#endif
