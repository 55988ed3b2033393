"""`tune`: the function that everything is started with, from Python and from the command line."""

import logging
import math
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from zeroin import catalogue
from zeroin.budget import Budget, budget_of
from zeroin.checked import check_listener, check_part, checked_max_epochs, checked_space
from zeroin.clock import Clock
from zeroin.errors import StudyError
from zeroin.executors.code import measure_of, measure_with_file
from zeroin.executors.place import check_workers
from zeroin.executors.run import Objective
from zeroin.function import Function
from zeroin.planning import Course, course_of, plan_of
from zeroin.playbook import Playbook, playbook_of, scenario_of, teach
from zeroin.protocols import Clocked, Executor, Grouping, Patient, Searcher, Trainable
from zeroin.running import compare, place_of, run
from zeroin.search import Zoom
from zeroin.space import Space
from zeroin.study import Listener, Study
from zeroin.types import Config, Status
from zeroin.wording import error_line

log = logging.getLogger("zeroin")
GOES_ON = "study %r in %s goes on: %d trials and %d epochs are known; another name=, or store=None, begins anew"
SPENT = (
    "study %r: nothing was trained, because its budget was spent before: it is that of all calls together, so give more"
)
FAILED = "study %r: %d of %d trials failed, the last with %s%s; study.trials has the note of each"


def tune(
    objective: Objective | Trainable,
    space: Space | None = None,
    *,
    max_epochs: int | None = None,
    epochs: int | None = None,
    trials: int | None = None,
    minutes: float | None = None,
    trial_minutes: float | None = None,
    goal: str | None = None,
    workers: int = 1,
    executor: Executor | None = None,
    store: str | Path | None = "zeroin.db",
    name: str | None = None,
    seed: int = 0,
    playbook: bool | str | Path | Playbook = True,
    start: Sequence[Config] = (),
    confirm: int | None = None,
    searcher: Searcher | None = None,
    listen: Listener | None = None,
    task_name: str = "",
) -> Study:
    """Find good hyperparameters.

    Args:
        objective: f(config) -> loss; or f(config, run), which reports a loss each epoch; or a `zeroin.nn.Task`.
        space: the hyperparameters; None: those of the Task.
        max_epochs: the number of epochs of a full training; None: the objective has no epochs.
        epochs, trials, minutes: the whole budget. The limit that is reached first ends the search; if none is given,
            the budget is 60 full trainings. Confirmation takes up to a third of `epochs` and of `minutes`, while
            `trials` limits the search alone. `minutes` limits this call from beginning to end; only an epoch that
            takes longer than those before it can exceed them.
        trial_minutes: the time limit of a trial of the search, over all of its jobs. It is checked after each epoch: a
            trial that has exceeded it before it was trained in full has failed (`timed_out`). Its losses are kept, but
            it cannot be the best. With several workers, an epoch that takes longer than this is killed; a single
            process cannot interrupt itself.
        goal: "minimize" (the default for functions) or "maximize"; a Task has the goal of its metric.
        workers: the number of processes on this machine, of one thread each, among which its GPUs are shared out. With
            more than one, the objective must be defined at the top level of a file, and the call of tune must stand
            under `if __name__ == "__main__":`.
        executor: does the jobs in some other way.
        store: the file that keeps everything; None: memory only.
        name: of the study. A study that is already in the store under this name continues where it stopped. By default
            it is the objective's name; then the study of another function of that name is refused.
        seed: decides every random draw.
        playbook: what past studies taught, to start from and to add to: True for the user's own (to which a study
            without a store is not added), the path of another, or False for none.
        start: configs to try first.
        confirm: how many fresh seeds the best configs and the default config are trained with after the search;
            None: 5 for a Task, 0 for a function.
        searcher: decides what to try; None: `zeroin.search.Zoom`.
        listen: a function that is called with the study and each event. What it raises ends the study, which can go on.
        task_name: what was named on the command line, kept for the record.

    Returns:
        The study, closed for writing, with its results.

    Raises:
        ZeroinError: a mistake that can be fixed; wherever possible it is raised before any training starts.

    >>> from zeroin.space import Float
    >>> study = tune(lambda config: (config["x"] - 0.3) ** 2, Space(x=Float(0, 1)), trials=20, store=None)
    >>> round(study.best.config["x"], 1)
    0.3
    """
    book = playbook_of(playbook)
    task = _task_of(objective, goal, max_epochs, workers)
    is_task = task is objective
    depth = checked_max_epochs(task.max_epochs if max_epochs is None else max_epochs)
    if space is not None:
        checked_space(space)
    check_part("an executor", executor, "start")
    check_part("a searcher", searcher, "decide")
    check_listener(listen)
    budget = budget_of(epochs, trials, minutes, trial_minutes)
    course = course_of(budget, depth, confirm, is_task=is_task)
    clock = _clock(course, executor)  # from here on: preparation counts
    _check_ended_by_force(budget, depth, workers, executor)
    given, space = space, space or task.space_for(course.for_search)
    if executor is None:
        check_workers(workers)
    if executor is None or is_task:
        task.check(space)
    scenario = scenario_of(objective, space, depth)
    movable = catalogue.unasked(given) if given else tuple(space)  # ranges that the playbook may correct
    advised = book.look_up(space, scenario, movable) if book else None  # first of all: it may be no playbook
    study = Study(
        space,
        max_epochs=depth,
        goal=task.goal,
        store=store,
        name=(task.name or "study") if name is None else name,
        seed=seed,
        searcher=searcher,
        start=start,
        task=task_name,
        scenario=scenario,
        measure=measure_with_file(objective) if name is None else measure_of(objective),
    )
    with study:
        if advised and advised.bets and not study.history.jobs:
            study.record(advised)
        doing = executor or task.executor(
            study.folder, max_epochs=depth, workers=workers, space=space, trainings=course.trainings
        )
        with closing(doing):
            if searcher is None:
                study.searcher = Zoom(together=doing.grouping if isinstance(doing, Grouping) else ())
            _search(study, doing, course, clock, listen, is_task=is_task)
    if book and (study.path or playbook is not True):
        teach(book, study.header, study.history)
    return study


