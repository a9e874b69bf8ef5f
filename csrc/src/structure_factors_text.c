/* Structure factors as text: h k l F, read twice, first for the bounds and then for the values. */
#include "error.h"
#include "text_number.h"

#include <math.h>
#include <string.h>

/* One reflection as the first pass sees it, with the words that it came from. */
typedef struct reflection {
    double value[4]; /* h, k, l, F */
    const char *word[4];
    const char *word_end[4];
} reflection;

static const char *const column_name[4] = {"h", "k", "l", "F"};

/* The one-based line of `position`. */
static int64_t line_of(const char *text, const char *position)
{
    int64_t line = 1;
    while ((text = memchr(text, '\n', (size_t)(position - text))) != NULL) {
        ++line;
        ++text;
    }
    return line;
}

/* A word fit for a message: at most 40 characters, nothing unprintable. */
typedef struct quoted {
    char text[41];
} quoted;

static quoted quote(const char *begin, const char *end)
{
    quoted result;
    size_t n = 0;
    for (; begin < end && n < sizeof result.text - 1 && !text_is_space(*begin); ++begin)
        result.text[n++] = *begin > 0x20 && *begin < 0x7f ? *begin : '?';
    result.text[n] = '\0';
    return result;
}

/* trunc(value), without a call for the values that occur. */
static double whole_part(double value)
{
    return fabs(value) < 1e15 ? (double)(int64_t)value : trunc(value);
}

/* ---- the two ways to cut a text into reflections -------------------------------------------- */

/* Four numbers, whatever the lines.  Returns where they end; NULL at the end of the text or at
 * a word that is no number: *stop is that word, or `end`. */
static const char *read_stream(const char *at, const char *end, reflection *r, const char **stop)
{
    int complete;
    for (int i = 0; i < 4; ++i) {
        r->word[i] = text_skip_space(at, end);
        at = text_read_double(r->word[i], end, &r->value[i], &complete);
        if (at == NULL) {
            *stop = r->word[i];
            return NULL;
        }
        r->word_end[i] = at;
    }
    return at;
}

/* The next line that is neither blank nor a comment: its first four words.  Returns the
 * position after the line; NULL at the end of the text (NBH_OK) or with an error. */
static const char *read_line(const char *text, const char *at, const char *end, reflection *r,
                             nbh_status *status, nbh_error *error)
{
    const char *line_end;
    for (;; at = line_end + 1) {
        if (at >= end)
            return NULL;
        line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL)
            line_end = end;
        at = text_skip_space(at, line_end);
        if (at < line_end && *at != '#')
            break;
        if (line_end == end)
            return NULL;
    }
    for (int i = 0; i < 4; ++i) {
        int complete;
        r->word[i] = at = text_skip_space(at, line_end);
        if (at == line_end || *at == '#') {
            *status = nbh_fail_line(error, NBH_FILE_FORMAT, line_of(text, at),
                                    "got %d column%s, need four: h k l F", i, i == 1 ? "" : "s");
            return NULL;
        }
        at = text_read_double(at, line_end, &r->value[i], &complete);
        if (at == NULL || !complete || (at < line_end && !text_is_space(*at))) {
            *status = nbh_fail_line(error, NBH_FILE_FORMAT, line_of(text, r->word[i]),
                                    "%s: got \"%s\", need a number", column_name[i],
                                    quote(r->word[i], line_end).text);
            return NULL;
        }
        r->word_end[i] = at;
        if (i < 3 && isfinite(r->value[i]) && r->value[i] != whole_part(r->value[i])) {
            *status = nbh_fail_line(error, NBH_FILE_FORMAT, line_of(text, r->word[i]),
                                    "%s: got %s, need a whole number", column_name[i],
                                    quote(r->word[i], at).text);
            return NULL;
        }
    }
    return line_end < end ? line_end + 1 : end;
}

/* ---- first pass ----------------------------------------------------------------------------- */

static int64_t extent(int32_t min, int32_t max)
{
    return (int64_t)max - min + 1;
}

/* Every extent plus one must fit 31 bits, the table's bytes the address space. */
static int extents_fit(const nbh_hkl_bounds *b)
{
    const int64_t n[3] = {extent(b->h_min, b->h_max), extent(b->k_min, b->k_max),
                          extent(b->l_min, b->l_max)};
    int64_t room = (int64_t)(PTRDIFF_MAX / (ptrdiff_t)sizeof(double));
    for (int i = 0; i < 3; ++i) {
        if (n[i] < 1 || n[i] >= INT32_MAX)
            return 0;
        room /= n[i];
    }
    return room >= 1;
}

