"""What derivatives cost, as ratios to an image of the C backend in the same run.

usage: python benchmarks/gradient_cost.py [--small] [--memory] [--large] [--shot] [--pilatus FOLDER]
       python benchmarks/gradient_cost.py --torch-compile

One thread, the shortest CPU time of several runs that take turns.  W1 is a triclinic crystal with
10 phi steps and 10 domains on 512 x 512 pixels, W2 a cubic still on 1024 x 1024, the box 256 pixels
of a detector of 4096 x 4096.  A gradient is a forward and a backward pass with respect to 30
numbers: cell, orientation, mosaicity, rotation, detector, beam, default F.

--small: smaller images.  --memory: peak memory above what the imports take, each line in a fresh
process.  --large: 4096 x 4096 pixels and 1000 domains too, some minutes.  --pilatus: the folder of
a recorded command line (args.txt) whose gradient is taken too.  --shot: instead of all that, two
shots of a Gaussian crystal with 500 and 5000 steps a pixel, with and without a tolerance; of the
second one a strip of the image.  --torch-compile: nothing but the
eager kernel's hot function by torch.compile(dynamic=False), beside the function as it is and the
compiled kernel, for W1 on 64 x 64 pixels in one block of steps; it needs a C++ compiler and takes
some minutes.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch._dynamo.utils import counters

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel, Selection
from nanobragg_hybrid.engines.torch.eager import kernel as eager

NAMES = (
    "crystal.cell_angstrom",
    "crystal.cell_deg",
    "crystal.misset_deg",
    "crystal.rotation_vector_deg",
    "crystal.n_cells",
    "goniometer.phi_deg",
    "goniometer.osc_deg",
    "detector.rotation_deg",
    "detector.origin_m",
    "detector.twotheta_deg",
    "detector.pixel_size_mm",
    "crystal.mosaic_spread_deg",
    "beam.wavelength_angstrom",
    "beam.polarization_kahn",
    "beam.fluence_photons_per_m2",
    "structure_factors.default_f",
)
GRID = "structure_factors.grid"


def rotation(pixels: int, phi_steps: int = 10, domains: int = 10) -> nb.Experiment:
    """W1 for 512 pixels: a square of 51.2 mm."""
    return nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=1.0),
        crystal=nb.Crystal(
            cell_angstrom=(70, 80, 90),
            cell_deg=(75, 85, 95),
            misset_deg=(10, 20, 30),
            n_cells=(5, 5, 5),
            mosaic_spread_deg=0.5,
            mosaic_domains=domains,
        ),
        goniometer=nb.Goniometer(phi_deg=1.0, osc_deg=1.0, phi_steps=phi_steps),
        detector=nb.Detector(
            distance_mm=100, pixel_size_mm=51.2 / pixels, n_fast=pixels, n_slow=pixels
        ),
        sampling=nb.Sampling(oversample=1),
    )


def still(pixels: int) -> nb.Experiment:
    """W2 for 1024 pixels: a square of 102.4 mm."""
    return nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=1.0),
        crystal=nb.Crystal(cell_angstrom=(100, 100, 100), n_cells=(5, 5, 5)),
        detector=nb.Detector(
            distance_mm=100, pixel_size_mm=102.4 / pixels, n_fast=pixels, n_slow=pixels
        ),
        sampling=nb.Sampling(oversample=1),
    )


def constant_f() -> nb.StructureFactors:
    """100 electrons for every reflection."""
    return nb.StructureFactors.constant(100.0)


def table_f() -> nb.StructureFactors:
    """Some electrons for each reflection to 0.8 angstrom and beyond."""
    size = 2 * 60 + 1
    grid = np.random.default_rng(1).uniform(10.0, 100.0, (size, size, size))
    return nb.StructureFactors(grid=grid, hkl_min=(-60, -60, -60), default_f=0.0)


def values_of(model: ForwardModel, *, grid: bool = False) -> dict[str, torch.Tensor]:
    """Those of the 30 numbers that the model has, and its structure factors."""
    listed = {each.name for each in model.parameters()}
    names = [name for name in (*NAMES, *([GRID] if grid else [])) if name in listed]
    return {name: model.initial(name).requires_grad_() for name in names}


Task = Callable[[], object]


def cpu_seconds(tasks: dict[str, Task], repeats: int) -> dict[str, float]:
    """The shortest CPU time of each, all taking turns."""
    best = dict.fromkeys(tasks, float("inf"))
    for _ in range(repeats):
        for name, task in tasks.items():
            start = time.process_time()
            task()
            best[name] = min(best[name], time.process_time() - start)
    return best


def c_image(experiment: nb.Experiment, factors: nb.StructureFactors) -> Task:
    """An image of the C backend without set-up."""
    run = nb.CEngine().prepare(experiment, factors, nb.Quirks())
    return lambda: run.render(threads=1, progress=None, unrounded=False)


def forward(model: ForwardModel) -> Task:
    """A forward pass."""
    values = values_of(model)

    def task() -> None:
        with torch.no_grad():
            model(values)

    return task


def gradient(model: ForwardModel, *, grid: bool = False) -> Task:
    """A forward and a backward pass."""
    return lambda: model(values_of(model, grid=grid)).sum().backward()


def ratio_lines(
    label: str, experiment: nb.Experiment, factors: nb.StructureFactors, repeats: int
) -> None:
    """Forward and gradient in both kinds of numbers."""
    double = ForwardModel(experiment, factors)
    single = ForwardModel(experiment, factors, dtype="float32")
    has_table = factors.grid is not None
    tasks = {
        "C image": c_image(experiment, factors),
        "forward, float64": forward(double),
        "forward, float32": forward(single),
        "gradient, float64": gradient(double, grid=has_table),
        "gradient, float32": gradient(single, grid=has_table),
    }
    count = sum(value.numel() for value in values_of(double).values())
    steps = double.active_pixels.count * double.setup.choices.steps_per_pixel
    best = cpu_seconds(tasks, repeats)
    image = best.pop("C image")
    print(
        f"{label}: C image {1e9 * image / steps:.2f} ns per step; ratios to it for {count} numbers"
    )
    for name, seconds in best.items():
        print(f"  {name}: {seconds / image:.2f}", flush=True)


def eager_lines(experiment: nb.Experiment, repeats: int) -> None:
    """The eager kernel, which the compiled ones are compared with."""
    eager = ForwardModel(experiment, constant_f(), kernel="eager")
    tasks = {
        "C image": c_image(experiment, constant_f()),
        "forward, eager": forward(eager),
        "gradient, eager": gradient(eager),
    }
    best = cpu_seconds(tasks, repeats)
    image = best.pop("C image")
    for name, seconds in best.items():
        print(f"  {name}: {seconds / image:.1f}", flush=True)


def jacobian_line(experiment: nb.Experiment, repeats: int) -> None:
    """The whole Jacobian, and the normal equations."""
    model = ForwardModel(experiment, constant_f())
    values = {name: value.detach() for name, value in values_of(model).items()}
    names = tuple(values)
    data = model.pixels(values).detach()
    tasks = {
        "C image": c_image(experiment, constant_f()),
        "Jacobian": lambda: model.jacobian(values, names),
        "normal equations": lambda: model.normal_equations(values, names, data, data + 1.0),
    }
    best = cpu_seconds(tasks, repeats)
    image = best.pop("C image")
    for name, seconds in best.items():
        print(f"  {name}: {seconds / image:.2f}", flush=True)


def box_line(repeats: int) -> None:
    """256 pixels of a large detector, set up once."""
    model = ForwardModel(rotation(4096, 1, 1), constant_f())
    box = Selection.boxes([[1000, 1016, 1000, 1016]])
    values = values_of(model)

    def value() -> None:
        with torch.no_grad():
            model.pixels(values, box)

    tasks: dict[str, Task] = {
        "value": value,
        "gradient": lambda: model.pixels(values_of(model), box).sum().backward(),
    }
    best = cpu_seconds(tasks, 10 * repeats)
    print(
        f"256 pixels of 4096 x 4096: {1e3 * best['value']:.2f} ms, "
        f"with gradient {1e3 * best['gradient']:.2f} ms"
    )


def peak_bytes() -> int:
    """The most memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def measure(pixels: int, phi_steps: int, domains: int) -> int:
    """Bytes that a gradient needs beyond one over a single pixel; in a fresh process."""
    for size in (1, pixels):
        before = peak_bytes()
        gradient(ForwardModel(rotation(size, phi_steps, domains), constant_f()))()
    return peak_bytes() - before


