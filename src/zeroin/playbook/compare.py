"""What works well in which scenario: lessons side by side, where they agree and where they differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zeroin.playbook.lesson import Lesson
from zeroin.space import SCALES, Choice, Float, Hyperparameter, Int
from zeroin.space.choice import key
from zeroin.space.words import range_words
from zeroin.types import Range, Value

NEAR = 0.02  # of the unit line: values no further apart do alike
MATTERS = 0.1  # a hyperparameter of less importance hardly matters
GRID = 401  # places of the unit line that are looked at


@dataclass(frozen=True, slots=True)
class Cell:
    """A hyperparameter in one study: where the good configs lie, what the best one has, how much it mattered."""

    good: Range
    best: Value
    importance: float


@dataclass(frozen=True, slots=True)
class Row:
    """A hyperparameter in all studies.

    `param` is the first study's, but wide enough for all: on its unit line they are compared; `cells` by study, None
    where it was not searched; `common` the values that are good in the most studies of those in which it mattered,
    `agree` in how many.
    """

    name: str
    param: Hyperparameter
    cells: tuple[Cell | None, ...]
    common: Range
    agree: int

    @property
    def importance(self) -> float:
        """The mean over the studies that searched it."""
        return float(np.mean([cell.importance for cell in self.cells if cell]))

    def words_of(self, cell: Cell) -> str:
        """The good values of a study, and how much they mattered."""
        return f"{range_words(self.param, cell.good)} ({cell.importance:.0%})"

    @property
    def matters(self) -> int:
        """In how many studies it mattered."""
        return sum(cell is not None and cell.importance >= MATTERS for cell in self.cells)

    def words(self, before: str = "") -> str:
        """Whether the studies in which it mattered agree, in words; `before` comes before what is good in most."""
        if self.matters < 2:
            return f"matters in {self.matters}" if self.matters else "hardly matters"
        if 2 * self.agree <= self.matters or self.agree < 2:
            return f"differs in {self.matters}"
        return f"{before}{range_words(self.param, self.common)} in {self.agree} of {self.matters}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Studies side by side.

    `luck` is the share of the spread of scores that the configs do not tell; `rows` the most important first.
    """

    names: tuple[str, ...]
    scenarios: tuple[Mapping[str, Value], ...]
    luck: tuple[float | None, ...]
    rows: tuple[Row, ...]

    @property
    def alike(self) -> dict[str, Value]:
        """The facts that all studies have in common."""
        first, *others = self.scenarios
        return {f: v for f, v in first.items() if others and all(other.get(f) == v for other in others)}

    def table(self) -> str:
        """As Markdown, its columns aligned, so that it is readable as it is."""
        several = len(self.names) > 1
        lines = [["", *self.names, "good where it matters"]]
        lines += [
            [f"`{row.name}`", *("" if cell is None else row.words_of(cell) for cell in row.cells), row.words()]
            for row in self.rows
        ]
        if any(luck is not None for luck in self.luck):
            lines.append(["luck", *("" if luck is None else f"{luck:.0%}" for luck in self.luck), ""])
        lines = lines if several else [line[:-1] for line in lines]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        out = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        out.insert(1, " | ".join("-" * max(3, width) for width in widths))
        return "\n".join(f"| {line} |" for line in out)


def compare(lessons: Sequence[Lesson]) -> Comparison:
    """What several studies taught, side by side."""
    names = list(dict.fromkeys(name for lesson in lessons for name in lesson.ranked))
    rows = sorted((_row(name, lessons) for name in names), key=lambda row: -row.importance)
    luck = (lesson.luck for lesson in lessons)
    scenarios = (lesson.scenario for lesson in lessons)
    return Comparison(tuple(lesson.name for lesson in lessons), tuple(scenarios), tuple(luck), tuple(rows))


def place(param: Hyperparameter, good: Range) -> tuple[float, float]:
    """Where a range of numbers lies on a hyperparameter's unit line."""
    low, high = (float(np.clip(param.unit(value), 0.0, 1.0)) for value in (good[0], good[-1]))
    return min(low, high), max(low, high)


def _row(name: str, lessons: Sequence[Lesson]) -> Row:
    cells = tuple(
        Cell(lesson.good[name], lesson.configs[0].get(name), lesson.mattered(name)) if name in lesson.good else None
        for lesson in lessons
    )
    param = _axis([lesson.space[name] for lesson in lessons if name in lesson.good])
    return Row(name, param, cells, *_common(param, [c.good for c in cells if c and c.importance >= MATTERS]))


def _axis(params: Sequence[Hyperparameter]) -> Hyperparameter:
    """The first study's hyperparameter, wide enough for the others' values, on its scale where that has them all."""
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


def _common(param: Hyperparameter, good: Sequence[Range]) -> tuple[Range, int]:
    """The values that are good in the most studies, and in how many they are; nothing of none."""
    if not good:
        return (), 0
    if isinstance(param, Choice):
        known = [set(map(key, each)) for each in good]
        counts = [sum(key(option) in each for each in known) for option in param.options]
        most = max(counts)
        return tuple(o for o, n in zip(param.options, counts, strict=True) if n == most), most
    grid = np.linspace(0.0, 1.0, GRID)
    low, high = np.array([place(param, each) for each in good]).T[:, :, None]
    inside = ((low - NEAR <= grid) & (grid <= high + NEAR)).sum(0)
    most = int(inside.max())
    first = int(np.argmax(inside == most))  # of several stretches the lowest
    last = first + int(np.argmin(np.append(inside[first:] == most, False)))
    return (param.value(float(grid[first])), param.value(float(grid[last - 1]))), most
