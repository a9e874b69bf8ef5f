/* scene.c - values and derivatives of pixels, tile by tile. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "allocate.h"
#include "error.h"
#include "fast/sums_builds.h"
#include "lattice_setup.h"
#include "nbh/nbh.h"
#include "scene_checks.h"
#include "scene_light.h"

/* Of running sums that a tile keeps: 2 TB. */
#define MOST_RUNNING_ROWS 0x1p30

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
    scene_light light;
    nbh_culling_reason reason; /* why it is not used */
    scene_lists *lists;        /* NULL where it is not */
} scene_setup;

static void release(scene_setup *setup)
{
    free(setup->lattices);
    free(setup->common_f);
    free(setup->frames);
    scene_light_destroy(&setup->light);
    scene_lists_destroy(setup->lists);
}

static const double *incident_of(const nbh_scene *s, int64_t source)
{
    return s->sources + NBH_SOURCE_NUMBERS * source + NBH_SOURCE_INCIDENT;
}

/* No scattering vector's square is larger: a direction less a source's, over its wavelength.  NaN
 * if one may be. */
static double largest_q_sqr(const nbh_scene *s)
{
    double largest = 0.0;
    for (int64_t n = 0; n < s->source_count; n++) {
        const double *source = s->sources + NBH_SOURCE_NUMBERS * n;
        const double *i = source + NBH_SOURCE_INCIDENT;
        const double q = (1.0 + 1e-9 + sqrt(i[0] * i[0] + i[1] * i[1] + i[2] * i[2])) /
                         fabs(source[NBH_SOURCE_WAVELENGTH]);
        if (!(q * q <= largest) && !isnan(largest))
            largest = q * q;
    }
    return largest;
}

static nbh_status set_up_lattices(const nbh_scene *s, scene_setup *out, nbh_error *error)
{
    const double q_sqr = largest_q_sqr(s);
    for (int32_t n = 0; n < s->crystal_count; n++) {
        const nbh_status status = lattice_setup(s->crystals + n, q_sqr, out->lattices + n, error);
        if (status != NBH_OK)
            return status;
        out->common_f[n] = lattice_common_f(out->lattices + n);
    }
    return NBH_OK;
}

static void set_up_frames(const nbh_scene *s, polarization_frame *frames)
{
    for (int64_t n = 0; n < s->source_count; n++)
        polarization_frame_set(s->numbers + NBH_SCENE_POLARIZATION, incident_of(s, n), frames + n);
}

/* What may be left out, and memory for what is not. */
static nbh_status set_up_light(const nbh_scene *s, scene_setup *out, nbh_error *error)
{
    const nbh_status status =
        scene_light_set_up(s, out->lattices, &out->light, &out->reason, error);
    if (status != NBH_OK || out->reason)
        return status;
    out->lists = scene_lists_create(&out->light, error);
    out->prepared.light = &out->light;
    return out->lists == NULL ? NBH_OUT_OF_MEMORY : NBH_OK;
}

/* All that a call works with; to be released if that succeeds. */
static nbh_status set_up_scene(const nbh_scene *s, scene_setup *out, nbh_error *error)
{
    memset(out, 0, sizeof *out);
    nbh_status status = scene_check(s, error);
    if (status != NBH_OK)
        return status;
    const sums_builds *builds = sums_builds_of(s->crystals[0].kernel);
    if (builds == NULL) {
        sums_builds_fail(s->crystals[0].kernel, error);
        return NBH_INVALID;
    }
    const int has_frames = has_polarization(s);
    memory_budget unlimited = {0, 0};
    out->kernel = builds->scene;
    out->lattices =
        allocate(s->crystal_count, sizeof *out->lattices, "crystals", &unlimited, error);
    out->common_f =
        allocate(s->crystal_count, sizeof *out->common_f, "crystals", &unlimited, error);
    if (has_frames)
        out->frames = allocate(s->source_count, sizeof *out->frames, "sources", &unlimited, error);
    if (out->lattices == NULL || out->common_f == NULL || (has_frames && out->frames == NULL))
        status = NBH_OUT_OF_MEMORY;
    else
        status = set_up_lattices(s, out, error);
    if (status == NBH_OK)
        status = set_up_light(s, out, error);
    if (status != NBH_OK) {
        release(out);
        return status;
    }
    if (has_frames)
        set_up_frames(s, out->frames);
    out->prepared.scene = s;
    out->prepared.lattices = out->lattices;
    out->prepared.common_f = out->common_f;
    out->prepared.frames = out->frames;
    return NBH_OK;
}

