"""`Run`: the second argument of an objective that trains in epochs."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from zeroin.errors import TaskError
from zeroin.executors.checkpoint import Checkpoint
from zeroin.types import Config, Job, Kind, Observation, Status

Objective: TypeAlias = Callable[..., Any]  # f(config) -> loss, or f(config, run) that reports each epoch
Heard: TypeAlias = Callable[[Observation], bool]  # of an epoch; False asks to end there

LAZY = (  # functions that have done nothing yet when they return
    (inspect.iscoroutinefunction, "a coroutine (async def)", "use `lambda config: asyncio.run(it(config))`"),
    (inspect.isasyncgenfunction, "an asynchronous generator", "use def, and return the loss"),
    (inspect.isgeneratorfunction, "a generator (it has a yield)", "use return, or call run.report(loss) in each epoch"),
)


class Lost(BaseException):
    """A trial's checkpoint is gone, as an objective is about to load it; none of its `except Exception` is to hear."""


class Run:
    """A job as the objective sees it: which epochs to train, where to save, and how to report.

    zeroin makes it; an objective f(config, run) receives it.

    Attributes:
        max_epochs: the number of epochs of a full training.
        start: how many epochs of the trial were already trained; if it is above 0, load from `checkpoint`.
        epoch: how many were trained and reported so far.
        status: RUNNING, or DIVERGED once a loss was not finite.

    >>> def objective(config, run):
    ...     for epoch in run.epochs():
    ...         run.report(config["lr"] / (epoch + 1))
    """

    def __init__(self, job: Job, checkpoint: Checkpoint, heard: Heard, max_epochs: int) -> None:
        self._job, self._checkpoint, self._heard = job, checkpoint, heard
        self.max_epochs = max_epochs
        self.start = min(checkpoint.epoch, job.stop)
        self.epoch = self.start
        self.status = Status.RUNNING
        self._ending = self._due = False
        self._within: int | None = None  # the epoch under way in `epochs()`

    def begin_anew(self) -> None:
        """Go back to the first epoch."""
        self._checkpoint.begin_anew()
        self.start = self.epoch = 0

    @property
    def config(self) -> Config:
        """The hyperparameters."""
        return dict(self._job.config)

    @property
    def seed(self) -> int:
        """The trial's seed: a function of the study's seed and the trial's number."""
        return self._job.seed

    @property
    def trial(self) -> int:
        """The trial's number."""
        return self._job.trial

    @property
    def stop(self) -> int:
        """The epoch at which this job ends; the trial may be carried on later."""
        return self._job.stop

    @property
    def final(self) -> bool:
        """Whether this is one of the trainings after the search, in which the test set may be used."""
        return self._job.kind in (Kind.CONFIRM, Kind.DEFAULT)

    @property
    def checkpoint(self) -> Path:
        """The trial's folder: load from it if `start` > 0, save to it in every epoch for which `saving` is true."""
        if self._checkpoint.lost and self.epoch == self.start:
            raise Lost
        return self._checkpoint.path

    @property
    def saving(self) -> bool:
        """Whether the state after the current epoch may be needed: at the end of the job, and now and then before."""
        under_way = self.epoch if self._within is None else self._within
        return under_way >= self.stop - 1 or self._ending or self._due

    @property
    def ending(self) -> bool:
        """Whether the job ends after this epoch; for training loops that do not use `epochs()`."""
        return self._ending or self.epoch >= self.stop

    def epochs(self) -> Iterator[int]:
        """The epochs to train, counted from 0: from where the trial stood to where it is paused.

        Raises:
            TaskError: an epoch passed without a `report`.
        """
        for epoch in range(self.start, self.stop):
            self._due = self._checkpoint.due and epoch + 1 < self.stop  # asked once, so that what is saved is kept
            self._within = epoch
            yield epoch
            if self.status is Status.DIVERGED:
                return
            if self.epoch != epoch + 1:
                raise TaskError(
                    f"each epoch reports its loss once; epoch {epoch} reported none: "
                    f"call run.report(loss) once inside the loop."
                )
            if self._ending:
                return
            if self._due:
                self._checkpoint.put_aside(epoch + 1, last=False)

    def report(self, loss: Any = None, /, **metrics: Any) -> None:
        """Report the score after an epoch; one that is not finite ends the trial as diverged, and none counts after it.

        Args:
            loss: the score that is tuned: a number, or a tensor or array of one number. It may also be given by name,
                as `report(loss=...)`.
            **metrics: further numbers to keep; `report(accuracy, loss=...)` tunes the accuracy and keeps the loss.

        Raises:
            TaskError: a value is not a number, or this is the second report in an epoch, or one beyond the job's end.
        """
        if self.status is Status.DIVERGED:
            return
        if self._within is not None and self.epoch > self._within:
            raise TaskError(
                f"each epoch reports its loss once; epoch {self._within} reports again: "
                f"call run.report(loss) once inside the loop."
            )
        if self.epoch >= self.stop:
            raise TaskError(
                f"a job ends at run.stop; epoch {self.epoch} is reported beyond run.stop={self.stop}: loop with "
                f"`for epoch in run.epochs():`, and give tune(..., max_epochs=...) the epochs of a full training."
            )
        value = _number("loss", metrics.pop("loss", None) if loss is None else loss)
        if not math.isfinite(value):
            self.status, self._ending = Status.DIVERGED, True
            return
        self.epoch += 1
        observation = Observation(self.epoch, value, {k: _number(k, v) for k, v in metrics.items()})
        if not self._heard(observation):
            self._ending = True

    def returned(self, result: Any) -> None:
        """Report what an objective returned, if it has reported nothing.

        Raises:
            TaskError: it is no number, or one loss of several epochs.
        """
        if result is None or self.epoch > self.start or self.status is Status.DIVERGED:
            return
        if self.stop > self.start + 1 and math.isfinite(_number("loss", result)):
            raise TaskError(
                f"an objective reports each epoch; this one returned a single loss for epochs {self.start + 1} to "
                f"{self.stop}: call run.report(loss) in `for epoch in run.epochs():`, or leave max_epochs out."
            )
        self.report(result)


