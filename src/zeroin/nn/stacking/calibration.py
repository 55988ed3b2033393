"""Whether to train one by one or in stacks, and of how many rows: measured on this machine, kept with the study."""

import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from zeroin.atomic import atomic_write
from zeroin.executors.perform import is_out_of_memory
from zeroin.nn import loop
from zeroin.nn.data import InMemory, edges
from zeroin.nn.loop import Training, fresh
from zeroin.nn.networks import network
from zeroin.nn.problem import Problem
from zeroin.nn.recipe import recipe
from zeroin.nn.stacking.compiling import obstacle
from zeroin.nn.stacking.equivalence import Verdict, verdict
from zeroin.nn.stacking.memory import room
from zeroin.nn.stacking.stack import stack
from zeroin.space import Choice, Hyperparameter, Int, Space
from zeroin.types import Config
from zeroin.wording import first_line

log = logging.getLogger("zeroin")

SHAPING = ("layers", "units", "batch_size")
FILE = "training.json"  # beside a study's checkpoints
PAYS = 1.2  # a stack that is not so much faster is not worth what it changes
SHARE = 4  # configs of one shape that a search comes to, where it searches shapes as well
PART = 4  # of a full training, that a config of a search comes to on average: one in so many
SINGLE = 0.4  # of the epochs of such a search: no other of their shape is under way
FULL = 2 / 3  # as full as the others find a stack (docs/stacked-training.md)
CHECKS = 600  # a stack's checks and recordings take as long as so many recorded steps of two examples, or longer
RECORDINGS = 4  # of a shape: as rows end, stacks become smaller; the last mini-batch of an epoch has its own
SIZES = (4, 8)  # rows; more would be faster still, and the search would learn less from each trial
PER_ROW = 6  # full trainings in the budget for each row: deciding about many configs at once learns less from each
ALIKE = 0.95  # of the best: of sizes that gain as much, as far as can be told, the largest
STEPS = 4  # timed at once
ROUNDS = 3
ENOUGH = 0.05  # seconds of CPU of each way after which a round more is not worth it


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a study trains networks of one size, as it was measured.

    Args:
        rows: of a stack at most; 1: one by one.
        order: of vmap and grad, as the check found it right.
        ratio: how many times less CPU a stack of `rows` takes than its networks one by one, measured.
        why: the reason in words.
        seconds: of one network's epoch in a search, as steps were timed; 0: not measured.
    """

    rows: int
    order: str = ""
    ratio: float = 1.0
    why: str = ""
    seconds: float = 0.0

    def words(self) -> str:
        """For the log and the report."""
        if self.rows == 1:
            return f"trains one by one, because {self.why}"
        return f"trains up to {self.rows} networks at once, {self.ratio:.1f} times as fast as one by one"


@dataclass(slots=True)
class Calibrations:
    """Those of a study, one for each size of network; measured when first asked for, then kept in its folder.

    All processes of a study keep theirs there and look there first, so that each size is measured once.

    Args:
        problem: what is trained.
        folder: the study's.
        trainings: the budget in full trainings, for each process that trains.
        shared: epochs of one shape of network in the search, over all its configs; infinite where all are of one shape.
    """

    problem: Problem
    folder: Path
    trainings: float
    shared: float = math.inf
    _kept: dict[int, Calibration] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._take()

    def _take(self) -> None:
        if (self.folder / FILE).is_file():
            said = json.loads((self.folder / FILE).read_text())["sizes"]
            self._kept |= {int(size): Calibration(**fields) for size, fields in said.items()}

    @property
    def most(self) -> int:
        """Rows of a stack that the budget allows; 0 or 1: one by one."""
        return max((rows for rows in SIZES if rows * PER_ROW <= self.trainings), default=1)

    def of(self, config: Config) -> Calibration:
        """For networks of a config's size; where a stack pays, it does for smaller ones, and the reverse."""
        if self.most == 1:
            return Calibration(
                1, why=f"a budget of {self.trainings:.0f} trainings is best spent on one config after another"
            )
        size = _size(self.problem, config)
        if size not in self._kept:
            self._take()  # what another process has measured since
        if size not in self._kept:
            known = (c for s, c in self._kept.items() if (s > size) == (c.rows > 1))
            self._kept[size] = next(known, None) or self._measured(config)
            self._keep()
        return self._kept[size]

    def _measured(self, config: Config) -> Calibration:
        most = self.most if math.isinf(self.shared) else min(self.most, SHARE)
        found = measured(self.problem, config, [rows for rows in SIZES if rows <= most], self.shared)
        log.info("networks of %s: %s", _about(config), found.words())
        return found

    def _keep(self) -> None:
        self._take()  # whoever was first
        words = "; of another size: ".join(dict.fromkeys(found.words() for found in self._kept.values()))
        if self._is_compiled():
            words += "; full mini-batches of stacks are compiled, which the ratio leaves out"
        said = {"words": words, "sizes": {size: asdict(found) for size, found in self._kept.items()}}
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.folder / FILE) as file:
            file.write(json.dumps(said, indent=1).encode())

    def _is_compiled(self) -> bool:
        stacked = any(found.rows > 1 for found in self._kept.values())
        return stacked and self.problem.compile and not obstacle(torch.device(self.problem.device))


