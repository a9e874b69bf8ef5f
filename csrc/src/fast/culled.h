/* culled.h - a fast kernel that leaves out steps without light; compiled once for each instruction
 * set, by culled_*.c.
 *
 * It is kernel.h but for its loops over sources and orientations: light_bounds.h says which of them
 * may light the block, and the others are bounded (docs/accuracy.md, "Steps without light"). */
#ifndef NBH_FAST_CULLED_H
#define NBH_FAST_CULLED_H

#include "fast/culled_steps.h"
#include "fast/gaussian_tiles.h"
#include "fast/kernel.h"
#include "fast/light_bounds.h"
#include "fast/tile.h"

/* What a block carries besides its block_state. */
typedef struct culled_block {
    block_state s;
    lanes left_out; /* bounds what the omitted steps add to the sum */
    int64_t visited;
    light_tile tile;
    light_lists lists;
    gaussian_batch batch; /* steps of this sub-pixel that wait */
    lanes gaussians;      /* the sum of others */
    int is_narrow;        /* no index may be off from the exact kernel's */
    tile_measure measure;
    tile_batch of_tile; /* steps that wait, and their sum, whose indices may be */
} culled_block;

/* A sub-pixel, seen by its sources. */
typedef struct culled_sample {
    fast_view view;
    lanes dx, dy, dz;
    lanes has_polar;          /* see polarize_sample */
    int needs_every_source;   /* for its factors, or for what it does to d */
    int waits, waits_for_all; /* steps do, for others of their source, or of the sub-pixel */
} culled_sample;

SPECIALISED int64_t list_light(const light_bounds *bounds, const light_sources *sources,
                               int64_t first, light_tile *tile, light_lists *lists)
{
    return bounds->by_planes ? light_list(bounds, 1, sources, first, tile, lists)
                             : light_list(bounds, 0, sources, first, tile, lists);
}

/* One source of a group as if it were alone. */
static inline light_sources alone(const light_sources *group, int32_t n)
{
    light_sources one = *group;
    EACH_LANE
        one.per_wavelength[j] = group->per_wavelength[n];
    one.middle = one.largest = group->per_wavelength[n];
    one.half = 0.0;
    one.first = group->first + n;
    one.count = 1;
    one.members = 1;
    return one;
}

/* Scattering vectors, dmin and polarization of one source, as in add_subpixel.  Returns whether any
 * lane has the source. */
static inline int look_at_source(const nbh_plan *plan, int32_t source, culled_sample *sample,
                                 block_state *s)
{
    const plan_source *from = &plan->sources[source];
    fast_view *view = &sample->view;
    const int is_last = source == plan->info.source_count - 1;
    const double wavelength_m = from->wavelength_m, per_wavelength = 1.0 / wavelength_m;
    EACH_LANE {
        view->qx[j] = quotient(sample->dx[j] - from->incident[0], wavelength_m, per_wavelength);
        view->qy[j] = quotient(sample->dy[j] - from->incident[1], wavelength_m, per_wavelength);
        view->qz[j] = quotient(sample->dz[j] - from->incident[2], wavelength_m, per_wavelength);
        view->active[j] = 1.0;
        /* NaN where q is not finite */
        s->sums.exact[j] += (view->qx[j] + view->qy[j] + view->qz[j]) * 0.0;
    }
    if (plan->dmin_m > 0.0) {
        EACH_LANE {
            const double stol = 0.5 * sqrt(view->qx[j] * view->qx[j] + view->qy[j] * view->qy[j] +
                                           view->qz[j] * view->qz[j]);
            const int cut = (stol > 0.0) & (plan->dmin_m > 0.5 / stol);
            view->active[j] = cut ? 0.0 : 1.0;
        }
        if (!any_is_set(view->active))
            return 0;
    }
    if (s->polar_is_pending)
        polarize(plan, from, is_last, view->active, sample->dx, sample->dy, sample->dz, s);
    else if (plan->polar_per_sample)
        polarize_sample(plan, from, view->active, sample->dx, sample->dy, sample->dz,
                        sample->has_polar, s);
    return 1;
}

