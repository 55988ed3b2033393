"""A budget in minutes: what still fits in, judged by how long epochs have taken so far."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from zeroin.history import History
from zeroin.types import Trial

SHARE = 1 / 3  # of the whole time is reserved, at most, for what follows the search


@dataclass(frozen=True, slots=True)
class Pace:
    """How long full trainings take: `training` seconds each, with `at_once` of them running in parallel.

    >>> Pace(training=10.0, at_once=2).seconds(3), Pace(training=10.0, at_once=2).trainings(25.0)
    (20.0, 4)
    """

    training: float
    at_once: int

    def seconds(self, trainings: int) -> float:
        """How many seconds this many trainings take."""
        return self.training * math.ceil(trainings / self.at_once)

    def trainings(self, seconds: float) -> int:
        """How many trainings are completed in this many seconds."""
        return int(seconds / self.training) * self.at_once


@dataclass(slots=True)
class Clock:
    """How long a call may take, and what fits into the time that is left.

    Args:
        seconds: the limit of the whole call; infinite: none.
        now: returns seconds on some clock; an executor may have its own.
        after: how many full trainings follow the search.
        finish: whether the best trial is carried on if there is no time for them.

    Attributes:
        before: seconds that the study's jobs had taken before this call.
        kept: seconds at the end that are reserved for what follows the search.
        whole: the pace of trainings that are useless unless they are completed; None: jobs may end at any epoch.

    >>> clock = Clock(10.0, now=lambda: 3.0)
    >>> clock.left, clock.slots(4)
    (10.0, 4)
    """

    seconds: float = math.inf
    now: Callable[[], float] = time.monotonic
    after: int = 0
    finish: bool = False
    before: float = 0.0
    kept: float = 0.0
    whole: Pace | None = None
    began: float = field(init=False)
    _seen: dict[int, float] = field(default_factory=dict)  # when a job began, or told its last epoch
    _epoch: float = 0.0  # seconds of an epoch by the clock, the running mean

    def __post_init__(self) -> None:
        self.began = self.now()

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return math.isfinite(self.seconds)

    @property
    def elapsed(self) -> float:
        """Seconds since the call began."""
        return self.now() - self.began

    @property
    def left(self) -> float:
        """Seconds that are left, without those that are reserved."""
        return self.seconds - self.kept - self.elapsed

    def pace(self, history: History, trials: Sequence[Trial]) -> Pace | None:
        """How long full trainings take, by the epochs of some trials; None before the first of these."""
        each = [history.seconds_of(t.number) / t.epoch for t in trials if t.epoch and history.seconds_of(t.number)]
        elapsed = self.elapsed
        if not each or elapsed <= 0:
            return None
        # Two workers are measured as a little less than two.
        busy = max(1e-3, (history.seconds - self.before) / elapsed)
        training = history.max_epochs * sum(each) / len(each)
        return Pace(training / min(1.0, busy), max(1, round(busy)))

    def keep(self, history: History) -> None:
        """Reserve time for the trainings that follow the search, a third of the whole at most.

        If that is not enough for two trainings, which could be compared, reserve what carrying on the best trial takes,
        or nothing.
        """
        if not self.limited or not self.after:
            return
        pace, room = self.pace(history, history.trials), self.seconds * SHARE
        trainings = self.after
        if pace and trainings > 1 and pace.trainings(room) < 2:
            trainings = int(self.finish)
        self.kept = min(room, pace.seconds(trainings)) if pace else room

    def slots(self, most: int) -> int:
        """How many jobs may run at once, `most` at most, such that each gets somewhere in time."""
        if self.whole:
            return min(most, self.whole.trainings(self.left))
        return most if self.left > 0 and self._epoch <= self.left else 0

    def begin(self, job: int) -> None:
        """Note that a job begins now."""
        self._seen[job] = self.now()

    def goes_on(self, job: int) -> bool:
        """Note that a job has completed an epoch; whether it has time for another that takes as long."""
        now = self.now()
        took = now - self._seen.get(job, now)
        self._seen[job] = now
        self._epoch = took if self._epoch == 0.0 else 0.8 * self._epoch + 0.2 * took
        return took <= self.left
