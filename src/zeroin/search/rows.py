"""A history as rows, one for each observation at a rung, and a cache of what was computed from a history before."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from zeroin.history import History
from zeroin.search import finite
from zeroin.search.outlook import Outlook, known, shipped, since
from zeroin.search.rungs import loss_at
from zeroin.space import Space
from zeroin.space.scales import Array
from zeroin.types import Job, Range, Status

Row: TypeAlias = tuple[int, int, float, float]  # trial, rung, loss, loss before


@dataclass(frozen=True, slots=True)
class Rows:
    """Observations at rungs, in the order of their jobs.

    Args:
        trial, rung, loss: of each observation [n]; `rung` is an index into `ladder`.
        before: the loss at two thirds of the epochs [n].
        units: the points [trials, D] of all trials.
        leaning: how much losses of all trials still fall by their hyperparameters alone [trials, 3].
        ladder: the rungs in epochs, the lowest first.
        outlook: says how much losses still fall; None: that is not known.
        noisy: whether losses are noisy, so that the lowest of them is luck.
        typical: the losses of trials below this number tell where the bad tail begins; None: those of all trials.
    """

    trial: np.ndarray
    rung: np.ndarray
    loss: Array
    before: Array
    units: Array
    leaning: Array
    ladder: tuple[int, ...]
    outlook: Outlook | None = None
    noisy: bool = False
    typical: int | None = None

    def part(self, which: slice | np.ndarray) -> "Rows":
        """Some of the observations."""
        cut = {name: getattr(self, name)[which] for name in ("trial", "rung", "loss", "before")}
        return replace(self, **cut)


@dataclass(slots=True)
class Memory:
    """A cache of what was computed from a history, for one space and ladder of rungs: it saves time, no more.

    `outlook` says how much losses still fall; None: that is not known, as of a space of other hyperparameters.
    """

    space: Space
    history: History
    ladder: tuple[int, ...]
    outlook: Outlook | None = field(default_factory=shipped)
    fits: dict[tuple[bytes | int | None, ...], tuple[Array, float]] = field(default_factory=dict)
    _names: dict[str, str] = field(init=False)  # that the outlook knows
    _noisy: bool = False  # whether the losses below are means
    _jobs: int = 0  # jobs whose rows are below: those before the first that still runs
    _rows: Array = field(default_factory=lambda: np.empty((0, 4)))
    _encoded: int = 0  # trials whose points are below
    _units: Array = field(init=False)
    _leaning: Array = field(default_factory=lambda: np.empty((0, 3)))
    _keys: set[bytes] = field(default_factory=set)
    _leads: Array | None = None
    _listing: tuple[dict[str, Range], Array | None] | None = None

    def __post_init__(self) -> None:
        self._names = known(self.space)
        self.outlook = self.outlook if self._names else None
        self._units = np.empty((0, len(self.space)))

    def rows(self) -> Rows:
        """The history as rows."""
        history, jobs = self.history, self.history.jobs
        if self._noisy is not history.is_noisy:  # all are judged anew
            self._noisy, self._jobs, self._rows = history.is_noisy, 0, self._rows[:0]
        first = next((job.number for job in history.running), len(jobs))
        self._rows = np.vstack([self._rows, self._seen(jobs[self._jobs : first])])
        self._jobs = first
        columns = np.vstack([self._rows, self._seen(jobs[first:])]).T.copy()
        trial, rung = columns[:2].astype(int)
        units = self.units
        leaning = self._leaning[: len(units)]
        return Rows(trial, rung, columns[2], columns[3], units, leaning, self.ladder, self.outlook, self._noisy)

    @property
    def units(self) -> Array:
        """The configs of all trials as points [n, D]."""
        self._encode()
        return self._units[: self._encoded]

    @property
    def keys(self) -> set[bytes]:
        """Those of these points, to see whether a config was tried."""
        self._encode()
        return self._keys

    @property
    def leads(self) -> Array:
        """The history's leads as points [k, D]."""
        leads = self.history.leads
        if self._leads is None or len(self._leads) != len(leads):
            self._leads = np.array([self.space.units(config) for config in leads]).reshape(-1, len(self.space))
        return self._leads

    def listed(self, ranges: dict[str, Range]) -> Array | None:
        """All configs of the ranges as points [n, D]; None where they are many."""
        if self._listing is None or self._listing[0] != ranges:
            self._listing = ranges, finite.listed(self.space, ranges)
        return self._listing[1]

    def _seen(self, jobs: Sequence[Job]) -> Array:
        """The rows of jobs as an array [n, 4]."""
        return np.array([row for job in jobs for row in _rows_of(job, self.history, self.ladder)]).reshape(-1, 4)

    def _encode(self) -> None:
        for trial in self.history.trials[self._encoded :]:
            if self._encoded == len(self._units):
                self._units, self._leaning = _longer(self._units), _longer(self._leaning)
            self._units[self._encoded] = point = self.space.units(trial.config)
            self._keys.add(finite.key(point))
            if self.outlook:
                self._leaning[self._encoded] = self.outlook.leaning(trial.config, self._names)
            self._encoded += 1


def _longer(table: Array) -> Array:
    """Room for twice as many rows."""
    filled, columns = table.shape
    return np.vstack([table, np.zeros((max(64, filled), columns))])


def _rows_of(job: Job, history: History, ladder: tuple[int, ...]) -> list[Row]:
    """One for each rung that a job reached; if it failed, infinite at the next one.

    A trial that had ended by itself, as an objective does that stops early, is complete: more epochs change nothing.
    """
    if job.status is Status.RUNNING or not job.kind.is_search:
        return []
    trial = history.trials[job.trial]
    if 0 < trial.epoch == job.start and not job.status.is_failure:
        loss = loss_at(history, trial, trial.epoch)
        return [(trial.number, len(ladder) - 1, loss, loss)]
    end = min([job.stop, *(history.jobs[n].start for n in trial.jobs if n > job.number)])  # of one cut short, earlier
    rows = [
        (trial.number, r, loss_at(history, trial, e), loss_at(history, trial, since(e)))
        for r, e in enumerate(ladder)
        if job.start < e <= end
    ]
    return rows if job.status.is_failure else [row for row in rows if np.isfinite(row[2])]
