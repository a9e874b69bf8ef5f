"""Write the live image: one HTML file with the C library in it.

    python docs/live/make_page.py live.html

The library is compiled to WebAssembly by the C compiler of the package ziglang
(python -m pip install ".[docs]"); nothing of it is changed for that.  docs/live_image.md says
what the page does.  A second call with the same sources takes what the first one compiled, from
build/wasm.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import gzip
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nanobragg_hybrid as nb
from nanobragg_hybrid.arguments.flags import FLAGS
from nanobragg_hybrid.base.atomic import atomic_write
from nanobragg_hybrid.engines.c.numbers import PIVOT_NUMBERS, SHAPE_NUMBERS, WARNING_BITS
from nanobragg_hybrid.model.quirks import LEDGER
from nanobragg_hybrid.model.resolved_plan import SENTENCES

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CSRC = ROOT / "csrc"
SHIM = CSRC / "wasm" / "live.c"
PICTURE = ROOT / "python" / "nanobragg_hybrid" / "data" / "picture.js"
BUILDS = ROOT / "build" / "wasm"

TARGET = ("-target", "wasm32-wasi", "-mexec-model=reactor", "-msimd128")
LINK = ("-Wl,-z,stack-size=1048576", "-s")
SHOWN_QUIRKS = (
    "triclinic_cell",
    "phi_carryover",
    "phi_left_edge",
    "first_subpixel_factors",
    "count_alone",
    "first_deviate",
    "interpolation_latch",
)
"""Those with a check box: the ones that the page's numbers can bring out."""
WORDS = {
    "oversample_low": "fewer sub-pixels than nanoBragg would choose for spots this small",
    "mosaic_domains": "the number of domains was chosen, because only a spread is given",
    "count_alone": "a number of steps without a range: a range was made up",
    "domains_without_spread": "domains without a spread have no effect",
    "many_steps": "this takes long: many steps for each pixel",
    "impossible_cell": "the angles fit no cell",
    "broken_cells": "a square crystal with parts of cells: light at reflections has no bound",
    "close_distance_negative": "the detector's normal points at the crystal: photons are below 0",
    "impossible_sources": "with this wavelength the beam has no direction or is no X-ray's",
    "osc_overshoot": "the φ steps do not fill the range",
    "oversample_high": "many sub-pixels were chosen for spots this small",
    **dict.fromkeys(
        ("size_x_clipped", "size_y_clipped", "size_z_clipped"),
        "the crystal is larger than the beam: clipped",
    ),
    "matrix_scale": "the orientation matrix does not fit the wavelength",
    "wavelength_outside_spectrum": "the wavelength is not one of the spectrum",
}
"""What the page says of a plan's warnings, where the package's sentence has numbers of the plan."""
ABOUT = """The C library in this page is the one of the Python package, compiled for the browser
from the same source; only sin, cos, exp and the like are another library's, which may round the
last bit differently. Every recorded command line of nanoBragg that this page can show has the same
bytes here; docs/live_image.md says what was compared."""


def has_compiler() -> bool:
    """Is the package ziglang installed?"""
    return importlib.util.find_spec("ziglang") is not None


def _cmake_list(path: Path, pattern: str) -> str:
    found = re.search(pattern, path.read_text(encoding="utf-8"), re.DOTALL)
    if found is None:
        raise SystemExit(f"{path}: has no {pattern}")
    return found[1]


def library_sources() -> list[Path]:
    """The C files that the build of the library lists, and those of the plainest kernels."""
    listed = _cmake_list(CSRC / "CMakeLists.txt", r"add_library\(\s*nbh SHARED(.*?)\)").split()
    kernels = [f"src/fast/{kind}_baseline.c" for kind in ("kernel", "culled", "sums")]
    return [CSRC / name for name in [*listed, *kernels]]


def flags() -> list[str]:
    """How each file is compiled: the library's own rules for floating point, and -O3."""
    exact = _cmake_list(
        ROOT / "cmake" / "NbhFloatingPoint.cmake", r"set\(NBH_FLOATING_POINT_FLAGS (.*?)\)"
    ).split()
    return ["-std=c99", "-O3", *exact, "-fno-trapping-math"]


