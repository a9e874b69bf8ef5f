"""Types of the compiled extension; only base.native and engines.c import it."""

from collections.abc import Callable, Sequence
from typing import Any

from .base.arrays import Array, Buffer

UNSET: float
UNSET_INT: int

def version() -> str: ...
def header_text() -> str: ...
def build_info() -> dict[str, str]: ...
def kernel_is_available(kernel: int) -> int: ...
def libnbh_path() -> str: ...
def status_name(status: int) -> str: ...

class Error(Exception):
    status: int
    field: str
    message: str
    line: int

class Beam:
    wavelength_m: float
    direction: Sequence[float]
    polarization_axis: Sequence[float]
    polarization_kahn: float
    polarization_off: int
    divergence_square: int
    dispersion_fraction: float
    dispersion_steps: int
    divergence_h_steps: int
    divergence_v_steps: int
    divergence_h_rad: float
    divergence_v_rad: float
    divergence_h_step_rad: float
    divergence_v_step_rad: float
    fluence_photons_per_m2: float
    flux_photons_per_s: float
    exposure_s: float
    beam_size_m: float

class Crystal:
    cell_length_angstrom: Sequence[float]
    cell_angle_rad: Sequence[float]
    orientation_matrix: Sequence[float]
    misset_rad: Sequence[float]
    misset_random: int
    misset_seed: int
    n_cells: Sequence[float]
    size_m: Sequence[float]
    shape: int
    mosaic_seed: int
    shape_fudge: float
    mosaic_spread_rad: float
    mosaic_domains: int
    water_size_m: float

class Goniometer:
    spindle_axis: Sequence[float]
    phi_rad: float
    osc_rad: float
    phi_step_rad: float
    phi_steps: int

class Detector:
    convention: int
    pivot: int
    fast_axis: Sequence[float]
    slow_axis: Sequence[float]
    normal_axis: Sequence[float]
    twotheta_axis: Sequence[float]
    pix0_m: Sequence[float]
    distance_m: float
    close_distance_m: float
    pixel_size_m: float
    pixel_size_slow_m: float
    n_fast: int
    n_slow: int
    size_fast_m: float
    size_slow_m: float
    beam_x_m: float
    beam_y_m: float
    close_x_m: float
    close_y_m: float
    org_x_px: float
    org_y_px: float
    rotation_rad: Sequence[float]
    twotheta_rad: float
    curved: int
    point_pixel: int
    sensor_thickness_m: float
    sensor_attenuation_per_m: float
    sensor_layers: int

class Sampling:
    oversample: int
    oversample_thick: int
    oversample_polar: int
    oversample_omega: int
    interpolate: int
    roi_fast_min: int
    roi_fast_max: int
    roi_slow_min: int
    roi_slow_max: int
    dmin_m: float

class Experiment:
    quirks: int
    kernel: int
    culling: int
    tolerance_photons: float
    memory_limit_bytes: int
    def __init__(self) -> None: ...
    @property
    def beam(self) -> Beam: ...
    @property
    def crystal(self) -> Crystal: ...
    @property
    def goniometer(self) -> Goniometer: ...
    @property
    def detector(self) -> Detector: ...
    @property
    def sampling(self) -> Sampling: ...
    def set_sources(self, rows: Array) -> None: ...
    def set_spectrum(self, rows: Array) -> None: ...
    def set_mosaic_rotations(self, rows: Array) -> None: ...
    def set_mask(self, mask: Array) -> None: ...

class Background:
    def __init__(
        self,
        air_attenuation_per_m: float,
        flat_photons: float,
        scatterers: Sequence[tuple[Array, Array, bool, float]],
        radial: tuple[Array, Array] | None,
        offsets: Sequence[tuple[Sequence[int], float]],
    ) -> None: ...

class Random:
    def __init__(self) -> None: ...
    def copy(self) -> Random: ...

class Lattice:
    def __init__(
        self,
        kernel: int,
        shape: int,
        interpolate: bool,
        n_cells: Sequence[float],
        shape_fudge: float,
        star_per_angstrom: Sequence[float],
        cells_m: Array,
        amplitude: Array | None,
        hkl_min: Sequence[int],
        default_f: float,
        single_precision: bool = False,
    ) -> None: ...
    def sums(self, q: Array, threads: int) -> Buffer: ...
    def gradients(
        self, q: Array, weight: Array, want_amplitude: bool, threads: int
    ) -> tuple[
        Buffer,
        Buffer,
        Buffer,
        list[float],
        float,
        list[float],
        Buffer | None,
        float,
    ]: ...
    def tangents(
        self,
        q: Array,
        q_along: Array,
        cells_along: Array,
        n_cells: Sequence[float],
        shape_fudge: float,
        star_per_angstrom: Sequence[float],
        amplitude: Array | None,
        default_f: float,
        threads: int,
    ) -> tuple[Buffer, Buffer]: ...