def _size(problem: Problem, config: Config) -> int:
    """The work of a step, to a factor of 16: parameters times examples."""
    count = sum(p.numel() for p in network(problem.build, config).parameters())
    return int(math.log2(max(1, count) * recipe(config).batch_size) // 4)


def _about(config: Config) -> str:
    return ", ".join(f"{name} {config[name]}" for name in SHAPING if name in config) or "the default config"


def shared(space: Space, alike: Sequence[str], trainings: float, max_epochs: int) -> float:
    """Epochs of one shape of network in a search of so many full trainings; `alike` are what shapes networks.

    Some `SHARE` configs of it, each trained for a part, or what an even share of few shapes is; infinite where no
    shape is searched.
    """
    if not alike:
        return math.inf
    shapes = math.prod(_count(space.params[name]) for name in alike)
    return max(SHARE * max(1.0, max_epochs / PART), trainings * max_epochs / shapes)


def _count(param: Hyperparameter) -> float:
    """How many values there are."""
    if isinstance(param, Choice):
        return len(param.range)
    if isinstance(param, Int):
        return math.log2(param.high / param.low) + 1 if param.scale == "log2" else param.high - param.low + 1
    return math.inf


def measured(problem: Problem, config: Config, sizes: Sequence[int] = SIZES, shared: float = math.inf) -> Calibration:
    """Time a few steps alone and, where they leave something to save, in stacks of two sizes.

    The former takes less than a tenth of a second of CPU for most networks, the latter some tenths. Where a shape has
    so few steps that its checks cost what stacks save at best, a few steps alone tell what an epoch takes.

    Args:
        problem: what is trained.
        config: of the network that is tried.
        sizes: rows of the stacks.
        shared: epochs of its shape, over all configs, among which a stack's checks and recordings are divided.
    """
    steps = len(edges(len(problem.train), recipe(config).batch_size))
    left = 1 / sizes[-1] + CHECKS / (shared * steps)  # of what is no kernel's work
    with loop.one_thread():
        most = 1 / _filled(min(1.0, left), 1.0, shared)  # if no kernel took any time
        if most < PAYS:  # they share too few steps
            return _refused(sizes[-1], most, steps * _seconds(problem, config, to_come=steps)[1][1])
        alone = _seconds(problem, config)[1][1]
        idle = min(alone, _seconds(problem, {**config, "batch_size": 2})[1][1])
        most = alone / _filled(alone - idle + idle * left, alone, shared)
        if most < PAYS:  # nearly all is the kernels' work, which networks do not share, or they share too few steps
            return _refused(sizes[-1], most, steps * alone)
        began = time.process_time()
        found = verdict(problem, config)
        if found.order is None:
            return Calibration(1, why=found.why)
        checked = time.process_time() - began
        sizes = [rows for rows in sizes if found.layout and rows <= room(found.layout, problem.device)]
        timed, stopped = _timed(problem, config, found, sizes)
    if not timed:
        return Calibration(1, why=stopped or "there is no memory for more at once", seconds=steps * alone)
    sizes = [rows for rows in timed if rows > 1]
    alone = timed[1][1]
    took = {r: timed[r][1] / r + (checked + RECORDINGS * timed[r][0]) / (shared * steps) for r in sizes}
    gains = {rows: alone / _filled(took[rows], alone, shared) for rows in sizes}
    if max(gains.values()) < PAYS:
        rows = max(sizes, key=gains.__getitem__)
        why = f"a stack of {rows} would be {gains[rows]:.2f} times as fast"
        return Calibration(1, ratio=round(gains[rows], 2), why=why, seconds=steps * alone)
    rows = max(rows for rows in sizes if gains[rows] >= ALIKE * max(gains.values()))
    ratio = gains[rows]
    return Calibration(rows, found.order, round(ratio, 2), seconds=steps * (alone + took[rows]) / 2)


def _refused(rows: int, most: float, seconds: float) -> Calibration:
    why = f"a stack of {rows} would be {most:.2f} times as fast at most"
    return Calibration(1, ratio=round(most, 2), why=why, seconds=seconds)


def _filled(full: float, alone: float, shared: float) -> float:
    """Seconds of a network's step in a search, `full` those in a full stack; few are where shapes are searched."""
    return full if math.isinf(shared) else SINGLE * alone + (1 - SINGLE) * full / FULL


def _timed(
    problem: Problem, config: Config, found: Verdict, sizes: Sequence[int]
) -> tuple[dict[int, tuple[float, float]], str]:
    """`_seconds` of those sizes that there is memory for; of none, and why, where a stack stops."""
    why = ""
    for count in range(len(sizes), 0, -1):
        try:
            return _seconds(problem, config, found, sizes[:count]), ""
        except Exception as error:  # of networks of the user's own, whose check knows two mini-batches
            why = f"a stack of {sizes[count - 1]} stopped with '{first_line(error)}'"
            if not is_out_of_memory(error):
                break
    return {}, why


def _seconds(
    problem: Problem, config: Config, found: Verdict | None = None, sizes: Sequence[int] = (), to_come: float = math.inf
) -> dict[int, tuple[float, float]]:
    """CPU seconds that the first few steps take beyond those after them, and of a step, by rows.

    1: of one network alone, that has some steps `to_come`. All take turns, so that a machine that is busy with other
    work slows all.
    """
    few = _first(problem, STEPS * recipe(config).batch_size)
    works = {1: _alone(few, config, to_come)} | {rows: _stacked(few, config, found, rows) for rows in sizes}
    first = {rows: _cpu(train) for rows, train in works.items()}
    took: dict[int, list[float]] = {rows: [] for rows in works}
    for _ in range(ROUNDS):
        for rows, train in works.items():
            took[rows].append(_cpu(train))
        if sum(map(sum, took.values())) > ENOUGH * len(works):
            break
    count = len(edges(len(few.train), recipe(config).batch_size))
    return {rows: (max(0.0, first[rows] - min(each)), min(each) / count) for rows, each in took.items()}


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _first(problem: Problem, count: int) -> Problem:
    """The problem with as many examples to train on."""
    data = problem.train
    assert isinstance(data, InMemory)
    return replace(problem, compile=False, train=InMemory(data.x[:count], data.y[:count]))


def _alone(few: Problem, config: Config, to_come: float) -> Callable[[], object]:
    """Trains a network for an epoch of the few examples at each call."""
    how, model = recipe(config), fresh(few, config, 0)
    now = Training.of(few, model, how, to_come / max(1, len(few.train) // how.batch_size))
    train = partial(loop.train_epoch, few, now, how, 0, 100)
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
