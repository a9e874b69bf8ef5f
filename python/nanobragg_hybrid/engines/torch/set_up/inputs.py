"""The numbers of an experiment, some of which are tensors to be differentiated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from nanobragg_hybrid.engines.torch.arithmetic.scalars import Scalar
from nanobragg_hybrid.engines.torch.arithmetic.vectors import Vector
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.structure_factors import StructureFactors


@dataclass(frozen=True, slots=True)
class Inputs:
    """An experiment, its structure factors and the quirks, with float64 tensors for some values.

    `values` maps the names of `known_names` to tensors in the configuration's units, or to their
    numbers one by one.  Everything discrete is read from `experiment` and `structure_factors`
    directly.
    """

    experiment: Experiment
    structure_factors: StructureFactors
    quirks: Quirks
    values: Mapping[str, Tensor | tuple[Scalar, ...]] = field(default_factory=dict)

    def is_live(self, name: str) -> bool:
        """Whether a tensor stands in for the configured value."""
        return name in self.values

    def number(self, name: str) -> Scalar:
        """A number, in the configuration's unit; None where the configuration has None."""
        if name in self.values:
            live = self.values[name]
            return live[0] if isinstance(live, tuple) else live
        value: Scalar = self._configured(name)
        return value

    def optional(self, name: str) -> Scalar | None:
        """The same where the configuration may leave the choice to us."""
        return self.number(name)

    def items(self, name: str) -> tuple[Scalar, ...]:
        """Several numbers, in the configuration's unit."""
        if name in self.values:
            live = self.values[name]
            return live if isinstance(live, tuple) else tuple(live.reshape(-1).unbind())
        value: tuple[Scalar, ...] = self._configured(name)
        return value

    def tensor(self, name: str) -> Tensor:
        """All numbers of a value that is a tensor, in its own shape."""
        live = self.values[name]
        assert isinstance(live, Tensor)
        return live

    def vector(self, name: str) -> Vector:
        """Three numbers, in the configuration's unit."""
        x, y, z = self.items(name)
        return x, y, z

    def is_given(self, name: str) -> bool:
        """Whether there is a value at all."""
        return name in self.values or self._configured(name) is not None

    def _configured(self, name: str) -> Any:
        part, field_name = name.split(".")
        return getattr(getattr(self.experiment, part), field_name)
