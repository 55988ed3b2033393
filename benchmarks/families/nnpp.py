"""Accelerating neural architecture search: AlexNet and ResNets, real learning curves."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from families.tables import Kinds, columns, table_task
from families.task import Task, need

NNPP: dict[str, tuple[int, Kinds]] = {  # points of the curve taken as one epoch; hyperparameters
    "alexnet_imagenet": (10, {"lr": ("float", "log"), "ss": ("float", "log")}),
    "deep_resnets_tinyimagenet": (
        3,
        {
            "num_blocks": ("int", "linear"),
            "num_filters": ("int", "log"),
            "filter_size": ("int", "linear"),
            "ss": ("float", "log"),
        },
    ),
}


def nnpp(data: Path, _cache: Path) -> Iterator[Task]:
    """Step-wise learning rates; `ss` = iterations a step. The third table, of architectures, is left out."""
    for name, (every, kinds) in NNPP.items():
        z = np.load(need(data / f"nnpp_{name}.npz"))
        settings, dims = columns(z, kinds)
        yield table_task("nnpp", name, dims, settings, 1.0 - np.asarray(z["curve"], float)[:, every::every])
