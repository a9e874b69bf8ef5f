/* peak_rate.c - how many floating-point operations a second one core does in vector registers.
 *
 * Prints operations of one lane per nanosecond; a fused multiply-add counts once.  LANES doubles
 * make a vector; compiled once for each instruction set by roofline.py.  Without FMA every second
 * operation is a multiplication, every other an addition. */
#include <stdio.h>
#include <time.h>

#if !defined(LANES)
#define LANES 2
#endif

typedef double vector __attribute__((vector_size(8 * LANES)));

enum { CHAINS = 12, LOOPS = 2000000, TRIES = 15 };

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int main(void)
{
    vector x[CHAINS];
    vector factor = {0}, term = {0};
    double best = 1e9;
    for (int j = 0; j < LANES; j++) {
        factor[j] = 0.999999;
        term[j] = 1e-6;
    }
    for (int i = 0; i < CHAINS; i++)
        x[i] = term * (double)(i + 1);
    for (int try = 0; try < TRIES; try++) {
        const double start = seconds();
        for (int n = 0; n < LOOPS; n++) {
#pragma GCC unroll 16
            for (int i = 0; i < CHAINS; i++)
                x[i] = x[i] * factor + term;
        }
        const double taken = seconds() - start;
        best = taken < best ? taken : best;
    }
    double sum = 0.0;
    for (int i = 0; i < CHAINS; i++)
        for (int j = 0; j < LANES; j++)
            sum += x[i][j];
#ifdef __FMA__
    const double operations = 1.0;
#else
    const double operations = 2.0;
#endif
    printf("%.6g\n", operations * CHAINS * LANES * (double)LOOPS / best * 1e-9);
    return !(sum > 0.0);
}
