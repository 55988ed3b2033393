"""Before anything runs: how the budget is spent, and the plan that the user is told."""

import platform
import shlex
import shutil
import sys
import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from zeroin.budget import TRAININGS, Budget
from zeroin.checked import is_whole
from zeroin.confirm import Confirm
from zeroin.errors import StudyError
from zeroin.executors.checkpoint import trial_folder
from zeroin.plan import Plan
from zeroin.protocols import Executor, Timed
from zeroin.search import Settings, Zoom, finite
from zeroin.study import Study
from zeroin.types import Job, Kind, Observation

COMPUTING = ("numpy", "torch", "keras", "tensorflow")  # whose versions decide what comes of a seed


@dataclass(frozen=True, slots=True)
class Course:
    """How a budget is divided between the search and what follows it.

    Args:
        budget: the whole.
        trainings: how many full trainings it pays for.
        final: the comparison with fresh seeds after the search; without seeds if a third of the budget pays for none.
        asked: how many fresh seeds the user asked for; 0 if they did not say.
        finish: whether the best trial is carried on to its last epoch if there are no fresh seeds.
    """

    budget: Budget
    trainings: float
    final: Confirm
    asked: int
    finish: bool

    @property
    def after(self) -> int:
        """How many full trainings are reserved for what follows the search."""
        return self.final.most or int(self.finish)

    @property
    def for_search(self) -> float:
        """How many full trainings are left for the search."""
        return self.trainings - self.final.most


def course_of(budget: Budget, max_epochs: int, confirm: int | None, *, is_task: bool) -> Course:
    """How a budget is spent; without any limit it is 60 full trainings.

    Args:
        budget: as the user gave it.
        max_epochs: the number of epochs of a full training.
        confirm: how many fresh seeds the user asked for; None: 5 for a task, none for a function.
        is_task: whether a task is tuned, whose network can be exported.

    Raises:
        StudyError: `confirm` is not a whole number from 0.

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


def plan_of(study: Study, course: Course, executor: Executor | None) -> Plan:
    """The plan of a run.

    Args:
        study: as it stands.
        course: how its budget is spent.
        executor: by which an epoch is timed; None: it is not.
    """
    history, depth, budget = study.history, study.max_epochs, course.budget
    advised = len(history.advice)
    settings = study.searcher.settings if isinstance(study.searcher, Zoom) else None
    ladder = (settings or Settings()).ladder(depth)
    seconds = None
    if executor and depth > 1 and not history.searched:
        known = executor.seconds if isinstance(executor, Timed) else 0.0
        seconds = known or _seconds_per_epoch(study, executor)
    configs = finite.count(study.space, study.space.ranges) if settings else None
    trainings = None
    if budget.epochs is not None or budget.trials is not None:  # `trials` are those of the search alone
        trainings = budget.without(course.after * depth).trainings(depth) + course.after
    if trainings is not None and configs is not None:
        trainings = min(trainings, configs + course.after)
    return Plan(
        name=study.name,
        hyperparameters=study.space.searched,
        ladder=ladder,
        screen=settings.coarse(study.space, ladder, advised) if settings else 0,
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
        command=_command(),
        versions=_versions(),
    )


def _command() -> str:
    """What began this process: `zeroin ...` or `python FILE ...`; empty in a notebook, a prompt or another program."""
    program, *words = sys.argv or [""]
    if Path(program).name == "zeroin":
        return shlex.join(["zeroin", *words])
    is_script = program.endswith(".py") and "site-packages" not in program
    return shlex.join(["python", program, *words]) if is_script else ""


def _versions() -> str:
    """Those of zeroin, Python, and what is loaded of that which computes."""
    known = {"zeroin": version("zeroin"), "Python": platform.python_version()}
    known |= {name: getattr(sys.modules.get(name), "__version__", "") for name in COMPUTING}
    return ", ".join(f"{name} {number}" for name, number in known.items() if number)


def _seconds_per_epoch(study: Study, executor: Executor) -> float | None:
    """How long an epoch of the default config takes while every slot is in use; None if that could not be measured.

    The first epoch is for warming up; where several are trained at once, so is the second.
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
