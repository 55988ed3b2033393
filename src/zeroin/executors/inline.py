"""An executor that does one job at a time, in the study's own process."""

from collections import deque
from pathlib import Path

from zeroin.executors.perform import perform
from zeroin.executors.run import Objective, takes_run
from zeroin.protocols import Report
from zeroin.types import Ended, Job


class Inline:
    """Calls the objective in this process.

    Args:
        objective: f(config) -> loss, or f(config, run).
        folder: where checkpoints go; made when first used.
        max_epochs: the deepest budget of one trial.
        seconds: of an epoch, as far as it is known.
    """

    slots = 1

    def __init__(self, objective: Objective, folder: Path, max_epochs: int, seconds: float = 0.0) -> None:
        self._objective = objective if takes_run(objective) else lambda config, _run: objective(config)
        self._folder, self._max_epochs, self.seconds = folder, max_epochs, seconds
        self._waiting: deque[tuple[Job, int]] = deque()

    def start(self, job: Job, known: int) -> None:
        """Queue a job."""
        self._waiting.append((job, known))

    def wait(self, report: Report) -> list[Ended]:
        """Do the job that came first."""
        job, known = self._waiting.popleft()
        return [perform(self._objective, job, self._folder, known, self._max_epochs, lambda seen: report(job, seen))]

    def close(self) -> None:
        """Drop what is queued."""
        self._waiting.clear()
