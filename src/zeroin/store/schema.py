"""The store's tables, as an ordered list of migrations; new ones are appended, released ones never change."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from zeroin.errors import StoreError


def m001_studies(db: sqlite3.Connection) -> None:
    """Studies and their histories."""
    for statement in (
        """CREATE TABLE studies (
            id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, goal TEXT NOT NULL, max_epochs INTEGER NOT NULL,
            seed INTEGER NOT NULL, task TEXT NOT NULL, created TEXT NOT NULL, version TEXT NOT NULL)""",
        """CREATE TABLE spaces (
            study INTEGER NOT NULL REFERENCES studies, after INTEGER NOT NULL, space TEXT NOT NULL)""",
        """CREATE TABLE trials (
            study INTEGER NOT NULL REFERENCES studies, number INTEGER NOT NULL, config TEXT NOT NULL,
            seed INTEGER NOT NULL, kind TEXT NOT NULL, why TEXT NOT NULL, paused TEXT NOT NULL DEFAULT '',
            PRIMARY KEY (study, number)) WITHOUT ROWID""",
        """CREATE TABLE jobs (
            study INTEGER NOT NULL REFERENCES studies, number INTEGER NOT NULL, trial INTEGER NOT NULL,
            start INTEGER NOT NULL, stop INTEGER NOT NULL, kind TEXT NOT NULL, why TEXT NOT NULL,
            status TEXT NOT NULL, note TEXT NOT NULL DEFAULT '', seconds REAL NOT NULL DEFAULT 0,
            PRIMARY KEY (study, number)) WITHOUT ROWID""",
        """CREATE TABLE observations (
            study INTEGER NOT NULL REFERENCES studies, trial INTEGER NOT NULL, epoch INTEGER NOT NULL,
            job INTEGER NOT NULL, loss REAL NOT NULL, metrics TEXT NOT NULL,
            PRIMARY KEY (study, trial, epoch)) WITHOUT ROWID""",
        """CREATE TABLE regions (
            study INTEGER NOT NULL REFERENCES studies, round INTEGER NOT NULL, after INTEGER NOT NULL,
            ranges TEXT NOT NULL, likely TEXT NOT NULL, volume REAL NOT NULL, why TEXT NOT NULL)""",
    ):
        db.execute(statement)


def m002_advice(db: sqlite3.Connection) -> None:
    """What the playbook advised when a study began, and the facts by which it recognises similar studies."""
    db.execute("ALTER TABLE studies ADD COLUMN scenario TEXT NOT NULL DEFAULT '{}'")
    db.execute(
        """CREATE TABLE advice (
            study INTEGER NOT NULL REFERENCES studies, number INTEGER NOT NULL, config TEXT NOT NULL, why TEXT NOT NULL,
            PRIMARY KEY (study, number)) WITHOUT ROWID"""
    )


def m003_leads(db: sqlite3.Connection) -> None:
    """Further configs from the playbook, for the model to consider."""
    db.execute(
        """CREATE TABLE leads (
            study INTEGER NOT NULL REFERENCES studies, number INTEGER NOT NULL, config TEXT NOT NULL,
            PRIMARY KEY (study, number)) WITHOUT ROWID"""
    )


def m004_measure_and_plan(db: sqlite3.Connection) -> None:
    """What a study's scores measure, and the plan of its last run, for those who watch it."""
    db.execute("ALTER TABLE studies ADD COLUMN measure TEXT NOT NULL DEFAULT '{}'")
    db.execute("ALTER TABLE studies ADD COLUMN plan TEXT NOT NULL DEFAULT ''")


def m005_end(db: sqlite3.Connection) -> None:
    """Whether the search ended with a region because all configs were tried; before, only its words said so."""
    db.execute("ALTER TABLE regions ADD COLUMN over INTEGER NOT NULL DEFAULT 0")
    db.execute(
        "UPDATE regions SET over = 1 WHERE why LIKE 'all % configs of the space were tried, so the search is over'"
    )


MAGIC = b"SQLite format 3\0"  # how each SQLite file begins

MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    m001_studies,
    m002_advice,
    m003_leads,
    m004_measure_and_plan,
    m005_end,
)


def migrate(db: sqlite3.Connection) -> None:
    """Migrate a store to the newest format, each step in a transaction of its own.

    Raises:
        StoreError: a newer zeroin wrote it.
    """
    check_version(db)
    for number, step in enumerate(MIGRATIONS, start=1):
        if version(db) < number:
            db.execute("BEGIN IMMEDIATE")
            step(db)
            db.execute(f"PRAGMA user_version = {number}")
            db.execute("COMMIT")


def version(db: sqlite3.Connection) -> int:
    """The format of a store: how many migrations were applied to it."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def check_file(path: Path) -> None:
    """Refuse a file that is not a store before anything is created beside it; a file that does not exist is fine.

    Raises:
        StoreError: it is a folder or another kind of file, or a newer zeroin wrote it.
    """
    if path.is_dir():
        raise StoreError(f"a store is a file; {str(path)!r} is a folder: use {str(path / 'zeroin.db')!r}.")
    if not path.is_file():
        return
    with path.open("rb") as file:
        head = file.read(64)
    if head and not head.startswith(MAGIC):
        raise StoreError(
            f"a store is a SQLite file; {str(path)!r} is another kind: choose another file with store='...' (--store)."
        )
    _check(int.from_bytes(head[60:64], "big"))  # where SQLite keeps user_version


def check_output(path: Path) -> None:
    """Refuse to overwrite a SQLite file with an output: it may be a store with all of its studies, or a playbook.

    Raises:
        StoreError: it is a SQLite file.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        if file.read(len(MAGIC)) == MAGIC:
            raise StoreError(
                f"an output does not overwrite a SQLite file; {str(path)!r} is one: name another, or delete it first."
            )


def check_version(db: sqlite3.Connection) -> None:
    """Refuse a store that this version cannot read.

    Raises:
        StoreError: a newer zeroin wrote it, or another program.
    """
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    if tables and version(db) == 0:
        raise StoreError(
            f"a store is a file of zeroin's own; this one is another program's, with the table {tables[0]!r}: "
            f"choose another file with store='...' (--store)."
        )
    _check(version(db))


def _check(number: int) -> None:
    if number > len(MIGRATIONS):
        raise StoreError(
            f"a store is read by the version that wrote it or a newer one; this one has format {number}, "
            f"this zeroin knows up to {len(MIGRATIONS)}: run `pip install --upgrade zeroin`."
        )
