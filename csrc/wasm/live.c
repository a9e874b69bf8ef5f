/* live.c - an experiment's numbers in, its image out: what a web page calls of libnbh.
 *
 * A module of WebAssembly has no structs to share with its page, so numbers go in one by one, by
 * name and in the user's units: the names and units of the Python configuration, the conversions of
 * model 2.  The page renders parts of the rows in several copies of the module.  docs/live_image.md
 * says how it is built. */
#include "nbh/nbh.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT(name) __attribute__((export_name(#name)))
#define RTD (180.0 * 0.31830988618379067154)

typedef enum unit { UNIT_NONE, UNIT_COUNT, UNIT_FLAG_OFF, UNIT_MM, UNIT_ANGSTROM, UNIT_DEG } unit;

typedef struct number {
    const char *name; /* the field of the Python configuration, with its unit */
    size_t offset;    /* of the member of nbh_experiment */
    int32_t length;   /* how many values it has */
    unit unit;
} number;

#define MEMBER(member) offsetof(nbh_experiment, member)

static const number numbers[] = {
    {"beam.wavelength_angstrom", MEMBER(beam.wavelength_m), 1, UNIT_ANGSTROM},
    {"beam.polarization_kahn", MEMBER(beam.polarization_kahn), 1, UNIT_NONE},
    {"beam.polarization_correction", MEMBER(beam.polarization_off), 1, UNIT_FLAG_OFF},
    {"beam.fluence_photons_per_m2", MEMBER(beam.fluence_photons_per_m2), 1, UNIT_NONE},
    {"crystal.cell_angstrom", MEMBER(crystal.cell_length_angstrom), 3, UNIT_NONE},
    {"crystal.cell_deg", MEMBER(crystal.cell_angle_rad), 3, UNIT_DEG},
    {"crystal.misset_deg", MEMBER(crystal.misset_rad), 3, UNIT_DEG},
    {"crystal.n_cells", MEMBER(crystal.n_cells), 3, UNIT_NONE},
    {"crystal.shape", MEMBER(crystal.shape), 1, UNIT_COUNT},
    {"crystal.mosaic_spread_deg", MEMBER(crystal.mosaic_spread_rad), 1, UNIT_DEG},
    {"crystal.mosaic_domains", MEMBER(crystal.mosaic_domains), 1, UNIT_COUNT},
    {"crystal.mosaic_seed", MEMBER(crystal.mosaic_seed), 1, UNIT_COUNT},
    {"goniometer.phi_deg", MEMBER(goniometer.phi_rad), 1, UNIT_DEG},
    {"goniometer.osc_deg", MEMBER(goniometer.osc_rad), 1, UNIT_DEG},
    {"goniometer.phi_steps", MEMBER(goniometer.phi_steps), 1, UNIT_COUNT},
    {"detector.distance_mm", MEMBER(detector.distance_m), 1, UNIT_MM},
    {"detector.pixel_size_mm", MEMBER(detector.pixel_size_m), 1, UNIT_MM},
    {"detector.n_fast", MEMBER(detector.n_fast), 1, UNIT_COUNT},
    {"detector.n_slow", MEMBER(detector.n_slow), 1, UNIT_COUNT},
    {"detector.beam_x_mm", MEMBER(detector.beam_x_m), 1, UNIT_MM},
    {"detector.beam_y_mm", MEMBER(detector.beam_y_m), 1, UNIT_MM},
    {"detector.pivot", MEMBER(detector.pivot), 1, UNIT_COUNT},
    {"detector.twotheta_deg", MEMBER(detector.twotheta_rad), 1, UNIT_DEG},
    {"sampling.oversample", MEMBER(sampling.oversample), 1, UNIT_COUNT},
};
#define NUMBERS ((int32_t)(sizeof numbers / sizeof numbers[0]))

#define MOST_STEPS 200000 /* of a pixel, to look at each */

/* What the page reads of a plan, in this order. */
typedef struct view {
    double n_fast;
    double n_slow;
    double pixel_size_m;
    double wavelength_m;
    double pix0_m[3];
    double fast_axis[3];
    double slow_axis[3];
    double beam_direction[3];
    double oversample;
    double steps;
    double domains;
    double warnings; /* bits of nbh_plan_warning */
    double kernel;   /* nbh_kernel */
    double cell_length_angstrom[3];
    double cell_angle_deg[3];
} view;

