"""Keeps the account of one study: what was trained, what it cost in epochs, and what was observed.

Every method, ours and the peers', trains through a `Ledger`, so that all pay alike: an epoch is charged when it is first trained,
and a trial that is continued goes on from where it stood.  numpy only.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from families import Array, Config, Curve, Task


class BudgetSpent(Exception):  # noqa: N818 - an end, not an error
    """The study's epochs are used up."""


@dataclass
class Training:
    """One config and how far it has been trained."""

    config: Config
    losses: Array
    truth: Array
    epochs: int = 0

    @property
    def loss(self) -> float:
        """The loss where it stands; inf where it diverged."""
        return as_loss(self.losses[self.epochs - 1])


@dataclass
class Ledger:
    """The account of one study of `task`, which may train `budget` epochs in all."""

    task: Task
    seed: int
    budget: int
    spent: int = 0
    observed: list[tuple[int, float, float]] = field(default_factory=list)  # epochs spent so far, loss seen, loss without noise
    trainings: int = 0
    _curve: Curve = field(init=False)

    def __post_init__(self) -> None:
        self._curve = self.task.open()

    @classmethod
    def of(cls, task: Task, seed: int, trainings: int) -> "Ledger":
        """A budget of so many full trainings."""
        return cls(task, seed, trainings * task.max_epochs)

    def open(self, config: Config) -> Training:
        """A new training, nothing of it done yet."""
        if self.spent >= self.budget:
            raise BudgetSpent
        losses = self._curve(config, self.seed * 100_003 + self.trainings)
        self.trainings += 1
        return Training(config, losses, losses if self.task.truth is None else self.task.truth(config))

    def train(self, training: Training, until: int) -> float:
        """Goes on to epoch `until`, charges what is new, and returns the loss there. Raises `BudgetSpent` at the end of the budget."""
        for epoch in range(training.epochs, until):
            if self.spent >= self.budget:
                raise BudgetSpent
            self.spent += 1
            training.epochs = epoch + 1
            self.observed.append((self.spent, as_loss(training.losses[epoch]), as_loss(training.truth[epoch])))
        return training.loss

    def full(self, config: Config) -> float:
        """Trains a new config in full."""
        return self.train(self.open(config), self.task.max_epochs)


def as_loss(x: float) -> float:
    """inf for nan and for whatever lies beyond reason."""
    return float(x) if math.isfinite(x) and abs(x) < 1e12 else math.inf


def finite(loss: float, ledger: Ledger) -> float:
    """For peers that take no inf: as bad as a bad random config, and no worse than needed."""
    task = ledger.task
    return loss if math.isfinite(loss) else task.best + 10 * (task.median_random - task.best)


def regret_curve(task: Task, observed: list[tuple[int, float, float]], trainings: int) -> Array:
    """Regret of the best so far after 1, 2, ... `trainings` full trainings' worth of epochs; at first nan, if all diverged."""
    curve = np.full(trainings, np.nan)
    best_seen, best_true, at = math.inf, math.nan, 0
    for training in range(trainings):
        while at < len(observed) and observed[at][0] <= (training + 1) * task.max_epochs:
            if observed[at][1] < best_seen:
                best_seen, best_true = observed[at][1], observed[at][2]
            at += 1
        curve[training] = task.regret(best_true)
    return curve
