"""Correcting the ranges that a study begins with, by where the good configs of similar past studies were.

The catalogue's ranges are wide enough for any network. If similar studies had their good configs in one part of
a range, the search begins there. If most had them beyond its end, it begins there as well, except for hyperparameters
that determine the time of an epoch, which a search that counts epochs does not see. Little is lost if that is wrong:
the legal limits stay, half of the fresh points come from the declared range, and a range that does not contain the best
config grows until it does.
"""

from collections.abc import Collection, Sequence

import numpy as np

from zeroin.catalogue import PACE, common
from zeroin.playbook.compare import MATTERS, place
from zeroin.playbook.lesson import Lesson
from zeroin.space import Choice, Float, Int, Space
from zeroin.space.scales import Array
from zeroin.space.words import range_words
from zeroin.types import Range, Region
from zeroin.wording import listed

TAIL = 0.1  # the share of the past studies, by weight, whose good values may be cut off at each end
ROOM = 0.5  # margin beside the good values, as a share of the declared width; divided by 1 + the studies' total weight
LEAST = 0.25  # no range becomes narrower than this share of its declared width
WORTH = 0.1  # a range is not changed if its ends would move by less than this share of its declared width


def corrected(space: Space, past: Sequence[tuple[Lesson, float, Collection[str]]]) -> Region | None:
    """The region that a new study begins with; None if all ranges stay as they were declared.

    Args:
        space: of the new study.
        past: lessons, the weight of each (0 to 1), and the hyperparameters whose ranges it may correct.
    """
    ranges, words = space.ranges, []
    for name, param in space.params.items():
        if isinstance(param, Choice) or param.held:
            continue
        known = [(x, w) for x, w, names in past if name in names and _speaks(param, name, x)]
        good = [place(param, lesson.good[name]) for lesson, _ in known]
        moved = _moved(param, good, np.array([w for _, w in known]), beyond=common(name) not in PACE)
        if moved and isinstance(param, Float) and param.zero:
            moved = (param.low, moved[1])  # the exact zero stays, and all above it
        if moved and moved != param.range:
            ranges[name] = moved
            now, was = (range_words(param, ends) for ends in (moved, param.range))
            good_in = [lesson.name for lesson, _ in sorted(known, key=lambda pair: -pair[1])]
            words.append(f"{name} {now} instead of {was} (good in {listed(good_in, 3)})")
    if not words:
        return None
    return Region(0, 0, ranges, ranges, 1.0, f"coarse round, ranges corrected by past studies: {', '.join(words)}")


def _speaks(param: Float | Int, name: str, lesson: Lesson) -> bool:
    """Whether a hyperparameter mattered in a past study, and its good values there are legal in the new one."""
    good = lesson.good.get(name, ())
    legal = bool(good) and all(0.0 <= param.unit(value) <= 1.0 for value in good)
    return legal and lesson.mattered(name) >= MATTERS


def _moved(param: Float | Int, good: Sequence[tuple[float, float]], weight: Array, *, beyond: bool) -> Range | None:
    """The range that covers the good intervals of the unit interval, with a margin; None if the range stays."""
    if not good:
        return None
    low, high = param.span(param.range)
    width = high - low
    room = ROOM * width / (1.0 + weight.sum())
    lows, highs = np.array(good).T
    a, b = _quantile(lows, weight, TAIL) - room, _quantile(highs, weight, 1.0 - TAIL) + room
    short = max(0.0, LEAST * width - (b - a)) / 2
    a, b = max(low, a - short), min(high, b + short)
    if beyond:  # as far as most had good values
        a, b = min(a, _quantile(lows, weight, 0.5)), max(b, _quantile(highs, weight, 0.5))
    if b - a < LEAST * width / 2 or (abs(a - low) < WORTH * width and abs(b - high) < WORTH * width):
        return None
    return param.value(a), param.value(b)


def _quantile(values: Array, weight: Array, q: float) -> float:
    """The weighted quantile `q` of values; beyond the outermost values it is constant."""
    order = np.argsort(values)
    return float(np.interp(q, (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum(), values[order]))
