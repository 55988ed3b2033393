"""The time of a step, of a network alone and of stacks."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from zeroin.nn import loop
from zeroin.nn.data import InMemory, edges
from zeroin.nn.loop import Training, fresh
from zeroin.nn.problem import Problem
from zeroin.nn.recipe import recipe
from zeroin.nn.stacking.equivalence import Verdict
from zeroin.nn.stacking.stack import stack
from zeroin.types import Config

STEPS = 4  # timed at once
ROUNDS = 3
ENOUGH = 0.05  # seconds of each way after which a round more is not worth it


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of a `step`, by `clock`, and how many more the first few took."""

    step: float
    more_at_first: float = 0.0


def timed(
    problem: Problem, config: Config, found: Verdict | None = None, sizes: Sequence[int] = (), to_come: float = math.inf
) -> dict[int, Took]:
    """What a step of stacks of some sizes takes, by rows; 1: of one network alone, that has some steps `to_come`.

    All take turns, so that a machine that is busy with other work slows all.
    """
    few = _first(problem, STEPS * recipe(config).batch_size)
    works = {1: _alone(few, config, to_come)} | {rows: _stacked(few, config, found, rows) for rows in sizes}
    first = {rows: _seconds(train, few.device) for rows, train in works.items()}
    took: dict[int, list[float]] = {rows: [] for rows in works}
    for _ in range(ROUNDS):
        for rows, train in works.items():
            took[rows].append(_seconds(train, few.device))
        if sum(map(sum, took.values())) > ENOUGH * len(works):
            break
    count = len(edges(len(few.train), recipe(config).batch_size))
    return {rows: Took(min(each) / count, max(0.0, first[rows] - min(each))) for rows, each in took.items()}


def clock(device: str) -> float:
    """Seconds of a device's work until now.

    Of the CPU they are this process's own, which other work on the machine does not make longer. Elsewhere they are by
    the clock, once all is done that was asked for: steps only ask.
    """
    if device == "cpu":
        return time.process_time()
    torch.accelerator.synchronize(torch.device(device))
    return time.perf_counter()


def _seconds(work: Callable[[], object], device: str) -> float:
    began = clock(device)
    work()
    return clock(device) - began


def _first(problem: Problem, count: int) -> Problem:
    """The problem with as many examples to train on."""
    data = problem.train
    assert isinstance(data, InMemory)
    return replace(problem, compile=False, train=InMemory(data.x[:count], data.y[:count]))


def _alone(few: Problem, config: Config, to_come: float) -> Callable[[], object]:
    """Trains a network for an epoch of the few examples at each call."""
    how, model = recipe(config), loop.alone(few, config, 0)
    now = Training.of(few, model, how, to_come / max(1, len(few.train) // how.batch_size))
    train = partial(loop.train_epoch, now, 0, 100)
    while now.gradients.prepares:  # as most of its steps are, recorded
        train()
    return train


def _stacked(few: Problem, config: Config, found: Verdict | None, rows: int) -> Callable[[], object]:
    """Trains a stack of networks for an epoch of the few examples at each call."""
    assert found
    assert found.order
    assert found.layout
    unused = replace(found.layout, recorded={}, workspaces={})
    members = [(config, seed, fresh(few, config, seed)) for seed in range(rows)]
    return partial(stack(few, members, found.order, unused).train_epoch, 100)
