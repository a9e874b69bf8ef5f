/* scene.h - values of pixels and their derivatives (model 6.8), for the instruction set of the file
 * that includes this one.
 *
 * A pixel's value is strength / steps * sum, times the factors of the pixel, and strength * water
 * besides.  The sum starts with the background, and rays add weight * lattice sum; a running sum is
 * multiplied after each step (model 6.5).  Derivatives go back the same way: to the lattice, to the
 * beam of each ray, to the factors, and from beams and factors to the numbers of the scene. */
#ifndef NBH_FAST_SCENE_H
#define NBH_FAST_SCENE_H

#include "fast/scene_backward.h"
#include "fast/scene_factors.h"
#include "fast/scene_geometry.h"
#include "fast/scene_lists.h"
#include "fast/sums.h"

static const double *const *rows_of(tile_numbers q[3], const double *rows[3])
{
    for (int i = 0; i < 3; i++)
        rows[i] = q[i];
    return rows;
}

/* A ray of every pixel. */
typedef struct scene_ray {
    tile_numbers q[3], is_left;
} scene_ray;

static void set_ray(const prepared_scene *p, int64_t source, const sample_beams *own,
                    const pixel_factors_tile *pixel, scene_ray *out, ray_factors_tile *factors)
{
    set_scattering(p->scene, source_of(p->scene, source), own, out->q, out->is_left);
    set_ray_weight(p, source, own, &pixel->first, out->is_left, factors);
}

static void start_growth(const nbh_scene *s, const ray_factors_tile *ray, sums_running *running)
{
    running->skips_zeros = !s->counts_zeros;
    memcpy(running->growth, ray->growth, sizeof running->growth);
}

/* x times growth, which is two factors; nothing stays nothing. */
static inline double grown(double x, double one, double other)
{
    return x == 0.0 ? 0.0 : x * one * other;
}

/* Cut rays have no step that would count. */
static void without_cut_rays(const tile_numbers is_left, sums_running *running)
{
    EACH_PIXEL {
        const int is_cut = is_left[j] == 0.0;
        running->count[j] = is_cut ? 0.0 : running->count[j];
        running->by_growth[j] = is_cut ? 0.0 : running->by_growth[j];
        for (int i = 0; i < 2; i++)
            running->all[i][j] = is_cut ? 1.0 : running->all[i][j];
    }
}

/* Adds a ray to the sum of crystal n. */
static void add_ray(const prepared_scene *p, int32_t n, scene_ray *ray,
                    const ray_factors_tile *factors, const sums_visits *visits, double *total)
{
    const double f_sqr = p->common_f[n] * p->common_f[n];
    const double *rows[3];
    tile_numbers sum;
    if (!is_running(p->scene)) {
        running_sum_tile(p->lattices + n, rows_of(ray->q, rows), sum, NULL, NULL, visits);
        EACH_PIXEL
            total[j] += f_sqr * sum[j] * factors->weight[j];
        return;
    }
    sums_running running;
    start_growth(p->scene, factors, &running);
    running_sum_tile(p->lattices + n, rows_of(ray->q, rows), sum, NULL, &running, visits);
    without_cut_rays(ray->is_left, &running);
    EACH_PIXEL
        total[j] = grown(total[j], running.all[0][j], running.all[1][j]) +
                   f_sqr * sum[j] * factors->weight[j];
}

static void start_sum(const nbh_scene *s, int32_t n, const pixel_factors_tile *pixel, double *total)
{
    const double background = s->background[n];
    EACH_PIXEL
        total[j] = background * pixel->background[j];
}

/* The sums of all crystals, without derivatives.  before: NULL, or where each is kept as it was
 * before each ray. */
