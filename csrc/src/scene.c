/* scene.c - values and derivatives of pixels, tile by tile. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "allocate.h"
#include "error.h"
#include "fast/sums_builds.h"
#include "lattice_setup.h"
#include "nbh/nbh.h"

void nbh_scene_init(nbh_scene *scene)
{
    memset(scene, 0, sizeof *scene);
    scene->struct_size = sizeof *scene;
    scene->oversample = 1;
    scene->layers = 1;
    scene->capture = NBH_FACTOR_NONE;
    scene->polarization = NBH_FACTOR_NONE;
    scene->solid_angle = NBH_FACTOR_PIXEL;
    scene->has_pixel_area = 1;
    scene->steps = 1.0;
}

/* What a call works with; lattices, common_f and frames are in one piece of memory each. */
typedef struct scene_setup {
    prepared_scene prepared;
    sums_lattice *lattices;
    double *common_f;
    polarization_frame *frames;
    scene_kernel *kernel;
} scene_setup;

static void release(scene_setup *setup)
{
    free(setup->lattices);
    free(setup->common_f);
    free(setup->frames);
}

static int is_place(int32_t place, int may_be_none)
{
    return place == NBH_FACTOR_PIXEL || place == NBH_FACTOR_RAY ||
           (may_be_none && place == NBH_FACTOR_NONE);
}

static nbh_status check_scene(const nbh_scene *s, nbh_error *error)
{
    if (s->struct_size != sizeof *s)
        return nbh_fail(error, NBH_STRUCT_SIZE, "struct_size", "call nbh_scene_init first");
    if (s->oversample < 1)
        return nbh_fail(error, NBH_INVALID, "oversample", "got %d, need at least 1", s->oversample);
    if (s->layers < 1)
        return nbh_fail(error, NBH_INVALID, "layers", "got %d, need at least 1", s->layers);
    if (!is_place(s->capture, 1))
        return nbh_fail(error, NBH_INVALID, "capture", "got %d, need an nbh_factor_place",
                        s->capture);
    if (!is_place(s->polarization, 1))
        return nbh_fail(error, NBH_INVALID, "polarization", "got %d, need an nbh_factor_place",
                        s->polarization);
    if (!is_place(s->solid_angle, 0))
        return nbh_fail(error, NBH_INVALID, "solid_angle",
                        "got %d, need an nbh_factor_place but NBH_FACTOR_NONE", s->solid_angle);
    if (s->polarization == NBH_FACTOR_PIXEL && s->dmin_m > 0.0)
        return nbh_fail(error, NBH_INVALID, "polarization",
                        "need NBH_FACTOR_RAY or NBH_FACTOR_NONE where dmin_m cuts rays");
    if (s->source_count < 1)
        return nbh_fail(error, NBH_INVALID, "source_count", "got %lld, need at least 1",
                        (long long)s->source_count);
    if (s->crystal_count < 1)
        return nbh_fail(error, NBH_INVALID, "crystal_count", "got %d, need at least 1",
                        s->crystal_count);
    if (!(s->steps > 0.0))
        return nbh_fail(error, NBH_INVALID, "steps", "got %g, need a number > 0", s->steps);
    const int has_ray_factor = s->capture == NBH_FACTOR_RAY || s->polarization == NBH_FACTOR_RAY ||
                               s->solid_angle == NBH_FACTOR_RAY;
    for (int32_t n = 0; n < s->crystal_count; n++) {
        if (s->crystals[n].struct_size != sizeof s->crystals[n])
            return nbh_fail(error, NBH_STRUCT_SIZE, "crystals", "call nbh_lattice_init first");
        if (s->crystals[n].kernel != s->crystals[0].kernel)
            return nbh_fail(error, NBH_INVALID, "crystals", "need the same kernel for all");
        if (has_ray_factor && s->background[n] != 0.0)
            return nbh_fail(error, NBH_INVALID, "background",
                            "got %g, need 0 where rays have factors of their own",
                            s->background[n]);
    }
    return NBH_OK;
}

