"""What the torch engine's GPU kernels cost, and whether they are right, on the machine at hand.

usage: python benchmarks/gpu/measure.py --check [--shape NAME]
       python benchmarks/gpu/measure.py [--shot] [--pilatus FOLDER] [--out FOLDER]
       TRITON_INTERPRET=1 python benchmarks/gpu/measure.py --check --device cpu

--check: values, gradients and tangents of every shape against the compiled kernels of the CPU, the
same bits twice, no large tensor on the CPU while a GPU renders, and how many pixels have the C
engine's bytes; the exit status is 1 where one of them is not as it should be.  Seconds on a GPU; on
the CPU it takes Triton's interpreter and smaller images.

Without it: seconds of a call, the middle of seven after two that are not counted, and the largest
memory, in a table NAME.csv with the device, its driver and clock, PyTorch and Triton.  W1 is a
triclinic crystal with 10 phi steps and 10 domains on 512 x 512 pixels, a still is cubic, 1024 x
1024; "fixed" is an image of 8 x 8 pixels with one step each; a batch is eight orientations of the
still.  A gradient is a forward and a backward pass with respect to cell, orientation, distance and
beam.  --shot: 2400 x 2400 pixels with 100 wavelengths and 50 domains, 28.8e9 steps.  --pilatus: the
folder of a recorded command line (args.txt).
"""

from __future__ import annotations

import argparse
import csv
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel

NAMES = (
    "crystal.cell_angstrom",
    "crystal.misset_deg",
    "detector.distance_mm",
    "beam.wavelength_angstrom",
)
SHAPES = ("square", "round", "gauss", "tophat", "gauss_hkl", "tophat_hkl")
LIMITS = {"float64": (1e-13, 1e-11), "float32": (1e-5, 1e-4)}
"""Relative distances in L2 of values and of derivatives."""
MOST_ON_CPU = 65536
COLUMNS = (
    *("device", "driver", "clock_mhz", "torch", "triton"),
    *("quantity", "dtype", "steps", "seconds", "ns_per_step", "peak_mib"),
)

Scene = tuple[nb.Experiment, nb.StructureFactors]


def crystal(pixels: int, *, phi_steps: int = 1, domains: int = 1, **changes: object) -> Scene:
    """A triclinic crystal on a square of 51.2 mm."""
    experiment = nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=1.0),
        crystal=nb.Crystal(
            cell_angstrom=(70, 80, 90),
            cell_deg=(75, 85, 95),
            misset_deg=(10, 20, 30),
            n_cells=(5, 5, 5),
            mosaic_spread_deg=0.5 if domains > 1 else 0.0,
            mosaic_domains=domains,
        ),
        # No step at phi = 0, which would make one pixel another's.
        goniometer=nb.Goniometer(phi_deg=1.0, osc_deg=1.0, phi_steps=phi_steps),
        detector=nb.Detector(
            distance_mm=100, pixel_size_mm=51.2 / pixels, n_fast=pixels, n_slow=pixels
        ),
        sampling=nb.Sampling(oversample=1),
    )
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return experiment.replace(named), nb.StructureFactors.constant(100.0)


def with_table(scene: Scene) -> Scene:
    """The same with structure factors of reflections."""
    grid = np.random.default_rng(0).uniform(10.0, 200.0, (61, 61, 61))
    return scene[0], nb.StructureFactors.from_grid(grid, (-30, -30, -30), default_f=7.0)


def shot() -> Scene:
    """28.8e9 steps of a Gaussian crystal."""
    return with_table(
        crystal(
            2400,
            domains=50,
            crystal__shape="gauss",
            beam__dispersion_percent=1.0,
            beam__dispersion_steps=100,
        )
    )