static void widen(int32_t index, int32_t *min, int32_t *max)
{
    if (index < *min)
        *min = index;
    if (index > *max)
        *max = index;
}

/* Checks one reflection and takes it into the bounds. */
static nbh_status admit(const char *text, const reflection *r, nbh_hkl_bounds *b, nbh_error *error)
{
    int32_t index[3];
    for (int i = 0; i < 4; ++i) {
        if (!isfinite(r->value[i]))
            return nbh_fail_line(error, NBH_FILE_FORMAT, line_of(text, r->word[i]),
                                 "%s: got %s, need a finite number", column_name[i],
                                 quote(r->word[i], r->word_end[i]).text);
    }
    for (int i = 0; i < 3; ++i) {
        double whole = whole_part(r->value[i]);
        if (whole < (double)INT32_MIN || whole > (double)INT32_MAX)
            return nbh_fail_line(error, NBH_TOO_LARGE, line_of(text, r->word[i]),
                                 "%s: got %s, need an index that fits 32 bits", column_name[i],
                                 quote(r->word[i], r->word_end[i]).text);
        b->fractional += whole != r->value[i];
        index[i] = (int32_t)whole;
    }
    if (b->reflections++ == 0) {
        b->h_min = b->h_max = index[0];
        b->k_min = b->k_max = index[1];
        b->l_min = b->l_max = index[2];
        return NBH_OK;
    }
    if (index[0] >= b->h_min && index[0] <= b->h_max && index[1] >= b->k_min &&
        index[1] <= b->k_max && index[2] >= b->l_min && index[2] <= b->l_max)
        return NBH_OK;
    widen(index[0], &b->h_min, &b->h_max);
    widen(index[1], &b->k_min, &b->k_max);
    widen(index[2], &b->l_min, &b->l_max);
    if (!extents_fit(b))
        return nbh_fail_line(error, NBH_TOO_LARGE, line_of(text, r->word[0]),
                             "index %ld %ld %ld makes the table span h %ld to %ld, k %ld to %ld, "
                             "l %ld to %ld: too large for any memory",
                             (long)index[0], (long)index[1], (long)index[2], (long)b->h_min,
                             (long)b->h_max, (long)b->k_min, (long)b->k_max, (long)b->l_min,
                             (long)b->l_max);
    return NBH_OK;
}

nbh_status nbh_hkl_scan(const char *text, size_t length, int32_t stream, nbh_hkl_bounds *bounds,
                        nbh_error *error)
{
    nbh_hkl_bounds b;
    reflection r;
    nbh_status status = NBH_OK;
    if (bounds == NULL)
        return nbh_fail(error, NBH_INVALID, "bounds", "got NULL, need a place for the bounds");
    if (text == NULL && length > 0)
        return nbh_fail(error, NBH_INVALID, "text", "got NULL, need a text");
    if (length == 0)
        return nbh_fail_line(error, NBH_FILE_FORMAT, 0, "the text is empty, need h k l F");
    memset(&b, 0, sizeof b);
    const char *const end = text + length;
    const char *at = text, *stop = end;
    for (;;) {
        at =
            stream ? read_stream(at, end, &r, &stop) : read_line(text, at, end, &r, &status, error);
        if (at == NULL)
            break;
        status = admit(text, &r, &b, error);
        if (status != NBH_OK)
            return status;
    }
    if (status != NBH_OK)
        return status;
    if (stop < end)
        b.stopped_at_line = line_of(text, stop);
    if (b.reflections == 0) {
        if (stop < end)
            return nbh_fail_line(error, NBH_FILE_FORMAT, b.stopped_at_line,
                                 "no reflection: reading ended at \"%s\", which is no number",
                                 quote(stop, end).text);
        return nbh_fail_line(error, NBH_FILE_FORMAT, 0, "no reflection, need h k l F");
    }
    *bounds = b;
    return NBH_OK;
}

/* ---- second pass ---------------------------------------------------------------------------- */

