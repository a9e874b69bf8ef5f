"""The first and second derivatives of a function that is computed in pieces, as steps themselves.

With f(x) the function, g weights of its results, u and v changes of its arguments, these are

    Primal              f
    Gradient            g f'            (transposed: weights of results to weights of arguments)
    Tangent             f' u
    Curvature           (g f'') u       (the matrix of second derivatives of g f, times u)
    SecondTangent       (f'' u) v

and the derivatives of each are among them.  Each piece is evaluated again with a graph of its own,
which ends with the piece: memory stays that of one piece, whatever is asked for.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import torch
from torch import Tensor

from nanobragg_hybrid.base.errors import UnsupportedError
from nanobragg_hybrid.engines.torch.programs.steps import Extent, Piece, Program, Tensors, step

THIRD_DERIVATIVES: Final = "the torch engine has first and second derivatives, no third ones"

Flags = tuple[bool, ...]
"""One for each argument of the function itself."""
T = TypeVar("T")


class Primal(Program):
    """A function whose pieces autograd can differentiate."""

    @abstractmethod
    def pieces(self, tensors: Tensors, derivatives: int) -> Iterator[Piece]:
        """How the work is cut for these arguments, and for pieces differentiated so often."""

    @abstractmethod
    def evaluate(self, piece: Piece, tensors: Tensors, derivatives: int) -> Tensors:
        """The results of a piece, which autograd will differentiate so often."""

    def weighted(self, piece: Piece, grads: Tensors, tensors: Tensors, wanted: Flags) -> Tensors:
        """What `Gradient` has for a piece."""
        leaves, chosen = _leaves(tensors, wanted)
        with torch.enable_grad():
            return _gradients(self.evaluate(piece, leaves, 1), chosen, grads)

    def changed(
        self, piece: Piece, tensors: Tensors, moved: Flags, changes: Sequence[Tensors]
    ) -> list[Tensors]:
        """What `Tangent` has for a piece and each of many changes of the moved arguments."""
        leaves, chosen = _leaves(tensors, moved)
        with torch.enable_grad():
            return changes_of(self.evaluate(piece, leaves, 2), chosen, changes)

    def cut(self, tensors: Tensors) -> Iterator[Piece]:
        return self.pieces(tensors, 0)

    def result(self, piece: Piece, tensors: Tensors) -> Tensors:
        return self.evaluate(piece, tensors, 0)

    def gradients(self, grads: Tensors, tensors: Tensors, wanted: Sequence[bool]) -> Tensors:
        return step(Gradient(self, tuple(wanted)), *grads, *tensors)

    def change(self, tensors: Tensors, changes: Sequence[Tensor | None]) -> Tensors:
        moved, given = _given(changes)
        return step(Tangent(self, moved), *tensors, *given)


@dataclass(frozen=True, slots=True, eq=False)
class Gradient(Program):
    """Arguments: g, x.  Results: for the wanted of x."""

    of: Primal
    wanted: Flags

    @property
    def inputs(self) -> tuple[Extent, ...]:
        return (*self.of.outputs, *self.of.inputs)

    @property
    def outputs(self) -> tuple[Extent, ...]:
        return _only(self.of.inputs, self.wanted)

    def _split(self, every: Sequence[Tensor]) -> tuple[Tensors, Tensors]:
        count = len(self.of.outputs)
        return every[:count], every[count:]

    def empty(self, tensors: Tensors) -> list[Tensor]:
        return [torch.zeros_like(x) for x in _only(self._split(tensors)[1], self.wanted)]

    def cut(self, tensors: Tensors) -> Iterator[Piece]:
        return self.of.pieces(self._split(tensors)[1], 1)

    def result(self, piece: Piece, tensors: Tensors) -> Tensors:
        g, x = self._split(tensors)
        return self.of.weighted(piece, g, x, self.wanted)

    def gradients(self, grads: Tensors, tensors: Tensors, wanted: Sequence[bool]) -> Tensors:
        g, x = self._split(tensors)
        by_g, by_x = tuple(wanted[: len(g)]), tuple(wanted[len(g) :])
        found: list[Tensor] = []
        if any(by_g):
            found += _only(step(Tangent(self.of, self.wanted), *x, *grads), by_g)
        if any(by_x):
            found += step(Curvature(self.of, self.wanted, by_x), *grads, *g, *x)
        return found

    def change(self, tensors: Tensors, changes: Sequence[Tensor | None]) -> Tensors:
        g, x = self._split(tensors)
        by_g, by_x = changes[: len(g)], changes[len(g) :]
        terms = []
        if any(change is not None for change in by_g):
            terms.append(step(self, *_with_zeros(by_g, g), *x))
        moved, given = _given(by_x)
        if given:
            terms.append(step(Curvature(self.of, moved, self.wanted), *given, *g, *x))
        return _sums(terms)


@dataclass(frozen=True, slots=True, eq=False)
class Tangent(Program):
    """Arguments: x, u (changes of the moved of x).  Results: as those of f."""

    of: Primal
    moved: Flags

    @property
    def inputs(self) -> tuple[Extent, ...]:
        return (*self.of.inputs, *_only(self.of.inputs, self.moved))

    @property
    def outputs(self) -> tuple[Extent, ...]:
        return self.of.outputs

    def _split(self, every: Sequence[Tensor]) -> tuple[Tensors, Tensors]:
        count = len(self.moved)
        return every[:count], every[count:]

    def empty(self, tensors: Tensors) -> list[Tensor]:
        return self.of.empty(self._split(tensors)[0])

    def cut(self, tensors: Tensors) -> Iterator[Piece]:
        return self.of.pieces(self._split(tensors)[0], 1)

    def result(self, piece: Piece, tensors: Tensors) -> Tensors:
        x, u = self._split(tensors)
        return self.of.changed(piece, x, self.moved, [u])[0]

    def gradients(self, grads: Tensors, tensors: Tensors, wanted: Sequence[bool]) -> Tensors:
        x, u = self._split(tensors)
        by_x, by_u = tuple(wanted[: len(x)]), wanted[len(x) :]
        found: list[Tensor] = []
        if any(by_x):
            found += step(Curvature(self.of, self.moved, by_x), *u, *grads, *x)
        if any(by_u):
            found += step(Gradient(self.of, _within(self.moved, by_u)), *grads, *x)
        return found

    def change(self, tensors: Tensors, changes: Sequence[Tensor | None]) -> Tensors:
        x, u = self._split(tensors)
        moved, given = _given(changes[: len(x)])
        terms = []
        if given:
            terms.append(step(SecondTangent(self.of, self.moved, moved), *x, *u, *given))
        which, given = _given(changes[len(x) :])
        if given:
            terms.append(step(Tangent(self.of, _within(self.moved, which)), *x, *given))
        return _sums(terms)


@dataclass(frozen=True, slots=True, eq=False)
class Curvature(Program):
    """Arguments: u (changes of the moved of x), g, x.  Results: for the wanted of x."""

    of: Primal
    moved: Flags
    wanted: Flags

    @property
    def inputs(self) -> tuple[Extent, ...]:
        return (*_only(self.of.inputs, self.moved), *self.of.outputs, *self.of.inputs)

    @property
    def outputs(self) -> tuple[Extent, ...]:
        return _only(self.of.inputs, self.wanted)

    def _split(self, every: Sequence[Tensor]) -> tuple[Tensors, Tensors, Tensors]:
        first = sum(self.moved)
        second = first + len(self.of.outputs)
        return every[:first], every[first:second], every[second:]

    def empty(self, tensors: Tensors) -> list[Tensor]:
        return [torch.zeros_like(x) for x in _only(self._split(tensors)[2], self.wanted)]

    def cut(self, tensors: Tensors) -> Iterator[Piece]:
        return self.of.pieces(self._split(tensors)[2], 2)

    def result(self, piece: Piece, tensors: Tensors) -> Tensors:
        u, g, x = self._split(tensors)
        leaves, moved, wanted = _leaves_of_two(x, self.moved, self.wanted)
        with torch.enable_grad():
            results = self.of.evaluate(piece, leaves, 2)
            return _gradients(_gradients(results, moved, g, keeps_graph=True), wanted, u)

    def gradients(self, grads: Tensors, tensors: Tensors, wanted: Sequence[bool]) -> Tensors:
        u, g, x = self._split(tensors)
        by_u, by_g = wanted[: len(u)], tuple(wanted[len(u) : len(u) + len(g)])
        if any(wanted[len(u) + len(g) :]):
            raise UnsupportedError(THIRD_DERIVATIVES)
        found: list[Tensor] = []
        if any(by_u):
            same = Curvature(self.of, self.wanted, _within(self.moved, by_u))
            found += step(same, *grads, *g, *x)
        if any(by_g):
            twice = SecondTangent(self.of, self.moved, self.wanted)
            found += _only(step(twice, *x, *u, *grads), by_g)
        return found

    def change(self, tensors: Tensors, changes: Sequence[Tensor | None]) -> Tensors:
        u, g, x = self._split(tensors)
        which, given = _given(changes[: len(u)])
        by_g = changes[len(u) : len(u) + len(g)]
        if any(change is not None for change in changes[len(u) + len(g) :]):
            raise UnsupportedError(THIRD_DERIVATIVES)
        terms = []
        if given:
            same = Curvature(self.of, _within(self.moved, which), self.wanted)
            terms.append(step(same, *given, *g, *x))
        if any(change is not None for change in by_g):
            terms.append(step(self, *u, *_with_zeros(by_g, g), *x))
        return _sums(terms)


@dataclass(frozen=True, slots=True, eq=False)
class SecondTangent(Program):
    """Arguments: x, u and v (changes of the moved and the bent of x).  Results: as those of f."""

    of: Primal
    moved: Flags
    bent: Flags

    @property
    def inputs(self) -> tuple[Extent, ...]:
        own = self.of.inputs
        return (*own, *_only(own, self.moved), *_only(own, self.bent))

    @property
    def outputs(self) -> tuple[Extent, ...]:
        return self.of.outputs

    def _split(self, every: Sequence[Tensor]) -> tuple[Tensors, Tensors, Tensors]:
        first = len(self.moved)
        second = first + sum(self.moved)
        return every[:first], every[first:second], every[second:]

    def empty(self, tensors: Tensors) -> list[Tensor]:
        return self.of.empty(self._split(tensors)[0])

    def cut(self, tensors: Tensors) -> Iterator[Piece]:
        return self.of.pieces(self._split(tensors)[0], 2)

    def result(self, piece: Piece, tensors: Tensors) -> Tensors:
        x, u, v = self._split(tensors)
        leaves, moved, bent = _leaves_of_two(x, self.moved, self.bent)
        with torch.enable_grad():
            results = self.of.evaluate(piece, leaves, 3)
            weights = [torch.zeros_like(y, requires_grad=True) for y in results]
            once = _gradients(results, moved, weights, keeps_graph=True)
            twice = _gradients(once, bent, u, keeps_graph=True)
            return _gradients(twice, weights, v)

    def gradients(self, grads: Tensors, tensors: Tensors, wanted: Sequence[bool]) -> Tensors:
        x, u, v = self._split(tensors)
        by_u, by_v = wanted[len(x) : len(x) + len(u)], wanted[len(x) + len(u) :]
        if any(wanted[: len(x)]):
            raise UnsupportedError(THIRD_DERIVATIVES)
        found: list[Tensor] = []
        if any(by_u):
            by_moved = Curvature(self.of, self.bent, _within(self.moved, by_u))
            found += step(by_moved, *v, *grads, *x)
        if any(by_v):
            by_bent = Curvature(self.of, self.moved, _within(self.bent, by_v))
            found += step(by_bent, *u, *grads, *x)
        return found

    def change(self, tensors: Tensors, changes: Sequence[Tensor | None]) -> Tensors:
        x, u, v = self._split(tensors)
        if any(change is not None for change in changes[: len(x)]):
            raise UnsupportedError(THIRD_DERIVATIVES)
        terms = []
        which, given = _given(changes[len(x) : len(x) + len(u)])
        if given:
            by_moved = SecondTangent(self.of, _within(self.moved, which), self.bent)
            terms.append(step(by_moved, *x, *given, *v))
        which, given = _given(changes[len(x) + len(u) :])
        if given:
            by_bent = SecondTangent(self.of, self.moved, _within(self.bent, which))
            terms.append(step(by_bent, *x, *u, *given))
        return _sums(terms)


def _only(items: Sequence[T], flags: Sequence[bool]) -> tuple[T, ...]:
    return tuple(item for item, flag in zip(items, flags, strict=True) if flag)


def _within(flags: Flags, among: Sequence[bool]) -> Flags:
    """The flags that stay set; among: one for each that is set."""
    rest = iter(among)
    return tuple(flag and next(rest) for flag in flags)


def _given(changes: Sequence[Tensor | None]) -> tuple[Flags, list[Tensor]]:
    """Which changes there are, and these."""
    return tuple(x is not None for x in changes), [x for x in changes if x is not None]


def _with_zeros(changes: Sequence[Tensor | None], like: Tensors) -> list[Tensor]:
    return [
        torch.zeros_like(x) if change is None else change
        for change, x in zip(changes, like, strict=True)
    ]


def _sums(terms: list[tuple[Tensor, ...]]) -> Tensors:
    """Sums, result by result."""
    first, *others = terms
    for other in others:
        first = tuple(x + y for x, y in zip(first, other, strict=True))
    return first


def _leaves(tensors: Tensors, wanted: Flags) -> tuple[list[Tensor], list[Tensor]]:
    """The arguments, cut from any graph, and those whose derivatives are wanted."""
    leaves = [x.detach().requires_grad_(w) for x, w in zip(tensors, wanted, strict=True)]
    return leaves, list(_only(leaves, wanted))


def _leaves_of_two(
    tensors: Tensors, first: Flags, second: Flags
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    either = tuple(a or b for a, b in zip(first, second, strict=True))
    leaves, _ = _leaves(tensors, either)
    return leaves, list(_only(leaves, first)), list(_only(leaves, second))


def changes_of(results: Tensors, leaves: Tensors, changes: Sequence[Tensors]) -> list[Tensors]:
    """How results of a graph change with its leaves, for each of many changes of these.

    Weights times derivatives are linear in the weights: their derivatives by the weights are the
    derivatives themselves.
    """
    weights = [torch.zeros_like(y, requires_grad=True) for y in results]
    pulled = _gradients(results, leaves, weights, keeps_graph=True)
    return [_gradients(pulled, weights, change, retains_graph=True) for change in changes]


def _gradients(
    results: Tensors,
    leaves: Tensors,
    grads: Tensors,
    *,
    keeps_graph: bool = False,
    retains_graph: bool = False,
) -> list[Tensor]:
    """torch.autograd.grad, and zeros for what nothing depends on."""
    pairs = [(y, grad) for y, grad in zip(results, grads, strict=True) if y.requires_grad]
    if not pairs:
        return [torch.zeros_like(leaf) for leaf in leaves]
    return list(
        torch.autograd.grad(
            [y for y, _ in pairs],
            leaves,
            [grad for _, grad in pairs],
            create_graph=keeps_graph,
            retain_graph=keeps_graph or retains_graph,
            materialize_grads=True,
        )
    )
