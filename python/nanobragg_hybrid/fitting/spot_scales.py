"""A factor on the signal of each box: what a structure factor of each spot would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nanobragg_hybrid.fitting.blocks import Known, Model
from nanobragg_hybrid.fitting.coordinates import SPOT_SCALES
from nanobragg_hybrid.fitting.image_problem import Forward
from nanobragg_hybrid.fitting.likelihoods import Array
from nanobragg_hybrid.fitting.pixels import FitPixels


class ScaledModel:
    """What a model says of its parameters, and of the factors of so many boxes."""

    def __init__(self, model: Model, boxes: int) -> None:
        self._model, self._boxes = model, boxes

    def known(self, name: str) -> Known:
        """A parameter with its value."""
        if name == SPOT_SCALES:
            return Known("", (self._boxes,), np.ones(self._boxes))
        return self._model.known(name)


class ScaledForward:
    """A signal times the factor of each pixel's box, which are values beside the model's."""

    def __init__(self, forward: Forward, pixels: FitPixels) -> None:
        self.images = 0
        self.jacobians = 0
        self._forward, self._box, self._boxes = forward, pixels.box, len(pixels.boxes)

    @staticmethod
    def _own(values: Mapping[str, Array]) -> dict[str, Array]:
        return {name: value for name, value in values.items() if name != SPOT_SCALES}

    def pixels(self, values: Mapping[str, Array]) -> Array:
        """Expected photons, shape (n,)."""
        self.images += 1
        signal = self._forward.pixels(self._own(values))
        return signal * values[SPOT_SCALES][self._box]

    def members(self, values: Sequence[Mapping[str, Array]]) -> Array:
        """The same for several values of the same names, shape (members, n)."""
        self.images += len(values)
        signals = self._forward.members([self._own(each) for each in values])
        return signals * np.stack([each[SPOT_SCALES][self._box] for each in values])

    def jacobian(self, values: Mapping[str, Array], names: tuple[str, ...]) -> tuple[Array, Array]:
        """The same, and their derivatives by all numbers of `names` in order, shape (n, p)."""
        self.jacobians += 1
        factor = values[SPOT_SCALES][self._box]
        own = self._own(values)
        of_model = tuple(name for name in names if name != SPOT_SCALES)
        if of_model:
            signal, jacobian = self._forward.jacobian(own, of_model)
            rows = jacobian.T * factor
        else:
            signal = self._forward.pixels(own)
            rows = np.empty((0, signal.size))
        if SPOT_SCALES not in names:
            return signal * factor, rows.T
        parts = []
        at = 0
        for name in names:
            if name == SPOT_SCALES:
                of_boxes = np.zeros((self._boxes, signal.size))
                of_boxes[self._box, np.arange(signal.size)] = signal
                parts.append(of_boxes)
            else:
                parts.append(rows[at : at + values[name].size])
                at += values[name].size
        return signal * factor, np.concatenate(parts).T
