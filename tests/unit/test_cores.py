"""The default number of threads."""

from __future__ import annotations

import os

import pytest

import nanobragg_hybrid as nb
from nanobragg_hybrid.base import host
from nanobragg_hybrid.base.host import default_threads, usable_cores
from nanobragg_hybrid.engines.c import plan

EXPERIMENT = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(50.0, 60.0, 70.0)), detector=nb.Detector(n_fast=2, n_slow=2)
)
FACTORS = nb.StructureFactors.constant(10.0)


@pytest.mark.parametrize(
    ("affinity", "quota", "cores"),
    [
        ({0, 5, 6}, None, 3),
        ({0, 5, 6}, 4, 3),
        ({0, 5, 6}, 3, 3),
        ({0, 5, 6}, 2, 2),
        ({7}, 1, 1),
        (set(range(2000)), None, 2000),
    ],
)
def test_the_smaller_of_affinity_and_quota(
    monkeypatch: pytest.MonkeyPatch, affinity: set[int], quota: int | None, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: affinity, raising=False)
    monkeypatch.setattr(host, "cpu_quota_cores", lambda: quota)
    assert usable_cores() == cores
    assert default_threads() == min(cores, 1024)
    assert nb.simulate(EXPERIMENT, FACTORS).provenance["threads"] == min(cores, 1024)


def test_systems_without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(host, "cpu_quota_cores", lambda: None)
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert usable_cores() == 12
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1


def test_the_engine_has_the_same_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "default_threads", lambda: 2000)
    with pytest.raises(nb.ConfigError, match=r"^threads: got 2000, need 1 to 1024$"):
        plan.Plan(EXPERIMENT, FACTORS, nb.Quirks()).trace(0, 0)
