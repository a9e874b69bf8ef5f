"""Models that ask for Triton's kernels: every way of asking, what refuses them, and that a render
looks at no value."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from triton_launches import Watch, meta_render, noted_launches
from triton_scenes import DEVICE
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.on_triton.kernel import IS_INTERPRETED
from nanobragg_hybrid.engines.torch.rendering import kernel_choice
from nanobragg_hybrid.engines.torch.rendering.kernel_choice import planned_kernel
from nanobragg_hybrid.engines.torch.scenes.packing import Packed, Template, tensors

NAMES = ["crystal.misset_deg", "detector.distance_mm", "crystal.cell_angstrom"]
CPU = torch.device("cpu")


def scene(**changes: Any) -> tuple[nb.Experiment, nb.StructureFactors]:
    """A Gaussian crystal with a table on few pixels."""
    grid = np.random.default_rng(1).uniform(10.0, 100.0, (11, 11, 11))
    experiment = nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=1.0),
        crystal=nb.Crystal(
            cell_angstrom=(35, 40, 45),
            cell_deg=(75, 85, 95),
            misset_deg=(10, 20, 30),
            n_cells=(4, 5, 3),
            shape="gauss",
        ),
        detector=nb.Detector(distance_mm=100, pixel_size_mm=1.3, n_fast=10, n_slow=8),
        sampling=nb.Sampling(oversample=1),
    )
    table = nb.StructureFactors.from_grid(grid, (-5, -5, -5), default_f=7.0)
    return experiment.replace({name.replace("__", "."): x for name, x in changes.items()}), table


def model(kernel: str = "triton", **changes: Any) -> ForwardModel:
    """On the device of these tests, or eagerly on the CPU."""
    return ForwardModel(
        *scene(**changes), device=DEVICE if kernel == "triton" else CPU, kernel=kernel
    )


def values_of(own: ForwardModel) -> dict[str, torch.Tensor]:
    """Initial values that are differentiated."""
    return {name: own.initial(name).requires_grad_() for name in NAMES}


def test_gradient_of_an_image() -> None:
    found = {}
    for kernel in ("triton", "eager"):
        own = model(kernel)
        values = values_of(own)
        grid = own.initial("structure_factors.grid").requires_grad_()
        image = own({**values, "structure_factors.grid": grid})
        weight = torch.linspace(0.5, 1.5, image.numel(), dtype=torch.float64, device=image.device)
        (image.reshape(-1) * weight).sum().backward()
        found[kernel] = [image.detach(), grid.grad, *(x.grad for x in values.values())]
    for one, other in zip(found["triton"], found["eager"], strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-11, atol=0.0)


def test_jacobian_forward_mode_and_second_derivatives() -> None:
    own, eager = model(), model("eager")
    values, rows = own.jacobian({}, NAMES)
    expected_values, expected_rows = eager.jacobian({}, NAMES)
    torch.testing.assert_close(values.cpu(), expected_values, rtol=1e-11, atol=0.0)
    torch.testing.assert_close(rows.cpu(), expected_rows, rtol=1e-9, atol=1e-12)

    def second(each: ForwardModel) -> torch.Tensor:
        distance = each.initial("detector.distance_mm").requires_grad_()
        total = (each({"detector.distance_mm": distance}) ** 2).sum()
        (once,) = torch.autograd.grad(total, distance, create_graph=True)
        return torch.autograd.grad(once, distance)[0].cpu()

    torch.testing.assert_close(second(own), second(eager), rtol=1e-11, atol=0.0)


def test_a_batch_is_its_members() -> None:
    own = model()
    angles = own.initial("crystal.misset_deg") + torch.tensor([[0.0], [0.2]], device=DEVICE)
    both = own({"crystal.misset_deg": angles})
    for n in range(2):
        torch.testing.assert_close(both[n], own({"crystal.misset_deg": angles[n]}), rtol=0, atol=0)


def test_the_provenance_says_so() -> None:
    result = nb.simulate(*scene(), backend=nb.TorchEngine(device=str(DEVICE), kernel="triton"))
    assert result.provenance["kernel"] == "triton"
    assert result.provenance["kernel_reason"] == ""
    assert result.provenance["culling"]["share_visited"] == 1.0
    expected = nb.simulate(*scene(), backend=nb.TorchEngine(kernel="eager"))
    np.testing.assert_allclose(result.image, expected.image, rtol=1e-6)


def test_the_first_loop_of_the_run_is_eager() -> None:
    """Which has one pixel only; the others are Triton's, and the image is the same."""
    changes = {"goniometer__osc_deg": 1.0, "goniometer__phi_steps": 2}
    own, eager = model(**changes), model("eager", **changes)
    assert own.scene().run_start is not None
    torch.testing.assert_close(own().cpu(), eager(), rtol=1e-12, atol=0.0)


