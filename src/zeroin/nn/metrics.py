"""Metrics: functions of a network's outputs and the targets, each with its goal."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from zeroin.errors import TaskError


@dataclass(frozen=True, slots=True)
class Metric:
    """A score of a network's outputs, such as an accuracy of your own.

    Args:
        name: that is shown to the user.
        goal: "maximize" or "minimize".
        compute: f(output [N, ...], target [N, ...]) -> number, over a whole data set at once.

    >>> METRICS["mae"].compute(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0]))
    1.0
    """

    name: str
    goal: str
    compute: Callable[[Tensor, Tensor], float]


def alike(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Output and target with the same shape; [B] and [B, 1] are made equal, anything else would be broadcast silently.

    Raises:
        TaskError: shapes that do not fit.
    """
    if output.shape == target.shape:
        return output, target
    if target.shape in (output.shape[:-1], (*output.shape, 1)) and output.numel() == target.numel():
        return output.reshape(target.shape), target
    raise TaskError(
        f"outputs have the shape of the targets; the network gives {list(output.shape)} for targets "
        f"{list(target.shape)}: end the network with Linear(..., {target[0].numel() if len(target) else 1})."
    )


def classes(output: Tensor, target: Tensor) -> Tensor:
    """The predicted class of each example: the largest of [B, K, ...], or the sign of a single logit [B] or [B, 1]."""
    if output.dim() == target.dim() + 1 and output.shape[1] > 1:
        return output.argmax(1)
    one, _ = alike(output, target)
    return (one > 0).to(target.dtype)


def _mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """The mean of a value of each example, by weight where there are weights [N]."""
    values = values.double()
    return values.mean() if weight is None else (values * weight).sum() / weight.double().sum()


def _accuracy(output: Tensor, target: Tensor, weight: Tensor | None = None) -> float:
    return _mean(classes(output, target) == target, weight).item()


def _balanced_accuracy(output: Tensor, target: Tensor, weight: Tensor | None = None) -> float:
    """The recall averaged over the classes that occur; 1/K for a network that always predicts the same class."""
    hit, kinds = classes(output, target) == target, [target == k for k in torch.unique(target)]
    return torch.stack([_mean(hit[k], weight if weight is None else weight[k]) for k in kinds]).mean().item()


def margin(output: Tensor, target: Tensor) -> Tensor:
    """The evidence for class 1 over class 0 of each example: the difference of two outputs, or the only one.

    Raises:
        TaskError: there are more than two outputs.
    """
    if output.dim() != target.dim() + 1 or output.shape[1] < 2:
        return alike(output, target)[0]
    if output.shape[1] > 2:
        raise TaskError(
            f"roc_auc is of two classes; the network gives {list(output.shape)}, {output.shape[1]} of them: "
            f"use metric='balanced_accuracy'."
        )
    return output[:, 1] - output[:, 0]


def _roc_auc(output: Tensor, target: Tensor, weight: Tensor | None = None) -> float:
    """The probability that an example of class 1 has a higher score than one of class 0; ties count half."""
    _, place = torch.unique(margin(output, target).flatten(), return_inverse=True)  # in rising order
    each = torch.ones(len(place)) if weight is None else weight
    ones, others = (torch.bincount(place, each.double() * of.flatten()) for of in (target == 1, target != 1))
    pairs = ones.sum() * others.sum()
    return ((ones * (others.cumsum(0) - others / 2)).sum() / pairs).item() if pairs else math.nan  # Mann-Whitney


def _r2(output: Tensor, target: Tensor, weight: Tensor | None = None) -> float:
    """1 - residual / total sum of squares, the mean over several outputs."""
    o, y = (t.double().reshape(len(target), -1) for t in alike(output, target))  # [B, K]
    each = torch.ones(len(y), 1) if weight is None else weight[:, None]
    far = y - (y * each).sum(0) / each.double().sum()
    return (1 - ((y - o).square() * each).sum(0) / (far.square() * each).sum(0)).mean().item()


def _mae(output: Tensor, target: Tensor, weight: Tensor | None = None) -> float:
    o, y = alike(output, target)
    return _mean((o.double() - y.double()).abs(), weight).item()


def _mse(output: Tensor, target: Tensor, weight: Tensor | None = None) -> float:
    o, y = alike(output, target)
    return _mean((o.double() - y.double()).square(), weight).item()


def _rmse(output: Tensor, target: Tensor, weight: Tensor | None = None) -> float:
    return float(_mse(output, target, weight) ** 0.5)


class Score(Protocol):
    """What a metric of ours computes; examples may have weights [N]."""

    def __call__(self, output: Tensor, target: Tensor, weight: Tensor | None = None) -> float: ...


SCORES: dict[str, Score] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "roc_auc": _roc_auc,
    "r2": _r2,
    "mae": _mae,
    "mse": _mse,
    "rmse": _rmse,
}
FOR_CLASSES, FOR_NUMBERS = ("accuracy", "balanced_accuracy", "roc_auc"), ("r2", "mae", "mse", "rmse")
LOWER = ("mae", "mse", "rmse")  # is better
ACCURACIES = (SCORES["accuracy"], SCORES["balanced_accuracy"])
METRICS: dict[str, Metric] = {
    name: Metric(name, "minimize" if name in LOWER else "maximize", score) for name, score in SCORES.items()
}


def labelled(loss: object, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs [N, K, ...] and labels [N, ...] without the labels that the loss leaves out, such as those of padding.

    >>> labelled(torch.nn.CrossEntropyLoss(ignore_index=0), torch.eye(3), torch.tensor([2, 0, 1]))[1]
    tensor([2, 1])
    """
    left_out = getattr(loss, "ignore_index", None)
    if left_out is None or output.dim() != target.dim() + 1 or not bool((out := target == left_out).any()):
        return output, target
    return output.movedim(1, -1)[~out], target[~out]