/* The omitted steps of a source, times its factors. */
static inline void leave_out(const nbh_plan *plan, const fast_view *view, culled_block *block)
{
    const double dark = (double)plan->light->bounds.count * plan->light->bounds.dark_term;
    lanes factor;
    EACH_LANE
        factor[j] = dark * view->factor[j];
    for (int n = 0; n < view->step_count; n++)
        EACH_LANE
            factor[j] *= view->steps[n][j];
    EACH_LANE
        block->left_out[j] += factor[j];
}

/* Do steps of the shape wait? */
static inline int gaussians_wait(const shape_profile profile)
{
    switch (profile) {
    case PROFILE_GAUSSIAN:
        return 1;
    case PROFILE_INTERFERENCE:
    case PROFILE_SPHERE:
    case PROFILE_TOP_HAT:
        return 0;
    }
    return 0;
}

static inline void add_list(const nbh_plan *plan, const culled_sample *sample,
                            const step_list *list, culled_block *block)
{
    if (sample->waits)
        keep_gaussians(plan, &sample->view, list, &block->batch, block->gaussians);
    else
        add_listed_steps(plan, &sample->view, list, &block->s.sums);
    block->visited += list->count;
}

/* The steps of one source of a group.  Returns 0 if cancelled. */
static inline int add_source_steps(const nbh_plan *plan, const light_sources *group, int32_t n,
                                   const volatile int32_t *cancel, culled_sample *sample,
                                   culled_block *block)
{
    const light_bounds *bounds = &plan->light->bounds;
    const light_sources one = alone(group, n);
    for (int64_t first = 0; first < bounds->count;) {
        if (plan_is_cancelled(cancel, 0))
            return 0;
        first = list_light(bounds, &one, first, &block->tile, &block->lists);
        const step_list list = {block->lists.orientation[0], block->lists.count[0]};
        add_list(plan, sample, &list, block);
    }
    return 1;
}

/* One source of a group with the model's indices, because its directions are those of the
 * polarization factor, after which they change (model 6.3).  Returns 0 if cancelled. */
static inline int add_first_source(const nbh_plan *plan, const light_sources *group, int32_t n,
                                   const volatile int32_t *cancel, culled_sample *sample,
                                   culled_block *block)
{
    look_at_source(plan, group->first + n, sample, &block->s);
    source_factors(plan, group->first + n, &block->s, sample->view.factor);
    if (!add_source_steps(plan, group, n, cancel, sample, block))
        return 0;
    leave_out(plan, &sample->view, block);
    allow_for_losses(plan, &sample->view, &block->s.sums);
    return 1;
}

/* May the sources of a group be added up by add_tile_group?  Their indices are off by so much. */
static inline int fits_tile(const nbh_plan *plan, const light_sources *group,
                            const culled_sample *sample, const culled_block *block, double *error)
{
    if (!sample->waits_for_all || block->is_narrow)
        return 0;
    const double largest =
        plan->tolerance_photons > 0.0 ? TILE_LARGEST_ERROR_OF_TOLERANCE : TILE_LARGEST_ERROR;
    *error =
        tile_index_error(&block->measure, &plan->light->bounds, &block->tile.directions, group);
    return *error < largest; /* and not NaN */
}

/* The lists' steps, one source after the other; they become empty. */
static inline void add_lists(const nbh_plan *plan, const light_sources *group,
                             culled_sample *sample, culled_block *block)
{
    light_lists *lists = &block->lists;
    for (int32_t n = 0; n < group->count; n++) {
        if (lists->count[n] == 0)
            continue;
        look_at_source(plan, group->first + n, sample, &block->s);
        const step_list list = {lists->orientation[n], lists->count[n]};
        keep_gaussians(plan, &sample->view, &list, &block->batch, block->gaussians);
        lists->count[n] = 0;
    }
}

/* The nearest reflection of the tile's middle, and whether it is that of all its pixels: for an
 * orientation, number n of its chunk, and 1/wavelength within `range` of `per_wavelength`. */
static inline int tile_is_alone(const light_bounds *bounds, const light_reach *reach, int n,
                                double per_wavelength, double range, double whole[3])
{
    int is_alone = 1;
    for (int i = 0; i < 3; i++) {
        const double index = reach->middle[i][n] * per_wavelength;
        const double away = fabs(reach->middle[i][n]) * range +
                            reach->half[i][n] * (per_wavelength + range) + bounds->margin;
        whole[i] = nearest_whole(index);
        is_alone &= fabs(index - whole[i]) + away < 0.5;
    }
    return is_alone;
}

