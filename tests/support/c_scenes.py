"""Scenes for nbh_scene_*, their pixels from the formulas of the model, and calls with arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int32]

NONE, PIXEL, RAY, STEP, LAYER, LAST_LAYER, SOURCE, SAMPLE = range(8)
PLANE, TURNED, SPHERE = range(3)
OWN_CAPTURE, OWN_POLARIZATION, OWN_SOLID_ANGLE, OF_SOURCES, OF_SUB_PIXELS = 1, 2, 4, 8, 16
SQUARE, ROUND, GAUSS, TOPHAT, GAUSS_HKL, TOPHAT_HKL = range(6)
HKL_MIN = (-4, -5, -6)
STRENGTH, BACKGROUND, DEFAULT_F, WATER = 14, 15, 13, 16


@dataclass(frozen=True)
class Crystal:
    """numbers: the 17 of nbh_crystal_number.  cells: (orientations, 9)."""

    numbers: Array
    cells: Array
    shape: int = SQUARE
    grid: Array | None = None
    interpolates: bool = False


@dataclass(frozen=True)
class CScene:
    """numbers: the 27 of nbh_scene_number.  sources: (sources, 5).  has_water: of its own."""

    numbers: Array
    sources: Array
    crystals: tuple[Crystal, ...]
    oversample: int = 1
    layers: int = 1
    capture: int = NONE
    polarization: int = NONE
    solid_angle: int = PIXEL
    has_pixel_area: bool = True
    is_oblique: bool = True
    surface: int = PLANE
    faces_sample: bool = False
    counts_zeros: bool = False
    background_factors: int = 0
    water_factors: int = 0
    has_water: bool = False
    steps: float = 1.0
    dmin_m: float = 0.0
    kernel: int = 0
    changes: dict[str, Any] = field(default_factory=dict)
    """Members of the struct that are set last, whatever they were."""

    def arrays(self) -> dict[str, Array]:
        """Everything that has derivatives."""
        found = {"numbers": self.numbers, "sources": self.sources}
        for n, crystal in enumerate(self.crystals):
            found |= {f"crystal {n}": crystal.numbers, f"cells {n}": crystal.cells}
            if crystal.grid is not None:
                found[f"amplitude {n}"] = crystal.grid
        return found

    def with_arrays(self, arrays: dict[str, Array]) -> CScene:
        """The same scene with other numbers."""
        crystals = tuple(
            dataclasses.replace(
                crystal,
                numbers=arrays[f"crystal {n}"],
                cells=arrays[f"cells {n}"],
                grid=arrays.get(f"amplitude {n}"),
            )
            for n, crystal in enumerate(self.crystals)
        )
        return dataclasses.replace(
            self, numbers=arrays["numbers"], sources=arrays["sources"], crystals=crystals
        )

    def moved(self, name: str, change: Array) -> CScene:
        """One of its arrays changed."""
        arrays = self.arrays()
        return self.with_arrays({**arrays, name: arrays[name] + change})


def cells_of(seed: int, orientations: int, angstrom: float = 30.0) -> Array:
    """Turns of a triclinic cell by a few degrees."""
    rng = np.random.default_rng(seed)
    cell = np.array([[1.0, 0.0, 0.0], [-0.1, 1.1, 0.0], [0.2, -0.15, 1.2]]) * angstrom * 1e-10
    turned = [cell @ turn(rng.normal(size=3) * 0.05).T for _ in range(orientations)]
    return np.array(turned).reshape(orientations, 9)


def turn(vector: Array) -> Array:
    """The rotation by a vector, in radians."""
    angle = float(np.linalg.norm(vector))
    x, y, z = vector / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    turned: Array = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return turned


def crystal_of(
    shape: int = SQUARE, *, mode: str = "one F", seed: int = 0, background: float = 0.0
) -> Crystal:
    """Three orientations of a small crystal; mode: "one F", "table", "interpolated"."""
    rng = np.random.default_rng(seed)
    star = np.array([1 / 30, 1e-3, 4e-4, 3e-4, 1 / 33, 1e-4, 2e-4, 3e-4, 1 / 36])
    fudge = 0.05 if shape in (GAUSS, TOPHAT) else 0.9
    numbers = np.array([5.0, 4.0, 3.0, fudge, *star, 7.0, 0.3, background, 0.02])
    grid = None if mode == "one F" else rng.uniform(10, 100, (10, 9, 12))
    return Crystal(numbers, cells_of(seed, 3), shape, grid, mode == "interpolated")


def scene_of(
    crystals: Sequence[Crystal] | None = None,
    *,
    sources: int = 1,
    pixel_slow_m: float = 1e-4,
    **rest: Any,
) -> CScene:
    """A tilted detector 0.1 m from the crystal, nearly across the beams."""
    axes = turn(np.array([0.05, -0.08, 0.1]))
    lengths_and_rest = [-0.021, -0.017, 0.1, 1e-4, 5e-5, 4e3, 0.099, 0.7, 0.1, 1.0, 0.05]
    beam_and_centre = [0.02, -0.01, np.sqrt(1.0 - 5e-4), 0.1, 0.021, 0.018]
    numbers = np.concatenate([axes.reshape(-1), lengths_and_rest, [pixel_slow_m], beam_and_centre])
    beams = np.array([[0.01 * n, -0.008 * n, 1.0] for n in range(sources)])
    beams /= np.linalg.norm(beams, axis=1, keepdims=True)
    lengths = 1e-10 * (1.0 + 0.02 * np.arange(sources))
    weights = 1.0 + 0.4 * (np.arange(sources) - (sources - 1) / 2)
    beams = np.column_stack([beams, lengths, weights])
    return CScene(numbers, beams, tuple(crystals or (crystal_of(),)), **rest)


def pixels_of(count: int, seed: int = 0) -> tuple[Integers, Integers]:
    """Slow and fast numbers, in no order."""
    slow, fast = np.random.default_rng(seed).integers(0, 420, (2, count), dtype=np.int32)
    return slow, fast


@dataclass(frozen=True)
class Directions:
    """Arrays of nbh_scene_directions; None: not at all."""

    count: int
    numbers: Array | None = None
    sources: Array | None = None
    crystal: Array | None = None
    rotations: Array | None = None
    reference_m: Array | None = None
    turning: Integers | None = None
    turning_m: Array | None = None
    amplitude: Array | None = None


class Calls:
    """nbh_scene_* with arrays; every call that fails raises `RefusedError`."""

    def __init__(self, ffi: Any, lib: Any) -> None:
        self.ffi, self.lib = ffi, lib
        self._kept: list[Any] = []

    def kernels(self) -> Iterator[int]:
        """The builds that this processor runs."""
        for name in ("BASELINE", "AVX2", "AVX512"):
            kernel = int(getattr(self.lib, f"NBH_KERNEL_{name}"))
            if self.lib.nbh_kernel_is_available(kernel):
                yield kernel

    def pointer(self, array: NDArray[Any] | None, kind: str = "double") -> Any:
        if array is None:
            return self.ffi.NULL
        assert array.flags.c_contiguous
        return self.ffi.cast(f"{kind} *", self.ffi.from_buffer(array))

    def scene(self, scene: CScene) -> Any:
        """The struct; what it points to lives as long as these calls."""
        out = self.ffi.new("nbh_scene *")
        self.lib.nbh_scene_init(out)
        for name in (
            "oversample layers capture polarization solid_angle has_pixel_area is_oblique "
            "surface faces_sample counts_zeros background_factors water_factors steps dmin_m"
        ).split():
            setattr(out, name, getattr(scene, name))
        lattices = self.ffi.new("nbh_lattice[]", max(len(scene.crystals), 1))
        for lattice, crystal in zip(lattices, scene.crystals, strict=False):
            self.fill_lattice(lattice, crystal, scene.kernel)
        strength = np.array([crystal.numbers[STRENGTH] for crystal in scene.crystals])
        background = np.array([crystal.numbers[BACKGROUND] for crystal in scene.crystals])
        out.numbers = list(scene.numbers)
        out.source_count, out.sources = len(scene.sources), self.pointer(scene.sources)
        out.crystal_count, out.crystals = len(scene.crystals), lattices
        out.strength, out.background = self.pointer(strength), self.pointer(background)
        water = np.array([crystal.numbers[WATER] for crystal in scene.crystals])
        out.water = self.pointer(water if scene.has_water else None)
        self._kept += [out, lattices, strength, background, water, scene]
        for name, value in scene.changes.items():
            setattr(out, name, value)
        return out

    def fill_lattice(self, out: Any, crystal: Crystal, kernel: int) -> None:
        self.lib.nbh_lattice_init(self.ffi.addressof(out))
        numbers = [float(x) for x in crystal.numbers]
        out.kernel, out.shape, out.interpolate = kernel, crystal.shape, crystal.interpolates
        out.n_cells, out.shape_fudge = numbers[:3], numbers[3]
        out.star_per_angstrom = numbers[4:13]
        out.cells_m = self.pointer(crystal.cells)
        out.orientation_count = len(crystal.cells)
        table = out.structure_factors
        table.default_f = numbers[DEFAULT_F]
        if crystal.grid is not None:
            table.amplitude = self.pointer(crystal.grid)
            for name, first, size in zip("hkl", HKL_MIN, crystal.grid.shape, strict=True):
                setattr(table, f"{name}_min", first)
                setattr(table, f"{name}_max", first + size - 1)

    def pixel_list(self, slow: Integers, fast: Integers) -> Any:
        out = self.ffi.new("nbh_pixel_list *")
        out.slow, out.fast = self.pointer(slow, "int32_t"), self.pointer(fast, "int32_t")
        out.count = len(slow)
        return out

    def values(
        self, scene: CScene, pixels: tuple[Integers, Integers], parts: Sequence[int] | None = None
    ) -> Array:
        """(crystals, pixels); the ends of the parts in which they are computed."""
        slow, fast = pixels
        ends = [len(slow)] if parts is None else list(parts)
        out = np.full((len(scene.crystals), len(slow)), np.nan)
        given, listed = self.scene(scene), self.pixel_list(slow, fast)
        for first, end in zip([0, *ends], ends, strict=False):
            error = self.ffi.new("nbh_error *")
            self._check(
                self.lib.nbh_scene_values(given, listed, first, end, self.pointer(out), error),
                error,
            )
        return out

    def gradients(
        self,
        scene: CScene,
        pixels: tuple[Integers, Integers],
        weight: Array,
        *,
        parts: Sequence[int] | None = None,
        wants_amplitude: bool = True,
    ) -> dict[str, Array]:
        """By the names of `CScene.arrays`."""
        slow, fast = pixels
        ends = [len(slow)] if parts is None else list(parts)
        out = self.ffi.new("nbh_scene_gradient *")
        crystals = np.zeros((len(scene.crystals), 17))
        by = {name: np.zeros_like(array) for name, array in scene.arrays().items()}
        cells = [self.pointer(by[f"cells {n}"]) for n in range(len(crystals))]
        tables = [
            self.pointer(by.get(f"amplitude {n}") if wants_amplitude else None)
            for n in range(len(crystals))
        ]
        cells_m, amplitude = self.ffi.new("double *[]", cells), self.ffi.new("double *[]", tables)
        out.sources, out.crystals = self.pointer(by["sources"]), self.pointer(crystals)
        out.cells_m = cells_m
        out.amplitude = amplitude if wants_amplitude else self.ffi.NULL
        given, listed = self.scene(scene), self.pixel_list(slow, fast)
        for first, end in zip([0, *ends], ends, strict=False):
            error = self.ffi.new("nbh_error *")
            status = self.lib.nbh_scene_gradients(
                given, listed, self.pointer(weight), first, end, out, error
            )
            self._check(status, error)
        by["numbers"] = np.array(list(out.numbers))
        for n, row in enumerate(crystals):
            by[f"crystal {n}"] = row
        return by

    def jacobian(
        self, scene: CScene, pixels: tuple[Integers, Integers], along: Directions
    ) -> tuple[Array, Array]:
        """Values, (pixels,), and derivatives, (directions, pixels)."""
        slow, fast = pixels
        to = self.ffi.new("nbh_scene_directions *")
        to.count = along.count
        for name in "numbers sources crystal rotations reference_m turning_m amplitude".split():
            setattr(to, name, self.pointer(getattr(along, name)))
        if along.turning is not None:
            to.turning_count = len(along.turning)
            to.turning = self.pointer(along.turning, "int32_t")
        values, found = (
            np.full(len(slow), np.nan),
            np.full((max(along.count, 0), len(slow)), np.nan),
        )
        given, listed = self.scene(scene), self.pixel_list(slow, fast)
        error = self.ffi.new("nbh_error *")
        status = self.lib.nbh_scene_jacobian(
            given, listed, to, 0, len(slow), self.pointer(values), self.pointer(found), error
        )
        self._check(status, error)
        return values, found

    def sums(self, crystal: Crystal, q: Array, kernel: int) -> Array:
        """nbh_lattice_sums of rows of q, (3, rows)."""
        lattice = self.ffi.new("nbh_lattice *")
        self.fill_lattice(lattice[0], crystal, kernel)
        q, out = np.ascontiguousarray(q), np.zeros(q.shape[1])
        status = self.lib.nbh_lattice_sums(
            lattice, self.pointer(q), len(out), 0, len(out), self.pointer(out), self.ffi.NULL
        )
        assert status == self.lib.NBH_OK
        return out

    def _check(self, status: int, error: Any) -> None:
        if status != self.lib.NBH_OK:
            raise RefusedError(
                self.ffi.string(self.lib.nbh_status_name(status)).decode(),
                self.ffi.string(error.field).decode(),
                self.ffi.string(error.message).decode(),
            )


class RefusedError(Exception):
    """Status, field and message of a call that failed."""

    def __init__(self, status: str, name: str, message: str) -> None:
        super().__init__(f"{status}: {name}: {message}")
        self.status, self.field, self.message = status, name, message


@dataclass(frozen=True)
class Beam:
    """To one sample: its layer, distances and directions, (3, pixels)."""

    layer: int
    length: Array
    d: Array


class Factors:
    """Those of model 6.2 and 6.6 for every sample and source, and which of them are taken."""

    def __init__(self, scene: CScene, pixels: tuple[Integers, Integers]) -> None:
        self.scene = scene
        self.per_layer = scene.oversample**2
        self.beams = [
            _beam(scene, pixels, sample) for sample in range(scene.layers * self.per_layer)
        ]
        self.last_layer = range((scene.layers - 1) * self.per_layer, len(self.beams))

    def q(self, sample: int, source: int) -> Array:
        numbers = self.scene.sources[source]
        found: Array = (self.beams[sample].d - numbers[:3, None]) / numbers[3]
        return found

    def is_cut(self, sample: int, source: int) -> NDArray[np.bool_]:
        q = self.q(sample, source)
        stol = 0.5 * np.sqrt((q * q).sum(0))
        with np.errstate(divide="ignore"):
            found: NDArray[np.bool_] = (stol > 0.0) & (self.scene.dmin_m > 0.5 / stol)
        return found

    def capture(self, sample: int) -> Array:
        beam = self.beams[sample]
        return _capture(self.scene, beam.layer, beam.layer + 1, beam.d)

    def polarization(self, sample: int, source: int) -> Array:
        return _polarization(self.scene, self.scene.sources[source, :3], self.beams[sample].d)

    def solid_angle(self, sample: int) -> Array:
        return _solid_angle(self.scene, self.beams[sample].length)

    def last_capture(self) -> Array:
        return _first([self.capture(sample) for sample in self.last_layer])

    def first_polarization(self) -> Array:
        return _first(
            [
                np.where(self.is_cut(sample, source), 0.0, self.polarization(sample, source))
                for sample in range(len(self.beams))
                for source in range(len(self.scene.sources))
            ]
        )

    def of_ray(self, sample: int, source: int) -> dict[str, Array | float]:
        """By their names, as their places have them for a ray; 1 for those of the pixel."""
        found: dict[str, Array | float] = dict.fromkeys(NAMES, 1.0)
        if self.scene.capture in CAPTURED_AT:
            found["capture"] = self.capture(CAPTURED_AT[self.scene.capture](self, sample))
        if self.scene.polarization in (RAY, STEP):
            found["polarization"] = self.polarization(sample, source)
        elif self.scene.polarization == SOURCE:
            found["polarization"] = self.polarization(0, source)
        elif self.scene.polarization == SAMPLE:
            every = range(len(self.scene.sources))
            is_left = [~self.is_cut(sample, n) for n in every]
            own = [self.polarization(sample, n) for n in every]
            found["polarization"] = np.select(is_left, own, 0.0)
        if self.scene.solid_angle in (RAY, STEP):
            found["solid_angle"] = self.solid_angle(sample)
        return found

    def background(self) -> Array | float:
        own, found = self.scene.background_factors, 1.0
        if own & OWN_CAPTURE:
            found = found * self.last_capture()
        if own & OWN_POLARIZATION:
            found = found * self.polarization(0, 0)
        return found * self.solid_angle(0) if own & OWN_SOLID_ANGLE else found

    def water(self) -> Array | float:
        own, total = self.scene.water_factors, 0.0
        samples = range(self.per_layer if own & OF_SUB_PIXELS else 1)
        sources = range(len(self.scene.sources) if own & OF_SOURCES else 1)
        for sample in samples:
            found: Array | float = 1.0
            if own & OWN_CAPTURE:
                found = found * _capture(self.scene, 0, self.scene.layers, self.beams[sample].d)
            if own & OWN_POLARIZATION:
                weights = self.scene.sources[:, 4] if own & OF_SOURCES else np.ones(1)
                mean = sum(weights[n] * self.polarization(sample, n) for n in sources)
                found = found * mean / len(sources)
            if own & OWN_SOLID_ANGLE:
                found = found * self.solid_angle(sample)
            total = total + found / len(samples)
        return total


NAMES = ("capture", "polarization", "solid_angle")
CAPTURED_AT: dict[int, Any] = {
    RAY: lambda _, sample: sample,
    STEP: lambda _, sample: sample,
    LAYER: lambda own, sample: sample - sample % own.per_layer,
    LAST_LAYER: lambda own, sample: own.last_layer[sample % own.per_layer],
}


def _first(candidates: Sequence[Array]) -> Array:
    """The first of each pixel's that is not 0."""
    return np.select([each != 0.0 for each in candidates], candidates, 0.0)


