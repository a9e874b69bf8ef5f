/* Regions without a pixel, arrays without an element, matrices without a volume: every answer is a
 * status, and under the sanitizers no address is formed outside an array. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nbh/nbh.h"

enum { FAST = 3, SLOW = 2, PIXELS = FAST * SLOW };

static int failures = 0;

static void expect(int is_so, const char *what)
{
    if (is_so)
        return;
    fprintf(stderr, "edges: not so: %s\n", what);
    failures++;
}

static int all_zero(const uint16_t *pixels)
{
    for (int i = 0; i < PIXELS; i++)
        if (pixels[i] != 0)
            return 0;
    return 1;
}

/* Arrays of their own, so that a sanitizer sees one element too many. */
static void empty_regions(void)
{
    const nbh_roi empty[] = {
        {1, 0, -5, 1}, {0, 2, 1, 0},    {5, 0, INT32_MIN, INT32_MAX}, {INT32_MAX, INT32_MIN, -1, 0},
        {0, 2, 0, -1}, {2, 1, 0, 1000},
    };
    float *image = calloc(PIXELS, sizeof *image);
    uint16_t *out = malloc(PIXELS * sizeof *out);
    if (image == NULL || out == NULL)
        exit(2);
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        double scale = 0.0, photons = 1.0;
        int64_t overloads = 1;
        int32_t seed = -1;
        nbh_random random;
        nbh_odd_pixels odd;
        nbh_random_init(&random);
        memset(out, 1, PIXELS * sizeof *out);
        expect(nbh_integer_image(image, FAST, SLOW, &empty[i], 1.0, 1.0, 40.0, out, &scale, NULL) ==
                       NBH_OK &&
                   all_zero(out),
               "the integer image of an empty region is 0");
        memset(out, 1, PIXELS * sizeof *out);
        expect(nbh_noise_image(image, FAST, SLOW, &empty[i], 40.0, &random, &seed, out, &photons,
                               &overloads, NULL) == NBH_OK &&
                   all_zero(out) && photons == 0.0 && overloads == 0 && seed == -1,
               "the noise image of an empty region is 0");
        expect(nbh_image_odd_pixels(image, FAST, SLOW, &empty[i], NULL, &odd, NULL) == NBH_OK &&
                   odd.pixels == 0 && odd.nan_fast == -1,
               "an empty region has no odd pixel");
    }
    const nbh_roi outside[] = {{-1, 0, 0, 0}, {0, 0, -1, 0}, {0, FAST, 0, 0}, {0, 0, 0, SLOW}};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        nbh_odd_pixels odd;
        expect(nbh_integer_image(image, FAST, SLOW, &outside[i], 1.0, 1.0, 0.0, out, NULL, NULL) ==
                   NBH_INVALID,
               "a region outside is refused");
        expect(nbh_image_odd_pixels(image, FAST, SLOW, &outside[i], NULL, &odd, NULL) ==
                   NBH_INVALID,
               "a region outside is refused by the look");
    }
    free(out);
    free(image);
}

static void small_experiment(nbh_experiment *experiment)
{
    nbh_experiment_init(experiment);
    experiment->crystal.cell_length_angstrom[0] = 50.0;
    experiment->detector.n_fast = FAST;
    experiment->detector.n_slow = SLOW;
}

