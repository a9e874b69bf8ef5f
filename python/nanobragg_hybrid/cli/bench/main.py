"""`nanobragg-hybrid bench`: how fast this machine renders.

Figures are CPU seconds of one thread where one thread renders, and wall seconds where threads are
compared.  Kernels take turns, so that another program's load hits all of them.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.base.host import usable_cores
from nanobragg_hybrid.cli.bench.whole_process import compare
from nanobragg_hybrid.cli.bench.workloads import Workload, series, shots, workloads
from nanobragg_hybrid.engines.c.libnbh import available_kernels, build_info
from nanobragg_hybrid.engines.c.plan import Plan
from nanobragg_hybrid.model.conventions import Culling, Kernel
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.response import PointSpread, Response
from nanobragg_hybrid.run.read_out import Chain
from nanobragg_hybrid.run.versions import processor_name

Clock = Callable[[], float]

_SHARE_PIXELS: Final = 256
_SHORTEST_S: Final = 0.02
_MOST_REPEATS: Final = 1000

TOLERANCES: Final = (1e-4, 1e-2)
"""Photons, of images that leave out more than what changes no bit."""


def bench(
    *,
    quick: bool,
    runs: int,
    say: Callable[[str], None],
    reference: Path | None = None,
    cpu_clock: Clock = time.process_time,
    wall_clock: Clock = time.perf_counter,
) -> dict[str, Any]:
    """Measures everything and gives the figures, as docs/speed.md describes them.

    `say` gets the lines of the table as they become known.  `reference`: an executable to compare
    whole runs of the command with.
    """
    processor, cores, kernels = processor_name(), usable_cores(), available_kernels()
    say(f"{processor}, {cores} usable cores, kernels {', '.join(kernels)}")
    chosen = workloads(quick=quick)
    return {
        "format": "nanobragg-hybrid bench",
        "schema_version": 1,
        "version": __version__,
        "machine": {
            "processor": processor,
            "usable_cores": cores,
            "kernels": list(kernels),
            "libnbh": build_info(),
        },
        "quick": quick,
        "runs": runs,
        "kernels": kernel_figures(chosen, runs, say, cpu_clock),
        "threads": thread_figures(
            [w for w in chosen if w.long], cores, runs, say, wall_clock, cpu_clock
        ),
        "culling": culling_figures(shots(quick=quick), runs, say, cpu_clock),
        "series": series_figures(quick, runs, say, cpu_clock),
        "response": response_figures(quick, runs, say, cpu_clock),
        "reference": [] if reference is None else compare(reference, quick, runs, say),
    }


def kernel_figures(
    chosen: Sequence[Workload],
    runs: int,
    say: Callable[[str], None],
    clock: Clock = time.process_time,
) -> list[dict[str, Any]]:
    """One thread: ns per step of every kernel, and the share of pixels left to the exact one."""
    names = available_kernels()
    say("\none thread, ns per step (-: that kernel leaves the workload to the exact one)")
    say(f"{'workload':32}" + "".join(f"{name:>10}" for name in names) + f"{'redone':>10}")
    figures = []
    for workload in chosen:
        plans = {name: _plan(workload, name) for name in names}
        used = {name: plan.resolved().kernel for name, plan in plans.items()}
        covered = [name for name in names if used[name] == name]
        steps = _steps(plans["exact"])
        times = _alternate({name: plans[name] for name in covered}, runs, clock)
        ns = {name: statistics.median(each) / steps * 1e9 for name, each in times.items()}
        fraction = fraction_redone(workload)
        columns = "".join(f"{ns[name]:10.2f}" if name in ns else f"{'-':>10}" for name in names)
        say(f"{workload.name:32}{columns}{fraction:10.1e}")
        figures.append(
            {
                "workload": workload.name,
                "steps": steps,
                "kernel_chosen": _plan(workload, "auto").resolved().kernel,
                "ns_per_step": ns,
                "spread": {name: _spread(each) for name, each in times.items()},
                "share_redone": fraction,
            }
        )
    return figures


def thread_figures(
    chosen: Sequence[Workload],
    cores: int,
    runs: int,
    say: Callable[[str], None],
    wall_clock: Clock = time.perf_counter,
    cpu_clock: Clock = time.process_time,
) -> list[dict[str, Any]]:
    """Wall and CPU seconds with 1, 2, 4... threads up to the usable cores."""
    counts = [1]
    while counts[-1] * 2 <= cores:
        counts.append(counts[-1] * 2)
    if counts[-1] != cores:
        counts.append(cores)
    say("\nseconds by threads (times faster than one), and the CPU seconds of all threads together")
    say(f"{'workload':32}" + "".join(f"{count:>16}" for count in counts))
    figures = []
    for workload in chosen:
        plan = _plan(workload, "auto")
        times: dict[int, list[float]] = {count: [] for count in counts}
        cpu: dict[int, list[float]] = {count: [] for count in counts}
        for _ in range(runs):
            for count in counts:
                cpu_start = cpu_clock()
                times[count].append(_seconds(plan, count, wall_clock))
                cpu[count].append(cpu_clock() - cpu_start)
        medians = {count: statistics.median(each) for count, each in times.items()}
        cpu_medians = {count: statistics.median(each) for count, each in cpu.items()}
        columns = [f"{s:8.3f} ({medians[1] / s:4.2f})" for s in medians.values()]
        say(f"{workload.name:32}" + "".join(f"{column:>16}" for column in columns))
        columns = [f"{s:8.3f} CPU  " for s in cpu_medians.values()]
        say(" " * 32 + "".join(f"{column:>16}" for column in columns))
        figures += [
            {
                "workload": workload.name,
                "threads": count,
                "seconds": medians[count],
                "cpu_seconds": cpu_medians[count],
                "spread": _spread(times[count]),
                "times_faster": medians[1] / medians[count],
            }
            for count in counts
        ]
    return figures


def culling_figures(
    chosen: Sequence[Workload], runs: int, say: Callable[[str], None], clock: Clock
) -> list[dict[str, Any]]:
    """One thread, the kernel chosen: ns per step of the image, visiting every step (not of what is
    long), those with light, and those with light that a tolerance notices; and the shares visited.
    """
    say("\none thread, ns per step of the image (share of the steps visited), by what is left out")
    ways: dict[str, tuple[Culling, float]] = {"nothing": ("off", 0.0), "no bit": ("auto", 0.0)}
    ways |= {f"{tolerance:g} photons": ("auto", tolerance) for tolerance in TOLERANCES}
    say(f"{'workload':32}" + "".join(f"{name:>16}" for name in ways))
    figures = []
    for workload in chosen:
        plans = {
            name: Plan(workload.experiment, workload.structure_factors, Quirks(), "auto", *asked)
            for name, asked in ways.items()
            if not (workload.long and name == "nothing")
        }
        steps = _steps(next(iter(plans.values())))
        times = _alternate(plans, 1 if workload.long else runs, clock)
        ns = {name: statistics.median(each) / steps * 1e9 for name, each in times.items()}
        shares = {
            name: plan.render_buffers(1, None, False)[3] / steps for name, plan in plans.items()
        }
        columns = {name: f"{ns[name]:8.3f} ({shares[name]:.3f})" for name in ns}
        say(f"{workload.name:32}" + "".join(f"{columns.get(name, '-'):>16}" for name in ways))
        figures.append(
            {
                "workload": workload.name,
                "steps": steps,
                "ns_per_step": ns,
                "spread": {name: _spread(each) for name, each in times.items()},
                "share_visited": shares,
            }
        )
    return figures


def series_figures(
    quick: bool, runs: int, say: Callable[[str], None], clock: Clock
) -> list[dict[str, Any]]:
    """One thread, the kernel chosen: ns per step while one number grows."""
    figures = []
    for name, members in series(quick=quick).items():
        say(f"\none thread, ns per step, by {name}")
        for number, workload in members:
            plan = _plan(workload, "auto")
            steps = _steps(plan)
            times = _alternate({"auto": plan}, runs, clock)["auto"]
            ns = statistics.median(times) / steps * 1e9
            say(f"{number:10d} {ns:12.2f}")
            figures.append({"series": name, "number": number, "steps": steps, "ns_per_step": ns})
    return figures


def response_figures(
    quick: bool, runs: int, say: Callable[[str], None], clock: Clock
) -> list[dict[str, Any]]:
    """One thread: ms from a megapixel of photons to counts, by what the response has."""
    edge = 256 if quick else 1024
    photons = np.random.default_rng(0).gamma(2.0, 10.0, (edge, edge)).astype(np.float32)
    noise = Response(
        gain=1.8,
        gain_error=0.03,
        flicker=0.1,
        frame_gain_error=0.01,
        read_noise=3.0,
        pedestal=40.0,
        dead_fraction=0.001,
        count_type="uint16",
    )
    cases = {
        "shot noise": Response(),
        "all noise": noise,
        "all noise and point spread": dataclasses.replace(
            noise, point_spread=PointSpread(fibre_radius_um=27.0)
        ),
    }
    say(f"\none thread, ms for a frame of {edge} x {edge} pixels, background and image given")
    figures = []
    for name, response in cases.items():
        chain = Chain(response, photons.shape, 100.0, None)
        times = []
        for frame in range(runs + 1):
            start = clock()
            chain.counts(chain.expected(photons, None), frame)
            times.append(clock() - start)
        ms = statistics.median(times[1:]) * 1e3  # the first one also makes the map of gains
        say(f"{name:32}{ms:10.1f}")
        figures.append({"response": name, "pixels": edge * edge, "ms": ms})
    return figures


def fraction_redone(workload: Workload) -> float:
    """The share of pixels that the kernel chosen leaves to the exact one, of those in the middle of
    the image."""
    detector = workload.experiment.detector
    n_slow, n_fast = detector.shape
    half = _SHARE_PIXELS // 2
    fast = slice(max(0, n_fast // 2 - half), min(n_fast, n_fast // 2 + half))
    slow = slice(max(0, n_slow // 2 - half), min(n_slow, n_slow // 2 + half))
    region = (fast.start, fast.stop - 1, slow.start, slow.stop - 1)
    plan = _plan(
        workload._replace(experiment=workload.experiment.replace({"sampling.roi": region})), "auto"
    )
    if plan.resolved().kernel == "exact":
        return 1.0
    low, high = (bound[slow, fast].astype(np.float32) for bound in plan.intervals())
    return float(np.mean(~(low == high)))


def _plan(workload: Workload, kernel: Kernel) -> Plan:
    return Plan(workload.experiment, workload.structure_factors, Quirks(), kernel)


def _steps(plan: Plan) -> int:
    chosen = plan.resolved()
    return chosen.n_fast * chosen.n_slow * chosen.steps * chosen.sensor_layers


def _alternate(plans: dict[str, Plan], runs: int, clock: Clock) -> dict[str, list[float]]:
    """Seconds of `runs` renderings by each plan in turn, with one thread.  Short ones are repeated
    until they take long enough for the clock."""
    repeats = {}
    for name, plan in plans.items():
        seconds = max(_seconds(plan, 1, clock), _SHORTEST_S / _MOST_REPEATS)
        repeats[name] = max(1, round(_SHORTEST_S / seconds))
    times: dict[str, list[float]] = {name: [] for name in plans}
    for _ in range(runs):
        for name, plan in plans.items():
            times[name].append(_seconds(plan, 1, clock, repeats[name]))
    return times


def _seconds(plan: Plan, threads: int, clock: Clock, repeats: int = 1) -> float:
    start = clock()
    for _ in range(repeats):
        plan.render(threads, None, False)
    return (clock() - start) / repeats


def _spread(times: Sequence[float]) -> float:
    """Largest minus smallest, as a fraction of the median."""
    return (max(times) - min(times)) / statistics.median(times)
