/* random.h - the uniform deviates of model 7.1, inline for what draws many of them. */
#ifndef NBH_RANDOM_H
#define NBH_RANDOM_H

#include "nbh/nbh.h"

/* Park-Miller: s -> 16807 s mod (2^31 - 1). */
#define RANDOM_MULTIPLIER 16807
#define RANDOM_MODULUS 2147483647
#define RANDOM_SHUFFLE_SIZE 32
#define RANDOM_SHUFFLE_DIVISOR (1 + (RANDOM_MODULUS - 1) / RANDOM_SHUFFLE_SIZE)

/* One step of the minimal generator, s in 0 .. 2^31; the result is in 0 .. 2^31 - 2.  Of the
 * product p = high * 2^31 + low, p mod (2^31 - 1) is that of high + low, which is below 2 (2^31 -
 * 1). */
static inline int32_t random_step(int64_t s)
{
    const uint64_t product = RANDOM_MULTIPLIER * (uint64_t)s;
    const uint64_t sum = (product >> 31) + (product & RANDOM_MODULUS);
    return (int32_t)(sum >= RANDOM_MODULUS ? sum - RANDOM_MODULUS : sum);
}

/* Fills the shuffle table from a seed that is not positive, or from 1. */
void random_fill_shuffle(nbh_random *state, int32_t *seed);

/* One step of the seed, which takes the place in a filled table of what *y becomes. */
static inline void random_next(nbh_random *state, int32_t *y, int32_t *seed)
{
    *seed = random_step(*seed);
    const uint32_t index = (uint32_t)*y / RANDOM_SHUFFLE_DIVISOR;
    *y = state->shuffle[index];
    state->shuffle[index] = *seed;
}

/* One deviate.  *y and *seed stand for state->y and the seed: in a loop the caller can keep them in
 * registers, and put y back when it is done. */
static inline float random_draw(nbh_random *state, int32_t *y, int32_t *seed)
{
    const double largest = 1.0 - 1.2e-7;
    if (*seed <= 0 || *y <= 0) {
        int32_t filled_from = *seed;
        random_fill_shuffle(state, &filled_from);
        *seed = filled_from;
        *y = state->y;
    }
    random_next(state, y, seed);
    const float value = (float)((1.0 / RANDOM_MODULUS) * *y);
    return (double)value > largest ? (float)largest : value;
}

static inline float random_uniform(nbh_random *state, int32_t *seed)
{
    int32_t y = state->y, s = *seed;
    const float value = random_draw(state, &y, &s);
    state->y = y;
    *seed = s;
    return value;
}

#endif
