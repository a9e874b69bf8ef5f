/* scene_factors.h - what the rays of a tile's pixels are multiplied with, and the pixels as a whole
 * (model 6.2, 6.3, 6.5, 6.8), for the instruction set of the file that includes this one. */
#ifndef NBH_FAST_SCENE_FACTORS_H
#define NBH_FAST_SCENE_FACTORS_H

#include "fast/scene_beams.h"
#include "fast/scene_geometry.h"

/* Factors of the pixels as a whole, 1 for those that rays have, and of the background besides. */
typedef struct pixel_factors_tile {
    sample_beams first; /* to the first samples */
    tile_numbers solid_angle, polarization, capture;
    tile_numbers all;                                            /* their product */
    tile_numbers own_solid_angle, own_polarization, own_capture; /* of the background */
    tile_numbers background;                                     /* their product */
    tile_numbers chosen_ray; /* that polarization is of, sample * sources + source; -1: none */
    tile_numbers chosen_sub_pixel; /* of the last layer, that a capture fraction is of */
} pixel_factors_tile;

/* The same for the rays of one sample; what is polarization of rays changes with the source. */
typedef struct ray_factors_tile {
    sample_beams elsewhere;          /* if capture is not of the sample */
    const sample_beams *captured_at; /* what capture is of */
    layer_capture captured;
    tile_numbers solid_angle, polarization, capture;
    tile_numbers chosen_source; /* NBH_FACTOR_SAMPLE; -1: none */
    tile_numbers weight;        /* of terms: factors times the source's weight, 0 for cut rays */
    tile_numbers growth;        /* what multiplies the sum so far at every step */
} ray_factors_tile;

static void fill(tile_numbers x, double value)
{
    EACH_PIXEL
        x[j] = value;
}

static const double *source_of(const nbh_scene *s, int64_t n)
{
    return s->sources + NBH_SOURCE_NUMBERS * n;
}

static int64_t sub_pixels_of(const nbh_scene *s)
{
    return (int64_t)s->oversample * s->oversample;
}

static void set_layer_capture(const nbh_scene *s, const sample_beams *b, layer_capture *captured,
                              tile_numbers out)
{
    set_capture(s, b, b->layer, b->layer + 1.0, captured);
    EACH_PIXEL
        out[j] = captured->above[j] - captured->below[j];
}

/* The first capture fraction of the last layer that is not 0. */
static void set_last_capture(const nbh_scene *s, const scene_tile *tile, tile_numbers out,
                             tile_numbers chosen)
{
    const int64_t count = sub_pixels_of(s), first = samples_of(s) - count;
    fill(out, 0.0);
    fill(chosen, -1.0);
    for (int64_t n = 0; n < count; n++) {
        sample_beams beams;
        layer_capture captured;
        tile_numbers found;
        int are_missing = 0;
        set_beams(s, tile, first + n, &beams);
        set_layer_capture(s, &beams, &captured, found);
        EACH_PIXEL {
            const int is_it = (chosen[j] < 0.0) & (found[j] != 0.0);
            out[j] = is_it ? found[j] : out[j];
            chosen[j] = is_it ? (double)n : chosen[j];
            are_missing |= chosen[j] < 0.0;
        }
        if (!are_missing)
            return;
    }
    EACH_PIXEL
        chosen[j] = chosen[j] < 0.0 ? 0.0 : chosen[j];
}

/* Which rays the resolution limit leaves (1, else 0). */
static void set_left(const nbh_scene *s, int64_t source, const sample_beams *b,
                     tile_numbers is_left)
{
    tile_numbers q[3];
    if (s->dmin_m > 0.0)
        set_scattering(s, source_of(s, source), b, q, is_left);
    else
        fill(is_left, 1.0);
}

/* Of candidates, those that come first: an uncut one, which is not 0 if that is asked. */
static int choose(const tile_numbers found, const tile_numbers is_left, int is_not_zero,
                  double number, tile_numbers out, tile_numbers chosen)
{
    int are_missing = 0;
    EACH_PIXEL {
        const int is_good = (is_left[j] != 0.0) & (!is_not_zero | (found[j] != 0.0));
        const int is_it = (chosen[j] < 0.0) & is_good;
        out[j] = is_it ? found[j] : out[j];
        chosen[j] = is_it ? number : chosen[j];
        are_missing |= chosen[j] < 0.0;
    }
    return are_missing;
}

