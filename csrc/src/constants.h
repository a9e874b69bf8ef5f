/* constants.h - numbers of model 2, and pi, which strict C99 does not name. */
#ifndef NBH_CONSTANTS_H
#define NBH_CONSTANTS_H

#define PI 3.14159265358979323846
#define INVERSE_PI 0.31830988618379067154
#define DEGREES_PER_RADIAN (180.0 * INVERSE_PI)

#define R_E_SQR_M2 7.94079248018965e-30 /* classical electron radius, squared */
#define AVOGADRO_PER_MOL 6.02214179e23
#define WATER_F_ELECTRONS 2.57
#define WATER_G_PER_MOL 18.0

#endif
