"""The backend "c": an experiment rendered by libnbh."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, ClassVar, Final, Literal, get_args

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.engines.c.libnbh import build_info
from nanobragg_hybrid.engines.c.numbers import (
    ASKED_REASON,
    EXACT_KERNEL_REASON,
    KERNEL_REASONS,
    UNROUNDED_REASON,
)
from nanobragg_hybrid.engines.c.plan import Plan
from nanobragg_hybrid.engines.protocol import culling_stated
from nanobragg_hybrid.model.conventions import CULLING_REASONS, CULLINGS, Culling, Kernel
from nanobragg_hybrid.model.crystal import Crystal
from nanobragg_hybrid.model.detector import Detector
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.result import Rendered
from nanobragg_hybrid.model.structure_factors import StructureFactors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nanobragg_hybrid.base.arrays import Buffer
    from nanobragg_hybrid.engines.protocol import ProgressCallback
    from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
    from nanobragg_hybrid.model.trace import StepChoice, Trace

UnroundedKernel = Literal["exact", "fast"]
"""Of the values before rounding."""

_PHI_STEP_BYTES: Final = 152
_DOMAIN_BYTES: Final = 72
_SOURCE_BYTES: Final = 64
"""What a plan keeps for each of them: an angle and two orientations; a matrix; two vectors."""


class CRun:
    """An experiment planned by the C library; see `EngineRun`."""

    def __init__(
        self,
        c_plan: Plan,
        unrounded_kernel: UnroundedKernel = "exact",
        tolerance_photons: float = 0.0,
    ) -> None:
        self.c_plan = c_plan
        self._unrounded_kernel = unrounded_kernel
        self._tolerance_photons = tolerance_photons
        self.plan: ResolvedPlan = c_plan.resolved()

    def render(
        self, *, threads: int, progress: ProgressCallback | None, unrounded: bool
    ) -> Rendered:
        """Renders the image; the provenance names the kernel, and why that is "exact" if it is."""
        (made,) = render_together((self,), threads, progress, unrounded)
        return made

    def rendered(
        self,
        image: Buffer,
        doubles: Buffer | None,
        omega_sum: float,
        visited: int,
        bounds: tuple[float, float] | None,
        threads: int,
    ) -> Rendered:
        """What there is to say about an image of this plan.  visited: steps that were not left out.
        bounds: of the values before rounding, if they are not the exact kernel's.
        threads: for photons beside the spots."""
        plan = self.plan
        if doubles is not None and bounds is None and plan.kernel != "exact":
            plan = plan._replace(kernel="exact", kernel_reason=KERNEL_REASONS[UNROUNDED_REASON])
        background, outside = self.c_plan.photons_beside_spots(threads)
        stated = {}
        if bounds is not None:
            stated = {"unrounded_bound": bounds[0], "unrounded_relative_bound": bounds[1]}
        return Rendered(
            image=image,
            unrounded=doubles,
            statistics=self.c_plan.statistics(image, omega_sum),
            plan=plan,
            provenance={
                "libnbh": build_info(),
                "kernel": plan.kernel,
                "kernel_reason": plan.kernel_reason,
                "culling": self._culling(visited, plan.kernel),
                **stated,
            },
            random_state=self.c_plan.random_state(),
            background=background,
            background_outside=outside,
        )

    @property
    def bounds_unrounded(self) -> bool:
        """Whether values before rounding are the fast kernel's, with bounds."""
        return self._unrounded_kernel == "fast"

    def _culling(self, visited: int, kernel: str | None) -> dict[str, float | str]:
        """What was left out, for the provenance: which share of the steps was visited, and why
        that is all of them where it is not asked for each."""
        info = self.c_plan.info()
        number = EXACT_KERNEL_REASON if kernel == "exact" else info["culling_reason"]
        if info["culling_reason"] == ASKED_REASON:
            number = ASKED_REASON
        steps = info["active_pixels"] * info["steps"] * info["sensor_layers"]
        share = visited / steps if steps else 1.0
        return culling_stated(share, steps, self._tolerance_photons, CULLING_REASONS[number])

    def trace(
        self, fast: int, slow: int, choice: StepChoice, limit: int, threads: int | None = None
    ) -> Trace:
        """One pixel's chain, always of the exact kernel."""
        from nanobragg_hybrid.engines.c.traces import trace_of

        trace, steps = self.c_plan.steps(fast, slow, choice, limit, threads)
        return trace_of(trace, steps, self.plan, self.c_plan.experiment.sampling)

    def cells_m(self) -> NDArray[np.float64]:
        """See `Definition`."""
        return self.c_plan.cells()

    def sources(self) -> NDArray[np.float64]:
        """See `Definition`."""
        return self.c_plan.sources()

    def exact_pixels(self, numbers: NDArray[np.int64], threads: int) -> NDArray[np.float32]:
        """See `Definition`."""
        return self.c_plan.exact_pixels(numbers, threads)


