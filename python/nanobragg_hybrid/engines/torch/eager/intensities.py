"""The hot primitive: scattering vectors and cells to a sum of intensities (model 6.3 to 6.8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.arithmetic.derivatives import FractionalIndices, SquaredProduct
from nanobragg_hybrid.engines.torch.arithmetic.interference import sincg, sincg_squared
from nanobragg_hybrid.engines.torch.arithmetic.scalars import Scalar, applied, as_float
from nanobragg_hybrid.engines.torch.arithmetic.shapes import (
    SpotShape,
    is_all_or_nothing,
    is_in_reciprocal_lengths,
    spot_amplitude,
)
from nanobragg_hybrid.engines.torch.arithmetic.vectors import Vector, as_tensor, dot
from nanobragg_hybrid.engines.torch.eager.factors import (
    background,
    pixel_factors,
    ray_factor,
    solid_angle,
    step_weight,
    water,
)
from nanobragg_hybrid.engines.torch.eager.rays import (
    Beams,
    Rays,
    beams_to,
    first_beams,
    rays_of,
)
from nanobragg_hybrid.engines.torch.scenes.scene import Cells, Choices, Scene, skips_zero
from nanobragg_hybrid.engines.torch.scenes.structure_factors import leaves_table, nearest, tricubic
from nanobragg_hybrid.engines.torch.scenes.tiles import Block, Tile, grown
from nanobragg_hybrid.engines.torch.scenes.transfers import constants_on

Indices = tuple[Tensor, Tensor, Tensor]
"""h, k, l."""


@dataclass(frozen=True, slots=True)
class Steps:
    """What the steps of a block are made of: model 6.2 to 6.5.

    beams, first: to the block's samples, and to the pixels' first sample.  cells: the cell vectors.
    hkl, whole: fractional indices and the nearest whole ones.  f: structure factor.  terms: F^2
    times the square of the lattice factor and the domain's weight, float64.  is_skipped: which of
    them do not count, not even in a running product, and are 0: cut by dmin, or with a lattice
    factor of 0 (model 6.5); None: none.  The shapes are (pixels, samples, sources, orientations),
    or broadcast to that.
    """

    beams: Beams
    first: Beams
    rays: Rays
    cells: Cells
    hkl: Indices
    whole: Indices
    f: Scalar
    terms: Tensor
    is_skipped: Tensor | None


def steps_of(scene: Scene, choices: Choices, tile: Tile, block: Block, dtype: torch.dtype) -> Steps:
    """Evaluates the steps of a block; dtype: of what is no phase."""
    beams = beams_to(scene, choices, tile, block.samples)
    is_first = block.samples.start == 0
    first = beams.first() if is_first else first_beams(scene, choices, tile)
    rays = rays_of(scene, choices, beams, block.sources)
    cells = cells_of(scene, choices, tile, block)
    hkl = fractional_indices(cells, rays.q)
    whole = nearest_indices(hkl)
    f = structure_factor(scene, choices, tile, block, hkl, whole)
    terms, is_zero = _terms(scene, choices, hkl, whole, f, dtype)
    if choices.domain_weights is not None:
        terms = terms * _orientation_weights(choices, choices.domain_weights, block, terms.device)
    is_skipped = None if rays.is_cut is None else rays.is_cut.unsqueeze(-1)
    if is_zero is not None:
        is_skipped = is_zero if is_skipped is None else is_skipped | is_zero
    if is_skipped is not None:
        terms = torch.where(is_skipped, 0.0, terms)
    return Steps(beams, first, rays, cells, hkl, whole, f, terms, is_skipped)


def _orientation_weights(
    choices: Choices, weights: tuple[float, ...], block: Block, device: torch.device
) -> Tensor:
    """Those of the domains, for each of the block's orientations."""
    own = constants_on(device, weights)
    first, last = block.orientations.start, block.orientations.stop
    return own[torch.arange(first, last, device=device) % choices.domains]


