"""Every status code of the public header, provoked, with the field that is blamed."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from nanobragg_hybrid.engines.c.libnbh import build_info

Create = Callable[..., tuple[int, Any, Any]]
UNSET = -sys.float_info.max


def _text(ffi: Any, error: Any) -> str:
    return f"{ffi.string(error.field).decode()}: {ffi.string(error.message).decode()}"


def test_ok(lib: Any, cubic: Any, create_plan: Create, ffi: Any) -> None:
    status, plan, _ = create_plan(cubic)
    assert status == lib.NBH_OK
    assert plan != ffi.NULL


SETTERS: list[tuple[str, str, Any, Any]] = [
    # part, member, refused, accepted
    ("beam", "wavelength_m", 0.0, 1e-10),
    ("beam", "wavelength_m", math.nan, 2e-10),
    ("beam", "fluence_photons_per_m2", math.inf, 0.0),
    ("crystal", "shape_fudge", math.nan, -1.0),
    ("crystal", "shape", -1, 0),
    ("crystal", "n_cells", [1.0, math.inf, 1.0], [1.0, 0.0, 1.0]),
    ("crystal", "water_size_m", math.nan, 1e-6),
    ("goniometer", "phi_rad", -math.inf, -1.0),
    ("detector", "pixel_size_m", 0.0, 0.001),
    ("detector", "pixel_size_m", -0.001, 0.002),
    ("detector", "distance_m", 0.0, 0.1),
    ("detector", "n_fast", 0, 1),
    ("detector", "n_slow", -5, 1),
    ("detector", "convention", -1, 0),
    ("detector", "pivot", -1, 0),
    ("detector", "beam_x_m", math.nan, UNSET),
    ("sampling", "dmin_m", -1e-10, 0.0),
    ("sampling", "dmin_m", math.nan, 1e-10),
]


@pytest.mark.parametrize(("part", "member", "refused", "accepted"), SETTERS)
def test_invalid_and_valid(
    ffi: Any,
    lib: Any,
    cubic: Any,
    create_plan: Create,
    part: str,
    member: str,
    refused: Any,
    accepted: Any,
) -> None:
    struct = getattr(cubic, part)
    setattr(struct, member, refused)
    status, plan, error = create_plan(cubic)
    assert (status, error.status) == (lib.NBH_INVALID, lib.NBH_INVALID)
    assert plan == ffi.NULL
    assert ffi.string(error.field).decode() == f"{part}.{member}"
    assert _text(ffi, error).startswith(f"{part}.{member}: got ")
    assert ", need " in _text(ffi, error)

    setattr(struct, member, accepted)
    status, _, error = create_plan(cubic)
    assert status == lib.NBH_OK, _text(ffi, error)


def test_a_twotheta_axis_needs_a_direction(
    ffi: Any, lib: Any, cubic: Any, create_plan: Create
) -> None:
    """Where there is an angle, with twotheta_axis_length off; with it on, nothing turns."""
    off = lib.NBH_QUIRKS_NANOBRAGG & ~lib.NBH_QUIRK_TWOTHETA_AXIS_LENGTH
    for axis, angle, quirks, status in (
        ([0.0, 0.0, 0.0], 0.2, off, lib.NBH_INVALID),
        ([0.0, 0.0, 0.0], 0.0, off, lib.NBH_OK),
        ([0.0, 0.0, 1e-9], 0.2, off, lib.NBH_OK),
        ([0.0, 0.0, 0.0], 0.2, lib.NBH_QUIRKS_NANOBRAGG, lib.NBH_OK),
    ):
        cubic.detector.twotheta_axis = axis
        cubic.detector.twotheta_rad = angle
        cubic.quirks = quirks
        got, _, error = create_plan(cubic)
        assert got == status, _text(ffi, error)
        if status == lib.NBH_INVALID:
            assert ffi.string(error.field) == b"detector.twotheta_axis"
            assert "got 0 0 0, need a direction" in _text(ffi, error)


def test_two_distances_have_to_agree(ffi: Any, lib: Any, cubic: Any, create_plan: Create) -> None:
    """With distance_beside_close off; 0.1 m, the default, counts as not given."""
    off = lib.NBH_QUIRKS_NANOBRAGG & ~lib.NBH_QUIRK_DISTANCE_BESIDE_CLOSE
    for distance, close, quirks, status in (
        (0.07, 0.06, off, lib.NBH_INVALID),
        (0.07, 0.07, off, lib.NBH_OK),
        (0.1, 0.06, off, lib.NBH_OK),
        (0.07, UNSET, off, lib.NBH_OK),
        (0.07, 0.06, lib.NBH_QUIRKS_NANOBRAGG, lib.NBH_OK),
    ):
        cubic.detector.distance_m = distance
        cubic.detector.close_distance_m = close
        cubic.quirks = quirks
        got, _, error = create_plan(cubic)
        assert got == status, _text(ffi, error)
        if status == lib.NBH_INVALID:
            assert ffi.string(error.field) == b"detector.distance_m"
            assert "got 0.07 m beside a close distance of 0.06 m, need" in _text(ffi, error)


def test_a_crystal_needs_a_cell_or_a_matrix(lib: Any, cubic: Any, create_plan: Create) -> None:
    cubic.crystal.cell_length_angstrom[0] = UNSET
    assert create_plan(cubic)[0] == lib.NBH_INVALID
    cubic.crystal.orientation_matrix = [0.02, 0.0, 0.0, 0.0, 0.02, 0.0, 0.0, 0.0, 0.02]
    assert create_plan(cubic)[0] == lib.NBH_OK


def test_a_mask_needs_a_value_for_each_pixel(
    ffi: Any, lib: Any, cubic: Any, create_plan: Create
) -> None:
    mask = ffi.new("uint8_t[48]")
    cubic.detector.mask = mask
    cubic.detector.mask_count = 47
    status, _, error = create_plan(cubic)
    assert status == lib.NBH_INVALID
    assert _text(ffi, error) == "detector.mask: got 47 values, need 8 x 6 = 48, one for each pixel"
    cubic.detector.mask_count = 48
    assert create_plan(cubic)[0] == lib.NBH_OK


@pytest.mark.parametrize(
    "change", [{"default_f": math.nan}, {"h_min": 1, "h_max": 0}, {"l_min": 1, "l_max": 0}]
)
def test_invalid_table(
    ffi: Any, lib: Any, cubic: Any, create_plan: Create, change: dict[str, Any]
) -> None:
    values = ffi.new("double[1]", [3.0])
    good = ffi.new("nbh_structure_factors *", {"amplitude": values, "default_f": 1.0})
    bad = ffi.new("nbh_structure_factors *", {"amplitude": values, "default_f": 1.0, **change})
    assert create_plan(cubic, good)[0] == lib.NBH_OK
    status, _, error = create_plan(cubic, bad)
    assert status == lib.NBH_INVALID
    assert ffi.string(error.field).startswith(b"structure_factors.")


def test_too_large(ffi: Any, lib: Any, cubic: Any, create_plan: Create) -> None:
    cubic.sampling.oversample = 46341  # its square is the first to need 32 bits
    status, _, error = create_plan(cubic)
    assert status == lib.NBH_TOO_LARGE
    assert "46341 * 46341 sub-pixels" in _text(ffi, error)
    cubic.sampling.oversample = 46340
    assert create_plan(cubic)[0] == lib.NBH_OK


def test_detector_too_large(ffi: Any, lib: Any, cubic: Any, create_plan: Create) -> None:
    cubic.detector.n_fast = -(2**31)  # from the size
    cubic.detector.size_fast_m = 3.0e6
    status, _, error = create_plan(cubic)
    assert status == lib.NBH_TOO_LARGE
    assert ffi.string(error.field) == b"detector.size_fast_m"


OUT_OF_MEMORY = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
from nanobragg_hybrid import _core
experiment = _core.Experiment()
experiment.crystal.cell_length_angstrom = [50.0, 50.0, 50.0]
experiment.crystal.cell_angle_rad = [1.5707963267948966] * 3
experiment.crystal.mosaic_spread_rad = 0.01
experiment.crystal.mosaic_domains = 2_000_000_000
try:
    _core.Plan(experiment, None, 0, 0, 0, 1.0)
except _core.Error as error:
    print(_core.status_name(error.status), error.message)
"""


