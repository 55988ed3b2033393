"""Tables of a search benchmark, as Markdown: mean regret of the best so far, and ours against each peer, run by run.

python benchmarks/report.py results.json [MORE.json ...]         # files that search.py wrote
"""

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from families import Array, Task, available, places
from ledger import regret_curve
from methods import METHODS

MARKS = (5, 10, 20, 30, 50, 100)
RANDOM_MARKS = (10, 20, 30, 50)


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


Table: TypeAlias = Mapping[str, Curves]  # method -> curves
Study: TypeAlias = tuple[str, int]  # family, budget in full trainings


@dataclass(frozen=True)
class Gap:
    """Regrets of a peer and of ours after so many trainings, on the same runs; `mean` > 0 where ours is lower."""

    peer: float
    ours: float
    mean: float
    error: float

    @classmethod
    def of(cls, peer: Array, ours: Array) -> "Gap":
        return cls(float(peer.mean()), float(ours.mean()), float((peer - ours).mean()), error_of_mean(peer - ours))

    @property
    def behind(self) -> bool:
        """Ours is worse by more than one standard error."""
        return self.mean < -(0.0 if math.isnan(self.error) else self.error)

    def __str__(self) -> str:
        text = f"{self.mean:+.3f} ± {self.error:.3f}"
        return f"**{text}**" if self.behind else text


def error_of_mean(values: Array) -> float:
    """Standard error over runs; nan for a single one."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def marks_of(trainings: int) -> list[int]:
    return [m for m in MARKS if m <= trainings]


def curves_of(tasks: Sequence[Task], content: Mapping[str, Any]) -> dict[Study, dict[str, Curves]]:
    """(family, budget) -> method -> curves."""
    known = {(t.family, t.name): t for t in tasks}
    found: dict[tuple[Study, str], dict[tuple[str, int], tuple[Array, float]]] = {}
    for key, run in content["runs"].items():
        method, family, name, seed, budget = key.split("|")
        if (family, name) not in known:
            continue
        task, factor, trainings = known[family, name], METHODS[method].budget, int(budget)
        curve = regret_curve(task, run["steps"], trainings * factor)[factor - 1 :: factor]
        found.setdefault(((family, trainings), method), {})[name, int(seed)] = (curve, run["seconds"])
    tables: dict[Study, dict[str, Curves]] = {}
    for (study, method), runs in found.items():
        seconds = float(np.median([s for _, s in runs.values()]))
        tables.setdefault(study, {})[method] = Curves(method, {r: c for r, (c, _) in runs.items()}, seconds)
    return tables


def markdown(tasks: Sequence[Task], content: Mapping[str, Any], ours: str = "zeroin") -> str:
    """The whole report."""
    lines = ["Regret of the best observed so far at any epoch, mean ± standard error over runs (tasks × seeds).", ""]
    lines += versions(content["versions"])
    tables = curves_of(tasks, content)
    for (family, trainings), table in tables.items():
        lines += ["", f"## {family}, {trainings} trainings", "", *regret_table(table, trainings)]
        if ours in table and len(table) > 1:
            lines += ["", *comparison_table(table, ours, trainings)]
    if any(ours in table and "random" in table for table in tables.values()):
        lines += ["", "## Against random", "", *random_table(tables, ours)]
    return "\n".join(lines)


def versions(found: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """One line for all methods that share an environment."""
    lines: dict[str, list[str]] = {}
    for method, packages in found.items():
        lines.setdefault(", ".join(f"{package} {number}" for package, number in packages.items()), []).append(method)
    yield from (f"- {', '.join(methods)}: {packages}" for packages, methods in lines.items())


def row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def header(cells: Sequence[str]) -> list[str]:
    return [row(cells), row(["---"] * len(cells))]


def regret_table(table: Table, trainings: int) -> Iterator[str]:
    """Each method on all runs it finished."""
    marks = marks_of(trainings)
    yield from header(["method", "tasks", "runs", *(f"@{m}" for m in marks), "processor seconds a study"])
    for name in sorted(table, key=list(METHODS).index):
        curves = table[name].stack()
        cells = [f"{curves[:, m - 1].mean():.3f} ± {error_of_mean(curves[:, m - 1]):.3f}" for m in marks]
        tasks = len({task for task, _ in table[name].by_run})
        yield row([name, str(tasks), str(len(curves)), *cells, f"{table[name].seconds:.1f}"])


def comparison_table(table: Table, ours: str, trainings: int) -> Iterator[str]:
    """Each peer beside ours on exactly the runs that both finished: a cell is peer / ours, peer − ours."""
    marks = marks_of(trainings)
    ends = [f"{ours} better @{trainings}", f"{ours} reaches the peer's @{trainings}", "peer's processor seconds"]
    yield from header([f"peer / {ours}, difference", "tasks", "runs", *(f"@{m}" for m in marks), *ends])
    for name in sorted(table, key=list(METHODS).index):
        runs = [r for r in table[ours].by_run if r in table[name].by_run]
        if name == ours or not runs:
            continue
        peer, own = table[name].stack(runs), table[ours].stack(runs)
        gaps = [Gap.of(peer[:, m - 1], own[:, m - 1]) for m in marks]
        end = peer[:, -1] - own[:, -1]
        wins = float((end > 0).mean() + 0.5 * (end == 0).mean())
        cells = [f"{gap.peer:.3f} / {gap.ours:.3f}, {gap}" for gap in gaps]
        when = reached(own.mean(0), float(peer[:, -1].mean()))
        ends = [f"{wins:.0%}", when, f"{table[name].seconds:.1f}"]
        yield row([name, str(len({task for task, _ in runs})), str(len(runs)), *cells, *ends])


def reached(ours: Array, target: float) -> str:
    """The first full training at which our mean is at or below the peer's mean at its end."""
    there = np.flatnonzero(ours <= target)
    if not len(there):
        return f"not within {len(ours)}"
    first = int(there[0]) + 1
    return f"after {first} of {len(ours)}: {len(ours) / first:.1f}×"


def random_table(tables: Mapping[Study, Table], ours: str) -> Iterator[str]:
    """Random − ours after so many trainings, family by family, on the runs that both finished."""
    yield from header(["family", "budget", "tasks", "runs", *(f"@{m}" for m in RANDOM_MARKS)])
    for (family, trainings), table in tables.items():
        if ours not in table or "random" not in table:
            continue
        runs = [r for r in table[ours].by_run if r in table["random"].by_run]
        if not runs:
            continue
        theirs, own = table["random"].stack(runs), table[ours].stack(runs)
        gaps = [str(Gap.of(theirs[:, m - 1], own[:, m - 1])) if m <= trainings else "" for m in RANDOM_MARKS]
        yield row([family, str(trainings), str(len({task for task, _ in runs})), str(len(runs)), *gaps])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "results", nargs="+", type=Path, help="files of results; of a run in two of them, the later counts"
    )
    parser.add_argument("--ours", default="zeroin", choices=METHODS, help="the method the others are compared with")
    places(parser)
    given = parser.parse_args()
    content: dict[str, dict[str, Any]] = {"versions": {}, "runs": {}}
    for path in given.results:
        found = json.loads(path.read_text())
        for part in content:
            content[part] |= found[part]
    families = dict.fromkeys(key.split("|")[1] for key in content["runs"])
    print(markdown(available(families, given.data, given.cache), content, given.ours))


if __name__ == "__main__":
    main()