/* The same for the pixels first .. end-1. */
static nbh_status set_up(const nbh_scene *s, const nbh_pixel_list *pixels, int64_t first,
                         int64_t end, scene_setup *out, nbh_error *error)
{
    const nbh_status status = scene_check_pixels(pixels, first, end, error);
    if (status != NBH_OK) {
        memset(out, 0, sizeof *out);
        return status;
    }
    return set_up_scene(s, out, error);
}

nbh_status nbh_scene_culling(const nbh_scene *scene, int32_t *reason, nbh_error *error)
{
    scene_setup setup;
    const nbh_status status = set_up_scene(scene, &setup, error);
    if (status != NBH_OK)
        return status;
    *reason = (int32_t)setup.reason;
    release(&setup);
    return NBH_OK;
}

/* Tells the caller how many steps the pixels took. */
static void count_visits(const scene_setup *setup, const nbh_pixel_list *pixels, int64_t count)
{
    const nbh_scene *s = setup->prepared.scene;
    if (pixels->visited == NULL)
        return;
    if (setup->lists != NULL) {
        *pixels->visited += setup->lists->visited;
        return;
    }
    for (int32_t n = 0; n < s->crystal_count; n++)
        *pixels->visited +=
            count * samples_of(s) * s->source_count * s->crystals[n].orientation_count;
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
    tile->count = count;
    return count;
}

/* Rows of a tile to rows of an array with one number for each pixel. */
static void put_rows(const double *rows, int64_t row_count, int64_t count, int64_t first,
                     int64_t stride, double *out)
{
    for (int64_t n = 0; n < row_count; n++)
        memcpy(out + n * stride + first, rows + n * SCENE_TILE, (size_t)count * sizeof *out);
}

static nbh_status fail_cancelled(nbh_error *error)
{
    return nbh_fail(error, NBH_CANCELLED, "", "cancelled by the caller");
}

nbh_status nbh_scene_values(const nbh_scene *scene, const nbh_pixel_list *pixels, int64_t first,
                            int64_t end, double *values, nbh_error *error)
{
    scene_setup setup;
    nbh_status status = set_up(scene, pixels, first, end, &setup, error);
    if (status != NBH_OK)
        return status;
    memory_budget unlimited = {0, 0};
    double *rows = NULL;
    status = scene_check_array(values, "values", end - first, error);
    if (status == NBH_OK) {
        rows = allocate(scene->crystal_count, sizeof(tile_numbers), "values", &unlimited, error);
        status = rows == NULL ? NBH_OUT_OF_MEMORY : NBH_OK;
    }
    const scene_work work = {.cancel = pixels->cancel, .lists = setup.lists, .values = rows};
    for (int64_t n = first; status == NBH_OK && n < end; n += SCENE_TILE) {
        scene_tile tile;
        const int64_t count = fill_tile(pixels, n, end, &tile);
        setup.kernel(&setup.prepared, &tile, &work);
        if (is_cancelled(&work))
            status = fail_cancelled(error);
        else
            put_rows(rows, scene->crystal_count, count, n, pixels->count, values);
    }
    count_visits(&setup, pixels, end - first);
    free(rows);
    release(&setup);
    return status;
}

/* From the frames of the sources to what they are made of. */
static void add_frames(const nbh_scene *s, const double *frames, nbh_scene_gradient *gradient)
{
    for (int64_t n = 0; n < s->source_count; n++)
        polarization_frame_add_gradient(
            s->numbers + NBH_SCENE_POLARIZATION, incident_of(s, n), frames + FRAME_NUMBERS * n,
            gradient->numbers + NBH_SCENE_POLARIZATION,
            gradient->sources + NBH_SOURCE_NUMBERS * n + NBH_SOURCE_INCIDENT);
}

/* Memory of a tile for a running sum's derivatives, see scene_work; NULL where none runs.  `failed`
 * is set if there is none. */
static double *running_memory(const nbh_scene *s, int *failed, nbh_error *error)
{
    memory_budget unlimited = {0, 0};
    *failed = 0;
    if (!is_running(s))
        return NULL;
    const double rays = (double)samples_of(s) * (double)s->source_count + 2.0;
    double *memory = NULL;
    if (rays * (double)s->crystal_count < MOST_RUNNING_ROWS)
        memory = allocate((int64_t)rays * s->crystal_count, sizeof(tile_numbers), "running sums",
                          &unlimited, error);
    else
        nbh_fail(error, NBH_OUT_OF_MEMORY, "oversample",
                 "%g rays of a running sum with derivatives are too many", rays);
    *failed = memory == NULL;
    return memory;
}

