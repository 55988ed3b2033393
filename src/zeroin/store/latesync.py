"""Delayed fsync: syncing after every trial would take longer than everything else that zeroin does."""

import threading
from pathlib import Path

from zeroin.atomic import to_disk
from zeroin.protocols import STORE_THREAD

WITHIN = 0.1  # seconds until what was written is on the disk; a power cut loses what is newer


class LateSync:
    """Syncs a store in a background thread, within `WITHIN` seconds after `due` was called.

    Args:
        store: its file. What is new is in its write-ahead log, on which SQLite holds no locks that closing it here
            would release.
    """

    def __init__(self, store: Path) -> None:
        self._store, self._log = store, store.with_name(f"{store.name}-wal")
        self._due, self._closing = threading.Event(), threading.Event()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._work, name=STORE_THREAD, daemon=True)
        self._thread.start()

    def due(self) -> None:
        """Note that something was written and has to be synced.

        Raises:
            OSError: an earlier sync failed, or the store was deleted; what was written since may not be on the disk.
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
        if self._log.exists():
            to_disk(self._log)
        else:
            self._store.stat()  # all of it is in the store's file already, unless that was deleted
