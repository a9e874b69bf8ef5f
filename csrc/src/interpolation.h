/* interpolation.h - 4-point Lagrange interpolation of structure factors (model 6.7). */
#ifndef NBH_INTERPOLATION_H
#define NBH_INTERPOLATION_H

#include <stdint.h>

/* Value at (h, k, l) of the table values[(ih*k_count + ik)*l_count + il] around the node
 * (h_floor, k_floor, l_floor); `at` points to the entry (h_floor-1, k_floor-1, l_floor-1), and
 * h_stride, k_stride are the distances between planes and rows. */
double interpolate_tricubic(double h, double k, double l, double h_floor, double k_floor,
                            double l_floor, const double *at, int64_t h_stride, int64_t k_stride);

#endif