/* The steps of one orientation for the sources whose bits are set. */
static inline void add_orientation(const nbh_plan *plan, const light_sources *group,
                                   const light_reach *reach, int64_t orientation, uint64_t lit,
                                   const tile_view *view, culled_block *block)
{
    const light_bounds *bounds = &plan->light->bounds;
    const tile_measure *measure = &block->measure;
    const int n = (int)(orientation % LANES);
    light_lists *lists = &block->lists;
    double whole[3], origin[3];
    lanes x[3];
    tile_turn(measure, bounds->cells + orientation, bounds->stride, view, x);
    if (tile_is_alone(bounds, reach, n, group->middle, group->half, whole)) {
        const double f = tile_f(plan, whole);
        tile_origin(measure, whole, origin);
        for (; f != 0.0 && lit != 0; lit &= lit - 1) {
            const double per = group->per_wavelength[lowest_bit(lit)];
            tile_add_alone(measure, origin, f * f, per, x, &block->of_tile);
        }
        return;
    }
    const int any_are_alike = plan->table.amplitude == NULL && measure->along_indices;
    for (; lit != 0; lit &= lit - 1) {
        const int s = lowest_bit(lit);
        const double per = group->per_wavelength[s];
        if (any_are_alike) {
            const double f = plan->table.default_f;
            tile_add_nearest(measure, f * f, per, x, &block->of_tile);
        } else if (tile_is_alone(bounds, reach, n, per, 0.0, whole)) {
            const double f = tile_f(plan, whole);
            tile_origin(measure, whole, origin);
            if (f != 0.0)
                tile_add_alone(measure, origin, f * f, per, x, &block->of_tile);
        } else {
            lists->orientation[s][lists->count[s]++] = (int32_t)orientation;
        }
    }
}

/* The sources of a group whose bits are set, without factors of their own: orientation after
 * orientation.  Returns 0 if cancelled. */
OUT_OF_LINE int add_tile_group(const nbh_plan *plan, const light_sources *group, uint64_t members,
                               const volatile int32_t *cancel, culled_sample *sample,
                               culled_block *block)
{
    const light_bounds *bounds = &plan->light->bounds;
    int64_t listed = 0;
    tile_view view;
    EACH_LANE {
        view.vx[j] = sample->dx[j] - group->incident[0];
        view.vy[j] = sample->dy[j] - group->incident[1];
        view.vz[j] = sample->dz[j] - group->incident[2];
    }
    for (int32_t s = 0; s < group->count; s++)
        block->lists.count[s] = 0;
    for (int64_t first = 0; first < bounds->count; first += LANES) {
        if (plan_is_cancelled(cancel, 0))
            return 0;
        if (listed > LIGHT_LIST - LANES) {
            add_lists(plan, group, sample, block);
            listed = 0;
        }
        lanes chunk, each;
        const light_reach *reach = light_reach_at(bounds, group, first / LANES, &block->tile);
        light_of_chunk(bounds, 0, group, reach, chunk, NULL);
        uint64_t bright = lanes_below(chunk, bounds->dark_from);
        if (bounds->count - first < LANES)
            bright &= (UINT64_C(1) << (bounds->count - first)) - 1;
        for (; bright != 0; bright &= bright - 1) {
            const int j = lowest_bit(bright);
            uint64_t lit = members;
            if (group->count > 1) {
                light_of_sources(bounds, 0, group, reach, j, each);
                lit &= lanes_below(each, bounds->dark_from);
            }
            if (lit == 0)
                continue;
            block->visited += count_bits(lit);
            add_orientation(plan, group, reach, first + j, lit, &view, block);
            listed++;
        }
    }
    add_lists(plan, group, sample, block);
    const step_loss loss = loss_of_step(plan);
    const double steps = (double)bounds->count * count_bits(members);
    EACH_LANE {
        block->left_out[j] += steps * bounds->dark_term;
        block->s.sums.slack[j] += steps * loss.underflow;
    }
    return 1;
}

/* What add_tile_group has added up, of all groups of a sub-pixel. */
static inline void add_tile_sum(const nbh_plan *plan, culled_block *block)
{
    lanes sum, error;
    tile_finish(plan, &block->measure, &block->of_tile, sum, error);
    EACH_LANE {
        block->s.sums.intensity[j] += sum[j];
        block->s.sums.slack[j] += error[j];
    }
    tile_start(&block->of_tile);
}

