"""An executor that trains networks in stacks: jobs whose networks differ only in numbers are trained together."""

import logging
import math
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from zeroin.executors.checkpoint import Checkpoint, trial_folder
from zeroin.executors.perform import failure, finish, is_out_of_memory, stepwise
from zeroin.executors.run import Run
from zeroin.nn import loop
from zeroin.nn.data import InMemory, edges
from zeroin.nn.modes import switched
from zeroin.nn.problem import Problem
from zeroin.nn.recipe import recipe
from zeroin.nn.stacking.calibration import Calibrations
from zeroin.nn.stacking.equivalence import verdict
from zeroin.nn.stacking.grouping import signature
from zeroin.nn.stacking.layout import Layout
from zeroin.nn.stacking.memory import room
from zeroin.nn.stacking.rowstate import optimizer_state, set_optimizer_state
from zeroin.nn.stacking.stack import Stack, joined, stack
from zeroin.nn.state import Best, save, unsaved
from zeroin.protocols import Report
from zeroin.types import Config, Ended, Job, Observation, Status
from zeroin.wording import first_line

log = logging.getLogger("zeroin")

KEPT = 8  # signatures without networks in training whose recorded steps, and the memory of these, are kept


@dataclass(slots=True, eq=False)
class _Member:
    """A job that is being trained: its network is row `row` of `held`; `known` epochs of its trial are in the store."""

    job: Job
    known: int
    run: Run
    checkpoint: Checkpoint
    epochs: Iterator[int]
    signature: str
    held: Stack
    row: int
    best: Best
    seconds: float = 0.0

    @property
    def epoch(self) -> int:
        return self.held.rows[self.row].epoch


@dataclass(slots=True, eq=False)
class _Way:
    """How networks of a signature are trained: in which `order` of vmap and grad (None: one by one), `most` at once."""

    order: str | None
    layout: Layout | None = None
    most: int = 1


