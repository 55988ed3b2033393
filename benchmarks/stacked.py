"""Configs trained at once against one by one: config-steps per CPU-second, and a whole tuning job.

    python benchmarks/stacked.py shapes [--rounds 5] [--compile] [--only 64x2]   # ratio to one by one
    python benchmarks/stacked.py job [--repeats 3]                 # 64 configs x 8 epochs on digits, halved twice
    python benchmarks/stacked.py workers [--repeats 3]             # 64 configs x 24 epochs, one worker against two

Everything but the last runs in one process, all of it on one thread a process. Cases take turns within a round, and a
ratio is that of one round, so that a machine that is busy with other work slows both sides; medians of the rounds,
lowest and highest in brackets.
"""

import argparse
import math
import multiprocessing
import platform
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from zeroin import catalogue
from zeroin.nn import Task, loop, mlp, small_cnn
from zeroin.nn.data import InMemory, OnDemand
from zeroin.nn.loop import Training, fresh
from zeroin.nn.problem import Problem
from zeroin.nn.recipe import recipe
from zeroin.nn.stacking.calibration import SIZES, measured
from zeroin.nn.stacking.equivalence import verdict
from zeroin.nn.stacking.stack import stack
from zeroin.nn.stacking.steps import BACKWARD
from zeroin.tasks import load
from zeroin.types import Config, Job, Kind, Observation

ROWS = (4, 8, 16, 64)
OWN = 0  # of `work`: one network by its own code; 1: recorded
STEPS = 12


@dataclass(frozen=True)
class Shape:
    """A network on random data."""

    name: str
    build: Callable[[Config], nn.Module]
    inputs: tuple[int, ...]
    batch: int


class Transformer(nn.Module):
    """One layer of self-attention with its weights, the mean over the sequence, and a Linear."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.norm, self.feed = nn.LayerNorm(width), nn.Linear(width, width)
        self.out = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, T, width] -> [B, 10]."""
        x = self.norm(x + self.attention(x, x, x)[0])
        scores: torch.Tensor = self.out(torch.relu(self.feed(x)).mean(1))
        return scores


def _mlp(units: int, layers: int, norm: bool = False) -> Callable[[Config], nn.Module]:
    return lambda _: mlp(64, 10, {"units": units, "layers": layers, "batchnorm": norm})


SHAPES = (
    Shape("mlp 32x1, batch 16", _mlp(32, 1), (64,), 16),
    Shape("mlp 32x1, batch 64", _mlp(32, 1), (64,), 64),
    Shape("mlp 64x2, batch 64", _mlp(64, 2), (64,), 64),
    Shape("mlp 64x2 + batch norm, batch 64", _mlp(64, 2, True), (64,), 64),
    Shape("mlp 128x2, batch 64", _mlp(128, 2), (64,), 64),
    Shape("mlp 128x3 + batch norm, batch 64", _mlp(128, 3, True), (64,), 64),
    Shape("mlp 256x2, batch 16", _mlp(256, 2), (64,), 16),
    Shape("mlp 256x4, batch 64", _mlp(256, 4), (64,), 64),
    Shape("cnn 8x8, 16-32, batch 64", lambda _: small_cnn(1, 8, 10, {}), (1, 8, 8), 64),
    Shape("cnn 28x28, 16-32, batch 64", lambda _: small_cnn(1, 28, 10, {}), (1, 28, 28), 64),
    Shape("transformer 32, length 16, batch 32", lambda _: Transformer(32), (16, 32), 32),
)


