"""How bright the spots of a series are, and the fluence that makes them so.

The model has one block of N_a x N_b x N_c cells, whose spots are as wide as it is small.  A crystal
of many such blocks has their light together: it is rendered as one block in as many times the
fluence.  Photons are proportional to the fluence, so a spot is scaled exactly.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nanobragg_hybrid.base.arrays import as_ndarray
from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.series import Series
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.model.validate import POSITIVE, Items, normalised
from nanobragg_hybrid.run.prepare import prepared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nanobragg_hybrid.engines.protocol import Engine

_EDGE: Final = 0.01
"""A spot ends where its light is this part of its brightest pixel's."""

_MOST_PIXELS: Final = 10000
_UM3_PER_ANGSTROM3: Final = 1e-12


class Brightness(NamedTuple):
    """The brightest spot of some frames, of the crystal's light alone.

    spot_photons: of the pixels around the brightest one that touch and have at least 1 % of its
    light; pixel_photons: of the brightest pixel.  frame: where it is.  frames: those looked at.
    """

    spot_photons: float
    pixel_photons: float
    frame: int
    frames: tuple[int, ...]


def frames_to_look_at(series: Series, count: int) -> tuple[int, ...]:
    """So many frames, the first, the last and some between; the middle one if only one."""
    last = series.frames - 1
    if count == 1:
        return (last // 2,)
    return tuple(sorted({round(n * last / (count - 1)) for n in range(count)}))


def brightest(
    series: Series,
    structure_factors: StructureFactors,
    engine: Engine,
    quirks: Quirks,
    frames: Sequence[int],
    threads: int,
) -> Brightness:
    """Renders these frames with the light of the crystal alone, and looks at the brightest pixel.

    Raises what `simulate` raises.
    """
    found = Brightness(0.0, 0.0, frames[0], tuple(frames))
    for number in frames:
        experiment = series.frame(number).experiment
        nothing_else = {"background": None, "response": None, "crystal.water_um": 0.0}
        bare = experiment.replace(nothing_else)
        result = prepared(bare, structure_factors, engine, quirks).render_quietly(threads=threads)
        for image in result.images:
            photons = spot_of_brightest_pixel(as_ndarray(image))
            if photons[1] > found.pixel_photons:
                found = Brightness(*photons, number, tuple(frames))
    return found


def spot_of_brightest_pixel(image: NDArray[Any]) -> tuple[float, float]:
    """Photons of a spot and of its brightest pixel, which is the image's; 0 if there is none."""
    import numpy as np

    slow, fast = divmod(int(np.nanargmax(image)), image.shape[1])
    peak = float(image[slow, fast])
    if not peak > 0.0 or not math.isfinite(peak):
        return 0.0, 0.0
    seen, border, total = {(slow, fast)}, [(slow, fast)], 0.0
    while border:
        slow, fast = border.pop()
        total += float(image[slow, fast])
        for near in ((slow - 1, fast), (slow + 1, fast), (slow, fast - 1), (slow, fast + 1)):
            is_inside = 0 <= near[0] < image.shape[0] and 0 <= near[1] < image.shape[1]
            if is_inside and near not in seen and image[near] >= _EDGE * peak:
                if len(seen) >= _MOST_PIXELS:
                    return total, peak
                seen.add(near)
                border.append(near)
    return total, peak


def with_photons(series: Series, found: Brightness, photons: float) -> Series:
    """The series in a fluence in which the brightest spot of the frames looked at has so many
    photons.  Raises `ConfigError` for frames that are dark."""
    if not found.spot_photons > 0.0:
        rule = f"frames with light: {', '.join(map(str, found.frames))} are dark"
        raise ConfigError("photons_in_brightest", photons, rule)
    beam = series.experiment.beam
    factor = photons / found.spot_photons
    changes = {
        "beam.fluence_photons_per_m2": beam.fluence_photons_per_m2 * factor,
        "beam.flux_photons_per_s": beam.flux_photons_per_s * factor,
    }
    return dataclasses.replace(series, experiment=series.experiment.replace(changes))


class CrystalLight(NamedTuple):
    """The experiment in the fluence that stands for a crystal of many blocks; how many there are in
    the beam, and the fluence of the beam itself, photons/m^2."""

    experiment: Experiment
    blocks: float
    fluence_photons_per_m2: float


def with_crystal_of(
    experiment: Experiment,
    structure_factors: StructureFactors,
    engine: Engine,
    quirks: Quirks,
    *,
    crystal_um: Sequence[float],
    flux_photons_per_s: float,
    exposure_s: float,
    beam_um: float,
) -> CrystalLight:
    """The experiment of a crystal of this size in a beam of this flux.

    crystal_um: along the beam and twice across it, um.  beam_um: edge of the square beam.
    The light of the scatterers of a background stays what it is in the beam.

    Raises `ConfigError`, also for nanoBragg's water, which would be multiplied.
    """
    sizes = normalised("crystal_um", tuple(crystal_um), Items(3, POSITIVE), "um")
    edge = normalised("beam_um", beam_um, POSITIVE, "um")
    flux = normalised("flux", flux_photons_per_s, POSITIVE, "photons/s")
    seconds = normalised("exposure", exposure_s, POSITIVE, "s")
    if experiment.crystal.water_um != 0.0:
        rule = "0 beside crystal_um, whose blocks would multiply it: take a background"
        raise ConfigError("crystal.water_um", experiment.crystal.water_um, rule, "um")
    fluence = flux * seconds / (edge * edge * 1e-12)
    plan = prepared(
        experiment.replace({"background": None, "response": None}),
        structure_factors,
        engine,
        quirks,
    ).plans[0]
    block_um3 = math.prod(plan.n_cells) * plan.cell_volume_angstrom3 * _UM3_PER_ANGSTROM3
    lit_um3 = sizes[0] * min(sizes[1], edge) * min(sizes[2], edge)
    blocks = lit_um3 / block_um3
    changes: dict[str, Any] = {
        "beam.fluence_photons_per_m2": fluence * blocks,
        "beam.flux_photons_per_s": 0.0,
    }
    if experiment.background is not None:
        scatterers = tuple(
            dataclasses.replace(each, volume_mm3=each.volume_mm3 / blocks)
            for each in experiment.background.scatterers
        )
        changes["background"] = dataclasses.replace(experiment.background, scatterers=scatterers)
    return CrystalLight(experiment.replace(changes), blocks, fluence)