@pytest.mark.skipif(
    build_info()["sanitizers"] != "none", reason="sanitizers need more address space than allowed"
)
def test_out_of_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("NBH_OUT_OF_MEMORY ")
    assert "2000000000 times 72 bytes" in done.stdout


def test_a_plan_within_its_memory(ffi: Any, lib: Any, cubic: Any, create_plan: Create) -> None:
    """The least limit that is enough, and one byte less; the counts are derived ones."""
    cubic.goniometer.osc_rad = 1.0
    cubic.goniometer.phi_step_rad = 1e-5
    cubic.memory_limit_bytes = 0
    assert create_plan(cubic)[0] == lib.NBH_OK
    low, high = 0, 2**40
    while high - low > 1:
        cubic.memory_limit_bytes = middle = (low + high) // 2
        low, high = (low, middle) if create_plan(cubic)[0] == lib.NBH_OK else (middle, high)
    angles_and_cells = 100000 * (8 + 3 * 72)
    assert angles_and_cells < high < angles_and_cells + 100_000
    cubic.memory_limit_bytes = high - 1
    status, _, error = create_plan(cubic)
    assert status == lib.NBH_OUT_OF_MEMORY
    message = ffi.string(error.message).decode()
    assert message.startswith("need 100000 times 72 bytes of memory for the rotated cells, of ")
    assert message.endswith(f"of {high - 1} bytes {100000 * 72 - 1} are left")


