"""Training many configs for their learning curves: in stacks where possible, else one by one."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from torch import nn

from zeroin.nn.data import InMemory
from zeroin.nn.loop import Training, alone, evaluate, fresh, one_thread, train_epoch
from zeroin.nn.problem import Problem
from zeroin.nn.recipe import recipe
from zeroin.nn.stacking.equivalence import verdict
from zeroin.nn.stacking.grouping import signature
from zeroin.nn.stacking.stack import Stack, stack
from zeroin.types import Config

ROWS = 64  # networks in a stack; more gain little (docs/benchmarks.md)
TRIED = 3  # mini-batches on which the time of an epoch is estimated

Members: TypeAlias = Sequence[tuple[Config, int]]  # config and seed of each network
Group: TypeAlias = "_Stacked | _Single"


def curves(problem: Problem, members: Members, max_epochs: int) -> Iterator[dict[int, float]]:
    """Train all members together, an epoch at a time.

    Args:
        problem: what they are trained on.
        members: config and seed of each network.
        max_epochs: epochs of a training.

    Yields:
        After each epoch, the validation metric by the index of the member. Members whose loss is no longer finite are
        left out from then on.
    """
    with one_thread():
        alive = _groups(problem, members)
    for _ in range(max_epochs):
        with one_thread():
            found = [group.epoch(problem, max_epochs) for group in alive]
        alive = [group for group, seen in zip(alive, found, strict=True) if seen]
        yield {place: value for seen in found for place, value in seen.items()}


class _Stacked:
    """Members of one signature."""

    def __init__(self, places: list[int], networks: Stack) -> None:
        self.places, self.networks = places, networks

    def epoch(self, problem: Problem, max_epochs: int) -> dict[int, float]:
        assert isinstance(problem.valid, InMemory)
        losses = self.networks.train_epoch(max_epochs).tolist()
        judged = self.networks.judge(problem.valid)
        kept = [i for i, (loss, both) in enumerate(zip(losses, judged, strict=True)) if _finite(loss, *both)]
        seen = {self.places[i]: judged[i][0] for i in kept}
        if kept and len(kept) < len(self.places):
            self.networks = self.networks.select(kept)
        self.places = [self.places[i] for i in kept]
        return seen


class _Single:
    """A member that is trained by itself."""

    def __init__(self, problem: Problem, place: int, config: Config, seed: int, model: nn.Module) -> None:
        self.place, self.seed = place, seed
        self.now = Training.of(problem, model, recipe(config))

    def epoch(self, problem: Problem, max_epochs: int) -> dict[int, float]:
        loss = train_epoch(self.now, self.seed, max_epochs)
        metric, valid_loss = evaluate(problem, self.now.model, problem.valid) if _finite(loss) else (math.nan, math.nan)
        return {self.place: metric} if _finite(metric, valid_loss) else {}


def _finite(*values: float) -> bool:
    return all(math.isfinite(v) for v in values)


def _groups(problem: Problem, members: Members) -> list[Group]:
    alike: dict[str, list[int]] = {}
    for place, (config, seed) in enumerate(members):
        alike.setdefault(signature(fresh(problem, config, seed), recipe(config), config), []).append(place)
    groups: list[Group] = []
    for places in alike.values():
        order = verdict(problem, members[places[0]][0]).order if len(places) > 1 else None
        if order is None:
            groups += [_Single(problem, p, *members[p], alone(problem, *members[p])) for p in places]
            continue
        for i in range(0, len(places), ROWS):
            some = places[i : i + ROWS]
            groups.append(
                _Stacked(some, stack(problem, [(*members[p], fresh(problem, *members[p])) for p in some], order))
            )
    return groups


def seconds(problem: Problem, member: tuple[Config, int]) -> tuple[float, float]:
    """Seconds before a stack of `ROWS` begins, and of an epoch of one network in it; or alone, if need be."""
    first = time.perf_counter()
    few = _beginning(problem, member[0])
    share = len(few.train) / len(problem.train)
    with one_thread():
        order = verdict(problem, member[0]).order
        if order is None:
            group: Group = _Single(few, 0, *member, alone(few, *member))
        else:
            group = _Stacked(list(range(ROWS)), stack(few, [(*member, fresh(few, *member))], order).select([0] * ROWS))
        group.epoch(few, 2)
        began = time.perf_counter()
        group.epoch(few, 2)
        return began - first, (time.perf_counter() - began) / share / (1 if order is None else ROWS)


def _beginning(problem: Problem, config: Config) -> Problem:
    """The problem with only the first mini-batches."""
    count = TRIED * recipe(config).batch_size
    if not isinstance(problem.train, InMemory):
        return problem
    valid = problem.valid
    if isinstance(valid, InMemory):
        valid = InMemory(valid.x[:count], valid.y[:count])
    return replace(problem, train=InMemory(problem.train.x[:count], problem.train.y[:count]), valid=valid)
