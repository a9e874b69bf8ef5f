/* scene_beams.h - beams to the samples of a tile's pixels, on a plane or a curved detector, and
 * their derivatives (model 6.1, 6.2), for the instruction set of the file that includes this one.
 *
 * Values are computed with the model's operations in its order; derivatives are added to numbers of
 * each pixel, one array for each position of nbh_scene_number. */
#ifndef NBH_FAST_SCENE_BEAMS_H
#define NBH_FAST_SCENE_BEAMS_H

#include <math.h>

#include "fast/lanes.h"
#include "fast/scene_tile.h"

#define EACH_PIXEL for (int j = 0; j < SCENE_TILE; j++)
/* Of radians: the reduction of angles is right below it. */
#define LARGEST_ANGLE 0x1p20

/* Beams from the crystal to one sample of each pixel, numbered in serial order, layers outermost.
 */
typedef struct sample_beams {
    double sub_fast, sub_slow, layer;
    tile_numbers along_fast, along_slow; /* m from the detector's corner */
    tile_numbers length, per_length;     /* R and 1/R, 0 and 1 at the crystal */
    tile_numbers d[3];
    int are_ordinary; /* all lengths */
} sample_beams;

/* Derivatives by a beam's length and direction. */
typedef struct beams_gradient {
    tile_numbers length;
    tile_numbers d[3];
} beams_gradient;

typedef tile_numbers local_numbers[NBH_SCENE_NUMBERS];

/* At the crystal there is no direction: 0.  Elsewhere beams whose length is not ordinary have none
 * because quotients would be wrong: NaN. */
static void mend_beams(sample_beams *b)
{
    EACH_PIXEL {
        const double length = b->length[j];
        if (length >= SMALLEST_ORDINARY && length <= LARGEST_ORDINARY)
            continue;
        b->length[j] = length == 0.0 ? 0.0 : NAN;
        b->per_length[j] = length == 0.0 ? 1.0 : NAN;
        for (int i = 0; i < 3; i++)
            b->d[i][j] = b->length[j];
    }
}

/* Sines and cosines of any angles. */
static void set_sines(const tile_numbers angle, tile_numbers s, tile_numbers c)
{
    int are_small = 1;
    EACH_PIXEL
        are_small &= fabs(angle[j]) < LARGEST_ANGLE;
    if (are_small) {
        EACH_PIXEL {
            const double n = nearest_whole(angle[j] * INVERSE_PI), half = 0.5 * n;
            const double r = less_multiple_of_pi(angle[j], n);
            const double sign = half == nearest_whole(half) ? 1.0 : -1.0;
            s[j] = sign * sine(r);
            c[j] = sign * cosine(r);
        }
    } else {
        EACH_PIXEL {
            s[j] = sin(angle[j]);
            c[j] = cos(angle[j]);
        }
    }
}