/* All sources of a group at one sub-pixel.  Returns 0 if cancelled. */
static inline int add_group(const nbh_plan *plan, const light_sources *group,
                            const volatile int32_t *cancel, culled_sample *sample,
                            culled_block *block)
{
    const light_bounds *bounds = &plan->light->bounds;
    block_state *s = &block->s;
    light_lists *lists = &block->lists;
    if (plan_is_cancelled(cancel, 0))
        return 0;
    double index_error;
    if (fits_tile(plan, group, sample, block, &index_error)) {
        uint64_t members = group->members;
        int32_t n = 0;
        block->of_tile.index_error = larger(block->of_tile.index_error, index_error);
        for (; s->polar_is_pending && n < group->count; n++, members &= members - 1)
            if (!add_first_source(plan, group, n, cancel, sample, block))
                return 0;
        return members == 0 || add_tile_group(plan, group, members, cancel, sample, block);
    }
    const int is_whole = list_light(bounds, group, 0, &block->tile, lists) == bounds->count;
    int32_t dark_sources = 0;
    for (int32_t n = 0; n < group->count; n++) {
        const int32_t source = group->first + n;
        const int looks = sample->needs_every_source || s->polar_is_pending;
        if (is_whole && lists->count[n] == 0 && !looks) {
            dark_sources++;
            continue;
        }
        if (!look_at_source(plan, source, sample, s))
            continue;
        source_factors(plan, source, s, sample->view.factor);
        if (is_whole) {
            const step_list list = {lists->orientation[n], lists->count[n]};
            add_list(plan, sample, &list, block);
        } else {
            if (!add_source_steps(plan, group, n, cancel, sample, block))
                return 0;
        }
        if (sample->waits && !sample->waits_for_all)
            add_gaussians(plan, &sample->view, &block->batch, block->gaussians, &s->sums);
        leave_out(plan, &sample->view, block);
        allow_for_losses(plan, &sample->view, &s->sums);
    }
    const double dark = (double)bounds->count * dark_sources * bounds->dark_term;
    EACH_LANE
        block->left_out[j] += dark;
    return 1;
}

/* Looks only where a source of the group may switch interpolation off.  Returns 0 if cancelled. */
static inline int scan_group(const nbh_plan *plan, const light_sources *group,
                             const volatile int32_t *cancel, culled_sample *sample,
                             culled_block *block)
{
    const light_bounds *bounds = &plan->light->bounds;
    light_lists *lists = &block->lists;
    const int keeps_first = bounds->count <= LIGHT_LIST - LANES;
    int is_listed = 0;
    for (int32_t n = 0; n < group->count; n++) {
        int is_seen = 0;
        for (int64_t first = 0; first < bounds->count;) {
            if (plan_is_cancelled(cancel, 0))
                return 0;
            if (keeps_first && is_listed) /* the list is for all sources of the group */
                first = bounds->count;
            else
                first = bounds->by_planes
                            ? light_scan_list(bounds, 1, group, first, &block->tile, lists)
                            : light_scan_list(bounds, 0, group, first, &block->tile, lists);
            is_listed = 1;
            const int sets_polar = block->s.polar_is_pending || plan->polar_per_sample;
            if (lists->count[0] == 0 && (is_seen || !sets_polar))
                continue;
            if (!is_seen && !look_at_source(plan, group->first + n, sample, &block->s))
                break;
            is_seen = 1;
            const step_list list = {lists->orientation[0], lists->count[0]};
            scan_listed_steps(plan, &sample->view, &list, &block->s.sums);
        }
    }
    return 1;
}

/* Are all sources' nodes of interpolations in the table, whatever the orientation?  Then nothing
 * can be switched off (see stays_in_table). */
