"""A history as rows, one for each observation at a rung, and a cache of what was computed from a history before."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from zeroin.history import History
from zeroin.search import finite
from zeroin.search.outlook import Outlook, known, shipped, since
from zeroin.search.rungs import loss_at
from zeroin.space import Space
from zeroin.space.scales import Array
from zeroin.types import Config, Job, Range, Status, Trial


@dataclass(frozen=True, slots=True)
class Rows:
    """Observations at rungs, in the order of their jobs.

    Args:
        trial, rung, loss: of each observation [n]; `rung` is an index into `rungs`.
        before: the loss at two thirds of the epochs [n].
        units: the points [trials, D] of all trials.
        traits: where the configs of all trials lie in the ranges of the outlook [trials, K].
        rungs: in epochs, the lowest first.
        outlook: says how much losses still fall; None: that is not known.
        noisy: whether losses are noisy, so that the lowest of them is luck.
        typical: the losses of trials below this number tell where the bad tail begins; None: those of all trials.
    """

    trial: np.ndarray
    rung: np.ndarray
    loss: Array
    before: Array
    units: Array
    traits: Array
    rungs: tuple[int, ...]
    outlook: Outlook | None = None
    noisy: bool = False
    typical: int | None = None

    def part(self, which: slice | np.ndarray) -> "Rows":
        """Some of the observations."""
        cut = {name: getattr(self, name)[which] for name in ("trial", "rung", "loss", "before")}
        return replace(self, **cut)


@dataclass(slots=True)
class Memory:
    """A cache of what was computed from one history, for one space and ladder of rungs: it saves time, no more.

    `outlook` says how much losses still fall; None: that is not known.
    """

    outlook: Outlook | None = field(default_factory=shipped)
    units: Array = field(default_factory=lambda: np.empty((0, 0)))
    traits: Array = field(default_factory=lambda: np.empty((0, 0)))
    keys: set[bytes] = field(default_factory=set)  # of the points, to see whether a config was tried
    encoded: int = 0
    noisy: bool = False  # whether the losses in the lists below are means
    jobs: int = 0  # jobs whose rows are in the lists below: those before the first that still runs
    trial: list[int] = field(default_factory=list)
    rung: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    fits: dict[tuple[bytes | int | None, ...], tuple[Array, float]] = field(default_factory=dict)
    leads: Array | None = None
    listing: tuple[dict[str, Range], Array | None] | None = None

    def rows(self, space: Space, history: History, ladder: tuple[int, ...]) -> Rows:
        """The history as rows."""
        trials, jobs = history.trials, history.jobs
        units = self.encode(space, trials)
        if self.noisy is not history.is_noisy:  # all are judged anew
            self.noisy, self.jobs = history.is_noisy, 0
            self.trial, self.rung, self.loss, self.before = [], [], [], []
        while self.jobs < len(jobs) and jobs[self.jobs].status is not Status.RUNNING:
            self._add(_rows_of(jobs[self.jobs], history, ladder))
            self.jobs += 1
        late = [row for j in jobs[self.jobs :] for row in _rows_of(j, history, ladder)]
        kept = len(self.trial)
        self._add(late)
        columns = np.array(self.trial, int), np.array(self.rung, int), np.array(self.loss), np.array(self.before)
        learned = self.outlook if known(space) else None
        rows = Rows(*columns, units, self.traits[: len(units)], ladder, learned, self.noisy)
        del self.trial[kept:], self.rung[kept:], self.loss[kept:], self.before[kept:]
        return rows

    def points(self, space: Space, leads: Sequence[Config]) -> Array:
        """The history's leads as points [k, D]."""
        if self.leads is None or len(self.leads) != len(leads):
            self.leads = np.array([space.units(config) for config in leads]).reshape(-1, len(space))
        return self.leads

    def listed(self, space: Space, ranges: dict[str, Range]) -> Array | None:
        """All configs of the ranges as points [n, D]; None where they are many."""
        if self.listing is None or self.listing[0] != ranges:
            self.listing = ranges, finite.listed(space, ranges)
        return self.listing[1]

    def encode(self, space: Space, trials: Sequence[Trial]) -> Array:
        """The trials' configs as points [n, D]."""
        names = known(space)
        for trial in trials[self.encoded :]:
            if self.encoded == len(self.units):
                self.units = _longer(self.units, self.encoded, len(space))
                self.traits = _longer(self.traits, self.encoded, len(self.outlook.learned) if self.outlook else 0)
            self.units[self.encoded] = point = space.units(trial.config)
            self.keys.add(finite.key(point))
            if self.outlook:
                self.traits[self.encoded] = self.outlook.traits(trial.config, names)
            self.encoded += 1
        return self.units[: len(trials)] if trials else np.empty((0, len(space)))

    def _add(self, rows: list[tuple[int, int, float, float]]) -> None:
        for trial, rung, loss, before in rows:
            self.trial.append(trial)
            self.rung.append(rung)
            self.loss.append(loss)
            self.before.append(before)


def _longer(table: Array, filled: int, columns: int) -> Array:
    """Room for twice as many rows."""
    grown = np.zeros((max(64, 2 * filled), columns))
    grown[:filled] = table[:filled] if filled else 0.0
    return grown


def _rows_of(job: Job, history: History, ladder: tuple[int, ...]) -> list[tuple[int, int, float, float]]:
    """(trial, rung, loss, loss before) for each rung that a job reached; if it failed, infinite at the next one.

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
