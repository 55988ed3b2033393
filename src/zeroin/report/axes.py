"""The axis plot of a hyperparameter, as numbers: where trials, ranges and likely regions lie on its scale."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from zeroin.report.scores import ScoreAxis
from zeroin.report.thin import evenly
from zeroin.report.ticks import Tick, across
from zeroin.space import SCALES, Choice, Float, Hyperparameter, Int
from zeroin.space.choice import key
from zeroin.space.plain import is_number, number
from zeroin.space.words import range_words, when_words, zero_words
from zeroin.types import Kind, Range, Region, Trial, Value
from zeroin.wording import value_words

CELL = 0.3  # to either side of a whole number, or of a power of two in powers: its part of a bar
LABEL = 16  # characters of an option
TOLD = 24  # options below an axis
GOLDEN = 0.6180339887498949  # its multiples spread evenly: the jitter within an option

Place = Callable[[Value], float | None]


@dataclass(frozen=True, slots=True)
class Point:
    """A trial on an axis plot; `score` is None if it failed, and `beyond` says whether it is off the axis."""

    trial: int
    position: float
    value: str
    score: float | None
    height: float
    beyond: bool
    kind: Kind
    epoch: int


@dataclass(frozen=True, slots=True)
class Interval:
    """A part of an axis in a round, in positions; a choice has one for each run of neighbouring options."""

    round: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class AxisPlot:
    """One hyperparameter: `points` of trials where it was active, and by round what was `searched` and `likely`.

    `low` and `high` are the ends of the axis in positions. `words` says scale and range, `found` where the best
    likely lies, `when` where it is active.
    """

    name: str
    points: tuple[Point, ...]
    ticks: tuple[Tick, ...]
    low: float
    high: float
    searched: tuple[Interval, ...]
    likely: tuple[Interval, ...]
    words: str
    found: str
    when: str


def axis_plot(
    name: str, param: Hyperparameter, trials: Sequence[Trial], regions: Sequence[Region], scores: ScoreAxis
) -> AxisPlot:
    """One hyperparameter against the scores.

    Args:
        name, param: which one.
        trials: those to draw, each failed or with a loss; left out where inactive or unknown to the scale.
        regions: the rounds to draw, in order.
        scores: the axis of the scores.
    """
    active = [t for t in trials if name in t.config]
    values = [t.config[name] for t in active]
    ranges = [r.ranges[name] for r in regions if name in r.ranges] + [
        r.likely[name] for r in regions if name in r.likely
    ]
    place, ticks, low, high = (
        _options(param, values, ranges) if isinstance(param, Choice) else _numbers(param, values, ranges)
    )
    jitter = 0.6 if isinstance(param, Choice) else 0.0
    placed = ((t, place(t.config[name])) for t in active)
    points = tuple(_point(t, name, x, jitter, scores) for t, x in placed if x is not None)
    first = Region(-1, 0, {name: param.range}, {}, 1.0, "")
    searched = _intervals(param, place, [(r.round, r.ranges.get(name)) for r in (first, *regions)])
    likely = _intervals(param, place, [(r.round, r.likely.get(name)) for r in regions])
    last = regions[-1] if regions else first
    now = last.ranges.get(name, param.range)
    words = _words(param, now)
    found = _found(param, last.likely.get(name), now) if last.likely else ""
    return AxisPlot(name, points, ticks, low, high, searched, likely, words, found, _when(param))


def _point(trial: Trial, name: str, x: float, jitter: float, scores: ScoreAxis) -> Point:
    score = None if trial.loss is None else scores.score_of(trial.loss)
    return Point(
        trial.number,
        x + jitter * ((trial.number * GOLDEN) % 1.0 - 0.5),
        value_words(trial.config[name]),
        score,
        scores.gutter if score is None else scores.place(score),
        score is not None and scores.beyond(score),
        trial.kind,
        trial.epoch,
    )


def _numbers(
    param: Float | Int, values: Iterable[Value], ranges: Sequence[Range]
) -> tuple[Place, tuple[Tick, ...], float, float]:
    scale = SCALES[param.scale]

    def known(value: Value) -> float | None:
        if not is_number(value) or not math.isfinite(value) or not scale.allows(value):
            return None
        return float(scale.forward(float(value)))

    everything = [*values, *param.range, *(v for r in ranges for v in r)]
    seen = [t for t in map(known, everything) if t is not None]
    low, high = (min(seen), max(seen)) if seen else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    width = high - low
    ticks = across(scale, low, high, whole=isinstance(param, Int))
    zero = low - 0.14 * width
    beside = 0.04 * width
    if isinstance(param, Int) and param.scale in ("linear", "log2"):
        beside = max(beside, CELL + 0.05)
    on_zero = not scale.allows(0.0) and any(v == 0 and not isinstance(v, bool) for v in everything)
    if not ((isinstance(param, Float) and param.zero) or on_zero):
        return known, ticks, low - beside, high + beside

    def place(value: Value) -> float | None:
        return zero if value == 0 and not isinstance(value, bool) else known(value)

    return place, (Tick(zero, "0"), *ticks), zero - beside, high + beside


def _options(
    param: Choice, values: Iterable[Value], ranges: Sequence[Range]
) -> tuple[Place, tuple[Tick, ...], float, float]:
    everything = (*param.options, *(v for r in ranges for v in r), *values)  # those no longer offered come last
    options = list({key(option): option for option in everything}.values())
    places = {key(option): float(i) for i, option in enumerate(options)}
    ticks = tuple(Tick(float(i), _short(value_words(options[i]))) for i in evenly(range(len(options)), TOLD))

    def place(value: Value) -> float | None:
        return places[key(value)]

    return place, ticks, -0.6, len(options) - 0.4


def _intervals(param: Hyperparameter, place: Place, ranges: Iterable[tuple[int, Range | None]]) -> tuple[Interval, ...]:
    out = []
    for round, values in ranges:
        if values is None:
            continue
        if isinstance(param, Choice):
            out += [Interval(round, a - 0.4, b + 0.4) for a, b in _runs(sorted(int(place(v) or 0) for v in values))]
            continue
        ends = [place(v) for v in values]
        if len(ends) == 2 and None not in ends:
            low, high = _cells(param, place, values, ends)  # type: ignore[arg-type]
            out.append(Interval(round, low, high))
    return tuple(out)


def _cells(param: Float | Int, place: Place, values: Range, ends: list[float]) -> tuple[float, float]:
    if isinstance(param, Float):
        with_zero = param.zero and not param.held and min(ends) <= (place(param.low) or 0.0)
        return (place(0.0) or 0.0) if with_zero else ends[0], ends[1]
    if param.scale == "log2":
        return ends[0] - CELL, ends[1] + CELL
    low, high = (number(v) for v in values)
    return place(low - CELL) or ends[0], place(high + CELL) or ends[1]


def _runs(places: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for i in places:
        if runs and i == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], i)
        else:
            runs.append((i, i))
    return runs


def _words(param: Hyperparameter, searched: Range) -> str:
    scale = "" if isinstance(param, Choice) else f"{SCALES[param.scale].words} · "
    return f"{scale}searched {range_words(param, searched)}{zero_words(param)}"


def _found(param: Hyperparameter, likely: Range | None, searched: Range) -> str:
    if not likely:
        return "best likely without it" if param.when else ""
    if isinstance(param, Choice) and len(likely) == len(searched):
        return "best likely any of them" if len(searched) > 1 else ""
    if tuple(likely) == tuple(searched):
        return ""  # nothing is known yet, as in the coarse round
    words = range_words(param, likely)
    return f"best likely {'in ' if '..' in words else ''}{words}"


def _when(param: Hyperparameter) -> str:
    when = when_words(param)
    return f"only where {when}" if when else ""


def _short(text: str) -> str:
    return text if len(text) <= LABEL else text[: LABEL - 1] + "…"
