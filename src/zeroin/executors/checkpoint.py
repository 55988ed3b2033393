"""A trial's checkpoint: a folder that is never left half-written, even by a crash.

Training writes into `work/`. At the end of a job, and now and then within it, `work/` is put aside as
`epoch-N/`; a job that starts or restarts gets a copy of the newest one. What a kill -9 tears is only `work/`.
What was not written since it was put aside, or copied, keeps its epoch: it is the state after that one, and no other.
"""

import os
import shutil
import time
from pathlib import Path
from typing import TypeAlias

from zeroin.atomic import to_disk

SECONDS_BETWEEN_COPIES = 30.0  # within a job; so a crash costs at most this much training

HOUR = 3_600_000_000_000  # ns

Written: TypeAlias = dict[str, tuple[int, ...]]  # of each file, what tells that it was written into


def trial_folder(root: Path, trial: int) -> Path:
    """Where a trial's checkpoints lie."""
    return root / f"trial-{trial:05d}"


class Checkpoint:
    """The checkpoint folder of one job; makes nothing on disk until `path` is asked for.

    Args:
        folder: the trial's folder.
        start: the epoch at which the job begins.
        known: epochs of the trial that the store has; a checkpoint beyond them is not used.
    """

    def __init__(self, folder: Path, start: int, known: int) -> None:
        self._folder = folder
        self._begun = False
        self._copied = time.monotonic()
        self._known: Written = {}  # what `work/` held when it was copied or put aside
        if known == 0:  # what lies there is of another study, whose store was deleted
            shutil.rmtree(folder, ignore_errors=True)
        self.epoch = _standing(folder, start, known)

    @property
    def _work(self) -> Path:
        return self._folder / "work"

    @property
    def path(self) -> Path:
        """The folder to load from and to save to."""
        if not self._begun:
            shutil.rmtree(self._work, ignore_errors=True)
            saved = self._folder / f"epoch-{self.epoch}"
            if saved.is_dir():
                shutil.copytree(saved, self._work, copy_function=_copy_as_older)
            else:
                self._work.mkdir(parents=True)
            self._known = _written(self._work)
            self._begun = True
        return self._work

    @property
    def lost(self) -> bool:
        """Whether training has come some way, but there is nothing to go on from."""
        return self.epoch > 0 and not self.used

    def begin_anew(self) -> None:
        """Train from the first epoch again."""
        self.epoch = 0

    @property
    def used(self) -> bool:
        """Whether this job or one before it asked for the folder."""
        return self._begun or self._folder.is_dir()

    @property
    def due(self) -> bool:
        """Whether it is time to put a copy aside within the job."""
        return time.monotonic() - self._copied > SECONDS_BETWEEN_COPIES

    def put_aside(self, epoch: int, *, last: bool) -> None:
        """Keep what `path` holds as the state after `epoch`, if it was written since; `last` ends the job."""
        if not self._begun:
            return
        held = _written(self._work)
        if held == self._known:
            if last:
                shutil.rmtree(self._work, ignore_errors=True)
            return
        target, ready = self._folder / f"epoch-{epoch}", self._work
        if not last:
            ready = self._folder / "copying"
            shutil.rmtree(ready, ignore_errors=True)
            shutil.copytree(self._work, ready)
        for path in filter(Path.is_file, ready.rglob("*")):
            to_disk(path)  # so that a power cut after the folder got its name finds them whole
        shutil.rmtree(target, ignore_errors=True)  # not before: of a job that went no further it is what it began with
        ready.rename(target)
        self._begun, self._known = not last, held
        for older in _saved(self._folder):
            if older != epoch:
                shutil.rmtree(self._folder / f"epoch-{older}", ignore_errors=True)
        self.epoch, self._copied = epoch, time.monotonic()


def _standing(folder: Path, start: int, known: int) -> int:
    """The epoch from which training can go on."""
    if not folder.is_dir():
        return start  # the objective keeps no state (a table, a formula), or had not saved any in this its first job
    saved = [e for e in _saved(folder) if e <= known]
    return max(saved, default=0)  # without a copy: what was saved is torn or gone, so training starts afresh


def _saved(folder: Path) -> list[int]:
    """The epochs whose state is there; an empty folder is what clearing up by age leaves of one."""
    if not folder.is_dir():
        return []
    return [int(p.name.removeprefix("epoch-")) for p in folder.glob("epoch-*") if any(p.iterdir())]


def _copy_as_older(source: str, target: str) -> None:
    """Copy a file as if it were an hour older: the clock of a file system may be too coarse to show a write at once."""
    shutil.copy2(source, target)
    now = os.stat(target)
    os.utime(target, ns=(now.st_atime_ns, now.st_mtime_ns - HOUR))


def _written(folder: Path) -> Written:
    """What tells files from those that were written into since; empty where there are none."""
    held = [(path, path.stat()) for path in folder.rglob("*") if path.is_file()]
    return {str(path): (now.st_ino, now.st_size, now.st_mtime_ns) for path, now in held}
