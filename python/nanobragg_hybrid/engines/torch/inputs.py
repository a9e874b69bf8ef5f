"""The numbers of an experiment, some of which are tensors to be differentiated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from nanobragg_hybrid.engines.torch.scalars import Scalar
from nanobragg_hybrid.engines.torch.vectors import Vector
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.structure_factors import StructureFactors


@dataclass(frozen=True, slots=True)
class Inputs:
    """An experiment, its structure factors and the quirks, with float64 tensors for some values.

    `values` maps the names of `paths` to tensors in the configuration's units.  Everything
    discrete is read from `experiment` and `structure_factors` directly.
    """

    experiment: Experiment
    structure_factors: StructureFactors
    quirks: Quirks
    values: Mapping[str, Tensor] = field(default_factory=dict)

    def is_live(self, path: str) -> bool:
        """Whether a tensor stands in for the configured value."""
        return path in self.values

    def number(self, path: str) -> Scalar:
        """A number, in the configuration's unit; None where the configuration has None."""
        if path in self.values:
            return self.values[path]
        value: Scalar = self._configured(path)
        return value

    def optional(self, path: str) -> Scalar | None:
        """The same where the configuration may leave the choice to us."""
        return self.number(path)

    def items(self, path: str) -> tuple[Scalar, ...]:
        """Several numbers, in the configuration's unit."""
        if path in self.values:
            return tuple(self.values[path].reshape(-1).unbind())
        value: tuple[Scalar, ...] = self._configured(path)
        return value

    def vector(self, path: str) -> Vector:
        """Three numbers, in the configuration's unit."""
        x, y, z = self.items(path)
        return x, y, z

    def is_given(self, path: str) -> bool:
        """Whether there is a value at all."""
        return path in self.values or self._configured(path) is not None

    def _configured(self, path: str) -> Any:
        part, name = path.split(".")
        return getattr(getattr(self.experiment, part), name)
