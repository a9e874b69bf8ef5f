"""One picture of all panels, as the laboratory has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.base.units import m_to_mm
from nanobragg_hybrid.model.result import SimulationResult
from nanobragg_hybrid.model.validate import POSITIVE, normalised, require_class

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nanobragg_hybrid.model.resolved_plan import ResolvedPlan


class AssembledImage(NamedTuple):
    """pixels: float32, photons of the panel's pixel that is seen there, 0 where no panel is.

    panels: int32, the number of that panel, -1 where none is; both of one shape.  corner_mm: where
    the first pixel's outer corner is, along the axis of the polarization and the vertical axis of
    model 3.  pixel_size_mm: edge of a pixel.
    """

    pixels: NDArray[np.float32]
    panels: NDArray[np.int32]
    corner_mm: tuple[float, float]
    pixel_size_mm: float


def assembled_image(result: SimulationResult, pixel_size_mm: float | None = None) -> AssembledImage:
    """A picture of all panels, seen along the beam: for looking at, not for measuring.

    Each of its pixels shows the panel's pixel that lies there in the projection onto a plane across
    the beam, whose columns go along the axis of the polarization and whose rows along the vertical
    axis (those of a detector of the convention "mosflm").  A panel that is upstream of the sample,
    or seen from its edge, is left out; where two overlap, the one with the lower number is seen.
    pixel_size_mm: edge of the picture's pixels, mm; None: the shortest of a panel's pixel.

    Raises `ConfigError`, also if no panel can be seen, and `ResourceError`.
    """
    import numpy as np

    require_class("result", result, SimulationResult)
    plans = [panel.plan for panel in result.panels]
    smallest_mm = m_to_mm(min(min(plan.pixel_size_m, plan.pixel_size_slow_m) for plan in plans))
    if pixel_size_mm is None:
        pixel_size_mm = smallest_mm
    size = normalised("pixel_size_mm", pixel_size_mm, POSITIVE, "mm")
    seen = {
        n: found for n, plan in enumerate(plans) if (found := projected_panel(plan)) is not None
    }
    if not seen:
        raise ConfigError(
            "result", result, "a panel that is downstream, and not seen from its edge"
        )
    corners = np.concatenate([found.corners for found in seen.values()])
    low = corners.min(axis=0)
    # A corner that is off by rounding does not make one more row.
    columns, rows = (max(int(n), 1) for n in np.ceil((corners.max(axis=0) - low) / size - 1e-6))
    require_memory({f"picture of {columns} x {rows} pixels": 8 * columns * rows})
    pixels = np.zeros((rows, columns), np.float32)
    panels = np.full((rows, columns), -1, np.int32)
    for number in sorted(seen, reverse=True):
        found, image = seen[number], result.images[number]
        first = np.floor((found.corners.min(axis=0) - low) / size).astype(int)
        last = np.ceil((found.corners.max(axis=0) - low) / size).astype(int)
        (left, top), (right, bottom) = np.maximum(first, 0), np.minimum(last, (columns, rows))
        middle_x = low[0] + (np.arange(left, right) + 0.5) * size - found.origin[0]
        middle_y = low[1] + (np.arange(top, bottom) + 0.5) * size - found.origin[1]
        inverse = np.linalg.inv(found.matrix)
        fast = np.floor(inverse[0, 0] * middle_x + inverse[0, 1] * middle_y[:, None]).astype(int)
        slow = np.floor(inverse[1, 0] * middle_x + inverse[1, 1] * middle_y[:, None]).astype(int)
        inside = (fast >= 0) & (fast < image.shape[1]) & (slow >= 0) & (slow < image.shape[0])
        window = (slice(top, bottom), slice(left, right))
        pixels[window][inside] = image[slow[inside], fast[inside]]
        panels[window][inside] = number
    return AssembledImage(pixels, panels, (float(low[0]), float(low[1])), size)


class ProjectedPanel(NamedTuple):
    """A panel seen along the beam, mm: the place of its corner, the columns of a pixel's two edges
    as a matrix, and its four corners."""

    origin: NDArray[np.float64]
    matrix: NDArray[np.float64]
    corners: NDArray[np.float64]


def projected_panel(plan: ResolvedPlan) -> ProjectedPanel | None:
    """None for a panel that cannot be seen."""
    import numpy as np

    beam, vertical = np.array(plan.beam_direction), np.array(plan.vertical_axis)
    across = np.array([np.cross(vertical, beam), vertical])
    width, height = m_to_mm(plan.pixel_size_m), m_to_mm(plan.pixel_size_slow_m)
    edges = np.array([plan.fast_axis, plan.slow_axis]).T * (width, height)
    corner = np.array([m_to_mm(x) for x in plan.pix0_m])
    matrix, origin = across @ edges, across @ corner
    middle = corner + edges @ (0.5 * plan.n_fast, 0.5 * plan.n_slow)
    if beam @ middle <= 0.0 or abs(np.linalg.det(matrix)) < 1e-3 * width * height:
        return None
    ends = [(0, 0), (plan.n_fast, 0), (0, plan.n_slow), (plan.n_fast, plan.n_slow)]
    corners = np.array([origin + matrix @ end for end in ends])
    return ProjectedPanel(origin, matrix, corners)
