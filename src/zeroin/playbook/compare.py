"""Comparing lessons: which values work in which scenario, where studies agree and where they differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zeroin.playbook.lesson import Lesson
from zeroin.space import SCALES, Choice, Float, Hyperparameter, Int
from zeroin.space.choice import key
from zeroin.space.plain import is_number, number
from zeroin.space.words import range_words
from zeroin.types import Range, Value
from zeroin.wording import percent

NEAR = 0.02  # of the unit interval: ranges that are closer than this overlap, as their ends are not known better
MATTERS = 0.1  # hyperparameters of less importance hardly matter


@dataclass(frozen=True, slots=True)
class Cell:
    """A hyperparameter in one study: the range of good values, the best config's value, how much it mattered."""

    good: Range
    best: Value
    importance: float


@dataclass(frozen=True, slots=True)
class Row:
    """A hyperparameter in all studies.

    Args:
        name: of the hyperparameter.
        param: that of the first study, or of the first that has no options if these are numbers too, but with a range
            that covers all; studies are compared on its unit interval.
        cells: one for each study; None if it was not searched there, or has words there and numbers in another.
        common: the values that are good in most of the studies in which it mattered.
        agreeing: for each study, whether `common` is good there.
    """

    name: str
    param: Hyperparameter
    cells: tuple[Cell | None, ...]
    common: Range
    agreeing: tuple[bool, ...]

    @property
    def importance(self) -> float:
        """The mean importance over the studies that searched it."""
        return float(np.mean([cell.importance for cell in self.cells if cell]))

    def words_of(self, cell: Cell) -> str:
        """A cell in words: the good values, and how much the hyperparameter mattered."""
        return f"{self.values(cell.good)} ({percent(cell.importance)})"

    def values(self, of: Range) -> str:
        """A range of its values in words; numbers have two digits, because they are not known better."""
        return range_words(self.param, of, digits=2)

    @property
    def searched(self) -> int:
        """How many studies searched it."""
        return sum(cell is not None for cell in self.cells)

    @property
    def mattering(self) -> tuple[bool, ...]:
        """For each study, whether it mattered there."""
        return tuple(cell is not None and cell.importance >= MATTERS for cell in self.cells)

    @property
    def matters(self) -> int:
        """In how many studies it mattered."""
        return sum(self.mattering)

    @property
    def agree(self) -> int:
        """In how many studies the common values are good."""
        return sum(self.agreeing)

    @property
    def agrees(self) -> bool:
        """Whether the common values are good in most studies in which it mattered, and in more than one."""
        return 2 * self.agree > self.matters and self.agree > 1

    def words(self, before: str = "") -> str:
        """Whether the studies in which it mattered agree, in words; `before` is put before the common values."""
        if self.matters < 2:
            return f"matters in {self.matters}" if self.matters else "hardly matters"
        if not self.agrees:
            return f"differs in {self.matters}"
        return f"{before}{self.values(self.common)} in {self.agree} of {self.matters}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several studies side by side.

    Args:
        names, scenarios: of the studies.
        luck: for each, the share of the variance of scores that the configs do not explain; None if not known.
        held: hyperparameters that no study searched, with the value that they had in all.
        rows: one for each hyperparameter, the most important first.
    """

    names: tuple[str, ...]
    scenarios: tuple[Mapping[str, Value], ...]
    luck: tuple[float | None, ...]
    held: Mapping[str, Value]
    rows: tuple[Row, ...]

    @property
    def alike(self) -> dict[str, Value]:
        """The facts that all studies have in common."""
        return common(self.scenarios) if len(self.scenarios) > 1 else {}

    def table(self) -> str:
        """The comparison as a Markdown table, aligned so that it can be read as it is."""
        several = len(self.names) > 1
        lines = [["", *self.names, "good where it matters"]]
        lines += [
            [f"`{row.name}`", *("" if cell is None else row.words_of(cell) for cell in row.cells), row.words()]
            for row in self.rows
        ]
        if any(luck is not None for luck in self.luck):
            lines.append(["luck", *("" if luck is None else percent(luck) for luck in self.luck), ""])
        lines = lines if several else [line[:-1] for line in lines]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        out = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        out.insert(1, " | ".join("-" * max(3, width) for width in widths))
        return "\n".join(f"| {line} |" for line in out)


def compare(lessons: Sequence[Lesson]) -> Comparison:
    """What several studies taught, side by side, under the names of the first that has a hyperparameter."""
    lessons = _named_alike(lessons)
    names = list(dict.fromkeys(name for lesson in lessons for name in lesson.ranked))
    rows = sorted((_row(name, lessons) for name in names), key=lambda row: -row.importance)
    return Comparison(
        tuple(lesson.name for lesson in lessons),
        tuple(lesson.scenario for lesson in lessons),
        tuple(lesson.luck for lesson in lessons),
        common([{n: p.start for n, p in lesson.space.params.items() if p.held} for lesson in lessons]),
        tuple(rows),
    )


def common(facts: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    """The facts that are the same in all."""
    first, *others = facts
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def joined(param: Hyperparameter, good: Sequence[Range]) -> Range:
    """The smallest range that contains several; for a choice, all options that are in any of them."""
    if isinstance(param, Choice):
        known = {key(option) for each in good for option in each}
        return tuple(option for option in param.options if key(option) in known)
    ends = [end for each in good for end in place(param, each)]
    return param.value(min(ends)), param.value(max(ends))


def place(param: Hyperparameter, good: Range) -> tuple[float, float]:
    """Where a range of numbers lies on a hyperparameter's unit interval."""
    low, high = (float(np.clip(param.unit(value), 0.0, 1.0)) for value in (good[0], good[-1]))
    return min(low, high), max(low, high)


