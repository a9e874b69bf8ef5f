"""The hot primitive: scattering vectors and cells to a sum of intensities (model 6.3 to 6.8)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.autograd import applied
from nanobragg_hybrid.engines.torch.blocks import Block, Tile
from nanobragg_hybrid.engines.torch.derivatives import FractionalIndices
from nanobragg_hybrid.engines.torch.factors import (
    background,
    pixel_factors,
    row_share,
    step_weight,
    water,
)
from nanobragg_hybrid.engines.torch.rays import Rays, first_rays, rays_to, solid_angle
from nanobragg_hybrid.engines.torch.scalars import Scalar, as_float
from nanobragg_hybrid.engines.torch.scattering import rows_of
from nanobragg_hybrid.engines.torch.scene import Cells, Choices, Scene
from nanobragg_hybrid.engines.torch.shapes import (
    gauss_amplitude,
    round_amplitude,
    sincg,
    sincg_squared,
    tophat_amplitude,
)
from nanobragg_hybrid.engines.torch.structure_factors import leaves_table, nearest, tricubic
from nanobragg_hybrid.engines.torch.vectors import Vector, as_tensor, dot


def block_value(
    scene: Scene, choices: Choices, tile: Tile, block: Block, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """What a block of steps adds to the pixels' values (model 6.8), float64, shape (pixels,).

    The second tensor is what it multiplies the sum of the blocks before it with; 1 but for the
    running product of model 6.5.  The first block brings the background with it, or the last one
    the water (quirk water_background on or off).
    """
    rays, first = _rays_of(scene, choices, tile, block)
    total, product = _sum(scene, choices, tile, block, rays, first, dtype)
    value = scene.strength * total / choices.steps
    for factor in pixel_factors(scene, choices, tile, first):
        value = value * factor
    if _is_last(choices, block):
        value = value + water(scene, choices, first)
    return value, product


def block_sum(
    scene: Scene, choices: Choices, tile: Tile, block: Block, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """The same before scaling and without the factors that a pixel has as a whole (model 6.5)."""
    rays, first = _rays_of(scene, choices, tile, block)
    return _sum(scene, choices, tile, block, rays, first, dtype)


def _rays_of(scene: Scene, choices: Choices, tile: Tile, block: Block) -> tuple[Rays, Rays]:
    """The rays to a block's visits, and to the pixels' first visit."""
    visit = torch.arange(block.visits.start, block.visits.stop, device=tile.fast.device)
    rays = rays_to(scene, choices, tile.slow, tile.fast, visit)
    if block.visits.start == 0:
        return rays, rays.first()
    return rays, first_rays(scene, choices, tile.slow, tile.fast)


def _sum(
    scene: Scene,
    choices: Choices,
    tile: Tile,
    block: Block,
    rays: Rays,
    first: Rays,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    rows = rows_of(scene, choices, rays, block.sources)
    h, k, l = fractional_indices(cells_of(scene, choices, tile, block), rows.q)
    whole = nearest_indices((h, k, l))
    intensity = lattice_intensity(scene, choices, (h, k, l), whole, dtype)
    f = structure_factor(scene, choices, tile, block, (h, k, l), whole)
    terms = intensity * (f * f)
    is_skipped = None
    if rows.cut is not None:
        is_skipped = rows.cut.unsqueeze(-1)
    if choices.skips_zero and (choices.running_product or not choices.is_table_finite):
        is_zero = intensity == 0.0
        is_skipped = is_zero if is_skipped is None else is_skipped | is_zero
    if is_skipped is not None:
        terms = torch.where(is_skipped, 0.0, terms)

    is_first = block.visits.start == block.sources.start == block.orientations.start == 0
    start: Scalar = background(scene, choices, tile, first) if is_first else 0.0
    weight = step_weight(scene, choices, rays, block.sources)
    share = row_share(scene, choices, tile, block, first)
    product = torch.ones((), dtype=torch.float64, device=tile.fast.device)
    if choices.running_product and weight is not None:
        own = terms.to(torch.float64)
        own = own if share is None else own * share.unsqueeze(-1)
        total, product = _running_sum(own, weight.expand(terms.shape[:3]), is_skipped)
        start = _grown(torch.as_tensor(start, dtype=torch.float64, device=terms.device), product)
    elif weight is None and share is None:
        total = terms.sum(dim=(1, 2, 3), dtype=torch.float64)
    else:
        row_sums = terms.sum(-1, dtype=torch.float64)
        for factor in (share, weight):
            row_sums = row_sums if factor is None else row_sums * factor
        total = row_sums.sum(dim=(1, 2))
    return start + total, product


def _is_last(choices: Choices, block: Block) -> bool:
    """Whether a pixel's last step is in a block."""
    return (block.visits.stop, block.sources.stop, block.orientations.stop) == (
        choices.visits,
        choices.source_count,
        choices.orientations,
    )