def terms_of(call: Calls, crystal: Crystal, q: Array, kernel: int) -> list[Array]:
    """Those of all orientations, one after the other."""
    return [
        call.sums(dataclasses.replace(crystal, cells=cell[None].copy()), q, kernel)
        for cell in crystal.cells
    ]


def expected_values(call: Calls, scene: CScene, pixels: tuple[Integers, Integers]) -> Array:
    """The model's pixels, (crystals, pixels), over the library's lattice sums."""
    factors = Factors(scene, pixels)
    place = {name: getattr(scene, name) for name in NAMES}
    runs = STEP in place.values()
    pixel_count = len(pixels[0])
    total = [
        crystal.numbers[BACKGROUND] * factors.background() * np.ones(pixel_count)
        for crystal in scene.crystals
    ]
    for sample, _ in enumerate(factors.beams):
        for source, numbers in enumerate(scene.sources):
            q, is_cut = factors.q(sample, source), factors.is_cut(sample, source)
            weight, growth = np.where(is_cut, 0.0, numbers[4]), np.ones(pixel_count)
            for name, factor in factors.of_ray(sample, source).items():
                if place[name] == STEP:
                    growth = growth * factor
                else:
                    weight = weight * factor
            for n, crystal in enumerate(scene.crystals):
                if not runs:
                    total[n] = total[n] + weight * call.sums(crystal, q, scene.kernel)
                    continue
                for term in terms_of(call, crystal, q, scene.kernel):
                    counts = ~is_cut if scene.counts_zeros else ~is_cut & (term != 0.0)
                    total[n] = np.where(counts, (total[n] + weight * term) * growth, total[n])
    strength = np.array([[crystal.numbers[STRENGTH]] for crystal in scene.crystals])
    out: Array = strength / scene.steps * np.array(total)
    if scene.capture == PIXEL:
        out = out * factors.last_capture()
    if scene.polarization == PIXEL:
        out = out * factors.first_polarization()
    if scene.solid_angle == PIXEL:
        out = out * factors.solid_angle(0)
    if scene.has_water:
        water = np.array([[crystal.numbers[WATER]] for crystal in scene.crystals])
        out = out + strength * water * factors.water()
    return out


