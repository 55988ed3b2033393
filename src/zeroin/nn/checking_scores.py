"""Checks of a loss and a metric before any training: whether they take a network's outputs as what they are."""

import math
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from zeroin.errors import TaskError
from zeroin.nn.data import InMemory
from zeroin.nn.metrics import ACCURACIES
from zeroin.nn.problem import Problem, loss_of
from zeroin.nn.recipe import recipe
from zeroin.nn.sets import evenly
from zeroin.types import Config
from zeroin.wording import first_line

SOME = 32  # examples on which two ways of calling a loss are told apart
NEAR = 1e-4  # so close to 1 are sums of probabilities


def check_scores(problem: Problem, model: nn.Module, config: Config, output: Tensor, y: Tensor) -> None:
    """Check that loss and metric take outputs and targets, and warn of a loss that would train otherwise than meant.

    Args:
        problem: whose loss and metric they are.
        model, config: the network, in evaluation mode, and its config.
        output, y: its outputs for two examples, which fit their targets.

    Raises:
        TaskError: the loss is no tensor, the metric no number, or one of them compares what it should not.
    """
    _check_loss(problem, model, config, output, y)
    _check_metric(problem, output, y)
    _check_sign(problem, output, y)
    _check_one_shape(problem, model, output, y)
    _warn_of_loss(problem.loss, output)


def _check_loss(problem: Problem, model: nn.Module, config: Config, output: Tensor, y: Tensor) -> None:
    if isinstance(problem.loss, str):
        return
    try:
        found: Any = problem.loss(output, y)
    except Exception:  # it may ask for more than two examples
        found = _loss_of_batch(problem, problem.loss, model, recipe(config).batch_size)
    if not isinstance(found, Tensor):
        remedy = "end it with return" if found is None else "return the tensor itself, without .item()"
        raise TaskError(f"a loss returns a tensor; this one returns a {type(found).__name__}: {remedy}.")


def _loss_of_batch(problem: Problem, loss: Callable[[Tensor, Tensor], Tensor], model: nn.Module, size: int) -> Any:
    """A loss of the user's of a whole mini-batch, which it gets in training, too."""
    chosen = evenly(len(problem.train), size)
    x, y = next(iter(problem.train.batches(chosen, [(0, len(chosen))])))
    output = model(x)
    try:
        return loss(output, y)
    except Exception as error:
        remedy, kind = "change it, or the targets", "int64" if y.is_floating_point() else "float32"
        if "Long" in str(error):  # as PyTorch calls whole numbers
            remedy = f"give targets as y.astype('{kind}')"
        elif output.shape == (*y.shape, 1):
            remedy = "end the network with nn.Flatten(0)"
        elif y.shape == (*output.shape, 1):
            remedy = "give targets as y[:, 0]"
        raise TaskError(
            f"a loss takes outputs and targets; of outputs {list(output.shape)} and targets {list(y.shape)} yours "
            f"raised {type(error).__name__} '{first_line(error)}': {remedy}."
        ) from error


def _check_metric(problem: Problem, output: Tensor, y: Tensor) -> None:
    """Let a metric refuse such outputs; any other error is ignored, because two examples may be too few for it."""
    if problem.metric is None:
        return
    try:
        found: Any = problem.metric.compute(output.cpu(), y.cpu())
    except TaskError:
        raise
    except Exception:
        return
    try:
        float(found)
    except (TypeError, ValueError, RuntimeError):
        raise TaskError(
            f"a metric returns a number; {problem.metric.name} returns a {type(found).__name__}: "
            f"end it with `return float(score)`."
        ) from None


def _check_sign(problem: Problem, output: Tensor, y: Tensor) -> None:
    """Whether an accuracy, which takes the sign of a single output for its class, is given logits and classes."""
    if problem.metric is None or problem.metric.compute not in ACCURACIES or output.numel() != y.numel():
        return
    labels = problem.train.y if isinstance(problem.train, InMemory) else y
    others = labels[(labels != 0) & (labels != 1)]
    if problem.loss == "mse":
        found, remedy = "outputs are numbers", "use loss=nn.BCEWithLogitsLoss() for classes, metric='r2' for numbers"
    elif len(others):
        found, remedy = f"labels are {others[0].item():g} and others", "number the classes 0 and 1"
    elif _are_probabilities(problem, output.cpu(), y.cpu()):  # on a GPU a loss that refuses numbers ends the process
        found = "outputs are probabilities"
        remedy = "leave the last Sigmoid out, and use loss=nn.BCEWithLogitsLoss()"
    else:
        return
    raise TaskError(
        f"{problem.metric.name} takes the sign of a single output for its class, 0 or 1; here {found}: {remedy}."
    )


def _are_probabilities(problem: Problem, output: Tensor, y: Tensor) -> bool:
    """Whether a loss takes these outputs, but refuses numbers below 0, or is not finite for them."""
    try:
        loss_of(problem.loss, output, y)
    except Exception:  # it asks for more than two examples, or for a GPU
        return False
    with suppress(RuntimeError, ValueError):
        return not math.isfinite(loss_of(problem.loss, torch.full_like(output, -1.0), y).item())
    return True


def _check_one_shape(problem: Problem, model: nn.Module, output: Tensor, y: Tensor) -> None:
    """Whether a loss or metric of the user's takes [B, 1] beside [B] as what it is, and not as [B, B]."""
    if output.shape == y.shape or output.numel() != y.numel() or y.shape not in (output.shape[:-1], (*output.shape, 1)):
        return
    chosen = evenly(len(problem.train), SOME)
    x, y = next(iter(problem.train.batches(chosen, [(0, len(chosen))])))
    output = model(x)
    scores: list[tuple[str, Callable[[Tensor, Tensor], Any]]] = []
    if not isinstance(problem.loss, str):
        scores.append(("a loss", problem.loss))
    if problem.metric is not None:
        scores.append(("a metric", problem.metric.compute))
    for what, score in scores:
        with suppress(RuntimeError, ValueError, TypeError, IndexError):  # it is for the one shape, or for the other
            plain, apart = (float(torch.as_tensor(score(o, y)).mean()) for o in (output.reshape(y.shape), output))
            if not math.isclose(plain, apart, rel_tol=1e-3, abs_tol=1e-6):
                raise TaskError(
                    f"{what} compares outputs and targets of one shape; of outputs {list(output.shape)} and targets "
                    f"{list(y.shape)} yours gives {apart:.4g}, and {plain:.4g} where both are {list(y.shape)}: "
                    f"use output.reshape(target.shape) in it, or end the network with nn.Flatten(0)."
                )


def _warn_of_loss(loss: Any, output: Tensor) -> None:
    """Warn of what would train, but not as it is meant."""
    sums_to_one = loss == "cross_entropy" and output.shape[1] > 1 and bool((output.sum(1) - 1).abs().max() < NEAR)
    if sums_to_one and bool((output >= 0).all()):
        warnings.warn(
            "cross_entropy takes the softmax itself; the network's outputs are probabilities already: leave its last "
            "Softmax out",
            stacklevel=2,
        )
    trained = [name for name, p in loss.named_parameters() if p.requires_grad] if isinstance(loss, nn.Module) else []
    if trained:
        warnings.warn(
            f"the network alone is trained; the loss has parameters of its own ({', '.join(trained[:3])}), which stay "
            f"as they are: hold them in the network, or say loss.requires_grad_(False)",
            stacklevel=2,
        )
