/* vec3.h - the vector primitives of model 1.  The order of operations is part of the contract:
 * every expression is evaluated left to right as written, without contraction. */
#ifndef NBH_VEC3_H
#define NBH_VEC3_H

#include <math.h>

static inline double vec3_dot(const double x[3], const double y[3])
{
    return x[0] * y[0] + x[1] * y[1] + x[2] * y[2];
}

static inline double vec3_mag(const double v[3])
{
    return sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
}

static inline void vec3_copy(const double v[3], double out[3])
{
    double x = v[0], y = v[1], z = v[2];
    out[0] = x;
    out[1] = y;
    out[2] = z;
}

static inline int vec3_equal(const double x[3], const double y[3])
{
    return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

/* The unit vector along v, or the zero vector; out may be v. */
static inline void vec3_unit(const double v[3], double out[3])
{
    double m = vec3_mag(v);
    if (m == 0.0) {
        out[0] = out[1] = out[2] = 0.0;
        return;
    }
    out[0] = v[0] / m;
    out[1] = v[1] / m;
    out[2] = v[2] / m;
}

static inline void vec3_cross(const double x[3], const double y[3], double out[3])
{
    double r0 = x[1] * y[2] - x[2] * y[1];
    double r1 = x[2] * y[0] - x[0] * y[2];
    double r2 = x[0] * y[1] - x[1] * y[0];
    out[0] = r0;
    out[1] = r1;
    out[2] = r2;
}

static inline void vec3_scale(const double v[3], double s, double out[3])
{
    out[0] = s * v[0];
    out[1] = s * v[1];
    out[2] = s * v[2];
}

/* out may be v. */
static inline void vec3_negate(const double v[3], double out[3])
{
    out[0] = -v[0];
    out[1] = -v[1];
    out[2] = -v[2];
}

/* v with the magnitude `magnitude` (model 1 rescale); out may be v. */
static inline void vec3_rescale(const double v[3], double magnitude, double out[3])
{
    double old = vec3_mag(v);
    if (old <= 0.0)
        old = 1.0;
    out[0] = magnitude / old * v[0];
    out[1] = magnitude / old * v[1];
    out[2] = magnitude / old * v[2];
}

/* Rotation about x, then y, then z; each step is skipped when its angle is 0.  out may be v. */
static inline void vec3_rotate_xyz(const double v[3], const double angles[3], double out[3])
{
    double x = v[0], y = v[1], z = v[2];
    if (angles[0] != 0.0) {
        double c = cos(angles[0]), s = sin(angles[0]);
        double y1 = y * c + z * (-s);
        double z1 = y * s + z * c;
        y = y1;
        z = z1;
    }
    if (angles[1] != 0.0) {
        double c = cos(angles[1]), s = sin(angles[1]);
        double x1 = x * c + y * 0.0 + z * s;
        double z1 = x * (-s) + y * 0.0 + z * c;
        x = x1;
        z = z1;
    }
    if (angles[2] != 0.0) {
        double c = cos(angles[2]), s = sin(angles[2]);
        double x1 = x * c + y * (-s);
        double y1 = x * s + y * c;
        x = x1;
        y = y1;
    }
    out[0] = x;
    out[1] = y;
    out[2] = z;
}

/* Rotation of v about the axis k by phi (model 1 rot_axis); out may be v. */
static inline void vec3_rotate_axis(const double v[3], const double k[3], double phi, double out[3])
{
    double s = sin(phi), c = cos(phi);
    double d = (k[0] * v[0] + k[1] * v[1] + k[2] * v[2]) * (1.0 - c);
    double x = k[0] * d + v[0] * c + (-k[2] * v[1] + k[1] * v[2]) * s;
    double y = k[1] * d + v[1] * c + (k[2] * v[0] - k[0] * v[2]) * s;
    double z = k[2] * d + v[2] * c + (-k[1] * v[0] + k[0] * v[1]) * s;
    out[0] = x;
    out[1] = y;
    out[2] = z;
}

/* The product of a row-major matrix and v (model 1 rot_mat); out may be v. */
static inline void vec3_rotate_matrix(const double v[3], const double u[9], double out[3])
{
    double x = u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
    double y = u[3] * v[0] + u[4] * v[1] + u[5] * v[2];
    double z = u[6] * v[0] + u[7] * v[1] + u[8] * v[2];
    out[0] = x;
    out[1] = y;
    out[2] = z;
}

#endif