def block_value(
    scene: Scene, choices: Choices, tile: Tile, block: Block, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """What a block of steps adds to the pixels' values (model 6.8), float64, shape (pixels,).

    The second tensor is what it multiplies the sum of the blocks before it with, as two factors of
    shape (pixels,), see `grown`; 1 but for the running product of model 6.5.  The first block
    brings the background with it, or the last one the water (quirk water_background on or off).
    """
    value, _, product = block_value_and_sum(scene, choices, tile, block, dtype)
    return value, product


def block_value_and_sum(
    scene: Scene, choices: Choices, tile: Tile, block: Block, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """The same, with what the block adds to the sum before scaling between the two (model 6.5)."""
    steps = steps_of(scene, choices, tile, block, dtype)
    total, product = _sum(scene, choices, tile, block, steps)
    value = scene.strength * total / choices.steps
    for factor in pixel_factors(scene, choices, tile, steps.first):
        value = value * factor
    if _is_last(choices, block):
        value = value + water(scene, choices, tile, steps.first)
    return value, total, product


def _sum(
    scene: Scene, choices: Choices, tile: Tile, block: Block, steps: Steps
) -> tuple[Tensor, Tensor]:
    terms = steps.terms
    is_first = block.samples.start == block.sources.start == block.orientations.start == 0
    start: Scalar = background(scene, choices, tile, steps.first) if is_first else 0.0
    weight = step_weight(scene, choices, steps.beams, block.sources)
    factor = ray_factor(scene, choices, tile, block, steps.beams, steps.first)
    product = torch.ones((2, 1), dtype=torch.float64, device=tile.fast.device)
    if choices.running_product and weight is not None:
        own = terms if factor is None else terms * factor.unsqueeze(-1)
        total, product = _running_sum(own, weight.expand(terms.shape[:3]), steps.is_skipped)
        start = grown(torch.as_tensor(start, dtype=torch.float64, device=terms.device), product)
    elif weight is None and factor is None:
        total = terms.sum(dim=(1, 2, 3))
    else:
        ray_sums = terms.sum(-1)
        is_dark = None if steps.is_skipped is None else steps.is_skipped.all(-1)
        for each in (factor, weight):
            if each is not None:
                # Of a ray without a step nobody asks for factors, which may be infinite.
                own = each if is_dark is None else torch.where(is_dark, 1.0, each)
                ray_sums = ray_sums * own
        total = ray_sums.sum(dim=(1, 2))
    return start + total, product


def _is_last(choices: Choices, block: Block) -> bool:
    """Whether a pixel's last step is in a block."""
    return (block.samples.stop, block.sources.stop, block.orientations.stop) == (
        choices.samples,
        choices.source_count,
        choices.orientations,
    )


def fractional_indices(cells: Cells, q: Vector) -> Indices:
    """h, k, l: cell vectors (orientations,) and q (pixels, samples, sources) to all of these."""
    if as_tensor(cells.a[0]).dim() > 1:
        qx, qy, qz = (as_tensor(component).unsqueeze(-1) for component in q)
        h, k, l = (as_tensor(dot(vector, (qx, qy, qz))) for vector in (cells.a, cells.b, cells.c))
        return h, k, l
    indices: Indices = applied(FractionalIndices, *cells.a, *cells.b, *cells.c, *q)
    return indices


def _terms(
    scene: Scene,
    choices: Choices,
    hkl: Indices,
    whole: Indices,
    f: Scalar,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor | None]:
    """F^2 times the square of the lattice factor (model 6.5), float64, and `zero_factors`.

    The product is the model's, F*F*latt*latt: the square of a lattice factor may be too small for a
    double, and that of a structure factor too large, where their product is neither.
    """
    counts = _at_least_one(scene)
    match choices.shape:
        case "square":
            # Between 1e-96 and the square of the number of cells: no sine is 0.
            intensity = torch.ones((), dtype=torch.float64, device=hkl[0].device)
            for x, x0, n in zip(hkl, whole, counts, strict=True):
                if isinstance(n, Tensor) or n > 1.0:
                    # a number does not make a tensor float64
                    intensity = intensity * sincg_squared(x, x0, n, dtype).to(torch.float64)
            return (intensity * (f * f)).expand(hkl[0].shape), None
        case "round" | "gauss" | "tophat" | "gauss_hkl" | "tophat_hkl" as shape:
            amplitude = _amplitude(scene, shape, hkl, whole, counts, dtype)
            terms: Tensor = applied(SquaredProduct, f, amplitude)
            if choices.running_product and dtype != torch.float64:
                return terms, zero_factors(scene, choices, hkl, whole)
            return terms, _skipped(scene, amplitude)
        case other:
            assert_never(other)


def zero_factors(scene: Scene, choices: Choices, hkl: Indices, whole: Indices) -> Tensor | None:
    """Which steps are skipped because their lattice factor is exactly 0 (model 6.5); None: none.

    That is asked of the factor itself, in float64 whatever the rest is computed in: its square is 0
    much earlier, and a step that counts multiplies the whole sum of the running product.
    """
    match choices.shape:
        case "square":  # sines of multiples of pi are not exactly 0
            return None
        case "round" | "gauss" | "tophat" | "gauss_hkl" | "tophat_hkl" as shape:
            if skips_zero(scene) is False:
                return None
            with torch.no_grad():
                counts = _at_least_one(scene)
                amplitude = _amplitude(scene, shape, hkl, whole, counts, torch.float64)
                return _skipped(scene, amplitude)
        case other:
            assert_never(other)


def _skipped(scene: Scene, amplitude: Tensor) -> Tensor | None:
    """Where a lattice factor ends a step; None: nowhere."""
    skips = skips_zero(scene)
    if skips is False:
        return None
    is_zero = amplitude == 0.0
    return is_zero if skips is True else is_zero & skips


def _at_least_one(scene: Scene) -> list[Scalar]:
    """The numbers of cells along a, b, c."""
    return [torch.clamp(n, min=1.0) if isinstance(n, Tensor) else n for n in scene.n_cells]


def lattice_factors(
    scene: Scene,
    choices: Choices,
    hkl: Indices,
    whole: Indices,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The amplitudes along a, b, c and their product (model 6.5), without derivatives.

    A shape other than square has one amplitude, which is all four.
    """
    match choices.shape:
        case "square":
            fa, fb, fc = (
                sincg(x, n) if as_float(n) > 1.0 else torch.ones_like(x)
                for x, n in zip(hkl, scene.n_cells, strict=True)
            )
            return fa, fb, fc, fa * fb * fc
        case "round" | "gauss" | "tophat" | "gauss_hkl" | "tophat_hkl" as shape:
            f = _amplitude(scene, shape, hkl, whole, list(scene.n_cells), torch.float64)
            return f, f, f, f
        case other:
            assert_never(other)


def _amplitude(
    scene: Scene,
    shape: SpotShape,
    hkl: Indices,
    whole: Indices,
    counts: list[Scalar],
    dtype: torch.dtype,
) -> Tensor:
    """The amplitude of a crystal of any shape but square, float64; dtype: of the distance.

    That of a sphere is a phase, and that of a top hat decides: they are float64 in any case.
    """
    if shape == "round" or is_all_or_nothing(shape):
        dtype = torch.float64
    dh, dk, dl = ((x - x0).to(dtype) for x, x0 in zip(hkl, whole, strict=True))
    na, nb, nc = counts
    cells = na * nb * nc
    if is_in_reciprocal_lengths(shape):
        x, y, z = (
            dh * a + dk * b + dl * c
            for a, b, c in zip(scene.a_star, scene.b_star, scene.c_star, strict=True)
        )
        square = (x * x + y * y + z * z) * na * na * nb * nb * nc * nc
    else:
        square = dh * dh * na * na + dk * dk * nb * nb + dl * dl * nc * nc
    return spot_amplitude(shape, square, cells, scene.fudge)


def solid_angle_sum(scene: Scene, choices: Choices, tile: Tile) -> Tensor:
    """The solid angle summed over every sample of every pixel of a tile (model 6.9), shape ()."""
    if choices.has_pixel_solid_angle:
        first = first_beams(scene, choices, tile)
        return solid_angle(scene, choices, first).sum() * choices.samples
    beams = beams_to(scene, choices, tile, range(choices.samples))
    return solid_angle(scene, choices, beams).sum()


def uncut_rays(scene: Scene, choices: Choices, tile: Tile) -> Tensor:
    """Which samples and sources the resolution limit leaves, shape (pixels, samples, sources)."""
    beams = beams_to(scene, choices, tile, range(choices.samples))
    rays = rays_of(scene, choices, beams, range(choices.source_count))
    if rays.is_cut is None:
        return torch.ones_like(as_tensor(rays.q[0]), dtype=torch.bool)
    return ~rays.is_cut


def steps_outside_table(scene: Scene, choices: Choices, tile: Tile, block: Block) -> Tensor:
    """Which steps would switch interpolation off (model 6.5), shape of the block's steps."""
    assert scene.table is not None
    beams = beams_to(scene, choices, tile, block.samples)
    rays = rays_of(scene, choices, beams, block.sources)
    hkl = fractional_indices(cells_of(scene, choices, tile, block), rays.q)
    is_out = leaves_table(scene.table, *hkl)
    if rays.is_cut is not None:
        is_out = is_out & ~rays.is_cut.unsqueeze(-1)
    is_zero = zero_factors(scene, choices, hkl, nearest_indices(hkl))
    return is_out if is_zero is None else is_out & ~is_zero


def cells_of(scene: Scene, choices: Choices, tile: Tile, block: Block) -> Cells:
    """The block's orientations; for the first phi loop of the run with its own first phi step."""
    begin, end = block.orientations.start, block.orientations.stop
    a, b, c = (
        _slice(vector, begin, end) for vector in (scene.cells.a, scene.cells.b, scene.cells.c)
    )
    if tile.run_start is None or scene.run_start is None:
        return Cells(a, b, c)
    sample, source = tile.run_start
    is_here = sample in block.samples and source in block.sources and begin < choices.domains
    if not is_here:
        return Cells(a, b, c)
    device = tile.fast.device
    is_start = torch.zeros(
        (len(block.samples), len(block.sources), end - begin), dtype=torch.bool, device=device
    )
    ray = is_start[sample - block.samples.start, source - block.sources.start]
    ray[: choices.domains - begin] = True
    a, b, c = (
        _started(vector, start, is_start, begin)
        for vector, start in zip(
            (a, b, c), (scene.run_start.a, scene.run_start.b, scene.run_start.c), strict=True
        )
    )
    return Cells(a, b, c)


def _slice(vector: Vector, begin: int, end: int) -> Vector:
    x, y, z = (as_tensor(component)[begin:end] for component in vector)
    return x, y, z


def _started(vector: Vector, start: Vector, is_start: Tensor, begin: int) -> Vector:
    """`vector` with its first domains from `start` where `is_start`."""
    components = []
    for usual, special in zip(vector, start, strict=True):
        others = as_tensor(usual)
        own = as_tensor(special)[begin : begin + others.shape[0]]
        full = torch.cat([own, others[own.shape[0] :]])
        components.append(torch.where(is_start, full, others))
    x, y, z = components
    return x, y, z


def nearest_indices(hkl: Indices) -> Indices:
    """The nearest whole indices, half down (model 6.5), as constants."""
    h, k, l = ((x.detach() - 0.5).ceil_() for x in hkl)
    return h, k, l


def structure_factor(
    scene: Scene,
    choices: Choices,
    tile: Tile,
    block: Block,
    hkl: Indices,
    whole: Indices,
) -> Scalar:
    table = scene.table
    if table is None:
        return scene.default_f
    if tile.interpolated_steps == 0:
        return nearest(table, *whole)
    if tile.interpolated_steps >= choices.steps_per_pixel:
        inside = tricubic(table, *hkl)
        if choices.interpolation_switches_off:
            return inside
        return torch.where(leaves_table(table, *hkl), nearest(table, *whole), inside)
    device = tile.fast.device
    sample = torch.arange(block.samples.start, block.samples.stop, device=device)
    source = torch.arange(block.sources.start, block.sources.stop, device=device)
    orientation = torch.arange(block.orientations.start, block.orientations.stop, device=device)
    ray = sample[:, None] * choices.source_count + source
    step = ray[:, :, None] * choices.orientations + orientation
    return torch.where(
        step < tile.interpolated_steps, tricubic(table, *hkl), nearest(table, *whole)
    )


def _running_sum(terms: Tensor, weight: Tensor, is_skipped: Tensor | None) -> tuple[Tensor, Tensor]:
    """A sum that is multiplied by its ray's weight after every term, skipped ones excepted.

    terms: (pixels, samples, sources, orientations); weight: (pixels, samples, sources).  Returns
    the sum and the product of all weights, (2, pixels): each term times the weights from its own
    on.  A product of weights is kept as two factors, see `grown`.
    """
    counted = torch.ones_like(terms)
    if is_skipped is not None:
        counted = counted.masked_fill(is_skipped, 0.0)
    from_here_on = counted.flip(-1).cumsum(-1).flip(-1)
    ray_sums = grown(terms, _in_halves(weight.unsqueeze(-1), from_here_on)).sum(-1).flatten(1)
    ray_products = _in_halves(weight, from_here_on[..., 0]).flatten(2)
    up_to_end = ray_products.flip(-1).cumprod(-1).flip(-1)
    after = torch.cat([up_to_end[..., 1:], torch.ones_like(up_to_end[..., :1])], dim=-1)
    return grown(ray_sums, after).sum(-1), up_to_end[..., 0]


def _in_halves(weight: Tensor, count: Tensor) -> Tensor:
    """weight to the power of a whole number, as two factors, which are stacked in front."""
    half = torch.floor(count / 2.0)
    return torch.stack([_power(weight, half), _power(weight, count - half)])


def _power(weight: Tensor, count: Tensor) -> Tensor:
    """weight to the power of a whole number; 1 for 0, where a weight of 0 has derivatives of 0."""
    return torch.pow(torch.where(count == 0.0, 1.0, weight), count)
