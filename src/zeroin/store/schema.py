"""The store's tables, grown by an ordered list of small functions; a new one is appended, none is ever changed."""

import sqlite3
from collections.abc import Callable

from zeroin.errors import StoreError


def m001_studies(db: sqlite3.Connection) -> None:
    """Studies, and what they saw."""
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


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (m001_studies,)


def migrate(db: sqlite3.Connection) -> None:
    """Bring a store to this version's tables, each step in a transaction of its own.

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
    """How many migrations a store has seen."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def check_version(db: sqlite3.Connection) -> None:
    """Refuse a store that this version cannot read.

    Raises:
        StoreError: a newer zeroin wrote it.
    """
    if version(db) > len(MIGRATIONS):
        raise StoreError(
            f"a store is read by the version that wrote it or a newer one; this one has format {version(db)}, "
            f"this zeroin knows up to {len(MIGRATIONS)}: run `pip install --upgrade zeroin`."
        )
