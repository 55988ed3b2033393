"""The history of a study: everything that it has seen, and the only thing that decisions are made from.

A history is the sum of its events (`Advised`, `Asked`, `Observed`, `Ended`). A study applies them as they happen, and
the store replays them. So a resumed study has the same history as an unbroken one, and decides alike.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from zeroin.types import (
    Advised,
    Asked,
    Bet,
    Config,
    Ended,
    Event,
    Job,
    Kind,
    Observation,
    Observed,
    Region,
    Status,
    Trial,
)

FIRST = 16  # so many trials tell whether losses are noisy


class History:
    """Trials, jobs and regions. Searchers read it; only the study applies events to it.

    Args:
        max_epochs: the number of epochs of a full training.

    Attributes:
        trials: all of them, by number.
        jobs: all of them, in order of asking.
        regions: those that were searched; the last one is searched now.
        advice: what the playbook advised to try first when the study began.
        leads: further configs that did well in past studies, for the model to consider.
        searched: how many trials the search has begun, without the comparison after it.
        epochs: how many were trained, by the kind of the job.
        seconds: how many the ended jobs took.

    >>> History().spent
    0
    """

    __slots__ = (
        "_best", "_jumps", "_lowest", "_running", "_sums", "_told", "_took", "_undecided",
        "advice", "epochs", "jobs", "leads", "max_epochs", "regions", "searched", "seconds", "trials",
    )  # fmt: skip

    def __init__(self, max_epochs: int = 1) -> None:
        self.max_epochs = max_epochs
        self.trials: list[Trial] = []
        self.jobs: list[Job] = []
        self.regions: list[Region] = []
        self.advice: tuple[Bet, ...] = ()
        self.leads: tuple[Config, ...] = ()
        self.searched = 0
        self.epochs: Counter[Kind] = Counter()
        self.seconds = 0.0
        self._running: dict[int, None] = {}
        self._undecided: dict[int, None] = {}
        self._lowest: list[float] = []  # loss of each trial: to look for it in every epoch would take longer than that
        self._best: tuple[float, int, int] | None = None  # lowest loss, epochs (negative) and number of the incumbent
        self._sums = [[0.0] for _ in range(FIRST)]  # of the losses up to each epoch of each of the first trials
        self._told = self._jumps = 0  # epochs of theirs that were foretold, and those to which a mean was closer
        self._took: dict[int, float] = {}

    @property
    def running(self) -> Sequence[Job]:
        """The jobs that have not ended."""
        return [self.jobs[number] for number in self._running]

    @property
    def spent(self) -> int:
        """Epochs that the search has trained, without the comparison after it."""
        return sum(count for kind, count in self.epochs.items() if kind.is_search)

    @property
    def undecided(self) -> list[Trial]:
        """Trials of the search that have stopped before the last epoch, and about which nothing was decided since."""
        return [self.trials[number] for number in sorted(self._undecided)]

    @property
    def is_noisy(self) -> bool:
        """Whether losses jump: the mean of the last third of the epochs mostly tells the next one better than the last.

        The first trials of the study decide. Where losses just fall, the last one is always closer.
        """
        return 2 * self._jumps > self._told

    def seconds_of(self, trial: int) -> float:
        """Seconds that the ended jobs of a trial took."""
        return self._took.get(trial, 0.0)

    def can_go_on(self, trial: Trial) -> bool:
        """Whether an idle trial can be carried on: it has neither failed, nor been completed, nor ended by itself.

        A trial has ended by itself if its last job reported no epoch: asked again, it would report none again.
        """
        ends = trial.status.is_failure or trial.epoch >= self.max_epochs
        return not ends and trial.epoch > self.jobs[trial.jobs[-1]].start

    def apply(self, event: Event) -> None:
        """Add an event. Only the study, and the store as it replays one, call this."""
        match event:
            case Asked(jobs, region, paused):
                for job in jobs:
                    self._start(job)
                for number, why in paused.items():
                    self.trials[number] = replace(self.trials[number], paused=why)
                    self._undecided.pop(number, None)
                if region:
                    self.regions.append(region)
            case Advised(bets, region, leads):
                self.advice, self.leads = bets, leads
                if region:
                    self.regions.append(region)
            case Observed(number, observation):
                self._observe(self.jobs[number], observation)
            case Ended():
                self._end(event)

    def _start(self, job: Job) -> None:
        assert job.number == len(self.jobs), f"job {job.number} after {len(self.jobs)} jobs"
        if job.trial == len(self.trials):
            config = dict(job.config)  # whoever is given a job may change its config
            self.trials.append(Trial(job.trial, config, job.seed, job.kind, job.why, jobs=(job.number,)))
            self._lowest.append(math.inf)
            self.searched += job.kind.is_search
        else:
            trial = self.trials[job.trial]
            self.trials[job.trial] = replace(trial, jobs=(*trial.jobs, job.number), status=Status.RUNNING, paused="")
        self.jobs.append(job)
        self._running[job.number] = None
        self._undecided.pop(job.trial, None)

    def _observe(self, job: Job, seen: Observation) -> None:
        trial = self.trials[job.trial]
        if seen.epoch != trial.epoch + 1:
            return  # trained again after a crash, and known already
        losses, metrics = (*trial.losses, seen.loss), (*trial.metrics, seen.metrics)
        trial = self.trials[trial.number] = _after(trial, losses, metrics, trial.status, trial.note)
        self._lowest[trial.number] = min(self._lowest[trial.number], seen.loss)
        self.epochs[job.kind] += 1
        self._compare(trial)
        self._foretell(trial)

    def _end(self, ended: Ended) -> None:
        job = self.jobs[ended.job] = _over(self.jobs[ended.job], ended.status, ended.note)
        trial = self.trials[job.trial]
        trial = self.trials[job.trial] = _after(trial, trial.losses, trial.metrics, ended.status, ended.note)
        self._running.pop(job.number, None)
        if job.kind.is_search and not ended.status.is_failure and trial.epoch < self.max_epochs:
            self._undecided[job.trial] = None
        self.seconds += ended.seconds
        self._took[job.trial] = self.seconds_of(job.trial) + ended.seconds
        if ended.status.is_failure and self._best is not None and self._best[2] == job.trial:
            self._best = None  # it has no loss any more
            for trial in self.trials:
                self._compare(trial)

    def _foretell(self, trial: Trial) -> None:
        """Count whether the mean of the third before a trial's last epoch was closer to it than the epoch before."""
        if trial.number >= FIRST:
            return
        sums, known = self._sums[trial.number], trial.epoch - 1
        sums.append(sums[-1] + trial.losses[-1])
        if (width := third(known)) > 1:
            before, loss = trial.losses[-2:]
            self._told += 1
            self._jumps += abs((sums[known] - sums[known - width]) / width - loss) < abs(before - loss)

    def _compare(self, trial: Trial) -> None:
        if not trial.kind.is_search or trial.status.is_failure or not trial.losses:
            return
        place = self._lowest[trial.number], -trial.epoch, trial.number  # as `rank` has it
        self._best = place if self._best is None else min(self._best, place)


def third(epochs: int) -> int:
    """A third of so many epochs, rounded up."""
    return -(-epochs // 3)


def incumbent(history: History) -> Trial | None:
    """The best trial of the search so far, by `rank`."""
    return None if history._best is None else history.trials[history._best[2]]


def rank(trial: Trial) -> tuple[float, int, int]:
    """What trials are sorted by, the best first: the lowest loss at any epoch; of equal ones, the one trained longest.

    Those without a loss come last.
    """
    loss = trial.loss
    return math.inf if loss is None else loss, -trial.epoch, trial.number


def _over(job: Job, status: Status, note: str) -> Job:
    """The job after it ended. Written out, for the same reason as below."""
    return Job(job.number, job.trial, job.config, job.seed, job.start, job.stop, job.kind, job.why, status, note)


def _after(
    trial: Trial, losses: tuple[float, ...], metrics: tuple[Mapping[str, float], ...], status: Status, note: str
) -> Trial:
    """The trial after an epoch or a job. Written out because `replace` would take a tenth of the loop's time."""
    t = trial
    return Trial(t.number, t.config, t.seed, t.kind, t.why, losses, metrics, t.jobs, status, t.paused, note, t.goal)
