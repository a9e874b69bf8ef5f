"""Values and every first derivative of Triton's kernels, against the eager kernel and the compiled
ones: all shapes, structure factors, and factors in all their places."""

from __future__ import annotations

import pytest
from compiled_scenes import NAMES, Part, parts_of, relative_error
from sum_scenes import ALL_ON, GIVEN, SCENES, USED, experiment, table, the_part
from triton_scenes import TritonPart
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch.on_triton import sum_launches
from nanobragg_hybrid.engines.torch.on_triton.kernels.rays import disguised
from nanobragg_hybrid.engines.torch.scenes.packing import NUMBERS, Packed, tensors


def in_units(name: str, x: torch.Tensor, part: Part) -> torch.Tensor:
    """Derivatives by numbers and sources, times those, of what the compiled kernels know."""
    if name == "numbers":
        return (x * part.packed.numbers.abs())[USED]
    if name == "sources":
        return (x * part.packed.sources.abs())[: 5 if part.template.has_weights else 4]
    return x


def errors_of(found: Packed, expected: Packed, part: Part) -> dict[str, float]:
    """Of each tensor, by its norm."""
    errors = {}
    for name, one, other in zip(NAMES, tensors(found), tensors(expected), strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert one.shape == other.shape
            errors[name] = relative_error(in_units(name, one, part), in_units(name, other, part))
    return errors


def random_change(part: Part) -> Packed:
    """Of everything that the compiled kernels know, by about its own size."""
    rng = torch.Generator().manual_seed(3)
    along = [
        None if x is None else torch.randn(x.shape, dtype=torch.float64, generator=rng) * x.abs()
        for x in tensors(part.packed)
    ]
    assert along[0] is not None
    used = torch.zeros(len(NUMBERS), dtype=torch.float64)
    used[USED] = 1.0
    along[0] *= used
    if not part.template.has_weights:
        assert along[1] is not None
        along[1][4] = 0.0
    return Packed(*along)


@pytest.mark.parametrize("name", SCENES)
def test_values_gradients_and_tangents(name: str) -> None:
    part = the_part(name)
    own = TritonPart(part)
    expected, _ = part.eager()
    assert float(expected.norm()) > 0.0
    assert relative_error(own.values(), expected) < 1e-13
    assert relative_error(own.values(), part.compiled.values(*part.pixels)) < 1e-13
    errors = errors_of(own.gradients(), part.gradients(), part)
    assert {key: error for key, error in errors.items() if not error < 1e-11} == {}
    along = random_change(part)
    assert relative_error(own.tangents(along), part.tangents(along)) < 1e-11


@pytest.mark.parametrize("name", ["square", "gauss", "gauss_hkl", "round", "tophat", "nearest"])
def test_single_precision(name: str) -> None:
    part = the_part(name)
    own = TritonPart(part, torch.float32)
    expected, _ = part.eager()
    values = own.values()
    assert relative_error(values, expected) < 1e-5
    if name in ("square", "gauss"):  # it is another number type
        assert not torch.equal(values, TritonPart(part).values())
    errors = errors_of(own.gradients(), part.gradients(), part)
    assert {key: error for key, error in errors.items() if not error < 1e-4} == {}


def test_weights_of_domains() -> None:
    """The compiled kernels do not have them: the eager one does."""
    part = max(
        parts_of(experiment(**GIVEN), table(21), ALL_ON), key=lambda each: len(each.tile.slow)
    )
    own = TritonPart(part)
    expected, slopes = part.eager()
    assert relative_error(own.values(), expected) < 1e-13
    errors = errors_of(own.gradients(), slopes, part)
    assert {key: error for key, error in errors.items() if not error < 1e-9} == {}


def test_sizes_compile_nothing_anew() -> None:
    """Triton compiles a kernel for a size of 1, for multiples of 16, and for all others."""
    numbers = tuple(range(-40, 5000))
    passed = disguised(numbers)
    assert not [n for n in passed if n == 1 or n % 16 == 0]
    assert tuple(n >> 2 for n in passed) == numbers


def test_the_same_bits_again() -> None:
    part = the_part("running, limit, water")
    own = TritonPart(part)
    assert torch.equal(own.values(), own.values())
    for one, other in zip(tensors(own.gradients()), tensors(own.gradients()), strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


@pytest.mark.parametrize("name", ["nearest", "running tophat"])
def test_parts_of_the_pixels_are_added_up(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where steps leave something behind, few pixels are followed at a time; blocks are rows."""
    part = the_part(name)
    whole = TritonPart(part).gradients()
    monkeypatch.setattr(sum_launches, "_ON_CPU", 64)
    monkeypatch.setattr(sum_launches, "_HELD_STEPS", 1)
    errors = errors_of(TritonPart(part).gradients(), whole, part)
    assert max(errors.values()) < 1e-13
    assert "grid" in errors


def test_second_derivatives_of_the_sums_are_refused() -> None:
    """A model leaves them to the eager kernel before they come here."""
    own = TritonPart(the_part("nearest"))
    leaves = own._leaves()
    values = own._values(Packed(*leaves))
    (once,) = torch.autograd.grad(values.sum(), leaves[2], create_graph=True)
    with pytest.raises(nb.UnsupportedError, match="Triton's kernels have first derivatives"):
        torch.autograd.grad(once.sum(), leaves[2])
