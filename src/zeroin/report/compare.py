"""The comparison after the search: the best configs and the default over fresh seeds, with their spread."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from scipy.special import stdtrit

from zeroin.goal import ANY, bounds, turned
from zeroin.header import Header
from zeroin.history import History, incumbent
from zeroin.space.plain import same_config
from zeroin.types import Config, Kind
from zeroin.winner import Score, chosen, interval, scores
from zeroin.wording import between, measured, score_words, value_words

UNCLEAR = "no clear difference"
FORMER = "former default config"


@dataclass(frozen=True, slots=True)
class Stat:
    """The mean, standard deviation and number of some scores, and the 95 % interval of the mean.

    `sd` and `interval` are None of fewer than two, `interval` too where some trainings failed and gave no score.
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
        """Such as "0.0271 to 0.0353"; empty where that is not known."""
        return between(*self.interval, self.sd) if self.interval else ""


@dataclass(frozen=True, slots=True)
class Group:
    """One config `trained` so often, each time with a fresh seed; `score` and `test` are None where none gave one.

    Scores are in the user's own direction.
    """

    label: str
    kind: Kind
    config: Config
    trained: int
    failed: int
    score: Stat | None
    test: Stat | None


def stat(values: Iterable[float], ends: tuple[float, float] = ANY) -> Stat | None:
    """The mean, standard deviation, number and interval of scores; None if there are none.

    Student's t of a few seeds reaches past what a score can be: the interval is cut there, as a mean cannot lie beyond.

    Args:
        values: the scores.
        ends: beyond which no score lies; not believed where one does, as an accuracy in per cent.

    >>> stat([0.98, 1.0], (0.0, 1.0)).within
    '0.863 to 1.000'

    >>> stat([1e308, 1e308]).mean
    1e+308

    >>> stat([2.0])
    Stat(mean=2.0, sd=None, n=1, interval=None)
    """
    seen = [v for v in values if math.isfinite(v)]
    if not seen:
        return None
    sd = statistics.stdev(seen) if len(seen) > 1 else None
    found = interval(seen)
    if found and ends[0] <= min(seen) and max(seen) <= ends[1]:
        found = max(found[0], ends[0]), min(found[1], ends[1])
    return Stat(statistics.mean(seen), sd, len(seen), found)


def groups(header: Header, history: History) -> tuple[Group, ...]:
    """The trainings after the search by config: the best first, the default last, but for former ones."""
    found = (_group(header, history, score) for score in scores(history))
    return tuple(sorted(found, key=lambda group: group.label == FORMER))


def verdict(header: Header, rows: Sequence[Group]) -> str:
    """The result of the comparison after the search in a sentence; empty if there was none."""
    confirmed = next((g for g in rows if g.kind is Kind.CONFIRM and g.score), None)
    default = next((g for g in rows if g.kind is Kind.DEFAULT and g.trained), None)
    if confirmed is None or confirmed.score is None or default is None:
        return ""
    n, words = _times(confirmed.score.n), confirmed.score.words
    sure = f" (95 % sure: {confirmed.score.within})" if confirmed.score.interval else ""
    ours = f"Trained afresh {n}, the {confirmed.label} has a mean {header.score_name} of {words}{sure}"
    if default.score is None:
        return f"{ours}; the {default.label} failed every time."
    gain = confirmed.score.mean - default.score.mean
    better = gain < 0 if header.goal == "minimize" else gain > 0
    direction = "lower" if gain < 0 else "higher"
    theirs = f"the {default.label}, {_times(default.score.n)}, {default.score.words}"
    found = _error(confirmed.score, default.score)
    if found is None:
        return f"{ours}; {theirs}: {value_words(abs(gain))} {direction} (too few trainings to know how sure that is)."
    error, clear = found
    if abs(gain) <= clear:
        return f"{ours}; {theirs}: {UNCLEAR} ({measured(gain, error)} standard error)."
    judged = "better" if better else "worse"
    unit = " (standard error)" if error else ""
    return f"{ours}; {theirs}: {direction} by {measured(abs(gain), error)}{unit}, {judged}."


def passed_over(header: Header, history: History, rows: Sequence[Group]) -> str:
    """Why the trial with the best score of the search is not considered the best; empty if it is, or has an equal one.

    Args:
        header: of the study.
        history: of the study.
        rows: the trainings after the search.
    """
    best, top = chosen(history), incumbent(history)
    if best is None or best.loss is None or top is None or top.loss is None or top.loss >= best.loss:
        return ""
    score, name = score_words(turned(header.goal, top.loss)), header.score_name
    again = next((g.score for g in rows if same_config(g.config, top.config) and g.score), None)
    found = f"trained afresh, its config has {again.words}" if again else "the model takes some of that for luck"
    return f"In the search trial {top.number} had a better {name}, {score}; {found}."


def _group(header: Header, history: History, score: Score) -> Group:
    goal, ends = header.goal, bounds(header.measure)
    found = (t.number for t in history.trials if t.kind.is_search and same_config(t.config, score.config))
    origin = next(found, None)
    label = "config" if origin is None else f"config of trial {origin}"
    if score.kind is Kind.DEFAULT:  # of a study that went on with another space the default may have been another
        label = "default config" if same_config(score.config, header.space.default) else FORMER
    ours = stat((turned(goal, loss) for loss in score.losses), ends)
    if ours and score.failures:
        ours = replace(ours, interval=None)
    trained = len(score.losses) + score.failures
    return Group(label, score.kind, score.config, trained, score.failures, ours, stat(score.tests, ends))


def _error(a: Stat, b: Stat) -> tuple[float, float] | None:
    """The standard error of the difference of two means, and the difference that is significant at the 5 % level.

    Source: Welch 1947, "The generalization of 'Student's' problem when several different population variances are
    involved": Student's t with degrees of freedom for two unequal variances.
    """
    if a.sd is None or b.sd is None:
        return None
    ours, theirs = a.sd**2 / a.n, b.sd**2 / b.n
    if not ours + theirs:
        return 0.0, 0.0
    share = ours / (ours + theirs)
    freedom = 1 / (share**2 / (a.n - 1) + (1 - share) ** 2 / (b.n - 1))
    error = math.sqrt(ours + theirs)
    return error, float(stdtrit(freedom, 0.975)) * error


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n} times")
