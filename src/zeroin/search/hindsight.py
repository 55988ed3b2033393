"""Hindsight: whether low rungs mislead, which the trials that were carried on because of them cannot show.

If trials that are behind at a rung end ahead, everything that goes on was chosen by what misleads. Therefore, in every
study, two trials of the coarse round that look bad at the lowest rung are carried on beside the others. If one of them
gets ahead of most trials that were thought better, the rungs below are given up, and the coarse round is compared anew
from there on.
"""

import numpy as np

from zeroin.history import History
from zeroin.search import rungs
from zeroin.search.view import View
from zeroin.types import Kind, Proposal, Trial
from zeroin.wording import counted

CHECKS = 2  # trials that look bad and are carried on: the first one rung by rung, the other straight to the full budget
DUE = (0, 5, 10, 20)  # full trainings' worth of epochs that a study has spent when each step of theirs is due
RIVALS = 2  # trials of the coarse round that have reached the second rung before a check sets out for it
AHEAD = 0.25  # of those that came to a rung before it, the part that a check may leave ahead of itself


def trusted(history: History, ladder: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The rungs of a ladder, in epochs, without those at its lower end that a check has shown to mislead.

    Args:
        size: how many trials the coarse round has.
    """
    for trial in _checked(history, ladder, size):
        ahead = next((r for r in ladder[1:] if trial.epoch >= r and _is_ahead(history, trial, r)), None)
        if ahead is not None:
            return trusted(history, ladder[ladder.index(ahead) :], size)
    return ladder


def check(view: View) -> Proposal | None:
    """The next step of a trial that looks bad at the lowest rung; None unless one is due."""
    history, ladder = view.history, view.ladder
    if len(ladder) == 1 or view.is_full:
        return None
    checked = _checked(history, ladder, view.screen)
    over = [trial for trial in checked if not history.can_go_on(trial)]
    steps = sum(history.jobs[n].kind is Kind.EXPLORE for trial in checked for n in trial.jobs)
    if len(over) >= CHECKS or history.spent < DUE[min(steps, len(DUE) - 1)] * ladder[-1]:
        return None
    busy = view.busy
    rivals = sum(trial.kind.is_coarse and trial.epoch >= ladder[1] for trial in history.trials)
    if rivals < RIVALS or any(trial.number in busy for trial in checked):
        return None
    fresh = (t for t in _worse(history, ladder[0], view.screen) if rungs.reached(t, ladder) == 1)
    trial = next((t for t in (*checked, *fresh) if history.can_go_on(t) and t.number not in busy), None)
    if trial is None:
        return None
    why = f"a check: looks bad after {counted(ladder[0], 'epoch')}, which would mislead if it came out ahead"
    return rungs.further(ladder, trial, Kind.EXPLORE, why, by=len(ladder) if over else 1)


def _worse(history: History, rung: int, size: int) -> list[Trial]:
    """The worse half of the coarse round's trials at a rung, by number, so in no order of their losses."""
    seen = [trial for trial in rungs.screened(history, size) if trial.epoch >= rung]
    ranked = sorted(seen, key=lambda trial: rungs.loss_at(trial, rung))
    return sorted(ranked[len(ranked) // 2 :], key=lambda trial: trial.number)


def _checked(history: History, ladder: tuple[int, ...], size: int) -> list[Trial]:
    """The trials that looked bad at the lowest rung and went on from it all the same."""
    if len(ladder) == 1:
        return []

    def was_checked(trial: Trial) -> bool:
        jobs = (history.jobs[number] for number in trial.jobs)
        return any(job.kind is Kind.EXPLORE and job.start == ladder[0] for job in jobs)

    return [trial for trial in _worse(history, ladder[0], size) if was_checked(trial)]


def _is_ahead(history: History, trial: Trial, rung: int) -> bool:
    """Whether a trial is ahead of most of those that came to a rung by jobs asked for before its own."""

    def came_by(number: int) -> bool:
        return history.jobs[number].start < rung <= history.jobs[number].stop

    own = next(number for number in trial.jobs if came_by(number))
    before = [history.trials[history.jobs[n].trial] for n in range(own) if came_by(n)]
    losses = [rungs.loss_at(other, rung) for other in before if other.kind.is_search and other.epoch >= rung]
    return len(losses) > 0 and rungs.loss_at(trial, rung) < float(np.quantile(losses, AHEAD))
