/* error.h - filling the caller's nbh_error. */
#ifndef NBH_ERROR_H
#define NBH_ERROR_H

#include "nbh/nbh.h"

#if defined(__GNUC__)
#define NBH_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define NBH_PRINTF(text, first)
#endif

/* Fills *error (if not NULL) and returns status.  field may be "". */
nbh_status nbh_fail(nbh_error *error, nbh_status status, const char *field, const char *format, ...)
    NBH_PRINTF(4, 5);

/* The same for a problem at a one-based line of a text. */
nbh_status nbh_fail_line(nbh_error *error, nbh_status status, int64_t line, const char *format, ...)
    NBH_PRINTF(4, 5);

#endif
