/* callgrind_cases.c - small images whose instructions callgrind_counts.py counts.
 *
 *     callgrind_cases NAME
 *
 * The kernel is the baseline one on every processor, so that counts of different machines compare.
 */
#include <stdio.h>
#include <string.h>

#include "nbh/nbh.h"

enum { EDGE = 21, N_FAST = 64, N_SLOW = 48, LINES = 2000, LINE_BYTES = 40 };

static void orthorhombic(nbh_experiment *experiment)
{
    nbh_experiment_init(experiment);
    experiment->kernel = NBH_KERNEL_BASELINE;
    for (int i = 0; i < 3; i++) {
        experiment->crystal.cell_length_angstrom[i] = 70.0 + 10.0 * i;
        experiment->crystal.cell_angle_rad[i] = 1.5707963267948966;
        experiment->crystal.n_cells[i] = 5.0;
    }
    experiment->detector.n_fast = N_FAST;
    experiment->detector.n_slow = N_SLOW;
    experiment->detector.pixel_size_m = 0.001;
    experiment->sampling.oversample = 1;
    experiment->sampling.interpolate = 0;
}

static int render(const char *name)
{
    static double amplitude[EDGE * EDGE * EDGE];
    static float image[N_FAST * N_SLOW];
    for (int i = 0; i < EDGE * EDGE * EDGE; i++)
        amplitude[i] = 10.0 + i % 13;
    const nbh_structure_factors table = {.amplitude = amplitude,
                                         .h_min = -(EDGE / 2),
                                         .h_max = EDGE / 2,
                                         .k_min = -(EDGE / 2),
                                         .k_max = EDGE / 2,
                                         .l_min = -(EDGE / 2),
                                         .l_max = EDGE / 2,
                                         .default_f = 1.0};
    nbh_experiment experiment;
    orthorhombic(&experiment);
    if (strcmp(name, "rotation") == 0) {
        experiment.goniometer.phi_rad = 0.1;
        experiment.goniometer.osc_rad = 0.02;
        experiment.goniometer.phi_steps = 10;
        experiment.crystal.mosaic_spread_rad = 0.01;
        experiment.crystal.mosaic_domains = 10;
    } else if (strcmp(name, "gauss") == 0) {
        experiment.crystal.shape = NBH_SHAPE_GAUSS_HKL;
        experiment.crystal.mosaic_spread_rad = 0.01;
        experiment.crystal.mosaic_domains = 20;
    } else if (strcmp(name, "shot") == 0) { /* most of whose steps have no light */
        experiment.crystal.shape = NBH_SHAPE_GAUSS_HKL;
        for (int i = 0; i < 3; i++)
            experiment.crystal.n_cells[i] = 30.0;
        experiment.crystal.mosaic_spread_rad = 0.002;
        experiment.crystal.mosaic_domains = 40;
        experiment.beam.dispersion_fraction = 0.004;
        experiment.beam.dispersion_steps = 40;
        experiment.detector.pixel_size_m = 0.0001;
    } else if (strcmp(name, "tricubic") == 0) {
        experiment.sampling.interpolate = 1;
        experiment.detector.distance_m = 0.5;
    }
    nbh_plan *plan = NULL;
    nbh_error error;
    nbh_status status = nbh_plan_create(&experiment, &table, &plan, &error);
    if (status == NBH_OK)
        status = nbh_plan_render(plan, image, NULL, &error);
    nbh_plan_destroy(plan);
    if (status != NBH_OK) {
        fprintf(stderr, "%s: %s %s\n", name, error.field, error.message);
        return 1;
    }
    double sum = 0.0;
    for (int i = 0; i < N_FAST * N_SLOW; i++)
        sum += (double)image[i];
    printf("%.9g\n", sum);
    return !(sum > 0.0);
}

static int read_text(void)
{
    static char text[LINES * LINE_BYTES];
    static double table[LINES];
    size_t length = 0;
    for (int i = 0; i < LINES; i++)
        length += (size_t)snprintf(text + length, LINE_BYTES, "%d %d %d %.15g\n", i / 200,
                                   i / 10 % 20, i % 10, 1000.0 / (3 + i));
    nbh_hkl_bounds bounds;
    nbh_error error;
    int64_t filled = 0;
    if (nbh_hkl_scan(text, length, 1, &bounds, &error) != NBH_OK ||
        nbh_hkl_fill(text, length, 1, &bounds, 0.0, table, &filled, NULL, &error) != NBH_OK) {
        fprintf(stderr, "text: %s\n", error.message);
        return 1;
    }
    printf("%lld\n", (long long)filled);
    return filled != LINES;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: callgrind_cases still|rotation|tricubic|gauss|shot|text\n");
        return 2;
    }
    return strcmp(argv[1], "text") == 0 ? read_text() : render(argv[1]);
}
