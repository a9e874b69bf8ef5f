"""CBF images of 32-bit integers, compressed by byte offsets.

A detector across the beam gets a header like those of area detectors' miniCBF files (convention
GENERIC_MINI, which DIALS knows for detectors of any size); any other one the tables of imgCIF,
which say where each panel is (International Tables G, 3.7 and 4.6).
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from nanobragg_hybrid.base.atomic import Destination, atomic_write
from nanobragg_hybrid.formats.geometry.frames import from_simulator
from nanobragg_hybrid.formats.geometry.vectors import Vector, cross, dot, length, times, unit
from nanobragg_hybrid.formats.images.byte_offset import compressed
from nanobragg_hybrid.formats.images.frame import (
    EPOCH,
    Frame,
    beam_centre_px,
    int32_pixels,
    kahn_along,
    not_across,
    saturation_counts,
    sensor_um,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BAD_PIXEL: Final = -2
"""What a pixel has that tells nothing; readers trust none below -1."""

_EV_ANGSTROM: Final = 12398.419843320026
_PADDING: Final = 4095
_LINE: Final = "\r\n"
_SENSORS: Final = {"Si": "Silicon", "CdTe": "CdTe", "GaAs": "GaAs"}


def write_cbf(path: Destination, frame: Frame) -> list[str]:
    """Writes all panels; counts are without the pedestal.  What to warn of is returned.

    Raises `ConfigError` for pixels that are no whole numbers or do not fit, `FileAccessError`.
    """
    import numpy as np

    images = int32_pixels(frame, "CBF")
    notes = []
    low = 0
    for number, (image, bad) in enumerate(zip(images, frame.bad, strict=True)):
        is_bad = bad if bad is not None and bad.any() else None
        if int(image.min()) < -1:
            low += int(((image < -1) if is_bad is None else (image < -1) & ~is_bad).sum())
        if is_bad is not None:
            images[number] = np.where(is_bad, np.int32(BAD_PIXEL), image)
    if low:
        notes.append(
            f"{low} pixels are below -1 without the pedestal, which programs take for bad pixels: "
            "smv-adsc keeps the pedestal, and nxmx says how low counts may be"
        )
    mini = is_mini(frame)
    if not mini and any(sensor_um(panel) > 0.0 for panel in frame.content.panels):
        notes.append("an imgCIF header has no place for the sensor, which is not written")
    if mini and frame.counting.gain != 1.0:
        notes.append(
            f"a miniCBF header has no place for the gain of {frame.counting.gain:g}: programs take "
            "counts for photons"
        )
    if len(images) > 1:
        notes.append(
            f"DIALS reads the first of the {len(images)} panels of such a file: give it nxmx"
        )
    head = _mini_header(frame) if mini else _imgcif_header(frame)
    with atomic_write(path) as file:
        file.write(head.encode("ascii"))
        if mini:
            file.write(f"_array_data.data{_LINE};{_LINE}".encode("ascii"))
            _write_binary(file, images[0], 1)
            file.write(f"{_LINE};{_LINE}".encode("ascii"))
        else:
            names = ("_array_data.array_id", "_array_data.binary_id", "_array_data.data")
            if len(images) > 1:
                file.write(_LINE.join(["loop_", *names, ""]).encode("ascii"))
            for number, image in enumerate(images):
                place = f"{_array(number)} {number + 1}{_LINE}"
                if len(images) == 1:  # fabio knows no loop
                    array, binary, data = names
                    place = f"{array} {_array(0)}{_LINE}{binary} 1{_LINE}{data}{_LINE}"
                file.write(f"{place};{_LINE}".encode("ascii"))
                _write_binary(file, image, number + 1)
                file.write(f"{_LINE};{_LINE}".encode("ascii"))
    return notes


def is_mini(frame: Frame) -> bool:
    """Whether a miniCBF header says everything: geometry and polarization."""
    return not_across(frame.content) is None and kahn_along(frame, (0.0, 0.0, 1.0)) is not None


def _write_binary(file: Any, image: NDArray[np.int32], number: int) -> None:
    data = compressed(image)
    digest = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode("ascii")
    n_slow, n_fast = image.shape
    header = [
        "--CIF-BINARY-FORMAT-SECTION--",
        "Content-Type: application/octet-stream;",
        '     conversions="x-CBF_BYTE_OFFSET"',
        "Content-Transfer-Encoding: BINARY",
        f"X-Binary-Size: {len(data)}",
        f"X-Binary-ID: {number}",
        'X-Binary-Element-Type: "signed 32-bit integer"',
        "X-Binary-Element-Byte-Order: LITTLE_ENDIAN",
        f"Content-MD5: {digest}",
        f"X-Binary-Number-of-Elements: {n_slow * n_fast}",
        f"X-Binary-Size-Fastest-Dimension: {n_fast}",
        f"X-Binary-Size-Second-Dimension: {n_slow}",
        f"X-Binary-Size-Padding: {_PADDING}",
        "",
        "",
    ]
    file.write(_LINE.join(header).encode("ascii"))
    file.write(b"\x0c\x1a\x04\xd5")
    file.write(data)
    file.write(bytes(_PADDING))
    file.write(f"{_LINE}--CIF-BINARY-FORMAT-SECTION----".encode("ascii"))


# ---- miniCBF


def _mini_header(frame: Frame) -> str:
    panel, counting = frame.panel, frame.counting
    fast, slow = beam_centre_px(frame)
    scan = frame.content.scan
    start, width = (scan.start_deg, scan.width_deg) if scan is not None else (0.0, 0.0)
    kahn = kahn_along(frame, (0.0, 0.0, 1.0)) or 0.0
    fast_m, slow_m = (repr(edge / 1e3) for edge in panel.pixel_mm)
    comments = ["Detector: simulated by nanobragg-hybrid", f"Pixel_size {fast_m} m x {slow_m} m"]
    thickness_um = sensor_um(panel)
    if thickness_um > 0.0:
        sensor = _SENSORS[frame.material]
        comments.append(f"{sensor} sensor, thickness {thickness_um / 1e6!r} m")
    cutoff = math.floor(saturation_counts(frame, 2**31 - 1))
    comments += [
        f"Exposure_time {frame.exposure_s!r} s",
        f"Exposure_period {frame.exposure_s!r} s",
        f"Count_cutoff {cutoff} counts",
        f"Gain_setting: {counting.gain!r} counts per photon",
        f"Wavelength {frame.wavelength_angstrom!r} A",
        f"Detector_distance {panel.origin_mm[0] / 1e3!r} m",
        f"Beam_xy ({fast!r}, {slow!r}) pixels",
        f"Flux {frame.flux!r}",
        "Filter_transmission 1.0",
        f"Start_angle {start!r} deg.",
        f"Angle_increment {width!r} deg.",
        f"Polarization {0.5 * (1.0 + kahn)!r}",
        "Detector_2theta 0.0 deg.",
        f"Phi {start!r} deg.",
        "Oscillation_axis X.CW",
    ]
    lines = [
        "###CBF: VERSION 1.5, nanobragg-hybrid",
        "",
        "data_image",
        "",
        '_array_data.header_convention "GENERIC_MINI"',
        "_array_data.header_contents",
        ";",
        *(f"# {comment}" for comment in comments),
        ";",
        "",
    ]
    return _LINE.join([*lines, ""])


# ---- imgCIF


def _array(number: int) -> str:
    return f"ARRAY{number + 1}"


def _imgcif_header(frame: Frame) -> str:
    content, counting = frame.content, frame.counting
    scan = content.scan
    start, width = (scan.start_deg, scan.width_deg) if scan is not None else (0.0, 0.0)
    arrays = [_array(number) for number in range(len(content.panels))]
    elements = [f"ELEMENT{number + 1}" for number in range(len(content.panels))]
    ratio, angle = _polarization(frame)
    overload = saturation_counts(frame, 2**31 - 1)
    spindle = _out(unit(scan.axis)) if scan is not None else (1.0, 0.0, 0.0)
    axes: list[Sequence[object]] = []
    if scan is not None:
        axes.append(("OMEGA", "rotation", "goniometer", ".", *spindle, ".", ".", "."))
    source = _out(times(-1.0, frame.travel))
    axes += [
        ("SOURCE", "general", "source", ".", *source, ".", ".", "."),
        ("GRAVITY", "general", "gravity", ".", 0.0, -1.0, 0.0, ".", ".", "."),
        ("DET_Z", "translation", "detector", ".", 0.0, 0.0, 1.0, 0.0, 0.0, 0.0),
    ]
    # Dependence has to be on an axis of the detector; where a panel is, its own axes say.
    moves: list[Sequence[object]] = [("DET_Z", "FRAME1", 0.0, 0.0)]
    scans: list[Sequence[object]] = [("SCAN1", "DET_Z", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)]
    if scan is not None:
        scans.insert(0, ("SCAN1", "OMEGA", start, width, width, 0.0, 0.0, 0.0))
        moves.insert(0, ("OMEGA", "FRAME1", start, 0.0))
    structure: list[Sequence[object]] = []
    of_sets: list[Sequence[object]] = []
    for number, panel in enumerate(content.panels):
        x, y = f"{elements[number]}_X", f"{elements[number]}_Y"
        origin = _out(panel.origin_mm)
        slow, fast = _out(unit(panel.slow_axis)), _out(unit(panel.fast_axis))
        axes.append((y, "translation", "detector", "DET_Z", *slow, *origin))
        axes.append((x, "translation", "detector", y, *fast, 0.0, 0.0, 0.0))
        structure.append((arrays[number], 1, panel.n_fast, 1, "increasing", x))
        structure.append((arrays[number], 2, panel.n_slow, 2, "increasing", y))
        of_sets.append((x, x, 0.0, panel.pixel_mm[0]))
        of_sets.append((y, y, 0.0, panel.pixel_mm[1]))
        for name in (x, y):
            moves.append((name, "FRAME1", 0.0, 0.0))
            scans.append(("SCAN1", name, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    names = "axis_id angle_start angle_range angle_increment displacement_start"
    tables = [
        _one("diffrn", {"id": "DS1"}),
        _one("diffrn_source", {"diffrn_id": "DS1", "source": "simulated"}),
        _one(
            "diffrn_radiation",
            {
                "diffrn_id": "DS1",
                "wavelength_id": "WAVELENGTH1",
                "probe": "x-ray",
                # Programs assume a polarization of their own where there is none.
                **(
                    {"polarizn_source_ratio": ratio, "polarizn_source_norm": angle}
                    if ratio != 0.0
                    else {}
                ),
                **({"beam_flux": frame.flux} if frame.flux > 0.0 else {}),
            },
        ),
        _one(
            "diffrn_radiation_wavelength",
            {"id": "WAVELENGTH1", "wavelength": frame.wavelength_angstrom, "wt": 1.0},
        ),
        _one(
            "diffrn_detector",
            {"diffrn_id": "DS1", "id": "DETECTOR1", "type": "simulated", "number_of_axes": 1},
        ),
        _loop("diffrn_detector_axis", "detector_id axis_id", [("DETECTOR1", "DET_Z")]),
        _loop(
            "diffrn_detector_element", "id detector_id", [(name, "DETECTOR1") for name in elements]
        ),
        _loop(
            "diffrn_data_frame",
            "id detector_element_id array_id binary_id",
            [
                ("FRAME1", element, array, n + 1)
                for n, (element, array) in enumerate(zip(elements, arrays, strict=True))
            ],
        ),
    ]
    if scan is not None:
        tables += [
            _one(
                "diffrn_measurement",
                {"diffrn_id": "DS1", "id": "GONIOMETER1", "number_of_axes": 1, "method": "omega"},
            ),
            _loop("diffrn_measurement_axis", "measurement_id axis_id", [("GONIOMETER1", "OMEGA")]),
        ]
    tables += [
        _one(
            "diffrn_scan",
            {"id": "SCAN1", "frame_id_start": "FRAME1", "frame_id_end": "FRAME1", "frames": 1},
        ),
        _loop(
            "diffrn_scan_axis",
            f"scan_id {names} displacement_range displacement_increment",
            scans,
        ),
        _one(
            "diffrn_scan_frame",
            {
                "frame_id": "FRAME1",
                "frame_number": 1,
                "integration_time": frame.exposure_s,
                "scan_id": "SCAN1",
                "date": EPOCH,
            },
        ),
        _loop("diffrn_scan_frame_axis", "axis_id frame_id angle displacement", moves),
        _loop(
            "axis",
            "id type equipment depends_on vector[1] vector[2] vector[3] "
            "offset[1] offset[2] offset[3]",
            axes,
        ),
        _loop(
            "array_structure_list",
            "array_id index dimension precedence direction axis_set_id",
            structure,
        ),
        _loop(
            "array_structure_list_axis",
            "axis_set_id axis_id displacement displacement_increment",
            of_sets,
        ),
        _loop(
            "array_structure",
            "id encoding_type compression_type byte_order",
            [(name, "signed 32-bit integer", "byte_offsets", "little_endian") for name in arrays],
        ),
        _loop(
            "array_intensities",
            "array_id binary_id linearity gain gain_esd overload undefined_value",
            [
                (name, n + 1, "linear", counting.gain, 0.0, overload, -1.0)
                for n, name in enumerate(arrays)
            ],
        ),
    ]
    lines = ["###CBF: VERSION 1.5, nanobragg-hybrid", "", "data_image", ""]
    for table in tables:
        lines += [*table, ""]
    return _LINE.join([*lines, ""])


def _out(vector: Vector) -> Vector:
    return from_simulator("dials", vector)


def _polarization(frame: Frame) -> tuple[float, float]:
    """The Kahn factor, and the angle about the beam from y to the normal of the plane, degrees."""
    axis, kahn = frame.content.polarization or ((0.0, 0.0, 1.0), 0.0)
    to_source = _out(times(-1.0, frame.travel))
    normal = cross(to_source, _out(axis))
    up = cross(to_source, cross((0.0, 1.0, 0.0), to_source))
    if length(normal) < 1e-9 or length(up) < 1e-9:
        return 0.0, 0.0
    normal, up = unit(normal), unit(up)
    angle = math.degrees(math.atan2(dot(to_source, cross(up, normal)), dot(up, normal)))
    # The same plane has two normals.
    return kahn, angle + 180.0 if angle <= -90.0 else angle - 180.0 if angle > 90.0 else angle


def _word(value: object) -> str:
    if isinstance(value, float):
        return repr(value + 0.0)
    text = str(value)
    return f'"{text}"' if " " in text else text


def _one(category: str, items: dict[str, object]) -> list[str]:
    return [f"_{category}.{name} {_word(value)}" for name, value in items.items()]


def _loop(category: str, names: str, rows: Iterable[Sequence[object]]) -> list[str]:
    return [
        "loop_",
        *(f"_{category}.{name}" for name in names.split()),
        *(" ".join(_word(value) for value in row) for row in rows),
    ]
