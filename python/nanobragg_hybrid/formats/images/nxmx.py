"""NXmx files (NeXus, HDF5): one image, or a series as a master file over files of data.

Pixels are compressed by bitshuffle and LZ4, an image in a chunk.  Panels are modules of one
detector; several are stacked along slow, whatever their places, which their module_offset says.
Files depend on nothing but what they hold: no clock, no host, no order of writing.  Needs h5py and
hdf5plugin.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nanobragg_hybrid.base.atomic import Destination, atomic_write
from nanobragg_hybrid.base.errors import FileFormatError, UnsupportedError, how_to_install
from nanobragg_hybrid.formats.geometry.frames import from_simulator
from nanobragg_hybrid.formats.geometry.nxmx import NO_SENSOR_UM
from nanobragg_hybrid.formats.geometry.vectors import Vector, length, plus, unit
from nanobragg_hybrid.formats.images.frame import (
    EPOCH,
    Frame,
    beam_centre_px,
    distance_mm,
    int32_counts,
    is_direction,
    refuse,
    saturation_counts,
    sensor_um,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GAP: Final = 1
DEAD: Final = 2
"""Bits of pixel_mask: there is no pixel; it tells nothing."""

DATA: Final = "data"
_DATA_PATH: Final = "/entry/data/data"
_IDENTITY: Final = "nanobragg_hybrid_series"
_WHAT: Final = "an NXmx file"
_SENSORS: Final = {"Si": "Si", "CdTe": "CdTe", "GaAs": "GaAs"}


class DataFile(NamedTuple):
    """A file of data of a series: its name beside the master file, and how many images it has."""

    name: str
    images: int


def check_nxmx(frame: Frame) -> None:
    """Raises `UnsupportedError` for a geometry that the format cannot say, or a missing library."""
    _libraries()
    if not is_direction(frame.travel, (1.0, 0.0, 0.0)):
        raise refuse(
            _WHAT,
            f"the beam's direction is {frame.travel}, not along the laboratory's axis",
            "turn the experiment so that it is, or write an .expt beside tiff",
        )


def stacked(panels: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The panels one below the other; 0 where a panel is narrower than the widest."""
    import numpy as np

    if len(panels) == 1:
        return np.ascontiguousarray(panels[0])
    whole = np.zeros(_whole_shape([image.shape for image in panels]), panels[0].dtype)
    first = 0
    for image in panels:
        whole[first : first + image.shape[0], : image.shape[1]] = image
        first += image.shape[0]
    return whole