def _beam(scene: CScene, pixels: tuple[Integers, Integers], sample: int) -> Beam:
    edge = scene.oversample
    slow, fast = (numbers.astype(float) for numbers in pixels)
    layer, rest = divmod(sample, edge * edge)
    sub_slow, sub_fast = divmod(rest, edge)
    u = scene.numbers[12] * (fast + (sub_fast + 0.5) / edge)
    v = scene.numbers[20] * (slow + (sub_slow + 0.5) / edge)
    position = POSITIONS[scene.surface](scene, u, v, layer)
    length = np.sqrt((position * position).sum(0))
    return Beam(layer, length, position / length)


def _on_plane(scene: CScene, u: Array, v: Array, layer: int) -> Array:
    f, s, o, origin = scene.numbers[:12].reshape(4, 3, 1)
    position: Array = f * u + s * v + o * layer * scene.numbers[13] + origin
    return position


def _turned(scene: CScene, u: Array, v: Array, layer: int) -> Array:
    """Pixel by pixel, by rotation matrices."""
    flat, distance = _on_plane(scene, u, v, layer), scene.numbers[24]
    far = scene.numbers[21:24] * distance
    f, s = scene.numbers[:3], scene.numbers[3:6]
    return np.array([turn(f * z / distance) @ turn(s * y / distance) @ far for _, y, z in flat.T]).T


