"""What derivatives cost: memory, and time against a forward pass.

usage: python benchmarks/gradient_cost.py [--device NAME] [--small]

Every figure is one forward and backward pass with respect to 30 numbers (cell, orientation,
mosaicity, rotation, detector, beam, default F).  Memory is measured in a fresh process for each
line: the largest resident size (on a GPU: the most that PyTorch allocated) less what a pass over a
single pixel needs.  --small: smaller images, for a quick look.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel

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


def model_of(pixels: int, phi_steps: int, domains: int, device: str) -> ForwardModel:
    """A triclinic crystal on a square detector of 100 mm; a still for no phi steps."""
    turning = {"osc_deg": 0.5, "phi_steps": phi_steps} if phi_steps else {}
    experiment = nb.Experiment(
        beam=nb.Beam(polarization_kahn=0.9),
        crystal=nb.Crystal(
            cell_angstrom=(70, 80, 90),
            cell_deg=(75, 85, 95),
            misset_deg=(10, 20, 30),
            n_cells=(5, 6, 7),
            mosaic_spread_deg=0.3,
            mosaic_domains=domains,
        ),
        goniometer=nb.Goniometer(phi_deg=1.0, **turning),
        detector=nb.Detector(pixel_size_mm=100 / pixels, n_fast=pixels, n_slow=pixels),
        sampling=nb.Sampling(oversample=1),
    )
    return ForwardModel(experiment, nb.StructureFactors.constant(100.0), device=device)


def values_of(model: ForwardModel) -> dict[str, torch.Tensor]:
    """Those of the 30 numbers that the model has."""
    listed = {each.name for each in model.parameters()}
    return {name: model.initial(name).requires_grad_() for name in NAMES if name in listed}


def step(model: ForwardModel) -> None:
    """One forward and backward pass."""
    model(values_of(model)).square().sum().backward()


def seconds(function: Callable[[], object], device: str, repeats: int) -> float:
    """The shortest of a few runs, after one that does not count."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        function()
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def ratio_line(pixels: int, device: str, repeats: int) -> str:
    """Forward, and forward and backward, of one image."""
    model = model_of(pixels, 2, 2, device)
    values = values_of(model)
    count = sum(value.numel() for value in values.values())

    def forward() -> None:
        with torch.no_grad():
            model(values)

    alone = seconds(forward, device, repeats)
    both = seconds(lambda: step(model), device, repeats)
    return (
        f"{pixels} x {pixels}, {count} numbers: forward {alone:.2f} s, "
        f"forward and backward {both:.2f} s, ratio {both / alone:.2f}"
    )


def peak_bytes(device: str) -> int:
    """The most memory that this process has had."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def measure(pixels: int, phi_steps: int, domains: int, device: str) -> int:
    """Bytes that a pass needs beyond one over a single pixel; in a fresh process."""
    step(model_of(1, phi_steps, domains, device))
    before = peak_bytes(device)
    step(model_of(pixels, phi_steps, domains, device))
    return peak_bytes(device) - before


def memory_line(pixels: int, phi_steps: int, domains: int, device: str) -> str:
    """Runs `measure` in a process of its own."""
    arguments = json.dumps([pixels, phi_steps, domains, device])
    command = [sys.executable, __file__, "--measure", arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    mebibytes = int(done.stdout) / 2**20
    what = f"{phi_steps} phi steps" if phi_steps else "still"
    images = mebibytes * 2**20 / (8 * pixels * pixels)
    return (
        f"{pixels} x {pixels}, {what}, {domains} domains: {mebibytes:.0f} MiB "
        f"({images:.1f} float64 images)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")
    parser.add_argument("--small", action="store_true", help="smaller images")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        print(measure(*json.loads(options.measure)))
        return
    device = options.device
    print(f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads")
    # First, since a new process counts as its own the most that this one has had so far.
    pixels = 64 if options.small else 256
    for phi_steps, domains in ((10, 2), (100, 2), (2, 10), (2, 100)):
        print("memory:", memory_line(pixels, phi_steps, domains, device), flush=True)
    print("memory:", memory_line(512 if options.small else 4096, 0, 2, device), flush=True)
    print("time:", ratio_line(128 if options.small else 512, device, 3))


if __name__ == "__main__":
    main()
