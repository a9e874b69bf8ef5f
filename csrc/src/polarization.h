/* polarization.h - the Kahn polarization factor (model 6.6). */
#ifndef NBH_POLARIZATION_H
#define NBH_POLARIZATION_H

/* The factor for unit vectors; model 6.6 makes them units first, see nbh_polarization. */
double polarization_factor(double kahn, const double incident[3], const double diffracted[3],
                           const double axis[3]);

#endif
