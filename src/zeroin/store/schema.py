"""The store's tables, and the one format that this version reads and writes."""

import sqlite3
from contextlib import closing
from pathlib import Path

from zeroin.errors import StoreError

FORMAT = 5  # the first to be released
TABLES = (
    """CREATE TABLE studies (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, goal TEXT NOT NULL, max_epochs INTEGER NOT NULL,
        seed INTEGER NOT NULL, task TEXT NOT NULL, scenario TEXT NOT NULL, measure TEXT NOT NULL,
        plan TEXT NOT NULL DEFAULT '', created TEXT NOT NULL, version TEXT NOT NULL)""",
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
        ranges TEXT NOT NULL, likely TEXT NOT NULL, volume REAL NOT NULL, why TEXT NOT NULL, over INTEGER NOT NULL)""",
    """CREATE TABLE advice (
        study INTEGER NOT NULL REFERENCES studies, number INTEGER NOT NULL, config TEXT NOT NULL, why TEXT NOT NULL,
        PRIMARY KEY (study, number)) WITHOUT ROWID""",
    """CREATE TABLE leads (
        study INTEGER NOT NULL REFERENCES studies, number INTEGER NOT NULL, config TEXT NOT NULL,
        PRIMARY KEY (study, number)) WITHOUT ROWID""",
)


def make_tables(db: sqlite3.Connection) -> None:
    """Make the tables of a store, in one transaction, where it has none yet.

    Raises:
        StoreError: it has another format, or is another program's.
    """
    if check_version(db):
        return
    db.execute("BEGIN IMMEDIATE")
    for statement in TABLES:
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {FORMAT}")
    db.execute("COMMIT")


def check_file(path: Path) -> int:
    """Refuse what is no SQLite file before anything is created beside it; a file that does not exist is fine.

    Returns:
        The format that its head tells, 0 where it is new; the newest changes may not have come there yet.

    Raises:
        StoreError: it is a folder or another kind of file.
    """
    if path.is_dir():
        raise StoreError(f"a store is a file; {str(path)!r} is a folder: use {str(path / 'zeroin.db')!r}.")
    if not path.is_file():
        return 0
    number = _number_in(path)
    if number is None:
        raise StoreError(
            f"a store is a SQLite file; {str(path)!r} is another kind: choose another file with store='...' (--store)."
        )
    return number


def check_output(path: Path) -> None:
    """Refuse to overwrite a SQLite file with an output: it may be a store with all of its studies, or a playbook.

    Raises:
        StoreError: it is a SQLite file.
    """
    if path.is_file() and path.stat().st_size and _number_in(path) is not None:
        raise StoreError(
            f"an output does not overwrite a SQLite file; {str(path)!r} is one: name another, or delete it first."
        )


def _number_in(path: Path) -> int | None:
    """The format in the head of a file, 0 where what is there makes no sense without its log; None: no SQLite file.

    It is left to SQLite to open it. When a process closes a file that it opened by itself, it loses all of its locks on
    it; another that closes the store would then delete the log into which this one goes on writing.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            return int(db.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.DatabaseError as error:
        return None if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB else 0


def check_version(db: sqlite3.Connection) -> bool:
    """Whether a store has its tables; refuse one that this version cannot read.

    Raises:
        StoreError: it has another format, or is another program's.
    """
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    number = int(db.execute("PRAGMA user_version").fetchone()[0])
    check_format(number)
    if tables and number == 0:
        raise StoreError(
            f"a store is a file of zeroin's own; this one is another program's, with the table {tables[0]!r}: "
            f"choose another file with store='...' (--store)."
        )
    return bool(tables)


def check_format(number: int) -> None:
    """Refuse a format that this version cannot read; 0 is that of a file without tables.

    Raises:
        StoreError: it is another one.
    """
    if 0 < number < FORMAT:
        raise StoreError(
            f"a store has format {FORMAT}; this one has format {number}, which no released zeroin has written: "
            f"choose another file with store='...' (--store)."
        )
    if number > FORMAT:
        raise StoreError(
            f"a store is read by the version that wrote it or a newer one; this one has format {number}, "
            f"this zeroin knows up to {FORMAT}: run `pip install --upgrade zeroin`."
        )
