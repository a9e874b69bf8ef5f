/* units.c - the image in parts that threads take one after the other. */
#include "fast.h"
#include "lit_pixels.h"

/* A unit's pixels are 1/1024 of those of the image, in limits: */
#define UNITS 1024
#define MOST_PIXELS 4096
/* what a unit costs besides its pixels is little beside so many steps, */
#define LEAST_STEPS 2048
/* (a pixel costs as much as so many steps more) */
#define STEPS_OF_PIXEL 3
/* and in whole rows, the last block of a unit, which may be part empty, is one of many. */
#define LEAST_PIXELS_OF_ROWS 256
/* Rows are cut where there are fewer than these. */
#define MANY_ROWS 256

/* The pixels that are rendered, and the rows that have any. */
static int64_t count_lit(const nbh_plan *plan, int64_t *rows)
{
    const nbh_plan_info *info = &plan->info;
    const int64_t width = (int64_t)info->roi_fast_max - info->roi_fast_min + 1,
                  height = (int64_t)info->roi_slow_max - info->roi_slow_min + 1;
    *rows = 0;
    if (width <= 0 || height <= 0)
        return 0;
    if (plan->mask == NULL) {
        *rows = height;
        return width * height;
    }
    int64_t lit = 0;
    for (int64_t slow = info->roi_slow_min; slow <= info->roi_slow_max; slow++) {
        const uint8_t *mask = plan->mask + slow * info->n_fast + info->roi_fast_min;
        int32_t of_row = 0;
        for (int64_t i = 0; i < width; i++)
            of_row += mask[i] != 0;
        lit += of_row;
        *rows += of_row > 0;
    }
    return lit;
}

void plan_set_units(nbh_plan *plan)
{
    int64_t rows;
    const int64_t lit = count_lit(plan, &rows);
    const int64_t steps = (int64_t)plan->info.steps * plan->info.sensor_layers;
    plan->units_are_rows = rows >= MANY_ROWS && lit >= MANY_ROWS * LEAST_PIXELS_OF_ROWS;
    const int64_t least =
        plan->units_are_rows ? LEAST_PIXELS_OF_ROWS : LEAST_STEPS / (steps + STEPS_OF_PIXEL);
    int64_t pixels = lit / UNITS;
    if (pixels < least)
        pixels = least;
    if (pixels > MOST_PIXELS)
        pixels = MOST_PIXELS;
    pixels -= pixels % FAST_LANES;
    plan->unit_pixels = pixels > 0 ? (int32_t)pixels : FAST_LANES;
}

int64_t nbh_plan_unit_end(const nbh_plan *plan, int64_t pixel)
{
    const nbh_plan_info *info = &plan->info;
    const int64_t pixels = (int64_t)info->n_fast * info->n_slow;
    if (pixel < 0 || pixel >= pixels)
        return pixels;
    pixel_walk walk = walk_from(plan, pixel, pixels);
    pixel_run run;
    for (int32_t missing = plan->unit_pixels; missing > 0; missing -= run.count)
        if (!next_run(&walk, missing, &run))
            return pixels;
    return pixel_number(plan, plan->units_are_rows ? info->n_fast : walk.fast, walk.slow);
}
