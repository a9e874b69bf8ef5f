"""NXmx files (NeXus, HDF5): the detector's modules, the beam, the rotation of the sample.

A transformation turns what depends on it about its vector, or shifts it along that, and then adds
its offset; `depends_on` names the next one, up to the laboratory.  The place of a module's first
pixel, its outer corner, is that of module_offset.  Reading needs h5py.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, NoReturn

from nanobragg_hybrid.base.errors import FileFormatError
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.formats.geometry.content import (
    ExperimentContent,
    PanelContent,
    ScanContent,
)
from nanobragg_hybrid.formats.geometry.frames import to_simulator
from nanobragg_hybrid.formats.geometry.vectors import (
    Vector,
    applied,
    dot,
    length,
    plus,
    rotation,
    times,
    unit,
)
from nanobragg_hybrid.formats.hdf5_file import opened

_LENGTHS_MM: Final = {
    "m": 1000.0, "metre": 1000.0, "meter": 1000.0, "mm": 1.0, "millimetre": 1.0, "millimeter": 1.0,
    "cm": 10.0, "um": 1e-3, "micron": 1e-3, "micrometre": 1e-3, "micrometer": 1e-3, "nm": 1e-6,
    "angstrom": 1e-7, "a": 1e-7,
}  # fmt: skip
_ANGLES_DEG: Final = {
    "deg": 1.0, "degree": 1.0, "degrees": 1.0, "rad": 180.0 / math.pi, "radian": 180.0 / math.pi,
    "radians": 180.0 / math.pi,
}  # fmt: skip
NO_SENSOR_UM: Final = 0.001
"""The thickness of a sensor that there is not: programs want one above 0."""

_LONGEST_CHAIN: Final = 100
_LARGEST: Final = 2**31 - 1


class _Step(NamedTuple):
    """A transformation: its name in the file, kind, vector, offset in mm, and values."""

    name: str
    is_rotation: bool
    vector: Vector
    offset: Vector
    values: tuple[float, ...]  # degrees or mm
    dataset: Any


def contents_of_nxmx(path: str | os.PathLike[str]) -> list[ExperimentContent]:
    """What an NXmx file says.

    Raises `UnsupportedError` where h5py is not installed, `FileAccessError`, `FileFormatError`.
    """
    with opened(path, "is no HDF5 file that can be read") as file:
        return [_Reader(path, file).content()]


class _Reader:
    def __init__(self, path: str | os.PathLike[str], file: Any) -> None:
        self._path, self._file = path, file
        self._notes: list[str] = []

    def refuse(self, where: str, rule: str) -> NoReturn:
        """Raises `FileFormatError`."""
        raise FileFormatError(self._path, 0, f"{where}: need {rule}")

    def content(self) -> ExperimentContent:
        entries = [
            group
            for group in groups_of(self._file, "NXentry")
            if text_of(group.get("definition")) == "NXmx"
        ]
        if not entries:
            raise FileFormatError(self._path, 0, "has no entry with the definition NXmx")
        if len(entries) > 1:
            self._notes.append(f"has {len(entries)} entries: the first is used")
        entry = entries[0]
        instruments = list(groups_of(entry, "NXinstrument"))
        if not instruments:
            self.refuse(entry.name, "an NXinstrument")
        panels = []
        for detector in groups_of(instruments[0], "NXdetector"):
            modules = list(groups_of(detector, "NXdetector_module"))
            for module in modules:
                panels.append(self._panel(detector, module, only=len(modules) == 1))
        if not panels:
            self.refuse(instruments[0].name, "an NXdetector with an NXdetector_module")
        return ExperimentContent(
            wavelength_angstrom=self._wavelength(entry, instruments[0]),
            beam=to_simulator("nexus", (0.0, 0.0, 1.0)),
            panels=tuple(panels),
            scan=self._scan(entry),
            notes=tuple(self._notes),
        )

    def _wavelength(self, entry: Any, instrument: Any) -> float:
        found = [
            beam["incident_wavelength"]
            for parent in (instrument, *groups_of(entry, "NXsample"))
            for beam in groups_of(parent, "NXbeam")
            if "incident_wavelength" in beam
        ]
        if not found:
            self.refuse(entry.name, "incident_wavelength in an NXbeam")
        dataset = found[0]
        values = self._numbers(dataset)
        if len(values) > 1:
            self._notes.append(f"{dataset.name} has {len(values)} wavelengths: the first is used")
        scale = self._scale(dataset, _LENGTHS_MM, "angstrom") / _LENGTHS_MM["angstrom"]
        if not values[0] * scale > 0.0:
            self.refuse(dataset.name, "a wavelength > 0")
        return values[0] * scale

    # ---- transformations

    def _numbers(self, dataset: Any) -> tuple[float, ...]:
        import numpy as np

        require_memory({f"values of {dataset.name}": 8 * int(dataset.size)})
        values = np.asarray(dataset[()], dtype=np.float64).ravel()
        if values.size == 0 or not np.isfinite(values).all():
            self.refuse(dataset.name, "finite numbers")
        return tuple(values.tolist())

    def _whole(self, dataset: Any, rule: str) -> list[int]:
        numbers = self._numbers(dataset)
        if not all(number.is_integer() for number in numbers):
            self.refuse(dataset.name, rule)
        return [int(number) for number in numbers]

    def _scale(self, dataset: Any, units: dict[str, float], default: str) -> float:
        word = text_of(dataset.attrs.get("units", default)).strip()
        if word.lower() not in units:
            self.refuse(f"{dataset.name}@units", f"one of {', '.join(units)}")
        return units[word.lower()]

    def _vector(self, dataset: Any, name: str) -> Vector:
        import numpy as np

        values = np.asarray(dataset.attrs.get(name, (0.0, 0.0, 0.0)), dtype=np.float64).ravel()
        if values.size != 3 or not np.isfinite(values).all():
            self.refuse(f"{dataset.name}@{name}", "three finite numbers")
        x, y, z = values.tolist()
        return x, y, z

    def _step(self, dataset: Any) -> _Step:
        kind = text_of(dataset.attrs.get("transformation_type", ""))
        if kind not in ("rotation", "translation"):
            self.refuse(f"{dataset.name}@transformation_type", "'rotation' or 'translation'")
        vector, offset = self._vector(dataset, "vector"), self._vector(dataset, "offset")
        values = self._numbers(dataset)
        if not any(vector) and any(values):
            self.refuse(f"{dataset.name}@vector", "a direction, not 0 0 0")
        is_rotation = kind == "rotation"
        scale = self._scale(
            dataset, _ANGLES_DEG if is_rotation else _LENGTHS_MM, "deg" if is_rotation else "m"
        )
        if any(offset):
            own = "mm" if is_rotation else text_of(dataset.attrs.get("units", "m"))
            word = text_of(dataset.attrs.get("offset_units", own)).lower()
            if word not in _LENGTHS_MM:
                self.refuse(f"{dataset.name}@offset_units", f"one of {', '.join(_LENGTHS_MM)}")
            offset = times(_LENGTHS_MM[word], offset)
        scaled = tuple(value * scale for value in values)
        return _Step(dataset.name, is_rotation, vector, offset, scaled, dataset)

    def _next(self, holder: Any) -> Any | None:
        """What an object depends on; None: the laboratory."""
        depends = holder.attrs.get("depends_on")
        if depends is None and "depends_on" in getattr(holder, "keys", tuple)():
            depends = holder["depends_on"][()]
        name = text_of(depends).strip()
        if name in ("", "."):
            return None
        parent = holder if hasattr(holder, "keys") else holder.parent
        place = self._file if name.startswith("/") else parent
        if name not in place:
            self.refuse(f"{holder.name}@depends_on", f"a path that is there, not {name!r}")
        return place[name]

    def _chain(self, first: Any | None) -> list[_Step]:
        """The transformations from one outwards."""
        chain: list[_Step] = []
        current = first
        while current is not None:
            if hasattr(current, "keys"):
                self.refuse(current.name, "a transformation, not a group")
            chain.append(self._step(current))
            if len(chain) > _LONGEST_CHAIN:
                self.refuse(current.name, "transformations that end at the laboratory")
            current = self._next(current)
        return chain

    def _value(self, step: _Step) -> float:
        if len(set(step.values)) > 1:
            note = f"{step.name} varies: its first value is used"
            if note not in self._notes:
                self._notes.append(note)
        return step.values[0]

    def _point(self, chain: list[_Step], point: Vector) -> Vector:
        for step in chain:
            value = self._value(step)
            if step.is_rotation and value != 0.0:
                point = applied(rotation(step.vector, value), point)
            elif value != 0.0:
                point = plus(point, times(value, unit(step.vector)))
            point = plus(point, step.offset)
        return point

    def _turned(self, chain: list[_Step], direction: Vector) -> Vector:
        for step in chain:
            if step.is_rotation and any(step.vector):
                direction = applied(rotation(step.vector, self._value(step)), direction)
        return direction

    # ---- detector and sample

    def _panel(self, detector: Any, module: Any, *, only: bool) -> PanelContent:
        axes, pixels = [], []
        for name in ("fast_pixel_direction", "slow_pixel_direction"):
            if name not in module:
                self.refuse(module.name, name)
            step = self._step(module[name])
            if step.is_rotation or not any(step.vector) or not step.values[0] > 0.0:
                self.refuse(step.name, "a translation by the edge of a pixel, > 0, along a vector")
            axes.append(self._turned(self._chain(self._next(module[name])), unit(step.vector)))
            pixels.append(step.values[0])
            if any(step.offset) and "module_offset" in module:
                self._notes.append(f"{step.name}@offset is not used: module_offset says where")
        fast, slow = axes
        if not abs(dot(fast, slow)) < 1e-2 or length(fast) < 0.5:
            self.refuse(module.name, "perpendicular pixel directions")
        start = module.get("module_offset")
        if start is None:
            start = module["fast_pixel_direction"]
            chain = self._chain(self._next(start))
            origin = self._point(chain, self._step(start).offset)
        else:
            origin = self._point(self._chain(start), (0.0, 0.0, 0.0))
        if "data_size" not in module:
            self.refuse(module.name, "data_size")
        size = self._whole(module["data_size"], "the numbers of slow and fast pixels, >= 1")
        if len(size) < 2 or not all(1 <= number <= _LARGEST for number in size[-2:]):
            self.refuse(module["data_size"].name, "the numbers of slow and fast pixels, >= 1")
        n_slow, n_fast = size[-2:]
        first = [0, 0]
        if "data_origin" in module:
            rule = "the slow and the fast number of a pixel"
            first = self._whole(module["data_origin"], rule)
            if len(first) < 2 or min(first) < 0:
                self.refuse(module["data_origin"].name, rule)
        name = detector.name.rpartition("/")[2] if only else module.name.rpartition("/")[2]
        return PanelContent(
            name=name,
            origin_mm=to_simulator("nexus", origin),
            fast_axis=to_simulator("nexus", unit(fast)),
            slow_axis=to_simulator("nexus", unit(slow)),
            n_fast=n_fast,
            n_slow=n_slow,
            pixel_mm=(pixels[0], pixels[1]),
            thickness_um=self._thickness_um(detector),
            trusted_range=self._trusted(detector),
            mask=self._mask(detector, first, (n_slow, n_fast)),
        )

    def _thickness_um(self, detector: Any) -> float:
        if "sensor_thickness" not in detector:
            return 0.0
        dataset = detector["sensor_thickness"]
        thickness_mm = self._numbers(dataset)[0] * self._scale(dataset, _LENGTHS_MM, "m")
        return thickness_mm * 1000.0 if thickness_mm * 1000.0 > 1.5 * NO_SENSOR_UM else 0.0

    def _trusted(self, detector: Any) -> tuple[float, float] | None:
        if "saturation_value" not in detector:
            return None
        high = self._numbers(detector["saturation_value"])[0]
        low = -1e300
        if "underload_value" in detector:
            low = self._numbers(detector["underload_value"])[0]
        return (low, high) if low < high else None

    def _mask(self, detector: Any, first: list[int], shape: tuple[int, int]) -> Any:
        if "pixel_mask" not in detector:
            return None
        import numpy as np

        dataset = detector["pixel_mask"]
        slow, fast = first[-2:]
        ends = slow + shape[0], fast + shape[1]
        if dataset.ndim != 2 or dataset.shape[0] < ends[0] or dataset.shape[1] < ends[1]:
            self._notes.append(f"{dataset.name} is not used: it has the shape {dataset.shape}")
            return None
        require_memory({"mask of a panel": 8 * shape[0] * shape[1]})
        return np.asarray(dataset[slow : ends[0], fast : ends[1]]) == 0

    def _scan(self, entry: Any) -> ScanContent | None:
        samples = list(groups_of(entry, "NXsample"))
        if not samples:
            return None
        if "ub_matrix" in samples[0] or "orientation_matrix" in samples[0]:
            self._notes.append(f"the orientation of the crystal in {samples[0].name} is not used")
        chain = self._chain(self._next(samples[0]))
        turning = [
            n for n, step in enumerate(chain) if step.is_rotation and self._width(step) != 0.0
        ]
        if not turning:
            return None
        at = turning[0]
        step = chain[at]
        width, axis = self._width(step), unit(step.vector)
        for outer in chain[at + 1 :]:
            if outer.is_rotation and any(outer.vector):
                axis = applied(rotation(outer.vector, self._value(outer)), axis)
        start = step.values[0]
        if width < 0.0:
            axis, start, width = times(-1.0, axis), -start, -width
        return ScanContent(to_simulator("nexus", axis), start, width, 1, len(step.values))

    def _width(self, step: _Step) -> float:
        """The angle from one image to the next; 0 if nothing turns."""
        parent, name = step.dataset.parent, step.name.rpartition("/")[2]
        scale = self._scale(step.dataset, _ANGLES_DEG, "deg")
        for key, start in ((f"{name}_increment_set", 0.0), (f"{name}_end", step.values[0])):
            if key in parent:
                return self._numbers(parent[key])[0] * scale - start
        return step.values[1] - step.values[0] if len(step.values) > 1 else 0.0


def groups_of(parent: Any, kind: str) -> Iterator[Any]:
    """The groups of a NeXus class in a group, in the order of their names."""
    for name in parent:
        child = parent.get(name)
        if hasattr(child, "keys") and text_of(child.attrs.get("NX_class", "")) == kind:
            yield child


def text_of(value: Any) -> str:
    """Text of an attribute or a dataset, whatever it is stored as."""
    if value is None:
        return ""
    if hasattr(value, "shape") and not isinstance(value, str | bytes):
        value = value[()]
        while hasattr(value, "shape") and getattr(value, "shape", ()) != ():
            value = value[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
