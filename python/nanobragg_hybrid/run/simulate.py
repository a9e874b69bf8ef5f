"""One call from an experiment to an image."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING, Final

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.base.host import MOST_THREADS, default_threads, require_memory
from nanobragg_hybrid.engines.registry import ProgressCallback, get_backend, own_options
from nanobragg_hybrid.model.beam import Beam
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.seeds import with_clock_seeds
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.model.validate import Integer, require_class
from nanobragg_hybrid.run.quirk_effects import quirks_that_mattered

if TYPE_CHECKING:
    from nanobragg_hybrid.model.result import SimulationResult

_THREADS: Final = Integer(at_least=1, at_most=MOST_THREADS)

_PHI_STEP_BYTES = 152
_DOMAIN_BYTES = 72
_SOURCE_BYTES = 64
"""What the C plan keeps for each of them: an angle and two orientations; a matrix; two vectors."""


def simulate(
    experiment: Experiment,
    structure_factors: StructureFactors,
    *,
    backend: str = "c",
    quirks: Quirks | None = None,
    threads: int | None = None,
    progress: ProgressCallback | None = None,
    unrounded: bool = False,
    kernel: str | None = None,
    device: object = None,
    dtype: object = None,
    c_bin: str | os.PathLike[str] | None = None,
) -> SimulationResult:
    """Renders the image of an experiment.

    backend: name of the engine, see `backends.available_backends`.
    quirks: None: all on, nanoBragg's image.
    threads: number of threads, 1 to 1024; None: as many as cores that this process may use by its
        affinity and by a container's limit of CPU time.  The image does not depend on it.
    progress: called now and then, in the calling thread, with the number of rows done and of all
        rows; if it returns False the rendering stops.
    unrounded: also keep the pixel values before they are rounded to float32.
    kernel: how the backend "c" computes: "auto" (None too), "exact", "baseline", "avx2", "avx512",
        as far as this processor has them.  The image does not depend on it; the result's
        provenance names the one used ("kernel") and why it is "exact" where it is
        ("kernel_reason").
    device: where the backend "torch" computes: "cpu" (None too), "cuda", "cuda:1" or "auto".
    dtype: how it computes: "float64" (None too) or "float32", which keeps phases in float64.
    c_bin: the executable that the backend "reference" runs; None: what NB_C_BIN names.

    Seeds that are None come from the clock, once (with the quirk misset_seed_default off, the
    missetting's from the noise seed); the result's `experiment` and `provenance` have them.  The
    result's image has shape (slow, fast), float32, photons per pixel.

    Raises `ConfigError` for a value that breaks its rule, `ResourceError` before anything is
    allocated if the image would not fit into memory, `UnsupportedError` for a combination that this
    version lacks, `BackendError` for a backend that is not there, `ExecutableError` for
    an executable that fails, and `RenderCancelled` if `progress` asked to stop.
    """
    require_class("experiment", experiment, Experiment)
    require_class("structure_factors", structure_factors, StructureFactors)
    if quirks is None:
        quirks = Quirks()
    require_class("quirks", quirks, Quirks)
    threads = _thread_count(threads)
    if progress is not None and not callable(progress):
        raise ConfigError("progress", progress, "a function of two numbers, or None")
    if not isinstance(unrounded, bool):
        raise ConfigError("unrounded", unrounded, "True or False")
    engine = get_backend(backend)
    options = own_options(
        backend, {"kernel": kernel, "device": device, "dtype": dtype, "c_bin": c_bin}
    )
    require_memory(memory_needed(experiment, structure_factors, unrounded=unrounded))
    started = time.time()
    seeded = with_clock_seeds(experiment, started, quirks)
    result = engine.render(
        seeded,
        structure_factors,
        quirks=quirks,
        threads=threads,
        progress=progress,
        unrounded=unrounded,
        **options,
    )
    provenance = {
        "nanobragg_hybrid": __version__,
        "backend": backend,
        "quirks": str(quirks),
        "threads": threads,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "misset_seed": seeded.crystal.misset_seed,
        "mosaic_seed": seeded.crystal.mosaic_seed,
        "noise_seed": seeded.output.noise_seed,
    }
    return result.replaced(
        provenance={**result.provenance, **provenance},
        experiment=seeded,
        quirks=quirks,
        quirks_that_mattered=quirks_that_mattered(experiment, quirks, result.info),
    )


def memory_needed(
    experiment: Experiment, structure_factors: StructureFactors, *, unrounded: bool = False
) -> dict[str, int]:
    """Bytes that rendering needs, by what needs them."""
    n_slow, n_fast = experiment.detector.shape
    pixels = n_slow * n_fast
    parts = {f"image of {n_fast} x {n_slow} pixels": 4 * pixels}
    if unrounded:
        parts["unrounded image"] = 8 * pixels
    if experiment.detector.mask is not None:
        parts["mask"] = pixels
    table = structure_factors.grid_buffer
    if table is not None:
        parts["structure factor table"] = table.nbytes
    for what, count, each in (
        ("phi steps", experiment.goniometer.phi_steps, _PHI_STEP_BYTES),
        ("mosaic domains", experiment.crystal.mosaic_domains, _DOMAIN_BYTES),
        ("sources", _source_candidates(experiment.beam), _SOURCE_BYTES),
    ):
        if count is not None and count > 1:
            parts[f"{count} {what}"] = count * each
    return parts


def _source_candidates(beam: Beam) -> int:
    """Grid points of the sources whose numbers are given (model 5.2)."""
    if beam.sources is not None:
        return len(beam.sources)
    counts = (beam.divergence_h_steps, beam.divergence_v_steps, beam.dispersion_steps)
    return math.prod(count or 1 for count in counts)


def _thread_count(threads: int | None) -> int:
    if threads is None:
        return default_threads()
    try:
        return _THREADS.normalise(threads)
    except ValueError:
        raise ConfigError("threads", threads, f"{_THREADS.text}, or None") from None
