"""Checks of a network and its data before any training: whether they fit together."""

from typing import Any

import torch
from torch import Tensor, nn

from zeroin.errors import TaskError
from zeroin.nn.checking_scores import check_scores
from zeroin.nn.data import InMemory, edges
from zeroin.nn.layers import BATCHNORMS, DROPOUTS
from zeroin.nn.metrics import alike
from zeroin.nn.modes import buffers_kept, switched
from zeroin.nn.networks import built
from zeroin.nn.problem import Problem, two_examples
from zeroin.types import Config
from zeroin.wording import first_line


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
        check_scores(problem, model, config, output, y)
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