static void add_all_rays(const prepared_scene *p, const scene_tile *tile, const scene_work *work,
                         const pixel_factors_tile *pixel, double *sums, double *before)
{
    const nbh_scene *s = p->scene;
    const int64_t samples = samples_of(s);
    const ptrdiff_t size = (ptrdiff_t)s->crystal_count * SCENE_TILE;
    ray_factors_tile factors;
    for (int32_t n = 0; n < s->crystal_count; n++)
        start_sum(s, n, pixel, sums + (ptrdiff_t)n * SCENE_TILE);
    for (int64_t sample = 0; sample < samples; sample++) {
        sample_beams memory;
        const sample_beams *own = beams_of(p, tile, pixel, sample, &memory);
        set_sample_factors(p, tile, sample, own, &factors);
        if (work->lists != NULL)
            list_steps(p, tile, own, pixel, &factors, work->lists);
        for (int64_t source = 0; source < s->source_count; source++) {
            scene_ray ray;
            if (is_cancelled(work))
                return;
            if (!any_has_light(p, work->lists, source))
                continue;
            if (before != NULL)
                memcpy(before + (sample * s->source_count + source) * size, sums,
                       (size_t)size * sizeof *sums);
            set_ray(p, source, own, pixel, &ray, &factors);
            for (int32_t n = 0; n < s->crystal_count; n++)
                if (has_light(p, work->lists, n, source))
                    add_ray(p, n, &ray, &factors, steps_with_light(p, work->lists, n, source),
                            sums + (ptrdiff_t)n * SCENE_TILE);
        }
    }
}

/* From sums to values; water: what set_water has, if there is any. */
static void finish_sums(const nbh_scene *s, const pixel_factors_tile *pixel,
                        const tile_numbers water, double *values)
{
    for (int32_t n = 0; n < s->crystal_count; n++) {
        double *value = values + (ptrdiff_t)n * SCENE_TILE;
        const double scale = s->strength[n] / s->steps;
        EACH_PIXEL
            value[j] = scale * value[j] * pixel->all[j];
        if (has_water(s) && s->water[n] != 0.0)
            EACH_PIXEL
                value[j] += s->strength[n] * s->water[n] * water[j];
    }
}

static void scene_values(const prepared_scene *p, const scene_tile *tile, const scene_work *work)
{
    pixel_factors_tile pixel;
    tile_numbers water;
    set_pixel_factors(p, tile, &pixel);
    if (has_water(p->scene))
        set_water(p, tile, water);
    add_all_rays(p, tile, work, &pixel, work->values, NULL);
    finish_sums(p->scene, &pixel, water, work->values);
}

/* One ray of each pixel and one crystal: adds to by_q, and sets `sum`, the lattice sums.
 * scale: what a sum is multiplied with in the weighted value. */
static void add_crystal_gradient(const scene_backward *w, int32_t n, tile_numbers q[3],
                                 const tile_numbers scale, sums_running *running,
                                 const sums_visits *visits, tile_numbers by_q[3], tile_numbers sum)
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
    running_sum_tile(p->lattices + n, rows_of(q, rows), sum, &wanted, running, visits);
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
                              sums_running *running, const sums_visits *visits,
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
    running_sum_tile(p->lattices, rows_of(q, rows), sum, &wanted, running, visits);
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

/* What the pixels' values are worth in crystal n. */
static void set_worth(const scene_backward *w, int32_t n, tile_numbers out)
{
    if (w->work->weight == NULL)
        fill(out, 1.0);
    else
        memcpy(out, w->work->weight + (ptrdiff_t)n * SCENE_TILE, sizeof(tile_numbers));
}