/* Behind the growth of all crystals. */
static double *sums_before(const nbh_scene *s, double *running)
{
    return running == NULL ? NULL : running + (ptrdiff_t)2 * s->crystal_count * SCENE_TILE;
}

/* The tile's weights of all crystals, 0 for repeated pixels. */
static void fill_weights(const double *weight, int64_t stride, int64_t first, int64_t count,
                         int32_t crystals, double *out)
{
    memset(out, 0, (size_t)crystals * sizeof(tile_numbers));
    for (int32_t c = 0; c < crystals; c++)
        memcpy(out + (ptrdiff_t)c * SCENE_TILE, weight + c * stride + first,
               (size_t)count * sizeof *out);
}

nbh_status nbh_scene_gradients(const nbh_scene *scene, const nbh_pixel_list *pixels,
                               const double *weight, int64_t first, int64_t end,
                               nbh_scene_gradient *gradient, nbh_error *error)
{
    scene_setup setup;
    nbh_status status = set_up(scene, pixels, first, end, &setup, error);
    if (status != NBH_OK)
        return status;
    const int32_t crystals = scene->crystal_count;
    memory_budget unlimited = {0, 0};
    double *rows = NULL, *frames = NULL, *running = NULL;
    status = scene_check_gradient(scene, gradient, error);
    if (status == NBH_OK)
        status = scene_check_array(weight, "weight", end - first, error);
    if (status == NBH_OK) {
        rows = allocate(crystals, 2 * sizeof(tile_numbers), "derivatives", &unlimited, error);
        frames = allocate(scene->source_count, FRAME_NUMBERS * sizeof *frames, "derivatives",
                          &unlimited, error);
        int failed;
        running = running_memory(scene, &failed, error);
        status = rows == NULL || frames == NULL || failed ? NBH_OUT_OF_MEMORY : NBH_OK;
    }
    double *weights = rows == NULL ? NULL : rows + (ptrdiff_t)crystals * SCENE_TILE;
    scene_tile_gradient found = {.sources = gradient->sources,
                                 .frames = frames,
                                 .crystals = gradient->crystals,
                                 .cells = gradient->cells_m,
                                 .amplitude = gradient->amplitude};
    const scene_work work = {.cancel = pixels->cancel,
                             .lists = setup.lists,
                             .values = rows,
                             .weight = weights,
                             .gradient = &found,
                             .growth_after = running,
                             .sums_before = sums_before(scene, running)};
    for (int64_t n = first; status == NBH_OK && n < end; n += SCENE_TILE) {
        scene_tile tile;
        const int64_t count = fill_tile(pixels, n, end, &tile);
        fill_weights(weight, pixels->count, n, count, crystals, weights);
        setup.kernel(&setup.prepared, &tile, &work);
        if (is_cancelled(&work))
            status = fail_cancelled(error);
    }
    if (status == NBH_OK) {
        for (int i = 0; i < NBH_SCENE_NUMBERS; i++)
            gradient->numbers[i] += found.numbers[i];
        if (setup.frames != NULL)
            add_frames(scene, frames, gradient);
    }
    count_visits(&setup, pixels, end - first);
    free(rows);
    free(frames);
    free(running);
    release(&setup);
    return status;
}

/* What a Jacobian works with, in three pieces of memory. */
typedef struct directions_setup {
    prepared_directions prepared;
    double *rows; /* values, changes of each direction, and by_turning */
    double *changes, *by_turning;
    double *frames;
    double *running; /* for running sums, NULL where none runs */
    unsigned char *has_source;
} directions_setup;

static void release_directions(directions_setup *setup)
{
    free(setup->rows);
    free(setup->frames);
    free(setup->running);
    free(setup->has_source);
}

