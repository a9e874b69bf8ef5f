"""The reflections of a frame as the model has them: whose light is where, and how much of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.base.arrays import as_ndarray
from nanobragg_hybrid.base.constants import INT32_MAX
from nanobragg_hybrid.base.errors import ConfigError, UnsupportedError
from nanobragg_hybrid.base.units import rad_to_deg
from nanobragg_hybrid.engines.c.engine import CEngine, CRun
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks, quirks_or_all
from nanobragg_hybrid.model.reflection_truth import ReflectionTruth
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.model.validate import Integer, Number, require_class
from nanobragg_hybrid.run.full_light import full_photons
from nanobragg_hybrid.run.prepare import checked_threads, prepared

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FRAME: Final = Integer(at_least=0, at_most=INT32_MAX - 1)  # frame_stop is the next one


def predict_reflections(
    experiment: Experiment,
    structure_factors: StructureFactors,
    *,
    quirks: Quirks | None = None,
    threads: int | None = None,
    frame: int = 0,
    min_peak_photons: float = 1.0,
    edge_fraction: float = 0.01,
) -> ReflectionTruth:
    """The reflections that light the frame of an experiment; see `ReflectionTruth`.

    experiment: with all its seeds, as `SimulationResult.experiment` has them.  quirks: as of
    `simulate`.  frame: the number that the rows get.  min_peak_photons: reflections whose brightest
    pixel has less of their light are left out, > 0.  edge_fraction: a pixel belongs to a reflection
    where it has at least this fraction of its peak, > 0, < 1.

    Every step of the model (source, phi step, domain, sub-pixel, sensor layer) gives its light to
    its nearest reflection; nothing is found in a picture.  Light in pixels with fewer photons than
    ``min_peak_photons * edge_fraction`` in all is not looked at: photons and partiality lack it,
    `ReflectionTruth.unassigned_photons` has it.  Centroids weight pixels, not sub-pixels.
    full_photons is that of Darwin's formula at the centroid, for the mean of all sources: right to
    the spread of its factors within a spot.  Where the model interpolates between structure factors
    it takes the reflection's own.  A reflection that goes through the Ewald sphere twice within the
    frame is one row.

    Raises `ConfigError`, `UnsupportedError` where the quirk oversample_running_product multiplies
    the whole sum of a pixel at every step and for more photons in a pixel than a float32 can be,
    and what `simulate` raises.
    """
    require_class("experiment", experiment, Experiment)
    require_class("structure_factors", structure_factors, StructureFactors)
    _require({"frame": (frame, _FRAME)})
    require_limits(min_peak_photons, edge_fraction)
    require_orientation(experiment)
    crystal = experiment.crystal
    count = checked_threads(threads)
    chosen = quirks_or_all(quirks)
    require_separable(experiment, chosen)
    bragg = experiment.replace({"background": None, "response": None, "crystal.water_um": 0.0})
    panels = prepared(bragg, structure_factors, CEngine(), chosen).panels
    beside = _beside_spots(experiment, chosen, count)
    parts = []
    for number, panel in enumerate(panels):
        assert isinstance(panel.run, CRun)
        parts.append(
            _of_panel(
                panel.run,
                panel.experiment,
                chosen,
                beside[number],
                number=number,
                threads=count,
                least_peak=float(min_peak_photons),
                edge=float(edge_fraction),
            )
        )
    plan = panels[0].run.plan
    fields = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    lost = float(fields.pop("lost").sum())
    rows = [len(part["hkl"]) for part in parts]
    counts = fields["pixel_count"]
    return ReflectionTruth(
        **fields,
        panel=np.repeat(np.arange(len(parts)), rows),
        frame_start=np.full(sum(rows), frame),
        frame_stop=np.full(sum(rows), frame + 1),
        partiality=fields["photons"] / fields["full_photons"],
        pixel_start=np.concatenate([[0], np.cumsum(counts)]),
        frames=np.array([frame]),
        phi_start_deg=np.array([experiment.goniometer.phi_deg]),
        osc_deg=np.array([rad_to_deg(plan.osc_rad)]),
        unassigned_photons=np.array([lost]),
        shapes=experiment.detector.shapes,
        provenance={
            "nanobragg_hybrid": __version__,
            "quirks": list(chosen.names_on),
            "seeds": {
                "misset": crystal.misset_seed if crystal.misset_random else None,
                "mosaic": crystal.mosaic_seed,
            },
            "sha256": {
                "experiment": _sha256(experiment.to_json(chosen).encode()),
                "structure_factors": _table_sha256(structure_factors),
            },
            "min_peak_photons": float(min_peak_photons),
            "edge_fraction": float(edge_fraction),
        },
    )


def require_limits(min_peak_photons: object, edge_fraction: object) -> None:
    """Of `predict_reflections`.  Raises `ConfigError`."""
    _require(
        {
            "min_peak_photons": (min_peak_photons, Number(above=0.0)),
            "edge_fraction": (edge_fraction, Number(above=0.0, below=1.0)),
        }
    )


def require_separable(experiment: Experiment, quirks: Quirks) -> None:
    """Raises `UnsupportedError` where every step multiplies the whole sum of a pixel, so that the
    light of a reflection is no part of it."""
    names = ("oversample_thick", "oversample_polar", "oversample_omega")
    on = [name for name in names if getattr(experiment.sampling, name)]
    if quirks.oversample_running_product and on:
        raise UnsupportedError(
            f"quirks.oversample_running_product: got on beside sampling.{on[0]}, need off: the "
            "light of a reflection is no part of such a product"
        )


def require_orientation(experiment: Experiment) -> None:
    """Raises `ConfigError` for a crystal whose orientation the clock would choose."""
    crystal = experiment.crystal
    if crystal.misset_random and crystal.misset_seed is None:
        rule = "the frame's own: give the experiment of its result"
        raise ConfigError("crystal.misset_seed", None, rule)


def _require(rules: Mapping[str, tuple[object, Number | Integer]]) -> None:
    for name, (value, rule) in rules.items():
        try:
            rule.normalise(value)
        except ValueError:
            raise ConfigError(name, value, rule.text) from None


def _table_sha256(table: StructureFactors) -> str:
    """Of the corner, the default and the amplitudes of a table."""
    grid = table.grid_buffer
    shape = None if grid is None else grid.shape
    head = repr((table.hkl_min, shape, table.default_f)).encode()
    return _sha256(head + (b"" if grid is None else memoryview(grid).tobytes()))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _beside_spots(
    experiment: Experiment, quirks: Quirks, threads: int
) -> list[NDArray[np.float64] | None]:
    """Photons of water and background in each panel's pixels; None: there are none."""
    if experiment.background is None and experiment.crystal.water_um == 0.0:
        return [None] * len(experiment.detector.shapes)
    without = experiment.replace({"response": None})
    made = prepared(without, StructureFactors.constant(0.0), CEngine(), quirks)
    photons: list[NDArray[np.float64] | None] = []
    for panel in made.panels:
        rendered = panel.run.render(threads=threads, progress=None, unrounded=False)
        image = as_ndarray(rendered.image).astype(np.float64)
        if rendered.background is not None:
            image += as_ndarray(rendered.background)
        photons.append(image)
    return photons