/* How one ray's lattice sums are derived: adds derivatives by its weight and its growth. */
static void add_ray_gradient(scene_backward *w, int32_t n, int64_t number,
                             const sums_visits *visits, scene_ray *ray,
                             const pixel_factors_tile *pixel, const ray_factors_tile *factors,
                             double *total, tile_numbers by_q[3], tile_numbers by_weight,
                             tile_numbers by_growth)
{
    const nbh_scene *s = w->p->scene;
    const int runs = is_running(s);
    const double f_sqr = w->p->common_f[n] * w->p->common_f[n],
                 strength = s->strength[n] / s->steps;
    double *one = NULL, *other = NULL;
    const double *before = NULL;
    sums_running running;
    tile_numbers worth, scale, sum;
    if (runs) {
        const ptrdiff_t size = (ptrdiff_t)s->crystal_count * SCENE_TILE;
        one = w->work->growth_after + (ptrdiff_t)n * SCENE_TILE;
        other = one + size;
        before = w->work->sums_before + number * size + (ptrdiff_t)n * SCENE_TILE;
        start_growth(s, factors, &running);
    }
    set_worth(w, n, worth);
    EACH_PIXEL
        worth[j] *= strength * pixel->all[j];
    if (runs)
        EACH_PIXEL
            worth[j] = grown(worth[j], one[j], other[j]);
    EACH_PIXEL
        scale[j] = worth[j] * factors->weight[j];
    if (w->work->gradient != NULL)
        add_crystal_gradient(w, n, ray->q, scale, runs ? &running : NULL, visits, by_q, sum);
    else
        add_crystal_local(w, ray->q, scale, runs ? &running : NULL, visits, by_q, sum);
    EACH_PIXEL
        by_weight[j] += worth[j] * f_sqr * sum[j];
    if (!runs) {
        EACH_PIXEL
            total[j] += f_sqr * sum[j] * factors->weight[j];
        return;
    }
    without_cut_rays(ray->is_left, &running);
    EACH_PIXEL {
        const double of_sum =
            running.count[j] * grown(before[j], running.before[0][j], running.before[1][j]);
        by_growth[j] += worth[j] * (f_sqr * factors->weight[j] * running.by_growth[j] +
                                    (running.count[j] == 0.0 ? 0.0 : of_sum));
        one[j] *= running.all[0][j];
        other[j] *= running.all[1][j];
    }
}

/* All rays with their derivatives; a running sum goes from the last to the first, and `sums` are
 * complete before. */
static void add_rays(scene_backward *w, const pixel_factors_tile *pixel, double *sums)
{
    const nbh_scene *s = w->p->scene;
    const int64_t samples = samples_of(s), sources = s->source_count;
    const int runs = is_running(s);
    scene_lists *lists = w->work->lists;
    ray_factors_tile factors;
    sample_gradient of_sample;
    if (runs) {
        add_all_rays(w->p, w->tile, w->work, pixel, sums, w->work->sums_before);
        for (int32_t n = 0; n < 2 * s->crystal_count; n++)
            fill(w->work->growth_after + (ptrdiff_t)n * SCENE_TILE, 1.0);
    } else {
        for (int32_t n = 0; n < s->crystal_count; n++)
            start_sum(s, n, pixel, sums + (ptrdiff_t)n * SCENE_TILE);
    }
    for (int64_t i = 0; i < samples; i++) {
        const int64_t sample = runs ? samples - 1 - i : i;
        sample_beams memory;
        const sample_beams *own = beams_of(w->p, w->tile, pixel, sample, &memory);
        beams_gradient *by = sample == 0 ? &w->by_first : &of_sample.own;
        set_sample_factors(w->p, w->tile, sample, own, &factors);
        if (lists != NULL)
            list_steps(w->p, w->tile, own, pixel, &factors, lists);
        clear_sample(s, sample, &of_sample);
        for (int64_t k = 0; k < sources; k++) {
            const int64_t source = runs ? sources - 1 - k : k;
            scene_ray ray;
            tile_numbers by_q[3], by_weight, by_growth;
            if (is_cancelled(w->work))
                return;
            if (!any_has_light(w->p, lists, source))
                continue;
            set_ray(w->p, source, own, pixel, &ray, &factors);
            memset(by_q, 0, sizeof by_q);
            fill(by_weight, 0.0);
            fill(by_growth, 0.0);
            for (int32_t n = 0; n < s->crystal_count; n++)
                if (has_light(w->p, lists, n, source))
                    add_ray_gradient(w, n, sample * sources + source,
                                     steps_with_light(w->p, lists, n, source), &ray, pixel,
                                     &factors, sums + (ptrdiff_t)n * SCENE_TILE, by_q, by_weight,
                                     by_growth);
            add_scattering(w, source, ray.q, by_q, by);
            add_ray_factors(w, source, own, pixel, &factors, ray.is_left, by_weight, by_growth,
                            &of_sample, by);
        }
        finish_sample(w, sample, own, &factors, &of_sample, by);
    }
}

