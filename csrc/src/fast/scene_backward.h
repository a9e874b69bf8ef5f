/* scene_backward.h - from derivatives by the factors of rays and pixels to those by the numbers of
 * a scene, for the instruction set of the file that includes this one. */
#ifndef NBH_FAST_SCENE_BACKWARD_H
#define NBH_FAST_SCENE_BACKWARD_H

#include <string.h>

#include "fast/scene_factors.h"
#include "fast/sum_derivatives.h"

/* Each pixel's derivatives by the numbers of the crystal. */
typedef struct scene_local {
    sums_local ray; /* of one ray, unweighted */
    tile_numbers by_reference[9], by_n_cells[3], by_fudge, by_star[9], by_default_f, by_amplitude;
} scene_local;

/* What derivatives are collected in while a tile is worked on. */
typedef struct scene_backward {
    const prepared_scene *p;
    const scene_tile *tile;
    const scene_work *work;
    local_numbers local;
    beams_gradient by_first;     /* by the beams of the first sample */
    tile_numbers by_all;         /* by the product of the pixels' factors */
    tile_numbers by_background;  /* by that of the background's own */
    tile_numbers by_water;       /* by that of the water's */
    struct scene_local *crystal; /* with a Jacobian */
} scene_backward;

/* Derivatives by what the rays of one sample share. */
typedef struct sample_gradient {
    beams_gradient own;
    tile_numbers by_solid_angle, by_polarization, by_capture;
} sample_gradient;

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

