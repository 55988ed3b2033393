"""An objective function as a task: answers what `tune` asks of a Task."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from zeroin.errors import StudyError
from zeroin.executors.inline import Inline
from zeroin.executors.processes import Processes
from zeroin.executors.run import Objective, takes_run
from zeroin.executors.worker import pickled
from zeroin.protocols import Executor
from zeroin.space import Space


@dataclass(frozen=True, slots=True)
class Function:
    """An objective function with what `tune` was told about it; implements `zeroin.protocols.Trainable`.

    Args:
        objective: f(config) -> loss, or f(config, run), which reports a loss each epoch.
        goal: "minimize" or "maximize".
        max_epochs: the number of epochs of a full training; 1 if it has no epochs.
        workers: the number of processes that it is to run in.
    """

    objective: Objective
    goal: str
    max_epochs: int
    workers: int

    @property
    def name(self) -> str:
        """The function's name, or "study" for one that has none."""
        names = [getattr(self.objective, attribute, None) for attribute in ("name", "__name__")]
        return next((name for name in names if name and isinstance(name, str) and name != "<lambda>"), "study")

    def space_for(self, trainings: float) -> Space:
        """A function has no space of its own.

        Raises:
            StudyError: always, since the space should have been given.
        """
        del trainings
        self._check_callable()
        raise StudyError(
            "a function is tuned over a space; got none: use tune(objective, "
            "zi.Space(lr=zi.Float(1e-5, 1, scale='log')))."
        )

    def check(self, space: Space) -> None:
        """Raise what can be known to be wrong before the study begins.

        Raises:
            StudyError: it is not a function, or it has several epochs but cannot report them.
            TaskError: workers cannot import it.
        """
        del space
        self._check_callable()
        if not takes_run(self.objective) and self.max_epochs > 1:
            raise StudyError(
                f"max_epochs is for an objective f(config, run) that reports each epoch; {self.name} takes config "
                f"alone: add run and call run.report(loss) in `for epoch in run.epochs():`, or leave max_epochs out."
            )
        if self.workers > 1:
            pickled(self.objective)

    def executor(self, folder: Path, *, max_epochs: int, workers: int, space: Space, trainings: float) -> Executor:
        """An executor that calls the function in this process, or in several."""
        del space, trainings
        if workers > 1:
            return Processes(partial(Inline, self.objective, folder, max_epochs), workers)
        return Inline(self.objective, folder, max_epochs)

    def _check_callable(self) -> None:
        if not callable(self.objective):
            raise StudyError(
                f"what is tuned is a function f(config) or a Task; got {self.objective!r}: use tune(objective, space)."
            )
