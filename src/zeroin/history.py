"""What a study has seen: the one thing that decisions are made from.

A history is the sum of its events (`Asked`, `Observed`, `Ended`). A study applies them as they happen and the
store replays them, so that a resumed study and an unbroken one hold equal histories and decide alike.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from zeroin.types import Asked, Ended, Event, Job, Observed, Region, Status, Trial


class History:
    """Trials, jobs and regions by number. Searchers read; only the study applies events.

    >>> History().spent
    0
    """

    __slots__ = ("_jobs", "_regions", "_running", "_seconds", "_spent", "_trials")

    def __init__(self) -> None:
        self._trials: list[Trial] = []
        self._jobs: list[Job] = []
        self._regions: list[Region] = []
        self._running: dict[int, None] = {}
        self._spent = 0
        self._seconds = 0.0

    @property
    def trials(self) -> Sequence[Trial]:
        """All trials, by number."""
        return self._trials

    @property
    def jobs(self) -> Sequence[Job]:
        """All jobs, in order of asking."""
        return self._jobs

    @property
    def regions(self) -> Sequence[Region]:
        """The regions searched so far, the last one now."""
        return self._regions

    @property
    def running(self) -> Iterator[Job]:
        """Jobs asked for that have not ended."""
        return (self._jobs[number] for number in self._running)

    @property
    def spent(self) -> int:
        """Epochs trained by the search (not by the comparison after it)."""
        return self._spent

    @property
    def promised(self) -> int:
        """Epochs spent, and those that running jobs of the search still have to train."""
        return self._spent + sum(j.stop - self._trials[j.trial].epoch for j in self.running if j.kind.is_search)

    @property
    def seconds(self) -> float:
        """Seconds that ended jobs took, added up."""
        return self._seconds

    def apply(self, event: Event) -> None:
        """Add an event. The study and the store's replay call this, nobody else."""
        match event:
            case Asked(jobs, region, paused):
                for job in jobs:
                    self._start(job)
                for number, why in paused.items():
                    self._trials[number] = replace(self._trials[number], paused=why)
                if region:
                    self._regions.append(region)
            case Observed(number, observation):
                trial = self._trials[self._jobs[number].trial]
                if observation.epoch == trial.epoch + 1:  # an epoch trained again after a crash is known already
                    self._trials[trial.number] = replace(
                        trial,
                        losses=(*trial.losses, observation.loss),
                        metrics=(*trial.metrics, observation.metrics),
                    )
                    self._spent += trial.kind.is_search
            case Ended(number, status, note, seconds):
                job = self._jobs[number]
                self._jobs[number] = replace(job, status=status, note=note)
                self._trials[job.trial] = replace(self._trials[job.trial], status=status, note=note)
                self._running.pop(number, None)
                self._seconds += seconds

    def _start(self, job: Job) -> None:
        assert job.number == len(self._jobs), f"job {job.number} after {len(self._jobs)} jobs"
        if job.trial == len(self._trials):
            self._trials.append(Trial(job.trial, job.config, job.seed, job.kind, job.why))
        trial = self._trials[job.trial]
        self._trials[job.trial] = replace(trial, jobs=(*trial.jobs, job.number), status=Status.RUNNING, paused="")
        self._jobs.append(job)
        self._running[job.number] = None


def incumbent(history: History) -> Trial | None:
    """The best trial of the search so far: the lowest loss at any epoch, among the deepest where equal."""
    done = [t for t in history.trials if t.kind.is_search and t.loss is not None]
    return min(done, key=lambda t: (t.loss, -t.epoch, t.number), default=None)
