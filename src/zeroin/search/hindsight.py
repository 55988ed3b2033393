"""Hindsight: whether low rungs mislead, which the trials that were carried on because of them cannot show.

If trials that are behind at a rung end ahead, everything that goes on was chosen by what misleads. Therefore, in every
study, one trial of the coarse round that looks bad at the lowest rung is carried on beside the others. If it gets
ahead of most trials that looked better, the rungs below are given up, and the coarse round is compared anew.
"""

from collections.abc import Sequence

from zeroin.history import History
from zeroin.search import rungs
from zeroin.search.settings import Settings
from zeroin.search.view import View
from zeroin.space import Space
from zeroin.types import Job, Kind, Proposal, Status, Trial
from zeroin.wording import counted

USUAL = Settings()
DUE = (0, 5, 10)  # full trainings' worth of epochs that a study has spent when each step of a check is due
RIVALS = 2  # trials that looked better and have come to a rung before a check, at least
AHEAD = 0.25  # of those, the part that a check may leave ahead of itself
RECENT = 512  # jobs before a check among which rivals are looked for, so that a decision's time does not grow


def trusted(space: Space, history: History, settings: Settings = USUAL) -> tuple[int, ...]:
    """The rungs of a study, in epochs, without those at their lower end that a check has shown to mislead.

    Whoever compares trials by losses at rungs, the search and all that judge it, asks here which of them tell.

    Args:
        space, history: of the study.
        settings: of the search.
    """
    ladder = settings.ladder(history.max_epochs)
    return _trusted(history, ladder, settings.coarse(space, ladder, len(history.advice)))


def _trusted(history: History, ladder: tuple[int, ...], size: int) -> tuple[int, ...]:
    for trial in _checked(history, ladder, size):
        reached = [rung for rung in ladder[1:] if trial.epoch >= rung]
        ahead = next((rung for rung in reached if _is_ahead(history, trial, ladder[0], rung)), None)
        if ahead is not None:
            return _trusted(history, ladder[ladder.index(ahead) :], size)
    return ladder


def check(view: View) -> Proposal | None:
    """The next step of a trial that looks bad at the lowest rung; None unless one is due."""
    history, ladder = view.history, view.ladder
    if len(ladder) == 1 or view.is_full:
        return None
    checked = _checked(history, ladder, view.screen)
    steps = len(_steps(history, checked))
    if steps and view.foresees:
        return None  # from the second rung on names tell how losses fall
    if history.spent < DUE[min(steps, len(DUE) - 1)] * ladder[-1]:
        return None
    candidates = checked or [t for t in _worse(history, ladder[0], view.screen) if rungs.reached(t, ladder) == 1]
    trial = next((t for t in candidates if history.can_go_on(t) and t.number not in view.busy), None)
    coarse = rungs.screened(history, 3 * view.screen)  # first looks among them
    if trial is None or sum(t.epoch >= ladder[1] for t in coarse) < RIVALS:
        return None
    why = f"a check: looks bad after {counted(ladder[0], 'epoch')}; if it ends ahead, losses after so few mislead"
    return rungs.further(ladder, trial, Kind.EXPLORE, why)


def epochs(view: View) -> int:
    """Epochs of all checks so far, also of those that run or are chosen; they are none of exploring's share."""
    worse = _worse(view.history, view.ladder[0], view.screen)
    at = {trial.number: trial.epoch for trial in worse}
    chosen = [p.stop - at[p.trial] for p in view.chosen if p.kind is Kind.EXPLORE and p.trial in at]
    return sum(job.stop - job.start for job in _steps(view.history, worse)) + sum(chosen)


def _steps(history: History, trials: Sequence[Trial]) -> list[Job]:
    """The jobs by which trials of the worse half were carried on all the same."""
    return [history.jobs[n] for trial in trials for n in trial.jobs if history.jobs[n].kind is Kind.EXPLORE]


def _worse(history: History, rung: int, size: int) -> list[Trial]:
    """The worse half of the coarse round's trials at a rung, by number, so in no order of their losses.

    Those that failed or have not come there count as worse yet, so that a trial stays what it is when they do.
    """
    coarse = rungs.screened(history, size)
    ranked = sorted((t for t in coarse if t.epoch >= rung), key=lambda trial: rungs.loss_at(history, trial, rung))
    return sorted(ranked[len(coarse) // 2 :], key=lambda trial: trial.number)


def _checked(history: History, ladder: tuple[int, ...], size: int) -> list[Trial]:
    """The trials that looked bad at the lowest rung and went on from it all the same."""
    if len(ladder) == 1:
        return []
    worse = _worse(history, ladder[0], size)
    return [trial for trial in worse if any(job.start == ladder[0] for job in _steps(history, [trial]))]


def _is_ahead(history: History, trial: Trial, low: int, rung: int) -> bool:
    """Whether a trial is ahead, at a rung, of most that looked better at the lowest one and went there before it.

    Those that are still on their way count as ahead of it, so that what was said holds when they arrive.
    """

    def came_by(job: Job) -> bool:
        return job.kind.is_search and job.start < rung <= job.stop

    own = next(number for number in trial.jobs if came_by(history.jobs[number]))
    before = {job.trial: job for job in history.jobs[max(0, own - RECENT) : own] if came_by(job)}
    rivals = [history.trials[n] for n in before if n != trial.number]
    at_low, at_rung = (rungs.loss_at(history, trial, epoch) for epoch in (low, rung))
    better = [t for t in rivals if rungs.loss_at(history, t, low) < at_low]
    arrived = [rungs.loss_at(history, t, rung) for t in better if t.epoch >= rung]
    coming = sum(t.epoch < rung and before[t.number].status is Status.RUNNING for t in better)
    ahead = coming + sum(loss <= at_rung for loss in arrived)
    return len(arrived) >= RIVALS and ahead <= AHEAD * (len(arrived) + coming)
