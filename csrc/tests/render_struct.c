/* render_struct.c - one image of an experiment whose bytes are in a file, for a machine without
 * Python.
 *
 *     render_struct EXPERIMENT IMAGE
 *
 * EXPERIMENT: the bytes of an nbh_experiment without pointers and of one double, the structure
 * factor of every reflection.  IMAGE: n_slow x n_fast floats.  .ci/recorded_images.py writes the
 * first and compares the second with nanoBragg's. */
#include <stdio.h>
#include <stdlib.h>

#include "nbh/nbh.h"

static int render(const nbh_experiment *experiment, double default_f, const char *path)
{
    const nbh_structure_factors table = {.default_f = default_f};
    nbh_plan *plan = NULL;
    nbh_error error;
    if (nbh_plan_create(experiment, &table, &plan, &error) != NBH_OK) {
        fprintf(stderr, "%s: %s\n", error.field, error.message);
        return 1;
    }
    nbh_plan_info info;
    int failed = nbh_plan_get_info(plan, &info, &error) != NBH_OK;
    const size_t pixels = failed ? 0 : (size_t)info.n_fast * (size_t)info.n_slow;
    float *image = calloc(pixels + 1, sizeof *image);
    failed = failed || image == NULL || nbh_plan_render(plan, image, NULL, &error) != NBH_OK;
    nbh_plan_destroy(plan);
    FILE *file = failed ? NULL : fopen(path, "wb");
    failed = file == NULL || fwrite(image, sizeof *image, pixels, file) != pixels;
    if (file != NULL)
        failed = fclose(file) != 0 || failed;
    free(image);
    if (failed)
        fprintf(stderr, "%s: was not rendered or not written\n", path);
    return failed;
}

int main(int count, char **words)
{
    if (count != 3) {
        fprintf(stderr, "usage: render_struct EXPERIMENT IMAGE\n");
        return 2;
    }
    nbh_experiment experiment;
    double default_f = 0.0;
    FILE *file = fopen(words[1], "rb");
    const int is_read = file != NULL && fread(&experiment, sizeof experiment, 1, file) == 1 &&
                        fread(&default_f, sizeof default_f, 1, file) == 1 && fgetc(file) == EOF;
    if (file != NULL)
        fclose(file);
    if (!is_read) {
        fprintf(stderr, "%s: is no nbh_experiment and a double\n", words[1]);
        return 2;
    }
    return render(&experiment, default_f, words[2]);
}