def _of_panel(
    run: CRun,
    experiment: Experiment,
    quirks: Quirks,
    beside: NDArray[np.float64] | None,
    *,
    number: int,
    threads: int,
    least_peak: float,
    edge: float,
) -> dict[str, NDArray[Any]]:
    """Columns of the reflections of one panel; lost: light that is in no row, one number."""
    image = as_ndarray(run.render(threads=threads, progress=None, unrounded=False).image)
    least = least_peak * edge
    with np.errstate(over="ignore"):
        wanted = (image >= np.float32(least)).astype(np.uint8)
    hkl, sums, places, photons = run.c_plan.reflections(wanted, threads, least)
    if not np.isfinite(image).all() or photons.max(initial=0.0) > np.finfo(np.float32).max:
        raise UnsupportedError(
            f"panel {number} has pixels with more photons than a number of 32 bits can be (3.4e38)"
        )
    n_fast = image.shape[1]

    order = np.argsort(places[:, 1], kind="stable")
    pixel, row, light = places[order, 0], places[order, 1], photons[order]
    peak = np.zeros(len(hkl))
    np.maximum.at(peak, row, light)
    belongs = (peak[row] >= least_peak) & (light >= edge * peak[row])
    pixel, row, light = pixel[belongs], row[belongs], light[belongs]
    kept = np.flatnonzero(peak >= least_peak)
    counts = np.bincount(row, minlength=len(hkl))[kept]
    first = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    hkl, sums, peak = hkl[kept], sums[kept], peak[kept]

    def over_pixels(function: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
        return function.reduceat(values, first) if len(kept) else np.zeros(0)

    slow, fast = np.divmod(pixel, n_fast)
    others = np.maximum(image.reshape(-1)[pixel] - light, 0.0)
    under = np.zeros(len(pixel)) if beside is None else beside.reshape(-1)[pixel]
    total = sums[:, 0]
    fast_px, slow_px = sums[:, 1] / total + 0.5, sums[:, 2] / total + 0.5
    bounds = [
        over_pixels(np.minimum, slow),
        over_pixels(np.maximum, slow) + 1,
        over_pixels(np.minimum, fast),
        over_pixels(np.maximum, fast) + 1,
    ]
    return {
        "hkl": hkl,
        "fast_px": fast_px,
        "slow_px": slow_px,
        "phi_deg": rad_to_deg(sums[:, 3] / total),
        "bounds": np.stack(bounds, axis=1),
        "photons": total,
        "full_photons": full_photons(run, experiment, quirks, hkl, fast_px, slow_px),
        "background_photons": over_pixels(np.add, under),
        "overlap_photons": over_pixels(np.add, others),
        "peak_photons": peak,
        "pixel_count": counts,
        "pixel_number": pixel,
        "pixel_photons": light,
        "lost": np.array([image.sum(dtype=np.float64) - total.sum()]),
    }
