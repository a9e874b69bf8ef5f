/* bytes.h - numbers made of a fuzzer's bytes.  What is left out is 0, so that a short input is a
 * plain case: of every number the first choice is its default. */
#ifndef NBH_FUZZ_BYTES_H
#define NBH_FUZZ_BYTES_H

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nbh/nbh.h"

typedef struct bytes {
    const uint8_t *at;
    const uint8_t *end;
} bytes;

/* A finding: libFuzzer keeps the input of a program that aborts. */
#define FINDING(...)                                                                               \
    do {                                                                                           \
        fprintf(stderr, "FINDING: " __VA_ARGS__);                                                  \
        fputc('\n', stderr);                                                                       \
        abort();                                                                                   \
    } while (0)

static inline void take(bytes *b, void *to, size_t size)
{
    const size_t left = (size_t)(b->end - b->at), n = left < size ? left : size;
    memset(to, 0, size);
    if (n > 0)
        memcpy(to, b->at, n);
    b->at += n;
}

static inline uint8_t take_byte(bytes *b)
{
    uint8_t value;
    take(b, &value, sizeof value);
    return value;
}

static inline int32_t take_below(bytes *b, int32_t count)
{
    return take_byte(b) % count;
}

static inline double take_double(bytes *b)
{
    double value;
    take(b, &value, sizeof value);
    return value;
}

static const double SPECIAL_DOUBLES[] = {
    0.0,    -0.0,  1.0,    -1.0,  0.5,     1e-15,   -1e-15,  1e-80, 1e-160,   -1e-160,
    1e-300, 1e160, -1e160, 1e300, DBL_MIN, DBL_MAX, DBL_MAX, NAN,   INFINITY, -DBL_MAX};

/* Mostly the default, or between low and high; now and then a number at an edge, or any bits. */
static inline double take_number(bytes *b, double preset, double low, double high)
{
    const uint8_t selector = take_byte(b);
    if (selector < 120)
        return preset;
    if (selector < 232) {
        uint16_t part;
        take(b, &part, sizeof part);
        return low + (high - low) * (part / 65535.0);
    }
    if (selector < 252)
        return SPECIAL_DOUBLES[take_byte(b) % (sizeof SPECIAL_DOUBLES / sizeof SPECIAL_DOUBLES[0])];
    return take_double(b);
}

/* The same of whole numbers; the last quarter of the numbers at an edge is any bits. */
static inline int32_t take_whole(bytes *b, int32_t preset, int32_t low, int32_t high)
{
    static const int32_t special[] = {0, 1, -1, 2, INT32_MAX, INT32_MIN, INT32_MIN + 1, 65536};
    const uint8_t selector = take_byte(b);
    if (selector < 120)
        return preset;
    if (selector < 240)
        return low + take_byte(b) % (high - low + 1);
    if (selector < 252)
        return special[take_byte(b) % (sizeof special / sizeof special[0])];
    int32_t value;
    take(b, &value, sizeof value);
    return value;
}

/* A count of steps: a few, or so many that they are refused; what is between takes too long. */
static inline int32_t take_count(bytes *b, int32_t preset, int32_t high)
{
    const int32_t count = take_whole(b, preset, 0, high);
    return count > 4 && count < 65536 ? count % 5 : count;
}

static inline const char *name_of(nbh_status status)
{
    return nbh_status_name((int32_t)status);
}

static inline int same_bits(const void *a, const void *b, size_t size)
{
    return memcmp(a, b, size) == 0;
}

#endif
