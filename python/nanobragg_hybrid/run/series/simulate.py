"""A series of frames: rendered by any executor, the same bytes each time, taken up again where it
was stopped."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nanobragg_hybrid.base.errors import (
    ConfigError,
    NanobraggWarning,
)
from nanobragg_hybrid.engines.registry import make_engine
from nanobragg_hybrid.formats.series_files import (
    SeriesFiles,
    make_folder,
)
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks, quirks_or_all
from nanobragg_hybrid.model.series import Series
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.model.validate import Integer, Optional, normalised, require_class
from nanobragg_hybrid.run.image_files import checked_material
from nanobragg_hybrid.run.prepare import checked_threads
from nanobragg_hybrid.run.series.refusals import check_files, check_truth
from nanobragg_hybrid.run.series.series_result import SeriesResult
from nanobragg_hybrid.run.series.series_run import SeriesProgress, SeriesRun
from nanobragg_hybrid.run.series.settings import (
    PerFrame,
    Settings,
    checked_per_frame,
    chosen_pixels,
    hash_of_factors,
    identity_hash,
    identity_of,
)
from nanobragg_hybrid.run.series.submit import Window, default_window
from nanobragg_hybrid.run.series.truth_of_series import check_libraries

if TYPE_CHECKING:
    from nanobragg_hybrid.engines.protocol import Engine
    from nanobragg_hybrid.formats.images.frame import SensorMaterial
    from nanobragg_hybrid.model.result import ImageFormat, ImagePixels

_IMAGES_PER_FILE: Final = 100


def simulate_series(
    series: Series | Experiment,
    structure_factors: StructureFactors,
    *,
    out: str | Path,
    frames: int | None = None,
    executor: Executor | None = None,
    format: ImageFormat | None = None,  # noqa: A002 (what everybody calls it)
    pixels: ImagePixels | None = None,
    sensor_material: SensorMaterial = "Si",
    images_per_file: int | None = None,
    backend: str | Engine = "c",
    quirks: Quirks | None = None,
    threads: int | None = None,
    shard: tuple[int, int] | None = None,
    window: int | None = None,
    resume: bool = False,
    progress: SeriesProgress | None = None,
    per_frame: Sequence[PerFrame] = (),
    truth: bool = False,
) -> SeriesResult:
    """Renders the frames of a series into files, on any executor.

    series: the recipe; or an experiment with an oscillation, of which `frames` follow each other.
    out: the images, with a ``#`` for each digit of their numbers from 1: ``x_####.cbf``; or
        ``x.h5``, one NXmx file over files of data with `images_per_file` images each (None: 100).
    format, pixels, sensor_material: as of `write_image`.
    executor: any `concurrent.futures.Executor`: threads, processes (started with "spawn"),
        ``mpi4py.futures``, ``dask.distributed.Client.get_executor()``.  Workers need this package
        and the folder of `out`.  None: frames are rendered here, one after the other.
    backend, quirks: as of `simulate`.  threads: of each frame; None: 1 with an executor, else all.
    shard: (i, n), i from 1: the i-th of n parts of the frames, for runs side by side; the last to
        end completes the series.
    window: how many frames are given to the executor ahead; None: four for each worker.
    resume: go on with a series that was begun: every file is compared with its hash in the
        manifest, and what is missing or broken is rendered.
    progress: see `SeriesProgress`.
    per_frame: functions of a frame's number, experiment and result, called where the frame is
        rendered; `SeriesResult.data` has what they return, which is pickled as they are themselves.
    truth: also write the reflections of all frames (`predict_reflections`) as ``STEM_truth.h5``
        and, but for a grid, as ``STEM_truth.refl`` beside the true crystals, ``STEM_truth.expt``.

    Every file depends on the recipe, the structure factors and these settings: not on executor,
    workers, clock or host, nor on how often the series was stopped.  A file is there as a whole or
    not at all; ``STEM_manifest.jsonl`` lists those that are, with their hashes.

    Warns (`NanobraggWarning`) once of each kind of warning of frames.  Raises `ConfigError`, of
    `resume` naming what is not as it was; `SeriesError` where a worker died or a frame failed: it
    says which frames are lost; `RenderCancelled`; and what `simulate` and `write_image` raise.
    """
    asked = _checked(
        series,
        structure_factors,
        out=out,
        frames=frames,
        executor=executor,
        format=format,
        pixels=pixels,
        sensor_material=sensor_material,
        images_per_file=images_per_file,
        backend=backend,
        quirks=quirks,
        threads=threads,
        shard=shard,
        window=window,
        resume=resume,
        progress=progress,
        per_frame=per_frame,
        truth=truth,
    )
    factors_hash = hash_of_factors(structure_factors)
    identity = identity_of(asked.settings, factors_hash)
    settings = asked.settings._replace(
        identity_hash=identity_hash(identity), factors_hash=factors_hash
    )
    run = SeriesRun(settings, identity, asked.shard)
    kept = run.begin(resume=resume)
    make_folder(settings.files.folder)
    with run.settings_for(executor, structure_factors) as travelling:
        tasks = Window(executor, asked.window)
        run.render(tasks, travelling, structure_factors, progress)
    is_complete = run.finish()
    texts = run.warnings()
    for text in texts:
        warnings.warn(text, NanobraggWarning, stacklevel=2)
    functions = settings.per_frame
    return SeriesResult(
        series=settings.series,
        files=settings.files,
        rendered=run.rendered,
        kept=kept,
        is_complete=is_complete,
        warnings=texts,
        _data=tuple(sorted(run.whole.data.items())) if functions else (),
        _functions=len(functions),
        _has_truth=truth,
    )


def check_series(
    series: Series | Experiment, structure_factors: StructureFactors, **arguments: Any
) -> None:
    """Raises what `simulate_series` raises for these arguments before the first frame, for whoever
    renders something else before that; but for what depends on the recipe in a series that was
    begun.  Nothing is written."""
    asked = _checked(series, structure_factors, **arguments)
    run = SeriesRun(asked.settings, {}, asked.shard)
    run.look(resume=arguments.get("resume", False))


class _Asked(NamedTuple):
    """The arguments of a call, all of them checked; settings: still without hashes."""

    settings: Settings
    shard: tuple[int, int] | None
    window: int


def _checked(
    series: Series | Experiment,
    structure_factors: StructureFactors,
    *,
    out: str | Path,
    frames: int | None = None,
    executor: Executor | None = None,
    format: ImageFormat | None = None,  # noqa: A002 (what everybody calls it)
    pixels: ImagePixels | None = None,
    sensor_material: SensorMaterial = "Si",
    images_per_file: int | None = None,
    backend: str | Engine = "c",
    quirks: Quirks | None = None,
    threads: int | None = None,
    shard: tuple[int, int] | None = None,
    window: int | None = None,
    resume: bool = False,
    progress: SeriesProgress | None = None,
    per_frame: Sequence[PerFrame] = (),
    truth: bool = False,
) -> _Asked:
    """See `simulate_series`."""
    recipe = _series(series, frames)
    require_class("structure_factors", structure_factors, StructureFactors)
    if executor is not None and not isinstance(executor, Executor):
        raise ConfigError("executor", executor, "a concurrent.futures.Executor, or None")
    if not isinstance(resume, bool):
        raise ConfigError("resume", resume, "True or False")
    if not isinstance(truth, bool):
        raise ConfigError("truth", truth, "True or False")
    if progress is not None and not callable(progress):
        raise ConfigError("progress", progress, "a function of two numbers, or None")
    files = SeriesFiles.of(out, format, recipe.frames)
    per_file = _images_per_file(images_per_file, files)
    ahead = normalised("window", window, Optional(Integer(at_least=1, at_most=10**6)))
    part = checked_shard(shard)
    engine, used = make_engine(backend), quirks_or_all(quirks)
    kind, material = chosen_pixels(recipe, files, pixels), checked_material(sensor_material)
    functions = checked_per_frame(per_frame)
    check_files(recipe, files, kind, used, material)
    if truth:
        check_libraries()
        check_truth(recipe, used)
    settings = Settings(
        series=recipe,
        quirks=used,
        engine=engine,
        threads=1 if threads is None and executor is not None else checked_threads(threads),
        files=files,
        pixels=kind,
        material=material,
        images_per_file=per_file if files.is_one else 0,
        per_frame=functions,
        truth=truth,
        identity_hash="",
        factors_hash="",
        factors=structure_factors,
    )
    return _Asked(settings, part, ahead or default_window(executor))


def checked_shard(shard: object) -> tuple[int, int] | None:
    """Which part of the frames; `ConfigError`."""
    if shard is None:
        return None
    rule = "(i, n) with i from 1 to n, n at most 100000, or None"
    if not isinstance(shard, tuple) or len(shard) != 2:
        raise ConfigError("shard", shard, rule)
    number, count = shard
    if type(number) is not int or type(count) is not int or not 1 <= number <= count <= 10**5:
        raise ConfigError("shard", shard, rule)
    return number, count


def _images_per_file(given: object, files: SeriesFiles) -> int:
    """Of the files of data of one NXmx file.  Raises `ConfigError`, also beside other files."""
    rule = Optional(Integer(at_least=1, at_most=10**6))
    number: int | None = normalised("images_per_file", given, rule)
    if number is not None and not files.is_one:
        where = f"None beside {files.name}, of which each file has one image"
        raise ConfigError("images_per_file", number, where)
    return _IMAGES_PER_FILE if number is None else number


def _series(series: object, frames: object) -> Series:
    if isinstance(series, Series):
        if frames is not None:
            raise ConfigError("frames", frames, "None: a series has its own number")
        return series
    if not isinstance(series, Experiment):
        raise ConfigError("series", series, "an object of class Series or Experiment")
    if not series.goniometer.osc_deg:
        rule = "a value > 0 for frames that follow each other, or a Series (Series.stills, .grid)"
        raise ConfigError("goniometer.osc_deg", series.goniometer.osc_deg, rule, "deg")
    count: int = normalised("frames", frames, Integer(at_least=1))
    return Series.rotation(series, count)
