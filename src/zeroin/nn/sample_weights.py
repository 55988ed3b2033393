"""Sample weights: they travel as a second column of the targets to weighted losses and metrics."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor

from zeroin.nn.metrics import METRICS, Metric, alike, classes, margin

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def with_weights(y: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float32]:
    """Targets [N] with their weights, scaled to a mean of 1, as a second column: [N, 2]."""
    return np.column_stack([y, weights / weights.mean()]).astype(np.float32)


def _cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output, target[:, 0].long(), reduction="none") * target[:, 1]


def _mse(output: Tensor, target: Tensor) -> Tensor:
    return (alike(output, target[:, 0])[0] - target[:, 0]).square() * target[:, 1]


LOSSES: dict[str, Loss] = {"cross_entropy": _cross_entropy, "mse": _mse}  # of each example, times its weight


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values.double() * weight).sum() / weight.double().sum()


def _accuracy(output: Tensor, y: Tensor, weight: Tensor) -> float:
    return _mean(classes(output, y) == y, weight).item()


def _balanced_accuracy(output: Tensor, y: Tensor, weight: Tensor) -> float:
    hit = classes(output, y) == y
    return torch.stack([_mean(hit[y == k], weight[y == k]) for k in torch.unique(y)]).mean().item()


def _roc_auc(output: Tensor, y: Tensor, weight: Tensor) -> float:
    return float(roc_auc_score(y, margin(output, y), sample_weight=weight))


def _mse_of(output: Tensor, y: Tensor, weight: Tensor) -> float:
    return _mean((alike(output, y)[0].double() - y).square(), weight).item()


def _rmse(output: Tensor, y: Tensor, weight: Tensor) -> float:
    return float(_mse_of(output, y, weight) ** 0.5)


def _r2(output: Tensor, y: Tensor, weight: Tensor) -> float:
    return 1 - _mse_of(output, y, weight) / _mse_of(_mean(y, weight).expand(y.shape), y, weight)


def _mae(output: Tensor, y: Tensor, weight: Tensor) -> float:
    return _mean((alike(output, y)[0].double() - y).abs(), weight).item()


WEIGHED: dict[str, Callable[[Tensor, Tensor, Tensor], float]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "roc_auc": _roc_auc,
    "r2": _r2,
    "mae": _mae,
    "mse": _mse_of,
    "rmse": _rmse,
}


def metric_of(metric: Any, loss: str) -> Any:
    """A metric for targets with weights as a second column.

    Args:
        metric: a name, which becomes a weighted metric; or a `Metric` of the user's own, which sees no weights.
        loss: "cross_entropy" if targets are class numbers.
    """
    if isinstance(metric, Metric):
        return replace(metric, compute=partial(_apart, partial(_unweighted, metric.compute), loss))
    if metric not in WEIGHED:
        return metric  # the loss, which is weighted itself, or a name that the task refuses
    return replace(METRICS[metric], compute=partial(_apart, WEIGHED[metric], loss))


def _unweighted(score: Callable[[Tensor, Tensor], float], output: Tensor, y: Tensor, weight: Tensor) -> float:
    del weight
    return score(output, y)


def _apart(score: Callable[[Tensor, Tensor, Tensor], float], loss: str, output: Tensor, target: Tensor) -> float:
    y, weight = target.T
    return score(output, y.long() if loss == "cross_entropy" else y, weight)
