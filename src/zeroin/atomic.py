"""Writing files atomically (they appear complete or not at all), and for good."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

SYNCED_AS = os.O_RDWR if os.name == "nt" else os.O_RDONLY  # Windows syncs only what was opened for writing


@contextmanager
def atomic_write(target: Path) -> Iterator[IO[bytes]]:
    """A temporary file to write to, which replaces the target once everything is written.

    Links are followed. A device or a pipe, such as /dev/stdout, is written to directly instead of being replaced.

    Args:
        target: the file; its folder must exist.

    Raises:
        OSError: it cannot be written; then the target is left as it was.
    """
    target = target.resolve()
    if target.exists() and not target.is_file():
        with target.open("wb") as file:
            yield file
        return
    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(draft, 0o666 & ~umask)  # mkstemp made it private
        os.replace(draft, target)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def to_disk(path: Path) -> None:
    """Sync a file, so that a power cut does not take what was written to it.

    Raises:
        OSError: it cannot be opened, or the disk refuses.
    """
    file = os.open(path, SYNCED_AS)
    try:
        os.fsync(file)
    finally:
        os.close(file)
