"""The whole chain of numbers behind a single pixel, from either engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nanobragg_hybrid.run.prepare import prepare

if TYPE_CHECKING:
    from nanobragg_hybrid.engines.protocol import Engine
    from nanobragg_hybrid.model.experiment import Experiment
    from nanobragg_hybrid.model.quirks import Quirks
    from nanobragg_hybrid.model.structure_factors import StructureFactors
    from nanobragg_hybrid.model.trace import Trace


def trace(
    experiment: Experiment,
    structure_factors: StructureFactors,
    *,
    pixel: tuple[int, int],
    backend: str | Engine = "c",
    quirks: Quirks | None = None,
    source: int | None = None,
    phi_step: int | None = None,
    domain: int | None = None,
    subpixel: tuple[int, int] | None = None,
    layer: int | None = None,
    panel: int | str | None = None,
) -> Trace:
    """The chain of numbers behind one pixel, and behind one step of its sum (model 6).

    >>> import nanobragg_hybrid as nb
    >>> experiment = nb.Experiment.from_nanobragg_args("-cell 70 80 90 90 90 90 -N 5 -detpixels 64")
    >>> nb.trace(experiment, nb.StructureFactors.constant(100.0), pixel=(10, 20)).pixel_value > 0.0
    True

    pixel: (fast, slow).  source, phi_step, domain, subpixel (fast, slow), layer: which step; the
    first, in serial order, that has the given indices, all counted from 0.  panel: number or name
    of the pixel's panel; needed where the detector has several.  backend, quirks: as for
    `simulate`, whose pixel has the bits of the trace's pixel_float.  For traces of many pixels of
    one experiment, `prepare` it once.

    The trace has no step if dmin cuts those asked for, and for a pixel outside the region of
    interest or masked, whose is_active is False.

    Raises `ConfigError` for a pixel or an index that is not there, and what `simulate` raises.
    """
    run = prepare(experiment, structure_factors, backend=backend, quirks=quirks)
    return run.trace(
        pixel,
        source=source,
        phi_step=phi_step,
        domain=domain,
        subpixel=subpixel,
        layer=layer,
        panel=panel,
    )


def trace_phi(
    experiment: Experiment,
    structure_factors: StructureFactors,
    *,
    pixel: tuple[int, int],
    backend: str | Engine = "c",
    quirks: Quirks | None = None,
    source: int | None = None,
    domain: int | None = None,
    subpixel: tuple[int, int] | None = None,
    layer: int | None = None,
    panel: int | str | None = None,
) -> Trace:
    """The chain of one pixel with one step for each phi step, in order.

    The other indices of these steps are the given ones, or else those of the pixel's first step
    that is not cut.  See `trace`.
    """
    run = prepare(experiment, structure_factors, backend=backend, quirks=quirks)
    return run.trace_phi(
        pixel, source=source, domain=domain, subpixel=subpixel, layer=layer, panel=panel
    )