static nbh_status check_pixels(const nbh_pixel_list *pixels, int64_t first, int64_t end,
                               nbh_error *error)
{
    if (first < 0 || end < first || pixels->count < end)
        return nbh_fail(error, NBH_INVALID, "pixels", "got %lld to %lld of %lld", (long long)first,
                        (long long)end, (long long)pixels->count);
    return NBH_OK;
}

/* No scattering vector is longer than that: a direction less a source's, over its wavelength. */
static double largest_q_sqr(const nbh_scene *s)
{
    double largest = 0.0;
    for (int64_t n = 0; n < s->source_count; n++) {
        const double *source = s->sources + NBH_SOURCE_NUMBERS * n;
        const double *i = source + NBH_SOURCE_INCIDENT;
        const double q = (1.0 + 1e-9 + sqrt(i[0] * i[0] + i[1] * i[1] + i[2] * i[2])) /
                         fabs(source[NBH_SOURCE_WAVELENGTH]);
        if (!(q * q <= largest))
            largest = q * q;
    }
    return largest;
}

static nbh_status set_up(const nbh_scene *s, scene_setup *out, nbh_error *error)
{
    memset(out, 0, sizeof *out);
    nbh_status status = check_scene(s, error);
    if (status != NBH_OK)
        return status;
    const sums_builds *builds = sums_builds_of(s->crystals[0].kernel);
    if (builds == NULL)
        return sums_builds_fail(s->crystals[0].kernel, error);
    memory_budget unlimited = {0, 0};
    out->kernel = builds->scene;
    out->lattices =
        allocate(s->crystal_count, sizeof *out->lattices, "crystals", &unlimited, error);
    out->common_f =
        allocate(s->crystal_count, sizeof *out->common_f, "crystals", &unlimited, error);
    if (s->polarization != NBH_FACTOR_NONE)
        out->frames = allocate(s->source_count, sizeof *out->frames, "sources", &unlimited, error);
    if (out->lattices == NULL || out->common_f == NULL ||
        (s->polarization != NBH_FACTOR_NONE && out->frames == NULL)) {
        release(out);
        return NBH_OUT_OF_MEMORY;
    }
    const double q_sqr = largest_q_sqr(s);
    for (int32_t n = 0; n < s->crystal_count; n++) {
        status = lattice_setup(s->crystals + n, q_sqr, out->lattices + n, error);
        if (status != NBH_OK) {
            release(out);
            return status;
        }
        out->common_f[n] = lattice_common_f(out->lattices + n);
    }
    if (out->frames != NULL)
        for (int64_t n = 0; n < s->source_count; n++)
            polarization_frame_set(s->numbers + NBH_SCENE_POLARIZATION,
                                   s->sources + NBH_SOURCE_NUMBERS * n + NBH_SOURCE_INCIDENT,
                                   out->frames + n);
    out->prepared.scene = s;
    out->prepared.lattices = out->lattices;
    out->prepared.common_f = out->common_f;
    out->prepared.frames = out->frames;
    return NBH_OK;
}

/* Fills a tile from the pixel `first` on and returns how many pixels it has. */
static int64_t fill_tile(const nbh_pixel_list *pixels, int64_t first, int64_t end, scene_tile *tile)
{
    const int64_t count = end - first < SCENE_TILE ? end - first : SCENE_TILE;
    for (int64_t j = 0; j < SCENE_TILE; j++) {
        const int64_t n = first + (j < count ? j : count - 1);
        tile->slow[j] = pixels->slow[n];
        tile->fast[j] = pixels->fast[n];
    }
    return count;
}

/* Rows of a tile to rows of an array with one number for each pixel. */
static void put_rows(const double *rows, int64_t row_count, int64_t count, int64_t first,
                     int64_t stride, double *out)
{
    for (int64_t n = 0; n < row_count; n++)
        memcpy(out + n * stride + first, rows + n * SCENE_TILE, (size_t)count * sizeof *out);
}

