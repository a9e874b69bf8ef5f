#include "allocate.h"

#include <stdlib.h>

#include "error.h"

void *allocate(int64_t count, size_t size, const char *what, memory_budget *budget,
               nbh_error *error)
{
    const int64_t left = budget->limit_bytes - budget->used_bytes;
    if (budget->limit_bytes > 0 && count > left / (int64_t)size) {
        nbh_fail(error, NBH_OUT_OF_MEMORY, "",
                 "need %lld times %zu bytes of memory for %s, of %lld bytes %lld are left",
                 (long long)count, size, what, (long long)budget->limit_bytes, (long long)left);
        return NULL;
    }
    void *memory = calloc((size_t)count, size);
    if (memory == NULL)
        nbh_fail(error, NBH_OUT_OF_MEMORY, "", "need %lld times %zu bytes of memory for %s",
                 (long long)count, size, what);
    else
        budget->used_bytes += count * (int64_t)size;
    return memory;
}
