"""What a network is trained on and judged by, and what can be known to be wrong with it before training."""

import warnings
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from zeroin.errors import TaskError
from zeroin.nn.data import Data, InMemory, Normalisation, edges
from zeroin.nn.layers import BATCHNORMS
from zeroin.nn.metrics import Metric, alike
from zeroin.nn.modes import as_in_evaluation, buffers_kept
from zeroin.nn.networks import KNOWN, Build, built
from zeroin.types import Config


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What a network is trained on and judged by; `loss` is a name or f(output, target).

    `recalibrate`: whether batch norms get the exact statistics of the training data after each epoch. `compile`:
    whether the steps of stacks are compiled.
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
        """1 where a lower metric is better, else -1."""
        return -1.0 if self.metric is not None and self.metric.goal == "maximize" else 1.0


def loss_of(
    loss: str | Callable[[Tensor, Tensor], Tensor], output: Tensor, target: Tensor, smooth: float = 0.0
) -> Tensor:
    """The mean loss of a mini-batch, a tensor of no axes."""
    if loss == "cross_entropy":
        return F.cross_entropy(output, target, label_smoothing=smooth)
    if isinstance(loss, str):
        return F.mse_loss(*alike(output, target))
    return loss(output, target).mean()


def check(problem: Problem, config: Config, smallest_batch: int) -> None:
    """Try a config on a few examples, before any training.

    Raises:
        TaskError: `build` that fails, outputs that do not fit the loss, a network that the inputs do not fit, a batch
            norm without two examples.
    """
    try:
        model, asked = built(problem.build, config)
    except TaskError:
        raise
    except Exception as error:
        raise TaskError(
            f"build makes a network of every config of the space; of {dict(config)} it raised "
            f"{type(error).__name__}: {error}: mend build, or add to the space what it asks for."
        ) from error
    _all_used(config, asked)
    model = model.to(problem.device)
    x, y = two_examples(problem.train)
    model.eval()
    with torch.no_grad():
        try:
            output = model(x)
        except (RuntimeError, ValueError, IndexError) as error:
            raise TaskError(
                f"the network takes the inputs; for inputs {list(x.shape)} ({x.dtype}) it stops with "
                f"'{str(error).splitlines()[0]}': change its first layer, or the inputs "
                f"(X.astype('float32') for numbers, whole numbers are left as they are for Embedding)."
            ) from error
        check_outputs(problem, output, y)
        _check_loss(problem, output, y)
        _check_metric(problem, output, y)
    if not any(p.requires_grad for p in model.parameters()):
        raise TaskError(
            "a network has parameters to train; of this one all are frozen, or there are none: "
            "give those of its last layer requires_grad=True."
        )
    check_batchnorm(problem, model, smallest_batch)


def two_examples(data: Data) -> tuple[Tensor, Tensor]:
    """The first two of a set: as few as any network can be called with."""
    count = min(2, len(data))
    return next(iter(data.batches(torch.arange(count), [(0, count)])))


def shaped(build: Build, data: Data, config: Config) -> nn.Module:
    """`build`'s network, its lazy layers given their shapes by two examples; a `Build` with two arguments bound."""
    model = build(config)
    if isinstance(model, nn.Module) and any(map(is_lazy, (*model.parameters(), *model.buffers()))):
        x, _ = two_examples(data)
        with as_in_evaluation(model), torch.no_grad():
            model(x.cpu())
    return model


def _all_used(config: Config, asked: Collection[str]) -> None:
    idle = [name for name in config if name not in (*asked, *KNOWN)]
    if idle:
        warnings.warn(
            f"a hyperparameter has an effect; neither build nor the training loop asked the default config for "
            f"{', '.join(idle)}: check the spelling (the loop knows {', '.join(KNOWN)}), or give it when={{...}} if "
            f"only other configs have it",
            stacklevel=2,
        )


def check_outputs(problem: Problem, output: Any, y: Tensor) -> None:
    """Whether the outputs of a mini-batch fit its targets and the loss.

    Raises:
        TaskError: they do not.
    """
    if not isinstance(output, Tensor):
        raise TaskError(f"a network returns one tensor; this one returns a {type(output).__name__}: return the logits.")
    if problem.loss == "cross_entropy":
        if output.dim() < 2 or output.shape[0] != y.shape[0] or output.shape[2:] != y.shape[1:]:
            raise TaskError(
                f"outputs under cross_entropy are [B, classes]; the network gives {list(output.shape)} for labels "
                f"{list(y.shape)}: end it with Linear(..., classes)."
            )
        _labels_fit(problem, output.shape[1])
    elif isinstance(problem.loss, str):
        alike(output, y)


def _check_loss(problem: Problem, output: Tensor, y: Tensor) -> None:
    if isinstance(problem.loss, str):
        return
    found: Any = output
    with suppress(Exception):  # it may ask for more than two examples
        found = problem.loss(output, y)
    if not isinstance(found, Tensor):
        remedy = "end it with return" if found is None else "return the tensor itself, without .item()"
        raise TaskError(f"a loss returns a tensor; this one returns a {type(found).__name__}: {remedy}.")


def _check_metric(problem: Problem, output: Tensor, y: Tensor) -> None:
    """Let a metric say that it is not for such outputs; whatever else it says of two examples alone is passed over."""
    if problem.metric is None:
        return
    try:
        problem.metric.compute(output.cpu(), y.cpu())
    except TaskError:
        raise
    except Exception:
        return


def check_batchnorm(problem: Problem, model: nn.Module, batch_size: int) -> None:
    """Whether each mini-batch is enough for the network's batch normalisation.

    Raises:
        TaskError: one of a single example is not.
    """
    if not any(isinstance(m, BATCHNORMS) for m in model.modules()):
        return
    cuts = edges(len(problem.train), batch_size)
    a, b = min(cuts, key=lambda cut: cut[1] - cut[0])
    if b - a > 1:
        return
    x, _ = next(iter(problem.train.batches(torch.arange(a, b), [(0, 1)])))
    model.train()
    try:
        with torch.no_grad(), buffers_kept(model):
            model(x)
    except ValueError as error:
        raise TaskError(
            f"batch normalisation needs two examples in each mini-batch; batch_size={batch_size} of "
            f"{len(problem.train)} training examples leaves one: use batch_size=2 or more."
        ) from error


def _labels_fit(problem: Problem, classes: int) -> None:
    for name, data in (("train", problem.train), ("valid", problem.valid), ("test", problem.test)):
        if isinstance(data, InMemory) and (high := int(data.y.max())) >= classes:
            raise TaskError(
                f"labels under cross_entropy are 0 to classes - 1; the network has {classes} outputs and the {name} "
                f"set a label {high}: end the network with Linear(..., {high + 1}), or number the labels from 0."
            )
