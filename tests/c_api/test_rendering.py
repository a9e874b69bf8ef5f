"""Threads, progress, cancellation and Ctrl-C of the binding."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import subprocess
import sys
import sysconfig
import threading
from typing import Any

import numpy as np
import pytest
from ctrl_c import ctrl_c_raises
from for_each import for_each

from nanobragg_hybrid import _core
from nanobragg_hybrid.base.errors import ConfigError, RenderCancelled
from nanobragg_hybrid.engines.c import images
from nanobragg_hybrid.engines.c.plan import Plan
from nanobragg_hybrid.model.crystal import Crystal
from nanobragg_hybrid.model.detector import Detector
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.goniometer import Goniometer
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.sampling import Sampling
from nanobragg_hybrid.model.structure_factors import StructureFactors

TRICLINIC = Crystal(
    cell_angstrom=(70.0, 80.0, 90.0),
    cell_deg=(75.0, 85.0, 95.0),
    n_cells=(5.0, 5.0, 5.0),
    mosaic_spread_deg=0.5,
    mosaic_domains=3,
)
DETECTOR = Detector(n_fast=37, n_slow=29, pixel_size_mm=0.8)
CARRYOVER = Experiment(
    crystal=TRICLINIC,
    detector=DETECTOR,
    goniometer=Goniometer(phi_deg=-1.0, osc_deg=2.0, phi_steps=2),
)
# The beam hits the first row; interpolation ends where k leaves the table, in the middle.
SWITCHING_OFF = Experiment(
    crystal=Crystal(cell_angstrom=(5.0, 20.0, 5.0), n_cells=(2.0, 2.0, 2.0)),
    detector=Detector(n_fast=37, n_slow=29, pixel_size_mm=0.8, beam_x_mm=0.0, beam_y_mm=14.8),
)
TABLE = StructureFactors.from_grid(
    10.0 + np.arange(343.0).reshape(7, 7, 7) % 13.0, (-3, -3, -3), default_f=1.0
)
CONSTANT = StructureFactors.constant(100.0)
# Minutes of work in every row.
ENDLESS = Experiment(
    crystal=Crystal(
        cell_angstrom=(70.0, 80.0, 90.0),
        n_cells=(5.0, 5.0, 5.0),
        mosaic_spread_deg=0.5,
        mosaic_domains=1000,
    ),
    detector=Detector(n_fast=500, n_slow=500),
    sampling=Sampling(oversample=30),
)


@for_each("threads", [2, 3, 5, 16, 1024])
@pytest.mark.parametrize(
    ("experiment", "factors"),
    [(CARRYOVER, CONSTANT), (SWITCHING_OFF, TABLE)],
    ids=["phi", "interpolation"],
)
def test_bits_do_not_depend_on_threads(
    experiment: Experiment, factors: StructureFactors, threads: int
) -> None:
    def render(count: int) -> tuple[Any, Any, float]:
        return Plan(experiment, factors, Quirks()).render(count, None, True)

    one, many = render(1), render(threads)
    assert one[0].tobytes() == many[0].tobytes()
    assert one[1].tobytes() == many[1].tobytes()
    assert one[2] == many[2]
    assert one[0].sum() > 0.0
    assert np.array_equal(one[0], one[1].astype(np.float32))


def test_interpolation_is_switched_off_in_the_middle() -> None:
    """Guards the test above: both rules of model 6.5 are used in that image."""
    on = Plan(SWITCHING_OFF, TABLE, Quirks()).render(1, None, False)[0]
    nearest = SWITCHING_OFF.replace({"sampling.interpolate": False})
    off = Plan(nearest, TABLE, Quirks()).render(1, None, False)[0]
    same_rows = (on == off).all(axis=1)
    assert not same_rows[0]
    assert same_rows[-1]


def test_one_plan_renders_from_several_python_threads() -> None:
    plan = Plan(SWITCHING_OFF, TABLE, Quirks())
    found: list[bytes] = []
    workers = [
        threading.Thread(target=lambda: found.append(plan.render(2, None, False)[0].tobytes()))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_trace_settles_the_plan_and_agrees_with_the_image() -> None:
    for factors in (CONSTANT, TABLE):
        plan = Plan(SWITCHING_OFF, factors, Quirks())
        trace = plan.trace(20, 25)
        image, doubles, _ = plan.render(1, None, True)
        assert doubles is not None
        assert trace["pixel_value"] == doubles[25, 20]
        assert trace["pixel_float"] == image[25, 20]


@pytest.mark.parametrize("threads", [0, -1, 1025])
def test_thread_numbers_that_are_refused(threads: int) -> None:
    plan = Plan(CARRYOVER, CONSTANT, Quirks())
    with pytest.raises(ConfigError, match=rf"^threads: got {threads}, need 1 to 1024$"):
        plan.render(threads, None, False)
    with pytest.raises(ConfigError, match="threads"):
        plan.trace(0, 0, threads)


def test_progress_ends_with_all_rows() -> None:
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))

    Plan(CARRYOVER, CONSTANT, Quirks()).render(2, progress, False)
    assert seen[-1] == (29, 29)
    assert seen == sorted(seen)
    assert all(total == 29 for _, total in seen)


INTERPOLATED = ENDLESS.replace({"sampling.interpolate": True})
ENDLESS_SCAN = INTERPOLATED.replace(
    {"crystal.cell_angstrom": (5.0, 5.0, 5.0), "detector.distance_mm": 1000.0}
)
"""Indices that never leave the table keep the scan busy."""


@pytest.mark.parametrize("factors", [CONSTANT, TABLE], ids=["rendering", "scanning"])
def test_false_from_the_callback_stops(factors: StructureFactors) -> None:
    """Within a row: no row of this image ends while anybody waits."""
    calls: list[int] = []

    def progress(done: int, total: int) -> bool:
        calls.append(done)
        return len(calls) < 3

    experiment = ENDLESS_SCAN if factors is TABLE else INTERPOLATED
    with pytest.raises(RenderCancelled, match="callback"):
        Plan(experiment, factors, Quirks()).render(2, progress, False)
    assert calls == [0, 0, 0]


def test_false_from_the_callback_stops_what_waits_for_another_scan() -> None:
    """Nobody waits for good for a thread that scans the same plan."""
    plan = Plan(ENDLESS_SCAN, TABLE, Quirks())
    is_scanning, may_end = threading.Event(), threading.Event()
    stopped: list[str] = []

    def scan() -> None:
        def progress(done: int, total: int) -> bool:
            is_scanning.set()
            return not may_end.is_set()

        with pytest.raises(RenderCancelled):
            plan.render(1, progress, False)
        stopped.append("first")

    first = threading.Thread(target=scan)
    first.start()
    assert is_scanning.wait(60)
    calls: list[int] = []

    def wait_twice(done: int, total: int) -> bool:
        calls.append(done)
        return len(calls) < 3

    with pytest.raises(RenderCancelled, match="callback"):
        plan.render(1, wait_twice, False)
    assert (calls, stopped) == ([0, 0, 0], [])
    may_end.set()
    first.join()
    assert stopped == ["first"]


def test_a_callback_may_use_the_plan_that_it_hears_of() -> None:
    plan = Plan(SWITCHING_OFF, TABLE, Quirks())
    inner: list[bytes] = []

    def progress(done: int, total: int) -> None:
        if not inner:
            inner.append(b"")
            inner.append(plan.render(1, None, False)[0].tobytes())

    outer = plan.render(1, progress, False)[0].tobytes()
    assert inner == [b"", outer]


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has a GIL in any case"
)
def test_importing_the_extension_leaves_the_gil_off() -> None:
    code = "import sys, nanobragg_hybrid._core; print(sys._is_gil_enabled())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


ONE_ROW = ENDLESS.replace({"detector.n_slow": 1})


def test_false_from_the_callback_stops_within_the_only_row() -> None:
    calls: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> bool:
        calls.append((done, total))
        return len(calls) < 3

    with pytest.raises(RenderCancelled, match="callback"):
        Plan(ONE_ROW, CONSTANT, Quirks()).render(3, progress, False)
    assert calls == [(0, 1)] * 3


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (3, 3), (300, 300)])
def test_progress_counts_rows_whatever_threads_take(shape: tuple[int, int]) -> None:
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))

    experiment = CARRYOVER.replace({"detector.n_slow": shape[0], "detector.n_fast": shape[1]})
    Plan(experiment, CONSTANT, Quirks()).render(3, progress, False)
    assert seen[-1] == (shape[0], shape[0])
    assert seen == sorted(seen)
    assert all(0 <= done <= total == shape[0] for done, total in seen)


@pytest.mark.parametrize("answer", [None, True, 0, "", np.True_])
def test_other_answers_go_on(answer: object) -> None:
    def progress(done: int, total: int) -> object:
        return answer

    image = Plan(CARRYOVER, CONSTANT, Quirks()).render(1, progress, False)[0]
    assert image.shape == (29, 37)


def test_exceptions_of_the_callback_arrive() -> None:
    def progress(done: int, total: int) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        Plan(ENDLESS, CONSTANT, Quirks()).render(2, progress, False)
    with pytest.raises(KeyError, match="mine"):
        Plan(CARRYOVER, CONSTANT, Quirks()).render(2, progress, False)


@pytest.mark.parametrize("what", ["render", "one row", "trace"])
def test_ctrl_c_stops(what: str) -> None:
    experiment = ENDLESS.replace({"sampling.oversample": 1000 if what == "trace" else 30})
    if what == "one row":
        experiment = ONE_ROW
    plan = Plan(experiment, CONSTANT, Quirks())
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    work = {"trace": lambda: plan.trace(3, 4)}
    with ctrl_c_raises():
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            work.get(what, lambda: plan.render(2, None, False))()
        timer.join()


def test_random_state_copies_and_pickles() -> None:
    plan = Plan(CARRYOVER, CONSTANT, Quirks())
    state = plan.random_state()
    image = plan.render(1, None, False)[0]

    def noise(random_state: object) -> bytes:
        roi = (0, 36, 0, 28)
        return images.noise_image(image, roi, 40.0, random_state, 1)[0].tobytes()

    assert noise(pickle.loads(pickle.dumps(state))) == noise(state)
    assert noise(copy.deepcopy(state)) == noise(state)
    with pytest.raises(ValueError, match="state"):
        _core.Random.__new__(_core.Random).__setstate__(b"short")  # type: ignore[attr-defined]


def test_tables_of_the_plan() -> None:
    plan = Plan(CARRYOVER, CONSTANT, Quirks())
    info = plan.info()
    assert plan.phi().tolist() == [info["phi_rad"], info["phi_rad"] + info["phi_step_rad"]]
    assert plan.sources().tolist() == [[-1.0, 0.0, 0.0, 1.0, 1e-10]]
    matrices = plan.mosaic_matrices()
    assert matrices.shape == (3, 3, 3)
    assert np.array_equal(matrices[0], np.eye(3))
    np.testing.assert_allclose(matrices[2] @ matrices[2].T, np.eye(3), atol=1e-15)


def test_table_arguments() -> None:
    core = _core.Experiment()
    core.crystal.cell_length_angstrom = [50.0, 50.0, 50.0]
    core.crystal.cell_angle_rad = [1.5707963267948966] * 3
    for bad in (np.zeros((2, 2)), np.zeros((1, 0, 1))):
        with pytest.raises(_core.Error, match="structure_factors"):
            _core.Plan(core, bad, 0, 0, 0, 1.0)
    with pytest.raises(_core.Error, match=r"structure_factors\.k_max"):
        _core.Plan(core, np.zeros((1, 2, 1)), 0, 2**31 - 1, 0, 1.0)
    assert _core.Plan(core, np.zeros((1, 2, 1)), 0, 2**31 - 2, 0, 1.0).info()["steps"] == 1
    with pytest.raises(TypeError):
        _core.Plan(core, np.zeros((1, 1, 1), np.float32), 0, 0, 0, 1.0)  # type: ignore[arg-type]


def test_statistics_need_the_plans_shape() -> None:
    plan = Plan(CARRYOVER, CONSTANT, Quirks())
    image, _, omega_sum = plan.render(1, None, False)
    assert plan.statistics(image, omega_sum).max == image.max()
    with pytest.raises(ConfigError, match=r"^image: .*\(29, 37\)"):
        plan.statistics(np.zeros((29, 36), np.float32), omega_sum)
