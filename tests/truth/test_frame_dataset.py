"""Frames with labels for PyTorch, also in a DataLoader whose workers are spawned."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.run.frame_dataset import FrameDataset

FACTORS = nb.StructureFactors.constant(100.0)


class Recipe:
    """Frames that turn."""

    def __len__(self) -> int:
        return 3

    def frame(self, number: int) -> tuple[nb.Experiment, dict[str, Any]]:
        experiment = nb.Experiment(
            crystal=nb.Crystal(
                cell_angstrom=(40, 50, 60), n_cells=(5, 5, 5), misset_deg=(10 + number, 20, 30)
            ),
            detector=nb.Detector(distance_mm=60, pixel_size_mm=0.3, n_fast=40, n_slow=30),
            sampling=nb.Sampling(oversample=1),
            response=nb.Response(seed=1),
        )
        return experiment, {"number": number}


def test_a_frame_and_its_labels() -> None:
    data = FrameDataset(Recipe(), FACTORS, labels=("boxes", "centroids", "mask", "hkl", "photons"))
    assert len(data) == 3
    sample = data[1]
    experiment, _ = Recipe().frame(1)
    result = nb.simulate(experiment, FACTORS, frame=1)
    truth = nb.predict_reflections(experiment, FACTORS)
    assert len(truth) > 3
    assert sample["frame"] == 1
    assert result.counts is not None
    assert (sample["image"].numpy() == result.counts[None]).all()
    assert sample["image"].dtype == torch.float32
    assert (sample["mask"].numpy() == truth.mask()[None]).all()
    assert (sample["hkl"].numpy() == truth.hkl).all()
    assert sample["boxes"].numpy()[:, 0].tolist() == truth.bounds[:, 2].tolist()
    assert sample["boxes"].numpy()[:, 3].tolist() == truth.bounds[:, 1].tolist()
    assert np.allclose(sample["centroids"].numpy()[:, 1], truth.slow_px)
    assert np.allclose(sample["photons"].numpy(), truth.photons)
    assert sample["panel"].tolist() == [0] * len(truth)
    assert list(FrameDataset(Recipe(), FACTORS, labels=())[0]) == ["image", "frame"]
    for wrong in (3, -1):
        with pytest.raises(IndexError):
            data[wrong]


def test_without_a_response_it_is_photons() -> None:
    experiment = Recipe().frame(0)[0].replace({"response": None})
    sample = FrameDataset([experiment], FACTORS)[0]
    assert (sample["image"].numpy()[0] == nb.simulate(experiment, FACTORS).image).all()


def test_what_is_no_number_of_a_frame() -> None:
    data = FrameDataset(Recipe(), FACTORS, labels=())
    for index in (1, np.int64(1), torch.tensor(1)):
        assert data[index]["frame"] == 1  # type: ignore[index]
    for wrong in (slice(0, 2), 1.0, True, "1", None):
        with pytest.raises(nb.ConfigError, match=r"index: got .*, need a whole number from 0 to 2"):
            data[wrong]  # type: ignore[index]


@pytest.mark.parametrize("labels", [(), ("mask",)])
def test_no_frame_of_the_clock(labels: tuple[Any, ...]) -> None:
    seeded = Recipe().frame(0)[0].replace({"crystal.misset_random": True, "crystal.misset_seed": 3})
    clock = seeded.replace({"crystal.misset_seed": None})
    data = FrameDataset([seeded, clock], FACTORS, labels=labels)
    assert data[0]["image"].shape == (1, 30, 40)
    with pytest.raises(nb.ConfigError, match=r"crystal\.misset_seed"):
        data[1]


def test_a_batch() -> None:
    data = FrameDataset(Recipe(), FACTORS)
    batch = FrameDataset.collate([data[0], data[2]])
    assert batch["image"].shape == (2, 1, 30, 40)
    assert batch["mask"].shape == (2, 1, 30, 40)
    assert batch["frame"].tolist() == [0, 2]
    assert [len(boxes) for boxes in batch["boxes"]] == [
        len(data[0]["boxes"]),
        len(data[2]["boxes"]),
    ]


SPAWNED = """
import torch
from torch.utils.data import DataLoader
import nanobragg_hybrid as nb
from recipe_of_frames import Recipe

