"""The simulated executor: schedulers meet learning curves in milliseconds, with results in any order."""

import zeroin as zi
from zeroin.executors.simulated import Simulated
from zeroin.types import Status

SPACE = zi.Space(x=zi.Float(0.0, 1.0), slow=zi.Choice(True, False))


def curve(config):
    return [abs(config["x"] - 0.3) + 1.0 / epoch for epoch in range(1, 17)]


def tuned(slots, seconds=lambda config: 1.0, epochs=16 * 20):
    executor = Simulated(curve, slots=slots, seconds=seconds)
    study = zi.tune(curve, SPACE, max_epochs=16, epochs=epochs, executor=executor, store=None)
    return study, executor


def test_many_workers_spend_the_same_epochs_in_a_fraction_of_the_time():
    alone, clock1 = tuned(1)
    many, clock8 = tuned(8)
    assert alone.history.spent == many.history.spent == 16 * 20
    assert clock1.clock == 16 * 20
    assert clock8.clock < clock1.clock / 3
    assert many.history.seconds == 16 * 20  # what the jobs took, added up
    assert abs(many.best.config["x"] - 0.3) < 0.05


def test_workers_of_different_speed_return_in_their_own_order_and_no_trial_is_lost():
    study, _ = tuned(6, seconds=lambda config: 5.0 if config["slow"] else 1.0)
    assert all(job.status is not Status.RUNNING for job in study.history.jobs)
    assert sum(t.epoch for t in study.trials) == study.history.spent
    numbers = [t.number for t in study.trials]
    assert numbers == list(range(len(numbers)))


def test_a_curve_that_breaks_off_is_a_divergence():
    executor = Simulated(lambda config: [1.0, float("nan")] if config["x"] > 0.5 else [1.0, 0.5])
    study = zi.tune(curve, zi.Space(x=zi.Float(0.0, 1.0)), max_epochs=2, epochs=24, executor=executor, store=None)
    broken = [t for t in study.trials if t.config["x"] > 0.5 and t.epoch == 1 and t.status is Status.DIVERGED]
    assert broken
    assert all(t.loss is None for t in broken)
