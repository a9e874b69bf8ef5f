"""The differentiable model of a detector of panels: values in, one image for each panel out."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.engines.torch.arithmetic.devices import device_of
from nanobragg_hybrid.engines.torch.eager.background import offset_name
from nanobragg_hybrid.engines.torch.eager.expected import (
    batched_light,
    is_light,
    light_numbers,
    light_values,
)
from nanobragg_hybrid.engines.torch.model import ForwardModel, Values
from nanobragg_hybrid.engines.torch.panel_placement import (
    FAST,
    IN_PLANE_ROTATION,
    IN_PLANE_SHIFT,
    ORIGIN,
    PIXEL,
    SHIFT,
    SLOW,
    PanelPlacement,
)
from nanobragg_hybrid.engines.torch.rendering.jacobian import NormalEquations
from nanobragg_hybrid.engines.torch.rendering.render import Progress
from nanobragg_hybrid.engines.torch.scenes.selection import Selection
from nanobragg_hybrid.engines.torch.set_up.bounds import image_memory
from nanobragg_hybrid.engines.torch.set_up.parameters import Parameter, inactive_because
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.model.validate import require_class

OF_PANELS: Final = "detector.panels."
"""How the names of numbers that each panel has begin."""
_TOGETHER: Final = ("detector.rotation_deg", "detector.twotheta_axis", "detector.twotheta_deg")
_SENSOR: Final = ("sensor_thickness_um", "sensor_attenuation_depth_um")

_BLOCK_PRODUCTS: Final = 200_000

Selections = Sequence[Selection | None]
"""Which pixels of each panel; None: all of its active ones."""


class PanelModel:
    """The images of an experiment with a detector of panels as a function of its numbers.

    config: the experiment, whose detector has `panels`; the other arguments are those of
    `ForwardModel`, which each panel has one of: `models`.

    Calling the model with tensors for some values (see `parameters`) gives a tuple with the image
    of each panel, shape (slow, fast), photons per pixel, differentiable in these tensors.  Beside
    what a `ForwardModel` has for beam, crystal, spindle and structure factors, there are numbers of
    the detector as a whole (``detector.shift_mm`` moves all panels before ``detector.rotation_deg``
    and two-theta turn them about the sample), and numbers that each panel has
    (``detector.panels.shift_mm`` along its own axes), of which a value is a tensor with a row for
    each panel.

    Raises `ConfigError` as `ForwardModel`, and for an experiment without panels.
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
        kernel: str = "auto",
        tolerance_photons: float = 0.0,
    ) -> None:
        require_class("config", config, Experiment)
        panels = config.detector.panels
        if panels is None:
            raise ConfigError("config.detector.panels", None, "panels; ForwardModel needs none")
        quirks = Quirks() if quirks is None else quirks
        options: dict[str, Any] = {
            "tile_steps": tile_steps,
            "kernel": kernel,
            "tolerance_photons": tolerance_photons,
        }
        require_class("quirks", quirks, Quirks)
        whole = config.with_directions()  # once for all
        experiments = [whole.of_panel(n, quirks) for n in range(len(panels))]
        require_memory(_memory_needed(experiments, device_of(device)))
        self.models = tuple(
            ForwardModel(experiment, structure_factors, quirks, dtype, device, **options)
            for experiment in experiments
        )
        self._again = partial(type(self), **options)
        self._made_of = (config, structure_factors, quirks, dtype, device)
        self.device = self.models[0].device
        self.dtype = self.models[0].dtype
        self.names = config.detector.panel_names
        self._panels = panels
        self._placements = tuple(
            PanelPlacement(panel, experiment.detector, self.device)
            for panel, experiment in zip(panels, experiments, strict=True)
        )
        self._parameters = {each.name: each for each in self._all_parameters()}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as what it was made of, and set up again from that."""
        return self._again, self._made_of

    def parameters(self) -> tuple[Parameter, ...]:
        """The values that the model takes: name, unit, shape, and whether all is smooth."""
        return tuple(self._parameters.values())

    def initial(self, name: str | Parameter) -> Tensor:
        """The value of a parameter where none is given, float64; see `ForwardModel.initial`."""
        parameter = self._parameter(name)
        if parameter.name == SHIFT:
            value: Any = (0.0, 0.0, 0.0)
        elif parameter.name.startswith(OF_PANELS):
            value = [self._initial_of_panel(n, parameter.name) for n in range(len(self.models))]
        else:
            return self.models[0].initial(parameter.name)
        return torch.tensor(value, dtype=torch.float64, device=self.device).reshape(parameter.shape)

    def __call__(
        self, values: Values | None = None, *, progress: Progress | None = None
    ) -> tuple[Tensor, ...]:
        """The image of each panel for some values; shape (slow, fast), or (batch, slow, fast).

        values, and what is raised: as for `ForwardModel`.  progress: called with the number of
        pixels done, of all panels.
        """
        checked = self._checked(values)
        before = 0
        images = []
        for n, model in enumerate(self.models):
            images.append(model(self._of_panel(n, checked), progress=_after(before, progress)))
            before += model.active_pixels.count
        return tuple(images)

    def expected(
        self, values: Mapping[Any, Tensor] | None = None, *, progress: Progress | None = None
    ) -> tuple[Tensor, ...]:
        """The expected counts of each panel, shape (slow, fast), or (batch, slow, fast); see
        `ForwardModel.expected`.

        values: as for the images, and tensors by the names of `expected_initial`: background and
        response belong to all panels, each offset to its own.
        """
        given = {} if values is None else values
        is_mapping: bool = isinstance(given, Mapping)
        if not is_mapping:
            raise ConfigError("values", values, "a mapping from names of parameters to tensors")
        checked = self._checked({name: x for name, x in given.items() if not is_light(name)})
        own = {name: x for name, x in given.items() if is_light(name)}
        light = light_values(self._experiment, own, self.device)
        lengths = set(batched_light(self._experiment, light).values())
        before = 0
        panels = []
        for n, model in enumerate(self.models):
            values_of_panel: dict[Any, Tensor] = {**self._of_panel(n, checked)}
            for name, alone in self.light_of_panel(n).items():
                if name in own:
                    values_of_panel[alone] = light[name]
            panels.append(model.expected(values_of_panel, progress=_after(before, progress)))
            before += model.active_pixels.count
        lengths |= {len(each) for each in panels if each.dim() == 3}
        if len(lengths) > 1 or 0 in lengths:
            what = Description(f"batches of {sorted(lengths)}")
            raise ConfigError("values", what, "one length >= 1 for all")
        # Of a batch of another panel's offset, all members are the same.
        return tuple(
            each.expand(*lengths, *each.shape) if lengths and each.dim() == 2 else each
            for each in panels
        )

    def expected_initial(self) -> dict[str, Tensor]:
        """The numbers of background and response that `expected` is differentiable in, with their
        values in the experiment, float64 tensors by name."""
        return light_values(self._experiment, {}, self.device)

    def values_of_panel(self, number: int, values: Values | None = None) -> dict[str, Tensor]:
        """The values that a panel's own model takes for values of all panels.

        number: of the panel, from 0.  values: as for the images; what is raised is, too.
        """
        found = self._of_panel(number, self._checked(values))
        return {str(name): value for name, value in found.items()}

    def linearised(
        self, number: int, values: Values | None, names: Sequence[str | Parameter]
    ) -> tuple[dict[str | Parameter, Tensor], list[str | Parameter], Tensor]:
        """How the values of a panel's own model follow from those of all panels.

        number: of the panel, from 0.  names: of parameters.  Gives the panel's values, the names of
        those that move with the parameters, and their derivatives by all numbers of these, float64,
        shape (numbers that move, numbers of the parameters).  Raises `ConfigError` as `jacobian`.
        """
        checked, parameters = self._with_initial(values, names)
        return self._linearised(number, checked, parameters)

    @property
    def _experiment(self) -> Experiment:
        return self._made_of[0]

    def light_of_panel(self, number: int) -> dict[str, str]:
        """The numbers of background and response that a panel has, and their names there, where
        offsets are counted anew."""
        alone = {name: name for name in light_numbers(self._experiment)}
        background = self._experiment.background
        count = 0
        for n, offset in enumerate(() if background is None else background.offsets):
            name = offset_name(n)
            if offset.panel == number:
                alone[name] = offset_name(count)
                count += 1
            else:
                del alone[name]
        return alone

    def pixels(
        self, values: Values | None = None, select: Selections | None = None
    ) -> tuple[Tensor, ...]:
        """The values of some pixels of each panel; see `ForwardModel.pixels`."""
        checked = self._checked(values)
        return tuple(
            torch.zeros(0, dtype=self.dtype, device=self.device)
            if chosen is not None and chosen.count == 0
            else model.pixels(self._of_panel(n, checked), chosen)
            for n, (model, chosen) in enumerate(self._selected(select))
        )

    def jacobian(
        self,
        values: Values | None,
        names: Sequence[str | Parameter],
        select: Selections | None = None,
    ) -> tuple[tuple[Tensor, Tensor], ...]:
        """For each panel the values of pixels, shape (n,), and their derivatives, shape (n, P).

        The P columns are those of all numbers of the named parameters, those of other panels too,
        by which they are 0; see `ForwardModel.jacobian`.
        """
        checked, parameters = self._with_initial(values, names)
        found = []
        numbers = sum(self._parameters[name].size for name in parameters)
        for n, (model, chosen) in enumerate(self._selected(select)):
            if chosen is not None and chosen.count == 0:
                nothing = torch.zeros((0, numbers), dtype=self.dtype, device=self.device)
                found.append((nothing.sum(1), nothing))
                continue
            alone, moved, columns = self._linearised(n, checked, parameters)
            pixels, rows = model.jacobian(alone, moved, chosen)
            found.append((pixels, _product(rows, columns)))
        return tuple(found)

    def normal_equations(
        self,
        values: Values | None,
        names: Sequence[str | Parameter],
        data: Sequence[Tensor],
        variance: Sequence[Tensor],
        select: Selections | None = None,
    ) -> NormalEquations:
        """What a step of Gauss and Newton needs, added up over all panels.

        data, variance: of the pixels of each panel; see `ForwardModel.normal_equations`.
        """
        checked, parameters = self._with_initial(values, names)
        _one_for_each_panel("data", data, len(self.models))
        _one_for_each_panel("variance", variance, len(self.models))
        count = sum(self._parameters[name].size for name in parameters)
        matrix = torch.zeros((count, count), dtype=torch.float64, device=self.device)
        gradient = torch.zeros(count, dtype=torch.float64, device=self.device)
        chi_square = torch.zeros((), dtype=torch.float64, device=self.device)
        for n, (model, chosen) in enumerate(self._selected(select)):
            alone, moved, columns = self._linearised(n, checked, parameters)
            own = model.normal_equations(alone, moved, data[n], variance[n], chosen)
            matrix += columns.T @ own.matrix @ columns
            gradient += columns.T @ own.gradient
            chi_square += own.chi_square
        return NormalEquations(matrix, gradient, chi_square)

    @property
    def eager_reason(self) -> str | None:
        """Why the eager kernel renders a panel, the first that it does; see `ForwardModel`."""
        for name, model in zip(self.names, self.models, strict=True):
            if model.eager_reason is not None:
                return f"panel {name}: {model.eager_reason}"
        return None

    # ---- parameters

    def _all_parameters(self) -> list[Parameter]:
        count = len(self.models)
        shared = [
            each
            for each in self.models[0].parameters()
            if not each.name.startswith("detector.") or each.name in _TOGETHER
        ]
        own: list[tuple[str, str, tuple[int, ...], str]] = [
            (ORIGIN, "mm", (3,), "corners of pixel (0, 0), before anything turns them"),
            (FAST, "", (3,), ""),
            (SLOW, "", (3,), ""),
            (IN_PLANE_SHIFT, "mm", (2,), "along the panel's fast and slow axis"),
            (IN_PLANE_ROTATION, "deg", (), "about the panel's middle, in its plane"),
        ]
        are_oblong = {isinstance(panel.pixel_size_mm, tuple) for panel in self._panels}
        if len(are_oblong) == 1:  # else it would have a number for some and two for others
            shape = (2,) if True in are_oblong else ()
            own.append((PIXEL, "mm", shape, "the number of pixels stays"))
        own += [(name, "um", (), "") for name in _SENSOR if not self._without_sensor(name)]
        note = "moves all panels, before rotations turn them about the sample"
        return [
            *shared,
            Parameter(SHIFT, "mm", (3,), note=note),
            *(
                Parameter(OF_PANELS + name, unit, (count, *shape), note=text)
                for name, unit, shape, text in own
            ),
        ]

    def _without_sensor(self, name: str) -> list[str]:
        """The panels that have no such parameter."""
        active = [{each.name for each in model.parameters()} for model in self.models]
        return [
            panel
            for panel, names in zip(self.names, active, strict=True)
            if f"detector.{name}" not in names
        ]

    def _initial_of_panel(self, number: int, name: str) -> Any:
        own = name.removeprefix(OF_PANELS)
        if own == IN_PLANE_SHIFT:
            return (0.0, 0.0)
        if own == IN_PLANE_ROTATION:
            return 0.0
        if own in _SENSOR:
            return self.models[number].initial(f"detector.{own}").tolist()
        return getattr(self._panels[number], own)

    def _parameter(self, name: str | Parameter) -> Parameter:
        if isinstance(name, Parameter):
            name = name.name
        is_name: bool = isinstance(name, str)
        if not is_name:
            raise ConfigError("parameter", name, "the name of a parameter, or a Parameter")
        if name in self._parameters:
            return self._parameters[name]
        own = name.removeprefix(OF_PANELS)
        close = difflib.get_close_matches(name, list(self._parameters), n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        if own != name and own == PIXEL:
            raise ConfigError("parameter", name, "pixels that are square in all panels, or in none")
        if own != name and own in _SENSOR:
            without = ", ".join(self._without_sensor(own))
            raise ConfigError(
                "parameter", name, f"one that has an effect (not on these panels: {without})"
            )
        if name.startswith("detector.") and own == name:
            rule = f"one of {OF_PANELS}*, {SHIFT}, {', '.join(_TOGETHER)}"
            raise ConfigError("parameter", name, rule)
        why = inactive_because(name, self.models[0].setup)
        if why is not None:
            raise ConfigError("parameter", name, f"one that has an effect ({why})")
        raise ConfigError("values", name, f"a name that parameters() lists{hint}")

    def _checked(self, values: Values | None) -> dict[str, Tensor]:
        """The values by name; those of panels in float64, of the right shape and device."""
        given: Values = {} if values is None else values
        is_mapping: bool = isinstance(given, Mapping)
        if not is_mapping:
            raise ConfigError("values", values, "a mapping from names of parameters to tensors")
        checked: dict[str, Tensor] = {}
        for key, value in given.items():
            parameter = self._parameter(key)
            field = f"values[{parameter.name}]"
            if parameter.name in checked:
                raise ConfigError(field, Description("two values"), "one, by name or by Parameter")
            checked[parameter.name] = self._tensor(field, value, parameter.shape)
        lengths = {
            value.shape[0]
            for name, value in checked.items()
            if value.dim() > len(self._parameters[name].shape)
        }
        if len(lengths) > 1 or 0 in lengths:
            raise ConfigError(
                "values", Description(f"batches of {sorted(lengths)}"), "one length >= 1 for all"
            )
        return checked

    def _tensor(self, field: str, value: object, shape: tuple[int, ...]) -> Tensor:
        if not isinstance(value, Tensor):
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
        return value.to(torch.float64)

    # ---- from the detector to one panel

    def _of_panel(
        self, number: int, checked: Mapping[str, Tensor]
    ) -> dict[str | Parameter, Tensor]:
        """The values of a panel's own model."""
        shared, own = self._split(number, checked)
        values: dict[str | Parameter, Tensor] = {}
        values.update(shared)
        values.update(self._own(number, own))
        return values

    def _split(
        self, number: int, checked: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Values that a panel's model takes as they are, and the panel's own numbers."""
        shared, own = {}, {}
        for name, value in checked.items():
            if name.startswith(OF_PANELS):
                has_batch = value.dim() > len(self._parameters[name].shape)
                own[name.removeprefix(OF_PANELS)] = value.select(int(has_batch), number)
            elif name == SHIFT:
                own[name] = value
            else:
                shared[name] = value
        return shared, own

    def _own(self, number: int, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        sensor = {f"detector.{name}": own[name] for name in _SENSOR if name in own}
        return {**sensor, **self._placements[number].values(own)}

    def _with_initial(
        self, values: Values | None, names: Sequence[str | Parameter]
    ) -> tuple[dict[str, Tensor], list[str]]:
        is_sequence: bool = isinstance(names, list | tuple)
        if not is_sequence:
            raise ConfigError("names", names, "a list or tuple of names of parameters")
        parameters = [self._parameter(name).name for name in names]
        if len(set(parameters)) < len(parameters):
            raise ConfigError("names", tuple(parameters), "each name once")
        checked = {name: value.detach() for name, value in self._checked(values).items()}
        if any(value.dim() > len(self._parameters[n].shape) for n, value in checked.items()):
            raise ConfigError("values", Description("a batch"), "single values for a Jacobian")
        for name in parameters:
            if name not in checked:
                checked[name] = self.initial(name)
        return checked, parameters

    def _linearised(
        self, number: int, checked: Mapping[str, Tensor], parameters: Sequence[str]
    ) -> tuple[dict[str | Parameter, Tensor], list[str | Parameter], Tensor]:
        """The values of a panel's model; which of them move with the parameters; and how, shape
        (numbers that move, numbers of the parameters)."""
        shared, own = self._split(number, checked)
        moving = [
            name.removeprefix(OF_PANELS)
            for name in parameters
            if name == SHIFT or name.startswith(OF_PANELS)
        ]
        alone = self._own(number, own)
        names = list(alone) if moving else []
        slopes: Tensor | None = None
        if moving:

            def placed(*numbers: Tensor) -> Tensor:
                given = {**own, **dict(zip(moving, numbers, strict=True))}
                made = self._own(number, given)
                return torch.cat([made[name].reshape(-1) for name in names])

            blocks = _slopes(placed, tuple(own[name] for name in moving))
            slopes = torch.cat([block.reshape(block.shape[0], -1) for block in blocks], dim=1)
        same = [name for name in parameters if name in shared]
        rows = sum(shared[name].numel() for name in same) + (0 if slopes is None else len(slopes))
        sizes = [self._parameters[name].size for name in parameters]
        columns = torch.zeros((rows, sum(sizes)), dtype=torch.float64, device=self.device)
        row = own_column = column = 0
        for name, size in zip(parameters, sizes, strict=True):
            if name in shared:
                columns[row : row + size, column : column + size] = torch.eye(size)
                row += size
            elif slopes is not None:
                width = size if name == SHIFT else size // len(self.models)
                start = column if name == SHIFT else column + number * width
                block = slopes[:, own_column : own_column + width]
                columns[rows - len(slopes) :, start : start + width] = block
                own_column += width
            column += size
        values_of_panel: dict[str | Parameter, Tensor] = {}
        values_of_panel.update(shared)
        values_of_panel.update(alone)
        return values_of_panel, [*same, *names], columns

    def _selected(
        self, select: Selections | None
    ) -> Sequence[tuple[ForwardModel, Selection | None]]:
        if select is None:
            select = (None,) * len(self.models)
        _one_for_each_panel("select", select, len(self.models))
        return list(zip(self.models, select, strict=True))


def _memory_needed(experiments: Sequence[Experiment], device: torch.device) -> dict[str, int]:
    """Bytes of the images of all panels, by what needs them."""
    count = f" of {len(experiments)} panels"
    parts: dict[str, int] = {}
    for experiment in experiments:
        for what, needed in image_memory(experiment, device).items():
            name = ("pixel values" if what.endswith("pixel values") else what) + count
            parts[name] = parts.get(name, 0) + needed
    return parts


def _one_for_each_panel(name: str, given: object, count: int) -> None:
    if not isinstance(given, list | tuple) or len(given) != count:
        raise ConfigError(name, given, f"a list or tuple of {count}, one for each panel")


def _product(rows: Tensor, columns: Tensor) -> Tensor:
    """rows @ columns, of many short rows: on the CPU in the thread that calls, since others would
    take longer to wake than to multiply."""
    if rows.device.type != "cpu":
        return rows @ columns
    left, right = rows.numpy(), columns.to(rows.dtype).numpy()
    length = max(_BLOCK_PRODUCTS // max(right.size, 1), 16)
    made = torch.empty((rows.shape[0], right.shape[1]), dtype=rows.dtype)
    whole = made.numpy()
    for start in range(0, len(left), length):
        part = slice(start, start + length)
        whole[part] = left[part] @ right
    return made


def _slopes(function: Callable[..., Tensor], at: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The Jacobian of a function by each of its arguments."""
    blocks: tuple[Tensor, ...] = torch.autograd.functional.jacobian(function, at)  # type: ignore[no-untyped-call]
    return blocks


def _after(before: int, progress: Progress | None) -> Progress | None:
    """A callback that counts the pixels of the panels before this one, too."""
    if progress is None or not callable(progress):
        return progress
    return lambda done: progress(before + done)
