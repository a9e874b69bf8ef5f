/* allocate.h - memory that a plan owns. */
#ifndef NBH_ALLOCATE_H
#define NBH_ALLOCATE_H

#include "nbh/nbh.h"

/* Zeroed memory, to be freed with free; NULL, and an error that says what it was for. */
void *allocate(int64_t count, size_t size, const char *what, nbh_error *error);

#endif
