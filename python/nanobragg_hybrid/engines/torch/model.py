"""The differentiable model: values in, image out."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.engines.torch.autograd import applied
from nanobragg_hybrid.engines.torch.blocks import Block, Tile
from nanobragg_hybrid.engines.torch.devices import device_of, dtype_of
from nanobragg_hybrid.engines.torch.initial_values import value_of
from nanobragg_hybrid.engines.torch.inputs import Inputs
from nanobragg_hybrid.engines.torch.kernel import block_value, solid_angle_sum
from nanobragg_hybrid.engines.torch.paths import Path, differentiable_paths, obstacle
from nanobragg_hybrid.engines.torch.pixels import LitPixels, lit_pixels
from nanobragg_hybrid.engines.torch.quantities import GRID, scene_of
from nanobragg_hybrid.engines.torch.recompute import recomputed
from nanobragg_hybrid.engines.torch.scene import Scene
from nanobragg_hybrid.engines.torch.serial import Serial, Tiling, serial_places, tiles
from nanobragg_hybrid.engines.torch.setup import Setup, set_up
from nanobragg_hybrid.engines.torch.tables import tables_of
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.model.validate import Integer, require_class

_CPU_TILE_STEPS = 2**16
_GPU_TILE_STEPS = 2**22
_TILE_STEPS = Integer(at_least=1)

Values = Mapping[str, Tensor]
Progress = Callable[[int], None]
"""Called with the number of lit pixels that are done."""


class ForwardModel:
    """The image of an experiment as a function of its numbers.

    config: the experiment; it decides everything discrete.  structure_factors: the amplitudes.
    quirks: all on if None.  dtype: float64, or float32 for float64 phases with float32 sums.
    device: "cpu", "cuda", "cuda:1", "auto".  tile_steps: evaluations of the innermost formula that
    are held in memory at a time; None chooses.

    Calling the model with tensors for some values (see `paths`) gives the image as a tensor,
    shape (slow, fast), photons per pixel, differentiable in these tensors:

    >>> model = ForwardModel(experiment, table)                       # doctest: +SKIP
    >>> cell = torch.tensor([70.0, 80.0, 90.0], requires_grad=True)   # doctest: +SKIP
    >>> model({"crystal.cell_angstrom": cell}).sum().backward()       # doctest: +SKIP

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
        if tile_steps is None:
            tile_steps = _CPU_TILE_STEPS if self.device.type == "cpu" else _GPU_TILE_STEPS
        try:
            self._tiling = Tiling(_TILE_STEPS.normalise(tile_steps))
        except ValueError:
            raise ConfigError("tile_steps", tile_steps, _TILE_STEPS.text) from None
        self._setup = set_up(config, structure_factors, quirks)
        self._tables = tables_of(self._setup, self.device, self.dtype)
        self._lit = lit_pixels(config, self.device)
        self._paths = {path.name: path for path in differentiable_paths(self._setup)}

    @property
    def setup(self) -> Setup:
        """Everything discrete, as it was decided."""
        return self._setup

    @property
    def lit(self) -> LitPixels:
        """The pixels that are computed."""
        return self._lit

    @property
    def tiling(self) -> Tiling:
        """How the work is cut."""
        return self._tiling

    def paths(self) -> tuple[Path, ...]:
        """The values that the model takes: name, unit, shape, and whether all is smooth."""
        return tuple(self._paths.values())

    def initial(self, name: str) -> Tensor:
        """The value of a path where none is given, a float64 tensor on the model's device.

        Raises `ConfigError` for a name that `paths` does not list.
        """
        path = self._path(name)
        value = value_of(name, self._setup)
        return torch.tensor(value, dtype=torch.float64, device=self.device).reshape(path.shape)

    def __call__(self, values: Values | None = None, *, progress: Progress | None = None) -> Tensor:
        """The image for some values; shape (slow, fast), or (batch, slow, fast).

        Each tensor has its path's shape, or that with one more dimension in front; all that have it
        agree in its length, and the images are stacked.
        """
        checked = self._checked(values or {})
        batch = self._batch(checked)
        if batch is None:
            return self._image(checked, progress)
        images = []
        for n in range(batch):
            one = {
                name: value[n] if value.dim() > len(self._paths[name].shape) else value
                for name, value in checked.items()
            }
            images.append(self._image(one, progress))
        return torch.stack(images)

    def solid_angle_sum(self) -> Tensor:
        """The solid angle summed over every sub-pixel visit (model 6.9), steradian, shape ()."""
        with torch.no_grad():
            scene = self.scene({})
            total = torch.zeros((), dtype=torch.float64, device=self.device)
            choices = self._setup.choices
            for _, tile in tiles(choices, self._lit, self._tiling, Serial(None, None), self.device):
                total += solid_angle_sum(scene, choices, tile)
        return total

    def _image(self, values: dict[str, Tensor], progress: Progress | None) -> Tensor:
        scene, choices = self.scene(values), self._setup.choices
        serial = serial_places(scene, choices, self._lit, self._tiling, self.device)
        parts = [torch.zeros(0, dtype=torch.float64, device=self.device)]
        for pixels, tile in tiles(choices, self._lit, self._tiling, serial, self.device):
            parts.append(self.tile_value(scene, tile))
            if progress is not None:
                progress(pixels.stop)
        image = self._lit.image(torch.cat(parts))
        return self._tied(image, values).to(self.dtype)

    def tile_value(self, scene: Scene, tile: Tile) -> Tensor:
        """The values of a tile's pixels before rounding, float64, shape (pixels,)."""
        choices = self._setup.choices

        def evaluate(block: Block) -> tuple[Tensor, Tensor]:
            own = partial(block_value, choices=choices, tile=tile, block=block, dtype=self.dtype)
            value, product = recomputed(own, scene)
            return value, product

        return self._tiling.total(choices, tile, evaluate)

    def scene(self, values: Values) -> Scene:
        """Everything continuous, for some values of the right names, types and shapes."""
        setup = self._setup
        inputs = Inputs(setup.experiment, setup.structure_factors, setup.quirks, values)
        return scene_of(setup, self._tables, inputs)

    def _tied(self, image: Tensor, values: dict[str, Tensor]) -> Tensor:
        """The image, with a derivative of 0 for values that it does not depend on.

        Every lit pixel depends on the table, for which 0 would be one more copy of it.
        """
        wanted = [
            value
            for name, value in values.items()
            if value.requires_grad and (name != GRID or self._lit.count == 0)
        ]
        tied: Tensor = applied(_Tie, image, *wanted) if wanted else image
        return tied

    def _path(self, name: str) -> Path:
        if name in self._paths:
            return self._paths[name]
        why = obstacle(name, self._setup)
        if why is not None:
            raise ConfigError("path", name, f"one that has an effect ({why})")
        close = difflib.get_close_matches(name, list(self._paths), n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ConfigError("values", name, f"a name that paths() lists{hint}")

    def _checked(self, values: Values) -> dict[str, Tensor]:
        """The values in float64; ConfigError for a wrong name, type, shape or device."""
        checked = {}
        for name, value in values.items():
            path = self._path(name)
            field = f"values[{name}]"
            is_tensor: bool = isinstance(value, Tensor)
            if not is_tensor or not value.is_floating_point():
                raise ConfigError(field, value, "a tensor of real numbers")
            extra = value.dim() - len(path.shape)
            if extra not in (0, 1) or tuple(value.shape[extra:]) != path.shape:
                raise ConfigError(
                    field,
                    Description(f"shape {tuple(value.shape)}"),
                    f"shape {path.shape}, or that with a batch dimension in front",
                )
            if value.device != torch.empty(0, device=self.device).device:
                raise ConfigError(
                    field, Description(f"a tensor on {value.device}"), f"one on {self.device}"
                )
            checked[name] = value.to(torch.float64)
        return checked

    def _batch(self, values: dict[str, Tensor]) -> int | None:
        lengths = {
            value.shape[0]
            for name, value in values.items()
            if value.dim() > len(self._paths[name].shape)
        }
        if len(lengths) > 1 or 0 in lengths:
            raise ConfigError(
                "values", Description(f"batches of {sorted(lengths)}"), "one length >= 1 for all"
            )
        return lengths.pop() if lengths else None


class _Tie(torch.autograd.Function):
    """Passes an image through; the values beside it get a derivative of 0."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, *values: Tensor) -> Tensor:
        ctx.values = values
        return image.view_as(image)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        return grads[0], *(torch.zeros_like(value) for value in ctx.values)
