"""Background and response of a detector of several panels: each has what it has alone."""

from __future__ import annotations

import numpy as np
import pytest
from for_each import for_each

import nanobragg_hybrid as nb

pytestmark = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")

FACTORS = nb.StructureFactors.constant(50.0)


def panel(name: str, shift_mm: float) -> nb.Panel:
    return nb.Panel(
        name=name,
        origin_mm=(100.0, 20.0, shift_mm),
        fast_axis=(0, 0, 1),
        slow_axis=(0, -1, 0),
        n_fast=20,
        n_slow=30,
        pixel_size_mm=1.0,
    )


EXPERIMENT = nb.Experiment(
    beam=nb.Beam(fluence_photons_per_m2=1e24),
    crystal=nb.Crystal(cell_angstrom=(50, 60, 70), n_cells=(4, 4, 4)),
    detector=nb.Detector(panels=(panel("left", -21.0), panel("right", 1.0))),
    background=nb.Background(
        scatterers=(nb.water_scatterer(1e-4),),
        offsets=(nb.BackgroundOffset(500.0, 0, 4, panel=1),),
    ),
    response=nb.Response(gain=2.0, gain_error=0.05, read_noise=3.0, pedestal=20.0, seed=6),
)


@for_each("backend", ["c", "torch"])
def test_each_panel_is_as_alone(backend: str) -> None:
    if backend == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    result = nb.simulate(EXPERIMENT, FACTORS, backend=backend, frame=2)
    for number, own in enumerate(result.panels):
        alone = nb.simulate(EXPERIMENT.of_panel(number), FACTORS, backend=backend, frame=2)
        assert np.array_equal(own.expected, alone.expected)
        assert np.array_equal(own.variance, alone.variance)
        assert np.array_equal(own.counts, alone.counts)
        assert np.array_equal(own.counts, nb.frame_counts(own, 2))
    for name in ("expected", "variance", "counts"):
        with pytest.raises(nb.ConfigError, match=rf"result\.{name}"):
            getattr(result, name)
    with pytest.raises(nb.ConfigError, match=r"result\.panels"):
        nb.frame_counts(result, 0)


def test_panels_have_offsets_and_noise_of_their_own() -> None:
    dark = EXPERIMENT.replace({"background.scatterers": ()})
    left, right = nb.simulate(dark, nb.StructureFactors.constant(0.0)).panels
    assert left.expected is not None
    assert right.expected is not None
    assert not left.expected.any()
    assert not right.expected[:, 5:].any()
    assert right.expected[:, :5].min() > 700.0
    assert left.counts is not None
    assert right.counts is not None
    noise = [panel.counts[:, 5:].astype(float).ravel() for panel in (left, right)]
    assert abs(np.corrcoef(noise)[0, 1]) < 4.0 / np.sqrt(noise[0].size)


def test_offset_of_a_panel_that_is_not_there() -> None:
    with pytest.raises(nb.ConfigError) as caught:
        EXPERIMENT.replace(
            {
                "background.offsets": (
                    nb.BackgroundOffset(1.0, panel=1),
                    nb.BackgroundOffset(1.0, panel=2),
                )
            }
        )
    assert str(caught.value) == (
        "background.offsets[1].panel: got 2, need a panel of the detector, 0 to 1"
    )


def test_expected_counts_of_panels() -> None:
    """Those of the engine; an offset is its own panel's alone."""
    pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    import torch

    from nanobragg_hybrid.engines.torch import PanelModel

    left_offset = nb.BackgroundOffset(7.0, 3, 9, panel=0)
    experiment = EXPERIMENT.replace(
        {
            "background.offsets": (nb.BackgroundOffset(500.0, 0, 4, panel=1), left_offset),
            "response.point_spread": nb.PointSpread(1500.0),
        }
    )
    model = PanelModel(experiment, FACTORS)
    result = nb.simulate(experiment, FACTORS)
    before = model.expected()
    for own, expected in zip(result.panels, before, strict=True):
        np.testing.assert_allclose(own.expected, expected.numpy(), rtol=1e-6)
    names = [f"background.offsets[{n}].photons_per_pixel" for n in range(2)]
    initial = model.expected_initial()
    assert [initial[name].item() for name in names] == [500.0, 7.0]
    offset = torch.tensor(8.0, dtype=torch.float64, requires_grad=True)
    shift = model.initial("detector.shift_mm").requires_grad_()
    left, right = model.expected({names[1]: offset, "detector.shift_mm": shift})
    assert torch.equal(right, before[1])
    (slope,) = torch.autograd.grad(left.sum(), offset)
    assert slope.item() == pytest.approx(float((left - before[0]).sum().detach()), rel=1e-7)
    assert slope.item() == pytest.approx(2.0 * 7 * 30, rel=0.06)  # lost at the edges, and gains
    (moved,) = torch.autograd.grad(right.sum(), shift)
    assert moved.abs().max() > 0.0
    many = torch.tensor([500.0, 0.0], dtype=torch.float64)
    batch = model.expected({names[0]: many})
    assert [tuple(each.shape) for each in batch] == [(2, 30, 20), (2, 30, 20)]
    torch.testing.assert_close(batch[0][1], before[0])
    torch.testing.assert_close(batch[1][0], before[1])
    assert batch[1][1, 15, 1] < before[1][15, 1] - 500.0
    for wrong in (
        {"background.offsets[2].photons_per_pixel": offset},
        {names[0]: many, "response.gain": torch.ones(3)},
        {names[0]: many, names[1]: torch.ones(3)},
    ):
        with pytest.raises(nb.ConfigError, match="values: got"):
            model.expected(wrong)


def test_json() -> None:
    assert nb.Experiment.from_json(EXPERIMENT.to_json()) == EXPERIMENT
