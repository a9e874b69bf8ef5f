"""Every public call with arguments of the wrong kind: an error of ours, and nothing is accepted."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nanobragg_hybrid as nb
from nanobragg_hybrid.compare.comparison import Criteria, compared
from nanobragg_hybrid.compare.images import Region
from nanobragg_hybrid.compare.metrics import compare_images, find_peaks, ulp_histogram
from nanobragg_hybrid.formats.any_image import read_image
from nanobragg_hybrid.formats.smv import SmvHeader

pytest.importorskip("gemmi", reason="gemmi is not installed (extra: mx), which knows space groups")

WRONG = {
    "None": None,
    "3": 3,
    "'x'": "x",
    "b''": b"",
    "[]": [],
    "object()": object(),
    "nan": math.nan,
    "'a\\0b'": "a\0b",
    "10**400": 10**400,
}
ALWAYS_WRONG = ("b''", "[]", "object()", "nan", "'a\\0b'", "10**400")
"""What hardly any argument may be; the others are right somewhere."""

ACCEPTED = {
    # refused when an experiment is prepared with the engine
    "CEngine(kernel)": set(ALWAYS_WRONG),
    "ExternalEngine(executable)": set(ALWAYS_WRONG),
    # no words mean the defaults, and a command line may have any word
    "Experiment.from_nanobragg_args(args)": {"[]", "'a\\0b'"},
    "write_trace(traces)": {"[]"},
    # there may be none of them
    "Background(offsets)": {"[]"},
    "Background(scatterers)": {"[]"},
    "Response(dead_pixels)": {"[]"},
    "Response(hot_pixels)": {"[]"},
    "write_trace(tag)": {"'a\\0b'"},
}

RECORDS = {
    *(
        "Convergence",
        "Geometry",
        "Quirk",
        "ResolvedPlan",
        "SavedRun",
        "SimulationResult",
        "Statistics",
    ),
    *(
        "StepTrace",
        "StreamImage",
        "Trace",
        "PgmImage",
        "AssembledImage",
        "MeasuredImage",
        "SpectralImage",
        "Spots",
    ),
    "Sketch",
    *("Evaluations", "FitResult", "FittedImage", "FittedNumber", "Iteration"),
    *("ReflectionReport", "ReflectionTruth", "ResolutionShell", "UniqueReflections"),
    *("MeasuredImage", "Spots"),
    *("SeriesFrame", "SeriesResult"),
}
"""Plain data that engines and readers fill; whoever makes one himself is not checked."""

EXPERIMENT = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(70, 80, 90)), detector=nb.Detector(n_fast=4, n_slow=3)
)
TABLE = nb.StructureFactors.from_reflections([(0, 0, 1), (1, 0, 0)], [2.0, 3.0], 1.0)

TRUTH = nb.predict_reflections(EXPERIMENT, TABLE)
UNIQUE = nb.StructureFactors.from_reflections([(0, 0, 1), (1, 0, 0)], [2.0, 3.0], space_group="P 1")


SERIES = nb.Series.stills(EXPERIMENT, 1)


PANEL = nb.Panel("a", (100, 0, 0), (0, 0, 1), (0, -1, 0), 4, 3, 0.1)


def _good() -> dict[str, Any]:
    """A right value for each name of an argument that has no default."""
    result = nb.simulate(EXPERIMENT, TABLE)
    image = result.image
    return {
        "experiment": EXPERIMENT,
        "structure_factors": TABLE,
        "engine": nb.CEngine(),
        "quirks": nb.Quirks(),
        "result": result,
        "plan": result.plan,
        "pixel": (1, 1),
        "path": "file",
        "shape": (3, 4),
        "scale": 1.0,
        "image": image,
        "a": image,
        "b": image,
        "region": Region.whole((3, 4)),
        "criteria": Criteria(),
        "header": SmvHeader.from_plan(result.plan),
        "matrix": (0.01, 0, 0, 0, 0.01, 0, 0, 0, 0.01),
        "sources": [nb.Source((1.0, 0.0, 0.0))],
        "traces": nb.trace(EXPERIMENT, TABLE, pixel=(1, 1)),
        "args": "-cell 70 80 90 90 90 90",
        "folder": ".",
        "text": EXPERIMENT.to_json(),
        "data": EXPERIMENT.to_dict(),
        "changes": {"crystal.n_cells": (2, 2, 2)},
        "values": np.ones((3, 4), bool),
        "bits": 0,
        "f": 1.0,
        "indices": [(0, 0, 1)],
        "amplitudes": [1.0],
        "grid": np.ones((1, 1, 1)),
        "hkl_min": (0, 0, 0),
        "default_f": 0.0,
        "reflections": 1,
        "volume_mm3": 1.0,
        "photons_per_pixel": 1.0,
        "abscissae": (0.1, 0.2),
        "frame": 0,
        "model": "file",
        "d_min_angstrom": 3.0,
        "table": np.ones(UNIQUE.unique.index.shape),
        "hkl": [(0, 0, 1)],
        "which": 0,
        "name": "a",
        "origin_mm": (100, 0, 0),
        "fast_axis": (0, 0, 1),
        "slow_axis": (0, -1, 0),
        "n_fast": 4,
        "n_slow": 3,
        "pixel_size_mm": 0.1,
        "shift_mm": (0, 0, 0),
        "matrices": [np.eye(3)],
        "vectors_deg": [(1.0, 2.0, 3.0)],
        "factor": 2.0,
        "rotations": nb.Rotations([np.eye(3)]),
        "spectrum": nb.Spectrum(energies_ev=(12000.0,)),
        "seed": 1,
        "centre_ev": 12000.0,
        "fwhm_ev": 20.0,
        "pulse_fwhm_fs": 2.0,
        "start_deg": 0.0,
        "osc_deg": 1.0,
        "axes": {"beam.exposure_s": (1.0,)},
        "kind": nb.RandomStills(),
        "frames": 1,
        "number": 0,
        "series": SERIES,
        "out": "x_#.tif",
        "truth": TRUTH,
        "parts": [TRUTH],
        "experiments": [EXPERIMENT],
        "images": [image],
    }


OWN: dict[tuple[str, str], Any] = {
    ("Scatterer", "stol_per_angstrom"): (0.1, 0.2),
    ("Scatterer", "values"): (1.0, 2.0),
    ("Scatterer.from_resolution", "resolution_angstrom"): (3.0, 2.0),
    ("Scatterer.from_resolution", "intensity_electrons2"): (1.0, 2.0),
    ("RadialBackground", "two_theta_deg"): (1.0, 2.0),
    ("RadialBackground", "photons_per_pixel"): (1.0, 2.0),
    ("write_scattering_table", "values"): (1.0, 2.0),
    ("Series.from_dict", "data"): SERIES.to_dict(),
    ("Series.from_json", "text"): SERIES.to_json(),
    ("frame_counts", "result"): nb.simulate(EXPERIMENT.replace({"response": nb.Response()}), TABLE),
}
"""Right values of arguments that elsewhere mean something else."""


ARRAYS = {
    ("write_raw", "pixels"): np.float32,
    ("write_pgm", "pixels"): np.uint8,
    ("write_png", "pixels"): np.uint8,
    ("write_smv", "pixels"): np.uint16,
    ("fit", "data"): np.uint16,
}
"""What is an array of the detector's shape, and of which type."""
MADE_BY_OTHERS = {"StructureFactors.from_reader"}
"""What only readers call."""


