#include "allocate.h"

#include <stdlib.h>

#include "error.h"

void *allocate(int64_t count, size_t size, const char *what, nbh_error *error)
{
    void *memory = calloc((size_t)count, size);
    if (memory == NULL)
        nbh_fail(error, NBH_OUT_OF_MEMORY, "", "need %lld times %zu bytes of memory for %s",
                 (long long)count, size, what);
    return memory;
}
