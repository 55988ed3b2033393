"""The folder of a study beside the store, and the lock in it that its one writer holds."""

import re
from pathlib import Path

from filelock import FileLock, Timeout

from zeroin.errors import StoreError

LOOK_SECONDS = 0.3  # what a writer waits for those who look, for a moment, whether there is one


def check_name(name: str) -> None:
    """Refuse what no folder can be called by.

    Raises:
        StoreError: the rule, with a name like it that will do.
    """
    words = str(name)  # whoever has no type checker may give a number
    if words != name or not re.fullmatch(r"\w[\w.\-]{0,99}", words):  # never . or ..
        raise StoreError(
            f"a study's name has up to 100 letters, digits, '.', '_' and '-', the first a letter or digit; "
            f"name={name!r}: use {fitting(words)!r}."
        )


def fitting(words: str) -> str:
    """A name that a study may have, as much like some words as it can be.

    >>> fitting("my file")
    'my-file'
    """
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", words).strip("-.")[:100] or "study"


def files_of(path: Path, name: str) -> Path:
    """The folder beside the store where a study's checkpoints, weights and report lie.

    Args:
        path: the store's file.
        name: of the study.

    >>> files_of(Path("runs/zeroin.db"), "digits").as_posix()
    'runs/zeroin.files/digits'
    """
    # Beside another store of the same stem, a suffix of one's own keeps the two apart.
    folder = path.with_suffix(".files") if path.suffix == ".db" else path.with_name(path.name + ".files")
    return folder / name


def is_written(path: Path, name: str) -> bool:
    """Whether a live process writes a study; of one that was killed, jobs stay open until somebody goes on with it.

    Args:
        path: the store's file.
        name: of the study.
    """
    file = files_of(path, name) / "lock"
    if not file.exists():
        return False
    try:
        FileLock(file).acquire(timeout=0).lock.release()
    except (Timeout, OSError):  # where it cannot be known, a writer is waited for
        return True
    return False


def claim(path: Path, name: str) -> FileLock:
    """The lock of a study's writer, held; the kernel frees that of a process that died, however it died.

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
            f"one process at a time writes a study; {name!r} in {path} is being written by another that is alive: "
            f"wait for it, close() it, or use another name."
        ) from None
    return lock
