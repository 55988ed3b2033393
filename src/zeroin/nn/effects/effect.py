"""`effect`: how much of a space of hyperparameters works with a choice and without it, by the same random draws."""

import heapq
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import torch

from zeroin.checked import is_whole
from zeroin.errors import TaskError
from zeroin.executors.inline import Inline
from zeroin.executors.place import check_workers
from zeroin.executors.processes import Processes
from zeroin.executors.run import Run
from zeroin.nn.effects.arms import Arm, Design, design
from zeroin.nn.effects.curves import ROWS, curves, seconds
from zeroin.nn.effects.outcome import Effect
from zeroin.nn.effects.volume import Comparison, Draw, Goal, compared
from zeroin.nn.executing import carried
from zeroin.nn.metrics import METRICS
from zeroin.nn.problem import Problem, loss_of
from zeroin.nn.task import Task
from zeroin.protocols import Executor
from zeroin.rng import generator, seed_of
from zeroin.types import Config, Ended, Job, Kind, Observation, Status, Value
from zeroin.wording import error_line

Setting: TypeAlias = Mapping[str, Value]

USUAL = ("accuracy", "balanced_accuracy")  # metrics with a default target
TARGET = 0.9


@dataclass(frozen=True, slots=True)
class Piece:
    """Draws of one arm in one setting, which are trained together."""

    setting: Setting
    arm: Arm
    members: tuple[tuple[Config, int], ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a comparison.

    Args:
        trainings: how many configs are trained in all.
        seconds: how long all of it takes at most, estimated from a few steps.
        share: of the time that is over.
    """

    trainings: int
    seconds: float
    share: float


def effect(
    task: Task,
    choice: str,
    *,
    at: Mapping[str, Sequence[Value]] | None = None,
    held: Mapping[str, Value] | None = None,
    draws: int = 256,
    epochs: int = 8,
    target: float | None = None,
    workers: int = 1,
    seed: int = 0,
    listen: Callable[[Progress], None] | None = None,
) -> Effect:
    """Measure the effect of a choice on the share of configs that work.

    For batchnorm, layernorm and groupnorm, the lr (log-uniform, 1e-4 to 10) and the momentum (1 − momentum log-uniform,
    0 to 0.99) of SGD are drawn, with nothing else to help; if the network does not look at its config for a norm, the
    norm is inserted. For a Choice in the task's space, all hyperparameters of the space are drawn, except those that
    change the shape of the network, which are held at their defaults.

    Args:
        task: whose networks are trained.
        choice: batchnorm, layernorm, groupnorm, or the name of a Choice in the task's space.
        at: settings in which to compare, such as {"layers": (2, 8), "init": ("default", "kaiming")}; all combinations.
        held: values by name that every config has.
        draws: how many configs are drawn; each is trained in every arm of every setting.
        epochs: of each training.
        target: a config works if its validation metric is at least this good after the last epoch; None: 0.9 for an
            accuracy.
        workers: how many processes.
        seed: of the draws and of the trainings.
        listen: called before the first training, and after each epoch of each stack.

    Returns:
        Shares with confidence intervals, paired tests, and ranges; `print` it, `.picture("effect.svg")`, `.to_json()`.

    Raises:
        TaskError: there is no such choice, a target is needed, a setting has no effect on the network, or a network
            does not fit the data.

    >>> print(effect(task, "batchnorm", at={"layers": (2, 8)}))  # doctest: +SKIP

    Source: docs/batch-normalisation.md.
    """
    check_workers(workers)
    for name, value in (("draws", draws), ("epochs", epochs)):
        if not is_whole(value, 1):
            raise TaskError(f"{name} are counted from 1; {name}={value!r}: leave it out, or use {name}=8.")
    draws, epochs, workers = int(draws), int(epochs), int(workers)  # NumPy's, as JSON has none
    goal = _goal(task, target, epochs)
    plan = design(task, choice, at or {}, held or {})
    pieces = _pieces(plan, draws, seed)
    began = time.monotonic()
    found = _trained(task, pieces, goal, workers, listen or (lambda _: None))
    took = time.monotonic() - began
    comparisons = tuple(_comparison(plan, setting, pieces, found, goal) for setting in plan.settings)
    metric = "loss" if task.problem.metric is None else task.problem.metric.name
    return Effect(choice, task.name, metric, goal, plan.drawn, plan.held, comparisons, draws, seed, took, workers)


def _pieces(plan: Design, draws: int, seed: int) -> list[Piece]:
    """The same draws for each arm of each setting, in pieces that are trained together."""
    points = generator(seed, "effect").random((draws, len(plan.space)))  # independent, as confidence intervals ask for
    seeds = [seed_of(seed, "effect", i) for i in range(draws)]
    pieces = []
    for setting in plan.settings:
        for arm in plan.arms:
            members = [(plan.config(setting, arm, p), n) for p, n in zip(points, seeds, strict=True)]
            pieces += [Piece(setting, arm, tuple(members[i : i + ROWS])) for i in range(0, draws, ROWS)]
    return pieces


def _comparison(
    plan: Design, setting: Setting, pieces: Sequence[Piece], found: Sequence[Sequence[Sequence[float]]], goal: Goal
) -> Comparison:
    """The arms in one setting, by the metrics `found` by piece, draw and epoch."""
    arms: dict[str, list[Draw]] = {arm.name: [] for arm in plan.arms}
    for piece, table in zip(pieces, found, strict=True):
        if piece.setting is setting:
            lines = zip(piece.members, table, strict=True)
            arms[piece.arm.name] += [Draw(config, tuple(curve)) for (config, _), curve in lines]
    return compared(setting, arms, goal)


def train_piece(problem: Problem, pieces: Sequence[Piece], _config: Config, run: Run) -> None:
    """An objective that trains the piece numbered like the trial; it reports the draws' metrics, and a dummy loss."""
    piece = pieces[run.trial]
    for _, seen in zip(run.epochs(), curves(piece.arm.of(problem), piece.members, run.max_epochs), strict=True):
        run.report(0.0 if seen else math.nan, **{str(place): value for place, value in seen.items()})


def _trained(
    task: Task, pieces: Sequence[Piece], goal: Goal, workers: int, listen: Callable[[Progress], None]
) -> list[list[list[float]]]:
    """Train all pieces; returns the metrics by piece, draw and epoch."""
    costs, workers = _costs(task, pieces, goal.epochs), min(workers, len(pieces))
    now = partial(Progress, sum(len(p.members) for p in pieces), _until_all_ended(costs, workers))
    listen(now(0.0))
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(_executor(task, pieces, Path(folder), goal.epochs, workers)) as executor,
    ):
        return _metrics(executor, pieces, costs, goal.epochs, lambda share: listen(now(share)))


