"""The store: one SQLite file that holds many studies; one process writes a study, anybody reads.

Write-ahead logging: an event that was written outlives a kill at once, and a power cut a tenth of a second later
(see `latesync`); a reader never blocks the writer.
"""

import json
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock, Timeout

from zeroin.errors import StoreError
from zeroin.history import History
from zeroin.plan import Plan
from zeroin.space import Space
from zeroin.store.latesync import LateSync
from zeroin.store.reading import BUSY_SECONDS, Header, load, telling, told
from zeroin.store.schema import check_file, migrate
from zeroin.types import Advised, Asked, Ended, Event, Job, Observed, Region, Value

LOOK_SECONDS = 0.3  # what a writer waits for those who look, for a moment, whether there is one

# What `write` does; ?1 is always the study.
TRIED = "INSERT INTO trials VALUES (?1, ?2, ?3, ?4, ?5, ?6, '') ON CONFLICT (study, number) DO UPDATE SET paused = ''"
ASKED = "INSERT INTO jobs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '', 0)"
PAUSED = "UPDATE trials SET paused = ?3 WHERE study = ?1 AND number = ?2"
OBSERVED = (
    "INSERT OR IGNORE INTO observations SELECT ?1, trial, ?3, ?2, ?4, ?5 FROM jobs WHERE study = ?1 AND number = ?2"
)
ENDED = "UPDATE jobs SET status = ?3, note = ?4, seconds = ?5 WHERE study = ?1 AND number = ?2"
ADVISED = "INSERT OR REPLACE INTO advice VALUES (?1, ?2, ?3, ?4)"
LED = "INSERT OR REPLACE INTO leads VALUES (?1, ?2, ?3)"
PLANNED = "UPDATE studies SET plan = ?2 WHERE id = ?1"
MEASURED = "UPDATE studies SET measure = ?2 WHERE id = ?1"


class SqliteStore:
    """Writes one study's events; made by `open_study`."""

    def __init__(self, db: sqlite3.Connection, study: int, lock: FileLock, log: Path) -> None:
        self._db, self._study, self._lock = db, study, lock
        self._sync, self._writer = LateSync(log), os.getpid()

    def write(self, *events: Event | Plan) -> None:
        """Keep events; when this returns they outlive the process, and a tenth of a second later a power cut.

        Raises:
            StoreError: the disk is full or the file cannot be written, or this process is a copy of the one that
                opened it; nothing of the events is kept.
        """
        if self._is_copy():
            raise StoreError(
                "one process at a time writes a study; this is a copy of it that os.fork() made: "
                "end the copy with os._exit(0) where its work is done."
            )
        try:
            if len(events) == 1 and not isinstance(events[0], Asked | Advised):  # a statement alone is a transaction
                self._put(events[0])
            else:
                with self._transaction():
                    for event in events:
                        self._put(event)
            self._sync.due()
        except (sqlite3.DatabaseError, OSError) as error:
            raise told(error) from error

    def set_space(self, space: Space, after: int) -> None:
        """Keep a changed space, valid from job `after` on.

        Raises:
            StoreError: as `write`.
        """
        with telling():
            self._run("INSERT INTO spaces VALUES (?1, ?2, ?3)", after, json.dumps(space.to_json()))
            self._sync.due()

    def set_measure(self, measure: Mapping[str, Value]) -> None:
        """Keep what the study's scores are scores of.

        Raises:
            StoreError: as `write`.
        """
        with telling():
            self._run(MEASURED, json.dumps(dict(measure)))
            self._sync.due()

    def close(self) -> None:
        """Give the study back for others to write."""
        if self._is_copy():  # SQLite's file and the lock are those of the process that opened them
            return
        self._sync.close()
        self._db.close()
        self._lock.release()

    def _is_copy(self) -> bool:
        return os.getpid() != self._writer

    def _put(self, event: Event | Plan) -> None:
        match event:
            case Asked(jobs, region, paused):
                self._ask(jobs, region, paused)
            case Observed(job, seen):
                self._run(
                    OBSERVED, job, seen.epoch, seen.loss, json.dumps(dict(seen.metrics)) if seen.metrics else "{}"
                )
            case Ended(job, status, note, seconds):
                self._run(ENDED, job, str(status), note, seconds)
            case Plan():
                self._run(PLANNED, json.dumps(asdict(event)))
            case Advised(suggestions, region, leads):
                for number, given in enumerate(suggestions):
                    self._run(ADVISED, number, json.dumps(dict(given.config)), given.why)
                for number, config in enumerate(leads):
                    self._run(LED, number, json.dumps(dict(config)))
                if region:
                    self._region(region)

    def _ask(self, jobs: Sequence[Job], region: Region | None, paused: Mapping[int, str]) -> None:
        for job in jobs:
            self._run(TRIED, job.trial, json.dumps(dict(job.config)), job.seed, str(job.kind), job.why)
            status = str(job.status)
            self._run(ASKED, job.number, job.trial, job.start, job.stop, str(job.kind), job.why, status)
        for trial, why in paused.items():
            self._run(PAUSED, trial, why)
        if region:
            self._region(region)

    def _region(self, region: Region) -> None:
        data = asdict(region)
        data |= {key: json.dumps(data[key]) for key in ("ranges", "likely")}
        self._run("INSERT INTO regions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", *data.values())

    def _run(self, statement: str, *values: object) -> None:
        self._db.execute(statement, (self._study, *values))

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
    """Open a study for writing, made if it is not there.

    Args:
        path: the store's file.
        header: what the study is, if it is new; of an existing one only `name` counts.

    Returns:
        the writer; the header as stored; the history so far.

    Raises:
        StoreError: another live process writes it, a newer zeroin wrote the store, or it is no store.
    """
    name = str(header.name)
    if name != header.name or not re.fullmatch(r"\w[\w.\-]{0,99}", name):  # it names a folder: never . or ..
        raise StoreError(
            f"a study's name has up to 100 letters, digits, '.', '_' and '-', the first a letter or digit; "
            f"name={header.name!r}: use {fitting(name)!r}."
        )
    with telling():
        check_file(path)
        folder = files_of(path, header.name)
        folder.mkdir(parents=True, exist_ok=True)
        lock = _claim(path, header.name, folder)
        try:
            db = _connect(path)
            study = _find_or_make(db, header)
            known, history = load(db, study)
        except BaseException:
            lock.release()
            raise
    return SqliteStore(db, study, lock, path.absolute().with_name(f"{path.name}-wal")), known, history


