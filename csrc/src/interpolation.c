#include "interpolation.h"

#include <math.h>

#include "nbh/nbh.h"

/* The cubic through (x[j], y[j]) at x0. */
static double lagrange(const double x[4], const double y[4], double x0)
{
    double t0 = (x0 - x[1]) * (x0 - x[2]) * (x0 - x[3]) * y[0] /
                ((x[0] - x[1]) * (x[0] - x[2]) * (x[0] - x[3]));
    double t1 = (x0 - x[0]) * (x0 - x[2]) * (x0 - x[3]) * y[1] /
                ((x[1] - x[0]) * (x[1] - x[2]) * (x[1] - x[3]));
    double t2 = (x0 - x[0]) * (x0 - x[1]) * (x0 - x[3]) * y[2] /
                ((x[2] - x[0]) * (x[2] - x[1]) * (x[2] - x[3]));
    double t3 = (x0 - x[0]) * (x0 - x[1]) * (x0 - x[2]) * y[3] /
                ((x[3] - x[0]) * (x[3] - x[1]) * (x[3] - x[2]));
    return t0 + t1 + t2 + t3;
}

static void nodes_around(double floor_value, double nodes[4])
{
    for (int i = 0; i < 4; i++)
        nodes[i] = floor_value + (i - 1);
}

double interpolate_tricubic(double h, double k, double l, double h_floor, double k_floor,
                            double l_floor, const double *at, int64_t h_stride, int64_t k_stride)
{
    double h_nodes[4], k_nodes[4], l_nodes[4], planes[4];
    nodes_around(h_floor, h_nodes);
    nodes_around(k_floor, k_nodes);
    nodes_around(l_floor, l_nodes);
    for (int ih = 0; ih < 4; ih++) {
        double rows[4];
        for (int ik = 0; ik < 4; ik++)
            rows[ik] = lagrange(l_nodes, at + ih * h_stride + ik * k_stride, l);
        planes[ih] = lagrange(k_nodes, rows, k);
    }
    return lagrange(h_nodes, planes, h);
}

double nbh_interpolate_tricubic(double h, double k, double l, const double values[64])
{
    return interpolate_tricubic(h, k, l, floor(h), floor(k), floor(l), values, 16, 4);
}
