"""Images for other programs: a result, or arrays and their experiment, in the formats they read."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, assert_never, cast

from nanobragg_hybrid.base.arrays import as_ndarray, is_ndarray, refuse_masked
from nanobragg_hybrid.base.atomic import Destination
from nanobragg_hybrid.base.errors import (
    ConfigError,
    Description,
    NanobraggWarning,
    UnsupportedError,
)
from nanobragg_hybrid.formats.images.frame import (
    SENSOR_MATERIALS,
    Counting,
    Frame,
    SensorMaterial,
    int32_pixels,
    uint16_pixels,
)
from nanobragg_hybrid.formats.images.names import checked_format, without_number
from nanobragg_hybrid.formats.smv import SmvHeader, write_smv
from nanobragg_hybrid.model.crystal import Crystal
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks, quirks_or_all
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
from nanobragg_hybrid.model.response import COUNT_LIMITS
from nanobragg_hybrid.model.result import (
    IMAGE_PIXELS,
    ImageFormat,
    ImagePixels,
    SimulationResult,
)
from nanobragg_hybrid.model.validate import FINITE, POSITIVE, Optional, normalised, require_class
from nanobragg_hybrid.run.experiment_files import content_and_plans
from nanobragg_hybrid.run.pictures import integer_images, noise_images, pgm_image
from nanobragg_hybrid.run.read_out import Chain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FLOATS: Final[tuple[ImageFormat, ...]] = ("nxmx", "tiff", "png")
"""Formats that hold photons as they are computed."""
_MOST_UINT16: Final = 65535.0


def write_image(
    path: Destination,
    source: SimulationResult | NDArray[Any] | Sequence[NDArray[Any]],
    *,
    experiment: Experiment | None = None,
    format: ImageFormat | None = None,  # noqa: A002 (what everybody calls it)
    pixels: ImagePixels | None = None,
    pedestal: float | None = None,
    gain: float | None = None,
    saturation: float | None = None,
    sensor_material: SensorMaterial = "Si",
    quirks: Quirks | None = None,
) -> None:
    """Writes an image for other programs, with the geometry of its experiment.

    source: a result; or an array (slow, fast), of several panels one of each, with the `experiment`
    that it is an image of, and the `quirks` that it was rendered with (all on if None).

    format: None: by the name's end; one that says another format is an error.
    "smv" (``.img``, ``.smv``): nanoBragg's own header, the bytes of the command.
    "smv-adsc": SMV as detectors of ADSC write it: 16 bits, one panel across the beam.
    "cbf" (``.cbf``): integers of 32 bits by byte offsets; a miniCBF header for one panel across the
    beam, imgCIF tables for every other geometry.
    "nxmx" (``.h5``, ``.hdf5``, ``.nxs``): NeXus, integers or floats; needs h5py and hdf5plugin.
    "tiff" (``.tif``, ``.tiff``): integers or floats, a page for each panel, no geometry.
    "png" (``.png``): the picture of `pgm_image`, for people; needs Pillow.

    pixels: of a result.  "counts" of its response, "noise" (`noise_images`), "integers"
    (`integer_images`), "photons" (floats: nxmx, tiff, png).  None: counts if there is a response,
    else photons.

    pedestal, gain, saturation: counts of a pixel without photons, counts per photon, > 0, and the
    count from which on pixels are overloaded.  None: what is known of `pixels`; of an array, the
    experiment's response, without one 0, 1 and what the type holds.  SMV keeps the pedestal, which
    smv-adsc states; cbf and nxmx are written without it; tiff as it is.  Pixels that tell nothing
    (masked, not rendered, dead, hot) are -2 in cbf and in the pixel_mask of nxmx.
    sensor_material: "Si", "CdTe" or "GaAs", of a sensor with a thickness, which cbf and nxmx state.

    The bytes depend on these arguments alone: no clock, no host, dates of 1970.

    Warns (`NanobraggWarning`) of what a format has no place for, of a classic SMV header that
    other programs misread, and where more than half of the pixels are saturated.  Raises
    `ConfigError` for an argument, for a name that says another format or none, and for pixels that
    the format does not hold; `UnsupportedError` for a geometry that it cannot say and for a missing
    library; `FileAccessError`.
    """
    chosen = checked_format(path, format)
    taken = _taken(source, experiment, pixels, chosen, quirks)
    counting = _counting(taken.counting, pedestal, gain, saturation)
    warn_of(path, _write(path, taken, chosen, counting, checked_material(sensor_material)), 2)


def write_result(
    path: Destination,
    result: SimulationResult,
    chosen: ImageFormat,
    pixels: ImagePixels | None,
    material: SensorMaterial,
) -> list[str]:
    """Writes a result as `write_image` does, and returns what to warn of."""
    taken = _of_result(result, pixels, chosen)
    return _write(path, taken, chosen, taken.counting, material)


def _write(
    path: Destination,
    taken: _Taken,
    chosen: ImageFormat,
    counting: Counting,
    material: SensorMaterial,
) -> list[str]:
    if chosen == "png":
        _write_picture(path, taken)
        return []
    frame, plans = described(taken.experiment, taken.quirks, counting, material)
    _check_shapes(frame, taken.images)
    frame = frame._replace(pixels=taken.images)
    notes = write_frame(path, frame, chosen, taken.experiment, plans, taken.quirks)
    return [*notes, *_saturated(taken.images, counting, frame.bad)]


def images_of_result(
    result: SimulationResult,
    pixels: ImagePixels,
    chosen: ImageFormat,
    bad: Sequence[NDArray[np.bool_] | None],
) -> tuple[tuple[NDArray[Any], ...], list[str]]:
    """What an image file would have of a result, one array of each panel, and what to warn of.

    bad: as `Frame` has it.
    """
    taken = _of_result(result, pixels, chosen)
    return taken.images, _saturated(taken.images, taken.counting, bad)


def _saturated(
    images: Sequence[NDArray[Any]],
    counting: Counting,
    bad: Sequence[NDArray[np.bool_] | None],
) -> list[str]:
    """What to warn of where most pixels that tell anything have the most that they can hold."""
    import numpy as np

    limit = counting.saturation
    if limit is None:
        return []
    full = seen = 0
    for image, of_panel in zip(images, bad, strict=True):
        told = image if of_panel is None else image[~of_panel]
        # Whole numbers may have been rounded down.
        least = math.floor(limit) if image.dtype.kind in "iu" else limit
        full += int(np.count_nonzero(told >= least))
        seen += told.size
    if 2 * full <= seen:
        return []
    what = f"more than half of the pixels are saturated, at {limit:g} counts"
    return [f"{what}: too many photons of beam, crystal or background"]


def save(result: SimulationResult, path: Destination, **arguments: Any) -> None:
    """`SimulationResult.save`."""
    require_class("result", result, SimulationResult)
    write_image(path, result, **arguments)


def described(
    experiment: Experiment,
    quirks: Quirks,
    counting: Counting,
    material: SensorMaterial,
    *,
    with_bad: bool = True,
) -> tuple[Frame, list[ResolvedPlan]]:
    """The frame of an experiment without its pixels, and the plan of each panel.

    with_bad: with the pixels that tell nothing, which takes as long as drawing which are broken.

    Raises `UnsupportedError` for a curved detector, and what the engine raises.
    """
    beam = experiment.beam
    plain = experiment.replace(  # the crystal does not matter
        {"crystal": Crystal(cell_angstrom=(100.0, 100.0, 100.0), n_cells=(1, 1, 1))}
    )
    content, plans = content_and_plans(plain, quirks)
    frame = Frame(
        content=content,
        pixels=(),
        bad=tuple(
            _bad(experiment.of_panel(number, quirks), plan) if with_bad else None
            for number, plan in enumerate(plans)
        ),
        counting=counting,
        exposure_s=beam.exposure_s if beam.exposure_s > 0.0 else 1.0,
        flux=max(0.0, beam.flux_photons_per_s),
        material=material,
    )
    return frame, plans


def _bad(experiment: Experiment, plan: ResolvedPlan) -> NDArray[np.bool_] | None:
    """Pixels of a panel that tell nothing: not rendered, dead or hot; None: all tell something."""
    chain = Chain.of(experiment, plan)
    dark = None if chain.is_active is None else ~chain.is_active
    if chain.bad is None:
        return dark
    broken: NDArray[np.bool_] = chain.bad[0] | chain.bad[1]
    return broken if dark is None else dark | broken


def described_series(
    experiment: Experiment,
    quirks: Quirks,
    pedestal: object,
    gain: object,
    saturation: object,
    material: object,
) -> Frame:
    """The frame of the first image of a series without its pixels.  Raises as `write_image`."""
    known = counting_of(experiment)
    counting = _counting(known, pedestal, gain, saturation)
    return described(experiment, quirks, counting, checked_material(material))[0]


def checked_images(frame: Frame, source: object) -> tuple[NDArray[Any], ...]:
    """The arrays of an image.  Raises `ConfigError` for other shapes than those of the panels."""
    images = _counts(source) if isinstance(source, SimulationResult) else _arrays(source)
    _check_shapes(frame, images)
    return images


def warn_of(path: Destination, notes: Sequence[str], stacklevel: int) -> None:
    """Warns of each note; stacklevel: as of `warnings.warn`, counted from the caller."""
    name = os.fspath(path) if isinstance(path, str | os.PathLike) else "the file"
    for note in notes:
        warnings.warn(f"{name}: {note}", NanobraggWarning, stacklevel=stacklevel + 1)


def check_geometry(frame: Frame, chosen: ImageFormat) -> None:
    """Raises `UnsupportedError` for what a format cannot say, before there are pixels."""
    if chosen == "smv-adsc":
        from nanobragg_hybrid.formats.images.smv_adsc import check_smv_adsc

        check_smv_adsc(frame)
    elif chosen == "nxmx":
        from nanobragg_hybrid.formats.images.nxmx import check_nxmx

        check_nxmx(frame)
    elif chosen == "smv":
        _require_one_panel(chosen, len(frame.content.panels))


def _require_one_panel(chosen: ImageFormat, count: int) -> None:
    if count != 1:
        raise UnsupportedError(
            f"{chosen} has one panel, the detector has {count}: write each of result.panels, or "
            "cbf or nxmx"
        )


def described_result(
    experiment: Experiment,
    quirks: Quirks,
    pixels: ImagePixels,
    chosen: ImageFormat,
    material: SensorMaterial,
    *,
    with_bad: bool = True,
) -> tuple[Frame, list[ResolvedPlan]] | None:
    """The frame of the results of an experiment without its pixels, and the plan of each panel;
    None for a picture, which says nothing.  with_bad, and errors, as of `described`."""
    if chosen == "png":
        return None
    counting = Counting()
    if pixels == "counts":
        counting = counting_of(experiment)
    else:
        experiment = without_response(experiment)
        if pixels != "photons":  # the scale of integers follows from their light
            counting = Counting(experiment.output.adc_offset, 1.0, _MOST_UINT16)
    return described(experiment, quirks, counting, material, with_bad=with_bad)


def check_image(
    frame_and_plans: tuple[Frame, list[ResolvedPlan]] | None,
    experiment: Experiment,
    quirks: Quirks,
    pixels: ImagePixels,
    chosen: ImageFormat,
) -> None:
    """Raises what a format refuses of the results of an experiment, whatever light there is in
    them, before there are any: geometry, panels, kind of pixels, pedestal, size, missing libraries.

    frame_and_plans: `described_result`.  Raises `ConfigError`, `UnsupportedError`.
    """
    if frame_and_plans is None:
        from nanobragg_hybrid.formats.png import require_pillow

        _require_one_panel(chosen, experiment.detector.panel_count)
        require_pillow()
        return
    frame, plans = frame_and_plans
    check_geometry(frame, chosen)
    if chosen == "smv":
        SmvHeader.from_plan(plans[0], experiment)
    samples = tuple(
        _sample(experiment.of_panel(number, quirks), plan, pixels)
        for number, plan in enumerate(plans)
    )
    try:
        _check_pixels(frame._replace(pixels=samples), chosen)
    except ConfigError as error:
        if error.field != "pedestal":
            raise
        name = "response.pedestal" if pixels == "counts" else "output.adc_offset"
        raise ConfigError(name, error.value, error.rule, error.unit) from None


def _sample(experiment: Experiment, plan: ResolvedPlan, pixels: ImagePixels) -> NDArray[Any]:
    """Pixels of a panel as any image of it may have them, in its type."""
    import numpy as np

    if pixels == "counts":
        if experiment.response is None:
            raise _no_counts()
        return Chain.of(experiment, plan).sure_counts()
    return np.zeros((1, 1), "float32" if pixels == "photons" else "uint16")


def _check_pixels(frame: Frame, chosen: ImageFormat) -> None:
    match chosen:
        case "smv" | "smv-adsc":
            uint16_pixels(frame, "SMV")
        case "cbf":
            int32_pixels(frame, "CBF")
        case "nxmx":
            from nanobragg_hybrid.formats.images.nxmx import stored_pixels

            stored_pixels(frame, frame.pixels)
        case "tiff":
            from nanobragg_hybrid.formats.images.tiff import check_tiff

            panels = frame.content.panels
            check_tiff(
                [
                    (image.dtype, (panel.n_slow, panel.n_fast))
                    for panel, image in zip(panels, frame.pixels, strict=True)
                ]
            )
        case "png":
            raise ConfigError("format", chosen, "a format of numbers")
        case other:
            assert_never(other)


def write_frame(
    path: Destination,
    frame: Frame,
    chosen: ImageFormat,
    experiment: Experiment,
    plans: Sequence[ResolvedPlan],
    quirks: Quirks,
) -> list[str]:
    """Writes the pixels of a frame, and returns what to warn of.  Raises as `write_image` does."""
    check_geometry(frame, chosen)
    notes = list(frame.content.notes)
    turns = frame.content.scan is not None
    match chosen:
        case "smv":
            header = SmvHeader.from_plan(plans[0], experiment)
            write_smv(path, uint16_pixels(frame, "SMV"), header, quirks)
            misread = header.misread(quirks)
            number = without_number(path, turns)
            return [*([] if misread is None else [misread]), *number]
        case "smv-adsc":
            from nanobragg_hybrid.formats.images.smv_adsc import write_smv_adsc

            write_smv_adsc(path, frame)
            return [*notes, *without_number(path, turns)]
        case "cbf":
            from nanobragg_hybrid.formats.images.cbf import write_cbf

            return [*notes, *write_cbf(path, frame), *without_number(path, turns)]
        case "nxmx":
            from nanobragg_hybrid.formats.images.nxmx import write_nxmx

            return [*notes, *write_nxmx(path, frame)]
        case "tiff":
            from nanobragg_hybrid.formats.images.tiff import write_tiff

            write_tiff(path, frame.pixels)
            return []
        case "png":
            raise ConfigError("format", chosen, "a format of numbers")
        case other:
            assert_never(other)


# ---- what a source is


class _Taken(NamedTuple):
    """The images of a source, its experiment, and what its numbers mean."""

    images: tuple[NDArray[Any], ...]
    experiment: Experiment
    quirks: Quirks
    counting: Counting
    result: SimulationResult | None = None


def _taken(
    source: object, experiment: object, pixels: object, chosen: ImageFormat, quirks: object
) -> _Taken:
    if pixels is not None and pixels not in IMAGE_PIXELS:
        raise ConfigError("pixels", pixels, f"one of {', '.join(IMAGE_PIXELS)}, or None")
    if isinstance(source, SimulationResult):
        for name, value in (("experiment", experiment), ("quirks", quirks)):
            if value is not None:
                raise ConfigError(name, Description("one"), "None: a result has its own")
        return _of_result(source, pixels, chosen)
    if pixels is not None:
        raise ConfigError("pixels", pixels, "None: an array is what it is")
    images = _arrays(source)
    if chosen == "png":
        raise UnsupportedError("png: an array has no picture; write_png takes levels")
    if experiment is None:
        raise ConfigError("experiment", None, "an experiment, whose image the array is")
    require_class("experiment", experiment, Experiment)
    assert isinstance(experiment, Experiment)
    if quirks is not None:
        require_class("quirks", quirks, Quirks)
    counting = counting_of(experiment)
    kind = images[0].dtype.name
    if counting.saturation is None and kind in COUNT_LIMITS:
        limits = COUNT_LIMITS[kind]
        counting = counting._replace(saturation=None if limits is None else float(limits[1]))
    used = quirks_or_all(quirks) if quirks is None or isinstance(quirks, Quirks) else Quirks()
    return _Taken(images, experiment, used, counting)


def _of_result(result: SimulationResult, pixels: object, chosen: ImageFormat) -> _Taken:
    experiment = result.experiment
    response, output = experiment.response, experiment.output
    kind = pixels
    if kind is None and chosen != "png" and response is not None:
        kind = "counts"
    elif kind is None and chosen in _FLOATS:
        kind = "photons"
    if chosen == "png" and kind != "photons":
        raise ConfigError("pixels", kind, "None or 'photons' for a picture")
    if kind is None:
        rule = (
            "'noise' or 'integers', or an experiment with a response: "
            f"{chosen} holds whole numbers, the image is photons"
        )
        raise ConfigError("pixels", None, rule)
    if kind == "photons":
        images: tuple[Any, ...] = () if chosen == "png" else result.images
        counting = Counting()
    elif kind == "counts":
        images, counting = _counts(result), counting_of(experiment)
    elif kind == "noise":
        images = tuple(image.pixels for image in noise_images(result))
        counting = Counting(output.adc_offset, 1.0, _MOST_UINT16)
    else:
        made = integer_images(result)
        images = tuple(image.pixels for image in made)
        counting = Counting(output.adc_offset, made[0].scale_used, _MOST_UINT16)
    if kind != "counts":
        experiment = without_response(experiment)
    return _Taken(images, experiment, result.quirks, counting, result)


def without_response(experiment: Experiment) -> Experiment:
    """The experiment of an image that no response has made: no pixel of it is dead."""
    return experiment.replace({"response": None}) if experiment.response else experiment


def counting_of(experiment: Experiment) -> Counting:
    """What counts of an experiment mean."""
    response = experiment.response
    if response is None:
        return Counting()
    return Counting(response.pedestal, response.gain, _finite(response.most_counts))


def checked_material(given: object) -> SensorMaterial:
    """A sensor's material; `ConfigError` for another one."""
    for known in SENSOR_MATERIALS:
        if known == given:
            return known
    raise ConfigError("sensor_material", given, f"one of {', '.join(SENSOR_MATERIALS)}")