def _named_alike(lessons: Sequence[Lesson]) -> list[Lesson]:
    found: list[Lesson] = []
    names: list[str] = []
    for lesson in lessons:
        found.append(lesson.as_in(names))
        names += found[-1].space
    return found


def _row(name: str, lessons: Sequence[Lesson]) -> Row:
    params = [lesson.space[name] for lesson in lessons if name in lesson.good]
    if isinstance(params[0], Choice) and all(map(is_number, params[0].options)):
        params.sort(key=lambda p: isinstance(p, Choice))
    param = _axis(params)
    goods = [_on(param, lesson.space[name], lesson.good[name]) if name in lesson.good else () for lesson in lessons]
    cells = tuple(
        Cell(good, lesson.configs[0].get(name), lesson.mattered(name)) if good else None
        for lesson, good in zip(lessons, goods, strict=True)
    )
    values, agree = _most(param, [c.good if c and c.importance >= MATTERS else () for c in cells])
    return Row(name, param, cells, values, agree)


def _on(axis: Hyperparameter, param: Hyperparameter, good: Range) -> Range:
    """Good values of a hyperparameter as they lie on an axis; none where one has words and the other numbers."""
    if isinstance(axis, Choice):
        return good if isinstance(param, Choice) else ()
    known = [number(value) for value in good if is_number(value)]
    if len(known) < len(good):
        return ()
    return (min(good, key=number), max(good, key=number)) if isinstance(param, Choice) else good


def _axis(params: Sequence[Hyperparameter]) -> Hyperparameter:
    """The first study's hyperparameter with a range that covers all studies, on a scale that allows it."""
    first = params[0]
    if isinstance(first, Choice):
        options = {key(option): option for p in params if isinstance(p, Choice) for option in p.options}
        return Choice(*options.values(), ordered=first.ordered)
    alike = [p for p in params if not isinstance(p, Choice)]
    low, high = min(p.legal[0] for p in alike), max(p.legal[1] for p in alike)
    scale = first.scale
    if scale == "log2" and any(p.scale != scale for p in alike):  # others' values are no powers of two
        scale = "log"
    if not all(SCALES[scale].allows(end) for end in (low, high)):
        scale = "linear"
    if all(isinstance(p, Int) for p in alike):
        return Int(int(low), int(high), scale)
    zero = scale in ("log", "log2") and any(isinstance(p, Float) and p.zero for p in alike)
    return Float(low, high, scale, zero=zero)


def _most(param: Hyperparameter, good: Sequence[Range]) -> tuple[Range, tuple[bool, ...]]:
    """The values that are good in most studies, and for each study whether they are; () for studies to leave out."""
    if not any(good):
        return (), (False,) * len(good)
    if isinstance(param, Choice):
        known = [set(map(key, each)) for each in good]
        counts = [sum(key(option) in each for each in known) for option in param.options]
        most = max(counts)
        values = tuple(o for o, n in zip(param.options, counts, strict=True) if n == most)
        return values, tuple(key(values[0]) in each for each in known)
    low, high = np.array([place(param, each) if each else (np.inf, -np.inf) for each in good]).T
    begins = np.sort(low[np.isfinite(low)])[:, None] - NEAR  # the most ranges meet where one of them begins
    inside = (low - NEAR <= begins) & (begins <= high + NEAR)
    agree = inside[inside.sum(1).argmax()]  # of several stretches the lowest
    ends = np.array([low[agree].max(), high[agree].min()])
    ends = ends if ends[0] <= ends[1] else np.full(2, ends.mean())  # they nearly touch
    return (param.value(float(ends[0])), param.value(float(ends[1]))), tuple(map(bool, agree))
