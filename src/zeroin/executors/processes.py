"""An executor that does jobs in worker processes, which stay for the whole study."""

import itertools
import math
import signal
import time
import warnings
import weakref
from collections.abc import Sequence
from multiprocessing.connection import wait

from zeroin.errors import TaskError, ZeroinError
from zeroin.executors import worker
from zeroin.executors.place import Group, Place, end_all, killed_for_memory, out_of_memory_kills, send, start
from zeroin.protocols import Executor, Report
from zeroin.types import Ended, Job, Status
from zeroin.wording import duration


class Processes:
    """Does jobs in worker processes of one thread each, which have an executor of their own each.

    Workers are started with the first jobs and kept. One that dies is replaced; its jobs are done again, each in a
    process that does nothing else, and one that dies again is told as failed. When the study's process ends in whatever
    way, workers end too.

    Args:
        make: makes the executor of a worker, such as `partial(Inline, objective, folder, max_epochs)` of a function at
            the top level of a file, which workers import.
        workers: processes.
        rows: jobs that one of them has at once.
        grouping: hyperparameters in which jobs must agree to be done at once.
        here: does jobs as well, in this process, a step at a time; it begins while the workers start.
        seconds: of an epoch of one job, as far as it is known.
        started: workers that were started beforehand.
        forked: whether workers are copies of this process, there at once, instead of new ones that import everything;
            see `can_fork`.

    Attributes:
        patience: seconds that a job may go on without an epoch; a worker in which one hangs is then killed and
            replaced, and the job told as timed out. None: as long as it takes. A job in this process cannot be ended.

    Raises:
        TaskError: an objective that workers cannot import, such as a lambda.
    """

    def __init__(
        self, make: worker.Make, workers: int, *, rows: int = 1, grouping: tuple[str, ...] = (),
        here: Executor | None = None, seconds: float = 0.0, started: Sequence[Place] = (), forked: bool = False,
    ) -> None:  # fmt: skip
        self.grouping = grouping
        self.patience: float | None = None
        self.seconds = seconds / (workers + (here is not None))
        self._make: worker.Make | bytes = make if forked else worker.pickled(make)
        self._most, self._rows, self._here = workers, rows, here
        self._waiting: list[tuple[Job, int]] = []
        self._suspects: set[int] = set()  # jobs that were under way when a worker died
        self._home = Place(up=True, ready=here is not None)
        self._workers = list(started)
        self._end = weakref.finalize(self, end_all, self._workers)

    @property
    def slots(self) -> int:
        """How many jobs it wants at once: those that this process and the workers that are ready can do."""
        if self._here is None:
            return self._rows * self._most
        return self._rows * (1 + sum(w.ready for w in self._workers))

    def start(self, job: Job, known: int) -> None:
        """Queue a job."""
        self._waiting.append((job, known))

    def wait(self, report: Report) -> list[Ended]:
        """Listen to the workers until a job ends; or, if this process does jobs too, train for a step meanwhile."""
        while True:
            self._hand_out()
            ended = self._listen(report)
            if self._here and self._home.jobs and not ended:
                ended += self._here.wait(report)
                for one in ended:
                    del self._home.jobs[one.job]
            if ended:
                self._hand_out()  # no worker waits until the study has decided
            if ended or self._home.jobs:
                return ended

    def close(self) -> None:
        """End the workers; what they were doing is dropped."""
        self._waiting.clear()
        self._end()
        if self._here:
            self._here.close()

    # --- jobs out

    def _hand_out(self) -> None:
        """Give jobs to the processes that have room, evenly; those that can be trained together to the same one."""
        total = len(self._waiting) + len(self._home.jobs) + sum(len(w.jobs) for w in self._workers)
        while len(self._workers) < min(self._most, total - (self._here is not None)):
            first, taken = int(self._here is not None), {w.number for w in self._workers}  # this process has number 0
            number = next(n for n in itertools.count(first) if n not in taken)
            self._workers.append(start(self._make, number, first + self._most))
        ready = [p for p in (self._home, *self._workers) if p.ready]
        share = -(-total // max(1, len(ready)))
        for anywhere in (False, True):  # first where nothing new has to be prepared for a job, as far as that is even
            for job, known in list(self._waiting):
                places = [p for p in ready if anywhere or (len(p.jobs) < share and not self._is_others(job, p))]
                place = self._place_for(job, places, share)
                if place:
                    self._waiting.remove((job, known))
                    self._give(place, job, known)

    def _group(self, job: Job) -> Group:
        return tuple(job.config.get(name) for name in self.grouping)

    def _is_others(self, job: Job, place: Place) -> bool:
        """Whether others have begun the group of a job and this process has not."""
        group = self._group(job)
        return group not in place.groups and any(group in p.groups for p in (self._home, *self._workers))

    def _place_for(self, job: Job, ready: Sequence[Place], share: int) -> Place | None:
        """Where a job goes: to most of its like, unless there is more to do there than an even share.

        Others wait here until a process is free, so that none is left without work while a group waits in another; one
        that is older than all that a process has goes there, and is done first.
        """
        suspect = job.number in self._suspects
        rooms = [
            p
            for p in ready
            if len(p.jobs) < (1 if suspect else self._rows)
            and not self._suspects & p.jobs.keys()
            and not (suspect and p is self._home)
            and (self._alike(job, p) or all(job.number < number for number in p.jobs))
        ]

        def fit(place: Place) -> tuple[int, int]:
            count = len(place.jobs)
            return self._alike(job, place) if self.grouping and count < share else 0, -count

        return max(rooms, key=fit, default=None)

    def _alike(self, job: Job, place: Place) -> int:
        """How many jobs of a process can be done at once with another."""
        return sum(self._group(job) == self._group(other) for other, _ in place.jobs.values())

    def _give(self, place: Place, job: Job, known: int) -> None:
        is_first = not place.jobs
        place.jobs[job.number] = job, known
        place.groups.add(self._group(job))
        if place is self._home:
            assert self._here
            self._here.start(job, known)
        else:
            send(place, (job, known))
        if is_first:  # after it was told, as reading takes a moment
            place.kills, place.heard = out_of_memory_kills() or 0, time.monotonic()

    # --- news in

    def _listen(self, report: Report) -> list[Ended]:
        """What the workers have to say; where this process has nothing to do, wait for it."""
        ended: list[Ended] = []
        while True:
            by_line = {w.line: w for w in self._workers if w.line}
            left = min((self._left(w) for w in self._workers), default=math.inf)
            heard = wait(list(by_line), 0.0 if self._home.jobs else None if math.isinf(left) else max(0.0, left))
            for line in heard:
                ended += self._hear(by_line[line], report)  # type: ignore[index]
            for hung in [w for w in self._workers if self._left(w) < 0 and w.line not in heard]:
                ended += self._hung(hung)
            if not heard or not self._home.jobs:
                return ended

    def _left(self, of: Place) -> float:
        """Seconds until a worker that tells nothing is killed; jobs that are done at once take as many times longer."""
        if self.patience is None or not of.jobs:
            return math.inf
        return of.heard + self.patience * len(of.jobs) - time.monotonic()

    def _hear(self, of: Place, report: Report) -> list[Ended]:
        assert of.line
        try:
            message = of.line.recv()
        except (EOFError, ConnectionError):
            return self._lost(of)
        of.heard = time.monotonic()
        match message:
            case worker.Up():
                of.up = True
                if isinstance(self._make, bytes):
                    send(of, self._make)
            case worker.Ready():
                of.ready = True
            case worker.Seen(number, seen):
                job, known = of.jobs[number]
                of.jobs[number] = job, max(known, seen.epoch)
                send(of, report(job, seen))
            case worker.Warned(text):
                warnings.warn(text, stacklevel=2)
            case [*ended]:
                for one in ended:
                    del of.jobs[one.job]
                    self._suspects.discard(one.job)
                return ended
            case ZeroinError():
                raise message
        return []

    def _lost(self, of: Place) -> list[Ended]:
        """What becomes of the jobs of a worker that died: they are done again, or were so already."""
        code = self._without(of)
        if not of.up:
            raise TaskError(
                f"workers import the file that calls tune; this one ended with status {code} while being imported "
                f"(its message is above): put the call under `if __name__ == '__main__':`, or use workers=1."
            )
        if killed_for_memory(code, of.kills):
            if len(of.jobs) == 1:
                why = "its process was killed for want of memory"
                return [Ended(number, Status.OUT_OF_MEMORY, why) for number in of.jobs]
            self._rows = max(1, self._rows // 2)
            self._waiting[:0] = of.jobs.values()
            return []
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        again = self._again(of)
        return [Ended(n, Status.FAILED, f"its process ended with {how}, twice") for n in of.jobs if n not in again]

    def _hung(self, of: Place) -> list[Ended]:
        """What becomes of the jobs of a worker that told nothing for too long: a single one is what hangs."""
        assert of.process
        of.process.kill()
        self._without(of)
        again = self._again(of) if len(of.jobs) > 1 else []
        took = time.monotonic() - of.heard
        why = f"no epoch ended within {duration(took)}; its process was killed"
        return [Ended(n, Status.TIMED_OUT, why, took) for n in of.jobs if n not in again]

    def _without(self, gone: Place) -> int:
        """Go on without a worker; the exit status of its process."""
        assert gone.process
        assert gone.line
        self._workers.remove(gone)
        gone.line.close()
        gone.process.join()
        return gone.process.exitcode or 0

    def _again(self, of: Place) -> list[int]:
        """The jobs of a worker that is gone which are done again, each by itself: those that were not so already."""
        again = [number for number in of.jobs if number not in self._suspects]
        self._suspects |= of.jobs.keys()
        self._waiting[:0] = [of.jobs[number] for number in again]
        return again
