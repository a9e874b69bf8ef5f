#include "shapes.h"

void shape_set(nbh_shape shape, crystal_shape *s)
{
    switch (shape) {
    case NBH_SHAPE_SQUARE:
        s->profile = PROFILE_INTERFERENCE;
        s->metric = METRIC_HKL;
        break;
    case NBH_SHAPE_ROUND:
        s->profile = PROFILE_SPHERE;
        s->metric = METRIC_HKL;
        break;
    case NBH_SHAPE_GAUSS:
        s->profile = PROFILE_GAUSSIAN;
        s->metric = METRIC_RECIPROCAL;
        break;
    case NBH_SHAPE_TOPHAT:
        s->profile = PROFILE_TOP_HAT;
        s->metric = METRIC_RECIPROCAL;
        break;
    case NBH_SHAPE_GAUSS_HKL:
        s->profile = PROFILE_GAUSSIAN;
        s->metric = METRIC_HKL;
        break;
    case NBH_SHAPE_TOPHAT_HKL:
        s->profile = PROFILE_TOP_HAT;
        s->metric = METRIC_HKL;
        break;
    }
}

int shape_has_poles(const crystal_shape *s)
{
    switch (s->profile) {
    case PROFILE_INTERFERENCE:
        for (int i = 0; i < 3; i++)
            if (s->n_cells[i] > 1.0 && floor(s->n_cells[i]) != s->n_cells[i])
                return 1;
        return 0;
    case PROFILE_SPHERE:
    case PROFILE_GAUSSIAN:
    case PROFILE_TOP_HAT:
        return 0;
    }
    return 0;
}

double nbh_sincg(double x, double n)
{
    return shape_sincg(x, n);
}

double nbh_sinc3(double x)
{
    return shape_sinc3(x);
}
