/* smallest.c - the smallest useful program: one image, its brightest pixel.
 *
 *     cc smallest.c -I<nanobragg_hybrid.get_include()> <nanobragg_hybrid.get_library()> -lm */
#include <stdio.h>
#include <stdlib.h>

#include "nbh/nbh.h"

int main(void)
{
    nbh_experiment experiment;
    nbh_experiment_init(&experiment);
    for (int i = 0; i < 3; i++) {
        experiment.crystal.cell_length_angstrom[i] = 70.0 + 10.0 * i;
        experiment.crystal.cell_angle_rad[i] = 1.5707963267948966;
        experiment.crystal.n_cells[i] = 5.0;
    }
    experiment.detector.n_fast = 40;
    experiment.detector.n_slow = 30;
    experiment.detector.pixel_size_m = 0.0005;

    nbh_structure_factors table = {.default_f = 100.0};
    nbh_plan *plan = NULL;
    nbh_error error;
    if (nbh_plan_create(&experiment, &table, &plan, &error) != NBH_OK) {
        fprintf(stderr, "%s: %s\n", error.field, error.message);
        return 1;
    }
    float *image = malloc((size_t)40 * 30 * sizeof *image);
    double omega_sum = 0.0;
    nbh_statistics statistics;
    int failed = image == NULL || nbh_plan_render(plan, image, &omega_sum, &error) != NBH_OK ||
                 nbh_plan_statistics(plan, image, omega_sum, &statistics, &error) != NBH_OK;
    if (!failed)
        printf("libnbh %s: maximum %.6g at fast %d, slow %d\n", nbh_version(), statistics.max,
               (int)statistics.max_fast, (int)statistics.max_slow);
    free(image);
    nbh_plan_destroy(plan);
    return failed;
}
