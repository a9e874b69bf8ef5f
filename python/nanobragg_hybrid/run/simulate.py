"""One call from an experiment to an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nanobragg_hybrid.run.measure import checked_frame
from nanobragg_hybrid.run.prepare import (
    check_render_options,
    checked_threads,
    issue_warnings,
    prepared,
)

if TYPE_CHECKING:
    from nanobragg_hybrid.engines.protocol import Engine, ProgressCallback
    from nanobragg_hybrid.model.experiment import Experiment
    from nanobragg_hybrid.model.quirks import Quirks
    from nanobragg_hybrid.model.result import SimulationResult
    from nanobragg_hybrid.model.structure_factors import StructureFactors


def simulate(
    experiment: Experiment,
    structure_factors: StructureFactors,
    *,
    backend: str | Engine = "c",
    quirks: Quirks | None = None,
    threads: int | None = None,
    progress: ProgressCallback | None = None,
    unrounded: bool = False,
    frame: int = 0,
) -> SimulationResult:
    """Renders the image of an experiment: `prepare` and `Prepared.render` in one.

    >>> import nanobragg_hybrid as nb
    >>> experiment = nb.Experiment(
    ...     crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5)),
    ...     detector=nb.Detector(distance_mm=100, pixel_size_mm=0.4, n_fast=64, n_slow=48),
    ... )
    >>> result = nb.simulate(experiment, nb.StructureFactors.constant(100.0))
    >>> result.image.shape, result.image.dtype.name
    ((48, 64), 'float32')

    backend: an engine's name or an engine with options of its own, see `prepare`.
    quirks: None: all on, nanoBragg's image.
    threads: number of threads, 1 to 1024; None: as many as cores that this process may use by its
        affinity and by a container's limit of CPU time.  The image does not depend on it.
    progress: called now and then, in the calling thread, with the number of rows done and of all
        rows; if it returns False the rendering stops.
    unrounded: also keep the pixel values before they are rounded to float32.  With the backend "c"
        they are the exact kernel's, 20 to 30 times slower than the image alone; those of
        `CEngine(unrounded_kernel="fast")` take no longer than that, with a bound that is stated.
    frame: number of the frame whose counts are drawn, 0 to 2147483647, if the experiment has a
        response; `frame_counts` draws more of them.

    Seeds that are None come from the clock, once (with the quirk misset_seed_default off, the
    missetting's from the noise seed); the result's `experiment` and `provenance` have them.  The
    result's image has shape (slow, fast), float32, photons per pixel.

    Warns with each sentence of the result's `warnings`: `SetupWarning` for what its plan changed or
    doubts; `ImageWarning`, once a render for each kind, where pixels are NaN, infinite or below 0,
    or the image is dark, with their number, the first of them and the likely cause.  Both are
    `NanobraggWarning`; ``warnings.simplefilter("error", ImageWarning)`` makes errors of the latter.

    Raises what `prepare` raises, `ExecutableError` for an executable that fails, and
    `RenderCancelled` if `progress` asked to stop.
    """
    check_render_options(progress, unrounded)
    checked = checked_threads(threads)
    number = checked_frame(frame)
    run = prepared(experiment, structure_factors, backend, quirks, unrounded)
    result = run.render_quietly(
        threads=checked, progress=progress, unrounded=unrounded, frame=number
    )
    issue_warnings(result, stacklevel=3)
    return result
