"""Tables of a search benchmark, as Markdown: mean regret of the best so far, and how much sooner one gets there."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from families import Array, Task
from ledger import regret_curve
from methods import METHODS

MARKS = (5, 10, 20, 30, 50, 100)


@dataclass(frozen=True)
class Curves:
    """All runs of a method on a family: (task, seed) -> regret after 1, 2, ... full trainings."""

    method: str
    by_run: Mapping[tuple[str, int], Array]
    seconds: float  # median processor time of a study

    def stack(self, runs: Sequence[tuple[str, int]] | None = None) -> Array:
        """Shape (runs, trainings)."""
        curves: Array = np.stack([self.by_run[r] for r in (runs if runs is not None else self.by_run)])
        return curves


def error_of_mean(values: Array) -> float:
    """Standard error over runs; nan for a single one."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def curves_of(tasks: Sequence[Task], content: Mapping[str, Any], trainings: int) -> dict[str, dict[str, Curves]]:
    """family -> method -> curves, of the runs with that budget."""
    known = {(t.family, t.name): t for t in tasks}
    found: dict[tuple[str, str], dict[tuple[str, int], tuple[Array, float]]] = {}
    for key, run in content["runs"].items():
        method, family, name, seed, budget = key.split("|")
        if int(budget) != trainings or (family, name) not in known:
            continue
        task, factor = known[family, name], METHODS[method].budget
        curve = regret_curve(task, run["steps"], trainings * factor)[factor - 1 :: factor]
        found.setdefault((family, method), {})[name, int(seed)] = (curve, run["seconds"])
    tables: dict[str, dict[str, Curves]] = {}
    for (family, method), runs in found.items():
        seconds = float(np.median([s for _, s in runs.values()]))
        tables.setdefault(family, {})[method] = Curves(method, {r: c for r, (c, _) in runs.items()}, seconds)
    return tables


def markdown(tasks: Sequence[Task], content: Mapping[str, Any], ours: str, trainings: int) -> str:
    """The whole report."""
    lines = ["Regret of the best observed so far at any epoch, mean ± standard error over runs (tasks × seeds).", ""]
    for method, found in content["versions"].items():
        lines.append(f"- {method}: " + ", ".join(f"{package} {number}" for package, number in found.items()))
    for family, table in curves_of(tasks, content, trainings).items():
        lines += ["", f"## {family}", "", *regret_table(table, trainings)]
        if ours in table and len(table) > 1:
            lines += ["", *comparison_table(table, ours, trainings)]
    return "\n".join(lines)


def row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def header(cells: Sequence[str]) -> list[str]:
    return [row(cells), row(["---"] * len(cells))]


def regret_table(table: Mapping[str, Curves], trainings: int) -> Iterator[str]:
    """Each method on all runs it finished."""
    marks = [m for m in MARKS if m <= trainings]
    yield from header(["method", "tasks", "runs", *(f"@{m}" for m in marks), "processor seconds a study"])
    for name in sorted(table, key=list(METHODS).index):
        curves = table[name].stack()
        cells = [f"{curves[:, m - 1].mean():.3f} ± {error_of_mean(curves[:, m - 1]):.3f}" for m in marks]
        tasks = len({task for task, _ in table[name].by_run})
        yield row([name, str(tasks), str(len(curves)), *cells, f"{table[name].seconds:.1f}"])


def comparison_table(table: Mapping[str, Curves], ours: str, trainings: int) -> Iterator[str]:
    """Ours beside each peer, on exactly the runs that both finished."""
    marks = [m for m in MARKS if m <= trainings]
    ends = ["peer − ours at the end", "ours wins", "ours reaches the peer's end value"]
    yield from header(["peer", "runs", *(f"peer @{m}" for m in marks), *(f"ours @{m}" for m in marks), *ends])
    for name in sorted(table, key=list(METHODS).index):
        runs = [r for r in table[ours].by_run if r in table[name].by_run]
        if name == ours or not runs:
            continue
        peer, own = table[name].stack(runs), table[ours].stack(runs)
        gap = peer[:, -1] - own[:, -1]
        wins = float((gap > 0).mean() + 0.5 * (gap == 0).mean())
        means = [f"{c[:, m - 1].mean():.3f}" for c in (peer, own) for m in marks]
        difference = f"{gap.mean():+.3f} ± {error_of_mean(gap):.3f}"
        when = reached(own.mean(0), float(peer[:, -1].mean()))
        yield row([name, str(len(runs)), *means, difference, f"{wins:.0%}", when])


def reached(ours: Array, target: float) -> str:
    """The first full training at which our mean is at or below the peer's mean at its end."""
    there = np.flatnonzero(ours <= target)
    if not len(there):
        return f"not within {len(ours)}"
    first = int(there[0]) + 1
    return f"after {first} of {len(ours)} = **{len(ours) / first:.1f}×**"
