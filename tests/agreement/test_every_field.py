"""Every field of the configuration, and every quirk, changes the image in every engine that has it.

What is forgotten in one place (a field that an engine is not told of, a shape that is taken for
another) gives images that are the same where tests/support/field_values.py says that they differ.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import with_torch  # noqa: F401 (skips this module where there is no torch)
from field_values import BASE, CLOCK_S, FACTORS, FIELDS, QUIRKS, SOURCES, Case
from for_each import for_each

import nanobragg_hybrid as nb
from agreement import compare, relative_l2
from nanobragg_hybrid.engines.registry import _OWN, make_engine
from nanobragg_hybrid.model.validate import Choice, Flag, Optional

pytestmark = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")

ENGINES: dict[str, dict[str, Any]] = {
    "exact": {"backend": nb.CEngine(kernel="exact"), "unrounded": True},
    "fast": {},
    "torch": {"backend": "torch", "unrounded": True},
    "eager": {"backend": nb.TorchEngine(kernel="eager"), "unrounded": True},
}
"""The kernel that defines the image, its faster twin, and PyTorch with its compiled kernels, where
they render a scene, and without; how to ask for them."""

LEAST_EFFECT = 1e-4
"""Relative L2 between the images of two values."""

MOST_DIFFERENCE = 1e-12
"""Relative L2 between torch and the exact kernel before rounding, as for random experiments."""

PICTURES = {"integer": nb.integer_image, "pgm": nb.pgm_image, "noise": nb.noise_image}
CLASSES = {"source": nb.Source} | {
    part.name: type(part.default) for part in dataclasses.fields(BASE) if part.default is not None
}  # without background and response, which make no image: tests/response
PATHS = [
    f"{part}.{field.name}" for part, cls in CLASSES.items() for field in dataclasses.fields(cls)
]
MAY_BE_DARK = {"sampling.roi", "beam.fluence_photons_per_m2"}
"""Fields with a value that leaves no light: an empty region, a fluence of 0."""


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: CLOCK_S)


def experiment_with(path: str, value: Any, case: Case) -> nb.Experiment:
    """The case's experiment with that value of the field."""
    part, name = path.split(".")
    if part == "source":
        changed = dataclasses.replace(SOURCES[0], **{name: value})
        path, value = "beam.sources", (changed, *SOURCES[1:])
    return BASE.replace({**case.given, path: value})


@cache
def rendered(experiment: nb.Experiment, quirks: str, engine: str) -> nb.SimulationResult:
    """By one of the engines."""
    parsed = nb.Quirks.parse(quirks)
    result = nb.simulate(experiment, FACTORS, quirks=parsed, threads=1, **ENGINES[engine])
    if engine in ("exact", "fast"):
        assert (result.provenance["kernel"] == "exact") == (engine == "exact"), result.provenance
    return result


def same_images(images: Sequence[np.ndarray], names: Sequence[str], reason: str) -> list[str]:
    """What is wrong with images that should all be the same bits."""
    return [
        f"{names[0]} and {name} give different images, but: {reason}"
        for image, name in zip(images[1:], names[1:], strict=True)
        if not np.array_equal(image, images[0])
    ]


def different_images(images: Sequence[np.ndarray], names: Sequence[str]) -> list[str]:
    """What is wrong with images of which no two should be the same."""
    return [
        f"{names[i]} and {names[j]} give the same image"
        for i, j in combinations(range(len(images)), 2)
        if images[i].shape == images[j].shape and relative_l2(images[i], images[j]) <= LEAST_EFFECT
    ]


def disagreements(experiment: nb.Experiment, quirks: str) -> list[str]:
    """What is wrong between the engines: kernels give the same bits, others the same numbers."""
    exact, fast = (rendered(experiment, quirks, kernel) for kernel in ("exact", "fast"))
    need = exact.unrounded
    assert need is not None
    rules = {
        "the fast kernel gives other bits": exact.image.tobytes() != fast.image.tobytes(),
        "not every pixel is finite": not np.all(np.isfinite(need)),
    }
    for engine in ENGINES.keys() - {"exact", "fast"}:
        got = rendered(experiment, quirks, engine).unrounded
        assert got is not None
        figures = compare(got, exact.image)
        rules |= {
            f"{engine} is too far off": relative_l2(got, need) > MOST_DIFFERENCE,
            f"{engine} rounds to other pixels": figures.identical < 0.9999 or figures.max_ulp > 1,
        }
    return [what for what, is_broken in rules.items() if is_broken]


def problems(path: str, case: Case) -> list[str]:
    """What is wrong with one case of a field."""
    experiments = [experiment_with(path, value, case) for value in case.values]
    names = [repr(value) for value in case.values]
    found = []
    for engine in ENGINES:
        results = [rendered(experiment, case.quirks, engine) for experiment in experiments]
        images = [result.image for result in results]
        if path not in MAY_BE_DARK and not all(image.any() for image in images):
            found.append(f"{engine}: no light")
        reason = case.same or ("it is about pictures only" if case.pictures else "")
        wrong = same_images(images, names, reason) if reason else different_images(images, names)
        found += [f"{engine}: {what}" for what in wrong]
        for kind in PICTURES if case.pictures else ():
            made = [PICTURES[kind](result).pixels for result in results]
            if kind in case.pictures:
                wrong = different_images(made, names)
            else:
                wrong = same_images(made, names, f"it is about {' and '.join(case.pictures)}")
            found += [f"{engine}, {kind} image: {what}" for what in wrong]
    for experiment, name in zip(experiments, names, strict=True):
        found += [f"{name}: {what}" for what in disagreements(experiment, case.quirks)]
    given = f" with {dict(case.given)}" if case.given else ""
    return [f"{path}{given}, quirks {case.quirks}: {what}" for what in found]


