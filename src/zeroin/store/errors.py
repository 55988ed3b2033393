"""Errors of SQLite and of the operating system, told as a `StoreError`."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from zeroin.errors import StoreError

HINTS = {  # what to do, by what is in SQLite's sentence
    "full": "free some space and give the same command again; what was observed before is kept",
    "disk I/O": "see whether the disk is full or failing, and give the same command again; what was observed before is "
    "kept",
    "locked": "another process keeps it to itself: end that, and give the same command again",
    "readonly": "choose another place with store='...' (--store)",
    "unable to open": "choose another place with store='...' (--store)",
}
OTHERWISE = "is it a zeroin store? choose another file with store='...' (--store)"


@contextmanager
def telling() -> Iterator[None]:
    """Turn errors of SQLite and of the operating system into a `StoreError` that says what to do."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise StoreError(
            f"a store and its folder can be read and can be written; the system says {error.strerror or error}{where}: "
            f"choose another place with store='...' (--store), or free some space."
        ) from error
    except sqlite3.DatabaseError as error:
        hint = next((hint for words, hint in HINTS.items() if words in str(error)), OTHERWISE)
        raise StoreError(
            f"a store is a SQLite file that can be read and written; SQLite says {error}: {hint}."
        ) from error