/* Derivatives by a number of crystal n. */
static void add_crystal_number(const scene_backward *w, int32_t n, int place, const tile_numbers x)
{
    if (w->work->gradient != NULL)
        w->work->gradient->crystals[(ptrdiff_t)n * NBH_CRYSTAL_NUMBERS + place] += sum_over_tile(x);
    else
        add_along(w, w->work->along->directions->crystal, NBH_CRYSTAL_NUMBERS, place, x);
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

/* Leaves of by_factor what belongs to the candidate of this number.  Returns 0 if that is nothing.
 */
static int only_chosen(const tile_numbers by_factor, const tile_numbers chosen, double number,
                       tile_numbers out)
{
    int is_any = 0;
    EACH_PIXEL {
        const int is_it = chosen[j] == number;
        out[j] = is_it ? by_factor[j] : 0.0;
        is_any |= is_it;
    }
    return is_any;
}

static void add_last_capture(scene_backward *w, const tile_numbers chosen,
                             const tile_numbers by_factor)
{
    const nbh_scene *s = w->p->scene;
    const int64_t count = sub_pixels_of(s), first = samples_of(s) - count;
    for (int64_t n = 0; n < count; n++) {
        sample_beams beams;
        layer_capture captured;
        beams_gradient by;
        tile_numbers own, value;
        if (!only_chosen(by_factor, chosen, (double)n, own))
            continue;
        memset(&by, 0, sizeof by);
        set_beams(s, w->tile, first + n, &beams);
        set_layer_capture(s, &beams, &captured, value);
        add_capture_gradient(s, &beams, &captured, own, &by, w->local);
        add_beams_gradient(s, w->tile, &beams, &by, w->local);
    }
}

static void add_first_polarization(scene_backward *w, const pixel_factors_tile *pixel,
                                   const tile_numbers by_factor)
{
    const nbh_scene *s = w->p->scene;
    int are_others = 0;
    EACH_PIXEL
        are_others |= pixel->chosen_ray[j] > 0.0;
    /* mostly it is the first ray's */
    const int64_t samples = are_others ? samples_of(s) : 1;
    const int64_t sources = are_others ? s->source_count : 1;
    for (int64_t sample = 0; sample < samples; sample++) {
        sample_beams memory;
        const sample_beams *own = NULL;
        beams_gradient by_own, *by = &w->by_first;
        for (int64_t source = 0; source < sources; source++) {
            const double number = (double)(sample * s->source_count + source);
            tile_numbers part;
            if (!only_chosen(by_factor, pixel->chosen_ray, number, part))
                continue;
            if (own == NULL) {
                own = beams_of(w->p, w->tile, pixel, sample, &memory);
                memset(&by_own, 0, sizeof by_own);
                by = sample == 0 ? &w->by_first : &by_own;
            }
            add_polarization(w, source, own, part, by);
        }
        if (own != NULL && sample > 0)
            add_beams_gradient(s, w->tile, own, by, w->local);
    }
}

/* Derivatives by the factors that the background has for itself. */
static void add_background_factors(scene_backward *w, const pixel_factors_tile *pixel)
{
    const nbh_scene *s = w->p->scene;
    tile_numbers by_factor;
    if (s->background_factors & NBH_OWN_SOLID_ANGLE) {
        EACH_PIXEL
            by_factor[j] = w->by_background[j] * pixel->own_capture[j] * pixel->own_polarization[j];
        add_solid_angle_gradient(s, &pixel->first, by_factor, &w->by_first, w->local);
    }
    if (s->background_factors & NBH_OWN_POLARIZATION) {
        EACH_PIXEL
            by_factor[j] = w->by_background[j] * pixel->own_capture[j] * pixel->own_solid_angle[j];
        add_polarization(w, 0, &pixel->first, by_factor, &w->by_first);
    }
    if (s->background_factors & NBH_OWN_CAPTURE) {
        EACH_PIXEL
            by_factor[j] =
                w->by_background[j] * pixel->own_polarization[j] * pixel->own_solid_angle[j];
        add_last_capture(w, pixel->chosen_sub_pixel, by_factor);
    }
}

/* Derivatives by the factors of the pixel, and with those of its first rays by its first beams. */
static void add_pixel_factors(scene_backward *w, const pixel_factors_tile *pixel)
{
    const nbh_scene *s = w->p->scene;
    tile_numbers by_factor;
    if (acts_on_pixel(s->solid_angle)) {
        EACH_PIXEL
            by_factor[j] = w->by_all[j] * pixel->capture[j] * pixel->polarization[j];
        add_solid_angle_gradient(s, &pixel->first, by_factor, &w->by_first, w->local);
    }
    if (acts_on_pixel(s->polarization)) {
        EACH_PIXEL
            by_factor[j] = w->by_all[j] * pixel->capture[j] * pixel->solid_angle[j];
        add_first_polarization(w, pixel, by_factor);
    }
    if (acts_on_pixel(s->capture)) {
        EACH_PIXEL
            by_factor[j] = w->by_all[j] * pixel->polarization[j] * pixel->solid_angle[j];
        add_last_capture(w, pixel->chosen_sub_pixel, by_factor);
    }
    add_background_factors(w, pixel);
    add_beams_gradient(s, w->tile, &pixel->first, &w->by_first, w->local);
}

/* Derivatives by the polarization factors of the water at one sub-pixel. */
static void add_water_polarization(scene_backward *w, water_factors_tile *at,
                                   const tile_numbers by_factor, beams_gradient *by)
{
    const nbh_scene *s = w->p->scene;
    for (int64_t n = 0; n < water_sources_of(s); n++) {
        const double share = water_share(s, n);
        tile_numbers own, found;
        EACH_PIXEL
            own[j] = by_factor[j] * share;
        add_polarization(w, n, &at->beams, own, by);
        if (!(s->water_factors & NBH_OWN_OF_SOURCES))
            continue;
        set_polarization(s, source_of(s, n), w->p->frames + n, &at->beams, found);
        EACH_PIXEL
            own[j] = by_factor[j] * found[j] / (double)s->source_count;
        add_source_numbers(w, n, 0, NBH_SOURCE_WEIGHT, 1, &own);
    }
}

static void add_water(scene_backward *w)
{
    const nbh_scene *s = w->p->scene;
    const int64_t samples = water_samples_of(s);
    for (int64_t n = 0; n < samples; n++) {
        water_factors_tile at;
        beams_gradient by;
        tile_numbers by_factor;
        memset(&by, 0, sizeof by);
        set_water_factors(w->p, w->tile, n, &at);
        if (s->water_factors & NBH_OWN_SOLID_ANGLE) {
            EACH_PIXEL
                by_factor[j] =
                    w->by_water[j] * at.capture[j] * at.polarization[j] / (double)samples;
            add_solid_angle_gradient(s, &at.beams, by_factor, &by, w->local);
        }
        if (s->water_factors & NBH_OWN_CAPTURE) {
            EACH_PIXEL
                by_factor[j] =
                    w->by_water[j] * at.polarization[j] * at.solid_angle[j] / (double)samples;
            add_capture_gradient(s, &at.beams, &at.captured, by_factor, &by, w->local);
        }
        if (s->water_factors & NBH_OWN_POLARIZATION) {
            EACH_PIXEL
                by_factor[j] = w->by_water[j] * at.capture[j] * at.solid_angle[j] / (double)samples;
            add_water_polarization(w, &at, by_factor, &by);
        }
        add_beams_gradient(s, w->tile, &at.beams, &by, w->local);
    }
}

/* A factor of rays with its place. */
typedef struct placed_factor {
    int32_t place;
    const double *value;
} placed_factor;

/* by_term, by_growth: derivatives by what multiplies terms, and the sum.  Sets the derivative by a
 * factor of one of them, of which a and b may be factors, too. */
static void set_by_factor(int32_t place, const tile_numbers by_term, const tile_numbers by_growth,
                          placed_factor a, placed_factor b, tile_numbers out)
{
    const int of_sum = acts_on_steps(place);
    const double *by = of_sum ? by_growth : by_term;
    const int has_a = of_sum ? acts_on_steps(a.place) : acts_on_rays(a.place);
    const int has_b = of_sum ? acts_on_steps(b.place) : acts_on_rays(b.place);
    EACH_PIXEL {
        const double others = (has_a ? a.value[j] : 1.0) * (has_b ? b.value[j] : 1.0);
        out[j] = by[j] * others;
    }
}

static void add_tile(tile_numbers out, const tile_numbers x)
{
    EACH_PIXEL
        out[j] += x[j];
}

static int has_ray_factors(const nbh_scene *s)
{
    return acts_on_rays_or_steps(s->capture) || acts_on_rays_or_steps(s->polarization) ||
           acts_on_rays_or_steps(s->solid_angle);
}

/* How many of a scene's numbers its surface has: the first of them. */
static int numbers_in_use(const nbh_scene *s)
{
    switch ((nbh_detector_surface)s->surface) {
    case NBH_SURFACE_PLANE:
        return NBH_SCENE_BEAM;
    case NBH_SURFACE_TURNED:
    case NBH_SURFACE_SPHERE:
        break;
    }
    return NBH_SCENE_NUMBERS;
}

/* Derivatives by the factors of a ray.  by_weight, by_growth: by what multiplies its terms, and the
 * sum; by: what collects those by the sample's beams. */
static void add_ray_factors(scene_backward *w, int64_t source, const sample_beams *own,
                            const pixel_factors_tile *pixel, const ray_factors_tile *ray,
                            const tile_numbers is_left, const tile_numbers by_weight,
                            const tile_numbers by_growth, sample_gradient *sample,
                            beams_gradient *by)
{
    const nbh_scene *s = w->p->scene;
    const double weight = source_of(s, source)[NBH_SOURCE_WEIGHT];
    const placed_factor capture = {s->capture, ray->capture},
                        polarization = {s->polarization, ray->polarization},
                        solid_angle = {s->solid_angle, ray->solid_angle};
    const int has_capture = acts_on_rays(s->capture), has_omega = acts_on_rays(s->solid_angle),
              has_polar = acts_on_rays(s->polarization);
    tile_numbers by_term, by_factor;
    EACH_PIXEL {
        const double c = has_capture ? ray->capture[j] : 1.0,
                     p = has_polar ? ray->polarization[j] : 1.0,
                     o = has_omega ? ray->solid_angle[j] : 1.0;
        by_factor[j] = by_weight[j] * is_left[j] * c * p * o;
    }
    add_source_numbers(w, source, 0, NBH_SOURCE_WEIGHT, 1, &by_factor);
    if (!has_ray_factors(s))
        return;
    EACH_PIXEL
        by_term[j] = by_weight[j] * is_left[j] * weight;
    if (acts_on_rays_or_steps(s->solid_angle)) {
        set_by_factor(s->solid_angle, by_term, by_growth, capture, polarization, by_factor);
        add_tile(sample->by_solid_angle, by_factor);
    }
    if (acts_on_rays_or_steps(s->capture)) {
        set_by_factor(s->capture, by_term, by_growth, polarization, solid_angle, by_factor);
        add_tile(sample->by_capture, by_factor);
    }
    if (!acts_on_rays_or_steps(s->polarization))
        return;
    set_by_factor(s->polarization, by_term, by_growth, capture, solid_angle, by_factor);
    if (role_of(s->polarization).is_chosen)
        add_tile(sample->by_polarization, by_factor);
    else
        add_polarization(w, source, polarized_beams(s, own, &pixel->first), by_factor,
                         role_of(s->polarization).from_first ? &w->by_first : by);
}

/* What is used of it; the first sample's beams have another place. */
static void clear_sample(const nbh_scene *s, int64_t number, sample_gradient *sample)
{
    if (number > 0)
        memset(&sample->own, 0, sizeof sample->own);
    if (acts_on_rays_or_steps(s->solid_angle))
        fill(sample->by_solid_angle, 0.0);
    if (acts_on_rays_or_steps(s->capture))
        fill(sample->by_capture, 0.0);
    if (role_of(s->polarization).is_chosen)
        fill(sample->by_polarization, 0.0);
}

/* From what the rays of a sample share to its beams, and of all but the first sample from these to
 * the scene. */
static void finish_sample(scene_backward *w, int64_t number, const sample_beams *own,
                          const ray_factors_tile *ray, sample_gradient *sample, beams_gradient *by)
{
    const nbh_scene *s = w->p->scene;
    if (acts_on_rays_or_steps(s->solid_angle))
        add_solid_angle_gradient(s, own, sample->by_solid_angle, by, w->local);
    if (acts_on_rays_or_steps(s->capture)) {
        beams_gradient elsewhere;
        const int is_own = ray->captured_at == own;
        beams_gradient *to = is_own ? by : &elsewhere;
        if (!is_own)
            memset(&elsewhere, 0, sizeof elsewhere);
        add_capture_gradient(s, ray->captured_at, &ray->captured, sample->by_capture, to, w->local);
        if (!is_own)
            add_beams_gradient(s, w->tile, ray->captured_at, to, w->local);
    }
    if (role_of(s->polarization).is_chosen)
        for (int64_t n = 0; n < s->source_count; n++) {
            tile_numbers part;
            if (only_chosen(sample->by_polarization, ray->chosen_source, (double)n, part))
                add_polarization(w, n, own, part, by);
        }
    if (number > 0)
        add_beams_gradient(s, w->tile, own, by, w->local);
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

#endif