/* What a pixel's brightest step has. */
typedef struct spot {
    double hkl[3];
    double hkl_rounded[3];
    double f_cell;
    double steps; /* of the pixel; 0: it has none */
} spot;

static nbh_experiment experiment;
static nbh_structure_factors table;
static nbh_plan *plan;
static double *amplitudes;
static float *image;
static char *text;
static nbh_error error;
static char problem[sizeof error.field + sizeof error.message + 2];
static view shown;
static spot found;

static int32_t failed(const char *field, const char *message)
{
    snprintf(problem, sizeof problem, "%s%s%s", field, field[0] ? ": " : "", message);
    return 0;
}

/* 1 if the status is NBH_OK; else the page's message is set. */
static int32_t is_ok(nbh_status status)
{
    if (status == NBH_OK)
        return 1;
    return failed(error.field, error.message[0] ? error.message : nbh_status_name(status));
}

static void drop_plan(void)
{
    nbh_plan_destroy(plan);
    plan = NULL;
}

/* Why the last call that returned 0 did not work. */
EXPORT(live_problem) const char *live_problem(void)
{
    return problem;
}

EXPORT(live_build_info) const char *live_build_info(void)
{
    return nbh_build_info();
}

EXPORT(live_numbers) int32_t live_numbers(void)
{
    return NUMBERS;
}

EXPORT(live_name) const char *live_name(int32_t index)
{
    return numbers[index].name;
}

EXPORT(live_length) int32_t live_length(int32_t index)
{
    return numbers[index].length;
}

/* Back to the defaults, with these bits of the ledger of quirks. */
EXPORT(live_reset) void live_reset(double quirks)
{
    drop_plan();
    nbh_experiment_init(&experiment);
    experiment.quirks = (nbh_quirks)quirks;
}

/* Element `place` of a number, in the unit of its name. */
EXPORT(live_set) int32_t live_set(int32_t index, int32_t place, double value)
{
    const number *what;
    char *member;

    if (index < 0 || index >= NUMBERS || place < 0 || place >= numbers[index].length)
        return failed("", "the page asks for a number that there is not");
    what = &numbers[index];
    member = (char *)&experiment + what->offset;
    switch (what->unit) {
    case UNIT_COUNT:
    case UNIT_FLAG_OFF:
        if (!(value >= INT32_MIN && value <= INT32_MAX) || value != floor(value))
            return failed(what->name, "need a whole number below 2^31");
        *(int32_t *)member = what->unit == UNIT_COUNT ? (int32_t)value : value == 0.0;
        return 1;
    case UNIT_NONE:
        break;
    case UNIT_MM:
        value = value / 1000.0;
        break;
    case UNIT_ANGSTROM:
        value = value / 1.0e10;
        break;
    case UNIT_DEG:
        value = value / RTD;
        break;
    }
    ((double *)member)[place] = value;
    return 1;
}

/* Room for a text of structure factors; 0: there is none. */
EXPORT(live_text) char *live_text(int32_t length)
{
    free(text);
    text = length < 0 ? NULL : malloc((size_t)length + 1);
    if (text == NULL)
        failed("", "out of memory");
    return text;
}

/* The same amplitude for all reflections. */
EXPORT(live_constant_f) void live_constant_f(double f)
{
    drop_plan();
    free(amplitudes);
    amplitudes = NULL;
    memset(&table, 0, sizeof table);
    table.default_f = f;
}

/* The amplitudes of the text, which is h k l F; those that it leaves out have default_f. */
EXPORT(live_read_text)
int32_t live_read_text(int32_t length, int32_t stream, double default_f)
{
    nbh_hkl_bounds bounds;
    int64_t filled;
    int64_t stopped;
    double count;

    live_constant_f(default_f);
    if (!is_ok(nbh_hkl_scan(text, (size_t)length, stream, &bounds, &error)))
        return 0;
    count = ((double)bounds.h_max - bounds.h_min + 1) * ((double)bounds.k_max - bounds.k_min + 1) *
            ((double)bounds.l_max - bounds.l_min + 1);
    if (bounds.reflections == 0 || !(count >= 1.0 && count <= 1e8))
        return failed("structure factors", "the text has none, or too wide a range of indices");
    amplitudes = malloc((size_t)count * sizeof *amplitudes);
    if (amplitudes == NULL)
        return failed("structure factors", "out of memory");
    if (!is_ok(nbh_hkl_fill(text, (size_t)length, stream, &bounds, default_f, amplitudes, &filled,
                            &stopped, &error))) {
        live_constant_f(default_f);
        return 0;
    }
    table.amplitude = amplitudes;
    table.h_min = bounds.h_min;
    table.h_max = bounds.h_max;
    table.k_min = bounds.k_min;
    table.k_max = bounds.k_max;
    table.l_min = bounds.l_min;
    table.l_max = bounds.l_max;
    return 1;
}

