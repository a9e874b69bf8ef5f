/* eight_threads.c - one plan rendered by eight threads at once gives the bits of one thread.
 *
 * Built with the thread sanitizer this also shows that rendering, scanning and tracing write to
 * nothing they share. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nbh/nbh.h"

enum { THREADS = 8, N_FAST = 61, N_SLOW = 47 };

typedef struct job {
    nbh_plan *plan;
    float *image;
    double *omega_row_sums;
    pthread_mutex_t mutex; /* guards the members below */
    int32_t next_row;
    int64_t first_pixel;
    nbh_status status;
    nbh_error error;
} job;

static void fail(job *shared, nbh_status status, const nbh_error *error)
{
    pthread_mutex_lock(&shared->mutex);
    shared->status = status;
    shared->error = *error;
    pthread_mutex_unlock(&shared->mutex);
}

static int32_t take_row(job *shared)
{
    pthread_mutex_lock(&shared->mutex);
    int32_t row = shared->next_row++;
    pthread_mutex_unlock(&shared->mutex);
    return row;
}

static void *scan(void *argument)
{
    job *shared = argument;
    int32_t row;
    while ((row = take_row(shared)) < N_SLOW) {
        nbh_error error;
        int64_t found = -1;
        nbh_status status = nbh_plan_scan_rows(shared->plan, row, row + 1, NULL, &found, &error);
        if (status != NBH_OK)
            fail(shared, status, &error);
        pthread_mutex_lock(&shared->mutex);
        if (found >= 0 && (shared->first_pixel < 0 || found < shared->first_pixel))
            shared->first_pixel = found;
        pthread_mutex_unlock(&shared->mutex);
    }
    return NULL;
}

static void *render(void *argument)
{
    job *shared = argument;
    int32_t row;
    while ((row = take_row(shared)) < N_SLOW) {
        nbh_error error;
        nbh_trace trace;
        nbh_rows rows = {.image = shared->image + (size_t)row * N_FAST,
                         .omega_row_sums_sr = shared->omega_row_sums + row};
        nbh_status status = nbh_plan_render_rows(shared->plan, row, row + 1, &rows, &error);
        if (status == NBH_OK)
            status = nbh_plan_trace(shared->plan, row % N_FAST, row, &trace, &error);
        if (status != NBH_OK)
            fail(shared, status, &error);
    }
    return NULL;
}

static void run(job *shared, void *(*work)(void *))
{
    pthread_t threads[THREADS];
    shared->next_row = 0;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, shared) != 0)
            abort();
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* 0 if eight threads and one thread give the same image and solid angle. */
static int compare(const char *name, const nbh_experiment *experiment,
                   const nbh_structure_factors *table)
{
    static float alone[N_SLOW * N_FAST], together[N_SLOW * N_FAST];
    static double omega_row_sums[N_SLOW];
    double omega_alone = 0.0, omega_together = 0.0;
    job shared = {.image = together,
                  .omega_row_sums = omega_row_sums,
                  .mutex = PTHREAD_MUTEX_INITIALIZER,
                  .first_pixel = -1};
    nbh_plan *plan = NULL;

    nbh_status status = nbh_plan_create(experiment, table, &plan, &shared.error);
    if (status == NBH_OK)
        status = nbh_plan_render(plan, alone, &omega_alone, &shared.error);
    nbh_plan_destroy(plan);
    if (status == NBH_OK)
        status = nbh_plan_create(experiment, table, &shared.plan, &shared.error);
    if (status == NBH_OK && nbh_plan_needs_scan(shared.plan)) {
        run(&shared, scan);
        status = nbh_plan_settle(shared.plan, shared.first_pixel, &shared.error);
    }
    if (status == NBH_OK) {
        run(&shared, render);
        status = shared.status;
    }
    nbh_plan_destroy(shared.plan);
    if (status != NBH_OK) {
        fprintf(stderr, "%s: %s: %s %s\n", name, nbh_status_name((int32_t)status),
                shared.error.field, shared.error.message);
        return 1;
    }
    for (int row = 0; row < N_SLOW; row++)
        omega_together += omega_row_sums[row];
    int differ = memcmp(alone, together, sizeof alone) != 0 ||
                 memcmp(&omega_alone, &omega_together, sizeof omega_alone) != 0;
    double sum = 0.0;
    for (int i = 0; i < N_SLOW * N_FAST; i++)
        sum += (double)alone[i];
    printf("%s: %s, sum %.9g, interpolation off at pixel %lld\n", name,
           differ ? "DIFFERENT" : "same", sum, (long long)shared.first_pixel);
    return differ || !(sum > 0.0);
}

static void triclinic(nbh_experiment *experiment)
{
    static const double length[3] = {70.0, 80.0, 90.0};
    static const double angle[3] = {1.309, 1.4835, 1.658};
    nbh_experiment_init(experiment);
    for (int i = 0; i < 3; i++) {
        experiment->crystal.cell_length_angstrom[i] = length[i];
        experiment->crystal.cell_angle_rad[i] = angle[i];
        experiment->crystal.n_cells[i] = 5.0;
    }
    experiment->detector.n_fast = N_FAST;
    experiment->detector.n_slow = N_SLOW;
    experiment->detector.pixel_size_m = 0.0005;
    experiment->sampling.oversample = 2;
}

int main(void)
{
    enum { EDGE = 7 };
    static double amplitude[EDGE * EDGE * EDGE];
    for (int i = 0; i < EDGE * EDGE * EDGE; i++)
        amplitude[i] = 10.0 + i % 13;
    const nbh_structure_factors constant = {.default_f = 100.0};
    const nbh_structure_factors small = {.amplitude = amplitude,
                                         .h_min = -3,
                                         .h_max = 3,
                                         .k_min = -3,
                                         .k_max = 3,
                                         .l_min = -3,
                                         .l_max = 3,
                                         .default_f = 1.0};
    nbh_experiment experiment;

    triclinic(&experiment);
    int failures = compare("still", &experiment, &constant);

    /* the third phi step is exactly 0: its vectors carry over from pixel to pixel */
    experiment.goniometer.phi_rad = -0.5;
    experiment.goniometer.osc_rad = 1.0;
    experiment.goniometer.phi_steps = 4;
    experiment.crystal.mosaic_spread_rad = 0.01;
    experiment.crystal.mosaic_domains = 3;
    experiment.beam.polarization_kahn = 0.5;
    experiment.sampling.oversample_omega = 1;
    failures += compare("rotation with mosaicity", &experiment, &constant);

    triclinic(&experiment);
    experiment.sampling.interpolate = 1;
    failures += compare("interpolation that ends at once", &experiment, &small);

    /* the beam hits the first row; k grows with the rows and leaves the table half-way */
    experiment.detector.beam_x_m = 0.0;
    experiment.detector.beam_y_m = 0.015;
    for (int i = 0; i < 3; i++) {
        experiment.crystal.cell_length_angstrom[i] = i == 1 ? 20.0 : 5.0;
        experiment.crystal.cell_angle_rad[i] = 1.5707963267948966;
    }
    failures += compare("interpolation that ends half-way", &experiment, &small);

    experiment.detector.distance_m = 1.0;
    failures += compare("interpolation that stays", &experiment, &small);
    return failures != 0;
}
