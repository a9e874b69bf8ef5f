"""The backend "torch": an experiment rendered by PyTorch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import ConfigError, RenderCancelled, UnsupportedError
from nanobragg_hybrid.engines.protocol import culling_stated
from nanobragg_hybrid.engines.torch.arithmetic.devices import device_of, dtype_of
from nanobragg_hybrid.engines.torch.compiled.bridge import COUNTED, Visits
from nanobragg_hybrid.engines.torch.model import ForwardModel
from nanobragg_hybrid.engines.torch.report import plan_of
from nanobragg_hybrid.engines.torch.scenes.structure_factors import amplitudes_at
from nanobragg_hybrid.engines.torch.set_up.bounds import Counts, allocation_errors, image_memory
from nanobragg_hybrid.engines.torch.statistics import image_statistics
from nanobragg_hybrid.engines.torch.traces import Tracer
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
from nanobragg_hybrid.model.result import Rendered
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.model.trace import StepChoice, Trace
from nanobragg_hybrid.model.validate import require_class

if TYPE_CHECKING:
    from nanobragg_hybrid.engines.protocol import Definition, ProgressCallback

_THREADS_LOCK = threading.RLock()  # a progress callback may render, too


_PROVEN_BY_OPERATORS: Final = "exact=True has bounds of them"
"""Why positions and factors of pixels are torch's operators."""


class TorchRun:
    """An experiment set up by the torch engine; see `EngineRun`."""

    def __init__(self, model: ForwardModel, *, exact: bool = False) -> None:
        self.model = model
        self.plan: ResolvedPlan = plan_of(model.setup)
        self._tracer: Tracer | None = None
        self._exact = exact
        self._definition: Definition | None = None

    @property
    def needs_definition(self) -> bool:
        """Whether pixels are to be proven those of a definition that is not there yet."""
        return self._exact and self._definition is None

    def define(self, definition: Definition) -> None:
        """Takes the C engine's run of the same experiment."""
        self._definition = definition

    @allocation_errors()
    def render(
        self, *, threads: int, progress: ProgressCallback | None, unrounded: bool
    ) -> Rendered:
        """Renders the image.

        Raises `UnsupportedError` where it is to be exact and values before rounding are wanted.
        """
        if self._exact:
            return self._rendered_exactly(threads, progress, unrounded)
        model = self.model
        with torch.no_grad(), _threads(threads), _counted() as visits:
            values = model(progress=_row_progress(model, progress))
            omega_sum = float(model.solid_angle_sum())
            background, outside = model.background()
        image = values.to(torch.float32).cpu().numpy()
        eager_reason = model.eager_reason
        return Rendered(
            image=image,
            unrounded=values.to(torch.float64).cpu().numpy() if unrounded else None,
            statistics=image_statistics(model.setup, image, omega_sum),
            plan=self.plan,
            provenance={
                **self._provenance(),
                "kernel": model.rendered_by,
                "kernel_reason": eager_reason or "",
                "operators_reason": model.rays_by_operators_because,
                "culling": _culling(model, visits),
            },
            background=None if background is None else background.cpu().numpy(),
            background_outside=outside,
        )

    def _rendered_exactly(
        self, threads: int, progress: ProgressCallback | None, unrounded: bool
    ) -> Rendered:
        from nanobragg_hybrid.engines.torch.proven import proven_image

        model, definition = self.model, self._definition
        if unrounded:
            raise UnsupportedError(
                "exact=True proves the float32 of a pixel, not its value before rounding: "
                "unrounded=True wants the C engine, or exact=False"
            )
        if definition is None:
            raise UnsupportedError(
                "exact=True needs the C engine's run of the same experiment, which simulate and "
                "prepare give it: define() was not called"
            )
        with torch.no_grad(), _threads(threads):
            done = _row_progress(model, progress)
            proven = proven_image(model, definition, threads, progress, done)
            omega_sum = float(model.solid_angle_sum())
            background, outside = model.background()
        return Rendered(
            image=proven.image,
            unrounded=None,
            statistics=image_statistics(model.setup, proven.image, omega_sum),
            plan=self.plan,
            provenance={
                **self._provenance(),
                "kernel": "exact" if proven.reason else model.rendered_by,
                "kernel_reason": proven.reason,
                "operators_reason": _PROVEN_BY_OPERATORS,
                "exact": {"redone_pixels": proven.redone, "reason": proven.reason},
                "culling": _culling(model, Visits()),
            },
            background=None if background is None else background.cpu().numpy(),
            background_outside=outside,
        )

    def _provenance(self) -> dict[str, object]:
        return {
            "torch": torch.__version__,
            "device": str(self.model.device),
            "dtype": str(self.model.dtype).removeprefix("torch."),
        }

    @allocation_errors()
    def trace(
        self, fast: int, slow: int, choice: StepChoice, limit: int, threads: int | None = None
    ) -> Trace:
        """One pixel's chain with the first `limit` steps of a choice."""
        del threads
        if self._tracer is None:
            self._tracer = Tracer(self.model, self.plan)
        return self._tracer.trace(fast, slow, choice, limit)


