"""What the kernel needs to know: a few hundred bytes of numbers and the tables (model 6)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor

from nanobragg_hybrid.engines.torch.arithmetic.scalars import Scalar
from nanobragg_hybrid.engines.torch.arithmetic.vectors import Vector
from nanobragg_hybrid.engines.torch.scenes.structure_factors import Table
from nanobragg_hybrid.model.conventions import Shape


@dataclass(frozen=True, slots=True)
class Choices:
    """Everything discrete that the kernel asks about; fixed by the configuration.

    steps: sources x phi steps x domains x sub-pixels, the divisor of model 6.8.  samples: layers x
    sub-pixels.  orientations: phi steps x domains.  domain_weights: 1 on average, one for each
    domain; None: all are 1.  searches_polarization, searches_capture: the
    factor of the first sub-pixel may be 0 or cut away, and then a later one counts (model 6.2,
    6.3).

    faces_sample: every pixel of a curved detector faces the crystal (curved_flat_factors off).
    has_pixel_area, is_oblique: whether a solid angle has the factor pixel^2 (not that of point
    pixels under the quirk point_pixel_area), and close distance / R.

    is_curved, is_sphere: a curved detector with the quirk curved_detector_axes on, off.
    interpolation_switches_off: the first step outside the table ends interpolation
    (interpolation_latch).  capture_per_layer, polar_per_source: without the option each layer, each
    source has a factor (thick_last_layer, polar_first_source off).  capture_per_sample,
    polar_per_sample, omega_per_sample: each sample has one (first_subpixel_factors off).
    water_sees_all_sources, water_sees_sub_pixels: the water's factors, where they are the water's
    own, are the mean over the sources (polar_first_source off), the sub-pixels
    (first_subpixel_factors off).
    """

    oversample: int
    layers: int
    source_count: int
    orientations: int
    domains: int
    domain_weights: tuple[float, ...] | None
    steps: int
    shape: Shape
    interpolate: bool
    interpolation_switches_off: bool
    has_polarization: bool
    has_sensor: bool
    is_curved: bool
    is_sphere: bool
    faces_sample: bool
    has_pixel_area: bool
    is_oblique: bool
    oversample_thick: bool
    oversample_polar: bool
    oversample_omega: bool
    capture_per_layer: bool
    polar_per_source: bool
    capture_per_sample: bool
    polar_per_sample: bool
    omega_per_sample: bool
    water_sees_all_sources: bool
    water_sees_sub_pixels: bool
    running_product: bool
    dmin_m: float
    searches_polarization: bool
    searches_capture: bool

    @property
    def has_pixel_capture(self) -> bool:
        """A capture fraction that the pixel has as a whole (model 6.8)."""
        own = self.oversample_thick or self.capture_per_layer or self.capture_per_sample
        return self.has_sensor and not own

    @property
    def uses_polarization(self) -> bool:
        """Whether polarization factors are computed; also in spite of none (nopolar_undone)."""
        return self.has_polarization or self.oversample_polar

    @property
    def has_pixel_polarization(self) -> bool:
        """A polarization factor that the pixel has as a whole (model 6.8)."""
        own = self.oversample_polar or self.polar_per_source or self.polar_per_sample
        return self.has_polarization and not own

    @property
    def has_pixel_solid_angle(self) -> bool:
        """A solid angle that the pixel has as a whole (model 6.8)."""
        return not (self.oversample_omega or self.omega_per_sample)

    @property
    def samples(self) -> int:
        """Sub-pixels of all layers."""
        return self.layers * self.oversample * self.oversample

    @property
    def steps_per_pixel(self) -> int:
        """Evaluations of model 6.5 for one pixel."""
        return self.samples * self.source_count * self.orientations


@dataclass(frozen=True, slots=True)
class Sources:
    """incident: unit vectors of travel, components of shape (n,); wavelength: m, shape (n,).

    relative_weight: 1 on average, shape (n,); None: all are 1 (quirk source_weights_ignored).
    """

    incident: Vector
    wavelength: Tensor
    relative_weight: Tensor | None


@dataclass(frozen=True, slots=True)
class Cells:
    """Cell vectors in metres: components of shape (n,), one for each orientation."""

    a: Vector
    b: Vector
    c: Vector


@dataclass(frozen=True, slots=True)
class SceneNumbers:
    """Everything continuous that is no array, in SI units (a* in 1/angstrom); floats or tensors.

    strength: r_e^2 fluence.  background: I_bg, or with the quirk water_background off water:
    electrons^2.  water_m: the size of the water.
    """

    pixel: Scalar
    pixel_slow: Scalar
    fast: Vector
    slow: Vector
    normal: Vector
    beam: Vector
    pix0: Vector
    distance: Scalar
    close: Scalar
    beam_fast: Scalar
    beam_slow: Scalar
    layer_step: Scalar
    attenuation: Scalar
    kahn: Scalar
    polarization: Vector
    a_star: Vector
    b_star: Vector
    c_star: Vector
    n_cells: Vector
    fudge: Scalar
    default_f: Scalar
    strength: Scalar
    background: Scalar
    water: Scalar
    water_m: Scalar


@dataclass(frozen=True, slots=True)
class Scene(SceneNumbers):
    """Everything continuous.

    cells: for each phi step and domain, domain fastest.  run_start: for each domain without any
    spindle rotation, where the first phi step of the run needs it (model 6.4).
    """

    sources: Sources
    cells: Cells
    run_start: Cells | None
    table: Table | None


def skips_zero(scene: Scene) -> bool | Tensor:
    """Whether a lattice factor of 0 ends a step (model 6.5): there is no water."""
    return scene.water_m == 0.0


T = TypeVar("T")


def with_tensors(value: T, change: Callable[[Tensor], Tensor]) -> T:
    """A copy of a dataclass or tuple in which `change` has been applied to every tensor."""
    changed: Any = value
    if isinstance(value, Tensor):
        changed = change(value)
    elif isinstance(value, tuple):
        changed = tuple(with_tensors(item, change) for item in value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = dataclasses.replace(
            value,
            **{
                field.name: with_tensors(getattr(value, field.name), change)
                for field in dataclasses.fields(value)
            },
        )
    result: T = changed
    return result


def tensors_of(scene: Scene) -> list[Tensor]:
    """Every tensor of a scene, always in the same order."""
    found: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    with_tensors(scene, note)
    return found
