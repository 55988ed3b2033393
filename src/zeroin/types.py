"""The records that every part of zeroin speaks in: frozen, plain, free of behaviour that needs a store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

Value: TypeAlias = bool | int | float | str | None
Config: TypeAlias = Mapping[str, Any]  # of a Value each; Any, as a user knows which are numbers
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
        """Whether the trial ended here without a loss."""
        return self not in (Status.RUNNING, Status.DONE)


class Kind(StrEnum):
    """Why a job exists, in one word; its sentence stands in `why`."""

    START = "start"  # a config that the user asked for first
    PLAYBOOK = "playbook"  # a config that did well in past studies
    SCREEN = "screen"  # the coarse round
    ZOOM = "zoom"  # the model's choice
    EXPLORE = "explore"  # the share kept for what the model does not see
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
    """A trial's loss at a budget: `loss` after `epoch` epochs (1 is the first), lower is better.

    `seconds`, which its job has taken so far, are reported but not stored.
    """

    epoch: int
    loss: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Job:
    """Train `trial` from epoch `start` to epoch `stop`; `number` counts the study's jobs in order of asking."""

    number: int
    trial: int
    config: Config
    seed: int
    start: int
    stop: int
    kind: Kind
    why: str
    status: Status = Status.RUNNING
    note: str = ""  # of a failure: what happened

    @property
    def epochs(self) -> int:
        """Epochs it was asked to train."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Trial:
    """A config and its seed, trained to one or more budgets.

    `losses[e - 1]` is the loss after epoch `e`; it ends where training stands. `jobs` are the numbers
    of its jobs. `paused` says why it was not carried on, empty while that is open.
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
    goal: str = "minimize"  # the sense of `losses`; inside zeroin always this one

    @property
    def epoch(self) -> int:
        """Epochs trained and observed."""
        return len(self.losses)

    @property
    def loss(self) -> float | None:
        """The best loss at any epoch so far; None for a trial that failed or has none yet."""
        if self.status.is_failure or not self.losses:
            return None
        return min(self.losses) if self.goal == "minimize" else max(self.losses)

    @property
    def best_epoch(self) -> int | None:
        """The first epoch of that loss, counted from 1."""
        return None if self.loss is None else self.losses.index(self.loss) + 1


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a searcher wants trained: a new trial when `trial` is None, else that trial carried on to `stop`."""

    stop: int
    kind: Kind
    why: str
    config: Config | None = None
    trial: int | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """The part of the space that a round searches.

    Configs are proposed within `ranges`; `likely` holds the best config with 90 % by the model, without
    what that config does not have; `after` is the number of jobs when it was drawn; `volume` is the share of the
    ranges that is likely; with one that is `over` the search ends, as all configs of a small space were tried.
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
    """The share of the loss's variance that goes away when a hyperparameter is held: 5 %, mean and 95 % by the model.

    Shares of several hyperparameters add up to more than 1 where they act together.
    """

    name: str
    low: float
    mean: float
    high: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What a searcher answers: jobs to start, the region if it moved, trials paused and why.

    An empty decision means: nothing more until a running job returns.
    """

    proposals: tuple[Proposal, ...] = ()
    region: Region | None = None
    paused: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """Event: a decision was taken; these jobs start, these trials rest, the region may have moved."""

    jobs: tuple[Job, ...]
    region: Region | None = None
    paused: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observed:
    """Event: a job reported an epoch."""

    job: int
    observation: Observation


@dataclass(frozen=True, slots=True)
class Ended:
    """Event: a job returned; `note` says what happened where it failed, `seconds` what it took."""

    job: int
    status: Status
    note: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A config that past studies recommend, and why."""

    config: Config
    why: str


@dataclass(frozen=True, slots=True)
class Advised:
    """Event: the playbook was looked up; the coarse round begins with the suggestions, whatever it says later.

    `region` has the ranges to begin with; None: those that were declared. `leads` are further configs that did well in
    past studies: not tried at once, but the model weighs them beside its own candidates.
    """

    suggestions: tuple[Suggestion, ...]
    region: Region | None = None
    leads: tuple[Config, ...] = ()


Event: TypeAlias = Asked | Observed | Ended | Advised