/* Regions of a plan that have no pixel, and pointers to nothing. */
static void plans(void)
{
    const int32_t bounds[][4] = {
        {2, 1, 0, 1}, {0, 2, 1, 0}, {1000000, 2, 0, 1}, {0, 2, INT32_MAX, 1}};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        nbh_experiment experiment;
        nbh_plan *plan = NULL;
        nbh_statistics statistics;
        double omega = 1.0;
        float *image = malloc(PIXELS * sizeof *image);
        if (image == NULL)
            exit(2);
        small_experiment(&experiment);
        experiment.sampling.roi_fast_min = bounds[i][0];
        experiment.sampling.roi_fast_max = bounds[i][1];
        experiment.sampling.roi_slow_min = bounds[i][2];
        experiment.sampling.roi_slow_max = bounds[i][3];
        expect(nbh_plan_create(&experiment, NULL, &plan, NULL) == NBH_OK, "a plan of no pixel");
        expect(nbh_plan_render(plan, image, &omega, NULL) == NBH_OK && omega == 0.0,
               "no pixel has no solid angle");
        expect(nbh_plan_statistics(plan, image, omega, &statistics, NULL) == NBH_OK &&
                   statistics.pixels == 0 && statistics.pixels_in_roi == 0,
               "statistics of no pixel");
        expect(nbh_plan_work_item_end(plan, 0) == PIXELS, "one work item");
        nbh_plan_destroy(plan);
        free(image);
    }

    nbh_experiment experiment;
    nbh_plan *plan = NULL;
    nbh_trace trace;
    int64_t count = 0;
    small_experiment(&experiment);
    expect(nbh_plan_create(NULL, NULL, &plan, NULL) == NBH_INVALID && plan == NULL,
           "no experiment, no plan");
    expect(nbh_plan_create(&experiment, NULL, NULL, NULL) == NBH_INVALID, "no place for the plan");
    if (nbh_plan_create(&experiment, NULL, &plan, NULL) != NBH_OK)
        exit(2);
    expect(nbh_plan_get_structure_factors(plan, NULL, 0, NULL, NULL) == NBH_OK, "none of none");
    expect(nbh_plan_get_structure_factors(plan, NULL, 1, NULL, NULL) == NBH_INVALID, "one of NULL");
    expect(nbh_plan_get_phi(plan, NULL, 1, NULL) == NBH_INVALID, "phi to NULL");
    expect(nbh_plan_get_sources(plan, NULL, INT64_MAX, NULL) == NBH_INVALID, "sources to NULL");
    expect(nbh_plan_get_mosaic_matrices(plan, NULL, 1, NULL) == NBH_INVALID, "matrices to NULL");
    expect(nbh_plan_get_cells(plan, NULL, 1, NULL) == NBH_INVALID, "cells to NULL");
    expect(nbh_plan_render_rows(plan, 1, 1, NULL, NULL) == NBH_OK, "no rows to nowhere");
    expect(nbh_plan_render_rows(plan, 0, 1, NULL, NULL) == NBH_INVALID, "a row to nowhere");
    expect(nbh_plan_render_pixels(plan, PIXELS, PIXELS, NULL, NULL) == NBH_OK,
           "no pixels to nowhere");
    expect(nbh_plan_render_pixels(plan, INT64_MIN, INT64_MAX, NULL, NULL) == NBH_INVALID,
           "pixels that are not there");
    expect(nbh_plan_statistics(plan, NULL, 0.0, NULL, NULL) == NBH_INVALID, "no image");
    expect(nbh_plan_trace_steps(plan, 0, 0, NULL, 0, NULL, &count, NULL, &trace, NULL) == NBH_OK &&
               count == 1,
           "steps that are only counted");
    expect(nbh_plan_trace_steps(plan, 0, 0, NULL, 1, NULL, &count, NULL, &trace, NULL) ==
               NBH_INVALID,
           "a step to NULL");
    expect(nbh_plan_trace_steps(plan, 0, 0, NULL, -1, NULL, &count, NULL, &trace, NULL) ==
               NBH_INVALID,
           "fewer steps than none");
    nbh_plan_destroy(plan);
}

static void texts(void)
{
    nbh_hkl_bounds bounds = {0};
    double one = 0.0;
    expect(nbh_hkl_scan(NULL, 0, 1, &bounds, NULL) == NBH_FILE_FORMAT, "an empty text");
    expect(nbh_hkl_scan(NULL, 1, 1, &bounds, NULL) == NBH_INVALID, "a text of NULL");
    memset(&bounds, 0, sizeof bounds);
    expect(nbh_hkl_fill(NULL, 0, 1, &bounds, 7.0, &one, NULL, NULL, NULL) == NBH_OK && one == 7.0,
           "an empty text fills the default");
    bounds.h_min = INT32_MIN;
    bounds.h_max = INT32_MAX;
    bounds.k_min = INT32_MIN;
    bounds.k_max = INT32_MAX;
    expect(nbh_hkl_fill("", 0, 1, &bounds, 7.0, &one, NULL, NULL, NULL) == NBH_INVALID,
           "a table larger than any memory");
}