/* The first polarization factor that is neither cut nor 0. */
static void set_first_polarization(const prepared_scene *p, const scene_tile *tile,
                                   const sample_beams *first, tile_numbers out, tile_numbers chosen)
{
    const nbh_scene *s = p->scene;
    const int64_t samples = samples_of(s);
    tile_numbers found, is_left, is_first_left;
    sample_beams memory;
    fill(out, 0.0);
    fill(chosen, -1.0);
    set_left(s, 0, first, is_first_left);
    for (int64_t sample = 0; sample < samples; sample++) {
        const sample_beams *own = first;
        if (sample > 0) {
            set_beams(s, tile, sample, &memory);
            own = &memory;
        }
        for (int64_t source = 0; source < s->source_count; source++) {
            const double number = (double)(sample * s->source_count + source);
            set_left(s, source, own, is_left);
            set_polarization(s, source_of(s, source), p->frames + source, own, found);
            if (!choose(found, is_left, 1, number, out, chosen))
                return;
        }
    }
    EACH_PIXEL /* 0 everywhere: it is the first one's */
        chosen[j] = ((chosen[j] < 0.0) & (is_first_left[j] != 0.0)) ? 0.0 : chosen[j];
}

/* The polarization factor of a sample's first uncut source. */
static void set_sample_polarization(const prepared_scene *p, const sample_beams *own,
                                    tile_numbers out, tile_numbers chosen)
{
    const nbh_scene *s = p->scene;
    tile_numbers found, is_left;
    fill(out, 0.0);
    fill(chosen, -1.0);
    for (int64_t source = 0; source < s->source_count; source++) {
        set_left(s, source, own, is_left);
        set_polarization(s, source_of(s, source), p->frames + source, own, found);
        if (!choose(found, is_left, 0, (double)source, out, chosen))
            return;
    }
}

static void set_background_factors(const prepared_scene *p, const scene_tile *tile,
                                   pixel_factors_tile *out)
{
    const nbh_scene *s = p->scene;
    fill(out->background, 1.0);
    if (s->background_factors == 0)
        return;
    fill(out->own_capture, 1.0);
    fill(out->own_polarization, 1.0);
    fill(out->own_solid_angle, 1.0);
    if (s->background_factors & NBH_OWN_CAPTURE)
        set_last_capture(s, tile, out->own_capture, out->chosen_sub_pixel);
    if (s->background_factors & NBH_OWN_POLARIZATION)
        set_polarization(s, source_of(s, 0), p->frames, &out->first, out->own_polarization);
    if (s->background_factors & NBH_OWN_SOLID_ANGLE)
        set_solid_angle(s, &out->first, out->own_solid_angle);
    EACH_PIXEL
        out->background[j] =
            out->own_capture[j] * out->own_polarization[j] * out->own_solid_angle[j];
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
        set_first_polarization(p, tile, &out->first, out->polarization, out->chosen_ray);
    if (acts_on_pixel(s->capture))
        set_last_capture(s, tile, out->capture, out->chosen_sub_pixel);
    EACH_PIXEL
        out->all[j] = out->capture[j] * out->polarization[j] * out->solid_angle[j];
    set_background_factors(p, tile, out);
}

/* The sample whose capture fraction a sample has. */
static int64_t captured_sample(const nbh_scene *s, int64_t sample)
{
    const int64_t per_layer = sub_pixels_of(s);
    switch ((nbh_factor_place)s->capture) {
    case NBH_FACTOR_LAYER:
        return sample / per_layer * per_layer;
    case NBH_FACTOR_LAST_LAYER:
        return samples_of(s) - per_layer + sample % per_layer;
    case NBH_FACTOR_NONE:
    case NBH_FACTOR_PIXEL:
    case NBH_FACTOR_RAY:
    case NBH_FACTOR_STEP:
    case NBH_FACTOR_SOURCE:
    case NBH_FACTOR_SAMPLE:
        break;
    }
    return sample;
}

static int acts_on_rays_or_steps(int32_t place)
{
    return acts_on_rays(place) || acts_on_steps(place);
}

static void set_sample_factors(const prepared_scene *p, const scene_tile *tile, int64_t sample,
                               const sample_beams *own, ray_factors_tile *out)
{
    const nbh_scene *s = p->scene;
    fill(out->solid_angle, 1.0);
    fill(out->polarization, 1.0);
    fill(out->capture, 1.0);
    if (acts_on_rays_or_steps(s->solid_angle))
        set_solid_angle(s, own, out->solid_angle);
    if (role_of(s->polarization).is_chosen)
        set_sample_polarization(p, own, out->polarization, out->chosen_source);
    if (!acts_on_rays_or_steps(s->capture))
        return;
    const int64_t other = captured_sample(s, sample);
    out->captured_at = own;
    if (other != sample) {
        set_beams(s, tile, other, &out->elsewhere);
        out->captured_at = &out->elsewhere;
    }
    set_layer_capture(s, out->captured_at, &out->captured, out->capture);
}

