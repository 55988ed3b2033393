"""What a function holds tells it from the same function of other data, in any process, and never stops a study."""

import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import zeroin as zi
from zeroin.executors.held import held
from zeroin.playbook import Playbook, scenario_of

SPACE = zi.Space(x=zi.Float(0.0, 1.0))


@dataclass
class Table:
    name: str
    rows: object = None


class Called:
    def __init__(self, table):
        self.table = table

    def __call__(self, config):
        return config["x"]

    def method(self, config):
        return config["x"]


def closure(data):
    def objective(config):
        return config["x"] if data is None else 0.0

    return objective


def default(data):
    return lambda config, data=data: config["x"]


WAYS = [closure, default, lambda data: partial(print, data), lambda data: partial(print, end=data), Called]
WAYS += [lambda data: Called(data).method, lambda data: closure(closure(data)), lambda data: closure(Table("t", data))]
DATA = [
    ("iris", "wine"),
    (1, 2),
    (Path("a"), Path("b")),
    ([1, "a"], [1, "b"]),
    ({"a": 1}, {"a": 2}),
    (np.zeros((3, 2)), np.ones((3, 2))),
    (np.zeros((300, 2)), np.zeros((301, 2))),
    (np.array(["a", None], object), np.array(["b", None], object)),
    (torch.zeros(3), torch.ones(3)),
    (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), pd.DataFrame({"a": [1, 2], "b": ["x", "z"]})),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("one", "other"), DATA)
def test_the_same_function_of_other_data_is_another(way, one, other):
    assert held(way(one)) == held(way(one)) != held(way(other))


def test_what_is_read_of_the_module_counts(tmp_path):
    """In any process, whatever the seed of its hashes."""
    lines = ("from zeroin.executors.held import held", "data = {data}", "def objective(c): return data")
    code = "\n".join([*lines, "print(held(objective))"])
    found = {}
    for data in ("{'a': [1, 2], 'b': 'c'}", "{'a': [1, 3], 'b': 'c'}"):
        runs = [
            subprocess.run(
                [sys.executable, "-c", code.format(data=data)], capture_output=True, text=True, check=True
            ).stdout
            for _ in range(2)
        ]
        assert runs[0] == runs[1]
        found[data] = runs[0]
    assert len(set(found.values())) == 2


class Hostile:
    @property
    def __array__(self):
        raise RuntimeError("no")

    @property
    def __dict__(self):
        raise RuntimeError("no")


def test_whatever_is_held_no_study_stops_for_it():
    loop = []
    loop.append(loop)
    for data in (loop, Hostile(), np, Path, print, object(), torch.nn.Linear(2, 2), np.random.default_rng(), iter([1])):
        assert isinstance(held(closure(data)), str)
    assert held(closure(None)) == held(lambda config: config["x"]) == ""


def test_studies_of_one_function_are_of_one_task_only_with_the_same_data(tmp_path):
    def objective_of(centre):
        def objective(config):
            return abs(config["x"] - centre) + 0.1

        return objective

    facts = [scenario_of(objective_of(centre), SPACE, 1) for centre in (0.2, 0.2, 0.7)]
    assert facts[0] == facts[1] != facts[2]
    assert facts[0]["task"] == facts[2]["task"]
    wrapped = scenario_of(partial(objective_of(0.2), **{}), SPACE, 1)
    assert wrapped["task"] == facts[0]["task"]
    assert scenario_of(Called("iris"), SPACE, 1)["task"] == "test_held.Called"
    book = Playbook(tmp_path / "b.db", shipped=False)
    zi.tune(objective_of(0.2), SPACE, trials=12, store=None, playbook=book)
    again = zi.tune(objective_of(0.7), SPACE, trials=12, store=None, playbook=book)
    assert again.history.advice  # the names mean the same
