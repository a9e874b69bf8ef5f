/* text_number.h - numbers in a text that has a length instead of a final NUL, read as C's scanf
 * reads %lg and %d, but whatever the locale.  Nothing allocates; doubles are correctly rounded. */
#ifndef NBH_TEXT_NUMBER_H
#define NBH_TEXT_NUMBER_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Of a double's digits, more than this many matter only by not being all zeros. */
#define TEXT_DIGITS_KEPT 800

static inline int text_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline int text_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline char text_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static inline const char *text_skip_space(const char *at, const char *end)
{
    while (at < end && text_is_space(*at))
        ++at;
    return at;
}

static inline int text_hex_digit(char c)
{
    if (text_is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Where `word` (lower-case letters only) ends if it stands at `at` in any case, else NULL. */
static inline const char *text_match(const char *at, const char *end, const char *word)
{
    for (; *word != '\0'; ++word, ++at) {
        if (at == end || text_lower(*at) != *word)
            return NULL;
    }
    return at;
}

/* The parts of a number: digits with at most one point among them, times base^exponent. */
typedef struct text_digits {
    const char *begin;
    const char *end;
    int hexadecimal;
    int64_t exponent; /* of 10, or of 2 if hexadecimal; clamped, see text_read_exponent */
} text_digits;

/* Digits after an exponent letter; *value is clamped to +-10^17, far beyond what any number of
 * digits in memory can bring back into range. */
static inline const char *text_read_exponent(const char *at, const char *end, int64_t *value,
                                             int *complete)
{
    const int64_t limit = INT64_C(100000000000000000);
    int64_t magnitude = 0;
    int negative = 0;
    if (at < end && (*at == '+' || *at == '-'))
        negative = *at++ == '-';
    *complete = at < end && text_is_digit(*at);
    for (; at < end && text_is_digit(*at); ++at) {
        if (magnitude < limit)
            magnitude = magnitude * 10 + (*at - '0');
    }
    if (magnitude > limit)
        magnitude = limit;
    *value = negative ? -magnitude : magnitude;
    return at;
}

/* The general case: the significant digits, written without a point (so that no locale matters)
 * and without those that cannot change the result, go to strtod. */
static inline double text_convert_digits(const text_digits *digits)
{
    char buffer[TEXT_DIGITS_KEPT + 40];
    int kept = 0, point = 0, more = 0;
    int64_t shift = 0; /* digits right of the point (negative) or dropped (positive) */
    if (digits->hexadecimal) {
        buffer[kept++] = '0';
        buffer[kept++] = 'x';
    }
    const int first = kept;
    for (const char *at = digits->begin; at < digits->end; ++at) {
        if (*at == '.') {
            point = 1;
        } else if (kept == first && *at == '0') {
            shift -= point;
        } else if (kept < TEXT_DIGITS_KEPT) {
            buffer[kept++] = *at;
            shift -= point;
        } else {
            more = more || *at != '0';
            shift += !point;
        }
    }
    if (kept == first)
        return 0.0;
    if (more) {
        buffer[kept++] = '1';
        --shift;
    }
    int64_t exponent = digits->exponent + (digits->hexadecimal ? 4 * shift : shift);
    if (exponent > 99999)
        exponent = 99999;
    if (exponent < -99999)
        exponent = -99999;
    snprintf(buffer + kept, sizeof buffer - (size_t)kept, "%c%d", digits->hexadecimal ? 'p' : 'e',
             (int)exponent);
    return strtod(buffer, NULL);
}

/* digits * 10^exponent, correctly rounded, for powers of ten that 64 bits can hold the odd part of:
 * the product or quotient with 5^|exponent| is exact in 128 bits but for a remainder, of which only
 * matters whether it is 0; the first 64 bits, with that in the last, then round once to 53. Returns
 * 0 where that does not hold; digits > 0. */
#ifdef __SIZEOF_INT128__
typedef unsigned text_uint128 __attribute__((mode(TI))); /* 128 bits */

static inline int text_leading_zeros(uint64_t value)
{
    return __builtin_clzll(value);
}

static inline int text_convert_wide(uint64_t digits, int64_t exponent, double *value)
{
    static const uint64_t five[] = {UINT64_C(1),
                                    UINT64_C(5),
                                    UINT64_C(25),
                                    UINT64_C(125),
                                    UINT64_C(625),
                                    UINT64_C(3125),
                                    UINT64_C(15625),
                                    UINT64_C(78125),
                                    UINT64_C(390625),
                                    UINT64_C(1953125),
                                    UINT64_C(9765625),
                                    UINT64_C(48828125),
                                    UINT64_C(244140625),
                                    UINT64_C(1220703125),
                                    UINT64_C(6103515625),
                                    UINT64_C(30517578125),
                                    UINT64_C(152587890625),
                                    UINT64_C(762939453125),
                                    UINT64_C(3814697265625),
                                    UINT64_C(19073486328125),
                                    UINT64_C(95367431640625),
                                    UINT64_C(476837158203125),
                                    UINT64_C(2384185791015625),
                                    UINT64_C(11920928955078125),
                                    UINT64_C(59604644775390625),
                                    UINT64_C(298023223876953125),
                                    UINT64_C(1490116119384765625),
                                    UINT64_C(7450580596923828125)};
    uint64_t leading; /* its first bit or the one after it is set; the last is "not exact" */
    int shift;        /* the value is leading * 2^shift */
    if (FLT_EVAL_METHOD != 0 || exponent < -27 || exponent > 27)
        return 0;
    shift = text_leading_zeros(digits);
    digits <<= shift;
    if (exponent < 0) {
        const int divisor_shift = text_leading_zeros(five[-exponent]);
        const uint64_t divisor = five[-exponent] << divisor_shift;
        const text_uint128 dividend = (text_uint128)digits << 63;
        leading = (uint64_t)(dividend / divisor);
        leading |= dividend != (text_uint128)leading * divisor;
        shift = (int)exponent - shift - 63 + divisor_shift;
    } else {
        const int factor_shift = text_leading_zeros(five[exponent]);
        const text_uint128 product = (text_uint128)digits * (five[exponent] << factor_shift);
        leading = (uint64_t)(product >> 64) | ((uint64_t)product != 0);
        shift = (int)exponent - shift + 64 - factor_shift;
    }
    *value = ldexp((double)leading, shift);
    return 1;
}
#else
static inline int text_convert_wide(uint64_t digits, int64_t exponent, double *value)
{
    (void)digits, (void)exponent, (void)value;
    return 0;
}
#endif

/* A decimal number whose digits and power of ten are both exact doubles needs one rounding only,
 * one with at most 19 digits 128 bits.  Returns 0 where neither will do. */
static inline int text_convert_short(uint64_t digits, int64_t exponent, double *value)
{
    static const double ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (FLT_EVAL_METHOD != 0 || digits > UINT64_C(9007199254740992) || exponent < -22 ||
        exponent > 22)
        return digits > 0 && text_convert_wide(digits, exponent, value);
    *value = exponent < 0 ? (double)digits / ten[-exponent] : (double)digits * ten[exponent];
    return 1;
}

/* Adds the digits at `at` to *digits, which wraps around where they are too many. */
static inline const char *text_read_digits(const char *at, const char *end, uint64_t *digits)
{
    for (; at < end && text_is_digit(*at); ++at)
        *digits = *digits * 10 + (uint64_t)(*at - '0');
    return at;
}

/* How many digits stand between the first that is not 0 and `end`. */
static inline int64_t text_significant_digits(const char *at, const char *end)
{
    int64_t count = 0;
    for (; at < end; ++at)
        count += *at != '.' && (count > 0 || *at != '0');
    return count;
}

static inline const char *text_read_decimal(const char *at, const char *end, double *value,
                                            int *complete)
{
    enum { SURELY_FIT = 19 };
    text_digits digits = {at, NULL, 0, 0};
    uint64_t all = 0;
    int64_t fraction = 0;
    at = text_read_digits(at, end, &all);
    int64_t count = at - digits.begin;
    if (at < end && *at == '.') {
        const char *const point = at;
        at = text_read_digits(at + 1, end, &all);
        fraction = at - point - 1;
        count += fraction;
    }
    if (count == 0)
        return NULL;
    digits.end = at;
    if (at < end && text_lower(*at) == 'e')
        at = text_read_exponent(at + 1, end, &digits.exponent, complete);
    if ((count > SURELY_FIT && text_significant_digits(digits.begin, digits.end) > SURELY_FIT) ||
        !text_convert_short(all, digits.exponent - fraction, value))
        *value = text_convert_digits(&digits);
    return at;
}

/* `at` is behind "0x". */
static inline const char *text_read_hexadecimal(const char *at, const char *end, double *value,
                                                int *complete)
{
    text_digits digits = {at, NULL, 1, 0};
    int point = 0, any = 0;
    for (; at < end; ++at) {
        if (text_hex_digit(*at) >= 0)
            any = 1;
        else if (*at == '.' && !point)
            point = 1;
        else
            break;
    }
    if (at == digits.begin)
        return NULL;
    digits.end = at;
    *complete = any;
    if (any && at < end && text_lower(*at) == 'p')
        at = text_read_exponent(at + 1, end, &digits.exponent, complete);
    *value = text_convert_digits(&digits);
    return at;
}

/* Reads a double at `at` (no leading white space) as scanf's %lg does: the longest text that can
 * begin a number is used up, even "1e+", whose value is 1 (then *complete is 0).  Returns where
 * it ends, or NULL if no number begins here. */
static inline const char *text_read_double(const char *at, const char *end, double *value,
                                           int *complete)
{
    int negative = 0;
    *complete = 1;
    if (at < end && (*at == '+' || *at == '-'))
        negative = *at++ == '-';
    if (at == end)
        return NULL;
    if (text_match(at, end, "n") != NULL) {
        at = text_match(at, end, "nan");
        *value = NAN;
    } else if (text_match(at, end, "i") != NULL) {
        at = text_match(at, end, "inf");
        if (at != NULL && text_match(at, end, "i") != NULL)
            at = text_match(at, end, "inity");
        *value = INFINITY;
    } else if (*at == '0' && text_match(at + 1, end, "x") != NULL) {
        at = text_read_hexadecimal(at + 2, end, value, complete);
    } else {
        at = text_read_decimal(at, end, value, complete);
    }
    if (at != NULL && negative)
        *value = -*value;
    return at;
}

/* Reads an integer at `at` as scanf's %d does; values beyond 10^17 stay beyond it but may be
 * others. */
static inline const char *text_read_int(const char *at, const char *end, int64_t *value)
{
    const int64_t limit = INT64_C(100000000000000000);
    int64_t magnitude = 0;
    int negative = 0;
    if (at < end && (*at == '+' || *at == '-'))
        negative = *at++ == '-';
    if (at == end || !text_is_digit(*at))
        return NULL;
    for (; at < end && text_is_digit(*at); ++at) {
        if (magnitude < limit)
            magnitude = magnitude * 10 + (*at - '0');
    }
    *value = negative ? -magnitude : magnitude;
    return at;
}

#endif