def gradient(model: ForwardModel, weight: torch.Tensor | None = None) -> list[torch.Tensor]:
    """Of a weighted sum of pixels, by those of `NAMES` that the model has."""
    listed = {parameter.name for parameter in model.parameters()}
    values = {name: model.initial(name).requires_grad_() for name in NAMES if name in listed}
    image = model(values)
    (image if weight is None else image * weight).sum().backward()
    return [value.grad for value in values.values()]


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Relative, in L2; all tophat spots have derivatives of 0."""
    size, off = float(expected.norm()), float((found.cpu().double() - expected).norm())
    return off / size if size > 0.0 else off


# ---- whether it is right


def checks(device: str, shapes: Sequence[str]) -> Iterator[tuple[str, float, float]]:
    """What was compared, how far it is off, and how far it may be."""
    pixels = 12 if device == "cpu" else 256
    for shape in shapes:
        scene = with_table(crystal(pixels, domains=2, crystal__shape=shape))
        reference = ForwardModel(*scene, kernel="compiled")
        expected = reference().double()
        weight = torch.linspace(0.5, 1.5, expected.numel(), dtype=torch.float64)
        weight = weight.reshape(expected.shape)
        slopes = gradient(reference, weight)
        _, rows = reference.jacobian({}, NAMES[:2])
        for dtype, (of_values, of_slopes) in LIMITS.items():
            model = ForwardModel(*scene, dtype=dtype, device=device, kernel="triton")
            what = f"{shape} {dtype}"
            yield f"{what}: values", distance(model(), expected), of_values
            on_device = weight.to(device)
            own = gradient(model, on_device)
            for name, one, other in zip(NAMES, own, slopes, strict=True):
                yield f"{what}: by {name}", distance(one, other), of_slopes
            found = model.jacobian({}, NAMES[:2])[1]
            yield f"{what}: Jacobian", distance(found, rows), 10.0 * of_slopes
            again = [model(), *gradient(model, on_device)]
            differ = sum(not torch.equal(a, b) for a, b in zip(again, [model(), *own], strict=True))
            yield f"{what}: tensors that differ when done again", float(differ), 0.0
    largest = largest_on_cpu(device) if device != "cpu" else 0
    yield "elements of the largest tensor on the CPU", float(largest), float(MOST_ON_CPU)


def largest_on_cpu(device: str) -> int:
    """While a GPU renders an image with a gradient."""
    sizes = [0]

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            del types
            result = function(*args, **(kwargs or {}))
            for found in torch.utils._pytree.tree_leaves((args, kwargs, result)):
                if isinstance(found, torch.Tensor) and found.device.type == "cpu":
                    sizes.append(found.numel())
            return result

    model = ForwardModel(*crystal(512), device=device, kernel="triton")
    with Watch():
        gradient(model)
    return max(sizes)


def same_bytes(device: str) -> tuple[int, int]:
    """Pixels that have the C engine's bits after rounding to float32, and all."""
    scene = with_table(crystal(12 if device == "cpu" else 512))
    expected = nb.simulate(*scene).image
    found = ForwardModel(*scene, device=device, kernel="triton")().float().cpu().numpy()
    return int((found.view(np.uint32) == expected.view(np.uint32)).sum()), expected.size


def check(device: str, shapes: Sequence[str]) -> int:
    """Prints what was compared; the exit status."""
    failed = 0
    for what, off, limit in checks(device, shapes):
        is_fine = off <= limit
        failed += not is_fine
        print(f"{'ok    ' if is_fine else 'WRONG '} {what}: {off:.2g} (limit {limit:.2g})")
    equal, every = same_bytes(device)
    print(f"       pixels with the C engine's bytes: {equal} of {every} (not promised)")
    print(f"{failed} wrong")
    return 1 if failed else 0


# ---- what it costs


def device_facts(device: str) -> dict[str, str]:
    """The device, its driver and clock, and the libraries."""
    try:
        import triton
    except ImportError:
        version = "none"
    else:
        version = triton.__version__
    facts = {"device": device, "driver": "", "clock_mhz": "", "torch": torch.__version__}
    facts["triton"] = version
    if device.startswith("cuda"):
        facts["device"] = torch.cuda.get_device_name(device)
        if shutil.which("nvidia-smi"):
            query = ["nvidia-smi", "--query-gpu=driver_version,clocks.sm", "--format=csv,noheader"]
            asked = subprocess.run(query, capture_output=True, text=True, check=False).stdout
            number = torch.device(device).index or 0
            driver, _, clock = asked.splitlines()[number].partition(", ")
            facts["driver"], facts["clock_mhz"] = driver, clock.removesuffix(" MHz")
    return facts