def _on_sphere(scene: CScene, u: Array, v: Array, layer: int) -> Array:
    f, s = scene.numbers[:6].reshape(2, 3, 1)
    beam, distance = scene.numbers[21:24, None], scene.numbers[24]
    x, y = (u - scene.numbers[25]) / distance, (v - scene.numbers[26]) / distance
    arc = f * x + s * y
    across = arc - beam * (arc * beam).sum(0)
    rho = np.hypot(x, y)
    radius = distance + layer * scene.numbers[13]
    out: Array = radius * (
        np.cos(rho) * beam + np.sin(rho) * across / np.sqrt((across * across).sum(0))
    )
    return out


POSITIONS: dict[int, Any] = {PLANE: _on_plane, TURNED: _turned, SPHERE: _on_sphere}


def _capture(scene: CScene, top: int, bottom: int, d: Array) -> Array:
    slant = np.ones(d.shape[1]) if scene.faces_sample else scene.numbers[6:9] @ d
    depth = scene.numbers[13] * scene.numbers[14] / slant
    out: Array = np.exp(-top * depth) - np.exp(-bottom * depth)
    return out


def _solid_angle(scene: CScene, length: Array) -> Array:
    area = scene.numbers[12] * scene.numbers[20] if scene.has_pixel_area else 1.0
    facing = scene.numbers[15] / length if scene.is_oblique else 1.0
    out: Array = area / length**2 * facing
    return out


def _polarization(scene: CScene, incident: Array, d: Array) -> Array:
    """Kahn's formula with its angles (model 6.6)."""
    axis = scene.numbers[17:20] / np.linalg.norm(scene.numbers[17:20])
    cos_sqr = (incident @ d) ** 2
    across = np.cross(axis, incident)
    psi = np.zeros_like(cos_sqr)
    if across.any():
        b = across / np.linalg.norm(across)
        e = np.cross(incident, b)
        psi = np.arctan2(b @ d, e @ d)
    out: Array = 0.5 * (1.0 + cos_sqr - scene.numbers[16] * np.cos(2.0 * psi) * (1.0 - cos_sqr))
    return out
