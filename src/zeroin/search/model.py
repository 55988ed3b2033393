"""The model of the search: one Gaussian process over (config, budget) that predicts losses at the full budget.

Losses are warped, the mean change from rung to rung (the trend) is subtracted, and the surrogate is fitted to the rest.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from zeroin.search import surrogate
from zeroin.search.rows import Memory, Rows
from zeroin.search.targets import Targets, targets_of
from zeroin.space import Choice, Space
from zeroin.space.scales import Array

DOUBT = 1.0  # noise variance of a lone failure, losses standardised; less with others near
CAP = 250  # rows that the surrogate sees
FIT_ITERATIONS = 40


@dataclass(frozen=True, slots=True)
class Features:
    """The columns that the surrogate sees.

    They are numbers and ordered choices as points of the unit interval, unordered choices as corners of a simplex, and
    the log of the budget. `options[j]` is the number of options if hyperparameter j is an unordered choice, else 0.
    """

    options: tuple[int, ...]
    budgets: Array  # log t / log T of each rung; one rung: no column

    @staticmethod
    def of(space: Space, ladder: tuple[int, ...]) -> "Features":
        """The columns of a space."""
        options = tuple(len(p.options) if isinstance(p, Choice) and not p.ordered else 0 for p in space.params.values())
        return Features(options, np.log(ladder) / np.log(ladder[-1]) if len(ladder) > 1 else np.zeros(1))

    @property
    def prior(self) -> surrogate.Prior:
        """Groups of columns; length scales grow with the square root of the dimension.

        Source: Hvarfner, Hellsten & Nardi 2024, "Vanilla Bayesian Optimization Performs Great in High Dimensions".
        """
        d = len(self.options)
        groups = [j for j, k in enumerate(self.options) for _ in range(max(1, k))]
        lengths = np.full(d, np.log(0.6) + 0.5 * np.log(max(d, 2) / 4))
        if len(self.budgets) > 1:
            groups, lengths = [*groups, d], np.append(lengths, 0.0)
        return surrogate.Prior(np.array(groups), lengths)

    def __call__(self, units: Array, rung: int | np.ndarray = -1) -> Array:
        """Features [n, F] of points [n, D] at rungs."""
        columns = [
            units[:, j : j + 1] if k == 0 else (np.floor(units[:, j : j + 1] * k) == np.arange(k)) / np.sqrt(2.0)
            for j, k in enumerate(self.options)
        ]
        if len(self.budgets) > 1:
            columns.append(np.broadcast_to(self.budgets[rung], (len(units),))[:, None])
        return np.hstack(columns)


@dataclass(frozen=True, slots=True)
class Model:
    """What the history says about configs at the full budget; in warped losses, lower is better.

    Args:
        posterior: the surrogate, given the observations.
        features: encodes points for it.
        best: what is to be beaten: the lowest warped loss at any rung, less the trend. With one rung, or noisy losses,
            that may be a lucky draw, and it is the lowest mean of a tried config.
        trust: how well trials that are left out are predicted, as a correlation.
        trend: how much losses change on average from the lowest rung to the full budget; means do not include it.
        rows: all observations.
        owners: the trial of each observation that the surrogate sees.
        units, mean: the points [n, D] of those trials, and their means [n].
    """

    posterior: surrogate.Posterior
    features: Features
    best: float
    trust: float
    trend: float
    rows: Rows
    owners: np.ndarray
    units: Array
    mean: Array

    @property
    def tried(self) -> np.ndarray:
        """The trials with observations, by number."""
        return np.unique(self.rows.trial)

    def predict(self, units: Array) -> tuple[Array, Array]:
        """Mean and sd at the full budget, for points [m, D]."""
        return self.posterior.predict(self.features(units))

    def expected(self, units: Array) -> Array:
        """Mean at the full budget, for points [m, D]."""
        return self.posterior.expected(self.features(units))

    def chance(self, point: Array) -> float:
        """The probability that a config, a point [D], beats the best at the full budget."""
        mean, sd = self.predict(point[None])
        return float(ndtr((self.best - mean[0]) / sd[0]))

    def log_ei(self, units: Array) -> Array:
        """Log expected improvement over the best, for points [m, D]."""
        return surrogate.log_ei(*self.predict(units), self.best)

    def aiming(self, leap: float) -> "Model":
        """The same model with a target that lies `leap` standard deviations of the losses below the best.

        A model that knows one valley well expects little improvement elsewhere. A more distant target is more likely to
        be reached where little is known.

        Source: Jones, "A Taxonomy of Global Optimization Methods Based on Response Surfaces", 2001 (several targets).
        """
        return replace(self, best=self.best - leap * self.posterior.scale)

    def scaled(self, units: Array) -> Array:
        """Features [m, F] divided by their length scales: points that are further apart than 1 are hardly related."""
        return self.features(units) * self.posterior.inverse_lengths


def build(rows: Rows, memory: Memory) -> Model:
    """The model of rows, two at least, of the history that is remembered."""
    features = Features.of(memory.space, rows.ladder)
    theta, trust = _fitted(rows.part(slice(fit_size(len(rows.loss)))), features, memory)
    groups, targets = features.prior.groups, targets_of(rows)
    which, x, y, doubt = _telling(rows, targets, features, np.exp(-theta[:-2])[groups])
    posterior, owners = surrogate.condition(x, y, theta, groups, doubt=doubt), rows.trial[which]
    units = rows.units[np.unique(owners)]
    mean = posterior.expected(features(units))
    trend = float(targets.trend[-1])
    best = float(mean.min() if rows.noisy or len(rows.ladder) == 1 else targets.seen.min() - trend)
    return Model(posterior, features, best, trust, trend, rows, owners, units, mean)


def fit_size(n: int) -> int:
    """The number of observations at which the surrogate was last fitted: every one below 40, then steps of 1/15."""
    size = min(n, 40)
    while size + max(2, size // 15) <= n:
        size += max(2, size // 15)
    return size


def _fitted(rows: Rows, features: Features, memory: Memory) -> tuple[Array, float]:
    """The surrogate's hyperparameters for rows, and how well it predicts trials that are left out (correlation)."""
    seen_by_it = rows.trial, rows.rung, rows.loss, rows.before  # the rest is the same of one history
    key = (*(column.tobytes() for column in seen_by_it), rows.typical)
    if key not in memory.fits:
        which, x, y, doubt = _telling(rows, targets_of(rows), features)
        prior = features.prior
        theta = surrogate.fit(x, y, prior, FIT_ITERATIONS, doubt=doubt)
        seen, predicted, _ = surrogate.condition(x, y, theta, prior.groups, doubt=doubt).left_out(rows.trial[which])
        memory.fits[key] = theta, correlation(seen, predicted)
    return memory.fits[key]


