"""From values to a packed scene, in whatever way derivatives are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.arithmetic.scalars import is_transformed
from nanobragg_hybrid.engines.torch.programs.derived import Primal
from nanobragg_hybrid.engines.torch.programs.steps import Extent, Piece, Tensors, step, whole
from nanobragg_hybrid.engines.torch.scenes.packing import Packed, Template, assembled
from nanobragg_hybrid.engines.torch.scenes.packing import tensors as tensors_of
from nanobragg_hybrid.engines.torch.set_up.setup import Setup
from nanobragg_hybrid.engines.torch.set_up.tables import Tables
from nanobragg_hybrid.engines.torch.values.packed_values import packed_of

Values = Mapping[str, Tensor]


def packed_scene(
    setup: Setup, tables: Tables, values: Values, linked: tuple[str, ...]
) -> tuple[Packed, Template]:
    """The scene for some values, float64, of the right names, types and shapes.

    linked: names of values that get a derivative of 0 if the scene does not depend on them.
    """
    if any(is_transformed(value) for value in values.values()):
        return _in_one_step(setup, tables, values, linked)
    return _linked(setup, tables, values, linked)


def _linked(
    setup: Setup, tables: Tables, values: Values, linked: tuple[str, ...]
) -> tuple[Packed, Template]:
    return packed_of(setup, tables, values, linked)


class _Layout(NamedTuple):
    """template; parts: the tensors of a `Packed` that are constant; depends: those that are not."""

    template: Template
    parts: list[Tensor | None]
    depends: list[bool]


@dataclass(slots=True, eq=False)
class _SetUp(Primal):
    """The tensors of a packed scene that depend on values, as one step: a set-up looks at numbers,
    and has functions of its own, which torch.func and dual numbers cannot go through.

    layout: what else there is to know, from the last run; the numbers do not change it.
    """

    setup: Setup
    tables: Tables
    names: tuple[str, ...]
    linked: tuple[str, ...]
    layout: _Layout | None = None
    _empty: list[Tensor] = field(default_factory=list)

    @property
    def inputs(self) -> tuple[Extent, ...]:
        return whole(len(self.names))

    @property
    def outputs(self) -> tuple[Extent, ...]:
        return whole(len(self._empty))

    def pieces(self, tensors: Tensors, derivatives: int) -> Iterator[Piece]:
        del tensors, derivatives
        yield Piece(slice(0, 0))

    def empty(self, tensors: Tensors) -> list[Tensor]:
        del tensors
        return [torch.zeros_like(each) for each in self._empty]

    def evaluate(self, piece: Piece, tensors: Tensors, derivatives: int) -> Tensors:
        del piece, derivatives
        assert self.layout is not None
        every = tensors_of(self._of(tensors)[0])
        return [x for x, d in zip(every, self.layout.depends, strict=True) if d and x is not None]

    def run(self, tensors: Tensors) -> Tensors:
        """The whole, which finds the layout, too."""
        leaves = [x.detach().requires_grad_() for x in tensors]
        with torch.enable_grad():
            packed, template = self._of(leaves)
        every = tensors_of(packed)
        depends = [x is not None and x.requires_grad for x in every]
        parts = [None if d else x for x, d in zip(every, depends, strict=True)]
        self.layout = _Layout(template, parts, depends)
        # A value may be a part itself; what a step gives has to be its own.
        results = [
            x.detach().clone() for x, d in zip(every, depends, strict=True) if d and x is not None
        ]
        self._empty = [x.new_zeros(()).expand(x.shape) for x in results]
        return results

    def _of(self, tensors: Tensors) -> tuple[Packed, Template]:
        values = dict(zip(self.names, tensors, strict=True))
        return _linked(self.setup, self.tables, values, self.linked)


def _in_one_step(
    setup: Setup, tables: Tables, values: Values, linked: tuple[str, ...]
) -> tuple[Packed, Template]:
    program = _SetUp(setup, tables, tuple(values), linked)
    found = iter(step(program, *values.values()))
    layout = program.layout
    assert layout is not None
    parts = zip(layout.parts, layout.depends, strict=True)
    packed = assembled(next(found) if depends else part for part, depends in parts)
    return packed, layout.template
