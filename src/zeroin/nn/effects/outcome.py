"""The result of `effect`: as a table, as data, and as a picture."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zeroin.nn.effects.picture import draw
from zeroin.nn.effects.volume import Comparison, Goal, Paired, Volume
from zeroin.types import Value
from zeroin.wording import duration


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of a choice on the share of configs that work; `str` is a table.

    Args:
        choice, task, metric: their names.
        goal: what counts as working.
        drawn: the ranges that were drawn from, in words by name.
        held: the other hyperparameters, which all configs have in common.
        comparisons: one for each setting.
        draws, seed: how many configs were drawn, with which seed.
        seconds, workers: how long it took, in how many processes.
    """

    choice: str
    task: str
    metric: str
    goal: Goal
    drawn: Mapping[str, str]
    held: Mapping[str, Value]
    comparisons: tuple[Comparison, ...]
    draws: int
    seed: int
    seconds: float
    workers: int

    def __str__(self) -> str:
        head = [
            f"{self.choice} on {self.task}: the same {self.draws} random draws in each arm, {self.goal.epochs} epochs; "
            f"works: {self.metric} {'>=' if self.goal.up else '<='} {self.goal.target:g} at the last epoch",
            "drawn: " + "; ".join(f"{name} {words}" for name, words in self.drawn.items()),
            "held: " + ", ".join(f"{name}={value}" for name, value in self.held.items()),
            f"seed {self.seed}; {duration(self.seconds)} on {self.workers} process{'es' if self.workers > 1 else ''}",
            "",
        ]
        rows = [self._columns(), *self._rows()]
        wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        return "\n".join([*head, *("  ".join(f"{w:{n}}" for w, n in zip(r, wide, strict=True)).rstrip() for r in rows)])

    def _columns(self) -> list[str]:
        names = list(self.comparisons[0].setting)
        tests = f"against {self.comparisons[0].volumes[0].arm}: only here, only there, p"
        return [*names, self.choice, "works (95 %)", "fails (95 %)", "lr/(1-momentum) of nine tenths", "epochs", tests]

    def _rows(self) -> Iterator[list[str]]:
        for one in self.comparisons:
            for i, volume in enumerate(one.volumes):
                names = [str(v) if not i else "" for v in one.setting.values()]
                steps = "-" if volume.steps is None else f"{volume.steps[0]:.2g} .. {volume.steps[1]:.2g}"
                epochs = "-" if volume.epochs is None else f"{volume.epochs:g}"
                test = one.tests[i - 1] if i else None
                told = "" if test is None else f"{test.gained}, {test.lost}, {_p(test.p)}"
                yield [*names, volume.arm, str(volume.works), str(volume.fails), steps, epochs, told]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data, including each draw."""
        named = {"choice": self.choice, "task": self.task, "metric": self.metric, "goal": asdict(self.goal)}
        spent = {"draws": self.draws, "seed": self.seed, "seconds": round(self.seconds, 1), "workers": self.workers}
        held = {"drawn": dict(self.drawn), "held": dict(self.held)}
        return named | spent | held | {"settings": [_plain(one) for one in self.comparisons]}

    def picture(self, path: str | Path) -> Path:
        """Write a picture of the shares, and of where the draws that work lie, to an SVG file; returns its path."""
        target = Path(path)
        target.write_text(draw(f"{self.choice} on {self.task}", self.comparisons, self.goal), encoding="utf-8")
        return target


def _plain(one: Comparison) -> dict[str, Any]:
    tests: list[Paired | None] = [None, *one.tests]
    return {"setting": dict(one.setting), "arms": [_arm(v, t) for v, t in zip(one.volumes, tests, strict=True)]}


def _arm(volume: Volume, test: Paired | None) -> dict[str, Any]:
    shares = {
        name: {"count": s.count, "of": s.of, "share": round(s.value, 4), "interval": [round(v, 4) for v in s.interval]}
        for name, s in (("works", volume.works), ("fails", volume.fails))
    }
    against = None if test is None else {"gained": test.gained, "lost": test.lost, "p": test.p}
    draws = [{"config": dict(d.config), "curve": list(d.curve)} for d in volume.draws]
    rest = {"steps": volume.steps, "epochs": volume.epochs, "test": against, "draws": draws}
    return {"arm": volume.arm, **shares, **rest}


def _p(p: float) -> str:
    return f"p = {p:.2g}" if p > 1e-4 else f"p < 1e{math.floor(math.log10(max(p, 1e-300))) + 1}"