class Scene:
    def __init__(
        self,
        oversample: int,
        layers: int,
        places: Sequence[int],
        has_pixel_area: bool,
        is_oblique: bool,
        surface: int,
        faces_sample: bool,
        counts_zeros: bool,
        background_factors: int,
        water_factors: int,
        steps: float,
        dmin_m: float,
        numbers: Sequence[float],
        sources: Array,
        crystals: Sequence[Lattice],
        strength: Sequence[float],
        background: Sequence[float],
        water: Sequence[float] | None,
        tolerance_photons: float = 0.0,
    ) -> None: ...
    @property
    def culling(self) -> int: ...
    @property
    def visits(self) -> tuple[float, float]: ...
    def values(self, slow: Array, fast: Array, threads: int) -> Buffer: ...
    def gradients(
        self, slow: Array, fast: Array, weight: Array, want_amplitude: bool, threads: int
    ) -> tuple[Buffer, Buffer, Buffer, list[Buffer], list[Buffer | None]]: ...
    def jacobian(
        self,
        slow: Array,
        fast: Array,
        count: int,
        numbers: Array | None,
        sources: Array | None,
        crystal: Array | None,
        rotations: Array | None,
        reference_m: Array | None,
        turning: Sequence[int],
        turning_m: Array | None,
        amplitude: Array | None,
        threads: int,
    ) -> tuple[Buffer, Buffer]: ...

class Plan:
    def __init__(
        self,
        experiment: Experiment,
        amplitude: Array | None,
        h_min: int,
        k_min: int,
        l_min: int,
        default_f: float,
    ) -> None: ...
    def info(self) -> dict[str, Any]: ...
    def render(
        self, threads: int, progress: Callable[[int, int], object] | None, unrounded: bool
    ) -> tuple[Buffer, Buffer | None, float, int]: ...
    def render_bounded(
        self, threads: int, progress: Callable[[int, int], object] | None
    ) -> tuple[Buffer, Buffer, float, int, float, float]: ...
    def intervals(self) -> tuple[Buffer, Buffer]: ...
    def exact_pixels(self, numbers: list[int], threads: int) -> Buffer: ...
    def background(self, background: Background, threads: int) -> tuple[Buffer, list[int]]: ...
    def reflections(
        self, wanted: Array, threads: int, least: float
    ) -> tuple[Array, Array, Array, Array]: ...
    def trace(
        self, fast: int, slow: int, choice: Sequence[int], limit: int, threads: int
    ) -> tuple[dict[str, Any], list[dict[str, Any]], int]: ...
    def statistics(self, image: Array, omega_sum: float) -> dict[str, Any]: ...
    def sources(self) -> Buffer: ...
    def phi(self) -> Buffer: ...
    def mosaic_matrices(self) -> Buffer: ...
    def cells(self) -> Buffer: ...
    def structure_factors(self, hkl: Array) -> Buffer: ...
    def random_state(self) -> Random: ...

def render_plans(
    plans: Sequence[Plan],
    threads: int,
    progress: Callable[[int, int], object] | None,
    unrounded: bool,
    bounded: bool,
) -> list[tuple[Buffer, Buffer | None, float, int, float, float]]: ...
def hkl_scan(text: bytes, stream: bool) -> dict[str, int]: ...
def hkl_fill(
    text: bytes, stream: bool, bounds: dict[str, int], default_f: float
) -> tuple[Buffer, int, int, dict[str, Any]]: ...
def new_table(shape: Sequence[int]) -> Buffer: ...
def read_dump_plane(data: bytes | memoryview, table: Array, h: int) -> bool: ...
def write_dump_plane(table: Array, h: int, data: bytearray) -> None: ...
def byte_offset(pixels: Array) -> bytes: ...

class NormalStream:
    def __init__(self, key: tuple[int, int], counter: tuple[int, int, int, int]) -> None: ...
    def draw(self, deviates: Array) -> None: ...

class PhotonStream:
    def __init__(
        self,
        key: tuple[int, int],
        small: tuple[int, int, int, int],
        large: tuple[int, int, int, int],
        distribution: Array,
        guide: Array,
    ) -> None: ...
    def draw(self, mean: Array, photons: Array) -> None: ...

def odd_pixels(image: Array, roi: Sequence[int], mask: Array | None) -> dict[str, int]: ...
def integer_image(
    image: Array,
    roi: Sequence[int],
    scale: float,
    max_value: float,
    adc_offset: float,
) -> tuple[Buffer, float]: ...
def pgm_image(
    image: Array, scale: float, rmsd: float, integer_scale: float
) -> tuple[Buffer, float]: ...
def noise_image(
    image: Array,
    roi: Sequence[int],
    adc_offset: float,
    random: Random,
    seed: int,
) -> tuple[Buffer, float, int, int]: ...
