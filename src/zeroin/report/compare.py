"""The trainings after the search: fresh seeds of the best configs beside the default, with their spread."""

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zeroin.confirm import interval
from zeroin.report.scores import score_of
from zeroin.report.ticks import measured, show
from zeroin.types import Config, Kind, Trial


@dataclass(frozen=True, slots=True)
class Stat:
    """Mean, standard deviation, number of some scores, and where the mean lies with 95 %.

    `sd` and `interval` are None of fewer than two.
    """

    mean: float
    sd: float | None
    n: int
    interval: tuple[float, float] | None = None

    @property
    def words(self) -> str:
        """Such as "0.0312 ± 0.0020"."""
        return measured(self.mean, self.sd)

    @property
    def within(self) -> str:
        """Such as "0.0271 to 0.0353"; empty of fewer than two."""
        return f"{show(self.interval[0])} to {show(self.interval[1])}" if self.interval else ""


@dataclass(frozen=True, slots=True)
class Group:
    """One config trained with several seeds; `score` and `test` are None where no training gave one."""

    label: str
    kind: Kind
    config: Config
    trials: tuple[int, ...]
    failed: int
    score: Stat | None
    test: Stat | None


def key(config: Config) -> str:
    """A text that equal configs share."""
    return json.dumps(dict(config), sort_keys=True, default=repr)


def stat(values: Iterable[float]) -> Stat | None:
    """Mean, sd, n and interval; None of nothing.

    >>> stat([2.0])
    Stat(mean=2.0, sd=None, n=1, interval=None)
    """
    seen = [v for v in values if math.isfinite(v)]
    if not seen:
        return None
    sd = statistics.stdev(seen) if len(seen) > 1 else None
    return Stat(statistics.fmean(seen), sd, len(seen), interval(seen))


def groups(trials: Sequence[Trial], goal: str) -> tuple[Group, ...]:
    """The trainings after the search by config: the best first, the default last."""
    found: dict[tuple[bool, str], list[Trial]] = {}
    origin: dict[str, int] = {}
    for trial in trials:
        if not trial.kind.is_search:
            found.setdefault((trial.kind is Kind.DEFAULT, key(trial.config)), []).append(trial)
    for trial in trials if found else ():
        if trial.kind.is_search:
            origin.setdefault(key(trial.config), trial.number)
    rows = [_group(same, default, origin.get(config), goal) for (default, config), same in found.items()]
    sign = 1 if goal == "minimize" else -1
    return tuple(sorted(rows, key=lambda g: (g.kind is Kind.DEFAULT, sign * g.score.mean if g.score else math.inf)))


def verdict(rows: Sequence[Group], measure: str, goal: str) -> str:
    """What the trainings after the search say, in a sentence; empty where there were none to compare."""
    confirmed = next((g for g in rows if g.kind is Kind.CONFIRM and g.score), None)
    default = next((g for g in rows if g.kind is Kind.DEFAULT), None)
    if confirmed is None or confirmed.score is None or default is None:
        return ""
    n, words = _times(confirmed.score.n), confirmed.score.words
    sure = f" (95 % sure: {confirmed.score.within})" if confirmed.score.interval and not confirmed.failed else ""
    ours = f"Trained afresh {n}, the {confirmed.label} has a mean {measure} of {words}{sure}"
    if default.score is None:
        return f"{ours}; the default config failed every time."
    gain = confirmed.score.mean - default.score.mean
    better = gain < 0 if goal == "minimize" else gain > 0
    direction = "lower" if gain < 0 else "higher"
    theirs = f"the default config, {_times(default.score.n)}, {default.score.words}"
    error = _error(confirmed.score, default.score)
    if error is None:
        return f"{ours}; {theirs}: {show(abs(gain))} {direction} (too few trainings to know how sure that is)."
    if abs(gain) <= 2 * error:
        return f"{ours}; {theirs}: no clear difference ({measured(gain, error)} standard error)."
    judged = "better" if better else "worse"
    sure = " (standard error)" if error else ""
    return f"{ours}; {theirs}: {direction} by {measured(abs(gain), error)}{sure}, {judged}."


def _group(same: Sequence[Trial], default: bool, origin: int | None, goal: str) -> Group:
    done = [(t, loss) for t in same if (loss := t.loss) is not None]
    tests = []
    for trial, loss in done:
        at = trial.losses.index(loss)
        if at < len(trial.metrics) and "test" in trial.metrics[at]:
            tests.append(float(trial.metrics[at]["test"]))
    name = "default config" if default else "config of trial " + str(origin) if origin is not None else "config"
    failed = sum(t.status.is_failure for t in same)
    score = stat(score_of(loss, goal) for _, loss in done)
    return Group(name, same[0].kind, same[0].config, tuple(t.number for t in same), failed, score, stat(tests))


def _error(a: Stat, b: Stat) -> float | None:
    if a.sd is None or b.sd is None:
        return None
    return math.sqrt(a.sd**2 / a.n + b.sd**2 / b.n)


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n} times")
