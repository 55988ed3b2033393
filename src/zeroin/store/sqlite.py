"""Writing studies to a store: one SQLite file for many studies. One process writes a study, anybody may read it.

With write-ahead logging, an event that was written survives a kill at once and a power cut a tenth of a second later
(see `latesync`), and readers never block the writer.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

from zeroin.errors import StoreError
from zeroin.header import Header
from zeroin.history import History
from zeroin.plan import Plan
from zeroin.space import Space
from zeroin.store.errors import telling
from zeroin.store.folder import check_name, claim
from zeroin.store.latesync import LateSync
from zeroin.store.reading import BUSY_SECONDS, load
from zeroin.store.schema import check_file, check_format, make_tables
from zeroin.types import Advised, Asked, Ended, Event, Job, Observed, Region, Value

# What is written; `study` is always the store's own.
TRIED = (
    "INSERT INTO trials VALUES (:study, :trial, :config, :seed, :kind, :why, '') "
    "ON CONFLICT (study, number) DO UPDATE SET paused = ''"
)
ASKED = "INSERT INTO jobs VALUES (:study, :job, :trial, :start, :stop, :kind, :why, :status, '', 0)"
PAUSED = "UPDATE trials SET paused = :why WHERE study = :study AND number = :trial"
OBSERVED = (
    "INSERT OR IGNORE INTO observations "
    "SELECT :study, trial, :epoch, :job, :loss, :metrics FROM jobs WHERE study = :study AND number = :job"
)
ENDED = "UPDATE jobs SET status = :status, note = :note, seconds = :seconds WHERE study = :study AND number = :job"
DRAWN = "INSERT INTO regions VALUES (:study, :round, :after, :ranges, :likely, :volume, :why, :over)"
ADVISED = "INSERT OR REPLACE INTO advice VALUES (:study, :number, :config, :why)"
LED = "INSERT OR REPLACE INTO leads VALUES (:study, :number, :config)"
PLANNED = "UPDATE studies SET plan = :plan WHERE id = :study"
MEASURED = "UPDATE studies SET measure = :measure WHERE id = :study"
CHANGED = "INSERT INTO spaces VALUES (:study, :after, :space)"


class SqliteStore:
    """Writes one study's events; made by `open_study`."""

    def __init__(self, db: sqlite3.Connection, study: int, lock: FileLock, path: Path) -> None:
        self._db, self._study, self._lock = db, study, lock
        self._sync, self._writer = LateSync(path), os.getpid()

    def write(self, *events: Event | Plan) -> None:
        """Write events; when this returns they survive a kill, and a tenth of a second later a power cut.

        Raises:
            StoreError: the disk is full, the file cannot be written, or this process is a fork of the one that opened
                the store; none of the events is written.
        """
        alone = len(events) == 1 and not isinstance(events[0], Asked | Advised)  # a statement is a transaction
        with self._writing(), nullcontext() if alone else self._transaction():
            for event in events:
                self._put(event)

    def set_space(self, space: Space, after: int) -> None:
        """Write a changed space, which holds from job number `after` on.

        Raises:
            StoreError: as for `write`.
        """
        with self._writing():
            self._run(CHANGED, after=after, space=json.dumps(space.to_json()))

    def set_measure(self, measure: Mapping[str, Value]) -> None:
        """Write what the study's scores measure.

        Raises:
            StoreError: as for `write`.
        """
        with self._writing():
            self._run(MEASURED, measure=json.dumps(dict(measure)))

    def close(self) -> None:
        """Release the study, so that others may write it."""
        if self._is_copy():  # the file and the lock belong to the process that opened them
            return
        self._sync.close()
        self._db.close()
        self._lock.release()

    def _is_copy(self) -> bool:
        return os.getpid() != self._writer

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._is_copy():
            raise StoreError(
                "one process at a time writes a study; this is a copy of it that os.fork() made: "
                "end the copy with os._exit(0) where its work is done."
            )
        with telling():
            yield
            self._sync.due()

    def _put(self, event: Event | Plan) -> None:
        match event:
            case Asked(jobs, region, paused):
                self._ask(jobs, region, paused)
            case Observed(job, seen):
                metrics = json.dumps(dict(seen.metrics)) if seen.metrics else "{}"
                self._run(OBSERVED, job=job, epoch=seen.epoch, loss=seen.loss, metrics=metrics)
            case Ended(job, status, note, seconds):
                self._run(ENDED, job=job, status=str(status), note=note, seconds=seconds)
            case Plan():
                self._run(PLANNED, plan=json.dumps(asdict(event)))
            case Advised(bets, region, leads):
                for number, given in enumerate(bets):
                    self._run(ADVISED, number=number, config=json.dumps(dict(given.config)), why=given.why)
                for number, config in enumerate(leads):
                    self._run(LED, number=number, config=json.dumps(dict(config)))
                if region:
                    self._region(region)

    def _ask(self, jobs: Sequence[Job], region: Region | None, paused: Mapping[int, str]) -> None:
        for job in jobs:
            told = {"trial": job.trial, "kind": str(job.kind), "why": job.why}
            self._run(TRIED, config=json.dumps(dict(job.config)), seed=job.seed, **told)
            self._run(ASKED, job=job.number, start=job.start, stop=job.stop, status=str(job.status), **told)
        for trial, why in paused.items():
            self._run(PAUSED, trial=trial, why=why)
        if region:
            self._region(region)

    def _region(self, region: Region) -> None:
        data = asdict(region)
        data |= {key: json.dumps(data[key]) for key in ("ranges", "likely")}
        self._run(DRAWN, **data)

    def _run(self, statement: str, **values: object) -> None:
        self._db.execute(statement, {"study": self._study, **values})

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite ends it by itself where the disk is full
                self._db.execute("ROLLBACK")
            raise


def open_study(path: Path, header: Header) -> tuple[SqliteStore, Header, History]:
    """Open a study for writing; it is created if the store does not have it.

    Args:
        path: the store's file.
        header: of the new study; if the study exists, only `name` counts.

    Returns:
        The writer, the header as stored, and the history so far.

    Raises:
        StoreError: another live process is writing the study, or the file is not a store that this zeroin knows.
    """
    check_name(header.name)
    with telling(), ExitStack() as undone:  # what was opened is closed again where the rest fails
        check_format(check_file(path))
        lock = claim(path, header.name)
        undone.callback(lock.release)
        db = undone.enter_context(
            closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False))
        )
        _prepare(db, path)
        study = _find_or_make(db, header)
        known, history = load(db, study)
        undone.pop_all()
    return SqliteStore(db, study, lock, path.absolute()), known, history


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    with FileLock(f"{path}.lock", timeout=BUSY_SECONDS):  # making the file and going over to WAL need it alone
        db.execute("PRAGMA journal_mode = WAL")
        make_tables(db)
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA foreign_keys = ON")


def _find_or_make(db: sqlite3.Connection, header: Header) -> int:
    db.execute("BEGIN IMMEDIATE")
    row = db.execute("SELECT id FROM studies WHERE name = ?", (header.name,)).fetchone()
    if row is None:
        told = json.dumps(dict(header.scenario)), json.dumps(dict(header.measure)), header.created, version("zeroin")
        row = db.execute(
            "INSERT INTO studies (name, goal, max_epochs, seed, task, scenario, measure, created, version) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "RETURNING id",
            (header.name, header.goal, header.max_epochs, header.seed, header.task, *told),
        ).fetchone()
        db.execute("INSERT INTO spaces VALUES (?, 0, ?)", (row[0], json.dumps(header.space.to_json())))
    db.execute("COMMIT")
    return int(row[0])
