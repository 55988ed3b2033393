"""One by one or in stacks, and of how many: measured on the machine that trains, kept with the study."""

import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch

from zeroin.nn import loop
from zeroin.nn.compiling import obstacle
from zeroin.nn.data import InMemory, edges
from zeroin.nn.fused import Optimizer
from zeroin.nn.gate import verdict
from zeroin.nn.loop import Best, Training
from zeroin.nn.networks import network
from zeroin.nn.optim import recipe
from zeroin.nn.problem import Problem
from zeroin.nn.stack import fresh, stack
from zeroin.types import Config

log = logging.getLogger("zeroin")

SHAPING = ("layers", "units", "batch_size")
FILE = "training.json"  # beside a study's checkpoints
PAYS = 1.2  # a stack that is not so much faster is not worth what it changes
SIZES = (4, 8)  # rows; more would be faster still, and the search would learn less from each trial
PER_ROW = 6  # full trainings in the budget for each row: deciding about many configs at once learns less from each
STEPS = 4  # timed at once
ROUNDS = 3
ENOUGH = 0.5  # seconds of CPU after which a round more is not worth it


@dataclass(frozen=True, slots=True)
class Choice:
    """How a study trains its networks.

    Args:
        rows: of a stack at most; 1: one by one.
        order: of vmap and grad, as `gate` found it right.
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
class Choices:
    """The choices of a study, one for each size of network; measured when first asked for, then kept in its folder.

    Args:
        problem: what is trained.
        folder: the study's.
        trainings: the budget in full trainings.
        keeping: whether what is measured is kept in the folder; one process does so, and the others take it from there.
    """

    problem: Problem
    folder: Path
    trainings: float
    keeping: bool = True
    _kept: dict[int, Choice] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._take()

    def _take(self) -> None:
        if (self.folder / FILE).is_file():
            said = json.loads((self.folder / FILE).read_text())["sizes"]
            self._kept |= {int(size): Choice(**fields) for size, fields in said.items()}

    @property
    def most(self) -> int:
        """Rows of a stack that the budget allows; 0 or 1: one by one."""
        return max((rows for rows in SIZES if rows * PER_ROW <= self.trainings), default=1)

    def of(self, config: Config) -> Choice:
        """The choice for networks of a config's size; where a stack pays, it does for smaller ones, and the reverse."""
        if self.most == 1:
            return Choice(
                1, why=f"a budget of {self.trainings:.0f} trainings is best spent on one config after another"
            )
        size = _size(self.problem, config)
        if size not in self._kept and not self.keeping:
            self._take()  # what the process that keeps has measured since
        if size not in self._kept:
            known = (c for s, c in self._kept.items() if (s > size) == (c.rows > 1))
            self._kept[size] = next(known, None) or self._measured(config)
            if self.keeping:
                self._keep()
        return self._kept[size]

    def _measured(self, config: Config) -> Choice:
        found = measured(self.problem, config, [rows for rows in SIZES if rows <= self.most])
        log.info("networks of %s: %s", _about(config), found.words())
        return found

    def _keep(self) -> None:
        words = "; of another size: ".join(dict.fromkeys(choice.words() for choice in self._kept.values()))
        if self._is_compiled():
            words += "; full mini-batches of stacks are compiled, which the ratio leaves out"
        said = {"words": words, "sizes": {size: asdict(choice) for size, choice in self._kept.items()}}
        self.folder.mkdir(parents=True, exist_ok=True)
        half = self.folder / (FILE + ".part")
        half.write_text(json.dumps(said, indent=1))
        half.replace(self.folder / FILE)

    def _is_compiled(self) -> bool:
        stacked = any(choice.rows > 1 for choice in self._kept.values())
        return stacked and self.problem.compile and not obstacle(torch.device(self.problem.device))


def _size(problem: Problem, config: Config) -> int:
    """The work of a step, to a factor of 16: parameters times examples."""
    count = sum(p.numel() for p in network(problem.build, config).parameters())
    return int(math.log2(max(1, count) * recipe(config).batch_size) // 4)


def _about(config: Config) -> str:
    return ", ".join(f"{name} {config[name]}" for name in SHAPING if name in config) or "the default config"


def measured(problem: Problem, config: Config, sizes: Sequence[int] = SIZES) -> Choice:
    """Time a few steps alone and in stacks of two sizes; half a second or a second of CPU."""
    with loop.one_thread():
        found = verdict(problem, config)
        if found.order is None:
            return Choice(1, why=found.why)
        took = _seconds(problem, config, found.order, sizes)
    ratio, rows = max((took[1] / took[rows], rows) for rows in sizes)
    steps = len(edges(len(problem.train), recipe(config).batch_size))
    if ratio < PAYS:
        why = f"a stack of {rows} would be {ratio:.2f} times as fast"
        return Choice(1, ratio=round(ratio, 2), why=why, seconds=steps * took[1])
    # Half of a search's networks find fewer of their shape under way than a stack has room for.
    return Choice(rows, found.order, round(ratio, 2), seconds=steps * (took[1] + took[rows]) / 2)


def _seconds(problem: Problem, config: Config, order: str, sizes: Sequence[int]) -> dict[int, float]:
    """CPU seconds of a step of one network, alone (1) and in stacks of some sizes."""
    how, data = recipe(config), problem.train
    assert isinstance(data, InMemory)
    few = replace(
        problem, compile=False, train=InMemory(data.x[: STEPS * how.batch_size], data.y[: STEPS * how.batch_size])
    )
    model = fresh(few, config, 0)
    now = Training(model, Optimizer(model, how), 0, Best())
    work: dict[int, Callable[[], object]] = {1: lambda: loop.train_epoch(few, now, how, 0, 100)}
    for rows in sizes:
        one = stack(few, [(config, seed, fresh(few, config, seed)) for seed in range(rows)], order)
        work[rows] = lambda one=one: one.train_epoch(100)  # type: ignore[misc]
    best = dict.fromkeys(work, float("inf"))
    first = time.process_time()
    for turn in range(ROUNDS + 1):
        for rows, train in work.items():
            began = time.process_time()
            train()
            if turn:  # the first one warms up, and records
                best[rows] = min(best[rows], (time.process_time() - began) / rows)
        if turn and time.process_time() - first > ENOUGH:
            break
    return {rows: seconds / len(edges(len(few.train), how.batch_size)) for rows, seconds in best.items()}
