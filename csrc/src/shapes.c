#include "shapes.h"

double nbh_sincg(double x, double n)
{
    return shape_sincg(x, n);
}

double nbh_sinc3(double x)
{
    return shape_sinc3(x);
}
