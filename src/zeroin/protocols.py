"""The protocols that searchers, executors, stores and tasks implement. Nothing is registered or inherited."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from zeroin.history import History
from zeroin.plan import Plan
from zeroin.space import Space
from zeroin.types import Decision, Ended, Event, Job, Observation, Value

# The name of a store's thread. It holds no lock that others wait for, so a process with such a thread can be forked.
STORE_THREAD: Final = "zeroin-store"


class Report(Protocol):
    """Called after each epoch of a job; returning False asks the job to end there."""

    def __call__(self, job: Job, seen: Observation, /, *, with_next: bool = False) -> bool:
        """Record an observation; `with_next`: it may be stored together with the next event, or when `wait` returns."""


class Searcher(Protocol):
    """Decides what to train next."""

    def decide(self, space: Space, history: History, free: int, *, max_epochs: int, seed: int) -> Decision:
        """At most `free` proposals, as a pure function of the arguments.

        Trials of the kinds CONFIRM and DEFAULT in the history do not belong to the search. An empty decision says that
        nothing can be decided until a running job ends; if none is running, the search is over.

        Args:
            space: the hyperparameters.
            history: everything seen so far.
            free: how many jobs could start now.
            max_epochs: the number of epochs of a full training.
            seed: of the study.
        """


class Executor(Protocol):
    """Does jobs: in this process, in several, in stacks, on a simulated clock, on a cluster.

    It may also implement the protocols `Grouping`, `Timed`, `Patient` and `Clocked`.
    """

    @property
    def slots(self) -> int:
        """How many jobs it can have at once."""

    def start(self, job: Job, known: int) -> None:
        """Take a job and return at once.

        Args:
            job: what to train.
            known: how many epochs of its trial are in the store; a checkpoint of a later epoch must not be used.
        """

    def wait(self, report: Report) -> Sequence[Ended]:
        """Work until a job ends, or until several that are trained together have done an epoch.

        Args:
            report: called in this process after each epoch of any job.

        Returns:
            The jobs that have ended, if any.
        """

    def close(self) -> None:
        """Release all resources; running jobs are dropped and will be done again."""


@runtime_checkable
class Grouping(Protocol):
    """An executor that does jobs together only if their configs agree in some hyperparameters."""

    @property
    def grouping(self) -> tuple[str, ...]:
        """The names of those hyperparameters."""


@runtime_checkable
class Timed(Protocol):
    """An executor that knows how long an epoch takes."""

    @property
    def seconds(self) -> float:
        """Seconds of an epoch of one job while every slot is in use; 0: not measured."""


@runtime_checkable
class Patient(Protocol):
    """An executor that can kill a job; `patience` is how many seconds a job may take for an epoch.

    The loop sets it; None: as long as it takes.
    """

    patience: float | None


@runtime_checkable
class Clocked(Protocol):
    """An executor with a clock of its own."""

    def now(self) -> float:
        """Seconds on that clock."""


class Store(Protocol):
    """Keeps a study's events."""

    def write(self, *events: Event | Plan) -> None:
        """Write events, or the plan of a run.

        When this returns, they survive the death of the process; shortly afterwards they survive a power cut.
        """

    def set_space(self, space: Space, after: int) -> None:
        """Write a changed space, which holds from job number `after` on."""

    def set_measure(self, measure: Mapping[str, Value]) -> None:
        """Write what the study's scores measure."""

    def close(self) -> None:
        """Release the study, so that others may write it."""


@runtime_checkable
class Trainable(Protocol):
    """A task that brings its own training: what `tune` asks of it."""

    @property
    def name(self) -> str:
        """The default name of its study."""

    @property
    def goal(self) -> str:
        """The direction of its metric: "minimize" or "maximize"."""

    @property
    def max_epochs(self) -> int:
        """The number of epochs of a full training by default."""

    def space_for(self, trainings: float) -> Space:
        """The space worth searching with this many full trainings."""

    def check(self, space: Space) -> None:
        """Raise a `TaskError` for whatever can be known to be wrong before any training."""

    def executor(self, folder: Path, *, max_epochs: int, workers: int, space: Space, trainings: float) -> Executor:
        """An executor that trains configs of `space`, which was checked.

        Args:
            folder: where its checkpoints go.
            max_epochs: the number of epochs of a full training.
            workers: how many processes.
            space: the hyperparameters.
            trainings: about how many full trainings the budget pays for.
        """
