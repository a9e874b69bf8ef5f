"""Compiles Triton's kernels as launches of a scene ask for them, for a GPU that is not there.

    python compile_only.py 80 gauss float64 1e-4 plain

The words are the compute capability, a shape, a number type, or "exact" for the sums with bounds, a
tolerance in photons, and whether the scene is plain or has every factor that rays and water may
have.  Each line has a kernel, the size of its machine code, and how many fused multiply-adds it
has: of float32, and for top hats, which have no sine or exponential, of float64, too.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import numpy as np
import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel, proven
from nanobragg_hybrid.engines.torch.fused.directions import Directions
from nanobragg_hybrid.engines.torch.fused.kernel import FusedPiece
from nanobragg_hybrid.engines.torch.on_triton import sum_launches
from nanobragg_hybrid.engines.torch.on_triton.kernel import TritonKernel
from nanobragg_hybrid.engines.torch.scenes.packing import NUMBERS, Packed, Template, tensors
from nanobragg_hybrid.engines.torch.scenes.tiles import Tile
from nanobragg_hybrid.engines.torch.values.packed_values import packed_and_tangents
from nanobragg_hybrid.engines.torch.values.recorded_setup import TurningTangent

capability, shape, precision = int(sys.argv[1]), sys.argv[2], sys.argv[3]
tolerance_photons, is_plain = float(sys.argv[4]), sys.argv[5] == "plain"
CPU = torch.device("cpu")


class NoDriver:
    """What a driver is asked for before a launch."""

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", capability, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, _: int | None = None) -> int:
        return 0

    def get_active_torch_device(self) -> torch.device:
        return CPU


run = JITFunction.run


def compiled_only(self, *args, grid, warmup, **options):  # type: ignore[no-untyped-def]
    """As a launch, without one."""
    del warmup
    kernel = run(self, *args, grid=grid, warmup=True, **options)
    types = ("f32", "f64") if shape == "tophat" else ("f32",)
    fused = sum(kernel.asm["ptx"].count(f"fma.rn.{name}") for name in types)
    sys.stdout.write(f"{self.fn.__name__} {len(kernel.asm['cubin'])} {fused}\n")
    return kernel


driver.set_active(NoDriver())
JITFunction.run = compiled_only
sum_launches._ON_CPU = sum_launches._ON_GPU

grid = torch.ones((5, 5, 5), dtype=torch.float64).numpy()
experiment = nb.Experiment(
    crystal=nb.Crystal(
        cell_angstrom=(35, 40, 45),
        n_cells=(4, 5, 3),
        shape=shape,
        mosaic_spread_deg=0.5,
        mosaic_domains=4,
    ),
    detector=nb.Detector(distance_mm=100, pixel_size_mm=1.3, n_fast=16, n_slow=16),
    sampling=nb.Sampling(oversample=2),
)
if not is_plain:
    experiment = experiment.replace(
        {
            "beam.sources": (nb.Source((-10.0, 0.1, 0.05)), nb.Source((-10.0, 0.2, 0.05), 2.0)),
            "crystal.water_um": 5.0,
            "detector.sensor_thickness_um": 300.0,
            "detector.sensor_attenuation_depth_um": 200.0,
            "detector.sensor_layers": 2,
            "sampling.dmin_angstrom": 3.0,
        }
    )
quirks = nb.Quirks() if is_plain else nb.Quirks.none()
model = ForwardModel(
    experiment, nb.StructureFactors.from_grid(grid, (-2, -2, -2), default_f=1.0), quirks
)
slow, fast = model.active_pixels.numbers(0, 256, CPU)
if precision == "exact":
    proven.intervals(model.scene(), model.setup.choices, Tile(slow, fast, 0))
    sys.exit()
kernel = TritonKernel.of(model.setup.choices, getattr(torch, precision), CPU, tolerance_photons)
packed, given = model._packed({})
template = Template(tuple(None for _ in given.constants), given.has_weights, given.hkl_min)
leaves = [None if x is None else x.requires_grad_() for x in tensors(packed)]
values = kernel.values(FusedPiece(slice(0, 256), slow, fast, False), Packed(*leaves), template)
with torch.no_grad():  # nothing is differentiated: a launch for pixels and rays, one for values
    kernel.values(FusedPiece(slice(0, 256), slow, fast, False), packed, given)
weights = torch.zeros_like(values, requires_grad=True)
leaves_given = [x for x in leaves if x is not None]
pulled = torch.autograd.grad(
    values, leaves_given, weights, create_graph=True, materialize_grads=True
)
torch.autograd.grad(pulled, weights, [torch.zeros_like(x) for x in pulled])
tangents = packed_and_tangents(model.setup, model._tables, {}, ())[2]
one = dataclasses.replace(
    tangents,
    numbers=np.ones((1, len(NUMBERS))),
    sources=np.ones((1, *packed.sources.shape)),
    reference_cell_tangents=np.ones((1, 9)),
    turning=(TurningTangent(0, np.ones(packed.cells.shape), None),),
)
piece = FusedPiece(slice(0, 256), slow, fast, False)
kernel.jacobian(piece, Packed(*leaves), template, Directions.of(one, CPU))
member = Packed(packed.numbers, packed.sources, packed.cells, None, packed.grid.detach())
every_step = dataclasses.replace(kernel, tolerance_photons=0.0)
both = every_step.together(piece, [member, member], template)
torch.autograd.grad(both.sum(), [packed.numbers, packed.cells])
