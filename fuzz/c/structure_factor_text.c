/* Structure factors as text, both ways of cutting it: two passes that agree, and errors with words.
 */
#include "bytes.h"

enum { MOST_ENTRIES = 4096 };

static void check(const char *text, size_t length, int32_t stream)
{
    nbh_hkl_bounds bounds;
    nbh_error error;
    memset(&bounds, 0, sizeof bounds);
    memset(&error, 0, sizeof error);
    const nbh_status status = nbh_hkl_scan(text, length, stream, &bounds, &error);
    if (status != NBH_OK) {
        if (error.message[0] == '\0')
            FINDING("status %s without a message", name_of(status));
        return;
    }
    if (bounds.reflections < 1 || bounds.h_min > bounds.h_max || bounds.k_min > bounds.k_max ||
        bounds.l_min > bounds.l_max)
        FINDING("%lld reflections in an empty table", (long long)bounds.reflections);
    const double h = (double)bounds.h_max - bounds.h_min + 1;
    const double k = (double)bounds.k_max - bounds.k_min + 1;
    const double l = (double)bounds.l_max - bounds.l_min + 1;
    if (h * k * l > MOST_ENTRIES)
        return;
    const size_t entries = (size_t)(h * k * l);
    double *amplitude = malloc(entries * sizeof *amplitude);
    int64_t filled = -1, stopped_at_line = -1;
    if (nbh_hkl_fill(text, length, stream, &bounds, 7.0, amplitude, &filled, &stopped_at_line,
                     &error) == NBH_OK) {
        /* the stream's passes cut indices that are not whole differently */
        if (stream ? filled < 0 : filled != bounds.reflections)
            FINDING("%lld of %lld reflections filled", (long long)filled,
                    (long long)bounds.reflections);
        for (size_t i = 0; i < entries; i++)
            if (!isfinite(amplitude[i]))
                FINDING("an amplitude of %g", amplitude[i]);
    }
    double *again = malloc(entries * sizeof *again);
    nbh_hkl_repeats repeats;
    int64_t filled_again = -1;
    memset(&repeats, 0, sizeof repeats);
    if (nbh_hkl_fill_telling(text, length, stream, &bounds, 7.0, again, &filled_again,
                             &stopped_at_line, &repeats, &error) == NBH_OK &&
        (filled_again != filled || memcmp(again, amplitude, entries * sizeof *again) != 0 ||
         repeats.count < 0 || repeats.count > filled ||
         (repeats.count > 0) != (repeats.first_line > 0)))
        FINDING("%lld repeats of %lld reflections", (long long)repeats.count, (long long)filled);
    free(again);
    free(amplitude);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size > 0 ? size : 1); /* without a zero behind it */
    if (size > 0)
        memcpy(text, data, size);
    check(text, size, 0);
    check(text, size, 1);
    free(text);
    return 0;
}
