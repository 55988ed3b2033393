"""The store: SQLite files that keep studies."""

from zeroin.store.folder import files_of, fitting, is_written
from zeroin.store.reading import Listed, list_studies, read_study
from zeroin.store.schema import check_output
from zeroin.store.sqlite import SqliteStore, open_study

__all__ = [
    "Listed",
    "SqliteStore",
    "check_output",
    "files_of",
    "fitting",
    "is_written",
    "list_studies",
    "open_study",
    "read_study",
]