def space_within(
    task: Trainable,
    *,
    max_epochs: int | None = None,
    epochs: int | None = None,
    trials: int | None = None,
    minutes: float | None = None,
    confirm: int | None = None,
) -> Space:
    """The space that `tune` would search for a task with this budget, whose size decides what is worth searching."""
    depth = checked_max_epochs(task.max_epochs if max_epochs is None else max_epochs)
    return task.space_for(course_of(budget_of(epochs, trials, minutes), depth, confirm, is_task=True).for_search)


def _search(
    study: Study, executor: Executor, course: Course, clock: Clock, listen: Listener | None, *, is_task: bool
) -> None:
    """Tell the plan, then search, then compare the best; without a listener the log says what matters most."""
    known, left_over = len(study.history.jobs), study.history.running
    if listen:
        study.listeners.append(listen)
    elif study.history.jobs:
        log.warning(GOES_ON, study.name, study.path, len(study.history.trials), study.history.spent)
    # An epoch is only timed if somebody is told how long the study will take.
    study.record(plan_of(study, course, executor if is_task and listen else None))
    clock.before, first = study.history.seconds, len(study.history.trials)
    run(study, executor, study.searcher, course.budget.without(course.after * study.max_epochs), clock)
    compare(study, executor, course.final, clock)
    if listen:
        return
    if study.regions and study.regions[-1].over:
        log.warning("study %r: %s", study.name, study.regions[-1].why)
    elif known == len(study.history.jobs) and not left_over and not clock.limited:
        log.warning(SPENT, study.name)
    trials = study.history.trials[first:]
    if notes := [t.note for t in trials if t.status is Status.FAILED]:
        log.warning(FAILED, study.name, len(notes), len(trials), error_line(notes[-1]), place_of(notes[-1]))


def _clock(course: Course, executor: Executor | None) -> Clock:
    """The clock of a call, which starts now; it is the executor's own if that has one."""
    minutes = course.budget.minutes
    now = executor.now if isinstance(executor, Clocked) else time.monotonic
    return Clock(math.inf if minutes is None else 60 * minutes, now, course.after, course.finish)


def _check_ended_by_force(budget: Budget, depth: int, workers: int, executor: Executor | None) -> None:
    """Check that a trial without epochs, if its time is limited, can be ended: not by a process that runs it itself."""
    if budget.trial_minutes is None or depth > 1:
        return
    can_kill = isinstance(executor, Patient) if executor else workers > 1
    if not can_kill:
        raise StudyError(
            f"trial_minutes are looked at after each epoch; trial_minutes={budget.trial_minutes:g} of trials without "
            f"epochs: report epochs and give max_epochs=..., use workers=2, which are ended by force, or leave it out."
        )


def _task_of(objective: Objective | Trainable, goal: str | None, max_epochs: int | None, workers: int) -> Trainable:
    if not isinstance(objective, Trainable):
        return Function(objective, goal or "minimize", checked_max_epochs(max_epochs), workers)
    if goal not in (None, objective.goal):
        raise StudyError(
            f"a task's goal is that of its metric; it is {objective.goal!r}, not {goal!r}: leave goal= out, or give "
            f"the task another metric."
        )
    return objective