def fractional_indices(cells: Cells, q: Vector) -> tuple[Tensor, Tensor, Tensor]:
    """h, k, l: cell vectors (orientations,) and q (pixels, visits, sources) to all of these."""
    if as_tensor(cells.a[0]).dim() > 1:
        qx, qy, qz = (as_tensor(component).unsqueeze(-1) for component in q)
        h, k, l = (as_tensor(dot(vector, (qx, qy, qz))) for vector in (cells.a, cells.b, cells.c))
        return h, k, l
    indices: tuple[Tensor, Tensor, Tensor] = applied(
        FractionalIndices, *cells.a, *cells.b, *cells.c, *q
    )
    return indices


def lattice_intensity(
    scene: Scene,
    choices: Choices,
    hkl: tuple[Tensor, Tensor, Tensor],
    whole: tuple[Tensor, Tensor, Tensor],
    dtype: torch.dtype,
) -> Tensor:
    """The square of the amplitude that the crystal's shape gives (model 6.5)."""
    counts: list[Scalar] = [
        torch.clamp(n, min=1.0) if isinstance(n, Tensor) else n for n in scene.n_cells
    ]
    if choices.shape == "square":
        intensity: Tensor | None = None
        for x, x0, n in zip(hkl, whole, counts, strict=True):
            if isinstance(n, Tensor) or n > 1.0:
                squared = sincg_squared(x, x0, n, dtype)
                intensity = squared if intensity is None else intensity * squared
        return torch.ones_like(hkl[0], dtype=dtype) if intensity is None else intensity
    amplitude = _amplitude(scene, choices, hkl, whole, counts, dtype)
    return amplitude * amplitude


