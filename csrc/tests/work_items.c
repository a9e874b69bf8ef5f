/* work_items.c - images of any shape, rendered by eight threads in work items, have the bits of one
 * thread.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nbh/nbh.h"

enum { THREADS = 8, MOST_PIXELS = 70000, MOST_ITEMS = 2000, EDGE = 7 };

typedef struct job {
    nbh_plan *plan;
    int32_t n_fast;
    int64_t bounds[MOST_ITEMS + 1];
    int items;
    float image[MOST_PIXELS];
    double row_sums[2 * MOST_PIXELS]; /* of item after item */
    double first_row[MOST_PIXELS];
    pthread_mutex_t mutex; /* guards the members below */
    int next_item;
    int64_t first_pixel;
    nbh_status status;
    nbh_error error;
} job;

/* Rows that the item touches. */
static int64_t row_count(const job *shared, int item)
{
    return (shared->bounds[item + 1] - 1) / shared->n_fast - shared->bounds[item] / shared->n_fast +
           1;
}

/* An item and the rows of all items before it; they are taken last first. */
static int take_item(job *shared, int64_t *rows_before)
{
    pthread_mutex_lock(&shared->mutex);
    const int item = --shared->next_item;
    pthread_mutex_unlock(&shared->mutex);
    *rows_before = 0;
    for (int before = 0; before < item; before++)
        *rows_before += row_count(shared, before);
    return item;
}

static void *work(void *argument)
{
    job *shared = argument;
    const int scans = nbh_plan_needs_scan(shared->plan);
    int item;
    int64_t rows_before;
    while ((item = take_item(shared, &rows_before)) >= 0) {
        const int64_t first = shared->bounds[item], end = shared->bounds[item + 1];
        nbh_error error;
        nbh_status status;
        int64_t found = -1;
        if (scans) {
            status = nbh_plan_scan_pixels(shared->plan, first, end, NULL, &found, &error);
        } else {
            const nbh_pixels part = {.image = shared->image + first,
                                     .omega_row_sums_sr = shared->row_sums + rows_before,
                                     .omega_first_row_sr = shared->first_row + first};
            status = nbh_plan_render_pixels(shared->plan, first, end, &part, &error);
        }
        pthread_mutex_lock(&shared->mutex);
        if (status != NBH_OK) {
            shared->status = status;
            shared->error = error;
        }
        if (found >= 0 && (shared->first_pixel < 0 || found < shared->first_pixel))
            shared->first_pixel = found;
        pthread_mutex_unlock(&shared->mutex);
    }
    return NULL;
}

static void run(job *shared)
{
    pthread_t threads[THREADS];
    shared->next_item = shared->items;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, shared) != 0)
            abort();
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* Pixel after pixel in a row, row after row. */
static double add_solid_angles(const job *shared)
{
    double sum = 0.0, row = 0.0;
    const double *row_sum = shared->row_sums;
    for (int item = 0; item < shared->items; item++) {
        const int64_t first = shared->bounds[item], end = shared->bounds[item + 1];
        const int64_t row_end = (first / shared->n_fast + 1) * shared->n_fast;
        int64_t rows = row_count(shared, item);
        if (first % shared->n_fast != 0) {
            for (int64_t pixel = first; pixel < end && pixel < row_end; pixel++)
                row += shared->first_row[pixel];
            row_sum++;
            rows--;
        }
        for (; rows > 0; rows--) {
            sum += row;
            row = *row_sum++;
        }
    }
    return sum + row;
}

static void divide(job *shared, int64_t pixels)
{
    shared->items = 0;
    shared->bounds[0] = 0;
    while (shared->bounds[shared->items] < pixels) {
        if (shared->items == MOST_ITEMS)
            abort();
        shared->bounds[shared->items + 1] =
            nbh_plan_work_item_end(shared->plan, shared->bounds[shared->items]);
        shared->items++;
    }
}