def _counts(result: SimulationResult) -> tuple[NDArray[Any], ...]:
    """What the detector reads out, of each panel."""
    counts = [panel.counts for panel in result.panels]
    whole = tuple(each for each in counts if each is not None)
    if len(whole) < len(counts):
        raise _no_counts()
    return whole


def _no_counts() -> ConfigError:
    rule = "'noise', 'integers' or 'photons': the experiment has no response"
    return ConfigError("pixels", "counts", rule)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _arrays(source: object) -> tuple[NDArray[Any], ...]:
    several = source if isinstance(source, list | tuple) else [source]
    rule = "a result, an array (slow, fast), or one of each panel"
    refuse_masked("source", source if is_ndarray(source) else several)
    images = []
    for image in several:
        if not is_ndarray(image):
            raise ConfigError("source", source, rule)
        array: NDArray[Any] = as_ndarray(cast(Any, image))
        if array.ndim != 2 or array.size == 0 or array.dtype.kind not in "iuf":
            raise ConfigError("source", Description(f"{array.dtype} {array.shape}"), rule)
        images.append(array.astype(array.dtype.newbyteorder("="), copy=False))
    if not images:
        raise ConfigError("source", source, rule)
    if len({image.dtype for image in images}) > 1:
        raise ConfigError("source", Description("panels of several types"), "one type")
    return tuple(images)