def memory_line(pixels: int, phi_steps: int, domains: int) -> str:
    """Runs `measure` in a process of its own."""
    arguments = json.dumps([pixels, phi_steps, domains])
    command = [sys.executable, __file__, "--measure", arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    mebibytes = int(done.stdout) / 2**20
    return (
        f"{pixels} x {pixels}, {phi_steps} phi steps, {domains} domains: {mebibytes:.0f} MiB "
        f"({mebibytes * 2**20 / (8 * pixels * pixels):.1f} float64 images)"
    )


def pilatus_line(folder: Path, repeats: int) -> None:
    """A recorded command line."""
    arguments = (folder / "args.txt").read_text()
    experiment = nb.Experiment.from_nanobragg_args(arguments, folder)
    ratio_lines("Pilatus frame", experiment, nb.read_hkl(folder / "scaled.hkl"), repeats)


def gaussian_shot(pixels: int, wavelengths: int, domains: int, rows: int) -> nb.Experiment:
    """A bright shot of a protein crystal; rows: of the image's middle."""
    first = (pixels - rows) // 2
    return nb.Experiment(
        beam=nb.Beam(
            wavelength_angstrom=1.3,
            dispersion_percent=0.4,
            dispersion_steps=wavelengths,
            fluence_photons_per_m2=1e24,
        ),
        crystal=nb.Crystal(
            cell_angstrom=(79, 79, 38),
            misset_deg=(11, 22, 33),
            n_cells=(20, 20, 40),
            shape="gauss_hkl",
            mosaic_spread_deg=0.1,
            mosaic_domains=domains,
        ),
        detector=nb.Detector(distance_mm=120, pixel_size_mm=0.11, n_fast=pixels, n_slow=pixels),
        sampling=nb.Sampling(oversample=1, roi=(0, pixels - 1, first, first + rows - 1)),
    )


def shot_lines(label: str, experiment: nb.Experiment, repeats: int) -> None:
    """What a tolerance gives, and what it does to the gradient."""
    models = {
        tolerance: ForwardModel(experiment, constant_f(), tolerance_photons=tolerance)
        for tolerance in (0.0, 1e-4, 1e-2)
    }
    tasks: dict[str, Task] = {}
    for tolerance, model in models.items():
        tasks[f"forward, {tolerance:g} photons"] = forward(model)
        tasks[f"gradient, {tolerance:g} photons"] = gradient(model)
    best = cpu_seconds(tasks, repeats)
    model = models[0.0]
    steps = model.active_pixels.count * model.setup.choices.steps_per_pixel
    print(f"{label}: {steps / 1e6:.0f} M steps")
    for name, seconds in best.items():
        whole = best[f"{name.split(',')[0]}, 0 photons"]
        print(f"  {name}: {seconds:.3f} s, {whole / seconds:.1f} times as fast as with 0")
    found = {}
    for tolerance, own in models.items():
        values = values_of(own)
        own(values).square().sum().backward()
        found[tolerance] = {name: value.grad for name, value in values.items()}
    for tolerance in (1e-4, 1e-2):
        worst = max(
            float(torch.linalg.norm(found[tolerance][name] - every) / torch.linalg.norm(every))
            for name, every in found[0.0].items()
            if float(torch.linalg.norm(every)) > 0.0
        )
        print(f"  gradient of the squared image with {tolerance:g}: off by {worst:.1e} at most")


def torch_compile_lines(repeats: int) -> None:
    """`block_value` as it is and by torch.compile: ns per step, and how far the images differ."""
    experiment, factors = rotation(64), constant_f()
    model = ForwardModel(experiment, factors, kernel="eager", tile_steps=2**20)
    plain = eager.block_value
    compiled = torch.compile(plain, dynamic=False)
    steps = model.active_pixels.count * model.setup.choices.steps_per_pixel

    def by(function: Callable[..., object], task: Task) -> Task:
        def switched() -> object:
            eager.block_value = function
            try:
                return task()
            finally:
                eager.block_value = plain

        return switched

    tasks = {}
    for label, own, function in (
        ("compiled kernel", ForwardModel(experiment, factors), plain),
        ("eager kernel", model, plain),
        ("eager kernel by torch.compile", model, compiled),
    ):
        tasks[f"{label}, forward"] = by(function, forward(own))
        tasks[f"{label}, gradient"] = by(function, gradient(own))
    begin = time.perf_counter()
    cpu_seconds(tasks, 1)
    first = time.perf_counter() - begin
    print(f"W1 on 64 x 64 pixels, {steps} steps in one block; ns per step")
    for name, seconds in cpu_seconds(tasks, repeats).items():
        print(f"  {name}: {1e9 * seconds / steps:.1f}")
    with torch.no_grad():
        image = model()
        difference = by(compiled, lambda: float((model() - image).abs().max() / image.max()))()
    graphs = counters["stats"]["unique_graphs"]
    breaks = sum(counters["graph_break"].values())
    print(f"  {graphs} graphs, {breaks} breaks, {first:.0f} s for the first calls")
    print(f"  largest difference {difference:.1e} of the brightest pixel")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="smaller images")
    parser.add_argument("--memory", action="store_true", help="peak memory too")
    parser.add_argument("--large", action="store_true", help="the largest case too")
    parser.add_argument("--shot", action="store_true", help="shots with a tolerance, alone")
    parser.add_argument("--pilatus", type=Path, help="folder of the recorded command line")
    parser.add_argument("--torch-compile", action="store_true", help="torch.compile, alone")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.measure is not None:
        print(measure(*json.loads(options.measure)))
        return
    print(f"torch {torch.__version__}")
    repeats = 3 if options.small else 7
    if options.shot:
        shot_lines("G1", gaussian_shot(1024, 20, 25, 64 if options.small else 1024), 2)
        shot_lines("the shot", gaussian_shot(2400, 100, 50, 8 if options.small else 64), 2)
        return
    if options.torch_compile:
        torch_compile_lines(repeats)
        return
    if options.memory:
        # First, since a new process counts as its own the most that this one has had so far.
        pixels = 128 if options.small else 512
        for domains in (10, 1000 if options.small else 10000):
            print("memory:", memory_line(pixels, 10 if domains == 10 else 1, domains), flush=True)
        if options.large:
            print("memory:", memory_line(4096, 1, 1000), flush=True)
    first = rotation(128 if options.small else 512)
    ratio_lines("W1", first, constant_f(), repeats)
    eager_lines(first, 1)
    jacobian_line(first, repeats)
    ratio_lines("W1 with a table and all its structure factors", first, table_f(), repeats)
    second = still(256 if options.small else 1024)
    ratio_lines("W2", second, constant_f(), repeats)
    jacobian_line(second, repeats)
    box_line(repeats)
    if options.pilatus is not None:
        pilatus_line(options.pilatus, 3)


if __name__ == "__main__":
    main()
