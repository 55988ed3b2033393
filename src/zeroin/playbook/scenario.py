"""Scenarios: what was tuned, and how alike two of them are. How much each fact matters is learned from past studies.

Two studies agree where the same configs do well in both. A fact (the field, the optimizer, the size of the data, ...)
matters as much as studies that differ in it disagree more than others.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from zeroin.space import Choice, Space
from zeroin.space.scales import Array
from zeroin.types import Value

Scenario: TypeAlias = Mapping[str, Value]

FACTS = ("task", "inputs", "network", "loss", "optimizer", "normalisation", "examples", "epochs", "hyperparameters")
SIZE = ("epochs", "hyperparameters")  # of a study, not of what it is about
USUALLY = 0.15  # how much less two studies agree that differ in a fact, as long as little is known
PAIRS = 3.0  # of studies that this is worth
LEAST = 0.05  # the weight of the least similar study


def scenario_of(objective: Any, space: Space, max_epochs: int) -> dict[str, Value]:
    """The facts of a study: those that its task tells, and those that its space shows.

    Args:
        objective: a Task, whose `scenario` is taken, or a function, which is told from others by its file and name.
        space: what is searched.
        max_epochs: the deepest budget of one trial.
    """
    told = getattr(objective, "scenario", None)
    facts: dict[str, Value] = {"task": _name_of(objective), **(told if isinstance(told, Mapping) else {})}
    for fact, name in (("optimizer", "optimizer"), ("normalisation", "batchnorm"), ("normalisation", "norm")):
        param = space.params.get(name)
        if isinstance(param, Choice):
            facts[fact] = str(param.fixed) if param.held else "any"
    facts["hyperparameters"] = sum(not p.held for p in space.params.values())
    facts["epochs"] = max_epochs
    return {name: value for name, value in facts.items() if value is not None and value != ""}


def difference(a: Scenario, b: Scenario) -> Array:
    """How much two scenarios differ in each of `FACTS`, from 0 to 1; a half where one of them does not tell."""
    return np.array([_differ(a.get(fact), b.get(fact)) for fact in FACTS])


def weights(new: Scenario, past: Sequence[Scenario], scores: Array, trust: Array) -> Array:
    """How alike a new study each past one is, 0.05 to 1.

    What any two studies disagree by is not counted for one of the same task: its luck is what `trust` tells.

    Args:
        new: the scenario of the new study.
        past: those of N past studies.
        scores: [N, points], what the same configs score in each.
        trust: [N], 0 to 1, how far these are to be trusted: a pair of studies tells as much as the two together.
    """
    from scipy.optimize import nnls  # noqa: PLC0415  a quarter of the time that `import zeroin` would take

    ranks = scores.argsort(axis=1).argsort(axis=1).astype(float)
    pairs = [(i, j) for i in range(len(past)) for j in range(i)]
    agree = np.array([np.corrcoef(ranks[i], ranks[j])[0, 1] for i, j in pairs])
    differ = np.array([difference(past[i], past[j]) for i, j in pairs]).reshape(-1, len(FACTS))
    known = np.hstack([np.ones((len(pairs), 1)), differ])  # the first column: how much any two studies disagree
    told = np.sqrt([trust[i] * trust[j] for i, j in pairs])
    prior = np.sqrt(PAIRS) * np.eye(len(FACTS) + 1)
    lost, _ = nnls(np.vstack([told[:, None] * known, prior]), np.append(told * (1.0 - agree), prior.sum(0) * USUALLY))
    apart = np.array([difference(new, each) for each in past])
    named = new.get("task") is not None
    other = np.array([not named or any(new.get(f) != each.get(f) for f in FACTS if f not in SIZE) for each in past])
    return np.asarray(np.clip(1.0 - lost[0] * other - apart @ lost[1:], LEAST, 1.0))


def _differ(a: Value, b: Value) -> float:
    if a is None and b is None:
        return 0.0
    if a is None or b is None:
        return 0.5
    if isinstance(a, int | float) and isinstance(b, int | float) and a > 0 and b > 0:
        return min(1.0, abs(math.log10(a / b)) / 2.0)  # a hundred times as many examples are another world
    return float(a != b)


def _name_of(objective: Any) -> str:
    if callable(objective):
        code = getattr(objective, "__code__", None)
        name = str(getattr(objective, "__name__", type(objective).__name__))
        return "" if name == "<lambda>" or code is None else f"{Path(code.co_filename).stem}.{name}"
    return str(getattr(objective, "name", ""))
