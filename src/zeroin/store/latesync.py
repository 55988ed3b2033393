"""Delayed fsync: syncing after every trial would take longer than everything else that zeroin does."""

import threading
from pathlib import Path

from zeroin.atomic import to_disk
from zeroin.protocols import STORE_THREAD

WITHIN = 0.1  # seconds until what was written is on the disk; a power cut loses what is newer


class LateSync:
    """Syncs a file in a background thread, within `WITHIN` seconds after `due` was called.

    Args:
        path: the file: SQLite's write-ahead log. SQLite holds no locks on it that closing it here would release.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._due, self._closing = threading.Event(), threading.Event()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._work, name=STORE_THREAD, daemon=True)
        self._thread.start()

    def due(self) -> None:
        """Note that something was written and has to be synced.

        Raises:
            OSError: an earlier sync failed; what was written since may not be on the disk.
        """
        if self._error:
            raise self._error
        if not self._due.is_set():  # looking is cheap, setting takes a lock
            self._due.set()

    def close(self) -> None:
        """Sync what is due, and end the thread."""
        self._closing.set()
        self._due.set()
        self._thread.join()

    def _work(self) -> None:
        closing = False
        while not closing:
            self._due.wait()
            self._closing.wait(WITHIN)
            self._due.clear()
            closing = self._closing.is_set()  # asked before the sync, which then holds all that was ever written
            try:
                self._sync()
            except OSError as error:
                self._error = error

    def _sync(self) -> None:
        if self._path.exists():  # else all of it is in the store's file already
            to_disk(self._path)
