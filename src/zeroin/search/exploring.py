"""Exploring: a share of the epochs goes where the model would not look, since a wrong model cannot see its error."""

import numpy as np

from zeroin.search import hindsight, rungs
from zeroin.search.box import Box
from zeroin.search.model import Model
from zeroin.search.screening import advice_holds
from zeroin.search.view import View
from zeroin.space.scales import Array
from zeroin.types import Kind, Proposal
from zeroin.wording import counted

DENSITY_KEPT = 48  # draws from the density of good configs, of which the best is taken


def is_due(view: View, model: Model) -> bool:
    """Whether exploring has had less than its share of the epochs since the coarse round.

    Jobs that run, and those that are chosen, count in full.
    """
    history = view.history
    epochs = history.epochs.copy()
    for job in history.running:
        epochs[job.kind] += job.stop - history.trials[job.trial].epoch
    for chosen in view.chosen:
        epochs[chosen.kind] += chosen.stop - (0 if chosen.trial is None else history.trials[chosen.trial].epoch)
    checked = hindsight.epochs(view)
    explored = epochs[Kind.EXPLORE] - checked
    return explored < _share(view, model.trust) * (explored + epochs[Kind.ZOOM])


def _share(view: View, trust: float) -> float:
    """The share of the epochs for exploring; where each trial is a full training, `doubt` is halved."""
    settings = view.settings
    part = settings.held if advice_holds(view) else 1.0
    if trust >= settings.trust:
        return part * settings.share
    return part * (settings.doubt if len(view.ladder) > 1 else settings.doubt / 2)


def explore(view: View, model: Model) -> Proposal | None:
    """A trial to promote; if there is none, a new config; None if all configs were tried."""
    promoted = _promotion(view, model)
    if promoted:
        return promoted
    rng = view.rng("explore", len(view.chosen))
    draw = rng.random()
    if draw < 1 / 3:
        point, why = view.whole.uniform(1, rng)[0], "anywhere"
    elif draw < 2 / 3:
        point, why = view.agreeing(density(model, view.box, rng)), "where good configs are dense"
    else:
        best = model.units[np.argsort(model.mean, kind="stable")[: max(3, len(model.mean) // 5)]]
        point, why = view.agreeing(view.box.mutate(best, 1, 0.2, rng)[0]), "around a good config"
    if view.has(point):  # where the best lies in a corner, many draws do
        found, why = view.untried(view.whole, rng), "anywhere"
        if found is None:
            return None
        point = found
    return Proposal(view.steps[0], Kind.EXPLORE, f"exploring: {why}", config=view.space.config(point))


def _promotion(view: View, model: Model) -> Proposal | None:
    """Successive halving over all trials: of those that have reached a step, the best third goes on."""
    rows = model.rows
    for step in view.steps[-2::-1]:
        trials, losses = _seen_at(step, view, model)
        third = len(trials) // 3
        if not third:
            continue
        above = rows.trial[np.array(view.ladder)[rows.rung] > step]
        further = np.isin(trials, above) | np.isin(trials, sorted(view.busy))
        if further.sum() >= third:
            continue
        for i in np.argsort(losses, kind="stable")[:third]:
            trial = view.history.trials[trials[i]]
            if not further[i] and view.history.can_go_on(trial):
                why = f"exploring: in the best third after {counted(step, 'epoch')}"
                return rungs.further(view.ladder, trial, Kind.EXPLORE, why)
    return None


def _seen_at(step: int, view: View, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """The trials that have reached a step, and their losses there."""
    if step in view.ladder:
        at = model.rows.rung == view.ladder.index(step)
        return model.rows.trial[at], model.rows.loss[at]
    seen = [t for t in view.history.trials if t.kind.is_search and t.epoch >= step]
    return np.array([t.number for t in seen]), np.array([rungs.loss_at(view.history, t, step) for t in seen])


def density(model: Model, box: Box, rng: np.random.Generator) -> Array:
    """A point [D] drawn where the best fifth is dense and the rest is not.

    Source: Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011, section 4 (TPE), with
    product kernels of bandwidth sd n^(-1/(d+4)).
    """
    order = np.argsort(model.mean, kind="stable")
    good, rest = np.split(model.units[order], [max(3, len(order) // 5)])
    if not len(rest):
        return np.asarray(box.uniform(1, rng)[0])
    spread = _bandwidth(good, box)
    draws = good[rng.integers(0, len(good), DENSITY_KEPT)]
    normal = box.clip(draws + spread * rng.standard_normal(draws.shape))
    drawn = box.low + rng.random(draws.shape) * (box.high - box.low)
    option = np.where(rng.random(draws.shape) < 0.3, drawn, draws)
    draws = box.space.snap(np.where(box.choice, option, normal))
    draws[:4] = box.uniform(4, rng)
    ratio = _log_density(draws, good, spread, box) - _log_density(draws, rest, _bandwidth(rest, box), box)
    return np.asarray(draws[ratio.argmax()])


def _bandwidth(points: Array, box: Box) -> Array:
    """The kernels' widths [D], at least 8 % of what is searched."""
    n, d = points.shape
    least = 0.08 * np.maximum(box.high - box.low, 1e-3)  # of what is held too: it is divided by
    return np.asarray(np.maximum(points.std(axis=0) * n ** (-1.0 / (d + 4)), least))


def _log_density(at: Array, points: Array, spread: Array, box: Box) -> Array:
    """The log density [m] of points [n, D] at others [m, D], up to a constant, with a uniform one among the points.

    That weighs less beside kernels without their constant, (2 pi)^(-1/2) a number; with it, nothing was better.
    """
    total = np.zeros((len(at), len(points)))
    for j in range(at.shape[1]):
        if box.choice[j]:
            same = at[:, [j]] == points[:, j]
            others = max(1, len(np.unique(points[:, j])))
            total += np.where(same, np.log(0.7), np.log(0.3 / others))
        else:
            total += -0.5 * ((at[:, [j]] - points[:, j]) / spread[j]) ** 2 - np.log(spread[j])
    peak = np.maximum(total.max(axis=1), -50.0)
    return np.asarray(np.log(np.exp(total - peak[:, None]).sum(1) + np.exp(-peak)) - np.log(len(points) + 1) + peak)