def _problem(shape: Shape) -> Problem:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(shape.batch * STEPS, *shape.inputs)).astype(np.float32)
    y = rng.integers(0, 10, len(x))
    return Task(build=shape.build, train=(x, y), valid=(x[:64], y[:64]), normalise=False).problem


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def peak() -> float:
    """GFLOP/s of one thread multiplying two large matrices."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    return max(2 * 1024**3 / _cpu(lambda: torch.mm(a, b)) / 1e9 for _ in range(8))


def shapes(rounds: int, *, compile_: bool = False, only: str = "") -> None:
    """Ratios to the one-by-one loop by the networks' own code, and what `zi.tune` would choose."""
    top = peak()
    print(f"sgemm peak of one thread {top:.0f} GFLOP/s\n")
    heads = ["recorded", *(f"{rows} rows" for rows in ROWS), "share of peak", "tune chooses", "chosen / best"]
    print("| network | own code, steps / s | " + " | ".join(heads) + " |\n" + "|---" * (len(heads) + 2) + "|")
    for shape in (s for s in SHAPES if only in s.name):
        problem, config = _problem(shape), {"lr": 0.003, "batch_size": shape.batch, "optimizer": "adam"}
        how = recipe(config)
        work: dict[int, Callable[[], object]] = {}
        for rows, steps in ((OWN, 0), (1, math.inf)):  # no steps to come: not worth a recording
            model = loop.alone(problem, config, 0)
            now = Training.of(problem, model, how, steps)
            work[rows] = partial(loop.train_epoch, now, 0, 1000)
        choice, order = measured(problem, config), verdict(problem, config).order or BACKWARD
        for rows in ROWS:
            one = stack(
                replace(problem, compile=compile_),
                [(config, seed, fresh(problem, config, seed)) for seed in range(rows)],
                order,
            )
            work[rows] = partial(one.train_epoch, 1000)
        for train in work.values():
            for _ in range(2):  # the second one records
                train()
        ratios: dict[int, list[float]] = {rows: [] for rows in work}
        alone = []
        for _ in range(rounds):
            took = {rows: _cpu(train) / max(rows, 1) for rows, train in work.items()}
            alone.append(STEPS / took[OWN])
            for rows in work:
                ratios[rows].append(took[OWN] / took[rows])
        middle = {rows: statistics.median(r) for rows, r in ratios.items()}
        flop = 6 * shape.batch * sum(p.numel() for p in model.parameters())
        share = max(middle.values()) * statistics.median(alone) * flop / 1e9 / top
        chosen = f"{choice.rows} at once" if choice.rows > 1 else "one by one"
        at_once = middle[choice.rows]
        cells = [f"{middle[r]:.1f} ({min(ratios[r]):.1f}..{max(ratios[r]):.1f})" for r in (1, *ROWS)]
        cells += [
            f"{share:.0%}",
            f"{chosen}, {choice.ratio:.1f}",
            f"{at_once / max(middle[rows] for rows in (1, *SIZES)):.2f}",
        ]
        print(f"| {shape.name} | {statistics.median(alone):,.0f} | " + " | ".join(cells) + " |", flush=True)


# --- the whole job

EPOCHS, HALVED, MANY, BATCH = 8, (2, 4), 64, 64


def _configs() -> list[Config]:
    rng = np.random.default_rng(0)
    return [
        {
            "lr": float(10 ** rng.uniform(-4, -1.5)), "weight_decay": float(10 ** rng.uniform(-4, 0)),
            "dropout": float(rng.uniform(0, 0.5)), "label_smoothing": float(rng.uniform(0, 0.2)), "optimizer": "adamw",
            "batch_size": BATCH, "layers": 2, "units": 64, "batchnorm": True, "schedule": "cosine",
        }
        for _ in range(MANY)
    ]  # fmt: skip


def _digits() -> Task:
    task = load("digits")
    assert isinstance(task, Task)
    return task


def _in_memory(data: InMemory | OnDemand) -> InMemory:
    assert isinstance(data, InMemory)
    return data


def _best_half(scores: dict[int, float]) -> list[int]:
    return sorted(scores, key=lambda i: -scores[i])[: len(scores) // 2]


def job_stacked(problem: Problem) -> float:
    """As one stack; the best validation accuracy."""
    one = stack(problem, [(c, i, fresh(problem, c, i)) for i, c in enumerate(_configs())])
    for epoch in range(EPOCHS):
        one.train_epoch(EPOCHS)
        scores = {i: s for i, (s, _) in enumerate(one.judge(_in_memory(problem.valid)))}
        if epoch + 1 in HALVED:
            one = one.select(sorted(_best_half(scores)))
    return max(scores.values())


def job_one_by_one(problem: Problem, epochs: float = math.inf) -> float:
    """By zeroin's loop: in memory, fused AdamW, recorded unless no epochs are told to come."""
    under_way = {}
    for i, config in enumerate(_configs()):
        model = loop.alone(problem, config, i)
        under_way[i] = Training.of(problem, model, recipe(config), epochs)
    for epoch in range(EPOCHS):
        scores = {}
        for i, now in under_way.items():
            loop.train_epoch(now, i, EPOCHS)
            scores[i] = loop.evaluate(problem, now.model, problem.valid)[0]
        if epoch + 1 in HALVED:
            under_way = {i: under_way[i] for i in _best_half(scores)}
    return max(scores.values())


def job_plain(problem: Problem) -> float:
    """As it is usually written: a DataLoader, AdamW as it comes."""
    train, valid = _in_memory(problem.train), _in_memory(problem.valid)
    under_way = {}
    for i, config in enumerate(_configs()):
        torch.manual_seed(i)
        model = mlp(64, 10, config)
        opt = torch.optim.AdamW(model.parameters(), lr=config["lr"], weight_decay=config["weight_decay"])
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS)
        loader = DataLoader(TensorDataset(train.x, train.y), batch_size=BATCH, shuffle=True)
        loss = nn.CrossEntropyLoss(label_smoothing=config["label_smoothing"])
        under_way[i] = model, opt, schedule, loader, loss
    for epoch in range(EPOCHS):
        scores = {}
        for i, (model, opt, schedule, loader, loss) in under_way.items():
            model.train()
            for x, y in loader:
                opt.zero_grad()
                loss(model(x), y).backward()
                opt.step()
            schedule.step()
            model.eval()
            with torch.no_grad():
                scores[i] = float((model(valid.x).argmax(1) == valid.y).float().mean())
        if epoch + 1 in HALVED:
            under_way = {i: under_way[i] for i in _best_half(scores)}
    return max(scores.values())


