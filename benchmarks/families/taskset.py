"""TaskSet: Adam on recurrent networks that read texts."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from families.space import Scale
from families.tables import ranged, table_task
from families.task import Task, need

TASKSET_SCALES: dict[str, Scale] = {"beta1": "one_minus_log", "beta2": "one_minus_log"}


def taskset(data: Path, _cache: Path) -> Iterator[Task]:
    """Adam on recurrent networks; the first of the 51 evaluations, before training, is left out."""
    z = np.load(need(data / "taskset_rnn6.npz"))
    names = [str(n) for n in z["hp_names"]]
    settings = np.asarray(z["X"], float)
    dims = tuple(ranged(n, "float", TASKSET_SCALES.get(n, "log"), c) for n, c in zip(names, settings.T, strict=True))
    for name, curves in zip(z["tasks"], np.asarray(z["valid"], float), strict=True):
        yield table_task(
            "taskset", str(name).removeprefix("FixedTextRNNClassification_"), dims, settings, curves[:, 1:]
        )
