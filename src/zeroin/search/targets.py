"""What the surrogate learns from rows: warped losses, less how much they are expected to fall, and their trend."""

from dataclasses import dataclass

import numpy as np

from zeroin.search.outlook import Outlook, followed, since
from zeroin.search.rows import Rows
from zeroin.space.scales import Array

TAIL = 2.0  # losses worse than median + TAIL (median - best) count as that
PERFECT = (0.0, -1.0, -100.0)  # losses that cannot be beaten: of an error, of a share or R² maximised, of a percentage
LEAST_GAP = 1e-12  # of the median loss: what is smaller is rounding
HUGE = 1e100  # losses beyond it count as it; squares of larger ones are no numbers
EARLY = 12  # first losses at the lowest rung, spread like random ones: others are measured by their middle


@dataclass(frozen=True, slots=True)
class Targets:
    """What the surrogate learns from rows.

    Args:
        seen: warped losses [n]; the best is one of them, not one that losses may fall to.
        ends: the same less how much they are expected to fall until the full budget [n].
        trend: the mean change of `ends` up to each rung [R].
    """

    seen: Array
    ends: Array
    trend: Array


def targets_of(rows: Rows) -> Targets:
    """What rows say; each step of the trend is shrunk towards 0, as by one more pair without change."""
    seen, before = _warped(rows)
    ends = seen
    if rows.outlook and len(rows.ladder) > 1:
        ends = seen - _expected_falls(rows, rows.outlook, seen, before)
    steps = np.diff(_by_trial(rows, ends), axis=1)
    paired = ~np.isnan(steps)
    mean_steps = np.where(paired, steps, 0.0).sum(0) / (paired.sum(0) + 1)
    return Targets(seen, ends, np.concatenate([[0.0], np.cumsum(mean_steps)]))


def expected(rows: Rows) -> dict[tuple[int, int], float]:
    """What is expected at the full budget, as warped losses, by number of the trial and epochs of its rung."""
    ends = targets_of(rows).ends
    return {(int(t), rows.ladder[r]): float(end) for t, r, end in zip(rows.trial, rows.rung, ends, strict=True)}


def warp(losses: Array, typical: np.ndarray | None = None) -> Array:
    """Warp losses: the log of their distance from a perfect loss, with the bad tail, and failures, clipped.

    Where the tail begins is judged from the median of all losses, or of the `typical` ones, a mask [n].

    >>> warp(np.array([1.0, 1.0, 1e9, np.inf]))[2:] - warp(np.array([1.0, 1.0, 1e9, np.inf]))[0] < 1
    array([ True,  True])
    """
    known = np.isfinite(losses)
    if not known.any():
        return np.zeros(len(losses))
    y = np.full(len(losses), np.inf)
    y[known] = _log_gap(losses[known].clip(-HUGE, HUGE))
    some = known if typical is None or not (known & typical).any() else known & typical
    low, middle = y[known].min(), np.median(y[some])
    return np.asarray(np.minimum(y, middle + TAIL * max(middle - low, 1e-9)))


def _log_gap(losses: Array) -> Array:
    """The log of the distance from a perfect loss, which is 0, -1 or -100: the highest that no loss lies below.

    Scores that are maximised come negated, so -1 is perfect for a share and -100 for a percentage. An accuracy of 0.98
    is then as much better than 0.96 as that is than 0.92. Losses below all three stay as they are. For a perfect loss,
    half the smallest distance seen is used.
    """
    perfect = next((p for p in PERFECT if losses.min() >= p), None)
    if perfect is None:
        return losses
    gap = losses - perfect
    imperfect = gap[gap > 0]
    if not len(imperfect):
        return np.zeros(len(gap))
    return np.log(np.maximum(gap, max(imperfect.min() / 2, LEAST_GAP * np.median(imperfect))))


def _warped(rows: Rows) -> tuple[Array, Array]:
    """Warped losses [n], and those before them on the same scale [n]."""
    warped = warp(rows.loss, None if rows.typical is None else rows.trial < rows.typical)
    if rows.outlook is None:
        return warped, warped
    seen = np.isfinite(rows.loss) & np.isfinite(rows.before)
    before = warped.copy()
    if seen.any():
        both = np.concatenate([rows.loss[seen], rows.before[seen]]).clip(-HUGE, HUGE)
        before[seen] = np.minimum(_log_gap(both)[seen.sum() :], warped.max())
    return warped, before


def _expected_falls(rows: Rows, outlook: Outlook, warped: Array, before: Array) -> Array:
    """How much losses are expected to fall until the full budget [n], as far as this study's own trials confirm it."""
    spread = float(warped.std()) + 1e-9
    epochs = np.array(rows.ladder)[rows.rung]
    early = warped[rows.rung == 0][:EARLY] if (rows.rung == 0).any() else warped
    level = (warped - np.median(early)) / spread
    span = np.array([np.log(t / since(t)) for t in rows.ladder])[rows.rung]
    slope = np.where(span > 0, (before - warped) / spread / np.maximum(span, 1e-9), 0.0)
    falls = outlook.falls(level, slope, rows.leaning[rows.trial], np.log2(rows.ladder[-1] / epochs))
    whole = warped < warped.max()  # what was cut off tells nothing
    falls[(epochs == rows.ladder[-1]) | ~whole] = 0.0
    seen, expected = (_by_trial(rows.part(whole), x[whole]) for x in (warped / spread, falls))
    return spread * followed(seen, expected, rows.ladder) * falls


def _by_trial(rows: Rows, values: Array) -> Array:
    """Values [n] as a table [trials, R]; nan where there is none."""
    table = np.full((len(rows.units), len(rows.ladder)), np.nan)
    table[rows.trial, rows.rung] = values
    return table