def _methods(cls: type, instance: object | None) -> Iterator[tuple[str, Any]]:
    for name, value in vars(cls).items():
        label = f"{cls.__name__}.{name}"
        if name.startswith("_") or label in MADE_BY_OTHERS:
            continue
        if isinstance(value, classmethod | staticmethod):
            yield label, getattr(cls, name)
        elif inspect.isfunction(value) and instance is not None:
            yield label, getattr(instance, name)


def _calls() -> Iterator[tuple[str, Callable[..., Any]]]:
    instances: dict[str, object] = {
        "Experiment": EXPERIMENT,
        "Prepared": nb.prepare(EXPERIMENT, TABLE),
        "Mask": nb.Mask(np.ones((3, 4), bool)),
        "Panel": PANEL,
        "Detector": nb.Detector(panels=(PANEL,)),
        "Quirks": nb.Quirks(),
        "UniqueReflections": UNIQUE.unique,
        "Rotations": nb.Rotations([np.eye(3)]),
        "Spectrum": nb.Spectrum(energies_ev=(12000.0,)),
        "SasePulses": nb.SasePulses(fwhm_ev=20.0, pulse_fwhm_fs=2.0),
        "ParameterGrid": nb.ParameterGrid({"beam.exposure_s": (1.0,)}),
        "Series": SERIES,
    }
    for name in nb.__all__:
        public = getattr(nb, name)
        if not callable(public) or (isinstance(public, type) and issubclass(public, BaseException)):
            continue
        if name not in RECORDS:
            yield name, public
        if isinstance(public, type):
            yield from _methods(public, instances.get(name))
    for function in (compare_images, ulp_histogram, find_peaks, compared, read_image):
        yield function.__name__, function


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
def test_wrong_kinds_are_refused_by_errors_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    good, foreign, accepted = _good(), [], {}
    for label, call in _calls():
        parameters = [
            parameter
            for parameter in inspect.signature(call).parameters.values()
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        ]
        for tried in parameters:
            taken = set()
            for shown, value in WRONG.items():
                given = {
                    p.name: np.ones((3, 4), ARRAYS[label, p.name])
                    if (label, p.name) in ARRAYS
                    else OWN.get((label, p.name), good.get(p.name))
                    for p in parameters
                    if p.default is p.empty and p is not tried
                }
                try:
                    call(**given, **{tried.name: value})
                except nb.NanobraggError:
                    pass
                except Exception as error:
                    foreign.append(f"{label}({tried.name}={shown}): {error!r}"[:200])
                else:
                    taken.add(shown)
            if taken & set(ALWAYS_WRONG):
                accepted[f"{label}({tried.name})"] = taken & set(ALWAYS_WRONG)
    assert "\n".join(foreign) == ""
    assert accepted == ACCEPTED