def _counting(known: Counting, pedestal: object, gain: object, saturation: object) -> Counting:
    given = {
        "pedestal": normalised("pedestal", pedestal, Optional(FINITE), "counts"),
        "gain": normalised("gain", gain, Optional(POSITIVE), "counts/photon"),
        "saturation": normalised("saturation", saturation, Optional(FINITE), "counts"),
    }
    used = known._replace(**{name: value for name, value in given.items() if value is not None})
    if used.saturation is not None and not used.saturation > used.pedestal:
        rule = f"more than the pedestal, {used.pedestal:g} counts"
        raise ConfigError("saturation", used.saturation, rule, "counts")
    return used


def _check_shapes(frame: Frame, images: Sequence[NDArray[Any]]) -> None:
    wanted = [(panel.n_slow, panel.n_fast) for panel in frame.content.panels]
    found = [image.shape for image in images]
    if found != wanted:
        shown, rule = (" and ".join(map(str, shapes)) for shapes in (found[:3], wanted[:3]))
        raise ConfigError(
            "source",
            Description(f"{len(found)} images: {shown}"),
            f"{len(wanted)} of the shapes of the panels (slow, fast): {rule}",
        )


def _write_picture(path: Destination, taken: _Taken) -> None:
    from nanobragg_hybrid.formats.png import write_png

    result = taken.result
    if result is None or len(result.panels) > 1:
        raise UnsupportedError("png: a picture of several panels is that of nb.assembled_image")
    write_png(path, pgm_image(result).pixels)
