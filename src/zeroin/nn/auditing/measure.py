"""What an audit measures: the signal in a network, layer by layer, and its statistics."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zeroin.errors import TaskError
from zeroin.nn.layers import BATCHNORMS, LAYERS
from zeroin.nn.modes import as_in_evaluation, on_batches
from zeroin.nn.norms.recalibration import recalibrate
from zeroin.nn.norms.surgery import copied
from zeroin.nn.norms.trace import Node, Trace, record, tensors, watched
from zeroin.nn.optimizer import Optimizer
from zeroin.nn.precision import exact
from zeroin.nn.sets import evenly
from zeroin.wording import first_line

SAMPLE = 512  # examples that are sent through the network
BATCHES = 24  # of which the statistics are compared with those of all
SEEN = 4096  # training examples from which statistics are computed
BINS = 24  # of the histogram of z, over -4 .. 4
RELUS = ("relu", "relu_", "relu6", "ReLU", "ReLU6", "clamp_min", "clamp_min_")

Pair = tuple[Tensor, Tensor]


class Unknown(Exception):
    """A rule cannot be checked; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A network and what is known about its training; whatever is None cannot be checked.

    Args:
        model: the network; an audit works on copies.
        x, y: training examples [N, ...].
        valid: (inputs, targets).
        loss: f(outputs, targets) -> tensor.
        batch_size: examples in a mini-batch of training.
        smallest: examples in its smallest mini-batch.
        optimizer: as it is used.
        evaluate: a function without arguments that evaluates this very model.
        fresh: whether the network is untrained.
    """

    model: nn.Module
    x: Tensor
    y: Tensor | None = None
    valid: Pair | None = None
    loss: Callable[[Tensor, Tensor], Tensor] | None = None
    batch_size: int | None = None
    smallest: int | None = None
    optimizer: torch.optim.Optimizer | Optimizer | None = None
    evaluate: Callable[[], Any] | None = None
    fresh: bool = False

    @property
    def sample(self) -> Tensor:
        """An evenly chosen sample of the inputs."""
        return self.x[:: max(1, math.ceil(len(self.x) / SAMPLE))]


@dataclass(frozen=True, slots=True)
class Level:
    """The input z of an activation function, over the sample.

    Args:
        name: of the layer before it.
        activation: its name.
        mean, deviation: of all values.
        spread: the standard deviation between examples (root mean square over the channels): how much of the examples'
            differences arrives here.
        histogram: the shares of z in `BINS` equal bins from -4 to 4; the outermost ones include everything beyond.
        dead: the share of units that are 0 for every example; None if it is not a ReLU.
    """

    name: str
    activation: str
    mean: float
    deviation: float
    spread: float
    histogram: tuple[float, ...]
    dead: float | None

    @property
    def picture(self) -> str:
        """The histogram as a line of text."""
        top = max(self.histogram) or 1.0
        return "".join(" ▁▂▃▄▅▆▇█"[math.ceil(8 * h / top)] for h in self.histogram)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A pass over the sample.

    Args:
        subject: what was measured.
        trace: the calls.
        levels: one for each activation, in order.
        gradients: (layer, root mean square of the gradient of its weights), in order; empty without targets.
        biases: the same for the biases, by layer.
        inputs: the standard deviation of the inputs between examples.
    """

    subject: Subject
    trace: Trace
    levels: tuple[Level, ...]
    gradients: tuple[tuple[str, float], ...]
    biases: Mapping[str, float]
    inputs: float


def measure(subject: Subject) -> Measured:
    """Run the sample through a copy of the network, forward and backward, with mini-batch statistics in batch norms."""
    model, x = copied(subject.model), subject.sample
    kept: dict[int, Tensor] = {}
    dead: dict[int, float] = {}
    layers: list[Node] = []

    def watch(node: Node, result: Tensor) -> None:
        if result.is_floating_point():
            kept[node.index] = result.detach().clone()
        if node.is_activation and _name(node) in RELUS and result.dim() >= 2:
            zero = _units(result, _last_axis(node, layers)) == 0
            dead[node.index] = exact(zero.all(0)).mean().item()
        if isinstance(node.module, LAYERS):
            layers.append(node)

    trace = record(model, x, watch, batch_statistics=True)
    levels = []
    for node in trace.nodes:
        before = next((i for i in node.sources if i in kept), None)
        if node.is_activation and before is not None and kept[before].dim() >= 2:
            owner = next((n.name for n in reversed(trace.nodes[: node.index]) if isinstance(n.module, LAYERS)), "input")
            levels.append(_level(owner, _name(node), kept[before], dead.get(node.index)))
    spread = exact(x).reshape(len(x), -1).var(0).mean().sqrt().item() if x.is_floating_point() else 1.0
    _backward(subject, model, x)
    return Measured(subject, trace, tuple(levels), _slopes(model, "weight"), dict(_slopes(model, "bias")), spread)


def _name(node: Node) -> str:
    return node.name if node.module is None else type(node.module).__name__


def _last_axis(node: Node, layers: list[Node]) -> bool:
    return len(node.shape) == 3 and bool(layers) and isinstance(layers[-1].module, nn.Linear)


def _units(z: Tensor, last: bool) -> Tensor:
    """[values, units]: units are channels, or features."""
    moved = z if last else z.movedim(1, -1)
    return moved.flatten(0, -2)


