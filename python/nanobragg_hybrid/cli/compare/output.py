"""What `nb-compare` writes and prints: folder, texts, pictures, documents."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.base.errors import FileAccessError
from nanobragg_hybrid.cli.compare.runs import FinishedRun, RunSpec
from nanobragg_hybrid.compare.comparison import Comparison
from nanobragg_hybrid.compare.images import Image, difference_picture, reduced
from nanobragg_hybrid.compare.pictures import grey, white_point
from nanobragg_hybrid.compare.report import number_text
from nanobragg_hybrid.formats.png import write_png
from nanobragg_hybrid.formats.text import write_text


def result_folder(asked: str | None) -> Path:
    """The folder that was asked for, if it is new or empty, else a new one inside it (or here);
    `FileAccessError` if it cannot be made."""
    if asked is not None:
        try:
            Path(asked).mkdir(parents=True, exist_ok=True)
            if not any(Path(asked).iterdir()):
                return Path(asked).resolve()
        except FileExistsError:
            raise FileAccessError(asked, "is no folder") from None
        except OSError as error:
            raise FileAccessError(asked, error.strerror or str(error)) from None
    return _new_folder(asked or ".")


def _new_folder(parent: str) -> Path:
    """A folder that was not there before; `FileAccessError` if it cannot be made."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    number = 0
    while True:
        number += 1
        folder = Path(parent) / f"nb-compare-{stamp}-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not Path(parent).is_dir():
                raise FileAccessError(parent, "is no folder") from None
            continue
        except OSError as error:
            raise FileAccessError(folder, error.strerror or str(error)) from None
        return folder.resolve()


def write_texts(folder: Path, label: str, stdout: str, stderr: str) -> None:
    write_text(folder / f"{label}.stdout.txt", stdout)
    write_text(folder / f"{label}.stderr.txt", stderr)


def picture_files(
    a: Image, b: Image, change: NDArray[np.float64], percentile: float
) -> dict[str, bytes]:
    """PNG files by name.  A's scale of grey holds for both, unless A is dark."""
    finite = [np.where(np.isfinite(image), image, np.float32(0.0)) for image in (a, b)]
    level = white_point(finite[0] if (finite[0] > 0.0).any() else finite[1], percentile)
    small = [reduced(image) for image in finite]
    drawn = {
        "a.png": grey(small[0], level),
        "b.png": grey(small[1], level),
        "diff.png": difference_picture(reduced(change)),
    }
    pictures = {}
    for name, pixels in drawn.items():
        file = io.BytesIO()
        write_png(file, pixels)
        pictures[name] = file.getvalue()
    return pictures


def run_document(spec: RunSpec, run: FinishedRun) -> dict[str, Any]:
    hidden = ("stdout", "stderr", "seconds")
    provenance = run.result.provenance
    return document_of(
        name=spec.backend,
        image=run.result.image,
        quirks=str(spec.quirks),
        quirks_that_mattered=list(run.quirks_that_mattered),
        seconds=run.seconds,
        provenance={name: value for name, value in provenance.items() if name not in hidden},
        statistics=dataclasses.asdict(run.result.statistics),
    )


def document_of(*, name: str, image: Image, **known: Any) -> dict[str, Any]:
    """A side as the summary has it."""
    return {
        "name": name,
        "path": None,
        "quirks": None,
        "quirks_that_mattered": [],
        "seconds": None,
        "provenance": {},
        "statistics": None,
        "shape": list(image.shape),
        "sha256": hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest(),
        **known,
    }


def versions_used() -> dict[str, str]:
    return {
        "nanobragg_hybrid": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def print_comparison(found: Comparison, documents: Sequence[Mapping[str, Any]]) -> None:
    for label, spec in zip("AB", documents, strict=True):
        quirks = f", quirks {spec['quirks']}" if spec["quirks"] else ""
        seconds = "" if spec["seconds"] is None else f", {spec['seconds']:.3f} s"
        who = spec["path"] or spec["provenance"].get("executable") or spec["name"]
        print(f"{label}             {who}{quirks}{seconds}")
    figures, region = found.difference, found.region
    pixel = f"at fast {figures.fast}, slow {figures.slow}"
    for name, value in (
        ("region", f"fast {region[0]} to {region[1]}, slow {region[2]} to {region[3]}"),
        ("same pixels", f"{100.0 * figures.identical:.6g} %"),
        ("correlation", number_text(figures.correlation)),
        ("sums A, B", f"{figures.sum_a:.9g}, {figures.sum_b:.9g}"),
        ("sum ratio", number_text(figures.sum_ratio)),
        ("relative L2", f"{figures.relative_l2:.6g}"),
        ("RMSE", f"{figures.rmse:.6g} photons"),
        ("largest", f"{figures.max_abs:.6g} photons {pixel}"),
        ("  A, B there", f"{figures.value_a:.9g}, {figures.value_b:.9g}"),
        ("largest ULP", str(figures.max_ulp)),
        ("peaks", f"{len(found.peaks.pairs)} of {found.peaks_a} and {found.peaks_b} matched"),
    ):
        print(f"{name:<13} {value}")
    for verdict in found.verdicts:
        if verdict.name != "same_non_finite" or not verdict.is_met:
            word, got = "pass" if verdict.is_met else "fail", verdict.value
            shown = f"{got:.6g}" if isinstance(got, float) else number_text(got)
            print(f"{word:<13} {verdict.name} {shown}, need {verdict.rule}")
