"""`Study`: one tuning effort. It brings the history, the searcher and the store together behind ask and tell."""

import logging
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias

from zeroin import goal as direction
from zeroin import trialtable
from zeroin.asking import jobs_of, to_start_with
from zeroin.budget import Budget
from zeroin.checked import (
    check_part,
    checked_max_epochs,
    checked_seed,
    checked_space,
    checked_start,
    checked_store,
    is_whole,
)
from zeroin.errors import StudyError
from zeroin.header import Header
from zeroin.history import History
from zeroin.plan import Plan
from zeroin.protocols import Searcher, Store
from zeroin.reporting import report_of, write_report
from zeroin.resuming import changed_objective, check_unchanged, region_by_hand
from zeroin.search import Zoom
from zeroin.space import Space
from zeroin.space.changes import changed
from zeroin.store import files_of, open_study, read_study
from zeroin.telling import Metrics, check_running, told
from zeroin.types import (
    Asked,
    Config,
    Decision,
    Event,
    Job,
    Observation,
    Observed,
    Region,
    Status,
    Trial,
    Value,
)
from zeroin.winner import chosen
from zeroin.wording import counted, error_line, score_words, storable

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("zeroin")
NO_LIMIT = Budget()
ANOTHER = (
    "study %r goes on with %s that has %s since its %d trials: where it now scores otherwise they cannot be "
    "compared, and another name= begins anew"
)
CHANGED = (
    "study %r goes on with a changed space: %s; trials outside it still count, the best one too, and another name "
    "begins without them"
)
Listener: TypeAlias = Callable[["Study", Event | Plan], None]