def seconds_of(work: Callable[[], object], device: str, repeats: int = 7) -> float:
    """The middle one of several calls, each waited for."""

    def wait() -> None:
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)

    found = []
    for n in range(repeats + 2):
        wait()
        before = time.perf_counter()
        work()
        wait()
        if n >= 2:
            found.append(time.perf_counter() - before)
    return statistics.median(found)


def workloads(args: argparse.Namespace) -> Iterator[tuple[str, Scene]]:
    """Names and scenes."""
    if args.device == "cpu":  # the interpreter's seconds mean nothing: it is the script that is run
        yield "fixed", crystal(8)
        return
    yield "fixed", crystal(8)
    yield "still 1024", crystal(1024)
    yield "W1", crystal(512, phi_steps=10, domains=10)
    yield "W1 gauss", crystal(512, phi_steps=10, domains=10, crystal__shape="gauss")
    yield "W1 with a table", with_table(crystal(512, phi_steps=10, domains=10))
    if args.shot:
        yield "shot", shot()
    if args.pilatus is not None:
        yield "Pilatus frame", pilatus(args.pilatus)


def pilatus(folder: Path) -> Scene:
    """The experiment of a recorded command line."""
    arguments = (folder / "args.txt").read_text()
    experiment = nb.Experiment.from_nanobragg_args(arguments, folder)
    return experiment, nb.read_hkl(folder / "scaled.hkl")


def rows(args: argparse.Namespace) -> Iterator[dict[str, object]]:
    """One for each workload, number type and kind of call."""
    facts = device_facts(args.device)
    repeats = 1 if args.device == "cpu" else 7
    for name, scene in workloads(args):
        for dtype in LIMITS:
            model = ForwardModel(*scene, dtype=dtype, device=args.device, kernel="triton")
            steps = model.active_pixels.count * model.setup.choices.steps_per_pixel
            angles = model.initial("crystal.misset_deg") + torch.zeros((8, 1), device=args.device)
            calls: dict[str, Callable[[], object]] = {
                "forward": model,
                "gradient": lambda model=model: gradient(model),
            }
            if name == "still 1024":
                calls["batch of 8"] = lambda m=model, a=angles: m({"crystal.misset_deg": a})
            for kind, work in calls.items():
                if args.device.startswith("cuda"):
                    torch.cuda.reset_peak_memory_stats(args.device)
                seconds = seconds_of(work, args.device, repeats)
                peak = 0.0
                if args.device.startswith("cuda"):
                    peak = torch.cuda.max_memory_allocated(args.device) / 2**20
                every = steps * (8 if kind.startswith("batch") else 1)
                yield {
                    **facts,
                    "quantity": f"{name} {kind}",
                    "dtype": dtype,
                    "steps": every,
                    "seconds": f"{seconds:.6f}",
                    "ns_per_step": f"{1e9 * seconds / every:.5f}",
                    "peak_mib": f"{peak:.0f}",
                }


def measure(args: argparse.Namespace) -> int:
    """Writes and prints the table; the exit status."""
    facts = device_facts(args.device)
    name = "_".join(facts["device"].split())
    target = args.out / f"{name}.csv"
    args.out.mkdir(parents=True, exist_ok=True)
    with target.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for row in rows(args):
            writer.writerow(row)
            print(*(f"{row[x]}" for x in COLUMNS[5:]), sep="  ", flush=True)
    print(f"written to {target}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shape", choices=SHAPES, help="check no other")
    parser.add_argument("--shot", action="store_true")
    parser.add_argument("--pilatus", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    if not args.check:
        return measure(args)
    return check(args.device, SHAPES if args.shape is None else [args.shape])


if __name__ == "__main__":
    sys.exit(main())
