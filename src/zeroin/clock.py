"""Minutes as a budget: what fits before they are over, by what epochs took so far."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from zeroin.history import History
from zeroin.types import Trial

SHARE = 1 / 3  # of the whole time at most, for what follows the search


@dataclass(frozen=True, slots=True)
class Pace:
    """What full trainings take by the clock: `training` seconds each, `at_once` of them side by side.

    >>> Pace(training=10.0, at_once=2).seconds(3), Pace(training=10.0, at_once=2).trainings(25.0)
    (20.0, 4)
    """

    training: float
    at_once: int

    @staticmethod
    def of(history: History, trials: Sequence[Trial], elapsed: float, before: float) -> "Pace | None":
        """Of trials like these; None where none of them, nor any other, was trained for an epoch yet.

        Args:
            history: what was done.
            trials: those whose epochs count.
            elapsed: seconds of this call so far.
            before: seconds of the history's jobs that were done before this call.
        """
        each = [history.seconds_of(t.number) / t.epoch for t in trials if t.epoch and history.seconds_of(t.number)]
        if not each or elapsed <= 0:
            return None
        busy = max(1e-3, (history.seconds - before) / elapsed)  # two workers are measured as a little less than two
        training = history.max_epochs * sum(each) / len(each)
        return Pace(training / min(1.0, busy), max(1, round(busy)))

    def seconds(self, trainings: int) -> float:
        """What so many take, as many at once as there is room for."""
        return self.training * math.ceil(trainings / self.at_once)

    def trainings(self, seconds: float) -> int:
        """How many come to their end."""
        return int(seconds / self.training) * self.at_once


@dataclass(slots=True)
class Clock:
    """How long a call may take, and what fits into what is left.

    Args:
        seconds: of the whole call; infinite: no limit.
        now: seconds on some clock; an executor may have one of its own.
        after: full trainings that follow the search.
        finish: whether the best is carried on where there is no time for these.

    Attributes:
        kept: seconds at the end that are for what follows.
        whole: the pace of trainings that are of no use unless they come to their end; None: jobs may end at any epoch.

    >>> clock = Clock(10.0, now=lambda: 3.0)
    >>> clock.left, clock.slots(4)
    (10.0, 4)
    """

    seconds: float = math.inf
    now: Callable[[], float] = time.monotonic
    after: int = 0
    finish: bool = False
    kept: float = 0.0
    whole: Pace | None = None
    began: float = field(init=False)
    _seen: dict[int, float] = field(default_factory=dict)  # when a job began, or told its last epoch
    _epoch: float = 0.0  # seconds of an epoch by the clock, the running mean

    def __post_init__(self) -> None:
        self.began = self.now()

    @property
    def limited(self) -> bool:
        """Whether there is an end."""
        return math.isfinite(self.seconds)

    @property
    def elapsed(self) -> float:
        """Seconds since the call began."""
        return self.now() - self.began

    @property
    def left(self) -> float:
        """Seconds until the end, without those that are kept."""
        return self.seconds - self.kept - self.elapsed

    def keep(self, pace: Pace | None) -> None:
        """Keep what the trainings after the search take: a third of the whole time at most.

        Where that is no time for two, which could be compared, one of a best that is carried on, or nothing.
        """
        if not self.limited or not self.after:
            return
        room = self.seconds * SHARE
        trainings = self.after
        if pace and trainings > 1 and pace.trainings(room) < 2:
            trainings = int(self.finish)
        self.kept = min(room, pace.seconds(trainings)) if pace else room

    def slots(self, most: int) -> int:
        """How many jobs may be under way, so that each comes to something in time."""
        if self.whole:
            return min(most, self.whole.trainings(self.left))
        return most if self.left > 0 and self._epoch <= self.left else 0

    def begin(self, job: int) -> None:
        """A job begins now."""
        self._seen[job] = self.now()

    def goes_on(self, job: int) -> bool:
        """Told of an epoch of a job: whether another ends in time, if it takes as long."""
        now = self.now()
        took = now - self._seen.get(job, now)
        self._seen[job] = now
        self._epoch = took if self._epoch == 0.0 else 0.8 * self._epoch + 0.2 * took
        return took <= self.left