class Study:
    """One tuning effort, driven by your own loop: ask for jobs, train, tell what came of them.

    A study may be used from any thread, but only from one at a time.

    Args:
        space: the hyperparameters.
        max_epochs: the number of epochs of a full training; None: the objective has no epochs.
        goal: whether the scores that are told are to "minimize" or to "maximize".
        store: the file that keeps everything; None: memory only.
        name: of the study in the store. A study that is already there under this name continues where it stopped.
        seed: decides every random draw.
        searcher: decides what to try; None: `zeroin.search.Zoom`.
        start: configs to try first. A study that continues tries only those that it has not tried yet.
        task: what was named on the command line, kept for the record.
        scenario: facts about the task, by which the playbook recognises similar studies.
        measure: what the scores measure (the metric, the data, ...). A study can only continue if this is unchanged.

    Raises:
        SpaceError: a start config that does not fit the space.
        StoreError: a store that cannot be written, or another process writes this study.
        StudyError: the store has a study of this name with another max_epochs, goal, seed or measure; or the searcher
            is none.

    >>> from zeroin.space import Float
    >>> study = Study(Space(x=Float(0, 1)), store=None)
    >>> job = study.ask()[0]
    >>> study.tell(job, losses=[job.config["x"] ** 2])
    >>> study.best.loss
    0.25
    """

    def __init__(
        self,
        space: Space,
        *,
        max_epochs: int | None = None,
        goal: str = "minimize",
        store: str | Path | None = "zeroin.db",
        name: str = "study",
        seed: int = 0,
        searcher: Searcher | None = None,
        start: Sequence[Config] = (),
        task: str = "",
        scenario: Mapping[str, Value] | None = None,
        measure: Mapping[str, Value] | None = None,
    ) -> None:
        self.goal, self.name, self.seed = direction.check(goal), name, checked_seed(seed)
        self.space, self.max_epochs = checked_space(space), checked_max_epochs(max_epochs)
        check_part("a searcher", searcher, "decide")
        self.searcher: Searcher = searcher or Zoom()
        self._start = checked_start(self.space, start)
        self._store: Store | None = None
        self._temporary: Path | None = None
        self.history = History(self.max_epochs)
        self.path = checked_store(store)
        self._unkept: list[Event | Plan] = []  # ends of jobs, which count already
        self.listeners: list[Listener] = []
        self.header = Header(
            name,
            goal,
            self.max_epochs,
            self.seed,
            space,
            storable(task),
            datetime.now(UTC).isoformat(),
            dict(scenario or {}),
            dict(measure or {}),
        )
        if self.path:
            self._store, known, self.history = open_study(self.path, self.header)
            self.header = replace(self.header, created=known.created, plan=known.plan)
            self._go_on(known)
        self._open = list(self.history.running)  # asked for by a process that is gone

    # --- your own loop

    def ask(self, free: int = 1) -> list[Job]:
        """The next jobs to do. Jobs that an earlier process left unfinished come first.

        Args:
            free: how many jobs you could start now.

        Returns:
            At most `free` jobs. An empty list says that nothing can be decided before a running job is told, or, with
            none running, that the search is over because all configs of a small space were tried. If the result of
            a job will never come, say so: `tell(job, status="failed")`.

        Raises:
            StudyError: `free` is not a whole number from 0, or the study is closed.

        >>> from zeroin.space import Float
        >>> [job.stop for job in Study(Space(x=Float(0, 1)), max_epochs=8, store=None).ask(3)]
        [1, 1, 1]
        """
        if not is_whole(free, 0):
            raise StudyError(f"free slots are counted from 0; free={free!r}: use ask(1).")
        left = [job for job in self._open if self.history.jobs[job.number].status is Status.RUNNING]
        if left and free > 0:
            self._open = left[free:]
            return left[:free]
        return self.decide(self.searcher, int(free))

    def tell(
        self,
        job: Job,
        losses: Iterable[float] | float | None = None,
        status: str | None = None,
        note: str | Exception = "",
        metrics: Metrics | None = None,
    ) -> None:
        """Report the result of a job.

        Args:
            job: one that `ask` returned.
            losses: the score after each epoch of the job, or its only score. A score that is not finite marks the job
                as diverged.
            status: how the job ended if it went wrong: "failed", "diverged", "out_of_memory" or "timed_out".
            note: what happened in that case, or the exception that was raised.
            metrics: what else was measured, by name, after each of those epochs: `[{"accuracy": 0.9}, ...]`; of a
                single score one dict.

        Raises:
            StudyError: the job is not running, there are more scores than epochs, a score is not a number, the status
                is unknown, or there are not as many metrics as scores.
        """
        check_running(job, self.history, self.name)
        seen, ended = told(job, losses, status, note, metrics)
        for each in seen:
            self.observe(job, each)
        self.record(ended)

    # --- results

    @property
    def best(self) -> Trial:
        """The best trial, with losses in the user's own sense.

        After confirmation it is the trial in which the search found the winning config.

        Raises:
            StudyError: no trial has a loss yet.
        """
        found = chosen(self.history)
        if found is None:
            last = next(reversed(self.history.trials), None)
            how = f" (the last {last.status}: {error_line(last.note)})" if last and last.note else ""
            raise StudyError(
                f"a best trial needs one that worked; {counted(len(self.history.trials), 'trial')}, none with a loss"
                f"{how}: fix that, or change the ranges; study.trials has the note of each."
            )
        return direction.shown(self.goal, found)

    @property
    def trials(self) -> list[Trial]:
        """All trials by number, with losses in the user's own sense."""
        return [direction.shown(self.goal, t) for t in self.history.trials]

    @property
    def regions(self) -> list[Region]:
        """The regions that were searched; the last one is searched now."""
        return list(self.history.regions)

    def to_dataframe(self) -> "pd.DataFrame":
        """The trials as a pandas DataFrame, one row each.

        Columns are number, kind, status, epoch, loss and so on, each hyperparameter, and the metrics reported at the
        epoch of the best loss; of several such epochs at the last.

        Raises:
            StudyError: pandas is not installed.
        """
        return trialtable.frame(self.space, self.trials)

    def report(self, path: str | Path | None = None) -> Path:
        """Write the report, a single HTML file that opens offline.

        Args:
            path: where to; None: `report.html` in the study's folder, beside the checkpoints, or without a store in
                the working directory.

        Returns:
            The path of the file.

        Raises:
            StudyError: the file cannot be written.
        """
        target = Path(path) if path else (self.folder if self.path else Path()) / "report.html"
        return write_report(target, report_of(self.header, self.history, self.folder))

    def close(self) -> None:
        """Close the store, so that another process may write the study; results stay readable."""
        self._open = []
        if self._store:
            try:
                self.keep()
            finally:
                self._store.close()
                self._store = None

    # --- for the loop

    @property
    def folder(self) -> Path:
        """Where checkpoints, weights and the report are kept; a temporary folder if there is no store."""
        if self.path:
            return files_of(self.path, self.name)
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="zeroin-"))
            weakref.finalize(self, shutil.rmtree, self._temporary, ignore_errors=True)
        return self._temporary

    def decide(self, searcher: Searcher, free: int, budget: Budget = NO_LIMIT) -> list[Job]:
        """Ask a searcher for at most `free` jobs within the budget, record them, and return them."""
        asked_for = self._start if searcher is self.searcher else ()
        first = to_start_with(asked_for, self.history)[:free]
        if first:
            decision = Decision(tuple(first))
        else:
            decision = searcher.decide(self.space, self.history, free, max_epochs=self.max_epochs, seed=self.seed)
        jobs = jobs_of(decision.proposals, self.history, seed=self.seed, budget=budget)
        asked = Asked(jobs, decision.region, decision.paused)
        if asked.jobs or asked.region or asked.paused:
            self.record(asked)
        else:
            self.keep()
        return list(asked.jobs)

    def observe(self, job: Job, seen: Observation, *, with_next: bool = False) -> None:
        """Record the score of an epoch, given in the user's own sense; `with_next` as for `record`."""
        self.record(Observed(job.number, direction.as_loss(self.goal, seen)), with_next=with_next)

    def record(self, event: Event | Plan, *, with_next: bool = False) -> None:
        """Write an event (or the plan of a run) to the store, apply it to the history, and tell the listeners.

        An event that another one follows at once may be written `with_next` event, in one transaction, at half the
        cost. If the process is killed between the two, the store has the job running with all its epochs observed,
        and the job ends again when the study is resumed.

        Raises:
            StudyError: the study is closed, or was loaded for reading.
        """
        if self.path and self._store is None:
            raise StudyError(
                f"a study that was loaded, or closed (as by tune() at its end), is read-only; {self.name!r} in "
                f"{self.path}: go on with zi.Study(..., store={str(self.path)!r}, name={self.name!r})."
            )
        if with_next:
            self._unkept.append(event)
        else:
            self.keep(event)
        if isinstance(event, Plan):
            self.header = replace(self.header, plan=event)
        else:
            self.history.apply(event)
        for listen in self.listeners:
            listen(self, event)

    def keep(self, *more: Event | Plan) -> None:
        """Write, in one transaction, the events that were to be written with the next one, and then `more`."""
        events = [*self._unkept, *more]
        if self._store and events:
            self._store.write(*events)
        self._unkept.clear()

    def __repr__(self) -> str:
        found, best = chosen(self.history), ""
        if found and found.loss is not None:
            best = f", best {score_words(direction.turned(self.goal, found.loss))}"
        trials, epochs = counted(len(self.history.trials), "trial"), counted(self.history.spent, "epoch")
        return f"<Study {self.name!r}: {trials}, {epochs} of search{best}>"

    def __enter__(self) -> "Study":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _go_on(self, known: Header) -> None:
        """Check that a stored study can continue as asked, and log what has changed."""
        assert self._store
        assert self.path
        try:
            check_unchanged(known, self.header, self.path)
        except StudyError:
            self.close()
            raise
        was, now = known.measure, self.header.measure
        mended = changed_objective(was, now)
        if mended and self.history.jobs:
            what = "an objective" if "objective" in now else "a network, loss or metric"
            log.warning(ANOTHER, self.name, what, mended, len(self.history.trials))
        if mended or now.keys() - was.keys():  # or begun without them
            self._store.set_measure({**was, **now})
        if known.space != self.space:
            changes = changed(known.space, self.space)
            log.warning(CHANGED, self.name, changes)
            if self.history.jobs or self.history.regions:  # before any job there may be one, of the playbook's ranges
                self.record(Asked((), region_by_hand(known.space, self.space, self.history, changes)))
            self._store.set_space(self.space, len(self.history.jobs))  # last: until then the change is seen again
        if self.history.jobs:
            log.info("study %r goes on: %d trials known", self.name, len(self.history.trials))


def load(name: str | None = None, store: str | Path = "zeroin.db") -> Study:
    """Load a study from a store for reading. Another process may be writing it at the same time.

    Args:
        name: of the study; None: the newest in the store.
        store: the file.

    Returns:
        The study, with its space; nothing can be asked of it or told to it.

    Raises:
        StoreError: there is no such file or study.

    >>> load("digits").best.config["lr"]  # doctest: +SKIP
    0.003505
    """
    path = checked_store(store) or Path()
    header, history = read_study(path, name)
    study = Study(
        header.space, max_epochs=header.max_epochs, goal=header.goal, store=None, name=header.name, seed=header.seed
    )
    study.header, study.path, study.history = header, path, history
    return study
