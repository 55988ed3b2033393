"""Moving ranges: a range grows where the model expects the best at its edge and the legal limits allow it."""

from collections.abc import Mapping

import numpy as np

from zeroin.search.box import Box
from zeroin.search.model import Model
from zeroin.search.view import View
from zeroin.space import Choice, Space
from zeroin.space.scales import Array
from zeroin.space.words import range_words
from zeroin.types import Range

MOVED = "range moved"  # the words that describe a region begin so if a range has moved
GROWTH = 2.0  # a range grows at an edge by so many times its width
PLACES = np.linspace(0.0, 1.0, 5)  # the places within a range at which the model's means are compared
BEST = 5  # so many of the best configs are moved to each place


def moved(view: View, model: Model) -> dict[str, Range]:
    """The new ranges, by name, of the hyperparameters whose range moves."""
    regions = view.history.regions
    last = max((r.after for r in regions if r.why.startswith(MOVED)), default=0)
    if last and not any(job.start == 0 for job in view.history.jobs[last:]):
        return {}  # nothing new was tried since
    found = _left_out(view, model)
    if not found and model.trust >= view.settings.trust:  # else it would open narrow ranges that hold the best
        found = _at_edges(view, model)
    params = view.space.params
    return {name: (params[name].value(low), params[name].value(high)) for name, (low, high) in found.items()}


def words(space: Space, moved: Mapping[str, Range]) -> str:
    """Ranges that move, in words; empty if none does."""
    told = [f"{name} {range_words(space[name], found)}" for name, found in moved.items()]
    return f"{MOVED}, the best is expected at its edge: {', '.join(told)}" if told else ""


def _left_out(view: View, model: Model) -> dict[str, tuple[float, float]]:
    """The new intervals, by name, of ranges that do not contain the best config.

    That happens if the playbook corrected the ranges at the beginning. If the legal limits do not contain it either,
    as after `Space.set`, the range cannot move.
    """
    best, box = model.units[model.mean.argmin()], view.box
    moved: dict[str, tuple[float, float]] = {}
    for j, (name, param) in enumerate(view.space.params.items()):
        low, high = float(box.low[j]), float(box.high[j])
        further = GROWTH * (high - low)
        if isinstance(param, Choice) or param.held:
            continue
        if best[j] < low - 1e-9 and low > 1e-9:
            moved[name] = (max(0.0, min(low - further, float(best[j]))), high)
        elif best[j] > high + 1e-9 and high < 1 - 1e-9:
            moved[name] = (low, min(1.0, max(high + further, float(best[j]))))
    return moved


def _at_edges(view: View, model: Model) -> dict[str, tuple[float, float]]:
    """The new intervals, by name, of ranges at whose edge the best is expected: wider by `GROWTH` times their width."""
    box = view.box
    best = model.units[np.argsort(model.mean, kind="stable")[:BEST]]
    moved: dict[str, tuple[float, float]] = {}
    for j, (name, param) in enumerate(view.space.params.items()):
        low, high = float(box.low[j]), float(box.high[j])
        below, above = low > 1e-9, high < 1 - 1e-9  # whether the legal limits leave room
        if isinstance(param, Choice) or param.held or high <= low or not (below or above):
            continue
        place = PLACES[_expected(model, best, j, box).argmin()]
        further = GROWTH * (high - low)
        if place == 0.0 and below:
            moved[name] = (max(0.0, low - further), high)
        elif place == 1.0 and above:
            moved[name] = (low, min(1.0, high + further))
    return moved


def _expected(model: Model, points: Array, j: int, box: Box) -> Array:
    """The model's mean over points [k, D] with hyperparameter j moved to each of `PLACES`."""
    tried = np.repeat(points[None], len(PLACES), axis=0)
    tried[:, :, j] = (box.low[j] + PLACES * (box.high[j] - box.low[j]))[:, None]
    flat = box.space.snap(box.clip(tried.reshape(-1, points.shape[1])))
    return np.asarray(model.expected(flat).reshape(len(PLACES), -1).mean(axis=1))
