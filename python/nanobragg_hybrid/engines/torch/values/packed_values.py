"""From values to a packed scene as one step of autograd, and the derivatives of all of it at once.

In ordinary reverse mode the recorded set-up does it (`recorded_setup`).  Whatever else torch asks
for, the set-up does with tensors: second derivatives, forward mode, the transforms of torch.func,
other devices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.engines.torch.arithmetic.scalars import applied, is_transformed
from nanobragg_hybrid.engines.torch.scenes.packing import Packed, Template, pack
from nanobragg_hybrid.engines.torch.set_up.inputs import Inputs
from nanobragg_hybrid.engines.torch.set_up.quantities import GRID, scene_of
from nanobragg_hybrid.engines.torch.set_up.setup import Setup
from nanobragg_hybrid.engines.torch.set_up.tables import Tables
from nanobragg_hybrid.engines.torch.values.recorded_setup import (
    RecordedSetup,
    SceneTangents,
    SetupValues,
)


def packed_of(
    setup: Setup, tables: Tables, values: Mapping[str, Tensor], linked: tuple[str, ...] = ()
) -> tuple[Packed, Template]:
    """`pack` of `scene_of` for some float64 values of the right names, shapes and device.

    A grid among the values passes through as it is.  Only what depends on values that require
    derivatives requires them.

    linked: names of values that get a derivative of 0 if the scene does not depend on them.
    """
    if not _is_ordinary(values.values(), tables):
        packed, template = _composite(setup, tables, values)
        return _with_link(packed, values, linked), template
    recorded = _recorded(setup, tables, values)
    grid = tables.grid
    if grid is not None:
        grid = values.get(GRID, grid)
    single = {name: value for name, value in values.items() if name != GRID}
    wanted = [name for name, value in single.items() if value.requires_grad]
    if not wanted or not torch.is_grad_enabled():
        done = _evaluated(recorded, single)
        return _with_link(Packed(*_tensors(done), grid), values, linked), done.template
    # Of all its arguments a step has derivatives, those that are 0, too.
    own = tuple(name for name in linked if name in wanted)
    step = _Step(setup, tables, recorded, tuple(single), tuple(wanted), own)
    numbers, sources, cells, *run_start = applied(_SetupFunction, step, *single.values())
    assert step.done is not None
    start = run_start[0] if run_start else None
    packed = Packed(numbers, sources, cells, start, grid)
    others = tuple(name for name in linked if name not in own)
    return _with_link(packed, values, others), step.done.template


def _with_link(packed: Packed, values: Mapping[str, Tensor], linked: Iterable[str]) -> Packed:
    """The same numbers, with a derivative of 0 by some values."""
    nothing = [values[name].reshape(-1)[:0].sum() for name in linked if values[name].requires_grad]
    if not nothing:
        return packed
    # Less 0 leaves every number as it is, -0 too.
    return replace(packed, numbers=packed.numbers - torch.stack(nothing).sum())


def packed_and_tangents(
    setup: Setup, tables: Tables, values: Mapping[str, Tensor], names: Sequence[str]
) -> tuple[Packed, Template, SceneTangents]:
    """`packed_of`, and derivatives of the scene by all numbers of some of the values, in the order
    of `names`.

    values: as for `packed_of`, none of them transformed.  The derivatives are numpy's, wherever the
    values are; nothing requires derivatives.

    Raises `ConfigError` for all structure factors, and for a name that is not among the values.
    """
    for name in names:
        if name == GRID:
            need = "parameters with few numbers: a Jacobian by all structure factors is not formed"
            raise ConfigError("names", name, need)
        if name not in values:
            raise ConfigError("names", name, f"names of values that are given ({_listed(values)})")
    if len(set(names)) < len(names):
        raise ConfigError("names", tuple(names), "each name once")
    recorded = _recorded(setup, tables, values)
    done = _evaluated(recorded, {name: value.cpu() for name, value in values.items()})
    tangents = done.tangents(names)
    if not _is_ordinary((), tables):
        return *_composite(setup, tables, values), tangents
    grid = tables.grid
    if grid is not None:
        grid = values.get(GRID, grid)
    return Packed(*_tensors(done), grid), done.template, tangents


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _recorded(setup: Setup, tables: Tables, values: Mapping[str, Tensor]) -> RecordedSetup:
    names = tuple(values)
    if names not in tables.recorded:
        sizes = {name: value.numel() for name, value in values.items()}
        tables.recorded[names] = RecordedSetup(setup, tables.on_host, sizes)
    recorded = tables.recorded[names]
    assert isinstance(recorded, RecordedSetup)
    return recorded


def _evaluated(recorded: RecordedSetup, values: Mapping[str, Tensor]) -> SetupValues:
    return recorded.evaluate(
        {name: value.detach().numpy() for name, value in values.items() if name != GRID}
    )


def _tensors(done: SetupValues) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    start = None if done.run_start is None else torch.from_numpy(done.run_start)
    numbers, sources = torch.from_numpy(done.numbers), torch.from_numpy(done.sources)
    return numbers, sources, torch.from_numpy(done.cells), start


def _composite(
    setup: Setup, tables: Tables, values: Mapping[str, Tensor]
) -> tuple[Packed, Template]:
    """With tensors from beginning to end."""
    inputs = Inputs(setup.experiment, setup.structure_factors, setup.quirks, values)
    return pack(scene_of(setup, tables, inputs))


def _is_ordinary(tensors: Iterable[Tensor], tables: Tables) -> bool:
    """Whether these are plain numbers on the CPU, and nothing but reverse mode is asked for."""
    if tables.phi_in_steps.device.type != "cpu":
        return False
    return not any(is_transformed(tensor) for tensor in tensors)


class _Step:
    """What one evaluation leaves for its derivatives.

    names: of the values, in the order in which autograd gets them.  wanted: those of which it wants
    derivatives; linked: those of them that have one in any case, if only 0.
    """

    def __init__(
        self,
        setup: Setup,
        tables: Tables,
        recorded: RecordedSetup,
        names: tuple[str, ...],
        wanted: tuple[str, ...],
        linked: tuple[str, ...],
    ) -> None:
        self.setup = setup
        self.tables = tables
        self.recorded = recorded
        self.names = names
        self.wanted = wanted
        self.linked = linked
        self.done: SetupValues | None = None


class _SetupFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, step: _Step, *values: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*values)
        ctx.step = step
        step.done = _evaluated(step.recorded, dict(zip(step.names, values, strict=True)))
        numbers, sources, cells, run_start = _tensors(step.done)
        outputs = [numbers, sources, cells, *([] if run_start is None else [run_start])]
        numbers_live, *others_live = step.recorded.is_live(step.wanted)[: len(outputs)]
        live = [numbers_live or bool(step.linked), *others_live]
        fixed = [output for output, lives in zip(outputs, live, strict=True) if not lives]
        ctx.mark_non_differentiable(*fixed)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        step: _Step = ctx.step
        values = dict(zip(step.names, ctx.saved_tensors, strict=True))
        given = [grad for grad in grads if grad is not None]
        if torch.is_grad_enabled() or not _is_ordinary(given, step.tables):
            return None, *_composite_gradient(step, values, grads)
        assert step.done is not None
        arrays = [None if grad is None else grad.numpy() for grad in grads]
        gradient = step.done.gradient(*arrays, *[None] * (4 - len(arrays)))
        return None, *(
            torch.from_numpy(gradient[name].reshape(value.shape)) if name in step.wanted else None
            for name, value in values.items()
        )


def _composite_gradient(
    step: _Step, values: Mapping[str, Tensor], grads: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The same gradient as a graph of its own, for second derivatives."""
    keeps_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        packed, _ = _composite(step.setup, step.tables, values)
        packed = _with_link(packed, values, step.linked)
    outputs = [packed.numbers, packed.sources, packed.cells, packed.run_start]
    pairs = [
        (output, grad)
        for output, grad in zip(outputs, grads, strict=False)
        if output is not None and grad is not None and output.requires_grad
    ]
    wanted = [values[name] for name in step.wanted]
    found: Sequence[Tensor | None] = [None] * len(wanted)
    if pairs:
        found = torch.autograd.grad(
            [output for output, _ in pairs],
            wanted,
            [grad for _, grad in pairs],
            create_graph=keeps_graph,
            allow_unused=True,
        )
    by_name = dict(zip(step.wanted, found, strict=True))
    return [by_name.get(name) for name in values]
