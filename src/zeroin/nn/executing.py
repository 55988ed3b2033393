"""How the networks of a task are trained: in stacks or one by one, in this process or in workers."""

import importlib
import logging
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from zeroin.errors import TaskError
from zeroin.executors.inline import Inline
from zeroin.executors.place import can_fork, starting
from zeroin.executors.processes import Processes
from zeroin.executors.worker import Make, pickled
from zeroin.nn import loop
from zeroin.nn.problem import Problem
from zeroin.nn.stacking.calibration import Calibrations, shared
from zeroin.nn.stacking.executor import Stacked
from zeroin.nn.stacking.grouping import shaping
from zeroin.protocols import Executor
from zeroin.space import Space

log = logging.getLogger("zeroin")


class Trained(Protocol):
    """What is trained: a `Task`."""

    @property
    def name(self) -> str:
        """Of the task."""

    @property
    def problem(self) -> Problem:
        """Its networks and data."""


def executor_of(
    task: Trained, folder: Path, space: Space | None, *, max_epochs: int, workers: int, trainings: float
) -> Executor:
    """An executor that trains configs of `space`; checkpoints go below `folder`.

    Several networks at once where that is measured to pay on the default config and where the budget of so many
    full `trainings` allows to decide about several configs at once; else one by one. What was measured is kept in
    `folder`. Several workers are copies of this process where it can be copied (see `can_fork`). Elsewhere each
    builds the task once, from its pickle or else from the file that defines it, and where networks are trained in
    stacks one of them is this process.

    Raises:
        TaskError: the network of the default config does not fit the data or the loss; workers cannot import it.
    """
    forked = workers > 1 and task.problem.device == "cpu" and can_fork()
    first = 0 if forked else workers - 1
    with starting(folder, max_epochs, first) as started:  # it takes as long as the calibration
        alike = shaping(task.problem, space) if space else ()
        of_a_shape = shared(space, alike, trainings, max_epochs)
        calibrations = Calibrations(task.problem, folder, trainings / workers, of_a_shape)
        calibration = calibrations.of(space.default if space else {})
        log.info("%s: %s", task.name, calibration.words())
        if calibration.rows == 1 and workers == 1:
            return Inline(loop.objective(task.problem), folder, max_epochs, calibration.seconds)
        by = partial(_copied, task) if forked else partial(importable, task)
        here = None
        if calibration.rows == 1:
            make: Make = partial(Inline, by(loop.train))
            rows, alike = 1, ()
        else:
            rows = calibrations.most
            if not forked:
                here = Stacked(task.problem, folder, max_epochs, calibrations, rows, alike, calibration.seconds)
            if here and workers == 1:
                return here
            make = by(_stacked, calibrations.trainings, calibrations.shared, rows)
        most = workers - (here is not None)
        return Processes(
            make, folder, max_epochs, most,
            rows=rows, grouping=alike, here=here, seconds=calibration.seconds, started=started, forked=forked,
        )  # fmt: skip


def _copied(task: Trained, function: Callable[..., Any], *first: Any) -> Callable[..., Any]:
    return partial(function, task.problem, *first)


def _stacked(problem: Problem, trainings: float, shared: float, rows: int, folder: Path, max_epochs: int) -> Executor:
    """What trains in a worker."""
    return Stacked(problem, folder, max_epochs, Calibrations(problem, folder, trainings, shared), rows)


def importable(task: Trained, function: Callable[..., Any], *first: Any) -> Callable[..., Any]:
    """f(problem, *first, ...) of a task as something that pickles: by value, else as the name in its file.

    Raises:
        TaskError: it is to be found under no name at the top level of a file.
    """
    by_value = partial(function, task.problem, *first)
    try:
        pickled(by_value)
    except TaskError:
        for module in list(sys.modules.values()):
            names = [name for name, value in list(getattr(module, "__dict__", {}).items()) if value is task]
            if names:
                return partial(_of_named, module.__name__, names[0], function, first)
        raise
    return by_value


def _of_named(module: str, name: str, function: Callable[..., Any], first: tuple[Any, ...], a: Any, b: Any) -> Any:
    """Two arguments are left, (config, run) or (folder, max_epochs): an objective is told by how many it takes."""
    task: Trained = getattr(importlib.import_module(module), name)
    return function(task.problem, *first, a, b)
