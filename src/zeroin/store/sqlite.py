"""The store: one SQLite file that holds many studies; one process writes a study, anybody reads.

Write-ahead logging: an event that was written outlives a kill at once, and a power cut a tenth of a second later
(see `latesync`); a reader never blocks the writer.
"""

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from zeroin.errors import StoreError
from zeroin.history import History
from zeroin.space import Space
from zeroin.store.latesync import LateSync
from zeroin.store.schema import check_file, check_version, migrate
from zeroin.store.schema import version as format_of
from zeroin.types import (
    Advised,
    Asked,
    Config,
    Ended,
    Event,
    Job,
    Kind,
    Observation,
    Observed,
    Region,
    Status,
    Suggestion,
    Value,
)

BUSY_SECONDS = 120

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


@dataclass(frozen=True, slots=True)
class Header:
    """What a study is, apart from what it saw.

    `task` is what the user named, a ready-made task or a file; `scenario` the facts that the playbook tells it by.
    """

    name: str
    goal: str
    max_epochs: int
    seed: int
    space: Space
    task: str = ""
    created: str = ""
    scenario: Mapping[str, Value] = field(default_factory=dict)


class SqliteStore:
    """Writes one study's events; made by `open_study`."""

    def __init__(self, db: sqlite3.Connection, study: int, lock: FileLock, log: Path) -> None:
        self._db, self._study, self._lock = db, study, lock
        self._sync = LateSync(log)

    def write(self, *events: Event) -> None:
        """Keep events; when this returns they outlive the process, and a tenth of a second later a power cut.

        Raises:
            StoreError: the disk is full or the file cannot be written; nothing of the events is kept.
        """
        try:
            if len(events) == 1 and not isinstance(events[0], Asked | Advised):  # a statement alone is a transaction
                self._put(events[0])
            else:
                with self._transaction():
                    for event in events:
                        self._put(event)
            self._sync.due()
        except (sqlite3.DatabaseError, OSError) as error:
            raise _told(error) from error

    def set_space(self, space: Space, after: int) -> None:
        """Keep a changed space, valid from job `after` on.

        Raises:
            StoreError: as `write`.
        """
        with _telling():
            self._run("INSERT INTO spaces VALUES (?1, ?2, ?3)", after, json.dumps(space.to_json()))
            self._sync.due()

    def close(self) -> None:
        """Give the study back for others to write."""
        self._sync.close()
        self._db.close()
        self._lock.release()

    def _put(self, event: Event) -> None:
        match event:
            case Asked(jobs, region, paused):
                self._ask(jobs, region, paused)
            case Observed(job, seen):
                self._run(
                    OBSERVED, job, seen.epoch, seen.loss, json.dumps(dict(seen.metrics)) if seen.metrics else "{}"
                )
            case Ended(job, status, note, seconds):
                self._run(ENDED, job, str(status), note, seconds)
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
        self._run("INSERT INTO regions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", *data.values())

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
    if not re.fullmatch(r"\w[\w.\-]{0,99}", header.name):  # it names a folder: never . or ..
        raise StoreError(
            f"a study's name has up to 100 letters, digits, '.', '_' and '-', the first a letter or digit; "
            f"name={header.name!r}: use {re.sub(r'[^A-Za-z0-9_.-]+', '-', header.name).strip('-.')[:100] or 'study'!r}."
        )
    with _telling():
        check_file(path)
        folder = files_of(path, header.name)
        folder.mkdir(parents=True, exist_ok=True)
        lock = _claim(path, header.name, folder)
        try:
            db = _connect(path)
            study = _find_or_make(db, header)
            known, history = _load(db, study)
        except BaseException:
            lock.release()
            raise
    return SqliteStore(db, study, lock, path.with_name(f"{path.name}-wal")), known, history


