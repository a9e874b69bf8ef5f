#include "polarization.h"

#include "nbh/nbh.h"
#include "vec3.h"

double polarization_factor(double kahn, const double incident[3], const double diffracted[3],
                           const double axis[3])
{
    double cos_2theta = vec3_dot(incident, diffracted);
    double cos_2theta_sqr = cos_2theta * cos_2theta;
    double sin_2theta_sqr = 1 - cos_2theta_sqr;

    if (kahn == 0.0) /* psi = 0: the last term is exactly 0 */
        return 0.5 * (1.0 + cos_2theta_sqr);

    double b[3], e[3];
    vec3_cross(axis, incident, b);
    vec3_unit(b, b);
    vec3_cross(incident, b, e);
    vec3_unit(e, e);
    const double psi = -atan2(vec3_dot(diffracted, b), vec3_dot(diffracted, e));
    return 0.5 * (1.0 + cos_2theta_sqr - kahn * cos(2 * psi) * sin_2theta_sqr);
}

double nbh_polarization(double kahn, double incident[3], double diffracted[3], double axis[3])
{
    vec3_unit(incident, incident);
    vec3_unit(diffracted, diffracted);
    vec3_unit(axis, axis);
    return polarization_factor(kahn, incident, diffracted, axis);
}
