"""Everything of a render happens on the device that was asked for."""

from __future__ import annotations

import pytest
from recorded import INPUTS, table
from with_torch import torch

import nanobragg_hybrid as nb
from agreement import experiment_of
from nanobragg_hybrid.engines.torch import ForwardModel

MOST_ON_CPU = 65536  # elements of a CPU tensor while a GPU renders


def watching(device: str) -> torch.utils._python_dispatch.TorchDispatchMode:
    """A context in which `sizes` collects how large the tensors are that appear on `device`."""

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.sizes: list[int] = []

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = function(*args, **(kwargs or {}))
            for found in (*torch.utils._pytree.tree_leaves((args, kwargs, result)),):
                if isinstance(found, torch.Tensor) and found.device.type == device:
                    self.sizes.append(found.numel())
            return result

    return Watch()


def _large_scene() -> tuple[nb.Experiment, nb.StructureFactors]:
    """More pixels, so also more steps, than may be on the CPU."""
    experiment, factors = experiment_of(table("cases")["hkl_mat"]["args"], INPUTS)
    larger = {"detector.n_fast": 300, "detector.n_slow": 300, "detector.pixel_size_mm": 0.1}
    mask = nb.Mask([[True] * 299 + [False]] * 300)
    one_visit = {"sampling.oversample": 1, "sampling.interpolate": False}
    return experiment.replace({**larger, **one_visit, "detector.mask": mask}), factors


@pytest.mark.parametrize("device", ["cuda"], indirect=True)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_nothing_large_on_the_cpu(device: str, dtype: str) -> None:
    model = ForwardModel(*_large_scene(), dtype=dtype, device=device)
    misset = model.initial("crystal.misset_deg").requires_grad_()
    with watching("cpu") as watch:
        image = model({"crystal.misset_deg": misset})
        image.sum().backward()
    assert image.device.type == "cuda"
    assert image.numel() == 90000
    assert misset.grad is not None
    assert misset.grad.device.type == "cuda"
    assert max(watch.sizes, default=0) <= MOST_ON_CPU


def test_the_watch_sees_large_tensors() -> None:
    """The same scene on the CPU is beyond the bound, forward and backward."""
    model = ForwardModel(*_large_scene())
    with watching("cpu") as watch:
        model({})
    assert max(watch.sizes) > MOST_ON_CPU
    with watching("meta") as watch:
        model({})
    assert watch.sizes == []


@pytest.mark.parametrize("device", ["cpu", "cuda"], indirect=True)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_image_has_the_type_and_device_asked_for(device: str, dtype: torch.dtype) -> None:
    model = ForwardModel(*_small_scene(), dtype=dtype, device=device)
    image = model({})
    assert (image.dtype, image.device.type) == (dtype, device)
    assert model.initial("crystal.cell_angstrom").device.type == device


def test_auto_is_a_device_that_is_there() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert ForwardModel(*_small_scene(), device="auto").device.type == expected


@pytest.mark.parametrize("name", ["cuda:99", "no such device", "mps:7"])
def test_missing_devices_say_what_there_is(name: str) -> None:
    with pytest.raises(nb.BackendError, match=r"available: .*cpu"):
        ForwardModel(*_small_scene(), device=name)


def _small_scene() -> tuple[nb.Experiment, nb.StructureFactors]:
    return experiment_of(table("cases")["triclinic"]["args"], INPUTS)
