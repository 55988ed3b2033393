"""What ranges that move are worth: where they leave the best out, where they hold it, and where they do not matter.

    python benchmarks/edges.py --cases outside inside flat quadratic --seeds 4 --out edges.jsonl

One line a study: regret (of `quadratic` the log of the loss) after 10, 20, 30 and 40 full trainings, how often a range
moved, and how often one of a hyperparameter that does nothing did. Studies already in `--out` are not run again.

    outside    LCBench, ranges that leave the best out in five hyperparameters; the legal limits are LCBench's
    inside     LCBench, ranges half as wide as the limits, around the best known config
    flat       LCBench's own ranges with 2 % noise, beside four hyperparameters that do nothing and have wide limits
    quadratic  five hyperparameters whose ranges are a tenth of the limits and hold the best
"""

import argparse
import csv
import json
import math
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import zeroin as zi
from families import Array, Config, Task, load, places
from families.lcbench import LCBENCH_DIMS
from zeroin.executors.simulated import Simulated
from zeroin.search import Zoom

TRAININGS = 40
AT = (10, 20, 30, 40)
NARROW = {
    "learning_rate": (1e-4, 3e-3),
    "momentum": (0.1, 0.85),
    "weight_decay": (1e-3, 1e-1),
    "max_units": (64, 256),
    "batch_size": (45, 180),
}
FLAT = ("nothing", "nought", "whole", "even")
Study = tuple[zi.Space, int, Callable[[Config], Array], Callable[[float], float]]


def narrowed(ranges: dict[str, tuple[float, float]]) -> zi.Space:
    """LCBench's hyperparameters with other ranges; the limits are its own."""
    params: dict[str, zi.Float | zi.Int] = {}
    for dim in LCBENCH_DIMS:
        low, high = ranges.get(dim.name, (dim.low, dim.high))
        if dim.kind == "int":
            legal = int(dim.low), int(dim.high)
            params[dim.name] = zi.Int(int(low), int(high), scale=dim.scale, limits=legal)
        else:
            params[dim.name] = zi.Float(low, high, scale=dim.scale, limits=(dim.low, dim.high))
    return zi.Space(**params)


def around_the_best(task: Task, data: Path) -> dict[str, tuple[float, float]]:
    """Ranges half as wide as the limits, around the best known config."""
    with (data / "lcbench_reference.csv").open(newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["task"] == task.name)
    ends = {}
    for dim, value in zip(task.dims, json.loads(row["val_accuracy_argbest"]), strict=True):
        low = min(max(dim.unit(value) - 0.25, 0.0), 0.5)
        if not dim.is_plain_int:  # of four numbers of layers none is left out
            ends[dim.name] = float(dim.value(low)), float(dim.value(low + 0.5))
    return ends


def studies(case: str, seeds: range, data: Path, cache: Path) -> Iterator[tuple[str, int, Study]]:
    """The studies of a case: task, seed, and (space, max_epochs, curve, loss -> what is told of it)."""
    if case == "quadratic":
        for seed in seeds:
            centre = np.random.default_rng(seed).uniform(0.42, 0.48, 5)
            names = [f"x{i}" for i in range(5)]
            space = zi.Space(**{n: zi.Float(0.4, 0.5, limits=(0.0, 1.0)) for n in names})

            def bowl(config: Config, centre: Array = centre, names: list[str] = names) -> Array:
                far = float(((np.array([config[n] for n in names], float) - centre) ** 2).sum())
                return np.array([(1e-4 + far) * (1 + 1 / (1 + epoch)) for epoch in range(16)])

            yield "bowl", seed, (space, 16, bowl, math.log10)
        return
    for task in load("lcbench", data, cache)[::3]:
        if case == "flat":
            space = zi.Space(
                **narrowed({}).params,
                nothing=zi.Float(1e-5, 0.1, scale="log", limits=(1e-7, 1.0)),
                nought=zi.Float(1e-10, 0.01, scale="log", limits=(1e-12, 10.0)),
                whole=zi.Int(16, 512, scale="log2", limits=(2, 65536)),
                even=zi.Float(0.5, 0.999, scale="one_minus_log", limits=(0.1, 0.9999)),
            )
        else:
            space = narrowed(NARROW if case == "outside" else around_the_best(task, data))
        for seed in seeds:
            noise = 0.02 * (task.median_random - task.best) if case == "flat" else 0.0

            def curve(config: Config, task: Task = task, noise: float = noise) -> Array:
                drawn = np.random.default_rng(zlib.crc32(repr(sorted(config.items())).encode()))
                return task.curve(config, 0) + noise * drawn.standard_normal(task.max_epochs)

            yield task.name, seed, (space, task.max_epochs, curve, task.regret)


def run(study: Study, seed: int) -> dict[str, object]:
    """One study: regret after so many trainings, moves of ranges, and those of hyperparameters that do nothing."""
    space, depth, curve, told = study
    began, seen = time.monotonic(), []
    spent = 0

    def listen(_study: object, event: object) -> None:
        nonlocal spent
        if isinstance(event, zi.types.Observed):
            spent += 1
            seen.append((spent, event.observation.loss))

    done = zi.tune(
        print, space, max_epochs=depth, epochs=TRAININGS * depth, store=None, playbook=False, seed=seed, listen=listen,
        executor=Simulated(lambda config: list(curve(config))),
        searcher=Zoom(outlook=None),  # what it knows of how losses still fall was learned from these curves
    )  # fmt: skip
    regret = [told(min(loss for at, loss in seen if at <= k * depth)) for k in AT]
    moves, idle = 0, 0
    for before, after in zip(done.regions, done.regions[1:], strict=False):
        moved = [n for n in space if before.ranges[n] != after.ranges[n]]
        moves, idle = moves + len(moved), idle + sum(n in FLAT for n in moved)
    return {"regret": regret, "moves": moves, "idle": idle, "seconds": time.monotonic() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=["outside", "inside", "flat", "quadratic"])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("edges.jsonl"))
    places(parser)
    given = parser.parse_args()
    known = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    keys = {(k["case"], k["task"], k["seed"]) for k in known}
    for case in given.cases:
        for task, seed, study in studies(case, range(given.first, given.first + given.seeds), given.data, given.cache):
            if (case, task, seed) not in keys:
                line = {"case": case, "task": task, "seed": seed, **run(study, seed)}
                known.append(line)
                with given.out.open("a") as file:
                    file.write(json.dumps(line) + "\n")
    print("| case | studies | @10 | @20 | @30 | @40 | moves | of those that do nothing |\n" + "|---" * 8 + "|")
    for case in given.cases:
        of = [k for k in known if k["case"] == case]
        means = np.mean([k["regret"] for k in of], axis=0)
        cells = " | ".join(f"{m:.3f}" for m in means)
        moves, idle = (float(np.mean([k[what] for k in of])) for what in ("moves", "idle"))
        print(f"| {case} | {len(of)} | {cells} | {moves:.1f} | {idle:.1f} |")


if __name__ == "__main__":
    main()
