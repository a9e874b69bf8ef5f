"""A plan of the C library, with the errors and the types of this package."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nanobragg_hybrid import _core
from nanobragg_hybrid.base.arrays import as_ndarray
from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.base.host import default_threads
from nanobragg_hybrid.engines.c.bridge import to_core, translated_errors
from nanobragg_hybrid.engines.c.libnbh import available_kernels
from nanobragg_hybrid.engines.c.plan_info import resolved_plan
from nanobragg_hybrid.model.conventions import Culling, Kernel
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
from nanobragg_hybrid.model.seeds import with_clock_seeds
from nanobragg_hybrid.model.statistics import Statistics
from nanobragg_hybrid.model.structure_factors import StructureFactors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nanobragg_hybrid.base.arrays import Array, Buffer
    from nanobragg_hybrid.engines.protocol import ProgressCallback
    from nanobragg_hybrid.model.trace import StepChoice


class Plan:
    """An experiment with everything derived that does not depend on the pixel (model 3 to 5).

    `experiment` is what was planned; a seed that it needs and lacks was taken from the clock.
    Methods may be called from several threads at once.  Errors are those of `simulate`.
    """

    def __init__(
        self,
        experiment: Experiment,
        structure_factors: StructureFactors,
        quirks: Quirks,
        kernel: Kernel = "auto",
        culling: Culling = "auto",
        tolerance_photons: float = 0.0,
    ) -> None:
        kernels = ("auto", *available_kernels())
        if kernel not in kernels:
            raise ConfigError("kernel", kernel, "one of " + ", ".join(kernels) + " here")
        experiment = experiment.of_only_panel(quirks)
        if experiment.crystal.misset_random and experiment.crystal.misset_seed is None:
            experiment = with_clock_seeds(experiment, time.time(), quirks)
        self.experiment = experiment
        with translated_errors(experiment):
            self._plan = _core.Plan(
                to_core(experiment, quirks, kernel, culling, tolerance_photons),
                structure_factors.grid_buffer,
                *structure_factors.hkl_min,
                structure_factors.default_f,
            )

    def info(self) -> dict[str, Any]:
        """Every member of `nbh_plan_info` by name, SI units."""
        return self._plan.info()

    def resolved(self) -> ResolvedPlan:
        """The same as the record that every engine fills."""
        return resolved_plan(self._plan.info())

    def intervals(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper bound, shape (slow, fast), of each pixel before rounding to float32, as
        the plan's kernel proves them (docs/accuracy.md); NaN: left to the exact kernel."""
        with translated_errors(self.experiment):
            low, high = self._plan.intervals()
        return as_ndarray(low), as_ndarray(high)

    def render(
        self, threads: int, progress: ProgressCallback | None, unrounded: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float64] | None, float]:
        """`render_buffers` with arrays of the same memory."""
        image, doubles, omega_sum, _ = self.render_buffers(threads, progress, unrounded)
        return as_ndarray(image), None if doubles is None else as_ndarray(doubles), omega_sum

    def render_buffers(
        self, threads: int, progress: ProgressCallback | None, unrounded: bool
    ) -> tuple[Buffer, Buffer | None, float, int]:
        """The image (slow, fast) in float32, the same in float64 before rounding if asked for,
        the solid angle summed over every sub-pixel sample (model 6.9), and how many steps were
        visited.

        `threads`: 1 to 1024.  The result has the same bits for any number of them.
        """
        with translated_errors(self.experiment):
            return self._plan.render(threads, progress, unrounded)

    def render_bounded(
        self, threads: int, progress: ProgressCallback | None
    ) -> tuple[Buffer, Buffer, float, int, float, float]:
        """`render_buffers` at the image's own speed: in float64 what the plan's kernel has, where
        that proves a pixel's float32.  Last: by how much at most it differs from the exact kernel's
        values, in photons and relative to the value; both are 0 for the exact kernel.
        """
        with translated_errors(self.experiment):
            return self._plan.render_bounded(threads, progress)

    def photons_beside_spots(self, threads: int) -> tuple[Buffer | None, tuple[int, ...]]:
        """Photons of the experiment's background (model 9), float64, shape (slow, fast), 0 outside
        the region of interest and under the mask, None without one; and for each scatterer, and
        behind them for the radial curve, in how many pixels its table was asked outside its rows.
        """
        background = self.experiment.background
        if background is None:
            return None, ()
        from nanobragg_hybrid.engines.c.background import to_core_background

        with translated_errors(self.experiment):
            photons, outside = self._plan.background(to_core_background(background), threads)
        return photons, tuple(outside)

    @staticmethod
    def render_together(
        plans: Sequence[Plan],
        threads: int,
        progress: ProgressCallback | None,
        unrounded: bool,
        bounded: bool,
    ) -> list[tuple[Buffer, Buffer | None, float, int, float, float]]:
        """Several plans with one pool of threads: for each of them what `render_bounded` has, or
        what `render_buffers` has and two zeros.  Each has the bits that it has alone.
        """
        with translated_errors():
            own = [plan._plan for plan in plans]
            return _core.render_plans(own, threads, progress, unrounded, bounded)

    def statistics(self, image: Array, omega_sum: float) -> Statistics:
        """Statistics of a rendered image, float32 (model 6.9)."""
        with translated_errors(self.experiment):
            return Statistics(**self._plan.statistics(image, omega_sum))

    def trace(self, fast: int, slow: int, threads: int | None = None) -> dict[str, Any]:
        """The chain of numbers behind one pixel: the members of `nbh_trace` by name.

        Raises `ConfigError` (``pixel``) outside the image.
        """
        from nanobragg_hybrid.model.trace import StepChoice

        return self.steps(fast, slow, StepChoice(), 0, threads)[0]

    def steps(
        self, fast: int, slow: int, choice: StepChoice, limit: int, threads: int | None = None
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The same and, by the members of `nbh_step_trace`, the first `limit` steps of a choice.

        Raises `ConfigError` (``pixel``, ``choice.phi_step``) for a pixel or step that is not there.
        """
        from nanobragg_hybrid.model.trace import STEP_INDICES

        chosen = [
            -1 if index is None else index
            for index in (getattr(choice, name) for name in STEP_INDICES)
        ]
        with translated_errors(self.experiment):
            trace, steps, _ = self._plan.trace(fast, slow, chosen, limit, _thread_count(threads))
        return trace, steps

    def reflections(
        self, wanted: NDArray[np.uint8], threads: int, least: float
    ) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
        """Whose light is in the pixels where `wanted`, (slow, fast), is not 0 (model 6.5).

        Of each of n reflections in the order of h, k, l: its indices, shape (n, 3), and photons,
        these times the pixel's fast index, its slow index and the spindle angle in radians, shape
        (n, 4).  Of each of m pixels and reflections of at least `least` photons, in raster order:
        the pixel's number and the reflection's row, shape (m, 2), and photons, shape (m,).

        Raises `UnsupportedError` where every step multiplies the whole sum (the quirk
        oversample_running_product).
        """
        with translated_errors(self.experiment):
            hkl, sums, places, photons = self._plan.reflections(wanted, threads, least)
        return as_ndarray(hkl), as_ndarray(sums), as_ndarray(places), as_ndarray(photons)

    def sources(self) -> NDArray[np.float64]:
        """Shape (n, 5): unit vector to the source x, y, z, its weight, its wavelength in metres."""
        return as_ndarray(self._plan.sources())

    def phi(self) -> NDArray[np.float64]:
        """Shape (n,): the spindle angles, radians (model 5.3)."""
        return as_ndarray(self._plan.phi())

    def mosaic_matrices(self) -> NDArray[np.float64]:
        """Shape (n, 3, 3): the rotations of the mosaic domains, the first the identity."""
        return as_ndarray(self._plan.mosaic_matrices())

    def cells(self) -> NDArray[np.float64]:
        """Shape (phi steps * domains, 9): a, b, c in metres of each orientation, domain fastest, as
        every phi loop but the first of the run takes them (model 6.4)."""
        return as_ndarray(self._plan.cells())

    def exact_pixels(self, numbers: NDArray[np.int64], threads: int) -> NDArray[np.float32]:
        """The pixels of these numbers (slow * n_fast + fast), shape (n,), by the exact kernel; 0
        outside the region of interest and under the mask.

        Raises `ConfigError` (``pixels``) for a number that is none of the image's.
        """
        with translated_errors(self.experiment):
            return as_ndarray(self._plan.exact_pixels(numbers.tolist(), threads))

    def structure_factors(self, hkl: NDArray[np.float64]) -> NDArray[np.float64]:
        """The amplitudes, shape (n,), at whole indices, float64 of shape (n, 3) (model 6.5)."""
        with translated_errors(self.experiment):
            return as_ndarray(self._plan.structure_factors(hkl))

    def random_state(self) -> object:
        """The random generator after set-up, for `images.noise_image` (model 7.4)."""
        return self._plan.random_state()


def _thread_count(threads: int | None) -> int:
    return default_threads() if threads is None else threads
