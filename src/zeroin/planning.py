"""What a study may spend and is about to do, worked out of what was asked before anything runs."""

import math
import shutil
import time
from numbers import Real

from zeroin.budget import Budget
from zeroin.errors import StudyError
from zeroin.executors.checkpoint import trial_folder
from zeroin.plan import Plan
from zeroin.protocols import Executor
from zeroin.search import Zoom, finite
from zeroin.search.rungs import ladder
from zeroin.study import Study
from zeroin.types import Job, Kind, Observation


def budget_of(epochs: int | None, trials: int | None, minutes: float | None) -> Budget:
    """What was asked for as a budget.

    Raises:
        StudyError: one of them is no positive number, or epochs or trials are no whole one.
    """
    for name, value in (("epochs", epochs), ("trials", trials), ("minutes", minutes)):
        check_positive(name, value, 100)
        if value is not None and name != "minutes" and value != int(value):
            raise StudyError(f"{name} are counted in whole numbers; {name}={value!r}: use {name}={max(1, int(value))}.")
    return Budget(None if epochs is None else int(epochs), None if trials is None else int(trials), minutes)


def check_positive(name: str, value: float | None, such_as: int) -> None:
    """Whether a part of a budget, if it was asked for, is a positive number.

    Raises:
        StudyError: it is not.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < math.inf):
        raise StudyError(f"a budget is positive; {name}={value!r}: use {name}={such_as}, or leave it out.")


def plan_of(study: Study, budget: Budget, after: int, seeds: tuple[int, int], executor: Executor | None) -> Plan:
    """The plan of a run.

    Args:
        study: as it stands.
        budget: of the whole.
        after: full trainings that are kept for what follows the search.
        seeds: fresh seeds that the budget pays for, and that were asked for.
        executor: by which an epoch is timed; None: it is not.
    """
    history, depth = study.history, study.max_epochs
    advised = len(history.advice)
    zoom = study.searcher if isinstance(study.searcher, Zoom) else None
    rungs = zoom.ladder(depth) if zoom else ladder(depth)
    seconds = None
    if executor and depth > 1 and not history.searched:
        seconds = getattr(executor, "seconds", 0.0) or _seconds_per_epoch(study, executor)
    configs = finite.count(study.space, study.space.ranges) if zoom else None
    trainings = None if budget.epochs is None and budget.trials is None else budget.trainings(depth)
    if trainings is not None and configs is not None:
        trainings = min(trainings, configs + after)
    return Plan(
        name=study.name,
        hyperparameters=tuple(name for name, p in study.space.params.items() if p.fixed is None),
        ladder=rungs,
        screen=zoom.screening(study.space, rungs, advised) if zoom else 0,
        budget=budget,
        trainings=trainings,
        confirm=after,
        seeds=seeds[0],
        asked=seeds[1],
        seconds=seconds,
        known=history.searched,
        spent=history.spent,
        advised=advised,
        began=time.time(),
        configs=configs,
    )


def _seconds_per_epoch(study: Study, executor: Executor) -> float | None:
    """What an epoch of the default config takes, with as many under way at once as there are slots.

    The first epoch warms up, and where several are trained at once the second does too.
    """
    epochs = min(2 if executor.slots == 1 else 3, study.max_epochs)
    seen: dict[int, float] = {}  # when the last of the jobs reported an epoch

    def heard(_job: Job, observation: Observation, *, with_next: bool = False) -> bool:  # noqa: ARG001
        seen[observation.epoch] = time.monotonic()
        return True

    trials = range(99_999, 99_999 - executor.slots, -1)  # their folders are removed below; no study gets here with them
    why = "to see how long an epoch takes"
    for number, trial in enumerate(trials):
        executor.start(Job(number, trial, study.space.default, trial, 0, epochs, Kind.DEFAULT, why), 0)
    running = len(trials)
    while running:
        running -= len(executor.wait(heard))
    for trial in trials:
        shutil.rmtree(trial_folder(study.folder, trial), ignore_errors=True)
    return (seen[epochs] - seen[epochs - 1]) / len(trials) if epochs in seen else None
