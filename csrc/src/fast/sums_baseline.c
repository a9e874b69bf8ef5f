/* sums_baseline.c - sums.h without flags for an instruction set. */
#include "fast/sums_baseline.h"

#include "fast/sums.h"

void fast_sums_baseline(const sums_lattice *lattice, const double *const q[3], double *sum,
                        const sums_tangent *along, double *tangent, const double *weight,
                        sums_gradient *gradient)
{
    sum_tile(lattice, q, sum, along, tangent, weight, gradient);
}
