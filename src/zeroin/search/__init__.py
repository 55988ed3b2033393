"""Searchers: pure functions from a history to the next jobs."""

from zeroin.search.quasirandom import QuasiRandom
from zeroin.search.searcher import Zoom
from zeroin.search.settings import Settings

__all__ = ["QuasiRandom", "Settings", "Zoom"]
