/* Pixels of any scene, silly numbers included: an error, or values that are finite where everything
 * that they are made of is ordinary; a gradient is the transpose of a Jacobian. */
#include "lattice_from_bytes.h"

#define MOST_PIXELS 300
#define MOST_SOURCES 3
#define MOST_CRYSTALS 2

typedef struct scene_numbers {
    double sources[NBH_SOURCE_NUMBERS * MOST_SOURCES];
    double strength[MOST_CRYSTALS], background[MOST_CRYSTALS], water[MOST_CRYSTALS];
    lattice_numbers lattices[MOST_CRYSTALS];
    nbh_lattice crystals[MOST_CRYSTALS];
    int32_t slow[MOST_PIXELS], fast[MOST_PIXELS];
} scene_numbers;

/* A detector across the beam z, of 0.1 mm, 0.1 m away. */
static const double PRESETS[NBH_SCENE_NUMBERS] = {
    1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0,  0.0, 1.0, -0.02, -0.02, 0.1,  1e-4, 1e-5,
    1e4, 0.1, 0.5, 0.0, 1.0, 0.0, 1e-4, 0.0, 0.0, 1.0,   0.1,   0.02, 0.02};

static void take_scene(bytes *b, nbh_scene *s, scene_numbers *n)
{
    nbh_scene_init(s);
    const int32_t edge = take_whole(b, 1, 0, 3), layers = take_whole(b, 1, 0, 3);
    s->oversample = edge > 3 ? INT32_MAX : edge; /* what is between takes too long */
    s->layers = layers > 3 ? 3 : layers;
    s->capture = take_whole(b, NBH_FACTOR_PIXEL, 0, 8);
    s->polarization = take_whole(b, NBH_FACTOR_PIXEL, 0, 8);
    s->solid_angle = take_whole(b, NBH_FACTOR_PIXEL, 0, 4);
    s->surface = take_whole(b, NBH_SURFACE_PLANE, 0, 3);
    s->faces_sample = take_below(b, 2);
    s->counts_zeros = take_below(b, 2);
    s->background_factors = take_whole(b, 0, 0, 8);
    s->water_factors = take_whole(b, 0, 0, 32);
    s->has_pixel_area = take_below(b, 2);
    s->is_oblique = take_below(b, 2);
    s->steps = take_number(b, 1.0, 0.5, 1e3);
    s->dmin_m = take_number(b, 0.0, 0.0, 1e-9);
    for (int i = 0; i < NBH_SCENE_NUMBERS; i++)
        s->numbers[i] = take_number(b, PRESETS[i], -2.0, 2.0);
    s->source_count = take_below(b, 8) == 7 ? 0 : 1 + take_below(b, MOST_SOURCES);
    for (int i = 0; i < NBH_SOURCE_NUMBERS * MOST_SOURCES; i++) {
        static const double presets[NBH_SOURCE_NUMBERS] = {0.0, 0.0, 1.0, 1e-10, 1.0};
        n->sources[i] = take_number(b, presets[i % NBH_SOURCE_NUMBERS], 1e-11, 1.0);
    }
    s->sources = n->sources;
    s->crystal_count = take_below(b, 8) == 7 ? 0 : 1 + take_below(b, MOST_CRYSTALS);
    for (int i = 0; i < MOST_CRYSTALS; i++) {
        take_lattice(b, n->crystals + i, n->lattices + i);
        n->strength[i] = take_number(b, 1.0, 0.0, 1e6);
        n->background[i] = take_number(b, 0.0, 0.0, 1e3);
        n->water[i] = take_number(b, 0.0, 0.0, 1e3);
        for (int j = 0; j < TABLE * TABLE * TABLE; j++)
            n->lattices[i].amplitude[j] = j % 11;
    }
    s->crystals = n->crystals;
    s->strength = n->strength;
    s->background = n->background;
    s->water = take_below(b, 2) ? n->water : NULL;
    for (int i = 0; i < MOST_PIXELS; i++) {
        n->slow[i] = take_whole(b, i % 20 * 20, 0, 255);
        n->fast[i] = take_whole(b, i / 20 * 20, 0, 255);
    }
}

/* What a change or a derivative is made of, in one array. */
typedef struct all_numbers {
    double numbers[NBH_SCENE_NUMBERS];
    double sources[NBH_SOURCE_NUMBERS * MOST_SOURCES];
    double crystals[NBH_CRYSTAL_NUMBERS * MOST_CRYSTALS];
    double cells[MOST_CRYSTALS][9 * MOST_ORIENTATIONS];
    double amplitude[MOST_CRYSTALS][TABLE * TABLE * TABLE];
} all_numbers;

typedef struct results {
    double values[MOST_CRYSTALS * MOST_PIXELS], weight[MOST_CRYSTALS * MOST_PIXELS];
    double jacobian[2 * MOST_PIXELS], again[MOST_PIXELS];
    all_numbers by, along;
} results;

