"""The differentiable model: values in, image out."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.engines.torch.bounds import image_memory
from nanobragg_hybrid.engines.torch.devices import device_of, dtype_of
from nanobragg_hybrid.engines.torch.first_derivatives import (
    once_only,
    require_no_graph,
    require_reverse_mode,
)
from nanobragg_hybrid.engines.torch.forked import require_own_threads
from nanobragg_hybrid.engines.torch.inputs import Inputs
from nanobragg_hybrid.engines.torch.kernel import block_value, solid_angle_sum
from nanobragg_hybrid.engines.torch.overrides import require_none_overridden
from nanobragg_hybrid.engines.torch.parameters import (
    Parameter,
    inactive_because,
    initial_value,
    parameters_of,
)
from nanobragg_hybrid.engines.torch.pixels import ActivePixels, active_pixels
from nanobragg_hybrid.engines.torch.quantities import GRID, scene_of
from nanobragg_hybrid.engines.torch.scalars import applied
from nanobragg_hybrid.engines.torch.scene import Scene
from nanobragg_hybrid.engines.torch.serial import serial_order
from nanobragg_hybrid.engines.torch.setup import Setup, set_up
from nanobragg_hybrid.engines.torch.tables import tables_of
from nanobragg_hybrid.engines.torch.tiles import (
    Block,
    SerialOrder,
    Tile,
    Tiling,
    recomputed,
    tiles,
)
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.model.validate import Integer, require_class

_CPU_TILE_STEPS = 2**16
_GPU_TILE_STEPS = 2**22
_TILE_STEPS = Integer(at_least=1)

Values = Mapping[str | Parameter, Tensor]
"""By a parameter's name, or by what `ForwardModel.parameters` has of it."""
Progress = Callable[[int], None]
"""Called with the number of active pixels that are done."""


