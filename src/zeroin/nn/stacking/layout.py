"""How a network's parameters are laid out in a row [P] of a stack, and which of its layers the stack controls."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from zeroin.nn.dropout import CountedDropout
from zeroin.nn.layers import BATCHNORMS
from zeroin.nn.recipe import decayed
from zeroin.nn.recording.replay import Recorded
from zeroin.nn.stacking.batch import Workspace
from zeroin.nn.stacking.batchnorm import normed
from zeroin.nn.stacking.compiling import Whole


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What all networks of a stack have in common.

    Args:
        base: the network whose layers are called; its own tensors are not used.
        shapes: of the trained parameters by name; those with weight decay come first.
        shrunk: how many numbers of a row have weight decay.
        drops: the names of the dropout layers.
        norms: the names of the batch norms with running statistics.
        tied: for each further place of a tensor in another module, its name there and the one that it goes by.
        spare: how many rows a stack needs beyond its networks; see `spare_rows`.
        least: how many rows a stack needs in all; see `convolutions`.
        convolves: whether there are convolutions.
        bytes: the size of all results of a row's step, which are kept while it is recorded.
        replays: whether a step gives the same results while it is watched, so that it can be recorded.
        recorded: the recorded step, or how often it ran unrecorded; by order of vmap and grad, number of rows,
            mini-batch, and idle dropout layers.
        workspaces: the memory in which stacks are trained, by order and number of rows.
        compiled: the compiled step, or None if there is none; by the key of `recorded` and the parts of the optimizer
            that are in use.
    """

    base: nn.Module
    shapes: Mapping[str, torch.Size]
    shrunk: int
    drops: tuple[str, ...]
    norms: tuple[str, ...]
    tied: Mapping[str, str]
    spare: int = 0
    least: int = 2
    convolves: bool = False
    bytes: int = 0
    replays: bool = True
    recorded: dict[tuple[str | int, ...], Recorded | int] = field(default_factory=dict)
    workspaces: dict[tuple[str, int], Workspace] = field(default_factory=dict)
    compiled: dict[tuple[str | int, ...], Whole | None] = field(default_factory=dict)

    def forget(self) -> None:
        """Drop all recorded steps, and the memory that they and their stacks hold."""
        self.recorded.clear()
        self.workspaces.clear()

    def flat(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Tensors by name as a row [P]."""
        return torch.cat([tensors[name].detach().reshape(-1) for name in self.shapes])

    def tree(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of [M, P] by name, [M, ...] as the network has them."""
        parts = torch.split(flat, [s.numel() for s in self.shapes.values()], 1)
        return {
            name: part.view(len(flat), *shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def idle(self) -> tuple[bool, ...]:
        """Which dropout layers drop nothing in this epoch; this makes for a different step."""
        return tuple(bool(self.base.get_submodule(name).idle) for name in self.drops)

    def begin_step(self) -> None:
        """Reset the count of how often each dropout layer was called."""
        for name in self.drops:
            self.base.get_submodule(name).uses = 0  # type: ignore[assignment]

    def sources(self) -> dict[str, str]:
        """The name of the parameter or buffer for each key of a state_dict; tied tensors have several keys."""
        kept = {id(t): name for name, t in (*self.base.named_parameters(), *self.base.named_buffers())}
        return {key: kept[id(t)] for key, t in self.base.state_dict(keep_vars=True).items()}


def layout(model: nn.Module) -> Layout:
    """The layout of a network, and of all others of its signature, without spare rows; the network is copied."""
    base = copy.deepcopy(model)
    for module in base.modules():
        if is_running(module):
            module.momentum = 1.0  # type: ignore[assignment]  # the stack itself blends, each row by its own
        if is_running(module) or (isinstance(module, BATCHNORMS) and module.running_mean is None):
            assert isinstance(module, BATCHNORMS)
            module.forward = partial(normed, module)  # type: ignore[method-assign]
        if isinstance(module, CountedDropout):
            module.idle, module.is_shared = False, True
    shrunk = decayed(model)
    trained = {n: p.shape for n, p in model.named_parameters() if p.requires_grad}
    first = {n: s for n, s in trained.items() if n in shrunk}
    return Layout(
        base,
        first | {n: s for n, s in trained.items() if n not in shrunk},
        sum(math.prod(s) for s in first.values()),
        tuple(n for n, m in base.named_modules() if isinstance(m, CountedDropout)),
        tuple(n for n, m in base.named_modules() if is_running(m)),
        _tied(base),
    )


def _tied(base: nn.Module) -> dict[str, str]:
    names = {id(t): name for name, t in (*base.named_parameters(), *base.named_buffers())}
    places = [
        (f"{path}.{name}".lstrip("."), names[id(t)])
        for path, module in base.named_modules()
        for name, t in (*module._parameters.items(), *module._buffers.items())
        if t is not None
    ]
    return {place: name for place, name in places if place != name}


def is_running(module: nn.Module) -> bool:
    """Whether it is a batch norm that keeps a moving average."""
    return isinstance(module, BATCHNORMS) and module.track_running_stats and module.momentum is not None


def running(norm: str) -> tuple[str, str]:
    """Names of the running mean and variance of a batch norm by its own name."""
    return f"{norm}.running_mean".lstrip("."), f"{norm}.running_var".lstrip(".")