def render_together(
    runs: Sequence[CRun], threads: int, progress: ProgressCallback | None, unrounded: bool
) -> list[Rendered]:
    """Several runs of one engine with one pool of threads; each has the bits that it has alone."""
    bounded = unrounded and runs[0].bounds_unrounded
    made = Plan.render_together([run.c_plan for run in runs], threads, progress, unrounded, bounded)
    return [
        run.rendered(
            image, doubles, omega_sum, visited, (photons, relative) if bounded else None, threads
        )
        for run, (image, doubles, omega_sum, visited, photons, relative) in zip(
            runs, made, strict=True
        )
    ]


@dataclass(frozen=True, slots=True)
class CEngine:
    """The C library.

    kernel: how it computes: "auto", "exact", "baseline", "avx2", "avx512", as far as this processor
        has them.  The image does not depend on it; the result's provenance names the one used
        ("kernel") and why it is "exact" where it is ("kernel_reason").
    unrounded_kernel: which one the values before rounding are of, if they are asked for: "exact",
        the model's arithmetic to the last bit, which takes 20 to 30 times as long as the image; or
        "fast", what `kernel` has where that proves the rounded value, at the speed of the image.
        The provenance then has the largest distance to the exact values, in photons
        ("unrounded_bound") and relative to the value ("unrounded_relative_bound").
    tolerance_photons: 0 or more.  0 gives nanoBragg's bytes.  With more, steps (of wavelengths,
        domains, phi) are left out whose light in a pixel is less than this in all: no pixel
        differs from the exact image by more than it, plus one unit in the last place of its
        float32.  Pixels become darker, never brighter by more than a millionth of it.
    culling: "auto" leaves out steps that are proven to change no bit (or less than the tolerance)
        where that saves time; "off" visits every step.  The provenance ("culling") has the
        "share_visited", the tolerance, and the "reason" why everything was visited where it was.

    A kernel that this processor lacks is a `ConfigError` when an experiment is prepared.
    """

    name: ClassVar[str] = "c"
    options: ClassVar[tuple[str, ...]] = (
        "kernel",
        "unrounded_kernel",
        "tolerance_photons",
        "culling",
    )

    kernel: Kernel = "auto"
    unrounded_kernel: UnroundedKernel = "exact"
    tolerance_photons: float = 0.0
    culling: Culling = "auto"

    def __post_init__(self) -> None:
        if not _is_tolerance(self.tolerance_photons):
            raise ConfigError("tolerance_photons", self.tolerance_photons, "a finite number >= 0")
        if self.culling not in CULLINGS:
            raise ConfigError("culling", self.culling, "one of " + ", ".join(CULLINGS))
        if self.unrounded_kernel not in get_args(UnroundedKernel):
            raise ConfigError("unrounded_kernel", self.unrounded_kernel, "one of exact, fast")

    def memory_needed(
        self, experiment: Experiment, structure_factors: StructureFactors
    ) -> dict[str, int]:
        """What a plan keeps of the counts that are given."""
        del structure_factors
        parts = {}
        for what, count, each in (
            ("phi steps", experiment.goniometer.phi_steps, _PHI_STEP_BYTES),
            ("mosaic domains", experiment.crystal.given_domains, _DOMAIN_BYTES),
            ("sources", experiment.beam.source_candidates, _SOURCE_BYTES),
        ):
            if count is not None and count > 1:
                parts[f"{count} {what}"] = count * each
        return parts

    def prepare(
        self, experiment: Experiment, structure_factors: StructureFactors, quirks: Quirks
    ) -> CRun:
        """Makes the plan."""
        plan = Plan(
            experiment,
            structure_factors,
            quirks,
            self.kernel,
            self.culling,
            float(self.tolerance_photons),
        )
        return CRun(plan, self.unrounded_kernel, float(self.tolerance_photons))

    def render_together(
        self,
        runs: Sequence[CRun],
        *,
        threads: int,
        progress: ProgressCallback | None,
        unrounded: bool,
    ) -> list[Rendered]:
        """The runs of several panels with one pool of threads; see `RendersTogether`."""
        return render_together(runs, threads, progress, unrounded)

    def structure_factors_at(
        self, structure_factors: StructureFactors, hkl: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """What the library takes, without interpolation, at whole indices; see `Engine`."""
        crystal = Crystal(cell_angstrom=(100.0, 100.0, 100.0))  # any will do
        experiment = Experiment(crystal=crystal, detector=Detector(n_fast=1, n_slow=1))
        return Plan(experiment, structure_factors, Quirks()).structure_factors(hkl)


def _is_tolerance(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return 0.0 <= float(value) < math.inf
    except OverflowError:
        return False
