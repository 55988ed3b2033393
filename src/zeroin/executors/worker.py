"""The far end of `processes`: one process that does jobs one after another until its study is gone."""

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from zeroin.errors import TaskError, ZeroinError
from zeroin.executors.run import Objective, perform, takes_run
from zeroin.types import Observation

PATIENCE = 0.05  # s that an epoch waits for the study's answer; a study that is deciding gives it at a later epoch


@dataclass(frozen=True, slots=True)
class Up:
    """A worker has started and takes its objective."""


@dataclass(frozen=True, slots=True)
class Warned:
    """The objective, or what it calls, warned."""

    text: str


def main(near: Connection, root: Path, max_epochs: int) -> None:
    """Take an objective, then do jobs; everything that happens is a message.

    Args:
        near: to the study; it sends the pickled objective, then (job, known) one by one, and a bool for each epoch.
        root: where checkpoints go.
        max_epochs: the deepest budget of one trial.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the study's, which then ends its workers
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_the_study, daemon=True).start()
    warnings.showwarning = lambda message, *_: near.send(Warned(str(message)))
    try:
        near.send(Up())
        objective = _objective(near.recv_bytes())
        while True:
            message = near.recv()
            if isinstance(message, bool):
                continue  # the answer to an epoch of a job that has ended
            job, known = message
            near.send(perform(objective, job, root, known, max_epochs, _Line(near)))
    except ZeroinError as error:
        near.send(error)
    except (EOFError, ConnectionError):
        return  # the study is gone


class _Line:
    """Tells the study each epoch and passes on what it answers."""

    def __init__(self, near: Connection) -> None:
        self._near, self._unanswered = near, 0

    def __call__(self, seen: Observation) -> bool:
        self._near.send(seen)
        self._unanswered += 1
        go_on = True
        while self._unanswered and self._near.poll(PATIENCE):
            self._unanswered -= 1
            go_on = self._near.recv() and go_on
        return go_on


def _objective(pickled: bytes) -> Objective:
    try:
        found: Objective = pickle.loads(pickled)
    except Exception as error:
        what = traceback.format_exception_only(error)[-1].strip()
        raise TaskError(
            f"workers import the objective from its file; there it cannot be found ({what}): define it with def at "
            f"the top level of a .py file, above `if __name__ == '__main__':`, or use workers=1."
        ) from error
    return found if takes_run(found) else lambda config, _run: found(config)


def _end_with_the_study() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    wait([parent.sentinel])
    os._exit(1)
