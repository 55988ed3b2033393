"""The region: where the best config lies by the model, drawn now and then and told in words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from zeroin.search import edges, surrogate, zoom
from zeroin.search.box import Box
from zeroin.search.model import Model
from zeroin.search.view import View
from zeroin.space import Choice
from zeroin.space.choice import key
from zeroin.space.scales import Array
from zeroin.types import Kind, Range, Region, Value
from zeroin.wording import part

LEADING = 200  # candidates of the lowest means, among which the best is looked for
SPREAD = 100  # of them that are spread over what may hold the best, step by step
MAY = (2.0, 3.0, 4.0)  # standard deviations below its mean a point must come to the best mean to be kept in each step


def told(view: View, model: Model, moved: Mapping[str, Range], pool: zoom.Pool | None) -> Region | None:
    """The region that a decision tells; None where the last one still serves.

    Args:
        view: with all that was chosen.
        model: of the losses.
        moved: ranges that this decision moves.
        pool: what it chose new configs from; None where there was no slot for any.
    """
    if view.end and view.listed is not None:
        return replace(_drawn(view, model, view.listed, view.rng("zoom"), view.end), over=True)
    why = edges.words(view.space, moved)
    if pool and (moved or _is_due(view)):
        return _drawn(view, model, pool.points[: pool.drawn], pool.rng, why)
    if moved:  # where the best lies there was not looked for yet
        points, _ = zoom.candidates(model, view.box, view.leads, view.rng("moved"), view.free)
        return _drawn(view, model, points, view.rng("moved"), why)
    return None


def _is_due(view: View) -> bool:
    """Whether it is to be drawn anew: after the coarse round, and then after every few jobs of zooming."""
    regions = view.history.regions
    if not regions or regions[-1].round == 0:
        return True
    since = sum(job.kind is Kind.ZOOM for job in view.history.jobs[regions[-1].after :])
    return since >= view.settings.region_every


def _drawn(view: View, model: Model, points: Array, rng: np.random.Generator, why: str) -> Region:
    """Where the best of points [n, D] lies by the model; in words of its size unless `why` says more."""
    last = view.history.regions[-1] if view.history.regions else None
    order = np.argsort(model.predict(points)[0], kind="stable")
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
    """Where the best config lies with 90 %, by the minima of 64 draws from the posterior, and its share of the box.

    The draws decide among the `leading` candidates [n, D], those of the lowest means first.

    Of a number 5 to 95 % of the minima, of a choice the fewest options that hold 90 % of them; what only configs of
    another option have is left out. The share is over the numbers that are searched.
    """
    chosen = np.vstack([leading, spread(model, leading[:SPREAD], box, rng)])
    mean, covariance = model.posterior.joint(model.features(chosen))
    draws = mean[:, None] + surrogate.root(covariance) @ rng.standard_normal((len(chosen), 64))
    minima = chosen[draws.argmin(axis=0)]
    configs = [box.space.config(point) for point in minima]
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
    """Points [m, D], moved in each step anywhere along every hyperparameter in turn, where they may still be the best.

    Candidates crowd around the best ones seen. Among these alone, whatever hardly matters would look as if it were
    known, because few of them differ in it, and where losses are noisy the best would seem to lie where it was lucky.
    """
    goal = float(model.predict(points)[0].min())
    found = []
    for may in MAY:
        for j in rng.permutation(points.shape[1]):
            tried = points.copy()
            tried[:, j] = box.uniform(len(points), rng)[:, j]
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
