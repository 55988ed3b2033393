"""From what a study is told about a job to events: checked scores and how the job ended."""

import math
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from zeroin.checked import checked_metrics, checked_scores
from zeroin.errors import StudyError
from zeroin.history import History
from zeroin.types import Ended, Job, Observation, Status
from zeroin.wording import storable, traced

Metrics: TypeAlias = Mapping[str, float] | Iterable[Mapping[str, float]]  # of one epoch, or of each

ENDINGS = tuple(str(status) for status in Status if status is not Status.RUNNING)


def told(
    job: Job,
    losses: Iterable[float] | float | None,
    status: str | None,
    note: str | Exception,
    metrics: Metrics | None,
) -> tuple[list[Observation], Ended]:
    """The observations of a job and how it ended; arguments as for `Study.tell`.

    Raises:
        StudyError: there are more scores than epochs, a score is not a number, the status is unknown, or there are not
            as many metrics as scores.
    """
    if status is not None and status not in ENDINGS:
        raise StudyError(f"a job ends as one of {', '.join(ENDINGS)}; status={status!r}: use status='failed'.")
    scores = [] if losses is None else checked_scores(losses)
    if len(scores) > job.epochs:
        raise StudyError(
            f"a job has a score for each of its epochs; {len(scores)} scores for epochs "
            f"{job.start + 1}..{job.stop}: tell {job.epochs}."
        )
    if status in (None, Status.DONE) and not scores:
        raise StudyError("a job is told its scores or its failure; got neither: use tell(job, losses=[...]).")
    others = [{}] * len(scores) if metrics is None else checked_metrics(metrics, len(scores))
    finite = next((i for i, score in enumerate(scores) if not math.isfinite(score)), len(scores))
    if finite < len(scores) and status in (None, Status.DONE):
        status, note = Status.DIVERGED, f"the loss was not finite in epoch {job.start + finite + 1}"
    seen = [Observation(job.start + 1 + i, scores[i], others[i]) for i in range(finite)]
    return seen, Ended(
        job.number, Status(status or Status.DONE), storable(note) if isinstance(note, str) else traced(note)
    )


def check_running(job: Job, history: History, name: str) -> None:
    """Check that what a study is told of is a job of its own that is running.

    Args:
        job: as the user gave it.
        history, name: of the study.

    Raises:
        StudyError: it is not.
    """
    if not isinstance(job, Job):
        raise StudyError(f"what is told is a job that ask() gave; got a {type(job).__name__}: use job, = study.ask().")
    if job.number >= len(history.jobs) or history.jobs[job.number].status is not Status.RUNNING:
        raise StudyError(f"a job is told once, after it was asked for; job {job.number} is not running: ask again.")
    if history.jobs[job.number].config != job.config:
        raise StudyError(
            f"a job is told to the study that asked for it; job {job.number} of study {name!r} has another "
            f"config: tell the study whose ask() gave it."
        )