def build_module(jobs: int | None = None) -> bytes:
    """The library and live.c as a module of WebAssembly."""
    options = flags()
    definitions = {
        "NBH_VERSION": nb.__version__,
        "NBH_COMPILE_FLAGS": " ".join([*TARGET[1:], *options]),
        "NBH_SANITIZERS": "none",
    }
    words = [
        *TARGET, *options, "-DNBH_BUILDING_LIBRARY",
        *(f'-D{name}="{text}"' for name, text in definitions.items()),
        "-I", str(CSRC / "include"), "-I", str(CSRC / "src"),
    ]  # fmt: skip
    sources = [*library_sources(), SHIM]
    digest = hashlib.sha256("\0".join([*words, *LINK]).encode())
    for path in sorted([*(CSRC / "include").rglob("*.h"), *(CSRC / "src").rglob("*.[ch]"), SHIM]):
        digest.update(path.read_bytes())
    folder = BUILDS / digest.hexdigest()[:16]
    module = folder / "live.wasm"
    if not module.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        objects = [
            folder / f"{path.relative_to(CSRC).as_posix().replace('/', '_')}.o" for path in sources
        ]
        with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
            done = [
                pool.submit(_compile, [*words, "-c", str(path), "-o", str(made)])
                for path, made in zip(sources, objects, strict=True)
            ]
            for compiled in done:
                compiled.result()
        linked = folder / "linked.wasm"
        _compile([*TARGET, *map(str, objects), *LINK, "-o", str(linked)])
        linked.replace(module)
    return module.read_bytes()


def _compile(words: Sequence[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", *words], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"ziglang cc failed:\n{done.stderr}")


def tables() -> dict[str, Any]:
    """What the page has to know of the package: names, numbers and defaults."""
    experiment = nb.Experiment()
    parts = ("beam", "crystal", "goniometer", "detector", "sampling")
    defaults = {
        f"{part}.{name}": list(value) if isinstance(value, tuple) else value
        for part in parts
        for name, value in dataclasses.asdict(getattr(experiment, part)).items()
        if isinstance(value, int | float | str | tuple | list)
    }
    spellings = {
        flag.value: flag
        for flag in FLAGS
        if flag.kind == "switch" and flag.targets == ("crystal.shape",)
    }
    return {
        "shapes": [
            {
                "name": name,
                "number": number,
                "flag": spellings[name].emitted or spellings[name].spellings[0],
                "flags": spellings[name].spellings,
            }
            for name, number in SHAPE_NUMBERS.items()
        ],
        "pivots": PIVOT_NUMBERS.copy(),
        "quirks": [
            {
                "name": quirk.name,
                "bit": 1 << n,
                "summary": quirk.summary,
                "shown": quirk.name in SHOWN_QUIRKS,
            }
            for n, quirk in enumerate(LEDGER)
        ],
        "warnings": [
            {"words": WORDS.get(name) or SENTENCES[name], "bit": bit}
            for name, bit in WARNING_BITS.items()
        ],
        "defaults": defaults,
    }


def _script_text(value: Any) -> str:
    """JSON that may stand in a script of an HTML page."""
    return json.dumps(value, ensure_ascii=False).replace("</", "<\\/")


def page(module: bytes) -> str:
    """The page with everything in it."""
    packed = base64.b64encode(gzip.compress(module, 9, mtime=0)).decode("ascii")
    parts = {
        "VERSION": nb.__version__,
        "ABOUT": ABOUT,
        "PICTURE": PICTURE.read_text(encoding="utf-8"),
        "PAGE": (HERE / "page.js").read_text(encoding="utf-8"),
        "WORKER": _script_text((HERE / "worker.js").read_text(encoding="utf-8")),
        "TABLES": _script_text(tables()),
        "MODULE": _script_text(packed),
    }
    template = (HERE / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda found: parts[found[1]], template)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the live image, one HTML file.")
    parser.add_argument("out", type=Path, help="file to write")
    arguments = parser.parse_args()
    if not has_compiler():
        raise SystemExit('needs ziglang: python -m pip install ".[docs]"')
    text = page(build_module())
    with atomic_write(arguments.out) as file:
        file.write(text.encode("utf-8"))
    sys.stdout.write(f"{arguments.out}: {len(text.encode()) // 1000} kB\n")


if __name__ == "__main__":
    main()