/* 0 if threads and items make no difference. */
static int compare(const char *name, const nbh_experiment *experiment, int want_items)
{
    static float alone[MOST_PIXELS];
    static double amplitude[EDGE * EDGE * EDGE];
    static job shared;
    for (int i = 0; i < EDGE * EDGE * EDGE; i++)
        amplitude[i] = 10.0 + i % 13;
    const nbh_structure_factors table = {.amplitude = amplitude,
                                         .h_min = -3,
                                         .h_max = 3,
                                         .k_min = -3,
                                         .k_max = 3,
                                         .l_min = -3,
                                         .l_max = 3,
                                         .default_f = 5.0};
    const int64_t pixels = (int64_t)experiment->detector.n_fast * experiment->detector.n_slow;
    nbh_plan *plan = NULL;
    double omega_alone = 0.0;
    memset(&shared, 0, sizeof shared);
    shared.n_fast = experiment->detector.n_fast;
    shared.first_pixel = -1;
    pthread_mutex_init(&shared.mutex, NULL);

    nbh_status status = nbh_plan_create(experiment, &table, &plan, &shared.error);
    if (status == NBH_OK)
        status = nbh_plan_render(plan, alone, &omega_alone, &shared.error);
    nbh_plan_destroy(plan);
    if (status == NBH_OK)
        status = nbh_plan_create(experiment, &table, &shared.plan, &shared.error);
    if (status == NBH_OK) {
        divide(&shared, pixels);
        if (nbh_plan_needs_scan(shared.plan)) {
            run(&shared);
            status = nbh_plan_settle(shared.plan, shared.first_pixel, &shared.error);
        }
    }
    if (status == NBH_OK) {
        run(&shared);
        status = shared.status;
    }
    nbh_plan_destroy(shared.plan);
    pthread_mutex_destroy(&shared.mutex);
    if (status != NBH_OK) {
        fprintf(stderr, "%s: %s: %s %s\n", name, nbh_status_name((int32_t)status),
                shared.error.field, shared.error.message);
        return 1;
    }
    const double omega = add_solid_angles(&shared);
    const int differ = memcmp(alone, shared.image, sizeof *alone * (size_t)pixels) != 0 ||
                       memcmp(&omega, &omega_alone, sizeof omega) != 0;
    double sum = 0.0;
    for (int64_t i = 0; i < pixels; i++)
        sum += (double)alone[i];
    printf("%s: %s in %d work items, sum %.9g, interpolation off at pixel %lld\n", name,
           differ ? "DIFFERENT" : "same", shared.items, sum, (long long)shared.first_pixel);
    return differ || !(sum > 0.0) || shared.items != want_items;
}

static void shape(nbh_experiment *experiment, int32_t n_fast, int32_t n_slow)
{
    nbh_experiment_init(experiment);
    for (int i = 0; i < 3; i++) {
        experiment->crystal.cell_length_angstrom[i] = i == 1 ? 20.0 : 5.0;
        experiment->crystal.cell_angle_rad[i] = 1.5707963267948966;
        experiment->crystal.n_cells[i] = 2.0;
    }
    experiment->detector.n_fast = n_fast;
    experiment->detector.n_slow = n_slow;
    experiment->detector.pixel_size_m = 0.05 / (n_fast > n_slow ? n_fast : n_slow);
    experiment->sampling.oversample = 1;
    experiment->sampling.interpolate = 0;
}

/* 0 if steps are left out, and no pixel changes. */
static int compare_culling(const char *name, const nbh_experiment *experiment)
{
    static float every[MOST_PIXELS], culled[MOST_PIXELS];
    const nbh_structure_factors table = {.default_f = 100.0};
    const int64_t pixels = (int64_t)experiment->detector.n_fast * experiment->detector.n_slow;
    nbh_experiment other = *experiment;
    nbh_plan_info info;
    nbh_error error;
    nbh_plan *plan = NULL;
    memset(&info, 0, sizeof info);
    nbh_status status = nbh_plan_create(&other, &table, &plan, &error);
    if (status == NBH_OK)
        status = nbh_plan_render(plan, culled, NULL, &error);
    if (status == NBH_OK)
        status = nbh_plan_get_info(plan, &info, &error);
    int64_t visited = 0;
    const nbh_pixels part = {.image = culled, .steps_visited = &visited};
    if (status == NBH_OK)
        status = nbh_plan_render_pixels(plan, 0, pixels, &part, &error);
    nbh_plan_destroy(plan);
    other.culling = NBH_CULLING_OFF;
    if (status == NBH_OK)
        status = nbh_plan_create(&other, &table, &plan, &error);
    if (status == NBH_OK) {
        status = nbh_plan_render(plan, every, NULL, &error);
        nbh_plan_destroy(plan);
    }
    const int64_t steps = info.active_pixels * info.steps;
    if (status != NBH_OK || info.culling_reason != NBH_CULLING_REASON_NONE ||
        memcmp(every, culled, sizeof(float) * (size_t)pixels) != 0 || visited <= 0 ||
        visited >= steps) {
        fprintf(stderr, "%s: reason %d, %lld of %lld steps\n", name, info.culling_reason,
                (long long)visited, (long long)steps);
        return 1;
    }
    return 0;
}