static inline int stays_in_stencils(const nbh_plan *plan, const culled_sample *sample)
{
    lanes is_inside;
    EACH_LANE
        is_inside[j] = 1.0;
    for (int32_t n = 0; n < plan->light->group_count; n++) {
        const light_sources *group = &plan->light->groups[n];
        const double x = group->incident[0], y = group->incident[1], z = group->incident[2];
        const double most =
            plan->q_sqr_inside_stencils / (group->largest * group->largest) * (1.0 - 1e-9);
        EACH_LANE {
            const double vx = sample->dx[j] - x, vy = sample->dy[j] - y, vz = sample->dz[j] - z;
            is_inside[j] = vx * vx + vy * vy + vz * vz <= most ? is_inside[j] : 0.0;
        }
    }
    return all_are_set(is_inside);
}

/* See add_subpixel. */
static inline int add_culled_subpixel(const nbh_plan *plan, const int32_t *fast,
                                      const int32_t *slow, const lanes fast_m, const lanes slow_m,
                                      const block_position *at, const volatile int32_t *cancel,
                                      culled_block *block)
{
    const nbh_plan_info *info = &plan->info;
    block_state *s = &block->s;
    culled_sample sample;
    lanes px, py, pz, r, per_r;
    positions(plan, fast_m, slow_m, at->layer * info->sensor_layer_step_m, px, py, pz);
    EACH_LANE {
        r[j] = sqrt(px[j] * px[j] + py[j] * py[j] + pz[j] * pz[j]);
        per_r[j] = 1.0 / r[j];
        sample.dx[j] = quotient(px[j], r[j], per_r[j]);
        sample.dy[j] = quotient(py[j], r[j], per_r[j]);
        sample.dz[j] = quotient(pz[j], r[j], per_r[j]);
        sample.has_polar[j] = 0.0;
        s->sums.exact[j] += (sample.dx[j] + sample.dy[j] + sample.dz[j]) * 0.0;
    }
    EACH_LANE {
        const int far = is_too_small(px[j]) | is_too_small(py[j]) | is_too_small(pz[j]) |
                        (r[j] > LARGEST_ORDINARY);
        s->sums.exact[j] = far ? NAN : s->sums.exact[j];
    }
    subpixel_factors(plan, at, fast_m, slow_m, r, per_r, sample.dx, sample.dy, sample.dz, s);

    fast_view *view = &sample.view;
    view->step_count = 0;
    view->interpolates = s->interpolates;
    if (plan->oversample_thick)
        view->steps[view->step_count++] = s->capture;
    if (plan->oversample_polar)
        view->steps[view->step_count++] = s->polar;
    if (plan->oversample_omega)
        view->steps[view->step_count++] = s->omega;
    sample.needs_every_source = plan->polar_per_source || plan->polar_per_sample ||
                                plan->use_source_weights || plan->capture_per_layer ||
                                plan->capture_per_sample || plan->omega_per_sample ||
                                view->step_count > 0;
    sample.waits = gaussians_wait(plan->shape.profile) && !view->interpolates;
    sample.waits_for_all = sample.waits && !sample.needs_every_source && !(plan->dmin_m > 0.0);
    start_gaussians(&block->batch, block->gaussians);
    tile_start(&block->of_tile);
    if (s->scans && stays_in_stencils(plan, &sample))
        return 1;
    tile_fit(fast, slow, sample.dx, sample.dy, sample.dz, &block->tile.directions);
    block->tile.direction = -1;
    for (int32_t n = 0; n < plan->light->group_count; n++) {
        const light_sources *group = &plan->light->groups[n];
        if (!(s->scans ? scan_group(plan, group, cancel, &sample, block)
                       : add_group(plan, group, cancel, &sample, block)))
            return 0;
    }
    if (sample.waits_for_all && !s->scans) { /* all sources are active and have no factors */
        EACH_LANE
            view->active[j] = view->factor[j] = 1.0;
        add_gaussians(plan, view, &block->batch, block->gaussians, &s->sums);
        add_tile_sum(plan, block);
    }
    return 1;
}

/* What the omitted steps may add to the pixels, with the factors of finish_block. */
static inline void finish_left_out(const nbh_plan *plan, const culled_block *block, fast_block *out)
{
    const block_state *s = &block->s;
    EACH_LANE
        out->left_out[j] = plan->scale * block->left_out[j] / plan->info.steps;
    if (!plan->oversample_thick && !plan->capture_per_layer && !plan->capture_per_sample)
        EACH_LANE
            out->left_out[j] *= fabs(s->capture[j]);
    if (!plan->oversample_polar && !plan->polar_per_source && !plan->polar_per_sample)
        EACH_LANE
            out->left_out[j] *= fabs(s->polar[j]);
    if (!plan->oversample_omega && !plan->omega_per_sample)
        EACH_LANE
            out->left_out[j] *= fabs(s->omega[j]);
    EACH_LANE
        out->left_out[j] *= 1.0 + 1e-9;
}