if __name__ == "__main__":
    torch.set_num_threads(1)
    data = nb.FrameDataset(Recipe(), nb.StructureFactors.constant(100.0))
    loader = DataLoader(data, batch_size=2, num_workers=2, multiprocessing_context="spawn",
                        collate_fn=nb.FrameDataset.collate)
    images = torch.cat([batch["image"] for batch in loader])
    alone = torch.stack([data[n]["image"] for n in range(3)])
    print(tuple(images.shape), torch.equal(images, alone))
"""


def test_workers_that_are_spawned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Path(__file__).read_text()
    recipe = own[own.index("class Recipe") : own.index("def test_a_frame")]
    head = "from typing import Any\nimport nanobragg_hybrid as nb\n\n\n"
    (tmp_path / "recipe_of_frames.py").write_text(head + recipe)
    (tmp_path / "main.py").write_text(SPAWNED)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = subprocess.run(
        [sys.executable, str(tmp_path / "main.py")],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.stdout.split("\n")[0] == "(3, 1, 30, 40) True", done.stderr[-2000:]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"frames": 3}, "frames"),
        ({"frames": [1]}, r"frames\[0\]"),
        ({"labels": ("box",)}, "labels"),
        ({"labels": "mask"}, "labels"),
        ({"structure_factors": 1}, "structure_factors"),
        ({"threads": 0}, "threads"),
        ({"min_peak_photons": float("nan")}, "min_peak_photons"),
        ({"min_peak_photons": -1.0}, "min_peak_photons"),
        ({"edge_fraction": 1.0}, "edge_fraction"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(nb.ConfigError, match=field):
        FrameDataset(**{"frames": Recipe(), "structure_factors": FACTORS, **arguments})
    panels = tuple(
        nb.Panel(f"p{n}", (60, 0, 0), (0, 0, 1), (0, -1, 0), 4 + n, 3, 1.0) for n in range(2)
    )
    experiment = Recipe().frame(0)[0].replace({"detector": nb.Detector(panels=panels)})
    with pytest.raises(nb.UnsupportedError, match="shapes"):
        FrameDataset([experiment], FACTORS)[0]


def test_a_series_is_frames() -> None:
    first = Recipe().frame(0)[0].replace({"crystal.misset_deg": (0, 0, 0)})
    series = nb.Series.stills(first, 5, seed=3)
    data = FrameDataset(series, FACTORS, labels=("hkl",))
    assert len(data) == 5
    experiment = series.frame(4).experiment
    truth = nb.predict_reflections(experiment, FACTORS)
    assert (data[4]["hkl"].numpy() == truth.hkl).all()
    counts = nb.simulate(experiment, FACTORS, frame=4).counts
    assert counts is not None
    assert (data[4]["image"].numpy()[0] == counts).all()


def test_what_has_no_labels_is_refused_before_it_is_rendered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from nanobragg_hybrid.run import frame_dataset

    experiment, _ = Recipe().frame(0)
    product = experiment.replace({"sampling.oversample_omega": True})
    assert list(FrameDataset([product], FACTORS, labels=())[0]) == ["image", "frame"]
    off = nb.Quirks.none()
    assert "boxes" in FrameDataset([product], FACTORS, labels=("boxes",), quirks=off)[0]
    sides = [
        nb.Panel(name, (60, 0, 0), (0, 0, 1), (0, -1, 0), n_fast, 5, 1.0)
        for name, n_fast in (("a", 5), ("b", 6))
    ]
    panels = experiment.replace({"detector": nb.Detector(panels=tuple(sides))})
    monkeypatch.setattr(frame_dataset, "prepared", None)
    with pytest.raises(nb.UnsupportedError, match="oversample_running_product"):
        FrameDataset([product], FACTORS, labels=("boxes",))[0]
    with pytest.raises(nb.UnsupportedError, match="shapes"):
        FrameDataset([panels], FACTORS, labels=())[0]