/* Sets everything up that does not depend on the pixel. */
EXPORT(live_plan) int32_t live_plan(void)
{
    nbh_plan_info info;
    int64_t pixels;
    int64_t latch = -1;

    drop_plan();
    if (!is_ok(nbh_plan_create(&experiment, &table, &plan, &error)) ||
        !is_ok(nbh_plan_get_info(plan, &info, &error)))
        return 0;
    pixels = (int64_t)info.n_fast * info.n_slow;
    if (nbh_plan_needs_scan(plan) &&
        !is_ok(nbh_plan_scan_pixels(plan, 0, pixels, NULL, &latch, &error)))
        return 0;
    if (!is_ok(nbh_plan_settle(plan, latch, &error)))
        return 0;
    free(image);
    image = pixels > 0 && pixels < INT32_MAX / 8 ? malloc((size_t)pixels * sizeof *image) : NULL;
    if (image == NULL) {
        drop_plan();
        return failed("detector", "the image has too many pixels for a page");
    }
    shown.n_fast = info.n_fast;
    shown.n_slow = info.n_slow;
    shown.pixel_size_m = info.pixel_size_m;
    shown.wavelength_m = info.wavelength_m;
    shown.oversample = info.oversample;
    shown.steps = info.steps;
    shown.domains = info.mosaic_domains;
    shown.warnings = info.warnings;
    shown.kernel = info.kernel;
    for (int i = 0; i < 3; i++) {
        shown.pix0_m[i] = info.pix0_m[i];
        shown.fast_axis[i] = info.fast_axis[i];
        shown.slow_axis[i] = info.slow_axis[i];
        shown.beam_direction[i] = info.beam_direction[i];
        shown.cell_length_angstrom[i] = info.cell_length_angstrom[i];
        shown.cell_angle_deg[i] = info.cell_angle_rad[i] * RTD;
    }
    return 1;
}

EXPORT(live_view) const view *live_view(void)
{
    return &shown;
}

/* The image, of which rows [row0, row1) are rendered now; 0: that did not work. */
EXPORT(live_render) const float *live_render(int32_t row0, int32_t row1)
{
    nbh_rows rows = {0};

    if (plan == NULL) {
        failed("", "there is no plan to render");
        return NULL;
    }
    rows.image = image + (ptrdiff_t)row0 * (ptrdiff_t)shown.n_fast;
    return is_ok(nbh_plan_render_rows(plan, row0, row1, &rows, &error)) ? image : NULL;
}

/* The step that gives a pixel most of its light; 0: that did not work. */
EXPORT(live_spot) const spot *live_spot(int32_t fast, int32_t slow)
{
    nbh_trace trace;
    nbh_step_trace *steps = NULL;
    const nbh_step_trace *best;
    int64_t count = 0;
    int64_t room = 0;

    if (plan == NULL) {
        failed("", "there is no plan to look at");
        return NULL;
    }
    memset(&found, 0, sizeof found);
    if (!is_ok(nbh_plan_trace_steps(plan, fast, slow, NULL, 0, NULL, &room, NULL, &trace, &error)))
        return NULL;
    if (room > MOST_STEPS) {
        failed("", "the pixel has too many steps to look at");
        return NULL;
    }
    if (room > 0) {
        steps = malloc((size_t)room * sizeof *steps);
        if (steps == NULL) {
            failed("", "out of memory");
            return NULL;
        }
        if (!is_ok(nbh_plan_trace_steps(plan, fast, slow, NULL, room, steps, &count, NULL, &trace,
                                        &error))) {
            free(steps);
            return NULL;
        }
    }
    if (count > 0) {
        best = &steps[0];
        for (int64_t i = 1; i < count; i++)
            if (steps[i].term > best->term)
                best = &steps[i];
        memcpy(found.hkl, best->hkl, sizeof found.hkl);
        memcpy(found.hkl_rounded, best->hkl_rounded, sizeof found.hkl_rounded);
        found.f_cell = best->f_cell;
        found.steps = (double)count;
    }
    free(steps);
    return &found;
}