def _level(owner: str, activation: str, z: Tensor, dead: float | None) -> Level:
    z = exact(z)
    edges = torch.linspace(-4, 4, BINS + 1, dtype=torch.float64, device=z.device)[1:-1]
    counts = torch.bucketize(torch.nan_to_num(z.flatten()), edges).bincount(minlength=BINS).double()
    spread = z.flatten(1).var(0).mean().sqrt().item() if len(z) > 1 else 0.0
    shares = tuple((counts / counts.sum()).tolist())
    return Level(owner, activation, z.mean().item(), z.std().item(), spread, shares, dead)


def _backward(subject: Subject, model: nn.Module, x: Tensor) -> None:
    """Compute the gradients of a network on the sample; none if there are no targets or everything is frozen."""
    model.zero_grad()
    if subject.y is None or subject.loss is None or not any(p.requires_grad for p in model.parameters()):
        return
    y = subject.y[:: max(1, math.ceil(len(subject.x) / SAMPLE))]
    with on_batches(model):
        loss = _loss(subject, model(x), y)
        try:
            if loss.requires_grad:
                loss.backward()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            raise TaskError(
                f"a network's loss has gradients; the way back stops with '{first_line(error)}': "
                f"use inplace=False where a value is needed again."
            ) from error


def _loss(subject: Subject, output: Any, y: Tensor) -> Tensor:
    assert subject.loss is not None
    try:
        return subject.loss(output, y)
    except Exception as error:  # the user's code may raise anything
        raise TaskError(
            f"a loss compares outputs with targets; of outputs {_told(output)} and targets {_told(y)} it says "
            f"'{first_line(error)}': number classes from 0, or give the loss, audit(..., loss='mse') or a function."
        ) from error


def _told(value: Any) -> str:
    return f"{list(value.shape)} ({value.dtype})" if isinstance(value, Tensor) else f"of type {type(value).__name__}"


def _slopes(model: nn.Module, name: str) -> tuple[tuple[str, float], ...]:
    """(layer, root mean square gradient of its weight or bias), of layers that have one."""
    named = [(path, getattr(module, name)) for path, module in model.named_modules() if isinstance(module, LAYERS)]
    found = [(path, p.grad) for path, p in named if isinstance(p, Tensor) and p.is_leaf and p.grad is not None]
    return tuple((path, exact(grad).square().mean().sqrt().item()) for path, grad in found)


def first_output(model: nn.Module, x: Tensor) -> Tensor:
    """The first tensor among what a network returns, of at least float32.

    Raises:
        Unknown: there is none, or it has no value for each example.
    """
    result = next(iter(tensors(model(x))), None)
    if result is None or not result.dim():
        raise Unknown(f"the network returns {'no tensor' if result is None else 'one number for a mini-batch'}")
    return result.to(torch.promote_types(result.dtype, torch.float32))  # masks, too, have differences


def validation_losses(subject: Subject) -> tuple[float, float] | None:
    """The validation loss of the network as it is, and with recalibrated statistics; None if that cannot be said."""
    norms = [m for m in subject.model.modules() if isinstance(m, BATCHNORMS) and m.running_mean is not None]
    if not norms or subject.valid is None or subject.loss is None:
        return None
    as_is, mended = copied(subject.model), copied(subject.model)
    recalibrate(mended, subject.x, batch_size=max(64, subject.batch_size or 0), examples=SEEN)
    return evaluated(as_is, subject), evaluated(mended, subject)


@torch.no_grad()
def evaluated(model: nn.Module, subject: Subject) -> float:
    """The loss over the validation set, in evaluation mode."""
    assert subject.valid is not None
    x, y = (t[evenly(len(t), SEEN)] for t in subject.valid)
    with as_in_evaluation(model):
        return float(_loss(subject, model(x), y))


def noise(subject: Subject, batch_size: int) -> dict[str, tuple[float, float]]:
    """How far the mean and the standard deviation of mini-batches lie from those of all examples, by batch norm.

    Returns:
        The root mean square error of the mean and of the standard deviation, in standard deviations of a channel.
    """
    model = copied(subject.model)
    norms = {p: m for p, m in model.named_modules() if isinstance(m, BATCHNORMS)}
    seen: dict[str, list[tuple[Tensor, Tensor]]] = {p: [] for p in norms}

    def note(path: str, given: Tensor) -> None:
        flat = exact(given).movedim(1, 0).flatten(1)
        seen[path].append((flat.mean(1), flat.std(1, unbiased=False)))

    order = torch.randperm(len(subject.x), generator=torch.Generator().manual_seed(0))
    whole = min(BATCHES, len(order) // batch_size)
    with on_batches(model), torch.no_grad(), watched(norms, note):
        for rows in order[: whole * batch_size].reshape(whole, batch_size):
            model(subject.x[rows])
    return {path: _errors(pairs) for path, pairs in seen.items() if len(pairs) > 1}


def _errors(pairs: list[tuple[Tensor, Tensor]]) -> tuple[float, float]:
    means, deviations = (torch.stack(list(t)) for t in zip(*pairs, strict=True))  # [batches, C]
    whole = (deviations.square().mean(0) + means.var(0, unbiased=False)).sqrt() + 1e-12
    off = [((t - t.mean(0)) / whole).square().mean().sqrt().item() for t in (means, deviations)]
    return off[0], off[1]