def read_study(path: Path, name: str | None = None) -> tuple[Header, History]:
    """A study as it stands, also while another process writes it; the newest if no name is given.

    Raises:
        StoreError: no such file or study, or it is no store.
    """
    with _telling(), _reading(path) as db:
        rows = db.execute("SELECT id, name FROM studies ORDER BY id DESC").fetchall()
        wanted = [i for i, known in rows if name in (None, known)]
        if not wanted:
            names = ", ".join(known for _, known in rows) or "none yet"
            raise StoreError(
                f"a study must be in the store; {path} has {names}, not {name!r}: check --name and --store."
            )
        return _load(db, wanted[0])


def list_studies(path: Path) -> list[dict[str, Any]]:
    """Each study in a few numbers: name, goal, trials, epochs, best, running jobs; without loading histories."""
    query = """
        WITH failed AS MATERIALIZED
            (SELECT DISTINCT study, trial FROM jobs WHERE status NOT IN ('running', 'done'))
        SELECT name, goal, max_epochs, created, task,
            (SELECT count(*) FROM trials WHERE study = id) AS trials,
            (SELECT count(*) FROM observations WHERE study = id) AS epochs,
            (SELECT count(*) FROM jobs WHERE study = id AND status = 'running') AS running,
            (SELECT count(*) FROM jobs WHERE study = id AND status NOT IN ('running', 'done')) AS failures,
            (SELECT min(o.loss) FROM observations o JOIN trials t ON t.study = o.study AND t.number = o.trial
             LEFT JOIN failed f ON f.study = o.study AND f.trial = o.trial
             WHERE o.study = id AND t.kind NOT IN ('confirm', 'default') AND f.trial IS NULL) AS best
        FROM studies ORDER BY id"""
    with _telling(), _reading(path) as db:
        cursor = db.execute(query)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def files_of(path: Path, name: str) -> Path:
    """The folder beside the store where a study's checkpoints, weights and report lie."""
    # Beside another store of the same stem, a suffix of one's own keeps the two apart.
    folder = path.with_suffix(".files") if path.suffix == ".db" else path.with_name(path.name + ".files")
    return folder / name


def _claim(path: Path, name: str, folder: Path) -> FileLock:
    # The kernel frees the lock of a process that died, however it died.
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreError(
            f"one process at a time writes a study; {name!r} in {path} is being written by another that is alive: "
            f"wait for it, close() it, or use another name."
        ) from None
    return lock


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    with FileLock(f"{path}.lock", timeout=BUSY_SECONDS):  # making the file and going over to WAL need it alone
        db.execute("PRAGMA journal_mode = WAL")
        migrate(db)
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA foreign_keys = ON")
    return db


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise StoreError(f"a store is a file that a study has written; {str(path)!r} is not there: check --store.")
    check_file(path)
    uri = path.absolute().as_uri() + "?mode=ro"  # a # or % in the name is quoted
    db = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        check_version(db)
        db.execute("BEGIN")  # one snapshot, whatever is written meanwhile
        yield db
    finally:
        db.close()


@contextmanager
def _telling() -> Iterator[None]:
    """SQLite's and the system's errors in the user's words."""
    try:
        yield
    except (sqlite3.DatabaseError, OSError) as error:
        raise _told(error) from error


def _told(error: sqlite3.DatabaseError | OSError) -> StoreError:
    if isinstance(error, OSError):
        return StoreError(
            f"a store's folder can be written; the system says {error.strerror} ({error.filename}): "
            f"choose another place with store='...' (--store), or free some space."
        )
    if "full" in str(error):
        hint = "free some space and give the same command again; what was observed before is kept"
    elif "readonly" in str(error) or "unable to open" in str(error):
        hint = "choose another place with store='...' (--store)"
    else:
        hint = "is it a zeroin store? choose another file with store='...' (--store)"
    return StoreError(f"a store is a SQLite file that can be read and written; SQLite says {error}: {hint}.")


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
        )
        now = datetime.now(UTC).isoformat(timespec="seconds")
        row = db.execute(
            "INSERT INTO studies (name, goal, max_epochs, seed, task, scenario, created, version) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
            "RETURNING id",
            (*values, now, version("zeroin")),
        ).fetchone()
        db.execute("INSERT INTO spaces VALUES (?, 0, ?)", (row[0], json.dumps(header.space.to_json())))
    db.execute("COMMIT")
    return int(row[0])


