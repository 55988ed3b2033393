"""Metrics: functions of a network's outputs and the targets, each with its goal."""

from collections.abc import Callable
from dataclasses import dataclass

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


def _accuracy(output: Tensor, target: Tensor) -> float:
    return (classes(output, target) == target).double().mean().item()


def _balanced_accuracy(output: Tensor, target: Tensor) -> float:
    """The recall averaged over the classes that occur; 1/K for a network that always predicts the same class."""
    hit = (classes(output, target) == target).double()
    return torch.stack([hit[target == k].mean() for k in torch.unique(target)]).mean().item()


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


def _roc_auc(output: Tensor, target: Tensor) -> float:
    """The probability that an example of class 1 has a higher score than one of class 0; ties count half."""
    score = margin(output, target)
    _, place, counts = torch.unique(score, return_inverse=True, return_counts=True)  # in rising order
    ranks = (counts.cumsum(0) - (counts - 1) / 2.0)[place].double()  # of equal scores their mean
    positive = target == 1
    p, n = int(positive.sum()), int((~positive).sum())
    return (ranks[positive].sum().item() - p * (p + 1) / 2) / (p * n) if p and n else float("nan")  # Mann-Whitney


def _r2(output: Tensor, target: Tensor) -> float:
    """1 - residual / total sum of squares, the mean over several outputs."""
    o, y = (t.double().reshape(len(target), -1) for t in alike(output, target))  # [B, K]
    return (1 - (y - o).square().sum(0) / (y - y.mean(0)).square().sum(0)).mean().item()


def _mae(output: Tensor, target: Tensor) -> float:
    o, y = alike(output, target)
    return (o.double() - y.double()).abs().mean().item()


def _mse(output: Tensor, target: Tensor) -> float:
    o, y = alike(output, target)
    return (o.double() - y.double()).square().mean().item()


def _rmse(output: Tensor, target: Tensor) -> float:
    return float(_mse(output, target) ** 0.5)


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric("accuracy", "maximize", _accuracy),
        Metric("balanced_accuracy", "maximize", _balanced_accuracy),
        Metric("roc_auc", "maximize", _roc_auc),
        Metric("r2", "maximize", _r2),
        Metric("mae", "minimize", _mae),
        Metric("mse", "minimize", _mse),
        Metric("rmse", "minimize", _rmse),
    )
}