def _metrics(
    executor: Executor, pieces: Sequence[Piece], costs: Sequence[float], epochs: int, tell: Callable[[float], None]
) -> list[list[list[float]]]:
    """Have an executor train the pieces, the longest first; `tell` is called with the share that is done."""
    tables: list[list[list[float]]] = [[[] for _ in p.members] for p in pieces]
    done = [0] * len(pieces)

    def tell_share() -> None:
        tell(sum(c * e for c, e in zip(costs, done, strict=True)) / (sum(costs) * epochs))

    def heard(job: Job, seen: Observation, *, with_next: bool = False) -> bool:  # noqa: ARG001
        for place, value in seen.metrics.items():
            tables[job.trial][int(place)].append(value)
        done[job.trial] = seen.epoch
        tell_share()
        return True

    longest_first = sorted(range(len(pieces)), key=lambda i: -costs[i])
    for n, i in enumerate(longest_first):
        executor.start(Job(n, i, {}, 0, 0, epochs, Kind.SCREEN, "draws of one arm"), 0)
    left = len(pieces)
    while left:
        for ended in executor.wait(heard):
            _check(ended)
            left -= 1
            done[longest_first[ended.job]] = epochs
        tell_share()
    return tables


def _until_all_ended(costs: Sequence[float], workers: int) -> float:
    """How many seconds pieces with these costs take in all, if each goes to the next free worker, the longest first.

    >>> _until_all_ended([2.0, 2.0, 2.0], 2)
    4.0
    """
    ends = [0.0] * workers
    for cost in sorted(costs, reverse=True):
        heapq.heapreplace(ends, ends[0] + cost)
    return max(ends)


def _check(ended: Ended) -> None:
    if ended.status in (Status.DONE, Status.DIVERGED):
        return
    raise TaskError(
        f"the draws of an arm are trained to their end; a stack of them ended as {ended.status} with "
        f"'{error_line(ended.note)}': fix the network, or leave that setting out."
    )


def _executor(task: Task, pieces: Sequence[Piece], folder: Path, epochs: int, workers: int) -> Executor:
    if workers == 1:
        return Inline(partial(train_piece, task.problem, tuple(pieces)), folder, epochs)
    forked, by = carried(task, workers)
    return Processes(partial(Inline, by(train_piece, tuple(pieces)), folder, epochs), workers, forked=forked)


def _costs(task: Task, pieces: Sequence[Piece], epochs: int) -> list[float]:
    """Seconds of each piece, measured once for each arm and setting."""
    known: dict[tuple[int, str], tuple[float, float]] = {}
    costs = []
    for piece in pieces:
        key = id(piece.setting), piece.arm.name
        if key not in known:
            known[key] = seconds(piece.arm.of(task.problem), piece.members[0])
        before, an_epoch = known[key]
        costs.append(before + epochs * len(piece.members) * an_epoch)
    return costs


def _goal(task: Task, target: float | None, epochs: int) -> Goal:
    metric = task.problem.metric
    if target is None:
        if metric is None or metric.name not in USUAL:
            name = "loss" if metric is None else metric.name
            raise TaskError(
                f"the default target of {TARGET} is for an accuracy; task {task.name!r} is judged by {name}: "
                f"give target=... (--reach)."
            )
        target = TARGET
    if metric and metric in METRICS.values() and metric.goal == "maximize" and target > 1:
        raise TaskError(
            f"a target can be reached, and {metric.name} is at most 1; target={target:g}: use target=0.9 (--reach)."
        )
    return Goal(target, _constant(task.problem), epochs, task.problem.sign < 0)


def _constant(problem: Problem) -> float | None:
    """The validation metric of the best constant prediction: the class frequencies, or the mean."""
    if not isinstance(problem.loss, str) or not hasattr(problem.train, "y") or not hasattr(problem.valid, "y"):
        return None
    y, valid = problem.train.y.cpu(), problem.valid.y.cpu()  # a metric may be of NumPy, and a GPU without doubles
    if problem.loss == "cross_entropy":
        shares = torch.bincount(y.flatten(), minlength=int(valid.max()) + 1).double()
        logits = ((shares + 1e-9) / shares.sum()).log()
        output = logits.view(1, -1, *([1] * (valid.dim() - 1))).expand(len(valid), -1, *valid.shape[1:])
    else:
        output = y.double().mean(0, keepdim=True).expand(valid.shape)
        valid = valid.double()
    if problem.metric is None:
        return float(loss_of(problem.loss, output, valid))
    return problem.metric.compute(output, valid)
