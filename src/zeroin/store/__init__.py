"""Where studies are kept."""

from zeroin.store.sqlite import Header, SqliteStore, files_of, list_studies, open_study, read_study

__all__ = ["Header", "SqliteStore", "files_of", "list_studies", "open_study", "read_study"]