/* Three vectors in a plane, with and without a cell beside them. */
static void singular_matrices(void)
{
    static const double singular[][9] = {
        {0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09}, /* c* - b* = b* - a* */
        {0.01, 0.0, 0.01, 0.0, 0.01, 0.01, 0.0, 0.0, 0.0},
        {0.01, 0.02, 0.0, 0.01, 0.02, 0.0, 0.01, 0.02, 0.0},
        {1e200, 2e200, 0.0, 1e200, 2e200, 0.0, 0.0, 0.0, 1e200},
        {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0},
    };
    static const double regular[9] = {0.01, 0.0, 0.0, 0.0, 0.01, 0.0, 0.0, 1e-2, 1e-12};
    for (size_t i = 0; i < sizeof singular / sizeof singular[0]; i++) {
        for (int has_cell = 0; has_cell < 2; has_cell++) {
            nbh_experiment experiment;
            nbh_plan *plan = NULL;
            nbh_error error;
            small_experiment(&experiment);
            if (!has_cell)
                experiment.crystal.cell_length_angstrom[0] = NBH_UNSET;
            memcpy(experiment.crystal.orientation_matrix, singular[i], sizeof singular[i]);
            expect(nbh_plan_create(&experiment, NULL, &plan, &error) == NBH_INVALID &&
                       strcmp(error.field, "crystal.orientation_matrix") == 0,
                   "a singular matrix is refused");
        }
    }
    nbh_experiment experiment;
    nbh_plan *plan = NULL;
    small_experiment(&experiment);
    memcpy(experiment.crystal.orientation_matrix, regular, sizeof regular);
    expect(nbh_plan_create(&experiment, NULL, &plan, NULL) == NBH_OK, "a flat one is not");
    nbh_plan_destroy(plan);
}

/* Pixels whose solid angle is below 0. */
static void intervals(void)
{
    nbh_experiment experiment;
    nbh_structure_factors table = {0};
    nbh_plan *plan = NULL;
    const double axes[4][3] = {{0, 0, 1}, {0, -1, 0}, {-1, 0, 0}, {0.1, 0.016, -0.016}};
    small_experiment(&experiment);
    table.default_f = 100.0;
    experiment.quirks = NBH_QUIRKS_NONE | NBH_QUIRK_NORMAL_TOWARDS_SOURCE;
    memcpy(experiment.detector.fast_axis, axes[0], sizeof axes[0]);
    memcpy(experiment.detector.slow_axis, axes[1], sizeof axes[1]);
    memcpy(experiment.detector.normal_axis, axes[2], sizeof axes[2]);
    memcpy(experiment.detector.pix0_m, axes[3], sizeof axes[3]);
    if (nbh_plan_create(&experiment, &table, &plan, NULL) != NBH_OK)
        exit(2);
    float image[PIXELS];
    double omega;
    expect(nbh_plan_render(plan, image, &omega, NULL) == NBH_OK && image[0] < 0.0F,
           "a pixel below 0");
    for (int32_t slow = 0; slow < SLOW; slow++)
        for (int32_t fast = 0; fast < FAST; fast++) {
            double low, high;
            expect(nbh_plan_pixel_interval(plan, fast, slow, &low, &high, NULL) == NBH_OK,
                   "an interval");
            const float pixel = image[slow * FAST + fast];
            expect(low <= high && (float)low <= pixel && pixel <= (float)high,
                   "the interval of a pixel below 0 holds it, low end first");
        }
    nbh_plan_destroy(plan);
}

