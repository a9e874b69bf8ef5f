/* scene_checks.c - counts, places of factors, and arrays that are not there. */
#include "scene_checks.h"

#include <math.h>

#include "error.h"
#include "fast/lanes.h"
#include "fast/scene_tile.h"

/* Samples of a pixel are numbered in 64 bits; so many would take centuries. */
#define MOST_SAMPLES 0x1p53

/* Places that a factor may have: those of every factor, and some of its own. */
static int is_place(int32_t place, int is_capture, int is_polarization)
{
    switch ((nbh_factor_place)place) {
    case NBH_FACTOR_NONE:
    case NBH_FACTOR_PIXEL:
    case NBH_FACTOR_RAY:
    case NBH_FACTOR_STEP:
        return 1;
    case NBH_FACTOR_LAYER:
    case NBH_FACTOR_LAST_LAYER:
        return is_capture;
    case NBH_FACTOR_SOURCE:
    case NBH_FACTOR_SAMPLE:
        return is_polarization;
    }
    return 0;
}

static int is_surface(int32_t surface)
{
    switch ((nbh_detector_surface)surface) {
    case NBH_SURFACE_PLANE:
    case NBH_SURFACE_TURNED:
    case NBH_SURFACE_SPHERE:
        return 1;
    }
    return 0;
}

nbh_status scene_check_array(const void *array, const char *name, int64_t count, nbh_error *error)
{
    if (array == NULL && count > 0)
        return nbh_fail(error, NBH_INVALID, name, "got NULL, need an array");
    return NBH_OK;
}

static nbh_status check_samples(const nbh_scene *s, nbh_error *error)
{
    if (s->oversample < 1)
        return nbh_fail(error, NBH_INVALID, "oversample", "got %d, need at least 1", s->oversample);
    if (s->layers < 1)
        return nbh_fail(error, NBH_INVALID, "layers", "got %d, need at least 1", s->layers);
    if ((double)s->layers * s->oversample * s->oversample > MOST_SAMPLES)
        return nbh_fail(error, NBH_TOO_LARGE, "oversample",
                        "got %d layers of %d * %d sub-pixels, need at most 2^53 samples", s->layers,
                        s->oversample, s->oversample);
    return NBH_OK;
}

static nbh_status check_factors(const nbh_scene *s, nbh_error *error)
{
    const int32_t of_background = NBH_OWN_CAPTURE | NBH_OWN_POLARIZATION | NBH_OWN_SOLID_ANGLE;
    const int32_t of_water = of_background | NBH_OWN_OF_SOURCES | NBH_OWN_OF_SUB_PIXELS;
    if (!is_place(s->capture, 1, 0))
        return nbh_fail(error, NBH_INVALID, "capture",
                        "got %d, need an nbh_factor_place of capture fractions", s->capture);
    if (!is_place(s->polarization, 0, 1))
        return nbh_fail(error, NBH_INVALID, "polarization",
                        "got %d, need an nbh_factor_place of polarization factors",
                        s->polarization);
    if (!is_place(s->solid_angle, 0, 0) || !role_of(s->solid_angle).acts)
        return nbh_fail(error, NBH_INVALID, "solid_angle",
                        "got %d, need NBH_FACTOR_PIXEL, _RAY or _STEP", s->solid_angle);
    if (!is_surface(s->surface))
        return nbh_fail(error, NBH_INVALID, "surface", "got %d, need an nbh_detector_surface",
                        s->surface);
    if ((s->background_factors & ~of_background) != 0)
        return nbh_fail(error, NBH_INVALID, "background_factors",
                        "got %d, need a sum of NBH_OWN_CAPTURE, _POLARIZATION and _SOLID_ANGLE",
                        s->background_factors);
    if ((s->water_factors & ~of_water) != 0)
        return nbh_fail(error, NBH_INVALID, "water_factors",
                        "got %d, need a sum of nbh_own_factors", s->water_factors);
    return NBH_OK;
}

static nbh_status check_crystals(const nbh_scene *s, nbh_error *error)
{
    for (int32_t n = 0; n < s->crystal_count; n++) {
        if (s->crystals[n].struct_size != sizeof s->crystals[n])
            return nbh_fail(error, NBH_STRUCT_SIZE, "crystals", "call nbh_lattice_init first");
        if (s->crystals[n].kernel != s->crystals[0].kernel)
            return nbh_fail(error, NBH_INVALID, "crystals", "need the same kernel for all");
    }
    return NBH_OK;
}

static nbh_status check_arrays(const nbh_scene *s, nbh_error *error)
{
    nbh_status status = scene_check_array(s->sources, "sources", 1, error);
    if (status == NBH_OK)
        status = scene_check_array(s->crystals, "crystals", 1, error);
    if (status == NBH_OK)
        status = scene_check_array(s->strength, "strength", 1, error);
    if (status == NBH_OK)
        status = scene_check_array(s->background, "background", 1, error);
    return status;
}