/* NaN if one is. */
static double largest(const double *x, int64_t count)
{
    double found = 0.0;
    for (int64_t i = 0; i < count; i++)
        if (!(fabs(x[i]) <= found) && !isnan(found))
            found = fabs(x[i]);
    return found;
}

static void compare_kernels(nbh_scene *s, scene_numbers *n, const nbh_pixel_list *pixels,
                            const double *values)
{
    static double others[MOST_CRYSTALS * MOST_PIXELS];
    for (int32_t kernel = NBH_KERNEL_AVX2; kernel <= NBH_KERNEL_AVX512; kernel++) {
        for (int i = 0; i < MOST_CRYSTALS; i++)
            n->crystals[i].kernel = kernel;
        if (nbh_scene_values(s, pixels, 0, pixels->count, others, NULL) != NBH_OK)
            continue;
        for (int32_t c = 0; c < s->crystal_count; c++) {
            const double *one = values + c * pixels->count, *two = others + c * pixels->count;
            const double scale = largest(one, pixels->count);
            for (int64_t i = 0; i < pixels->count; i++)
                if (isfinite(scale) && !(fabs(one[i] - two[i]) <= 1e-6 * scale))
                    FINDING("pixel %d: %.17g and %.17g", (int)i, one[i], two[i]);
        }
    }
    for (int i = 0; i < MOST_CRYSTALS; i++)
        n->crystals[i].kernel = NBH_KERNEL_AUTO;
}

static void add_products(const double *by, const double *along, int64_t count, double *sum,
                         double *scale)
{
    for (int64_t i = 0; i < count; i++)
        if (along[i] != 0.0) {
            *sum += by[i] * along[i];
            *scale += fabs(by[i] * along[i]);
        }
}

static void fill_change(all_numbers *along)
{
    for (int i = 0; i < NBH_SCENE_NUMBERS; i++)
        along->numbers[i] = (i % 5 - 2) * 1e-3 * fabs(PRESETS[i]);
    for (int i = 0; i < NBH_SOURCE_NUMBERS * MOST_SOURCES; i++)
        along->sources[i] = i % NBH_SOURCE_NUMBERS == NBH_SOURCE_WAVELENGTH ? 1e-13 : 1e-3;
    for (int i = 0; i < NBH_CRYSTAL_NUMBERS * MOST_CRYSTALS; i++)
        along->crystals[i] = (i % 3 - 1) * 1e-3;
    for (int i = 0; i < 9 * MOST_ORIENTATIONS; i++)
        along->cells[0][i] = (i % 7 - 3) * 1e-12;
    for (int i = 0; i < TABLE * TABLE * TABLE; i++)
        along->amplitude[0][i] = i % 3;
}

/* Of the only crystal: direction 0 is a change of everything, direction 1 of nothing. */
static void check_transpose(const nbh_scene *s, const nbh_pixel_list *pixels, results *r)
{
    static double numbers[2 * NBH_SCENE_NUMBERS], crystal[2 * NBH_CRYSTAL_NUMBERS];
    static double sources[2 * NBH_SOURCE_NUMBERS * MOST_SOURCES];
    const int32_t turning = 0;
    const size_t source_bytes = (size_t)(NBH_SOURCE_NUMBERS * s->source_count) * sizeof *sources;
    memcpy(numbers, r->along.numbers, sizeof r->along.numbers);
    memcpy(crystal, r->along.crystals, NBH_CRYSTAL_NUMBERS * sizeof *crystal);
    memset(sources, 0, sizeof sources);
    memcpy(sources, r->along.sources, source_bytes);
    const int has_table = s->crystals[0].structure_factors.amplitude != NULL;
    const nbh_scene_directions along = {.count = 2,
                                        .turning_count = 1,
                                        .numbers = numbers,
                                        .sources = sources,
                                        .crystal = crystal,
                                        .turning = &turning,
                                        .turning_m = r->along.cells[0],
                                        .amplitude = has_table ? r->along.amplitude[0] : NULL};
    if (nbh_scene_jacobian(s, pixels, &along, 0, pixels->count, r->again, r->jacobian, NULL))
        FINDING("a Jacobian is refused where values are not");
    double left = 0.0, right = 0.0, scale = 0.0;
    add_products(r->weight, r->jacobian, pixels->count, &left, &scale);
    add_products(r->by.numbers, r->along.numbers, NBH_SCENE_NUMBERS, &right, &scale);
    add_products(r->by.sources, r->along.sources, NBH_SOURCE_NUMBERS * s->source_count, &right,
                 &scale);
    add_products(r->by.crystals, r->along.crystals, NBH_CRYSTAL_NUMBERS, &right, &scale);
    add_products(r->by.cells[0], r->along.cells[0], 9 * s->crystals[0].orientation_count, &right,
                 &scale);
    if (has_table)
        add_products(r->by.amplitude[0], r->along.amplitude[0], TABLE * TABLE * TABLE, &right,
                     &scale);
    if (isfinite(scale) && !(fabs(left - right) <= 1e-9 * scale + SMALLEST_SUM))
        FINDING("the transpose of a Jacobian: %.17g and %.17g, of %.3g", left, right, scale);
    for (int64_t i = 0; i < pixels->count; i++)
        if (r->jacobian[pixels->count + i] != 0.0)
            FINDING("pixel %d changes by %.17g along nothing", (int)i,
                    r->jacobian[pixels->count + i]);
}

