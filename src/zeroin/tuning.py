"""`tune`: the one front door, and the loop."""

import logging
import math
import re
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from zeroin import catalogue
from zeroin.budget import TRAININGS, Budget
from zeroin.checked import checked_max_epochs, checked_space, is_whole
from zeroin.clock import Clock, Pace
from zeroin.confirm import Confirm, Finish
from zeroin.errors import StudyError
from zeroin.executors.code import measure_of
from zeroin.executors.inline import Inline
from zeroin.executors.processes import Processes, check_workers, pickled
from zeroin.executors.run import Objective, takes_run
from zeroin.history import incumbent
from zeroin.planning import budget_of, check_positive, plan_of
from zeroin.playbook import Playbook, playbook_of, scenario_of, teach
from zeroin.protocols import Executor, Searcher, Trainable
from zeroin.search import Zoom
from zeroin.search.finite import OVER
from zeroin.search.ranking import best_configs
from zeroin.space import Space
from zeroin.study import Listener, Study
from zeroin.types import Config, Ended, Job, Observation, Status, Trial, Value
from zeroin.wording import duration

log = logging.getLogger("zeroin")
IN_VAIN = 60  # so many trials in a row that ended before an epoch was seen: they spend nothing, and would go on forever
GOES_ON = "study %r in %s goes on: %d trials and %d epochs are known; another name=, or store=None, begins anew"
OURS = Path(__file__).parent
FEWER_SEEDS = "study %r: what is left of %g minutes is time for %s of %d fresh seeds; the same command goes on"
HOPELESS_FAILURES = 3  # so many failed trials before any worked: it is not the hyperparameters


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
        objective: f(config) -> loss; or f(config, run) that reports a loss each epoch; or a `zeroin.nn.Task`.
        space: the hyperparameters; a Task brings its own unless one is given.
        max_epochs: the deepest budget of one trial in epochs; None: the objective has no epochs.
        epochs, trials, minutes: the whole budget; the first reached ends the search; 60 full trainings if none is
            given. Confirmation takes up to a third of `epochs` and of `minutes`; `trials` are the search's. Minutes
            are this call's, from its beginning to its end, but for an epoch that takes longer than those before it.
        trial_minutes: of a trial of the search, its jobs together; one that is not trained in full when an epoch ends
            beyond them has failed (`timed_out`): its losses are kept, but it is not the best. So has one whose epoch
            takes that long alone, which several workers end by force; one process cannot interrupt itself.
        goal: "minimize" (the default for functions) or "maximize"; a Task has that of its metric.
        workers: processes on this machine, of one thread each; more than 1 ask for an objective at the top level of a
            file, whose call of tune stands under `if __name__ == "__main__":`.
        executor: anything else that does jobs.
        store: the file that keeps everything; None: memory only.
        name: of the study; the same name goes on where it stopped. The objective's name if not given; another function
            of that name is then refused.
        seed: decides every draw.
        playbook: start from what past studies taught, and learn from this one: True for the user's playbook (a study
            in memory alone is then not learned from), a file for another, False for none.
        start: configs to try first.
        confirm: fresh seeds for the best configs and the default at the end; 5 for a Task, 0 for a function.
        searcher: the default screens, zooms and carries on.
        listen: called with the study and each event.
        task_name: what the command line named, kept for reading.

    Returns:
        the study, closed for writing, its results readable.

    Raises:
        ZeroinError: a mistake that can be mended; told before training starts wherever it can be known.

    >>> from zeroin.space import Float
    >>> study = tune(lambda config: (config["x"] - 0.3) ** 2, Space(x=Float(0, 1)), trials=20, store=None)
    >>> round(study.best.config["x"], 1)
    0.3
    """
    clock = Clock(now=getattr(executor, "now", time.monotonic))  # from here on, preparation and all
    book = playbook_of(playbook)
    budget = budget_of(epochs, trials, minutes)
    clock.seconds = math.inf if minutes is None else 60 * minutes
    task: Any = objective if hasattr(objective, "space_for") else None
    if max_epochs is None and task:
        max_epochs = task.max_epochs
    depth = checked_max_epochs(max_epochs)
    if space is not None:
        checked_space(space)
    for what, given, does in (("an executor", executor, "start"), ("a searcher", searcher, "decide")):
        if given is not None and not hasattr(given, does):
            raise StudyError(f"{what} has a method {does}; got {given!r}: leave it out, or see zeroin.protocols.")
    if task and goal not in (None, task.goal):
        raise StudyError(
            f"a task's goal is that of its metric; it is {task.goal!r}, not {goal!r}: leave goal= out, or give the "
            f"task another metric."
        )
    if confirm is not None and not is_whole(confirm, 0):
        raise StudyError(f"fresh seeds are counted from 0; confirm={confirm!r}: use confirm=5, or confirm=0 for none.")
    if budget == Budget():
        budget = Budget(epochs=TRAININGS * depth)
    check_positive("trial_minutes", trial_minutes, 10)
    if trial_minutes is not None and depth == 1 and workers == 1 and not hasattr(executor, "patience"):
        raise StudyError(
            f"trial_minutes are looked at after each epoch; trial_minutes={trial_minutes!r} of trials without epochs: "
            f"report epochs and give max_epochs=..., use workers=2, which are ended by force, or leave it out."
        )
    budget = replace(budget, trial_minutes=trial_minutes)
    trainings = budget.trainings(depth)
    final = Confirm.within(trainings, (5 if task else 0) if confirm is None else confirm)
    finish = task is not None and confirm != 0 and (budget.epochs is None or trainings >= 2)
    after = clock.after = final.most or int(finish)  # full trainings after the search
    clock.finish = finish
    movable = catalogue.unasked(space) if space else ()  # ranges that the playbook may correct
    if space is None:
        space = _space_of(task, trainings - final.most)
        movable = tuple(space)
    if executor is None:
        _check(objective, task, space, depth, workers)
    study = Study(
        space,
        max_epochs=max_epochs,
        goal=goal or (task.goal if task else "minimize"),
        store=store,
        name=_name_of(objective) if name is None else name,
        seed=seed,
        searcher=searcher,
        start=start,
        task=task_name,
        scenario=scenario_of(objective, space, depth),
        measure=_measure_of(objective, name),
    )
    before = study.history.seconds
    with study:
        if book and not study.history.jobs:
            study.advise(book.look_up(space, study.scenario, movable))
        doing = executor or _executor(objective, task, study, workers, trainings)
        if searcher is None:
            study.searcher = Zoom(together=tuple(getattr(doing, "grouping", ())))
        try:
            if listen:
                study.listeners.append(listen)
            elif study.history.jobs:
                log.warning(GOES_ON, study.name, study.path, len(study.history.trials), study.history.spent)
            timed = doing if task and listen else None  # how long it takes is measured for a person who waits
            study.record(plan_of(study, budget, after, (final.seeds, confirm or 0), timed))
            run(study, doing, study.searcher, budget.without(after * depth), clock)
            if not listen and study.regions and OVER in study.regions[-1].why:
                log.warning("study %r: %s", study.name, study.regions[-1].why)
            _compare(study, doing, final, clock, before, finish=finish)
        finally:
            doing.close()
    if book and (study.path or playbook is not True):
        teach(book, study, study.history)
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
    """The space that `tune` would search for a task with this budget: few trainings, few hyperparameters."""
    depth = checked_max_epochs(task.max_epochs if max_epochs is None else max_epochs)
    trainings = budget_of(epochs, trials, minutes).trainings(depth)
    return task.space_for(trainings - Confirm.within(trainings, 5 if confirm is None else confirm).most)


def run(study: Study, executor: Executor, searcher: Searcher, budget: Budget, clock: Clock | None = None) -> None:
    """The loop: ask, start, wait, record, until the budget or the time is spent or the searcher has nothing more."""
    history, first, before = study.history, len(study.history.trials), study.history.seconds
    clock = clock or Clock()
    too_long: set[int] = set()  # jobs whose trial takes more than a trial may
    if hasattr(executor, "patience"):  # it can end what hangs
        executor.patience = None if budget.trial_minutes is None else 60 * budget.trial_minutes

    def report(job: Job, seen: Observation, *, with_next: bool = False) -> bool:
        study.observe(job, seen, with_next=with_next)
        took = history.seconds_of(job.trial) + seen.seconds
        if budget.trial_minutes is not None and took > 60 * budget.trial_minutes and seen.epoch < study.max_epochs:
            too_long.add(job.number)
        in_time = clock.goes_on(job.number) or not job.kind.is_search  # half a fresh seed says nothing
        return in_time and job.number not in too_long

    def start(job: Job) -> None:
        clock.begin(job.number)
        executor.start(job, history.trials[job.trial].epoch)

    for job in list(history.running):  # left over from a run that was cut short
        start(job)
    while True:
        running = sum(1 for _ in history.running)
        if clock.limited:
            clock.keep(Pace.of(history, history.trials, clock.elapsed, before))
        slots = 0 if _in_vain(history.trials, first) else clock.slots(executor.slots)
        while running < slots and (jobs := study.decide(searcher, slots - running, budget)):
            for job in jobs:
                start(job)
            running += len(jobs)
        study.keep()
        if not any(history.running):
            return
        for ended in executor.wait(report):
            study.record(_timed_out(ended, study, budget) if ended.job in too_long else ended, with_next=True)
            _check_failures(study)


def _in_vain(trials: Sequence[Trial], first: int) -> bool:
    """Whether nothing works any more, by the trials of this call, `first` the first: the same command tries again."""
    ended = (t for t in reversed(trials) if t.status is not Status.RUNNING)  # others may be under way at any time
    last = list(islice(ended, IN_VAIN))
    if len(last) < IN_VAIN or last[-1].number < first or not all(t.status.is_failure and not t.losses for t in last):
        return False
    why = last[0].note.strip().splitlines()[-1:] or [str(last[0].status)]
    warnings.warn(
        f"the last {IN_VAIN} trials ended before an epoch was seen, and the search ends here; {why[0]}: mend that, or "
        f"change the ranges (--set), and the same command goes on",
        stacklevel=3,
    )
    return True


def _compare(study: Study, executor: Executor, final: Confirm, clock: Clock, before: float, *, finish: bool) -> None:
    """What follows the search: the best again with fresh seeds; where there is no room for any, carried on to the end.

    Where time is limited, with as many seeds as there is time for; no training begins that would not end in time.
    """
    clock.after, clock.kept = 0, 0.0
    best: list[Config] = []
    if final.seeds:
        best = best_configs(study.space, study.history, final.contenders, max_epochs=study.max_epochs)
    if final.seeds and clock.limited:
        trials = study.history.trials
        alike = [t for t in trials if t.config in best] or trials
        clock.whole = Pace.of(study.history, alike, clock.elapsed, before)
        fits = clock.whole.trainings(clock.left) if clock.whole else 0
        asked, final = final.seeds, Confirm.of(min(fits, final.most), final.seeds)
        if final.seeds < asked:
            log.warning(FEWER_SEEDS, study.name, clock.seconds / 60, final.seeds or "none", asked)
    if final.seeds:
        run(study, executor, replace(final, configs=tuple(best[: final.contenders])), Budget(), clock)
    elif finish:
        clock.whole = None
        run(study, executor, Finish(), Budget(), clock)


def _timed_out(ended: Ended, study: Study, budget: Budget) -> Ended:
    """How a job ended whose trial took too long; what failed by itself has its own reason, what got through is done."""
    trial = study.history.trials[study.history.jobs[ended.job].trial]
    if ended.status is not Status.DONE or trial.epoch == study.max_epochs:
        return ended
    took = duration(study.history.seconds_of(trial.number) + ended.seconds)
    note = (
        f"{took} to epoch {trial.epoch} of {study.max_epochs}; a trial takes at most {budget.trial_minutes:g} minutes"
    )
    return replace(ended, status=Status.TIMED_OUT, note=note)


def _name_of(objective: Any) -> str:
    name = str(getattr(objective, "name", None) or getattr(objective, "__name__", "study"))
    return "study" if name == "<lambda>" else name


def _measure_of(objective: Any, name: str | None) -> dict[str, Value]:
    """What scores are scores of; of a function whose study got no name its file too, as others there have that name."""
    measure = measure_of(objective)
    if name is not None or "objective" not in measure:
        return measure
    module = sys.modules.get(getattr(objective, "__module__", ""))
    words = [str(measure["objective"])]
    words += [f"in {Path(file).stem}" for file in [getattr(module, "__file__", None)] if file]
    if "<lambda>" in words[0]:  # it has no name: it is what it does
        words += [str(measure["code"])] if "code" in measure else []
    return {**measure, "function": " ".join(words)}


def _space_of(task: Any, trainings: float) -> Space:
    if task is None:
        raise StudyError(
            "a function is tuned over a space; got none: "
            "use tune(objective, zi.Space(lr=zi.Float(1e-5, 1, scale='log')))."
        )
    found: Space = task.space_for(trainings)
    return found


def _executor(objective: Any, task: Any, study: Study, workers: int, trainings: float) -> Executor:
    if task is not None:
        done: Executor = task.executor(
            study.folder, max_epochs=study.max_epochs, workers=workers, space=study.space, trainings=trainings
        )
        return done
    if workers > 1:
        return Processes(partial(Inline, objective), study.folder, study.max_epochs, workers)
    return Inline(objective, study.folder, study.max_epochs)


def _check(objective: Any, task: Any, space: Space, max_epochs: int, workers: int) -> None:
    """What can be known to be wrong before the study is in the store."""
    check_workers(workers)
    if task is not None:
        task.check(space)
        return
    if not callable(objective):
        raise StudyError(
            f"what is tuned is a function f(config) or a Task; got {objective!r}: use tune(objective, space)."
        )
    if not takes_run(objective) and max_epochs > 1:
        raise StudyError(
            f"max_epochs is for an objective f(config, run) that reports each epoch; {_name_of(objective)} takes "
            f"config alone: add run and call run.report(loss) in `for epoch in run.epochs():`, or leave max_epochs out."
        )
    if workers > 1:
        pickled(objective)


def _check_failures(study: Study) -> None:
    """Stop where nothing but failures came: the fault lies in the objective, not in the hyperparameters."""
    trials = study.history.trials
    if len(trials) > 2 * HOPELESS_FAILURES or incumbent(study.history):
        return
    failed = [t for t in trials if t.status is Status.FAILED]
    if len(failed) >= HOPELESS_FAILURES and len(failed) == len(trials):
        last = failed[-1].note.strip()
        kept = ""
        if study.path:
            kept = f" (`zeroin export {study.name} --json - --store {study.path}` has the traceback)"
        raise StudyError(
            f"an objective works for some config; all of the first {len(failed)} trials raised "
            f"{last.splitlines()[-1]}{_place_of(last)}: mend it, then use another name{kept}."
        )


def _place_of(traceback: str) -> str:
    """Where the user's own code stood, by the text of a traceback; empty where it tells nothing of it."""
    lines = re.findall(r'File "([^"]+)", line (\d+)', traceback)
    own = [(Path(file), line) for file, line in lines if "site-packages" not in file and OURS not in Path(file).parents]
    return f" ({own[-1][0].name}, line {own[-1][1]})" if own else ""
