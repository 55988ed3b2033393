"""A function as a task: what `tune` asks of a Task, answered for an objective f(config) or f(config, run)."""

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
    """An objective with what `tune` was told of it; a `zeroin.protocols.Trainable`.

    Args:
        objective: f(config) -> loss, or f(config, run) that reports one each epoch.
        goal: "minimize" or "maximize".
        max_epochs: the deepest budget of one trial; 1 where it has no epochs.
        workers: processes that it has to get to.
    """

    objective: Objective
    goal: str
    max_epochs: int
    workers: int

    @property
    def name(self) -> str:
        """The function's, or "study"."""
        names = [getattr(self.objective, attribute, None) for attribute in ("name", "__name__")]
        return next((name for name in names if name and isinstance(name, str) and name != "<lambda>"), "study")

    def space_for(self, trainings: float) -> Space:
        """There is none: it has to be given.

        Raises:
            StudyError: always.
        """
        del trainings
        self._check_callable()
        raise StudyError(
            "a function is tuned over a space; got none: use tune(objective, "
            "zi.Space(lr=zi.Float(1e-5, 1, scale='log')))."
        )

    def check(self, space: Space) -> None:
        """What can be known to be wrong before the study is in the store; of the space nothing is.

        Raises:
            StudyError: no function, or one that reports no epochs but has several, or cannot get to workers.
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

    def executor(
        self, folder: Path, *, max_epochs: int, workers: int, space: Space | None = None, trainings: float = 0.0
    ) -> Executor:
        """This process, or several."""
        del space, trainings
        if workers > 1:
            return Processes(partial(Inline, self.objective), folder, max_epochs, workers)
        return Inline(self.objective, folder, max_epochs)

    def _check_callable(self) -> None:
        if not callable(self.objective):
            raise StudyError(
                f"what is tuned is a function f(config) or a Task; got {self.objective!r}: use tune(objective, space)."
            )
