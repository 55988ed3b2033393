"""Several jobs at once, each in a process of its own that stays for the whole study."""

import multiprocessing
import os
import pickle
import signal
import warnings
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from zeroin.errors import StudyError, TaskError, ZeroinError
from zeroin.executors import worker
from zeroin.executors.run import Objective, takes_run
from zeroin.protocols import Report
from zeroin.types import Ended, Job, Observation, Status

SPAWN = multiprocessing.get_context("spawn")  # a forked process deadlocks in the threads of numpy and PyTorch
SECONDS_TO_END = 2.0  # before a worker that was asked to end is killed
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",  # an idle thread that spins takes the core from another worker
}


@dataclass(slots=True, eq=False)
class _Worker:
    """A process, the line to it, and what it does; `up` once it has imported the user's file."""

    process: SpawnProcess
    line: Connection
    job: Job | None = None
    known: int = 0
    up: bool = False
    kills: int = 0  # of the kernel for want of memory, when the job began


class Processes:
    """Calls the objective in worker processes of one thread each.

    Workers are started with the first jobs and kept; one that dies is replaced, its job told as failed. When the
    study's process ends in whatever way, they end too.

    Args:
        objective: f(config) -> loss, or f(config, run); a function at the top level of a file, which workers import.
        folder: where checkpoints go; made when first used.
        max_epochs: the deepest budget of one trial.
        workers: processes.

    Raises:
        TaskError: an objective that workers cannot import, such as a lambda.
    """

    def __init__(self, objective: Objective, folder: Path, max_epochs: int, workers: int) -> None:
        self.slots = workers
        self._pickled = pickled(objective)
        self._folder, self._max_epochs = folder, max_epochs
        self._waiting: deque[tuple[Job, int]] = deque()
        self._workers: list[_Worker] = []
        self._end = weakref.finalize(self, _end_all, self._workers)

    def start(self, job: Job, known: int) -> None:
        """Give a job to a free worker, or queue it."""
        self._waiting.append((job, known))
        self._hand_out()

    def wait(self, report: Report) -> list[Ended]:
        """Listen until a job ended."""
        ended: list[Ended] = []
        while not ended:
            by_line = {w.line: w for w in self._workers if w.job}
            assert by_line, "nothing to wait for"
            for line in wait(list(by_line)):
                done = self._hear(by_line[line], report)  # type: ignore[index]
                ended += [done] if done else []
            self._hand_out()
        return ended

    def close(self) -> None:
        """End the workers; what they were doing is dropped."""
        self._waiting.clear()
        self._end()

    def _hand_out(self) -> None:
        while self._waiting:
            free = next((w for w in self._workers if not w.job), None)
            if free is None and len(self._workers) < self.slots:
                free = _start(self._folder, self._max_epochs)
                self._workers.append(free)
            if free is None:
                return
            free.job, free.known = self._waiting.popleft()
            free.kills = _out_of_memory_kills() or 0
            if free.up:
                _send(free, (free.job, free.known))

    def _hear(self, of: _Worker, report: Report) -> Ended | None:
        assert of.job
        try:
            message = of.line.recv()
        except (EOFError, ConnectionError):
            return self._lost(of)
        match message:
            case worker.Up():
                of.up = True
                _send(of, self._pickled)
                _send(of, (of.job, of.known))
            case Observation():
                _send(of, report(of.job, message))
            case worker.Warned(text):
                warnings.warn(text, stacklevel=2)
            case Ended():
                of.job = None
                return message
            case ZeroinError():
                raise message
        return None

    def _lost(self, of: _Worker) -> Ended:
        """What became of the job of a worker that died."""
        assert of.job
        self._workers.remove(of)
        of.process.join()
        code = of.process.exitcode or 0
        if not of.up:
            raise TaskError(
                f"workers import the file that calls tune; this one ended with status {code} while being imported "
                f"(its message is above): put the call under `if __name__ == '__main__':`, or use workers=1."
            )
        if _killed_for_memory(code, of.kills):
            return Ended(of.job.number, Status.OUT_OF_MEMORY, "its process was killed for want of memory")
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return Ended(of.job.number, Status.FAILED, f"its process ended with {how}")


def pickled(objective: Objective) -> bytes:
    """An objective as bytes that another process can make it from.

    Raises:
        TaskError: it is no function at the top level of a file.
    """
    takes_run(objective)
    try:
        return pickle.dumps(objective)
    except Exception as error:
        name = getattr(objective, "__qualname__", type(objective).__name__)
        raise TaskError(
            f"workers import the objective from its file; {name} cannot be imported ({error}): define it with def at "
            f"the top level of a .py file, or use workers=1."
        ) from error


def check_workers(workers: int) -> None:
    """Whether so many workers can be started here.

    Raises:
        StudyError: not a whole number from 1; or this process is itself a worker that is importing its file.
    """
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise StudyError(f"workers are counted from 1; workers={workers!r}: use workers={os.cpu_count() or 1}.")
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise StudyError(
            "a file that is tuned with workers is imported by each of them; this one calls tune while being "
            "imported: put the call under `if __name__ == '__main__':`."
        )


def _start(folder: Path, max_epochs: int) -> _Worker:
    far, near = SPAWN.Pipe()
    process = SPAWN.Process(target=worker.main, args=(near, folder, max_epochs))
    with _environment(ONE_THREAD), _without_interrupts():
        process.start()
    near.close()  # the worker's end is the worker's alone, so that its death is seen
    return _Worker(process, far)


def _send(to: _Worker, message: object) -> None:
    try:
        to.line.send_bytes(message) if isinstance(message, bytes) else to.line.send(message)
    except (BrokenPipeError, ConnectionError):
        return  # it died: seen when it is next listened to


def _end_all(workers: list[_Worker]) -> None:
    for one in workers:
        one.process.terminate()
    for one in workers:
        one.process.join(SECONDS_TO_END)
        if one.process.is_alive():
            one.process.kill()
            one.process.join()
        one.line.close()
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
    """A process started within is not interrupted by Ctrl-C while it imports; ours comes a moment later."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _killed_for_memory(exitcode: int, kills: int) -> bool:
    if exitcode != -signal.SIGKILL:
        return False
    now = _out_of_memory_kills()
    return now is None or now > kills  # where the kernel does not count, a kill -9 is taken for it


def _out_of_memory_kills() -> int | None:
    """How many processes the kernel has killed for want of memory since it started; None where it does not tell."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)
