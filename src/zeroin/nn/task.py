"""A task: a network, its data, what it is judged by, and the space worth searching."""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zeroin.checked import checked_space, is_whole
from zeroin.errors import TaskError
from zeroin.nn.checking import check
from zeroin.nn.data import InMemory, fingerprint, prepared
from zeroin.nn.executing import executor_of
from zeroin.nn.facts import facts
from zeroin.nn.idle import warn_of_idle
from zeroin.nn.metrics import METRICS, Metric
from zeroin.nn.networks import Build, network
from zeroin.nn.own_code import own_code
from zeroin.nn.preparation_file import write_preparation
from zeroin.nn.problem import Problem, shaped
from zeroin.nn.recipe import number, recipe
from zeroin.protocols import Executor
from zeroin.space import Int, Space
from zeroin.types import Config, Value
from zeroin.wording import first_line

LOSSES = ("cross_entropy", "mse")


@dataclass(frozen=True, eq=False)
class Task:
    """A network to be tuned, with its data, loss, metric and space.

    Args:
        build: config -> torch.nn.Module. The training loop applies the catalogue's hyperparameters of training (lr,
            optimizer, batch_size, schedule, ...). It also applies dropout, bn_momentum, bn_eps and init, unless build
            asks the config for them itself.
        train, valid: (inputs [N, ...], targets [N, ...]) as arrays or tensors, a Dataset, or a DataLoader (whose
            sampler chooses the examples, but whose batch size and order are ignored). Inputs that are whole numbers are
            not normalised, but left for an Embedding.
        test: like train; used only in the trainings after the search.
        loss: "cross_entropy" (targets 0 .. classes - 1), "mse", or f(output, target) -> tensor.
        metric: what is reported and tuned, on the validation set: "accuracy", "balanced_accuracy", "roc_auc" (two
            classes), "r2", "mae", "mse", "rmse", "loss", or a `Metric`.
        space: a `Space`; or f(trainings) -> `Space`, the space worth searching with so many full trainings.
        name: the default name of the study.
        max_epochs: the number of epochs of a full training.
        normalise: whether to normalise inputs to the training set's mean 0 and standard deviation 1, per feature of
            [N, F] and [N, T, F], per channel of [N, C, H, W].
        device: where to train, as PyTorch names it.
        recalibrate: whether batch norms get the exact mean and variance of the training data (of at most 10,000
            examples) after each epoch, instead of moving averages. Then the score, and the exported network, do not
            suffer from statistics that lag behind. It costs a forward pass over these examples in each epoch.
        compile: whether to compile the steps of stacks with `torch.compile`. It is for networks that train for minutes:
            a step takes a third less time, but each shape of network and number of rows takes seconds to compile. It
            needs a C++ compiler; without one, and for networks trained one by one, nothing is compiled.
        preparation: how the inputs were made from files, as JSON data; it is kept beside the networks and exported with
            the best of them.

    Raises:
        TaskError: the data are empty or not finite, inputs and targets differ in number, or labels do not fit the loss.

    >>> task = Task(build=lambda c: mlp(64, 10, c), train=(X, y), valid=(Xv, yv), space=space)  # doctest: +SKIP
    >>> zi.tune(task, epochs=600)  # doctest: +SKIP
    """

    build: Build
    train: Any
    valid: Any
    test: Any = None
    loss: Literal["cross_entropy", "mse"] | Callable[[Tensor, Tensor], Tensor] = "cross_entropy"
    metric: str | Metric = "accuracy"
    space: Space | Callable[[float], Space] | None = None
    name: str = "task"
    max_epochs: int = 30
    normalise: bool = True
    device: str = "cpu"
    recalibrate: bool = False
    compile: bool = False
    preparation: Mapping[str, Any] | None = None
    problem: Problem = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._check_arguments()
        sets = {"train": self.train, "valid": self.valid} | ({} if self.test is None else {"test": self.test})
        data, normalisation = prepared(sets, self.loss, normalise=self.normalise, device=self.device)
        metric = METRICS.get(self.metric) if isinstance(self.metric, str) else self.metric
        _check_varied(metric, data["valid"])
        problem = Problem(
            build=partial(shaped, self.build, data["train"]),
            train=data["train"],
            valid=data["valid"],
            test=data.get("test"),
            loss=self.loss,
            metric=metric,
            normalisation=normalisation,
            device=self.device,
            recalibrate=self.recalibrate,
            compile=self.compile,
        )
        object.__setattr__(self, "problem", problem)

    def _check_arguments(self) -> None:
        if isinstance(self.loss, type):
            raise TaskError(f"a loss is a function; got the class {self.loss.__name__}: use {self.loss.__name__}().")
        if self.loss not in LOSSES and not callable(self.loss):
            raise TaskError(f"a loss is one of {', '.join(LOSSES)} or a function; got {self.loss!r}: use 'mse'.")
        if isinstance(self.metric, str) and self.metric not in METRICS and self.metric != "loss":
            raise TaskError(
                f"a metric is one of {', '.join(METRICS)}, loss, or a Metric; got {self.metric!r}: use metric='loss'."
            )
        if not isinstance(self.metric, str | Metric | None):
            raise TaskError(
                f"a metric is a name or a Metric; got a {type(self.metric).__name__}: "
                f"use Metric('my score', 'maximize', f) of f(output, target)."
            )
        if not is_whole(self.max_epochs, 1):
            raise TaskError(f"max_epochs is a whole number from 1; max_epochs={self.max_epochs!r}: use max_epochs=30.")
        if self.space is not None and not isinstance(self.space, Space) and not callable(self.space):
            raise TaskError(
                f"a space is a Space, or f(trainings) -> Space; got a {type(self.space).__name__}: "
                f"use space=Space(lr=Float(1e-5, 1.0, scale='log'))."
            )
        _check_device(self.device)

    @property
    def goal(self) -> str:
        """The direction of the metric: "minimize" or "maximize"."""
        return "minimize" if self.problem.metric is None else self.problem.metric.goal

    @property
    def scenario(self) -> dict[str, Value]:
        """Facts by which the playbook judges how similar two tasks are."""
        model = None if self.space is None else self.network(self.space_for(1.0).default)
        loss = self.loss if isinstance(self.loss, str) else "own"
        return {"task": self.name, "loss": loss, **facts(self.problem.train, model)}

    @property
    def measure(self) -> dict[str, Value]:
        """What a score measures: scores can only be compared if all of this is equal."""
        data = f"{len(self.problem.train)} examples to train on, {len(self.problem.valid)} to validate"
        if self.preparation is not None:
            data = hashlib.sha256(json.dumps(self.preparation, sort_keys=True).encode()).hexdigest()
        test = "" if self.test is None else fingerprint(self.test)  # apart: one may be added later
        loss, metric = (one if isinstance(one, str) else _named(one) for one in (self.loss, self.metric))
        switches = {"recalibrate": self.recalibrate, "normalise": self.normalise}
        known: dict[str, Value] = {"loss": loss, "metric": metric, "data": data, **switches}
        told = {"contents": fingerprint(self.train, self.valid), "test": test, "code": self._code}
        return known | {name: one for name, one in told.items() if one}

    @property
    def _code(self) -> str:
        """Tells the code of network, loss and metric from what it was; empty where none is the user's own."""
        model = None
        with suppress(Exception):  # `check` says what is wrong with it
            model = self.network(self.space_for(1.0).default)
        scores = [self.loss, self.metric.compute if isinstance(self.metric, Metric) else ""]
        return own_code([self.build, *(score for score in scores if callable(score))], model)

    def space_for(self, trainings: float) -> Space:
        """The space worth searching with this many full trainings.

        Raises:
            TaskError: the task has no space.
        """
        if self.space is None:
            raise TaskError(
                f"a task is tuned over a space; task {self.name!r} has none: "
                f"use Task(..., space=Space(lr=Float(1e-5, 1.0, scale='log')))."
            )
        space = checked_space(self.space if isinstance(self.space, Space) else self.space(trainings))
        return _batches_within(space, len(self.problem.train))

    def executor(self, folder: Path, *, max_epochs: int, workers: int, space: Space, trainings: float) -> Executor:
        """An executor that trains configs of a space that was checked; see `zeroin.nn.executing`.

        Raises:
            TaskError: workers cannot import the task.
        """
        if self.preparation is not None:
            write_preparation(folder, self.preparation)
        return executor_of(self, folder, space, max_epochs=max_epochs, workers=workers, trainings=trainings)

    def check(self, space: Space) -> None:
        """Try the default config of a space on two examples, and check the ends and options of every range.

        Raises:
            TaskError: the network does not fit the data or the loss, an optimizer or schedule is unknown, or a range
                has values that its hyperparameter cannot have.
        """
        for name, param in space.params.items():
            for config in ({**space.default, name: value} for value in param.range):
                recipe(config)
                number(config, "dropout", 0.0)  # the network's, of which the recipe says nothing
        sizes = space.params.get("batch_size")
        smallest = min((int(v) for v in sizes.range if isinstance(v, int | float)), default=2) if sizes else 2
        asked = check(self.problem, space.default, max(1, smallest))
        warn_of_idle(space, self.problem.build, self.loss, asked)

    def network(self, config: Config, seed: int = 0) -> nn.Module:
        """The untrained network of a config, with everything applied that the config says; for `load_state_dict`."""
        return network(self.problem.build, config, seed)


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # of PyTorch's parts each has its own
        raise TaskError(
            f"a device is one that PyTorch has here; {device!r}: {first_line(error)}: use device='cpu'."
        ) from error