def _telling(
    rows: Rows, targets: Targets, features: Features, inverse_lengths: Array | float = 1.0
) -> tuple[np.ndarray, Array, Array, Array]:
    """All rows, or the CAP most telling ones, the best quarter and those nearest to the incumbent, for the surrogate.

    Returns:
        Which they are [n], their features [n, F], their targets [n], and the targets' extra noise [n].
    """
    x = features(rows.units[rows.trial], rows.rung)
    ends = targets.ends
    which = np.arange(len(ends))
    if len(ends) > CAP:
        incumbent = features(rows.units[rows.trial[[ends.argmin()]]])
        distance = ((x * inverse_lengths - incumbent * inverse_lengths) ** 2).sum(1)
        distance[np.argsort(ends, kind="stable")[: CAP // 4]] = -1.0
        which = np.sort(np.argsort(distance, kind="stable")[:CAP])
    x, y = x[which], ends[which] - targets.trend[rows.rung[which]]
    return which, x, y, _doubt(x, rows.loss[which], features.prior)


def _doubt(features: Array, losses: Array, prior: surrogate.Prior) -> Array:
    """Extra noise [n] for failures: a lone one may be chance and does not rule its neighbourhood out; several do."""
    failed = ~np.isfinite(losses)
    rows = features[failed] * np.exp(-prior.lengths)[prior.groups]
    doubt = np.zeros(len(losses))
    doubt[failed] = DOUBT / surrogate.matern(rows, rows)[0].sum(1)
    return doubt


def correlation(a: Array, b: Array) -> float:
    """Pearson's correlation; 0 for fewer than three values, or if all are equal."""
    return float(np.corrcoef(a, b)[0, 1]) if len(a) > 2 and a.std() > 1e-9 and b.std() > 1e-9 else 0.0