/* What a ray's polarization factor is of, if it is not its sample's. */
static const sample_beams *polarized_beams(const nbh_scene *s, const sample_beams *own,
                                           const sample_beams *first)
{
    return role_of(s->polarization).from_first ? first : own;
}

static int has_ray_polarization(const nbh_scene *s)
{
    return acts_on_rays_or_steps(s->polarization) && !role_of(s->polarization).is_chosen;
}

/* Multiplies by a factor of terms or of the sum, according to its place. */
static void multiply_ray(int32_t place, const tile_numbers factor, ray_factors_tile *out)
{
    double *product = acts_on_steps(place) ? out->growth : out->weight;
    if (acts_on_rays_or_steps(place))
        EACH_PIXEL
            product[j] *= factor[j];
}

static void set_ray_weight(const prepared_scene *p, int64_t source, const sample_beams *own,
                           const sample_beams *first, const tile_numbers is_left,
                           ray_factors_tile *out)
{
    const nbh_scene *s = p->scene;
    const double *numbers = source_of(s, source), weight = numbers[NBH_SOURCE_WEIGHT];
    if (has_ray_polarization(s))
        set_polarization(s, numbers, p->frames + source, polarized_beams(s, own, first),
                         out->polarization);
    EACH_PIXEL
        out->weight[j] = is_left[j] * weight;
    fill(out->growth, 1.0);
    multiply_ray(s->capture, out->capture, out);
    multiply_ray(s->polarization, out->polarization, out);
    multiply_ray(s->solid_angle, out->solid_angle, out);
    EACH_PIXEL /* of a cut ray nobody asks for factors, which may be infinite */
        out->weight[j] = is_left[j] != 0.0 ? out->weight[j] : 0.0;
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

/* Factors of the water at one sub-pixel, 1 for those that it has not. */
typedef struct water_factors_tile {
    sample_beams beams;
    layer_capture captured; /* by the whole sensor */
    tile_numbers solid_angle, polarization, capture;
} water_factors_tile;

/* At how many sub-pixels it is looked at, and for how many sources. */
static int64_t water_samples_of(const nbh_scene *s)
{
    return s->water_factors & NBH_OWN_OF_SUB_PIXELS ? sub_pixels_of(s) : 1;
}

static int64_t water_sources_of(const nbh_scene *s)
{
    return s->water_factors & NBH_OWN_OF_SOURCES ? s->source_count : 1;
}

/* The source's part of a mean over all of them, or 1. */
static double water_share(const nbh_scene *s, int64_t source)
{
    if (!(s->water_factors & NBH_OWN_OF_SOURCES))
        return 1.0;
    return source_of(s, source)[NBH_SOURCE_WEIGHT] / (double)s->source_count;
}

static void set_water_factors(const prepared_scene *p, const scene_tile *tile, int64_t sample,
                              water_factors_tile *out)
{
    const nbh_scene *s = p->scene;
    set_beams(s, tile, sample, &out->beams);
    fill(out->solid_angle, 1.0);
    fill(out->polarization, 1.0);
    fill(out->capture, 1.0);
    if (s->water_factors & NBH_OWN_SOLID_ANGLE)
        set_solid_angle(s, &out->beams, out->solid_angle);
    if (s->water_factors & NBH_OWN_CAPTURE) {
        set_capture(s, &out->beams, 0.0, (double)s->layers, &out->captured);
        EACH_PIXEL
            out->capture[j] = out->captured.above[j] - out->captured.below[j];
    }
    if (!(s->water_factors & NBH_OWN_POLARIZATION))
        return;
    fill(out->polarization, 0.0);
    for (int64_t n = 0; n < water_sources_of(s); n++) {
        const double share = water_share(s, n);
        tile_numbers found;
        set_polarization(s, source_of(s, n), p->frames + n, &out->beams, found);
        EACH_PIXEL
            out->polarization[j] += share * found[j];
    }
}

/* What the water's number and the strength are multiplied with. */
static void set_water(const prepared_scene *p, const scene_tile *tile, tile_numbers out)
{
    const int64_t samples = water_samples_of(p->scene);
    fill(out, 0.0);
    for (int64_t n = 0; n < samples; n++) {
        water_factors_tile found;
        set_water_factors(p, tile, n, &found);
        EACH_PIXEL
            out[j] +=
                found.capture[j] * found.polarization[j] * found.solid_angle[j] / (double)samples;
    }
}

#endif