def lattice_factors(
    scene: Scene,
    choices: Choices,
    hkl: tuple[Tensor, Tensor, Tensor],
    whole: tuple[Tensor, Tensor, Tensor],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The amplitudes along a, b, c and their product (model 6.5), without derivatives.

    A shape other than square has one amplitude, which is all four.
    """
    if choices.shape == "square":
        fa, fb, fc = (
            sincg(x, n) if as_float(n) > 1.0 else torch.ones_like(x)
            for x, n in zip(hkl, scene.n_cells, strict=True)
        )
        return fa, fb, fc, fa * fb * fc
    f = _amplitude(scene, choices, hkl, whole, list(scene.n_cells), torch.float64)
    return f, f, f, f


def _amplitude(
    scene: Scene,
    choices: Choices,
    hkl: tuple[Tensor, Tensor, Tensor],
    whole: tuple[Tensor, Tensor, Tensor],
    counts: list[Scalar],
    dtype: torch.dtype,
) -> Tensor:
    """The amplitude of a crystal of any shape but square."""
    dh, dk, dl = ((x - x0).to(dtype) for x, x0 in zip(hkl, whole, strict=True))
    na, nb, nc = counts
    cells = na * nb * nc
    if choices.shape in ("gauss", "tophat"):
        x, y, z = (
            dh * a + dk * b + dl * c
            for a, b, c in zip(scene.a_star, scene.b_star, scene.c_star, strict=True)
        )
        square = (x * x + y * y + z * z) * na * na * nb * nb * nc * nc
    else:
        square = dh * dh * na * na + dk * dk * nb * nb + dl * dl * nc * nc
    return _AMPLITUDES[choices.shape](square, cells, scene.fudge)


def solid_angle_sum(scene: Scene, choices: Choices, tile: Tile) -> Tensor:
    """The solid angle summed over every visit of every pixel of a tile (model 6.9), shape ()."""
    if not choices.oversample_omega:
        first = first_rays(scene, choices, tile.slow, tile.fast)
        return solid_angle(scene, choices, first).sum() * choices.visits
    visit = torch.arange(choices.visits, device=tile.fast.device)
    rays = rays_to(scene, choices, tile.slow, tile.fast, visit)
    return solid_angle(scene, choices, rays).sum()


def uncut_rows(scene: Scene, choices: Choices, tile: Tile) -> Tensor:
    """Which visits and sources the resolution limit leaves, shape (pixels, visits, sources)."""
    visit = torch.arange(choices.visits, device=tile.fast.device)
    rays = rays_to(scene, choices, tile.slow, tile.fast, visit)
    rows = rows_of(scene, choices, rays, range(choices.source_count))
    if rows.cut is None:
        return torch.ones_like(as_tensor(rows.q[0]), dtype=torch.bool)
    return ~rows.cut


def steps_outside_table(scene: Scene, choices: Choices, tile: Tile, block: Block) -> Tensor:
    """Which steps would switch interpolation off (model 6.5), shape of the block's steps."""
    assert scene.table is not None
    visit = torch.arange(block.visits.start, block.visits.stop, device=tile.fast.device)
    rays = rays_to(scene, choices, tile.slow, tile.fast, visit)
    rows = rows_of(scene, choices, rays, block.sources)
    hkl = fractional_indices(cells_of(scene, choices, tile, block), rows.q)
    is_out = leaves_table(scene.table, *hkl)
    if rows.cut is not None:
        is_out = is_out & ~rows.cut.unsqueeze(-1)
    if choices.skips_zero:
        intensity = lattice_intensity(scene, choices, hkl, nearest_indices(hkl), torch.float64)
        is_out = is_out & (intensity != 0.0)
    return is_out


_AMPLITUDES: Final = {
    "round": round_amplitude,
    "gauss": gauss_amplitude,
    "gauss_hkl": gauss_amplitude,
    "tophat": tophat_amplitude,
    "tophat_hkl": tophat_amplitude,
}


def cells_of(scene: Scene, choices: Choices, tile: Tile, block: Block) -> Cells:
    """The block's orientations; for the first phi loop of the run with its own first phi step."""
    begin, end = block.orientations.start, block.orientations.stop
    a, b, c = (
        _slice(vector, begin, end) for vector in (scene.cells.a, scene.cells.b, scene.cells.c)
    )
    if tile.start is None or scene.start is None:
        return Cells(a, b, c)
    visit, source = tile.start
    is_here = visit in block.visits and source in block.sources and begin < choices.domains
    if not is_here:
        return Cells(a, b, c)
    device = tile.fast.device
    is_start = torch.zeros(
        (len(block.visits), len(block.sources), end - begin), dtype=torch.bool, device=device
    )
    row = is_start[visit - block.visits.start, source - block.sources.start]
    row[: choices.domains - begin] = True
    a, b, c = (
        _started(vector, start, is_start, begin)
        for vector, start in zip(
            (a, b, c), (scene.start.a, scene.start.b, scene.start.c), strict=True
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


def nearest_indices(hkl: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """The nearest whole indices, half down (model 6.5), as constants."""
    h, k, l = ((x.detach() - 0.5).ceil_() for x in hkl)
    return h, k, l


def structure_factor(
    scene: Scene,
    choices: Choices,
    tile: Tile,
    block: Block,
    hkl: tuple[Tensor, Tensor, Tensor],
    whole: tuple[Tensor, Tensor, Tensor],
) -> Scalar:
    table = scene.table
    if table is None:
        return scene.default_f
    if tile.interpolated_steps == 0:
        return nearest(table, *whole)
    if tile.interpolated_steps >= choices.steps_per_pixel:
        inside = tricubic(table, *hkl)
        if choices.latches:
            return inside
        return torch.where(leaves_table(table, *hkl), nearest(table, *whole), inside)
    device = tile.fast.device
    visit = torch.arange(block.visits.start, block.visits.stop, device=device)
    source = torch.arange(block.sources.start, block.sources.stop, device=device)
    orientation = torch.arange(block.orientations.start, block.orientations.stop, device=device)
    row = visit[:, None] * choices.source_count + source
    step = row[:, :, None] * choices.orientations + orientation
    return torch.where(
        step < tile.interpolated_steps, tricubic(table, *hkl), nearest(table, *whole)
    )


def _running_sum(terms: Tensor, weight: Tensor, is_skipped: Tensor | None) -> tuple[Tensor, Tensor]:
    """A sum that is multiplied by its row's weight after every term, skipped ones excepted.

    terms: (pixels, visits, sources, orientations); weight: (pixels, visits, sources).  Returns the
    sum and the product of all weights, (pixels,): each term times the weights from its own on.
    """
    counted = torch.ones_like(terms)
    if is_skipped is not None:
        counted = counted.masked_fill(is_skipped, 0.0)
    from_here_on = counted.flip(-1).cumsum(-1).flip(-1)
    weights = weight.unsqueeze(-1)
    row_sums = _grown(terms, torch.pow(weights, from_here_on)).sum(-1).flatten(1)
    row_products = torch.pow(weight, from_here_on[..., 0]).flatten(1)
    up_to_end = row_products.flip(-1).cumprod(-1).flip(-1)
    after = torch.cat([up_to_end[:, 1:], torch.ones_like(up_to_end[:, :1])], dim=1)
    return _grown(row_sums, after).sum(-1), up_to_end[:, 0]


def _grown(x: Tensor, product: Tensor) -> Tensor:
    """x times a product of weights that may have become infinite: 0 stays 0."""
    return torch.where((x == 0.0) & product.isinf(), 0.0, x * product)
