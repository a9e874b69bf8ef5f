"""Beam, sample, spindle and detector of an experiment, drawn to scale as SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from nanobragg_hybrid.base.units import m_to_mm
from nanobragg_hybrid.model.sketch import Sketch
from nanobragg_hybrid.run.viewing import plans_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nanobragg_hybrid.model.experiment import Experiment
    from nanobragg_hybrid.model.resolved_plan import ResolvedPlan

    Vector = NDArray[np.float64]

_WIDTH: Final = 720.0
_GAP: Final = 36.0
_TOP: Final = 40.0
_LONGEST: Final = 300.0
_STYLE: Final = (
    "text{font:12px system-ui,'DejaVu Sans',sans-serif;fill:#333}"
    ".title{font-weight:600}.panel{fill:#9db8d2;fill-opacity:.45;stroke:#2f5f8f}"
    ".beam{stroke:#c02020;stroke-width:1.5}.hit{fill:#c02020}"
    ".spindle{stroke:#3c8c3c;stroke-width:1.5;stroke-dasharray:7 3}.sample{fill:#222}"
    ".scale{stroke:#333;stroke-width:2}"
)


class _View(NamedTuple):
    """A projection: what of the laboratory is to the right and up, as unit vectors."""

    title: str
    right: Vector
    up: Vector

    def seen(self, point: Vector) -> tuple[float, float]:
        """Millimetres to the right and down."""
        return float(point @ self.right), -float(point @ self.up)


def sketch(experiment: Experiment) -> Sketch:
    """Draws the beam, the sample, the spindle and all panels to scale, from the side, from above
    and along the beam; see `Experiment.sketch`."""
    plans = plans_of(experiment)
    beam = np.array(plans[0].beam_direction)
    spindle = np.array(plans[0].spindle_axis)
    across = spindle - (spindle @ beam) * beam
    if np.linalg.norm(across) < 1e-6:  # a spindle along the beam
        across = np.cross(beam, np.eye(3)[int(np.abs(beam).argmin())])
    across /= np.linalg.norm(across)
    up = np.cross(across, beam)
    views = (
        _View("from the side (beam to the right)", beam, up),
        _View("from above (beam to the right)", beam, -across),
        _View("along the beam", across, up),
    )
    panels = [_corners_mm(plan) for plan in plans]
    farthest = max(float(np.abs(corners).max()) for corners in panels)
    back, reach = 0.35 * farthest, 0.25 * farthest
    beam_end = max(float((corners @ beam).max()) for corners in panels)
    beam_end = max(1.05 * beam_end, back)
    hits = [hit for hit in map(_hit_mm, plans) if hit is not None]
    names = experiment.detector.panel_names
    points = [
        np.concatenate(
            [*panels, [-back * beam, beam_end * beam, reach * spindle, -reach * spindle]]
        )
    ] * 3
    boxes = [_bounds([view.seen(p) for p in own]) for view, own in zip(views, points, strict=True)]
    widest = max(x1 - x0 for x0, x1, _, _ in boxes)
    scale = min(
        (_WIDTH - 2 * _GAP) / widest, *(_LONGEST / max(y1 - y0, 1e-9) for *_, y0, y1 in boxes)
    )
    parts: list[str] = []
    top = _TOP
    for view, (x0, x1, y0, y1) in zip(views, boxes, strict=True):
        left = _GAP + 0.5 * (_WIDTH - 2 * _GAP - scale * (x1 - x0))

        def place(
            point: Vector,
            view: _View = view,
            origin: tuple[float, float] = (left - scale * x0, top + 20.0 - scale * y0),
        ) -> tuple[float, float]:
            x, y = view.seen(point)
            return origin[0] + scale * x, origin[1] + scale * y

        parts.append(f'<text class="title" x="{_GAP:g}" y="{top:.1f}">{view.title}</text>')
        for number, corners in enumerate(panels):
            text = " ".join("{:.2f},{:.2f}".format(*place(corner)) for corner in corners)
            title = html.escape(names[number]) if names else "detector"
            parts.append(f'<polygon class="panel" points="{text}"><title>{title}</title></polygon>')
        zero = np.zeros(3)
        parts.append(_line("beam", place(-back * beam), place(beam_end * beam)))
        parts.append(_line("spindle", place(-reach * spindle), place(reach * spindle)))
        parts.extend(_dot("hit", place(hit), 3.0) for hit in hits)
        parts.append(_dot("sample", place(zero), 4.0))
        x, y = place(reach * spindle)
        parts.append(f'<text x="{x + 5:.1f}" y="{y - 5:.1f}">spindle</text>')
        top += scale * (y1 - y0) + 20.0 + _GAP
    bar = _round_length(120.0 / scale)
    parts.append(_line("scale", (_GAP, top), (_GAP + bar * scale, top)))
    parts.append(f'<text x="{_GAP:g}" y="{top - 7:.1f}">{bar:g} mm</text>')
    for text in _words(experiment, plans):
        top += 17.0
        parts.append(f'<text x="{_GAP:g}" y="{top:.1f}">{html.escape(text)}</text>')
    size = f'width="{_WIDTH:g}" height="{top + 20:.0f}" viewBox="0 0 {_WIDTH:g} {top + 20:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{_STYLE}</style>'
    return Sketch("\n".join([head, *parts, "</svg>"]) + "\n")


def _corners_mm(plan: ResolvedPlan) -> Vector:
    """Of a panel, shape (4, 3); of a curved one those of the flat panel that it is bent from."""
    origin = m_to_mm(np.array(plan.pix0_m))
    fast = np.array(plan.fast_axis) * m_to_mm(plan.pixel_size_m) * plan.n_fast
    slow = np.array(plan.slow_axis) * m_to_mm(plan.pixel_size_slow_m) * plan.n_slow
    return np.array([origin, origin + fast, origin + fast + slow, origin + slow])


def _hit_mm(plan: ResolvedPlan) -> Vector | None:
    """Where the beam meets a panel; None: nowhere."""
    origin, beam = m_to_mm(np.array(plan.pix0_m)), np.array(plan.beam_direction)
    columns = np.array([plan.fast_axis, plan.slow_axis, -beam]).T
    if abs(np.linalg.det(columns)) < 1e-9:
        return None
    fast, slow, way = np.linalg.solve(columns, -origin)
    inside = 0.0 <= fast <= m_to_mm(plan.size_fast_m) and 0.0 <= slow <= m_to_mm(plan.size_slow_m)
    hit: Vector = way * beam
    return hit if inside and way > 0.0 else None


def _words(experiment: Experiment, plans: Sequence[ResolvedPlan]) -> list[str]:
    beam, detector, goniometer = experiment.beam, experiment.detector, experiment.goniometer
    shapes = detector.shapes
    size = f"{shapes[0][1]} x {shapes[0][0]} pixels"
    what = size if len(shapes) == 1 else f"{len(shapes)} panels, the first of {size}"
    pixel_mm, distance_mm = m_to_mm(plans[0].pixel_size_m), m_to_mm(plans[0].distance_m)
    words = [f"wavelength {beam.wavelength_angstrom:g} angstrom; {what} of {pixel_mm:g} mm"]
    words.append(f"{distance_mm:g} mm to the detector along the beam")
    if plans[0].osc_rad:
        end = goniometer.phi_deg + math.degrees(plans[0].osc_rad)
        words.append(f"spindle {goniometer.phi_deg:g} to {end:g} degrees, right-handed")
    if detector.curved:
        words.append("the detector is curved: drawn is the flat one that it is bent from")
    return words


def _bounds(points: Sequence[tuple[float, float]]) -> tuple[float, float, float, float]:
    x, y = zip(*points, strict=True)
    return min(x), max(x), min(y), max(y)


def _round_length(length: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is no longer."""
    power = 10.0 ** math.floor(math.log10(length))
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= length * (1 + 1e-9))


def _line(kind: str, a: tuple[float, float], b: tuple[float, float]) -> str:
    ends = 'x1="{:.2f}" y1="{:.2f}" x2="{:.2f}" y2="{:.2f}"'.format(*a, *b)
    return f'<line class="{kind}" {ends}/>'


def _dot(kind: str, at: tuple[float, float], radius: float) -> str:
    return '<circle class="{}" cx="{:.2f}" cy="{:.2f}" r="{:g}"/>'.format(kind, *at, radius)