/* Three integers and a double, whatever the lines; otherwise like read_stream. */
static const char *read_stream_integers(const char *at, const char *end, int64_t index[3],
                                        double *f, const char **f_word, const char **stop)
{
    int complete;
    for (int i = 0; i < 3; ++i) {
        *stop = text_skip_space(at, end);
        at = text_read_int(*stop, end, &index[i]);
        if (at == NULL)
            return NULL;
    }
    *stop = *f_word = text_skip_space(at, end);
    return text_read_double(*f_word, end, f, &complete);
}

nbh_status nbh_hkl_fill(const char *text, size_t length, int32_t stream,
                        const nbh_hkl_bounds *bounds, double default_f, double *amplitude,
                        int64_t *filled, int64_t *stopped_at_line, nbh_error *error)
{
    return nbh_hkl_fill_telling(text, length, stream, bounds, default_f, amplitude, filled,
                                stopped_at_line, NULL, error);
}

nbh_status nbh_hkl_fill_telling(const char *text, size_t length, int32_t stream,
                                const nbh_hkl_bounds *bounds, double default_f, double *amplitude,
                                int64_t *filled, int64_t *stopped_at_line, nbh_hkl_repeats *repeats,
                                nbh_error *error)
{
    if (text == NULL && length > 0)
        return nbh_fail(error, NBH_INVALID, "text", "got NULL, need a text");
    if (bounds == NULL || amplitude == NULL)
        return nbh_fail(error, NBH_INVALID, bounds == NULL ? "bounds" : "amplitude",
                        "got NULL, need a pointer");
    if (!isfinite(default_f))
        return nbh_fail(error, NBH_INVALID, "default_f", "got %g, need a finite value", default_f);
    if (!extents_fit(bounds))
        return nbh_fail(error, NBH_INVALID, "bounds", "reversed, or too large for any memory");

    const int64_t k_count = extent(bounds->k_min, bounds->k_max);
    const int64_t l_count = extent(bounds->l_min, bounds->l_max);
    const int64_t size = extent(bounds->h_min, bounds->h_max) * k_count * l_count;
    /* No amplitude is NaN, so an element that is has not been listed yet. */
    const double unlisted = repeats != NULL ? (double)NAN : default_f;
    for (int64_t i = 0; i < size; ++i)
        amplitude[i] = unlisted;
    if (repeats != NULL)
        memset(repeats, 0, sizeof *repeats);

    const char *const end = length > 0 ? text + length : text;
    const char *at = text, *stop = end;
    int64_t written = 0;
    nbh_status status = NBH_OK;
    for (;;) {
        int64_t index[3];
        double f;
        const char *f_word;
        if (stream) {
            at = read_stream_integers(at, end, index, &f, &f_word, &stop);
        } else {
            reflection r;
            at = read_line(text, at, end, &r, &status, error);
            if (at != NULL) {
                for (int i = 0; i < 3; ++i) /* NaN and what is too large become an outside index */
                    index[i] = fabs(r.value[i]) < 1e15 ? (int64_t)r.value[i] : INT64_MAX;
                f = r.value[3];
                f_word = r.word[3];
            }
        }
        if (at == NULL)
            break;
        if (!isfinite(f))
            return nbh_fail_line(error, NBH_FILE_FORMAT, line_of(text, f_word),
                                 "F: got a value that is not finite");
        if (index[0] < bounds->h_min || index[0] > bounds->h_max || index[1] < bounds->k_min ||
            index[1] > bounds->k_max || index[2] < bounds->l_min || index[2] > bounds->l_max)
            continue;
        double *element =
            amplitude +
            ((index[0] - bounds->h_min) * k_count + (index[1] - bounds->k_min)) * l_count +
            (index[2] - bounds->l_min);
        if (repeats != NULL && !isnan(*element) && repeats->count++ == 0) {
            repeats->first_line = line_of(text, f_word);
            for (int i = 0; i < 3; ++i)
                repeats->first[i] = (int32_t)index[i];
        }
        *element = f;
        ++written;
    }
    if (status != NBH_OK)
        return status;
    if (repeats != NULL)
        for (int64_t i = 0; i < size; ++i)
            amplitude[i] = isnan(amplitude[i]) ? default_f : amplitude[i];
    if (filled != NULL)
        *filled = written;
    if (stopped_at_line != NULL)
        *stopped_at_line = stream && stop < end ? line_of(text, stop) : 0;
    return NBH_OK;
}
