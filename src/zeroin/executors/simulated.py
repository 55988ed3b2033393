"""An executor that reads losses off given learning curves, with a clock of its own: it simulates searches quickly."""

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zeroin.protocols import Report
from zeroin.types import Config, Ended, Job, Observation, Status


@dataclass(slots=True)
class _UnderWay:
    """A job: the scores of its epochs, the seconds of each, when it began, after how many epochs, how many are done."""

    job: Job
    scores: Sequence[float]
    seconds: float
    began: float
    known: int
    done: int = 0


class Simulated:
    """Simulates any number of workers by looking up learning curves.

    Args:
        curve: config -> the score after each epoch; a score that is not finite is a divergence there.
        slots: workers.
        seconds: config -> simulated seconds of one epoch; workers finish in the order that follows from it.

    >>> from zeroin import Float, Space, tune
    >>> table = Simulated(lambda config: [config["x"] / epoch for epoch in range(1, 9)], slots=4)
    >>> study = tune(print, Space(x=Float(1, 2)), max_epochs=8, epochs=80, executor=table, store=None)
    >>> table.clock > 0
    True
    """

    def __init__(
        self,
        curve: Callable[[Config], Sequence[float]],
        *,
        slots: int = 1,
        seconds: Callable[[Config], float] = lambda config: 1.0,  # noqa: ARG005
    ) -> None:
        self.slots = slots
        self.clock = 0.0
        self._curve, self._seconds = curve, seconds
        self._under_way: list[tuple[float, int, _UnderWay]] = []  # by the end of their epoch

    def now(self) -> float:
        """Seconds on the simulated clock."""
        return self.clock

    def start(self, job: Job, known: int) -> None:
        """Begin a job now, by the simulated clock."""
        scores = self._curve(job.config)[known : job.stop]
        self._push(_UnderWay(job, scores, self._seconds(job.config), self.clock, known))

    def wait(self, report: Report) -> list[Ended]:
        """Go on, epoch by epoch, to the moment when the next job ends."""
        while True:
            self.clock, _, one = heapq.heappop(self._under_way)
            if not len(one.scores):  # killed between its last epoch and its end
                return [Ended(one.job.number, Status.DONE)]
            one.done += 1
            took = one.done * one.seconds
            epoch, score = one.known + one.done, one.scores[one.done - 1]
            if not math.isfinite(score):
                return [Ended(one.job.number, Status.DIVERGED, f"the loss was not finite in epoch {epoch}", took)]
            goes_on = report(one.job, Observation(epoch, float(score), seconds=took))
            if not goes_on or one.done == len(one.scores):
                return [Ended(one.job.number, Status.DONE, "", took)]
            self._push(one)

    def _push(self, one: "_UnderWay") -> None:
        heapq.heappush(self._under_way, (one.began + (one.done + 1) * one.seconds, one.job.number, one))

    def close(self) -> None:
        """Drop what is under way."""
        self._under_way.clear()
