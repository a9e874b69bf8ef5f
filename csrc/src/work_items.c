#include "work_items.h"

/* A work item has this part of the image's active pixels, in limits. */
#define WORK_ITEMS 1024
#define MOST_PIXELS 4096
/* Beside so many steps, what a work item costs of its own is little. */
#define LEAST_STEPS 2048
/* What a pixel costs of its own, in steps. */
#define STEPS_OF_PIXEL 3
/* Work items are whole rows where there are so many, each with so many pixels that it matters
 * little if the last block of an item has empty lanes. */
#define MANY_ROWS 256
#define LEAST_PIXELS_OF_ROWS 256

/* How many of `count` pixels side by side, all in the ROI, are active. */
static int32_t count_active(const nbh_plan *plan, int32_t fast, int32_t slow, int32_t count)
{
    if (plan->mask == NULL)
        return count;
    const uint8_t *mask = plan->mask + plan_pixel_number(plan, fast, slow);
    int32_t active = 0;
    for (int32_t i = 0; i < count; i++)
        active += mask[i] != 0;
    return active;
}

/* The active pixels of the image, and the rows that have any. */
static int64_t count_all_active(const nbh_plan *plan, int64_t *rows)
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
    int64_t active = 0;
    for (int32_t slow = info->roi_slow_min; slow <= info->roi_slow_max; slow++) {
        const int32_t of_row = count_active(plan, fast, slow, width);
        active += of_row;
        *rows += of_row > 0;
    }
    return active;
}

void work_items_set(nbh_plan *plan)
{
    int64_t rows;
    const int64_t active = count_all_active(plan, &rows);
    plan->info.active_pixels = active;
    const int64_t steps = (int64_t)plan->info.steps * plan->info.sensor_layers;
    plan->work_items_are_rows =
        plan->tile_rows > 0 || (rows >= MANY_ROWS && active / LEAST_PIXELS_OF_ROWS >= MANY_ROWS);
    const int64_t least =
        plan->work_items_are_rows ? LEAST_PIXELS_OF_ROWS : LEAST_STEPS / (steps + STEPS_OF_PIXEL);
    int64_t pixels = active / WORK_ITEMS;
    if (pixels < least)
        pixels = least;
    if (pixels > MOST_PIXELS)
        pixels = MOST_PIXELS;
    pixels -= pixels % FAST_LANES;
    plan->work_item_pixels = pixels > 0 ? (int32_t)pixels : FAST_LANES;
}

/* Goes on in a row from *fast to behind so many active pixels, or to the end of the ROI.  Returns
 * how many are missing then. */
static int32_t pass_active(const nbh_plan *plan, int32_t *fast, int32_t slow, int32_t missing)
{
    enum { GROUP = 64 };
    int32_t step = plan->mask == NULL ? missing : GROUP;
    while (missing > 0 && *fast <= plan->info.roi_fast_max) {
        const int32_t left = plan->info.roi_fast_max - *fast + 1;
        const int32_t count = step < left ? step : left;
        const int32_t active = count_active(plan, *fast, slow, count);
        if (active > missing) {
            step = 1; /* the end is in this group */
        } else {
            missing -= active;
            *fast += count;
        }
    }
    return missing;
}

/* The first row behind the band, or row, that has this one. */
static int32_t end_of_band(const nbh_plan *plan, int32_t slow)
{
    if (plan->tile_rows == 0)
        return slow + 1;
    const int32_t first = plan->info.roi_slow_min;
    const int64_t end = first + (int64_t)((slow - first) / plan->tile_rows + 1) * plan->tile_rows;
    return end < plan->info.n_slow ? (int32_t)end : plan->info.n_slow;
}

int64_t nbh_plan_work_item_end(const nbh_plan *plan, int64_t pixel)
{
    const nbh_plan_info *info = &plan->info;
    const int64_t pixels = (int64_t)info->n_fast * info->n_slow;
    if (pixel < 0 || pixel >= pixels)
        return pixels;
    int32_t slow = (int32_t)(pixel / info->n_fast), fast = (int32_t)(pixel % info->n_fast);
    int32_t missing = plan->work_item_pixels;
    if (slow < info->roi_slow_min) {
        slow = info->roi_slow_min;
        fast = 0;
    }
    for (; slow <= info->roi_slow_max; slow++, fast = 0) {
        if (fast < info->roi_fast_min)
            fast = info->roi_fast_min;
        missing = pass_active(plan, &fast, slow, missing);
        if (missing == 0)
            return plan->work_items_are_rows ? plan_pixel_number(plan, 0, end_of_band(plan, slow))
                                             : plan_pixel_number(plan, fast, slow);
    }
    return pixels;
}
