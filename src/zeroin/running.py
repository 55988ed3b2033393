"""The loop of a study: ask, start, wait, record; and what follows the search."""

import logging
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice, takewhile
from pathlib import Path

from zeroin.budget import Budget
from zeroin.clock import Clock
from zeroin.confirm import Confirm, Finish
from zeroin.errors import StudyError
from zeroin.history import incumbent
from zeroin.protocols import Executor, Patient, Searcher
from zeroin.search.ranking import best_configs
from zeroin.space.plain import config_key
from zeroin.study import Study
from zeroin.types import Config, Ended, Job, Observation, Status, Trial
from zeroin.winner import contenders
from zeroin.wording import duration, error_line

log = logging.getLogger("zeroin")
IN_VAIN = 60  # trials in a row that fail in their first epoch; they spend no budget, so the search would never end
HOPELESS_FAILURES = 5  # if so many trials fail before any has worked, the fault lies with the objective
NOT_THEIRS = {Path(__file__).parent, Path(os.__file__).parent}  # zeroin's own files, and those of Python
FEWER_SEEDS = "study %r: what is left of %g minutes is time for %s of %d fresh seeds; the same command goes on"


class Unheard(BaseException):
    """What a listener or the store raised over an epoch, which no `except Exception` of the training is to hear."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def run(study: Study, executor: Executor, searcher: Searcher, budget: Budget, clock: Clock | None = None) -> None:
    """The loop of a study: ask, start, wait, record, until budget or time is spent or the searcher has nothing more.

    Args:
        study: that is run.
        executor: does the jobs.
        searcher: decides what to try.
        budget: what the searcher may spend.
        clock: keeps the limit in minutes; None: no limit.
    """
    history, first = study.history, len(study.history.trials)
    clock = clock or Clock()
    too_long: set[int] = set()  # jobs of trials that have exceeded the time limit of a trial
    if isinstance(executor, Patient):
        executor.patience = None if budget.trial_minutes is None else 60 * budget.trial_minutes

    def report(job: Job, seen: Observation, *, with_next: bool = False) -> bool:
        try:
            study.observe(job, seen, with_next=with_next)
        except Exception as error:
            raise Unheard(error) from error
        took = history.seconds_of(job.trial) + seen.seconds
        if budget.trial_minutes is not None and took > 60 * budget.trial_minutes and seen.epoch < study.max_epochs:
            too_long.add(job.number)
        in_time = clock.goes_on(job.number) or not job.kind.is_search  # half a training with a fresh seed is no use
        return in_time and job.number not in too_long

    def start(job: Job) -> None:
        clock.begin(job.number)
        executor.start(job, history.trials[job.trial].epoch)

    for job in history.running:  # left over from a run that was cut short
        start(job)
    while True:
        clock.keep(history)
        slots = 0 if _in_vain(history.trials, first) else clock.slots(executor.slots)
        while (free := slots - len(history.running)) > 0 and (jobs := study.decide(searcher, free, budget)):
            for job in jobs:
                start(job)
        study.keep()
        if not history.running:
            return
        try:
            done = executor.wait(report)
        except Unheard as unheard:
            raise unheard.error from unheard.error.__cause__
        for ended in done:
            study.record(_timed_out(ended, study, budget) if ended.job in too_long else ended, with_next=True)
            _check_failures(study)


def compare(study: Study, executor: Executor, final: Confirm, clock: Clock) -> None:
    """What follows the search: train the best configs and the default again with fresh seeds.

    Where time is limited, there are as many seeds as there is time for, and no training begins that would not end in
    time. Where the budget pays for no seeds at all, the best trial may be carried on to its last epoch instead.

    Args:
        study: after its search.
        executor: does the jobs.
        final: how many contenders and seeds.
        clock: keeps the limit in minutes; it says whether to carry on the best trial where there are no seeds.
    """
    clock.after, clock.kept = 0, 0.0
    if final.seeds:
        best = best_configs(study.space, study.history, final.contenders)
        final = _in_time(study, final, best, clock) if clock.limited else final
        best = best or contenders(study.history, final.contenders, study.space.default)  # of too few for a model
        final = replace(final, configs=tuple(best[: final.contenders]))
    if final.seeds:
        run(study, executor, final, Budget(), clock)
    elif clock.finish:
        clock.whole = None
        run(study, executor, Finish(), Budget(), clock)


def _in_time(study: Study, final: Confirm, best: Sequence[Config], clock: Clock) -> Confirm:
    """The comparison of the best configs with as many seeds as there is time for, by how long they took before."""
    trials = study.history.trials
    keys = {config_key(config) for config in best}
    alike = [t for t in trials if config_key(t.config) in keys] or trials
    clock.whole = clock.pace(study.history, alike)
    fits = clock.whole.trainings(clock.left) if clock.whole else 0
    keys.add(config_key(study.space.default))
    done = sum(not t.kind.is_search and config_key(t.config) in keys for t in trials)
    fitting = Confirm.of(min(fits + done, final.most), final.seeds)
    if fitting.seeds < final.seeds:
        log.warning(FEWER_SEEDS, study.name, clock.seconds / 60, fitting.seeds or "none", final.seeds)
    return fitting


def _in_vain(trials: Sequence[Trial], first: int) -> bool:
    """Whether nothing works any more, judged by the trials from number `first` on: those of this call."""
    ended = (t for t in reversed(trials) if t.status is not Status.RUNNING)
    last = list(islice(ended, IN_VAIN))
    if len(last) < IN_VAIN or last[-1].number < first or not all(t.status.is_failure and not t.losses for t in last):
        return False
    why = error_line(last[0].note) or str(last[0].status)
    warnings.warn(
        f"the last {IN_VAIN} trials failed in their first epoch, so the search ends here; {why}: fix that, or "
        f"change the ranges (--set), and the same command goes on",
        stacklevel=3,
    )
    return True


def _timed_out(ended: Ended, study: Study, budget: Budget) -> Ended:
    """The ending of a job whose trial has exceeded its time: timed out, unless it failed by itself or got through."""
    trial = study.history.trials[study.history.jobs[ended.job].trial]
    if ended.status is not Status.DONE or trial.epoch == study.max_epochs:
        return ended
    took = duration(study.history.seconds_of(trial.number) + ended.seconds)
    note = (
        f"{took} to epoch {trial.epoch} of {study.max_epochs}; a trial takes at most {budget.trial_minutes:g} minutes"
    )
    return replace(ended, status=Status.TIMED_OUT, note=note)


def _check_failures(study: Study) -> None:
    """Stop if all trials so far have failed: then the fault lies with the objective, not with the hyperparameters."""
    trials = study.history.trials
    if incumbent(study.history) or any(t.status not in (Status.FAILED, Status.RUNNING) for t in trials):
        return
    failed = list(takewhile(lambda t: t.status is Status.FAILED, trials))  # up to one that may still work
    if len(failed) >= HOPELESS_FAILURES:
        note = failed[-1].note
        came = f"failed, the last as {error_line(note)}" if note.strip() else "failed"
        if 'File "' in note:
            came = f"raised {error_line(note)}{place_of(note)}"
        kept = ""
        if study.path:
            kept = f" (`zeroin export {study.name} --json - --store {study.path}` has the traceback)"
        raise StudyError(
            f"an objective must work for some config; all of the first {len(failed)} trials {came}: fix it, then use "
            f"another name{kept}."
        )


def place_of(traceback: str) -> str:
    """The last line of the user's own code in the text of a traceback, in brackets; empty if there is none."""
    lines = re.findall(r'File "([^"]+)", line (\d+)', traceback)
    found = [(Path(file), line) for file, line in lines if "site-packages" not in file]
    own = [(file, line) for file, line in found if NOT_THEIRS.isdisjoint(file.parents)]
    return f" ({own[-1][0].name}, line {own[-1][1]})" if own else ""
