"""Doing a job with an objective: whatever happens, also an exception, is returned as a value."""

import errno
import os
import shutil
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from zeroin.errors import StoreError, TaskError, ZeroinError
from zeroin.executors.checkpoint import Checkpoint, trial_folder
from zeroin.executors.run import Heard, Lost, Objective, Run
from zeroin.types import Config, Ended, Job, Observation, Status
from zeroin.wording import traced

Steps: TypeAlias = Callable[[Config, "Run"], Iterator[None]]  # an objective that pauses after each epoch

NO_MEMORY = ("out of memory", "allocate memory", "not enough memory")  # on accelerators; on a CPU, and Windows's
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, a quota, the limit of a file
SPARE_BYTES = 1 << 20  # a disk with less is full
UNSAVED = (
    "a trial that is paused goes on from what it saved; this objective saved nothing to run.checkpoint, which is "
    "right only if it keeps no state: save to run.checkpoint after each epoch, load from it if run.start > 0."
)


def perform(objective: Objective, job: Job, root: Path, known: int, max_epochs: int, heard: Heard) -> Ended:
    """Do a job with an objective, in this process and thread; exceptions, `SystemExit` too, are returned as a status.

    Args:
        objective: f(config, run); of a job of one epoch it may return the loss instead of reporting it.
        job: what to train.
        root: where checkpoints go.
        known: epochs of the trial that the store has.
        max_epochs: the deepest budget of one trial.
        heard: called with each epoch's observation.

    Raises:
        ZeroinError: the objective is used in a way that no other config would fix.
    """

    def whole(config: Config, run: Run) -> Iterator[None]:
        try:
            result = objective(config, run)
        except Lost:
            run.begin_anew()
            result = objective(run.config, run)
        run.returned(result)
        yield

    with _staying():
        return next(filter(None, stepwise(whole, job, root, known, max_epochs, heard)))


@contextmanager
def _staying() -> Iterator[None]:
    """Restore the working directory if the objective changes it, because the paths of a store may be relative."""
    try:
        here = os.getcwd()
    except OSError:  # it was taken away
        here = ""
    try:
        yield
    finally:
        if here:
            with suppress(OSError):  # it was taken away meanwhile
                os.chdir(here)


def stepwise(steps: Steps, job: Job, root: Path, known: int, max_epochs: int, heard: Heard) -> Iterator[Ended | None]:
    """`perform` as a generator: yields None after each step of the objective, and finally how the job ended."""
    took, began = 0.0, time.monotonic()
    checkpoint = Checkpoint(trial_folder(root, job.trial).absolute(), job.start, known)
    if checkpoint.epoch >= job.stop:  # killed between its last epoch and its end
        yield Ended(job.number, Status.DONE)
        return

    def timed(seen: Observation) -> bool:
        return heard(replace(seen, seconds=took + time.monotonic() - began))

    run = Run(job, checkpoint, timed, max_epochs)
    try:
        for _ in steps(run.config, run):
            took += time.monotonic() - began
            yield None
            began = time.monotonic()
        outcome = finish(run, checkpoint)
    except (Exception, SystemExit) as error:  # what cancels (Ctrl-C, asyncio, a test that ends) goes through
        if isinstance(error, SystemExit) and _by_signal(error):
            raise
        outcome = failure(error, root)
    yield Ended(job.number, *outcome, took + time.monotonic() - began)


def finish(run: Run, checkpoint: Checkpoint) -> tuple[Status, str]:
    """The status of a job whose training returned, and a note; its checkpoint is put aside.

    Raises:
        TaskError: it has reported no loss.
    """
    if run.status is Status.DIVERGED:
        return Status.DIVERGED, f"the loss was not finite in epoch {run.epoch + 1}"
    if run.epoch == 0:
        raise TaskError(
            "an objective returns its loss or calls run.report(loss); this one did neither: end it with `return loss`."
        )
    if run.epoch < run.max_epochs and not checkpoint.used:
        warnings.warn(UNSAVED, stacklevel=2)
    checkpoint.put_aside(run.epoch, last=True)
    return Status.DONE, ""


def _by_signal(error: SystemExit) -> bool:
    """Whether a signal handler raised it: then the process is to end, and it is not the objective's failure."""
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    codes = [getattr(handler, "__code__", None) for handler in handlers if callable(handler)]
    return any(frame.f_code in codes for frame, _ in traceback.walk_tb(error.__traceback__))


def failure(error: Exception | SystemExit, root: Path) -> tuple[Status, str]:
    """An exception of training as the status of its job and a note.

    Raises:
        ZeroinError: the error itself, if it is one that no other config would fix; or the disk is full.
    """
    if isinstance(error, ZeroinError):
        raise error
    if _is_full_disk(error, root):
        raise StoreError(
            f"a checkpoint needs room on the disk; {root} has none left: free some space and give the same "
            f"command again; what was observed before is kept."
        ) from error
    status = Status.OUT_OF_MEMORY if is_out_of_memory(error) else Status.FAILED
    return status, traced(error)


def _is_full_disk(error: BaseException | None, root: Path) -> bool:
    """Whether an error, or its cause, comes from a full disk, which torch and copytree do not report as such."""
    if error is None:
        return False
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    if isinstance(error, RuntimeError | shutil.Error) and root.is_dir() and shutil.disk_usage(root).free < SPARE_BYTES:
        return True
    return _is_full_disk(error.__cause__ or error.__context__, root)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    # torch's own class is compared by name, because torch must not be imported here.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and any(words in str(error).lower() for words in NO_MEMORY))
    )
