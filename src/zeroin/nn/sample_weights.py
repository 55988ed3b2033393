"""Sample weights: they travel as a second column of the targets to weighted losses and metrics."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from zeroin.nn.metrics import METRICS, SCORES, Metric, Score, alike

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def with_weights(y: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float32]:
    """Targets [N] with their weights, scaled to a mean of 1, as a second column: [N, 2]."""
    return np.column_stack([y, weights / weights.mean()]).astype(np.float32)


def _cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output, target[:, 0].long(), reduction="none") * target[:, 1]


def _mse(output: Tensor, target: Tensor) -> Tensor:
    return (alike(output, target[:, 0])[0] - target[:, 0]).square() * target[:, 1]


LOSSES: dict[str, Loss] = {"cross_entropy": _cross_entropy, "mse": _mse}  # of each example, times its weight


def metric_of(metric: Any, loss: str) -> Any:
    """A metric for targets with weights as a second column.

    Args:
        metric: a name, which becomes a weighted metric; or a `Metric` of the user's own, which sees no weights.
        loss: "cross_entropy" if targets are class numbers.
    """
    if isinstance(metric, Metric):
        return replace(metric, compute=partial(_unweighted, metric.compute, loss))
    if metric not in SCORES:
        return metric  # the loss, which is weighted itself, or a name that the task refuses
    return replace(METRICS[metric], compute=partial(_weighted, SCORES[metric], loss))


def _unweighted(score: Callable[[Tensor, Tensor], float], loss: str, output: Tensor, target: Tensor) -> float:
    return score(output, _apart(loss, target)[0])


def _weighted(score: Score, loss: str, output: Tensor, target: Tensor) -> float:
    return score(output, *_apart(loss, target))


def _apart(loss: str, target: Tensor) -> tuple[Tensor, Tensor]:
    y, weight = target.T
    return y.long() if loss == "cross_entropy" else y, weight
