"""From numbers to a scene: everything continuous that the kernel needs (model 2 to 6)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

from torch import Tensor

from nanobragg_hybrid.base.constants import (
    AVOGADRO_PER_MOL,
    R_E_SQR_M2,
    WATER_F,
    WATER_MOLECULAR_WEIGHT,
)
from nanobragg_hybrid.base.units import attenuation_depth_um_to_per_m, um_to_m, water_um_to_m
from nanobragg_hybrid.engines.torch.arithmetic.scalars import Scalar
from nanobragg_hybrid.engines.torch.arithmetic.vectors import Matrix
from nanobragg_hybrid.engines.torch.scenes.scene import Scene, SceneNumbers
from nanobragg_hybrid.engines.torch.scenes.structure_factors import Table
from nanobragg_hybrid.engines.torch.set_up.detector import detector_geometry
from nanobragg_hybrid.engines.torch.set_up.inputs import Inputs
from nanobragg_hybrid.engines.torch.set_up.lattice import lattice, misset_angles
from nanobragg_hybrid.engines.torch.set_up.orientations import Turning, orientations, turning_of
from nanobragg_hybrid.engines.torch.set_up.random_rotations import Shuffle
from nanobragg_hybrid.engines.torch.set_up.setup import Setup, fluence, wavelength_m
from nanobragg_hybrid.engines.torch.set_up.sources import Beam, sources
from nanobragg_hybrid.engines.torch.set_up.tables import Tables

_WATER_G_PER_M3: Final = 1e6

GRID: Final = "structure_factors.grid"
DEFAULT_F: Final = "structure_factors.default_f"
"""Names of the values that are no configuration fields."""


@dataclass(frozen=True, slots=True)
class Origins:
    """What the arrays of a scene are made from.  real: a, b, c before they turn, metres."""

    real: Matrix
    turning: Turning
    beam: Beam


def scene_of(setup: Setup, tables: Tables, inputs: Inputs) -> Scene:
    """The continuous quantities, differentiable in the tensors of `inputs`."""
    numbers, origins = numbers_of(setup, inputs)
    cells, run_start = orientations(setup, tables, origins.turning, origins.real)
    single = {field.name: getattr(numbers, field.name) for field in dataclasses.fields(numbers)}
    return Scene(
        **single,
        sources=sources(inputs, setup.quirks, tables.sources, origins.beam),
        cells=cells,
        run_start=run_start,
        table=table_of(setup, grid_of(tables, inputs), numbers.default_f),
    )


def numbers_of(setup: Setup, inputs: Inputs) -> tuple[SceneNumbers, Origins]:
    """Everything but the arrays, and what they are made from."""
    wavelength: Scalar = setup.wavelength_m
    geometry, cell = setup.geometry, setup.cell
    if inputs.values:
        wavelength = wavelength_m(inputs)
        misset = setup.misset
        if inputs.is_live("crystal.misset_deg"):
            misset = misset_angles(inputs, Shuffle(drops_first=not setup.quirks.first_deviate))
        geometry, cell = detector_geometry(inputs), lattice(inputs, wavelength, misset)
    photons = fluence(inputs)
    layer_step, attenuation = _sensor(setup, inputs)
    counts: list[Scalar] = list(setup.size.n_cells)
    if inputs.is_live("crystal.n_cells"):
        for axis, live in enumerate(inputs.items("crystal.n_cells")):
            if setup.experiment.crystal.size_mm[axis] is None:
                counts[axis] = live
    na, nb, nc = counts
    numbers = SceneNumbers(
        pixel=geometry.pixel,
        pixel_slow=geometry.pixel_slow,
        fast=geometry.fast,
        slow=geometry.slow,
        normal=geometry.normal,
        beam=geometry.beam,
        pix0=geometry.pix0,
        distance=geometry.distance,
        close=geometry.close,
        beam_fast=geometry.beam_fast,
        beam_slow=geometry.beam_slow,
        layer_step=layer_step,
        attenuation=attenuation,
        kahn=inputs.number("beam.polarization_kahn"),
        polarization=geometry.polarization,
        a_star=cell.a_star,
        b_star=cell.b_star,
        c_star=cell.c_star,
        n_cells=(na, nb, nc),
        fudge=inputs.number("crystal.shape_fudge"),
        default_f=inputs.number(DEFAULT_F)
        if inputs.is_live(DEFAULT_F)
        else inputs.structure_factors.default_f,
        strength=R_E_SQR_M2 * photons,
        background=water_background(setup, inputs, photons),
        water=0.0 if setup.quirks.water_background else _water(inputs),
        water_m=water_um_to_m(inputs.number("crystal.water_um")),
    )
    origins = Origins(
        real=(cell.a0, cell.b0, cell.c0),
        turning=turning_of(setup, inputs, geometry.spindle),
        beam=Beam(geometry.beam, geometry.polarization, geometry.vertical, wavelength),
    )
    return numbers, origins


def _sensor(setup: Setup, inputs: Inputs) -> tuple[Scalar, Scalar]:
    """Thickness of a layer, m, and attenuation, 1/m."""
    layers = setup.sampling.layers
    layer_step: Scalar = layers.step
    attenuation: Scalar = setup.sampling.attenuation_per_m
    if inputs.is_live("detector.sensor_thickness_um") and layers.range_given:
        thickness = um_to_m(inputs.number("detector.sensor_thickness_um"))
        layer_step = layers.step_of(thickness)
        if not setup.sampling.attenuation_given:
            attenuation = 1.0 / thickness
    if inputs.is_live("detector.sensor_attenuation_depth_um"):
        depth_um = inputs.number("detector.sensor_attenuation_depth_um")
        attenuation = attenuation_depth_um_to_per_m(depth_um)
    return layer_step, attenuation


def water_background(setup: Setup, inputs: Inputs, photons: Scalar) -> Scalar:
    """I_bg (model 6), with the strength inside that it is multiplied with once more.

    0 where the quirk water_background is off.  Without water it is a constant, whatever the photons
    are: the compiled kernels know no background beside factors of rays.
    """
    if not setup.quirks.water_background:
        return 0.0
    w = water_um_to_m(inputs.number("crystal.water_um"))
    if isinstance(w, float) and w == 0.0:
        return w
    return (
        WATER_F
        * WATER_F
        * R_E_SQR_M2
        * photons
        * w
        * w
        * w
        * _WATER_G_PER_M3
        * AVOGADRO_PER_MOL
        / WATER_MOLECULAR_WEIGHT
    )


def _water(inputs: Inputs) -> Scalar:
    """F^2 of all molecules of the water (model 6, without r_e^2 and fluence), electrons^2."""
    w = water_um_to_m(inputs.number("crystal.water_um"))
    return (
        WATER_F * WATER_F * w * w * w * _WATER_G_PER_M3 * AVOGADRO_PER_MOL / WATER_MOLECULAR_WEIGHT
    )


def grid_of(tables: Tables, inputs: Inputs) -> Tensor | None:
    """The structure factors, without a copy where they are no values."""
    if tables.grid is None or not inputs.is_live(GRID):
        return tables.grid
    return inputs.tensor(GRID).to(tables.grid.dtype)


def table_of(setup: Setup, grid: Tensor | None, default_f: Scalar) -> Table | None:
    """A grid with the indices that belong to it; None without one."""
    return None if grid is None else Table(grid, setup.structure_factors.hkl_min, default_f)
