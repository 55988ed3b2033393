"""The records that the parts of zeroin exchange: frozen dataclasses without behaviour of their own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

Value: TypeAlias = bool | int | float | str | None
Config: TypeAlias = Mapping[str, Any]  # hyperparameters by name; each is a Value, but only the user knows which kind
Range: TypeAlias = tuple[Value, ...]  # (low, high) of a number, the options of a choice


class Status(StrEnum):
    """How a job ended, or that it has not."""

    RUNNING = "running"
    DONE = "done"
    DIVERGED = "diverged"
    FAILED = "failed"
    OUT_OF_MEMORY = "out_of_memory"
    TIMED_OUT = "timed_out"

    @property
    def is_failure(self) -> bool:
        """Whether training went wrong, so that the trial counts as having no loss."""
        return self not in (Status.RUNNING, Status.DONE)


class Kind(StrEnum):
    """Why a job exists, in one word; `Job.why` says it in a sentence."""

    START = "start"  # a config that the user asked to try first
    PLAYBOOK = "playbook"  # a config that did well in past studies
    SCREEN = "screen"  # the coarse round
    ZOOM = "zoom"  # the model's choice
    EXPLORE = "explore"  # the share of the epochs that goes where the model does not look
    CONFIRM = "confirm"  # a fresh seed of one of the best, after the search
    DEFAULT = "default"  # the default config, for comparison, after the search

    @property
    def is_search(self) -> bool:
        """Whether it belongs to the search rather than to the comparison after it."""
        return self not in (Kind.CONFIRM, Kind.DEFAULT)

    @property
    def is_coarse(self) -> bool:
        """Whether it belongs to the coarse round, before the model chooses."""
        return self in (Kind.START, Kind.PLAYBOOK, Kind.SCREEN)


@dataclass(frozen=True, slots=True)
class Observation:
    """A trial's loss at a budget.

    Args:
        epoch: how many epochs were trained; 1 after the first.
        loss: after that epoch; lower is better.
        metrics: what else was reported, by name.
        seconds: what the job has taken so far; the loop looks at it, the store does not keep it.
    """

    epoch: int
    loss: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of training to do: one trial, from one epoch to another.

    Args:
        number: counts the study's jobs from 0, in the order in which they were asked for.
        trial: the number of the trial to train.
        config: the trial's hyperparameters by name.
        seed: the trial's seed, for initial weights, order of the data and so on.
        start, stop: the trial is trained from epoch `start` up to epoch `stop`; a new trial starts at 0.
        kind, why: why the job exists, in a word and in a sentence.
        status: how it ended, or that it is running.
        note: what happened, if it failed.

    >>> Job(number=0, trial=0, config={"lr": 0.1}, seed=1, start=2, stop=6, kind=Kind.SCREEN, why="").epochs
    4
    """

    number: int
    trial: int
    config: Config
    seed: int
    start: int
    stop: int
    kind: Kind
    why: str
    status: Status = Status.RUNNING
    note: str = ""

    @property
    def epochs(self) -> int:
        """How many epochs it asks for."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Trial:
    """A config and its seed, trained to one or more budgets.

    Args:
        number: counts the study's trials from 0.
        config: the hyperparameters by name, only those that are active.
        seed: of its training.
        kind, why: why it was tried, in a word and in a sentence.
        losses: one for each epoch trained so far; `losses[e - 1]` is the loss after epoch `e`.
        metrics: what else was reported, for each epoch by name.
        jobs: the numbers of its jobs.
        status: how its last job ended, or that it is running.
        paused: why it was not carried on; empty while that is undecided.
        note: what happened, if it failed.
        goal: "minimize" or "maximize" `losses`. Inside zeroin it is always "minimize"; trials that a `Study` shows have
            the user's own goal.

    >>> trial = Trial(0, {"lr": 0.1}, seed=1, kind=Kind.SCREEN, why="", losses=(0.5, 0.3, 0.4))
    >>> trial.loss, trial.best_epoch, trial.epoch
    (0.3, 2, 3)
    """

    number: int
    config: Config
    seed: int
    kind: Kind
    why: str
    losses: tuple[float, ...] = ()
    metrics: tuple[Mapping[str, float], ...] = ()
    jobs: tuple[int, ...] = ()
    status: Status = Status.RUNNING
    paused: str = ""
    note: str = ""
    goal: str = "minimize"

    @property
    def epoch(self) -> int:
        """How many epochs were trained and reported."""
        return len(self.losses)

    @property
    def loss(self) -> float | None:
        """The best loss of any epoch so far; None for a trial that failed or has reported nothing yet."""
        if self.status.is_failure or not self.losses:
            return None
        return min(self.losses) if self.goal == "minimize" else max(self.losses)

    @property
    def best_epoch(self) -> int | None:
        """The first epoch, counted from 1, at which `loss` was reached."""
        return None if self.loss is None else self.losses.index(self.loss) + 1

    @property
    def best_metrics(self) -> Mapping[str, float]:
        """What else was reported at the last epoch at which `loss` was reached; nothing where there is no loss.

        The last, because of epochs of equal scores training keeps the network of the lower loss, and by then it is
        known which one that is.
        """
        return {} if self.loss is None else self.metrics[-1 - self.losses[::-1].index(self.loss)]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a searcher wants trained up to epoch `stop`: `config` as a new trial, or the `trial` of that number."""

    stop: int
    kind: Kind
    why: str
    config: Config | None = None
    trial: int | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """The part of the space that a round searches.

    Args:
        round: counts the regions of a study; 0 is the coarse round.
        after: how many jobs had been asked for when the region was drawn.
        ranges: where configs are proposed, by hyperparameter.
        likely: where the best config lies with a probability of 90 %, by the model; without hyperparameters that are
            inactive in it.
        volume: the share of `ranges` that is `likely`.
        why: what is new, in words.
        over: whether the search ends here, because all configs of a small space were tried.
    """

    round: int
    after: int
    ranges: Mapping[str, Range]
    likely: Mapping[str, Range]
    volume: float
    why: str
    over: bool = False