def takes_run(objective: Objective) -> bool:
    """Whether an objective is f(config, run) rather than f(config); a second argument `run` may have a default.

    Raises:
        TaskError: it takes neither one nor two arguments, or is a coroutine or a generator.
    """
    name = getattr(objective, "__name__", objective)
    for is_lazy, kind, remedy in LAZY:
        if is_lazy(objective) or is_lazy(getattr(objective, "__call__", None)):  # noqa: B004  of an object, its method
            raise TaskError(f"an objective returns its loss when it is called; {name!s} is {kind}: {remedy}.")
    try:
        parameters = list(inspect.signature(objective).parameters.values())
    except (TypeError, ValueError):
        return False
    in_place = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for i, p in enumerate(in_place) if p.default is p.empty or (i == 1 and p.name == "run")]
    by_name = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if len(needed) in (1, 2) and not by_name:
        return len(needed) == 2
    how = f"{by_name[0]} by name" if by_name else f"{len(needed)} arguments"
    raise TaskError(
        f"an objective is f(config) or f(config, run); {name!s} needs {how}: wrap it as `lambda config: ...`."
    )


def _number(name: str, value: Any) -> float:
    value = value.detach() if hasattr(value, "detach") else value  # PyTorch warns of a loss that has a gradient
    try:
        return float(value.item() if getattr(value, "size", None) == 1 else value)  # NumPy: an array of one number
    except (TypeError, ValueError, RuntimeError):  # the last of a tensor of several
        one = name
        if isinstance(value, Mapping) and value:
            one = f"{name}[{next(iter(value))!r}]"
        elif isinstance(value, list | tuple) and value:
            one = f"{name}[0]"
        elif hasattr(value, "mean"):
            one = f"{name}.mean()"
        shown = " ".join(repr(value).split())[:60]
        text = isinstance(value, str) and name != "loss"
        remedy = "write texts to a file in run.checkpoint" if text else f"report float({one})"
        raise TaskError(
            f"a reported {name} is a number; got {shown} of type {type(value).__name__}: {remedy}."
        ) from None
