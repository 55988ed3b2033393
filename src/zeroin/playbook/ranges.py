"""Ranges to begin with, corrected by where the good configs of past studies lay.

A range of the catalogue is wide enough for any network. Where studies like the new one had their good configs in a part
of it, the search begins there; beyond its end, where most of them had, unless it sets what an epoch takes, which a
search that counts epochs does not see. The legal limits stay as they are, half of the fresh points are drawn from the
range as it was declared, and a range that leaves the best config out grows until it holds it.
"""

from collections.abc import Collection, Sequence

import numpy as np

from zeroin.catalogue import PACE
from zeroin.playbook.compare import MATTERS, place
from zeroin.playbook.lesson import Lesson
from zeroin.space import Choice, Float, Int, Space
from zeroin.space.scales import Array
from zeroin.space.words import range_words
from zeroin.types import Range, Region

TAIL = 0.1  # of the past studies' weight that may have had its good values outside, at each end
ROOM = 0.5  # of the declared width beside the good values, shared by one more than the past studies count for
LEAST = 0.25  # of the declared width: no range gets narrower
WORTH = 0.1  # of the declared width: a range whose ends move less stays as it is


def corrected(space: Space, past: Sequence[tuple[Lesson, float, Collection[str]]]) -> Region | None:
    """The ranges that a new study begins with; None where all stay as they were declared.

    Args:
        space: the new one.
        past: lessons, how much each counts (0 to 1), and the names whose ranges it may correct.
    """
    ranges, words = space.ranges, []
    for name, param in space.params.items():
        if isinstance(param, Choice) or param.held:
            continue
        known = [(x, w) for x, w, names in past if name in names and _speaks(param, name, x)]
        good = [place(param, lesson.good[name]) for lesson, _ in known]
        moved = _moved(param, good, np.array([w for _, w in known]), beyond=name not in PACE)
        if moved and moved != param.range:
            ranges[name] = moved
            now, was = (range_words(param, ends) for ends in (moved, param.range))
            words.append(f"{name} {now} instead of {was} (good in {_several(known)})")
    if not words:
        return None
    return Region(0, 0, ranges, ranges, 1.0, f"coarse round, ranges corrected by past studies: {', '.join(words)}")


def _speaks(param: Float | Int, name: str, lesson: Lesson) -> bool:
    """Whether the hyperparameter mattered in a past study, and its good values are legal in the new one."""
    good = lesson.good.get(name, ())
    legal = bool(good) and all(0.0 <= param.unit(value) <= 1.0 for value in good)
    return legal and lesson.mattered(name) >= MATTERS


def _moved(param: Float | Int, good: Sequence[tuple[float, float]], weight: Array, *, beyond: bool) -> Range | None:
    """The range that holds the good intervals of the unit line, with room beside them; None where it stays."""
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
    """The value below which a share `q` of the weight lies, the outermost ones included."""
    order = np.argsort(values)
    return float(np.interp(q, (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum(), values[order]))


def _several(known: Sequence[tuple[Lesson, float]]) -> str:
    names = [lesson.name for lesson, _ in sorted(known, key=lambda pair: -pair[1])]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
