/* scene_geometry.h - factors of the beams to samples of a tile's pixels, their scattering vectors,
 * and the derivatives (model 6.2, 6.3, 6.6), for the instruction set of the file that includes this
 * one.
 *
 * Values are computed with the model's operations in its order; derivatives are added to numbers of
 * each pixel, one array for each position of nbh_scene_number. */
#ifndef NBH_FAST_SCENE_GEOMETRY_H
#define NBH_FAST_SCENE_GEOMETRY_H

#include <math.h>
#include <string.h>

#include "fast/lanes.h"
#include "fast/scene_beams.h"
#include "fast/scene_tile.h"

/* Of |x|: exponential(x) is right below it. */
#define LARGEST_EXPONENT 690.0

/* Solid angle of a pixel, steradian (model 6.2). */
static void set_solid_angle(const nbh_scene *s, const sample_beams *b, tile_numbers out)
{
    const double close = s->numbers[NBH_SCENE_CLOSE];
    const double pixel_area = s->numbers[NBH_SCENE_PIXEL] * s->numbers[NBH_SCENE_PIXEL_SLOW];
    const double area = s->has_pixel_area ? pixel_area : 1.0;
    const int is_oblique = s->is_oblique;
    EACH_PIXEL {
        const double length = b->length[j], per_length = b->per_length[j];
        const double facing = quotient(quotient(area, length, per_length), length, per_length);
        const double oblique = quotient(facing * close, length, per_length);
        out[j] = is_oblique ? oblique : facing;
    }
    if (b->are_ordinary)
        return;
    EACH_PIXEL
        out[j] = b->length[j] == 0.0 ? INFINITY : out[j];
}

/* by_factor: derivatives by the solid angles. */
static void add_solid_angle_gradient(const nbh_scene *s, const sample_beams *b,
                                     const tile_numbers by_factor, beams_gradient *by,
                                     local_numbers local)
{
    const double close = s->numbers[NBH_SCENE_CLOSE];
    const double along_fast = s->numbers[NBH_SCENE_PIXEL],
                 along_slow = s->numbers[NBH_SCENE_PIXEL_SLOW];
    const double area = s->has_pixel_area ? along_fast * along_slow : 1.0;
    const double has_area = s->has_pixel_area ? 1.0 : 0.0;
    const double power = s->is_oblique ? -3.0 : -2.0;
    EACH_PIXEL {
        const double per_length = b->length[j] == 0.0 ? INFINITY : b->per_length[j];
        const double per_sqr = per_length * per_length;
        const double facing = s->is_oblique ? close * per_length : 1.0, w = by_factor[j] * per_sqr;
        by->length[j] += w * area * facing * power * per_length;
        local[NBH_SCENE_PIXEL][j] += w * has_area * along_slow * facing;
        local[NBH_SCENE_PIXEL_SLOW][j] += w * has_area * along_fast * facing;
        local[NBH_SCENE_CLOSE][j] += s->is_oblique ? w * area * per_length : 0.0;
    }
}

/* The part of the photons that is absorbed between two depths (model 6.2): what reaches its top
 * less what reaches its bottom. */
typedef struct layer_capture {
    double top, bottom; /* in layers */
    tile_numbers slant; /* cosine between beam and normal */
    tile_numbers above, below;
} layer_capture;

static void set_exponentials(tile_numbers x)
{
    int are_ordinary = 1;
    EACH_PIXEL
        are_ordinary &= fabs(x[j]) < LARGEST_EXPONENT;
    if (are_ordinary) {
        EACH_PIXEL
            x[j] = exponential(x[j]);
    } else {
        EACH_PIXEL
            x[j] = exp(x[j]);
    }
}

static void set_capture(const nbh_scene *s, const sample_beams *b, double from, double to,
                        layer_capture *out)
{
    const double *o = s->numbers + NBH_SCENE_NORMAL;
    const double step = s->numbers[NBH_SCENE_LAYER], mu = s->numbers[NBH_SCENE_ATTENUATION];
    const double top = -from * step * mu, bottom = -to * step * mu;
    const int faces = s->faces_sample;
    out->top = from;
    out->bottom = to;
    EACH_PIXEL {
        const double along = b->d[0][j] * o[0] + b->d[1][j] * o[1] + b->d[2][j] * o[2];
        const double slant = faces ? 1.0 : along;
        out->slant[j] = slant;
        out->above[j] = top / slant;
        out->below[j] = bottom / slant;
    }
    set_exponentials(out->above);
    set_exponentials(out->below);
}

