"""Importance: what matters comes first, and the model says how sure it is."""

import math

import numpy as np
import pytest

import zeroin as zi
from zeroin.search import importance
from zeroin.search.importance import importances


def studied(trials):
    space = zi.Space(x=zi.Float(0, 1), y=zi.Float(0, 1), z=zi.Float(0, 1), kind=zi.Choice("a", "b"), k=zi.Int(1, 9))

    def objective(config):
        return 1 + 4 * (config["x"] - 0.4) ** 2 + 0.3 * config["y"] + (config["kind"] == "b")

    study = zi.tune(objective, space.fix("k", 3), trials=trials, store=None)
    return importances(study.space, study.history)


def test_what_matters_comes_first_and_what_does_not_last():
    found = studied(40)
    names = [each.name for each in found]
    assert names[:2] == ["kind", "x"]  # of the loss's variance over the space: 0.63 and 0.36 by the formula
    assert names[-1] == "z"
    assert found[-1].mean < 0.02
    assert "k" not in names  # it is fixed
    assert all(0 <= each.low <= each.mean <= each.high for each in found)


def test_of_many_hyperparameters_fewer_points_tell_the_same(monkeypatch):
    monkeypatch.setattr(importance, "MOST", 24 * 5)  # as for 160 hyperparameters
    assert [each.name for each in studied(40)][:2] == ["kind", "x"]


@pytest.mark.slow
def test_what_does_nothing_may_be_nothing_where_losses_are_noisy():
    """Draws of the model wiggle along it as well: by their mean it would have a tenth to a seventh of the variance."""
    space = zi.Space(**{name: zi.Float(0, 1) for name in "abcd"})
    idle, least = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)

        def objective(config, rng=rng):
            return (0.3 + abs(config["a"] - config["b"]) + 0.1 * config["c"]) * math.exp(0.1 * rng.standard_normal())

        study = zi.tune(objective, space, trials=40, store=None, seed=seed)
        found = {each.name: each for each in importances(space, study.history)}
        assert found["d"].low == 0
        idle.append(found["d"].mean)
        least.append(min(found["a"].low, found["b"].low))
    assert np.mean(idle) < 0.1
    assert np.mean(least) > 0.4


def test_nothing_matters_where_everything_is_held(tmp_path):
    space = zi.Space(x=zi.Float(0, 1)).fix("x", 0.5)
    study = zi.tune(lambda config: config["x"], space, trials=6, store=tmp_path / "z.db", playbook=tmp_path / "book.db")
    assert importances(space, study.history) == []


def test_few_trials_say_nothing_rather_than_something_wrong():
    assert studied(3) == []
