"""The statistics of an effect: shares of configs that work, with intervals, paired tests, ranges of step lengths."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from zeroin.catalogue.entries import ADAM
from zeroin.types import Config, Value

Z = 1.959964  # of a two-sided interval of 95 %
MIDDLE = (5.0, 95.0)  # percentiles of the range that works
FAILED = 0.1  # a network that gets less far than this from a constant prediction to the target has learned nothing


@dataclass(frozen=True, slots=True)
class Goal:
    """What counts as working.

    Args:
        target: the metric that a config must reach at the last epoch.
        constant: the metric of the best constant prediction; None if not known.
        epochs: of each training.
        up: whether a higher metric is better.
    """

    target: float
    constant: float | None
    epochs: int
    up: bool

    def met(self, value: float) -> bool:
        """Whether a metric is at the target or better."""
        return value >= self.target if self.up else value <= self.target

    def fails(self, curve: Sequence[float]) -> bool:
        """Whether a training diverged, or ended hardly better than a constant prediction."""
        if len(curve) < self.epochs:
            return True
        if self.constant is None:
            return False
        bar = self.constant + FAILED * (self.target - self.constant)
        return curve[-1] < bar if self.up else curve[-1] > bar


@dataclass(frozen=True, slots=True)
class Draw:
    """One config trained: its metric after each epoch, ending early where it diverged."""

    config: Config
    curve: tuple[float, ...]

    @property
    def step(self) -> float | None:
        """The effective step length lr/(1 − momentum); None if the config has no lr. Adam has no momentum."""
        has_none = self.config.get("optimizer") in ADAM
        lr, momentum = self.config.get("lr"), 0.0 if has_none else self.config.get("momentum", 0.0)
        if isinstance(lr, int | float) and isinstance(momentum, int | float) and momentum < 1:
            return lr / (1 - momentum)
        return None


@dataclass(frozen=True, slots=True)
class Share:
    """A share, with its 95 % confidence interval.

    >>> print(Share(10, 40))
    0.25 (0.14-0.40)
    """

    count: int
    of: int

    @property
    def value(self) -> float:
        """The share itself."""
        return self.count / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson 1927, "Probable inference, the law of succession, and statistical inference"."""
        p, n = self.value, self.of
        middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z / (1 + Z * Z / n) * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.interval[0]:.2f}-{self.interval[1]:.2f})"


@dataclass(frozen=True, slots=True)
class Volume:
    """The result of one arm in one setting.

    Args:
        arm: its name.
        draws: all of them, in the same order in all arms.
        works: the share that ends at the target or better.
        fails: the share that diverges or learns nothing.
        steps: the 5 % and 95 % quantiles of lr/(1 − momentum) of those that work; None for fewer than two.
        epochs: the median number of epochs until those that work first reach the target.
    """

    arm: str
    draws: tuple[Draw, ...]
    works: Share
    fails: Share
    steps: tuple[float, float] | None
    epochs: float | None


@dataclass(frozen=True, slots=True)
class Paired:
    """A paired test of two arms: how many draws work only in the second (`gained`), and only in the first (`lost`)."""

    gained: int
    lost: int

    @property
    def p(self) -> float:
        """The two-sided p-value of McNemar's test (1947) in its exact form: a binomial test at 1/2."""
        n = self.gained + self.lost
        return min(1.0, 2 * float(bdtr(min(self.gained, self.lost), n, 0.5))) if n else 1.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """The arms in one setting; the tests compare each further arm with the first."""

    setting: Mapping[str, Value]
    volumes: tuple[Volume, ...]
    tests: tuple[Paired, ...]


def compared(setting: Mapping[str, Value], arms: Mapping[str, Sequence[Draw]], goal: Goal) -> Comparison:
    """Compare the same draws in several arms.

    Args:
        setting: what all of them have in common.
        arms: draws by arm, in one order.
        goal: what counts as working.
    """
    met = {arm: [works(d, goal) for d in draws] for arm, draws in arms.items()}
    first, *others = met.values()
    tests = tuple(
        Paired(
            sum(b and not a for a, b in zip(first, one, strict=True)),
            sum(a and not b for a, b in zip(first, one, strict=True)),
        )
        for one in others
    )
    return Comparison(setting, tuple(_volume(arm, draws, met[arm], goal) for arm, draws in arms.items()), tests)


def works(draw: Draw, goal: Goal) -> bool:
    """Whether a training ended at the target or better."""
    return len(draw.curve) == goal.epochs and goal.met(draw.curve[-1])


def _volume(arm: str, draws: Sequence[Draw], met: Sequence[bool], goal: Goal) -> Volume:
    ended = [d for d, good in zip(draws, met, strict=True) if good]
    steps = [d.step for d in ended if d.step is not None]
    first = [next(e for e, value in enumerate(d.curve, 1) if goal.met(value)) for d in ended]
    low, high = np.percentile(steps, MIDDLE) if len(steps) > 1 else (math.nan, math.nan)
    return Volume(
        arm,
        tuple(draws),
        Share(len(ended), len(draws)),
        Share(sum(goal.fails(d.curve) for d in draws), len(draws)),
        (float(low), float(high)) if len(steps) > 1 else None,
        float(np.median(first)) if first else None,
    )