static void add_capture_gradient(const nbh_scene *s, const sample_beams *b, const layer_capture *c,
                                 const tile_numbers by_factor, beams_gradient *by,
                                 local_numbers local)
{
    const double *o = s->numbers + NBH_SCENE_NORMAL;
    const double step = s->numbers[NBH_SCENE_LAYER], mu = s->numbers[NBH_SCENE_ATTENUATION];
    EACH_PIXEL {
        const double per_slant = 1.0 / c->slant[j];
        /* by the optical depth of one layer */
        const double by_depth = by_factor[j] * (c->bottom * c->below[j] - c->top * c->above[j]);
        const double by_slant =
            s->faces_sample ? 0.0 : -by_depth * step * mu * per_slant * per_slant;
        local[NBH_SCENE_LAYER][j] += by_depth * mu * per_slant;
        local[NBH_SCENE_ATTENUATION][j] += by_depth * step * per_slant;
        for (int i = 0; i < 3; i++) {
            by->d[i][j] += by_slant * o[i];
            local[NBH_SCENE_NORMAL + i][j] += by_slant * b->d[i][j];
        }
    }
}

/* The polarization factor (model 6.6), with (d.E)^2 - (d.B)^2 for cos(2 psi) sin^2(2 theta), which
 * is smooth where psi is not defined. */
static void set_polarization(const nbh_scene *s, const double *incident,
                             const polarization_frame *frame, const sample_beams *b,
                             tile_numbers out)
{
    const double kahn = s->numbers[NBH_SCENE_KAHN];
    const double *pb = frame->along_b, *pe = frame->along_e;
    EACH_PIXEL {
        const double x = b->d[0][j], y = b->d[1][j], z = b->d[2][j];
        const double c = incident[0] * x + incident[1] * y + incident[2] * z, c2 = c * c;
        const double e = x * pe[0] + y * pe[1] + z * pe[2], a = x * pb[0] + y * pb[1] + z * pb[2];
        const double split = frame->has_axis ? e * e - a * a : 1.0 - c2;
        out[j] = 0.5 * (1.0 + c2 - kahn * split);
    }
}

/* Also sets derivatives by the incident direction and by the frame. */
static void add_polarization_gradient(const nbh_scene *s, const double *incident,
                                      const polarization_frame *frame, const sample_beams *b,
                                      const tile_numbers by_factor, beams_gradient *by,
                                      local_numbers local, tile_numbers by_incident[3],
                                      tile_numbers by_frame[FRAME_NUMBERS])
{
    const double kahn = s->numbers[NBH_SCENE_KAHN];
    const double *pb = frame->along_b, *pe = frame->along_e;
    const double has_axis = frame->has_axis ? 1.0 : 0.0;
    EACH_PIXEL {
        const double x = b->d[0][j], y = b->d[1][j], z = b->d[2][j], w = by_factor[j];
        const double c = incident[0] * x + incident[1] * y + incident[2] * z;
        const double e = x * pe[0] + y * pe[1] + z * pe[2], a = x * pb[0] + y * pb[1] + z * pb[2];
        const double split = has_axis * (e * e - a * a) + (1.0 - has_axis) * (1.0 - c * c);
        const double wc = w * c * (1.0 + (1.0 - has_axis) * kahn);
        const double we = -has_axis * w * kahn * e, wa = has_axis * w * kahn * a;
        local[NBH_SCENE_KAHN][j] -= 0.5 * w * split;
        for (int i = 0; i < 3; i++) {
            by->d[i][j] += wc * incident[i] + we * pe[i] + wa * pb[i];
            by_incident[i][j] = wc * b->d[i][j];
            by_frame[FRAME_E + i][j] = we * b->d[i][j];
            by_frame[FRAME_B + i][j] = wa * b->d[i][j];
        }
    }
}

/* Scattering vectors of a source, and which of them the resolution limit leaves (1, else 0). */
static void set_scattering(const nbh_scene *s, const double *source, const sample_beams *b,
                           tile_numbers q[3], tile_numbers is_left)
{
    const double *incident = source + NBH_SOURCE_INCIDENT;
    const double wavelength = source[NBH_SOURCE_WAVELENGTH], dmin = s->dmin_m;
    const double per_wavelength = 1.0 / wavelength;
    for (int i = 0; i < 3; i++)
        EACH_PIXEL
            q[i][j] = quotient(b->d[i][j] - incident[i], wavelength, per_wavelength);
    if (!(dmin > 0.0)) {
        EACH_PIXEL
            is_left[j] = 1.0;
        return;
    }
    EACH_PIXEL {
        const double stol = 0.5 * sqrt(q[0][j] * q[0][j] + q[1][j] * q[1][j] + q[2][j] * q[2][j]);
        is_left[j] = ((stol > 0.0) & (dmin > 0.5 / stol)) ? 0.0 : 1.0;
    }
}

#endif
