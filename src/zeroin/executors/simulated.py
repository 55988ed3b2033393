"""Jobs read off learning curves, on a clock of its own: a search over years of training in milliseconds."""

import heapq
import math
from collections.abc import Callable, Sequence

from zeroin.protocols import Report
from zeroin.types import Config, Ended, Job, Observation, Status


class Simulated:
    """Any number of workers that train at the speed of a table.

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
        self._under_way: list[tuple[float, int, Job, int]] = []

    def start(self, job: Job, known: int) -> None:
        """Begin a job now, by the simulated clock."""
        took = (job.stop - known) * self._seconds(job.config)
        heapq.heappush(self._under_way, (self.clock + took, job.number, job, known))

    def wait(self, report: Report) -> list[Ended]:
        """Go on to the moment when the next job ends."""
        self.clock, number, job, known = heapq.heappop(self._under_way)
        each, took = self._seconds(job.config), 0.0
        for epoch, score in enumerate(self._curve(job.config)[known : job.stop], start=known + 1):
            took += each
            if not math.isfinite(score):
                return [Ended(number, Status.DIVERGED, f"the loss was not finite in epoch {epoch}", took)]
            if not report(job, Observation(epoch, float(score), seconds=took)):
                break
        return [Ended(number, Status.DONE, "", took)]

    def close(self) -> None:
        """Drop what is under way."""
        self._under_way.clear()
