"""LCBench: networks on tables, by a surrogate of real runs."""

import csv
import importlib.util
import json
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from families.space import Array, Config, Dim
from families.task import Task, constant, need, noiseless, noisy

LCBENCH_EPOCHS = 52
LCBENCH_DIMS = (
    Dim("batch_size", "int", 16, 512, "log"),
    Dim("learning_rate", "float", 1e-4, 1e-1, "log"),
    Dim("momentum", "float", 0.1, 0.99, "one_minus_log"),
    Dim("weight_decay", "float", 1e-5, 1e-1, "log"),
    Dim("num_layers", "int", 1, 4),
    Dim("max_units", "int", 64, 1024, "log"),
    Dim("max_dropout", "float", 0.0, 1.0),
)


@lru_cache(maxsize=1)
def _lcbench_model(data: Path) -> Any:
    source = need(data / "lcbench_numpy.py")
    spec = importlib.util.spec_from_file_location("lcbench_numpy", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.LCBench(need(data / "lcbench_surrogate.npz"))


def lcbench(
    data: Path, _cache: Path, output: str = "accuracy", family: str = "lcbench", noise: float = 0.0
) -> Iterator[Task]:
    """Networks on tables. `output`: "accuracy" (the loss is 100 - validation accuracy in percent) or "cross_entropy".

    Best known and median random are those of the reference file. `noise`: standard deviation of the observed loss, as
    a share of (median random - best known).
    """
    model = _lcbench_model(data)
    column = {"cross_entropy": "val_cross_entropy", "accuracy": "val_accuracy"}[output]
    sign, offset = (-1.0, 100.0) if output == "accuracy" else (1.0, 0.0)
    index = model.y.index(column)
    epochs = np.arange(1.0, LCBENCH_EPOCHS + 1)
    with need(data / "lcbench_reference.csv").open(newline="") as file:
        rows = {row["task"]: row for row in csv.DictReader(file)}

    def curve(task: str, config: Config) -> Array:
        settings = np.tile([float(config[d.name]) for d in LCBENCH_DIMS], (LCBENCH_EPOCHS, 1))
        return offset + sign * np.asarray(model(task, np.c_[epochs, settings])[:, index], np.float64)

    for task in sorted(rows, key=int):
        best = offset + sign * float(rows[task][f"{column}_best"])
        median = offset + sign * float(json.loads(rows[task][f"{column}_q"])[2])
        truth = partial(curve, task)
        observed = noisy(truth, noise * (median - best)) if noise else noiseless(truth)
        yield Task(
            family, task, LCBENCH_DIMS, LCBENCH_EPOCHS, constant(observed), best, median, truth if noise else None
        )
