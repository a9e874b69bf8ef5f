/* polarization_factors.h - the Kahn polarization factor of several pixels at a time (model 6.6).
 *
 * cos(2 atan2(y, x)) sin^2(2 theta) is x^2 - y^2, off by a bounded absolute error; factors that are
 * not far above it become NaN, for the exact kernel to do.  See docs/accuracy.md. */
#ifndef NBH_FAST_POLARIZATION_FACTORS_H
#define NBH_FAST_POLARIZATION_FACTORS_H

#include <math.h>

#include "fast/lanes.h"
#include "polarization.h"
#include "sources.h"

#define POLARIZATION_ERROR 4e-13 /* relative, of quick_polarization */

/* A factor for the unit vectors d with the model's operations: the bits are the exact kernel's. */
static inline void exact_polarization(double kahn, const double incident[3], const double axis[3],
                                      const lanes dx, const lanes dy, const lanes dz, lanes factor)
{
    EACH_LANE {
        const double d[3] = {dx[j], dy[j], dz[j]};
        factor[j] = polarization_factor(kahn, incident, d, axis);
    }
}

/* The same where kahn is 0: psi does not matter. */
static inline void unpolarized_factor(const double incident[3], const lanes dx, const lanes dy,
                                      const lanes dz, lanes factor)
{
    EACH_LANE {
        const double c = incident[0] * dx[j] + incident[1] * dy[j] + incident[2] * dz[j];
        factor[j] = 0.5 * (1.0 + c * c);
    }
}

/* The same as exact_polarization with a relative error below POLARIZATION_ERROR, or NaN, for a source whose frame is
 * good.  The magnitude of d may be off by 2^-51. */
static inline void quick_polarization(double kahn, const plan_source *source, const lanes dx,
                                      const lanes dy, const lanes dz, lanes factor)
{
    const double *incident = source->incident_unit, *b = source->b, *e = source->e;
    const double smallest = (1.0 + fabs(kahn)) / 64.0;
    EACH_LANE {
        const double c = incident[0] * dx[j] + incident[1] * dy[j] + incident[2] * dz[j];
        const double y = dx[j] * b[0] + dy[j] * b[1] + dz[j] * b[2];
        const double x = dx[j] * e[0] + dy[j] * e[1] + dz[j] * e[2];
        const double f = 0.5 * (1.0 + c * c - kahn * (x * x - y * y));
        factor[j] = f > smallest ? f : NAN;
    }
}

#endif