@dataclass(frozen=True, slots=True)
class TorchEngine:
    """PyTorch, with derivatives (`ForwardModel`).

    device: where it computes: "cpu" (None too), "cuda", "cuda:1" or "auto".
    dtype: how: "float64" (None too) or "float32", which keeps phases in float64.
    kernel: by what: "eager" (torch's operators, the definition), "compiled" (the C library, on the
        CPU), "triton" (on a GPU; on the CPU in Triton's interpreter, if TRITON_INTERPRET=1) or
        "auto" (None too): triton on a GPU, compiled on the CPU, where they render it.  The
        result's provenance names the one that ran ("kernel"), why it is "eager" where it is
        ("kernel_reason"), and why positions and factors of pixels are PyTorch's operators where
        they are ("operators_reason").

    tolerance_photons: >= 0; the compiled kernel and Triton's leave out steps (of wavelengths,
        domains, phi) whose light in a pixel is less than this in all; pixels become darker, never
        brighter, if no source has a negative weight.  The eager kernel visits every step.  The
        provenance ("culling") has the "share_visited", the tolerance, and the "reason" why
        everything was visited where it was.

    exact: whether the image has nanoBragg's bytes, as the C engine's has: pixels whose float32 is
        not proven by bounds (docs/accuracy.md, "Bytes from a GPU") are computed once more by the
        exact C kernel on the CPU.  It takes float64, Triton's kernels and no tolerance, and is for
        images alone: there are no values before rounding.  The provenance ("exact") has the number
        of "redone_pixels", and the "reason" why they are all where they are.

    When an experiment is prepared, a device that is not there is a `BackendError` that names those
    that are, another number type or kernel a `ConfigError`, and a kernel that does not
    render it an `UnsupportedError` that says why.
    """

    name: ClassVar[str] = "torch"
    options: ClassVar[tuple[str, ...]] = ("device", "dtype", "kernel", "tolerance_photons", "exact")

    device: str | torch.device | None = None
    dtype: str | torch.dtype | None = None
    kernel: str | None = None
    tolerance_photons: float = 0.0
    exact: bool = False

    def __post_init__(self) -> None:
        is_bool: bool = isinstance(self.exact, bool)
        if not is_bool:
            raise ConfigError("exact", self.exact, "True or False")

    def memory_needed(
        self, experiment: Experiment, structure_factors: StructureFactors
    ) -> dict[str, int]:
        """What a render keeps for each pixel on the CPU, and a set-up of given counts."""
        require_class("experiment", experiment, Experiment)
        require_class("structure_factors", structure_factors, StructureFactors)
        parts = image_memory(experiment, device_of(self.device))
        return {**parts, **Counts.given(experiment).memory_needed()}

    @allocation_errors()
    def prepare(
        self, experiment: Experiment, structure_factors: StructureFactors, quirks: Quirks
    ) -> TorchRun:
        """Makes the model."""
        device, dtype = device_of(self.device), dtype_of(self.dtype)
        kernel = "auto" if self.kernel is None else self.kernel
        model = ForwardModel(
            experiment,
            structure_factors,
            quirks,
            dtype,
            device,
            kernel=kernel,
            tolerance_photons=self.tolerance_photons,
        )
        if kernel in ("compiled", "triton") and model.eager_reason is not None:
            raise UnsupportedError(f'kernel="{kernel}" does not render this: {model.eager_reason}')
        if self.exact:
            _require_provable(model, self.kernel)
        return TorchRun(model, exact=self.exact)

    def structure_factors_at(
        self, structure_factors: StructureFactors, hkl: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """What the engine takes, without interpolation, at whole indices; see `Engine`."""
        require_class("structure_factors", structure_factors, StructureFactors)
        is_array: bool = isinstance(hkl, np.ndarray)
        if not is_array or hkl.dtype != np.float64 or hkl.shape[1:] != (3,):
            raise ConfigError("hkl", hkl, "a float64 array of shape (n, 3)")
        return amplitudes_at(structure_factors, hkl)


def _require_provable(model: ForwardModel, kernel: str | None) -> None:
    """Raises `ConfigError` where nothing bounds what a model computes; kernel: as it was given."""
    rule = "with exact=True"
    if model.dtype != torch.float64:
        raise ConfigError("dtype", str(model.dtype).removeprefix("torch."), f"float64 {rule}")
    if model.tolerance_photons > 0.0:
        raise ConfigError("tolerance_photons", model.tolerance_photons, f"0 {rule}")
    if model.rendered_by != "triton":
        why = "" if model.eager_reason is None else f" ({model.eager_reason})"
        chosen = f'renders by "{model.rendered_by}" on {model.device.type}{why}'
        if kernel is None:
            need = f'False, or kernel="triton": the engine, which was given no kernel, {chosen}'
            raise ConfigError("exact", True, need)
        own = f': "auto" {chosen}' if kernel == "auto" else why
        raise ConfigError("kernel", kernel, f'"triton" {rule}{own}')


def _row_progress(
    model: ForwardModel, progress: ProgressCallback | None
) -> Callable[[int], None] | None:
    """Tells the caller about rows instead of active pixels."""
    if progress is None:
        return None
    rows = model.active_pixels.shape[0]

    def report(pixels: int) -> None:
        done = rows if pixels == model.active_pixels.count else model.active_pixels.row_of(pixels)
        if progress(done, rows) is False:
            raise RenderCancelled("the progress callback asked to stop")

    return report


def _culling(model: ForwardModel, visits: Visits) -> dict[str, float | str]:
    """What was left out, for the provenance."""
    every = model.active_pixels.count * model.setup.choices.steps_per_pixel
    left_out = visits.every - float(visits.visited)
    share = 1.0 - left_out / max(visits.every, every) if left_out > 0.0 else 1.0
    return culling_stated(share, every, model.tolerance_photons, model.every_step_because)


@contextmanager
def _counted() -> Iterator[Visits]:
    """The steps of what is rendered meanwhile."""
    visits = Visits()
    token = COUNTED.set(visits)
    try:
        yield visits
    finally:
        COUNTED.reset(token)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """PyTorch's number of threads, which belongs to the process, for the length of a render."""
    if count is None:
        yield
        return
    with _THREADS_LOCK:
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)
