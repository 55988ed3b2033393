"""What a network is trained on and judged by."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from zeroin.nn.data import Data, InMemory, Normalisation
from zeroin.nn.metrics import ACCURACIES, Metric, alike, labelled
from zeroin.nn.modes import as_in_evaluation
from zeroin.nn.networks import Build
from zeroin.types import Config


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What a network is trained on and judged by.

    Args:
        build: config -> network.
        train, valid, test: the data sets.
        loss: "cross_entropy", "mse", or f(output, target) -> tensor.
        metric: what is reported and tuned; None: the loss.
        normalisation: of the inputs, if they are normalised.
        device: as PyTorch names it.
        recalibrate: whether batch norms get the exact statistics of the training data after each epoch.
        compile: whether the steps of stacks are compiled.
    """

    build: Build
    train: Data
    valid: Data
    test: Data | None
    loss: str | Callable[[Tensor, Tensor], Tensor]
    metric: Metric | None  # None: the loss itself
    normalisation: Normalisation | None
    device: str = "cpu"
    recalibrate: bool = False
    compile: bool = False

    @property
    def sign(self) -> float:
        """1 if a lower metric is better, else -1."""
        return -1.0 if self.metric is not None and self.metric.goal == "maximize" else 1.0

    @property
    def is_in_memory(self) -> bool:
        """Whether the data that networks are trained and judged on are in memory, as stacks need them."""
        return isinstance(self.train, InMemory) and isinstance(self.valid, InMemory)


def loss_of(
    loss: str | Callable[[Tensor, Tensor], Tensor], output: Tensor, target: Tensor, smooth: float = 0.0
) -> Tensor:
    """The mean loss of a mini-batch, a tensor without axes."""
    if loss == "cross_entropy":
        return F.cross_entropy(output, target, label_smoothing=smooth)
    if isinstance(loss, str):
        return F.mse_loss(*alike(output, target))
    return loss(output, target).mean()


def judged(problem: Problem, output: Tensor, target: Tensor) -> tuple[float, float]:
    """The (metric, loss) of outputs over a whole data set; both are NaN where the loss is."""
    loss = loss_of(problem.loss, output, target).item()
    if problem.metric is None or math.isnan(loss):  # a metric of the user's may refuse NaN
        return loss, loss
    output, target = output.cpu(), target.cpu()
    if problem.metric.compute in ACCURACIES:
        output, target = labelled(problem.loss, output, target)
    return float(problem.metric.compute(output, target)), loss  # NumPy's numbers cannot be loaded again


def two_examples(data: Data) -> tuple[Tensor, Tensor]:
    """The first two examples of a set: the fewest that every network can be called with."""
    count = min(2, len(data))
    return next(iter(data.batches(torch.arange(count), [(0, count)])))


def shaped(build: Build, data: Data, config: Config) -> nn.Module:
    """The network that `build` makes, its lazy layers initialised by two examples; `partial` makes a `Build` of it."""
    model = build(config)
    if isinstance(model, nn.Module) and any(map(is_lazy, (*model.parameters(), *model.buffers()))):
        x, _ = two_examples(data)
        with as_in_evaluation(model), torch.no_grad():
            model(x.cpu())
    return model