/* Many orientations of a crystal whose spots are small. */
static void spots(nbh_experiment *experiment, int32_t n_fast, int32_t n_slow)
{
    shape(experiment, n_fast, n_slow);
    experiment->beam.fluence_photons_per_m2 = 1e24;
    experiment->crystal.shape = NBH_SHAPE_GAUSS_HKL;
    for (int i = 0; i < 3; i++)
        experiment->crystal.n_cells[i] = 50.0;
    experiment->crystal.mosaic_spread_rad = 0.002;
    experiment->crystal.mosaic_domains = 40;
}

int main(void)
{
    static uint8_t mask[100 * 130];
    nbh_experiment experiment;

    shape(&experiment, 1, 3000);
    int failures = compare("one pixel wide", &experiment, 6);
    shape(&experiment, 3000, 1);
    failures += compare("one row", &experiment, 6);
    shape(&experiment, 270, 259);
    failures += compare("many rows", &experiment, 259);

    shape(&experiment, 64, 64);
    experiment.crystal.mosaic_spread_rad = 0.01;
    experiment.crystal.mosaic_domains = 150;
    failures += compare("many steps", &experiment, 128);

    shape(&experiment, 64, 64);
    for (int i = 0; i < 64 * 64; i++)
        mask[i] = i % 5 == 0;
    experiment.detector.mask = mask;
    experiment.detector.mask_count = 64 * 64;
    failures += compare("mask", &experiment, 2);

    /* the third phi step is exactly 0: its vectors carry over from pixel to pixel */
    shape(&experiment, 33, 100);
    experiment.goniometer.phi_rad = -0.5;
    experiment.goniometer.osc_rad = 1.0;
    experiment.goniometer.phi_steps = 4;
    experiment.sampling.roi_fast_min = 3;
    experiment.sampling.roi_fast_max = 25;
    experiment.sampling.roi_slow_min = 7;
    failures += compare("region of interest", &experiment, 8);

    /* the beam hits one end; k grows with the rows and leaves the table half-way */
    shape(&experiment, 3, 700);
    experiment.sampling.interpolate = 1;
    experiment.detector.beam_x_m = 0.0;
    experiment.detector.beam_y_m = 0.0;
    failures += compare("interpolation that ends half-way", &experiment, 5);

    spots(&experiment, 100, 130);
    failures += compare("tiles", &experiment, 17);
    failures += compare_culling("tiles", &experiment);
    experiment.detector.mask = mask;
    experiment.detector.mask_count = 100 * 130;
    memset(mask, 1, sizeof mask);
    for (int i = 0; i < 100 * 130; i += 3)
        mask[i] = 0;
    experiment.sampling.roi_fast_min = 5;
    experiment.sampling.roi_slow_min = 3;
    failures += compare("tiles with gaps", &experiment, 16);
    failures += compare_culling("tiles with gaps", &experiment);
    experiment.tolerance_photons = 1e-3;
    failures += compare("tiles with a tolerance", &experiment, 16);

    /* tiles, rows and carried-over vectors in one image */
    spots(&experiment, 40, 120);
    experiment.goniometer.phi_rad = -0.5;
    experiment.goniometer.osc_rad = 1.0;
    experiment.goniometer.phi_steps = 4;
    experiment.sampling.interpolate = 1;
    failures += compare("tiles and interpolation", &experiment, 15);
    return failures != 0;
}
