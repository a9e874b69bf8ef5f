"""The torch engine's model, asked for the fitted pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from nanobragg_hybrid.base.errors import ConfigError, suggestion
from nanobragg_hybrid.base.units import m_to_um
from nanobragg_hybrid.engines.torch.arithmetic.scalars import as_float
from nanobragg_hybrid.engines.torch.background_pixels import (
    BackgroundPixels,
    Parts,
    moves_background,
)
from nanobragg_hybrid.engines.torch.eager.expected import is_light
from nanobragg_hybrid.engines.torch.model import ForwardModel
from nanobragg_hybrid.engines.torch.scenes.selection import Selection
from nanobragg_hybrid.engines.torch.set_up.parameters import Parameter
from nanobragg_hybrid.fitting.blocks import Known
from nanobragg_hybrid.fitting.likelihoods import Array
from nanobragg_hybrid.fitting.pixels import FitPixels
from nanobragg_hybrid.fitting.spreading import Spreading
from nanobragg_hybrid.model.response import Response

_BATCH_NUMBERS: Final = 2**23
"""Pixels of a batch, 64 MiB."""
_UNITS: Final = {"photons_per_pixel": "photons", "air_attenuation_per_mm": "1/mm"}
_OF_RESPONSE: Final = "response."
_PIXEL: Final = "detector.pixel_size_mm"


def known_light(
    name: str, light: Mapping[str, Tensor], response: Response | None, pixel: str
) -> Known | None:
    """A number of the background with its value; None for a name that is none of its.

    light: `expected_initial` of the model.  pixel: the name of the pixels' size.  Raises
    `ConfigError` for a number of the response, and for the pixels' size beside a point spread.
    """
    if name.startswith(_OF_RESPONSE):
        rule = "a number of something else: the response stays as it is given"
        raise ConfigError("parameters", name, rule)
    if name == pixel and response is not None and response.point_spread is not None:
        rule = "another one beside a point spread, which a fit takes for pixels of one size"
        raise ConfigError("parameters", name, rule)
    if not is_light(name):
        return None
    if name not in light:
        rule = f"a name of expected_initial(){suggestion(name, light)}"
        raise ConfigError("parameters", name, rule)
    value = light[name]
    unit = _UNITS.get(name.rsplit(".", 1)[-1], "")
    return Known(unit, tuple(value.shape), value.numpy().ravel())


class TorchModel:
    """What the model says of its parameters, those of the background among them."""

    def __init__(self, model: ForwardModel) -> None:
        self._model = model
        self._parameters = {each.name: each for each in model.parameters()}
        self._light = model.expected_initial()

    def known(self, name: str) -> Known:
        """A parameter with its value; `ConfigError` for one that is not active, and for one of the
        response."""
        response = self._model.setup.experiment.response
        light = known_light(name, self._light, response, _PIXEL)
        if light is not None:
            return light
        numbers = self._model.initial(name).numpy().ravel()
        parameter = self._parameters[name]
        return Known(parameter.unit, parameter.shape, numbers)


class TorchLight:
    """The background and the point spread of an experiment that has one of them: from the spots of
    the source pixels to the light in the fitted ones.

    model: of the source pixels, which `select` has all of.
    """

    def __init__(self, model: ForwardModel, pixels: FitPixels) -> None:
        experiment, source = model.setup.experiment, model.source
        response, mask = experiment.response, experiment.detector.mask
        self.model = source
        self._spreading = Spreading(
            pixels,
            None if response is None else response.point_spread,
            m_to_um(as_float(model.scene().pixel)),
            experiment.detector.shape,
            None if mask is None else mask.values,
        )
        places = np.stack([self._spreading.slow, self._spreading.fast], axis=1)
        self.select = Selection.pixels(places)
        self._background: BackgroundPixels | None = None
        if experiment.background is not None:
            self._background = BackgroundPixels(source, self.select)
        self._shapes = {each.name: each.shape for each in model.parameters()}
        self._shapes.update({n: tuple(x.shape) for n, x in model.expected_initial().items()})
        self._last: tuple[dict[str, bytes], Parts] | None = None

    @property
    def has_background(self) -> bool:
        """Whether there is light beside the spots."""
        return self._background is not None

    def _tensors(self, values: Mapping[str, Array]) -> dict[str, Tensor]:
        return {
            name: torch.from_numpy(value).reshape(self._shapes[name])
            for name, value in values.items()
        }

    def _parts(self, values: Mapping[str, Array]) -> Parts:
        """Of the source pixels, found once for the same values."""
        assert self._background is not None
        key = {name: x.tobytes() for name, x in values.items() if moves_background(name)}
        if self._last is None or self._last[0] != key:
            with torch.no_grad():
                self._last = key, self._background.parts(self._tensors(values))
        return self._last[1]

    def arriving(self, spots: Array, values: Mapping[str, Array]) -> Array:
        """The light of the spots and of scatterers, shape (n,); spots: of the source pixels."""
        if self._background is not None:
            spots = spots + self._parts(values).scattered.numpy()
        return self._spreading.arriving(spots)

    def columns(
        self, jacobian: Array, values: Mapping[str, Array], names: tuple[str, ...]
    ) -> Array:
        """The derivatives of `arriving` by all numbers of `names`, shape (p, n); jacobian: those of
        the spots by the numbers of names that are not the background's, shape (q, m)."""
        sizes = [values[name].size for name in names]
        rows = np.zeros((sum(sizes), self.select.count))
        at = own = 0
        for name, size in zip(names, sizes, strict=True):
            if not is_light(name):
                rows[at : at + size] = jacobian[own : own + size]
                own += size
            at += size
        if self._background is not None and names:
            rows += self._background.columns(self._tensors(values), names).scattered.numpy()
        return np.stack([self._spreading.arriving(row) for row in rows]) if len(rows) else rows

    def light(self, values: Mapping[str, Array]) -> Array:
        """The light that is not in proportion to the fluence, shape (n,); see `Beside`."""
        return self._spreading.arriving(self._parts(values).beside.numpy())

    def jacobian(self, values: Mapping[str, Array], names: tuple[str, ...]) -> Array:
        """Its derivatives by all numbers of `names`, shape (p, n); see `Beside`."""
        assert self._background is not None
        rows = self._background.columns(self._tensors(values), names).beside.numpy()
        return np.stack([self._spreading.arriving(row) for row in rows])


