#include "vec3.h"

#include "nbh/nbh.h"

void nbh_unit(const double v[3], double out[3])
{
    vec3_unit(v, out);
}

void nbh_rotate_xyz(const double v[3], const double angles_rad[3], double out[3])
{
    vec3_rotate_xyz(v, angles_rad, out);
}

void nbh_rotate_axis(const double v[3], const double axis[3], double phi_rad, double out[3])
{
    vec3_rotate_axis(v, axis, phi_rad, out);
}
