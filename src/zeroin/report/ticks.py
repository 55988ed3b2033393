"""Axis ticks at round values, on any scale."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from zeroin.space import Scale
from zeroin.space.plain import tidy
from zeroin.wording import value_words

ROOM = 44.0  # characters beside one another below an axis plot
LINES = 11.0  # labels above one another beside it
MOST = 7  # ticks; more are noise
PLAIN = 2.3  # decades; an axis wider than this has ticks at powers of ten only

Gap: TypeAlias = Callable[[str, str], float]


@dataclass(frozen=True, slots=True)
class Tick:
    """A label at a position of an axis."""

    position: float
    label: str


def across(scale: Scale, low: float, high: float, *, whole: bool = False) -> tuple[Tick, ...]:
    """Ticks for a horizontal axis: as many round values as fit beside one another.

    Args:
        scale: what the axis measures; `low` and `high` are positions, so `scale.forward` of values.
        whole: whole numbers only.

    >>> from zeroin.space import SCALES
    >>> [t.label for t in across(SCALES["one_minus_log"], *map(SCALES["one_minus_log"].forward, (0.5, 0.999)))]
    ['0.9', '0.99', '0.999']
    """
    return _ticks(scale, low, high, whole, ROOM, _beside)


def beside(ticks: Sequence[Tick], low: float, high: float) -> bool:
    """Whether labels fit beside one another below an axis.

    >>> beside([Tick(0.0, "sgd"), Tick(1.0, "adamw")], -0.6, 1.4)
    True
    """
    return min(_room(ticks, low, high, ROOM, _beside), default=0.0) >= 0


def upwards(scale: Scale, low: float, high: float) -> tuple[Tick, ...]:
    """Ticks for a vertical axis: as many round values as fit above one another."""
    return _ticks(scale, low, high, False, LINES, lambda _a, _b: 1.4)


def _ticks(scale: Scale, low: float, high: float, whole: bool, room: float, gap: Gap) -> tuple[Tick, ...]:
    slack = 1e-6 * (high - low)
    for values in _levels(scale, low, high, whole):
        kept = [v for v in values if scale.allows(v) and low - slack <= float(scale.forward(v)) <= high + slack]
        ticks = [Tick(float(scale.forward(v)), value_words(int(v) if whole else v, 6)) for v in kept]
        if 2 <= len(ticks) <= MOST and min(_room(ticks, low, high, room, gap)) >= 0:
            return tuple(ticks)
    ends = (float(scale.inverse(low)), float(scale.inverse(high)))
    return tuple(Tick(float(scale.forward(v)), value_words(v, 3)) for v in ends if scale.allows(v))


def _beside(a: str, b: str) -> float:
    return (len(a) + len(b)) / 2 + 1.2


def _room(ticks: Sequence[Tick], low: float, high: float, room: float, gap: Gap) -> list[float]:
    """What is left between neighbouring labels; below 0 they overlap."""
    return [(b.position - a.position) / (high - low) * room - gap(a.label, b.label) for a, b in pairwise(ticks)]


def _levels(scale: Scale, low: float, high: float, whole: bool) -> Iterator[list[float]]:
    """Lists of candidates in values, from fine to coarse, each increasing."""
    if scale.name in ("log", "log2", "one_minus_log", "logit"):
        yield from (sorted(set(v)) for v in _powers(scale, low, high, whole))
    yield from _linear(float(scale.inverse(low)), float(scale.inverse(high)), whole)


def _powers(scale: Scale, low: float, high: float, whole: bool) -> Iterator[list[float]]:
    if scale.name == "log2":
        first, last = math.floor(low), math.ceil(high)
        for step in (1, 2, 3, 4, 6, 10, 20):
            yield [2.0**k for k in range(first - first % step, last + 1, step) if not whole or k >= 0]
        return
    a, b = _decades(scale, low, high)
    fine = [((1, 2, 5), 1), ((1, 3), 1)] if high - low < PLAIN * math.log(10) else []
    for digits, step in [*fine, *(((1,), s) for s in (1, 2, 3, 4, 6, 10, 20, 50, 100))]:
        grid = [float(f"{d}e{k}") for k in range(a - a % step, b + 1, step) if abs(k) < 307 for d in digits]
        if scale.name == "log":
            yield [v for v in grid if not whole or v.is_integer()]
        elif scale.name == "one_minus_log":
            yield [tidy(1.0 - v) for v in grid]
        else:
            small = [v for v in grid if v < 0.5]
            yield [*small, 0.5, *(tidy(1.0 - v) for v in small)]


def _decades(scale: Scale, low: float, high: float) -> tuple[int, int]:
    # Positions of these scales are natural logarithms: of x, of 1/(1 - x), of x/(1 - x).
    a, b = low / math.log(10), high / math.log(10)
    if scale.name == "one_minus_log":
        a, b = -b, -a
    elif scale.name == "logit":
        a, b = -max(abs(a), abs(b)), 0.0
    return math.floor(a) - 1, math.ceil(b)


def _linear(low: float, high: float, whole: bool) -> Iterator[list[float]]:
    width = high - low
    if not (width > 0 and math.isfinite(width)):
        return
    power = math.floor(math.log10(width)) - 1
    for k in (power, power + 1):
        for digit in (1, 2, 2.5, 5):
            step = digit * 10.0**k
            if whole and not float(step).is_integer():
                continue
            first = math.ceil(low / step - 1e-9)
            yield [tidy(i * step) + 0.0 for i in range(first, math.floor(high / step + 1e-9) + 1)]
