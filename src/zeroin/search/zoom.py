"""Zooming in: candidates near what promises most, the region where the best must lie, ranges moved at their edges."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zeroin.search import surrogate
from zeroin.search.model import Model
from zeroin.space import Choice, Int, Space
from zeroin.space.scales import Array
from zeroin.types import Range, Value

CANDIDATES = 600
REFINED = 100  # mutations of the best candidates, in each of four rounds
STEPS = (0.1, 0.05, 0.03, 0.01)
LEADING = 200  # candidates of the lowest means, among which the best is looked for
SPREAD = 100  # of them that are spread over what does not matter
MAY = 2.0  # standard deviations below its mean a point must come to the best mean to be kept there
DENSITY_KEPT = 48  # draws of the density model, of which the best is taken


@dataclass(frozen=True, slots=True)
class Box:
    """The part of the unit cube that may be proposed: `low`, `high` [D]; `choice[j]`: j is an unordered choice."""

    space: Space
    low: Array
    high: Array
    choice: np.ndarray
    edge: Array  # how far inside a clipped point stays: the very edge of a whole number's cell is its neighbour's

    @staticmethod
    def of(space: Space, ranges: Mapping[str, Range]) -> "Box":
        """The box of ranges."""
        low, high = space.span(ranges).T
        unordered = [isinstance(p, Choice) and not p.ordered for p in space.params.values()]
        whole = [1e-9 if isinstance(p, Int) and p.fixed is None else 0.0 for p in space.params.values()]
        return Box(space, low, high, np.array(unordered), np.array(whole))

    def uniform(self, n: int, rng: np.random.Generator) -> Array:
        """Points [n, D] uniform in the box."""
        return self.space.snap(self.low + rng.random((n, len(self.low))) * (self.high - self.low))

    def place(self, points: Array) -> Array:
        """Points of the unit cube, moved into the box in proportion."""
        return self.space.snap(self.low + points * (self.high - self.low))

    def clip(self, points: Array) -> Array:
        """Points moved inside."""
        return np.clip(points, self.low + self.edge, self.high - self.edge)

    def mutate(self, parents: Array, n: int, step: float, rng: np.random.Generator) -> Array:
        """Points [n, D], each a parent with some coordinates moved by `step` sd, options drawn anew half the time."""
        d = len(self.low)
        points = parents[rng.integers(0, len(parents), n)]
        moved = rng.random(points.shape) < max(0.3, min(1.0, 2.0 / d))
        moved[np.arange(n), rng.integers(0, d, n)] = True
        normal = self.clip(points + moved * step * rng.standard_normal(points.shape))
        drawn = self.low + rng.random(points.shape) * (self.high - self.low)
        option = np.where(moved & (rng.random(points.shape) < 0.5), drawn, points)
        return self.space.snap(np.where(self.choice, option, normal))


def candidates(model: Model, box: Box, leads: Array, rng: np.random.Generator, free: int) -> tuple[Array, Array]:
    """Points [m, D] where the acquisition may be highest, `leads` [k, D] among them, and their log EI [m]."""
    order = np.argsort(model.mean, kind="stable")
    top = model.units[order[: 5 if free == 1 else max(5, min(16, free // 2))]]
    points = np.vstack(
        [
            box.uniform(CANDIDATES, rng),
            box.space.snap(box.clip(leads)),
            box.mutate(top, CANDIDATES // 3, 0.2, rng),
            box.mutate(top, CANDIDATES // 3, 0.05, rng),
            box.mutate(top[:2], CANDIDATES // 3, 0.01, rng),
        ]
    )
    score = model.log_ei(points)
    for step in STEPS:
        best = points[np.argsort(-score, kind="stable")[: 8 if free == 1 else 16]]
        finer = box.mutate(best, REFINED, step, rng)
        points, score = np.vstack([points, finer]), np.append(score, model.log_ei(finer))
    return points, score


def penalty(model: Model, points: Array, centre: Array) -> Array:
    """What a point under way at `centre` [D] takes off log EI at points [m, D]; nothing one length scale away.

    Source: González et al. 2016, "Batch Bayesian Optimization via Local Penalization", with the distance itself in
    place of a bound by the function's slope.
    """
    distance = np.sqrt(((model.scaled(points) - model.scaled(centre[None])) ** 2).sum(1))
    return np.asarray(np.log(np.clip(distance, 1e-9, 1.0)))


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


def likely(
    model: Model,
    points: Array,
    score_order: np.ndarray,
    box: Box,
    ranges: Mapping[str, Range],
    rng: np.random.Generator,
) -> tuple[dict[str, Range], float]:
    """Where the best config lies with 90 %, by the minima of 64 draws from the posterior, and its share of the box.

    Of a number 5 to 95 % of the minima, of a choice the fewest options that hold 90 % of them; what only configs of
    another option have is left out. The share is over the numbers that are searched.
    """
    leading = points[score_order[:LEADING]]
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
    """Points [n, D], each moved anywhere along one hyperparameter after the other, where it may still be the best.

    Candidates crowd around the best ones seen. Among these alone, whatever hardly matters would look as if it were
    known, because few of them differ in it.
    """
    goal = float(model.predict(points)[0].min())
    for j in rng.permutation(points.shape[1]):
        tried = points.copy()
        tried[:, j] = box.uniform(len(points), rng)[:, j]
        tried = box.space.snap(tried)
        mean, sd = model.predict(tried)
        points = np.where((mean - MAY * sd <= goal)[:, None], tried, points)
    return points


def _most_likely(seen: Sequence[Value], options: Range) -> Range:
    """The fewest options that hold 90 % of those seen, in the order of `options`.

    >>> _most_likely(["b"] * 6 + ["a"] * 3 + ["c"], ("a", "b", "c"))
    ('a', 'b')
    """
    counts = Counter(seen)
    kept: list[Value] = []
    for option, _ in counts.most_common():
        kept.append(option)
        if sum(counts[o] for o in kept) >= 0.9 * len(seen):
            break
    return tuple(option for option in options if option in kept)


def _bandwidth(points: Array, box: Box) -> Array:
    """The kernels' widths [D], at least 8 % of what is searched."""
    n, d = points.shape
    least = 0.08 * np.maximum(box.high - box.low, 1e-3)  # of what is held too: it is divided by
    return np.asarray(np.maximum(points.std(axis=0) * n ** (-1.0 / (d + 4)), least))


def _log_density(at: Array, points: Array, spread: Array, box: Box) -> Array:
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
