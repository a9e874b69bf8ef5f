"""The differentiable model: values in, image out."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nanobragg_hybrid.base.errors import ConfigError, Description, UnsupportedError
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.base.units import m_to_um
from nanobragg_hybrid.engines.torch.arithmetic.devices import device_of, dtype_of
from nanobragg_hybrid.engines.torch.arithmetic.scalars import as_float, is_transformed
from nanobragg_hybrid.engines.torch.compiled.kernel import CompiledKernel, SeenTable
from nanobragg_hybrid.engines.torch.eager.background import background_photons
from nanobragg_hybrid.engines.torch.eager.expected import (
    batched_light,
    expected_counts,
    is_light,
    light_values,
    source_region,
)
from nanobragg_hybrid.engines.torch.eager.intensities import solid_angle_sum
from nanobragg_hybrid.engines.torch.eager.kernel import EagerKernel
from nanobragg_hybrid.engines.torch.forked import require_own_threads
from nanobragg_hybrid.engines.torch.fused.kernel import FusedKernel
from nanobragg_hybrid.engines.torch.programs.steps import step
from nanobragg_hybrid.engines.torch.programs.uncompiled import uncompiled
from nanobragg_hybrid.engines.torch.rendering.batch import BatchRender, leaves_rays
from nanobragg_hybrid.engines.torch.rendering.jacobian import (
    NormalEquations,
    PixelJacobian,
    normal_equations,
)
from nanobragg_hybrid.engines.torch.rendering.kernel_choice import (
    KERNELS,
    KernelName,
    planned_kernel,
    triton_kernel,
)
from nanobragg_hybrid.engines.torch.rendering.render import Progress, Render
from nanobragg_hybrid.engines.torch.scenes.packing import Packed, Template, unpack
from nanobragg_hybrid.engines.torch.scenes.pixels import ActivePixels
from nanobragg_hybrid.engines.torch.scenes.scene import Scene
from nanobragg_hybrid.engines.torch.scenes.selection import Chosen, Selection, chosen
from nanobragg_hybrid.engines.torch.scenes.tiles import SerialOrder, Tiling, tiles
from nanobragg_hybrid.engines.torch.set_up.bounds import image_memory
from nanobragg_hybrid.engines.torch.set_up.overrides import require_none_overridden
from nanobragg_hybrid.engines.torch.set_up.parameters import (
    Parameter,
    inactive_because,
    initial_value,
    parameters_of,
)
from nanobragg_hybrid.engines.torch.set_up.quantities import GRID
from nanobragg_hybrid.engines.torch.set_up.setup import Setup, set_up
from nanobragg_hybrid.engines.torch.values.packed_scene import packed_scene
from nanobragg_hybrid.engines.torch.values.packed_values import packed_and_tangents
from nanobragg_hybrid.engines.torch.values.placed_set_up import placed_set_up
from nanobragg_hybrid.model.conventions import CULLING_REASONS
from nanobragg_hybrid.model.detector import several_panels
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.model.validate import Integer, Number, require_class

_CPU_TILE_STEPS = 2**16
_GPU_TILE_STEPS = 2**22
_TILE_STEPS = Integer(at_least=1)
_TOLERANCE = Number(at_least=0.0)

Values = Mapping[str | Parameter, Tensor]
"""By a parameter's name, or by what `ForwardModel.parameters` has of it."""
PLAIN_NUMBERS: Final = (
    "jacobian and normal_equations give plain numbers, also to torch.func, vmap and dual numbers, "
    "which would take them for constants: use torch.func.jacfwd or jacrev of pixels"
)