/* Everything ordinary: then no value may be infinite or NaN. */
static int is_ordinary(const nbh_scene *s)
{
    for (int i = 0; i < NBH_SCENE_NUMBERS; i++)
        if (s->numbers[i] != PRESETS[i])
            return 0;
    for (int32_t c = 0; c < s->crystal_count; c++) {
        const nbh_lattice *own = s->crystals + c;
        if (!(largest(own->n_cells, 3) <= 1e3 && own->shape_fudge <= 3.0 &&
              largest(own->star_per_angstrom, 9) <= 1.0 &&
              fabs(own->structure_factors.default_f) <= 1e3))
            return 0;
    }
    return s->steps >= 1e-3 && largest(s->strength, s->crystal_count) <= 1e6 &&
           largest(s->background, s->crystal_count) <= 1e3 &&
           (s->water == NULL || largest(s->water, s->crystal_count) <= 1e3) &&
           largest(s->sources, NBH_SOURCE_NUMBERS * s->source_count) <= 1.0;
}

/* With a tolerance no pixel may differ by more than that. */
static void leave_out(const nbh_scene *s, const nbh_pixel_list *pixels, const double *values)
{
    static double others[MOST_CRYSTALS * MOST_PIXELS];
    nbh_scene tolerant = *s;
    nbh_error error;
    int32_t reason;
    tolerant.tolerance_photons = 1e-3;
    if (nbh_scene_culling(&tolerant, &reason, &error) != NBH_OK ||
        nbh_scene_values(&tolerant, pixels, 0, pixels->count, others, &error) != NBH_OK)
        FINDING("a tolerance is refused: %s %s", error.field, error.message);
    for (int32_t c = 0; c < s->crystal_count; c++) {
        const double *one = values + c * pixels->count, *two = others + c * pixels->count;
        const double scale = largest(one, pixels->count);
        for (int64_t i = 0; i < pixels->count; i++)
            if (is_ordinary(s) && !(fabs(one[i] - two[i]) <= 1.001e-3 + 1e-9 * scale))
                FINDING("pixel %d: %.17g and %.17g with a tolerance", (int)i, one[i], two[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes b = {data, data + size};
    static scene_numbers n;
    static results r;
    nbh_scene scene;
    nbh_error error;
    memset(&r, 0, sizeof r);
    take_scene(&b, &scene, &n);
    const nbh_pixel_list pixels = {
        n.slow, n.fast, take_below(&b, 2) ? MOST_PIXELS : take_below(&b, 40), NULL, NULL};
    fill_change(&r.along);
    for (int i = 0; i < MOST_CRYSTALS * MOST_PIXELS; i++)
        r.weight[i] = 0.5 + i % 3;
    if (nbh_scene_values(&scene, &pixels, 0, pixels.count, r.values, &error) != NBH_OK) {
        if (error.field[0] == '\0' || error.message[0] == '\0')
            FINDING("an error without a field or a message: %s", error.message);
        return 0;
    }
    if (is_ordinary(&scene))
        for (int64_t i = 0; i < scene.crystal_count * pixels.count; i++)
            if (!isfinite(r.values[i]))
                FINDING("pixel %d is %g", (int)i, r.values[i]);
    leave_out(&scene, &pixels, r.values);
    compare_kernels(&scene, &n, &pixels, r.values);
    double *cells[MOST_CRYSTALS], *amplitude[MOST_CRYSTALS];
    for (int i = 0; i < MOST_CRYSTALS; i++)
        cells[i] = r.by.cells[i], amplitude[i] = r.by.amplitude[i];
    nbh_scene_gradient gradient = {.sources = r.by.sources,
                                   .crystals = r.by.crystals,
                                   .cells_m = cells,
                                   .amplitude = amplitude};
    if (nbh_scene_gradients(&scene, &pixels, r.weight, 0, pixels.count, &gradient, NULL))
        FINDING("gradients are refused where values are not");
    memcpy(r.by.numbers, gradient.numbers, sizeof r.by.numbers);
    if (scene.crystal_count == 1)
        check_transpose(&scene, &pixels, &r);
    return 0;
}
