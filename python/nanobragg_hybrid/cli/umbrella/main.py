"""The command `nanobragg-hybrid`: a demonstration and its files, what is installed, the ledger of
quirks, speed, convergence, structure factors, sums of images, a viewer, series of frames."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.base.errors import CommandLineError, NanobraggError
from nanobragg_hybrid.cli.nanobragg.log import silence_stdout
from nanobragg_hybrid.cli.tool import os_problem, prepare_process
from nanobragg_hybrid.cli.umbrella.options import umbrella_parser
from nanobragg_hybrid.formats.demo_data import data_path
from nanobragg_hybrid.model.quirks import Quirks

if TYPE_CHECKING:
    from nanobragg_hybrid.cli.completion.shells import Shell
    from nanobragg_hybrid.model.experiment import Experiment

FAILED = 1
INTERRUPTED = 130
DEMO_FILE = data_path("demo.hkl")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; `argv` is without the program's name.  Returns the exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    end = argv.index("--") if "--" in argv else len(argv)
    parser = umbrella_parser()
    arguments = parser.parse_args(argv[:end])
    command_line = argv[end + 1 :]
    takes_words = arguments.command in ("converge", "series") or getattr(
        arguments, "explain", False
    )
    if command_line and not takes_words:
        parser.error("only converge, series and quirks --explain take a command line after --")
    status = 0
    try:
        if arguments.command == "demo":
            _demo(Path(arguments.out), arguments.backend, Quirks.parse(arguments.quirks))
        elif arguments.command == "quirks":
            _quirks(parser, arguments, command_line)
        elif arguments.command == "add":
            _add(arguments)
        elif arguments.command == "bench":
            _bench(parser, arguments)
        elif arguments.command == "completion":
            _completion(arguments.shell)
        elif arguments.command == "man":
            _manual(arguments.program)
        elif arguments.command == "data":
            _data(arguments.name)
        elif arguments.command == "converge":
            status = _converge(parser, arguments, command_line)
        elif arguments.command == "view":
            _view(arguments)
        elif arguments.command == "series":
            _series(arguments, argv[:end], command_line)
        elif arguments.command == "structure-factors":
            _structure_factors(arguments)
        else:
            _info()
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
        return FAILED
    except KeyboardInterrupt:
        print("nanobragg-hybrid: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (NanobraggError, MemoryError) as error:
        print(f"nanobragg-hybrid: error: {error}", file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"nanobragg-hybrid: error: {os_problem(error)}", file=sys.stderr)
        return FAILED
    return status


def console() -> NoReturn:
    """The console script."""
    prepare_process()
    sys.exit(main())


def _structure_factors(arguments: argparse.Namespace) -> None:
    from nanobragg_hybrid.cli.structure_factors.main import structure_factors

    for line in structure_factors(arguments):
        print(line)


def _series(arguments: argparse.Namespace, own: Sequence[str], command_line: Sequence[str]) -> None:
    from nanobragg_hybrid.cli.series.main import series_command

    series_command(
        arguments,
        own,
        command_line,
        say=lambda text: print(text, flush=True),
        complain=lambda text: print(f"nanobragg-hybrid: warning: {text}", file=sys.stderr),
    )


def _converge(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace, command_line: Sequence[str]
) -> int:
    from nanobragg_hybrid.cli.converge.main import converge_command

    if not command_line:
        parser.error("converge needs a nanoBragg command line after --")

    def warn(text: str) -> None:
        print(f"nanobragg-hybrid: warning: {text}", file=sys.stderr)

    return converge_command(
        arguments,
        command_line,
        say=lambda text: print(text, flush=True),
        warn=warn,
    )


def _view(arguments: argparse.Namespace) -> None:
    from nanobragg_hybrid.cli.view.main import view

    for line in view(arguments):
        print(line)


def _quirks(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace, command_line: Sequence[str]
) -> None:
    if arguments.explain:
        if not command_line:
            parser.error("quirks --explain needs a nanoBragg command line after --")
        if arguments.quirks is not None:
            command_line = ["--quirks", arguments.quirks, *command_line]
        _explain(arguments, command_line)
        return
    if arguments.pixel or arguments.json or arguments.out:
        parser.error("--pixel, --json and --out belong to quirks --explain")
    from nanobragg_hybrid.cli.umbrella.ledger import ledger_lines

    quirks = None if arguments.quirks is None else Quirks.parse(arguments.quirks)
    for line in ledger_lines(quirks):
        print(line)


def _explain(arguments: argparse.Namespace, command_line: Sequence[str]) -> None:
    import shlex

    from nanobragg_hybrid.base.atomic import AtomicFiles
    from nanobragg_hybrid.cli.json_text import json_text
    from nanobragg_hybrid.cli.nanobragg.options import split_options
    from nanobragg_hybrid.cli.umbrella.explain import (
        explain,
        explanation_document,
        explanation_lines,
    )
    from nanobragg_hybrid.formats.png import write_png

    def warn(text: str) -> None:
        print(f"nanobragg-hybrid: warning: {text}", file=sys.stderr)

    pixels = [(fast, slow) for fast, slow in arguments.pixel or ()]
    named = {"JSON": arguments.json, "picture": arguments.out}
    outputs = {kind: Path(path) for kind, path in named.items() if path is not None}
    options = split_options(command_line)
    if options.json is not None:
        raise CommandLineError(f"--json {options.json}: has its place before the --")
    found = explain(options, pixels, warn, outputs)
    with AtomicFiles() as files:
        if arguments.json is not None:
            document = {
                **explanation_document(found),
                "version": __version__,
                "command": shlex.join(["nanoBragg", *command_line]),
            }
            with files.write(Path(arguments.json)) as file:
                file.write(json_text(document).encode("utf-8"))
        if arguments.out is not None:
            with files.write(Path(arguments.out)) as file:
                write_png(file, found.picture)
    for line in explanation_lines(found, has_picture=arguments.out is not None):
        print(line)


def _completion(shell: Shell) -> None:
    from nanobragg_hybrid.cli.completion.shells import completion

    print(completion(shell), end="")


def _manual(program: str) -> None:
    from nanobragg_hybrid.cli.completion.manual import manual

    print(manual(program), end="")


def _data(name: str | None) -> None:
    from nanobragg_hybrid.formats.demo_data import DEMO_FILES

    if name is not None:
        print(data_path(name))
        return
    print(data_path())
    for each, what in DEMO_FILES.items():
        print(f"  {each}: {what}")


def _bench(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    from nanobragg_hybrid.cli.bench.main import bench
    from nanobragg_hybrid.cli.json_text import json_text
    from nanobragg_hybrid.cli.nanobragg.outputs import check_outputs
    from nanobragg_hybrid.formats.text import write_text

    runs = arguments.runs if arguments.runs is not None else 2 if arguments.quick else 5
    if runs < 1:
        parser.error(f"--runs: got {runs}, need at least 1")
    if arguments.json is not None:
        check_outputs({"figures": Path(arguments.json)}, [])
    document = bench(
        quick=arguments.quick,
        runs=runs,
        say=lambda text: print(text, flush=True),
        reference=None if arguments.c_bin is None else Path(arguments.c_bin).resolve(),
    )
    if arguments.json is not None:
        write_text(Path(arguments.json), json_text(document))


def _add(arguments: argparse.Namespace) -> None:
    from nanobragg_hybrid.cli.nanobragg.outputs import check_outputs
    from nanobragg_hybrid.cli.umbrella.add import add

    images, out = [Path(name) for name in arguments.images], Path(arguments.out)
    check_outputs({"sum": out}, images)
    pixels = add(images, arguments.weight or (), out)
    print(f"{len(images)} images of {pixels} pixels: {out}")


def _info() -> None:
    from nanobragg_hybrid.run.versions import show_versions

    print(show_versions(), end="")


def demo_experiment() -> Experiment:
    """The experiment of the demonstration: 3 degrees of rotation of a small crystal."""
    from nanobragg_hybrid.model.beam import Beam
    from nanobragg_hybrid.model.crystal import Crystal
    from nanobragg_hybrid.model.detector import Detector
    from nanobragg_hybrid.model.experiment import Experiment
    from nanobragg_hybrid.model.goniometer import Goniometer
    from nanobragg_hybrid.model.sampling import Sampling

    return Experiment(
        beam=Beam(wavelength_angstrom=1.0, fluence_photons_per_m2=1e28, polarization_kahn=0.9),
        crystal=Crystal(
            cell_angstrom=(30.0, 34.0, 38.0),
            misset_deg=(22.0, 2.0, -3.0),
            n_cells=(16.0, 14.0, 12.0),
            shape="gauss_hkl",
            mosaic_spread_deg=0.25,
            mosaic_domains=6,
        ),
        goniometer=Goniometer(phi_deg=1.0, osc_deg=3.0, phi_steps=24),
        detector=Detector(distance_mm=100.0, pixel_size_mm=0.1, n_fast=800, n_slow=800),
        sampling=Sampling(oversample=2, interpolate=False),
    )


def _demo(out: Path, backend: str, quirks: Quirks) -> None:
    from nanobragg_hybrid.compare.pictures import grey
    from nanobragg_hybrid.formats.hkl import read_hkl
    from nanobragg_hybrid.formats.png import write_png
    from nanobragg_hybrid.run.simulate import simulate

    table = read_hkl(DEMO_FILE)
    result = simulate(demo_experiment(), table, backend=backend, quirks=quirks)
    write_png(out, grey(result.image))
    geometry = result.geometry
    print(f"{table.reflections} structure factors of an invented crystal from {DEMO_FILE}")
    print(
        f"{geometry.n_fast} x {geometry.n_slow} pixels, brightest {result.statistics.max:g} photons"
    )
    print(f"picture: {out.resolve()}")


if __name__ == "__main__":
    console()
