"""The command `nanobragg-hybrid`: a demonstration, and what is installed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.cli.log import silence_stdout
from nanobragg_hybrid.errors import NanobraggError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nanobragg_hybrid.config import Experiment

FAILED = 1
INTERRUPTED = 130
DEMO_FILE = Path(__file__).parents[1] / "data" / "demo.hkl"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; `argv` is without the program's name.  Returns the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "demo":
            _demo(Path(arguments.out), arguments.backend)
        else:
            _info()
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
        return FAILED
    except KeyboardInterrupt:
        print("nanobragg-hybrid: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (NanobraggError, OSError, MemoryError) as error:
        print(f"nanobragg-hybrid: error: {error}", file=sys.stderr)
        return FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nanobragg-hybrid", description="Diffraction images of crystals.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="render a picture of an invented crystal")
    demo.add_argument("--out", default="demo.png", help="PNG file to write (default: %(default)s)")
    demo.add_argument("--backend", default="c", help="what renders it (default: %(default)s)")
    commands.add_parser("info", help="print versions and how the compiled core was built")
    return parser


def _info() -> None:
    from nanobragg_hybrid.versions import show_versions

    print(show_versions(), end="")


def demo_experiment() -> Experiment:
    """The experiment of the demonstration: 3 degrees of rotation of a small crystal."""
    from nanobragg_hybrid.config import Beam, Crystal, Detector, Experiment, Goniometer, Sampling

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
        sampling=Sampling(oversample=1, interpolate=False),
    )


def picture(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Grey levels, shape (slow, fast): spots are dark on white, as on film.

    Darkness goes with the square root of intensity, so that weak spots show; the brightest 0.5 % of
    the pixels that got any light are black.
    """
    import numpy as np

    lit = image[image > 0.0]
    brightest = float(np.percentile(lit, 99.5)) if lit.size else 1.0
    darkness = np.sqrt(np.clip(image / brightest, 0.0, 1.0))
    return np.asarray(255.0 * (1.0 - darkness) + 0.5).astype(np.uint8)


def _demo(out: Path, backend: str) -> None:
    import nanobragg_hybrid as nb

    table = nb.read_hkl(DEMO_FILE)
    result = nb.simulate(demo_experiment(), table, backend=backend)
    nb.write_png(out, picture(result.image))
    geometry = result.geometry
    print(f"{table.reflections} structure factors of an invented crystal from {DEMO_FILE}")
    print(
        f"{geometry.n_fast} x {geometry.n_slow} pixels, brightest {result.statistics.max:g} photons"
    )
    print(f"picture: {out.resolve()}")


if __name__ == "__main__":
    sys.exit(main())
