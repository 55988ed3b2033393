"""Worker processes as the study sees them: starting them, sending them messages, ending them."""

import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeAlias

from zeroin.checked import is_whole
from zeroin.errors import StudyError
from zeroin.executors import gpus, worker
from zeroin.protocols import STORE_THREAD
from zeroin.types import Job, Value

SPAWN = multiprocessing.get_context("spawn")  # a forked process may deadlock in what an objective started
FORK = multiprocessing.get_context("fork") if sys.platform == "linux" else SPAWN
MOST = 64  # workers a core: more than that are a slip, and take all memory before one of them begins
KILL = 9  # SIGKILL, which Windows' `signal` does not have
SECONDS_TO_END = 2.0  # before a worker that was asked to end is killed
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",  # an idle thread that spins takes the core from another worker
}

Group: TypeAlias = tuple[Value | None, ...]  # what jobs that can be done at once have in common


@dataclass(slots=True, eq=False)
class Place:
    """Where jobs are done: a worker process and the connection to it; without these, the study's own process."""

    process: BaseProcess | None = None
    line: Connection | None = None
    number: int = 0  # of those that train for a study, from 0; that which replaces it has the same
    up: bool = False  # it has imported the user's file
    ready: bool = False
    jobs: dict[int, tuple[Job, int]] = field(default_factory=dict)  # under way, with the epochs known of their trials
    kills: int = 0  # processes that the kernel had killed for want of memory when the first of these jobs began
    groups: set[Group] = field(default_factory=set)  # of jobs that it has begun
    heard: float = 0.0  # when it last told something, or was given the first of its jobs, on the monotonic clock


def check_workers(workers: int) -> None:
    """Check that so many workers can be started here.

    Raises:
        StudyError: not a whole number from 1; far more than cores; or this process may have no children, or is itself
            a worker that is importing its file.
    """
    cores = os.cpu_count() or 1
    if not is_whole(workers, 1):
        raise StudyError(f"workers are counted from 1; workers={workers!r}: use workers={cores}.")
    if workers > MOST * cores:
        raise StudyError(
            f"workers are processes on this machine, at most {MOST} a core; workers={workers} on {cores}: "
            f"use workers={cores}."
        )
    if workers > 1 and multiprocessing.current_process().daemon:
        raise StudyError(
            f"workers are started by a process that may have children; this one is daemonic, as those of "
            f"multiprocessing.Pool are, workers={workers}: use workers=1, or concurrent.futures.ProcessPoolExecutor."
        )
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise StudyError(
            "a file that is tuned with workers is imported by each of them; this one calls tune while being "
            "imported: put the call under `if __name__ == '__main__':`."
        )


def can_fork() -> bool:
    """Whether a forked copy of this process can train on the CPU: on Linux, if no other thread is running.

    PyTorch's own DataLoader forks its workers, too. A lock that another thread holds at that moment would stay locked
    in the copy forever. The store's thread shares no lock, and a process that uses one thread needs none of OpenMP's.
    """
    here = threading.current_thread()
    return sys.platform == "linux" and all(t is here or t.name == STORE_THREAD for t in threading.enumerate())


def start(make: worker.Make | bytes = b"", number: int = 0, workers: int = 1) -> Place:
    """A worker: a copy of this process that has `make`, or a new process that waits for it to be sent as bytes.

    Args:
        make: makes its executor; bytes: that comes later, pickled.
        number, workers: which of how many it is. A new process sees its share of the GPUs; copies train on the CPU.
    """
    held = None if isinstance(make, bytes) else make
    context = FORK if held else SPAWN
    far, near = context.Pipe()
    process = context.Process(target=worker.main, args=(near, held))
    share = {} if held else gpus.share(number, workers)
    with _environment(ONE_THREAD | share), _without_interrupts(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which `can_fork` looked at
        process.start()
    near.close()  # the worker's end is the worker's alone, so that its death is seen
    return Place(process, far, number)


@contextmanager
def starting(workers: int) -> Iterator[list[Place]]:
    """Start all workers but the first while it is still being decided what they do; they are ended if that raises."""
    places: list[Place] = []
    try:
        for number in range(1, workers):
            places.append(start(number=number, workers=workers))  # noqa: PERF401  they end where one cannot start
        yield places
    except BaseException:
        end_all(places)
        raise


def send(to: Place, message: object) -> None:
    """Send a message to a worker; bytes are sent as they are."""
    assert to.line
    try:
        to.line.send_bytes(message) if isinstance(message, bytes) else to.line.send(message)
    except ConnectionError:
        return  # it died: seen when it is next listened to


def end_all(workers: list[Place]) -> None:
    """End workers and empty the list."""
    running = [(one.process, one.line) for one in workers if one.process and one.line]
    for process, _ in running:
        process.terminate()
    for process, line in running:
        process.join(SECONDS_TO_END)
        if process.is_alive():
            process.kill()
            process.join()
        line.close()
    workers.clear()


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """A process started within is not interrupted by Ctrl-C while it imports; for this one Ctrl-C is deferred."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def killed_for_memory(exitcode: int, kills: int) -> bool:
    """Whether a process was killed by the kernel because memory ran out; before, the kernel had killed `kills`."""
    if exitcode != -KILL:
        return False
    now = out_of_memory_kills()
    return now is None or now > kills  # where the kernel does not count, a kill -9 is taken for it


def out_of_memory_kills() -> int | None:
    """How many processes the kernel has killed since it started because memory ran out; None if it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)
