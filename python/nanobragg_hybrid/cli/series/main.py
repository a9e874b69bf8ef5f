"""One run of `nanobragg-hybrid series`, from words to files."""

from __future__ import annotations

import argparse
import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.base.constants import (
    DEFAULT_FLOAT_FILE,
    DEFAULT_INT_FILE,
    DEFAULT_NOISE_FILE,
    DEFAULT_PGM_FILE,
)
from nanobragg_hybrid.base.errors import CommandLineError, ConfigError, NanobraggWarning
from nanobragg_hybrid.base.host import default_threads
from nanobragg_hybrid.cli.nanobragg.inputs import read_input
from nanobragg_hybrid.cli.series.arguments import (
    grid_of,
    sbatch_line,
    shard_of,
    words_with_options,
)
from nanobragg_hybrid.cli.series.executors import Workers, check_choice, workers
from nanobragg_hybrid.cli.series.progress import SeriesMeter
from nanobragg_hybrid.engines.registry import make_engine
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.series import Series
from nanobragg_hybrid.model.series_kinds import ParameterGrid, SasePulses
from nanobragg_hybrid.run.series.brightness import (
    Brightness,
    brightest,
    frames_to_look_at,
    with_crystal_of,
    with_photons,
)
from nanobragg_hybrid.run.series.simulate import check_series, simulate_series

if TYPE_CHECKING:
    from nanobragg_hybrid.arguments.command import Command
    from nanobragg_hybrid.engines.protocol import Engine
    from nanobragg_hybrid.model.structure_factors import StructureFactors

Say = Callable[[str], None]
_LOOKED_AT: Final = 3
"""Frames, of which the brightest spot decides the fluence."""


def series_command(
    arguments: argparse.Namespace,
    own: Sequence[str],
    words: Sequence[str],
    say: Say,
    complain: Say,
) -> None:
    """Renders a series.  own: the command's words before the ``--``, words: those behind it.

    say: gets the facts, complain the warnings.  Raises errors of the package.
    """
    if not words:
        raise CommandLineError("series needs a nanoBragg command line after --")
    if arguments.print_sbatch is not None:
        say(sbatch_line(own, words, arguments.print_sbatch))
        return
    check_choice(arguments)
    if not 0.0 <= arguments.progress_every < 1e9:
        rule = "a number >= 0"
        raise CommandLineError(f"--progress-every: got {arguments.progress_every:g}, need {rule}")
    with workers(arguments, arguments.frames or 4096) as who:
        if who.is_master:
            _render(arguments, words, who, say, complain)


def _render(
    arguments: argparse.Namespace,
    words: Sequence[str],
    who: Workers,
    say: Say,
    complain: Say,
) -> None:
    options = words_with_options(arguments, words)
    quirks = Quirks.parse(options.quirks)
    engine = make_engine(options.backend, options.engine_options)
    read = read_input(options, quirks, complain)
    _refuse_files(read.command)
    threads = options.threads or default_threads()
    say(f"nanobragg-hybrid series {__version__}, backend {engine.name}, {who.text}")
    experiment = _lit(arguments, read.command.experiment, read.table, engine, quirks, say)
    series = recipe(arguments, experiment)
    pixels = arguments.pixels
    if pixels is None and experiment.response is None and not arguments.out.endswith(".png"):
        pixels = None if arguments.format == "png" else "noise"
    settings: dict[str, Any] = {
        "out": arguments.out,
        "executor": who.executor,
        "format": arguments.format,
        "pixels": pixels,
        "sensor_material": arguments.sensor_material,
        "images_per_file": arguments.images_per_file,
        "backend": engine,
        "quirks": quirks,
        "threads": options.threads,
        "shard": shard_of(arguments.shard),
        "resume": arguments.resume,
        "truth": arguments.truth,
    }
    with _resume_as_a_flag():
        check_series(series, read.table, **settings)  # before frames that show how bright it is
    series = _bright(arguments, series, read.table, engine, quirks, threads, say)
    meter = SeriesMeter(arguments.progress_every)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NanobraggWarning)
        try:
            with _resume_as_a_flag():
                done = simulate_series(series, read.table, progress=meter.update, **settings)
        finally:
            meter.close()
    for warning in caught:
        complain(str(warning.message))
    say(f"{done.rendered} frames rendered, {done.kept} were there")
    if done.is_complete:
        say(f"the series of {series.frames} frames is complete: {done.summary}")
    else:
        say("the series is complete when the other shards are")


@contextlib.contextmanager
def _resume_as_a_flag() -> Iterator[None]:
    """What is wrong with ``resume`` is said of the command's flag."""
    try:
        yield
    except ConfigError as error:
        if error.field == "resume":
            raise CommandLineError(f"--resume is needed: {error}") from None
        raise