class ForwardModel:
    """The image of an experiment as a function of its numbers.

    config: the experiment; it decides everything discrete.  structure_factors: the amplitudes.
    quirks: all on if None.  dtype: float64, or float32 for float64 phases with float32 sums.
    device: "cpu", "cuda", "cuda:1", "auto".  tile_steps: evaluations of the innermost formula that
    are held in memory at a time; None chooses.

    Calling the model with tensors for some values (see `parameters`) gives the image as a tensor,
    shape (slow, fast), photons per pixel, differentiable in these tensors:

    >>> model = ForwardModel(experiment, table)                       # doctest: +SKIP
    >>> cell = torch.tensor([70.0, 80.0, 90.0], requires_grad=True)   # doctest: +SKIP
    >>> model({"crystal.cell_angstrom": cell}).sum().backward()       # doctest: +SKIP

    It is no `torch.nn.Module`: `parameters` describes what there is to differentiate, and an
    optimizer takes the tensors that you give as values.

    Raises `ConfigError` as `simulate`, and `BackendError` for a device that is not there.
    """

    def __init__(
        self,
        config: Experiment,
        structure_factors: StructureFactors,
        quirks: Quirks | None = None,
        dtype: torch.dtype | str = torch.float64,
        device: torch.device | str = "cpu",
        *,
        tile_steps: int | None = None,
    ) -> None:
        quirks = Quirks() if quirks is None else quirks
        require_class("config", config, Experiment)
        require_class("structure_factors", structure_factors, StructureFactors)
        require_class("quirks", quirks, Quirks)
        self.dtype = dtype_of(dtype)
        self.device = device_of(device)
        require_memory(image_memory(config, self.device))
        require_own_threads()
        if tile_steps is None:
            tile_steps = _CPU_TILE_STEPS if self.device.type == "cpu" else _GPU_TILE_STEPS
        try:
            self._tiling = Tiling(_TILE_STEPS.normalise(tile_steps))
        except ValueError:
            raise ConfigError("tile_steps", tile_steps, _TILE_STEPS.text) from None
        self._setup = set_up(config, structure_factors, quirks)
        self._tables = tables_of(self._setup, self.device)
        self._active = active_pixels(config, self._setup.roi, self.device)
        self._configured_scene: Scene | None = None

    @property
    def setup(self) -> Setup:
        """Everything discrete, as it was decided."""
        return self._setup

    @property
    def active_pixels(self) -> ActivePixels:
        """The pixels that are computed."""
        return self._active

    @property
    def tiling(self) -> Tiling:
        """How the work is cut."""
        return self._tiling

    @cached_property
    def _parameters(self) -> dict[str, Parameter]:
        return {each.name: each for each in parameters_of(self._setup)}

    def parameters(self) -> tuple[Parameter, ...]:
        """The values that the model takes: name, unit, shape, and whether all is smooth."""
        return tuple(self._parameters.values())

    def initial(self, name: str | Parameter) -> Tensor:
        """The value of a parameter where none is given, a float64 tensor on the model's device.

        name: its name, or what `parameters` has of it.

        Raises `ConfigError` for a name that `parameters` does not list.
        """
        parameter = self._parameter(name)
        value = initial_value(parameter.name, self._setup)
        tensor = torch.tensor(value, dtype=torch.float64, device=self.device)
        return tensor.reshape(parameter.shape)

    def __call__(self, values: Values | None = None, *, progress: Progress | None = None) -> Tensor:
        """The image for some values; shape (slow, fast), or (batch, slow, fast).

        values: tensors by the name of their parameter, or by the `Parameter` itself.  Each has its
        parameter's shape, or that with one more dimension in front; all that have it agree in its
        length, and the images are stacked.

        Raises `ConfigError` for a wrong name, type, shape or device, and for a value that another
        one leaves without effect; `UnsupportedError` for derivatives that are no first ones in
        reverse mode, and `BackendError` in a process that was forked after its parent had used the
        engine.
        """
        if progress is not None and not callable(progress):
            raise ConfigError("progress", progress, "a function of the number of pixels, or None")
        checked = self._checked({} if values is None else values)
        require_reverse_mode(checked.values())
        batch = self._batch(checked)
        if batch is None:
            return self._image(checked, progress)
        images = []
        for n in range(batch):
            one = {
                name: value[n] if value.dim() > len(self._parameters[name].shape) else value
                for name, value in checked.items()
            }
            images.append(self._image(one, progress))
        return torch.stack(images)

    def solid_angle_sum(self) -> Tensor:
        """The solid angle summed over every sub-pixel sample (model 6.9), steradian, shape ()."""
        with torch.no_grad():
            scene = self.scene({})
            total = torch.zeros((), dtype=torch.float64, device=self.device)
            choices, order = self._setup.choices, SerialOrder(None, None)
            for _, tile in tiles(choices, self._active, self._tiling, order, self.device):
                total += solid_angle_sum(scene, choices, tile)
        return total

    def _image(self, values: dict[str, Tensor], progress: Progress | None) -> Tensor:
        scene, choices = self.scene(values), self._setup.choices
        order = serial_order(scene, choices, self._active, self._tiling, self.device)
        parts = [torch.zeros(0, dtype=torch.float64, device=self.device)]
        for pixels, tile in tiles(choices, self._active, self._tiling, order, self.device):
            parts.append(self.tile_value(scene, tile))
            if progress is not None:
                progress(pixels.stop)
        image = self._active.image(torch.cat(parts))
        return self._with_every_derivative(image, values).to(self.dtype)

    def tile_value(self, scene: Scene, tile: Tile) -> Tensor:
        """The values of a tile's pixels before rounding, float64, shape (pixels,)."""
        choices = self._setup.choices

        def evaluate(block: Block) -> tuple[Tensor, Tensor]:
            own = partial(block_value, choices=choices, tile=tile, block=block, dtype=self.dtype)
            value, product = recomputed(own, scene)
            return value, product

        return self._tiling.total(choices, tile, evaluate)

    def scene(self, values: Mapping[str, Tensor]) -> Scene:
        """Everything continuous, for some values of the right names, types and shapes; without
        values it is made once."""
        require_own_threads()
        if not values and self._configured_scene is not None:
            return self._configured_scene
        setup = self._setup
        values = {name: once_only(value) for name, value in values.items()}
        inputs = Inputs(setup.experiment, setup.structure_factors, setup.quirks, values)
        scene = scene_of(setup, self._tables, inputs)
        if not values:
            self._configured_scene = scene
        return scene

    def _with_every_derivative(self, image: Tensor, values: dict[str, Tensor]) -> Tensor:
        """The image, with a derivative of 0 for values that it does not depend on.

        Every active pixel depends on the table, for which 0 would be one more copy of it.
        """
        wanted = [
            value
            for name, value in values.items()
            if value.requires_grad and (name != GRID or self._active.count == 0)
        ]
        if not wanted:
            return image
        depending: Tensor = applied(_ZeroDerivatives, image, *wanted)
        return depending

    def _parameter(self, name: str | Parameter) -> Parameter:
        if isinstance(name, Parameter):
            name = name.name
        is_name: bool = isinstance(name, str)
        if not is_name:
            raise ConfigError("parameter", name, "the name of a parameter, or a Parameter")
        if name in self._parameters:
            return self._parameters[name]
        why = inactive_because(name, self._setup)
        if why is not None:
            raise ConfigError("parameter", name, f"one that has an effect ({why})")
        close = difflib.get_close_matches(name, list(self._parameters), n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ConfigError("values", name, f"a name that parameters() lists{hint}")

    def _checked(self, values: Values) -> dict[str, Tensor]:
        """The values in float64; ConfigError for a wrong name, type, shape or device, and for a
        value that another one overrides."""
        is_mapping: bool = isinstance(values, Mapping)
        if not is_mapping:
            raise ConfigError("values", values, "a mapping from names of parameters to tensors")
        checked: dict[str, Tensor] = {}
        for key, value in values.items():
            parameter = self._parameter(key)
            name, shape = parameter.name, parameter.shape
            field = f"values[{name}]"
            if name in checked:
                raise ConfigError(field, Description("two values"), "one, by name or by Parameter")
            is_tensor: bool = isinstance(value, Tensor)
            if not is_tensor:
                raise ConfigError(field, value, "a tensor of real numbers")
            if value.layout != torch.strided or not value.is_floating_point():
                kind = Description(f"{value.layout} of {value.dtype}")
                raise ConfigError(field, kind, "a dense tensor (torch.strided) of real numbers")
            extra = value.dim() - len(shape)
            if extra not in (0, 1) or tuple(value.shape[extra:]) != shape:
                raise ConfigError(
                    field,
                    Description(f"shape {tuple(value.shape)}"),
                    f"shape {shape}, or that with a batch dimension in front",
                )
            if value.device != torch.empty(0, device=self.device).device:
                raise ConfigError(
                    field, Description(f"a tensor on {value.device}"), f"one on {self.device}"
                )
            checked[name] = value.to(torch.float64)
        require_none_overridden(checked, self._setup)
        return checked

    def _batch(self, values: dict[str, Tensor]) -> int | None:
        lengths = {
            value.shape[0]
            for name, value in values.items()
            if value.dim() > len(self._parameters[name].shape)
        }
        if len(lengths) > 1 or 0 in lengths:
            raise ConfigError(
                "values", Description(f"batches of {sorted(lengths)}"), "one length >= 1 for all"
            )
        return lengths.pop() if lengths else None


class _ZeroDerivatives(torch.autograd.Function):
    """Passes an image through; the values beside it get a derivative of 0."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, *values: Tensor) -> Tensor:
        ctx.values = values
        return image.view_as(image)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        require_no_graph(grads)
        return grads[0], *(torch.zeros_like(value) for value in ctx.values)