class TorchForward:
    """The signal of some pixels; counts what it is asked for.

    images: values of all pixels, by `pixels` or `members`.  jacobians: calls of `jacobian`.
    light: background and point spread, None: there are none.
    """

    def __init__(
        self, model: ForwardModel, pixels: FitPixels, light: TorchLight | None = None
    ) -> None:
        self.images = 0
        self.jacobians = 0
        self._light = light
        self._model = model if light is None else light.model
        self._shapes = {each.name: each.shape for each in model.parameters()}
        own = Selection.pixels(np.stack([pixels.slow, pixels.fast], axis=1))
        self._select = own if light is None else light.select

    def _tensors(self, values: Mapping[str, Array]) -> dict[str | Parameter, Tensor]:
        return {
            name: torch.from_numpy(value).reshape(self._shapes[name])
            for name, value in values.items()
            if not is_light(name)
        }

    def _arriving(self, spots: Array, values: Mapping[str, Array]) -> Array:
        return spots if self._light is None else self._light.arriving(spots, values)

    def pixels(self, values: Mapping[str, Array]) -> Array:
        """Expected photons, shape (n,)."""
        self.images += 1
        pixels: Array = self._model.pixels(self._tensors(values), self._select).numpy()
        return self._arriving(pixels, values)

    def members(self, values: Sequence[Mapping[str, Array]]) -> Array:
        """The same for several values of the same names, shape (members, n): in batches, which
        share what does not change, as many at a time as fit into some memory."""
        self.images += len(values)
        at_a_time = max(1, _BATCH_NUMBERS // max(self._select.count, 1))
        rows = []
        for start in range(0, len(values), at_a_time):
            part = values[start : start + at_a_time]
            spots = self._batch(part)
            if self._light is not None:
                pairs = zip(spots, part, strict=True)
                spots = np.stack([self._arriving(row, own) for row, own in pairs])
            rows.append(spots)
        return np.concatenate(rows)

    def _batch(self, values: Sequence[Mapping[str, Array]]) -> Array:
        first = values[0]
        if len(values) == 1:
            single: Array = self._model.pixels(self._tensors(first), self._select).numpy()
            return single[None]
        given = self._tensors(first)
        for name, value in first.items():
            every = np.stack([each[name] for each in values])
            if not is_light(name) and (every != value).any():
                shape = (len(values), *self._shapes[name])
                given[name] = torch.from_numpy(every).reshape(shape)
        pixels: Array = self._model.pixels(given, self._select).numpy()
        if pixels.ndim == 1:  # all alike
            return np.broadcast_to(pixels, (len(values), pixels.size))
        return pixels

    def jacobian(self, values: Mapping[str, Array], names: tuple[str, ...]) -> tuple[Array, Array]:
        """The same, and their derivatives by all numbers of `names` in order, shape (n, p)."""
        self.jacobians += 1
        own = tuple(name for name in names if not is_light(name))
        if own:
            pixels, columns = self._model.jacobian(self._tensors(values), own, self._select)
            spots, jacobian = pixels.numpy(), columns.numpy()
        else:
            spots = self._model.pixels(self._tensors(values), self._select).numpy()
            jacobian = np.zeros((spots.size, 0))
        if self._light is None:
            return spots, jacobian
        return (
            self._light.arriving(spots, values),
            self._light.columns(jacobian.T, values, names).T,
        )