nbh_status nbh_scene_values(const nbh_scene *scene, const nbh_pixel_list *pixels, int64_t first,
                            int64_t end, double *values, nbh_error *error)
{
    nbh_status status = check_pixels(pixels, first, end, error);
    scene_setup setup;
    if (status == NBH_OK)
        status = set_up(scene, &setup, error);
    if (status != NBH_OK)
        return status;
    memory_budget unlimited = {0, 0};
    double *rows = allocate((int64_t)scene->crystal_count * SCENE_TILE, sizeof *rows, "values",
                            &unlimited, error);
    if (rows == NULL) {
        release(&setup);
        return NBH_OUT_OF_MEMORY;
    }
    const scene_work work = {.values = rows};
    for (int64_t n = first; n < end; n += SCENE_TILE) {
        scene_tile tile;
        const int64_t count = fill_tile(pixels, n, end, &tile);
        setup.kernel(&setup.prepared, &tile, &work);
        put_rows(rows, scene->crystal_count, count, n, pixels->count, values);
    }
    free(rows);
    release(&setup);
    return NBH_OK;
}

/* From the frames of the sources to what they are made of. */
static void add_frames(const nbh_scene *s, const double *frames, nbh_scene_gradient *gradient)
{
    for (int64_t n = 0; n < s->source_count; n++)
        polarization_frame_add_gradient(
            s->numbers + NBH_SCENE_POLARIZATION,
            s->sources + NBH_SOURCE_NUMBERS * n + NBH_SOURCE_INCIDENT, frames + FRAME_NUMBERS * n,
            gradient->numbers + NBH_SCENE_POLARIZATION,
            gradient->sources + NBH_SOURCE_NUMBERS * n + NBH_SOURCE_INCIDENT);
}

nbh_status nbh_scene_gradients(const nbh_scene *scene, const nbh_pixel_list *pixels,
                               const double *weight, int64_t first, int64_t end,
                               nbh_scene_gradient *gradient, nbh_error *error)
{
    nbh_status status = check_pixels(pixels, first, end, error);
    scene_setup setup;
    if (status == NBH_OK)
        status = set_up(scene, &setup, error);
    if (status != NBH_OK)
        return status;
    const int64_t of_tile = (int64_t)scene->crystal_count * SCENE_TILE;
    memory_budget unlimited = {0, 0};
    double *rows = allocate(2 * of_tile + FRAME_NUMBERS * scene->source_count, sizeof *rows,
                            "derivatives", &unlimited, error);
    if (rows == NULL) {
        release(&setup);
        return NBH_OUT_OF_MEMORY;
    }
    double *weights = rows + of_tile;
    scene_tile_gradient found = {.sources = gradient->sources,
                                 .frames = weights + of_tile,
                                 .crystals = gradient->crystals,
                                 .cells = gradient->cells_m,
                                 .amplitude = gradient->amplitude};
    const scene_work work = {.values = rows, .weight = weights, .gradient = &found};
    for (int64_t n = first; n < end; n += SCENE_TILE) {
        scene_tile tile;
        const int64_t count = fill_tile(pixels, n, end, &tile);
        memset(weights, 0, (size_t)of_tile * sizeof *weights);
        for (int32_t c = 0; c < scene->crystal_count; c++)
            memcpy(weights + (ptrdiff_t)c * SCENE_TILE, weight + c * pixels->count + n,
                   (size_t)count * sizeof *weights);
        setup.kernel(&setup.prepared, &tile, &work);
    }
    for (int i = 0; i < NBH_SCENE_NUMBERS; i++)
        gradient->numbers[i] += found.numbers[i];
    if (setup.frames != NULL)
        add_frames(scene, found.frames, gradient);
    free(rows);
    release(&setup);
    return NBH_OK;
}

static nbh_status check_directions(const nbh_scene *s, const nbh_scene_directions *d,
                                   nbh_error *error)
{
    if (s->crystal_count != 1)
        return nbh_fail(error, NBH_INVALID, "crystal_count", "got %d, need 1 for a Jacobian",
                        s->crystal_count);
    if (d->count < 1)
        return nbh_fail(error, NBH_INVALID, "directions", "got %d, need at least 1", d->count);
    if (d->reference_m != NULL && d->rotations == NULL)
        return nbh_fail(error, NBH_INVALID, "rotations",
                        "need one for each orientation where the reference cell changes");
    for (int32_t t = 0; t < d->turning_count; t++)
        if (d->turning[t] < 0 || d->turning[t] >= d->count)
            return nbh_fail(error, NBH_INVALID, "turning", "got %d, need a direction",
                            d->turning[t]);
    return NBH_OK;
}