/* Does every interval round to one float?  Not where it is none. */
static inline int all_are_decided(const fast_block *out)
{
    float low[LANES], high[LANES];
    uint32_t low_bits[LANES], high_bits[LANES], all = 0;
    EACH_LANE { /* numbers below floats would take processors long */
        low[j] = (float)(out->low[j] < 1e-60 ? 0.0 : out->low[j]);
        high[j] = (float)(out->high[j] < 1e-60 ? 0.0 : out->high[j]);
    }
    memcpy(low_bits, low, sizeof low_bits);
    memcpy(high_bits, high, sizeof high_bits);
    EACH_LANE
        all |= low_bits[j] ^ high_bits[j];
    return all == 0;
}

/* With sums as narrow as they can be, or in the quickest way. */
OUT_OF_LINE void culled_compute_once(const nbh_plan *plan, const int32_t *fast, const int32_t *slow,
                                     int scans, int is_narrow, const volatile int32_t *cancel,
                                     fast_block *out)
{
    const nbh_plan_info *info = &plan->info;
    const int32_t oversample = info->oversample;
    const int has_tolerance = plan->tolerance_photons > 0.0;
    culled_block block;
    block_state *s = &block.s;
    s->scans = scans;
    start_block(plan, fast, slow, s);
    set_gaussians(plan, &block.batch);
    block.measure = tile_measure_of(plan);
    block.is_narrow = is_narrow;
    block.visited = 0;
    EACH_LANE
        block.left_out[j] = 0.0;
    block_position at = {.layer = 0, .is_first = 1};
    for (; at.layer < info->sensor_layers; at.layer++) {
        at.is_first_of_layer = 1;
        for (int32_t sub_slow = 0; sub_slow < oversample; sub_slow++) {
            lanes slow_m;
            EACH_LANE
                slow_m[j] = plan->subpixel_slow_m * ((double)slow[j] * oversample + sub_slow) +
                            plan->subpixel_slow_m / 2.0;
            for (int32_t sub_fast = 0; sub_fast < oversample; sub_fast++) {
                lanes fast_m;
                EACH_LANE
                    fast_m[j] = plan->subpixel_m * ((double)fast[j] * oversample + sub_fast) +
                                plan->subpixel_m / 2.0;
                if (!add_culled_subpixel(plan, fast, slow, fast_m, slow_m, &at, cancel, &block)) {
                    out->cancelled = 1;
                    return;
                }
                at.is_first = at.is_first_of_layer = 0;
            }
        }
    }
    out->visited = block.visited;
    if (scans) {
        memcpy(out->low, s->sums.exact, sizeof out->low);
        out->cancelled = 0;
        return;
    }
    const double of_sines = has_tolerance && plan->shape.profile == PROFILE_INTERFERENCE
                                ? TERM_ERROR_OF_TOLERANCE
                                : 0.0;
    EACH_LANE
        s->sums.slack[j] +=
            (has_tolerance ? 0.0 : block.left_out[j]) + of_sines * s->sums.intensity[j];
    finish_block(plan, fast, slow, s, out);
    EACH_LANE
        out->left_out[j] = 0.0;
    if (has_tolerance)
        finish_left_out(plan, &block, out);
}

/* A fast_kernel, for the instruction set of the file that includes this one. */
static inline void culled_compute_block(const nbh_plan *plan, const int32_t *fast,
                                        const int32_t *slow, fast_task task,
                                        const volatile int32_t *cancel, fast_block *out)
{
    const int has_tiles = task == FAST_RENDER && gaussians_wait(plan->shape.profile);
    culled_compute_once(plan, fast, slow, task == FAST_SCAN, !has_tiles, cancel, out);
    if (!has_tiles || out->cancelled || plan->tolerance_photons > 0.0 || all_are_decided(out))
        return;
    const int64_t visited = out->visited; /* the same in all builds */
    culled_compute_once(plan, fast, slow, 0, 1, cancel, out);
    out->visited = visited;
}

#endif
