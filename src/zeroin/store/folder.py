"""The folder of a study beside the store, and the lock in it that its one writer holds."""

import re
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from zeroin.errors import StoreError

if sys.platform != "win32":
    import fcntl

LOOK_SECONDS = 0.3  # a writer waits so long for the lock, which readers take for a moment to see if there is a writer


def check_name(name: str) -> None:
    """Check that a study's name can be the name of a folder.

    Raises:
        StoreError: it cannot; the message suggests a similar one.
    """
    words = str(name)  # whoever has no type checker may give a number
    if words != name or not re.fullmatch(r"\w[\w.\-]{0,99}", words):  # never . or ..
        raise StoreError(
            f"a study's name has up to 100 letters, digits, '.', '_' and '-', the first a letter or digit; "
            f"name={name!r}: use {fitting(words)!r}."
        )


def fitting(words: str) -> str:
    """A valid name for a study, as similar to some words as possible.

    >>> fitting("my file"), fitting("数据 (1)")
    ('my-file', '数据-1')
    """
    name = re.sub(r"[^\w.-]+", "-", words).strip("-.")
    return name.encode()[:100].decode(errors="ignore") or "study"  # of a folder's name bytes count


def files_of(path: Path, name: str) -> Path:
    """The folder beside the store that holds a study's checkpoints, weights and report.

    Args:
        path: the store's file.
        name: of the study.

    >>> files_of(Path("runs/zeroin.db"), "digits").as_posix()
    'runs/zeroin.files/digits'
    """
    # A store of another suffix, or of none, may lie beside one of the same stem; "_" keeps their folders apart.
    folder = path.with_suffix(".files") if path.suffix == ".db" else path.with_name(f"{path.name}_files")
    return folder / name


def is_written(path: Path, name: str) -> bool:
    """Whether a live process is writing a study. If it was killed, jobs stay open until the study is resumed.

    Args:
        path: the store's file.
        name: of the study.
    """
    file = files_of(path, name) / "lock"
    if not file.exists():
        return False
    try:
        if sys.platform == "win32":
            FileLock(file).acquire(timeout=0).lock.release()
        else:
            with file.open() as opened:  # to read alone: it may be another user's, or on a disk that is read-only
                fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (Timeout, OSError):  # where it cannot be known, a writer is waited for
        return True
    return False


def claim(path: Path, name: str) -> FileLock:
    """Take the lock of a study's writer; the kernel releases it when the process dies, in whatever way.

    Args:
        path: the store's file.
        name: of the study.

    Raises:
        StoreError: another process writes the study, or this one does already.
    """
    folder = files_of(path, name)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock", thread_local=False)  # any thread may close the study
    try:
        lock.acquire(timeout=LOOK_SECONDS, poll_interval=LOOK_SECONDS / 10)
    except Timeout:
        raise StoreError(
            f"one process at a time writes a study; {name!r} in {path} is being written by another that is alive, or "
            f"by a Study of this one that is still open: wait for it, close() it, or use another name."
        ) from None
    return lock