def _load(db: sqlite3.Connection, study: int) -> tuple[Header, History]:
    name, goal, max_epochs, seed, task, created = db.execute(
        "SELECT name, goal, max_epochs, seed, task, created FROM studies WHERE id = ?", (study,)
    ).fetchone()
    (space,) = db.execute("SELECT space FROM spaces WHERE study = ? ORDER BY rowid DESC LIMIT 1", (study,)).fetchone()
    history = History(max_epochs)
    for event in _events(db, study):
        history.apply(event)
    found = Space.from_json(json.loads(space))
    return Header(name, goal, max_epochs, seed, found, task, created, _scenario(db, study)), history


def _events(db: sqlite3.Connection, study: int) -> Iterator[Event]:
    """The study's events in an order that gives the same history: by job; pauses and regions last."""
    advice = _advice(db, study)
    if advice:
        yield Advised(advice, leads=_leads(db, study))
    trials: dict[int, tuple[Mapping[str, Any], int]] = {}
    paused: dict[int, str] = {}
    for number, config, seed, rests in db.execute(
        "SELECT number, config, seed, paused FROM trials WHERE study = ? ORDER BY number", (study,)
    ):
        trials[number] = (json.loads(config), seed)
        if rests:
            paused[number] = rests
    observations = _observations(db, study)
    for number, trial, start, stop, kind, why, status, note, seconds in db.execute(
        "SELECT number, trial, start, stop, kind, why, status, note, seconds FROM jobs WHERE study = ? ORDER BY number",
        (study,),
    ):
        config, seed = trials[trial]
        yield Asked((Job(number, trial, config, seed, start, stop, Kind(kind), why),))
        for observation in observations.get(number, ()):
            yield Observed(number, observation)
        if status != Status.RUNNING:
            yield Ended(number, Status(status), note, seconds)
    if paused:
        yield Asked((), None, paused)
    for round_, after, ranges, likely, volume, why in db.execute(
        "SELECT round, after, ranges, likely, volume, why FROM regions WHERE study = ? ORDER BY rowid", (study,)
    ):
        yield Asked((), Region(round_, after, _ranges(ranges), _ranges(likely), volume, why))


def _scenario(db: sqlite3.Connection, study: int) -> dict[str, Value]:
    if format_of(db) < 2:  # a reader does not migrate
        return {}
    (text,) = db.execute("SELECT scenario FROM studies WHERE id = ?", (study,)).fetchone()
    return dict(json.loads(text))


def _advice(db: sqlite3.Connection, study: int) -> tuple[Suggestion, ...]:
    if format_of(db) < 2:  # a reader does not migrate
        return ()
    rows = db.execute("SELECT config, why FROM advice WHERE study = ? ORDER BY number", (study,))
    return tuple(Suggestion(json.loads(config), why) for config, why in rows)


def _leads(db: sqlite3.Connection, study: int) -> tuple[Config, ...]:
    if format_of(db) < 3:
        return ()
    rows = db.execute("SELECT config FROM leads WHERE study = ? ORDER BY number", (study,))
    return tuple(json.loads(config) for (config,) in rows)


def _observations(db: sqlite3.Connection, study: int) -> dict[int, list[Observation]]:
    by_job: dict[int, list[Observation]] = {}
    for job, epoch, loss, metrics in db.execute(
        "SELECT job, epoch, loss, metrics FROM observations WHERE study = ? ORDER BY trial, epoch", (study,)
    ):
        by_job.setdefault(job, []).append(Observation(epoch, loss, json.loads(metrics) if metrics != "{}" else {}))
    return by_job


def _ranges(text: str) -> dict[str, tuple[Any, ...]]:
    return {name: tuple(values) for name, values in json.loads(text).items()}