def test_a_negative_limit_of_memory(ffi: Any, lib: Any, cubic: Any, create_plan: Create) -> None:
    cubic.memory_limit_bytes = -1
    status, _, error = create_plan(cubic)
    assert (status, ffi.string(error.field)) == (lib.NBH_INVALID, b"memory_limit_bytes")
    assert ffi.string(error.message) == b"got -1, need 0 (no limit) or more"


@pytest.mark.parametrize("stream", [0, 1])
def test_file_format(ffi: Any, lib: Any, stream: int) -> None:
    bounds, error = ffi.new("nbh_hkl_bounds *"), ffi.new("nbh_error *")
    good, bad = b"1 2 3 4.5\n-1 0 2 7\n", b"\n"
    assert lib.nbh_hkl_scan(good, len(good), stream, bounds, error) == lib.NBH_OK
    assert (bounds.h_min, bounds.h_max, bounds.reflections) == (-1, 1, 2)
    assert lib.nbh_hkl_scan(bad, len(bad), stream, bounds, error) == lib.NBH_FILE_FORMAT
    assert error.status == lib.NBH_FILE_FORMAT


def test_file_format_names_the_line(ffi: Any, lib: Any) -> None:
    bounds, error = ffi.new("nbh_hkl_bounds *"), ffi.new("nbh_error *")
    text = b"1 2 3 4.5\n1 2\n"
    assert lib.nbh_hkl_scan(text, len(text), 0, bounds, error) == lib.NBH_FILE_FORMAT
    assert error.line == 2


def test_struct_size(lib: Any, cubic: Any, create_plan: Create) -> None:
    cubic.struct_size -= 8
    assert create_plan(cubic)[0] == lib.NBH_STRUCT_SIZE
    cubic.struct_size += 8
    assert create_plan(cubic)[0] == lib.NBH_OK


def test_quirk_positions(lib: Any, cubic: Any, create_plan: Create) -> None:
    every = lib.NBH_QUIRKS_NANOBRAGG
    other = sum(1 << n for n in range(0, every.bit_length(), 2))
    for bits in (lib.NBH_QUIRKS_NANOBRAGG_FIXED, lib.NBH_QUIRKS_NONE, other, every - other):
        cubic.quirks = bits
        assert create_plan(cubic)[0] == lib.NBH_OK
    cubic.quirks = every + 1
    assert create_plan(cubic)[0] == lib.NBH_INVALID