def _named(own: Callable[..., Any] | Metric) -> str:
    return own.name if isinstance(own, Metric) else str(getattr(own, "__name__", type(own).__name__))


def _batches_within(space: Space, examples: int) -> Space:
    """A space in which the batch size cannot grow beyond the number of examples."""
    sizes = space.params.get("batch_size")
    if not isinstance(sizes, Int) or sizes.limits is None:
        return space
    lowest, highest = sizes.limits
    most = max(sizes.high, 1 << (examples - 1).bit_length())  # a power of two, as all sizes may have to be
    return Space(**{**space.params, "batch_size": replace(sizes, limits=(lowest, min(highest, most)))})


def _check_varied(metric: Metric | None, valid: Any) -> None:
    if not isinstance(valid, InMemory):
        return
    if metric is METRICS["roc_auc"] and len(kinds := set(valid.y.flatten().tolist())) < 2:
        raise TaskError(
            f"roc_auc compares two classes; all {len(valid)} in the valid set are of class {kinds.pop():g}: cut "
            f"the sets anew, with stratify=y, or use metric='accuracy'."
        )
    if metric is not METRICS["r2"]:
        return
    alike = (valid.y == valid.y[0]).reshape(len(valid), -1).all(0)  # [K]
    if bool(alike.any()):
        where = "" if len(alike) == 1 else f" in column {int(alike.nonzero()[0])}"
        raise TaskError(
            f"r2 compares with the spread of the targets; all {len(valid)} in the valid set are equal{where}: "
            f"use metric='mae', or cut the sets anew."
        )
