"""Learning curves, and the best score so far against the epochs spent, as numbers."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zeroin.goal import turned
from zeroin.history import History
from zeroin.report.scores import ScoreAxis, score_axis
from zeroin.report.thin import CURVE_POINTS, evenly
from zeroin.types import Kind, Status, Trial

TO_THE_END = "to the end"  # how a trial ended that was trained in full


@dataclass(frozen=True, slots=True)
class Curve:
    """A trial's scores by epoch, and their heights on the axis; `ending` is its state in words."""

    trial: int
    epochs: tuple[int, ...]
    scores: tuple[float, ...]
    heights: tuple[float, ...]
    kind: Kind
    ending: str  # "to the end", "paused", "running", or how it failed
    best: bool


@dataclass(frozen=True, slots=True)
class Curves:
    """Learning curves and the axis they share."""

    curves: tuple[Curve, ...]
    axis: ScoreAxis


@dataclass(frozen=True, slots=True)
class Step:
    """After `spent` epochs of the search, this trial was the best so far."""

    spent: int
    score: float
    height: float
    trial: int


@dataclass(frozen=True, slots=True)
class Progress:
    """The best score so far; flat after the last step until `spent`."""

    steps: tuple[Step, ...]
    spent: int
    axis: ScoreAxis


def learning_curves(trials: Sequence[Trial], goal: str, max_epochs: int, best: int | None) -> Curves:
    """The curves of these trials; `best` is the number of the best one."""
    rows = []
    for trial in trials:
        epochs = _epochs(trial.losses)
        if epochs:
            rows.append((trial, epochs, [turned(goal, trial.losses[e - 1]) for e in epochs]))
    axis = score_axis([s for _, _, scores in rows for s in scores], goal, "points")
    return Curves(
        tuple(
            Curve(
                t.number,
                tuple(epochs),
                tuple(scores),
                tuple(axis.place(s) for s in scores),
                t.kind,
                ending(t, max_epochs),
                t.number == best,
            )
            for t, epochs, scores in rows
        ),
        axis,
    )


def ending(trial: Trial, max_epochs: int) -> str:
    """The state of a trial in one or two words."""
    if trial.status.is_failure:
        return trial.status.replace("_", " ")
    if trial.epoch >= max_epochs:
        return TO_THE_END
    return "paused" if trial.paused else "running" if trial.status is Status.RUNNING else "waiting"


def progress(history: History, goal: str) -> Progress:
    """The best score so far against the epochs spent, as if jobs had run in the order in which they were asked for."""
    found: list[tuple[int, float, int]] = []
    best, spent = math.inf, 0
    for spent, (trial, loss) in enumerate(search_epochs(history), 1):
        if loss < best and not trial.status.is_failure:
            best = loss
            found.append((spent, loss, trial.number))
    found = evenly(found, CURVE_POINTS)
    axis = score_axis([turned(goal, loss) for _, loss, _ in found], goal, "steps", patience=20.0)
    steps = ((n, turned(goal, loss), trial) for n, loss, trial in found)
    return Progress(tuple(Step(n, s, axis.place(s), trial) for n, s, trial in steps), spent, axis)


def search_epochs(history: History) -> Iterator[tuple[Trial, float]]:
    """The trial and the loss of each epoch of the search, job by job in the order in which they were asked for."""
    for job in history.jobs:
        trial = history.trials[job.trial]
        if trial.kind.is_search:
            later = [number for number in trial.jobs if number > job.number]
            stop = history.jobs[later[0]].start if later else trial.epoch
            yield from ((trial, loss) for loss in trial.losses[job.start : stop])


def _epochs(losses: Sequence[float]) -> list[int]:
    """Epochs to draw: all, or evenly spaced ones and the best."""
    epochs = evenly(range(1, len(losses) + 1), CURVE_POINTS)
    if len(epochs) < len(losses):
        epochs = sorted({*epochs, 1 + min(range(len(losses)), key=losses.__getitem__)})
    return epochs
