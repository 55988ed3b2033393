"""Which config is the best: before the comparison with fresh seeds that of the best trial, then the one that won it."""

import math
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from zeroin.history import History, incumbent, rank
from zeroin.space.plain import config_key, same_config
from zeroin.types import Config, Kind, Status, Trial


@dataclass(frozen=True, slots=True)
class Score:
    """A config's results over fresh seeds.

    Args:
        kind: CONFIRM for a contender, DEFAULT for the default config.
        config: the hyperparameters by name.
        losses: the best loss of each seed.
        tests: the test metric of each seed at that epoch; empty if none was reported.
        failures: how many seeds failed.
    """

    kind: Kind
    config: Config
    losses: tuple[float, ...]
    tests: tuple[float, ...]
    failures: int

    @property
    def mean(self) -> float:
        """Mean loss; infinite if a seed failed."""
        return float(np.mean(self.losses)) if self.losses and not self.failures else math.inf


def contenders(history: History, most: int, but: Config) -> list[Config]:
    """The best `most` configs of the search, all different and none of them `but`, the best first."""
    worked = sorted((t for t in history.trials if t.kind.is_search and t.loss is not None), key=rank)
    configs = {config_key(t.config): t.config for t in worked if not same_config(t.config, but)}
    return list(configs.values())[:most]


def by_config(history: History, kind: Kind) -> dict[str, list[Trial]]:
    """The trials of a kind, by config."""
    found: dict[str, list[Trial]] = {}
    for trial in history.trials:
        if trial.kind is kind:
            found.setdefault(config_key(trial.config), []).append(trial)
    return found


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % confidence interval of the mean, by Student's t; None for fewer than two values.

    >>> [round(end, 2) for end in interval([1.0, 2.0, 3.0])]
    [-0.48, 4.48]
    """
    n = len(values)
    if n < 2:
        return None
    mean, half = float(np.mean(values)), float(stdtrit(n - 1, 0.975) * np.std(values, ddof=1) / math.sqrt(n))
    return mean - half, mean + half


def scores(history: History) -> list[Score]:
    """Results over fresh seeds: contenders from the best to the worst, then the default config, then former ones.

    Of a study that went on after its comparison there are several: those who were ahead in one are compared with those
    of the others by their means, whose seeds may be fewer, but not a single one where others have several.
    """
    searched = [trial.number for trial in history.trials if trial.kind.is_search]
    found = [
        (_score(kind, runs), bisect(searched, runs[-1].number))  # and which comparison that was
        for kind in (Kind.CONFIRM, Kind.DEFAULT)
        for runs in by_config(history, kind).values()
    ]
    most: dict[int, int] = {}
    for score, race in found:
        if score.kind is Kind.CONFIRM:
            most[race] = max(len(score.losses), most.get(race, 0))
    several = min(2, max(most.values(), default=0))

    def place(one: tuple[Score, int]) -> tuple[int, bool, float]:
        score, seeds = one[0], most.get(one[1], 0)
        # A race may end within a turn, so that some of the contenders that are still close have one seed fewer.
        behind = seeds < several or len(score.losses) < seeds - 1
        return 0 if score.kind is Kind.CONFIRM else len(searched) + 1 - one[1], behind, score.mean

    return [score for score, _ in sorted(found, key=place)]


def winner(history: History) -> Config | None:
    """The config of the lowest mean over fresh seeds; before there are any, that of the best trial.

    The default config wins if its mean is lower: a config that was seen to be worse is not recommended.
    """
    found = scores(history)
    confirmed = [s for s in found if s.kind is Kind.CONFIRM]
    if confirmed:
        seeds = min(2, len(confirmed[0].losses))  # a single seed of a default that was cut short may be luck
        defaults = (s for s in found if s.kind is Kind.DEFAULT and len(s.losses) >= seeds)
        return min([confirmed[0], *defaults], key=lambda s: s.mean).config
    best = incumbent(history)
    return best.config if best else None


def chosen(history: History) -> Trial | None:
    """The trial to show as the best: that in which the search found the winner; before confirmation the incumbent."""
    if not any(trial.kind is Kind.CONFIRM and _over(trial) for trial in history.trials):
        return incumbent(history)
    won = winner(history) or {}
    found = [t for t in history.trials if t.loss is not None and same_config(t.config, won)]
    return min(found, key=lambda t: (not t.kind.is_search, rank(t)), default=None)


def _score(kind: Kind, runs: Sequence[Trial]) -> Score:
    over = [t for t in runs if _over(t)]
    good = [t for t in over if t.loss is not None]
    tests = (t.best_metrics.get("test") for t in good)
    return Score(
        kind,
        runs[0].config,
        tuple(t.loss for t in good if t.loss is not None),
        tuple(v for v in tests if v is not None and math.isfinite(v)),
        len(over) - len(good),
    )


def _over(trial: Trial) -> bool:
    return trial.status is not Status.RUNNING