def _rows(ffi: Any, **members: Any) -> Any:
    image = ffi.new("float[48]")
    rows = ffi.new("nbh_rows *", {"image": image, **members})
    return rows, image  # the image must outlive the rows


def test_not_settled(ffi: Any, lib: Any, cubic: Any, create_plan: Create) -> None:
    values = ffi.new("double[1]", [3.0])
    table = ffi.new("nbh_structure_factors *", {"amplitude": values, "default_f": 1.0})
    cubic.sampling.interpolate = 1
    _, plan, error = create_plan(cubic, table)
    rows, image = _rows(ffi)
    trace = ffi.new("nbh_trace *")
    first = ffi.new("int64_t *")
    assert lib.nbh_plan_needs_scan(plan) == 1
    assert lib.nbh_plan_render_rows(plan, 0, 6, rows, error) == lib.NBH_NOT_SETTLED
    pixels = ffi.new("nbh_pixels *", {"image": image})
    assert lib.nbh_plan_render_pixels(plan, 3, 20, pixels, error) == lib.NBH_NOT_SETTLED
    assert lib.nbh_plan_trace(plan, 0, 0, trace, error) == lib.NBH_NOT_SETTLED
    assert lib.nbh_plan_scan_rows(plan, 0, 6, ffi.NULL, first, error) == lib.NBH_OK
    assert lib.nbh_plan_settle(plan, 48, error) == lib.NBH_INVALID
    assert lib.nbh_plan_settle(plan, first[0], error) == lib.NBH_OK
    assert lib.nbh_plan_needs_scan(plan) == 0
    assert lib.nbh_plan_render_rows(plan, 0, 6, rows, error) == lib.NBH_OK
    assert sum(image) > 0.0


def test_cancelled(ffi: Any, lib: Any, cubic: Any, create_plan: Create) -> None:
    _, plan, error = create_plan(cubic)
    cancel = ffi.new("int32_t *", 1)
    rows, image = _rows(ffi, cancel=cancel)
    assert lib.nbh_plan_render_rows(plan, 0, 6, rows, error) == lib.NBH_CANCELLED
    pixels = ffi.new("nbh_pixels *", {"image": image, "cancel": cancel})
    assert lib.nbh_plan_render_pixels(plan, 3, 20, pixels, error) == lib.NBH_CANCELLED
    assert sum(image) == 0.0
    cancel[0] = 0
    assert lib.nbh_plan_render_rows(plan, 0, 6, rows, error) == lib.NBH_OK
    assert sum(image) > 0.0


@pytest.mark.parametrize("bounds", [(-1, 6), (0, 7), (4, 3)])
def test_rows_must_exist(
    ffi: Any, lib: Any, cubic: Any, create_plan: Create, bounds: tuple[int, int]
) -> None:
    _, plan, error = create_plan(cubic)
    rows, _image = _rows(ffi)
    assert lib.nbh_plan_render_rows(plan, *bounds, rows, error) == lib.NBH_INVALID
    assert ffi.string(error.field) == b"rows"


@pytest.mark.parametrize("bounds", [(-1, 48), (0, 49), (30, 29)])
def test_pixels_must_exist(
    ffi: Any, lib: Any, cubic: Any, create_plan: Create, bounds: tuple[int, int]
) -> None:
    _, plan, error = create_plan(cubic)
    image = ffi.new("float[48]")
    pixels = ffi.new("nbh_pixels *", {"image": image})
    first = ffi.new("int64_t *")
    message = f"got [{bounds[0]}, {bounds[1]}), need a part of [0, 48)"
    assert lib.nbh_plan_render_pixels(plan, *bounds, pixels, error) == lib.NBH_INVALID
    assert ffi.string(error.field) == b"pixels"
    assert ffi.string(error.message).decode() == message
    assert lib.nbh_plan_scan_pixels(plan, *bounds, ffi.NULL, first, error) == lib.NBH_INVALID
    assert ffi.string(error.field) == b"pixels"
    assert lib.nbh_plan_render_pixels(plan, 48, 48, pixels, error) == lib.NBH_OK
    assert sum(image) == 0.0
    assert lib.nbh_plan_render_pixels(plan, 0, 48, pixels, error) == lib.NBH_OK
    assert sum(image) > 0.0