def fitting(words: str) -> str:
    """A name that a study may have, as much like some words as it can be.

    >>> fitting("my file")
    'my-file'
    """
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", words).strip("-.")[:100] or "study"


def files_of(path: Path, name: str) -> Path:
    """The folder beside the store where a study's checkpoints, weights and report lie.

    Args:
        path: the store's file.
        name: of the study.

    >>> files_of(Path("runs/zeroin.db"), "digits").as_posix()
    'runs/zeroin.files/digits'
    """
    # Beside another store of the same stem, a suffix of one's own keeps the two apart.
    folder = path.with_suffix(".files") if path.suffix == ".db" else path.with_name(path.name + ".files")
    return folder / name


def is_written(path: Path, name: str) -> bool:
    """Whether a live process writes a study; of one that was killed, jobs stay open until somebody goes on with it.

    Args:
        path: the store's file.
        name: of the study.
    """
    file = files_of(path, name) / "lock"
    if not file.exists():
        return False
    try:
        FileLock(file).acquire(timeout=0).lock.release()
    except (Timeout, OSError):  # where it cannot be known, a writer is waited for
        return True
    return False


def _claim(path: Path, name: str, folder: Path) -> FileLock:
    # The kernel frees the lock of a process that died, however it died.
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=LOOK_SECONDS, poll_interval=LOOK_SECONDS / 10)
    except Timeout:
        raise StoreError(
            f"one process at a time writes a study; {name!r} in {path} is being written by another that is alive: "
            f"wait for it, close() it, or use another name."
        ) from None
    return lock


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    with FileLock(f"{path}.lock", timeout=BUSY_SECONDS):  # making the file and going over to WAL need it alone
        db.execute("PRAGMA journal_mode = WAL")
        migrate(db)
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA foreign_keys = ON")
    return db


def _find_or_make(db: sqlite3.Connection, header: Header) -> int:
    db.execute("BEGIN IMMEDIATE")
    row = db.execute("SELECT id FROM studies WHERE name = ?", (header.name,)).fetchone()
    if row is None:
        values = (
            header.name,
            header.goal,
            header.max_epochs,
            header.seed,
            header.task,
            json.dumps(dict(header.scenario)),
            json.dumps(dict(header.measure)),
        )
        now = datetime.now(UTC).isoformat(timespec="seconds")
        row = db.execute(
            "INSERT INTO studies (name, goal, max_epochs, seed, task, scenario, measure, created, version) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "RETURNING id",
            (*values, now, version("zeroin")),
        ).fetchone()
        db.execute("INSERT INTO spaces VALUES (?, 0, ?)", (row[0], json.dumps(header.space.to_json())))
    db.execute("COMMIT")
    return int(row[0])