def recipe(arguments: argparse.Namespace, experiment: Experiment) -> Series:
    """The series that the words ask for.  Raises `CommandLineError`, `ConfigError`."""
    seed = arguments.seed
    noise_seed = experiment.output.noise_seed
    if seed is None:
        seed = 0 if noise_seed is None else noise_seed
    experiment = experiment.replace({"output.noise_seed": None})
    pulses = None
    if arguments.sase is not None:
        width, length = arguments.sase
        nodes = {} if arguments.sase_nodes is None else {"nodes": arguments.sase_nodes}
        pulses = SasePulses(fwhm_ev=width, pulse_fwhm_fs=length, **nodes)
    elif arguments.sase_nodes is not None:
        raise CommandLineError("--sase-nodes: needs --sase beside it")
    options: dict[str, Any] = {
        "seed": seed,
        "spectrum": pulses,
        "flux_jitter": arguments.flux_jitter,
        "size_jitter": arguments.size_jitter,
    }
    turns = [name for name in ("osc", "start") if getattr(arguments, name) is not None]
    if arguments.grid is not None:
        for name in (*turns, *(["stills"] if arguments.stills else [])):
            raise CommandLineError(f"--{name}: may not stand beside --grid")
        grid = ParameterGrid(grid_of(arguments.grid))  # type: ignore[arg-type]
        if arguments.frames not in (None, grid.size):
            rule = f"{grid.size}, the combinations of --grid, or nothing"
            raise CommandLineError(f"--frames: got {arguments.frames}, need {rule}")
        return Series(experiment, grid, grid.size, **options)
    if arguments.frames is None:
        raise CommandLineError("--frames: needs a number, without --grid")
    if arguments.stills:
        if turns:
            raise CommandLineError(f"--{turns[0]}: may not stand beside --stills")
        return Series.stills(experiment, arguments.frames, **options)
    if arguments.osc is None and not experiment.goniometer.osc_deg:
        raise CommandLineError("which frames? give --osc DEG (or -osc), --stills or --grid")
    return Series.rotation(
        experiment, arguments.frames, osc_deg=arguments.osc, start_deg=arguments.start, **options
    )


def _lit(
    arguments: argparse.Namespace,
    experiment: Experiment,
    table: StructureFactors,
    engine: Engine,
    quirks: Quirks,
    say: Say,
) -> Experiment:
    """The experiment in the light of --crystal-um, --flux and --beam-um, if they are given."""
    needed = {"--crystal-um": arguments.crystal_um, "--flux": arguments.flux}
    needed["--beam-um"] = arguments.beam_um
    given = [name for name, value in needed.items() if value is not None]
    if not given:
        if arguments.exposure is not None:
            raise CommandLineError("--exposure: belongs to --crystal-um, --flux and --beam-um")
        return experiment
    for name, value in needed.items():
        if value is None:
            raise CommandLineError(f"{given[0]}: needs {name} beside it")
    if arguments.photons_in_brightest is not None:
        raise CommandLineError(f"{given[0]}: may not stand beside --photons-in-brightest")
    sizes = arguments.crystal_um
    if len(sizes) not in (1, 3):
        raise CommandLineError(f"--crystal-um: got {len(sizes)} numbers, need 1 or 3")
    exposure_s = 1.0 if arguments.exposure is None else arguments.exposure
    found = with_crystal_of(
        experiment,
        table,
        engine,
        quirks,
        crystal_um=sizes * 3 if len(sizes) == 1 else sizes,
        flux_photons_per_s=arguments.flux,
        exposure_s=exposure_s,
        beam_um=arguments.beam_um,
    )
    fluence = found.fluence_photons_per_m2
    say(f"the beam has {fluence:.4g} photons/m^2 and lights {found.blocks:.4g} blocks of cells")
    return found.experiment


def _bright(
    arguments: argparse.Namespace,
    series: Series,
    table: StructureFactors,
    engine: Engine,
    quirks: Quirks,
    threads: int,
    say: Say,
) -> Series:
    """The series with the photons of --photons-in-brightest; says how bright it will be."""
    photons = arguments.photons_in_brightest
    if photons is None and (arguments.resume or arguments.shard is not None):
        return series
    if photons is not None and not 0.0 < photons < 1e30:
        rule = "a number > 0"
        raise CommandLineError(f"--photons-in-brightest: got {photons:g}, need {rule}")
    numbers = frames_to_look_at(series, 1 if photons is None else _LOOKED_AT)
    found = brightest(series, table, engine, quirks, numbers, threads)
    if photons is not None:
        series = with_photons(series, found, photons)
        fluence = series.experiment.beam.fluence_photons_per_m2
        say(f"fluence {fluence:.6g} photons/m^2 (without a flux), for {photons:g} photons")
        factor = photons / found.spot_photons
        found = found._replace(spot_photons=photons, pixel_photons=found.pixel_photons * factor)
    say(_brightness_text(found))
    return series


def _brightness_text(found: Brightness) -> str:
    looked_at = ", ".join(str(number + 1) for number in found.frames)
    return (
        f"brightest spot: {found.spot_photons:.4g} photons, {found.pixel_photons:.4g} in its "
        f"brightest pixel, in image {found.frame + 1} (the crystal's light alone of image "
        f"{looked_at}, rendered before the series)"
    )


def _refuse_files(command: Command) -> None:
    """Raises `CommandLineError` for files and lines of the command nanoBragg, which has one
    image."""
    for flag, path, usual in (
        ("-floatfile", command.float_path, DEFAULT_FLOAT_FILE),
        ("-intfile", command.int_path, DEFAULT_INT_FILE),
        ("-pgmfile", command.pgm_path, DEFAULT_PGM_FILE),
        ("-noisefile", command.noise_path, DEFAULT_NOISE_FILE),
    ):
        if path is not None and path.name != usual:
            raise CommandLineError(f"{flag}: a series writes --out alone")
    if command.printout or command.printout_pixel is not None or command.trace_pixel is not None:
        raise CommandLineError("-printout, -trace_pixel: of one image, not of a series")