/* Three odd pixels, of which the mask hides one, and a region that leaves another out. */
static void odd_pixels(void)
{
    const float image[PIXELS] = {-0.0F, NAN, -1.0F, INFINITY, -INFINITY, 2.0F};
    const uint8_t mask[PIXELS] = {1, 0, 1, 1, 1, 1};
    const nbh_roi whole = {0, FAST - 1, 0, SLOW - 1}, right = {1, FAST - 1, 0, SLOW - 1};
    nbh_odd_pixels odd;
    expect(nbh_image_odd_pixels(image, FAST, SLOW, &whole, NULL, &odd, NULL) == NBH_OK &&
               odd.pixels == 6 && odd.lit == 5 && odd.nan == 1 && odd.infinite == 2 &&
               odd.negative == 1 && odd.nan_fast == 1 && odd.nan_slow == 0 &&
               odd.infinite_fast == 0 && odd.infinite_slow == 1 && odd.negative_fast == 2,
           "all of them");
    expect(nbh_image_odd_pixels(image, FAST, SLOW, &right, mask, &odd, NULL) == NBH_OK &&
               odd.pixels == 3 && odd.lit == 3 && odd.nan == 0 && odd.nan_fast == -1 &&
               odd.infinite == 1 && odd.infinite_fast == 1 && odd.negative == 1,
           "those of a region, without the masked one");
}

/* Backgrounds that are none are refused, and a good one says where its curve ends. */
static void backgrounds(void)
{
    nbh_experiment experiment;
    nbh_experiment_init(&experiment);
    for (int i = 0; i < 3; i++)
        experiment.crystal.cell_length_angstrom[i] = 50.0;
    experiment.detector.n_fast = FAST;
    experiment.detector.n_slow = SLOW;
    nbh_plan *plan = NULL;
    expect(nbh_plan_create(&experiment, NULL, &plan, NULL) == NBH_OK, "a plan of six pixels");
    const double x[] = {0.0, 1e7, 1e7}, y[] = {1.0, 2.0, NAN};
    nbh_scatterer scatterer = {{2, x, y}, 0, 1e15};
    nbh_background background;
    double photons[PIXELS];
    int64_t outside[2] = {-1, -1};
    nbh_background_init(&background);
    background.scatterers = &scatterer;
    background.scatterer_count = 1;
    background.flat_photons = 1.0;
    expect(nbh_plan_background(plan, &background, 0, PIXELS, NULL, photons, outside, NULL) ==
                   NBH_OK &&
               photons[0] > 1.0 && photons[PIXELS - 1] > 1.0 && outside[1] == 0,
           "light beside the spots");
    expect(nbh_plan_background(plan, &background, 4, 4, NULL, photons, outside, NULL) == NBH_OK &&
               outside[0] == 0,
           "no pixel at all");
    expect(nbh_plan_background(plan, &background, 4, PIXELS + 1, NULL, photons, outside, NULL) ==
               NBH_INVALID,
           "a pixel too many");
    expect(nbh_plan_background(plan, NULL, 0, 1, NULL, photons, outside, NULL) == NBH_INVALID,
           "no background");
    scatterer.curve.count = 3; /* the same abscissa twice, and a NaN */
    expect(nbh_plan_background(plan, &background, 0, 1, NULL, photons, outside, NULL) ==
               NBH_INVALID,
           "equal abscissae");
    scatterer.curve.count = 0;
    expect(nbh_plan_background(plan, &background, 0, 1, NULL, photons, outside, NULL) ==
               NBH_INVALID,
           "a table without rows");
    background.struct_size--;
    expect(nbh_plan_background(plan, &background, 0, 1, NULL, photons, outside, NULL) ==
               NBH_INVALID,
           "a struct of another size");
    const int32_t stop = 1;
    nbh_background_init(&background);
    expect(nbh_plan_background(plan, &background, 0, 1, &stop, photons, outside, NULL) ==
               NBH_CANCELLED,
           "a call that was cancelled");
    nbh_plan_destroy(plan);
}

int main(void)
{
    empty_regions();
    plans();
    texts();
    singular_matrices();
    intervals();
    odd_pixels();
    backgrounds();
    return failures == 0 ? 0 : 1;
}
