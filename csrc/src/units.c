/* units.c - the image in parts that threads take one after the other. */
#include "fast.h"

/* A unit has this part of the image's lit pixels, in limits. */
#define UNITS 1024
#define MOST_PIXELS 4096
/* Beside so many steps, what a unit costs of its own is little. */
#define LEAST_STEPS 2048
/* What a pixel costs of its own, in steps. */
#define STEPS_OF_PIXEL 3
/* Units are whole rows where there are so many, each with so many pixels that it matters little if
 * the last block of a unit has empty lanes. */
#define MANY_ROWS 256
#define LEAST_PIXELS_OF_ROWS 256

/* How many of `count` pixels side by side, all in the ROI, are lit. */
static int32_t count_lit(const nbh_plan *plan, int32_t fast, int32_t slow, int32_t count)
{
    if (plan->mask == NULL)
        return count;
    const uint8_t *mask = plan->mask + (int64_t)slow * plan->info.n_fast + fast;
    int32_t lit = 0;
    for (int32_t i = 0; i < count; i++)
        lit += mask[i] != 0;
    return lit;
}

/* The lit pixels of the image, and the rows that have any. */
static int64_t count_all_lit(const nbh_plan *plan, int64_t *rows)
{
    const nbh_plan_info *info = &plan->info;
    const int32_t fast = info->roi_fast_min, width = info->roi_fast_max - fast + 1,
                  height = info->roi_slow_max - info->roi_slow_min + 1;
    *rows = 0;
    if (width <= 0 || height <= 0)
        return 0;
    if (plan->mask == NULL) {
        *rows = height;
        return (int64_t)width * height;
    }
    int64_t lit = 0;
    for (int32_t slow = info->roi_slow_min; slow <= info->roi_slow_max; slow++) {
        const int32_t of_row = count_lit(plan, fast, slow, width);
        lit += of_row;
        *rows += of_row > 0;
    }
    return lit;
}

void plan_set_units(nbh_plan *plan)
{
    int64_t rows;
    const int64_t lit = count_all_lit(plan, &rows);
    const int64_t steps = (int64_t)plan->info.steps * plan->info.sensor_layers;
    plan->units_are_rows = rows >= MANY_ROWS && lit / LEAST_PIXELS_OF_ROWS >= MANY_ROWS;
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

/* Goes on in a row from *fast to behind so many lit pixels, or to the end of the ROI.  Returns how
 * many are missing then. */
static int32_t pass_lit(const nbh_plan *plan, int32_t *fast, int32_t slow, int32_t missing)
{
    enum { GROUP = 64 };
    int32_t step = plan->mask == NULL ? missing : GROUP;
    while (missing > 0 && *fast <= plan->info.roi_fast_max) {
        const int32_t left = plan->info.roi_fast_max - *fast + 1;
        const int32_t count = step < left ? step : left;
        const int32_t lit = count_lit(plan, *fast, slow, count);
        if (lit > missing) {
            step = 1; /* the end is in this group */
        } else {
            missing -= lit;
            *fast += count;
        }
    }
    return missing;
}

int64_t nbh_plan_unit_end(const nbh_plan *plan, int64_t pixel)
{
    const nbh_plan_info *info = &plan->info;
    const int64_t pixels = (int64_t)info->n_fast * info->n_slow;
    if (pixel < 0 || pixel >= pixels)
        return pixels;
    int32_t slow = (int32_t)(pixel / info->n_fast), fast = (int32_t)(pixel % info->n_fast);
    int32_t missing = plan->unit_pixels;
    if (slow < info->roi_slow_min) {
        slow = info->roi_slow_min;
        fast = 0;
    }
    for (; slow <= info->roi_slow_max; slow++, fast = 0) {
        if (fast < info->roi_fast_min)
            fast = info->roi_fast_min;
        missing = pass_lit(plan, &fast, slow, missing);
        if (missing == 0)
            return (int64_t)slow * info->n_fast + (plan->units_are_rows ? info->n_fast : fast);
    }
    return pixels;
}