/* Derivatives by strength, background, water and the pixels' factors, given the sums. */
static void add_sums(scene_backward *w, const pixel_factors_tile *pixel, const tile_numbers water,
                     const double *sums)
{
    const nbh_scene *s = w->p->scene;
    fill(w->by_all, 0.0);
    fill(w->by_background, 0.0);
    fill(w->by_water, 0.0);
    for (int32_t n = 0; n < s->crystal_count; n++) {
        const double *sum = sums + (ptrdiff_t)n * SCENE_TILE;
        const double background = s->background[n], strength = s->strength[n];
        tile_numbers worth, start, by_strength, by_background;
        set_worth(w, n, worth);
        EACH_PIXEL
            start[j] = worth[j] * strength / s->steps * pixel->all[j];
        if (is_running(s)) {
            const double *one = w->work->growth_after + (ptrdiff_t)n * SCENE_TILE;
            const double *other = one + (ptrdiff_t)s->crystal_count * SCENE_TILE;
            EACH_PIXEL
                start[j] = grown(start[j], one[j], other[j]);
        }
        EACH_PIXEL {
            const double per_strength = sum[j] / s->steps;
            w->by_all[j] += worth[j] * strength * per_strength;
            by_strength[j] = worth[j] * per_strength * pixel->all[j];
            by_background[j] = start[j] * pixel->background[j];
        }
        if (s->background_factors != 0)
            EACH_PIXEL
                w->by_background[j] += start[j] * background;
        if (has_water(s)) {
            tile_numbers by_water;
            EACH_PIXEL {
                by_water[j] = worth[j] * strength * water[j];
                by_strength[j] += worth[j] * s->water[n] * water[j];
                w->by_water[j] += worth[j] * strength * s->water[n];
            }
            add_crystal_number(w, n, NBH_CRYSTAL_WATER, by_water);
        }
        add_crystal_number(w, n, NBH_CRYSTAL_STRENGTH, by_strength);
        add_crystal_number(w, n, NBH_CRYSTAL_BACKGROUND, by_background);
    }
}

/* What pixels have collected, along the directions. */
static void add_directions(const scene_backward *w)
{
    const nbh_scene_directions *along = w->work->along->directions;
    for (int i = 0; i < numbers_in_use(w->p->scene); i++)
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

/* Values, and all derivatives of what lies behind them. */
static void add_scene(scene_backward *w)
{
    const nbh_scene *s = w->p->scene;
    double *values = w->work->values;
    pixel_factors_tile pixel;
    tile_numbers water;
    memset(w->local, 0, (size_t)numbers_in_use(s) * sizeof w->local[0]);
    memset(&w->by_first, 0, sizeof w->by_first);
    set_pixel_factors(w->p, w->tile, &pixel);
    if (has_water(s))
        set_water(w->p, w->tile, water);
    add_rays(w, &pixel, values);
    if (is_cancelled(w->work))
        return;
    add_sums(w, &pixel, water, values);
    add_pixel_factors(w, &pixel);
    if (has_water(s))
        add_water(w);
    finish_sums(s, &pixel, water, values);
}

/* Values, and with a gradient what is added to it. */
static void scene_gradients(const prepared_scene *p, const scene_tile *tile, const scene_work *work)
{
    scene_backward w;
    w.p = p;
    w.tile = tile;
    w.work = work;
    w.crystal = NULL;
    add_scene(&w);
    for (int i = 0; i < numbers_in_use(p->scene); i++)
        work->gradient->numbers[i] += sum_over_tile(w.local[i]);
}

/* Values, and each pixel's derivatives along the directions. */
static void scene_jacobian(const prepared_scene *p, const scene_tile *tile, const scene_work *work)
{
    scene_backward w;
    scene_local crystal;
    w.p = p;
    w.tile = tile;
    w.work = work;
    w.crystal = &crystal;
    memset(&crystal, 0, sizeof crystal);
    memset(work->jacobian, 0,
           (size_t)work->along->directions->count * SCENE_TILE * sizeof *work->jacobian);
    add_scene(&w);
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