static nbh_status allocate_directions(const nbh_scene *s, const nbh_scene_directions *d,
                                      directions_setup *out, nbh_error *error)
{
    const int64_t row_count = 1 + (int64_t)d->count + d->turning_count;
    const size_t sources = (size_t)s->source_count;
    memory_budget unlimited = {0, 0};
    memset(out, 0, sizeof *out);
    out->rows = allocate(row_count, sizeof(tile_numbers), "derivatives", &unlimited, error);
    out->frames = allocate(d->count, sources * FRAME_NUMBERS * sizeof *out->frames, "derivatives",
                           &unlimited, error);
    out->has_source = allocate(d->count, sources, "derivatives", &unlimited, error);
    int failed;
    out->running = running_memory(s, &failed, error);
    if (out->rows == NULL || out->frames == NULL || out->has_source == NULL || failed)
        return NBH_OUT_OF_MEMORY;
    out->changes = out->rows + SCENE_TILE;
    out->by_turning = out->changes + (ptrdiff_t)d->count * SCENE_TILE;
    return NBH_OK;
}

static int any_change(const double *x, int count)
{
    for (int i = 0; x != NULL && i < count; i++)
        if (x[i] != 0.0)
            return 1;
    return 0;
}

/* How the frame of a source changes in a direction; the source's own changes may be NULL. */
static void set_frame_change(const nbh_scene *s, const nbh_scene_directions *d, int32_t direction,
                             int64_t source, const double *own, double *frame)
{
    static const double none[3] = {0.0, 0.0, 0.0};
    const double *axis = none;
    if (d->numbers != NULL)
        axis = d->numbers + (ptrdiff_t)direction * NBH_SCENE_NUMBERS + NBH_SCENE_POLARIZATION;
    const double *incident = own == NULL ? none : own + NBH_SOURCE_INCIDENT;
    memset(frame, 0, FRAME_NUMBERS * sizeof *frame);
    if (any_change(axis, 3) || any_change(incident, 3)) /* nothing times NaN would be NaN */
        polarization_frame_change(s->numbers + NBH_SCENE_POLARIZATION, incident_of(s, source), axis,
                                  incident, frame);
}

static void set_source_changes(const nbh_scene *s, const nbh_scene_directions *d, int has_frames,
                               directions_setup *out)
{
    for (int32_t n = 0; n < d->count; n++)
        for (int64_t source = 0; source < s->source_count; source++) {
            const int64_t place = n * s->source_count + source;
            const double *own = d->sources == NULL ? NULL : d->sources + NBH_SOURCE_NUMBERS * place;
            double *frame = out->frames + FRAME_NUMBERS * place;
            if (has_frames)
                set_frame_change(s, d, n, source, own, frame);
            out->has_source[place] = (unsigned char)(any_change(own, NBH_SOURCE_NUMBERS) ||
                                                     any_change(frame, FRAME_NUMBERS));
        }
    out->prepared.directions = d;
    out->prepared.frames = has_frames ? out->frames : NULL;
    out->prepared.has_source = out->has_source;
}

nbh_status nbh_scene_jacobian(const nbh_scene *scene, const nbh_pixel_list *pixels,
                              const nbh_scene_directions *directions, int64_t first, int64_t end,
                              double *values, double *jacobian, nbh_error *error)
{
    scene_setup setup;
    directions_setup along = {.rows = NULL};
    nbh_status status = set_up(scene, pixels, first, end, &setup, error);
    if (status != NBH_OK)
        return status;
    status = scene_check_directions(scene, directions, error);
    if (status == NBH_OK)
        status = scene_check_array(values, "values", end - first, error);
    if (status == NBH_OK)
        status = scene_check_array(jacobian, "jacobian", end - first, error);
    if (status == NBH_OK)
        status = allocate_directions(scene, directions, &along, error);
    if (status == NBH_OK)
        set_source_changes(scene, directions, setup.frames != NULL, &along);
    const scene_work work = {.cancel = pixels->cancel,
                             .lists = setup.lists,
                             .values = along.rows,
                             .along = &along.prepared,
                             .jacobian = along.changes,
                             .by_turning = along.by_turning,
                             .growth_after = along.running,
                             .sums_before = sums_before(scene, along.running)};
    for (int64_t n = first; status == NBH_OK && n < end; n += SCENE_TILE) {
        scene_tile tile;
        const int64_t count = fill_tile(pixels, n, end, &tile);
        setup.kernel(&setup.prepared, &tile, &work);
        if (is_cancelled(&work)) {
            status = fail_cancelled(error);
        } else {
            put_rows(along.rows, 1, count, n, pixels->count, values);
            put_rows(along.changes, directions->count, count, n, pixels->count, jacobian);
        }
    }
    count_visits(&setup, pixels, end - first);
    release_directions(&along);
    release(&setup);
    return status;
}
