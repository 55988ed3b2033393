"""What a study may spend and is about to do, worked out of what was asked before anything runs."""

import math
import shutil
import time
from dataclasses import dataclass, replace
from numbers import Real

from zeroin.budget import TRAININGS, Budget
from zeroin.checked import is_whole
from zeroin.confirm import Confirm
from zeroin.errors import StudyError
from zeroin.executors.checkpoint import trial_folder
from zeroin.plan import Plan
from zeroin.protocols import Executor, Timed
from zeroin.search import Zoom, finite
from zeroin.search.rungs import ladder
from zeroin.study import Study
from zeroin.types import Job, Kind, Observation


@dataclass(frozen=True, slots=True)
class Course:
    """How a budget is spent: on the search, and on what follows it.

    Args:
        budget: the whole.
        trainings: full trainings that it pays for.
        final: the comparison with fresh seeds after the search; of none where a third of the budget pays for none.
        asked: fresh seeds that were asked for, 0 where nobody did.
        finish: whether the best is carried on to the full budget where there are no fresh seeds.
    """

    budget: Budget
    trainings: float
    final: Confirm
    asked: int
    finish: bool

    @property
    def after(self) -> int:
        """Full trainings kept for what follows the search."""
        return self.final.most or int(self.finish)

    @property
    def for_search(self) -> float:
        """Full trainings without those of the comparison."""
        return self.trainings - self.final.most


def course_of(budget: Budget, max_epochs: int, confirm: int | None, *, is_task: bool) -> Course:
    """How a budget is spent; 60 full trainings where none was asked for.

    Args:
        budget: as it was asked for.
        max_epochs: the deepest budget of one trial.
        confirm: fresh seeds that were asked for; None: 5 for a task, whose trainings are comparable, else none.
        is_task: whether a task is tuned, whose network can be taken out.

    Raises:
        StudyError: `confirm` is no whole number from 0.

    >>> course_of(Budget(epochs=200), 10, None, is_task=True).final
    Confirm(seeds=3, contenders=1, configs=())
    """
    if confirm is not None and not is_whole(confirm, 0):
        raise StudyError(f"fresh seeds are counted from 0; confirm={confirm!r}: use confirm=5, or confirm=0 for none.")
    if budget.epochs is budget.trials is budget.minutes is None:
        budget = replace(budget, epochs=TRAININGS * max_epochs)
    trainings = budget.trainings(max_epochs)
    asked = 0 if confirm is None else int(confirm)
    final = Confirm.within(trainings, 5 if confirm is None and is_task else asked)
    finish = is_task and confirm != 0 and (budget.epochs is None or trainings >= 2)
    return Course(budget, trainings, final, asked, finish)


def budget_of(
    epochs: int | None, trials: int | None, minutes: float | None, trial_minutes: float | None = None
) -> Budget:
    """What was asked for as a budget.

    Raises:
        StudyError: one of them is no positive number, or epochs or trials are no whole one.
    """
    asked = {"epochs": epochs, "trials": trials, "minutes": minutes, "trial_minutes": trial_minutes}
    for name, value in asked.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < math.inf:
            such_as = 10 if name == "trial_minutes" else 100
            raise StudyError(f"a budget is positive; {name}={value!r}: use {name}={such_as}, or leave it out.")
        if name in ("epochs", "trials") and value != int(value):
            raise StudyError(f"{name} are counted in whole numbers; {name}={value!r}: use {name}={max(1, int(value))}.")
    return Budget(
        epochs and int(epochs),
        trials and int(trials),
        minutes and float(minutes),
        trial_minutes and float(trial_minutes),
    )


def plan_of(study: Study, course: Course, executor: Executor | None) -> Plan:
    """The plan of a run.

    Args:
        study: as it stands.
        course: how its budget is spent.
        executor: by which an epoch is timed; None: it is not.
    """
    history, depth, budget = study.history, study.max_epochs, course.budget
    advised = len(history.advice)
    zoom = study.searcher if isinstance(study.searcher, Zoom) else None
    rungs = zoom.ladder(depth) if zoom else ladder(depth)
    seconds = None
    if executor and depth > 1 and not history.searched:
        known = executor.seconds if isinstance(executor, Timed) else 0.0
        seconds = known or _seconds_per_epoch(study, executor)
    configs = finite.count(study.space, study.space.ranges) if zoom else None
    trainings = None if budget.epochs is None and budget.trials is None else course.trainings
    if trainings is not None and configs is not None:
        trainings = min(trainings, configs + course.after)
    return Plan(
        name=study.name,
        hyperparameters=study.space.searched,
        ladder=rungs,
        screen=zoom.screening(study.space, rungs, advised) if zoom else 0,
        budget=budget,
        trainings=trainings,
        confirm=course.after,
        seeds=course.final.seeds,
        asked=course.asked,
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

    trials = range(99_999, 99_999 - executor.slots, -1)  # no study gets here
    why = "to see how long an epoch takes"
    try:
        for number, trial in enumerate(trials):
            executor.start(Job(number, trial, study.space.default, trial, 0, epochs, Kind.DEFAULT, why), 0)
        running = len(trials)
        while running:
            running -= len(executor.wait(heard))
    finally:
        for trial in trials:
            shutil.rmtree(trial_folder(study.folder, trial), ignore_errors=True)
    return (seen[epochs] - seen[epochs - 1]) / len(trials) if epochs in seen else None