def job(repeats: int) -> None:
    """CPU seconds of the job in three ways, in turn."""
    problem = _digits().problem
    train = _in_memory(problem.train)
    small = replace(problem, train=InMemory(train.x[:64], train.y[:64]))
    own_code = partial(job_one_by_one, epochs=0)
    ways: dict[str, Callable[[Problem], float]] = {
        "stacked": job_stacked, "one by one": job_one_by_one, "own code": own_code, "plain PyTorch": job_plain,
    }  # fmt: skip
    for way in ways.values():
        way(small)  # warm
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    best: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            began = time.process_time()
            best[name].append(way(problem))
            seconds[name].append(time.process_time() - began)
    print("| way | cpu s | cpu / stacked | best validation accuracy |\n|---|---|---|---|")
    for name in ways:
        ratio = [a / b for a, b in zip(seconds[name], seconds["stacked"], strict=True)]
        spread = f"{min(ratio):.1f}..{max(ratio):.1f}"
        print(
            f"| {name} | {statistics.median(seconds[name]):.2f} | {statistics.median(ratio):.1f} ({spread}) | "
            f"{statistics.median(best[name]):.3f} |"
        )


# --- two workers against one

LONG = 24


def seconds_with(workers: int, folder: Path) -> float:
    """Wall seconds of 64 configs of four shapes."""
    task = _digits()
    shapes = [{"units": units, "layers": layers} for units in (64, 128) for layers in (1, 2)]
    configs = [{**config, **shapes[i // 4 % 4]} for i, config in enumerate(_configs())]
    jobs = [Job(i, i, config, i, 0, LONG, Kind.SCREEN, "") for i, config in enumerate(configs)]
    space = catalogue.space("adamw", 60.0, batch_size=BATCH, layers=2, units=64, batchnorm=True, label_smoothing=True)
    executor = task.executor(folder, max_epochs=LONG, workers=workers, space=space, trainings=60.0 * workers)
    began, ended, running, waiting = time.perf_counter(), 0, 0, deque(jobs)

    def report(_job: Job, _seen: Observation, *, with_next: bool = False) -> bool:  # noqa: ARG001
        return True

    while ended < len(jobs):
        while waiting and running < executor.slots:
            executor.start(waiting.popleft(), 0)
            running += 1
        done = len(executor.wait(report))
        ended, running = ended + done, running - done
    took = time.perf_counter() - began
    executor.close()
    return took


def seconds_apart() -> float:
    """Wall seconds of two processes that know nothing of each other and do all of the work each."""
    fork, began = multiprocessing.get_context("fork"), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        both = [fork.Process(target=seconds_with, args=(1, Path(folder) / name)) for name in ("a", "b")]
        for one in both:
            one.start()
        for one in both:
            one.join()
    return time.perf_counter() - began


def workers(repeats: int) -> None:
    """The work of one worker per second of wall time with two, and in two processes apart, in turn."""
    took: dict[str, list[float]] = {"1": [], "2": [], "two processes apart, all of the work each": []}
    one, two, apart = took
    for _ in range(repeats):
        for count in (1, 2):
            with tempfile.TemporaryDirectory() as folder:
                took[str(count)].append(seconds_with(count, Path(folder)))
        took[apart].append(seconds_apart())
    print("| workers | wall s | work per second, times one worker |\n|---|---|---|")
    for name, share in ((one, 1), (two, 1), (apart, 2)):
        ratio = [share * a / b for a, b in zip(took[one], took[name], strict=True)]
        spread = f"{min(ratio):.2f}..{max(ratio):.2f}"
        print(f"| {name} | {statistics.median(took[name]):.2f} | {statistics.median(ratio):.2f} ({spread}) |")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("shapes", "job", "workers"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="the steps of the stacks")
    parser.add_argument("--only", default="", help="networks with this in their name")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"PyTorch {torch.__version__}, Python {platform.python_version()}, one thread, seed 0")
    if options.what == "shapes":
        shapes(options.rounds, compile_=options.compile, only=options.only)
    else:
        (job if options.what == "job" else workers)(options.repeats)


if __name__ == "__main__":
    main()
