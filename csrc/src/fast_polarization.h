/* fast_polarization.h - the Kahn polarization factor of several pixels at a time (model 6.6).
 *
 * cos(2 atan2(y, x)) is (x^2 - y^2) / (x^2 + y^2), off by a bounded absolute error; factors that
 * are not far above it become NaN, for the exact kernel to do.  See docs/accuracy.md. */
#ifndef NBH_FAST_POLARIZATION_H
#define NBH_FAST_POLARIZATION_H

#include <math.h>

#include "fast_lanes.h"
#include "polarization.h"
#include "vec3.h"

#define POLARIZATION_ERROR 2e-13 /* relative, of quick_polarization */

/* A factor for the unit vectors d with the model's operations: the bits are the exact kernel's. */
static inline void exact_polarization(double kahn, const double incident[3], const double axis[3],
                                      const lanes dx, const lanes dy, const lanes dz, lanes factor)
{
    EACH_LANE {
        const double d[3] = {dx[j], dy[j], dz[j]};
        factor[j] = polarization_factor(kahn, incident, d, axis);
    }
}

/* The same with a relative error below POLARIZATION_ERROR, or NaN. */
static inline void quick_polarization(double kahn, const double incident[3], const double axis[3],
                                      const lanes dx, const lanes dy, const lanes dz, lanes factor)
{
    if (kahn == 0.0) { /* the bits are the exact kernel's */
        EACH_LANE {
            const double c = incident[0] * dx[j] + incident[1] * dy[j] + incident[2] * dz[j];
            factor[j] = 0.5 * (1.0 + c * c);
        }
        return;
    }
    const double smallest = (1.0 + fabs(kahn)) / 64.0;
    double b[3], e[3];
    vec3_cross(axis, incident, b);
    vec3_unit(b, b);
    vec3_cross(incident, b, e);
    vec3_unit(e, e);
    EACH_LANE {
        const double c = incident[0] * dx[j] + incident[1] * dy[j] + incident[2] * dz[j];
        const double y = dx[j] * b[0] + dy[j] * b[1] + dz[j] * b[2];
        const double x = dx[j] * e[0] + dy[j] * e[1] + dz[j] * e[2];
        const double cos_2psi = (x * x - y * y) / (x * x + y * y);
        const double f = 0.5 * (1.0 + c * c - kahn * cos_2psi * (1.0 - c * c));
        factor[j] = f > smallest ? f : NAN;
    }
}

#endif
