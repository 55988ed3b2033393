"""Reading studies from a store: always a consistent snapshot, even while another process writes."""

import glob
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zeroin.errors import StoreError
from zeroin.header import Header
from zeroin.history import History
from zeroin.plan import Plan
from zeroin.space import Space
from zeroin.store.errors import telling
from zeroin.store.schema import check_file, check_version
from zeroin.types import (
    Advised,
    Asked,
    Bet,
    Config,
    Ended,
    Event,
    Job,
    Kind,
    Observation,
    Observed,
    Region,
    Status,
)

BUSY_SECONDS = 120


def read_study(path: Path, name: str | None = None) -> tuple[Header, History]:
    """Read a study; another process may be writing it.

    Args:
        path: the store's file.
        name: of the study; None: the newest.

    Returns:
        Its header and its history.

    Raises:
        StoreError: there is no such file or study, or the file is not a store.
    """
    with telling(), _reading(path) as db:
        rows = db.execute("SELECT id, name FROM studies ORDER BY id DESC").fetchall()
        wanted = [i for i, known in rows if name in (None, known)]
        if not wanted:
            names = ", ".join(known for _, known in rows) or "none yet"
            raise StoreError(
                f"a study must be in the store; {path} has {names}, not {name!r}: check its name, or store='...' "
                f"(--store)."
            )
        return load(db, wanted[0])


@dataclass(frozen=True, slots=True)
class Listed:
    """A study in a few numbers: trials, observed epochs, running and failed jobs, and the search's lowest loss."""

    name: str
    goal: str
    max_epochs: int
    created: str
    task: str
    trials: int
    epochs: int
    running: int
    failures: int
    best: float | None


def list_studies(path: Path) -> list[Listed]:
    """List the studies of a store, without loading their histories.

    Raises:
        StoreError: there is no such file, or it is not a store.
    """
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
    with telling(), _reading(path) as db:
        return [Listed(*row) for row in db.execute(query)]


def load(db: sqlite3.Connection, study: int) -> tuple[Header, History]:
    """A study by its id in an open store."""
    name, goal, max_epochs, seed, task, created, scenario, measure, plan = db.execute(
        "SELECT name, goal, max_epochs, seed, task, created, scenario, measure, plan FROM studies WHERE id = ?",
        (study,),
    ).fetchone()
    (space,) = db.execute("SELECT space FROM spaces WHERE study = ? ORDER BY rowid DESC LIMIT 1", (study,)).fetchone()
    history = History(max_epochs)
    for event in _events(db, study):
        history.apply(event)
    header = Header(
        name,
        goal,
        max_epochs,
        seed,
        Space.from_json(json.loads(space)),
        task,
        created,
        json.loads(scenario),
        json.loads(measure),
        Plan.from_json(json.loads(plan)) if plan else None,
    )
    return header, history


def _events(db: sqlite3.Connection, study: int) -> Iterator[Event]:
    """Events that rebuild the study's history: job by job, then pauses and regions."""
    if advice := _advice(db, study):
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
    for region in _regions(db, study):
        yield Asked((), region)


def _regions(db: sqlite3.Connection, study: int) -> Iterator[Region]:
    rows = "SELECT round, after, ranges, likely, volume, why, over FROM regions WHERE study = ? ORDER BY rowid"
    for number, after, ranges, likely, volume, why, over in db.execute(rows, (study,)):
        yield Region(number, after, _ranges(ranges), _ranges(likely), volume, why, bool(over))


def _advice(db: sqlite3.Connection, study: int) -> tuple[Bet, ...]:
    rows = db.execute("SELECT config, why FROM advice WHERE study = ? ORDER BY number", (study,))
    return tuple(Bet(json.loads(config), why) for config, why in rows)


def _leads(db: sqlite3.Connection, study: int) -> tuple[Config, ...]:
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


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    check_file(path)
    if not path.is_file():
        raise StoreError(
            f"a store is a file that a study has written; {str(path)!r} is not there: check store='...' (--store)."
        )
    uri = path.absolute().as_uri() + "?mode=ro"  # a # or % in the name is quoted
    if not os.access(path.parent, os.W_OK) and not any(path.parent.glob(f"{glob.escape(path.name)}-*")):
        uri += "&immutable=1"  # nobody writes it; SQLite would want to make files beside it all the same
    db = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        check_version(db)
        db.execute("BEGIN")  # one snapshot, whatever is written meanwhile
        yield db
    finally:
        db.close()
