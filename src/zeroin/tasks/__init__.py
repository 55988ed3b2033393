"""Ready-made real tasks, listed without importing what trains them."""

import difflib
import importlib
from dataclasses import dataclass

from zeroin.data import install
from zeroin.errors import TaskError
from zeroin.protocols import Trainable
from zeroin.tasks import sources


@dataclass(frozen=True, slots=True)
class Ready:
    """A ready-made task, as the list shows it; docs/tasks.md says how its figures were measured.

    Args:
        name, field: what it is called; vision, text, tables, sequences or forecasting.
        size: the data in words.
        metric: what is tuned; only mase is the better the lower.
        minutes: of one core that `zeroin tune NAME` takes; None where not measured yet, as below.
        default, tuned: the mean test score of the catalogue's default config, and of the config that was found.
        module: where the function of its name makes it.
    """

    name: str
    field: str
    size: str
    metric: str
    minutes: float | None
    default: float | None
    tuned: float | None
    module: str

    def make(self) -> Trainable:
        """The task with its data.

        Raises:
            TaskError: PyTorch, or the package its data come with, is not installed.
        """
        return load(self.name)


_VISION, _TEXT, _TABLES, _SEQUENCES = (f"zeroin.tasks.{name}" for name in ("vision", "text", "tables", "sequences"))

TASKS: dict[str, Ready] = {
    ready.name: ready
    for ready in (
        Ready("digits", "vision", "1,797 images 8x8, 10 classes", "accuracy", 1.6, 0.981, 0.982, _VISION),
        Ready("mnist5k", "vision", "5,000 images 28x28, 10 classes", "accuracy", 6.0, 0.95, 0.983, _VISION),
        Ready("reviews", "text", "5,000 food reviews, five stars or not", "accuracy", 3.6, 0.722, 0.78, _TEXT),
        Ready("lending", "tables", "9,857 loans x 22, 5 % of them bad", "roc_auc", 1.2, 0.743, 0.761, _TABLES),
        Ready("cells", "tables", "2,019 cells x 56, 2 classes", "accuracy", 0.9, 0.809, 0.809, _TABLES),
        Ready("diamonds", "tables", "53,940 diamonds x 9, log price", "r2", 2.5, 0.98, 0.99, _TABLES),
        Ready("ames", "tables", "2,930 houses x 73, log price", "r2", 1.1, 0.843, 0.883, _TABLES),
        Ready("vowels", "sequences", "640 voices of 7-29 steps x 12, 9 men", "accuracy", 1.4, 0.782, 0.965, _SEQUENCES),
        Ready("electricity", "forecasting", "17,520 half-hours x 3, 12 ahead", "mase", 3.0, 0.843, 0.545, _SEQUENCES),
    )
}


def load(name: str) -> Trainable:
    """A ready-made task by name.

    The one place where a module is imported by its name: the list above must be shown, and other tasks used, where
    PyTorch or the data of this one are not installed.

    Raises:
        TaskError: there is none of that name, or something it needs is not installed.

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
