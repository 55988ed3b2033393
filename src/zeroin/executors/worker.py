"""The code of a worker process: it does jobs with an executor of its own until the study's process is gone."""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, TypeAlias

from zeroin.errors import TaskError, ZeroinError
from zeroin.protocols import Executor
from zeroin.types import Ended, Job, Observation

PATIENCE = 0.05  # seconds that an epoch waits for the study's answer; if it comes later, a later epoch takes note of it

Make: TypeAlias = Callable[[], Executor]  # of a worker


@dataclass(frozen=True, slots=True)
class Up:
    """A worker has started and takes what makes its executor."""


@dataclass(frozen=True, slots=True)
class Ready:
    """It has made its executor and takes jobs."""


@dataclass(frozen=True, slots=True)
class Warned:
    """The objective, or what it calls, warned."""

    text: str


@dataclass(frozen=True, slots=True)
class Seen:
    """An epoch of a job."""

    job: int
    observation: Observation


def main(near: Connection, make: Make | None = None) -> None:
    """Make an executor, then do jobs; everything that happens is a message.

    Args:
        near: to the study; it sends a pickled `Make` where there is none yet, then (job, known) one by one, and a bool
            for each epoch.
        make: makes the executor, where this process is a copy of the study's.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the study's, which then ends its workers
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_the_study, daemon=True).start()
    warnings.showwarning = lambda message, *_: near.send(Warned(str(message)))
    try:
        near.send(Up())
        executor = (make or _made(near.recv_bytes()))()
        line = _Line(near, executor)
        near.send(Ready())
        while True:
            line.take(0.0)
            while not line.jobs:
                line.take(None)
            line.end(executor.wait(line))
    except ZeroinError as error:
        near.send(error)
    except (EOFError, ConnectionError):
        return  # the study is gone


class _Line:
    """Takes jobs, tells the study each epoch and passes on what it answers."""

    def __init__(self, near: Connection, executor: Executor) -> None:
        self._near, self._executor = near, executor
        self._unanswered: deque[int] = deque()  # jobs, an entry for each epoch told
        self._refused: set[int] = set()
        self.jobs = 0  # under way

    def take(self, seconds: float | None) -> None:
        """All messages that are there, or come within some seconds; None: wait for one."""
        while self._near.poll(seconds):
            message: bool | tuple[Job, int] = self._near.recv()
            if isinstance(message, bool):
                job = self._unanswered.popleft()
                self._refused |= set() if message else {job}
            else:
                self._executor.start(*message)
                self.jobs += 1
            seconds = 0.0

    def __call__(self, job: Job, seen: Observation, *, with_next: bool = False) -> bool:  # noqa: ARG002
        self._near.send(Seen(job.number, seen))
        self._unanswered.append(job.number)
        # With several jobs at once the study may be training as well: its answer counts from the next epoch on. After
        # its last epoch a job ends whatever is answered.
        is_asked = self._executor.slots == 1 and len(self._unanswered) == 1 and seen.epoch < job.stop
        self.take(PATIENCE if is_asked else 0.0)
        return job.number not in self._refused

    def end(self, ended: Sequence[Ended]) -> None:
        """Tell how jobs ended, those of a stack at once."""
        if ended:
            self._near.send(list(ended))
            self.jobs -= len(ended)


def pickled(make: Callable[..., Any]) -> bytes:
    """A callable, pickled for another process.

    Raises:
        TaskError: it cannot be pickled, because it is not a function at the top level of a file.
    """
    objective = make.args[0] if isinstance(make, partial) and make.args else make
    name = getattr(objective, "__qualname__", type(objective).__name__)
    if getattr(objective, "__module__", "") == "__main__" and not _has_file():
        raise TaskError(
            f"workers import the objective from its file; {name} of a notebook, a prompt or standard input has none: "
            f"write it to a .py file (%%writefile objective.py) and import it from there, or use workers=1."
        )
    try:
        return pickle.dumps(make)
    except Exception as error:
        raise TaskError(
            f"workers import the objective from its file; {name} cannot be imported ({error}): define it with def at "
            f"the top level of a .py file, or use workers=1."
        ) from error


def _has_file() -> bool:
    """Whether what was started is a file; of a script on standard input Python says that it is `<stdin>`."""
    file = getattr(sys.modules["__main__"], "__file__", None)
    return file is not None and Path(file).exists()


def _made(sent: bytes) -> Make:
    try:
        found: Make = pickle.loads(sent)
    except Exception as error:
        what = traceback.format_exception_only(error)[-1].strip()
        raise TaskError(
            f"workers import the objective from its file; there it cannot be found ({what}): define it with def at "
            f"the top level of a .py file, above `if __name__ == '__main__':`, or use workers=1."
        ) from error
    return found


def _end_with_the_study() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    wait([parent.sentinel])
    os._exit(1)