static inline double dot3(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static inline void cross3(const double a[3], const double b[3], double out[3])
{
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

/* v turned about k by the angle of a sine and a cosine (model 1). */
static inline void turn(const double v[3], const double k[3], double s, double c, double out[3])
{
    double across[3];
    const double along = dot3(k, v) * (1.0 - c);
    cross3(k, v, across);
    for (int i = 0; i < 3; i++)
        out[i] = k[i] * along + v[i] * c + across[i] * s;
}

/* by: derivatives by the turned vector.  Sets those by v, and adds those by k; returns that by the
 * angle. */
static inline double turn_back(const double v[3], const double k[3], double s, double c,
                               const double by[3], double by_v[3], double by_k[3])
{
    double across[3], pulled[3], moment[3];
    const double kv = dot3(k, v), kg = dot3(k, by);
    cross3(k, v, across);
    cross3(by, k, pulled);
    cross3(v, by, moment);
    for (int i = 0; i < 3; i++) {
        by_v[i] = k[i] * kg * (1.0 - c) + by[i] * c + pulled[i] * s;
        by_k[i] += (1.0 - c) * (kv * by[i] + kg * v[i]) + s * moment[i];
    }
    return s * (kv * kg - dot3(v, by)) + c * dot3(by, across);
}

static inline void column(tile_numbers x[3], int j, double out[3])
{
    for (int i = 0; i < 3; i++)
        out[i] = x[i][j];
}

/* P of the plane; b has what is along its directions. */
static void set_plane(const nbh_scene *s, const sample_beams *b, tile_numbers p[3])
{
    const double *n = s->numbers;
    const double depth = b->layer * n[NBH_SCENE_LAYER];
    for (int i = 0; i < 3; i++) {
        const double f = n[NBH_SCENE_FAST + i], w = n[NBH_SCENE_SLOW + i],
                     o = n[NBH_SCENE_NORMAL + i], d0 = n[NBH_SCENE_ORIGIN + i];
        EACH_PIXEL
            p[i][j] = b->along_fast[j] * f + b->along_slow[j] * w + depth * o + d0;
    }
}

/* Sines and cosines of how far the beam's end is turned about slow and fast, for P of the plane. */
typedef struct turned_angles {
    tile_numbers s_slow, c_slow, s_fast, c_fast;
} turned_angles;

static void set_turned_angles(const nbh_scene *s, tile_numbers p[3], turned_angles *out)
{
    const double distance = s->numbers[NBH_SCENE_DISTANCE];
    tile_numbers angle;
    EACH_PIXEL
        angle[j] = p[1][j] / distance;
    set_sines(angle, out->s_slow, out->c_slow);
    EACH_PIXEL
        angle[j] = p[2][j] / distance;
    set_sines(angle, out->s_fast, out->c_fast);
}

/* P of NBH_SURFACE_TURNED instead of that of the plane. */
static void bend(const nbh_scene *s, tile_numbers p[3])
{
    const double *n = s->numbers;
    turned_angles at;
    double far[3];
    set_turned_angles(s, p, &at);
    for (int i = 0; i < 3; i++)
        far[i] = n[NBH_SCENE_BEAM + i] * n[NBH_SCENE_DISTANCE];
    EACH_PIXEL {
        double once[3], twice[3];
        turn(far, n + NBH_SCENE_SLOW, at.s_slow[j], at.c_slow[j], once);
        turn(once, n + NBH_SCENE_FAST, at.s_fast[j], at.c_fast[j], twice);
        for (int i = 0; i < 3; i++)
            p[i][j] = twice[i];
    }
}

/* From P of NBH_SURFACE_TURNED to that of the plane, in place. */
static void add_bend_gradient(const nbh_scene *s, const sample_beams *b, tile_numbers by[3],
                              local_numbers local)
{
    const double *n = s->numbers;
    const double distance = n[NBH_SCENE_DISTANCE];
    tile_numbers p[3];
    turned_angles at;
    double far[3];
    set_plane(s, b, p);
    set_turned_angles(s, p, &at);
    for (int i = 0; i < 3; i++)
        far[i] = n[NBH_SCENE_BEAM + i] * distance;
    EACH_PIXEL {
        double once[3], own[3], by_once[3], by_far[3];
        double by_fast[3] = {0.0, 0.0, 0.0}, by_slow[3] = {0.0, 0.0, 0.0};
        column(by, j, own);
        turn(far, n + NBH_SCENE_SLOW, at.s_slow[j], at.c_slow[j], once);
        const double z =
            turn_back(once, n + NBH_SCENE_FAST, at.s_fast[j], at.c_fast[j], own, by_once, by_fast);
        const double y = turn_back(far, n + NBH_SCENE_SLOW, at.s_slow[j], at.c_slow[j], by_once,
                                   by_far, by_slow);
        for (int i = 0; i < 3; i++) {
            local[NBH_SCENE_FAST + i][j] += by_fast[i];
            local[NBH_SCENE_SLOW + i][j] += by_slow[i];
            local[NBH_SCENE_BEAM + i][j] += by_far[i] * distance;
        }
        local[NBH_SCENE_DISTANCE][j] +=
            dot3(by_far, n + NBH_SCENE_BEAM) - (y * p[1][j] + z * p[2][j]) / (distance * distance);
        by[0][j] = 0.0;
        by[1][j] = y / distance;
        by[2][j] = z / distance;
    }
}

/* A sphere's point: arcs u, w from the beam centre, over the distance, and what they make. */
typedef struct sphere_point {
    double u, w, rho, along; /* along: of the arc on the beam */
    double arc[3], outwards[3];
    double length; /* of what is across the beam; 1 at the tip, */
    int is_tip;    /* where that is 0 */
} sphere_point;

static inline sphere_point sphere_point_of(const nbh_scene *s, double along_fast, double along_slow)
{
    const double *n = s->numbers, distance = n[NBH_SCENE_DISTANCE];
    const double *f = n + NBH_SCENE_FAST, *slow = n + NBH_SCENE_SLOW, *beam = n + NBH_SCENE_BEAM;
    sphere_point at;
    at.u = (along_fast - n[NBH_SCENE_BEAM_FAST]) / distance;
    at.w = (along_slow - n[NBH_SCENE_BEAM_SLOW]) / distance;
    at.rho = sqrt(at.u * at.u + at.w * at.w);
    for (int i = 0; i < 3; i++)
        at.arc[i] = at.u * f[i] + at.w * slow[i];
    at.along = dot3(at.arc, beam);
    for (int i = 0; i < 3; i++)
        at.outwards[i] = at.arc[i] - beam[i] * at.along;
    at.length = sqrt(dot3(at.outwards, at.outwards));
    at.is_tip = at.length == 0.0;
    at.length = at.is_tip ? 1.0 : at.length;
    for (int i = 0; i < 3; i++)
        at.outwards[i] /= at.length;
    return at;
}

static void set_sphere(const nbh_scene *s, const sample_beams *b, tile_numbers p[3])
{
    const double *beam = s->numbers + NBH_SCENE_BEAM;
    const double radius = s->numbers[NBH_SCENE_DISTANCE] + b->layer * s->numbers[NBH_SCENE_LAYER];
    tile_numbers rho, aside, ahead;
    EACH_PIXEL
        rho[j] = sphere_point_of(s, b->along_fast[j], b->along_slow[j]).rho;
    set_sines(rho, aside, ahead);
    EACH_PIXEL {
        const sphere_point at = sphere_point_of(s, b->along_fast[j], b->along_slow[j]);
        const double across = at.is_tip ? 1.0 : aside[j];
        for (int i = 0; i < 3; i++)
            p[i][j] = radius * (ahead[j] * beam[i] + across * at.outwards[i]);
    }
}

/* From P to the sphere's numbers; sets derivatives by what is along fast and slow. */
static void add_sphere_gradient(const nbh_scene *s, const sample_beams *b, tile_numbers by[3],
                                local_numbers local, tile_numbers by_fast, tile_numbers by_slow)
{
    const double *n = s->numbers, *beam = n + NBH_SCENE_BEAM;
    const double distance = n[NBH_SCENE_DISTANCE];
    const double radius = distance + b->layer * n[NBH_SCENE_LAYER];
    tile_numbers rho, aside, ahead;
    EACH_PIXEL
        rho[j] = sphere_point_of(s, b->along_fast[j], b->along_slow[j]).rho;
    set_sines(rho, aside, ahead);
    EACH_PIXEL {
        const sphere_point at = sphere_point_of(s, b->along_fast[j], b->along_slow[j]);
        const double across = at.is_tip ? 1.0 : aside[j];
        double own[3], by_outwards[3];
        column(by, j, own);
        const double along_beam = dot3(own, beam), along_out = dot3(own, at.outwards);
        const double by_radius = ahead[j] * along_beam + across * along_out;
        /* sin(rho)/rho is 1 at 0 */
        const double sinc = at.rho == 0.0 ? 1.0 : aside[j] / at.rho;
        double by_rho_over_rho = -radius * along_beam * sinc;
        if (!at.is_tip)
            by_rho_over_rho += radius * along_out * ahead[j] / (at.rho == 0.0 ? 1.0 : at.rho);
        for (int i = 0; i < 3; i++)
            by_outwards[i] = radius * across / at.length *
                             (own[i] - (at.is_tip ? 0.0 : at.outwards[i] * along_out));
        const double by_along = dot3(by_outwards, beam);
        double u = by_rho_over_rho * at.u, w = by_rho_over_rho * at.w;
        for (int i = 0; i < 3; i++) {
            const double by_arc = by_outwards[i] - beam[i] * by_along;
            u += by_arc * n[NBH_SCENE_FAST + i];
            w += by_arc * n[NBH_SCENE_SLOW + i];
            local[NBH_SCENE_FAST + i][j] += by_arc * at.u;
            local[NBH_SCENE_SLOW + i][j] += by_arc * at.w;
            local[NBH_SCENE_BEAM + i][j] +=
                radius * ahead[j] * own[i] - by_outwards[i] * at.along - by_along * at.arc[i];
        }
        by_fast[j] = u / distance;
        by_slow[j] = w / distance;
        local[NBH_SCENE_BEAM_FAST][j] -= by_fast[j];
        local[NBH_SCENE_BEAM_SLOW][j] -= by_slow[j];
        local[NBH_SCENE_DISTANCE][j] += by_radius - by_fast[j] * at.u - by_slow[j] * at.w;
        local[NBH_SCENE_LAYER][j] += by_radius * b->layer;
    }
}

/* P of all of a tile's samples of one number. */
static void set_positions(const nbh_scene *s, const sample_beams *b, tile_numbers p[3])
{
    switch ((nbh_detector_surface)s->surface) {
    case NBH_SURFACE_PLANE:
        set_plane(s, b, p);
        break;
    case NBH_SURFACE_TURNED:
        set_plane(s, b, p);
        bend(s, p);
        break;
    case NBH_SURFACE_SPHERE:
        set_sphere(s, b, p);
        break;
    }
}

static void set_beams(const nbh_scene *s, const scene_tile *tile, int64_t sample, sample_beams *out)
{
    const int64_t edge = s->oversample, row = sample / edge, layer = row / edge;
    const double per_edge = (double)edge;
    out->sub_fast = (double)(sample % edge);
    out->sub_slow = (double)(row % edge);
    out->layer = (double)layer;
    const double width = s->numbers[NBH_SCENE_PIXEL] / per_edge, half_width = width / 2.0;
    const double height = s->numbers[NBH_SCENE_PIXEL_SLOW] / per_edge, half_height = height / 2.0;
    tile_numbers p[3];
    int are_ordinary = 1;
    EACH_PIXEL {
        out->along_fast[j] = width * (tile->fast[j] * per_edge + out->sub_fast) + half_width;
        out->along_slow[j] = height * (tile->slow[j] * per_edge + out->sub_slow) + half_height;
    }
    set_positions(s, out, p);
    EACH_PIXEL {
        const double x = p[0][j], y = p[1][j], z = p[2][j];
        const double length = sqrt(x * x + y * y + z * z);
        const double per_length = 1.0 / length;
        are_ordinary &= (length >= SMALLEST_ORDINARY) & (length <= LARGEST_ORDINARY);
        out->length[j] = length;
        out->per_length[j] = per_length;
        out->d[0][j] = quotient(x, length, per_length);
        out->d[1][j] = quotient(y, length, per_length);
        out->d[2][j] = quotient(z, length, per_length);
    }
    out->are_ordinary = are_ordinary;
    if (!are_ordinary)
        mend_beams(out);
}

/* From P of the plane; sets derivatives by what is along fast and slow. */
static void add_plane_gradient(const nbh_scene *s, const sample_beams *b, tile_numbers by[3],
                               local_numbers local, tile_numbers by_fast, tile_numbers by_slow)
{
    const double *n = s->numbers;
    const double *f = n + NBH_SCENE_FAST, *w = n + NBH_SCENE_SLOW, *o = n + NBH_SCENE_NORMAL;
    const double depth = b->layer * n[NBH_SCENE_LAYER];
    for (int i = 0; i < 3; i++) {
        const double *p = by[i];
        EACH_PIXEL {
            local[NBH_SCENE_FAST + i][j] += p[j] * b->along_fast[j];
            local[NBH_SCENE_SLOW + i][j] += p[j] * b->along_slow[j];
            local[NBH_SCENE_ORIGIN + i][j] += p[j];
        }
    }
    EACH_PIXEL {
        const double x = by[0][j], y = by[1][j], z = by[2][j];
        by_fast[j] = x * f[0] + y * f[1] + z * f[2];
        by_slow[j] = x * w[0] + y * w[1] + z * w[2];
    }
    if (b->layer == 0.0)
        return;
    for (int i = 0; i < 3; i++) {
        const double *p = by[i];
        EACH_PIXEL {
            local[NBH_SCENE_NORMAL + i][j] += p[j] * depth;
            local[NBH_SCENE_LAYER][j] += p[j] * o[i] * b->layer;
        }
    }
}

/* From length and direction to the detector. */
static void add_beams_gradient(const nbh_scene *s, const scene_tile *tile, const sample_beams *b,
                               const beams_gradient *by, local_numbers local)
{
    const double per_edge = (double)s->oversample;
    tile_numbers position[3], by_fast, by_slow;
    EACH_PIXEL {
        const double per_length = b->per_length[j];
        const double along =
            (b->d[0][j] * by->d[0][j] + b->d[1][j] * by->d[1][j] + b->d[2][j] * by->d[2][j]) *
                per_length -
            by->length[j];
        for (int i = 0; i < 3; i++)
            position[i][j] = by->d[i][j] * per_length - b->d[i][j] * along;
    }
    switch ((nbh_detector_surface)s->surface) {
    case NBH_SURFACE_PLANE:
        add_plane_gradient(s, b, position, local, by_fast, by_slow);
        break;
    case NBH_SURFACE_TURNED:
        add_bend_gradient(s, b, position, local);
        add_plane_gradient(s, b, position, local, by_fast, by_slow);
        break;
    case NBH_SURFACE_SPHERE:
        add_sphere_gradient(s, b, position, local, by_fast, by_slow);
        break;
    }
    EACH_PIXEL {
        const double u = (tile->fast[j] * per_edge + b->sub_fast + 0.5) / per_edge;
        const double v = (tile->slow[j] * per_edge + b->sub_slow + 0.5) / per_edge;
        local[NBH_SCENE_PIXEL][j] += by_fast[j] * u;
        local[NBH_SCENE_PIXEL_SLOW][j] += by_slow[j] * v;
    }
}

#endif
