"""The axis of the scores: its direction, its scale, and where a score lies on it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from zeroin.goal import turned
from zeroin.report.ticks import Tick, upwards
from zeroin.space import SCALES
from zeroin.wording import value_words

LOG_SPREAD = 30.0  # losses that spread wider are drawn on a log axis
REACH = {"linear": 8.0, "log": 3.0}  # the axis ends this many times as far from the best as the median lies
HUGE = 1e300  # beyond it sums overflow


@dataclass(frozen=True, slots=True)
class ScoreAxis:
    """Where scores lie: positions from `low` to `high`, on scale "linear" or "log" (natural logarithms).

    Scores worse than `limit` are drawn on it; trials without a score in the `gutter` beyond. `note` says so.
    """

    scale: str
    low: float
    high: float
    limit: float
    gutter: float
    ticks: tuple[Tick, ...]
    note: str
    down: bool  # lower is better

    def score_of(self, loss: float) -> float:
        """A loss as a score in the user's own direction."""
        return turned("minimize" if self.down else "maximize", loss)

    def place(self, score: float) -> float:
        """The position of a score, at most as bad as the limit."""
        t = _forward(score, self.scale)
        return min(t, self.limit) if self.down else max(t, self.limit)

    def beyond(self, score: float) -> bool:
        """Whether a score is worse than the axis shows."""
        return self.place(score) != _forward(score, self.scale)


def score_axis(scores: Sequence[float], goal: str, what: str = "trials", patience: float = 1.0) -> ScoreAxis:
    """An axis that shows the good scores well, however bad the worst are.

    Args:
        scores: all that shall be drawn; may be empty, equal, or spread over any range.
        goal: "minimize" or "maximize".
        what: what a score belongs to, for the note.
        patience: how many times further than usual the axis reaches before it clips.

    Returns:
        The axis; its note is empty where everything is shown at its place.
    """
    down = goal == "minimize"
    seen = np.clip(np.asarray([s for s in scores if math.isfinite(s)], float), -HUGE, HUGE)
    if not len(seen):
        return ScoreAxis("linear", 0.0, 1.0, 1.0 if down else 0.0, 1.0 if down else 0.0, (), "", down)
    wide = down and seen.min() > 0 and seen.max() > LOG_SPREAD * seen.min()
    scale = "log" if wide else "linear"
    placed = np.log(seen) if wide else seen
    best, worst = (placed.min(), placed.max()) if down else (placed.max(), placed.min())
    limit = _limit(np.abs(placed - best), patience * REACH[scale]) * (1 if down else -1) + best
    width = abs(limit - best) or max(0.1 * abs(best), 1e-3)
    low, high = min(best, limit) - 0.06 * width, max(best, limit) + 0.06 * width
    beyond = int(np.sum(placed > limit)) if down else int(np.sum(placed < limit))
    gutter = high + 0.04 * width if down else low - 0.04 * width
    ticks = upwards(SCALES[scale], low, high)
    axis = ScoreAxis(scale, float(low), float(high), float(limit), float(gutter), ticks, "", down)
    return replace(axis, note=_note(axis, f"{beyond:,} of {len(scores):,} {what}", worst)) if beyond else axis


def _limit(distances: np.ndarray[tuple[int, ...], np.dtype[np.float64]], reach: float) -> float:
    worst = float(distances.max())
    for share in (0.5, 0.75, 0.9):
        limit = reach * float(np.quantile(distances, share))
        if limit > 0:
            return limit if worst > 1.25 * limit else worst
    return worst


def _note(axis: ScoreAxis, those: str, worst: float) -> str:
    """A note on the scores beyond the axis, the worst of which is at a position."""
    at, end = (value_words(math.exp(t) if axis.scale == "log" else t, 3) for t in (axis.limit, worst))
    side = "above" if axis.down else "below"
    return f"{those} lie {side} {at} (the worst at {end}); they are drawn on the edge."


def _forward(score: float, scale: str) -> float:
    score = min(max(score, -HUGE), HUGE) if score == score else HUGE
    return math.log(score) if scale == "log" else score
