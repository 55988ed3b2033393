"""The sockets: what a searcher, an executor, a store and a task must offer. Implementations are final."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from zeroin.history import History
from zeroin.plan import Plan
from zeroin.space import Space
from zeroin.types import Decision, Ended, Event, Job, Observation, Value

# The name of a store's thread. It holds no lock that others wait for, so a process that has one can be forked.
STORE_THREAD: Final = "zeroin-store"


class Report(Protocol):
    """Called at each epoch of a job; False asks the job to end there."""

    def __call__(self, job: Job, seen: Observation, /, *, with_next: bool = False) -> bool:
        """Keep it; `with_next`: together with what is told next, or at the latest when `wait` returns."""


class Searcher(Protocol):
    """History in, next jobs out."""

    def decide(self, space: Space, history: History, free: int, *, max_epochs: int, seed: int) -> Decision:
        """At most `free` jobs, as a pure function of the arguments.

        Trials of kinds CONFIRM and DEFAULT in the history are not the search's. An empty decision says that
        nothing can be decided until a running job ends; with none running it is over.
        """


class Executor(Protocol):
    """Does the jobs: inline, in processes, stacked, simulated, on a cluster.

    What it may have besides, each a socket of its own: `Grouping`, `Timed`, `Patient`, `Clocked`.
    """

    @property
    def slots(self) -> int:
        """How many jobs it can have at once."""

    def start(self, job: Job, known: int) -> None:
        """Take a job, return at once; `known` epochs of its trial are in the store, so no checkpoint beyond counts."""

    def wait(self, report: Report) -> Sequence[Ended]:
        """Work until a job ended, or several went on by a step together; tell those that ended.

        Call `report` in this process for each epoch of any job as it is seen.
        """

    def close(self) -> None:
        """Give back what it holds; jobs under way are dropped and will be done again."""


@runtime_checkable
class Grouping(Protocol):
    """An executor that does jobs at once only where their configs agree in some hyperparameters."""

    @property
    def grouping(self) -> tuple[str, ...]:
        """Their names."""


@runtime_checkable
class Timed(Protocol):
    """An executor that knows what an epoch takes."""

    @property
    def seconds(self) -> float:
        """What an epoch of one job takes while as many are under way as there are slots; 0: not measured."""


@runtime_checkable
class Patient(Protocol):
    """An executor that can end a job by force; `patience` are the seconds that one may go on without an epoch.

    The loop sets them; None: as long as it takes.
    """

    patience: float | None


@runtime_checkable
class Clocked(Protocol):
    """An executor with a clock of its own."""

    def now(self) -> float:
        """Seconds on it."""


class Store(Protocol):
    """Keeps a study's events for good."""

    def write(self, *events: Event | Plan) -> None:
        """Keep events, or the plan of a run; when this returns they outlive the process, and soon after a power cut."""

    def set_space(self, space: Space, after: int) -> None:
        """Keep a changed space, valid from job `after` on."""

    def set_measure(self, measure: Mapping[str, Value]) -> None:
        """Keep what the study's scores are scores of."""

    def close(self) -> None:
        """Give the study back for others to write."""


@runtime_checkable
class Trainable(Protocol):
    """What `tune` needs of a task that brings its own training: its space, its direction, its executor."""

    @property
    def name(self) -> str:
        """The study's usual name."""

    @property
    def goal(self) -> str:
        """The direction of its metric, as `tune` takes it."""

    @property
    def max_epochs(self) -> int:
        """The deepest budget of one trial, unless told otherwise."""

    def space_for(self, trainings: float) -> Space:
        """The space worth searching with this many full trainings."""

    def check(self, space: Space) -> None:
        """Tell what can be known to be wrong before any training, as a `TaskError`."""

    def executor(
        self, folder: Path, *, max_epochs: int, workers: int, space: Space | None = None, trainings: float = 0.0
    ) -> Executor:
        """An executor that trains configs of `space`, for about so many full trainings; checkpoints below `folder`."""
