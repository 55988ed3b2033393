"""Keeps the account of one study: what was trained, what it cost in epochs, and what was observed.

Every method, ours and the peers', trains through a `Ledger`, so that all pay alike: an epoch is charged when it is
first trained, and a trial that is continued goes on from where it stood. numpy only.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from families import Array, Config, Curve, Task

WORST_REGRET = 10.0


class BudgetSpent(Exception):
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
    observed: list[tuple[int, float, float]] = field(
        default_factory=list
    )  # epochs spent so far, loss seen, loss without noise
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
        """Goes on to epoch `until`, charges what is new, and returns the loss there.

        Raises:
            BudgetSpent: nothing is left for the next epoch.
        """
        for epoch in range(training.epochs, until):
            if self.spent >= self.budget:
                raise BudgetSpent
            self.spent += 1
            training.epochs = epoch + 1
            self.observed.append((self.spent, as_loss(training.losses[epoch]), as_loss(training.truth[epoch])))
        return training.loss

    def full(self, config: Config) -> float:
        """Trains a new config in full, and returns its loss as peers are told it."""
        return self.told(self.open(config), self.task.max_epochs)

    def told(self, training: Training, until: int) -> float:
        """Like `train`, but the loss is one that peers can take."""
        return self.tellable(self.train(training, until))

    def tellable(self, loss: float) -> float:
        """Peers do not take nan or inf: a diverged training is told as ten times worse than a median random one."""
        worst = self.task.best + WORST_REGRET * (self.task.median_random - self.task.best)
        return min(as_loss(loss), worst)


def as_loss(x: float) -> float:
    """inf for nan and for whatever lies beyond reason."""
    return float(x) if math.isfinite(x) and abs(x) < 1e12 else math.inf


def regret_curve(task: Task, observed: list[tuple[int, float, float]], trainings: int) -> Array:
    """Regret of the best so far after 1, 2, ... full trainings' worth of epochs; 1 as long as all diverged."""
    curve = np.empty(trainings)
    best_seen, best_true, at = math.inf, task.median_random, 0
    for training in range(trainings):
        while at < len(observed) and observed[at][0] <= (training + 1) * task.max_epochs:
            if observed[at][1] < best_seen:
                best_seen, best_true = observed[at][1], observed[at][2]
            at += 1
        curve[training] = task.regret(best_true)
    return curve
