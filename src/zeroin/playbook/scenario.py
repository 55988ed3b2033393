"""Scenarios: facts about what was tuned, and how similar two of them are.

Two studies agree if the same configs do well in both. How much a fact (the kind of data, the optimizer, the number of
examples, ...) matters is learned from past studies: by how much more do studies disagree that differ in it?
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from zeroin.catalogue import called
from zeroin.executors.code import function_of
from zeroin.executors.held import held
from zeroin.space import Choice, Space
from zeroin.space.scales import Array
from zeroin.types import Value

Scenario: TypeAlias = Mapping[str, Value]

FACTS = ("task", "inputs", "network", "loss", "optimizer", "normalisation", "examples", "epochs", "hyperparameters")
SIZE = ("epochs", "hyperparameters")  # facts about the size of a study, not about what was tuned
DATA = "data"  # a fact that tells functions of one name apart, and of which nothing is learned
USUALLY = 0.15  # prior: how much less two studies agree if they differ in a fact
PAIRS = 3.0  # the prior counts as much as so many pairs of studies
LEAST = 0.05  # the weight of the least similar study


def scenario_of(objective: Any, space: Space, max_epochs: int) -> dict[str, Value]:
    """The facts about a study, from its task and from its space.

    Args:
        objective: a Task, which has a `scenario`; or a function, which is identified by its file, its name and a hash
            of the data that it holds.
        space: that is searched.
        max_epochs: the number of epochs of a full training.
    """
    told = getattr(objective, "scenario", None)
    own = told if isinstance(told, Mapping) else {DATA: held(objective)} if callable(objective) else {}
    facts: dict[str, Value] = {"task": _name_of(objective), **own}
    names = called(space)
    for fact, name in (("optimizer", "optimizer"), ("normalisation", "batchnorm"), ("normalisation", "norm")):
        param = space.params.get(names.get(name, ""))
        if isinstance(param, Choice):
            facts[fact] = str(param.fixed) if param.held else "any"
    facts["hyperparameters"] = sum(not p.held for p in space.params.values())
    facts["epochs"] = max_epochs
    return {name: value for name, value in facts.items() if value is not None and value != ""}


def difference(a: Scenario, b: Scenario) -> Array:
    """How much two scenarios differ in each of `FACTS`, from 0 to 1; a half if one of them lacks the fact."""
    return np.array([_differ(a.get(fact), b.get(fact)) for fact in FACTS])


def weights(new: Scenario, past: Sequence[Scenario], scores: Array, trust: Array) -> Array:
    """How similar each past study is to a new one, from 0.05 to 1.

    Even studies of the same scenario disagree to some extent. That is not held against a study of the same task,
    because `trust` already accounts for its luck.

    Args:
        new: the scenario of the new study.
        past: those of N past studies.
        scores: of the same configs in each past study [N, points].
        trust: how far these can be trusted, 0 to 1 [N]; a pair of studies is weighted by the product.
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
    facts = [fact for fact in (*FACTS, DATA) if fact not in SIZE]
    other = np.array([not named or any(new.get(fact) != each.get(fact) for fact in facts) for each in past])
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
        function = function_of(objective)
        code = getattr(function, "__code__", getattr(type(function).__call__, "__code__", None))
        name = str(getattr(function, "__name__", type(function).__name__))
        return "" if name == "<lambda>" or code is None else f"{Path(code.co_filename).stem}.{name}"
    return str(getattr(objective, "name", ""))
