"""Choosing the executor for a task: in stacks or one by one, in this process or in workers."""

import importlib
import logging
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import torch

from zeroin.errors import TaskError
from zeroin.executors import gpus
from zeroin.executors.inline import Inline
from zeroin.executors.place import can_fork, starting
from zeroin.executors.processes import Processes
from zeroin.executors.worker import Make, pickled
from zeroin.nn import loop
from zeroin.nn.problem import Problem
from zeroin.nn.stacking.calibration import Calibrations, shared
from zeroin.nn.stacking.executor import Stacked
from zeroin.nn.stacking.grouping import shaping, steered
from zeroin.protocols import Executor
from zeroin.space import Space
from zeroin.types import Value

log = logging.getLogger("zeroin")


Measure: TypeAlias = tuple[tuple[str, Value], ...]  # what a task's scores measure, as pairs


class Trained(Protocol):
    """The part of a `Task` that an executor needs."""

    @property
    def name(self) -> str:
        """Of the task."""

    @property
    def problem(self) -> Problem:
        """Its network, data, loss and metric."""

    @property
    def measure(self) -> dict[str, Value]:
        """What its scores measure."""


def executor_of(
    task: Trained, folder: Path, space: Space, *, max_epochs: int, workers: int, trainings: float
) -> Executor:
    """An executor that trains configs of a space.

    Networks are trained in stacks if timing the default config shows that it pays, and if the budget is large enough to
    decide about several configs at once; else one by one. The timings are kept in `folder`. Workers are forked from
    this process if that is possible (see `can_fork`). Otherwise each worker builds the task once, from its pickle or
    from the file that defines it; and if networks are trained in stacks, this process takes the place of one worker.

    Args:
        task: whose networks are trained.
        folder: where checkpoints go.
        space: the hyperparameters.
        max_epochs: the number of epochs of a full training.
        workers: how many processes.
        trainings: how many full trainings the budget pays for.

    Raises:
        TaskError: the network of the default config does not fit the data or the loss, or workers cannot import it.
    """
    forked, by = carried(task, workers)
    with starting(1 if forked else workers) as started:  # it takes as long as the calibration
        alike = shaping(task.problem, space)
        of_a_shape = shared(space, alike, trainings, max_epochs)
        calibrations = Calibrations(task.problem, folder, trainings / workers, of_a_shape)
        calibration = calibrations.of(space.default)
        if calibration.rows > 1 and (found := steered(task.problem, space)):
            calibrations.refuse(f"build sets {found} by the config, which all rows of a stack would read")
            calibration = calibrations.of(space.default)
        log.info("%s: %s", task.name, calibration.words(calibrations.slots(calibration)))
        if calibration.rows == 1 and workers == 1:
            return Inline(loop.objective(task.problem), folder, max_epochs, calibration.seconds)
        here = None
        if calibration.rows == 1:
            make: Make = partial(Inline, by(loop.train, loop.Paused()), folder, max_epochs)
            rows, alike = 1, ()
        else:
            rows = calibrations.slots(calibration)
            if not forked:
                here = Stacked(task.problem, folder, max_epochs, calibrations, rows, alike, calibration.seconds)
            if here and workers == 1:
                return here
            make = partial(by(_stacked, calibrations.trainings, calibrations.shared, rows), folder, max_epochs)
        return Processes(
            make, workers - (here is not None),
            rows=rows, grouping=alike, here=here, seconds=calibration.seconds, started=started, forked=forked,
        )  # fmt: skip


def carried(task: Trained, workers: int) -> tuple[bool, Callable[..., Callable[..., Any]]]:
    """Whether workers are copies of this process, and what makes functions of the task that reach them.

    Raises:
        TaskError: the task names one of several GPUs, of which workers see others.
    """
    device = task.problem.device
    if workers > 1 and torch.device(device).index and len(gpus.visible()) > 1:
        raise TaskError(
            f"each of several workers sees GPUs of its own, which it counts from 0; device={device!r} with "
            f"workers={workers}: use device={torch.device(device).type!r}."
        )
    forked = workers > 1 and device == "cpu" and can_fork()
    return forked, partial(_copied if forked else importable, task)


def _copied(task: Trained, function: Callable[..., Any], *first: Any) -> Callable[..., Any]:
    return partial(function, task.problem, *first)


def _stacked(problem: Problem, trainings: float, shared: float, rows: int, folder: Path, max_epochs: int) -> Executor:
    """The executor of a worker."""
    return Stacked(problem, folder, max_epochs, Calibrations(problem, folder, trainings, shared), rows)


def importable(task: Trained, function: Callable[..., Any], *first: Any) -> Callable[..., Any]:
    """f(problem, *first, ...) for a task, such that it can be pickled: by value, else by the task's name in its file.

    Raises:
        TaskError: the task cannot be pickled, and has no name at the top level of a file.
    """
    by_value = partial(function, task.problem, *first)
    try:
        pickled(by_value)
    except TaskError:
        for module in list(sys.modules.values()):
            names = [name for name, value in list(getattr(module, "__dict__", {}).items()) if value is task]
            if names:
                return partial(_of_named, module.__name__, names[0], tuple(task.measure.items()), function, first)
        raise
    return by_value


def _of_named(
    module: str, name: str, measure: Measure, function: Callable[..., Any], first: tuple[Any, ...], a: Any, b: Any
) -> Any:
    """Call a function for a named task; `a`, `b` are (config, run) or (folder, max_epochs).

    They are spelled out because the number of arguments tells which form an objective has.
    """
    return function(_named(module, name, measure).problem, *first, a, b)


@cache
def _named(module: str, name: str, measure: Measure) -> Trained:
    """The task of that name in a file, which is to be the one that is tuned.

    Raises:
        TaskError: there is none, or its data or code are others.
    """
    task: Trained | None = getattr(importlib.import_module(module), name, None)
    found = "none of that name" if task is None else "another" if tuple(task.measure.items()) != measure else ""
    if task is None or found:
        raise TaskError(
            f"workers import the task from its file; {name!r} is {found} there: define it once at the top level, above "
            f"`if __name__ == '__main__':`, from data that are the same each time, or use workers=1."
        )
    return task
