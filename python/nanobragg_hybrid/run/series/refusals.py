"""What the writers of a series refuse, said before its first frame.

Of a grid every combination is looked at of those fields that a writer can refuse; combinations that
break a rule of the experiment are left to those who render them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import product
from typing import Any, Final, assert_never

from nanobragg_hybrid.base.errors import ConfigError, NanobraggError, UnsupportedError
from nanobragg_hybrid.formats.images.frame import SensorMaterial
from nanobragg_hybrid.formats.series_files import SeriesFiles
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.result import ImageFormat, ImagePixels
from nanobragg_hybrid.model.series import Series
from nanobragg_hybrid.model.series_kinds import ParameterGrid, RotationWedge
from nanobragg_hybrid.run.image_files import check_image, described_result
from nanobragg_hybrid.run.truth import require_separable
from nanobragg_hybrid.run.truth_files import check_frames

_ONE_GEOMETRY: Final = ("beam", "detector", "goniometer", "response")
"""Parts of an experiment that one NXmx file says once for all images."""


def _paths(part: str, names: str) -> frozenset[str]:
    return frozenset({part, *(f"{part}.{name}" for name in names.split())})


_PIXELS: Final = (
    _paths("output", "adc_offset")
    | _paths("response", "pedestal saturation count_type rounding hot_fraction hot_pixels")
    | _paths("response", "dead_fraction dead_pixels dead_counts seed")
    | _paths("detector", "curved panels")
)
"""Fields whose value all formats of numbers may refuse."""

_EDGES: Final = _paths("detector", "pixel_size_mm")
_SIZES: Final = _EDGES | _paths("detector", "n_fast n_slow size_fast_mm size_slow_mm")

_DIRECTIONS: Final = (
    _paths("beam", "direction")
    | _paths("goniometer", "spindle_axis osc_deg phi_steps phi_step_deg")
    | _paths("detector", "convention pivot fast_axis slow_axis normal_axis twotheta_axis pix0_m")
    | _paths("detector", "close_distance_mm rotation_deg twotheta_deg")
)
"""Fields that turn something: formats refuse them that know a distance and a beam centre alone."""

_BEAM: Final = _paths("beam", "direction")

_OF_PRODUCTS: Final = _paths("sampling", "oversample_thick oversample_polar oversample_omega")
"""Fields on which it depends whether the light of a reflection can be told."""


def fields_of_format(chosen: ImageFormat) -> frozenset[str]:
    """The fields of an experiment, and its parts, that a format may refuse."""
    match chosen:
        case "smv-adsc":
            return _PIXELS | _EDGES | _DIRECTIONS
        case "smv":
            return _PIXELS | _EDGES
        case "nxmx":
            return _PIXELS | _BEAM
        case "cbf":
            return _PIXELS
        case "tiff":  # of less than 4 GiB
            return _PIXELS | _SIZES
        case "png":
            return _paths("detector", "panels")
        case other:
            assert_never(other)


def check_files(
    series: Series,
    files: SeriesFiles,
    pixels: ImagePixels,
    quirks: Quirks,
    material: SensorMaterial,
) -> None:
    """Raises what the format refuses of frames (`check_image`); and `ConfigError` where one NXmx
    file is asked for of frames with several geometries."""
    if files.is_one and isinstance(series.kind, ParameterGrid):
        for path, _ in series.kind.axes:
            if path.partition(".")[0] in _ONE_GEOMETRY:
                rule = f"a name with # beside a grid of {path}: one NXmx file has one geometry"
                raise ConfigError("out", files.name, rule)
    for number, (changes, experiment) in enumerate(
        combinations(series, fields_of_format(files.format))
    ):
        try:
            described = described_result(
                experiment, quirks, pixels, files.format, material, with_bad=False
            )
        except ConfigError:
            if number == 0:
                raise
            continue  # the error of its frame
        except UnsupportedError as error:
            raise _with(changes, error) from None
        try:
            check_image(described, experiment, quirks, pixels, files.format)
        except (ConfigError, UnsupportedError) as error:
            raise _with(changes, error) from None


def check_truth(series: Series, quirks: Quirks) -> None:
    """Raises `ConfigError` for a grid of detectors with panels of several shapes, whose truth is no
    one file; and what the files for DIALS, and `predict_reflections`, refuse of the experiment."""
    for changes, experiment in combinations(series, _OF_PRODUCTS):
        try:
            require_separable(experiment, quirks)
        except UnsupportedError as error:
            raise _with(changes, error) from None
    if isinstance(series.kind, ParameterGrid):
        _check_shapes(series, dict(series.kind.axes))
        return
    last = series.frames - 1
    pairs = {(0, min(1, last)), (max(0, last - 1), last)}
    for pair in pairs if isinstance(series.kind, RotationWedge) else {(0, 0)}:
        numbers = dict.fromkeys(pair)
        try:
            check_frames((series.frame(number).experiment for number in numbers), quirks)
        except UnsupportedError as error:
            raise UnsupportedError(f"the true crystals of a series with truth: {error}") from None


def combinations(
    series: Series, fields: Collection[str]
) -> Iterator[tuple[dict[str, Any], Experiment]]:
    """The experiments of a series that differ in these fields, each with their values; all other
    fields of a grid have their first one.  Without a grid there is one experiment."""
    first = series.undrawn(0)
    if not isinstance(series.kind, ParameterGrid):
        yield {}, first
        return
    axes = [axis for axis in series.kind.axes if axis[0] in fields]
    for values in product(*(values for _, values in axes)):
        changes = {path: value for (path, _), value in zip(axes, values, strict=True)}
        try:
            yield changes, first.replace(changes)
        except ConfigError:
            continue


def fields_of_shapes(series: Series, axes: dict[str, tuple[Any, ...]]) -> frozenset[str]:
    """The fields that sizes of panels depend on: a count of pixels that is given decides alone
    (model 2)."""
    detectors = axes.get("detector", (series.experiment.detector,))
    fields = {"detector", "detector.n_fast", "detector.n_slow", "detector.panels"}
    for axis in ("fast", "slow"):
        name = f"detector.n_{axis}"
        if None in axes.get(name, tuple(getattr(each, f"n_{axis}") for each in detectors)):
            fields |= {f"detector.size_{axis}_mm", "detector.pixel_size_mm"}
    return frozenset(fields)


def _check_shapes(series: Series, axes: dict[str, tuple[Any, ...]]) -> None:
    fields = fields_of_shapes(series, axes)
    known: tuple[Any, dict[str, Any]] | None = None
    for changes, experiment in combinations(series, fields):
        shapes = experiment.detector.shapes
        known = known or (shapes, changes)
        if shapes != known[0]:
            both = " and ".join(
                f"{_shapes_text(of)} with {_shown(with_)}"
                for of, with_ in (known, (shapes, changes))
            )
            rule = (
                f"False beside a grid of {', '.join(changes)}: one file of truth has panels of one "
                f"shape, and here are {both}"
            )
            raise ConfigError("truth", True, rule)


def _shapes_text(shapes: tuple[tuple[int, int], ...]) -> str:
    """Sizes of panels, (fast x slow) px, those of the first few."""
    shown = ", ".join(f"{n_fast} x {n_slow} px" for n_slow, n_fast in shapes[:3])
    return f"{shown} and {len(shapes) - 3} more" if len(shapes) > 3 else shown


def _with(changes: dict[str, Any], error: ConfigError | UnsupportedError) -> NanobraggError:
    """The error of a combination of a grid, which it names."""
    if not changes:
        return error
    where = f"(in frames with {_shown(changes)})"
    if isinstance(error, ConfigError):
        return ConfigError(error.field, error.value, f"{error.rule} {where}", error.unit)
    return UnsupportedError(f"{error} {where}")


def _shown(changes: dict[str, Any]) -> str:
    return ", ".join(f"{path} {value!r}" for path, value in changes.items())