def refusal(experiment: nb.Experiment, quirks: str, engine: str) -> str:
    """The error that there is in place of an image."""
    with pytest.raises(nb.ConfigError) as caught:
        rendered(experiment, quirks, engine)
    return str(caught.value)


# ---- the table --------------------------------------------------------------------------------


def test_every_field_has_a_row() -> None:
    assert [path for path in PATHS if path not in FIELDS] == []
    assert [path for path in FIELDS if path not in PATHS] == []


def test_every_field_has_an_effect_somewhere() -> None:
    assert [path for path, cases in FIELDS.items() if all(case.same for case in cases)] == []


def test_every_field_that_a_quirk_ignores_counts_without_it() -> None:
    ignored = set()
    for path, cases in FIELDS.items():
        for case in cases:
            name = case.same.removeprefix("quirk ")
            if name == case.same:
                continue
            ignored.add(name)
            assert getattr(nb.Quirks.parse(case.quirks), name)
            others = [nb.Quirks.parse(other.quirks) for other in cases if not other.same]
            assert any(not getattr(quirks, name) for quirks in others), (path, name)
    assert ignored == {
        *("source_weights_ignored", "pivot_flag_ignored", "pix0_ignored", "near_point_ignored")
    }


def choices(path: str) -> tuple[Any, ...]:
    """The values that a field chooses from; empty for numbers."""
    part, name = path.split(".")
    (field,) = (field for field in dataclasses.fields(CLASSES[part]) if field.name == name)
    rule = field.metadata["rule"]
    rule = rule.rule if isinstance(rule, Optional) else rule
    if isinstance(rule, Flag):
        return False, True
    return rule.words if isinstance(rule, Choice) else ()


def test_every_choice_is_different_from_every_other() -> None:
    """All of them stand in one case, whose images are looked at below."""
    chosen = {path: choices(path) for path in PATHS if choices(path)}
    for path, words in chosen.items():
        cases = [set(case.values) for case in FIELDS.get(path, ()) if not case.same]
        tried = max(cases, key=len, default=set())
        assert [(path, word) for word in words if word not in tried] == []
    assert {path for path, words in chosen.items() if words != (False, True)} == {
        *("beam.divergence_shape", "crystal.shape", "detector.convention", "detector.pivot")
    }


def test_every_engine_that_computes_is_here() -> None:
    """ "reference" is another program's."""
    made = [make_engine(asked.get("backend", "c")).name for asked in ENGINES.values()]
    assert {*made, "reference"} == set(_OWN)


# ---- the images -------------------------------------------------------------------------------


@for_each("path", FIELDS)
def test_every_value_has_its_image(path: str) -> None:
    """Its own, or that of the other values where the table says why."""
    found = [what for case in FIELDS[path] for what in problems(path, case)]
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def test_every_quirk_has_a_row() -> None:
    assert list(QUIRKS) == [quirk.name for quirk in nb.LEDGER]


@for_each("name", QUIRKS)
def test_every_quirk_has_two_images(name: str) -> None:
    """Or one, where the table says why; test_every_quirk.py does that by the command, for all."""
    case = QUIRKS[name]
    experiment = BASE.replace(case.given)
    positions = ("nanobragg", f"nanobragg,-{name}")
    found = []
    if case.refused:
        need = f"{case.refused}: got "
        said = {refusal(experiment, positions[1], engine) for engine in ENGINES}
        assert len(said) == 1, said
        assert said.pop().startswith(need)
        assert disagreements(experiment, positions[0]) == []
        return
    for engine in ENGINES:
        images = [rendered(experiment, quirks, engine).image for quirks in positions]
        if case.same:
            wrong = same_images(images, positions, case.same)
        else:
            wrong = different_images(images, positions)
        found += [f"{engine}: {what}" for what in wrong]
    for quirks in positions:
        found += [f"{quirks}: {what}" for what in disagreements(experiment, quirks)]
    if found:
        pytest.fail("\n".join(found), pytrace=False)


# ---- what these tests see ---------------------------------------------------------------------


def test_a_wrong_row_is_seen() -> None:
    """In each engine, by the names of the values."""
    both = Case((0.0, 7.0), {"crystal.shape": "gauss"})
    assert problems("detector.twotheta_deg", both) == []
    assert len(problems("detector.twotheta_deg", both._replace(same="of a reason"))) == len(ENGINES)
    found = problems("crystal.misset_seed", Case((1, 2)))
    assert [text.split(": ", 1)[1] for text in found] == [
        f"{engine}: 1 and 2 give the same image" for engine in ENGINES
    ]
    dark = problems("detector.twotheta_deg", Case((0.0, 7.0), {"beam.fluence_photons_per_m2": 0.0}))
    assert sum("no light" in text for text in dark) == len(ENGINES)
    wrong = problems("output.pgm_scale", Case((1.0, 2.0), pictures=("integer",)))
    assert len(wrong) == 2 * len(ENGINES)
    assert "exact, integer image: 1.0 and 2.0 give the same image" in wrong[0]
    assert "exact, pgm image: 1.0 and 2.0 give different images" in wrong[1]