@pytest.mark.parametrize(("fast", "slow"), [(-1, 0), (8, 0), (0, -1), (0, 6)])
def test_traced_pixel_must_exist(
    ffi: Any, lib: Any, cubic: Any, create_plan: Create, fast: int, slow: int
) -> None:
    _, plan, error = create_plan(cubic)
    trace = ffi.new("nbh_trace *")
    assert lib.nbh_plan_trace(plan, fast, slow, trace, error) == lib.NBH_INVALID
    assert lib.nbh_plan_trace(plan, 7, 5, trace, error) == lib.NBH_OK


def test_tables_need_room(ffi: Any, lib: Any, cubic: Any, create_plan: Create) -> None:
    _, plan, error = create_plan(cubic)
    sources, phi, matrices = ffi.new("nbh_source[1]"), ffi.new("double[1]"), ffi.new("double[9]")
    cells = ffi.new("double[9]")
    for read, out in (
        (lib.nbh_plan_get_sources, sources),
        (lib.nbh_plan_get_phi, phi),
        (lib.nbh_plan_get_mosaic_matrices, matrices),
        (lib.nbh_plan_get_cells, cells),
    ):
        assert read(plan, out, 0, error) == lib.NBH_INVALID
        assert ffi.string(error.field) == b"capacity"
        assert read(plan, out, 1, error) == lib.NBH_OK
    assert list(matrices) == [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]


def test_structure_factors_of_the_plan(ffi: Any, lib: Any, cubic: Any, create_plan: Create) -> None:
    values = ffi.new("double[2]", [3.0, 4.0])
    bounds = {"h_min": -1, "h_max": -1, "k_min": 0, "k_max": 0, "l_min": 5, "l_max": 6}
    table = ffi.new("nbh_structure_factors *", {"amplitude": values, "default_f": 1.0, **bounds})
    _, plan, error = create_plan(cubic, table)
    hkl = ffi.new("double[9]", [-1.0, 0.0, 6.0, -1.0, 0.0, 7.0, -1.0, 0.0, 5.0])
    f = ffi.new("double[3]")
    assert lib.nbh_plan_get_structure_factors(plan, hkl, 3, f, error) == lib.NBH_OK
    assert list(f) == [4.0, 1.0, 3.0]
    assert lib.nbh_plan_get_structure_factors(plan, hkl, 0, f, error) == lib.NBH_OK
    assert lib.nbh_plan_get_structure_factors(plan, hkl, -1, f, error) == lib.NBH_INVALID
    assert ffi.string(error.field) == b"count"


def test_the_error_may_be_null(ffi: Any, lib: Any, cubic: Any) -> None:
    out = ffi.new("nbh_plan **")
    table = ffi.new("nbh_structure_factors *")
    cubic.detector.distance_m = 0.0
    assert lib.nbh_plan_create(cubic, table, out, ffi.NULL) == lib.NBH_INVALID
    lib.nbh_plan_destroy(ffi.NULL)


@pytest.mark.parametrize("name", ["image", "roi", "out", "n_fast", "n_slow", "random", "seed"])
def test_image_functions_check_their_arguments(ffi: Any, lib: Any, name: str) -> None:
    error = ffi.new("nbh_error *")
    arguments = {
        "image": ffi.new("float[4]"),
        "n_fast": 2,
        "n_slow": 2,
        "roi": ffi.new("nbh_roi *", [0, 1, 0, 1]),
        "adc_offset": 40.0,
        "random": ffi.new("nbh_random *"),
        "seed": ffi.new("int32_t *", -1),
        "out": ffi.new("uint16_t[4]"),
    }

    def noise() -> int:
        status: int = lib.nbh_noise_image(*arguments.values(), ffi.NULL, ffi.NULL, error)
        return status

    assert noise() == lib.NBH_OK
    arguments[name] = 0 if name.startswith("n_") else ffi.NULL
    assert noise() == lib.NBH_INVALID
    assert ffi.string(error.field).decode() == name
