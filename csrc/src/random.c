/* random.c - the random generator and what is drawn from it directly (model 7.1 to 7.3). */
#include "random.h"

#include <math.h>
#include <string.h>

#include "constants.h"

#define WARM_UP_STEPS 40

void nbh_random_init(nbh_random *state)
{
    memset(state, 0, sizeof *state);
}

void random_fill_shuffle(nbh_random *state, int32_t *seed)
{
    int64_t s = *seed < 0 ? -(int64_t)*seed : 1;
    for (int i = WARM_UP_STEPS - 1; i >= 0; i--) {
        s = random_step(s);
        if (i < RANDOM_SHUFFLE_SIZE)
            state->shuffle[i] = (int32_t)s;
    }
    *seed = (int32_t)s;
    state->y = state->shuffle[0];
    if (state->drops_first) /* C-PARITY-034 off: the first one has picked itself */
        random_next(state, &state->y, seed);
}

float nbh_uniform_deviate(nbh_random *state, int32_t *seed)
{
    return random_uniform(state, seed);
}

void nbh_random_rotation(nbh_random *state, int32_t *seed, float spread_rad, double matrix[9])
{
    double r1 = 2.0 * nbh_uniform_deviate(state, seed) - 1.0;
    double r2 = 2.0 * nbh_uniform_deviate(state, seed) - 1.0;
    double r3 = 2.0 * nbh_uniform_deviate(state, seed) - 1.0;

    double xy = sqrt(1.0 - r2 * r2);
    float rot = spread_rad * powf((float)(1.0 - r3 * r3), (float)(1.0 / 3.0));
    double v1 = xy * sin(PI * r1);
    double v2 = xy * cos(PI * r1);
    double v3 = r2;

    double t1 = cos((double)rot);
    double t2 = 1.0 - t1;
    double t6 = t2 * v1;
    double t7 = t6 * v2;
    double t8 = sin((double)rot);
    double t9 = t8 * v3;
    double t11 = t6 * v3;
    double t12 = t8 * v2;
    double t19 = t2 * v2 * v3;
    double t20 = t8 * v1;

    matrix[0] = t1 + t2 * (v1 * v1);
    matrix[1] = t7 - t9;
    matrix[2] = t11 + t12;
    matrix[3] = t7 + t9;
    matrix[4] = t1 + t2 * (v2 * v2);
    matrix[5] = t19 - t20;
    matrix[6] = t11 - t12;
    matrix[7] = t19 + t20;
    matrix[8] = t1 + t2 * (v3 * v3);
}

/* Divides each row by its length.  Done twice below: once does not always reach the fixed point. */
static void normalise_rows(double u[9])
{
    for (int i = 0; i < 9; i += 3) {
        double length = sqrt(u[i] * u[i] + u[i + 1] * u[i + 1] + u[i + 2] * u[i + 2]);
        u[i] = u[i] / length;
        u[i + 1] = u[i + 1] / length;
        u[i + 2] = u[i + 2] / length;
    }
}

void nbh_rotation_angles(const double matrix[9], double angles_rad[3])
{
    double u[9];
    memcpy(u, matrix, sizeof u);
    normalise_rows(u);
    normalise_rows(u);
    if (u[6] * u[6] < 1.0) {
        angles_rad[0] = atan2(u[7], u[8]);
        angles_rad[1] = atan2(-u[6], sqrt(u[7] * u[7] + u[8] * u[8]));
        angles_rad[2] = atan2(u[3], u[0]);
    } else { /* the y rotation is a right angle: x and z turn about the same axis */
        angles_rad[0] = atan2(1.0, 1.0) * 4.0;
        angles_rad[1] = atan2(1.0, 1.0) * 2.0;
        angles_rad[2] = atan2(u[1], -u[4]);
    }
}
