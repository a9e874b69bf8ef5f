"""The backend "torch": an experiment rendered by PyTorch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import RenderCancelled
from nanobragg_hybrid.engines.registry import ProgressCallback
from nanobragg_hybrid.engines.torch.devices import device_of, dtype_of
from nanobragg_hybrid.engines.torch.model import ForwardModel
from nanobragg_hybrid.engines.torch.report import plan_info
from nanobragg_hybrid.engines.torch.statistics import image_statistics
from nanobragg_hybrid.engines.torch.structure_factors import amplitudes_at
from nanobragg_hybrid.engines.torch.traces import Tracer
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.plan_warnings import plan_warnings
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.result import Geometry, SimulationResult
from nanobragg_hybrid.model.structure_factors import StructureFactors

_THREADS_LOCK = threading.Lock()


def render(
    experiment: Experiment,
    structure_factors: StructureFactors,
    *,
    quirks: Quirks,
    threads: int | None = None,
    progress: ProgressCallback | None = None,
    unrounded: bool = False,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
) -> SimulationResult:
    """Renders one image; see `simulate`, which also checks memory and fills in seeds.

    device: "cpu" (None too), "cuda", "cuda:1" or "auto".  dtype: "float64" (None too) or
    "float32".  The result's random_state is None: noise images set up the generator themselves.
    """
    used_device, used_dtype = device_of(device), dtype_of(dtype)
    model = ForwardModel(experiment, structure_factors, quirks, used_dtype, used_device)
    with torch.no_grad(), _threads(threads):
        values = model(progress=_row_progress(model, progress))
        omega_sum = float(model.solid_angle_sum())
    image = values.to(torch.float32).cpu().numpy()
    info = plan_info(model.setup)
    return SimulationResult(
        image=image,
        unrounded=values.to(torch.float64).cpu().numpy() if unrounded else None,
        statistics=image_statistics(model.setup, image, omega_sum),
        geometry=Geometry.from_info(info),
        info=info,
        provenance={
            "torch": torch.__version__,
            "device": str(used_device),
            "dtype": str(used_dtype).removeprefix("torch."),
        },
        warnings=plan_warnings(info),
        experiment=experiment,
        quirks=quirks,
    )


def tracer(
    experiment: Experiment,
    structure_factors: StructureFactors,
    *,
    quirks: Quirks,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
) -> Tracer:
    """Sets up an experiment for traces of its pixels; device and dtype as for `render`."""
    model = ForwardModel(experiment, structure_factors, quirks, dtype_of(dtype), device_of(device))
    return Tracer(model)


def structure_factors_at(
    structure_factors: StructureFactors, hkl: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What the engine takes, without interpolation, at whole indices; see `Backend`."""
    return amplitudes_at(structure_factors, hkl)


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
