"""Whether to train one by one or in stacks, and of how many rows: measured on this machine, kept with the study."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch

from zeroin.atomic import atomic_write
from zeroin.errors import ZeroinError
from zeroin.executors.perform import is_out_of_memory
from zeroin.nn import loop
from zeroin.nn.data import edges
from zeroin.nn.networks import network
from zeroin.nn.problem import Problem
from zeroin.nn.recipe import recipe
from zeroin.nn.stacking.compiling import obstacle
from zeroin.nn.stacking.equivalence import ON_DEMAND, Verdict, verdict
from zeroin.nn.stacking.memory import room
from zeroin.nn.stacking.timing import Took, clock, timed
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

    def words(self, slots: int) -> str:
        """For the log and the report, of a study that has up to `slots` jobs at once."""
        if self.rows == 1:
            return f"trains one by one, because {self.why}"
        alike = f", {self.rows} of a shape" if slots > self.rows else ""
        return f"trains up to {slots} networks at once{alike}, {self.ratio:.1f} times as fast as one by one"


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
        """Rows of a stack that the budget allows; 1: one by one."""
        return max((rows for rows in SIZES if rows * PER_ROW <= self.trainings), default=1)

    def slots(self, found: Calibration) -> int:
        """Jobs to have at once: a stack's; where shapes are searched as many as the budget allows, as few are alike."""
        return found.rows if found.rows == 1 or math.isinf(self.shared) else self.most

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
            self._take()  # whoever was first
            self._write()
        return self._kept[size]

    def _measured(self, config: Config) -> Calibration:
        most = self.most if math.isinf(self.shared) else min(self.most, SHARE)
        try:
            found = measured(self.problem, config, [rows for rows in SIZES if rows <= most], self.shared)
        except ZeroinError:
            raise
        except Exception as error:  # it fails in training, too, where it is a trial's failure, of this config alone
            found = Calibration(1, why=f"a network stopped with '{first_line(error)}'")
        log.info("networks of %s: %s", _about(config), self._words(found))
        return found

    def refuse(self, why: str) -> None:
        """Have all networks trained one by one, for a reason that no measurement knows."""
        self._kept = {size: replace(found, rows=1, why=why) for size, found in self._kept.items()}
        self._write()

    def _write(self) -> None:
        words = "; of another size: ".join(dict.fromkeys(map(self._words, self._kept.values())))
        if self._is_compiled():
            words += "; full mini-batches of stacks are compiled, which the ratio leaves out"
        said = {"words": words, "sizes": {size: asdict(found) for size, found in self._kept.items()}}
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.folder / FILE) as file:
            file.write(json.dumps(said, indent=1).encode())

    def _words(self, found: Calibration) -> str:
        return found.words(self.slots(found))

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
    """How many values there are; not by `values`, as of 2^63 whole numbers or more Python tells no length."""
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
    if not problem.is_in_memory:
        return Calibration(1, why=ON_DEMAND)
    left = 1 / sizes[-1] + CHECKS / (shared * steps)  # of what is no kernel's work
    with loop.one_thread():
        most = _gain(1.0, min(1.0, left), shared)  # if no kernel took any time
        if most < PAYS:  # they share too few steps
            alone = timed(problem, config, to_come=steps)[1].step
        else:
            alone = timed(problem, config)[1].step
            idle = min(alone, timed(problem, {**config, "batch_size": 2})[1].step)
            most = _gain(alone, alone - idle + idle * left, shared)
        if most < PAYS:  # or nearly all is the kernels' work, which networks do not share
            why = f"a stack of {sizes[-1]} would be {most:.2f} times as fast at most"
            return Calibration(1, ratio=round(most, 2), why=why, seconds=steps * alone)
        began = clock(problem.device)
        found = verdict(problem, config)
        if found.order is None:
            return Calibration(1, why=found.why)
        checked = clock(problem.device) - began
        sizes = [rows for rows in sizes if found.layout and rows <= room(found.layout, problem.device)]
        times, stopped = _timed_that_fit(problem, config, found, sizes)
    if not times:
        return Calibration(1, why=stopped or "there is no memory for more at once", seconds=steps * alone)
    alone = times.pop(1).step
    took = {r: t.step / r + (checked + RECORDINGS * t.more_at_first) / (shared * steps) for r, t in times.items()}
    gains = {rows: _gain(alone, each, shared) for rows, each in took.items()}
    best = max(gains.values())
    if best < PAYS:
        why = f"a stack of {max(gains, key=gains.__getitem__)} would be {best:.2f} times as fast"
        return Calibration(1, ratio=round(best, 2), why=why, seconds=steps * alone)
    rows = max(rows for rows, gain in gains.items() if gain >= ALIKE * best)
    return Calibration(rows, found.order, round(gains[rows], 2), seconds=steps * (alone + took[rows]) / 2)


def _gain(alone: float, full: float, shared: float) -> float:
    """How much faster a search gets on if a network's step takes `full` seconds in a full stack, not `alone` seconds.

    Few stacks are full where shapes are searched.
    """
    return alone / (full if math.isinf(shared) else SINGLE * alone + (1 - SINGLE) * full / FULL)


def _timed_that_fit(
    problem: Problem, config: Config, found: Verdict, sizes: Sequence[int]
) -> tuple[dict[int, Took], str]:
    """`timed` of those sizes that there is memory for; of none, and why, where a stack stops."""
    why = ""
    for count in range(len(sizes), 0, -1):
        try:
            return timed(problem, config, found, sizes[:count]), ""
        except Exception as error:  # of networks of the user's own, whose check knows two mini-batches
            why = f"a stack of {sizes[count - 1]} stopped with '{first_line(error)}'"
            if not is_out_of_memory(error):
                break
    return {}, why
