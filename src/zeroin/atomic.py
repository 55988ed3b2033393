"""Writing files atomically: they appear complete or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


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
