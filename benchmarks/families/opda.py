"""opda: AlexNet on ImageNet and DeBERTa on MNLI, random searches."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from families.space import Array
from families.tables import Kinds, columns, table_task
from families.task import Task, need

OPDA: dict[str, tuple[str, Kinds]] = {
    "alexnet": (
        "top_1",
        {
            "epochs": ("int", "linear"),
            "batch_size": ("int", "log"),
            "lr": ("float", "log"),
            "lr_peak_epoch": ("int", "linear"),
            "momentum": ("float", "one_minus_log"),
            "weight_decay": ("float", "log"),
            "label_smoothing": ("float", "linear"),
        },
    ),
    "deberta-base": (
        "matched",
        {  # total_model_steps follows from epochs and batch size
            "num_train_epochs": ("int", "linear"),
            "train_batch_size": ("int", "linear"),
            "learning_rate": ("float", "log"),
            "warmup_steps": ("int", "linear"),
            "cls_drop_out": ("float", "linear"),
        },
    ),
}


def opda(data: Path, _cache: Path) -> Iterator[Task]:
    """Final error of whole trainings, whose length is itself a hyperparameter."""
    for name, (metric, kinds) in OPDA.items():
        z = np.load(need(data / f"opda_{name}.npz"))
        settings, dims = columns(z, kinds)
        yield table_task("opda", name, dims, settings, 1.0 - last_of_each(np.asarray(z[metric], float))[:, None])


def last_of_each(curves: Array) -> Array:
    """The last value of each row before its padding of nan."""
    known = ~np.isnan(curves)
    last = curves.shape[1] - 1 - known[:, ::-1].argmax(1)
    values: Array = curves[np.arange(len(curves)), last]
    return values
