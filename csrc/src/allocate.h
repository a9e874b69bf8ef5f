/* allocate.h - memory that a plan owns. */
#ifndef NBH_ALLOCATE_H
#define NBH_ALLOCATE_H

#include "nbh/nbh.h"

/* What a plan may allocate and what it has. */
typedef struct memory_budget {
    int64_t limit_bytes; /* 0: no limit */
    int64_t used_bytes;
} memory_budget;

/* Zeroed memory, to be freed with free.  NULL, and an error that says what it was for, if there is
 * none, or less of the budget left. */
void *allocate(int64_t count, size_t size, const char *what, memory_budget *budget,
               nbh_error *error);

#endif