/* Quotients by wavelengths need ordinary ones, see fast/lanes.h. */
static nbh_status check_sources(const nbh_scene *s, nbh_error *error)
{
    for (int64_t n = 0; n < s->source_count; n++) {
        const double wavelength = s->sources[NBH_SOURCE_NUMBERS * n + NBH_SOURCE_WAVELENGTH];
        if (!(fabs(wavelength) >= SMALLEST_ORDINARY && fabs(wavelength) <= LARGEST_ORDINARY))
            return nbh_fail(error, NBH_TOO_LARGE, "sources",
                            "got a wavelength of %g m, which these pixels cannot have", wavelength);
    }
    return NBH_OK;
}

nbh_status scene_check(const nbh_scene *s, nbh_error *error)
{
    if (s->struct_size != sizeof *s)
        return nbh_fail(error, NBH_STRUCT_SIZE, "struct_size", "call nbh_scene_init first");
    nbh_status status = check_samples(s, error);
    if (status != NBH_OK)
        return status;
    if (!(s->dmin_m >= 0.0 && isfinite(s->dmin_m)))
        return nbh_fail(error, NBH_INVALID, "dmin_m", "got %g, need a finite number >= 0",
                        s->dmin_m);
    if (!(s->tolerance_photons >= 0.0 && isfinite(s->tolerance_photons)))
        return nbh_fail(error, NBH_INVALID, "tolerance_photons",
                        "got %g, need a finite number >= 0", s->tolerance_photons);
    if (!(s->steps > 0.0 && isfinite(s->steps)))
        return nbh_fail(error, NBH_INVALID, "steps", "got %g, need a finite number > 0", s->steps);
    if (s->source_count < 1)
        return nbh_fail(error, NBH_INVALID, "source_count", "got %lld, need at least 1",
                        (long long)s->source_count);
    if (s->crystal_count < 1)
        return nbh_fail(error, NBH_INVALID, "crystal_count", "got %d, need at least 1",
                        s->crystal_count);
    status = check_factors(s, error);
    if (status == NBH_OK)
        status = check_arrays(s, error);
    if (status == NBH_OK)
        status = check_sources(s, error);
    if (status == NBH_OK)
        status = check_crystals(s, error);
    return status;
}

nbh_status scene_check_pixels(const nbh_pixel_list *pixels, int64_t first, int64_t end,
                              nbh_error *error)
{
    if (first < 0 || end < first || pixels->count < end)
        return nbh_fail(error, NBH_INVALID, "pixels", "got %lld to %lld of %lld", (long long)first,
                        (long long)end, (long long)pixels->count);
    nbh_status status = scene_check_array(pixels->slow, "slow", end - first, error);
    if (status == NBH_OK)
        status = scene_check_array(pixels->fast, "fast", end - first, error);
    return status;
}

nbh_status scene_check_gradient(const nbh_scene *s, const nbh_scene_gradient *g, nbh_error *error)
{
    nbh_status status = scene_check_array(g->sources, "sources", 1, error);
    if (status == NBH_OK)
        status = scene_check_array(g->crystals, "crystals", 1, error);
    if (status == NBH_OK)
        status = scene_check_array((const void *)g->cells_m, "cells_m", 1, error);
    for (int32_t n = 0; status == NBH_OK && n < s->crystal_count; n++)
        status =
            scene_check_array(g->cells_m[n], "cells_m", s->crystals[n].orientation_count, error);
    return status;
}

static nbh_status check_turning(const nbh_scene_directions *d, nbh_error *error)
{
    if (d->turning_count < 0)
        return nbh_fail(error, NBH_INVALID, "turning_count", "got %d, need at least 0",
                        d->turning_count);
    if (d->turning_count == 0)
        return NBH_OK;
    nbh_status status = scene_check_array(d->turning, "turning", 1, error);
    if (status == NBH_OK)
        status = scene_check_array(d->turning_m, "turning_m", 1, error);
    if (status != NBH_OK)
        return status;
    for (int32_t t = 0; t < d->turning_count; t++)
        if (d->turning[t] < 0 || d->turning[t] >= d->count)
            return nbh_fail(error, NBH_INVALID, "turning", "got %d, need a direction, 0 to %d",
                            d->turning[t], d->count - 1);
    return NBH_OK;
}

nbh_status scene_check_directions(const nbh_scene *s, const nbh_scene_directions *d,
                                  nbh_error *error)
{
    if (s->crystal_count != 1)
        return nbh_fail(error, NBH_INVALID, "crystal_count", "got %d, need 1 for a Jacobian",
                        s->crystal_count);
    if (d->count < 1)
        return nbh_fail(error, NBH_INVALID, "directions", "got %d, need at least 1", d->count);
    if (d->reference_m != NULL && d->rotations == NULL)
        return nbh_fail(error, NBH_INVALID, "rotations",
                        "need one for each orientation where the reference cell changes");
    if (d->amplitude != NULL && s->crystals[0].structure_factors.amplitude == NULL)
        return nbh_fail(error, NBH_INVALID, "amplitude", "need a crystal that has a table");
    return check_turning(d, error);
}
