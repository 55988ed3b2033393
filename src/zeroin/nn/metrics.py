"""What a validation set is judged by: plain functions of the network's output and the target, with their direction."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from zeroin.errors import TaskError


@dataclass(frozen=True, slots=True)
class Metric:
    """A score of outputs against targets.

    Args:
        name: as shown to the user.
        goal: "maximize" or "minimize".
        compute: f(output [B, ...], target [B, ...]) -> number, over a whole set at once.

    >>> METRICS["mae"].compute(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0]))
    1.0
    """

    name: str
    goal: str
    compute: Callable[[Tensor, Tensor], float]


def alike(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Output and target of one shape, [B] and [B, 1] taken as the same; nothing is ever broadcast.

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
    """The predicted class of each example: the largest of [B, K, ...], or the sign of one logit [B] or [B, 1]."""
    if output.dim() == target.dim() + 1 and output.shape[1] > 1:
        return output.argmax(1)
    one, _ = alike(output, target)
    return (one > 0).to(target.dtype)


def _accuracy(output: Tensor, target: Tensor) -> float:
    return (classes(output, target) == target).double().mean().item()


def _balanced_accuracy(output: Tensor, target: Tensor) -> float:
    """The mean over the classes that occur of the share found: 1/K for a network that always says the same."""
    hit = (classes(output, target) == target).double()
    return torch.stack([hit[target == k].mean() for k in torch.unique(target)]).mean().item()


def margin(output: Tensor, target: Tensor) -> Tensor:
    """How much each example is held for class 1 rather than 0: of two outputs the difference, of one itself.

    Raises:
        TaskError: outputs of more classes.
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
    """The chance that an example of class 1 is given a higher score than one of class 0; ties count half."""
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
