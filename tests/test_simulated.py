"""The simulated executor: schedulers meet learning curves in milliseconds, with results in any order."""

import numpy as np
import pytest

import zeroin as zi
from zeroin.executors.simulated import Simulated
from zeroin.types import Kind, Status
from zeroin.winner import scores

SPACE = zi.Space(x=zi.Float(0.0, 1.0), slow=zi.Choice(True, False))


def curve(config):
    return [abs(config["x"] - 0.3) + 1.0 / epoch for epoch in range(1, 17)]


def tuned(slots, seconds=lambda config: 1.0, epochs=16 * 20):
    executor = Simulated(curve, slots=slots, seconds=seconds)
    study = zi.tune(curve, SPACE, max_epochs=16, epochs=epochs, executor=executor, store=None)
    return study, executor


@pytest.mark.slow
def test_many_workers_spend_the_same_epochs_in_a_fraction_of_the_time():
    alone, clock1 = tuned(1)
    many, clock8 = tuned(8)
    assert alone.history.spent == many.history.spent == 16 * 20
    assert clock1.clock == 16 * 20
    assert clock8.clock < clock1.clock / 3
    assert many.history.seconds == 16 * 20  # what the jobs took, added up
    assert abs(many.best.config["x"] - 0.3) < 0.05


@pytest.mark.slow
def test_workers_of_different_speed_return_in_their_own_order_and_no_trial_is_lost():
    study, _ = tuned(6, seconds=lambda config: 5.0 if config["slow"] else 1.0)
    assert all(job.status is not Status.RUNNING for job in study.history.jobs)
    assert sum(t.epoch for t in study.trials) == study.history.spent
    numbers = [t.number for t in study.trials]
    assert numbers == list(range(len(numbers)))


def test_a_curve_that_breaks_off_is_a_divergence():
    executor = Simulated(lambda config: np.array([1.0, float("nan") if config["x"] > 0.5 else 0.5]))
    study = zi.tune(curve, zi.Space(x=zi.Float(0.0, 1.0)), max_epochs=2, epochs=24, executor=executor, store=None)
    broken = [t for t in study.trials if t.config["x"] > 0.5 and t.epoch == 1 and t.status is Status.DIVERGED]
    assert broken
    assert all(t.loss is None for t in broken)


@pytest.mark.parametrize(
    ("max_epochs", "slots", "training", "seeds"),
    [
        (16, 1, 24, 2),
        pytest.param(16, 4, 60, 2, marks=pytest.mark.slow),
        (1, 1, 20, 3),
        (1, 4, 60, 3),
    ],  # seconds of a training, seeds that there is time for
)
def test_minutes_are_those_of_search_and_comparison_together(max_epochs, slots, training, seeds):
    def seconds(config):
        return training / max_epochs * (0.7 + config["x"])

    executor = Simulated(lambda config: curve(config)[:max_epochs], slots=slots, seconds=seconds)
    given = {"max_epochs": max_epochs} if max_epochs > 1 else {}
    study = zi.tune(curve, SPACE, **given, minutes=10, confirm=5, executor=executor, store=None, playbook=False)
    assert 8 * 60 <= executor.clock <= 10.5 * 60
    told = scores(study.history)
    assert {score.kind for score in told} == {Kind.CONFIRM, Kind.DEFAULT}
    assert all(len(score.losses) >= seeds for score in told if score.kind is Kind.DEFAULT)
    assert all(t.epoch == max_epochs for t in study.trials if not t.kind.is_search)  # none was cut
    assert all(job.status is not Status.RUNNING for job in study.history.jobs)
    assert sum(j.stop - j.start for j in study.history.jobs if j.kind.is_search) * training / max_epochs > 240 * slots


def test_where_minutes_are_no_time_for_a_comparison_all_are_the_search_s(caplog):
    def ended(**given):
        executor = Simulated(curve, seconds=lambda _: 20.0)
        study = zi.tune(curve, SPACE, max_epochs=16, minutes=10, executor=executor, store=None, playbook=False, **given)
        assert all(t.kind.is_search for t in study.trials)
        return executor.clock

    assert ended(confirm=0) == 600.0
    assert not caplog.text
    assert ended(confirm=5) == 600.0
    assert "what is left of 10 minutes is time for none of 5 fresh seeds" in caplog.text


def test_an_epoch_that_would_not_end_in_time_does_not_begin():
    executor = Simulated(curve, slots=2, seconds=lambda config: 70.0 if config["slow"] else 45.0)
    study = zi.tune(curve, SPACE, max_epochs=16, minutes=5, executor=executor, store=None, playbook=False)
    assert 200 < executor.clock <= 300
    assert all(job.status is Status.DONE for job in study.history.jobs)
    assert sum(t.epoch for t in study.trials) == study.history.spent
