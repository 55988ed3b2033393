"""What works well in which scenario: lessons side by side, where they agree and where they differ."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zeroin.playbook.lesson import Lesson
from zeroin.space import Choice, Hyperparameter
from zeroin.space.words import range_words
from zeroin.types import Range, Value

AGREE, DIFFER = 0.5, 0.1  # shares of the span of all good ranges that lie in each of them
NEAR = 0.05  # of the unit line: values no further apart do alike
MATTERS = 0.1  # a hyperparameter of less importance hardly matters


@dataclass(frozen=True, slots=True)
class Cell:
    """A hyperparameter in one study: where the good configs lie, what the best one has, how much it mattered."""

    good: Range
    best: Value
    importance: float


@dataclass(frozen=True, slots=True)
class Row:
    """A hyperparameter in all studies.

    `param` as the first study has it, on whose unit line they are compared; `cells` by study, None where it was not
    searched; `agreement`, 0 to 1: how much of all good values is good in each of them, None of a single study.
    """

    name: str
    param: Hyperparameter
    cells: tuple[Cell | None, ...]
    agreement: float | None

    @property
    def importance(self) -> float:
        """The mean over the studies that searched it."""
        return float(np.mean([cell.importance for cell in self.cells if cell]))

    def words_of(self, cell: Cell) -> str:
        """The good values of a study, and how much they mattered."""
        return f"{range_words(self.param, cell.good)} ({cell.importance:.0%})"

    def words(self) -> str:
        """Whether the studies agree, in words."""
        known = sum(cell is not None for cell in self.cells)
        if self.agreement is None:
            return "searched once"
        if max(cell.importance for cell in self.cells if cell) < MATTERS:
            return f"hardly matters in {known}"
        if self.agreement >= AGREE:
            return f"alike in {known}"
        return f"differs in {known}" if self.agreement < DIFFER else f"partly alike in {known}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Studies side by side: `names` of the studies, `scenarios` in words, `rows` the most important first."""

    names: tuple[str, ...]
    scenarios: tuple[str, ...]
    rows: tuple[Row, ...]

    def table(self) -> str:
        """As Markdown, readable as it is."""
        out = [f"| | {' | '.join(self.names)} | |", "|---" * (len(self.names) + 2) + "|"]
        for row in self.rows:
            cells = " | ".join("" if cell is None else row.words_of(cell) for cell in row.cells)
            out.append(f"| `{row.name}` | {cells} | {row.words()} |")
        return "\n".join(out)


def compare(lessons: Sequence[Lesson]) -> Comparison:
    """What several studies taught, side by side."""
    names = list(dict.fromkeys(name for lesson in lessons for name in lesson.ranked))
    rows = sorted((_row(name, lessons) for name in names), key=lambda row: -row.importance)
    facts = (", ".join(f"{fact} {value}" for fact, value in lesson.scenario.items()) for lesson in lessons)
    return Comparison(tuple(lesson.name for lesson in lessons), tuple(facts), tuple(rows))


def place(param: Hyperparameter, good: Range) -> tuple[float, float]:
    """Where a range of numbers lies on a hyperparameter's unit line."""
    low, high = (float(np.clip(param.unit(value), 0.0, 1.0)) for value in (good[0], good[-1]))
    return min(low, high), max(low, high)


def _row(name: str, lessons: Sequence[Lesson]) -> Row:
    cells = tuple(
        Cell(lesson.good[name], lesson.configs[0].get(name), lesson.importance.get(name, 0.0))
        if name in lesson.good
        else None
        for lesson in lessons
    )
    param = next(lesson.space[name] for lesson in lessons if name in lesson.good)
    known = [cell.good for cell in cells if cell]
    return Row(name, param, cells, _agreement(param, known) if len(known) > 1 else None)


def _agreement(param: Hyperparameter, good: Sequence[Range]) -> float:
    if isinstance(param, Choice):
        return len(set.intersection(*map(set, good))) / len(set.union(*map(set, good)))
    ends = np.array([place(param, each) for each in good]) + np.array([-NEAR, NEAR])
    common, whole = ends[:, 1].min() - ends[:, 0].max(), ends[:, 1].max() - ends[:, 0].min()
    return max(0.0, float(common / whole))