def test_what_engines_accept_is_refused_when_they_are_used() -> None:
    for value in WRONG.values():
        with pytest.raises(nb.NanobraggError):
            nb.prepare(EXPERIMENT, TABLE, backend=nb.CEngine(kernel=value))  # type: ignore[arg-type]
        if value is not None:
            engine = nb.ExternalEngine(executable=value)  # type: ignore[arg-type]
            with pytest.raises(nb.NanobraggError):
                nb.simulate(EXPERIMENT, TABLE, backend=engine)


def test_near_names_are_suggested() -> None:
    for call, hint in (
        (lambda: EXPERIMENT.replace({"crystal.n_cell": (1, 1, 1)}), "crystal.n_cells"),
        (lambda: EXPERIMENT.replace({"n_cells": (1, 1, 1)}), "crystal.n_cells"),
        (lambda: EXPERIMENT.replace({"detectr": nb.Detector()}), "detector"),
        (lambda: nb.Experiment.from_dict({**EXPERIMENT.to_dict(), "beams": {}}), "beam"),
        (lambda: nb.Quirks.parse("none,+phi_carry"), "phi_carryover"),
        (lambda: nb.prepare(EXPERIMENT, TABLE, backend="troch"), "torch"),
    ):
        with pytest.raises(nb.NanobraggError) as error:
            call()
        assert f"(did you mean {hint}?)" in str(error.value)
    with pytest.raises(nb.ConfigError) as error:
        EXPERIMENT.replace({"zzz": 1})
    assert "did you mean" not in str(error.value)
    with pytest.warns(nb.NanobraggWarning, match=r"'-distnce' .*\(did you mean -distance\?\)"):
        nb.Experiment.from_nanobragg_args("-distnce")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nb.Experiment.from_nanobragg_args("-distance 100")
