"""Watching a study that another process runs: what is new in its store is shown as `tune` would show it."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zeroin.history import History, incumbent
from zeroin.plan import Plan
from zeroin.store import is_written
from zeroin.study import Listener, Study, load
from zeroin.types import Asked, Ended, Event, Observation, Observed, Status

SECONDS_BETWEEN_LOOKS = 1.0
QUIET_SECONDS = 10.0  # a study that has begun has ended if for so long nothing was running and nothing was new
SHARE = 0.2  # of the time is spent on reading, at most, however long the history is


@dataclass(frozen=True, slots=True)
class _Stamp:
    """When a store was last written, by the times and sizes of its files, so that its writer is not disturbed."""

    newest: float
    sizes: tuple[int, ...]

    @staticmethod
    def of(store: Path) -> "_Stamp":
        files = []
        for file in (store, store.with_name(f"{store.name}-wal")):
            with suppress(FileNotFoundError):  # whoever closes the store last deletes its log, at any moment
                files.append(file.stat())
        return _Stamp(max((f.st_mtime for f in files), default=0.0), tuple(f.st_size for f in files))

    @property
    def when(self) -> float:
        """That time on the monotonic clock; a time in the future, from a clock that is ahead, counts as now."""
        return time.monotonic() - max(0.0, time.time() - self.newest)


def watch(
    store: Path,
    name: str | None,
    show: Listener,
    *,
    every: float = SECONDS_BETWEEN_LOOKS,
    quiet: float = QUIET_SECONDS,
) -> Study:
    """Show what happens in a study until it has ended or its process is gone.

    Args:
        store: the file.
        name: of the study; None: the newest in the store.
        show: called with the study and its plan, then with each event; a `Display`.
        every: seconds between two looks; more if reading the history takes long.
        quiet: after so many seconds with nothing running and nothing new, the study counts as ended.

    Returns:
        The study as it is at the end.

    Raises:
        StoreError: there is no such file or study.
    """
    stamp = _Stamp.of(store)
    study = load(name, store)
    told = _tell_plan(study, None, show)
    for event in standing(study.history):
        show(study, event)
    pause = every
    changed = stamp.when
    while time.monotonic() - changed < quiet or (_is_under_way(study.history) and is_written(store, study.name)):
        time.sleep(pause)
        if (now := _Stamp.of(store)) == stamp:
            continue
        stamp, changed, began = now, now.when, time.monotonic()
        before, study = study, load(study.name, store)
        told = _tell_plan(study, told, show)
        for event in news(before.history, study.history):
            show(study, event)
        pause = max(every, (time.monotonic() - began) / SHARE)
    return study


def _is_under_way(history: History) -> bool:
    """Whether jobs run, or none has begun yet: timing an epoch of the default may take minutes."""
    return bool(history.running) or not history.jobs


def _tell_plan(study: Study, told: Plan | None, show: Listener) -> Plan | None:
    """Show the plan of the run that is under way, unless it was shown already; each run has its own plan."""
    if study.header.plan == told or not study.history.running:
        return told
    if study.header.plan:
        show(study, study.header.plan)
    return study.header.plan


def standing(history: History) -> Iterator[Event]:
    """What is shown first to somebody who begins to watch: the region that is searched now, and the best so far."""
    if history.regions:
        yield Asked((), history.regions[-1])
    best = incumbent(history)
    if best:
        yield Ended(best.jobs[-1], Status.DONE)  # shown as if it had just come in


def news(before: History, after: History) -> Iterator[Event]:
    """What happened between two looks: new regions, jobs that started, the newest epoch of each, jobs that ended."""
    regions = list(after.regions[len(before.regions) :])
    open_before = sorted(job.number for job in before.running)
    for number in (*open_before, *range(len(before.jobs), len(after.jobs))):
        job = after.jobs[number]
        if number >= len(before.jobs):
            while regions and regions[0].after <= number:
                yield Asked((), regions.pop(0))
            yield Asked((job,))
        trial = after.trials[job.trial]
        known = before.trials[job.trial].epoch if job.trial < len(before.trials) else 0
        if trial.epoch > known:
            yield Observed(number, Observation(trial.epoch, trial.losses[-1]))
        if job.status is not Status.RUNNING:
            yield Ended(number, job.status, job.note)
    for region in regions:
        yield Asked((), region)
