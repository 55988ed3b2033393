"""Checks of a network, its data and its loss before any training: whether they fit together."""

import math
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from zeroin.errors import TaskError
from zeroin.nn.data import InMemory, edges
from zeroin.nn.layers import BATCHNORMS, DROPOUTS
from zeroin.nn.metrics import ACCURACIES, alike
from zeroin.nn.modes import buffers_kept, switched
from zeroin.nn.networks import built
from zeroin.nn.problem import Problem, loss_of, two_examples
from zeroin.nn.recipe import recipe
from zeroin.nn.sets import evenly
from zeroin.types import Config
from zeroin.wording import first_line

SOME = 32  # examples on which two ways of calling a loss are told apart
NEAR = 1e-4  # so close to 1 are sums of probabilities


def check(problem: Problem, config: Config, smallest_batch: int) -> set[str]:
    """Try a config on two examples, before any training.

    Args:
        problem: to be trained.
        config: of the network.
        smallest_batch: the smallest batch size that the space allows.

    Returns:
        The names that `build` asked the config for.

    Raises:
        TaskError: `build` fails or returns the same network twice, the network does not take the inputs, its outputs do
            not fit the loss, or a batch norm gets a mini-batch of one example.
    """
    model, asked = _new(problem, config)
    x, y = two_examples(problem.train)
    with torch.no_grad():
        output = _called(switched(model.to(problem.device), False), x)
        check_outputs(problem, output, y)
        for data in (problem.valid, problem.test):  # of another length or size
            if isinstance(data, InMemory) and data.x.shape[1:] != x.shape[1:]:
                _called(model, two_examples(data)[0])
        _check_loss(problem, model, config, output, y)
        _check_metric(problem, output, y)
        _check_sign(problem, output, y)
        _check_one_shape(problem, model, output, y)
    _warn_of_loss(problem.loss, output)
    if not any(p.requires_grad for p in model.parameters()):
        raise TaskError(
            "a network has parameters to train; of this one all are frozen, or there are none: "
            "give those of its last layer requires_grad=True."
        )
    check_batchnorm(problem, model, smallest_batch)
    return asked


def _new(problem: Problem, config: Config) -> tuple[nn.Module, set[str]]:
    """A network of the config, and the names that `build` asked the config for."""
    try:
        model, asked = built(problem.build, config)
        _check_new(model, built(problem.build, config)[0])
    except TaskError:
        raise
    except Exception as error:
        raise TaskError(
            f"build makes a network of every config of the space; of {dict(config)} it raised "
            f"{type(error).__name__}: {error}: fix build, or add to the space what it asks for."
        ) from error
    return model, asked


def _called(model: nn.Module, x: Tensor) -> Any:
    try:
        return model(x)
    except (RuntimeError, ValueError, IndexError) as error:
        raise TaskError(
            f"the network takes the inputs; for inputs {list(x.shape)} ({x.dtype}) it stops with "
            f"'{first_line(error)}': {_remedy_of_inputs(x, model)}."
        ) from error


def _remedy_of_inputs(x: Tensor, model: nn.Module) -> str:
    kinds = {p.dtype for p in model.parameters() if p.is_floating_point()}
    if x.is_floating_point() and kinds and x.dtype not in kinds:
        return f"inputs come in single precision, and its numbers are {min(map(str, kinds))}: return net.float()"
    return (
        "change its first layer, or the inputs (X.astype('float32') for numbers, whole numbers are left as they are "
        "for Embedding)"
    )


def _check_new(first: nn.Module, second: nn.Module) -> None:
    """Whether `build` makes networks that know nothing of one another; they may share what no training changes."""
    first.train()
    known = {id(p) for p in first.parameters() if p.requires_grad}
    trains = [m for m in first.modules() if m.training]
    known |= {id(m) for m in trains if isinstance(m, DROPOUTS) or getattr(m, "running_mean", None) is not None}
    for name, part in (*second.named_parameters(), *second.named_modules()):
        if id(part) in known:
            raise TaskError(
                f"build makes a new network at each call; it gave the same {name} twice, so that each trial would go "
                f"on with what those before it left: make the layers in build, or return copy.deepcopy(net)."
            )


def check_outputs(problem: Problem, output: Any, y: Tensor) -> None:
    """Check that the outputs of a mini-batch fit its targets and the loss.

    Raises:
        TaskError: they do not.
    """
    if not isinstance(output, Tensor):
        raise TaskError(f"a network returns one tensor; this one returns a {type(output).__name__}: return the logits.")
    if problem.loss == "cross_entropy":
        if output.dim() < 2 or output.shape[0] != y.shape[0] or output.shape[2:] != y.shape[1:]:
            axes, remedy = "[B, classes]", "end it with Linear(..., classes)"
            if output.dim() > 2 and output.shape[:-1] == y.shape:
                axes, remedy = "[B, classes, ...]", "return output.movedim(-1, 1)"
            elif output.shape == y.shape and output.dim() > 1:
                remedy = "give labels as numbers, y.argmax(1)"
            raise TaskError(
                f"outputs under cross_entropy are {axes}; the network gives {list(output.shape)} for labels "
                f"{list(y.shape)}: {remedy}."
            )
        _check_labels(problem, output.shape[1])
    elif isinstance(problem.loss, str):
        alike(output, y)


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


def check_batchnorm(problem: Problem, model: nn.Module, batch_size: int) -> None:
    """Check that each mini-batch is large enough for the network's batch normalisation.

    Raises:
        TaskError: one has a single example.
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


def _check_labels(problem: Problem, classes: int) -> None:
    for name, data in (("train", problem.train), ("valid", problem.valid), ("test", problem.test)):
        if isinstance(data, InMemory) and (high := int(data.y.max())) >= classes:
            raise TaskError(
                f"labels under cross_entropy are 0 to classes - 1; the network has {classes} outputs and the {name} "
                f"set a label {high}: end the network with Linear(..., {high + 1}), or number the labels from 0."
            )