static void set_frame_changes(const nbh_scene *s, const nbh_scene_directions *d, double *frames)
{
    static const double none[3] = {0.0, 0.0, 0.0};
    for (int32_t n = 0; n < d->count; n++)
        for (int64_t source = 0; source < s->source_count; source++) {
            const int64_t place = n * s->source_count + source;
            const double *axis =
                d->numbers == NULL
                    ? none
                    : d->numbers + (ptrdiff_t)n * NBH_SCENE_NUMBERS + NBH_SCENE_POLARIZATION;
            const double *incident =
                d->sources == NULL ? none
                                   : d->sources + NBH_SOURCE_NUMBERS * place + NBH_SOURCE_INCIDENT;
            polarization_frame_change(s->numbers + NBH_SCENE_POLARIZATION,
                                      s->sources + NBH_SOURCE_NUMBERS * source +
                                          NBH_SOURCE_INCIDENT,
                                      axis, incident, frames + FRAME_NUMBERS * place);
        }
}

static int any_change(const double *x, int count)
{
    for (int i = 0; x != NULL && i < count; i++)
        if (x[i] != 0.0)
            return 1;
    return 0;
}

nbh_status nbh_scene_jacobian(const nbh_scene *scene, const nbh_pixel_list *pixels,
                              const nbh_scene_directions *directions, int64_t first, int64_t end,
                              double *values, double *jacobian, nbh_error *error)
{
    nbh_status status = check_pixels(pixels, first, end, error);
    scene_setup setup;
    if (status == NBH_OK)
        status = set_up(scene, &setup, error);
    if (status != NBH_OK)
        return status;
    status = check_directions(scene, directions, error);
    const int64_t pairs = directions->count * scene->source_count;
    memory_budget unlimited = {0, 0};
    double *rows = NULL;
    unsigned char *has_source = NULL;
    if (status == NBH_OK) {
        rows = allocate((1 + (int64_t)directions->count + directions->turning_count) * SCENE_TILE +
                            FRAME_NUMBERS * pairs,
                        sizeof *rows, "derivatives", &unlimited, error);
        has_source = allocate(pairs, 1, "derivatives", &unlimited, error);
        if (rows == NULL || has_source == NULL)
            status = NBH_OUT_OF_MEMORY;
    }
    if (status == NBH_OK) {
        double *changes = rows + SCENE_TILE;
        double *by_turning = changes + (ptrdiff_t)directions->count * SCENE_TILE;
        double *frames = by_turning + (ptrdiff_t)directions->turning_count * SCENE_TILE;
        if (setup.frames != NULL)
            set_frame_changes(scene, directions, frames);
        for (int64_t n = 0; n < pairs; n++) {
            const double *own =
                directions->sources == NULL ? NULL : directions->sources + NBH_SOURCE_NUMBERS * n;
            has_source[n] = (unsigned char)(any_change(own, NBH_SOURCE_NUMBERS) ||
                                            any_change(frames + FRAME_NUMBERS * n, FRAME_NUMBERS));
        }
        const prepared_directions along = {directions, setup.frames == NULL ? NULL : frames,
                                           has_source};
        const scene_work work = {
            .values = rows, .along = &along, .jacobian = changes, .by_turning = by_turning};
        for (int64_t n = first; n < end; n += SCENE_TILE) {
            scene_tile tile;
            const int64_t count = fill_tile(pixels, n, end, &tile);
            setup.kernel(&setup.prepared, &tile, &work);
            put_rows(rows, 1, count, n, pixels->count, values);
            put_rows(changes, directions->count, count, n, pixels->count, jacobian);
        }
    }
    free(rows);
    free(has_source);
    release(&setup);
    return status;
}
