"""The region: where the best config lies by the model, computed now and then and described in words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from zeroin.search import edges, finite, surrogate, zoom
from zeroin.search.box import Box
from zeroin.search.model import Model
from zeroin.search.view import View
from zeroin.space import Choice
from zeroin.space.choice import key
from zeroin.space.scales import Array
from zeroin.types import Kind, Range, Region, Value
from zeroin.wording import part

LEADING = 200  # candidates of the lowest means, among which the best is sought
SPREAD = 100  # so many of them are spread over all that may hold the best, step by step
LATER = 8  # a region lasts until jobs of zooming are one in so many of all before it
MAY = (2.0, 3.0, 4.0)  # in each step a point is kept if its mean less so many standard deviations reaches the best mean


def told(view: View, model: Model, moved: Mapping[str, Range], pool: zoom.Pool | None) -> Region | None:
    """The new region that comes with a decision; None if the last one still serves.

    Args:
        view: with everything that was chosen.
        model: of the losses.
        moved: ranges that this decision moves.
        pool: the candidates for new configs; None if there was no slot for any.
    """
    everything = exhausted(view)
    if everything is not None:
        return replace(_drawn(view, model, everything, view.rng("zoom"), finite.over(len(everything))), over=True)
    why = edges.words(view.space, moved)
    if pool and (moved or _is_due(view)):
        return _drawn(view, model, pool.points[: pool.drawn], pool.rng, why)
    if moved:  # where the best lies there was not looked for yet
        points, _ = zoom.candidates(model, view.box, view.memory.leads, view.rng("moved"), view.free)
        return _drawn(view, model, points, view.rng("moved"), why)
    return None


def exhausted(view: View) -> Array | None:
    """All configs [n, D] of a small space once each was tried, so that the search ends here; None if it goes on.

    None, too, if it has ended before.
    """
    regions = view.history.regions
    told = bool(regions) and regions[-1].over
    return None if view.chosen or view.busy or told else view.listed


def _is_due(view: View) -> bool:
    """Whether a new region is due: after the coarse round, then after a few jobs of zooming, more the later it is."""
    regions = view.history.regions
    if not regions or regions[-1].round == 0:
        return True
    before = regions[-1].after
    since = sum(job.kind is Kind.ZOOM for job in view.history.jobs[before:])
    return since >= max(view.settings.region_every, before // LATER)


def _drawn(view: View, model: Model, points: Array, rng: np.random.Generator, why: str) -> Region:
    """The region where the best of points [n, D] lies by the model; described by `why`, or else by its size."""
    last = view.history.regions[-1] if view.history.regions else None
    order = np.argsort(model.expected(points), kind="stable")
    ranges, share = likely(model, points[order[:LEADING]], view.box, view.ranges, rng)
    number = last.round + 1 if last else 1
    return Region(number, len(view.history.jobs), view.ranges, ranges, share, why or _size_words(last, share))


def _size_words(before: Region | None, share: float) -> str:
    if before is None or before.volume <= 0:
        return f"zoom: the best lies in {part(share)} of the searched volume"
    if share < 0.5 * before.volume:
        return f"zoom: {part(share / before.volume)} of the previous volume"
    return f"region drawn anew: {part(share)} of the searched volume"


def likely(
    model: Model, leading: Array, box: Box, ranges: Mapping[str, Range], rng: np.random.Generator
) -> tuple[dict[str, Range], float]:
    """Where the best config lies with a probability of 90 %, and that region's share of the box.

    The posterior is drawn from 64 times, and the minimum of each draw is sought among candidates: the `leading` ones
    [n, D], those of the lowest means first, and points spread around them. For a number, the region holds the 5 % to
    95 % quantiles of the minima; for a choice, the fewest options with 90 % of them. Hyperparameters that are active in
    fewer than a tenth of the minima are left out. The share is the product over the numbers that are searched.
    """
    chosen = np.vstack([leading, spread(model, leading[:SPREAD], box, rng)])
    mean, covariance = model.posterior.joint(model.features(chosen))
    draws = mean[:, None] + surrogate.root(covariance) @ rng.standard_normal((len(chosen), 64))
    lowest = draws.argmin(axis=0)
    minima = chosen[lowest]
    config_at = {at: box.space.config(chosen[at]) for at in set(lowest.tolist())}
    configs = [config_at[at] for at in lowest.tolist()]
    out: dict[str, Range] = {}
    share = 1.0
    for j, (name, param) in enumerate(box.space.params.items()):
        has = np.array([name in config for config in configs])
        if has.mean() < 0.1:
            continue
        if isinstance(param, Choice):
            out[name] = _most_likely([c[name] for c in configs if name in c], ranges[name])
            continue
        low, high = np.clip(np.quantile(minima[has, j], [0.05, 0.95]), box.low[j], box.high[j])
        out[name] = (param.value(low), param.value(high))
        if box.high[j] > box.low[j]:
            share *= float(np.clip((high - low) / (box.high[j] - box.low[j]), 0.01, 1.0))
    return out, share


def spread(model: Model, points: Array, box: Box, rng: np.random.Generator) -> Array:
    """Spread points [m, D] along each hyperparameter in turn, as far as they may still be the best.

    Candidates crowd around the best ones seen and hardly differ in what does not matter. Among these alone, a
    hyperparameter that does not matter would look as if its best value were known, and where losses are noisy, the
    best would seem to lie where a trial was lucky.
    """
    goal = float(model.expected(points).min())
    found = []
    for may in MAY:
        for j in rng.permutation(points.shape[1]):
            tried = points.copy()
            tried[:, j] = rng.uniform(box.low[j], box.high[j], len(points))
            tried = box.space.snap(tried)
            mean, sd = model.predict(tried)
            points = np.where((mean - may * sd <= goal)[:, None], tried, points)
        found.append(points)
    return np.vstack(found)


def _most_likely(seen: Sequence[Value], options: Range) -> Range:
    """The fewest options that hold 90 % of those seen, in the order of `options`.

    >>> _most_likely(["b"] * 6 + ["a"] * 3 + ["c"], ("a", "b", "c"))
    ('a', 'b')
    """
    kept, held = [], 0
    for option, count in Counter(map(key, seen)).most_common():
        kept.append(option)
        held += count
        if held >= 0.9 * len(seen):
            break
    return tuple(option for option in options if key(option) in kept)