@dataclass(frozen=True, slots=True)
class Importance:
    """How much a hyperparameter matters: the share of the loss's variance that vanishes when it is held fixed.

    `mean` is what the model expects, `low` and `high` are its 5 % and 95 % quantiles. The shares of hyperparameters
    that act together add up to more than 1.
    """

    name: str
    low: float
    mean: float
    high: float


@dataclass(frozen=True, slots=True)
class Decision:
    """A searcher's answer: what to train, the new region if there is one, and trials that are paused, with the reason.

    An empty decision says: nothing more until a running job has ended.
    """

    proposals: tuple[Proposal, ...] = ()
    region: Region | None = None
    paused: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """Event: a decision was taken; `jobs` start, trials are `paused` for a reason, and there may be a new region."""

    jobs: tuple[Job, ...]
    region: Region | None = None
    paused: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observed:
    """Event: a job reported the result of an epoch."""

    job: int
    observation: Observation


@dataclass(frozen=True, slots=True)
class Ended:
    """Event: a job ended; `note` says what happened if it failed, `seconds` how long it took."""

    job: int
    status: Status
    note: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Bet:
    """A config that the playbook advises to try at once, and why."""

    config: Config
    why: str


@dataclass(frozen=True, slots=True)
class Advised:
    """Event: the playbook was consulted, once, as the study began.

    Args:
        bets: configs that the coarse round begins with.
        region: the ranges to begin with; None: those that were declared.
        leads: further configs that did well in past studies. They are not tried at once; the model considers them
            beside its own candidates.
    """

    bets: tuple[Bet, ...]
    region: Region | None = None
    leads: tuple[Config, ...] = ()


Event: TypeAlias = Asked | Observed | Ended | Advised