@dataclass(slots=True, eq=False)
class Stacked:
    """Trains jobs in this process, several at once.

    Which jobs are trained next is a function of the jobs that are running and of their epochs alone, and the results of
    an epoch are stored in one transaction. So a study that is killed and resumed decides like an unbroken one.

    Args:
        problem: what is trained.
        folder: where checkpoints go; made when first used.
        max_epochs: the deepest budget of one trial.
        calibrations: whether a network's size is worth a stack.
        slots: jobs it wants to have at once; 1: one by one.
        grouping: hyperparameters in which jobs must agree to be trained at once.
        seconds: of an epoch of one network, as far as it is known.
    """

    problem: Problem
    folder: Path
    max_epochs: int
    calibrations: Calibrations
    slots: int
    grouping: tuple[str, ...] = ()
    seconds: float = 0.0
    _waiting: deque[tuple[Job, int]] = field(default_factory=deque)
    _members: dict[int, _Member] = field(default_factory=dict)
    _alone: dict[int, Iterator[Ended | None]] = field(default_factory=dict)  # jobs that are trained one by one
    _ways: dict[str, _Way] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    _most: int = 0
    _report: Report | None = None

    def __post_init__(self) -> None:
        self._most = self.slots

    def start(self, job: Job, known: int) -> None:
        """Queue a job."""
        self._waiting.append((job, known))

    def wait(self, report: Report) -> list[Ended]:
        """Train an epoch of one group, or of one job; what ended, if any."""
        self._report = report
        with loop.one_thread():
            ended = self._admit()
            return ended or self._go_on()

    def close(self) -> None:
        """Drop what is under way."""
        self._waiting.clear()
        self._members.clear()
        self._alone.clear()

    # --- jobs in

    def _admit(self) -> list[Ended]:
        """Make rows of the jobs that wait; those that cannot begin, or are over already, end here.

        One for which there is no memory waits until others have ended.
        """
        ended = []
        while self._waiting:
            job, known = self._waiting.popleft()
            checkpoint = Checkpoint(trial_folder(self.folder, job.trial), job.start, known)
            if checkpoint.epoch >= job.stop:  # killed between its last epoch and its end
                ended.append(Ended(job.number, Status.DONE))
                continue
            try:
                member = self._begin(job, known, checkpoint)
                if member:
                    self._members[job.number] = member
                else:
                    self._apart(job, known)
            except Exception as error:
                if is_out_of_memory(error) and (self._members or self._alone):
                    self._waiting.appendleft((job, known))
                    break
                ended.append(Ended(job.number, *failure(error, self.folder)))
        self._members = dict(sorted(self._members.items()))
        return ended

    def _begin(self, job: Job, known: int, checkpoint: Checkpoint) -> _Member | None:
        """A row of its own for a job; None: it is trained alone."""
        run = Run(job, checkpoint, partial(self._timed, job), self.max_epochs)
        how = recipe(job.config)
        model, state = loop.begin(self.problem, job.config, run, how)
        which = signature(switched(model, True), how, job.config)
        way = self._way(which, job.config)
        if way.order is None:
            return None
        held = stack(self.problem, [(job.config, job.seed, model)], way.order, way.layout)
        way.layout = held.layout
        best = Best()
        if state:
            set_optimizer_state(held, 0, state["optimizer"])
            held.rows[0].epoch, best = state["epoch"], Best(**state["best"])
        epochs = run.epochs()
        next(epochs)
        return _Member(job, known, run, checkpoint, epochs, which, held, 0, best)

    def _way(self, which: str, config: Config) -> _Way:
        """How networks of a signature are trained; what was recorded of those used long ago is dropped."""
        way = self._ways.pop(which) if which in self._ways else self._found(config)
        self._ways[which] = way  # the last one used comes last
        busy = {member.signature for member in self._members.values()}
        idle = [way.layout for name, way in self._ways.items() if way.layout and name not in busy]
        for layout in idle[:-KEPT]:
            layout.forget()
        return way

    def _found(self, config: Config) -> _Way:
        """How networks like that of a config can be trained; a reason for going one by one is told once."""
        if self.slots == 1 or self.calibrations.of(config).rows == 1:
            return _Way(None)
        found = verdict(self.problem, config)
        if not found.layout:
            self._tell_why(found.why)
            return _Way(None)
        most = room(found.layout, self.problem.device)
        if most < self.slots:
            log.warning("there is memory for %d of some networks at once", max(1, most))
        return _Way(found.order if most > 1 else None, found.layout, most)

    def _tell_why(self, why: str) -> None:
        if why not in self._told:
            self._told.add(why)
            log.warning("some networks are trained one by one, because %s", why)

    def _timed(self, job: Job, seen: Observation) -> bool:
        return self._heard(job, replace(seen, seconds=self._members[job.number].seconds))

    def _heard(self, job: Job, seen: Observation) -> bool:
        assert self._report
        return self._report(job, seen, with_next=True)

    # --- an epoch

    def _go_on(self) -> list[Ended]:
        """Train an epoch of the group of the oldest job, of those first that are behind what the store knows."""
        behind = [m for m in self._members.values() if m.epoch < m.known]
        able = behind or list(self._members.values())
        if self._alone and not behind and (not able or min(self._alone) < able[0].job.number):
            first = min(self._alone)
            done = next(self._alone[first])
            if done:
                del self._alone[first]
            return [done] if done else []
        most = min(self._most, self._ways[able[0].signature].most)
        group = [m for m in able if m.signature == able[0].signature][:most]
        began = time.monotonic()
        try:
            held, losses, scores = self._trained(group)
        except Exception as error:
            self._without(group, error)
            return []
        took = (time.monotonic() - began) / len(group)
        ended = []
        for row, (member, loss, score) in enumerate(zip(group, losses, scores, strict=True)):
            member.held, member.row, member.seconds = held, row, member.seconds + took
            done = self._tell(member, loss, score)
            ended += [done] if done else []
        return ended

    def _trained(self, group: list[_Member]) -> tuple[Stack, list[float], list[tuple[float, float]]]:
        """A stack of copies of the members after an epoch, their mean losses, and (metric, loss) of each."""
        held = joined([m.held.select([m.row]) for m in group])
        losses: list[float] = held.train_epoch(self.max_epochs).tolist()
        assert isinstance(self.problem.valid, InMemory)
        return held, losses, held.judge(self.problem.valid)

    def _without(self, group: list[_Member], error: Exception) -> None:
        """An epoch that raised: fewer at once where memory ran out, else one by one; what was trained is kept."""
        if is_out_of_memory(error) and len(group) > 1:
            self._most = len(group) // 2
            for way in self._ways.values():
                if way.layout:
                    way.layout.forget()
            log.warning("memory ran out with %d networks at once; at most %d from here on", len(group), self._most)
            return
        self._tell_why(f"in a stack an epoch stopped with '{first_line(error)}'")
        self._ways[group[0].signature].order = None
        for member in group:
            del self._members[member.job.number]
            self._apart(member.job, member.run.epoch)

    def _apart(self, job: Job, known: int) -> None:
        """Train a job one by one from here on."""
        train, heard = partial(loop.by_epoch, self.problem), partial(self._heard, job)
        self._alone[job.number] = stepwise(train, job, self.folder, known, self.max_epochs, heard)

    def _tell(self, member: _Member, loss: float, score: tuple[float, float]) -> Ended | None:
        """Report an epoch of a member; its end, if this was it."""
        try:
            self._note(member, loss, score)
            if next(member.epochs, None) is not None:
                return None
            outcome = finish(member.run, member.checkpoint)
        except Exception as error:
            outcome = failure(error, self.folder)
        del self._members[member.job.number]
        return Ended(member.job.number, *outcome, member.seconds)

    def _note(self, member: _Member, loss: float, score: tuple[float, float]) -> None:
        """Report an epoch, and save what it came to where that may be needed."""
        problem, run, held, row = self.problem, member.run, member.held, member.row
        if not all(map(math.isfinite, (loss, *score))):
            run.report(math.nan)
            return
        member.best = loop.better(problem, member.best, member.epoch, score, partial(held.state_dict, row))
        test = loop.tested(problem, member.best, partial(held.network, row)) if run.final else {}
        run.report(score[0], train_loss=loss, valid_loss=score[1], **test)
        if run.saving:
            steps = member.epoch * len(edges(len(problem.train), held.rows[row].how.batch_size))
            buffers = {name: held.buffers[name][row].clone() for name in unsaved(held.layout.base)}
            tensors = held.state_dict(row), optimizer_state(held, row, steps), buffers
            save(problem, run, member.epoch, member.best, tensors)