@pytest.mark.skipif(not IS_INTERPRETED, reason="the kernels are compiled here")
def test_which_kernel_is_planned() -> None:
    cuda = torch.device("cuda")
    assert planned_kernel("auto", torch.float64, CPU, None).name == "compiled"
    assert planned_kernel("triton", torch.float64, CPU, None) == ("triton", None)
    assert planned_kernel("auto", torch.float64, cuda, None) == ("eager", kernel_choice.INTERPRETED)
    assert planned_kernel("eager", torch.float64, CPU, None)[0] == "eager"


def test_without_triton_a_gpu_renders_eagerly_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_choice.importlib.util, "find_spec", lambda _: None)
    how = "pip install 'nanobragg-hybrid[gpu]' (in a clone: '.[gpu]')"
    expected = ("eager", f"Triton is not installed: {how}")
    assert planned_kernel("auto", torch.float64, torch.device("cuda"), None) == expected
    refused = model()
    assert refused.eager_reason == expected[1]
    assert refused.rendered_by == "eager"
    with pytest.raises(nb.UnsupportedError, match='kernel="triton" does not render this: Triton'):
        refused()


def test_on_the_cpu_it_needs_the_interpreter() -> None:
    code = """
import nanobragg_hybrid as nb
experiment = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(35, 40, 45), n_cells=(4, 5, 3)),
    detector=nb.Detector(distance_mm=100, pixel_size_mm=1.3, n_fast=4, n_slow=4),
)
try:
    factors = nb.StructureFactors.constant(1.0)
    nb.simulate(experiment, factors, backend=nb.TorchEngine(kernel="triton"))
except nb.UnsupportedError as error:
    print(error)
"""
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert (
        done.stdout.strip() == f'kernel="triton" does not render this: {kernel_choice.NOT_ON_CPU}'
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "beam__sources": (nb.Source((-10.0, 0.1, 0.05)), nb.Source((-10.0, 0.2, 0.05))),
            "sampling__oversample": 2,
            "sampling__oversample_polar": True,
            "detector__sensor_thickness_um": 300,
            "detector__sensor_attenuation_depth_um": 200,
        },
    ],
)
def test_a_render_looks_at_no_value_and_moves_nothing(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a device without values: whatever looks at one there is an error."""
    kernel, piece, packed, given = meta_render(model(**changes))
    launched = noted_launches(monkeypatch)
    template = Template(tuple(None for _ in given.constants), given.has_weights, given.hkl_min)
    leaves = [None if x is None else x.requires_grad_() for x in tensors(packed)]
    with Watch() as watch:
        total = kernel.values(piece, Packed(*leaves), template).sum()
        total.backward()
    assert {"pixel_sums", "pixel_slopes", "cell_slopes", "element_sums"} <= set(launched)
    assert watch.on_cpu == []
    assert not {"aten::_local_scalar_dense", "aten::nonzero", "aten::lift_fresh"} & {*watch.names}
    assert "aten::sort.stable" in watch.names


def test_the_watch_sees_what_is_fetched() -> None:
    with Watch() as watch:
        torch.tensor([2.0]).item()
    assert {"aten::_local_scalar_dense", "aten::lift_fresh"} <= {*watch.names}
    assert 1 in watch.on_cpu
