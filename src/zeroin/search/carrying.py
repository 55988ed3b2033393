"""Which trials are carried on: those that reach a rung, unless hopeless, and the most promising of the paused ones."""

from collections.abc import Sequence

import numpy as np

from zeroin.search import rungs
from zeroin.search.model import Model
from zeroin.search.view import View
from zeroin.types import Kind, Trial
from zeroin.wording import counted, percent


def carry_on(view: View, model: Model) -> tuple[View, dict[int, str]]:
    """Carry on the trials whose job has just ended, as long as there are slots.

    In a batch, all results come in before anything else is decided, so that each stop costs a turn of all slots. There,
    if the outlook applies, only the trial with the best chance goes on, by two rungs at once; the others wait for it.

    Returns:
        The view with what was chosen; and, by number, the trials that are paused, with the reason.
    """
    history = view.history
    idle = [(trial, history.jobs[trial.jobs[-1]]) for trial in history.undecided if history.can_go_on(trial)]
    chances: dict[int, float] = {}
    paused: dict[int, str] = {}
    for trial, last in idle:
        if last.stop > trial.epoch:
            if not view.is_full:
                why = f"its job ended early, after {counted(trial.epoch, 'epoch')}: goes on, if there is more of it"
                view = view.choosing(rungs.further(view.ladder, trial, last.kind, why))
        elif Kind.ZOOM in (trial.kind, last.kind):
            chances[trial.number] = model.chance(view.memory.units[trial.number])
        else:
            left = "exploring" if last.kind is Kind.EXPLORE else "the coarse round"
            why = f"{percent(model.chance(view.memory.units[trial.number]))} chance to beat the best"
            paused[trial.number] = f"{why}; {left} left it here, to go on if it promises most"
    is_batch = view.free > 1 and view.slots == view.free  # somebody waits for all results before asking again
    first = max(chances, key=chances.__getitem__) if chances and is_batch and view.foresees else None
    for number, chance in chances.items():
        why = f"{percent(chance)} chance to beat the best"
        if chance < view.settings.hopeless:
            paused[number] = why
        elif first not in (None, number):
            paused[number] = f"{why}; it waits for trial {first}, which has the best of the batch"
        elif not view.is_full:
            by = 1 if first is None else 2
            view = view.choosing(rungs.further(view.ladder, history.trials[number], Kind.ZOOM, why, by))
    return view, paused


def resting(view: View, model: Model) -> list[tuple[float, Trial]]:
    """The paused trials, with their log expected improvement, the most promising first."""
    if len(view.ladder) == 1 and not view.given_up:
        return []
    rows = model.rows
    complete = rows.trial[(rows.rung == len(view.ladder) - 1) | ~np.isfinite(rows.loss)]
    trials = [view.history.trials[n] for n in np.setdiff1d(rows.trial, complete)]
    if view.given_up:  # those paused below the lowest rung that is left have no rows
        trials += [t for t in view.history.trials if view.given_up[0] <= t.epoch < view.ladder[0]]
    return by_promise(view, model, trials)


def by_promise(view: View, model: Model, trials: Sequence[Trial]) -> list[tuple[float, Trial]]:
    """The trials that can be carried on now, with their log expected improvement, the most promising first."""
    busy = view.busy
    idle = [t for t in trials if t.number not in busy and t.kind.is_search and view.history.can_go_on(t)]
    if not idle:
        return []
    score = model.log_ei(view.memory.units[[t.number for t in idle]])
    return sorted(zip(score.tolist(), idle, strict=True), key=lambda pair: -pair[0])