def stored_pixels(frame: Frame, pixels: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """An image as the file has it: integers of 32 bits without the pedestal, or floats.

    Raises `ConfigError` for pixels that do not fit.
    """
    import numpy as np

    made = []
    for image in pixels:
        if image.dtype.kind == "f":
            pedestal = image.dtype.type(frame.counting.pedestal)
            made.append(image if pedestal == 0.0 else image - pedestal)
        else:
            made.append(int32_counts(image, frame.counting, "NXmx"))
    return np.ascontiguousarray(stacked(made))


def write_nxmx(path: Destination, frame: Frame) -> list[str]:
    """Writes one image.  What to warn of is returned.

    Raises `ConfigError` for pixels that do not fit, `UnsupportedError` as `check_nxmx` does,
    `FileAccessError`.
    """
    check_nxmx(frame)
    pixels = stored_pixels(frame, frame.pixels)
    memory = io.BytesIO()
    with _new(memory) as file:
        _describe(file, frame, 1, pixels.dtype)
        _data_set(file["entry/data"], DATA, (1, *pixels.shape), pixels.dtype)[0] = pixels
    with atomic_write(path) as out:
        out.write(memory.getbuffer())
    return notes_of(frame)


def write_master(
    path: Destination, frame: Frame, data_files: Sequence[DataFile], dtype: np.dtype[Any]
) -> None:
    """Writes the file of a series that says everything and has its images in other files.

    Raises `UnsupportedError` as `check_nxmx` does, `FileAccessError`.
    """
    h5py, _ = _libraries()
    images = sum(data_file.images for data_file in data_files)
    shape = _whole_shape([(panel.n_slow, panel.n_fast) for panel in frame.content.panels])
    whole = h5py.h5s.create_simple((images, *shape))
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_obj_track_times(False)  # which h5py's own virtual layouts cannot be told
    layout.set_fill_time(h5py.h5d.FILL_TIME_IFSET)
    first = 0
    for name, count in data_files:
        part = h5py.h5s.create_simple((images, *shape))
        part.select_hyperslab((first, 0, 0), (count, *shape))
        source = h5py.h5s.create_simple((count, *shape))
        layout.set_virtual(part, name.encode("utf-8"), _DATA_PATH.encode("ascii"), source)
        first += count
    memory = io.BytesIO()
    with _new(memory) as file:
        _describe(file, frame, images, dtype)
        kind = h5py.h5t.py_create(dtype, logical=True)
        h5py.h5d.create(file["entry/data"].id, DATA.encode("ascii"), kind, whole, layout)
    with atomic_write(path) as out:
        out.write(memory.getbuffer())


def write_data_file(
    path: Destination,
    chunks: Sequence[bytes],
    shape: tuple[int, int],
    dtype: np.dtype[Any],
    identity: str,
) -> None:
    """Writes images that are compressed already.  identity: what `has_data_file` asks for."""
    memory = io.BytesIO()
    with _new(memory) as file:
        file.attrs["default"] = _ascii("entry")
        entry = _group(file, "entry", "NXentry", default=DATA)
        data = _group(entry, DATA, "NXdata", signal=DATA)
        entry.attrs[_IDENTITY] = _ascii(identity)
        dataset = _data_set(data, DATA, (len(chunks), *shape), dtype)
        for number, chunk in enumerate(chunks):
            dataset.id.write_direct_chunk((number, 0, 0), chunk)
    with atomic_write(path) as out:
        out.write(memory.getbuffer())


def has_data_file(path: str | os.PathLike[str], images: int, identity: str) -> bool:
    """Whether there is such a file of so many images; False: there is none.

    Raises `FileFormatError` for one of another series.
    """
    h5py, _ = _libraries()
    if not os.path.lexists(path):
        return False
    try:
        with h5py.File(path, "r") as file:
            found = file["entry"].attrs.get(_IDENTITY)
            count = len(file[_DATA_PATH])
    except (OSError, KeyError, TypeError, ValueError, RuntimeError):
        found, count = None, 0
    if isinstance(found, bytes):
        found = found.decode("ascii", "replace")
    if found != identity or count != images:
        raise FileFormatError(
            path, 0, "is no data file of this series: remove it, or give the series another name"
        )
    return True


def compressed_chunk(pixels: NDArray[Any]) -> bytes:
    """An image as it stands in a data set."""
    memory = io.BytesIO()
    with _new(memory) as file:
        dataset = _data_set(file, DATA, (1, *pixels.shape), pixels.dtype)
        dataset[0] = pixels
        _, chunk = dataset.id.read_direct_chunk((0, 0, 0))
    return bytes(chunk)


def notes_of(frame: Frame) -> list[str]:
    """What of an image the format has no place for."""
    notes = []
    if frame.counting.gain != 1.0:
        notes.append(
            f"programs that read NXmx take counts for photons: the gain of {frame.counting.gain:g} "
            "stands in detector/gain_setting only"
        )
    if frame.content.polarization is not None and frame.content.polarization[1] != 0.0:
        notes.append("the polarization is not written: programs that read NXmx assume their own")
    if len({sensor_um(panel) for panel in frame.content.panels}) > 1:
        notes.append("NXmx has one sensor for all panels: that of the first is written")
    widths = {panel.n_fast for panel in frame.content.panels}
    if len(widths) > 1 and _has_bad_pixels(frame):
        notes.append(
            f"DIALS reads no mask of panels of different widths ({min(widths)} to {max(widths)} "
            "pixels), and the bad pixels have to stand in one"
        )
    return notes


# ---- what is in a file


def _libraries() -> tuple[Any, Any]:
    try:
        import h5py
        import hdf5plugin
    except ImportError:
        raise UnsupportedError(
            f"writing NXmx needs h5py and hdf5plugin: {how_to_install('mx')}"
        ) from None
    return h5py, hdf5plugin


def _new(memory: io.BytesIO) -> Any:
    h5py, _ = _libraries()
    file = h5py.File(memory, "w", libver=("earliest", "v110"))
    file.attrs["NX_class"] = _ascii("NXroot")
    return file


def _ascii(text: str) -> Any:
    import numpy as np

    return np.bytes_(text.encode("ascii", "replace"))


def _group(parent: Any, name: str, kind: str, **attributes: str) -> Any:
    group = parent.create_group(name)
    for key, value in {"NX_class": kind, **attributes}.items():
        group.attrs[key] = _ascii(value)
    return group


def _set(group: Any, name: str, value: Any, **attributes: Any) -> Any:
    """A data set of a number, an array or text, with attributes."""
    dataset = group.create_dataset(
        name, data=_ascii(value) if isinstance(value, str) else value, track_times=False
    )
    for key, attribute in attributes.items():
        dataset.attrs[key] = _ascii(attribute) if isinstance(attribute, str) else attribute
    return dataset


def _data_set(group: Any, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    _, hdf5plugin = _libraries()
    return group.create_dataset(
        name,
        shape,
        dtype,
        chunks=(1, *shape[1:]),
        track_times=False,
        fillvalue=0,
        **hdf5plugin.Bitshuffle(cname="lz4"),
    )


def _whole_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, int]:
    return sum(shape[0] for shape in shapes), max(shape[1] for shape in shapes)


def _describe(file: Any, frame: Frame, images: int, dtype: np.dtype[Any]) -> None:
    """Everything but the pixels."""
    file.attrs["default"] = _ascii("entry")
    entry = _group(file, "entry", "NXentry", default=DATA, version="1.0")
    _set(entry, "definition", "NXmx", version="1.0")
    _set(entry, "start_time", f"{EPOCH}Z")
    _set(entry, "end_time", _time(images * frame.exposure_s))
    _set(entry, "end_time_estimated", _time(images * frame.exposure_s))
    _group(entry, DATA, "NXdata", signal=DATA)
    source = _group(entry, "source", "NXsource")
    _set(source, "name", "simulated", short_name="simulated")
    _set(source, "probe", "x-ray")
    instrument = _group(entry, "instrument", "NXinstrument")
    _set(instrument, "name", "nanobragg-hybrid", short_name="simulated")
    beam = _group(instrument, "beam", "NXbeam")
    _set(beam, "incident_wavelength", frame.wavelength_angstrom, units="angstrom")
    _set(beam, "total_flux", frame.flux, units="Hz")
    _sample(entry, frame, images)
    _detector(instrument, frame, dtype)


def _time(seconds: float) -> str:
    """So long after the date that every file has."""
    import datetime as dt

    try:
        end = dt.datetime.fromisoformat(EPOCH) + dt.timedelta(seconds=max(0.0, seconds))
    except OverflowError:
        return f"{EPOCH}Z"
    return f"{end.isoformat()}Z"


def _sample(entry: Any, frame: Frame, images: int) -> None:
    import numpy as np

    sample = _group(entry, "sample", "NXsample")
    _set(sample, "name", "crystal")
    scan = frame.content.scan
    if scan is None:
        _set(sample, "depends_on", ".")
        return
    _set(sample, "depends_on", "/entry/sample/transformations/omega")
    moves = _group(sample, "transformations", "NXtransformations")
    # Each angle by itself, not as a sum of steps.
    starts = np.array([scan.start_deg + n * scan.width_deg for n in range(images)])
    ends = np.array([scan.start_deg + (n + 1) * scan.width_deg for n in range(images)])
    _set(
        moves,
        "omega",
        starts,
        depends_on=".",
        transformation_type="rotation",
        vector=np.array(_out(unit(scan.axis))),
        units="deg",
    )
    _set(moves, "omega_end", ends, units="deg")
    _set(moves, "omega_increment_set", np.full(images, scan.width_deg), units="deg")
    _set(moves, "omega_range_average", scan.width_deg, units="deg")


def _out(vector: Vector) -> Vector:
    x, y, z = from_simulator("nexus", vector)
    return x + 0.0, y + 0.0, z + 0.0


def _detector(instrument: Any, frame: Frame, dtype: np.dtype[Any]) -> None:
    import numpy as np

    panels, counting = frame.content.panels, frame.counting
    detector = _group(instrument, "detector", "NXdetector")
    root = "/entry/instrument/detector"
    moves = _group(detector, "transformations", "NXtransformations")
    away = _out(panels[0].origin_mm)[2]
    step: Mapping[str, Any] = {"transformation_type": "translation", "units": "mm"}
    _set(moves, "det_z", np.array([away]), depends_on=".", vector=np.array([0.0, 0.0, 1.0]), **step)
    _set(detector, "depends_on", f"{root}/transformations/det_z")
    _set(detector, "description", "simulated by nanobragg-hybrid")
    _set(detector, "type", "simulated")
    fast, slow = beam_centre_px(frame)
    _set(detector, "beam_center_x", fast, units="pixel")
    _set(detector, "beam_center_y", slow, units="pixel")
    _set(detector, "distance", distance_mm(frame), units="mm")
    _set(detector, "x_pixel_size", panels[0].pixel_mm[0], units="mm")
    _set(detector, "y_pixel_size", panels[0].pixel_mm[1], units="mm")
    _set(detector, "sensor_material", _SENSORS[frame.material])
    thickness_um = max(sensor_um(panels[0]), NO_SENSOR_UM)
    _set(detector, "sensor_thickness", thickness_um / 1e3, units="mm")
    _set(detector, "count_time", frame.exposure_s, units="s")
    _set(detector, "frame_time", frame.exposure_s, units="s")
    _set(detector, "gain_setting", f"{counting.gain!r} counts per photon")
    _set(detector, "bit_depth_readout", np.int64(32))
    if dtype.kind == "f":
        saturation, low = saturation_counts(frame, 10**30), -1e30
        _set(detector, "saturation_value", saturation)
        _set(detector, "underload_value", low)
    else:
        # The two largest numbers are bad pixels to programs that read NXmx.
        saturation = saturation_counts(frame, 2**31 - 3)
        _set(detector, "saturation_value", np.int64(math.floor(saturation)))
        _set(detector, "underload_value", np.int64(_lowest(frame)))
    mask = _mask(frame)
    if mask is not None:
        mask_set = detector.create_dataset(
            "pixel_mask", data=mask, track_times=False, chunks=mask.shape, compression="gzip"
        )
        mask_set.attrs["units"] = _ascii("")
        _set(detector, "pixel_mask_applied", np.int8(0))
    first = 0
    for number, panel in enumerate(panels):
        name = "module" if len(panels) == 1 else f"module_{number:04d}"
        module = _group(detector, name, "NXdetector_module")
        if panel.name:
            module.attrs["local_name"] = np.bytes_(panel.name.encode("utf-8"))
        place = f"{root}/{name}"
        _set(module, "data_origin", np.array([first, 0], np.int64))
        _set(module, "data_size", np.array([panel.n_slow, panel.n_fast], np.int64))
        _set(module, "data_stride", np.array([1, 1], np.int64))
        first += panel.n_slow
        offset = plus(_out(panel.origin_mm), (0.0, 0.0, -away))
        size = length(offset)
        direction = unit(offset) if size > 0.0 else (1.0, 0.0, 0.0)
        step_to = f"{root}/transformations/det_z"
        _set(
            module,
            "module_offset",
            np.array([size]),
            depends_on=step_to,
            vector=np.array(direction),
            offset=np.zeros(3),
            **step,
        )
        for axis, vector, pixel in (
            ("fast", panel.fast_axis, panel.pixel_mm[0]),
            ("slow", panel.slow_axis, panel.pixel_mm[1]),
        ):
            _set(
                module,
                f"{axis}_pixel_direction",
                np.array([pixel]),
                depends_on=f"{place}/module_offset",
                vector=np.array(_out(unit(vector))),
                offset=np.zeros(3),
                **step,
            )


def _lowest(frame: Frame) -> int:
    """The lowest count that is to be trusted: 0, or what a pedestal leaves room for."""
    return min(0, -math.ceil(frame.counting.pedestal))


def _has_bad_pixels(frame: Frame) -> bool:
    return any(bad is not None and bool(bad.any()) for bad in frame.bad)


def _mask(frame: Frame) -> NDArray[np.uint32] | None:
    """What pixels tell nothing; None if all of the panels' do."""
    import numpy as np

    if not _has_bad_pixels(frame):
        return None
    shapes = [(panel.n_slow, panel.n_fast) for panel in frame.content.panels]
    shape = _whole_shape(shapes)
    mask = np.full(shape, GAP, np.uint32)
    first = 0
    for (n_slow, n_fast), bad in zip(shapes, frame.bad, strict=True):
        part = mask[first : first + n_slow, :n_fast]
        part[...] = 0 if bad is None else np.where(bad, DEAD, 0)
        first += n_slow
    return mask
