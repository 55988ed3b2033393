"""Ready-made tasks on real data; the list can be shown without importing PyTorch."""

import difflib
import importlib
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

from zeroin.data import install
from zeroin.errors import TaskError
from zeroin.protocols import Trainable
from zeroin.tasks import sources


@dataclass(frozen=True, slots=True)
class Ready:
    """A ready-made task, as it is listed; docs/tasks.md says how its figures were measured.

    Args:
        name: of the task.
        field: vision, text, tables, sequences or forecasting.
        size: of the data, in words.
        metric: that is tuned; for mase lower is better, for all others higher.
        minutes: how long `zeroin tune NAME` takes on one core; None if not measured yet, also below.
        default, tuned: the mean test scores of the default config and of the best one found.
        module: which has a function of the task's name that makes it.
    """

    name: str
    field: str
    size: str
    metric: str
    minutes: float | None
    default: float | None
    tuned: float | None
    module: str


PROMISED: dict[str, Any] = json.loads(resources.files("zeroin.tasks").joinpath("promised.json").read_text("utf-8"))


def _ready(name: str, field: str, size: str, metric: str, module: str) -> Ready:
    """A ready-made task, with the figures that `benchmarks/tasks.py` measured."""
    figures = dict.fromkeys(("minutes", "default", "tuned")) | PROMISED["tasks"].get(name, {})
    return Ready(name, field, size, metric, **figures, module=module)


_VISION, _TEXT, _TABLES, _SEQUENCES = (f"zeroin.tasks.{name}" for name in ("vision", "text", "tables", "sequences"))

TASKS: dict[str, Ready] = {
    ready.name: ready
    for ready in (
        _ready("digits", "vision", "1,797 images 8x8, 10 classes", "accuracy", _VISION),
        _ready("mnist5k", "vision", "5,000 images 28x28, 10 classes", "accuracy", _VISION),
        _ready("reviews", "text", "5,000 food reviews, five stars or not", "accuracy", _TEXT),
        _ready("lending", "tables", "9,857 loans x 22, 5 % of them bad", "roc_auc", _TABLES),
        _ready("cells", "tables", "2,019 cells x 56, 2 classes", "accuracy", _TABLES),
        _ready("diamonds", "tables", "53,940 diamonds x 9, log price", "r2", _TABLES),
        _ready("ames", "tables", "2,930 houses x 73, log price", "r2", _TABLES),
        _ready("vowels", "sequences", "640 voices of 7-29 steps x 12, 9 men", "accuracy", _SEQUENCES),
        _ready("electricity", "forecasting", "17,520 half-hours x 3, 12 ahead", "mase", _SEQUENCES),
    )
}


def load(name: str) -> Trainable:
    """Make a ready-made task.

    Its module is imported here, by name, so that the list can be shown, and other tasks used, if PyTorch or the data of
    this task are not installed.

    Raises:
        TaskError: there is no such task, or something that it needs is not installed.

    >>> load("digits").max_epochs
    20
    """
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, n=1) or list(TASKS)
        raise TaskError(f"a ready-made task is one of {', '.join(TASKS)}; got {name!r}: use {near[0]!r}.")
    try:
        module = importlib.import_module(TASKS[name].module)
    except ImportError as error:
        data = (sources.TABLES,) if error.name == "pandas" else ()  # which brings pandas
        raise TaskError(
            f"the task {name!r} is trained with PyTorch and made with scikit-learn and pandas; "
            f"{error.name or error} is not installed: run {install.line(*install.TRAINING, *data)}"
        ) from error
    task: Trainable = getattr(module, name)()
    return task