class ForwardModel:
    """The image of an experiment as a function of its numbers.

    config: the experiment, of one panel (`PanelModel` takes several); it decides everything
    discrete.  structure_factors: the amplitudes.
    quirks: all on if None.  dtype: float64, or float32 for float64 phases with float32 sums.
    device: "cpu", "cuda", "cuda:1", "auto".  tile_steps: evaluations of the innermost formula that
    are held in memory at a time by the eager kernel; None chooses.  kernel: what computes pixels:
    "eager" (torch's operators, the definition), "compiled" (the C library, one pass for values and
    one for derivatives; an error where it does not render an experiment), "triton" (the same on a
    GPU, or in Triton's interpreter), or "auto": triton on a GPU and compiled on the CPU where they
    render it, else eager.  tolerance_photons: >= 0; the compiled kernels and
    Triton's leave out steps that together are less than this in every pixel, and their derivatives
    with them (docs/differentiable.md, "Leaving out what is dark"); the eager kernel visits every
    step.

    Calling the model with tensors for some values (see `parameters`) gives the image as a tensor,
    shape (slow, fast), photons per pixel, differentiable in these tensors:

    >>> import nanobragg_hybrid as nb
    >>> experiment = nb.Experiment(
    ...     crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5)),
    ...     detector=nb.Detector(distance_mm=100, pixel_size_mm=0.4, n_fast=8, n_slow=6),
    ... )
    >>> model = nb.ForwardModel(experiment, nb.StructureFactors.constant(100.0))
    >>> cell = torch.tensor([70.0, 80.0, 90.0], dtype=torch.float64, requires_grad=True)
    >>> model({"crystal.cell_angstrom": cell}).sum().backward()
    >>> cell.grad.shape
    torch.Size([3])

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
        kernel: str = "auto",
        tolerance_photons: float = 0.0,
    ) -> None:
        quirks = Quirks() if quirks is None else quirks
        require_class("config", config, Experiment)
        require_class("structure_factors", structure_factors, StructureFactors)
        require_class("quirks", quirks, Quirks)
        count = len(config.detector.shapes)
        if count > 1:
            raise several_panels("config.detector.panels", count, "PanelModel is that of several")
        config = config.of_only_panel(quirks)
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
        placed = placed_set_up(self._setup, self.device)
        self._tables, self._active, self._configured = placed.tables, placed.active, placed.scene
        self._constants = placed.constants
        try:
            self.kernel = KERNELS.normalise(kernel)
        except ValueError:
            raise ConfigError("kernel", kernel, KERNELS.text) from None
        try:
            self.tolerance_photons = float(_TOLERANCE.normalise(tolerance_photons))
        except ValueError:
            raise ConfigError("tolerance_photons", tolerance_photons, _TOLERANCE.text) from None
        self._planned = planned_kernel(
            self.kernel, self.dtype, self.device, self._setup.choices.domain_weights
        )
        self._kernel = EagerKernel(self._setup.choices, self._tiling, self.dtype, self.device)
        self._seen = SeenTable()
        self._initial: dict[str, NDArray[np.float64]] = {}
        self._place = torch.empty(0, device=self.device).device
        self._last_chosen: tuple[Selection | None, Chosen] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as what it was made of, and set up again from that."""
        setup = self._setup
        again = partial(
            type(self),
            tile_steps=self._tiling.tile_steps,
            kernel=self.kernel,
            tolerance_photons=self.tolerance_photons,
        )
        made_of = (setup.experiment, setup.structure_factors, setup.quirks)
        return again, (*made_of, self.dtype, self.device)

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
        numbers = self._initial.get(parameter.name)
        if numbers is None:
            value = initial_value(parameter.name, self._setup)
            numbers = np.array(value, dtype=np.float64).reshape(parameter.shape)
            if parameter.name != GRID:
                self._initial[parameter.name] = numbers
        return torch.tensor(numbers, dtype=torch.float64, device=self.device)

    @uncompiled
    def __call__(self, values: Values | None = None, *, progress: Progress | None = None) -> Tensor:
        """The image for some values; shape (slow, fast), or (batch, slow, fast).

        values: tensors by the name of their parameter, or by the `Parameter` itself.  Each has its
        parameter's shape, or that with one more dimension in front; all that have it agree in its
        length, and the images are stacked.

        Raises `ConfigError` for a wrong name, type, shape or device, and for a value that another
        one leaves without effect; `UnsupportedError` where torch's operators are to be written down
        (torch.func.linearize), and `BackendError` in a process that was forked after its parent had
        used the engine.
        """
        if progress is not None and not callable(progress):
            raise ConfigError("progress", progress, "a function of the number of pixels, or None")
        rows = self._rows(values, None, progress)
        if rows.dim() == 1:
            return self._active.image(rows)
        n_slow, n_fast = self._active.shape
        if self._active.raster is None and self._active.count == n_slow * n_fast:
            return rows.reshape(-1, n_slow, n_fast)
        return torch.stack([self._active.image(row) for row in rows.unbind()])

    @uncompiled
    def expected(
        self, values: Mapping[Any, Tensor] | None = None, *, progress: Progress | None = None
    ) -> Tensor:
        """The expected counts for some values: image and background after the point spread, times
        the gains of the pixels (model 9, 10); float64, shape (slow, fast), or (batch, slow, fast).

        values: as for the image, and tensors by the names of `expected_initial`.  It is
        differentiable in all of them.  With a batch dimension in front of some of them the result
        has it, too.  Without background and response these are the photons of the image.

        Light that spreads into the region of interest is rendered with it; pixels outside it, and
        those under the mask, are 0.

        Raises the same as a call of the model.
        """
        given = {} if values is None else values
        is_mapping: bool = isinstance(given, Mapping)
        if not is_mapping:
            raise ConfigError("values", values, "a mapping from names of parameters to tensors")
        own = self._checked({name: x for name, x in given.items() if not is_light(name)})
        experiment = self._setup.experiment
        light = light_values(
            experiment, {name: x for name, x in given.items() if is_light(name)}, self.device
        )
        lengths = batched_light(experiment, light)
        of_image = self._batch(own)
        if of_image is not None:
            lengths["image"] = of_image
        if len(set(lengths.values())) > 1 or 0 in lengths.values():
            what = Description(f"batches of {sorted(set(lengths.values()))}")
            raise ConfigError("values", what, "one length >= 1 for all")
        of_source: dict[str | Parameter, Tensor] = {}
        of_source.update(own)
        images = self.source(of_source, progress=progress)
        if not lengths:
            return self._expected(images, own, light)
        members = []
        for n in range(next(iter(lengths.values()))):
            values_of_member = {
                name: x[n] if x.dim() > len(self._parameters[name].shape) else x
                for name, x in own.items()
            }
            light_of_member = {name: x[n] if name in lengths else x for name, x in light.items()}
            image = images if of_image is None else images[n]
            members.append(self._expected(image, values_of_member, light_of_member))
        return torch.stack(members)

    def expected_initial(self) -> dict[str, Tensor]:
        """The numbers of background and response that `expected` is differentiable in, with their
        values in the experiment, float64 tensors by name."""
        return light_values(self._setup.experiment, {}, self.device)

    def background(self) -> tuple[Tensor | None, tuple[int, ...]]:
        """Photons beside the spots (model 9), float64, shape (slow, fast), None where there are
        none; and in how many pixels each table was asked outside its rows."""
        experiment, setup = self._setup.experiment, self._setup
        if experiment.background is None:
            return None, ()
        photons, outside = background_photons(
            experiment.background,
            self.scene(),
            setup.choices,
            self._active,
            light_values(experiment, {}, self.device),
        )
        return self._active.image(photons), outside

    @cached_property
    def source(self) -> ForwardModel:
        """The model of the pixels whose light spreads into the active ones; itself without a point
        spread, or without a region of interest."""
        setup = self._setup
        pixel_um = m_to_um(as_float(self.scene().pixel))
        roi = source_region(setup.experiment, setup.roi, pixel_um)
        if roi == setup.roi:
            return self
        return type(self)(
            setup.experiment.replace({"sampling.roi": roi}),
            setup.structure_factors,
            setup.quirks,
            self.dtype,
            self.device,
            tile_steps=self._tiling.tile_steps,
            kernel=self.kernel,
            tolerance_photons=self.tolerance_photons,
        )

    def _expected(
        self, image: Tensor, values: Mapping[str, Tensor], light: Mapping[str, Tensor]
    ) -> Tensor:
        """The expected counts of an image of `source` that was rendered for these values; light:
        all numbers of background and response."""
        scene, choices = self.scene(values), self._setup.choices
        source, experiment = self.source.active_pixels, self._setup.experiment
        return expected_counts(experiment, scene, choices, source, self._active, image, light)

    @uncompiled
    def pixels(self, values: Values | None = None, select: Selection | None = None) -> Tensor:
        """The values of some pixels only, in the order of the selection; shape (n,), or (batch, n).

        values: as for the image.  select: which pixels; None: all active ones, in serial order.
        The cost is in proportion to their number, the quirk interpolation_latch excepted: which
        pixel switches interpolation off is a property of the whole image.

        Raises the same, and `ConfigError` for a pixel that is not active.
        """
        return self._rows(values, select, None)

    @uncompiled
    def jacobian(
        self,
        values: Values | None,
        names: Sequence[str | Parameter],
        select: Selection | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The values of pixels, shape (n,), and their derivatives, shape (n, P); float64, without
        a graph.

        names: parameters, whose numbers, flattened, are the P columns in this order; those without
        a value are at their initial one.  No value may have a batch dimension.

        Raises the same as `pixels`, and `ConfigError` for the table of structure factors as a
        parameter.
        """
        return self._jacobian(values, names, select).all_rows()

    @uncompiled
    def normal_equations(
        self,
        values: Values | None,
        names: Sequence[str | Parameter],
        data: Tensor,
        variance: Tensor,
        select: Selection | None = None,
    ) -> NormalEquations:
        """What a step of Gauss and Newton needs, added up pixel by pixel.

        data, variance: what was measured and its variance (> 0), photons, shape (n,).  The rest,
        and what is raised, is as for `jacobian`.
        """
        return normal_equations(self._jacobian(values, names, select), data, variance)

    def solid_angle_sum(self) -> Tensor:
        """The solid angle summed over every sub-pixel sample (model 6.9), steradian, shape ()."""
        with torch.no_grad():
            scene = self.scene()
            total = torch.zeros((), dtype=torch.float64, device=self.device)
            choices, order = self._setup.choices, SerialOrder(None, None)
            for _, tile in tiles(choices, self._active, self._tiling, order, self.device):
                total += solid_angle_sum(scene, choices, tile)
        return total

    def scene(self, values: Mapping[str, Tensor] | None = None) -> Scene:
        """Everything continuous, for some values of the right names, types and shapes."""
        return unpack(*self._packed({} if values is None else values))

    def _rows(
        self, values: Values | None, select: Selection | None, progress: Progress | None
    ) -> Tensor:
        """The values of pixels, for each member of the batch if there is one."""
        checked = self._checked({} if values is None else values)
        pixels = self._chosen(select)
        batch = self._batch(checked)
        if batch is None:
            return self._row(checked, pixels, progress)
        batched = [n for n, x in checked.items() if x.dim() > len(self._parameters[n].shape)]
        members = [
            {name: x[n] if name in batched else x for name, x in checked.items()}
            for n in range(batch)
        ]
        runs = self._setup.choices.running_product
        if progress is None and all(leaves_rays(name, runs=runs) for name in batched):
            together = self._together(members, pixels)
            if together is not None:
                return together
        return torch.stack([self._row(member, pixels, progress) for member in members])

    def _together(self, members: list[dict[str, Tensor]], pixels: Chosen) -> Tensor | None:
        """All members in one step, (batch, n); None where each has to have its own."""
        if any(is_transformed(value) for member in members for value in member.values()):
            return None
        packed = [self._packed(member) for member in members]
        (first, template), *others = packed
        render, _ = self._render(first, template, pixels)
        is_serial = first.run_start is not None or self._setup.choices.interpolate
        if render.compiled is None or is_serial or any(t != template for _, t in others):
            return None
        batch, tensors = BatchRender.of(render, [each for each, _ in packed])
        (found,) = step(batch, *tensors)
        return pixels.in_order(found, dim=1).to(self.dtype)

    def _row(self, values: dict[str, Tensor], pixels: Chosen, progress: Progress | None) -> Tensor:
        render, tensors = self._render(*self._packed(values), pixels, progress)
        (found,) = step(render, *tensors)
        return pixels.in_order(found).to(self.dtype)

    def _render(
        self, packed: Packed, template: Template, pixels: Chosen, progress: Progress | None = None
    ) -> tuple[Render, list[Tensor]]:
        compiled = self._compiled(template, packed)
        every = self._active
        return Render.of(packed, template, self._kernel, compiled, every, pixels.pixels, progress)

    @property
    def eager_reason(self) -> str | None:
        """Why the eager kernel renders the image of the configuration; None: another one does.

        Single pixels may be the eager kernel's in any case: the first of the run, where its phi
        steps differ, and the one that switches interpolation off.
        """
        packed, template = self._packed({})
        if self._planned.name != "compiled":
            return self._planned.reason
        return self._compiled_kernel(template).refuses(packed)

    @property
    def rendered_by(self) -> KernelName:
        """The kernel that renders the image of the configuration."""
        return self._planned.name if self.eager_reason is None else "eager"

    @property
    def every_step_because(self) -> str:
        """Why every step of the configuration is visited; empty: some may be left out."""
        if self.tolerance_photons == 0.0:
            return "tolerance_photons is 0"
        if self._is_triton:
            return self._triton_kernel.every_step_because(self._packed({})[0])
        if self.rendered_by != "compiled":
            return f"the {self.rendered_by} kernel visits every step"
        packed, template = self._packed({})
        return CULLING_REASONS[self._compiled_kernel(template).culling(packed)]

    @property
    def rays_by_operators_because(self) -> str:
        """Why PyTorch's operators compute positions and factors of pixels in the configuration's
        image; empty: the kernel that renders does."""
        if self.rendered_by == "eager":
            return "the eager kernel is PyTorch's operators"
        return self._triton_kernel.rays_by_operators_because if self._is_triton else ""

    @property
    def _is_triton(self) -> bool:
        return self.rendered_by == "triton"

    def _compiled_kernel(self, template: Template) -> CompiledKernel:
        return CompiledKernel(
            self._setup.choices, template, self.dtype, self._seen, self.tolerance_photons
        )

    @cached_property
    def _triton_kernel(self) -> FusedKernel:
        return triton_kernel(
            self._setup.choices, self.dtype, self._constants, self.tolerance_photons
        )

    def _compiled(self, template: Template, packed: Packed) -> CompiledKernel | FusedKernel | None:
        """The kernels that are no operators of torch, if they render such scenes.

        Raises `UnsupportedError` if they were asked for and do not.
        """
        if self.kernel == "eager":
            return None
        name, reason = self._planned
        kernel: CompiledKernel | FusedKernel | None = None
        if name == "compiled":
            kernel = self._compiled_kernel(template)
            if self.kernel == "compiled":
                reason = kernel.refuses(packed)
        elif name == "triton":
            kernel = self._triton_kernel
        if reason is not None and self.kernel != "auto":
            raise UnsupportedError(f'kernel="{self.kernel}" does not render this: {reason}')
        return kernel

    def _jacobian(
        self, values: Values | None, names: Sequence[str | Parameter], select: Selection | None
    ) -> PixelJacobian:
        given = self._checked({} if values is None else values)
        parameters = self._names(names)
        if self._batch(given) is not None:
            raise ConfigError("values", Description("a batch"), "single values for a Jacobian")
        if any(is_transformed(value) for value in given.values()):
            raise UnsupportedError(PLAIN_NUMBERS)
        checked = {name: self.initial(name) for name in parameters if name not in given}
        checked.update(given)
        require_own_threads()
        detached = {name: value.detach() for name, value in checked.items()}
        packed, template, tangents = packed_and_tangents(
            self._setup, self._tables, detached, parameters
        )
        pixels = self._chosen(select)
        render, tensors = self._render(packed, template, pixels)
        return PixelJacobian(render, tensors, tangents, pixels)

    def _chosen(self, select: Selection | None) -> Chosen:
        """The pixels of a selection, which is found once for the same one."""
        last = self._last_chosen  # read once: another thread may want other pixels
        if last is None or last[0] is not select:
            last = select, chosen(select, self._active, self.device)
            self._last_chosen = last
        return last[1]

    def _names(self, names: Sequence[str | Parameter]) -> list[str]:
        """Names of the parameters of a Jacobian."""
        is_sequence: bool = isinstance(names, list | tuple)
        if not is_sequence:
            raise ConfigError("names", names, "a list or tuple of names of parameters")
        return [self._parameter(name, "names").name for name in names]

    def _packed(self, values: Mapping[str, Tensor]) -> tuple[Packed, Template]:
        """Everything continuous, for some values of the right names, types and shapes; without
        values it was made once.

        Values that the image does not depend on have a derivative of 0.  Every active pixel depends
        on the table, for which 0 would be one more copy of it.
        """
        require_own_threads()
        if not values:
            return self._configured
        linked = tuple(name for name in values if name != GRID or self._active.count == 0)
        return packed_scene(self._setup, self._tables, values, linked)

    def _parameter(self, name: str | Parameter, field: str = "values") -> Parameter:
        """field: the argument that the name stands in."""
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
        raise ConfigError(field, name, f"a name that parameters() lists{hint}")

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
            if value.device != self._place:
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
